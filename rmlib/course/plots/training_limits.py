"""Figures of notebook 06: trainings held against what can be known, and how much the settings and the data decide."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmlib.course.plots.training import LOOKS
from rmlib.practice.style import FAINT, MODEL, NEUTRAL, REJECTED, THEORY, canvas, styled

STARTS = {"pretrained": (MODEL, "o"), "random": (REJECTED, "s")}


def limits_on(axes: Axes, expected: float, realised: float, at: float) -> None:
    """Two lines that accuracy is held against: what the best can expect, and what the gold reward got of these pairs.

    The names stand above and below the lines, at `at` on the horizontal axis.
    """
    upper, lower = sorted([(expected, "expected limit"), (realised, "gold reward, realised")], reverse=True)
    axes.axhline(expected, color=THEORY, linestyle="--", linewidth=1.8, zorder=0)
    axes.axhline(realised, color=THEORY, linewidth=1.8, zorder=0)
    axes.text(at, upper[0] + 0.004, upper[1], ha="right", va="bottom")
    axes.text(at, lower[0] - 0.006, lower[1], ha="right", va="top")


@styled
def against_the_limit(curves: Mapping[str, tuple[Sequence[int], Sequence[float]]], expected: float,
                      realised: float) -> Figure:
    """Validation accuracy by pairs seen, for one run or two by name, below the two limits; a coin at the bottom.

    The horizontal axis is linear up to 256 pairs, so that it has a zero, and logarithmic from there."""
    figure, [axes] = canvas(height=4.8)
    for (name, (seen, accuracy)), line in zip(curves.items(), ("o-", "o:"), strict=False):
        axes.plot(seen, accuracy, line, color=MODEL, label=name)
    limits_on(axes, expected, realised, at=900)
    axes.axhline(0.5, color=FAINT, linewidth=1.6, zorder=0)
    axes.set_xscale("symlog", base=4, linthresh=256, linscale=0.5)
    ticks = (0, 256, 1024, 4096, 16_384)
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set(xlabel="pairs seen", ylabel="validation accuracy", ylim=(0.45, 0.86), xlim=(-20, 22_000))
    axes.minorticks_off()
    axes.legend(loc="center right")
    return figure


@styled
def learning_curve(runs: Sequence[Mapping], expected: float, realised: float) -> Figure:
    """Validation accuracy by number of training pairs: a mark for each run, a line through the means of the seeds."""
    figure, [axes] = canvas(height=5.0)
    for start, (colour, marker) in STARTS.items():
        found = defaultdict(list)
        for row in runs:
            if row["start"] == start and "accuracy" in row:
                found[row["pairs"]].append(row["accuracy"])
        for size, values in found.items():
            axes.plot([size] * len(values), values, marker, color=colour, alpha=0.75, markersize=7)
        sizes = sorted(found)
        axes.plot(sizes, [np.mean(found[size]) for size in sizes], "-", color=colour, label=f"{start} backbone")
    limits_on(axes, expected, realised, at=900)
    axes.set_xscale("log", base=4)
    sizes = sorted({row["pairs"] for row in runs})
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.set(xlabel="training pairs", ylabel="validation accuracy", ylim=(0.45, 0.86))
    axes.minorticks_off()
    axes.legend(loc="center right", bbox_to_anchor=(1, 0.42))
    return figure


@styled
def settings(runs: Sequence[Mapping], limit: float) -> Figure:
    """Validation NLL by peak learning rate, a line for each batch size; the best run is ringed, failed ones named."""
    figure, [axes] = canvas(height=4.6)
    good = [row for row in runs if "nll" in row]
    rates = sorted({row["learning_rate"] for row in runs})
    batches = sorted({row["batch_size"] for row in runs})
    for batch, (colour, line) in zip(batches, LOOKS, strict=False):
        rows = sorted((row for row in good if row["batch_size"] == batch), key=lambda row: row["learning_rate"])
        axes.plot([rates.index(row["learning_rate"]) for row in rows], [row["nll"] for row in rows], f"o{line}",
                  color=colour, label=f"{batch} pairs a step")
    best = min(good, key=lambda row: row["nll"])
    axes.plot(rates.index(best["learning_rate"]), best["nll"], "o", markersize=18, markerfacecolor="none",
              markeredgecolor=THEORY, markeredgewidth=2)
    axes.axhline(np.log(2), color=FAINT, linewidth=1.8, zorder=0)
    axes.axhline(limit, color=THEORY, linestyle="--", linewidth=1.8)
    axes.text(len(rates) - 1, limit, "expected limit", ha="right", va="bottom")
    axes.text(0, np.log(2), "log 2: a coin", ha="left", va="bottom")
    axes.set(xlabel="peak learning rate", ylabel="validation NLL", ylim=(limit - 0.02, 0.76))
    axes.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
    axes.legend(loc="center left", bbox_to_anchor=(0, 0.62))
    return figure


@styled
def changes(runs: Mapping[str, Sequence[float]]) -> Figure:
    """Validation NLL for each change, a dot for each run; the dashed line is the mean of the first, which is usual."""
    figure, [axes] = canvas(height=4.6)
    for place, (name, values) in enumerate(runs.items()):
        axes.plot(values, [place] * len(values), "o", color=REJECTED if place else MODEL, label=name, alpha=0.8)
    axes.axvline(np.mean(next(iter(runs.values()))), color=THEORY, linestyle="--", linewidth=1.8, zorder=0)
    axes.set_yticks(range(len(runs)), list(runs))
    axes.invert_yaxis()
    axes.set(xlabel="validation NLL")
    return figure


@styled
def epochs(training: Sequence[float], nll: Sequence[float], accuracy: Sequence[float], limit: float) -> Figure:
    """By epochs done: left, NLL of the validation pairs from 0 on, and the mean of each epoch's training losses, drawn
    at its end; right, validation accuracy from 0 on, below that of the gold reward."""
    figure, (left, right) = canvas(columns=2, height=4.4)
    numbers = np.arange(len(nll))
    left.plot(numbers[1:], training, "s--", color=NEUTRAL, label="training pairs")
    left.plot(numbers, nll, "o-", color=MODEL, label="validation pairs")
    left.axhline(np.log(2), color=FAINT, linewidth=1.8, zorder=0)
    left.text(numbers[-1], np.log(2), "log 2", ha="right", va="bottom")
    left.set(title="NLL", xlabel="epochs", xticks=numbers, ylim=(0, 0.82))
    left.legend(loc="lower left")
    right.plot(numbers, accuracy, "o-", color=MODEL)
    right.axhline(limit, color=THEORY, linewidth=1.8)
    right.text(numbers[-1], limit, "gold reward", ha="right", va="bottom")
    right.set(title="validation accuracy", xlabel="epochs", xticks=numbers, ylim=(0.45, 0.86))
    return figure
