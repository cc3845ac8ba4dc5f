"""The mistakes that are made everywhere, each as what it makes of the right answer.

An explanation is a sentence, and a function of (got, wanted) that gives what would have come back if it were true. Most
look at `wanted` alone; one that looks at `got` gives None where it is not true. `diagnose` tells a sentence only where
its function matches every input.
"""

from collections.abc import Callable
from fractions import Fraction
from math import comb

import numpy as np

from rmlib.course.exercises.values import as_array

Explanation = Callable[[np.ndarray, np.ndarray], np.ndarray | None]

ENOUGH = 3  # so many different numbers a constant measured in the results has to explain
SINGLE = 1e-5  # relative errors below this are float32's
ROUGH = 1e-2  # ... and below this an approximation's
ROUNDING = 1e-13  # errors below this share of the largest number are float64's

LOG2, LOG10 = float(np.log(2)), float(np.log(10))
CONSTANTS = {LOG2: "log 2", 1 / LOG2: "1/log 2 (log2 in place of the natural logarithm?)",
             1 / LOG10: "1/log 10 (log10 in place of the natural logarithm?)"}

SIMPLE: dict[str, Explanation] = {
    "The sign is turned round.": lambda g, w: -w,
    "It is 1 minus the right answer.": lambda g, w: 1 - w,
    "It is the absolute value of the right answer.": lambda g, w: np.abs(w),
    "It is the logarithm of the right answer.": lambda g, w: np.log(w),
    "It is minus the logarithm of the right answer.": lambda g, w: -np.log(w),
    "It is the exponential of the right answer.": lambda g, w: np.exp(w),
    "It is exp(-x), where x is the right answer.": lambda g, w: np.exp(-w),
    "It is the reciprocal of the right answer: 1 divided by it.": lambda g, w: 1 / w,
    "It is the square of the right answer.": lambda g, w: w**2,
    "It is the square root of the right answer.": lambda g, w: np.sqrt(w),
    "It is the sigmoid of the right answer.": lambda g, w: 1 / (1 + np.exp(-w)),
    "It is the logit of the right answer, log(p / (1 - p)).": lambda g, w: np.log(w / (1 - w)),
    "It is clipped: what lies outside 0 to 1 is cut off.": lambda g, w: np.clip(w, 0, 1),
    "It is rounded to a whole number.": lambda g, w: np.round(w),
    "It is cut off to a whole number.": lambda g, w: np.trunc(w),
    "The order along the first axis is turned round.": lambda g, w: w[::-1] if w.ndim else None,
    "It is transposed.": lambda g, w: w.T if w.ndim > 1 else None,
    "It is the sum of what is wanted, in one number.": lambda g, w: np.sum(w),
    "It is the mean of what is wanted, in one number.": lambda g, w: np.mean(w),
    "It is many numbers, and their mean is wanted.": lambda g, w: g if g.size > 1 and alike(np.mean(g), w) else None,
    "It is many numbers, and their sum is wanted.": lambda g, w: g if g.size > 1 and alike(np.sum(g), w) else None,
    "The numbers are right, the shape is not.":
        lambda g, w: w.reshape(g.shape) if w.size == g.size and w.shape != g.shape else None,
}
# What is told only where nothing more exact is true.
VAGUE: dict[str, Explanation] = {
    "The sizes are right, the signs are not.": lambda g, w: np.copysign(w, g),
    "The numbers are right, their order is not.":
        lambda g, w: w if alike(g, w) else g if many(w) and alike(ordered(g), ordered(w)) else None,
    "Within one call all numbers are off by the same amount; it differs from call to call.":
        lambda g, w: w + np.mean(g - w) if many(w) and np.isfinite(g).all() else None,
    "Within one call all numbers are off by the same factor, which differs from call to call: a normalisation?":
        lambda g, w: w * np.sum(g * w) / np.sum(w * w) if many(w) and np.isfinite(g).all() else None,
}
# A factor made from the length n of an axis of an argument.
SIZES: dict[str, Callable[[int], float]] = {
    "n times the right answer: a sum in place of a mean?": lambda n: n,
    "1/n times the right answer: a mean in place of a sum?": lambda n: 1 / n,
    "n(n-1)/2 times the right answer: a sum over pairs in place of their mean?": lambda n: comb(n, 2),
    "the right answer divided by n(n-1)/2, the number of pairs.": lambda n: 1 / comb(n, 2),
    "(n-1)/n times the right answer: divided by n in place of n - 1?": lambda n: (n - 1) / n,
    "n/(n-1) times the right answer: divided by n - 1 in place of n?": lambda n: n / (n - 1),
}
# What is done to one argument before the right function gets it.
ARGUMENTS: dict[str, Callable[[object], object]] = {
    "with the sign of `{}` turned round.": lambda argument: -argument if signed(argument) else None,
    "with 0 for `{}`: is it used?": lambda argument: 0 * argument if signed(argument) else None,
    "with 1 for `{}`: is it used?": lambda argument: 0 * argument + 1,
}
# What is done to the right answer with an argument.
TERMS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "plus `{}`.": lambda wanted, argument: wanted + argument,
    "minus `{}`.": lambda wanted, argument: wanted - argument,
    "times `{}`.": lambda wanted, argument: wanted * argument,
    "divided by `{}`.": lambda wanted, argument: wanted / argument,
}


def signed(argument: object) -> bool:
    """Whether these are numbers that can be below zero: no list, no counts, no positions."""
    array = None if isinstance(argument, list) else as_array(argument)
    return array is not None and (array.dtype.kind not in "iu" or bool(np.any(array < 0)))


def many(wanted: np.ndarray) -> bool:
    return wanted.size > 1


def ordered(numbers: np.ndarray) -> np.ndarray:
    return np.sort(numbers, axis=None)


def alike(got: np.ndarray, wanted: np.ndarray) -> bool:
    return np.shape(got) == np.shape(wanted) and np.allclose(got, wanted, SINGLE, 1e-12)


def constant(value: float) -> str:
    """A positive number as a reader would write it."""
    fraction = Fraction(value).limit_denominator(12)
    named = CONSTANTS | ({float(fraction): str(fraction)} if fraction else {})
    return next((name for known, name in named.items() if np.isclose(value, known, rtol=1e-6)), f"{value:.6g}")


def measured(got: np.ndarray, wanted: np.ndarray) -> dict[str, Explanation]:
    """Explanations with a constant that is read off all results together: a factor, an offset, a bound.

    got, wanted: all finite numbers of all inputs, in two vectors.
    """
    found: dict[str, Explanation] = {}
    distinct = len(np.unique(wanted.round(9)))
    if np.any(wanted):
        factor = float(np.median(got[wanted != 0] / wanted[wanted != 0]))
        if distinct >= ENOUGH and abs(abs(factor) - 1) > SINGLE:
            sign = "minus " if factor < 0 else ""
            found[f"It is the right answer times {sign}{constant(abs(factor))}."] = lambda g, w: factor * w
    if distinct >= ENOUGH:
        offset, low, high = float(np.median(got - wanted)), float(got.min()), float(got.max())
        sign = "minus" if offset < 0 else "plus"
        found[f"It is the right answer {sign} {constant(abs(offset))}, at every input."] = lambda g, w: w + offset
        if np.sum(wanted < low) >= ENOUGH:
            found[f"It is clipped: what is less than {low:.6g} becomes {low:.6g}."] = lambda g, w: np.maximum(w, low)
        if np.sum(wanted > high) >= ENOUGH:
            found[f"It is clipped: what is more than {high:.6g} becomes {high:.6g}."] = lambda g, w: np.minimum(w, high)
    for decimals in range(1, 7):
        found[f"It is rounded to {decimals} decimals."] = lambda g, w, decimals=decimals: np.round(w, decimals)
    return found


def lost(got: np.ndarray, wanted: np.ndarray) -> list[str]:
    """Whether all that is wrong is rounding, as of numbers larger than the answer."""
    most = float(np.max(np.abs(got - wanted), initial=0))
    if not 0 < most < ROUNDING * np.max(np.abs(wanted)):
        return []
    return [f"It is off by {most:.0e} at most, as rounding is; where the answer itself is small, that is too much."]


def precision(got: np.ndarray, wanted: np.ndarray, change: float) -> list[str]:
    """What a small error may come from; nothing where it is not small, in proportion and to the `change` asked for."""
    scale = np.maximum(np.abs(wanted), 1e-3 * np.max(np.abs(wanted)))
    error = float(np.max(np.abs(got - wanted) / np.where(scale > 0, scale, 1)))
    most = float(np.max(np.abs(got - wanted)))
    if error < ROUGH and np.all(wanted == np.round(wanted)):
        return [f"It is close, never off by more than {most:.3g}: is something rounded on the way?"]
    if lost(got, wanted):
        return lost(got, wanted)
    if error < SINGLE:
        with np.errstate(over="ignore"):
            single = np.all(got == got.astype(np.float32))
        return [f"It agrees to a relative error of {error:.0e}, no better: "
                + ("was it computed in float32?" if single else "a rounded constant, or something small added?")]
    close = error < ROUGH and most < ROUGH * change
    return [f"It is close, to a relative error of {error:.0e}: an approximation?"] if close else []
