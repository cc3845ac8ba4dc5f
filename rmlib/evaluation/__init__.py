"""How good a reward model is: its accuracy and how sure that is, and whether its probabilities can be believed (07).

Everything is computed in float64 from margins, r_chosen - r_rejected, shape (N,), one of each pair; a margin of exactly
zero is a tie and counts as half right.
"""

from rmlib.evaluation.accuracy import PairedTest, clustered_bootstrap, mcnemar, pair_accuracies, wilson_interval
from rmlib.evaluation.calibration import (
    Bin,
    brier,
    confidences,
    ece_floor,
    expected_calibration_error,
    fit_temperature,
    nll,
    perfect_model_errors,
    reliability,
    sigmoid,
)
from rmlib.evaluation.summary import Evaluation, evaluate, extra_characters, length_baselines, reward_margins, summarise

__all__ = [
    "Bin", "Evaluation", "PairedTest", "brier", "clustered_bootstrap", "confidences", "ece_floor", "evaluate",
    "expected_calibration_error", "extra_characters", "fit_temperature", "length_baselines", "reward_margins",
    "mcnemar", "nll", "perfect_model_errors", "reliability", "pair_accuracies", "sigmoid",
    "summarise", "wilson_interval",
]
