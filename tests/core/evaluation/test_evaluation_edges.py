"""Figures of a few pairs by hand, and what kind of number each is."""

import math
from dataclasses import replace

import numpy as np
import pytest
from told import told

from rmlib.evaluation import (
    Bin,
    Evaluation,
    brier,
    confidences,
    ece_floor,
    extra_characters,
    fit_temperature,
    length_baselines,
    mcnemar,
    nll,
    perfect_model_errors,
    reliability,
    summarise,
    wilson_interval,
)
from rmlib.evaluation.accuracy import groups, numbers
from rmlib.pairs import PreferencePair

PAIRS = [PreferencePair("Q?", "a" * one, "b" * other) for one, other in ((3, 1), (1, 3), (2, 2), (5, 1))]


def test_two_rules_that_look_at_length():
    assert extra_characters(PAIRS).tolist() == [2, -2, 0, 4] and extra_characters(PAIRS).dtype == np.float64
    assert length_baselines(PAIRS) == {"longer": 0.625, "shorter": 0.375}
    assert {type(share) for share in length_baselines(PAIRS).values()} == {float}


def test_values_are_float64_whatever_they_were():
    for values in ([1, 2], np.float32([1, 2]), np.array([1, 2])):
        assert numbers(values, "x").dtype == np.float64
    assert groups(["b", "a", "b"], [1, 2, 3]).tolist() == [0, 1, 0]


def test_a_reliability_table_by_hand():
    """Two bins: a tie and a confidence of 0.6 in the first, 0.8 twice in the second, one of them wrong."""
    at = {share: math.log(share / (1 - share)) for share in (0.6, 0.8)}
    rows = reliability(np.array([0.0, at[0.6], at[0.8], -at[0.8]]), bins=2)
    for row, expected in zip(rows, [Bin(0.5, 0.75, 2, 0.55, 0.75, *wilson_interval(1.5, 2)),
                                    Bin(0.75, 1.0, 2, 0.8, 0.5, *wilson_interval(1.0, 2))], strict=True):
        assert row == pytest.approx(expected) and [type(each) for each in row] == [float, float, int, *[float] * 4]
    every = np.array([math.log(c / (1 - c)) for c in 0.5 + (np.arange(15) + 0.5) / 30])
    assert [row.pairs for row in reliability(every)] == [1] * 15  # as many as the default says


@pytest.mark.parametrize("right, size", [(3, 1.0), (7, 0.3)])
def test_a_temperature_is_exact_to_the_last_bits(right, size):
    margins = np.array([size] * right + [-size])
    assert fit_temperature(margins) == pytest.approx(size / math.log(right), rel=2e-15, abs=0)


def test_luck_alone_is_the_mean_of_a_thousand_draws():
    margins = np.array([0.3, -1.0, 2.0, 0.0])
    assert perfect_model_errors(margins).shape == (200,) and not perfect_model_errors(np.zeros(3), repeats=5).any()
    assert ece_floor(margins) == perfect_model_errors(margins, 15, 1000, seed=0).mean()
    assert type(ece_floor(margins)) is type(fit_temperature(np.array([2.0, -1.0]))) is float


def test_what_two_models_share():
    found = mcnemar(np.array([1.0, 1.0, -1.0, 0.0, 0.0, 2.0]), np.array([-1.0, 0.0, 1.0, 0.0, -3.0, 1.0]))
    assert (found.only_first, found.only_second, found.ties) == (3, 1, 3)
    assert found.p_value == 2 * (1 + 4) / 2**4
    assert mcnemar(np.ones(5), -np.ones(5)).p_value == 2 / 2**5


def test_ties_and_one_conversation():
    figures = summarise(np.array([1.0, 0.0, -1.0, 0.0]), PAIRS)
    assert (figures.ties, figures.accuracy, figures.conversations) == (2, 0.5, 1)
    assert (figures.clustered_low, figures.clustered_high) == (0.0, 1.0)
    assert figures.baselines == length_baselines(PAIRS)


def test_pairs_of_margin_zero_change_no_temperature():
    assert fit_temperature(np.array([2.0, 2.0, -2.0, 0.0])) == pytest.approx(2 / math.log(2), rel=1e-12)


@pytest.mark.parametrize("figure", [nll, brier, confidences, reliability, perfect_model_errors, fit_temperature])
def test_margins_that_are_no_numbers(figure):
    assert told(figure, np.array([1.0, math.nan, -1.0])) == "1 of 3 margins are not finite numbers"


def test_the_account_of_an_evaluation():
    figures = Evaluation(7, 3, 0.51, 0.42, 0.63, 0.14, 0.95, 2, 0.76, 0.27, 0.08, 0.09, {"longer": 0.6, "shorter": 0.4})
    assert str(figures) == (
        "7 pairs: accuracy 0.510 (95% interval 0.420 to 0.630), 2 ties\n"
        "3 conversations, drawn whole: 95% interval 0.140 to 0.950\n"
        "negative log-likelihood 0.760 (a coin: 0.693), Brier score 0.270 (a coin: 0.250)\n"
        "calibration error 0.080 (by luck alone: 0.090)\n"
        "baselines: the longer response 0.600, the shorter 0.400")
    lines = str(replace(figures, pairs=1, conversations=1, ties=1)).splitlines()
    assert lines[0].startswith("1 pair: ") and lines[0].endswith(", 1 tie")
    assert lines[1].startswith("1 conversation, drawn whole: ")
