"""The figure style: readable type, one palette, descriptions that reach every reader."""

import io
import itertools
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from figure_rules import assert_readable, boxes_of_text
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from places import ROOT

from rmlib.course import plots
from rmlib.practice import style

HISTORY = [(0.7, 0.1, 0.1), (0.5, 0.3, -0.1), (0.3, 0.6, -0.4)]
ALT = "The loss falls from log 2 while the chosen score rises above the rejected one."


def pixels(figure: Figure) -> np.ndarray:
    """(height, width, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(style.png_bytes(figure))).convert("RGB"))


@pytest.fixture
def shown(monkeypatch) -> list[tuple[dict, dict]]:
    """What show puts out: (data, metadata) of each output, in order."""
    outputs: list[tuple[dict, dict]] = []
    monkeypatch.setattr(style, "display", lambda data, raw, metadata=None: outputs.append((data, metadata or {})))
    return outputs


def test_show_keeps_the_description_as_alt_and_on_the_page(shown):
    style.show(plots.loss_and_scores(HISTORY), alt="The  loss falls\nfrom log 2 & the margin r_c - r_r <grows>.")
    (picture, metadata), (caption, _) = shown
    words = "The loss falls from log 2 & the margin r_c - r_r <grows>."
    assert picture["image/png"].startswith(b"\x89PNG")
    assert picture["text/plain"] == words
    assert metadata["image/png"]["alt"] == words
    assert "The loss falls from log 2 &amp; the margin r_c - r_r &lt;grows&gt;." in caption["text/html"]


def test_show_states_the_size_on_the_page_not_in_pixels(shown):
    style.show(plots.pipeline(), alt=plots.pipeline_alt())
    picture, metadata = shown[0]
    assert metadata["image/png"]["width"] == 1000
    assert Image.open(io.BytesIO(picture["image/png"])).width == 2000


@pytest.mark.parametrize("given, before, after", [
    ({}, "", ""), ({"numbers": "1 < 2 & 3"}, "", "<p>1 &lt; 2 &amp; 3</p>"),
    ({"numbers": "4", "style": "<style>p {}</style>"}, "<style>p {}</style>", "<p>4</p>"),
])
def test_show_puts_numbers_below_the_description_as_text(shown, monkeypatch, given, before, after):
    monkeypatch.setattr(style, "png_bytes", lambda figure: b"")
    style.show(style.canvas()[0], alt="A figure with nothing at all in it.", **given)
    assert shown[1] == ({"text/html": f"{before}<p><em>A figure with nothing at all in it.</em></p>{after}"}, {})


@pytest.mark.parametrize("alt", ["", "   \n", "a plot", "x" + " " * 60])
def test_show_refuses_a_missing_or_empty_description(shown, alt):
    with pytest.raises(ValueError, match="needs alt"):
        style.show(plots.pipeline(), alt=alt)
    assert shown == []


@pytest.mark.parametrize("figure", [plots.pipeline("loss"), plots.loss_and_scores(HISTORY)], ids=["pipeline", "loss"])
def test_every_word_is_at_least_14_points_and_inside_the_picture(figure):
    assert_readable(figure)


@pytest.mark.parametrize("stage", [None, *plots.STAGES])
def test_no_two_words_of_the_pipeline_touch(stage):
    for (a, box), (b, other) in itertools.combinations(boxes_of_text(plots.pipeline(stage)), 2):
        assert not box.overlaps(other), (a, b)


def test_stages_are_lit_from_left_to_right_one_at_a_time():
    colour = np.round(np.array(to_rgb(style.LIT_FILL)) * 255)
    centres = []
    for stage in plots.STAGES:
        near = np.abs(pixels(plots.pipeline(stage)).astype(int) - colour).max(axis=-1) <= 3  # (height, width)
        columns = np.flatnonzero(near.any(axis=0))
        assert np.ptp(columns) < 2000 / len(plots.STAGES), f"more than one card is lit for {stage}"
        centres.append(columns.mean())
    assert (np.diff(centres) > 200).all()
    assert not (np.abs(pixels(plots.pipeline()).astype(int) - colour).max(axis=-1) <= 3).any()


def test_an_unknown_stage_is_told_the_names():
    for function in (plots.pipeline, plots.pipeline_alt):
        with pytest.raises(ValueError, match="'training'.*prompt, responses, choice"):
            function("training")


def test_every_stage_has_a_description_of_its_own():
    sentences = {plots.pipeline_alt(stage) for stage in (None, *plots.STAGES)}
    assert len(sentences) == 1 + len(plots.STAGES)
    assert all(len(sentence) >= style.SHORTEST_DESCRIPTION for sentence in sentences)


def test_the_same_figure_gives_the_same_bytes_whatever_the_reader_has_set():
    before = style.png_bytes(plots.pipeline("pairs")), style.png_bytes(plots.loss_and_scores(HISTORY))
    settings = {"font.size": 30, "font.family": "serif", "figure.facecolor": "black", "axes.spines.top": True}
    with matplotlib.rc_context(settings):
        after = style.png_bytes(plots.pipeline("pairs")), style.png_bytes(plots.loss_and_scores(HISTORY))
    assert before == after
    assert b"tEXt" not in before[0] and b"tIME" not in before[0]


def test_loss_and_scores_draws_the_numbers_it_was_given():
    left, right = plots.loss_and_scores(HISTORY).axes
    level, loss = left.lines
    chosen, rejected = right.lines
    assert set(level.get_ydata()) == {np.log(2)}
    assert loss.get_xdata().tolist() == [1, 2, 3]
    assert loss.get_ydata().tolist() == [0.7, 0.5, 0.3]
    assert chosen.get_ydata().tolist() == [0.1, 0.3, 0.6] and chosen.get_color() == style.CHOSEN
    assert rejected.get_ydata().tolist() == [0.1, -0.1, -0.4] and rejected.get_color() == style.REJECTED


@pytest.mark.parametrize("history", [[], [0.7, 0.1, 0.1], [(0.7, 0.1)]])
def test_loss_and_scores_refuses_other_shapes(history):
    with pytest.raises(ValueError, match="loss, chosen score, rejected score"):
        plots.loss_and_scores(history)


def test_the_picture_in_the_readme_is_the_pipeline():
    stored = np.asarray(Image.open(ROOT / "docs" / "pipeline.png").convert("RGB")).astype(int)
    drawn = pixels(plots.pipeline()).astype(int)
    assert stored.shape == drawn.shape
    assert np.abs(stored - drawn).mean() < 0.5, "docs/pipeline.png is out of date: plots/pipeline.py draws it anew"


def test_drawing_never_loads_pyplot():
    code = (
        "import sys; from rmlib.course import plots; from rmlib.practice import style; "
        "style.png_bytes(plots.pipeline()); "
        "style.png_bytes(plots.loss_and_scores([(0.7, 0, 0)])); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
