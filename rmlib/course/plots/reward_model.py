"""Figures of notebook 05: the way from text to reward, attention, the head, where the weights are."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from rmlib.practice.style import (
    CHOSEN,
    DPI,
    FAINT,
    LIT_EDGE,
    LIT_FILL,
    MODEL,
    NEUTRAL,
    REJECTED,
    THEORY,
    WIDTH,
    arrow,
    blank_figure,
    canvas,
    styled,
)

SHADES = "Blues"
PARTS = {"embeddings": REJECTED, "attention": CHOSEN, "feed-forward": MODEL, "layer norms": THEORY, "head": LIT_EDGE}


@styled
def the_way() -> Figure:
    """From text to reward: six cards, each with its shape below."""
    figure, axes = blank_figure(2.5)
    cards = [("text", ""), ("token ids", "(T,)"), ("embeddings", "(T, H)"), ("blocks", "(T, H)"), ("pooled", "(H,)"),
             ("reward", "one number")]
    for i, (name, shape) in enumerate(cards):
        left, pitch = 0.12 + i * 1.672, 1.672
        axes.add_patch(FancyBboxPatch((left, 0.95), 1.4, 1.4, boxstyle="round,pad=0,rounding_size=0.12",
                                      facecolor="white", edgecolor=FAINT, linewidth=1.6))
        axes.text(left + 0.7, 0.6, name, ha="center", fontweight="bold")
        axes.text(left + 0.7, 0.25, shape, ha="center", color=NEUTRAL)
        if i:
            arrow(axes, (left - pitch + 1.42, 1.65), (left - 0.02, 1.65))
        _PICTOGRAMS[i](axes, left + 0.7, 1.65)
    return figure


def _grid(axes: Axes, x: float, y: float, rows: int, lit: int | None = None) -> None:
    """`rows` vectors of seven numbers each, drawn as little squares around (x, y); one row may be lit."""
    shades = np.random.default_rng(3).uniform(0.15, 0.95, size=(rows, 7))
    for row, column in np.ndindex(rows, 7):
        corner = x + 0.15 * (column - 3.5), y + 0.22 * (rows / 2 - row - 1) + 0.03
        alpha = shades[row, column] * (1 if lit in (None, row) else 0.25)
        axes.add_patch(Rectangle(corner, 0.13, 0.16, facecolor=CHOSEN, alpha=alpha, linewidth=0))


def _blocks(axes: Axes, x: float, y: float) -> None:
    heights = y + 0.22 * (2.5 - np.arange(5)) - 0.11
    for source, target in ((1, 0), (4, 0), (2, 0), (0, 3), (4, 3)):
        axes.plot([x - 0.5, x + 0.5], [heights[source], heights[target]], color=LIT_EDGE, linewidth=2, alpha=0.9)
    for side in (-0.5, 0.5):
        axes.plot([x + side] * 5, heights, "o", color=CHOSEN, markersize=9)


def _pooled(axes: Axes, x: float, y: float) -> None:
    _grid(axes, x, y, 5, lit=0)
    axes.add_patch(Rectangle((x - 0.58, y + 0.31), 1.13, 0.25, facecolor="none", edgecolor=LIT_EDGE, linewidth=2.5))


_PICTOGRAMS = (
    lambda axes, x, y: axes.text(x, y, "France’s\ncapital?\nParis.", ha="center", va="center", fontsize=14),
    lambda axes, x, y: axes.text(x, y, "2   71\n28   9\n3", ha="center", va="center", fontsize=14),
    lambda axes, x, y: _grid(axes, x, y, 5),
    _blocks,
    _pooled,
    lambda axes, x, y: axes.text(x, y, "+1.6", ha="center", va="center", color=MODEL, fontsize=22, fontweight="bold"),
)


@styled
def rows_of_a_batch(rows: Sequence[Sequence[str]], mask: np.ndarray, positions: np.ndarray) -> Figure:
    """Rows of a batch, token by token: what is padding (mask 0) in grey, and below each token its position."""
    figure, [axes] = canvas(height=2.0 * len(rows) + 0.1)
    width = len(rows[0])
    for i, tokens in enumerate(rows):
        foot = -2.0 * i
        for t, token in enumerate(tokens):
            real = bool(mask[i, t])
            axes.add_patch(Rectangle((t - 0.46, foot), 0.92, 1.25, facecolor=LIT_FILL if real else "white",
                                     edgecolor=LIT_EDGE if real else FAINT, linewidth=1.6))
            axes.text(t, foot + 0.62, token, rotation=90, ha="center", va="center", color=THEORY if real else NEUTRAL)
            axes.text(t, foot - 0.27, str(positions[i, t]), ha="center", va="center",
                      color=THEORY if real else FAINT)
        axes.text(-0.75, foot + 0.62, f"row {i}", ha="right", va="center", fontweight="bold")
        axes.text(-0.75, foot - 0.27, "position", ha="right", va="center", color=NEUTRAL)
    axes.set(xlim=(-2.2, width - 0.4), ylim=(-2.0 * len(rows) + 1.45, 1.35))
    axes.set_axis_off()
    return figure


@styled
def attention(shares: np.ndarray, tokens: Sequence[str], title: str) -> Figure:
    """Shares (T, T) of one head: in row i, how token i divides its attention over the tokens."""
    figure, [axes] = canvas(height=5.1)
    image = axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1, aspect="auto")
    _token_axes(axes, tokens)
    axes.set(title=title, ylabel="who looks")
    axes.xaxis.set_label_position("bottom")
    axes.set_xlabel("at whom")
    figure.colorbar(image, ax=axes, label="share of attention", pad=0.02)
    return figure


def _token_axes(axes: Axes, tokens: Sequence[str], left: bool = True) -> None:
    axes.set_xticks(range(len(tokens)), tokens, rotation=90)
    axes.set_yticks(range(len(tokens)), tokens if left else [""] * len(tokens))
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(len(tokens) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(tokens) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)


@styled
def who_may_see_whom(tokens: Sequence[str], masks: Mapping[str, np.ndarray]) -> Figure:
    """A panel for each mask, name -> (T, T) bool: filled where the token of the row may see the one of the column."""
    figure, panels = canvas(columns=len(masks), height=4.6)
    for axes, (name, seen) in zip(panels, masks.items(), strict=True):
        shade = np.where(seen, 0.75, 0.06)
        axes.imshow(shade, cmap=SHADES, vmin=0, vmax=1, aspect="auto")
        _token_axes(axes, tokens, left=axes is panels[0])
        axes.set_title(name)
    panels[0].set_ylabel("who looks")
    return figure


@styled
def attention_and_effect(tokens: Sequence[str], shares: np.ndarray, effects: np.ndarray) -> Figure:
    """Above, the share of the first token's attention that each token gets; below, the change of the reward when that
    token is hidden. The first token itself is left out of both."""
    figure = Figure(figsize=(WIDTH, 5.4), dpi=DPI, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    place = np.arange(1, len(tokens))
    above.bar(place, shares[1:], color=CHOSEN)
    above.set(title="share of [CLS]’s attention in the last block", ylim=(0, None))
    below.bar(place, effects[1:], color=REJECTED)
    below.axhline(0, color=THEORY, linewidth=1.2)
    below.set_title("change of the reward when the token is hidden")
    below.set_xticks(place, tokens[1:], rotation=90)
    below.tick_params(axis="x", length=0)
    above.tick_params(axis="x", length=0)
    return figure


@styled
def first_loss(stds: np.ndarray, measured: np.ndarray, small: np.ndarray, large: np.ndarray,
               marked: Mapping[str, float]) -> Figure:
    """By how much a fresh head's mean loss exceeds log 2, by the head's std: measured, and as the theory has it for
    small margins and for large ones (drawn where it is positive). `marked` names some of the stds."""
    figure, [axes] = canvas(height=4.6)
    low, high = measured.min() / 3, 3 * measured.max()
    for height, (name, std) in zip((0.7, 0.2), marked.items(), strict=True):
        axes.axvline(std, color=LIT_EDGE, linewidth=7, alpha=0.35)
        axes.text(std * 0.88, high * height, name, va="center", ha="right")
    far = large > 0.5
    axes.loglog(stds, small, "--", color=THEORY, linewidth=2)
    axes.loglog(stds[far], large[far], ":", color=THEORY, linewidth=2.6)
    axes.loglog(stds, measured, "o", color=MODEL)
    axes.text(stds[3], 8 * small[3], "Var(Δ)/8", ha="right", va="center")
    axes.text(stds[-1], large[-1] / 8, "E|Δ|/2 − log 2", ha="right", va="top")
    axes.set(xlabel="std of the head’s first weights", ylabel="mean loss − log 2", ylim=(low, high))
    return figure


@styled
def where_the_weights_are(counts: Mapping[str, Mapping[str, int]]) -> Figure:
    """A bar for each model, name -> part -> number of weights, divided in the proportion of its parts."""
    figure, [axes] = canvas(height=0.95 * len(counts) + 1.3)
    for row, parts in enumerate(counts.values()):
        total, left = sum(parts.values()), 0.0
        for part, count in parts.items():
            share = count / total
            axes.barh(row, share, left=left, height=0.62, color=PARTS[part], label=part if row == 0 else None)
            if share > 0.06:
                axes.text(left + share / 2, row, f"{share:.0%}", ha="center", va="center", color="white",
                          fontweight="bold")
            left += share
        axes.text(1.01, row, f"{total / 1e6:.1f} M", va="center")
    axes.set(xlim=(0, 1.0), ylim=(len(counts) - 0.5, -0.5), xticks=[])
    axes.set_yticks(range(len(counts)), counts)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.legend(loc="outside upper center", ncols=len(PARTS), columnspacing=1.2, handlelength=1.0, handletextpad=0.4)
    return figure
