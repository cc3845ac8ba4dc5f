"""Differences against closed forms."""

import cmath
import math

import numpy as np
import pytest
import torch

from rmlib.course.differences import complex_step, forward_difference
from rmlib.gradients import central_difference

DIFFERENCES = [forward_difference, central_difference, complex_step]


def test_each_difference_is_off_by_the_first_term_of_its_truncation():
    assert forward_difference(lambda x: x * x, 3.0, 0.25) == 6.25  # all exact in binary: 2x + h
    assert central_difference(lambda x: x * x, 3.0, 0.25) == 6.0
    assert central_difference(lambda x: x**3, 1.0, 0.5) == 3.25  # 3x² + h²
    assert complex_step(lambda x: x * x * x, 1.0, 0.5) == 2.75  # 3x² − h²


@pytest.mark.parametrize("difference, order", [(forward_difference, 1), (central_difference, 2), (complex_step, 2)])
def test_the_error_shrinks_with_the_order_of_the_method(difference, order):
    errors = [abs(difference(np.exp, 0.5, h) - math.exp(0.5)) for h in (2**-6, 2**-7)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.02)


def test_the_complex_step_reaches_the_last_bits_for_numbers_arrays_and_tensors():
    points = np.linspace(-3, 3, 7)
    want = np.cos(points) * np.exp(np.sin(points))
    assert complex_step(lambda z: np.exp(np.sin(z)), points) == pytest.approx(want, rel=1e-15, abs=1e-16)
    slope = complex_step(lambda z: torch.exp(torch.sin(z)), torch.from_numpy(points))
    assert slope.numpy() == pytest.approx(want, rel=1e-15, abs=1e-16)
    assert complex_step(cmath.exp, 1.0) == pytest.approx(math.e, rel=1e-15)


@pytest.mark.parametrize("function", [abs, lambda z: z.real ** 2, lambda z: 1.0])
def test_a_function_that_drops_the_imaginary_part_is_told(function):
    with pytest.raises(ValueError, match="complex number into a real one"):
        complex_step(function, 1.0)
    with pytest.raises(ValueError, match="complex number into a real one"):
        complex_step(abs, torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("difference", DIFFERENCES)
@pytest.mark.parametrize("step", [0.0, -1e-3, math.nan, math.inf])
def test_a_step_that_goes_nowhere_or_back_is_refused(difference, step):
    with pytest.raises(ValueError, match="step must be positive"):
        difference(np.exp, 1.0, step)
