"""What the exercises of notebook 02 ask: the bound, the start, the loss, two bugs, noise, centring, rankings."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from rmlib.course.exercises.engine import Exercise
from rmlib.course.logistic import logit, sigmoid

LOG2 = np.log(2)


def flipped(p, flip_rate):
    return (1 - flip_rate) * p + flip_rate * (1 - p)


def draw_scores(rng):
    batch = rng.integers(2, 9)
    return rng.normal(scale=3, size=batch), rng.normal(scale=3, size=batch)


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
    },
)

FIRST_LOSS = Exercise(
    "2.2",
    answer=lambda mean, variance: LOG2 - mean / 2 + (variance + mean**2) / 8,
    draw=lambda rng: (rng.normal(scale=0.5), rng.uniform(0.1, 1.0)),
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
    },
)

STABLE_LOSS = Exercise(
    "2.3",
    answer=lambda chosen, rejected: np.logaddexp(0, rejected - chosen),
    draw=draw_scores,
    edges=((np.array([0.0, 40.0, 0.0]), np.zeros(3)), (np.array([-800.0, 2.0]), np.array([800.0, -1.0])),
           (np.array([-20.5, 1.0]), np.zeros(2))),
    mistakes={
        "the margin is turned round: it is chosen minus rejected": lambda c, r: np.logaddexp(0, c - r),
        "the minus before the logarithm is missing": lambda c, r: -np.logaddexp(0, r - c),
        "exp overflows far on the wrong side, and 1 + exp loses the digits on the right side":
            lambda c, r: np.log(1 + np.exp(r - c)),
        "the digits are there, but exp overflows far on the wrong side": lambda c, r: np.log1p(np.exp(r - c)),
        "1 + exp loses the digits on the right side: log1p keeps them":
            lambda c, r: np.maximum(r - c, 0) + np.log(1 + np.exp(-np.abs(r - c))),
        "1e-7 is added to the probability, and bounds the loss": lambda c, r: -np.log(sigmoid(c - r) + 1e-7),
        "max(-Δ, 0) is the corner alone: the rounding of it, log1p(exp(-|Δ|)), is missing":
            lambda c, r: np.maximum(r - c, 0),
        "torch's softplus is a straight line beyond threshold=20, and off by 2e-9 there: use F.logsigmoid":
            lambda c, r: F.softplus(torch.as_tensor(r - c)).numpy(),
        "far on the wrong side the loss is cut off": lambda c, r: np.minimum(np.logaddexp(0, r - c), 100),
        "it is the probability of the choice, not its surprise": lambda c, r: sigmoid(c - r),
    },
    rtol=1e-12,
    atol=0.0,
)


def judge_margin(function, rng):
    """One ordinary margin at which −log(σ + 1e-7) is wrong by more than 1e-3."""
    margin = function()
    try:
        margin = float(margin.item() if hasattr(margin, "item") else margin)
    except (TypeError, ValueError, RuntimeError):
        return "One number is wanted, a margin."
    if not abs(margin) <= 20:
        return f"{margin:g} is no ordinary margin: stay within -20 and 20."
    true, given = np.logaddexp(0, -margin), -np.log(sigmoid(margin) + 1e-7)
    if abs(given - true) > 1e-3:
        return None
    found = f"At {margin:g} the loss is {true:.6f} and the form {given:.6f}: {abs(given - true):.1e} off, no more."
    if margin > 0:
        return f"{found} On this side σ is near 1, and 1e-7 hardly adds to it: where is σ itself small?"
    return f"{found} 1e-7 has to be a thousandth of σ or more: go further to the wrong side."


def judge_shapes(function, rng):
    """Two tensors of the same scores, pair by pair, of which the unguarded loss makes a wrong number."""
    result = function()
    if not (isinstance(result, tuple | list) and len(result) == 2 and all(torch.is_tensor(each) for each in result)):
        return "Two tensors are wanted: return chosen, rejected."
    if not all(each.is_floating_point() for each in result):
        return "Scores are floating-point numbers; of whole ones the unguarded loss is an error: write 2.0, not 2."
    chosen, rejected = (each.double() for each in result)
    shapes = f"{tuple(chosen.shape)} and {tuple(rejected.shape)}"
    if chosen.numel() != rejected.numel():
        return f"Of shapes {shapes} they hold different numbers of scores: there is one chosen for each rejected."
    if chosen.numel() < 2:
        return "With a single pair there is nothing to mix up: take two or more."
    if not (chosen.isfinite().all() and rejected.isfinite().all()):
        return "Ordinary scores are wanted: all of them finite."
    if chosen.shape == rejected.shape:
        return f"Both have the shape {tuple(chosen.shape)}: pair stands against pair, and the mean is right."
    wrong = F.softplus(rejected - chosen).mean().item()
    true = F.softplus(rejected.flatten() - chosen.flatten()).mean().item()
    if abs(wrong - true) > 1e-6:
        return None
    return (f"Of shapes {shapes} they do broadcast, but the mean is {wrong:.7f} and should be {true:.7f}: scores as "
            "equal as these hide the bug.")


BEST_MARGIN = Exercise(
    "2.6",
    answer=lambda true_probability, flip_rate: logit(flipped(true_probability, flip_rate)),
    draw=lambda rng: (rng.uniform(0.05, 0.95), rng.uniform(0.02, 0.45)),
    edges=((1.0, 0.1), (0.5, 0.3)),
    mistakes={
        "the flips are left out": lambda p, e: logit(p),
        "this is a certain winner's margin; the true probability is left out": lambda p, e: logit(1 - e),
        "this is the probability q; the margin is its logit": flipped,
        "margins are averaged; average the probabilities first, then take the logit":
            lambda p, e: (1 - 2 * e) * logit(p),
        "flips away from the first response are counted, flips towards it are not": lambda p, e: logit((1 - e) * p),
        "the clean margin is scaled; average the probabilities, then take the logit": lambda p, e: (1 - e) * logit(p),
        "this is the sigmoid of q; the margin is its logit, the sigmoid's inverse":
            lambda p, e: sigmoid(flipped(p, e)),
        "flips are subtracted of all; they are a share of those it wins": lambda p, e: math.log((p - e) / (1 - p + e)),
        "the logarithm of q in place of its logit": lambda p, e: np.log(flipped(p, e)),
    },
)


def draw_noisy_margin(rng):
    flip_rate = rng.uniform(0.02, 0.4)
    return float(logit(flipped(rng.uniform(0.02, 0.98), flip_rate))), flip_rate


CLEAN_PROBABILITY = Exercise(
    "2.7",
    answer=lambda margin, flip_rate: (sigmoid(margin) - flip_rate) / (1 - 2 * flip_rate),
    draw=draw_noisy_margin,
    mistakes={
        "this is q, with the flips still in it": lambda d, e: sigmoid(d),
        "the flips are put in once more; take them out": lambda d, e: flipped(sigmoid(d), e),
        "the divisor is 1 - 2ε: a flip takes from one side and gives to the other":
            lambda d, e: (sigmoid(d) - e) / (1 - e),
        "ε has to be subtracted, not added": lambda d, e: (sigmoid(d) + e) / (1 - 2 * e),
        "the divisor is 1 - 2ε, not 1 + 2ε": lambda d, e: (sigmoid(d) - e) / (1 + 2 * e),
        "the margin is scaled; it is the probability that the flips scale": lambda d, e: sigmoid(d / (1 - 2 * e)),
        "ε has to be subtracted first": lambda d, e: sigmoid(d) / (1 - 2 * e),
        "it still has to be divided by 1 - 2ε": lambda d, e: sigmoid(d) - e,
        "ε is subtracted once, not twice, above": lambda d, e: (sigmoid(d) - 2 * e) / (1 - 2 * e),
        "the margin stands where its sigmoid, q, should": lambda d, e: (d - e) / (1 - 2 * e),
        "1 - 2ε has to divide, not multiply": lambda d, e: (sigmoid(d) - e) * (1 - 2 * e),
        "this is the margin; the probability is its sigmoid": lambda d, e: logit((sigmoid(d) - e) / (1 - 2 * e)),
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
        "only neighbours are compared": lambda r: float(np.prod(sigmoid(r[:-1] - r[1:]))),
    },
)

EXERCISES = [
    MOST_ERRORS, FIRST_LOSS, STABLE_LOSS, Exercise("2.4", judge=judge_margin), Exercise("2.5", judge=judge_shapes),
    BEST_MARGIN, CLEAN_PROBABILITY, PULL, ORDER_PROBABILITY,
]
