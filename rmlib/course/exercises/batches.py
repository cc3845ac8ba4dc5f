"""Exercise 3.5 of notebook 03: is a batch's loss the mean of its pairs' losses?"""

from collections.abc import Callable

import numpy as np

from rmlib.course.exercises.engine import Exercise


def mean_of_pairs(chosen, rejected):
    rounding = 1e-14 if chosen.size > 1 else 0.0  # above what it is, so that == fails for certain, and below 1e-12
    return float(np.logaddexp(0, rejected - chosen).mean()) * (1 + rounding)


def off_by(amount: float) -> Callable:
    """The mean of the pairs, and `amount` more for a batch of several."""

    def off(chosen, rejected):
        return mean_of_pairs(chosen, rejected) + (amount if chosen.size > 1 else 0.0)

    off.__name__ = f"mean_of_pairs_off_by_{amount:g}"
    return off


def mean_hinge(chosen, rejected):
    return float(np.maximum(0, 1 + rejected - chosen).mean())  # of whole numbers, and so without any rounding


def first_two(chosen, rejected):
    return float(np.logaddexp(0, rejected - chosen)[:2].mean())


def sum_of_pairs(chosen, rejected):
    return float(np.logaddexp(0, rejected - chosen).sum())


def summed_first(chosen, rejected):
    return float(np.logaddexp(0, (rejected - chosen).sum()))


def every_with_every(chosen, rejected):
    return float(np.logaddexp(0, rejected - chosen[:, None]).mean())


def loss_and_scores(rng: np.random.Generator) -> tuple[Callable, np.ndarray, np.ndarray]:
    """A loss, additive or not by 0.2 at least, and whole scores of one pair or several.

    Smaller gaps are for the edges: drawn now and then, they would leave it open which tolerance was too wide.
    """
    kinds = mean_of_pairs, mean_hinge, first_two, sum_of_pairs, summed_first, every_with_every
    while True:
        kind, pairs = kinds[rng.integers(len(kinds))], 1 if rng.random() < 0.2 else int(rng.integers(2, 30))
        chosen, rejected = rng.integers(-4, 5, size=(2, pairs)).astype(float)
        if not 1e-9 < abs(gap(kind, chosen, rejected)) < 0.2:
            return kind, chosen, rejected


def gap(loss_fn, chosen, rejected, of_pairs=np.mean):
    singles = [loss_fn(chosen[i : i + 1], rejected[i : i + 1]) for i in range(len(chosen))]
    return loss_fn(chosen, rejected) - of_pairs(singles)


def is_additive(loss_fn, chosen, rejected):
    return bool(abs(gap(loss_fn, chosen, rejected)) < 1e-9)


ADDITIVE = {
    "it holds the batch against the sum of its pairs; the loss is their mean":
        lambda f, c, r: bool(abs(gap(f, c, r, np.sum)) < 1e-9),
    "== asks for the same bits, and the order of a sum moves the last one: allow for rounding, 1e-9 say":
        lambda f, c, r: bool(gap(f, c, r) == 0),
    "without abs() every batch loss that is too small passes": lambda f, c, r: bool(gap(f, c, r) < 1e-9),
    "one pair alone stands for all: add up every pair's loss":
        lambda f, c, r: bool(abs(f(c, r) - f(c[:1], r[:1])) < 1e-9),
    "only the first two pairs are looked at": lambda f, c, r: is_additive(f, c[:2], r[:2]),
    "the last pair is left out": lambda f, c, r: bool(abs(gap(f, c, r) + f(c[-1:], r[-1:]) / len(c)) < 1e-9),
    "the pairs' median stands for their mean": lambda f, c, r: bool(abs(gap(f, c, r, np.median)) < 1e-9),
    "it says yes whatever the loss is": lambda f, c, r: True,
    "it says no whatever the loss is": lambda f, c, r: False,
    "without abs() every batch loss that is too large passes": lambda f, c, r: bool(-gap(f, c, r) < 1e-9),
    **{f"the tolerance is so wide that a loss passes which is off by {passes}: rounding needs 1e-9 at most":
       lambda f, c, r, atol=atol: bool(abs(gap(f, c, r)) < atol)
       for passes, atol in (("3e-6", 1e-4), ("0.003", 1e-2), ("0.03", 1e-1))},
    "it computes the pairs' losses itself; they have to come from loss_fn":
        lambda f, c, r: bool(abs(f(c, r) - mean_of_pairs(c, r)) < 1e-9),
    "chosen and rejected are exchanged where the pairs stand alone":
        lambda f, c, r: bool(abs(f(c, r) - f(r, c) + gap(f, r, c)) < 1e-9),
    "True and False are exchanged": lambda f, c, r: not is_additive(f, c, r),
}

SCORES = np.array([0.0, 1.0, -1.0, 2.0]), np.array([1.0, 0.0, 1.0, 0.0])  # their mean loss is about 1

IS_ADDITIVE = Exercise(
    "3.5", is_additive, loss_and_scores, ADDITIVE, trials=40,
    edges=(*((loss, *SCORES) for loss in (mean_of_pairs, first_two, sum_of_pairs,
                                          *map(off_by, (3e-6, -3e-6, 0.003, 0.03)))),
           (mean_of_pairs, np.full(3, 2.0), np.zeros(3))),  # pairs that are alike: the first one stands for all
)
