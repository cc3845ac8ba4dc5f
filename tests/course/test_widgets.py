"""explore: a picture that follows its sliders, a static one for readers without a kernel, and errors that are seen."""

import html
import importlib
import re
import sys

import ipywidgets
import matplotlib
import nbformat
import notebook_rules
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_output

from rmlib.course.widgets import explore, slider, view
from rmlib.practice import style
from tools.run_notebooks import WIDGET_VIEW, for_storage

widgets = importlib.import_module("rmlib.course.widgets.explore")  # of the same name as its function

ALT = "The curve rises from the lower left and flattens where the gap is wide & positive."
GAP = {"low": -2.0, "high": 2.0, "step": 0.1, "value": 1.0, "label": "gap between the strengths"}


@style.styled
def draw(gap: float, votes: int) -> tuple[Figure, str]:
    figure, (axes,) = style.canvas()
    axes.plot([-2, gap], [0, votes])
    return figure, f"gap {gap!r}, votes {votes!r} < 1000"


@pytest.fixture
def shown(monkeypatch) -> list[tuple[dict, dict]]:
    """What explore puts out: (data, metadata) of each output, in order."""
    outputs: list[tuple[dict, dict]] = []

    def keep(data: dict, raw: bool, metadata: dict | None = None) -> None:
        outputs.append((data, metadata or {}))

    monkeypatch.setattr(view, "display", keep)
    monkeypatch.setattr(style, "display", keep)
    return outputs


@pytest.fixture
def box(monkeypatch) -> list[ipywidgets.VBox]:
    """The live widgets that explore made."""
    made, live = [], widgets._live
    monkeypatch.setattr(widgets, "_live", lambda *given: made.append(live(*given)) or made[-1])
    return made


def an_explorer(draw=draw) -> None:
    explore(draw, ALT, gap=slider(**GAP), votes=slider(1, 9, 2, 3, label="votes"))


def picture(page: ipywidgets.HTML) -> str:
    return re.search(r'src="data:image/png;base64,([^"]+)"', page.value)[1]


def test_a_moved_slider_changes_the_picture_and_its_numbers(shown, box):
    an_explorer()
    gap, votes, page = box[0].children
    first = picture(page)
    assert "gap 1.0, votes 3 &lt; 1000" in page.value and html.escape(ALT) in page.value
    gap.value = 0.1 + 0.2
    assert "<p>gap 0.3, votes 3 &lt; 1000</p>" in page.value  # 0.3, not 0.30000000000000004
    second = picture(page)
    assert second != first
    assert html.escape(ALT) not in page.value  # the description was of the first positions
    votes.value = 9
    assert "<p>gap 0.3, votes 9 &lt; 1000</p>" in page.value and picture(page) not in (first, second)
    gap.value, votes.value = 1.0, 3
    assert picture(page) == first and html.escape(ALT) in page.value


def test_a_reader_without_a_kernel_has_picture_description_and_numbers(shown):
    an_explorer()
    (live, _), (static, metadata), (caption, _) = shown
    assert set(live) == {WIDGET_VIEW, "text/plain"}
    assert 'width="1000" height="400"' in view.image(draw(1.0, 3)[0], alt=ALT)  # as the figure, 10 by 4 inches
    assert static["image/png"].startswith(b"\x89PNG") and WIDGET_VIEW not in static
    assert metadata["image/png"] == {"alt": ALT, "width": 1000}
    assert html.escape(ALT) in caption["text/html"] and view.NO_DEAD_VIEW in caption["text/html"]
    assert "At gap between the strengths = 1.0, votes = 3: gap 1.0, votes 3 &lt; 1000" in caption["text/html"]


def test_the_view_is_made_without_what_only_ipywidgets_8_has(shown, box, monkeypatch):
    monkeypatch.delattr(ipywidgets.Widget, "_repr_mimebundle_")
    an_explorer()
    assert shown[0][0][WIDGET_VIEW] == {"version_major": 2, "version_minor": 0, "model_id": box[0].model_id}


def test_what_is_stored_has_no_view_and_obeys_the_rules(shown):
    an_explorer()
    outputs = [new_output("display_data", bundle | ({"image/png": "AAAA"} if "image/png" in bundle else {}),
                          metadata=metadata) for bundle, metadata in shown]
    notebook = nbformat.v4.new_notebook(cells=[new_code_cell("explore(...)", outputs=outputs)])
    stored = for_storage(notebook)
    assert [set(output.data) for output in stored.cells[0].outputs] == [{"image/png", "text/plain"}, {"text/html"}]
    for output in stored.cells[0].outputs:
        output.text = ""
    assert notebook_rules.described_pictures(stored) == notebook_rules.clean_outputs(stored) == []


def test_sliders_have_labels_and_follow_while_they_are_dragged(shown, box):
    an_explorer()
    gap, votes, _ = box[0].children
    assert isinstance(gap, ipywidgets.FloatSlider) and isinstance(votes, ipywidgets.IntSlider)
    assert (gap.description, gap.min, gap.max, gap.step, gap.value) == (GAP["label"], -2.0, 2.0, 0.1, 1.0)
    assert gap.readout_format == ".1f" and votes.readout_format == "d"
    assert gap.continuous_update and gap.readout
    assert gap.style.description_width == votes.style.description_width == f"{len(GAP['label']) + 1}ch"


def test_an_error_while_moving_is_shown_and_goes_away(shown, box):
    def fragile(gap, votes):
        if gap < 0:
            raise ArithmeticError("no <root>")
        return draw(gap, votes)

    an_explorer(fragile)
    gap, _, page = box[0].children
    gap.value = -1.0
    assert "<img" not in page.value
    assert "draw(gap=-1.0, votes=3) failed:\nArithmeticError: no &lt;root&gt;" in page.value
    gap.value = 1.0
    assert "failed" not in page.value and "<img" in page.value


def test_an_error_of_the_first_draw_stops_the_cell(shown):
    def broken(gap, votes):
        raise ArithmeticError("at once")

    with pytest.raises(ArithmeticError, match="at once"):
        an_explorer(broken)
    assert shown == []


@pytest.mark.parametrize(
    "result", [None, Figure(), (Figure(), ""), (Figure(), "a\nb"), ("text", Figure()), (Figure(), 1)]
)
def test_draw_must_return_a_figure_and_one_line(shown, result):
    with pytest.raises(ValueError, match="draw must return"):
        an_explorer(lambda gap, votes: result)
    assert shown == []


def test_the_arguments_of_explore(shown):
    with pytest.raises(ValueError, match="needs alt"):
        explore(draw, "a plot", gap=slider(**GAP), votes=slider(1, 9, 2, 3, label="votes"))
    with pytest.raises(ValueError, match="at least one slider"):
        explore(draw, ALT)
    with pytest.raises(ValueError, match="at least one slider"):
        explore(draw, ALT, gap=(0, 1), votes=slider(1, 9, 2, 3, label="votes"))
    with pytest.raises(ValueError, match="what the sliders are called, gap: .*votes"):
        explore(draw, ALT, gap=slider(**GAP))
    assert shown == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"label": " "}, "label"),
        ({"low": 2.0}, "low < high"),
        ({"step": 0.0}, "step > 0"),
        ({"value": 2.1}, "low <= value <= high"),
        ({"value": 1.05}, "1.05 is not reached"),
        ({"high": 2.05}, "2.05 is not reached"),
        ({"value": float("nan")}, "finite"),
        ({"step": True}, "finite"),
        ({"low": "0"}, "finite"),
    ],
)
def test_a_slider_that_cannot_be_is_refused(changed, told):
    with pytest.raises(ValueError, match=told):
        slider(**GAP | changed)


@pytest.mark.parametrize(
    ("low", "step", "position", "read"),
    [(-2.0, 0.1, 0.1 + 0.2, 0.3), (0.05, 0.5, 0.55, 0.55), (0.0, 1e-3, 0.0069999999, 0.007), (-16.0, 1.0, -3.0, -3.0)],
)
def test_positions_are_read_without_binary_dust(low, step, position, read):
    assert slider(low, low + 20 * step, step, low, label="h").read(position) == read


def test_whole_ends_do_not_make_a_slider_of_integers():
    halves = slider(0, 5, 0.5, 1.0, label="h")
    assert (halves.read(2.5), slider(0, 5, 1, 1, label="h").read(2.0)) == (2.5, 2)
    assert isinstance(widgets._control(halves, 1), ipywidgets.FloatSlider)


def test_no_figure_is_kept_behind_the_back(shown, box):
    an_explorer()
    box[0].children[0].value = 0.5
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []
    assert matplotlib.rcParams["font.size"] != style.FIGURE_STYLE["font.size"]  # the style did not leak
