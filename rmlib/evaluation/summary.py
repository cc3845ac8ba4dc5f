"""A reward model's figures on a set of pairs, in one row; and such rows of several seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from accelerate import PartialState
from accelerate.utils import gather_object

from rmlib.baselines import length_baselines
from rmlib.data import PreferencePair
from rmlib.evaluation.calibration import brier, ece_floor, expected_calibration_error, nll
from rmlib.evaluation.intervals import clustered_bootstrap, rightness, wilson_interval
from rmlib.model import RewardModel, score_pairs
from rmlib.splits import conversation_key


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
            f"{self.pairs} pairs: accuracy {self.accuracy:.3f} (95% interval {self.accuracy_low:.3f} to "
            f"{self.accuracy_high:.3f}), {self.ties} ties\n"
            f"{self.conversations} conversations, drawn whole: 95% interval {self.clustered_low:.3f} to "
            f"{self.clustered_high:.3f}\n"
            f"negative log-likelihood {self.nll:.3f} (a coin: {math.log(2):.3f}), Brier score {self.brier:.3f} "
            f"(a coin: 0.250)\n"
            f"calibration error {self.ece:.3f} (by luck alone: {self.ece_floor:.3f})\n"
            f"baselines: the longer response {self.baselines['longer']:.3f}, "
            f"the shorter {self.baselines['shorter']:.3f}"
        )


def evaluate(model: RewardModel, pairs: Sequence[PreferencePair], token_budget: int = 8192) -> Evaluation:
    """Score every pair once, over all processes there are, and sum up; the same result in each process."""
    return summarise(margins_from(score_everywhere(model, pairs, token_budget)), pairs)


def score_everywhere(model: RewardModel, pairs: Sequence[PreferencePair], token_budget: int = 8192) -> np.ndarray:
    """score_pairs with the pairs dealt out to the processes: (2, N) float32, in order."""
    state = PartialState()
    mine = range(state.process_index, len(pairs), state.num_processes)
    ours = score_pairs(model, [pairs[i] for i in mine], token_budget)
    scores = np.full((2, len(pairs)), np.nan, dtype=np.float32)
    for indices, theirs in gather_object([(list(mine), ours)]):
        scores[:, indices] = theirs
    return scores


def margins_from(rewards: Sequence[np.ndarray]) -> np.ndarray:
    """Margins r_chosen - r_rejected, float64 (N,), from rewards (2, N): between float32 much would be lost."""
    return np.subtract(*rewards, dtype=np.float64)


def summarise(margins: np.ndarray, pairs: Sequence[PreferencePair]) -> Evaluation:
    """Figures from the margins (N,) of N pairs, computed in float64.

    Raises ValueError when there are no pairs, or not as many margins, or a margin is not a finite number.
    """
    if not len(pairs):
        raise ValueError("nothing to evaluate: no pairs")
    margins = np.asarray(margins, dtype=np.float64)  # (N,)
    broken = int((~np.isfinite(margins)).sum())
    if broken:
        raise ValueError(f"{broken} of {len(margins)} pairs have rewards that are not finite numbers")
    if margins.shape != (len(pairs),):
        raise ValueError(f"{len(pairs)} pairs need as many margins in one row, not an array of shape {margins.shape}")
    right, conversations = rightness(margins), [conversation_key(pair) for pair in pairs]
    low, high = wilson_interval(float(right.sum()), len(pairs))
    clustered_low, clustered_high = clustered_bootstrap(right, conversations)
    return Evaluation(
        pairs=len(pairs), conversations=len(set(conversations)), accuracy=float(right.mean()), accuracy_low=low,
        accuracy_high=high, clustered_low=max(0.0, clustered_low), clustered_high=min(1.0, clustered_high),
        ties=int((margins == 0).sum()), nll=nll(margins), brier=brier(margins), ece=expected_calibration_error(margins),
        ece_floor=ece_floor(margins), baselines=length_baselines(pairs),
    )


def seeds_table(
    runs: Mapping[int, Evaluation | str], figures: Sequence[str] = ("accuracy", "nll", "brier", "ece")
) -> list[dict[str, int | str | float]]:
    """Rows of a table of several seeds: each run's figures, then "mean" and "spread" of the runs that ended.

    runs: of each seed its evaluation, or, where it failed, what went wrong: its row then has the key "failed", so that
    no run goes missing. Spread is the sample standard deviation √(Σ(x - mean)² / (R - 1)) of the R that ended; with
    R = 1 there is none. It tells how much seeds matter, not how sure the accuracy is of new pairs: all share theirs.

    Raises ValueError where there is no run.
    """
    if not runs:
        raise ValueError("no runs: give at least one seed")
    rows: list[dict] = [{"seed": seed, "failed": run} if isinstance(run, str) else
                        {"seed": seed, **{name: getattr(run, name) for name in figures}} for seed, run in runs.items()]
    ended = np.array([[row[name] for name in figures] for row in rows if "failed" not in row])  # (R, figures)
    for name, least, sum_up in (("mean", 1, np.mean), ("spread", 2, lambda x, axis: np.std(x, axis, ddof=1))):
        if len(ended) >= least:
            rows.append({"seed": name, **dict(zip(figures, sum_up(ended, axis=0).tolist()))})
    return rows
