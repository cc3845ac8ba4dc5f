"""A table of the same training with several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rmlib.evaluation import Evaluation


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
