"""Widgets and the live view at their edges: exact tags, whole messages, the moments at which something is drawn."""

import base64
import html
import importlib
import io

import ipywidgets
import pytest
from matplotlib.figure import Figure
from PIL import Image

from rmlib.course import live as module
from rmlib.course.live import live, progress
from rmlib.course.questions import Question
from rmlib.course.widgets import labelling, slider, view
from rmlib.pairs import PreferencePair
from rmlib.practice import style

widgets = importlib.import_module("rmlib.course.widgets.explore")
ALT = "A line rises from the lower left to the upper right, without a bend."


def figure(width: float = 10, height: float = 4.204) -> Figure:
    return Figure(figsize=(width, height), dpi=100)


@pytest.fixture
def shown(monkeypatch) -> list[dict]:
    outputs: list[dict] = []
    monkeypatch.setattr(view, "display", lambda data, raw: outputs.append(data))
    return outputs


# --- what stands on the page ---------------------------------------------------------------------------------------

def test_a_picture_has_its_own_size_its_words_and_what_is_to_run():
    for onload, then in (("", ""), ('say("a & b")', 'onload="say(&quot;a &amp; b&quot;)" ')):
        whole = view.image(figure(), 'A "b" < c.', onload)
        data = whole.partition("base64,")[2].removesuffix('">')
        assert whole == (f'<img width="1000" height="420" style="max-width: 100%; height: auto" decoding="sync" '
                         f'alt="A &quot;b&quot; &lt; c." {then}src="data:image/png;base64,{data}">')
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (1000, 420)


def test_a_live_widget_is_shown_by_its_id_beside_the_words(shown):
    box = ipywidgets.HTML()
    view.show_live(box, otherwise="words")
    assert shown == [{"application/vnd.jupyter.widget-view+json": {
        "version_major": 2, "version_minor": 0, "model_id": box.model_id}, "text/plain": "words"}]


def test_a_question_stands_on_the_page_as_it_is():
    question = Question(1, " Is 1 < 2?\n", "<Yes>", 'It "is".')
    cell = 'style="width: 50%; text-align: left; vertical-align: top; white-space: pre-wrap; font-size: 1.1em"'
    assert labelling._static(question, 7) == (
        "<p><strong>Question 1 of 7.</strong> Which response is better?</p>\n"
        f'<table><thead><tr><th colspan="2" {cell}>Is 1 &lt; 2?</th></tr></thead>\n'
        f"<tbody><tr><th {cell}>A</th><th {cell}>B</th></tr>\n"
        f"<tr><td {cell}>&lt;Yes&gt;</td><td {cell}>It &quot;is&quot;.</td></tr></tbody></table>\n"
        "<p><em>Run this cell in Jupyter to choose: A, B, tie or skip.</em></p>")
    assert labelling._plain(question, 7) == 'Question 1 of 7: Is 1 < 2?\nA: <Yes>\nB: It "is".'
    assert labelling.NAMES == {"A": "A is better", "B": "B is better", "tie": "tie", "skip": "skip"}
    assert labelling.MISSING == (
        "To label here: %pip install anywidget, restart the kernel, reload the page, and run the cells again.")


# --- sliders -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("given, told", [
    ((0, 1, 0.5, 0, ""), "a slider needs a label that says what it moves, got ''"),
    ((0, 1, 0.5, 0, 3), "a slider needs a label that says what it moves, got 3"),
    ((0, float("inf"), 1, 0, "h"),
     "slider 'h': low, high, step and value must be finite numbers, got (0, inf, 1, 0)"),
    ((0, 1, 0.5, 1.5, "h"), "slider 'h': need low < high, step > 0, low <= value <= high, got (0, 1, 0.5, 1.5)"),
    ((0, 1, 0.5, -0.5, "h"), "slider 'h': need low < high, step > 0, low <= value <= high, got (0, 1, 0.5, -0.5)"),
    ((1, 1, 1, 1, "h"), "slider 'h': need low < high, step > 0, low <= value <= high, got (1, 1, 1, 1)"),
    ((0, 1, 0.4, 0.4, "h"), "slider 'h': 1 is not reached from 0 in whole steps of 0.4"),
    ((1.0, 2.0, 0.5, 1.000001, "h"), "slider 'h': 1.000001 is not reached from 1.0 in whole steps of 0.5"),
])
def test_a_slider_is_refused_word_for_word(given, told):
    with pytest.raises(ValueError) as refused:
        slider(*given)
    assert str(refused.value) == told


def test_a_slider_may_start_at_either_end_and_dust_is_forgiven():
    assert slider(0, 1, 0.5, 0, " h ").label == "h" and slider(0, 1, 0.5, 1, "h").value == 1
    assert slider(1.0, 2.0, 0.5, 1.0 + 4e-7, "h") and slider(1.0, 2.0, 0.5, 2.0 - 4e-7, "h")
    assert [slider(*each, "h").decimals for each in ((0, 1, 1, 0), (0.05, 1.05, 0.5, 0.05), (0, 40.0, 20.0, 0),
                                                     (0.0, 1.0, 1e-3, 0.0))] == [0, 2, 0, 3]
    assert slider(0, 4, 2, 0, "h").whole and not any(
        slider(*each, "h").whole for each in ((0.0, 4, 2, 0), (0, 4.0, 2, 0), (0, 4, 2.0, 0), (0, 4, 2, 0.0)))
    assert slider(0.0, 1.0, 0.25, 0.0, "h").read(0.7512) == 0.75


def test_a_control_is_made_from_its_slider():
    control = widgets._control(slider(-1.0, 1.0, 0.25, 0.5, "gap d"), 9)
    assert (control.min, control.max, control.step, control.value) == (-1.0, 1.0, 0.25, 0.5)
    assert (control.description, control.readout_format, control.continuous_update) == ("gap d", ".2f", True)
    assert (control.style.description_width, control.style.handle_color) == ("10ch", "#2A7CC0")
    assert (control.layout.width, control.layout.max_width) == ("auto", "900px")


@pytest.fixture
def page(shown, monkeypatch) -> list[dict]:
    """What `explore` hands to `show`."""
    given: list[dict] = []
    monkeypatch.setattr(widgets, "show", lambda _, alt, **more: given.append({"alt": alt} | more))
    return given


def draw(gap: float, votes: int) -> tuple[Figure, str]:
    return figure(), f" {gap!r} & {votes!r} "


def test_what_explore_shows_word_for_word(shown, page):
    widgets.explore(draw, f" {ALT}\n", gap=slider(-2.0, 2.0, 0.25, 1.0, "gap d"), votes=slider(1, 9, 2, 3, "votes"))
    [live_one], [static] = shown, page
    assert live_one["text/plain"] == (
        "Run this cell in Jupyter to move: gap d from -2.0 to 2.0; votes from 1 to 9.")
    assert static["alt"] == ALT and static["style"] == view.NO_DEAD_VIEW
    assert static["numbers"] == "At gap d = 1.00, votes = 3: 1.0 & 3"


def test_the_live_page_has_its_style_its_picture_and_its_numbers(shown, page):
    box = widgets._live(draw, ALT, {"gap": slider(-2.0, 2.0, 0.25, 1.0, "gap"), "votes": slider(1, 9, 2, 3, "votes")})
    gap, votes, live_page = box.children
    assert box._dom_classes == ("rmlib-explore",) and gap.style.description_width == "6ch"
    for alt, numbers, move in ((ALT, "1.0 & 3", None), ("1.0 & 5", "1.0 & 5", (votes, 5)), (ALT, "1.0 & 3", (votes, 3)),
                               ("-2.0 & 3", "-2.0 & 3", (gap, -2.0))):
        if move:
            move[0].value = move[1]
        picture = view.image(figure(), alt=alt, onload=widgets.NAME_HANDLES)
        assert live_page.value == f"{widgets.WIDGET_STYLE}{picture}<p>{html.escape(numbers)}</p>"


@pytest.mark.parametrize("call, told", [
    (lambda: widgets.explore(draw, ALT),
     "explore needs at least one slider, by name: gap=slider(-6, 6, 0.5, 0.0, label='gap')"),
    (lambda: widgets.explore(draw, ALT, gap=slider(0, 1, 1, 0, "g"), other=slider(0, 1, 1, 0, "o")),
     "draw must take what the sliders are called, gap, other: missing a required argument: 'votes'"),
    (lambda: widgets.explore(lambda gap: "x" * 300, ALT, gap=slider(0, 1, 1, 0, "g")),
     f"draw must return (Figure, one line of text with the numbers), got '{'x' * 199}"),
    (lambda: widgets.explore(lambda gap: (figure(), "a", "b"), ALT, gap=slider(0, 1, 1, 0, "g")), None),
    (lambda: widgets.explore(lambda gap: ("no figure", "a"), ALT, gap=slider(0, 1, 1, 0, "g")), None),
    (lambda: widgets.explore(lambda gap: (figure(), " \n"), ALT, gap=slider(0, 1, 1, 0, "g")), None),
    (lambda: widgets.explore(lambda gap: [figure(), "a"], ALT, gap=slider(0, 1, 1, 0, "g")), None),
])
def test_what_explore_refuses_word_for_word(shown, page, call, told):
    with pytest.raises(ValueError) as refused:
        call()
    assert str(refused.value) == told if told else str(refused.value).startswith("draw must return (Figure, one line")
    assert not shown and not page


# --- a training while it runs --------------------------------------------------------------------------------------

@pytest.mark.parametrize("step, seconds, here, left", [
    (1, 1.0, 1, "0:09"), (9, 59.4, 1, "0:59"), (9, 59.6, 1, "1:00"), (9, 3599.6, 1, "60:00"), (10, 5.0, 1, "0:00"),
    (5, 6.0, 3, "0:10"),
])
def test_the_time_left_is_rounded_to_seconds(step, seconds, here, left):
    told = progress({"step": step, "pairs_per_second": 1234.5}, 10, seconds, here)
    assert told == f"step {step} of 10, 1,234 pairs/s, {left} left"


def test_the_bar_moves_every_quarter_of_a_second_and_pictures_take_3_percent(monkeypatch, shown):
    now, boxes, drawn = [100.0], [], []
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(module, "VBox", lambda children: boxes.append(children) or ipywidgets.VBox(children))
    assert (module.SECONDS, module.DRAWING_SHARE) == (0.25, 0.03)

    def draw_it(history: list[dict]) -> Figure:
        drawn.append((now[0], [record["step"] for record in history]))
        now[0] += 0.0625  # so that 0.0625 / 0.03 = 2.08 seconds have to pass before the next one
        return figure()

    bars = []
    with live(40, draw_it) as on_step:
        bar, words, picture = boxes[0]
        assert (bar.max, bar.layout.width, bar.layout.max_width) == (40, "auto", "900px")
        assert (words.value, picture.value) == ("starting", "")
        assert shown[0]["text/plain"] == "While the cell runs, its progress shows here."
        for step, at in enumerate((0.0, 0.125, 0.25, 0.375, 0.875, 1.0, 2.0, 3.125, 3.25, 3.5), start=11):
            now[0] = 100.0 + at
            on_step({"step": step, "pairs_per_second": 8.0})
            bars.append(bar.value)
        assert words.value == ('<span style="font-size: 16px">step 20 of 40, 8 pairs/s, 0:07 left</span>')
        assert picture.value == view.image(figure(), alt="the training so far")
    assert bars == [11, 11, 13, 13, 15, 15, 17, 18, 18, 20]
    assert drawn == [(101.0, [11, 12, 13, 14, 15, 16]), (103.25, list(range(11, 20)))]


def test_a_training_without_steps_is_refused_and_one_step_will_do(shown):
    with live(1) as on_step:
        on_step({"step": 1, "pairs_per_second": 1.0})
    with pytest.raises(ValueError) as refused:
        live(0).__enter__()
    assert str(refused.value) == "a training has at least one step, got 0" and style.DPI == 100


def test_where_labelling_can_t_be_shown_the_page_says_what_to_do(shown, monkeypatch, tmp_path):
    monkeypatch.setattr(labelling, "display", lambda data, raw: None)
    labelling.label([PreferencePair("p", "a", "b")], tmp_path / "labels.jsonl")
    assert shown[0]["text/plain"] == "Run this cell in Jupyter to label these pairs."
