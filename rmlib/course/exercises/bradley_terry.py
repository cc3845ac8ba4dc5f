"""Exercises of notebook 01. Every right answer is written another way than the notebook's solution."""

import math
from collections.abc import Callable

import numpy as np

from rmlib.course.exercises.bradley_terry_fit import FIT, GAP_ERROR
from rmlib.course.exercises.bradley_terry_limits import CIRCLE, COUNTEREXAMPLE, ELO, VOTES
from rmlib.course.exercises.engine import Exercise
from rmlib.course.logistic import logit, sigmoid

# 1.1: the third probability


def _two_probabilities(rng: np.random.Generator) -> tuple:
    return tuple(float(p) for p in rng.uniform(0.05, 0.95, 2))


THIRD = Exercise(
    "1.1",
    answer=lambda p, q: float(sigmoid(logit(p) + logit(q))),
    draw=_two_probabilities,
    edges=((0.5, 0.5), (0.75, 2 / 3)),
    mistakes={
        "it multiplies the probabilities; it is the odds p / (1 - p) that multiply": lambda p, q: p * q,
        "it adds the odds; multiply them": lambda p, q: 1 - 1 / (1 + p / (1 - p) + q / (1 - q)),
        "it stops at the log-odds; their sigmoid is the probability": lambda p, q: logit(p) + logit(q),
        "it adds up the two ways in which the outcomes can agree; a chain of scores adds log-odds":
            lambda p, q: p * q + (1 - p) * (1 - q),
        "it averages the two probabilities; better than something better has to give more than either":
            lambda p, q: (p + q) / 2,
        "it adds what the probabilities have above one half; that can leave the range from 0 to 1":
            lambda p, q: p + q - 0.5,
        "it stops at the odds; turn them back into a probability by o / (1 + o)":
            lambda p, q: p / (1 - p) * q / (1 - q),
        "it divides the odds: that is j against k turned round": lambda p, q: float(sigmoid(logit(p) - logit(q))),
        "it averages the log-odds; they add": lambda p, q: float(sigmoid((logit(p) + logit(q)) / 2)),
        "it takes the sigmoid of the odds; odds become a probability by o / (1 + o)":
            lambda p, q: float(sigmoid(p / (1 - p) * q / (1 - q))),
        "it divides the odds by 1 - o; odds become a probability by o / (1 + o)":
            lambda p, q: 1 / ((1 - p) / p * (1 - q) / q - 1),
        "it multiplies the probabilities and turns the product into odds; turn each into odds, then multiply":
            lambda p, q: p * q / (1 - p * q),
        "it takes the probabilities for odds": lambda p, q: p * q / (1 + p * q),
        "it is the chance that at least one of two independent votes goes well": lambda p, q: 1 - (1 - p) * (1 - q),
    },
)


# 1.2: the first of many


def _rewards_and_temperature(rng: np.random.Generator) -> tuple:
    return rng.normal(size=rng.integers(3, 7)) * 2, float(rng.choice([0.4, 0.7, 1.6, 2.5]))


def _softmax(rewards: np.ndarray, temperature: float) -> np.ndarray:
    gaps = (rewards[None, :] - rewards[:, None]) / temperature  # (K, K): rival minus own
    return np.exp(-np.logaddexp.reduce(gaps, axis=1))


def _pairwise(rewards: np.ndarray, temperature: float) -> np.ndarray:
    """P(i beats j), (K, K), with ones on the diagonal."""
    chances = sigmoid((rewards[:, None] - rewards[None, :]) / temperature)
    np.fill_diagonal(chances, 1.0)
    return chances


def _normalised(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum()


FIRST = Exercise(
    "1.2",
    answer=_softmax,
    draw=_rewards_and_temperature,
    edges=((np.array([1.0, 1.0]), 2.0), (np.array([900.0, 0.0, -900.0]), 1.0),
           (np.array([10.0, 0.0]), 0.01), (np.array([900.0, 898.0, 0.0]), 1.0), (np.array([900.0, 0.0]), 600.0)),
    mistakes={
        "it multiplies the pairwise probabilities, as if 'i beats j' and 'i beats k' were independent; they share i's "
        "mood": lambda r, t: _pairwise(r, t).prod(axis=1),
        "it multiplies the pairwise probabilities and rescales; they share i's mood, so products don't give the answer":
            lambda r, t: _normalised(_pairwise(r, t).prod(axis=1)),
        "it averages the pairwise probabilities; that is the chance against one random rival":
            lambda r, t: (_pairwise(r, t).sum(axis=1) - 1) / (len(r) - 1),
        "it multiplies the rewards by the temperature; divide": lambda r, t: _softmax(r * t, 1.0),
        "it subtracts the largest reward before it divides by the temperature, so that exp can still overflow: divide "
        "first": lambda r, t: _normalised(np.exp(r / t - r.max())),
        "exp overflows: subtract the largest exponent first": lambda r, t: _normalised(np.exp(r / t)),
        "it puts 0 for the nan of an overflow; subtract the largest exponent first":
            lambda r, t: np.nan_to_num(_normalised(np.exp(r / t))),
        "it clips the exponents, so that all rewards beyond the bound become equal; subtract the largest instead":
            lambda r, t: _normalised(np.exp(np.clip(r / t, -700, 700))),
        "it takes the softmax first and a power 1/τ of it then; what was 0 to rounding stays 0: divide before exp":
            lambda r, t: _normalised(_softmax(r, 1.0) ** (1 / t)),
        "it divides by the root of the temperature": lambda r, t: _softmax(r, math.sqrt(t)),
        "it averages the pairwise probabilities and rescales; beating one rival is not beating all":
            lambda r, t: _normalised(_pairwise(r, t).sum(axis=1) - 1),
        "it divides by the temperature twice": lambda r, t: _softmax(r, t**2),
        "it takes the sigmoid of each reward alone; the shares have to sum to 1": lambda r, t: sigmoid(r / t),
        "the shares don't sum to 1: divide by their sum": lambda r, t: np.exp((r - r.max()) / t),
        "it divides the probabilities by the temperature; the rewards have to be divided, before exp":
            lambda r, t: _softmax(r, 1.0) / t,
        "it takes powers of 2; the strengths are powers of e": lambda r, t: _softmax(r * math.log(2), t),
        "it leaves out the temperature": lambda r, t: _softmax(r, 1.0),
        "it always picks the largest reward, as if there were no moods":
            lambda r, t: _normalised((r == r.max()).astype(float)),
        "it leaves out the exponential: shares of rewards are not shares of strengths":
            lambda r, t: _normalised(np.asarray(r) / t),
    },
)


# 1.3: the gradient from a list of votes


def _list_of_votes(rng: np.random.Generator) -> tuple:
    size, votes = int(rng.integers(3, 7)), int(rng.integers(15, 40))
    winners = rng.integers(size, size=votes)
    losers = (winners + rng.integers(1, size, size=votes)) % size
    return rng.normal(size=size), winners, losers


def _pushes(rewards: np.ndarray, winners: np.ndarray, losers: np.ndarray, push: Callable = lambda m: sigmoid(-m),
            loser: float = -1.0) -> np.ndarray:
    push_of = push(rewards[winners] - rewards[losers])
    one_hot = np.eye(len(rewards))
    return push_of @ (one_hot[winners] + loser * one_hot[losers])


def _without_repeats(rewards: np.ndarray, winners: np.ndarray, losers: np.ndarray, of_losers: bool = False
                     ) -> np.ndarray:
    """The last push of each response alone; with `of_losers`, all that it got by winning, and the last by losing."""
    push = sigmoid(rewards[losers] - rewards[winners])
    total = np.zeros(len(rewards))
    if of_losers:
        np.add.at(total, winners, push)
    else:
        total[winners] += push
    total[losers] -= push
    return total


def _overwritten(rewards: np.ndarray, winners: np.ndarray, losers: np.ndarray) -> np.ndarray:
    push, total = sigmoid(rewards[losers] - rewards[winners]), np.zeros(len(rewards))
    total[winners], total[losers] = push, -push
    return total


def _by_counting(rewards: np.ndarray, winners: np.ndarray, losers: np.ndarray) -> np.ndarray:
    push = sigmoid(rewards[losers] - rewards[winners])
    return np.bincount(winners, push) - np.bincount(losers, push)


def _as_long_as_the_votes(rewards: np.ndarray, winners: np.ndarray, losers: np.ndarray) -> np.ndarray:
    return _pushes(rewards, winners, losers)[:max(*winners, *losers) + 1]


GRADIENT = Exercise(
    "1.3",
    answer=_pushes,
    draw=_list_of_votes,
    edges=((np.zeros(2), np.array([0, 0, 1]), np.array([1, 1, 0])),
           (np.array([0.5, 0.0, -0.5, 1.0]), np.array([0, 1, 0]), np.array([1, 2, 2])),
           (np.array([0.5, 0.0, -0.5]), np.array([0, 1, 0]), np.array([1, 2, 2]))),
    mistakes={
        "a response that occurs several times keeps only its last push: numpy's total[index] += push does that; "
        "use np.add.at": _without_repeats,
        "a response that loses several times keeps only its last push down: numpy's total[index] -= push does that; "
        "use np.subtract.at": lambda r, w, l: _without_repeats(r, w, l, of_losers=True),
        "np.bincount ends at the largest index it meets: give it minlength=len(rewards)": _by_counting,
        "its length comes from the votes; a response that no vote mentions has a gradient too, zero: use len(rewards)":
            _as_long_as_the_votes,
        "the loser is not pushed down": lambda r, w, l: _pushes(r, w, l, loser=0.0),
        "the loser is pushed up as well": lambda r, w, l: _pushes(r, w, l, loser=1.0),
        "the winner is not pushed up": lambda r, w, l: _pushes(r, w, l) - _pushes(r, w, l, loser=0.0),
        "the loser is pushed down by σ(Δ); both pushes are 1 - σ(Δ)":
            lambda r, w, l: _pushes(r, w, l, loser=0.0) - _pushes(r, l, w, loser=0.0),
        "it pushes by σ(Δ)(1 - σ(Δ)), the slope of σ; that of log σ is 1 - σ(Δ)":
            lambda r, w, l: _pushes(r, w, l, push=lambda m: sigmoid(m) * sigmoid(-m)),
        "equal votes are counted once": lambda r, w, l: _pushes(r, *np.unique([w, l], axis=1)),
        "total[index] = push overwrites; a response's pushes add up": _overwritten,
        "it pushes by σ(Δ), the probability of what happened; the push is the rest, 1 - σ(Δ) = σ(-Δ)":
            lambda r, w, l: _pushes(r, w, l, push=sigmoid),
        "every vote pushes by 1, as if nothing had been expected: subtract σ(Δ)":
            lambda r, w, l: _pushes(r, w, l, push=np.ones_like),
        "it is the gradient of the loss, which points downhill": lambda r, w, l: -_pushes(r, w, l),
        "it is the mean over the votes; the log-likelihood is a sum": lambda r, w, l: _pushes(r, w, l) / len(w),
    },
)

EXERCISES = [THIRD, FIRST, GRADIENT, FIT, GAP_ERROR, COUNTEREXAMPLE, VOTES, CIRCLE, ELO]
