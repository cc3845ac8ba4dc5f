"""The course in one picture, which returns at the top of every notebook with the stage lit that it is about.

README's picture is drawn by
    python -c "from rmlib.course import plots; open('docs/pipeline.png', 'wb').write(plots.png_bytes(plots.pipeline()))"
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from rmlib.practice.style import CHOSEN, FAINT, LIT_EDGE, LIT_FILL, MODEL, REJECTED, WIDTH, arrow, blank_figure, styled

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


@styled
def pipeline(stage: str | None = None) -> Figure:
    """The course in one picture, from a prompt to what uses the reward model, with `stage` lit (None: no stage).

    Raises ValueError unless `stage` is one of STAGES or None.
    """
    _require_stage(stage)
    figure, axes = blank_figure(2.1)
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
        arrow(axes, (left - _PITCH + _CARD + 0.02, _ARROW_HEIGHT), (left - 0.02, _ARROW_HEIGHT))
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
