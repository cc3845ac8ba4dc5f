"""Figures of notebook 05: one token's attention worked out in numbers, and the plan of a block."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from rmlib.practice.style import CHOSEN, FAINT, LIT_EDGE, LIT_FILL, MODEL, NEUTRAL, THEORY, arrow, blank_figure, styled

COLUMNS = {"key k": 2.6, "q · k / √D": 4.3, "share": 6.35, "value v": 8.7}


@styled
def one_token_looks(words: Sequence[str], query: np.ndarray, keys: np.ndarray, values: np.ndarray,
                    scores: np.ndarray, shares: np.ndarray) -> Figure:
    """A table of one token's attention: a row for each word with its key, score, share (bar) and value, and below
    them what the token takes in. query (D,), keys and values (T, D), scores and shares (T,)."""
    height = 0.5 * len(words) + 1.5
    figure, axes = blank_figure(height)
    for name, x in COLUMNS.items():
        axes.text(x, height - 0.3, name, ha="center", va="center", color=NEUTRAL)
    axes.text(0.2, height - 0.3, f"q = {_vector(query)}", va="center", color=MODEL, fontweight="bold")
    for row, word in enumerate(words):
        y = height - 0.85 - 0.5 * row
        axes.text(0.2, y, word, va="center", fontweight="bold")
        axes.text(COLUMNS["key k"], y, _vector(keys[row]), ha="center", va="center")
        axes.text(COLUMNS["q · k / √D"], y, f"{scores[row]:.2f}", ha="center", va="center")
        axes.add_patch(Rectangle((5.3, y - 0.16), 1.5 * shares[row], 0.32, facecolor=CHOSEN, alpha=0.8, linewidth=0))
        axes.text(5.3 + 1.5 * shares[row] + 0.08, y, f"{shares[row]:.2f}", va="center")
        axes.text(COLUMNS["value v"], y, _vector(values[row]), ha="center", va="center")
    axes.axhline(0.62, 0.02, 0.98, color=FAINT, linewidth=1.4)
    axes.text(0.2, 0.32, "values, mixed in these shares: what the token takes in", va="center", color=NEUTRAL)
    axes.text(COLUMNS["value v"], 0.32, _vector(shares @ values, 2), ha="center", va="center", color=MODEL,
              fontweight="bold")
    return figure


def _vector(numbers: np.ndarray, digits: int = 0) -> str:
    return "(" + ", ".join(f"{number:.{digits}f}" for number in numbers) + ")"


@styled
def one_block() -> Figure:
    """The plan of a post-LN block, from left to right, with the two ways around."""
    figure, axes = blank_figure(2.3)
    axes.text(0.3, 0.75, "z", ha="center", va="center", fontweight="bold")
    axes.text(9.72, 0.75, "z", ha="center", va="center", fontweight="bold")
    for left, name in ((1.2, "attention"), (5.7, "feed-\nforward")):
        _box(axes, left, 1.4, name, lit=True)
        arrow(axes, (left - 0.75 if left < 2 else left - 0.92, 0.75), (left, 0.75))
        arrow(axes, (left + 1.4, 0.75), (left + 1.85, 0.75))
        axes.text(left + 2.05, 0.75, "+", ha="center", va="center", fontsize=24, color=MODEL, fontweight="bold")
        arrow(axes, (left + 2.25, 0.75), (left + 2.65, 0.75))
        _box(axes, left + 2.65, 0.9, "norm")
        start = left - 0.4 if left < 2 else left - 0.25
        axes.plot([start, start, left + 2.05], [0.75, 1.75, 1.75], color=MODEL, linewidth=2)
        arrow(axes, (left + 2.05, 1.77), (left + 2.05, 0.95), MODEL, 2)
        axes.text(left + 0.8, 2.0, "what was there", ha="center", va="center", color=MODEL)
    arrow(axes, (9.25, 0.75), (9.6, 0.75))
    return figure


def _box(axes: Axes, left: float, width: float, name: str, lit: bool = False) -> None:
    axes.add_patch(FancyBboxPatch((left, 0.35), width, 0.8, boxstyle="round,pad=0,rounding_size=0.1",
                                  facecolor=LIT_FILL if lit else "white", edgecolor=LIT_EDGE if lit else FAINT,
                                  linewidth=1.6))
    axes.text(left + width / 2, 0.75, name, ha="center", va="center", color=THEORY)
