"""More figures of notebook 01: what votes cost, and where one number a response is not enough."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from rmlib.practice.style import CHOSEN, FAINT, LIT_EDGE, MODEL, NEUTRAL, REJECTED, THEORY, canvas, styled

FIVE = (CHOSEN, REJECTED, MODEL, LIT_EDGE, "#CC79A7")  # five responses side by side, from Okabe and Ito's palette


@styled
def power_by_votes(sizes: np.ndarray, exact: np.ndarray, formula: np.ndarray, marked: int) -> Figure:
    """Exact power and the normal formula's by number of votes, (S,) each; a line at 80% and one at `marked` votes.

    Even and odd numbers of votes are drawn apart: each has a saw of its own.
    """
    figure, (axes,) = canvas()
    axes.axhline(0.8, color=NEUTRAL, linestyle=":", linewidth=1.8)
    axes.axvline(marked, color=NEUTRAL, linestyle=":", linewidth=1.8)
    axes.plot(sizes, formula, color=THEORY, linestyle="--", label="normal formula")
    even = sizes % 2 == 0
    axes.plot(sizes[even], exact[even], "o-", color=MODEL, linewidth=1.6, markersize=6, label="exact, even n")
    axes.plot(sizes[~even], exact[~even], "s-", color=REJECTED, linewidth=0.8, markersize=5, markerfacecolor="white",
              label="exact, odd n")
    axes.annotate(f"{marked} votes", (marked, axes.get_ylim()[0]), xytext=(6, 6), textcoords="offset points")
    axes.set(title="power to tell 60/40 from 50/50", xlabel="votes n", xlim=(sizes[0], sizes[-1]))
    axes.legend(loc="lower right")
    return figure


@styled
def information(gaps: np.ndarray, one_vote: np.ndarray, votes: int, distances: np.ndarray,
                measured: np.ndarray) -> Figure:
    """The information of one vote by gap, (G,), and the standard errors that `votes` votes had at D distances."""
    figure, (left, right) = canvas(columns=2)
    left.plot(gaps, one_vote, color=THEORY)
    left.fill_between(gaps, one_vote, color=FAINT, alpha=0.5)
    left.plot(0, 0.25, "o", color=LIT_EDGE, markersize=12)
    left.set(title="information of one vote", xlabel="gap d", ylim=(0, 0.28))
    shown = (gaps >= 0) & (gaps <= distances.max() + 0.3)
    right.plot(gaps[shown], 1 / np.sqrt(votes * one_vote[shown]), color=THEORY, linestyle="--", label="theory")
    right.plot(distances, measured, "o", color=MODEL, markersize=11, label="experiments")
    right.set(title="standard error of the gap", xlabel="gap to the rival", xticks=distances, ylim=(0, None))
    right.legend(loc="upper left")
    return figure


@styled
def mixture(gaps: np.ndarray, mixed: np.ndarray, bias: float) -> Figure:
    """Log-odds of a mixture by gap, (G,), between those of its two crowds, which are `bias` to either side."""
    figure, (axes,) = canvas(height=4.6)
    axes.plot(gaps, gaps + bias, color=CHOSEN, linewidth=1.8, label="one crowd")
    axes.plot(gaps, mixed, color=THEORY, linewidth=3.6, label="mixture")
    axes.plot(gaps, gaps - bias, color=REJECTED, linewidth=1.8, label="the other")
    axes.set(title="log-odds of a vote", xlabel="gap d", xlim=(-6, 6), ylim=(-6, 6))
    axes.legend(loc="upper left")
    return figure


@styled
def crowds(rows: Sequence[tuple[str, float, float, float]]) -> Figure:
    """Rows (pair, crowd one's probability, crowd two's, the pooled fit's), from top to bottom."""
    figure, (axes,) = canvas(height=5.2)
    heights = np.arange(len(rows))[::-1]
    names, one, two, pooled = zip(*rows, strict=True)
    axes.axvline(0.5, color=NEUTRAL, linestyle=":", linewidth=1.8)
    axes.hlines(heights, one, two, color=FAINT, linewidth=5, zorder=1)
    axes.plot(one, heights, "o", color=CHOSEN, label="likes long")
    axes.plot(two, heights, "s", color=REJECTED, label="likes short")
    axes.plot(pooled, heights, "D", color=THEORY, markersize=6, label="pooled fit")
    axes.set(title="probability", xlim=(-0.03, 1.03), yticks=heights, yticklabels=names)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper")
    return figure


@styled
def cycle(share: float) -> Figure:
    """Three responses in a circle, each preferred to the next by `share`; beside it the best fit, one half."""
    figure, (left, right) = canvas(columns=2)
    angles = np.pi / 2 - 2 * np.pi / 3 * np.arange(3)
    places = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for start, end in zip(places, np.roll(places, -1, axis=0), strict=True):
        way, middle = end - start, (start + end) / 2
        left.annotate("", start + 0.82 * way, start + 0.18 * way,
                      arrowprops={"arrowstyle": "-|>", "color": NEUTRAL, "linewidth": 3, "mutation_scale": 26})
        left.text(*(1.75 * middle), f"{share:.0%}", ha="center", va="center")
    left.scatter(*places.T, s=900, color=CHOSEN)
    for place, name in zip(places, "ABC", strict=True):
        left.text(*place, name, ha="center", va="center_baseline", color="white", fontweight="bold", fontsize=18)
    left.set(xlim=(-1.6, 1.6), ylim=(-1.1, 1.35), aspect="equal")
    left.set_axis_off()
    spots = np.arange(3)
    right.bar(spots - 0.2, [share] * 3, 0.38, color=CHOSEN, label="votes")
    right.bar(spots + 0.2, [0.5] * 3, 0.38, color=FAINT, edgecolor=NEUTRAL, label="best fit")
    right.set(title="probability", xticks=spots, xticklabels=["A over B", "B over C", "C over A"], ylim=(0, 1))
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=2)
    return figure


@styled
def elo(history: np.ndarray, limits: np.ndarray, names: Sequence[str]) -> Figure:
    """Ratings after each vote, (N, K), with dashed lines at `limits`, (K,); at most five responses."""
    figure, (axes,) = canvas(height=4.6)
    for column, colour, limit, name in zip(history.T, FIVE, limits, names, strict=True):
        axes.plot(column, color=colour, linewidth=1.8)
        axes.axhline(limit, color=colour, linestyle="--", linewidth=1.6)
        axes.annotate(name, (len(column), limit), xytext=(8, 0), textcoords="offset points", color=colour, va="center",
                      fontweight="bold")
    axes.set(title="Elo rating", xlabel="votes", xlim=(0, len(history)))
    return figure


@styled
def ties(gaps: np.ndarray, rao_kupper: Sequence[np.ndarray], davidson: Sequence[np.ndarray],
         decided: Sequence[np.ndarray]) -> Figure:
    """Shares (first, second, tie) by gap in both models, and both models' log-odds without ties; (G,) each."""
    figure, (left, right) = canvas(columns=2)
    for outcomes, style in ((rao_kupper, "-"), (davidson, "--")):
        for share, colour in zip(outcomes, (CHOSEN, REJECTED, NEUTRAL), strict=True):
            left.plot(gaps, share, style, color=colour)
    labels = ((3.4, 1.02, "first", CHOSEN), (-3.4, 1.02, "second", REJECTED), (-3.6, 0.24, "tie", NEUTRAL))
    for x, y, text, colour in labels:
        left.text(x, y, text, color=colour, ha="center")
    left.set(title="share of votes", xlabel="gap d", ylim=(0, 1.12))
    right.plot(gaps, decided[0], color=THEORY, label="Rao and Kupper")
    right.plot(gaps, decided[1], "--", color=THEORY, label="Davidson")
    right.set(title="log-odds without ties", xlabel="gap d")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=2)  # for both panels
    return figure
