"""What the exercises of notebook 07 ask: first those about counting right answers; the others are in a file beside."""

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.evaluation_meaning import BEST_OF_N, CALIBRATION, LENGTH

ENOUGH = 0.3  # by which the careless accuracy has to be wrong


# 7.1: margins and a batch size that fool a mean of batch means


def _mean_of_means(margins: np.ndarray, batch_size: int) -> float:
    batches = [margins[i:i + batch_size] for i in range(0, len(margins), batch_size)]
    return float(np.mean([(batch > 0).mean() for batch in batches]))


def _counterexample(function: Callable, rng: np.random.Generator) -> str | None:
    try:
        margins, batch_size = function()
        if np.ndim(margins) == 0 and np.ndim(batch_size) == 1:
            return "The two are exchanged: the margins come first, then the batch size."
        margins, size = np.asarray(margins, dtype=float), int(batch_size)
    except (TypeError, ValueError) as error:
        return f"Return two things, the margins and a batch size ({error})."
    if margins.ndim != 1 or len(margins) < 2 or not np.isfinite(margins).all():
        return f"The margins are a list of two or more finite numbers; these have the shape {margins.shape}."
    if size != batch_size or size < 1:
        return f"A batch size is a whole number, at least 1, not {batch_size!r}."
    if (margins == 0).any():
        return "There are ties among them. She counts ties as wrong, which is her other mistake: look for this one."
    if size == 1:
        return "In batches of one she is right: each pair is a batch, and all count alike."
    if size >= len(margins):
        return "All pairs are in one batch here, and her mean is right: take smaller ones, and leave a short last one."
    if len(margins) % size == 0:
        return "All batches are of one size here, and then the mean of their means is the mean: leave a short last one."
    off = abs(_mean_of_means(margins, size) - (margins > 0).mean())
    if off < ENOUGH:
        return f"She is off by {off:.2f} here, and {ENOUGH} is wanted: let the short batch differ more from the rest."
    return None


# 7.2: the accuracy of prompts drawn with replacement


def resampled(right: np.ndarray, prompts: np.ndarray, drawn: np.ndarray) -> float:
    times = np.bincount(drawn, minlength=prompts.max() + 1)[prompts]
    return (times * right).sum() / times.sum()


def _prompts_drawn(rng: np.random.Generator) -> tuple:
    sizes = rng.integers(1, 5, size=rng.integers(3, 7))
    prompts = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    while len(set(drawn := rng.integers(len(sizes), size=len(sizes)))) == len(sizes):
        pass  # a draw without a repetition could not tell a set from a list
    return rng.choice([0.0, 0.5, 1.0], size=len(prompts)), prompts, drawn


def _prompt_means(right: np.ndarray, prompts: np.ndarray) -> np.ndarray:
    return np.bincount(prompts, right) / np.bincount(prompts)


RESAMPLED = {
    "a prompt that was drawn twice counts twice, and here it counts once": lambda right, prompts, drawn:
        right[np.isin(prompts, drawn)].mean(),
    "this is the mean of the prompts' own accuracies; each pair counts alike, so a prompt with more pairs counts more":
        lambda right, prompts, drawn: _prompt_means(right, prompts)[drawn].mean(),
    "drawn holds numbers of prompts, and here they are taken for numbers of rows": lambda right, prompts, drawn:
        right[drawn].mean(),
    "this is the accuracy before any drawing": lambda right, prompts, drawn: right.mean(),
    "the sum is divided by the number of rows; the pairs that were drawn are not always as many":
        lambda right, prompts, drawn: np.concatenate([right[prompts == each] for each in drawn]).sum() / len(right),
    "this is a median; an accuracy is the mean of right answers": lambda right, prompts, drawn:
        float(np.median(np.concatenate([right[prompts == each] for each in drawn]))),
    "the sum is divided by the number of prompts drawn, not by the number of their pairs":
        lambda right, prompts, drawn: np.concatenate([right[prompts == each] for each in drawn]).sum() / len(drawn),
}


# 7.3: McNemar's exact test


def mcnemar_p(only_first: int, only_second: int) -> float:
    n, fewer = only_first + only_second, min(only_first, only_second)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n)


def _tail(only_first: int, only_second: int, most: int) -> float:
    n = only_first + only_second
    return sum(math.comb(n, k) for k in range(most + 1)) / 2**n


def _normal(only_first: int, only_second: int) -> float:
    n = only_first + only_second
    return 2 * NormalDist().cdf(-abs(only_first - only_second) / math.sqrt(n)) if n else 1.0


def _discordant(rng: np.random.Generator) -> tuple[int, int]:
    return int(rng.integers(0, 40)), int(rng.integers(0, 40))


MCNEMAR = {
    "this is one tail; a difference the other way would have been as surprising: take it twice":
        lambda b, c: _tail(b, c, min(b, c)),
    "a probability is at most 1; where the two counts are equal the doubled tail is more":
        lambda b, c: 2 * _tail(b, c, min(b, c)),
    "the count that was seen belongs to the tail: as extreme as this, or more":
        lambda b, c: min(1.0, 2 * _tail(b, c, min(b, c) - 1)),
    "this is the other tail, from the larger count downward":
        lambda b, c: min(1.0, 2 * _tail(b, c, max(b, c))),
    "this is the normal approximation; the exact test adds up binomial probabilities": _normal,
    "this is the probability of exactly these counts; more extreme ones belong to it too":
        lambda b, c: min(1.0, 2 * math.comb(b + c, b) / 2 ** (b + c)),
    "the tail of the first count is taken whichever is smaller": lambda b, c: min(1.0, 2 * _tail(b, c, b)),
}


# 7.4: the price of telling two models apart


def _pairs(gap: float, disagree: float, *, z_level: float = 0.975, z_power: float = 0.8, null: float | None = None,
           other: float | None = None) -> float:
    """((z_level √null + z_power √other) / gap)², unrounded; the z as probabilities."""
    z_level, z_power = NormalDist().inv_cdf(z_level), NormalDist().inv_cdf(z_power)
    null = disagree if null is None else null
    other = disagree - gap**2 if other is None else other
    return ((z_level * math.sqrt(null) + z_power * math.sqrt(other)) / gap) ** 2


def _disagreement(margins: np.ndarray, others: np.ndarray) -> float:
    return float(np.mean((margins > 0) != (others > 0)))


def pairs_needed(margins: np.ndarray, others: np.ndarray, gap: float) -> int:
    disagree = _disagreement(margins, others)
    if abs(gap) > disagree:
        raise ValueError("no gap is larger than the share of pairs on which the two disagree")
    return math.ceil(_pairs(gap, disagree))


def _two_models_and_a_gap(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    n = int(rng.integers(5, 30))
    sign, sizes = rng.choice([-1, 1], size=n), rng.integers(1, 30, size=(2, n)) / 10
    turned = np.where(rng.permutation(n) < rng.integers(1, n // 2 + 1), -1, 1)
    # Many gaps are small: it takes thousands of pairs before rounded quantiles show.
    gap = round(10 ** float(rng.uniform(-1.7, -0.05)) * float(np.mean(turned < 0)), 3) * int(rng.choice([-1, 1]))
    return sign * sizes[0], sign * turned * sizes[1], gap


def _measured(formula: Callable[[float, float], float]) -> Callable:
    """A formula of the gap and the share of disagreement, as a function of two models' margins and the gap."""
    return lambda margins, others, gap: formula(gap, _disagreement(margins, others))


def _with_mean_of(square: Callable) -> Callable:
    return lambda margins, others, gap: math.ceil(_pairs(gap, float(np.mean(square(margins, others)))))


FORMULAS = {
    "the variance under the alternative is δ's own: D - δ², not D":
        lambda gap, d: math.ceil(_pairs(gap, d, other=d)),
    "the two variances are exchanged: D belongs to the level, D - δ² to the power":
        lambda gap, d: math.ceil(_pairs(gap, d, null=d - gap**2, other=d)),
    "D - δ² stands in both places; without a difference the variance is D":
        lambda gap, d: math.ceil(_pairs(gap, d, null=d - gap**2)),
    "the test is one-sided: half of the level belongs to each side":
        lambda gap, d: math.ceil(_pairs(gap, d, z_level=0.95)),
    "it forgets the power: this finds the difference in only about half of all experiments":
        lambda gap, d: math.ceil(_pairs(gap, d, z_power=0.5)),
    "rounded quantiles, 1.96 and 0.84, are off by some pairs: take NormalDist().inv_cdf":
        lambda gap, d: math.ceil(_pairs(gap, d, z_level=NormalDist().cdf(1.96), z_power=NormalDist().cdf(0.84))),
    "the two terms are added: z of the power is +0.84, the quantile of 0.80, and not that of 0.20":
        lambda gap, d: math.ceil(_pairs(gap, d, z_power=0.2)),
    "the gap's square is taken off D, and here it is the gap itself":
        lambda gap, d: math.ceil(_pairs(gap, d, other=d - gap)),
    "twice D belongs to two test sets; here both models judge the same pairs":
        lambda gap, d: math.ceil(_pairs(gap, d, null=2 * d, other=2 * d)),
    "no gap is larger than the share of pairs on which the two disagree: raise ValueError where one is asked for":
        lambda gap, d: math.ceil(_pairs(gap, d)),
    "nothing is divided by the gap: the smaller it is, the more pairs it takes":
        lambda gap, d: math.ceil(_pairs(gap, d) * gap**2),
    "it forgets to square": lambda gap, d: math.ceil(math.sqrt(_pairs(gap, d))),
    "these are the votes of notebook 01, for a share of 1/2 + δ among all pairs; here most pairs say nothing":
        lambda gap, d: math.ceil(_pairs(gap, d, null=0.25, other=0.25 - gap**2)),
    "a pair cannot be cut into pieces: round up": _pairs,
    "it rounds down, and so misses the power by a little: round up": lambda gap, d: math.floor(_pairs(gap, d)),
    "it rounds to the nearest number, which may be one too few: round up": lambda gap, d: round(_pairs(gap, d)),
    "it counts only the pairs on which the two disagree; the others have to be labelled too":
        lambda gap, d: math.ceil(d * _pairs(gap, d)),
    "it uses variances where standard deviations belong: take the roots":
        lambda gap, d: math.ceil(((NormalDist().inv_cdf(0.975) * d + NormalDist().inv_cdf(0.8) * (d - gap**2))
                                  / gap) ** 2),
}
PAIRS_NEEDED = {name: _measured(formula) for name, formula in FORMULAS.items()} | {
    "D is the share of pairs on which the two disagree, and here it is that on which they agree":
        _with_mean_of(lambda one, other: (one > 0) == (other > 0)),
    "to disagree is to prefer another response: the signs count, not how far the margins are apart":
        _with_mean_of(lambda one, other: (one - other) ** 2),
    "two signs, 1 and -1, differ by 2, and the square of that is 4: D counts each such pair as one":
        _with_mean_of(lambda one, other: (np.sign(one) - np.sign(other)) ** 2),
    "they disagree in two ways, and here one of them is counted":
        _with_mean_of(lambda one, other: (one > 0) & (other < 0)),
}


EXERCISES = [
    Exercise("7.1", judge=_counterexample),
    Exercise("7.2", answer=resampled, draw=_prompts_drawn, mistakes=RESAMPLED),
    Exercise("7.3", answer=mcnemar_p, draw=_discordant, mistakes=MCNEMAR, edges=((0, 0), (5, 5), (0, 8), (31, 12))),
    Exercise("7.4", answer=pairs_needed, draw=_two_models_and_a_gap, mistakes=PAIRS_NEEDED,
             edges=tuple((np.tile([1.5, 2.0, -1.0, 0.5], n), np.tile([1.0, 0.5, -2.0, -0.5], n), gap)
                         for n, gap in ((1, 0.25), (1, -0.02), (4, 0.3), (4, -0.3)))),
    CALIBRATION, LENGTH, BEST_OF_N,
]
