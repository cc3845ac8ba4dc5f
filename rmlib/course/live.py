"""A training on the page while it runs: a bar with pairs a second and the time left, and the curve so far.

It is a widget that is closed when the training ends. A stored notebook keeps no widgets, so nothing of it stays that
another run would change; the cell then shows its final picture, as any other.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ipywidgets import HTML, IntProgress, Layout, VBox
from matplotlib.figure import Figure

from rmlib.course.widgets.view import image, show_live

SECONDS = 0.25  # between two changes of the bar
DRAWING_SHARE = 0.03  # of the time, at most, goes into pictures


@contextmanager
def live(steps: int, draw: Callable[[list[dict]], Figure] | None = None) -> Iterator[Callable[[dict], None]]:
    """Show a training of `steps` steps while the block runs; yields the function to be called with each step's record.

    That is what `rmlib.training.train` takes as on_step; a record has at least `step` and `pairs_per_second`.
    draw: makes the picture of all records so far; it is called as often as 3% of the time allow.

    Raises ValueError for a training without steps.
    """
    if steps < 1:
        raise ValueError(f"a training has at least one step, got {steps}")
    bar = IntProgress(max=steps, layout=Layout(width="auto", max_width="900px"))
    words, picture = HTML("starting"), HTML()
    box = VBox([bar, words, picture])
    show_live(box, otherwise="While the cell runs, its progress shows here.")
    history: list[dict] = []
    began = drawn = time.perf_counter()
    told, cost = 0.0, 0.0

    def on_step(record: dict) -> None:
        nonlocal told, drawn, cost
        history.append(record)
        now = time.perf_counter()
        if now - told >= SECONDS:
            told = now
            bar.value = record["step"]
            line = progress(record, steps, now - began, len(history))
            words.value = f'<span style="font-size: 16px">{line}</span>'
        if draw and now - drawn >= max(1.0, cost / DRAWING_SHARE):
            picture.value = image(draw(history), alt="the training so far")
            drawn = time.perf_counter()
            cost = drawn - now

    try:
        yield on_step
    finally:
        for widget in (box, bar, words, picture):
            for part in (getattr(widget, "style", None), widget.layout, widget):
                if part is not None:
                    part.close()


def progress(record: dict, steps: int, seconds: float, here: int) -> str:
    """One line: the step, pairs a second, time left; `here` steps were taken in `seconds`, others before a resume."""
    left = round((steps - record["step"]) * seconds / here)
    return (f"step {record['step']:,} of {steps:,}, {record['pairs_per_second']:,.0f} pairs/s, "
            f"{left // 60}:{left % 60:02d} left")
