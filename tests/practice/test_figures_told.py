"""How the figures of an evaluation look: colours, lines, places and words, as they were once seen to be right."""

from collections import Counter

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from told import hold

from rmlib.practice import figures
from rmlib.practice.style import arrow, blank_figure, canvas, styled

MARGINS = np.array([-1.5, -0.5, 0.0, 0.25, 0.5, 1.0, 1.0, 2.0, 3.0, 3.0])


def rounded(points) -> list:
    return [[round(float(value), 3) + 0.0 for value in point] for point in points][:4]


def legend(found) -> str:
    if found is None:
        return "no legend"
    return f"legend {[text.get_text() for text in found.get_texts()]} at {found._loc} in {found._ncols}"


def looks(axes: Axes) -> list[str]:
    ends = rounded([axes.get_xlim(), axes.get_ylim()])
    told = [f"axes {axes.get_title(loc='left')!r} {axes.get_xlabel()!r} {ends} {legend(axes.get_legend())}"]
    for line in axes.lines:
        told.append(" ".join(map(str, (
            "line", line.get_label() if not line.get_label().startswith("_") else "", to_hex(line.get_color()),
            line.get_linestyle(), line.get_linewidth(), line.get_marker(), line.get_markersize(), line.get_alpha(),
            line.get_markeredgewidth(), line.get_zorder(), line.get_solid_capstyle(), rounded(line.get_xydata())))))
    bars = Counter((*map(to_hex, (bar.get_facecolor(), bar.get_edgecolor())), bar.get_linewidth())
                   for bar in axes.patches)
    told += [f"{count} bars {kind}" for kind, count in bars.items()]
    told += [f"bar {rounded([(bar.get_x(), bar.get_width(), bar.get_height())])}" for bar in axes.patches
             if bar.get_height()]
    for text in axes.texts:
        box = text.get_bbox_patch()
        told.append(" ".join(map(str, (
            "text", text.get_text(), rounded([text.get_position()]), to_hex(text.get_color()), text.get_fontsize(),
            text.get_fontfamily(), text.get_verticalalignment(),
            box and to_hex(box.get_facecolor(), keep_alpha=True)))))
    return told


def whole(figure: Figure) -> str:
    size = " x ".join(f"{inches:.2f}" for inches in figure.get_size_inches())
    parts = [line for axes in figure.axes for line in looks(axes)]
    return "\n".join([f"figure {size} at {figure.dpi:.0f}", *parts, *map(legend, figure.legends)])


def test_figures_look_as_they_did():
    slices = [("capitals", 1200, 0.8, 0.7, 0.9), ("books", 30, 0.6, 0.4, 0.8)]
    words = [("Paris.", -2.0), ("The", 0.0), ("radio", 1.0)]
    drawn = {
        "reliability": figures.reliability_figure(MARGINS), "margins": figures.margins_figure(MARGINS, 8),
        "no ties": figures.margins_figure(np.array([1.0, 2.0]), 5), "ties": figures.margins_figure(np.zeros(2), 4),
        "gold": figures.learned_against_gold(MARGINS, MARGINS / 2, 0.5),
        "much gold": figures.learned_against_gold(np.tile(MARGINS, 101), np.tile(MARGINS, 101), 1.0),
        "slices": figures.slices_figure(slices, 0.75), "no whole": figures.slices_figure(slices),
        "words": figures.occlusion_figure([("prompt", ()), ("one", words)]), "no words": figures.occlusion_figure([]),
    }
    hold("figures", "\n".join(f"# {name}\n{whole(figure)}" for name, figure in drawn.items()))


def test_lines_are_broken_where_they_are_full():
    full = [("a" * 35, 1.0), ("b" * 36, 2.0), ("c", 3.0)]
    assert figures._broken(full) == [[(0, "a" * 35, 1.0), (36, "b" * 36, 2.0)], [(0, "c", 3.0)]]
    assert figures._broken([("a" * 36, 1.0), ("b" * 36, 2.0)]) == [[(0, "a" * 36, 1.0)], [(0, "b" * 36, 2.0)]]
    assert figures._broken([("a" * 80, 1.0)]) == [[(0, "a" * 80, 1.0)]]


@styled
def test_canvas_blank_figure_and_arrow():
    wide, [left, right] = canvas(2, 3.5)
    assert wide.get_size_inches().tolist() == [10, 3.5] and wide.dpi == 100 and left.get_position().x0 < 0.5
    figure, axes = blank_figure(2.0)
    assert (axes.get_xlim(), axes.get_ylim(), axes.axison) == ((0, 10), (0, 2), False)
    assert figure.get_size_inches().tolist() == [10, 2] and axes.get_position().bounds == (0, 0, 1, 1)
    arrow(axes, (1, 2), (3, 4), gap=5)
    [drawn] = axes.texts
    assert (drawn.xy, drawn.xyann) == ((3, 4), (1, 2)) and drawn.arrowprops == {
        "arrowstyle": "-|>", "color": "#666666", "linewidth": 1.8, "shrinkA": 5, "shrinkB": 5}


@pytest.mark.parametrize("dots, alpha", [(1000, 1), (1001, 0.35)])
def test_more_dots_than_a_thousand_are_seen_through(dots, alpha):
    [axes] = figures.learned_against_gold(np.arange(dots), np.arange(dots), 1.0).axes
    assert axes.lines[0].get_alpha() == alpha
