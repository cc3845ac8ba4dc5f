"""`evaluate`: a reward model's figures on a set of pairs, beside those of two rules that look at length alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rmlib.evaluation.accuracy import clustered_bootstrap, numbers, pair_accuracies, wilson_interval
from rmlib.evaluation.calibration import brier, ece_floor, expected_calibration_error, nll
from rmlib.model import RewardModel, score_pairs_distributed
from rmlib.pairs import PreferencePair, conversation_keys


@dataclass(frozen=True)
class Evaluation:
    """A reward model's figures on a set of pairs; ties are margins of exactly zero and count as half right."""

    pairs: int
    conversations: int
    accuracy: float
    accuracy_low: float  # Wilson, 95%: as if each pair were of a conversation of its own
    accuracy_high: float
    clustered_low: float  # bootstrap over whole conversations, 95%; 0 and 1 where there is but one
    clustered_high: float
    ties: int
    nll: float  # nats a pair; log 2 = 0.693 is a coin's
    brier: float  # 0.25 is a coin's
    ece: float
    ece_floor: float  # what a perfect model with the same confidences would show, by luck
    baselines: dict[str, float]  # accuracy of always the longer, always the shorter response, in characters

    def __str__(self) -> str:
        return (
            f"{self.pairs} {'pair' if self.pairs == 1 else 'pairs'}: accuracy {self.accuracy:.3f} (95% interval "
            f"{self.accuracy_low:.3f} to {self.accuracy_high:.3f}), {self.ties} {'tie' if self.ties == 1 else 'ties'}\n"
            f"{self.conversations} {'conversation' if self.conversations == 1 else 'conversations'}, drawn whole: 95% "
            f"interval {self.clustered_low:.3f} to {self.clustered_high:.3f}\n"
            f"negative log-likelihood {self.nll:.3f} (a coin: {math.log(2):.3f}), Brier score {self.brier:.3f} "
            f"(a coin: 0.250)\n"
            f"calibration error {self.ece:.3f} (by luck alone: {self.ece_floor:.3f})\n"
            f"baselines: the longer response {self.baselines['longer']:.3f}, "
            f"the shorter {self.baselines['shorter']:.3f}"
        )


def evaluate(model: RewardModel, pairs: Sequence[PreferencePair], token_budget: int = 8192) -> Evaluation:
    """Score every pair once, over all processes there are, and sum up; the same result in each process."""
    return summarise(reward_margins(score_pairs_distributed(model, pairs, token_budget)), pairs)


def reward_margins(rewards: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Margins r_chosen - r_rejected, float64 (N,), from rewards (2, N): between float32 much would be lost."""
    return np.subtract(*rewards, dtype=np.float64)


def summarise(margins: np.ndarray, pairs: Sequence[PreferencePair]) -> Evaluation:
    """Figures from the margins (N,) of N pairs, computed in float64.

    Raises ValueError when there are no pairs, or not as many margins, or a margin is not a finite number.
    """
    if not len(pairs):
        raise ValueError("nothing to evaluate: no pairs")
    margins = numbers(margins, "margins", like=pairs)
    right, conversations = pair_accuracies(margins), conversation_keys(pairs)
    low, high = wilson_interval(float(right.sum()), len(pairs))
    clustered_low, clustered_high = clustered_bootstrap(right, conversations)
    return Evaluation(
        pairs=len(pairs), conversations=len(set(conversations)), accuracy=float(right.mean()), accuracy_low=low,
        accuracy_high=high, clustered_low=max(0.0, clustered_low), clustered_high=min(1.0, clustered_high),
        ties=int((margins == 0).sum()), nll=nll(margins), brier=brier(margins), ece=expected_calibration_error(margins),
        ece_floor=ece_floor(margins), baselines=length_baselines(pairs),
    )


def length_baselines(pairs: Sequence[PreferencePair]) -> dict[str, float]:
    """How often two rules that read nothing would be right: always the longer, always the shorter (in characters).

    Where both are equally long, either is half right, as a reward model is at a tie: the two shares add up to 1.
    """
    longer = np.sign(extra_characters(pairs))
    return {"longer": float((1 + longer).mean() / 2), "shorter": float((1 - longer).mean() / 2)}


def extra_characters(pairs: Sequence[PreferencePair]) -> np.ndarray:
    """By how many characters chosen is longer than rejected, float64 (N,)."""
    return np.array([len(pair.chosen) - len(pair.rejected) for pair in pairs], dtype=np.float64)
