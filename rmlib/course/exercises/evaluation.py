"""What the exercises of notebook 07 ask: first those about counting right answers; the others are in files beside."""

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.evaluation_meaning import CALIBRATION, LEANING
from rmlib.course.exercises.evaluation_verdicts import BEST_OF_K, VERDICT

# 7.1: the accuracy of prompts drawn with replacement


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
    "`drawn` is not used: this is the mean of all prompts' accuracies": lambda right, prompts, drawn:
        _prompt_means(right, prompts).mean(),
    "the sum is divided by the number of rows; the pairs that were drawn are not always as many":
        lambda right, prompts, drawn: np.concatenate([right[prompts == each] for each in drawn]).sum() / len(right),
    "this is a median; an accuracy is the mean of right answers": lambda right, prompts, drawn:
        float(np.median(np.concatenate([right[prompts == each] for each in drawn]))),
    "the sum is divided by the number of prompts drawn, not by the number of their pairs":
        lambda right, prompts, drawn: np.concatenate([right[prompts == each] for each in drawn]).sum() / len(drawn),
    "the pairs' values are added up, and not divided by the number of pairs that were drawn":
        lambda right, prompts, drawn: np.concatenate([right[prompts == each] for each in drawn]).sum(),
    "a prompt brings all of its pairs, and here only the first":
        lambda right, prompts, drawn: right[[np.argmax(prompts == each) for each in drawn]].mean(),
    "a tie is half right; here it is wrong": lambda right, prompts, drawn: resampled(right == 1, prompts, drawn),
    "a tie is half right; here it is right": lambda right, prompts, drawn: resampled(right > 0, prompts, drawn),
}


# 7.2: the price of telling two models apart


def _pairs(gap: float, disagree: float, *, z_level: float = 0.975, z_power: float = 0.8, null: float | None = None,
           other: float | None = None) -> float:
    """((z_level √null + z_power √other) / gap)², unrounded; the z as probabilities."""
    z_level, z_power = NormalDist().inv_cdf(z_level), NormalDist().inv_cdf(z_power)
    null = disagree if null is None else null
    other = disagree - gap**2 if other is None else other
    return ((z_level * math.sqrt(null) + z_power * math.sqrt(other)) / gap) ** 2


def _disagreement(margins: np.ndarray, others: np.ndarray) -> float:
    return float(np.mean((margins > 0) != (others > 0)))


def pairs_needed(margins: np.ndarray, others: np.ndarray, gap: float) -> tuple[int, float]:
    disagree = _disagreement(margins, others)
    return _with_labels(_unless(False, gap, disagree), disagree)


def _with_labels(pairs: float, share: float) -> tuple[float, float]:
    """Pairs to score, and how many of them are labelled on average."""
    return pairs, share * pairs


def _unless(refuse: bool, gap: float, disagree: float) -> int:
    if refuse or abs(gap) > disagree:
        raise ValueError("no gap is larger than the share of pairs on which the two disagree")
    return math.ceil(_pairs(gap, disagree))


def _refusing(formula: Callable[[float, float], float]) -> Callable[[float, float], float]:
    """A formula that refuses the right gaps: a reader's wrong formula mostly stands below the right refusal."""
    def pairs(gap: float, disagree: float) -> float:
        _unless(False, gap, disagree)
        return formula(gap, disagree)
    return pairs


def _two_models_and_a_gap(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    n = int(rng.integers(5, 30))
    sign, sizes = rng.choice([-1, 1], size=n), rng.integers(1, 30, size=(2, n)) / 10
    turned = np.where(rng.permutation(n) < rng.integers(1, n // 2 + 1), -1, 1)
    # Many gaps are small: it takes thousands of pairs before rounded quantiles show.
    gap = round(10 ** float(rng.uniform(-1.7, -0.05)) * float(np.mean(turned < 0)), 3) * int(rng.choice([-1, 1]))
    return sign * sizes[0], sign * turned * sizes[1], gap


def _measured(results: Callable[[float, float], object]) -> Callable:
    """Results of the gap and the share of disagreement, as a function of two models' margins and the gap."""
    return lambda margins, others, gap: results(gap, _disagreement(margins, others))


def _with_share(share: Callable) -> Callable:
    """Both numbers with another share of disagreement."""
    def results(margins: np.ndarray, others: np.ndarray, gap: float) -> tuple[float, float]:
        other = float(share(margins, others))
        return _with_labels(math.ceil(_pairs(gap, other)), other)
    return results


REFUSALS = {  # of a gap, rightly or not
    "the gap has either sign, and a negative one is refused here": lambda gap, d: _unless(gap < 0, gap, d),
    "the gap has either sign: compare its size with D": lambda gap, d:
        math.ceil(_pairs(gap, d)) if gap < 0 else _unless(False, gap, d),
    "a gap as large as D can be: one model is then right wherever the two disagree":
        lambda gap, d: _unless(abs(gap) >= d, gap, d),
    "no gap is larger than the share of pairs on which the two disagree: raise ValueError where one is asked for":
        lambda gap, d: math.ceil(_pairs(gap, d)),
}
FORMULAS = {  # of the pairs to score, where the right gaps are refused
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
    "D is taken twice: b + c counts each pair on which they disagree once, and that is all the variance there is":
        lambda gap, d: math.ceil(_pairs(gap, d, null=2 * d, other=2 * d - gap**2)),
    "both variances are 2D: with the gap a pair's variance is D - δ², and without it D":
        lambda gap, d: math.ceil(_pairs(gap, d, null=2 * d, other=2 * d)),
    "D(1 - D) is the variance of whether they disagree; the gap is a mean of 1, 0 and -1, with the variance D - δ²":
        lambda gap, d: math.ceil(_pairs(gap, d, null=d * (1 - d), other=d * (1 - d))),
    "without a gap the variance is D, and not D(1 - D): a mean of 1, 0 and -1 is 0 then":
        lambda gap, d: math.ceil(_pairs(gap, d, null=d * (1 - d))),
    "D(1 - D) stands for D: it is the variance of whether they disagree, and not of who is right":
        lambda gap, d: math.ceil(_pairs(gap, d, null=d * (1 - d), other=max(0.0, d * (1 - d) - gap**2))),
    "D(1 - D) stands in the place of D - δ²":
        lambda gap, d: math.ceil(_pairs(gap, d, other=d * (1 - d))),
    "these are two accuracies of 77% on pairs of their own, whatever D is; here both judge the same pairs":
        lambda gap, d: math.ceil(_pairs(gap, d, null=2 * 0.77 * 0.23, other=2 * 0.77 * 0.23)),
    "the gap's square is added to D; it has to be taken off":
        lambda gap, d: math.ceil(_pairs(gap, d, other=d + gap**2)),
    "D - δ stands in both places: without a gap the variance is D, and with it D - δ²":
        lambda gap, d: math.ceil(_pairs(gap, d, null=d - abs(gap), other=d - abs(gap))),
    "the size of the gap is taken off D, and its square belongs there":
        lambda gap, d: math.ceil(_pairs(gap, d, other=d - abs(gap))),
    "pairs_to_tell takes variances, and takes the roots itself":
        lambda gap, d: math.ceil(_pairs(gap, d, null=math.sqrt(d), other=math.sqrt(d - gap**2))),
    "the power is taken for 90%; 80% is asked for": lambda gap, d: math.ceil(_pairs(gap, d, z_power=0.9)),
    "the formula counts all pairs, those on which the two agree among them: nothing is left to divide by D":
        lambda gap, d: math.ceil(_pairs(gap, d) / d),
    "nothing is divided by the gap: the smaller it is, the more pairs it takes":
        lambda gap, d: math.ceil(_pairs(gap, d) * gap**2),
    "it forgets to square": lambda gap, d: math.ceil(math.sqrt(_pairs(gap, d))),
    "these are the votes of notebook 01, for a share of 1/2 + δ among all pairs; here most pairs say nothing":
        lambda gap, d: math.ceil(_pairs(gap, d, null=0.25, other=0.25 - gap**2)),
    "a pair cannot be cut into pieces: round up": _pairs,
    "it rounds down, and so misses the power by a little: round up": lambda gap, d: math.floor(_pairs(gap, d)),
    "it rounds to the nearest number, which may be one too few: round up": lambda gap, d: round(_pairs(gap, d)),
    "the first number is of all pairs that both models score; here it counts only those on which they disagree":
        lambda gap, d: math.ceil(d * _pairs(gap, d)),
    "it uses variances where standard deviations belong: take the roots":
        lambda gap, d: math.ceil(((NormalDist().inv_cdf(0.975) * d + NormalDist().inv_cdf(0.8) * (d - gap**2))
                                  / gap) ** 2),
}
BOTH = {  # where the pairs to score are right
    "it labels all; where both choose alike, b - c stays the same whatever the label is": lambda n, d: (n, n),
    "labelled are here the pairs on which the two agree: those change nothing": lambda n, d: (n, (1 - d) * n),
    "the labels are an average, which is not rounded": lambda n, d: (n, math.ceil(d * n)),
    "the labels are an average: it is neither rounded nor cut off": lambda n, d: (n, math.floor(d * n)),
    "the labels are an average, and here they are rounded": lambda n, d: (n, round(d * n)),
    "scored are all pairs, and labelled those on which the two disagree; here both numbers are of the latter":
        lambda n, d: (math.ceil(d * n), d * n),
    "two numbers are wanted, pairs to score and labels, and here the labels are missing": lambda n, d: n,
    "two numbers are wanted, pairs to score and labels, and here the pairs are missing": lambda n, d: d * n,
    "the second number is D itself; labels are that share of the pairs": lambda n, d: (n, d),
}
PAIRS_NEEDED = {
    name: _measured(lambda gap, d, formula=formula: _with_labels(_refusing(formula)(gap, d), d))
    for name, formula in FORMULAS.items()
} | {
    name: _measured(lambda gap, d, formula=formula: _with_labels(formula(gap, d), d))
    for name, formula in REFUSALS.items()
} | {
    name: _measured(lambda gap, d, both=both: both(_unless(False, gap, d), d)) for name, both in BOTH.items()
} | {
    "the labels are a share of the pairs that are scored, whole pairs: round up first": _measured(
        lambda gap, d: (_unless(False, gap, d), d * _pairs(gap, d))),
    "the labels are a share of the pairs that are scored, n rounded up, and are not rounded themselves": _measured(
        lambda gap, d: (_unless(False, gap, d), math.ceil(d * _pairs(gap, d)))),
    "D is the share of pairs on which the two disagree, and here it is that on which they agree":
        _with_share(lambda one, other: np.mean((one > 0) == (other > 0))),
    "to disagree is to prefer another response: the signs count, not how far the margins are apart":
        _with_share(lambda one, other: np.mean((one - other) ** 2)),
    "two signs, 1 and -1, differ by 2, and the square of that is 4: D counts each such pair as one":
        _with_share(lambda one, other: np.mean((np.sign(one) - np.sign(other)) ** 2)),
    "to disagree is to prefer another response; here it is enough that the margins are not the same":
        _with_share(lambda one, other: np.mean(one != other)),
    "D is a share of the pairs, and here it is their number":
        _with_share(lambda one, other: _disagreement(one, other) * len(one)),
    "they disagree in two ways, and here one of them is counted":
        _with_share(lambda one, other: np.mean((one > 0) & (other < 0))),
}


EXERCISES = [
    Exercise("7.1", answer=resampled, draw=_prompts_drawn, mistakes=RESAMPLED, edges=tuple(
        (np.array([1.0, 0.0, 0.5, 0.0, 1.0]), np.array([0, 1, 0, 2, 2]), np.array(drawn))
        for drawn in ([0, 2, 2, 0, 0], [1, 0]))),  # more draws than there are prompts, and fewer
    Exercise("7.2", answer=pairs_needed, draw=_two_models_and_a_gap, mistakes=PAIRS_NEEDED,
             edges=tuple((np.tile([1.5, 2.0, -1.0, 0.5], n), np.tile([1.0, 0.5, -2.0, -0.5], n), gap)
                         for n, gap in ((1, 0.25), (1, -0.02), (4, 0.3), (4, -0.3)))),
    CALIBRATION, LEANING, BEST_OF_K, VERDICT,
]
