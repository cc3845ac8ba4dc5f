"""Every figure of an evaluation against a few independent lines of arithmetic."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from rmlib.evaluation import (
    Evaluation,
    evaluate,
    expected_calibration_error,
    reward_margins,
    summarise,
    wilson_interval,
)
from rmlib.model import score_pairs
from rmlib.pairs import PreferencePair

Z = 1.959963984540054


def pairs(count):
    return [PreferencePair("Why?", "a" * (1 + i % 3), "b" * (1 + i % 4)) for i in range(count)]


def calibration_error(margins, bins=15):
    """The definition, bin by bin: weight times |accuracy - confidence|, bins (lower, upper] but the first closed."""
    total = 0.0
    for k in range(bins):
        lower, upper = 0.5 + k / (2 * bins), 0.5 + (k + 1) / (2 * bins)
        inside = []
        for margin in margins:
            p = 1 / (1 + math.exp(-margin))
            confidence = max(p, 1 - p)
            if lower < confidence <= upper or (k == 0 and confidence == 0.5):
                inside.append((confidence, 1.0 if margin > 0 else 0.5 if margin == 0 else 0.0))
        if inside:
            confidences, hits = zip(*inside)
            total += len(inside) / len(margins) * abs(sum(hits) / len(hits) - sum(confidences) / len(inside))
    return total


@settings(deadline=None)  # no timing: other work may share the machine
@given(st.lists(st.floats(-12, 12) | st.just(0.0), min_size=1, max_size=60))
def test_figures_from_margins(margins):
    margins = np.float32(margins)
    figures = summarise(margins, pairs(len(margins)))
    right = sum(1 if margin > 0 else 0.5 if margin == 0 else 0 for margin in margins)
    assert figures.pairs == len(margins)
    assert figures.ties == sum(margin == 0 for margin in margins)
    assert figures.accuracy == pytest.approx(right / len(margins))
    assert figures.nll == pytest.approx(sum(math.log1p(math.exp(-float(m))) for m in margins) / len(margins), rel=1e-9)
    assert figures.ece == pytest.approx(calibration_error(margins.astype(float).tolist()), abs=1e-9)
    assert (figures.accuracy_low, figures.accuracy_high) == wilson_interval(right, len(margins))
    assert 0 <= figures.accuracy_low <= figures.accuracy <= figures.accuracy_high <= 1


def test_margins_are_taken_in_float64():
    chosen, rejected = np.float32([1e4]), np.float32([1e4 - 0.0009765625])
    margins = reward_margins((chosen, rejected))
    assert margins.dtype == np.float64 and margins.shape == (1,)
    assert summarise(margins, pairs(1)).nll == pytest.approx(math.log1p(math.exp(-0.0009765625)), rel=1e-9)
    big = summarise(reward_margins(np.float32([[3e38], [-3e38]])), pairs(1))  # their difference is no float32
    assert big.nll == 0 and big.accuracy == 1


@settings(deadline=None)  # no timing: other work may share the machine
@given(st.integers(1, 2000), st.data())
def test_wilson_ends_are_the_roots_of_the_quadratic(trials, data):
    successes = data.draw(st.integers(0, 2 * trials)) / 2
    share = successes / trials
    # (p - share)^2 = z^2 p (1 - p) / n, in powers of p
    roots = np.roots([1 + Z**2 / trials, -(2 * share + Z**2 / trials), share**2])
    low, high = wilson_interval(successes, trials)
    assert (low, high) == pytest.approx(tuple(sorted(roots.real)), abs=1e-7)
    assert 0 <= low <= share <= high <= 1


def test_wilson_covers_where_the_textbook_interval_does_not():
    n, p = 50, 0.1
    weight = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    covered = sum(w for k, w in enumerate(weight) if wilson_interval(k, n)[0] <= p <= wilson_interval(k, n)[1])
    assert covered == pytest.approx(0.970, abs=0.0005)
    half = [Z * math.sqrt(k / n * (1 - k / n) / n) for k in range(n + 1)]
    textbook = sum(w for k, w in enumerate(weight) if k / n - half[k] <= p <= k / n + half[k])
    assert textbook == pytest.approx(0.879, abs=0.0005)


@pytest.mark.parametrize("successes, trials", [(-1, 5), (6, 5), (0, 0), (0, -1), (math.nan, 5)])
def test_an_impossible_proportion_is_refused(successes, trials):
    with pytest.raises(ValueError, match="0 <= successes <= trials"):
        wilson_interval(successes, trials)


def test_calibration_at_the_edges():
    assert expected_calibration_error(np.zeros(5)) == 0  # ties: confidence 0.5, half right
    assert expected_calibration_error(np.full(4, 800.0)) == 0
    assert expected_calibration_error(np.full(4, -800.0)) == 1
    edges = np.array([math.log(c / (1 - c)) for c in 0.5 + np.arange(1, 15) / 30])
    for margins in (np.nextafter(edges, 0), edges + 1e-9):
        assert expected_calibration_error(margins) == pytest.approx(calibration_error(margins.tolist()), abs=1e-12)


def test_a_calibrated_model_has_nearly_no_calibration_error():
    rng = np.random.default_rng(0)
    margins = np.abs(rng.normal(size=200_000))
    chosen_first = rng.random(margins.size) < 1 / (1 + np.exp(-margins))
    assert expected_calibration_error(np.where(chosen_first, margins, -margins)) < 0.006
    assert expected_calibration_error(np.where(chosen_first, 3 * margins, -3 * margins)) > 0.1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_rewards_that_are_no_numbers_are_refused(bad):
    with pytest.raises(ValueError, match="1 of 3 margins are not finite numbers"):
        summarise(np.float32([1, bad, 1]), pairs(3))


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 1), (2, 3), ()])
def test_every_pair_needs_its_margin(shape):
    with pytest.raises(ValueError, match="margins should be (as many as their partners: . and 3|numbers in one row)"):
        summarise(np.ones(shape), pairs(3))


def test_nothing_to_evaluate():
    with pytest.raises(ValueError, match="no pairs"):
        summarise(np.zeros(0), [])
    with pytest.raises(ValueError, match="no pairs"):
        evaluate(tiny.reward_model("bert"), [])


def test_evaluate_sums_up_the_scores_of_all_pairs():
    model, rows = tiny.reward_model("bert"), pairs(7) + [PreferencePair("Why?", "\x01", "\x02")]
    figures = evaluate(model, rows, token_budget=40)
    assert figures == summarise(reward_margins(score_pairs(model, rows, token_budget=40)), rows)
    assert figures.ties >= 1 and figures.pairs == 8
    assert Evaluation(**json.loads(json.dumps(asdict(figures)))) == figures


def test_what_is_told_names_every_figure():
    rng = np.random.default_rng(0)
    rows = [PreferencePair(f"Why {i // 3}?", "a" * int(i % 7), "b" * int(i % 5)) for i in range(200)]
    figures = asdict(summarise(rng.normal(1, 2, size=200), rows))
    told = str(Evaluation(**figures))
    values = figures.pop("baselines") | figures
    assert len(set(values.values())) == len(values) == 14 and max(map(len, told.splitlines())) <= 100
    for value in values.values():
        assert f"{value:.3f}" in told if isinstance(value, float) else f"{value} " in told


def test_pairs_of_one_conversation_are_drawn_together():
    """Ten conversations of twenty pairs, all right or all wrong: there are ten facts here, and not two hundred."""
    rows = [PreferencePair([("user", f"{i // 20}"), ("assistant", f"{i}"), ("user", "on")], "a", "b")
            for i in range(200)]
    margins = np.repeat([1.0, -1.0, 1.0, 1.0, 1.0, -1.0, 1.0, -1.0, 1.0, 1.0], 20)
    figures = summarise(margins, rows)
    assert figures.conversations == 10 and figures.accuracy == 0.7
    assert figures.clustered_low == pytest.approx(0.4, abs=0.05) and figures.clustered_high > 0.9
    assert figures.accuracy_high - figures.accuracy_low < 0.13
    alone = summarise(margins[:20], rows[:20])
    assert (alone.conversations, alone.clustered_low, alone.clustered_high) == (1, 0, 1)
