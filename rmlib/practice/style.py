"""The one style of all figures: colours named by what they stand for, readable type, pictures that describe themselves.

Colours come from Okabe and Ito's palette for colour-blind readers (Okabe and Ito, 2008, "Color Universal Design").
Figures are matplotlib.figure.Figure objects: no pyplot, so nothing is kept alive behind the notebook's back.
"""

import html
import io
from pathlib import Path

import matplotlib
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
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

FIGURE_STYLE = matplotlib.rc_params_from_file(Path(__file__).parents[1] / "assets/figures.mplstyle",
                                              use_default_template=False)
styled = matplotlib.rc_context(FIGURE_STYLE)


def canvas(columns: int = 1, height: float = 4.0) -> tuple[Figure, list[Axes]]:
    """An empty figure, WIDTH inches by `height`, with `columns` axes side by side; draw on it under @styled."""
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def blank_figure(height: float) -> tuple[Figure, Axes]:
    """A figure of WIDTH by `height` inches to draw on freely, by the inch and without axes; draw under @styled."""
    figure = Figure(figsize=(WIDTH, height), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = NEUTRAL, width: float = 1.8,
          gap: float = 0) -> None:
    """An arrow between two points; `gap`: points that are left free at either end."""
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": width, "shrinkA": gap,
                                              "shrinkB": gap})


@styled
def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG of 256 colours, a third of the bytes; with no date inside, so it can be reproduced."""
    drawn, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI * PIXELS_PER_DOT)
    picture = Image.open(drawn).convert("RGB")
    picture.quantize(256, method=Image.Quantize.MAXCOVERAGE).save(packed, format="PNG", optimize=True)
    return packed.getvalue()


def described(alt: str) -> str:
    """`alt` on one line. Raises ValueError if it is missing or too short to describe anything."""
    alt = " ".join(alt.split())
    if len(alt) < SHORTEST_DESCRIPTION:
        raise ValueError(
            f"a figure needs alt: a sentence of at least {SHORTEST_DESCRIPTION} characters that says what is to be "
            f"seen in it, got {alt!r}"
        )
    return alt


def show(figure: Figure, alt: str, numbers: str = "", style: str = "") -> None:
    """Put the figure on the page as PNG, and under it `alt`, the sentence that says what is to be seen in it.

    `alt` is also kept as the picture's alternative text, which the pages of `make html`, the decks of `make slides` and
    the menu of `make lab` (Save and Export Notebook As) carry; JupyterLab itself and nbconvert's own templates leave it
    out. `numbers`, if any, are one more line; `style` is a <style> element that comes with them.
    Raises ValueError if `alt` is missing or too short to describe anything.
    """
    alt = described(alt)
    width = round(figure.get_figwidth() * DPI)
    picture = {"image/png": png_bytes(figure), "text/plain": alt}
    display(picture, raw=True, metadata={"image/png": {"alt": alt, "width": width}})
    below = f"<p>{html.escape(numbers)}</p>" if numbers else ""
    display({"text/html": f"{style}<p><em>{html.escape(alt)}</em></p>{below}"}, raw=True)
