"""Figures of notebook 00."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rmlib.course.plots.training import LOOKS, smoothed
from rmlib.practice.style import CHOSEN, MODEL, REJECTED, THEORY, canvas, styled


@styled
def loss_and_scores(history: Sequence[tuple[float, float, float]]) -> Figure:
    """Two panels by epoch: the loss, with the line log 2 where it starts, and the two scores as they part.

    `history` has one row (loss, chosen score, rejected score) an epoch; the first row is epoch 1.
    Raises ValueError unless it is (epochs, 3) with at least one epoch.
    """
    table = np.asarray(history, dtype=float)
    if table.ndim != 2 or table.shape[1] != 3 or len(table) == 0:
        raise ValueError(f"need rows of (loss, chosen score, rejected score), got an array of shape {table.shape}")
    epochs = np.arange(1, len(table) + 1)
    figure, (left, right) = canvas(columns=2)
    left.axhline(np.log(2), color=THEORY, linestyle="--", linewidth=1.8)
    left.plot(epochs, table[:, 0], "o-", color=MODEL)
    left.annotate("log 2 ≈ 0.693", (epochs[-1], np.log(2)), xytext=(0, 6), textcoords="offset points", ha="right")
    left.set(title="loss", xlabel="epoch", ylim=(0, 1.2 * max(np.log(2), table[:, 0].max())))
    for column, colour, marker, name in ((1, CHOSEN, "o", "chosen"), (2, REJECTED, "s", "rejected")):
        right.plot(epochs, table[:, column], marker=marker, color=colour)
        right.annotate(name, (epochs[-1], table[-1, column]), xytext=(10, 0), textcoords="offset points",
                       color=colour, va="center")
    right.set(title="scores", xlabel="epoch")
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


@styled
def broken(curves: Mapping[str, np.ndarray], accuracies: Mapping[str, Sequence[float]], limit: float) -> Figure:
    """Left, the mean loss of each kind of run by step, (seeds, steps); right, its accuracies, a dot a seed."""
    figure, (left, right) = canvas(columns=2, height=4.6)
    for row, ((name, losses), (colour, line)) in enumerate(zip(curves.items(), LOOKS, strict=True)):
        left.plot(smoothed(losses.mean(axis=0), 5), line, color=colour, label=name)
        right.plot(accuracies[name], np.full(len(accuracies[name]), -row), "o", color=colour)
    left.axhline(np.log(2), color=THEORY, linestyle="--", linewidth=1.6, zorder=0)
    left.set(title="loss: mean of the seeds,\nand of 5 steps", xlabel="step", ylim=(0.18, 0.8))
    left.legend(loc="lower left")
    left.set_yticks([0.4, 0.5, 0.6, np.log(2)], ["0.4", "0.5", "0.6", "log 2"])
    for at in (0.5, limit):
        right.axvline(at, color=THEORY, linestyle="--", linewidth=1.6, zorder=0)
    right.set(title="held-out accuracy", xlim=(0, 1), ylim=(0.5 - len(curves), 0.5))
    right.set_xticks([0, 0.25, 0.5, limit], ["0", "0.25", "a coin", "limit"])
    right.set_yticks(-np.arange(len(curves)), [name.replace(" ", "\n", 1) for name in curves])
    return figure
