"""Figures of notebook 02 and its side page: the curve of the loss, where naive forms break, what variants change."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from rmlib.practice.style import CHOSEN, FAINT, LIT_EDGE, MODEL, NEUTRAL, REJECTED, THEORY, canvas, styled

_SERIES = (MODEL, REJECTED, CHOSEN, NEUTRAL)
_DASHES = ("-", "--", "-.", ":")
MARGIN = "margin Δ"


@styled
def curve(margins: np.ndarray, loss: np.ndarray) -> Figure:
    """The loss on a plain axis, beside the line −Δ, and on a logarithmic one, beside e^(−Δ)."""
    figure, (plain, logarithmic) = canvas(columns=2)
    for axes in (plain, logarithmic):
        axes.plot(margins, loss, color=MODEL)
        axes.set(xlabel=MARGIN, xlim=(margins.min(), margins.max()))
    plain.plot(margins, -margins, color=THEORY, linestyle="--", linewidth=1.8)
    plain.plot([0], [np.log(2)], "o", color=MODEL)
    plain.annotate("log 2", (0, np.log(2)), xytext=(8, 8), textcoords="offset points")
    plain.annotate("−Δ", (-4, 4), xytext=(-6, -26), textcoords="offset points", ha="right")
    plain.set(title="wrong side: a straight line", ylim=(-0.3, loss.max()))
    logarithmic.plot(margins, np.exp(-margins), color=THEORY, linestyle="--", linewidth=1.8)
    logarithmic.annotate("$e^{-Δ}$", (-2.4, np.exp(2.4)), xytext=(12, 0), textcoords="offset points")
    logarithmic.set(title="right side: an exponential", yscale="log", ylim=(loss.min() / 2, 4 * loss.max()))
    return figure


@styled
def one_pair(margin: float) -> Figure:
    """The loss with its tangent at one margin, and the probabilities that the model gives to both answers."""
    grid = np.linspace(-6, 6, 241)
    loss, wrong = np.logaddexp(0, -margin), 1 / (1 + np.exp(margin))
    figure, (left, right) = canvas(columns=2)
    left.plot(grid, np.logaddexp(0, -grid), color=MODEL)
    left.plot(grid, loss - wrong * (grid - margin), color=LIT_EDGE, linestyle="--")
    left.plot([margin], [loss], "o", color=LIT_EDGE, markersize=13)
    left.set(title="loss and its slope", xlabel=MARGIN, ylim=(-0.5, 6.5))
    right.bar(["choice made", "the other"], [1 - wrong, wrong], color=[CHOSEN, REJECTED], width=0.6)
    right.set(title="probability the model gives", ylim=(0, 1.05))
    return figure


@styled
def upper_bound(margins: np.ndarray, loss: np.ndarray, error: np.ndarray) -> Figure:
    """L, L / log 2 and the 0-1 loss over the margin; where L lies below the 0-1 loss is shaded."""
    figure, [axes] = canvas(height=4.4)
    axes.fill_between(margins, loss, error, where=loss < error, color=REJECTED, alpha=0.35, linewidth=0)
    axes.plot(margins, loss / np.log(2), color=MODEL, label="L / log 2")
    axes.plot(margins, loss, color=CHOSEN, linestyle="--", label="L")
    axes.step(margins, error, color=THEORY, where="mid", label="0-1 loss")
    axes.set(xlabel=MARGIN, xlim=(margins.min(), margins.max()), ylim=(-0.05, 3.2))
    axes.legend()
    return figure


@styled
def initial_loss(spreads: np.ndarray, means: np.ndarray, fresh: np.ndarray) -> Figure:
    """Mean loss by the spread of the margins: normal ones, log 2 + ω²/8, and fresh reward models at `fresh` (2, N);
    right, the corner of the small spreads, enlarged."""
    fine = np.linspace(0, spreads.max(), 400)
    figure, panels = canvas(columns=2, height=4.4)
    for axes in panels:
        axes.plot(fine, np.log(2) + fine**2 / 8, color=THEORY, linestyle="--", label="log 2 + ω²/8")
        axes.plot(spreads, means, "o", color=MODEL, label="normal margins")
        axes.plot(*fresh, "*", color=LIT_EDGE, markersize=16, label="fresh models")
        axes.axhline(np.log(2), color=FAINT, zorder=0)
        axes.set_xlabel("spread ω of the margins")
    panels[0].set_title("mean loss")
    panels[0].legend()
    panels[1].set(title="near log 2", xlim=(0, 0.3), ylim=(0.68, 0.71), xticks=[0, 0.1, 0.2, 0.3],
                  yticks=[0.68, 0.69, 0.70, 0.71])
    return figure


@styled
def disagreement(margins: np.ndarray, distances: Mapping[int, np.ndarray], limit: float) -> Figure:
    """How far softplus is from log-sigmoid, by threshold, on a logarithmic axis, with the limit that was promised.

    Distances of zero, which such an axis cannot show, are drawn at 1e-17.
    """
    figure, [axes] = canvas(height=4.4)
    for colour, (threshold, distance) in zip((REJECTED, MODEL), distances.items(), strict=True):
        axes.plot(margins, np.maximum(distance, 1e-17), color=colour, label=f"threshold {threshold}", linewidth=2)
    axes.axhline(limit, color=THEORY, linestyle="--", linewidth=1.8)
    axes.set(xlabel=MARGIN, ylabel="distance (0 is drawn at $10^{-17}$)", yscale="log", ylim=(5e-18, 1e-7))
    axes.legend(loc="upper right")
    return figure


@styled
def working_ranges(ranges: Mapping[str, tuple[float, float]]) -> Figure:
    """A bar for each form and format, from the margin where its loss becomes infinite to the one where it is lost."""
    figure, [axes] = canvas(height=0.55 * len(ranges) + 1.1)
    for row, (low, high) in enumerate(ranges.values()):
        axes.barh(row, high - low, left=low, color=CHOSEN if row % 2 else MODEL, height=0.62)
        axes.annotate(f"{low:.1f}".replace("-", "−"), (low, row), xytext=(-6, 0), textcoords="offset points",
                      ha="right", va="center")
        axes.annotate(f"{high:.1f}", (high, row), xytext=(6, 0), textcoords="offset points", va="center")
    axes.axvline(0, color=THEORY, linewidth=1.2)
    axes.set(xlabel=f"{MARGIN} (logarithmic away from 0)", xlim=(-6000, 300), yticks=range(len(ranges)))
    axes.set_xscale("symlog", linthresh=1, linscale=0.3)
    axes.set_xticks([-100, -10, 0, 10, 100], ["−100", "−10", "0", "10", "100"])
    axes.set_yticklabels(ranges)
    axes.invert_yaxis()
    return figure


@styled
def slopes(margins: np.ndarray, found: Mapping[str, np.ndarray]) -> Figure:
    """The slopes that autograd finds for each form; where it finds nan there are crosses, at a height of their own."""
    figure, [axes] = canvas(height=4.4)
    for row, (colour, dashes, (name, slope)) in enumerate(zip(_SERIES, _DASHES, found.items(), strict=False)):
        axes.plot(margins, slope, color=colour, linestyle=dashes, label=name, linewidth=(9, 3, 5, 2)[row],
                  alpha=0.45 if row == 0 else 1)
        lost, height = margins[np.isnan(slope)][::12], -0.1 * row - 0.5
        axes.plot(lost, np.full(lost.shape, height), "x", color=colour)
        if len(lost):
            axes.annotate("nan", (lost[-1], height), xytext=(12, -5), textcoords="offset points", color=colour)
    axes.set(xlabel=MARGIN, ylabel="slope dL/dΔ", ylim=(-1.15, 0.1))
    axes.legend(loc="center", bbox_to_anchor=(0.46, 0.5))
    return figure


@styled
def rounding(rewards: np.ndarray, rounded: np.ndarray, offset: float, found: Mapping[float, float],
             spread: float) -> Figure:
    """Rewards against what bfloat16 keeps of them near one offset, and the share of tied pairs by offset.

    spread: standard deviation ω of the rewards; the dashed line is δ / (2 ω √π), with δ the spacing of bfloat16.
    """
    figure, (left, right) = canvas(columns=2)
    left.plot(rewards, rewards, color=FAINT, linewidth=1.8)
    left.step(rewards, rounded, where="mid", color=MODEL)
    left.set(title=f"bfloat16 near {offset:g}", xlabel="reward", ylabel="what is kept")
    offsets = np.linspace(1, max(found), 500)
    spacing = 2.0 ** (np.floor(np.log2(offsets)) - 7)
    right.plot(offsets, 100 * spacing / (2 * spread * np.sqrt(np.pi)), color=THEORY, linestyle="--", linewidth=1.8)
    right.plot(list(found), [100 * share for share in found.values()], "o", color=MODEL, markersize=5)
    right.plot([offset], [100 * found[offset]], "o", color=LIT_EDGE, markersize=13)
    right.set(title="pairs that tie, %", xlabel="offset of all rewards", ylim=(0, None))
    return figure


@styled
def risk(gaps: np.ndarray, loss: np.ndarray, best: float, clean: np.ndarray, noisy: np.ndarray,
         here: float) -> Figure:
    """The risk by the gap, with its minimum, and the best gap with flips by the best gap without."""
    figure, (left, right) = canvas(columns=2)
    left.plot(gaps, loss, color=MODEL)
    left.plot([best], [np.interp(best, gaps, loss)], "o", color=LIT_EDGE, markersize=13)
    left.set(title="risk R", xlabel="gap d", ylim=(0, 2.5))
    right.plot(clean, clean, color=FAINT, linewidth=1.8)
    right.plot(clean, noisy, color=MODEL)
    right.plot([here], [best], "o", color=LIT_EDGE, markersize=13)
    right.set(title="where its minimum is", xlabel="best gap without flips", ylabel="with flips",
              xlim=(clean.min(), clean.max()), ylim=(clean.min(), clean.max()))
    return figure


@styled
def settling(steps: np.ndarray, paths: Mapping[str, np.ndarray], limits: Sequence[float | None]) -> Figure:
    """The margin of one pair in training, by step on a logarithmic axis, for several losses, and where each settles."""
    figure, [axes] = canvas(height=4.4)
    for colour, limit, (name, path) in zip(_SERIES, limits, paths.items(), strict=False):
        axes.plot(steps, path, color=colour, label=name)
        if limit is not None:
            axes.axhline(limit, color=THEORY, linestyle="--", linewidth=1.5)
    axes.set(xlabel="step", ylabel=MARGIN, xscale="log", ylim=(0, None))
    axes.legend()
    return figure


@styled
def centring(paths: Mapping[str, np.ndarray]) -> Figure:
    """Paths (steps, 2) of (rejected, chosen) scores in training, over the level lines of the loss, with its values."""
    figure, [axes] = canvas(height=5.4)
    grid = np.linspace(-3, 8, 100)
    rejected, chosen = np.meshgrid(grid, grid)
    levels = {"L = 0.05": 0.05, "0.15": 0.15, "0.4": 0.4, "log 2": np.log(2), "1.5": 1.5, "L = 3": 3.0}
    axes.contour(rejected, chosen, np.logaddexp(0, rejected - chosen), levels.values(), colors=FAINT, linewidths=1.6)
    for row, (name, level) in enumerate(levels.items()):
        margin, middle = -np.log(np.expm1(level)), 4.2 + 0.6 * (row % 2)  # L(margin) = level; neighbours don't touch
        axes.text(middle - margin / 2, middle + margin / 2, name, rotation=45, ha="center", va="center", color=NEUTRAL,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
    axes.plot(grid, -grid, color=THEORY, linestyle="--", linewidth=1.8)
    axes.annotate("sum 0", (2.6, -2.6), xytext=(6, 8), textcoords="offset points")
    for colour, dashes, (name, path) in zip((REJECTED, MODEL), _DASHES, paths.items(), strict=False):
        axes.plot(path[:, 0], path[:, 1], color=colour, label=name, linestyle=dashes)
        axes.plot(*path[0], "s", color=THEORY, markersize=9)
        axes.plot(*path[-1], "o", color=colour, markersize=11)
        axes.annotate("start", path[0], xytext=(9, -5), textcoords="offset points")
    axes.set(xlabel="score of the rejected response", ylabel="score of the chosen response",
             xlim=(-3, 7), ylim=(-3, 7), aspect="equal")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure
