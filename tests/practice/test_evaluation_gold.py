"""Learned against gold rewards, and length bias: against least squares with dummies, loops, and known annotators."""

import numpy as np
import pytest

from rmlib.course.slices import decided_by_fact
from rmlib.course.world import WEIGHTS, Annotator, World
from rmlib.pairs import PreferencePair
from rmlib.practice.bias import length_bias
from rmlib.practice.regression import centre_by_prompt, gold_regression

WORLD = World()


def responses(rng, prompts=40):
    """(learned, gold, prompt of each): 2 to 6 responses a prompt, offsets far larger than what is to be found."""
    names = np.repeat(np.arange(prompts), rng.integers(2, 7, size=prompts))
    gold = rng.normal(size=len(names)) + rng.normal(size=prompts)[names]
    learned = 0.7 * gold + rng.normal(size=len(names)) / 2 + 30 * rng.normal(size=prompts)[names]
    shuffled = rng.permutation(len(names))
    return learned[shuffled], gold[shuffled], [f"question {i}" for i in names[shuffled]]


@pytest.mark.parametrize("seed", range(3))
def test_to_remove_offsets_is_to_fit_one_for_each_prompt(seed):
    learned, gold, prompts = responses(np.random.default_rng(seed))
    dummies = np.array([[name == prompt for name in sorted(set(prompts))] for prompt in prompts], dtype=float)
    (slope, *_), *_ = np.linalg.lstsq(np.column_stack([gold, dummies]), learned)
    without = [values - dummies @ np.linalg.lstsq(dummies, values)[0] for values in (learned, gold)]
    found = gold_regression(learned, gold, prompts)
    assert found.slope == pytest.approx(slope, rel=1e-9)
    assert found.correlation == pytest.approx(np.corrcoef(*without)[0, 1], rel=1e-9)
    assert centre_by_prompt(gold, prompts) == pytest.approx(without[1], abs=1e-9)
    assert found.correlation > 0.7 > 0.3 > abs(np.corrcoef(learned, gold)[0, 1])  # offsets drown the raw one


def test_prompts_may_be_an_array():
    learned, gold, prompts = np.array([1.0, 2.0, 5.0, 9.0]), np.array([0.0, 1.0, 0.0, 2.0]), np.array([0, 0, 1, 1])
    assert gold_regression(learned, gold, prompts) == gold_regression(learned, gold, prompts.tolist())
    assert gold_regression(learned, gold, prompts).slope == pytest.approx((2 * 0.5 * 0.5 + 2 * 2 * 1) / (0.5 + 2))


def test_margins_are_the_case_of_two_responses():
    rng = np.random.default_rng(0)
    gold, noise, offset = rng.normal(size=(2, 50)), rng.normal(size=(2, 50)), rng.normal(size=50)
    learned = 2 * gold + noise + 9 * offset
    by_prompt = gold_regression(learned.ravel(), gold.ravel(), [*range(50), *range(50)])
    by_margin = gold_regression(learned[0] - learned[1], gold[0] - gold[1])
    assert by_margin.slope == pytest.approx(by_prompt.slope) == pytest.approx(2, abs=0.5)
    assert by_margin.correlation == pytest.approx(by_prompt.correlation)


def test_it_is_all_the_same_which_response_is_called_chosen():
    rng = np.random.default_rng(0)
    gold = rng.normal(1, 1, size=200)
    learned = gold + rng.normal(size=200)
    turned = np.where(rng.random(200) < 0.5, 1, -1)
    assert gold_regression(turned * learned, turned * gold) == pytest.approx(gold_regression(learned, gold))
    assert abs(np.corrcoef(turned * learned, turned * gold)[0, 1] - np.corrcoef(learned, gold)[0, 1]) > 0.05


def test_a_perfect_model_of_another_temperature_and_a_backward_one():
    gold = np.array([1.0, -2.0, 0.5])
    assert gold_regression(gold / 4, gold) == pytest.approx(gold_regression(gold, 4 * gold))
    found = gold_regression(-gold / 4, gold)
    assert (found.slope, found.correlation) == pytest.approx((-0.25, -1))


@pytest.mark.parametrize("learned, gold, prompts, words", [
    ([1, 2], [1], None, "gold values should be as many as their partners: 1 and 2"),
    ([1, 2], [1, np.inf], None, "1 of 2 gold values are not finite"),
    ([1, 2], [0, 0], None, "the gold rewards never differ within a prompt"),
    ([5, 5, 7, 7], [1, 2, 3, 4], "aabb", "the learned rewards never differ within a prompt"),
    ([0.1] * 3, [1, 2, 3], "aaa", "the learned rewards never differ within a prompt"),  # but for rounding
    ([1, 2, 3], [1, 2, 3], "abc", "never differ within a prompt"),
    ([1, 2, 3], [1, 2, 3], "ab", "3 values, 2 labels"),
])  # fmt: skip
def test_where_there_is_nothing_to_compare(learned, gold, prompts, words):
    with pytest.raises(ValueError, match=words):
        gold_regression(learned, gold, prompts)


# length


def extra_words(pairs):
    return np.array([len(pair.chosen.split()) - len(pair.rejected.split()) for pair in pairs])


def features(pairs):
    """(N, 7): what the gold reward counts in the chosen response less in the rejected one, and tens of extra words."""
    counted = [[WORLD.features(pair.prompt, text) for text in (pair.chosen, pair.rejected)] for pair in pairs]
    table = [[chosen[name] - rejected[name] for name in WEIGHTS] for chosen, rejected in counted]
    return np.column_stack([table, extra_words(pairs) / 10]).astype(float)


def bradley_terry_fit(x):
    """Weights (7,) of the most likely linear reward, by Newton's method, and their covariance."""
    weights = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ weights))
        information = (x * (p * (1 - p))[:, None]).T @ x
        weights = weights + np.linalg.solve(information, x.T @ (1 - p))
    return weights, np.linalg.inv(information)


TEST = WORLD.pairs(1500, "test", seed=1)
TEST_FEATURES, TEST_GOLD, TEST_EXTRA = features(TEST), WORLD.margins(TEST), extra_words(TEST)


@pytest.mark.parametrize("bias, temperature", [(0.0, 1.0), (1.0, 1.0), (-0.8, 1.0), (1.5, 2.0)])
def test_an_annotator_s_length_bias_is_found_in_a_model_trained_on_the_labels(bias, temperature):
    """The model is linear in what the gold reward counts and in length, so its own error is known: 4 of them."""
    annotator = Annotator(length_bias=bias, temperature=temperature)
    weights, covariance = bradley_terry_fit(features(WORLD.pairs(4000, seed=2, annotator=annotator)))
    found = length_bias(TEST_FEATURES @ weights, TEST_EXTRA, TEST_GOLD)
    error = np.sqrt(covariance[-1, -1])
    assert error < 0.09
    assert found.slope_given_gold == pytest.approx(bias, abs=4 * error)
    assert found.gold_slope == pytest.approx(1 / temperature, rel=0.12)
    timid = length_bias(TEST_FEATURES @ weights / 3, TEST_EXTRA, TEST_GOLD)
    assert timid.slope_given_gold / timid.gold_slope == pytest.approx(bias * temperature, abs=5 * error * temperature)
    if bias:
        assert np.sign(found.slope_given_gold) == np.sign(bias) == np.sign(found.matched_longer_preferred - 0.5)


def test_the_raw_slope_holds_what_length_deserves():
    """In this world long responses ramble: the gold reward itself has a raw slope, and none with gold held fixed."""
    gold = length_bias(TEST_GOLD, TEST_EXTRA, TEST_GOLD)
    assert gold.slope < -0.1 and gold.longer_preferred < 0.48
    assert gold.slope_given_gold == pytest.approx(0, abs=1e-12) and gold.gold_slope == pytest.approx(1)
    biased = length_bias(TEST_GOLD + 0.09 * TEST_EXTRA, TEST_EXTRA, TEST_GOLD)
    assert biased.slope - gold.slope == pytest.approx(0.9) == pytest.approx(biased.slope_given_gold)


def test_raw_figures():
    margins, extra = np.array([2.0, -1.0, 0.0, 3.0, 0.5]), np.array([10, 20, -5, 0, -2])
    found = length_bias(margins, extra)
    assert found.pairs == 4
    assert found.slope == pytest.approx(10 * (20 - 20 - 1) / (100 + 400 + 25 + 4))
    cosine = (margins @ extra) / np.sqrt((margins @ margins) * (extra @ extra))
    assert found.correlation == pytest.approx(cosine)
    assert found.longer_preferred == (1 + 0 + 0.5 + 0) / 4
    assert found.slope_given_gold is None and found.gold_slope is None
    (by_words, by_gold), *_ = np.linalg.lstsq(np.column_stack([extra / 10, np.arange(5.0)]), margins)
    with_gold = length_bias(margins, extra, np.arange(5.0))
    assert (with_gold.slope_given_gold, with_gold.gold_slope) == pytest.approx((by_words, by_gold))


def test_a_pair_turned_round_is_the_same_pair():
    turned = np.where(np.random.default_rng(0).random(len(TEST)) < 0.5, 1, -1)
    noisy = TEST_GOLD + np.random.default_rng(1).normal(size=len(TEST))
    one, other = (length_bias(sign * noisy, sign * TEST_EXTRA, sign * TEST_GOLD) for sign in (1, turned))
    for name in ("pairs", "slope", "correlation", "longer_preferred", "slope_given_gold", "gold_slope"):
        assert getattr(one, name) == pytest.approx(getattr(other, name))


def matched_by_drawing(margins, extra, repeats=400):
    """The definition: for each number of words drop pairs at random from the larger side; mean over many draws."""
    rng, shares = np.random.default_rng(0), []
    for _ in range(repeats):
        kept = []
        for words in set(np.abs(extra).tolist()) - {0}:
            longer, shorter = (rng.permutation(np.flatnonzero(extra == side)) for side in (words, -words))
            fewest = min(len(longer), len(shorter))
            kept += [*longer[:fewest], *shorter[:fewest]]
        right = (margins[kept] > 0) + (margins[kept] == 0) / 2
        shares.append((len(kept), np.mean(np.where(extra[kept] > 0, right, 1 - right)), right.mean()))
    return np.mean(shares, axis=0)


def test_matching_keeps_as_many_longer_as_shorter_of_each_length():
    rng = np.random.default_rng(0)
    extra = rng.integers(-4, 7, size=300)
    margins = (rng.normal(size=300) + 0.2 * extra + 0.5).round(1)
    found = length_bias(margins, extra)
    count, longer, right = matched_by_drawing(margins, extra)
    assert found.matched_pairs == count < found.pairs
    assert found.matched_longer_preferred == pytest.approx(longer, abs=0.005)
    assert found.matched_accuracy == pytest.approx(right, abs=0.005)
    by_length_alone = length_bias(extra.astype(float), extra)
    assert by_length_alone.longer_preferred == by_length_alone.matched_longer_preferred == 1
    assert by_length_alone.matched_accuracy == pytest.approx(0.5)
    always_right = length_bias(np.ones(300), extra)
    assert (always_right.matched_longer_preferred, always_right.matched_accuracy) == pytest.approx((0.5, 1))


def test_without_a_match_there_is_no_matched_figure():
    found = length_bias([1, 2, -1], [3, 4, -5])
    assert (found.matched_pairs, found.matched_longer_preferred, found.matched_accuracy) == (0, None, None)


@pytest.mark.parametrize("margins, extra, gold, words", [
    ([1, 2], [0, 0], None, "no length bias to measure"),
    ([1, 2], [1], None, "extra words should be as many as their partners: 1 and 2"),
    ([1, 2], [1, 2], [1], "gold margins should be as many"),
    ([1, 2], [10, 20], [0.5, 1], "can't be told apart"),
    ([0, 0], [1, 2], None, "learned rewards never differ"),
])  # fmt: skip
def test_length_bias_that_can_t_be_measured(margins, extra, gold, words):
    with pytest.raises(ValueError, match=words):
        length_bias(margins, extra, gold)


def test_the_fact_decides_where_one_answer_is_right_and_the_other_not():
    right, wrong, none = "It is Paris.", "It is Rome. Thank you for asking.", "Have a nice day."
    rows = [PreferencePair("What is the capital of France?", *texts) for texts in (
        (right, wrong), (none, right), (none, wrong), (right, f"I think {right}"), (wrong, wrong), (none, none))]
    found = decided_by_fact(WORLD, rows)
    assert found.dtype == bool and found.tolist() == [True, True, True, False, False, False]
    assert decided_by_fact(WORLD, []).shape == (0,)
