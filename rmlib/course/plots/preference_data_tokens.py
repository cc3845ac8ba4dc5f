"""Figures of notebook 04 about tokens: a batch as coloured boxes, what a cut leaves, and what padding wastes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from rmlib.practice.style import CHOSEN, FAINT, LIT_EDGE, MODEL, NEUTRAL, REJECTED, WIDTH, canvas, styled

FILL = {"special": "#DDDDDD", "prompt": "#FFF3D6", "response": "#D6E9F5", "pad": "white"}
EDGE = {"special": NEUTRAL, "prompt": LIT_EDGE, "response": CHOSEN, "pad": FAINT}
LOST, PADS = "#EEEEEE", "#F0B890"
TYPE, SIDES = 14, 0.17  # size of type in points; white space in a box beside it, in inches


@styled
def token_boxes(rows: Sequence[Sequence[tuple[str, str]]], below: Mapping[str, Sequence[int]] | None = None) -> Figure:
    """A batch as a table of boxes: a row for each sequence, a box for each token, coloured by what it belongs to.

    rows: tokens as (text, kind), kind one of "special", "prompt", "response", "pad"; all rows of one length.
    below: further rows of numbers, such as the attention mask of the last sequence, by name.
    """
    below = below or {}
    widths = np.array([max(_inches(row[column][0]) for row in rows) + SIDES for column in range(len(rows[0]))])
    edges = np.concatenate([[0], np.cumsum(widths)])
    names = max([_inches(name) + 0.15 for name in below], default=0.05)
    figure, [axes] = canvas(height=0.5 * (len(rows) + len(below)) + 0.75)
    axes.set(xlim=(-names, max(edges[-1], WIDTH - names - 0.4)), ylim=(len(rows) + len(below) + 0.9, -0.2))
    axes.set_axis_off()
    for line, row in enumerate(rows):
        for column, (text, kind) in enumerate(row):
            _box(axes, edges[column], line, widths[column], text, kind)
    for line, (name, numbers) in enumerate(below.items(), start=len(rows)):
        axes.text(-names, line + 0.5, name, va="center", fontsize=TYPE)
        for column, number in enumerate(numbers):
            middle = edges[column] + widths[column] / 2
            axes.text(middle, line + 0.5, str(number), ha="center", va="center", fontsize=TYPE)
    for column, kind in enumerate(kind for kind in FILL if any(kind == each for row in rows for _, each in row)):
        left, line = 0.0 + 1.9 * column, len(rows) + len(below) + 0.25
        axes.add_patch(Rectangle((left, line), 0.3, 0.45, facecolor=FILL[kind], edgecolor=EDGE[kind], linewidth=1.6))
        axes.text(left + 0.4, line + 0.24, kind, va="center", fontsize=TYPE)
    return figure


def _inches(text: str) -> float:
    return TextPath((0, 0), text, size=TYPE).get_extents().width / 72 if text.strip() else 0.0


def _box(axes: Axes, left: float, line: int, width: float, text: str, kind: str) -> None:
    axes.add_patch(Rectangle((left + 0.02, line + 0.08), width - 0.04, 0.84, facecolor=FILL[kind],
                             edgecolor=EDGE[kind], linewidth=1.6))
    axes.text(left + width / 2, line + 0.5, text, ha="center", va="center", fontsize=TYPE,
              color=NEUTRAL if kind == "pad" else "black")


@dataclass(frozen=True)
class Kept:
    """What a cut keeps of prompt and response: of each the length, and from where to where it is kept, in tokens."""

    prompt: int
    prompt_kept: tuple[int, int]
    response: int
    response_kept: tuple[int, int]


@styled
def cuts(methods: Mapping[str, tuple[Kept, Kept]]) -> Figure:
    """For each way to cut a long pair two strips, chosen above rejected; only what is kept has colour."""
    figure, [axes] = canvas(height=1.3 + 0.95 * len(methods))
    for row, both in enumerate(methods.values()):
        for shift, colour, kept in ((0.0, CHOSEN, both[0]), (0.36, REJECTED, both[1])):
            line = row + shift
            axes.barh(line, kept.prompt + kept.response, height=0.3, color=LOST)
            for start, part, fill in ((0, kept.prompt_kept, LIT_EDGE), (kept.prompt, kept.response_kept, colour)):
                axes.barh(line, part[1] - part[0], left=start + part[0], height=0.3, color=fill)
            axes.plot([kept.prompt] * 2, [line - 0.15, line + 0.15], color="black", linewidth=1.6)
    axes.set(yticks=np.arange(len(methods)) + 0.18,
             xlabel="token of the whole text; the black mark is where the response begins")
    axes.set_yticklabels(methods)
    axes.invert_yaxis()
    for name, colour in (("prompt", LIT_EDGE), ("chosen", CHOSEN), ("rejected", REJECTED), ("lost", LOST)):
        axes.barh([0], [0], color=colour, label=name)
    axes.legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0))
    return figure


def padded(batches: Sequence[Sequence[int]]) -> float:
    """The share of pads among the tokens of some batches of sequences with these lengths."""
    full = sum(len(batch) * max(batch) for batch in batches)
    return 1 - sum(map(sum, batches)) / full


@styled
def padding(panels: Mapping[str, Sequence[Sequence[int]]]) -> Figure:
    """Batches as blocks: a line for each sequence, its tokens dark and its pads pale; a panel for each way to batch."""
    figure, panes = canvas(columns=len(panels), height=4.6)
    widest = max(max(batch) for batches in panels.values() for batch in batches)
    colours = ListedColormap(["white", MODEL, PADS])
    for axes, (name, batches) in zip(panes, panels.items(), strict=True):
        lines = _lines(batches, widest, between=3 if len(batches) > 1 else 0)
        axes.imshow(lines, aspect="auto", interpolation="nearest", cmap=colours, vmin=0, vmax=2)
        axes.set(title=f"{name}: {padded(batches):.0%} pads", xlabel="tokens", yticks=[])
    return figure


def _lines(batches: Sequence[Sequence[int]], widest: int, between: int) -> np.ndarray:
    """A picture of the batches, int (lines, widest): 1 for a token, 2 for a pad; `between` lines of 0 after each."""
    place = np.arange(widest)
    blocks = []
    for batch in batches:
        lengths = np.array(batch)[:, None]
        block = np.where(place < lengths, 1, np.where(place < lengths.max(), 2, 0))
        blocks += [np.repeat(block, 4, axis=0), np.zeros((between, widest), dtype=int)]
    return np.concatenate(blocks)
