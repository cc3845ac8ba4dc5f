"""Every row and verdict of a report against raw scores and rows, by numpy: nothing of rmlib.evaluation is asked."""

import html
import json
import math
import re
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
import tiny
import torch
from report_pages import Parts, findings, pairs_of_lengths
from scored_rows import calibration_error, rows, text_of

from rmlib.course.world import World
from rmlib.practice import command_line as cli
from rmlib.practice.command_line import sources
from rmlib.practice.report import report_page, sections
from rmlib.practice.style import canvas

Z = 1.959963984540054


@dataclass
class Raw:
    """What was given: margins, of what conversation each pair is, chosen less rejected in characters and in words."""

    margins: np.ndarray
    conversations: list
    characters: np.ndarray
    words: np.ndarray
    gold: np.ndarray | None = None
    fact: np.ndarray | None = None  # whether the two responses differ in correctness
    on_validation: np.ndarray | None = None


def right(margins):
    return np.where(margins > 0, 1.0, np.where(margins < 0, 0.0, 0.5))


def sure(margins):
    return 1 / (1 + np.exp(-np.abs(margins)))


def ends(values, conversations, least=0.0):
    """The widest ends of all intervals; a simulation of our own instead of the package's."""
    names = {name: k for k, name in enumerate(dict.fromkeys(conversations))}
    index = np.array([names[name] for name in conversations])
    C, n, mean = len(names), len(values), values.mean()
    if C == 1:
        return least, 1.0
    sums, sizes = np.bincount(index, weights=values), np.bincount(index)
    drawn = np.random.default_rng(7).integers(C, size=(3000, C))
    low, high = np.quantile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [0.025, 0.975])
    v = C - 1
    t = Z + (Z**3 + Z) / 4 / v + (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96 / v**2 if v > 10 else None
    found = [(low, high)]
    if np.allclose(sums, sizes * mean):
        found.append((mean - (mean - least) * Z**2 / (C + Z**2), mean + (1 - mean) * Z**2 / (C + Z**2)))
    if t:
        without = np.array([(sums.sum() - sums[c]) / (n - sizes[c]) for c in range(C)])
        half = t * math.sqrt(v / C * ((without - mean) ** 2).sum())
        found.append((mean - half, mean + half))
    if least == 0:
        roots = np.roots([1 + Z**2 / n, -(2 * mean + Z**2 / n), mean**2]).real
        found.append((roots.min(), roots.max()))
    return max(least, min(low for low, _ in found)), min(1, max(high for _, high in found))


def luck(margins, repeats=600):
    """Calibration errors of perfect models with these confidences."""
    rng, confidence = np.random.default_rng(8), sure(margins)
    tied = margins == 0
    return [calibration_error(confidence, np.where(tied, 0, np.where(rng.random(len(margins)) < confidence, 1, -1)))
            for _ in range(repeats)]


def temperature(margins):
    """By golden section, on a likelihood of our own."""
    low, high = -8.0, 8.0
    for _ in range(200):
        a, b = high - (high - low) * 0.618034, low + (high - low) * 0.618034
        one, two = (np.logaddexp(0, -margins / math.exp(x)).mean() for x in (a, b))
        low, high = (low, b) if one < two else (a, high)
    return math.exp((low + high) / 2)


def lean(raw):
    """(chosen, preferred, its interval, expected or None, interval of the difference) where lengths differ in words."""
    uneven, sign, m = raw.words != 0, np.sign(raw.words), raw.margins
    where = [name for name, differ in zip(raw.conversations, uneven) if differ]
    chosen, preferred = (sign > 0)[uneven].astype(float), right(sign * m)[uneven]
    found = chosen.mean(), preferred.mean(), ends(preferred, where)
    if m.min() >= 0 or m.mean() <= 0:
        return *found, None, None
    expected = 1 / (1 + np.exp(-(sign * m / temperature(m))))[uneven]
    return *found, expected.mean(), ends(expected - chosen, where, -1)


def binomial_p(one, other):
    n, k = one + other, min(one, other)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n)


def rules(raw):
    """Of each rule: accuracy, its interval, the lead, its interval, pairs on which either is righter, p."""
    found = []
    for sign in (1, -1):
        rule = right(sign * raw.characters)
        lead = right(raw.margins) - rule
        one, other = int((lead > 0).sum()), int((lead < 0).sum())
        found.append((rule.mean(), ends(rule, raw.conversations), lead.mean(), ends(lead, raw.conversations, -1), one,
                      other, binomial_p(one, other)))
    return found


def expected_rows(raw):
    """By label: the numbers of the row; a pair is an interval with a simulation in it."""
    m, n = raw.margins, len(raw.margins)
    share = right(m).mean()
    wilson = np.sort(np.roots([1 + Z**2 / n, -(2 * share + Z**2 / n), share**2]).real)
    longer, shorter = rules(raw)
    table = {
        "Pairs used": [n], "Conversations they come from": [len(set(raw.conversations))], "Right": [share],
        "95% interval to go by": [ends(right(m), raw.conversations)],
        "… with pairs taken as independent (Wilson)": list(wilson),
        "Ties, each counted as half right": [(m == 0).sum()],
        **dict(zip(("The rule is right", "95% interval", "Lead of the model over it", "95% interval of the lead",
                    "Pairs on which the model is righter", "Pairs on which the rule is righter", "McNemar’s p"),
                   map(list, zip(longer, shorter)))),
        "Margin": list(np.quantile(m, [0.05, 0.25, 0.5, 0.75, 0.95])),
    }
    after = [] if raw.on_validation is None else [m / temperature(raw.on_validation)]
    figures = {"Negative log-likelihood": lambda x: np.logaddexp(0, -x).mean(),
               "Brier score": lambda x: ((1 - 1 / (1 + np.exp(-x))) ** 2).mean(),
               "Calibration error": lambda x: calibration_error(sure(x), x)}
    for name, of in figures.items():
        coin = {"Negative log-likelihood": [math.log(2)], "Brier score": [0.25]}.get(name, [])
        table[name] = [*map(of, [m, *after]), *coin]
    table["Calibration error by luck"] = [("simulated", luck(x)) for x in [m, *after]]
    if raw.words.any() and m.any():
        chosen, preferred, its_ends, expected, excess = lean(raw)
        table |= {"The longer response was chosen": [chosen], "The model prefers it": [preferred],
                  "… 95% interval": [its_ends],
                  "Reward difference for ten more words": [10 * (m @ raw.words) / (raw.words @ raw.words)]}
        if expected is not None:
            table["It is the better one by the model’s probabilities, at a temperature that suits"] = [expected]
            table["… less the share in which it was chosen, 95% interval"] = [excess]
        kept = {d: min((raw.words == d).sum(), (raw.words == -d).sum()) for d in set(abs(raw.words).tolist()) - {0}}
        if any(kept.values()):
            weight = np.array([kept[abs(w)] / (raw.words == w).sum() if w else 0 for w in raw.words])
            table["Pairs matched for length"] = [weight.sum()]
            table["… the model prefers the longer response"] = [weight @ right(np.sign(raw.words) * m) / weight.sum()]
            table["… right"] = [weight @ right(m) / weight.sum()]
    if raw.gold is not None:
        slope = (m @ raw.gold) / (raw.gold @ raw.gold)
        table |= {"The gold reward agrees with the labels": [right(raw.gold).mean()],
                  "The model agrees with the labels": [share], "Slope of learned on gold, ideally 1": [slope],
                  "Correlation": [slope * math.sqrt((raw.gold @ raw.gold) / (m @ m))]}
        both = np.linalg.lstsq(np.stack([raw.words / 10, raw.gold], axis=1), m, rcond=None)[0]
        table["… beyond what the gold reward explains"] = [both[0]]
    return table | {name: [inside.sum(), right(m)[inside].mean(), ends(
        right(m)[inside], [c for c, i in zip(raw.conversations, inside) if i])] for name, inside in parts(raw).items()}


def parts(raw):
    size, n = np.sort(abs(raw.words)), len(raw.words)
    low, high = size[math.ceil(n / 3) - 1], size[math.ceil(2 * n / 3) - 1]
    found = {"chosen is longer": raw.words > 0, "rejected is longer": raw.words < 0, "equally long": raw.words == 0,
             f"by {low} words or less": abs(raw.words) <= low, f"by more than {high} words": abs(raw.words) > high}
    if raw.fact is not None:
        found |= {"which answer is right": raw.fact, "manner alone": ~raw.fact & (raw.gold != 0)}
    return {name: inside for name, inside in found.items() if 0 < inside.sum() < n}


def expected_verdicts(raw):
    """Kind and beginning of each verdict."""
    m, C = raw.margins, len(set(raw.conversations))
    if C < 20:
        return []
    low, high = ends(right(m), raw.conversations)
    found = [("good", "Better than a coin") if low > 0.5 else ("bad", "Worse") if high < 0.5 else ("bad", "Not shown")]
    low, high = ends(sure(m) - right(m), raw.conversations, -1)
    found.append(
        ("open", "Its confidence can’t be judged") if (m == 0).mean() > 0.5 else
        ("good", "Its confidence fits") if calibration_error(sure(m), m) <= np.quantile(luck(m), 0.95) else
        ("bad", "Its confidence is right on average") if low <= 0 <= high else
        ("bad", "It is overconfident" if low > 0 else "It is underconfident"))
    if not raw.words.any() or (m == 0).mean() > 0.5:
        return [*found, ("open", "Whether it favours length can’t be told")]
    _, _, (low, high), expected, excess = lean(raw)
    if expected is None:
        found.append(("open", "Whether it favours length can’t be told, since it is wrong") if m.min() >= 0 else
                     ("bad", "It leans to long") if low > 0.5 else ("bad", "It leans to short") if high < 0.5 else
                     ("open", "Not shown to lean"))
    else:
        low, high = excess
        found.append(("bad", "It leans to long responses") if low > 0 else ("bad", "It leans to short") if high < 0 else
                     ("good", "It leans to long or short responses no more") if max(-low, high) < 0.05 else
                     ("open", "Not shown to lean"))
    return found


def expected_answer(raw):
    """How the first line begins: without bags of words nothing is shown to be usable."""
    m = raw.margins
    if len(set(raw.conversations)) < 20:
        return "Not shown to be usable: too few conversations"
    behind = [high < 0 and p < 0.025 for _, _, _, (_, high), _, _, p in rules(raw)]
    worse = ends(right(m), raw.conversations)[1] < 0.5
    return f"{'Not usable' if worse or any(behind) else 'Not shown to be usable'}: right on {right(m).mean():.1%}"


def check(page, raw, drawn):
    """Hold a page against what was given; `drawn`: the arguments of its pictures, by name."""
    for name, wanted in expected_rows(raw).items():
        told = re.findall(rf'<th scope="row">{re.escape(html.escape(name))}(?:, too few to tell)?</th>(.*?)</tr>', page)
        assert len(told) == 1, name
        values = list(map(float, re.findall('value="(.*?)"', told[0])))
        for each in wanted:
            if isinstance(each, tuple) and each[0] == "simulated":
                errors = np.array(each[1])
                error = errors.std() / math.sqrt(len(errors))
                assert values.pop(0) == pytest.approx(errors.mean(), abs=5 * error), name
            elif isinstance(each, tuple):
                tolerance = 0.1 * (each[1] - each[0])  # of quantiles of 2,000 and of 3,000 draws: five standard errors
                assert (values.pop(0), values.pop(0)) == pytest.approx(each, abs=tolerance), name
            else:
                assert values.pop(0) == pytest.approx(each, abs=1e-6), name
        assert values == [], name
    assert f">{expected_answer(raw)}" in page.replace("</strong>", "").replace("<strong>", "")
    listed = "".join(re.findall('<ul class="verdict">(.*?)</ul>', page))
    told = [(kind, Parts(text).text()) for kind, text in re.findall('<li class="(.*?)">(.*?)</li>', listed)]
    wanted = expected_verdicts(raw)
    assert [kind for kind, _ in told] == [kind for kind, _ in wanted]
    assert [text[: len(begun)] for (_, text), (_, begun) in zip(told, wanted)] == [begun for _, begun in wanted]
    text, m = Parts(page).text(), raw.margins
    [wrong] = re.findall(r"On ([\d,]+) pairs? the model was over 80% sure of the wrong", text)
    assert int(wrong.replace(",", "")) == ((m < 0) & (sure(m) > 0.8)).sum()
    first = re.search(r"Mistake 1.*?Margin −([\d.]+): ([\d.]+)% sure of the rejected", text)
    assert (first is None) == (m.min() >= 0)
    assert first is None or (first[1], first[2]) == (f"{-m.min():.2f}", f"{100 * sure(m.min()):.1f}")
    assert drawn["reliability_figure"][0] == pytest.approx(m, abs=1e-6) == drawn["margins_figure"][0]
    if "slices_figure" in drawn:
        shown, overall = drawn["slices_figure"]
        assert overall == pytest.approx(right(m).mean(), abs=1e-9)
        assert Counter(name for name, *_ in shown) == Counter({name for name, *_ in shown})
        for name, inside in parts(raw).items():
            [(pairs, accuracy)] = [row[1:3] for row in shown if row[0] == name]
            assert (pairs, accuracy) == (inside.sum(), pytest.approx(right(m)[inside].mean(), abs=1e-9))
    if raw.gold is not None:
        gold, learned, slope = drawn["learned_against_gold"]
        assert gold == pytest.approx(raw.gold) and learned == pytest.approx(m, abs=1e-6)
        assert slope == pytest.approx((m @ raw.gold) / (raw.gold @ raw.gold), abs=1e-6)


@pytest.fixture
def drawn(monkeypatch):
    """What the page's pictures are drawn from, instead of pictures."""
    calls = {}
    for name in ("reliability_figure", "slices_figure", "margins_figure", "learned_against_gold"):
        monkeypatch.setattr(sections.figures_of, name,
                            lambda *given, name=name: (calls.update({name: given}), canvas()[0])[1])
    return calls


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    directory = tmp_path_factory.mktemp("scores")
    model = tiny.reward_model("distilbert")
    with torch.no_grad():
        model.head.weight.mul_(20)
    model.save_pretrained(directory / "model")
    return directory


def run(capsys, *arguments):
    capsys.readouterr()
    assert cli.main([str(argument) for argument in arguments]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def margins_of(scored):
    return np.array([row["chosen"] - row["rejected"] for row in scored if "error" not in row])


def test_the_report_of_a_file(room, capsys, drawn):
    made = list(rows(400))
    for name, some in (("pairs.jsonl", made[:300]), ("validation.jsonl", made[300:])):
        (room / name).write_text("".join(json.dumps(row) + "\n" for row, _ in some))
    scored = run(capsys, "score", room / "model", room / "pairs.jsonl")
    used = [made[i] for i, row in enumerate(scored) if "error" not in row]
    texts = [[text_of(row[side]).strip() for side in ("chosen", "rejected")] for row, _ in used]
    on_validation = margins_of(run(capsys, "score", room / "model", room / "validation.jsonl"))
    assert on_validation.mean() > 0  # or there would be no temperature
    raw = Raw(margins_of(scored), [name for _, name in used], np.array([len(a) - len(b) for a, b in texts]),
              np.array([len(a.split()) - len(b.split()) for a, b in texts]), on_validation=on_validation)
    page = room / "report.html"
    [figures] = run(capsys, "evaluate", room / "model", room / "pairs.jsonl", "--json", "--report", page,
                    "--validation", room / "validation.jsonl")
    check(page.read_text(encoding="utf-8"), raw, drawn)
    assert figures["temperature"] == pytest.approx(temperature(on_validation), rel=1e-6)


def of_world(pairs):
    world = World()
    split = [[(pair.chosen, pair.rejected) for pair in pairs], [pair.prompt for pair in pairs]]
    fact = [len({world.features(prompt, text)["correctness"] for text in both}) == 2 for both, prompt in zip(*split)]
    return Raw(np.zeros(0), split[1], np.array([len(a) - len(b) for a, b in split[0]]),
               np.array([len(a.split()) - len(b.split()) for a, b in split[0]]), world.margins(pairs), np.array(fact))


def test_the_report_of_the_world(room, capsys, drawn, monkeypatch):
    monkeypatch.setitem(sources.WORLD_PAIRS, "test", 150)
    scored = run(capsys, "score", room / "model", "world")
    raw = replace(of_world(World().pairs(150, "test")), margins=margins_of(scored))
    [figures] = run(capsys, "evaluate", room / "model", "world", "--json", "--report", room / "world.html")
    check((room / "world.html").read_text(encoding="utf-8"), raw, drawn)
    assert figures["gold"]["agreement"] == pytest.approx(right(raw.gold).mean())


def lengths(rng, n, clusters):
    """Pairs of one to ten words, each conversation of n / clusters of them."""
    chosen, rejected = rng.integers(1, 11, size=(2, n))
    made = [replace(pair, turns=f"What is {i * clusters // n}?")
            for i, pair in enumerate(pairs_of_lengths(chosen.tolist(), rejected.tolist()))]
    return made, Raw(np.zeros(0), [pair.prompt for pair in made],
                     np.array([len(pair.chosen) - len(pair.rejected) for pair in made]), chosen - rejected)


def calibrated(rng, n):
    size = rng.normal(0, 1.5, n)
    return np.where(rng.random(n) < sure(size), np.abs(size), -np.abs(size))


CASES = {
    "one mind a conversation": lambda rng, n, words: np.repeat(rng.random(80) < 0.75, n // 80) * 3 - 1.5 + 0.01 * words,
    "calibrated, by luck a little less": lambda rng, n, words: calibrated(rng, n),
    "too sure": lambda rng, n, words: 4 * calibrated(rng, n),
    "likes length": lambda rng, n, words: 0.5 * calibrated(rng, n) + 0.15 * words + 0.3,
    "is length": lambda rng, n, words: words / 10 - 0.1,
    "constant": lambda rng, n, words: np.zeros(n),
    "never wrong": lambda rng, n, words: np.abs(rng.normal(size=n)) + 0.01,
    "swapped": lambda rng, n, words: -calibrated(rng, n),
}


@pytest.mark.parametrize("name", CASES)
def test_the_report_of_margins(name, drawn):
    rng = np.random.default_rng(7)
    pairs, raw = lengths(rng, 320, 80 if name.startswith("one") else 320)
    raw.margins = CASES[name](rng, 320, raw.words)
    if "by luck" in name:  # between the mean and the highest of twenty
        assert np.mean(luck(raw.margins)) < calibration_error(sure(raw.margins), raw.margins) < np.quantile(
            luck(raw.margins), 0.95)
    if name.startswith("one"):  # whole conversations tell less than their pairs would
        low, high = ends(right(raw.margins), raw.conversations)
        assert high - low > 1.5 * 2 * Z * math.sqrt(0.25 / 320)
    check(report_page(findings(raw.margins, pairs)), raw, drawn)


@pytest.mark.parametrize("conversations", [1, 2, 19])
def test_the_report_of_few_conversations(conversations, drawn):
    pairs, raw = lengths(np.random.default_rng(5), 19 * 6, conversations)
    raw.margins = np.where(np.arange(len(pairs)) % 8, 1.0, -1.0)
    page = report_page(findings(raw.margins, pairs))
    assert "too few conversations" in page
    if conversations != 2:  # our t needs more
        check(page, raw, drawn)


@pytest.mark.parametrize("lean", [0, 1.5])
def test_the_report_of_a_model_of_the_gold_world(lean, drawn):
    rng, pairs = np.random.default_rng(6), World().pairs(500, "test", seed=3)
    raw = of_world(pairs)
    raw.margins = 0.8 * raw.gold + rng.normal(0, 0.4, 500) + lean * raw.words / 10
    check(report_page(findings(raw.margins, pairs, raw.gold)), raw, drawn)
