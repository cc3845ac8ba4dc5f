"""Guards of notebook 03, which run in its kernel after the last cell."""

import math
import re

import numpy as np


def numbers(text):
    return [float(each) for each in re.findall(r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?", text)]


def test_a_secant_of_other_steps():
    """Halvings counted from elsewhere, a one-sided difference, an error against another slope."""
    tangent = -1 / (1 + math.e)
    for halvings in (0, 3, 10):
        figure, text = at_step(halvings)
        step = 4 / 2**halvings
        rise = math.log1p(math.exp(-1 - step)) - math.log1p(math.exp(-1 + step))
        slope = rise / (2 * step)
        assert np.allclose(numbers(text), [step, slope, tangent, abs(slope - tangent)], rtol=0.05, atol=0)
        assert abs(numbers(text)[1] - slope) < 6e-6 and abs(numbers(text)[2] - tangent) < 6e-6
        _, touching, secant, ends = figure.axes[0].lines
        assert np.allclose(ends.get_xdata(), [1 - step, 1 + step])
        for line, expected in ((touching, tangent), (secant, slope)):
            assert np.isclose(np.ptp(line.get_ydata()) / -np.ptp(line.get_xdata()), expected)
        errors, here = figure.axes[1].lines
        assert np.allclose(errors.get_xdata(), 4 / 2.0 ** np.arange(halvings + 1)) and here.get_xdata() == [step]
        assert np.isclose(errors.get_ydata()[-1], abs(slope - tangent), rtol=1e-6)
    assert numbers(at_step(54)[1])[3] > 1e-3 > 1e-9 > numbers(at_step(19)[1])[3]  # rounding has won; the U's bottom


def test_each_method_bears_its_own_name():
    """Names of two curves exchanged in a picture whose tolerance is wider than they are."""
    _, second, third = -1 / (1 + math.e), 0.196612, -0.090858
    assert list(curves) == ["forward", "central", "complex", "central, float32"]
    least = {name: errors[1:].min() for name, (_, errors) in curves.items()}
    assert least["complex"] < 1e-15 < least["central"] < 1e-10 < 1e-6 < least["central, float32"]
    for name, first_term in (("forward", 0.01 / 2 * second), ("central", 0.01**2 / 6 * third)):
        at, errors = curves[name]
        assert np.isclose(errors[np.isclose(at, 0.01)], abs(first_term), rtol=0.02)
    assert list(whole) == ["float32", "float64"]
    worst = np.abs(np.array([differences / slope for slope, differences in right]) - 1).max(axis=0)
    assert np.array_equal(whole["float64"][1], worst)
    worst = np.abs(np.array([found / slope for found, (slope, _) in zip(rough, right)]) - 1).max(axis=0)
    assert np.array_equal(whole["float32"][1], worst)
    assert whole["float32"][1].min() > 1e-5 > 1e-7 > whole["float64"][1].min()
    for figure, found in ((four_methods, curves), (two_precisions, whole)):
        drawn = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
        for name, (_, errors) in found.items():
            assert np.allclose(drawn[name][errors > 0], errors[errors > 0], atol=0)
    assert two_precisions.axes[0].get_ylabel() == "relative error of the slope"


def test_the_u_is_drawn_with_its_two_lines():
    """Truncation and rounding exchanged, or one of them without its factor."""
    _, falling, rising, dots = u_figure.axes[0].lines
    at = falling.get_xdata()
    assert np.allclose(falling.get_ydata(), at**2 * 0.090858 / 6, rtol=1e-4) and falling.get_linestyle() == "--"
    assert np.allclose(rising.get_ydata(), 2.0**-52 * 0.313262 / at, rtol=1e-4) and rising.get_linestyle() == ":"
    assert np.allclose(dots.get_ydata()[3:12], falling.get_ydata()[3:12], rtol=0.1)


def test_the_bug_is_drawn_where_it_is():
    """The two pictures of all tensors exchanged, or error and slope in one of them."""
    for figure, rows in ((as_it_is, checks), (with_bug, planted)):
        drawn = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
        assert np.allclose(drawn["tolerance"], [1e-10 + 1e-6 * abs(row.numeric) for row in rows])
        assert [row.name for row, one in zip(rows, drawn["error"] > drawn["tolerance"], strict=True) if one] == [
            row.name for row in rows if not row.ok]
        visible = [k for k, row in enumerate(rows) if abs(row.analytic) > 1e-12]
        assert np.allclose(drawn["slope"][visible], [abs(rows[k].analytic) for k in visible])
