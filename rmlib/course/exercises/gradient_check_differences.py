"""Exercises 3.2 and 3.7 of notebook 03: a better difference, and a directional check of one's own."""

from collections.abc import Callable

import numpy as np

from rmlib.course.exercises.engine import Exercise

# 3.2: two central differences make a better one


def central(function: Callable, point: float, step: float) -> float:
    return (function(point + step) - function(point - step)) / (2 * step)


def smooth_function(rng: np.random.Generator) -> tuple[Callable, float, float]:
    function = (np.sin, np.exp, np.tanh, np.arctan)[rng.integers(4)]
    return function, float(rng.uniform(0.3, 1.5)), float(rng.uniform(0.1, 0.5))


def extrapolated(function, point, step):
    whole, half = central(function, point, step), central(function, point, step / 2)
    return half + (half - whole) / 3


EXTRAPOLATED = {
    "the weights are exchanged: the difference with half the step is the better one and gets 4/3":
        lambda f, x, h: (4 * central(f, x, h) - central(f, x, h / 2)) / 3,
    "these weights suit an error proportional to h; a central difference has one proportional to h²":
        lambda f, x, h: 2 * central(f, x, h / 2) - central(f, x, h),
    "an average keeps most of the error: the weights are 4/3 and −1/3":
        lambda f, x, h: (central(f, x, h / 2) + central(f, x, h)) / 2,
    "these weights suit forward differences with an error proportional to h; and these are forward differences":
        lambda f, x, h: 2 * (f(x + h / 2) - f(x)) / (h / 2) - (f(x + h) - f(x)) / h,
    "the weights suit central differences, whose error is proportional to h²; these are forward differences":
        lambda f, x, h: (4 * (f(x + h / 2) - f(x)) / (h / 2) - (f(x + h) - f(x)) / h) / 3,
    "the weights have to add up to 1, or the derivative itself is scaled":
        lambda f, x, h: 4 * central(f, x, h / 2) - central(f, x, h),
    "the second difference takes half the step, not twice the step":
        lambda f, x, h: (4 * central(f, x, 2 * h) - central(f, x, h)) / 3,
    "the two steps are h and h/2; these are 2h and h":
        lambda f, x, h: (4 * central(f, x, h) - central(f, x, 2 * h)) / 3,
    "the difference with half the step is divided by 2h; its points are h apart":
        lambda f, x, h: (2 * central(f, x, h / 2) - central(f, x, h)) / 3,
    "this is a forward difference": lambda f, x, h: (f(x + h) - f(x)) / h,
    "this is nearer to the derivative than what is asked for, which takes the steps h and h/2 alone":
        lambda f, x, h: central(f, x, 1e-5),
    "brackets are missing: both differences are divided by 3":
        lambda f, x, h: 4 * central(f, x, h / 2) - central(f, x, h) / 3,
    "a third of (half − whole) corrects the difference with half the step; it is not the derivative itself":
        lambda f, x, h: (central(f, x, h / 2) - central(f, x, h)) / 3,
    "the correction goes the wrong way: half + (half − whole) / 3":
        lambda f, x, h: central(f, x, h / 2) + (central(f, x, h) - central(f, x, h / 2)) / 3,
    "16/15 and −1/15 remove an error proportional to h⁴; here it is h²":
        lambda f, x, h: (16 * central(f, x, h / 2) - central(f, x, h)) / 15,
    "the second difference takes half the step, not a quarter":
        lambda f, x, h: (4 * central(f, x, h / 4) - central(f, x, h)) / 3,
    "this is the second derivative": lambda f, x, h: (f(x + h) - 2 * f(x) + f(x - h)) / h**2,
    "this is the plain central difference with step h/2": lambda f, x, h: central(f, x, h / 2),
    "this is the plain central difference with step h": central,
}

RICHARDSON = Exercise("3.2", extrapolated, smooth_function, EXTRAPOLATED)


# 3.7: a directional check of one's own


def quadratic(rng: np.random.Generator) -> tuple[Callable, Callable, np.ndarray, np.ndarray, float]:
    """A loss with a cubic part, a gradient that is wrong every other time, weights, a direction, a step."""
    size = int(rng.integers(3, 7))
    matrix, factor = rng.normal(size=(size, size)), 1.0 if rng.random() < 0.5 else float(rng.uniform(1.5, 3))

    def loss(weights):
        return float(weights @ matrix @ weights + np.sum(weights**3))

    def gradient(weights):
        return factor * ((matrix + matrix.T) @ weights + 3 * weights**2)

    weights, direction = rng.normal(size=(2, size))
    return loss, gradient, weights, direction, 10.0 ** -int(rng.integers(2, 4))


def two_slopes(loss, gradient, weights, direction, step):
    ends = [loss(weights + sign * step * direction) for sign in (1, -1)]
    return float(np.sum(gradient(weights) * direction)), (ends[0] - ends[1]) / (2 * step)


TWO_SLOPES = {
    "this is a forward difference: go as far back as forward":
        lambda f, g, w, u, h: (float(g(w) @ u), (f(w + h * u) - f(w)) / h),
    "the second loss is taken where you stand, not a step back":
        lambda f, g, w, u, h: (float(g(w) @ u), (f(w + h * u) - f(w)) / (2 * h)),
    "from −h to +h the way is 2h long: divide by that":
        lambda f, g, w, u, h: (float(g(w) @ u), (f(w + h * u) - f(w - h * u)) / h),
    "`/ 2 * step` divides by 2 and multiplies by the step: put brackets round 2 * step":
        lambda f, g, w, u, h: (float(g(w) @ u), (f(w + h * u) - f(w - h * u)) / 2 * h),
    "every weight moves by h alike; move them along the direction, by h u":
        lambda f, g, w, u, h: (float(g(w) @ u), (f(w + h) - f(w - h)) / (2 * h)),
    "the gradient's length is not its slope along u: take the dot product":
        lambda f, g, w, u, h: (float(np.linalg.norm(g(w))), (f(w + h * u) - f(w - h * u)) / (2 * h)),
    "both use a unit vector in the direction's place; take the direction as it is": lambda f, g, w, u, h:
        two_slopes(f, g, w, u / np.linalg.norm(u), h),
    "the gradient's slope uses a unit vector, the difference the direction as it is": lambda f, g, w, u, h:
        (float(g(w) @ u) / np.linalg.norm(u), two_slopes(f, g, w, u, h)[1]),
    "this is a backward difference: go as far forward as back":
        lambda f, g, w, u, h: (float(g(w) @ u), (f(w) - f(w - h * u)) / h),
    "the gradient is multiplied by the weights; multiply it by the direction": lambda f, g, w, u, h:
        (float(g(w) @ w), two_slopes(f, g, w, u, h)[1]),
    "the gradient is taken at the direction; take it at the weights": lambda f, g, w, u, h:
        (float(g(u) @ u), two_slopes(f, g, w, u, h)[1]),
    "the entries of the gradient are added up; multiply them by the direction first": lambda f, g, w, u, h:
        (float(g(w).sum()), two_slopes(f, g, w, u, h)[1]),
    "the difference is divided by the direction's length, the gradient's slope is not": lambda f, g, w, u, h:
        (float(g(w) @ u), two_slopes(f, g, w, u, h)[1] / np.linalg.norm(u)),
    "behind less ahead: the difference has its sign turned round": lambda f, g, w, u, h:
        (float(g(w) @ u), -two_slopes(f, g, w, u, h)[1]),
    "the gradient is taken a step away from the weights": lambda f, g, w, u, h:
        (float(g(w + h * u) @ u), two_slopes(f, g, w, u, h)[1]),
    "the two losses are half a step away: divide by the step, or go a whole one": lambda f, g, w, u, h:
        (float(g(w) @ u), two_slopes(f, g, w, u, h / 2)[1] / 2),
    "the gradient's slope stands in both places": lambda f, g, w, u, h: (float(g(w) @ u),) * 2,
    "the difference stands in both places; the gradient's slope is gradient_fn(weights) · direction":
        lambda f, g, w, u, h: (two_slopes(f, g, w, u, h)[1],) * 2,
    "the two are exchanged: the gradient's slope comes first":
        lambda f, g, w, u, h: ((f(w + h * u) - f(w - h * u)) / (2 * h), float(g(w) @ u)),
    "the difference alone uses a unit vector: along one u for both, or the slopes differ by its length":
        lambda f, g, w, u, h: (float(g(w) @ u), central(lambda t: f(w + t * u / np.linalg.norm(u)), 0.0, h)),
}

DIRECTIONAL = Exercise("3.7", two_slopes, quadratic, TWO_SLOPES, rtol=1e-6, atol=1e-9)
