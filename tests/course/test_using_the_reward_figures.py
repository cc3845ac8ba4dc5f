"""Figures of notebook 08: they can be read, and what they draw is what they were given, under its own name."""

import numpy as np
import pytest
from figure_rules import assert_readable, draw

from rmlib.course.plots import using_the_reward as figures

SIZES, RISING = [1, 4, 16, 64], [0.1, 0.9, 1.4, 1.5]
CURVE = ([0, 1, 2], [0.2, 0.8, 0.5])
REWARDS = np.random.default_rng(0).normal(size=64)
CLOUD = np.random.default_rng(1).normal(size=(50, 3))
BANDED = (*CURVE, [0.1, 0.1, 0.2])
DRAWN = {
    "curves": lambda: figures.curves({"proxy": {"no penalty": [CURVE, CURVE], "β = 0.1": [CURVE]},
                                      "share right": {"no penalty": [CURVE]}}, "√KL"),
    "best of n": lambda: figures.best_of_n(SIZES, {
        "gold reward": {"gold": [(RISING, [0.1] * 4)], "length-lover": [(RISING,), (RISING[::-1],)]},
        "share right": {"gold": [(RISING,)]}}),
    "tilted": lambda: figures.tilted(REWARDS, REWARDS / 2, np.full(64, 1 / 64)),
    "gradients": lambda: figures.gradients({"rewards": CLOUD, "rewards + 5": 5 * CLOUD}, np.array([0.1, 0.2, 0.3])),
    "equal KL": lambda: figures.at_equal_kl({"gold reward": {"best of n": CURVE, "RLOO": ([0, 2, 0, 1], [0, 1, 0, 1])},
                                             "share right": {"best of n": CURVE}}, most=8),
    "remedies": lambda: figures.remedies({"gold reward": {"course's model": [(0.6, 0.1)] * 3,
                                                          "length-lover": [(0.1, 0.2)] * 3},
                                          "share right": {"course's model": [(0.5, 0.1)], "length-lover": [(0, 0)]}},
                                         {"gold reward": 0.0, "share right": 0.5}),
    "estimates": lambda: figures.estimates({"k1": REWARDS, "vocabulary": np.abs(REWARDS)}),
}


def lines(axes) -> dict:
    return {line.get_label(): np.array(line.get_data(), dtype=float) for line in axes.lines}


@pytest.mark.parametrize("name", DRAWN)
def test_every_word_is_at_least_14_points_and_inside_the_picture(name: str):
    assert_readable(DRAWN[name]())


def test_no_figure_is_left_out():
    public = [function for function in vars(figures).values() if hasattr(function, "__wrapped__")
              and function.__module__ == figures.__name__]
    assert len(public) == len(DRAWN)


def test_curves_have_their_names_and_seeds_of_one_name_its_colour():
    left, right = DRAWN["curves"]().axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["no penalty", "β = 0.1"]
    assert right.get_legend() is None and left.get_title("left") == "proxy"
    colours = [line.get_color() for line in left.lines]
    assert colours[0] == colours[1] != colours[2]
    assert np.array_equal(lines(left)["β = 0.1"], CURVE)


def test_a_shared_legend_stands_once_and_panels_stand_in_rows():
    panels = {name: {"one": [CURVE], "two": [CURVE]} for name in "abcd"}
    figure = figures.curves(panels, "step", rows=2, shared=True)
    assert_readable(figure)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]
    assert not any(axes.get_legend() for axes in figure.axes)
    assert [axes.get_title("left") for axes in figure.axes] == list("abcd")
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "step", "step"]


def test_a_bar_is_two_standard_errors_to_either_side():
    [axes] = figures.curves({"proxy": {"one": [BANDED]}}, "√KL").axes
    bars = [bar[:, 1] for bar in axes.containers[0][2][0].get_segments()]
    assert np.allclose(bars, [[0.0, 0.4], [0.6, 1.0], [0.1, 0.9]])


def test_a_dot_at_the_last_kl_shown_is_whole():
    figure = figures.at_equal_kl({"gold reward": {"best of n": CURVE, "RLOO": ([2, 0, 8], [0, 1, 2])}}, most=8)
    draw(figure)
    axes = figure.axes[0]
    [dots] = [line for line in axes.lines if line.get_label() == "RLOO"]
    radius = dots.get_markersize() / 2 * figure.dpi / 72
    places = axes.transData.transform(dots.get_xydata())[:, 0]
    frame = axes.get_window_extent()
    assert places.min() - radius > frame.x0 and places.max() + radius < frame.x1


def test_a_stretched_axis_gives_half_to_what_lies_before_the_knee_and_hides_nothing():
    far = ([0, 1, 3, 11], [0, 1, 2, 3])
    figure = figures.curves({"proxy": {"one": [far]}}, "√KL", knee=3.0)
    assert_readable(figure)
    [axes] = figure.axes
    low, middle, high = axes.transData.transform([(0, 0), (3, 0), (11 * 1.02, 0)])[:, 0]
    assert np.isclose(middle - low, high - middle) and axes.get_xlim()[1] > 11
    assert np.array_equal(lines(axes)["one"], far)


def test_best_of_n_draws_each_judges_curve():
    left, right = DRAWN["best of n"]().axes
    assert np.array_equal(lines(left)["gold"][1], RISING) and np.array_equal(lines(left)["length-lover"][0], SIZES)
    assert [label.get_text() for label in left.get_xticklabels()] == ["1", "16"]
    assert right.get_title("left") == "share right"
    [band] = left.collections  # of the one curve that has errors
    assert {(1.0, -0.1), (1.0, 0.3)} <= {tuple(point) for point in band.get_paths()[0].vertices.round(6)}


def test_the_tilts_dots_are_as_large_as_its_weights():
    weights = np.arange(64) / np.arange(64).sum()
    left, right = figures.tilted(REWARDS, REWARDS / 2, weights).axes
    assert np.allclose(left.collections[1].get_sizes(), 600 * weights)
    assert np.allclose(left.lines[0].get_ydata(), weights @ REWARDS / 2)
    assert right.get_title("left") == "probability"


def test_gradients_mark_the_exact_one_and_the_mean():
    left, right = DRAWN["gradients"]().axes
    assert np.allclose(lines(left)["exact"].ravel(), [0.1, 0.2])
    assert np.allclose(lines(right)["mean"].ravel(), 5 * CLOUD.mean(0)[:2])


def test_a_remedy_shows_each_seed_with_its_bar_and_the_start():
    left, right = DRAWN["remedies"]().axes
    first, second = (container[0] for container in left.containers)
    assert first.get_xdata().tolist() == [0.6] * 3 and second.get_xdata().tolist() == [0.1] * 3
    bar = left.containers[1][2][0].get_segments()[0]
    assert np.allclose(bar[:, 0], [0.1 - 0.4, 0.1 + 0.4])
    assert [label.get_text() for label in left.get_yticklabels()] == ["course's model", "length-lover"]
    assert right.lines[-1].get_xdata()[0] == 0.5


def test_a_curve_is_a_line_and_several_runs_are_dots():
    left, right = DRAWN["equal KL"]().axes
    assert [(line.get_linestyle(), line.get_marker()) for line in left.lines] == [("-", ""), ("None", "s")]
    assert np.array_equal(lines(left)["RLOO"], [[0, 2, 0, 1], [0, 1, 0, 1]])
    assert right.get_title("left") == "share right"


def test_estimates_have_a_line_at_each_mean():
    [axes] = DRAWN["estimates"]().axes
    assert np.allclose([line.get_xdata()[0] for line in axes.lines], [REWARDS.mean(), np.abs(REWARDS).mean()])
    steps = {patch.get_label(): patch.get_xy() for patch in axes.patches}
    low, high = REWARDS.min(), max(np.quantile(REWARDS, 0.99), np.quantile(np.abs(REWARDS), 0.99))
    for name, each in (("k1", REWARDS), ("vocabulary", np.abs(REWARDS))):
        assert np.allclose([steps[name][:, 0].min(), steps[name][:, 0].max()], [low, high])
        assert steps[name][1:-1:2, 1].sum() == (each <= high).sum(), "all but the highest, negative ones too"
