"""Figures of notebook 03: readable, inside the picture, and made of the numbers that they were given."""

import numpy as np
import pytest
from figure_rules import assert_readable, draw
from matplotlib.patches import Rectangle

from rmlib.course.plots import gradient_check as figures
from rmlib.gradients import DirectionalCheck
from rmlib.practice import style

STEPS = 10.0 ** -np.arange(13)
GRID = np.linspace(-5, 5, 21)
NAMES = ["embeddings.weight", "layer.0.k.bias", "layer.0.q.bias", "layer.11.q.bias", "head.weight", "head.bias"]
CHECKS = [DirectionalCheck(name, 10.0**-i, -2 * 10.0**-i, 10.0 ** -(i + 9), True) for i, name in enumerate(NAMES[:-1])]
CHECKS += [DirectionalCheck(NAMES[-1], 0.0, 0.0, 0.0, True)]
FOUND = np.array([[True, False, False], [False, False, True]])
SMALL_ARE_ZERO = np.where(STEPS < 0.1, 0, STEPS)
POINTS = {name: (GRID, factor * GRID) for name, factor in (("right", 1), ("sign", -1))}

DRAWN = {
    "trainings": lambda: figures.two_trainings([0.7, 0.5, 0.4], [0.7, 0.4, 0.35]),
    "secant": lambda: figures.secant(1.0, STEPS[2], -0.27, STEPS[:3], STEPS[:3] ** 2),
    "last secant": lambda: figures.secant(1.0, STEPS[-1], -0.27, STEPS, 0 * STEPS),
    "u": lambda: figures.u_curve(STEPS, STEPS**2 + 1e-16 / STEPS, STEPS**2, 1e-16 / STEPS, 1e-5),
    "methods": lambda: figures.methods({"forward": (STEPS, STEPS), "complex": (STEPS, SMALL_ARE_ZERO)}),
    "backward": lambda: figures.backward_against_differences(POINTS, pairs=10),
    "grid": lambda: figures.who_sees_what(["a bug", "another bug"], ["check", "value", "sum"], FOUND),
    "head": lambda: figures.head_step(np.array([[1.5, 1.2], [-0.9, 0.4]]), np.array([-0.6, 0.7]), np.array([0.2, 1.0])),
    "tensors": lambda: figures.tensor_by_tensor(CHECKS, atol=1e-10, rtol=1e-6),
    "not convex": lambda: figures.not_convex(np.array([2.0, 2.0]), np.array([-2.0, -2.0])),
}


@pytest.mark.parametrize("name", DRAWN)
def test_every_word_is_at_least_14_points_and_inside_the_picture(name: str):
    assert_readable(DRAWN[name]())


@pytest.mark.parametrize("name", ["secant", "u", "methods"])
def test_marks_on_an_axis_do_not_run_into_each_other(name: str):
    figure = DRAWN[name]()
    renderer = draw(figure)
    for axis in [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]:
        boxes = [label.get_window_extent(renderer) for label in axis.get_ticklabels() if label.get_text()]
        assert len(boxes) >= 3 and not any(one.overlaps(other) for one, other in zip(boxes, boxes[1:]))


def test_an_error_of_zero_is_drawn_below_all_others():
    forward, zeros = DRAWN["methods"]().axes[0].lines
    assert (forward.get_label(), zeros.get_label()) == ("forward", "complex")
    drawn = np.array(zeros.get_ydata())
    assert (drawn[2:] < 1e-12).all() and (drawn[2:] > 0).all() and drawn[:2].tolist() == [1.0, 0.1]


def test_each_line_of_the_u_is_named_where_it_is_the_higher_one():
    axes = DRAWN["u"]().axes[0]
    dashed, dotted = (next(line for line in axes.lines if line.get_linestyle() == style) for style in ("--", ":"))
    for name, own, other in (("truncation", dashed, dotted), ("rounding", dotted, dashed)):
        [step] = [text.get_position()[0] for text in axes.texts if text.get_text().startswith(name)]
        at = np.abs(np.log10(STEPS / step)).argmin()
        assert own.get_ydata()[at] > 100 * other.get_ydata()[at]


def test_the_secant_goes_through_its_two_points():
    _, tangent, chord, ends = figures.secant(1.0, 2.0, -0.25, STEPS[:1], STEPS[:1]).axes[0].lines
    assert ends.get_xdata().tolist() == [-1.0, 3.0]
    heights = np.interp(ends.get_xdata(), chord.get_xdata(), chord.get_ydata())
    assert heights == pytest.approx(np.log1p(np.exp([1.0, -3.0])))
    assert np.diff(tangent.get_ydata()) == pytest.approx(-0.25 * np.diff(tangent.get_xdata()))


def test_a_cell_is_filled_where_a_test_finds_the_bug():
    axes = DRAWN["grid"]().axes[0]
    filled = [patch.get_facecolor()[:3] != (1, 1, 1) for patch in axes.patches if isinstance(patch, Rectangle)]
    assert np.array_equal(np.reshape(filled, FOUND.shape), FOUND)
    assert [text.get_text() == "found" for text in axes.texts] == FOUND.ravel().tolist()


def test_tensors_are_named_by_layer_and_drawn_with_their_tolerance():
    axes = DRAWN["tensors"]().axes[0]
    assert [text.get_text() for text in axes.texts] == ["emb.", "layer 0", "layer 11", "head"]
    assert [text.get_position()[0] for text in axes.texts] == [0, 1.5, 3, 4.5]
    walls = [line.get_xdata()[0] for line in axes.lines if list(line.get_ydata()) == [0, 1]]
    assert walls == [0.5, 2.5, 3.5], "between the parts"
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert lines["tolerance"] == pytest.approx([1e-10 + 1e-6 * abs(check.numeric) for check in CHECKS])
    assert lines["error"][:-1] == pytest.approx([check.error for check in CHECKS[:-1]])
    assert lines["slope"] == pytest.approx([*(check.analytic for check in CHECKS[:-1]), figures.FLOOR])
    marks = {tick: label.get_text() for tick, label in zip(axes.get_yticks(), axes.get_yticklabels())}
    assert [tick for tick, name in marks.items() if name == "0"] == [figures.FLOOR]


def test_the_loss_along_the_line_is_that_of_the_product_of_the_weights():
    right = DRAWN["not convex"]().axes[1]
    along, chord, top = right.lines
    assert along.get_ydata()[[0, 50, 100]] == pytest.approx([np.log1p(np.exp(-4)), np.log(2), np.log1p(np.exp(-4))])
    assert top.get_ydata() == pytest.approx([np.log(2)]) and chord.get_color() == style.THEORY


def test_a_level_line_is_labelled_with_the_loss_that_it_stands_for():
    labels = DRAWN["not convex"]().axes[0].texts
    losses = [np.log1p(np.exp(-np.prod(label.get_position()))) for label in labels]
    named = [np.log(2) if label.get_text() == "log 2" else float(label.get_text()) for label in labels]
    assert losses == pytest.approx(named) and {"0.02", "log 2", "6"} <= {label.get_text() for label in labels}


def test_the_two_kinds_of_score_are_told_apart_in_words():
    [legend] = DRAWN["backward"]().legends
    named = {text.get_text(): handle.get_color() for text, handle in zip(legend.get_texts(), legend.legend_handles)}
    assert named == {"for a chosen score": style.CHOSEN, "for a rejected score": style.REJECTED}
