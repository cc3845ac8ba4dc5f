"""The course's figures: one style, one palette, and a description that every reader can see.

Colours are named by what they stand for, and come from Okabe and Ito's palette for colour-blind readers
(Okabe and Ito, 2008, "Color Universal Design"). Figures are matplotlib.figure.Figure objects: no pyplot, so
nothing is kept alive behind the notebook's back.

README's picture is drawn by
    python -c "from rmlib.course import plots; open('docs/pipeline.png', 'wb').write(plots.png_bytes(plots.pipeline()))"
"""

import html
import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MaxNLocator
from PIL import Image

CHOSEN = "#0072B2"
REJECTED = "#D55E00"
MODEL = "#009E73"
THEORY = "#000000"
NEUTRAL = "#666666"
FAINT = "#C9C9C9"
LIT_EDGE = "#E69F00"
LIT_FILL = "#FFF3D6"

WIDTH = 10.0
DPI = 100
PIXELS_PER_DOT = 2  # drawn at twice the size it is shown at, so that type is sharp on fine screens and projectors
SHORTEST_DESCRIPTION = 30

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 15,
    "axes.titlesize": 16,
    "axes.labelsize": 15,
    "xtick.labelsize": 14,
    "ytick.labelsize": 14,
    "legend.fontsize": 14,
    "legend.frameon": False,
    "lines.linewidth": 2.8,
    "lines.markersize": 8,
    "axes.linewidth": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlepad": 12,
    "axes.titlelocation": "left",
    "figure.constrained_layout.w_pad": 0.15,
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.wspace": 0.05,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "mathtext.fontset": "dejavusans",
}
_styled = matplotlib.rc_context(STYLE)

STAGES = ("prompt", "responses", "choice", "pairs", "loss", "reward model", "use")
"""The stages of the pipeline picture, from left to right."""

_STAGE_LABELS = ("prompt", "two\nresponses", "a choice", "pairs", "loss", "reward\nmodel", "what\nuses it")
_STAGE_SENTENCES = {
    "prompt": "the prompt, a question about France’s capital",
    "responses": "the two responses, Paris and London",
    "choice": "the choice, where a person prefers Paris",
    "pairs": "the pairs, where every choice is kept as one chosen and one rejected response",
    "loss": "the loss, a curve that falls as the chosen response scores further above the rejected one",
    "reward model": "the reward model, which gives every response a number, here 1.6 to Paris and −0.9 to London",
    "use": "what uses it, here a bar for each of four responses, the best of them picked",
}


def _canvas(columns: int = 1, height: float = 4.0) -> tuple[Figure, list[Axes]]:
    """An empty figure, WIDTH inches by `height`, with `columns` axes side by side; draw on it under @_styled."""
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


@_styled
def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG of 256 colours, a third of the bytes; with no date inside, so it can be reproduced."""
    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI * PIXELS_PER_DOT)
    picture = Image.open(drawn).convert("RGB")
    picture.quantize(256, method=Image.Quantize.MAXCOVERAGE).save(packed, format="PNG", optimize=True)
    return packed.getvalue()


def show(figure: Figure, alt: str) -> None:
    """Put the figure on the page as PNG, and under it `alt`, the sentence that says what is to be seen in it.

    `alt` is kept as the picture's alternative text, for screen readers of exported pages, and printed as a line
    below it, since JupyterLab does not use alternative text.
    Raises ValueError if `alt` is missing or too short to describe anything.
    """
    alt = " ".join(alt.split())
    if len(alt) < SHORTEST_DESCRIPTION:
        raise ValueError(
            f"a figure needs alt: a sentence of at least {SHORTEST_DESCRIPTION} characters that says what is to be "
            f"seen in it, got {alt!r}"
        )
    width = round(figure.get_figwidth() * DPI)
    picture = {"image/png": png_bytes(figure), "text/plain": alt}
    display(picture, raw=True, metadata={"image/png": {"alt": alt, "width": width}})
    display({"text/html": f"<p><em>{html.escape(alt)}</em></p>"}, raw=True)


@_styled
def loss_and_scores(history: Sequence[tuple[float, float, float]]) -> Figure:
    """Two panels by epoch: the loss, with the line log 2 where it starts, and the two scores as they part.

    `history` has one row (loss, chosen score, rejected score) an epoch; the first row is epoch 1.
    Raises ValueError unless it is (epochs, 3) with at least one epoch.
    """
    table = np.asarray(history, dtype=float)
    if table.ndim != 2 or table.shape[1] != 3 or len(table) == 0:
        raise ValueError(f"need rows of (loss, chosen score, rejected score), got an array of shape {table.shape}")
    epochs = np.arange(1, len(table) + 1)
    figure, (left, right) = _canvas(columns=2)
    left.axhline(np.log(2), color=THEORY, linestyle="--", linewidth=1.8)
    left.plot(epochs, table[:, 0], "o-", color=MODEL)
    left.annotate("log 2 ≈ 0.693", (epochs[-1], np.log(2)), xytext=(0, 6), textcoords="offset points", ha="right")
    left.set(title="loss", xlabel="epoch", ylim=(0, 1.2 * max(np.log(2), table[:, 0].max())))
    for column, colour, marker, name in ((1, CHOSEN, "o", "chosen"), (2, REJECTED, "s", "rejected")):
        right.plot(epochs, table[:, column], marker=marker, color=colour)
        right.annotate(name, (epochs[-1], table[-1, column]), xytext=(10, 0), textcoords="offset points",
                       color=colour, va="center")
    right.set(title="scores", xlabel="epoch")
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


@_styled
def pipeline(stage: str | None = None) -> Figure:
    """The course in one picture, from a prompt to what uses the reward model, with `stage` lit (None: no stage).

    Raises ValueError unless `stage` is one of STAGES or None.
    """
    _require_stage(stage)
    figure = Figure(figsize=(WIDTH, 2.1), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, 2.1))
    axes.set_axis_off()
    for index, name in enumerate(STAGES):
        _draw_stage(axes, index, lit=name == stage)
    return figure


def pipeline_alt(stage: str | None = None) -> str:
    """One sentence that describes pipeline(stage), for show. Raises ValueError as pipeline does."""
    _require_stage(stage)
    row = "The pipeline from left to right: prompt, two responses, a choice, pairs, loss, reward model, what uses it"
    return f"{row}." if stage is None else f"{row}; lit is {_STAGE_SENTENCES[stage]}."


def _require_stage(stage: str | None) -> None:
    if stage is not None and stage not in STAGES:
        raise ValueError(f"unknown stage {stage!r}: choose one of {', '.join(STAGES)}, or None")


_CARD = 1.16
_PITCH = (WIDTH - 0.2 - _CARD) / (len(STAGES) - 1)
_CARD_FOOT = 0.82
_ARROW_HEIGHT = _CARD_FOOT + _CARD / 2


def _draw_stage(axes: Axes, index: int, lit: bool) -> None:
    left = 0.1 + index * _PITCH
    axes.add_patch(
        FancyBboxPatch(
            (left, _CARD_FOOT), _CARD, _CARD,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor=LIT_FILL if lit else "white",
            edgecolor=LIT_EDGE if lit else FAINT,
            linewidth=4 if lit else 1.6,
        )
    )
    centre = left + _CARD / 2
    for row, line in enumerate(_STAGE_LABELS[index].split("\n")):
        axes.text(centre, 0.48 - 0.25 * row, line, ha="center", va="baseline",
                  fontweight="bold" if lit else "normal", color="black" if lit else "#444444")
    if index:
        axes.annotate("", (left - 0.02, _ARROW_HEIGHT), (left - _PITCH + _CARD + 0.02, _ARROW_HEIGHT),
                      arrowprops={"arrowstyle": "-|>", "color": NEUTRAL, "linewidth": 1.8, "shrinkA": 0, "shrinkB": 0})
    _CONTENTS[STAGES[index]](axes, centre, _CARD_FOOT + _CARD / 2)


def _prompt(axes: Axes, x: float, y: float) -> None:
    axes.text(x, y, "France’s\ncapital?", ha="center", va="center", fontsize=14)


def _responses(axes: Axes, x: float, y: float) -> None:
    axes.text(x, y + 0.26, "Paris", ha="center", va="center", fontsize=14)
    axes.text(x, y - 0.26, "London", ha="center", va="center", fontsize=14)
    axes.plot([x - 0.38, x + 0.38], [y, y], color=FAINT, linewidth=1.6)


def _choice(axes: Axes, x: float, y: float) -> None:
    axes.text(x, y + 0.26, "Paris ✓", ha="center", va="center", fontsize=14, color=CHOSEN, fontweight="bold")
    axes.text(x, y - 0.26, "London", ha="center", va="center", fontsize=14, color=REJECTED)


def _pairs(axes: Axes, x: float, y: float) -> None:
    for row in range(3):
        height = y + 0.3 - 0.3 * row
        axes.plot([x - 0.4, x - 0.06], [height, height], color=CHOSEN, linewidth=9, solid_capstyle="butt")
        axes.plot([x + 0.06, x + 0.4], [height, height], color=REJECTED, linewidth=9, solid_capstyle="butt")


def _loss(axes: Axes, x: float, y: float) -> None:
    margins = np.linspace(-3, 3, 60)
    axes.plot(x + 0.13 * margins, y - 0.38 + 0.24 * np.log1p(np.exp(-margins)), color=MODEL)


def _reward_model(axes: Axes, x: float, y: float) -> None:
    axes.text(x, y + 0.26, "+1.6", ha="center", va="center", color=CHOSEN, fontweight="bold")
    axes.text(x, y - 0.26, "−0.9", ha="center", va="center", color=REJECTED)


def _use(axes: Axes, x: float, y: float) -> None:
    for position, reward in enumerate((0.3, 0.5, 0.78, 0.4)):
        best = reward == 0.78
        axes.plot([x - 0.33 + 0.22 * position] * 2, [y - 0.4, y - 0.4 + reward], solid_capstyle="butt",
                  color=CHOSEN if best else FAINT, linewidth=11)


_CONTENTS = {
    "prompt": _prompt,
    "responses": _responses,
    "choice": _choice,
    "pairs": _pairs,
    "loss": _loss,
    "reward model": _reward_model,
    "use": _use,
}
