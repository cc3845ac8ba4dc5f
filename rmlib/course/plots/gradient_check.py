"""Figures of notebook 03; `methods` serves the side page on floating point, too."""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator

from rmlib.gradients import DirectionalCheck
from rmlib.practice.style import CHOSEN, FAINT, LIT_EDGE, MODEL, NEUTRAL, REJECTED, THEORY, arrow, canvas, styled

FLOOR = 1e-20  # where a logarithmic axis puts a zero


@styled
def two_trainings(first: Sequence[float], second: Sequence[float]) -> Figure:
    """Two panels, A and B, of a training loss by step, on one scale."""
    figure, panels = canvas(columns=2, height=3.4)
    for axes, losses, name in zip(panels, (first, second), "AB", strict=True):
        axes.axhline(np.log(2), color=THEORY, linestyle="--", linewidth=1.8)
        axes.plot(losses, color=MODEL)
        axes.text(len(losses) - 1, np.log(2) + 0.015, "log 2", ha="right")
        axes.set(title=f"training {name}", xlabel="step", ylim=(0.3, 0.78))
    panels[0].set_ylabel("loss")
    return figure


@styled
def secant(point: float, step: float, slope: float, steps: np.ndarray, errors: np.ndarray) -> Figure:
    """Left, the loss with its tangent at `point` and the secant from point - step to point + step; right, the errors
    of the secant's slope at `steps`, the last of which is `step`."""
    figure, (left, right) = canvas(columns=2)
    grid = np.linspace(-3.3, 5.3, 200)
    ends = np.array([point - step, point + step])
    heights = np.log1p(np.exp(-ends))
    chord = (heights[1] - heights[0]) / (2 * step)
    left.plot(grid, np.log1p(np.exp(-grid)), color=FAINT)
    left.plot(grid, np.log1p(np.exp(-point)) + slope * (grid - point), "--", color=THEORY, linewidth=1.8)
    left.plot(grid, heights.mean() + chord * (grid - point), color=MODEL)
    left.plot(ends, heights, "o", color=MODEL)
    left.set(title=f"secant (green) and tangent at Δ = {point:g}", xlabel="margin Δ", ylim=(-1.1, 3.4))
    right.loglog(steps, np.maximum(errors, 1e-13), "o", color=MODEL, markersize=6)
    right.loglog(steps[-1:], np.maximum(errors[-1:], 1e-13), "o", color=LIT_EDGE, markersize=11)
    right.set(title="error of the slope", xlabel="step h", xlim=(1e-16, 10), ylim=(3e-14, 10))
    decades(right.xaxis, right.yaxis)
    return figure


def decades(*logarithmic: Axis, every: int = 4) -> None:
    """Marks on logarithmic axes at every so many powers of ten."""
    for axis in logarithmic:
        low, high = np.log10(axis.get_view_interval())
        powers = np.arange(np.ceil(low / every) * every, high + 1e-9, every)
        axis.set_ticks(10.0**powers, [f"$10^{{{power:.0f}}}$" for power in powers])
        axis.set_minor_locator(NullLocator())


@styled
def u_curve(steps: np.ndarray, errors: np.ndarray, truncation: np.ndarray, rounding: np.ndarray, best: float) -> Figure:
    """Error against step on logarithmic axes, the two lines of the theory, and the step where they predict the best."""
    figure, [axes] = canvas(height=4.8)
    axes.axvline(best, color=LIT_EDGE, linewidth=8, alpha=0.35)
    axes.loglog(steps, truncation, "--", color=THEORY, linewidth=2)
    axes.loglog(steps, rounding, ":", color=THEORY, linewidth=2.4)
    axes.loglog(steps, np.maximum(errors, FLOOR), "o", color=MODEL, markersize=6)
    axes.set(xlabel="step h", ylabel="error of the slope", ylim=(1e-14, 3))
    axes.text(2e-3, 1e-10, "truncation\n$h^2\\,|L'''|\\,/\\,6$", ha="left", va="top")
    axes.text(3e-12, 3e-7, "rounding\n$\\mathrm{eps}\\,|L|\\,/\\,h$", ha="right", va="top")
    axes.annotate("predicted best step", (best, 0.3), xytext=(8, 0), textcoords="offset points", va="center")
    decades(axes.xaxis, axes.yaxis, every=2)
    return figure


@styled
def methods(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], quantity: str = "error of the slope") -> Figure:
    """Error against step for several methods, name -> (steps, errors); an error of zero is drawn below all others.
    `quantity` says what kind of error it is."""
    figure, [axes] = canvas(height=4.8)
    every = np.concatenate([errors for _, errors in curves.values()])
    floor = every[every > 0].min() / 10
    looks = [(REJECTED, "s"), (MODEL, "o"), (CHOSEN, "^"), (NEUTRAL, "D")]
    for (name, (steps, errors)), (colour, marker) in zip(curves.items(), looks, strict=False):
        axes.loglog(steps, np.maximum(errors, floor), marker, color=colour, markersize=6, label=name)
    axes.set(xlabel="step h", ylabel=quantity, ylim=(floor / 3, 3 * every.max()))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=4, columnspacing=1.2, handletextpad=0.2)
    decades(axes.xaxis, axes.yaxis)
    return figure


@styled
def backward_against_differences(backwards: Mapping[str, tuple[np.ndarray, np.ndarray]], pairs: int) -> Figure:
    """A panel for each backward, name -> (differences, its gradients), both (2 * pairs,), the chosen scores first."""
    figure, panels = canvas(columns=len(backwards), height=3.5)
    for axes, (name, (numeric, analytic)) in zip(panels, backwards.items(), strict=True):
        reach = 1.15 * np.abs(numeric).max()
        axes.plot(numeric[:pairs], analytic[:pairs], "o", color=CHOSEN, label="for a chosen score")
        axes.plot(numeric[pairs:], analytic[pairs:], "s", color=REJECTED, label="for a rejected score")
        axes.plot([-2 * reach, 2 * reach], [-2 * reach, 2 * reach], "--", color=THEORY, linewidth=1.6, zorder=0)
        axes.set(title=name, xlim=(-2 * reach, 2 * reach), ylim=(-2 * reach, 2 * reach), aspect="equal")
        mark = float(f"{reach:.1g}")
        axes.set_xticks([-mark, 0, mark], [f"−{mark:g}", "0", f"{mark:g}"])
        axes.set_yticks([-mark, 0, mark], [f"−{mark:g}", "0", f"{mark:g}"] if axes is panels[0] else [])
        axes.set_xlabel("difference")
    panels[0].set_ylabel("backward")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, handletextpad=0.2)
    return figure


@styled
def who_sees_what(bugs: Sequence[str], tests: Sequence[str], found: np.ndarray) -> Figure:
    """A grid with a row for each bug and a column for each test, filled where the test finds the bug."""
    figure, [axes] = canvas(height=0.62 * len(bugs) + 1.1)
    for row, column in np.ndindex(found.shape):
        seen = bool(found[row, column])
        colour = CHOSEN if seen else "white"
        axes.add_patch(Rectangle((column - 0.47, row - 0.43), 0.94, 0.86, facecolor=colour, edgecolor=FAINT))
        axes.text(column, row, "found" if seen else "passes", ha="center", va="center",
                  color="white" if seen else NEUTRAL, fontweight="bold" if seen else "normal")
    axes.set(xlim=(-0.5, len(tests) - 0.5), ylim=(len(bugs) - 0.5, -0.5))
    axes.set_xticks(range(len(tests)), tests)
    axes.set_yticks(range(len(bugs)), bugs)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    return figure


@styled
def head_step(features: np.ndarray, before: np.ndarray, after: np.ndarray) -> Figure:
    """A plane with the features of the chosen and the rejected response (2, 2), and the head's weights before and after
    a step down the gradient."""
    figure, [axes] = canvas(height=4.6)
    chosen, rejected = features
    arrow(axes, rejected, chosen, width=2, gap=8)
    arrow(axes, before, after, LIT_EDGE, width=3.5)
    places = ((chosen, CHOSEN, "$\\phi_c$", "o", (14, -6)), (rejected, REJECTED, "$\\phi_r$", "s", (-8, -28)),
              (before, MODEL, "$w$ before", "D", (-50, 16)), (after, MODEL, "$w$ after", "D", (-30, 16)))
    for point, colour, name, marker, offset in places:
        axes.plot(*point, marker, color=colour, markersize=11)
        axes.annotate(name, point, xytext=offset, textcoords="offset points", color=colour, fontsize=17)
    axes.plot(0, 0, "+", color=THEORY, markersize=14)
    axes.annotate("0", (0, 0), xytext=(10, -6), textcoords="offset points")
    axes.set(aspect="equal", xlabel="first feature", ylabel="second feature", xlim=(-2.2, 3.0), ylim=(-0.4, 1.7))
    return figure


def part(name: str) -> str:
    """The part of a model that a parameter belongs to: "embeddings", "layer 2", "head"."""
    layer = re.search(r"\blayer\.(\d+)\.", name)
    return f"layer {layer[1]}" if layer else next((p for p in ("embeddings", "head") if f"{p}." in name), "other")


@styled
def tensor_by_tensor(checks: Sequence[DirectionalCheck], atol: float, rtol: float) -> Figure:
    """For each parameter tensor the size of the slope, the check's error and the error that is tolerated, by layer; a
    zero is drawn on a line of its own, at the bottom."""
    figure, [axes] = canvas(height=4.8)
    position, start = np.arange(len(checks)), 0
    for name, members in groupby(checks, key=lambda row: part(row.name)):
        width = len(list(members))
        if start:
            axes.axvline(start - 0.5, color=FAINT, linewidth=1.4)
        axes.text(start + (width - 1) / 2, 30, "emb." if name == "embeddings" else name, ha="center", va="bottom")
        start += width
    tolerance = [atol + rtol * abs(row.numeric) for row in checks]
    axes.step(position, tolerance, where="mid", color=THEORY, linewidth=1.8, label="tolerance")
    for values, colour, marker, size, label in (([row.error for row in checks], REJECTED, "s", 8, "error"),
                                                ([abs(row.analytic) for row in checks], MODEL, "o", 6, "slope")):
        axes.semilogy(position, np.maximum(values, FLOOR), marker, color=colour, markersize=size, label=label)
    axes.set(xlabel="parameter tensor, from the words (left) to the head (right)", ylabel="absolute value",
             ylim=(FLOOR / 9, 20))
    axes.axhline(FLOOR, color=FAINT, linewidth=1.4, zorder=0)
    decades(axes.yaxis)
    axes.set_yticks(axes.get_yticks(), [label.get_text() if tick > FLOOR else "0" for tick, label in
                                        zip(axes.get_yticks(), axes.get_yticklabels())])
    axes.set_xticks([])
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1.0, 0.95), handletextpad=0.4)
    return figure


@styled
def not_convex(first: np.ndarray, second: np.ndarray) -> Figure:
    """Left, level lines of log(1 + exp(-ab)), darker where it is higher, with two points and their midpoint; right, the
    loss along the line between the two."""
    figure, (left, right) = canvas(columns=2, height=4.4)
    grid = np.linspace(-3, 3, 121)
    losses = np.log1p(np.exp(-np.outer(grid, grid)))
    levels = [0.02, 0.1, 0.3, np.log(2), 1.2, 2, 4, 6]
    left.imshow(losses, extent=(-3, 3, -3, 3), origin="lower", cmap="Greys", vmax=20, interpolation="bilinear")
    left.contour(grid, grid, losses, levels=levels, colors=NEUTRAL, linewidths=1.3)
    for level, name, a in ((0.02, "0.02", 1.4), (0.3, "0.3", 0.5), (np.log(2), "log 2", -2.2), (2, "2", 1.3),
                           (6, "6", 2.45), (2, "2", -1.3), (6, "6", -2.45)):
        left.text(a, -np.log(np.expm1(level)) / a, name, ha="center", va="center", fontsize=14,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
    left.plot(*np.stack([first, second]).T, "o-", color=MODEL, markersize=11)
    left.plot(*(first + second) / 2, "X", color=REJECTED, markersize=14)
    left.set(title="loss by the weights a and b", xlabel="a", ylabel="b", aspect="equal")
    share = np.linspace(0, 1, 101)
    along = np.log1p(np.exp(-np.prod(np.outer(1 - share, first) + np.outer(share, second), axis=1)))
    right.plot(share, along, color=MODEL)
    right.plot([0, 1], along[[0, -1]], "o--", color=THEORY, linewidth=1.8)
    right.plot(0.5, along[50], "X", color=REJECTED, markersize=14)
    right.set(title="loss along the line, and the chord", xlabel="share of the way", ylim=(0, 0.8))
    return figure
