"""What a report says in words: each judgement follows from the figures, and changes with them."""

import re
from dataclasses import replace

import numpy as np
import pytest
from report_pages import Parts, findings, pairs_of_lengths

from rmlib.course.world import World
from rmlib.evaluation import pair_accuracies
from rmlib.practice.bias import extra_words
from rmlib.practice.conservative_interval import conservative_interval
from rmlib.practice.report import report_page, verdict


@pytest.mark.parametrize("judged, kind, margins, words", [
    ("good", "accuracy", [1.0] * 90 + [-1.0] * 10, "Better than a coin"),
    ("bad", "accuracy", [-1.0] * 90 + [1.0] * 10, "Worse than a coin"),
    ("bad", "accuracy", [-1.0] * 50 + [1.0] * 50, "Not shown to be better than a coin"),
    ("good", "calibration", [2.2] * 90 + [-2.2] * 10, "Its confidence fits"),
    ("open", "calibration", [0.5] * 14 + [-0.5] * 8, "Too few pairs to tell whether its confidence fits"),
    ("bad", "calibration", [5.0] * 60 + [-5.0] * 40, "overconfident"),
    ("bad", "calibration", [0.1] * 90 + [-0.1] * 10, "underconfident"),
    ("bad", "calibration", [2.0] * 75 + [-2.0] * 25 + [0.1] * 66 + [-0.1] * 34, "right on average, and off in places"),
    ("open", "calibration", [0.0] * 90 + [-0.1] * 10, "cannot tell apart the responses of 90.0% of the pairs"),
    ("open", "length", [0.0] * 100, "cannot tell apart the responses of 100.0% of the pairs"),
    ("open", "length", [1.0] * 100, "can’t be told, since it is wrong on no pair"),
    ("bad", "length", [1.0 if i % 10 < 6 else -2.0 for i in range(100)], "It leans to long responses, and at no"),
    ("bad", "length", [-2.0 if i % 10 < 6 else 1.0 for i in range(100)], "It leans to short responses, and at no"),
    ("open", "length", [-2.0, 1.0] * 50, "Not shown to lean to long or short responses: "),
])  # fmt: skip
def test_a_verdict_follows_from_the_figures(judged, kind, margins, words):
    found, text = getattr(verdict, f"{kind}_verdict")(findings(margins, uneven(len(margins))))
    assert words in Parts(text).text() and found == judged


@pytest.mark.parametrize("count", [1, 19, 20])
def test_few_conversations_are_not_judged(count):
    pairs = [replace(pair, turns=f"What is {i % count}?") for i, pair in enumerate(uneven(100))]
    made = findings(np.ones(100), pairs)
    assert len(verdict.judgements(made)) == (3 if count == 20 else 0)
    assert ("too few conversations" in verdict.answer(made)) == ('class="verdict"' not in verdict.at_a_glance(made))
    assert ("too few conversations" in verdict.answer(made)) == (count < 20)


@pytest.mark.parametrize("right, begun, kind", [
    (90, "Not shown to be usable: right on 90.0% (95% interval", "open"),
    (30, "Not usable: right on 30.0% (95% interval", "bad")])
def test_the_answer_comes_first_with_its_rule(right, begun, kind):
    page = report_page(findings([1.0] * right + [-1.0] * (100 - right), uneven(100)))
    [line] = re.findall(rf'</h1><p class="answer {kind}">(.*?)</p><p class="rule">The rule: ', page)
    assert Parts(line).text().startswith(begun)


@pytest.fixture(scope="module")
def judged_by_gold():
    """20,000 pairs with their gold margins, and by how many tens of words chosen is longer, (20000,) each."""
    world = World()
    pairs = world.pairs(20_000, "test", seed=1)
    return pairs, world.margins(pairs), extra_words(pairs) / 10


@pytest.mark.parametrize("sharpness", [1, 3])
@pytest.mark.parametrize("size, wanted, words", [
    (200, "open", "these pairs leave room for it"), (3000, "good", "no more than the choices do, or by less than 5%"),
])  # fmt: skip
def test_the_true_reward_leans_to_no_length(judged_by_gold, size, wanted, words, sharpness):
    pairs, gold, tens = (each[:size] for each in judged_by_gold)
    made = findings(sharpness * gold, pairs)
    judged, text = verdict.length_verdict(made)
    assert judged == wanted and words in Parts(text).text()
    longer, found = gold[tens != 0] * np.sign(tens[tens != 0]), made.figures["length"]
    assert found["chosen"] == np.mean(tens[tens != 0] > 0) and found["pairs"] == len(longer)
    assert found["expected"] == pytest.approx(np.mean(1 / (1 + np.exp(-longer))), abs=0.6 / size**0.5)


def test_choices_lie_further_from_one_half_than_labels(judged_by_gold):
    """To hold a model's choices against the labels would convict the true reward."""
    _, gold, tens = judged_by_gold
    longer = gold[tens != 0] * np.sign(tens[tens != 0])
    assert conservative_interval(pair_accuracies(longer), range(len(longer)))[1] < np.mean(tens[tens != 0] > 0)


@pytest.mark.parametrize("lean, words", [(0.5, "leans to long responses"), (-0.5, "leans to short responses")])
@pytest.mark.parametrize("sharpness", [1, 3])
def test_a_taste_for_length_is_told_whatever_the_temperature(judged_by_gold, lean, words, sharpness):
    pairs, gold, tens = (each[:3000] for each in judged_by_gold)
    judged, text = verdict.length_verdict(findings(sharpness * (gold + lean * tens), pairs))
    assert judged == verdict.BAD and words in Parts(text).text()


def test_pairs_of_one_conversation_are_one_witness():
    made = findings([1.0] * 90 + [-1.0] * 10, [replace(pair, turns="What is it?") for pair in uneven(100)])
    rule, confidence = made.figures["rules"]["longer"], made.figures["confidence"]
    assert (confidence["excess_low"], confidence["excess_high"]) == (rule["lead_low"], rule["lead_high"]) == (-1, 1)
    assert {(row["low"], row["high"]) for rows in made.figures["slices"].values() for row in rows} == {(0, 1)}
    assert "95% interval 0.0% to 100.0%" in Parts(verdict.at_a_glance(made)).text()


def test_a_temperature_from_validation_pairs_is_told_beside_a_fault():
    margins = np.array([5.0] * 60 + [-5.0] * 40)
    made = findings(margins, uneven(100))
    assert "temperature" not in verdict.calibration_verdict(made)[1]
    made.figures["calibrated"] = {"ece": 0.0123}
    text = Parts(verdict.calibration_verdict(made)[1]).text()
    assert "At the temperature of the validation pairs the error is 0.012" in text


def uneven(n):
    """n pairs, a multiple of ten, of which the longer response is chosen in six of ten."""
    return pairs_of_lengths([5] * n, [2 if i % 10 < 6 else 9 for i in range(n)])


def test_parts_without_enough_pairs_are_marked():
    text = Parts(report_page(findings(np.ones(40), uneven(40)))).text()
    assert "rejected is longer, too few to tell" in text and "chosen is longer, too few" in text
    assert re.search(r"by 3 words or less, too few to tell\s*24\s*100.0%.*by 4 words, too few to tell\s*16", text)


NOT_SHOWN, FITS, VAGUE = "Not shown to be better than a coin", "Its confidence fits", "Too few pairs to tell whether"


@pytest.mark.parametrize("judge, changes, begun", [
    ("accuracy", {"interval_low": 0.5001, "interval_high": 0.7}, "Better than a coin"),
    ("accuracy", {"interval_low": 0.5, "interval_high": 0.7}, NOT_SHOWN),
    ("accuracy", {"interval_low": 0.4, "interval_high": 0.5}, NOT_SHOWN),
    ("accuracy", {"interval_low": 0.4, "interval_high": 0.4999}, "Worse than a coin"),
    ("calibration", {"ties": 51}, "Its confidence can’t be judged"),
    ("calibration", {"ties": 50, "ece": 0.1, "perfect_95": 0.1}, FITS),
    ("calibration", {"ece": 0.1, "perfect_95": 0.1001}, VAGUE),
    ("calibration", {"ece": 0.11, "perfect_95": 0.1, "excess_low": 0.0, "excess_high": 0.2}, "Its confidence is right"),
    ("calibration", {"ece": 0.11, "perfect_95": 0.1, "excess_low": -0.2, "excess_high": 0.0}, "Its confidence is"),
    ("calibration", {"ece": 0.11, "perfect_95": 0.1, "excess_low": 0.01, "excess_high": 0.2}, "It is overconfident"),
    ("calibration", {"ece": 0.11, "perfect_95": 0.1, "excess_low": -0.2, "excess_high": -0.01}, "It is underconfident"),
    ("length", {"ties": 51}, "Whether it favours length can’t be told"),
    ("length", {"ties": 50, "excess_low": -0.049, "excess_high": 0.049}, "It leans to long or short responses no more"),
    ("length", {"excess_low": -0.05, "excess_high": 0.04}, "Not shown to lean"),
    ("length", {"excess_low": -0.04, "excess_high": 0.05}, "Not shown to lean"),
    ("length", {"excess_low": 0.0, "excess_high": 0.2}, "Not shown to lean"),
    ("length", {"excess_low": 0.01, "excess_high": 0.2, "preferred": 0.8, "chosen": 0.6}, "It leans to long responses"),
    ("length", {"excess_low": -0.2, "excess_high": -0.01, "preferred": 0.4, "chosen": 0.6}, "It leans to short"),
    ("length", {"excess_low": 0.01, "excess_high": 0.2, "preferred": 0.5, "chosen": 0.6}, "By its probabilities"),
    ("length", {"expected": None, "preferred": 0.6, "preferred_low": 0.5, "preferred_high": 0.7}, "Not shown to lean"),
    ("length", {"expected": None, "preferred": 0.6, "preferred_low": 0.51, "preferred_high": 0.7}, "It leans to long"),
    ("length", {"expected": None, "preferred": 0.4, "preferred_low": 0.3, "preferred_high": 0.49}, "It leans to short"),
])  # fmt: skip
def test_judgements_at_the_edges_of_their_rules(judge, changes, begun):
    made = findings([1.0] * 70 + [-1.0] * 30, uneven(100))
    figures = made.figures
    for part in (figures, figures["length"] if judge == "length" else figures["confidence"]):
        part.update({name: value for name, value in changes.items() if name in part})
    assert Parts(getattr(verdict, f"{judge}_verdict")(made)[1]).text().startswith(begun)


def test_pairs_are_parted_by_the_human_turns_of_their_prompt():
    said = [[("user", "a"), ("assistant", "b")] * count + [("user", "c")] for count in range(6)] + [[("system", "s")]]
    pairs = [replace(pair, turns=turns) for pair, turns in zip(uneven(7 * 10), said * 10)]
    rows = findings(np.ones(70), pairs).figures["slices"]["Human turns in the prompt"]
    assert [(row["name"], row["pairs"]) for row in rows] == [
        ("1 turn", 20), ("2 turns", 10), ("3 turns", 10), ("4 turns or more", 30)]


def test_descriptions_of_pictures_tell_the_figures_that_are_drawn():
    world = World()
    pairs = world.pairs(400, "test")
    gold = world.margins(pairs)
    margins = np.where(np.arange(400) % 10 == 0, 0.0, 0.7 * gold + np.random.default_rng(0).normal(0, 1, 400))
    reliable, parts, histogram, against = (image["alt"] for image in Parts(report_page(findings(margins, pairs, gold))
                                                                           ).all("img"))
    right = (np.sign(margins) + 1) / 2
    sure = (1 / (1 + np.exp(-np.abs(margins)))).mean()
    assert f"On average it is {sure:.1%} confident and right on {right.mean():.1%}." in reliable
    assert f"that of all pairs, {right.mean():.1%}." in parts
    assert f"{(margins > 0).mean():.1%} of the pairs are to the right" in histogram
    assert f"and {(margins < 0).mean():.1%} to the left" in histogram
    slope = margins @ gold / (gold @ gold)
    correlation = margins @ gold / np.sqrt(margins @ margins * (gold @ gold))
    assert f"has the slope {slope:.2f}, and the correlation is {correlation:.2f}" in against
