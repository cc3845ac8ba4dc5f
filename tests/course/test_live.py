"""The live view of a training: what it tells, how often it draws, and that nothing of it stays."""

import warnings

import pytest
from ipywidgets import Widget
from matplotlib.figure import Figure

from rmlib.course import live as module
from rmlib.course.live import live, progress
from rmlib.course.widgets import view


def record(step: int, speed: float = 250.0) -> dict:
    return {"step": step, "pairs_per_second": speed, "loss": 0.5}


@pytest.fixture
def shown(monkeypatch) -> list[dict]:
    """What is put on the page."""
    found: list[dict] = []
    monkeypatch.setattr(view, "display", lambda data, raw: found.append(data))
    return found


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the module believes to have passed; to be changed by the test."""
    now = [100.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    return now


def alive() -> set[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and nothing else tells
        return set(Widget.widgets)


def test_a_line_tells_step_speed_and_time_left():
    assert progress(record(30, 287.4), 90, seconds=15.0, here=30) == "step 30 of 90, 287 pairs/s, 0:30 left"
    assert progress(record(1_000, 1_500.0), 4_000, seconds=100.0, here=1_000) == \
        "step 1,000 of 4,000, 1,500 pairs/s, 5:00 left"


def test_after_a_resume_only_the_steps_taken_here_count_for_the_time_left():
    assert progress(record(90), 100, seconds=20.0, here=10).endswith("0:20 left")


def test_all_widgets_are_closed_at_the_end_and_after_an_error(shown):
    before = alive()
    with pytest.raises(RuntimeError, match="stop"):
        with live(3) as on_step:
            on_step(record(1))
            raise RuntimeError("stop")
    assert alive() == before
    [output] = shown
    assert set(output) == {view.WIDGET_VIEW, "text/plain"}  # what a stored notebook leaves out


def test_the_bar_stands_where_the_training_is_also_after_a_resume(clock, shown, monkeypatch):
    boxes = []
    monkeypatch.setattr(module, "show_live", lambda box, otherwise: boxes.append(box))
    with live(100) as on_step:
        bar = boxes[0].children[0]
        for step in (91, 92, 97):
            clock[0] += 1
            on_step(record(step))
            assert (bar.value, bar.max) == (step, 100)


def test_pictures_take_no_more_than_their_share_of_the_time(clock, shown):
    drawn = []

    def draw(records):
        drawn.append((clock[0], len(records)))
        clock[0] += 0.5  # a slow figure
        return Figure()

    with live(300, draw) as on_step:
        for step in range(1, 301):
            clock[0] += 0.3
            on_step(record(step))
    times = [at for at, _ in drawn]
    apart = [later - earlier for earlier, later in zip(times, times[1:])]
    assert len(drawn) >= 3 and min(apart) >= 0.5 / module.DRAWING_SHARE
    assert drawn[-1][1] > drawn[0][1]


def test_a_training_without_steps_is_an_error():
    with pytest.raises(ValueError, match="at least one step"):
        with live(0):
            pass
