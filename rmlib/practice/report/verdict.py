"""What the report says first: whether the model can be used, four figures, and a judgement on each question it asks."""

from rmlib.practice.report.findings import Findings
from rmlib.practice.report.page import Html, element, joined, number, paragraph, percent
from rmlib.practice.usable import ENOUGH, NAMES, NO, OPEN, USABLE, hardest

NO_LEAN = 0.05  # an excess of long responses between minus and plus this is taken for none
VAGUE = 0.1  # pairs by which a perfect model could show a larger calibration error say too little
GOOD, BAD, UNSURE = "good", "bad", "open"
ANSWERS = {USABLE: GOOD, OPEN: UNSURE, NO: BAD}
Judgement = tuple[str, Html]


def answer(findings: Findings) -> Html:
    """The first line, whether it can be used and why, and the rule that this goes by."""
    found = findings.figures["usable"]
    return joined(
        paragraph(element("strong", found["answer"].capitalize()), ": ", found["why"],
                  class_=f"answer {ANSWERS[found['answer']]}"),
        paragraph(f"The rule: usable is a model that with {ENOUGH} conversations or more is shown to be right more "
                  "often than a coin and than each of four rules that only count lengths or words; not usable, one "
                  "that is shown to be right less often than one of these. It speaks of ranking such responses. "
                  "Whether that is right often enough, only the use can tell; and what is made to chase the reward may "
                  "find responses of a kind that the model was never asked about.", class_="rule"),
    )


def at_a_glance(findings: Findings) -> Html:
    """Tiles with the main figures, and the verdicts below them."""
    figures = findings.figures
    name, conversations = hardest(figures["rules"]), figures["conversations"]
    tiles = element("dl", *(
        element("div", element("dt", name), element("dd", value), element("dd", remark)) for name, value, remark in (
            ("Right on", percent(figures["accuracy"]), joined("95% interval ", to(figures, "interval"))),
            ("Best rival", percent(figures["rules"][name]["accuracy"]), NAMES[name]),
            ("Calibration error", number(figures["ece"]),
             joined(number(figures["ece_floor"]), " would be luck alone")),
            ("Pairs", number(figures["pairs"], 0),
             joined("of ", number(conversations, 0), " ", counted(conversations, "conversation"))),
        )), class_="tiles")
    judged = [element("li", text, class_=kind) for kind, text in judgements(findings)]
    return joined(tiles, element("ul", *judged, class_="verdict") if judged else "")


def judgements(findings: Findings) -> list[Judgement]:
    """On each question a judgement; none where there are too few conversations to judge by."""
    if findings.figures["conversations"] < ENOUGH:
        return []
    return [judge(findings) for judge in (accuracy_verdict, calibration_verdict, length_verdict)]


def to(figures: dict, name: str) -> Html:
    """The interval that has this name among the figures."""
    return joined(percent(figures[f"{name}_low"]), " to ", percent(figures[f"{name}_high"]))


def counted(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def accuracy_verdict(findings: Findings) -> Judgement:
    figures = findings.figures
    low, high = figures["interval_low"], figures["interval_high"]
    if low > 0.5:
        return GOOD, joined("Better than a coin: even the low end of its interval, ", percent(low), ", is above 50%.")
    if high < 0.5:
        return BAD, joined("Worse than a coin: its interval ends at ", percent(high), ". Are chosen and rejected "
                           "swapped, here or in its training?")
    return BAD, joined("Not shown to be better than a coin: its interval, ", to(figures, "interval"), ", holds 50%.")


def calibration_verdict(findings: Findings) -> Judgement:
    figures, confidence = findings.figures, findings.figures["confidence"]
    if blind := _blind(findings):
        return UNSURE, joined("Its confidence can’t be judged: ", blind)
    ece, highest = figures["ece"], confidence["perfect_95"]
    told = joined("its calibration error is ", number(ece), "; of perfectly calibrated models whose errors don’t "
                  "depend on each other one in twenty would show more than ", number(highest), ".")
    if ece <= highest and highest > VAGUE:
        return UNSURE, joined("Too few pairs to tell whether its confidence fits: ", told)
    if ece <= highest:
        return GOOD, joined("Its confidence fits, as far as ", number(figures["pairs"], 0), " pairs can tell: ", told)
    if "calibrated" in figures:
        told = joined(told, " At the temperature of the validation pairs the error is ",
                      number(figures["calibrated"]["ece"]), ".")
    if confidence["excess_low"] <= 0 <= confidence["excess_high"]:
        return BAD, joined("Its confidence is right on average, and off in places: ", told)
    return BAD, joined("It is ", "over" if confidence["excess_low"] > 0 else "under", "confident, ",
                       percent(confidence["mean"]), " sure on average, and right on ", percent(figures["accuracy"]),
                       ": ", told)


def length_verdict(findings: Findings) -> Judgement:
    longer = findings.figures["length"]
    if blind := _blind(findings):
        return UNSURE, joined("Whether it favours length can’t be told: ", blind)
    if "reason" in longer:
        return UNSURE, joined("Whether it favours length can’t be told. ", longer["reason"])
    if longer["expected"] is None:
        return _by_choices(findings)
    told = joined("by its probabilities the longer of two responses is the better one in ", percent(longer["expected"]),
                  " of the pairs; it was chosen in ", percent(longer["chosen"]), " (the difference: ",
                  to(longer, "excess"), ").")
    low, high = longer["excess_low"], longer["excess_high"]
    if low > 0 or high < 0:
        kind = "long" if low > 0 else "short"
        if (low > 0) != (longer["preferred"] > longer["chosen"]):
            return UNSURE, joined(f"By its probabilities it leans to {kind} responses, by its choices it doesn’t: it "
                                  "prefers the longer one in ", percent(longer["preferred"]), "; ", told)
        return BAD, joined(f"It leans to {kind} responses, more than the choices do: ", told)
    if -NO_LEAN < low and high < NO_LEAN:
        return GOOD, joined("It leans to long or short responses no more than the choices do, or by less than ",
                            f"{NO_LEAN:.0%}: ", told)
    return UNSURE, joined("Not shown to lean to long or short responses more than the choices do, but these pairs "
                          "leave room for it: ", told)


def _by_choices(findings: Findings) -> Judgement:
    """The verdict on length where no temperature makes the margins probabilities."""
    longer = findings.figures["length"]
    told = joined("it prefers the longer of two responses in ", percent(longer["preferred"]), " of the pairs (",
                  to(longer, "preferred"), "); it was chosen in ", percent(longer["chosen"]), ".")
    if findings.margins.min() >= 0:
        return UNSURE, joined("Whether it favours length can’t be told, since it is wrong on no pair: ", told)
    if longer["preferred_low"] <= 0.5 <= longer["preferred_high"]:
        return UNSURE, joined("Not shown to lean to long or short responses: ", told)
    kind = "long" if longer["preferred"] > 0.5 else "short"
    return BAD, joined("It leans to ", kind, " responses, and at no temperature predicts better than a coin: ", told)


def _blind(findings: Findings) -> Html | None:
    """What to say of a model that gives both responses of most pairs the same reward."""
    share = findings.figures["ties"] / findings.figures["pairs"]
    return joined("it cannot tell apart the responses of ", percent(share), " of the pairs.") if share > 0.5 else None
