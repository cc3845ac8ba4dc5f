"""Figures of notebook 06: losses by step, the weights of pairs in pieces; and a weight in bfloat16, for a side page."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmlib.practice.style import CHOSEN, FAINT, LIT_EDGE, MODEL, REJECTED, THEORY, canvas, styled

LOOKS = ((MODEL, "-"), (REJECTED, "--"), (CHOSEN, "-."), (LIT_EDGE, ":"))


def smoothed(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of the last `window` values up to each, of all there are at the beginning; (N,)."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(sums))
    starts = np.maximum(ends - window, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def log_two(axes: Axes, right: float) -> None:
    """The dashed line of a coin's loss, named at its right end."""
    axes.axhline(np.log(2), color=THEORY, linestyle="--", linewidth=1.6, zorder=0)
    axes.text(right, np.log(2), "log 2 ", ha="right", va="bottom")


@styled
def overfitting(one: Sequence[float], sixteen: Mapping[str, Sequence[float]]) -> Figure:
    """Left, the loss of one pair by step, on a logarithmic scale; right, of sixteen pairs, for each loop by name."""
    figure, (left, right) = canvas(columns=2, height=4.2)
    left.semilogy(range(1, len(one) + 1), one, "o-", color=MODEL)
    left.set(title="one pair", xlabel="step", ylabel="loss", ylim=(1e-2, 1.5), xticks=range(2, len(one) + 1, 2))
    left.set_yticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])
    left.minorticks_off()
    for (name, losses), (colour, line) in zip(sixteen.items(), LOOKS, strict=False):
        right.plot(range(1, len(losses) + 1), losses, line, color=colour, label=name)
    right.axhline(np.log(2), color=FAINT, linewidth=1.6, zorder=0)
    right.set(title="sixteen pairs", xlabel="step", ylim=(-0.03, 1.45))
    right.legend(loc="upper right", handlelength=1.6)
    return figure


@styled
def pair_weights(sizes: Sequence[int]) -> Figure:
    """What each pair of a batch counts where micro-batches of these sizes are averaged, and then their means."""
    figure, [axes] = canvas(height=3.6)
    weights = np.repeat(1 / (len(sizes) * np.array(sizes)), sizes)
    colours = np.repeat([(CHOSEN, LIT_EDGE)[number % 2] for number in range(len(sizes))], sizes)
    axes.bar(np.arange(len(weights)), weights, color=colours, width=0.8)
    axes.axhline(1 / len(weights), color=THEORY, linestyle="--", linewidth=2)
    axes.text(-0.6, 1 / len(weights), "1/B, what each should count", ha="left", va="bottom")
    starts = np.cumsum([0, *sizes[:-1]])
    for start, size in zip(starts, sizes, strict=True):
        label = f"{size} pair" + ("" if size == 1 else "s")
        axes.text(start + (size - 1) / 2, 1 / (len(sizes) * size), label, ha="center", va="bottom")
    axes.set(xlabel="pairs, in micro-batches of like length", ylabel="weight", xticks=[],
             ylim=(0, 1.2 * weights.max()))
    return figure


@styled
def swallowed(start: float, exact: np.ndarray, rounded: np.ndarray, gap: float) -> Figure:
    """A weight by step, as float32 and as bfloat16 keep it; faint lines are the values that bfloat16 has near `start`,
    which are `gap` apart, as long as they can be told from each other."""
    figure, [axes] = canvas(height=4.2)
    high = max(start + 6.6 * gap, 1.1 * (max(exact[-1], rounded[-1]) - start) + start)
    if high - start < 30 * gap:
        for number in range(-1, int((high - start) / gap) + 1):
            axes.axhline(start + number * gap, color=FAINT, linewidth=1.2, zorder=0)
    axes.plot(exact, color=MODEL, label="float32")
    axes.plot(rounded, color=REJECTED, linestyle="--", label="bfloat16")
    axes.set(xlabel="Adam steps", ylabel="weight", ylim=(start - 0.2 * (high - start), high), xlim=(0, len(exact) - 1))
    axes.legend(loc="upper left", ncols=2)
    return figure


@styled
def running_loss(losses: Sequence[float], size: int, limit: float | None = None, window: int = 1024) -> Figure:
    """The training loss by pairs seen, `size` a step, as a mean over the last `window` pairs; `limit`, if given, is the
    loss of the gold reward on the same pairs. The axis begins at 0.3, or at a tenth below what is lower."""
    figure, [axes] = canvas(height=4.2)
    losses = np.asarray(losses, dtype=float)
    seen = size * np.arange(1, len(losses) + 1)
    mean = smoothed(losses, max(1, window // size))
    axes.plot(seen, mean, color=MODEL)
    log_two(axes, seen[-1])
    if limit is not None:
        axes.axhline(limit, color=THEORY, linewidth=1.8)
        axes.text(seen[0], limit - 0.01, "the gold reward's own loss", ha="left", va="top")
    low = mean.min() if limit is None else min(mean.min(), limit - 0.04)  # with the name below the limit
    axes.set(xlabel="pairs seen", ylabel="training loss",
             ylim=(min(0.3, np.floor(10 * low) / 10), max(0.75, 1.05 * mean.max())))
    return figure
