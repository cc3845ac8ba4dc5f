"""What a report says in words: each judgement follows from the figures, and changes with them."""

import re
from dataclasses import replace

import numpy as np
import pytest
from report_pages import Parts, findings, pairs_of_lengths

from rmlib.course.report import report, verdict
from rmlib.evaluation import extra_words
from rmlib.world import World


@pytest.mark.parametrize("kind, margins, words", [
    ("accuracy", [1.0] * 90 + [-1.0] * 10, "Better than a coin"),
    ("accuracy", [-1.0] * 90 + [1.0] * 10, "Worse than a coin"),
    ("accuracy", [-1.0] * 50 + [1.0] * 50, "Not shown to be better than a coin"),
    ("against_rules", [1.0] * 90 + [-1.0] * 10, "Right more often than the best rule"),
    ("against_rules", [-1.0] * 90 + [1.0] * 10, "Right less often than always the longer response"),
    ("against_rules", [-1.0] * 45 + [1.0] * 55, "Not shown to differ"),
    ("calibration", [2.2] * 90 + [-2.2] * 10, "Its confidence fits"),
    ("calibration", [5.0] * 60 + [-5.0] * 40, "overconfident"),
    ("calibration", [0.1] * 90 + [-0.1] * 10, "underconfident"),
    ("calibration", [2.0] * 75 + [-2.0] * 25 + [0.1] * 66 + [-0.1] * 34, "right on average, and off in places"),
])  # fmt: skip
def test_a_verdict_follows_from_the_figures(kind, margins, words):
    judged, text = getattr(verdict, kind)(findings(margins, uneven(len(margins))))
    assert words in Parts(text).text()
    good = ("Better than", "Right more", "Its confidence fits")
    assert judged == (verdict.GOOD if words.startswith(good) else verdict.BAD)


@pytest.fixture(scope="module")
def judged_by_gold():
    """20,000 pairs with their gold margins, and by how many tens of words chosen is longer, (20000,) each."""
    world = World()
    pairs = world.pairs(20_000, "test", seed=1)
    return pairs, world.margins(pairs), extra_words(pairs) / 10


@pytest.mark.parametrize("size", [300, 4000, 20_000])
@pytest.mark.parametrize("sharpness", [1, 3])
def test_the_true_reward_leans_to_no_length(judged_by_gold, size, sharpness):
    pairs, gold, tens = (each[:size] for each in judged_by_gold)
    made = findings(sharpness * gold, pairs)
    judged, text = verdict.length(made)
    assert judged == verdict.GOOD and "no more than the choices do" in Parts(text).text()
    longer = gold[tens != 0] * np.sign(tens[tens != 0])
    assert made.longer.chosen == np.mean(tens[tens != 0] > 0) and made.longer.pairs == len(longer)
    # Its choices lie further from one half than the labels: to hold them against these would convict it.
    assert size < 20_000 or made.length.longer_high < made.longer.chosen
    assert made.longer.expected == pytest.approx(np.mean(1 / (1 + np.exp(-longer))), abs=0.01)


@pytest.mark.parametrize("lean, words", [(0.5, "leans to long responses"), (-0.5, "leans to short responses")])
@pytest.mark.parametrize("sharpness", [1, 3])
def test_a_taste_for_length_is_told_whatever_the_temperature(judged_by_gold, lean, words, sharpness):
    pairs, gold, tens = (each[:4000] for each in judged_by_gold)
    judged, text = verdict.length(findings(sharpness * (gold + lean * tens), pairs))
    assert judged == verdict.BAD and words in Parts(text).text()


def test_where_no_pair_is_wrong_the_choices_are_the_labels():
    made = findings(np.ones(100), uneven(100))
    assert made.longer.chosen == made.longer.expected == 0.6 and verdict.length(made)[0] == verdict.GOOD
    assert verdict.length(findings(-np.ones(100), uneven(100)))[0] == verdict.OPEN


def test_pairs_of_one_conversation_are_one_witness():
    pairs = uneven(100)
    together = [replace(pair, prompt="What is it?") for pair in pairs]
    margins = np.array([1.0] * 90 + [-1.0] * 10)
    made = findings(margins, together)
    assert made.overconfidence == (-1, 1) and (made.rules[0].lead_low, made.rules[0].lead_high) == (-1, 1)
    assert {(row.low, row.high) for rows in made.slices.values() for row in rows} == {(0, 1)}
    assert "Right more often" in verdict.against_rules(findings(margins, pairs))[1]
    assert "Not shown to differ" in verdict.against_rules(made)[1]


def test_a_temperature_from_validation_pairs_is_told_beside_a_fault():
    margins = np.array([5.0] * 60 + [-5.0] * 40)
    made = findings(margins, uneven(100))
    assert "temperature" not in verdict.calibration(made)[1]
    made.figures["calibrated"] = {"ece": 0.0123}
    assert "At the temperature of the validation pairs the error is 0.012" in Parts(verdict.calibration(made)[1]).text()


def uneven(n):
    """n pairs, a multiple of ten, of which the longer response is chosen in six of ten."""
    return pairs_of_lengths([5] * n, [2 if i % 10 < 6 else 9 for i in range(n)])


def test_parts_without_enough_pairs_are_marked():
    text = Parts(report(findings(np.ones(40), uneven(40)))).text()
    assert "rejected is longer, too few to tell" in text and "chosen is longer, too few" in text
    assert re.search(r"by 3 words or less, too few to tell\s*24\s*100.0%.*by 4 words, too few to tell\s*16", text)
