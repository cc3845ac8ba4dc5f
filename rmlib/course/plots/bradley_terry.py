"""Figures of notebook 01. All take numpy arrays, or what numpy makes arrays of; K is the number of responses."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from rmlib.course.logistic import sigmoid
from rmlib.practice.style import CHOSEN, FAINT, MODEL, NEUTRAL, REJECTED, THEORY, canvas, styled


def _label(axes: Axes, x: float, y: float, text: str, colour: str = THEORY, **where) -> None:
    axes.annotate(text, (x, y), xytext=where.pop("shift", (0, 0)), textcoords="offset points", color=colour, **where)


@styled
def gap_and_votes(gap: float, votes: np.ndarray) -> Figure:
    """The sigmoid with a dot at `gap`, and the votes, bool (1000,), as squares: blue for the first response."""
    figure, (left, right) = canvas(columns=2)
    grid = np.linspace(-6, 6, 241)
    left.plot(grid, sigmoid(grid), color=THEORY)
    left.plot([gap, gap, -6], [0, sigmoid(gap), sigmoid(gap)], color=FAINT, linestyle="--")
    left.plot(gap, sigmoid(gap), "o", color=CHOSEN, markersize=14, clip_on=False, zorder=3)  # whole at 0 and at 1
    left.set(title="probability", xlabel="gap d", xlim=(-6, 6), ylim=(0, 1))
    squares = np.sort(~np.asarray(votes)).reshape(25, 40)
    right.pcolormesh(squares, cmap=ListedColormap([CHOSEN, REJECTED]), vmin=0, vmax=1, edgecolor="white", linewidth=1)
    right.set(title="a thousand votes", xticks=[], yticks=[], aspect="equal")
    right.invert_yaxis()
    right.spines[:].set_visible(False)
    return figure


@styled
def frequencies(gaps: np.ndarray, shares: np.ndarray, z_scores: np.ndarray) -> Figure:
    """Shares of votes on the sigmoid, and their distances from it in standard errors; all (G,)."""
    figure, (left, right) = canvas(columns=2)
    grid = np.linspace(gaps[0], gaps[-1], 200)
    left.plot(grid, sigmoid(grid), color=THEORY, label="σ(d)")
    left.plot(gaps, shares, "o", color=MODEL, label="Gumbel voters")
    left.set(title="share of the votes", xlabel="gap d", ylim=(0, 1))
    left.legend(loc="upper left")
    right.axhspan(-4, 4, color=FAINT, alpha=0.35, linewidth=0)
    right.axhline(0, color=THEORY, linewidth=1.2)
    right.vlines(gaps, 0, z_scores, color=MODEL, linewidth=2)
    right.plot(gaps, z_scores, "o", color=MODEL)
    right.set(title="distance in standard errors", xlabel="gap d", ylim=(-6, 6))
    return figure


@styled
def two_noises(gaps: np.ndarray, logistic: np.ndarray, normal: np.ndarray) -> Figure:
    """The weaker response's share under logistic and under scaled Gaussian noise: plain, and on a log axis; (G,)."""
    figure, panels = canvas(columns=2)
    for axes in panels:
        axes.plot(gaps, logistic, color=CHOSEN, label="logistic")
        axes.plot(gaps, normal, color=REJECTED, linestyle="--", label="Gaussian")
        axes.set(xlabel="gap d", xlim=(0, 8))
    panels[0].set(title="share of the weaker response", ylim=(0, 0.55))
    panels[0].legend()
    panels[1].set(title="the same, logarithmic", yscale="log")
    return figure


@styled
def convergence(ascent: np.ndarray, mm: np.ndarray) -> Figure:
    """Distance from the maximum after each step, for gradient ascent and for MM; (steps + 1,) each."""
    figure, (axes,) = canvas()
    for errors, colour, style, name in ((ascent, CHOSEN, "-", "gradient ascent"), (mm, REJECTED, "--", "MM")):
        shown = np.flatnonzero(errors > 1e-12)
        axes.plot(shown, errors[shown], color=colour, linestyle=style, label=name)
    axes.axhline(1e-6, color=NEUTRAL, linestyle=":", linewidth=1.8)
    _label(axes, 0, 1e-6, "a millionth", NEUTRAL, shift=(4, 6))
    axes.set(title="largest distance from the maximum", xlabel="steps", yscale="log", xlim=(0, None))
    axes.legend()
    return figure


@styled
def scores_against_truth(truth: np.ndarray, fitted: np.ndarray, bars: np.ndarray, names: Sequence[str]) -> Figure:
    """Fitted scores with bars against gold rewards; (K,) each, K names."""
    figure, (axes,) = canvas(height=4.6)
    ends = np.array([min(truth) - 0.7, max(truth) + 0.7])
    axes.plot(ends, ends, color=THEORY, linewidth=1.6)
    axes.errorbar(truth, fitted, yerr=bars, fmt="o", color=MODEL, capsize=6, elinewidth=2.4)
    for x, y, name in zip(truth, fitted, names, strict=True):
        _label(axes, x, y, name, shift=(12, -26), fontweight="bold")
    axes.set(title="fitted score, with two standard errors", xlabel="gold reward, mean zero", xlim=ends)
    return figure


@styled
def islands(wins: np.ndarray, apart: np.ndarray, joined: np.ndarray) -> Figure:
    """The comparison graph of six responses, and the eigenvalues without and with the bridge; (6, 6), (6,), (6,)."""
    figure, (left, right) = canvas(columns=2)
    places = np.array([[0.0, 1.0], [0.0, -1.0], [1.2, 0.0], [3.0, 0.0], [4.2, 1.0], [4.2, -1.0]])
    votes = wins + wins.T
    for i, j in zip(*np.nonzero(np.triu(votes)), strict=True):
        bridge = votes[i, j] < votes.max()
        left.plot(*places[[i, j]].T, color=REJECTED if bridge else NEUTRAL, linewidth=2 if bridge else 6, zorder=1)
        if bridge:
            _label(left, *places[[i, j]].mean(axis=0), f"{votes[i, j]:.0f} votes", REJECTED, shift=(0, 8), ha="center")
    left.scatter(*places.T, s=420, color=CHOSEN, zorder=2)
    left.set(title=f"{votes.max():.0f} votes on every thick line", xlim=(-0.5, 4.7), ylim=(-1.6, 1.6))
    left.set_axis_off()
    order = np.arange(1, 7)
    right.bar(order - 0.2, np.abs(apart), 0.38, color=FAINT, edgecolor=NEUTRAL, label="islands")
    right.bar(order + 0.2, np.abs(joined), 0.38, color=REJECTED, label="with the bridge")
    right.set(title="eigenvalues of the information", xlabel="smallest to largest", xticks=order,
              ylim=(0, 1.4 * joined.max()))
    right.legend(loc="upper left", ncols=2)
    return figure


@styled
def runaway(free: np.ndarray, held: np.ndarray) -> Figure:
    """The gaps of A over B and of B over C by steps of a climb; scores, (steps + 1, 3), without and with a prior."""
    figure, (axes,) = canvas()
    steps = np.arange(1, len(free))
    for path, style, told in ((free, "-", "votes alone"), (held, "--", "with a prior")):
        for column, (colour, pair) in enumerate(((CHOSEN, "A over B"), (REJECTED, "B over C"))):
            axes.plot(steps, (path[:, column] - path[:, column + 1])[1:], style, color=colour, label=f"{pair}, {told}")
    axes.set(title="gap", xlabel="steps of gradient ascent", xscale="log", xlim=(1, len(free)), ylim=(-1.5, None))
    axes.axhline(0, color=FAINT, linewidth=1.4, zorder=0)
    axes.legend(loc="upper left")
    return figure
