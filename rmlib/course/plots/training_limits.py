"""Figures of notebook 06: trainings beside what can be known, and how much settings, loss and data decide."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmlib.course.plots.training import LOOKS, smoothed
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
    """Validation NLL by peak learning rate, a line for each batch size; the best run is ringed, failed ones left out.

    The lines stand a little to the left and to the right of a rate, so that no dot hides another.
    """
    figure, [axes] = canvas(height=4.6)
    good = [row for row in runs if "nll" in row]
    rates = sorted({row["learning_rate"] for row in runs})
    batches = sorted({row["batch_size"] for row in runs})

    def place(row: Mapping) -> float:
        return rates.index(row["learning_rate"]) + 0.09 * (batches.index(row["batch_size"]) - (len(batches) - 1) / 2)

    for batch, (colour, line) in zip(batches, LOOKS, strict=False):
        rows = sorted((row for row in good if row["batch_size"] == batch), key=lambda row: row["learning_rate"])
        axes.plot([place(row) for row in rows], [row["nll"] for row in rows], f"o{line}", color=colour,
                  label=f"{batch} pairs a step")
    best = min(good, key=lambda row: row["nll"])
    axes.plot(place(best), best["nll"], "o", markersize=18, markerfacecolor="none", markeredgecolor=THEORY,
              markeredgewidth=2)
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
def variants(runs: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """For each variant the validation NLL of every run: left as it is, right with a fitted temperature.

    runs: name -> (NLLs, NLLs with the temperature); the dashed lines are the means of the first, which is usual.
    """
    figure, panels = canvas(columns=2, height=4.6)
    for column, (axes, title) in enumerate(zip(panels, ("as it is", "with one number fitted"), strict=True)):
        for place, (name, values) in enumerate(runs.items()):
            axes.plot(values[column], [place] * len(values[column]), "o", color=REJECTED if place else MODEL,
                      label=name, alpha=0.8)
        axes.axvline(np.mean(next(iter(runs.values()))[column]), color=THEORY, linestyle="--", linewidth=1.8, zorder=0)
        axes.set_yticks(range(len(runs)), list(runs) if column == 0 else [""] * len(runs))
        axes.invert_yaxis()
        axes.set(title=title, xlabel="validation NLL")
    everything = [value for both in runs.values() for values in both for value in values]
    for axes in panels:
        axes.set_xlim(min(everything) - 0.01, max(everything) + 0.01)
    return figure


@styled
def stopping(steps: Sequence[int], nll: Sequence[float], accuracy: Sequence[float], limit: float, best: int,
             end: int) -> Figure:
    """By steps taken: left, the validation NLL, where the weights are kept of look `best` and the run ends at look
    `end`; right, the accuracy, below that of the gold reward. What an ended run would not have seen is faint."""
    figure, (left, right) = canvas(columns=2, height=4.4)
    for axes, values, title in ((left, nll, "validation NLL"), (right, accuracy, "validation accuracy")):
        axes.plot(steps, values, "o-", color=FAINT)
        axes.plot(steps[:end + 1], values[:end + 1], "o-", color=MODEL, label="seen")
        axes.plot(steps[best], values[best], "o", markersize=18, markerfacecolor="none", markeredgecolor=THEORY,
                  markeredgewidth=2, label="kept")
        axes.axvline(steps[end], color=REJECTED, linestyle="--", linewidth=1.8, zorder=0, label="stopped here")
        axes.set(title=title, xlabel="steps")
    left.axhline(np.log(2), color=FAINT, linewidth=1.8, zorder=0)
    left.text(steps[-1], np.log(2), "log 2", ha="right", va="bottom")
    left.set(ylim=(0.4, max(0.75, 1.05 * max(nll))))
    right.legend(loc="lower right")
    right.axhline(limit, color=THEORY, linewidth=1.8, zorder=0)
    right.text(steps[-1], limit, "gold reward", ha="right", va="bottom")
    right.set(ylim=(0.45, 0.88))
    return figure


@styled
def human_curve(losses: Sequence[float], looks: Sequence[Mapping], size: int, shorter: float,
                window: int = 320) -> Figure:
    """A training on human choices by pairs seen: left, the training loss, a mean over the last `window` pairs, and the
    NLL of held-out pairs; right, their accuracy with its 95% interval, above the rule "the shorter one"."""
    figure, (left, right) = canvas(columns=2, height=4.6)
    seen, at = size * np.arange(1, len(losses) + 1), size * np.array([look["step"] for look in looks])
    left.plot(seen, smoothed(np.array(losses), max(1, window // size)), "--", color=NEUTRAL, label="training loss")
    left.plot(at, [look["nll"] for look in looks], "o-", color=MODEL, label="held-out NLL")
    left.axhline(np.log(2), color=THEORY, linestyle=":", linewidth=1.8, zorder=0)
    left.text(seen[-1], np.log(2), "log 2", ha="right", va="bottom")
    left.set(xlabel="pairs seen", ylim=(0.38, 0.75), title="loss")
    left.legend(loc="lower left")
    accuracy = np.array([look["accuracy"] for look in looks])
    ends = np.array([[look["low"], look["high"]] for look in looks]).T  # (2, looks)
    right.errorbar(at, accuracy, np.abs(ends - accuracy), fmt="o-", color=MODEL, capsize=4, elinewidth=1.6)
    right.axhline(shorter, color=REJECTED, linestyle="--", linewidth=1.8, zorder=0)
    right.text(seen[-1], shorter - 0.004, "the shorter one", ha="right", va="top", color=REJECTED)
    right.axhline(0.5, color=FAINT, linewidth=1.8, zorder=0)
    right.text(seen[-1], 0.5, "a coin", ha="right", va="bottom")
    right.set(xlabel="pairs seen", ylim=(0.42, 0.72), title="held-out accuracy")
    return figure
