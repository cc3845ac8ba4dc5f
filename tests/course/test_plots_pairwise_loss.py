"""The figures of notebook 02 draw what they are given, and the theory that they add beside it."""

import numpy as np
import pytest

from rmlib.course.plots import pairwise_loss as figures

MARGINS = np.linspace(-6, 6, 61)
LOSS = np.logaddexp(0, -MARGINS)


def line(axes, number):
    return np.array(axes.lines[number].get_xydata())


def test_the_curve_stands_beside_its_line_and_its_exponential():
    plain, logarithmic = figures.curve(MARGINS, LOSS).axes
    np.testing.assert_allclose(line(plain, 0)[:, 1], LOSS)
    np.testing.assert_allclose(line(plain, 1)[:, 1], -MARGINS)
    np.testing.assert_allclose(line(logarithmic, 1)[:, 1], np.exp(-MARGINS))
    assert logarithmic.get_yscale() == "log"


@pytest.mark.parametrize("margin", [-4.0, 0.0, 2.5])
def test_the_tangent_touches_the_loss_with_its_slope(margin):
    left, right = figures.one_pair(margin).axes
    curve, tangent = line(left, 0), line(left, 1)
    assert np.all(tangent[:, 1] <= curve[:, 1] + 1e-12)  # a convex curve lies above its tangents
    np.testing.assert_allclose(np.interp(margin, *tangent.T), np.logaddexp(0, -margin))
    choice, other = (bar.get_height() for bar in right.patches)
    assert choice + other == pytest.approx(1) and np.log(choice / other) == pytest.approx(margin)


def test_the_bound_is_the_loss_over_log_2():
    [axes] = figures.upper_bound(MARGINS, LOSS, (MARGINS <= 0).astype(float)).axes
    np.testing.assert_allclose(line(axes, 0)[:, 1], LOSS / np.log(2))
    np.testing.assert_allclose(line(axes, 1)[:, 1], LOSS)


def test_the_parabola_is_the_second_order_formula():
    for axes in figures.initial_loss(np.array([1.0, 2.0]), np.array([0.8, 1.1]), (0.1, 0.69)).axes:
        spread, theory = line(axes, 0).T
        np.testing.assert_allclose(theory, np.log(2) + spread**2 / 8)
        np.testing.assert_allclose(line(axes, 2), [[0.1, 0.69]])


def test_the_staircase_of_ties_follows_the_spacing_of_bfloat16():
    near = np.linspace(11.5, 12.5, 11)
    _, right = figures.rounding(near, near, 12, {1: 0.001, 12: 0.035, 40: 0.14}, spread=0.5).axes
    offsets, theory = line(right, 0).T
    np.testing.assert_allclose(np.interp(12, offsets, theory), 100 * 2**-4 / np.sqrt(np.pi))
    np.testing.assert_allclose(np.interp(20, offsets, theory), 100 * 2**-3 / np.sqrt(np.pi))


def test_slopes_that_are_no_numbers_are_crossed_out():
    slopes = {"right": np.full(61, -0.5), "broken": np.where(MARGINS < -3, np.nan, -0.5)}
    [axes] = figures.slopes(MARGINS, slopes).axes
    crosses = [np.array(each.get_xdata()) for each in axes.lines if each.get_marker() == "x"]
    assert [len(each) > 0 for each in crosses] == [False, True] and np.all(crosses[1] < -3)


def test_distances_of_zero_stand_on_the_floor_of_the_axis():
    [axes] = figures.disagreement(MARGINS, {20: 1e-9 * LOSS, 36: 0 * LOSS}, limit=1e-12).axes
    assert [each.get_label() for each in axes.lines[:2]] == ["threshold 20", "threshold 36"]
    np.testing.assert_allclose(line(axes, 0)[:, 1], 1e-9 * LOSS)
    np.testing.assert_allclose(line(axes, 1)[:, 1], 1e-17)
    np.testing.assert_allclose(line(axes, 2)[:, 1], 1e-12)


def test_a_bar_goes_from_one_end_of_a_working_range_to_the_other():
    [axes] = figures.working_ranges({"log(sigmoid), float16": (-17.3, 8.3), "softplus, float16": (-90.0, 17.0)}).axes
    assert [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches] == [(-17.3, 8.3), (-90.0, 17.0)]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["log(sigmoid), float16", "softplus, float16"]


def test_the_dot_of_the_least_risk_lies_on_both_curves():
    left, right = figures.risk(MARGINS, LOSS, 1.0, MARGINS, MARGINS / 2, here=2.0).axes
    np.testing.assert_allclose(line(left, 1), [[1.0, np.interp(1, MARGINS, LOSS)]])
    np.testing.assert_allclose(line(right, 1)[:, 1], MARGINS / 2)
    np.testing.assert_allclose(line(right, 2), [[2.0, 1.0]])


def test_only_a_loss_that_settles_has_a_line_where_it_does():
    [axes] = figures.settling(np.arange(1, 4), {"a": np.arange(3.0), "b": np.arange(3.0) + 1}, (None, 2.0)).axes
    heights = [list(line(axes, number)[:, 1]) for number in range(len(axes.lines))]
    assert heights == [[0, 1, 2], [1, 2, 3], [2, 2]]


def test_a_path_of_scores_goes_from_its_square_to_its_dot():
    path = np.array([[5.0, 1.0], [4.5, 1.0], [4.0, 2.0]])
    [axes] = figures.centring({"λ = 0": path, "λ = 1": path - 1}).axes
    ends = {mark: [tuple(each.get_xydata()[0]) for each in axes.lines if each.get_marker() == mark] for mark in "so"}
    assert ends == {"s": [(5.0, 1.0), (4.0, 0.0)], "o": [(4.0, 2.0), (3.0, 1.0)]}
