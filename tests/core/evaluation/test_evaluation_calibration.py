"""Likelihood, Brier score, calibration and temperature against loops, enumeration and closed forms."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmlib.course.world import World, bayes_limits
from rmlib.evaluation import (
    brier,
    confidences,
    ece_floor,
    expected_calibration_error,
    fit_temperature,
    nll,
    perfect_model_errors,
    reliability,
    wilson_interval,
)

MARGINS = st.lists(st.floats(-12, 12) | st.just(0.0), min_size=1, max_size=60).map(np.array)


@settings(deadline=None)  # no timing: other work may share the machine
@given(MARGINS)
def test_likelihood_and_brier_score(margins):
    p = [1 / (1 + math.exp(-margin)) for margin in margins]
    assert nll(margins) == pytest.approx(-sum(map(math.log, p)) / len(p), rel=1e-9, abs=1e-12)
    assert brier(margins) == pytest.approx(sum((1 - share) ** 2 for share in p) / len(p), rel=1e-9, abs=1e-12)
    assert confidences(margins) == pytest.approx([max(share, 1 - share) for share in p])


@pytest.mark.filterwarnings("error")  # of overflow
def test_margins_far_from_zero():
    assert nll(np.array([-800.0])) == 800 and nll(np.array([800.0])) == 0
    assert brier(np.array([-800.0])) == 1 and brier(np.array([800.0, 0.0])) == 1 / 8
    assert confidences(np.array([-800.0, 0.0, 1e300])).tolist() == [1, 0.5, 1]


def test_a_model_that_knows_the_annotator_has_the_bayes_limits():
    """In expectation over the labels: each pair counted both ways round, with the probability of either."""
    margins = World().margins(World().pairs(300))
    p = 1 / (1 + np.exp(-margins))
    limits = bayes_limits(p)
    expected = {kind: np.mean([q * kind(np.array([m])) + (1 - q) * kind(np.array([-m])) for q, m in zip(p, margins)])
                for kind in (nll, brier)}
    assert expected[nll] == pytest.approx(limits.nll) and expected[brier] == pytest.approx(limits.brier)


@settings(deadline=None)
@given(MARGINS, st.sampled_from([1, 5, 15]))
def test_the_reliability_table_holds_every_pair_once(margins, bins):
    rows = reliability(margins, bins)
    confidence = 1 / (1 + np.exp(-np.abs(margins)))
    right = np.where(margins == 0, 0.5, margins > 0)
    assert sum(row.pairs for row in rows) == len(margins) and min(row.pairs for row in rows) > 0
    assert sum(row.pairs * row.confidence for row in rows) == pytest.approx(confidence.sum())
    assert sum(row.pairs * row.accuracy for row in rows) == pytest.approx(right.sum())
    for row in rows:
        assert row.upper - row.lower == pytest.approx(0.5 / bins)
        assert row.lower - 1e-12 <= row.confidence <= row.upper + 1e-12
        assert (row.accuracy_low, row.accuracy_high) == wilson_interval(row.pairs * row.accuracy, row.pairs)
    assert [row.lower for row in rows] == sorted({row.lower for row in rows})
    error = sum(row.pairs * abs(row.accuracy - row.confidence) for row in rows) / len(margins)
    assert expected_calibration_error(margins, bins) == pytest.approx(error, abs=1e-12)


# the floor


def exact_floor(margins, bins):
    """Mean calibration error over all 2^n outcomes of a perfect model, each with its probability; ties stay ties."""
    confidence = [1 / (1 + math.exp(-abs(margin))) for margin in margins]
    total = 0.0
    for outcome in product((1, -1), repeat=len(margins)):
        chance = math.prod(c if o > 0 else 1 - c for c, o in zip(confidence, outcome))
        total += chance * expected_calibration_error(np.abs(margins) * outcome, bins)
    return total


@pytest.mark.parametrize("bins", [1, 15])
def test_the_floor_is_the_mean_over_all_outcomes(bins):
    margins = np.array([0.1, -0.12, 0.15, 0.8, -0.85, 2.0, 0.0, 0.0, -3.5])
    errors = perfect_model_errors(margins, bins, repeats=4000)
    assert errors.shape == (4000,) and errors.std() > 0.01
    exact = exact_floor(margins, bins)
    assert errors.mean() == pytest.approx(exact, abs=4 * errors.std() / math.sqrt(4000))
    assert ece_floor(margins, bins) == pytest.approx(exact, abs=4 * errors.std() / math.sqrt(1000))


def test_the_floor_of_many_pairs():
    """In a bin Σ (right - c) is nearly normal with variance Σ c (1 - c), and E|X| = √(2/π) sd(X)."""
    margins = World().margins(World().pairs(4000, "test"))
    confidence = 1 / (1 + np.exp(-np.abs(margins)))
    floor = ece_floor(margins)
    by_hand = 0.0
    for k in range(15):
        lower = 0.5 + k / 30
        inside = (confidence > lower) & (confidence <= lower + 1 / 30) & (margins != 0)
        by_hand += math.sqrt(2 / math.pi * (confidence[inside] * (1 - confidence[inside])).sum()) / len(margins)
    assert floor == pytest.approx(by_hand, rel=0.05)
    assert 0.014 < floor < 0.019  # what a perfect model of this size shows
    assert ece_floor(np.tile(margins, 4)) == pytest.approx(floor / 2, rel=0.06)
    assert ece_floor(np.zeros(50)) == 0


def test_luck_doesn_t_know_which_pairs_were_right_and_obeys_its_seed():
    margins = np.random.default_rng(0).normal(size=200)
    assert ece_floor(margins) == ece_floor(-margins) == ece_floor(np.abs(margins))
    once = perfect_model_errors(margins)
    assert np.array_equal(once, perfect_model_errors(-margins))
    assert not np.array_equal(once, perfect_model_errors(margins, seed=1))


def test_bins_are_closed_above():
    """A confidence of exactly 3/4 lies in the first of two bins, and one just above it in the second."""
    near = [math.log(3)]
    for _ in range(20):
        near.append(np.nextafter(near[-1], 9))
    even = [margin for margin in near if confidences([margin])[0] == 0.75]
    above = [margin for margin in near if confidences([margin])[0] > 0.75]
    assert even and above
    assert [reliability([each[0]], bins=2)[0].lower for each in (even, above)] == [0.5, 0.75]


def test_perfect_models_lie_about_the_floor_and_overconfident_ones_far_above():
    rng = np.random.default_rng(0)
    logits = np.abs(rng.normal(size=2000)) * 1.5
    for wanted, sharpened in ((0.95, 1), (0, 3)):
        within = []
        for _ in range(60):
            margins = sharpened * np.where(rng.random(2000) < 1 / (1 + np.exp(-logits)), logits, -logits)
            within.append(expected_calibration_error(margins) <= np.quantile(perfect_model_errors(margins), 0.95))
        assert np.mean(within) == pytest.approx(wanted, abs=4 * math.sqrt(wanted * (1 - wanted) / 60) + 1e-9)


# temperature


@pytest.mark.parametrize("right, wrong, size", [(3, 1, 1.0), (900, 100, 7.0), (51, 49, 1e-4), (10**5 - 1, 1, 1e5)])
def test_the_temperature_of_margins_of_one_size_makes_the_confidence_their_accuracy(right, wrong, size):
    margins = np.repeat([size, -size], [right, wrong])
    assert fit_temperature(margins) == pytest.approx(size / math.log(right / wrong), rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_temperature_has_a_lower_likelihood(seed):
    margins = np.random.default_rng(seed).normal(0.3, 1, size=80) * 10.0 ** (seed - 2)
    best = fit_temperature(margins)
    others = best * np.exp(np.linspace(-3, 3, 1201))  # a grid with `best` itself in the middle
    losses = [np.mean(np.log1p(np.exp(-margins / T))) for T in others]
    assert np.argmin(losses) == 600
    assert fit_temperature(margins * 1000) == pytest.approx(1000 * best, rel=1e-12)
    slope = (nll(margins / (best * 1.001)) - nll(margins / (best / 1.001))) / 0.002
    assert abs(slope) < 1e-6


def test_the_temperature_by_which_margins_were_sharpened_is_found():
    """Within 4 standard errors, from the information Σ z² σ(z) σ(-z) about 1/T."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=5000) * 1.5
    p = 1 / (1 + np.exp(-logits))
    margins = 2.5 * np.where(rng.random(5000) < p, logits, -logits)
    relative_error = 1 / math.sqrt((logits**2 * p * (1 - p)).sum())
    assert fit_temperature(margins) == pytest.approx(2.5, rel=4 * relative_error)
    assert relative_error < 0.04
    cooled = margins / fit_temperature(margins)
    assert expected_calibration_error(cooled) < 0.03 < 0.1 < expected_calibration_error(margins)


def test_temperature_leaves_the_order_of_pairs_alone():
    margins = np.random.default_rng(0).normal(0.5, 2, size=100)
    assert np.array_equal(np.argsort(confidences(margins)), np.argsort(confidences(margins / fit_temperature(margins))))


@pytest.mark.parametrize("margins, words", [
    ([1.0, 2.0, 3.0], "no pair has the wrong order"),
    ([1.0, 0.0], "no pair has the wrong order"),
    ([0.0, 0.0], "all margins are zero"),
    ([1.0, -1.0], "a coin predicts better"),
    ([1.0, 1.0, -5.0], "the mean margin is -1, so that at any temperature"),
    ([1.0, math.nan], "1 of 2 margins are not finite"),
    ([], "at least one"),
])  # fmt: skip
def test_margins_no_temperature_fits(margins, words):
    with pytest.raises(ValueError, match=words):
        fit_temperature(np.array(margins))


def test_a_single_wrong_pair_is_enough_for_a_temperature():
    assert 0 < fit_temperature(np.array([1.0] * 1000 + [-1e-9])) < 1
    assert fit_temperature(np.array([1e-9, -1e-9, 1.0, -0.999])) > 100
