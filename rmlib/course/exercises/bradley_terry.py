"""Exercises of notebook 01. Every right answer is written another way than the notebook's solution."""

import math
from collections.abc import Callable

import numpy as np

from rmlib.course.exercises.bradley_terry_limits import CIRCLE, COUNTEREXAMPLE, ELO, VOTES
from rmlib.course.exercises.engine import Exercise


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(np.asarray(z, dtype=float) / 2))


def _logit(p: float) -> float:
    return math.log(p) - math.log1p(-p)


# 1.1: the third probability


def _two_probabilities(rng: np.random.Generator) -> tuple:
    return tuple(float(p) for p in rng.uniform(0.05, 0.95, 2))


THIRD = Exercise(
    "1.1",
    answer=lambda p, q: float(_sigmoid(_logit(p) + _logit(q))),
    draw=_two_probabilities,
    edges=((0.5, 0.5), (0.75, 2 / 3)),
    mistakes={
        "it multiplies the probabilities; it is the odds p / (1 - p) that multiply": lambda p, q: p * q,
        "it averages the two probabilities; better than something better has to give more than either":
            lambda p, q: (p + q) / 2,
        "it adds what the probabilities have above one half; that can leave the range from 0 to 1":
            lambda p, q: p + q - 0.5,
        "it stops at the odds; turn them back into a probability by o / (1 + o)":
            lambda p, q: p / (1 - p) * q / (1 - q),
        "it divides the odds: that is j against k turned round": lambda p, q: float(_sigmoid(_logit(p) - _logit(q))),
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
    chances = _sigmoid((rewards[:, None] - rewards[None, :]) / temperature)
    np.fill_diagonal(chances, 1.0)
    return chances


def _normalised(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum()


FIRST = Exercise(
    "1.2",
    answer=_softmax,
    draw=_rewards_and_temperature,
    edges=((np.array([1.0, 1.0]), 2.0), (np.array([900.0, 0.0, -900.0]), 1.0)),
    mistakes={
        "it multiplies the pairwise probabilities, as if 'i beats j' and 'i beats k' were independent; they share i's "
        "mood": lambda r, t: _pairwise(r, t).prod(axis=1),
        "it multiplies the pairwise probabilities and rescales; they share i's mood, so products don't give the answer":
            lambda r, t: _normalised(_pairwise(r, t).prod(axis=1)),
        "it averages the pairwise probabilities; that is the chance against one random rival":
            lambda r, t: (_pairwise(r, t).sum(axis=1) - 1) / (len(r) - 1),
        "it multiplies the rewards by the temperature; divide": lambda r, t: _softmax(r * t, 1.0),
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


def _pushes(rewards: np.ndarray, winners: np.ndarray, losers: np.ndarray, push: Callable = lambda m: _sigmoid(-m),
            loser: float = -1.0) -> np.ndarray:
    push_of = push(rewards[winners] - rewards[losers])
    one_hot = np.eye(len(rewards))
    return push_of @ (one_hot[winners] + loser * one_hot[losers])


def _without_repeats(rewards: np.ndarray, winners: np.ndarray, losers: np.ndarray) -> np.ndarray:
    push = _sigmoid(rewards[losers] - rewards[winners])
    total = np.zeros(len(rewards))
    total[winners] += push
    total[losers] -= push
    return total


GRADIENT = Exercise(
    "1.3",
    answer=_pushes,
    draw=_list_of_votes,
    edges=((np.zeros(2), np.array([0, 0, 1]), np.array([1, 1, 0])),),
    mistakes={
        "a response that occurs several times keeps only its last push: numpy's total[index] += push does that; "
        "use np.add.at": _without_repeats,
        "the loser is not pushed down": lambda r, w, l: _pushes(r, w, l, loser=0.0),
        "the loser is pushed up as well": lambda r, w, l: _pushes(r, w, l, loser=1.0),
        "it pushes by σ(Δ), the probability of what happened; the push is the rest, 1 - σ(Δ) = σ(-Δ)":
            lambda r, w, l: _pushes(r, w, l, push=_sigmoid),
        "every vote pushes by 1, as if nothing had been expected: subtract σ(Δ)":
            lambda r, w, l: _pushes(r, w, l, push=np.ones_like),
        "it is the gradient of the loss, which points downhill": lambda r, w, l: -_pushes(r, w, l),
        "it is the mean over the votes; the log-likelihood is a sum": lambda r, w, l: _pushes(r, w, l) / len(w),
    },
)


# 1.4: the repaired fit


def _table_of_votes(rng: np.random.Generator) -> tuple:
    size = int(rng.integers(2, 6))
    wins = rng.integers(1, 10, size=(size, size)).astype(float)
    np.fill_diagonal(wins, 0.0)
    return wins, 300


def _centred(rewards: np.ndarray) -> np.ndarray:
    return rewards - rewards.mean()


def _newton(wins: np.ndarray, sweeps: int) -> np.ndarray:
    """The maximum with mean zero by damped Newton steps; `sweeps` is not needed."""
    rewards, size = np.zeros(len(wins)), len(wins)
    for _ in range(60):
        chances = _sigmoid(rewards[:, None] - rewards)
        weights = (wins + wins.T) * chances * chances.T
        laplacian = np.diag(weights.sum(axis=1)) - weights + np.ones((size, size)) / size
        step = np.linalg.solve(laplacian, (wins - (wins + wins.T) * chances).sum(axis=1))
        rewards = rewards + step / max(1.0, np.abs(step).max())
    return _centred(rewards)


def _swept(counts: Callable, sums: Callable) -> Callable:
    """A fit that counts votes and adds strengths its own way in the denominator."""
    def fit(wins: np.ndarray, sweeps: int) -> np.ndarray:
        strengths, table = np.ones(len(wins)), counts(wins)
        for _ in range(sweeps):
            for i in range(len(wins)):
                others = np.arange(len(wins)) != i
                strengths[i] = wins[i].sum() / (table[i] / sums(strengths[i], strengths))[others].sum()
            strengths /= np.exp(np.log(strengths).mean())
        return np.log(strengths)
    return fit


FIT = Exercise(
    "1.4",
    answer=_newton,
    draw=_table_of_votes,
    edges=((np.array([[0.0, 3.0], [1.0, 0.0]]), 300),),
    rtol=1e-6,
    atol=1e-6,
    trials=6,
    mistakes={
        "the denominator still counts the votes won, so a lost vote costs nothing; count the comparisons":
            _swept(lambda wins: wins, lambda own, others: own + others),
        "the denominator counts the votes lost; count the comparisons, won and lost":
            _swept(lambda wins: wins.T, lambda own, others: own + others),
        "the denominator has the rival's strength alone; it needs the sum of both":
            _swept(lambda wins: wins + wins.T, lambda own, others: others),
        "these are strengths; the rewards are their logarithms": lambda wins, sweeps: np.exp(_newton(wins, sweeps)),
        "the shift is not fixed to mean zero, but to zero for the first response":
            lambda wins, sweeps: _newton(wins, sweeps) - _newton(wins, sweeps)[0],
        "it counts the votes won and never asks against whom": lambda wins, sweeps: _centred(np.log(wins.sum(axis=1))),
        "winners and losers are exchanged": lambda wins, sweeps: -_newton(wins, sweeps),
        "it takes the log-odds of each response's share of all its votes, as if all had met equal rivals":
            lambda wins, sweeps: _centred(np.log(wins.sum(axis=1) / wins.sum(axis=0))),
    },
)


# 1.5: the standard error of a gap


def _covariance(fisher: np.ndarray) -> np.ndarray:
    """The pseudo-inverse of a connected graph's Laplacian, in closed form."""
    constant = np.full(fisher.shape, 1 / len(fisher))
    return np.linalg.inv(fisher + constant) - constant


def _fisher_and_pair(rng: np.random.Generator) -> tuple:
    """A Laplacian on which numpy's default pseudo-inverse sees the zero, too: no right answer may fail by chance."""
    while True:
        size = int(rng.integers(3, 7))
        weights = np.triu(rng.uniform(1, 15, size=(size, size)), 1)
        weights = weights + weights.T
        fisher = np.diag(weights.sum(axis=1)) - weights
        i, j = (int(k) for k in rng.choice(size, 2, replace=False))
        if np.abs(np.linalg.pinv(fisher) - _covariance(fisher)).max() < 1e-12:
            return fisher, i, j


def _gap_variance(fisher: np.ndarray, i: int, j: int) -> float:
    direction = np.eye(len(fisher))[i] - np.eye(len(fisher))[j]
    return float(direction @ _covariance(fisher) @ direction)


GAP_ERROR = Exercise(
    "1.5",
    answer=lambda fisher, i, j: math.sqrt(_gap_variance(fisher, i, j)),
    draw=_fisher_and_pair,
    mistakes={
        "it leaves out the covariance, as if the two scores came from different votes: subtract 2 C_ij":
            lambda f, i, j: math.sqrt(_covariance(f)[i, i] + _covariance(f)[j, j]),
        "it adds the covariance; the variance of a difference has minus 2 C_ij":
            lambda f, i, j: math.sqrt(_covariance(f)[i, i] + _covariance(f)[j, j] + 2 * _covariance(f)[i, j]),
        "it subtracts the covariance once; the square of a difference has it twice":
            lambda f, i, j: math.sqrt(_covariance(f)[i, i] + _covariance(f)[j, j] - _covariance(f)[i, j]),
        "it is the variance; the standard error is its square root": _gap_variance,
        "it counts only the direct votes between i and j; what both did against others tells something as well":
            lambda f, i, j: 1 / math.sqrt(-f[i, j]),
        "it takes one over the diagonal of the information, as if all rivals' scores were known":
            lambda f, i, j: math.sqrt(1 / f[i, i] + 1 / f[j, j]),
        "it uses the information where its inverse belongs":
            lambda f, i, j: math.sqrt(f[i, i] + f[j, j] - 2 * f[i, j]),
    },
)

EXERCISES = [THIRD, FIRST, GRADIENT, FIT, GAP_ERROR, COUNTEREXAMPLE, VOTES, CIRCLE, ELO]
