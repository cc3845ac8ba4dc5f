"""What the exercises of notebook 03 ask; 3.2 and 3.7, which take differences, and 3.5 have files of their own."""

from collections.abc import Callable

import numpy as np

from rmlib.course.exercises.batches import IS_ADDITIVE
from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.gradient_check_differences import DIRECTIONAL, RICHARDSON
from rmlib.course.exercises.values import as_array
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
    "σ(Δ) stands where σ(−Δ) belongs, and both signs are turned round":
        lambda c, r: (sigmoid(c - r) / c.size, -sigmoid(c - r) / c.size),
    "the mean divides by B, the number of pairs, not by the 2B scores":
        lambda c, r: (-sigmoid(r - c) / (2 * c.size), sigmoid(r - c) / (2 * c.size)),
    "each pair keeps a gradient of its own; these are sums over the pairs":
        lambda c, r: (-sigmoid(r - c).sum(), sigmoid(r - c).sum()),
    "these are losses, divided by B; their slopes are asked for":
        lambda c, r: (np.logaddexp(0, r - c) / c.size, -np.logaddexp(0, r - c) / c.size),
    "the pull is the σ of minus the margin, not of a score alone":
        lambda c, r: (-sigmoid(-c) / c.size, sigmoid(-r) / c.size),
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
    margin = margin.item() if getattr(as_array(margin), "size", 0) == 1 and hasattr(margin, "item") else margin
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
    "the first term lost its share 1 − s": lambda d, s: -sigmoid(-d) + s * sigmoid(d),
    "the first term's slope is −σ(−Δ), not −σ(Δ)": lambda d, s: -(1 - s) * sigmoid(d) + s * sigmoid(d),
    "s and σ(−Δ) have opposite signs": lambda d, s: s + sigmoid(-d),
    "this is the loss itself; its slope is asked for":
        lambda d, s: (1 - s) * np.logaddexp(0, -d) + s * np.logaddexp(0, d),
    "each pair keeps a slope of its own; this is their mean": lambda d, s: float(np.mean(s - sigmoid(-d))),
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
    "the pairwise loss adds nothing: the pulls on r_c and r_r are opposite":
        lambda c, r, w: 4 * w * float(np.mean(c + r)) - 2 * float(np.mean(sigmoid(r - c))),
    "the pairwise loss adds nothing, and no plus either: b leaves the margin as it is":
        lambda c, r, w: 4 * w * float(np.mean(c + r)) + float(np.mean(sigmoid(r - c))),
    "a factor of 2 too many: one comes from the square, one from b, which is in both rewards":
        lambda c, r, w: 8 * w * float(np.mean(c + r)),
    "this is the way down, minus the gradient": lambda c, r, w: -4 * w * float(np.mean(c + r)),
    "this is the penalty; its slope is asked for": lambda c, r, w: w * float(np.mean((c + r) ** 2)),
    "the slope of the square has r_c + r_r to the first power":
        lambda c, r, w: 4 * w * float(np.mean((c + r) ** 2)),
    "zero is the pairwise loss's answer; the penalty sees b": lambda c, r, w: 0.0,
}


EXERCISES = [
    Exercise("3.1", score_gradients, scores, SCORE_GRADIENTS, edges=((np.array([800.0, -800.0]), np.zeros(2)),)),
    RICHARDSON,
    Exercise("3.3", judge=judge_the_wrong_one),
    Exercise("3.4", smoothed_slope, lambda rng: (rng.normal(scale=3, size=rng.integers(2, 9)), rng.uniform(0, 0.5)),
             SMOOTHED_SLOPE, edges=((np.array([0.0, 2.0]), 0.5), (np.array([0.0, -2.0, 40.0]), 0.0))),
    IS_ADDITIVE,
    Exercise("3.6", bias_gradient, lambda rng: (*scores(rng), rng.uniform(0.01, 1)), BIAS_GRADIENT),
    DIRECTIONAL,
]
