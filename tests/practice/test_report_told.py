"""The report word for word: each page, verdict and answer as a reader finds it, with what its pictures say."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from report_pages import Bags, Parts, findings, of_the_world, pairs_of_lengths
from told import hold, read_aloud

from rmlib.pairs import BadRow, LeftOut, PairSet
from rmlib.practice.report import report_page, verdict
from rmlib.practice.usable import compare, told


class Fitted(Bags):
    """Rivals fitted to more pairs."""

    pairs = 1240


def uneven(n):
    """n pairs of which the longer response is chosen in six of ten."""
    return pairs_of_lengths([5] * n, [2 if i % 10 < 6 else 9 for i in range(n)])


def first(n, share):
    return np.arange(n) < share * n


def drawn(n):
    """Margins of a model that is right on four of five, a few of them ties."""
    rng = np.random.default_rng(3)
    size = np.where(np.arange(n) % 50 == 49, 0, rng.gamma(2, 0.9, n))
    return np.where(rng.permutation(n) % 5 > 0, size, -size).round(4)


def of_a_file():
    """300 pairs of two subsets, with all that can be told of where they and the model come from."""
    pairs = [replace(pair, subset="billing" if i % 3 else None, id=f"r{i}" if i % 2 else None)
             for i, pair in enumerate(uneven(300))]
    margins = drawn(300)
    settings = {"epochs": 2, "learning_rate": 5e-05, "patience": None}
    made = findings(margins, pairs, rivals=Fitted(first(300, 0.7), first(300, 0.65)), validation="apart.jsonl",
                    data="0123456789abcdef0123456789abcdef",
                    training={"data": {"name": "train.jsonl", "held_out_pairs": 300}, "settings": settings})
    made.figures.update(temperature=1.25, validation_pairs=80,
                        calibrated={"nll": 0.51, "brier": 0.171, "ece": 0.022, "ece_floor": 0.031})
    bad = [BadRow(301, "not JSON", "no"), BadRow(302, "not JSON", "no"), BadRow(303, "missing key", "no")]
    return replace(made, found=PairSet(pairs, bad, [LeftOut(304, "tie", "tie")], "pairs.jsonl"))


def of_few_pairs():
    """One mistake, one conversation and lengths that are all the same."""
    pairs = [replace(pair, turns="What is it?") for pair in pairs_of_lengths([3] * 4, [3] * 4)]
    return findings([1.0, 2.0, -0.25, 0.0], pairs)


def without_mistakes():
    return findings(np.full(30, 2.5), uneven(30), rivals=Fitted(first(30, 0.1), first(30, 0.1), seen=30))


PAGES = {"a file": of_a_file, "the world": lambda: of_the_world(400), "few pairs": of_few_pairs,
         "without mistakes": without_mistakes}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_told_word_for_word(name):
    hold(f"report of {name}", read_aloud(report_page(PAGES[name]())))


def test_what_the_parts_of_a_page_are():
    """Tags and attributes, with how often each comes, but for what differs from one evaluation to the next."""
    found = Counter()
    for tag, attributes in Parts(report_page(of_few_pairs())).tags:
        kept = {name: value for name, value in attributes.items() if name not in ("src", "alt", "value", "content")}
        found[f"{tag} {kept or ''}"] += 1
    hold("parts of a page", "\n".join(f"{count} {what}" for what, count in sorted(found.items())))


MARGINS = {
    "better": [1.0] * 90 + [-1.0] * 10, "worse": [-1.0] * 90 + [1.0] * 10, "a coin": [-1.0] * 50 + [1.0] * 50,
    "calibrated": [2.2] * 90 + [-2.2] * 10, "few": [0.5] * 14 + [-0.5] * 8, "too sure": [5.0] * 60 + [-5.0] * 40,
    "unsure": [0.1] * 90 + [-0.1] * 10,
    "off in places": [2.0] * 75 + [-2.0] * 25 + [0.1] * 66 + [-0.1] * 34, "ties": [0.0] * 90 + [-0.1] * 10,
    "never wrong": [1.0] * 100, "longer, no better than a coin": [1.0 if i % 10 < 6 else -2.0 for i in range(100)],
    "shorter, no better than a coin": [-2.0 if i % 10 < 6 else 1.0 for i in range(100)],
    "no length, no better than a coin": [-2.0, 1.0] * 50,
    "leans to long": [2.0 if i % 10 < 6 or i % 3 else -2.0 for i in range(1000)],
    "leans to short": [2.0 if i % 10 >= 6 or i % 3 else -2.0 for i in range(1000)],
}
FIGURES = {  # changes of the figures of length, of a model that is right on 70 of 100
    "leans to nothing": {"excess_low": -0.049, "excess_high": 0.049},
    "to long by its choices": {"excess_low": -0.2, "excess_high": -0.01, "preferred": 0.71, "chosen": 0.6},
    "to short by its choices": {"excess_low": 0.01, "excess_high": 0.2, "preferred": 0.5, "chosen": 0.6},
    "without a temperature": {"expected": None, "preferred": 0.6, "preferred_low": 0.4, "preferred_high": 0.7},
}


def test_every_verdict_word_for_word():
    told_of = []
    for name, margins in MARGINS.items():
        made = findings(margins, uneven(len(margins)))
        told_of += [f"{name}: [{kind}] {Parts(text).text()}" for kind, text in verdict.judgements(made)]
    for name, changes in FIGURES.items():
        made = findings(MARGINS["better"][20:] + [-1.0] * 20, uneven(100))
        made.figures["length"].update(changes)
        kind, text = verdict.length_verdict(made)
        told_of.append(f"{name}: [{kind}] {Parts(text).text()}")
    hold("verdicts", "\n".join(told_of))


def even(n, conversations):
    pairs = pairs_of_lengths([5] * n, [2, 9] * (n // 2))
    return [replace(pair, turns=f"What is {i % conversations}?") for i, pair in enumerate(pairs)]


ANSWERS = {  # share right; both bags; conversations
    "usable": (first(400, 0.9), Fitted(first(400, 0.75), first(400, 0.7)), 400),
    "worse than a coin": (first(100, 0.3), Fitted(first(100, 0.2), first(100, 0.1)), 100),
    "worse than a bag": (first(400, 0.6), Fitted(first(400, 0.7), first(400, 0.8)), 400),
    "seen": (first(2000, 0.9), Fitted(first(2000, 0.7), first(2000, 0.7), seen=1021), 2000),
    "one conversation": (first(400, 0.9), None, 1),
    "19 conversations": (first(400, 0.9), None, 19),
    "no bags": (first(200, 0.9), None, 200),
    "no bags, no lead": (first(200, 0.55), None, 200),
    "as good as a bag": (first(58, 0.9), Fitted(np.roll(first(58, 0.9), 3), np.roll(first(58, 0.8), -3)), 58),
    "a lead that is not shown": (first(200, 0.62), Fitted(np.roll(first(200, 0.6), 90), first(200, 0.2)), 200),
    "behind, not beyond doubt": (first(400, 0.7), Fitted(np.roll(first(400, 0.72), 40), first(400, 0.2)), 400),
    "many pairs, no lead": (first(2000, 0.8), Fitted(first(2000, 0.8), ~first(2000, 0.8)), 2000),
}


def test_every_answer_word_for_word():
    lines = []
    for name, (right, bags, conversations) in ANSWERS.items():
        found = compare(np.where(right, 1.0, -1.0), even(len(right), conversations), bags)
        more = {key: round(value, 4) if isinstance(value, float) else value
                for key, value in found["usable"].items() if key not in ("answer", "why")}
        lines += [f"# {name} {more or ''}", told(found)]
    hold("answers", "\n".join(lines))
