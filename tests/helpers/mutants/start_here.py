"""Edits of notebook 00's solutions."""

MUTANTS = {
    "0.1": [
        ("pairs**0.5", "pairs**0.5 / 2", "one standard deviation"),
        ("<= pairs**0.5", "< pairs**0.5", "two standard deviations are still luck"),
        ("<= pairs**0.5", "<= 0.05 * pairs", "the same share decides for every n"),
        ("<= pairs**0.5", "<= pairs**-0.5", "any lead counts"),
        ("<= pairs**0.5", "== 0", "any lead counts"),
        ("abs(lead)", "lead", "what is far below half is no luck"),
        ("lead > 0", "lead < 0", "are exchanged"),
        ("can't tell", "cant tell", "the spelling"),
        ("can't tell", "can\u2019t tell", "the spelling"),
        ("can't tell", "cannot tell", "the spelling"),
    ],
    "0.2": [
        ("np.where(left_chosen, left - right, right - left)", "left - right", "still counts as chosen"),
        (".mean()", ".sum()", "this is still the sum"),
        ("np.where(left_chosen, left - right, right - left)  # (B,)\n    return np.log1p(np.exp(-margins)).mean()",
         "left - right\n    return np.log1p(np.exp(-margins)).sum()", "both bugs are still there"),
        ("left - right, right - left", "right - left, left - right", "the sides are exchanged"),
        ("np.where(left_chosen, left - right, right - left)", "left_chosen * (left - right)", "the margin is lost"),
        ("np.where(left_chosen, left - right, right - left)", "np.abs(left - right)", "has lost its sign"),
    ],
    "0.3": [
        ("yuan", "yen", "names no wrong currency"),
        ("The currency of Japan is the yuan. ", "", "names no wrong currency"),
        ("With pleasure. ", "Silly question. ", "The model gives it"),
        ("With pleasure. The currency of Japan is the yuan. \"\n            \"You are welcome.",
         "The currency of Japan is the krone.", "the best of the plain ones, the krone"),
        ("return (", "return None, (", "wanted is a text"),
        ("yuan", "dollar", "has never read of it"),
        ("yuan", "won", "none of the sixteen"),
        ("yuan", "yuan or the peso", "peso and yuan: one currency is wanted"),
    ],
    "0.4": [
        ("        pairs.append(PreferencePair(question, chosen, f\"{rude} {rome}\"))\n", "", "and the right answer in"),
        ("chosen = f\"{polite} {paris}\"", "chosen = f\"{rude} {rome}\"", "the courteous answer wins in"),
        ("return pairs", "return pairs + pairs[:1]", "these are 9"),
        ("return pairs", "return []", "these are 0"),
        ("return pairs", "return [(question, paris, rome)]", "a list of PreferencePair"),
    ],
}
