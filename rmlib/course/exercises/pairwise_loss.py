"""What the exercises of notebook 02 ask: the bound, the start, noise, centring, rankings; 2.3 to 2.5 lie apart."""

import math

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.pairwise_loss_stable import FIND_BROADCAST, FIND_MARGIN, STABLE_LOSS
from rmlib.course.logistic import logit, sigmoid

LOG2 = np.log(2)


def flipped(p, flip_rate):
    return (1 - flip_rate) * p + flip_rate * (1 - p)


MOST_ERRORS = Exercise(
    "2.1",
    answer=lambda mean_loss: min(1.0, mean_loss / LOG2),
    draw=lambda rng: (rng.uniform(0.02, 1.3),),
    edges=((0.0,), (0.3,), (2.0,)),
    mistakes={
        "L itself is no bound: it lies below the 0-1 loss near 0; divide by log 2": lambda loss: min(1.0, loss),
        "a share is at most 1: take the smaller of 1 and the bound": lambda loss: loss / LOG2,
        "multiplied by log 2, where dividing by it is needed": lambda loss: min(1.0, loss * LOG2),
        "this is the share that is right at least; the share of errors is wanted":
            lambda loss: 1 - min(1.0, loss / LOG2),
        "exp(-loss) is a mean probability; the bound on the errors is wanted": lambda loss: 1 - np.exp(-loss),
        "exp(-loss) is a mean probability of the choices made, not a share of errors": lambda loss: np.exp(-loss),
        "divided by 2 in place of log 2": lambda loss: min(1.0, loss / 2),
        "log10 in place of the natural logarithm": lambda loss: min(1.0, loss / np.log10(2)),
        "the larger of 1 and the bound; the smaller is wanted": lambda loss: max(1.0, loss / LOG2),
        "a share of 1 is at most 1; this is in percent": lambda loss: 100 * min(1.0, loss / LOG2),
    },
)

FIRST_LOSS = Exercise(
    "2.2",
    answer=lambda mean, variance: LOG2 - mean / 2 + (variance + mean**2) / 8,
    draw=lambda rng: (rng.choice([-1, 1]) * rng.uniform(0.3, 2), rng.uniform(0.1, 1.0)),
    edges=((0.0, 0.5), (1.5, 0.0)),
    mistakes={
        "the mean of the squares is the variance plus the square of the mean": lambda m, v: LOG2 - m / 2 + v / 8,
        "the term -mean / 2 is missing, which is zero only where the mean is": lambda m, v: LOG2 + (v + m**2) / 8,
        "the sign of mean / 2: a positive mean margin lowers the loss": lambda m, v: LOG2 + m / 2 + (v + m**2) / 8,
        "Taylor's 1/2! is missing: L''(0) / 2 is 1/8": lambda m, v: LOG2 - m / 2 + (v + m**2) / 4,
        "the standard deviation in place of the variance": lambda m, v: LOG2 - m / 2 + (np.sqrt(v) + m**2) / 8,
        "the mean of the squares is halved; L''(0) / 2 is 1/8": lambda m, v: LOG2 - m / 2 + (v + m**2) / 2,
        "L'(0) is -1/2, not -1": lambda m, v: LOG2 - m + (v + m**2) / 8,
        "the mean has to be squared": lambda m, v: LOG2 - m / 2 + (v + m) / 8,
        "this is the loss of the mean margin; the mean of the losses is larger": lambda m, v: np.logaddexp(0, -m),
        "the variance is squared once more": lambda m, v: LOG2 - m / 2 + (v**2 + m**2) / 8,
        "the variance less the square of the mean; it has to be added": lambda m, v: LOG2 - m / 2 + (v - m**2) / 8,
        "the mean is left out twice: in -mean / 2, and its square in the mean of the squares":
            lambda m, v: LOG2 + v / 8,
        "this expands around the mean margin; the page's formula expands around 0":
            lambda m, v: np.logaddexp(0, -m) + sigmoid(m) * sigmoid(-m) * v / 2,
        "this is the loss of the mean margin and a term of the expansion around 0":
            lambda m, v: np.logaddexp(0, -m) + v / 8,
        "the quadratic term has a plus: L'' is positive": lambda m, v: LOG2 - m / 2 - (v + m**2) / 8,
        "L(0) = log 2 is missing": lambda m, v: -m / 2 + (v + m**2) / 8,
        "the sum is squared; only the mean is": lambda m, v: LOG2 - m / 2 + (v + m) ** 2 / 8,
        "one term too many: the second-order formula ends with the square":
            lambda m, v: LOG2 - m / 2 + (v + m**2) / 8 - (v + m**2) ** 2 / 192,
        "the term -mean / 2 keeps its sign: no absolute value": lambda m, v: LOG2 - abs(m) / 2 + (v + m**2) / 8,
    },
)

BEST_GAP = Exercise(
    "2.6",
    answer=lambda true_probability, flip_rate: logit(flipped(true_probability, flip_rate)),
    draw=lambda rng: (rng.uniform(0.05, 0.95), rng.uniform(0.02, 0.45)),
    edges=((1.0, 0.1), (0.5, 0.3)),
    mistakes={
        "the flips are left out": lambda p, e: logit(p),
        "this is a certain winner's gap; the true probability is left out": lambda p, e: logit(1 - e),
        "this is the probability q; the gap is its logit": flipped,
        "gaps are averaged; average the probabilities first, then take the logit":
            lambda p, e: (1 - 2 * e) * logit(p),
        "flips away from the first response are counted, flips towards it are not": lambda p, e: logit((1 - e) * p),
        "the clean gap is scaled; average the probabilities, then take the logit": lambda p, e: (1 - e) * logit(p),
        "this is the sigmoid of q; the gap is its logit, the sigmoid's inverse":
            lambda p, e: sigmoid(flipped(p, e)),
        "flips are subtracted of all; they are a share of those it wins": lambda p, e: math.log((p - e) / (1 - p + e)),
        "the logarithm of q in place of its logit": lambda p, e: np.log(flipped(p, e)),
        "flips towards the first response are counted, flips away from it are not":
            lambda p, e: logit(p + e * (1 - p)),
        "this is the gap seen from the second response: q and 1 - q are exchanged": lambda p, e: -logit(flipped(p, e)),
        "a flipped label turns round; half of the flips are left out here": lambda p, e: logit(flipped(p, e / 2)),
        "flips draw q towards 1/2, not towards 0": lambda p, e: logit((1 - 2 * e) * p),
        "these are the odds q / (1 - q); the gap is their logarithm": lambda p, e: np.exp(logit(flipped(p, e))),
        "-log(1 - q) is half of the logit; log q is missing": lambda p, e: -np.log(1 - flipped(p, e)),
    },
)


def draw_noisy_gap(rng):
    flip_rate = rng.uniform(0.02, 0.4)
    return float(logit(flipped(rng.uniform(0.02, 0.98), flip_rate))), flip_rate


CLEAN_PROBABILITY = Exercise(
    "2.7",
    answer=lambda gap, flip_rate: (sigmoid(gap) - flip_rate) / (1 - 2 * flip_rate),
    draw=draw_noisy_gap,
    mistakes={
        "this is q, with the flips still in it": lambda d, e: sigmoid(d),
        "the flips are put in once more; take them out": lambda d, e: flipped(sigmoid(d), e),
        "the divisor is 1 - 2ε: a flip takes from one side and gives to the other":
            lambda d, e: (sigmoid(d) - e) / (1 - e),
        "ε has to be subtracted, not added": lambda d, e: (sigmoid(d) + e) / (1 - 2 * e),
        "the divisor is 1 - 2ε, not 1 + 2ε": lambda d, e: (sigmoid(d) - e) / (1 + 2 * e),
        "the gap is scaled; it is the probability that the flips scale": lambda d, e: sigmoid(d / (1 - 2 * e)),
        "ε has to be subtracted first": lambda d, e: sigmoid(d) / (1 - 2 * e),
        "it still has to be divided by 1 - 2ε": lambda d, e: sigmoid(d) - e,
        "ε is subtracted once, not twice, above": lambda d, e: (sigmoid(d) - 2 * e) / (1 - 2 * e),
        "the gap stands where its sigmoid, q, should": lambda d, e: (d - e) / (1 - 2 * e),
        "1 - 2ε has to divide, not multiply": lambda d, e: (sigmoid(d) - e) * (1 - 2 * e),
        "brackets are missing: q - ε is divided as a whole": lambda d, e: sigmoid(d) - e / (1 - 2 * e),
        "brackets are missing: 1 - 2ε divides as a whole": lambda d, e: (sigmoid(d) - e) / 1 - 2 * e,
        "q = (1 - ε) p + ε (1 - p) has two terms, of which one is left out": lambda d, e: sigmoid(d) / (1 - e),
        "this is Bayes' rule for one label; q is a share of all labels":
            lambda d, e: sigmoid(d) * (1 - e) / flipped(sigmoid(d), e),
        "the sigmoid is 1 / (1 + exp(-gap)); this is exp(gap)": lambda d, e: (np.exp(d) - e) / (1 - 2 * e),
        "this is the gap; the probability is its sigmoid": lambda d, e: logit((sigmoid(d) - e) / (1 - 2 * e)),
    },
)

PULL = Exercise(
    "2.8",
    answer=lambda c, r, weight: (-sigmoid(r - c) + 2 * weight * (c + r), sigmoid(r - c) + 2 * weight * (c + r)),
    draw=lambda rng: (*rng.normal(scale=2, size=2), rng.uniform(0.05, 0.5)),
    mistakes={
        "the 2 of the square's derivative is missing":
            lambda c, r, w: (-sigmoid(r - c) + w * (c + r), sigmoid(r - c) + w * (c + r)),
        "the penalty pulls both scores the same way":
            lambda c, r, w: (-sigmoid(r - c) + 2 * w * (c + r), sigmoid(r - c) - 2 * w * (c + r)),
        "the difference is penalised in place of the sum":
            lambda c, r, w: (-sigmoid(r - c) + 2 * w * (c - r), sigmoid(r - c) - 2 * w * (c - r)),
        "σ(Δ) in place of σ(-Δ): the pull is the probability of the wrong answer":
            lambda c, r, w: (-sigmoid(c - r) + 2 * w * (c + r), sigmoid(c - r) + 2 * w * (c + r)),
        "the square is of the sum: each slope holds both scores":
            lambda c, r, w: (-sigmoid(r - c) + 2 * w * c, sigmoid(r - c) + 2 * w * r),
        "the penalty is added, not its slope":
            lambda c, r, w: (-sigmoid(r - c) + w * (c + r) ** 2, sigmoid(r - c) + w * (c + r) ** 2),
        "the loss pulls the two opposite ways": lambda c, r, w: (-sigmoid(r - c) + 2 * w * (c + r),) * 2,
        "the loss's own pull is missing": lambda c, r, w: (2 * w * (c + r), 2 * w * (c + r)),
        "the penalty's pull is missing": lambda c, r, w: (-sigmoid(r - c), sigmoid(r - c)),
        "4λ belongs to the sum S, which moves by both scores; one score's slope has 2λ":
            lambda c, r, w: (-sigmoid(r - c) + 4 * w * (c + r), sigmoid(r - c) + 4 * w * (c + r)),
        "the loss's two slopes are exchanged: it falls as the chosen score rises":
            lambda c, r, w: (sigmoid(r - c) + 2 * w * (c + r), -sigmoid(r - c) + 2 * w * (c + r)),
        "the penalty's slope has a plus: it rises with the sum":
            lambda c, r, w: (-sigmoid(r - c) - 2 * w * (c + r), sigmoid(r - c) - 2 * w * (c + r)),
        "these are the ways down, minus the slopes":
            lambda c, r, w: (sigmoid(r - c) - 2 * w * (c + r), -sigmoid(r - c) - 2 * w * (c + r)),
        "these are the slopes along Δ and along S; those along the two scores are asked for":
            lambda c, r, w: (-sigmoid(r - c), 2 * w * (c + r)),
        "this is the loss, twice; its slopes are asked for":
            lambda c, r, w: (np.logaddexp(0, r - c) + w * (c + r) ** 2,) * 2,
        "the penalty pulls at both scores, not at the chosen one alone":
            lambda c, r, w: (-sigmoid(r - c) + 2 * w * (c + r), sigmoid(r - c)),
    },
)


def places(rewards):
    """At each place, the probability of drawing the one that stands there from those that are left."""
    return [1 / np.sum(np.exp(rewards[k:] - rewards[k])) for k in range(len(rewards))]


def one_by_one(rewards):
    return float(np.prod(places(rewards)))


def odds_of(rewards):
    return float(np.prod([np.exp(one) / np.exp(rewards[k:]).sum() for k, one in enumerate(rewards[:-1], start=1)]))


def all_pairs(rewards):
    return float(np.prod([sigmoid(one - other) for k, one in enumerate(rewards) for other in rewards[k + 1:]]))


ORDER_PROBABILITY = Exercise(
    "2.9",
    answer=one_by_one,
    draw=lambda rng: (rng.normal(size=rng.integers(2, 6)),),
    edges=((np.array([1.0, 0.0]),), (np.array([2.0, -1.0, 0.5, 0.0]),)),
    mistakes={
        "the product over all pairs: it counts more than one choice for each place, and does not sum to 1": all_pairs,
        "the winner is put back: it has to leave before the next is drawn":
            lambda r: float(np.prod(np.exp(r) / np.exp(r).sum())),
        "the row is read from the worst to the best": lambda r: one_by_one(r[::-1]),
        "only the first place is counted": lambda r: float(np.exp(r[0]) / np.exp(r).sum()),
        "this is the logarithm of the probability": lambda r: float(np.log(one_by_one(r))),
        "the denominator lacks the one that is drawn": odds_of,
        "the places' probabilities are averaged; multiply them": lambda r: float(np.mean(places(r))),
        "the rewards stand where e to their power should":
            lambda r: float(np.prod([r[k] / r[k:].sum() for k in range(len(r))])),
        "the factors are added; multiply them": lambda r: float(np.sum(places(r))),
        "it stops after the second place": lambda r: float(np.prod(places(r)[:2])),
        "minus the logarithm is the loss; the probability is wanted": lambda r: float(-np.log(one_by_one(r))),
        "only neighbours are compared": lambda r: float(np.prod(sigmoid(r[:-1] - r[1:]))),
    },
)

EXERCISES = [
    MOST_ERRORS, FIRST_LOSS, STABLE_LOSS, FIND_MARGIN, FIND_BROADCAST, BEST_GAP, CLEAN_PROBABILITY, PULL,
    ORDER_PROBABILITY,
]
