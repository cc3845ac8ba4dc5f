"""Figures of notebook 05: what moves a reward, padding above all."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from rmlib.practice.style import CHOSEN, FAINT, MODEL, NEUTRAL, REJECTED, THEORY, canvas, styled

FLOOR = 1e-9  # where the logarithmic axis puts a zero
LOOKS = {"first token": (CHOSEN, "o"), "mean": (MODEL, "s"), "last token": (REJECTED, "^")}


@styled
def naive_pooling(pads: Sequence[str], turned: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """A panel for each side of the padding, side -> pooling -> share of pairs whose order turns, by the padding."""
    figure, panels = canvas(columns=len(turned), height=3.9)
    top = max(max(values) for by_pooling in turned.values() for values in by_pooling.values())
    for axes, (side, by_pooling) in zip(panels, turned.items(), strict=True):
        for name, values in by_pooling.items():
            colour, marker = LOOKS[name]
            axes.plot(range(len(pads)), values, marker=marker, color=colour, label=name, clip_on=False)
        axes.set(title=f"padding on the {side}", ylim=(0, 1.08 * top))
        axes.set_xticks(range(len(pads)), pads)
    panels[0].set_ylabel("share of pairs\nwhose order turns")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=3, handletextpad=0.4)
    return figure


@styled
def drift(pads: Sequence[int], by_default: np.ndarray, from_mask: np.ndarray) -> Figure:
    """Rewards of some pairs' responses (2, pairs, 1 + pads), chosen ones first: scored alone, without padding, and by
    columns of padding on the left; positions counted over all columns, and over the mask."""
    figure, panels = canvas(columns=2, height=3.9)
    names = "position = column", "position counted by the mask"
    alone = pads[0] - (pads[-1] - pads[0]) / 5  # where on the axis the unpadded response stands
    for axes, rewards, name in zip(panels, (by_default, from_mask), names, strict=True):
        for side, colour, label in zip(rewards, (CHOSEN, REJECTED), ("chosen", "rejected"), strict=True):
            axes.plot([alone, *pads], side.T, color=colour, marker="o", markersize=4, linewidth=2, alpha=0.85,
                      label=[label, *["_"] * (len(side) - 1)])
        ticks = pads[:: max(1, len(pads) // 4)]
        axes.set(title=name, xlabel="columns of padding added on the left")
        axes.set_xticks([alone, *ticks], ["alone", *map(str, ticks)])
    low, high = min(by_default.min(), from_mask.min()), max(by_default.max(), from_mask.max())
    for axes in panels:
        axes.set_ylim(low - 0.08 * (high - low), high + 0.08 * (high - low))
    panels[0].set_ylabel("reward")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, handletextpad=0.4)
    return figure


@styled
def what_moves_a_reward(changes: Mapping[str, np.ndarray], tolerance: float, harmless: int) -> Figure:
    """For each change, name -> how far each reward moved: a line from the median to the largest. The first `harmless`
    of them should stay below `tolerance`."""
    figure, [axes] = canvas(height=0.28 * len(changes) + 1.2)
    for row, moved in enumerate(changes.values()):
        moved = np.maximum(np.abs(moved), FLOOR)
        colour, marker = (CHOSEN, "o") if row < harmless else (REJECTED, "s")
        axes.plot([np.median(moved), moved.max()], [row, row], color=colour, alpha=0.5)
        axes.plot(moved.max(), row, marker, color=colour, markersize=10)
    axes.axvline(tolerance, color=THEORY, linestyle="--", linewidth=1.8)
    axes.axhline(harmless - 0.5, color=FAINT, linewidth=1.4)
    axes.set_xscale("log")
    axes.set(xlim=(FLOOR / 2, 20), ylim=(len(changes) - 0.4, -0.6),
             xlabel="rewards move by (line from the median move to the largest)")
    ticks = [FLOOR, 1e-7, 1e-5, 1e-3, 1e-1, 10]
    axes.set_xticks(ticks, ["0", *(f"$10^{{{np.log10(tick):.0f}}}$" for tick in ticks[1:])])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(range(len(changes)), changes)
    axes.tick_params(axis="y", length=0)
    axes.text(tolerance * 1.3, -0.45, "1e-5", va="center", color=NEUTRAL)
    return figure
