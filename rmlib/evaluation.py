"""How good a reward model is: accuracy with its interval, likelihood, calibration, and the baselines beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from accelerate import PartialState
from accelerate.utils import gather_object

from rmlib.data import PreferencePair
from rmlib.model import RewardModel, score_pairs


@dataclass(frozen=True)
class Evaluation:
    """A reward model's figures on a set of pairs; ties are margins of exactly zero and count as half right."""

    pairs: int
    accuracy: float
    accuracy_low: float  # Wilson, 95%
    accuracy_high: float
    ties: int
    nll: float  # nats a pair; log 2 = 0.693 is a coin's
    ece: float
    baselines: dict[str, float]  # share of pairs whose chosen response is strictly longer, shorter, in characters

    def __str__(self) -> str:
        return (
            f"{self.pairs} pairs: accuracy {self.accuracy:.3f} (95% interval {self.accuracy_low:.3f} to "
            f"{self.accuracy_high:.3f}), {self.ties} ties\n"
            f"negative log-likelihood {self.nll:.3f} (a coin: {math.log(2):.3f}), calibration error {self.ece:.3f}\n"
            f"baselines: the longer response {self.baselines['longer']:.3f}, "
            f"the shorter {self.baselines['shorter']:.3f}"
        )


def evaluate(model: RewardModel, pairs: Sequence[PreferencePair], token_budget: int = 8192) -> Evaluation:
    """Score every pair once, over all processes there are, and sum up; the same result in each process."""
    return summarise(*score_everywhere(model, pairs, token_budget), pairs)


def score_everywhere(model: RewardModel, pairs: Sequence[PreferencePair], token_budget: int = 8192) -> np.ndarray:
    """score_pairs with the pairs dealt out to the processes: (2, N) float32, in order."""
    state = PartialState()
    mine = range(state.process_index, len(pairs), state.num_processes)
    ours = score_pairs(model, [pairs[i] for i in mine], token_budget)
    scores = np.full((2, len(pairs)), np.nan, dtype=np.float32)
    for indices, theirs in gather_object([(list(mine), ours)]):
        scores[:, indices] = theirs
    return scores


def summarise(chosen: np.ndarray, rejected: np.ndarray, pairs: Sequence[PreferencePair]) -> Evaluation:
    """Figures from rewards (N,) and (N,) of N pairs, computed in float64.

    Raises ValueError when there are no pairs, or a reward is not a number.
    """
    if not len(pairs):
        raise ValueError("nothing to evaluate: no pairs")
    margins = np.asarray(chosen, dtype=np.float64) - np.asarray(rejected, dtype=np.float64)  # (N,)
    broken = int((~np.isfinite(margins)).sum())
    if broken:
        raise ValueError(f"{broken} of {len(margins)} pairs have rewards that are not finite numbers")
    ties = int((margins == 0).sum())
    right = float((margins > 0).sum() + ties / 2)
    low, high = wilson_interval(right, len(pairs))
    return Evaluation(
        pairs=len(pairs), accuracy=right / len(pairs), accuracy_low=low, accuracy_high=high, ties=ties,
        nll=float(np.logaddexp(0, -margins).mean()), ece=expected_calibration_error(margins),
        baselines=length_baselines(pairs),
    )


def wilson_interval(successes: float, trials: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Confidence interval of a proportion, well behaved at 0 and at 1; successes may hold halves, from ties.

    (p̂ + z²/2n ± z √(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n), with p̂ = successes / trials and n = trials;
    z is the two-sided normal quantile (95% by default).

    Raises ValueError unless 0 <= successes <= trials and trials > 0.
    Source: Wilson (1927), J. Am. Stat. Assoc. 22, 209-212.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"need 0 <= successes <= trials and trials > 0, got {successes} of {trials}")
    p, n = successes / trials, trials
    centre = p + z**2 / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)
    return max(0.0, min(low, p)), min(1.0, max(high, p))  # rounding can step over 0 and 1


def expected_calibration_error(margins: np.ndarray, bins: int = 15) -> float:
    """Gap between confidence max(p, 1 − p), p = σ(margin), and accuracy, averaged over pairs.

    margins: (N,) float64. Bins are equal in width on [0.5, 1], each closed above; a tie has confidence 0.5, falls
    into the first bin and counts as half right.
    Source: Guo et al. (2017), arXiv:1706.04599, eq. 3, for the two-way choice.
    """
    confidence = 1 / (1 + np.exp(-np.abs(margins)))  # (N,) in [0.5, 1]
    right = np.where(margins == 0, 0.5, margins > 0)
    index = np.clip(np.ceil((confidence - 0.5) * 2 * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(index, weights=right - confidence, minlength=bins)  # (bins,) sum of right − confidence
    return float(np.abs(gaps).sum() / len(margins))


def length_baselines(pairs: Sequence[PreferencePair]) -> dict[str, float]:
    """How often two rules that read nothing would be right: always the longer, always the shorter (in characters)."""
    difference = np.array([len(pair.chosen) - len(pair.rejected) for pair in pairs])
    return {"longer": float((difference > 0).mean()), "shorter": float((difference < 0).mean())}
