"""What the exercises of notebook 03 ask."""

from collections.abc import Callable

import numpy as np

from rmlib.course.exercises.batches import IS_ADDITIVE
from rmlib.course.exercises.engine import Exercise
from rmlib.course.logistic import sigmoid


def scores(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rewards of 2 to 9 pairs, chosen and rejected, each (B,)."""
    return tuple(rng.normal(scale=2, size=(2, rng.integers(2, 10))))


# 3.1: the gradient of the mean loss


def score_gradients(chosen, rejected):
    pull = sigmoid(rejected - chosen) / chosen.size
    return -pull, pull


SCORE_GRADIENTS = {
    "σ(Δ) stands where σ(−Δ) belongs: the pull is the probability given to the wrong answer":
        lambda c, r: (-sigmoid(c - r) / c.size, sigmoid(c - r) / c.size),
    "the loss is a mean over B pairs, so that each pair counts 1/B": lambda c, r: (-sigmoid(r - c), sigmoid(r - c)),
    "both scores get the same sign; the margin is chosen minus rejected, so that dΔ/dr_r = −1":
        lambda c, r: (-sigmoid(r - c) / c.size, -sigmoid(r - c) / c.size),
    "the signs are turned round: this is the way down, and the gradient points up":
        lambda c, r: (sigmoid(r - c) / c.size, -sigmoid(r - c) / c.size),
    "this is the second derivative, σ(Δ)σ(−Δ); the first is asked for":
        lambda c, r: (-sigmoid(r - c) * sigmoid(c - r) / c.size, sigmoid(r - c) * sigmoid(c - r) / c.size),
}


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
    "this is the plain central difference with step h/2": lambda f, x, h: central(f, x, h / 2),
    "this is the plain central difference with step h": central,
}


# 3.3: one of four slopes is wrong

SLOPES = {
    "a": lambda margin: -1 / (1 + np.exp(margin)),
    "b": lambda margin: -np.exp(-np.logaddexp(0, margin)),
    "c": lambda margin: -np.exp(-margin) / (1 + np.exp(margin)),
    "d": lambda margin: -(1 - np.tanh(margin / 2)) / 2,
}


def judge_the_wrong_one(function: Callable, rng: np.random.Generator) -> str | None:
    answer = function()
    if not isinstance(answer, tuple | list) or len(answer) != 2 or not isinstance(answer[0], str):
        return 'Return two things: a letter, and a margin that shows its bug, such as ("a", 1.0).'
    letter, margin = answer[0].strip().lower().removeprefix("slope_"), answer[1]
    margin = margin.item() if getattr(margin, "shape", None) == () else margin
    if letter not in SLOPES:
        return f'"{letter}" is none of the four: a, b, c or d.'
    if isinstance(margin, bool) or not isinstance(margin, int | float | np.number) or not np.isfinite(margin):
        return f"The margin has to be one finite number, not {margin!r}."
    tried = rng.normal(scale=3, size=100)
    if np.allclose(SLOPES[letter](tried), -sigmoid(-tried), rtol=1e-9):
        return f"slope_{letter} is right: at a hundred margins drawn just now it equals −σ(−Δ), in other words."
    with np.errstate(all="ignore"):
        gap = abs(SLOPES[letter](float(margin)) + sigmoid(-float(margin)))
    if margin == 0:
        return "It is the one, but a margin of 0 does not show it: there it gives −1/2, as the right slope does."
    if not gap > 1e-6:
        return f"It is the one, but a margin of {margin:g} does not show it: there it is right to within {gap:.0e}."
    return None


# 3.4: the slope of the smoothed loss, repaired


def smoothed_slope(margin, smoothing):
    return smoothing - sigmoid(-margin)


SMOOTHED_SLOPE = {
    "the bug is still there: softplus(Δ) rises with Δ, so that its slope is +σ(Δ)":
        lambda d, s: -(1 - s) * sigmoid(-d) - s * sigmoid(d),
    "both signs are turned round: the first term was right": lambda d, s: (1 - s) * sigmoid(-d) + s * sigmoid(d),
    "this is minus the right slope": lambda d, s: (1 - s) * sigmoid(-d) - s * sigmoid(d),
    "the second term lost its σ(Δ)": lambda d, s: -(1 - s) * sigmoid(-d) + s,
    "the shares s and 1 − s are exchanged": lambda d, s: -s * sigmoid(-d) + (1 - s) * sigmoid(d),
    "the slope of softplus(Δ) is σ(Δ), not σ(−Δ)": lambda d, s: -(1 - s) * sigmoid(-d) + s * sigmoid(-d),
    "the second term is gone: the flipped choice pulls too": lambda d, s: -(1 - s) * sigmoid(-d),
}


# 3.6: the head's bias, once rewards are centred


def bias_gradient(chosen, rejected, weight):
    return 4 * weight * float(np.mean(chosen + rejected))


BIAS_GRADIENT = {
    "a factor of 2 is missing: one comes from the square, one from b, which is in both rewards":
        lambda c, r, w: 2 * w * float(np.mean(c + r)),
    "both factors of 2 are missing: one comes from the square, one from b, which is in both rewards":
        lambda c, r, w: w * float(np.mean(c + r)),
    "the penalty is a mean over pairs; this is the sum": lambda c, r, w: 4 * w * float(np.sum(c + r)),
    "the penalty squares r_c + r_r; this has the margin r_c − r_r": lambda c, r, w: 4 * w * float(np.mean(c - r)),
    "the pairwise loss adds nothing: b leaves the margin as it is":
        lambda c, r, w: 4 * w * float(np.mean(c + r)) - float(np.mean(sigmoid(r - c))),
    "zero is the pairwise loss's answer; the penalty sees b": lambda c, r, w: 0.0,
}


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

EXERCISES = [
    Exercise("3.1", score_gradients, scores, SCORE_GRADIENTS, edges=((np.array([800.0, -800.0]), np.zeros(2)),)),
    Exercise("3.2", extrapolated, smooth_function, EXTRAPOLATED),
    Exercise("3.3", judge=judge_the_wrong_one),
    Exercise("3.4", smoothed_slope, lambda rng: (rng.normal(scale=3, size=5), rng.uniform(0, 0.5)), SMOOTHED_SLOPE),
    IS_ADDITIVE,
    Exercise("3.6", bias_gradient, lambda rng: (*scores(rng), rng.uniform(0.01, 1)), BIAS_GRADIENT),
    Exercise("3.7", two_slopes, quadratic, TWO_SLOPES, rtol=1e-6, atol=1e-9),
]
