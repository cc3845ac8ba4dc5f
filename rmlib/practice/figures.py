"""Figures of a model's evaluation: for notebook 07, and for the report that `python -m rmlib evaluate` writes.

Each takes arrays. `margins`, (N,), are a model's r_chosen - r_rejected; a tie is a margin of exactly zero.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rmlib.evaluation import confidences, pair_accuracies, reliability
from rmlib.practice.style import CHOSEN, FAINT, LIT_EDGE, MODEL, NEUTRAL, REJECTED, THEORY, WIDTH, canvas, styled

LINE = 72  # letters and spaces of 16 points that fit on a line of a figure
STRONGEST = 0.75  # how much of a colour the most important word is given


@styled
def reliability_figure(margins: np.ndarray, bins: int = 15) -> Figure:
    """Left, share right against confidence max(p, 1 - p) with 95% intervals; right, how many pairs have which."""
    figure, (left, right) = canvas(columns=2, height=4.6)
    reliability_on(left, margins, bins)
    left.legend(loc="upper left")
    confidence = confidences(margins)
    right.hist(confidence, np.linspace(0.5, 1, bins + 1).tolist(), color=FAINT, edgecolor=NEUTRAL)
    right.axvline(confidence.mean(), color=MODEL, label="mean confidence")
    right.axvline(pair_accuracies(margins).mean(), color=CHOSEN, linestyle="--", label="share right")
    right.set(title="pairs", xlabel="confidence", xlim=(0.49, 1.01))
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, columnspacing=1, handlelength=1.5)
    return figure


def reliability_on(axes: Axes, margins: np.ndarray, bins: int = 15) -> None:
    """Draw a reliability diagram: a dot for each bin of confidence that has pairs, at its mean confidence."""
    axes.plot([0.5, 1], [0.5, 1], color=THEORY, linestyle="--", linewidth=1.8, label="calibrated")
    for one in reliability(margins, bins):
        axes.plot([one.confidence] * 2, [one.accuracy_low, one.accuracy_high], color=MODEL, linewidth=1.8, alpha=0.7)
        axes.plot(one.confidence, one.accuracy, "o", color=MODEL)
    axes.set(title="share right", xlabel="confidence", xlim=(0.49, 1.01), ylim=(0.28, 1.02))


@styled
def margins_figure(margins: np.ndarray, bins: int = 40) -> Figure:
    """Histogram of margins: right to the right of zero, wrong to the left; ties, if any, are named."""
    figure, (axes,) = canvas(height=3.8)
    margins = np.asarray(margins)
    widest = max(float(np.abs(margins).max()), 1e-12)  # at least something, where all are ties
    edges = np.linspace(-widest, widest, 2 * (bins // 2) + 1).tolist()  # zero is an edge
    for kind, colour, name in ((margins < 0, REJECTED, "wrong"), (margins > 0, CHOSEN, "right")):
        axes.hist(margins[kind], edges, color=colour, edgecolor="white", linewidth=0.6,
                  label=f"{name}: {kind.mean():.1%}")
    if ties := int((margins == 0).sum()):
        axes.plot([0, 0], [0, ties], color=NEUTRAL, linewidth=6, label=f"ties: {ties / len(margins):.1%}")
    axes.axvline(0, color=THEORY, linewidth=1.4)
    axes.set(title="pairs", xlabel="margin Δ", xlim=(-widest, widest))
    axes.legend(loc="upper left")
    return figure


@styled
def learned_against_gold(gold: np.ndarray, learned: np.ndarray, slope: float, quantity: str = "margin") -> Figure:
    """Scatter of learned against gold values, (N,) each, whose offset is gone, with a line of `slope` through zero."""
    figure, (axes,) = canvas(height=5.0)
    gold = np.asarray(gold)
    across = np.array([gold.min(), gold.max()])
    # Gold values are sums of a few weights: without a little noise many dots would hide one another.
    jitter = np.random.default_rng(0).normal(0, 0.03, gold.shape)
    axes.plot(gold + jitter, learned, ".", color=MODEL, alpha=0.35 if gold.size > 1000 else 1, markersize=6,
              markeredgewidth=0)
    axes.plot(across, across, color=THEORY, linestyle="--", linewidth=1.8, label="learned = gold")
    axes.plot(across, slope * across, color=LIT_EDGE, label="fitted line")
    axes.axhline(0, color=FAINT, linewidth=1.2, zorder=0)
    axes.axvline(0, color=FAINT, linewidth=1.2, zorder=0)
    axes.set(title=f"learned {quantity}", xlabel=f"gold {quantity}")
    axes.legend(loc="upper left")
    return figure


@styled
def slices_figure(rows: Sequence[tuple[str, int, float, float, float]], overall: float | None = None,
                  overall_of: str = "all pairs") -> Figure:
    """Rows (name, pairs, accuracy, low, high), from the top: a dot with its interval; lines at a coin's and `overall`.

    overall_of: whose accuracy that is, for the legend.
    """
    figure, (axes,) = canvas(height=2.0 + 0.42 * len(rows))
    heights = np.arange(len(rows))[::-1]
    for height, (_, _, accuracy, low, high) in zip(heights, rows, strict=True):
        axes.plot([low, high], [height, height], color=MODEL, linewidth=4, alpha=0.45, solid_capstyle="butt")
        axes.plot(accuracy, height, "o", color=MODEL, markersize=10)
    axes.axvline(0.5, color=NEUTRAL, linestyle=":", linewidth=1.8, label="a coin")
    if overall is not None:
        axes.axvline(overall, color=THEORY, linestyle="--", linewidth=1.6, label=overall_of)
    figure.legend(loc="outside lower center", ncols=2)
    axes.set(title="accuracy", yticks=heights, ylim=(-0.7, len(rows) - 0.3),
             yticklabels=[f"{name} ({pairs:,})" for name, pairs, *_ in rows])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    return figure


@styled
def occlusion_figure(texts: Sequence[tuple[str, Sequence[tuple[str, float]]]]) -> Figure:
    """Texts as (name, [(word, change of the reward without it), ...]): blue words raise the reward, orange lower it.

    A word that raises the reward is one whose loss lowers it. One scale of colour serves all the texts; the last line
    is its key. A text without words is a line of its own, such as the prompt.
    """
    largest = max((abs(change) for _, words in texts for _, change in words), default=0.0) or 1.0
    lines: list[Any] = [line for name, words in texts for line in ((name, *_broken(words), "") if words else (name,))]
    lines.append([(0, f"raises the reward by {largest:.1f}", -largest), (26, f"lowers it by {largest:.1f}", largest)])
    figure = Figure(figsize=(WIDTH, 0.5 + 0.46 * len(lines)), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(0, LINE), ylim=(len(lines) - 0.4, -0.6))
    axes.set_axis_off()
    for row, line in enumerate(lines):
        if isinstance(line, str):
            axes.text(0, row, line, color=NEUTRAL, fontsize=14, va="center")
            continue
        for column, word, change in line:
            colour = CHOSEN if change < 0 else REJECTED
            strength = round(255 * STRONGEST * abs(change) / largest)
            axes.text(column, row, word, fontfamily="DejaVu Sans Mono", fontsize=16, va="center",
                      bbox={"facecolor": f"{colour}{strength:02x}", "edgecolor": "none", "pad": 2.5})
    return figure


def _broken(words: Sequence[tuple[str, float]]) -> list[list[tuple[int, str, float]]]:
    """Words as lines of (column, word, change), none longer than LINE unless a single word is."""
    lines: list[list[tuple[int, str, float]]] = [[]]
    column = 0
    for word, change in words:
        if column and column + len(word) > LINE:
            lines.append([])
            column = 0
        lines[-1].append((column, word, change))
        column += len(word) + 1
    return lines
