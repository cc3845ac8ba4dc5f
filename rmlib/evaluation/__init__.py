"""How good a reward model is: its accuracy and how sure that is, its calibration, its biases, the truth beside it.

Everything is computed in float64 from margins, r_chosen - r_rejected, shape (N,), one of each pair; a margin of exactly
zero is a tie and counts as half right.
"""

from rmlib.evaluation.account import whole_account
from rmlib.evaluation.bias import (
    LengthBias, Longer, Slice, extra_words, length_bias, longer_expected, occlusion, slices,
)
from rmlib.evaluation.calibration import (
    Bin, brier, confidences, ece_floor, expected_calibration_error, fit_temperature, nll, perfect_model_errors,
    reliability,
)
from rmlib.evaluation.gold import GoldRegression, centre_by_prompt, decided_by_fact, gold_regression
from rmlib.evaluation.intervals import McNemar, clustered_bootstrap, interval, mcnemar, rightness, wilson_interval
from rmlib.evaluation.summary import Evaluation, evaluate, margins_from, score_everywhere, seeds_table, summarise

__all__ = [
    "Bin", "Evaluation", "GoldRegression", "LengthBias", "Longer", "McNemar", "Slice", "brier", "centre_by_prompt",
    "clustered_bootstrap", "confidences", "decided_by_fact", "ece_floor", "evaluate", "expected_calibration_error",
    "extra_words", "fit_temperature", "gold_regression", "interval", "length_bias", "longer_expected", "margins_from",
    "mcnemar", "nll", "occlusion", "perfect_model_errors", "reliability", "rightness", "score_everywhere",
    "seeds_table", "slices", "summarise", "whole_account", "wilson_interval",
]
