"""Exercises of notebook 05 around the head: its first weights, the shape of its scores, and how wide a model can be."""

from bisect import bisect_right
from collections.abc import Callable

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.values import as_array

# 5.3: how large may a head begin?


def head_std(chosen, rejected, excess):
    square = np.mean(np.sum((chosen - rejected) ** 2, axis=1))
    return float(np.sqrt(8 * excess / square))


def features(rng: np.random.Generator) -> tuple:
    pairs, width = int(rng.integers(3, 8)), int(rng.integers(10, 20))
    return *rng.normal(size=(2, pairs, width)), rng.uniform(0.001, 0.02)


def changed(factor: Callable[[np.ndarray, np.ndarray], float]) -> Callable:
    """The right answer times a factor that depends on the features."""
    return lambda c, r, e: head_std(c, r, e) * factor(c, r)


def mean_square(d: np.ndarray) -> float:
    return float(np.mean(np.sum(d**2, axis=1)))


STD = {
    "this is the variance; the standard deviation is its square root": lambda c, r, e: head_std(c, r, e) ** 2,
    "a factor of √8 is missing: the loss exceeds log 2 by Var(Δ)/8": changed(lambda c, r: 1 / np.sqrt(8)),
    "the margin's variance is the head's variance times the *square* of the distance, averaged over pairs":
        changed(lambda c, r: np.sqrt(mean_square(c - r)) / np.mean(np.linalg.norm(c - r, axis=1))),
    "it is the distance chosen minus rejected that counts, not the features' own length":
        changed(lambda c, r: np.sqrt(mean_square(c - r) / mean_square(c))),
    "squares are added over the H numbers of a vector, not averaged":
        changed(lambda c, r: np.sqrt(c.shape[1])),
    "squares are averaged over the pairs, not added": changed(lambda c, r: 1 / np.sqrt(len(c))),
    "|δ|² is the sum of squares, not its root": changed(
        lambda c, r: np.sqrt(mean_square(c - r) / np.mean(np.linalg.norm(c - r, axis=1)))),
    "the length of the mean difference; the mean of the squared lengths is wanted":
        changed(lambda c, r: np.sqrt(mean_square(c - r)) / np.linalg.norm(np.mean(c - r, axis=0))),
    "squares are added over the pairs and averaged over the H numbers; it is the other way round":
        changed(lambda c, r: np.sqrt(c.shape[1] / len(c))),
    "chosen and rejected are added; the difference counts":
        changed(lambda c, r: np.sqrt(mean_square(c - r) / mean_square(c + r))),
    "each pair's own ω is averaged; the squared lengths are to be":
        changed(lambda c, r: np.sqrt(mean_square(c - r)) * np.mean(1 / np.linalg.norm(c - r, axis=1))),
    "one ω for each pair; it is to be one for all, by the mean of the squared lengths":
        lambda c, r, e: np.sqrt(8 * e) / np.linalg.norm(c - r, axis=1),
    "log 2 is added to the excess, which is what comes on top of log 2":
        lambda c, r, e: head_std(c, r, e + np.log(2)),
    "this is the formula for large margins": lambda c, r, e:
        (e + np.log(2)) * np.sqrt(2 * np.pi) / np.mean(np.linalg.norm(c - r, axis=1)),
    "nan, as of the root of a negative number; the excess is the loss less log 2 already": lambda c, r, e: np.nan,
    "a variance is measured from the mean, and over all numbers; |δ|² is a sum of squares":
        changed(lambda c, r: np.sqrt(mean_square(c - r) / np.var(c - r))),
    "the root has to be taken of the whole quotient": lambda c, r, e: 8 * e / np.sqrt(mean_square(c - r)),
}
HEAD_STD = Exercise("5.3", head_std, features, STD)


# 5.4: (B, 1) against (B,)


def judge_broadcast(function: Callable, rng: np.random.Generator) -> str | None:
    answer = function()
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return "Return two lists or arrays of scores: chosen and rejected."
    chosen, rejected = (as_array(side) for side in answer)
    if any(side is None or side.ndim != 1 or not np.isfinite(side).all() for side in (chosen, rejected)):
        return "Both have to be lists of finite numbers, or arrays of shape (B,)."
    if chosen.shape != rejected.shape or not chosen.size:
        return f"There are {chosen.size} chosen scores and {rejected.size} rejected ones: each pair has one of each."
    right, told = np.mean(chosen > rejected), np.mean(chosen[:, None] > rejected)
    if right < 1:
        return f"Only {right:.0%} of these pairs are ordered rightly, and all of them should be."
    if told >= 0.6:
        alone = " With a single pair (B, B) is one number, and right." if chosen.size == 1 else ""
        return f"The code with the bug reports {told:.0%} here; find scores where it is below 60%.{alone}"
    return None


BROADCAST = Exercise("5.4", judge=judge_broadcast)


# 5.8: how wide can a model of so many weights be?


def by_part(width, vocabulary, positions, blocks, inner, attention):
    return {"words": vocabulary * width, "positions": positions * width, "head": width + 1,
            "norms": (2 * blocks + 1) * 2 * width, "biases": blocks * (attention + inner + 1) * width,
            "matrices": blocks * (attention + 2 * inner) * width**2}


def weights(width, *sizes, inner=4, attention=4, without=()):
    return sum(count for part, count in by_part(width, *sizes, inner, attention).items() if part not in without)


def widest(budget, *sizes, step=64, **options):
    return step * (bisect_right(range(25_600 // step), budget, key=lambda k: weights(step * k, *sizes, **options)) - 1)


def forgotten(*parts):
    return lambda w, v, p, n: widest(w, v, p, n, without=parts)


def nearest(budget, *sizes):
    below = widest(budget, *sizes)
    return min(below, below + 64, key=lambda width: abs(weights(width, *sizes) - budget))


WIDEST = {
    "a step too far: this width is the first that breaks the budget": lambda w, v, p, n: widest(w, v, p, n) + 64,
    "segments are counted, and this model has none": lambda w, v, p, n: widest(w, v, p + 2, n),
    "at most means that a model of exactly `budget` weights will do": lambda w, v, p, n: widest(w - 1, v, p, n),
    "the tables of words and positions are not counted": forgotten("words", "positions"),
    "the words' table is not counted": forgotten("words"),
    "the positions' table is not counted": forgotten("positions"),
    "the layer norms are not counted": forgotten("norms"),
    "the biases of the linear layers are not counted": forgotten("biases"),
    "the head is not counted": forgotten("head"),
    "a single block is counted": lambda w, v, p, n: widest(w, v, p, 1),
    "the feed-forward net is H wide inside; 4H is asked for": lambda w, v, p, n: widest(w, v, p, n, inner=1),
    "about 12 H² a block is not exact: biases, layer norms and the head count, too":
        forgotten("head", "norms", "biases"),
    "three linear layers are counted in attention; there is a fourth, which mixes the heads":
        lambda w, v, p, n: widest(w, v, p, n, attention=3),
    "the nearest width; it has to keep within the budget": nearest,
    "the width has to be a multiple of 64": lambda w, v, p, n: widest(w, v, p, n, step=1),
    "any multiple of 64 will do, not of 128 alone": lambda w, v, p, n: widest(w, v, p, n, step=128),
    "this is in steps of 64, not the width itself": lambda w, v, p, n: widest(w, v, p, n) // 64,
}


PARTS = (("head",), ("norms",), ("biases",), ("positions",), ("words",), ("words", "positions"))


def edges(sizes):
    """Budgets at which two widths change hands: for the right count, and for counts without one part."""
    width = 64 * (1 + sizes[-1] % 3)
    whole = weights(width, *sizes)
    short = [weights(width, *sizes, without=parts) for parts in PARTS]  # enough for this width only without these
    budgets = whole, whole - 1, whole + width, *short, *(count - 1 for count in short)
    return tuple((budget, *sizes) for budget in budgets)


def budget(rng: np.random.Generator) -> tuple:
    sizes = int(rng.integers(20_000, 60_000)), 64 * int(rng.integers(32, 128)), int(rng.integers(4, 25))
    width = 64 * int(rng.integers(6, 20))
    return int(rng.integers(weights(width, *sizes), weights(width + 64, *sizes))), *sizes


LARGE = tuple((weights(width + 32, 50_000, 512, 4), 50_000, 512, 4) for width in (8_320, 10_880, 16_000))
WIDEST_MODEL = Exercise("5.8", widest, budget, WIDEST, edges=(*edges((643, 512, 4)), *edges((3000, 2048, 12)), *LARGE))
