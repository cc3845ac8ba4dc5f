"""Exercise 1.1 of notebook 01: a fit to repair."""

import math
from collections.abc import Callable

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.logistic import sigmoid


def _table_of_votes(rng: np.random.Generator) -> tuple:
    size = int(rng.integers(2, 6))
    wins = rng.integers(1, 10, size=(size, size)).astype(float)
    np.fill_diagonal(wins, 0.0)
    return wins, 300


def _centred(rewards: np.ndarray) -> np.ndarray:
    return rewards - rewards.mean()


def newton(wins: np.ndarray, sweeps: int = 0) -> np.ndarray:
    """The maximum with mean zero by damped Newton steps; `sweeps` is not needed."""
    rewards, size = np.zeros(len(wins)), len(wins)
    for _ in range(60):
        chances = sigmoid(rewards[:, None] - rewards)
        weights = (wins + wins.T) * chances * chances.T
        laplacian = np.diag(weights.sum(axis=1)) - weights + np.ones((size, size)) / size
        step = np.linalg.solve(laplacian, (wins - (wins + wins.T) * chances).sum(axis=1))
        rewards = rewards + step / max(1.0, np.abs(step).max())
    return _centred(rewards)


def _swept(counts: Callable, sums: Callable, rescaled: bool = True, won: Callable = lambda wins: wins) -> Callable:
    """A fit that counts votes and adds strengths its own way in the denominator; rescaled: lest they run away.

    won: the votes that the numerator counts.
    """
    def fit(wins: np.ndarray, sweeps: int) -> np.ndarray:
        strengths, table = np.ones(len(wins)), counts(wins)
        for _ in range(sweeps):
            for i in range(len(wins)):
                others = np.arange(len(wins)) != i
                strengths[i] = won(wins)[i].sum() / (table[i] / sums(strengths[i], strengths))[others].sum()
            if rescaled:
                strengths /= np.exp(np.log(strengths).mean())
        return np.log(strengths) if rescaled else _centred(np.log(strengths))
    return fit


def _strengths(wins: np.ndarray, sweeps: int) -> np.ndarray:
    """The right strengths, with the scale that sweeps from one to the next end at when they start from ones."""
    strengths, counts = np.ones(len(wins)), wins + wins.T
    for _ in range(sweeps):
        for i in range(len(wins)):
            strengths[i] = wins[i].sum() / sum(counts[i] / (strengths[i] + strengths))
    return strengths


def _at_once(wins: np.ndarray, sweeps: int) -> np.ndarray:
    """As _strengths, with all new strengths of a sweep computed from the old ones."""
    strengths = np.ones(len(wins))
    for _ in range(sweeps):
        strengths = wins.sum(axis=1) / ((wins + wins.T) / (strengths[:, None] + strengths)).sum(axis=1)
    return strengths


def _mean_log_odds(wins: np.ndarray, sweeps: int) -> np.ndarray:
    return np.log(np.divide(wins, wins.T, where=~np.eye(len(wins), dtype=bool), out=np.ones_like(wins))).mean(axis=1)


FIT = Exercise(
    "1.1",
    answer=newton,
    draw=_table_of_votes,
    edges=tuple((np.array(wins, dtype=float), 300) for wins in (
        [[0, 3], [1, 0]],
        [[0, 2, 1], [1, 0, 3], [0, 1, 0]],  # one pair in which one side won every vote
        [[0, 5, 0, 1], [2, 0, 1, 0], [0, 4, 0, 6], [1, 3, 2, 0]],  # a pair never compared, and others one-sided
    )),
    rtol=1e-6,
    atol=1e-6,
    trials=6,
    mistakes={
        "the denominator still counts the votes won, so a lost vote costs nothing; count the comparisons":
            _swept(lambda wins: wins, lambda own, others: own + others),
        "all scores are zero, as where the denominator counts the votes won and all strengths are updated at once; "
        "count the comparisons": lambda wins, sweeps: np.zeros(len(wins)),
        "it leaves out the rivals that a response never beat; the votes lost to them are comparisons, too":
            _swept(lambda wins: (wins + wins.T) * (wins > 0), lambda own, others: own + others),
        "it leaves out the pairs in which one won every vote; they are comparisons, too":
            _swept(lambda wins: (wins + wins.T) * (wins * wins.T > 0), lambda own, others: own + others),
        "it counts each comparison as half of one":
            _swept(lambda wins: (wins + wins.T) / 2, lambda own, others: own + others),
        "it counts each rival once, however often the two were compared":
            _swept(np.ones_like, lambda own, others: own + others),
        "it averages the log-odds of each pair's votes; that is no maximum of the likelihood": _mean_log_odds,
        "the denominator counts the votes lost; count the comparisons, won and lost":
            _swept(lambda wins: wins.T, lambda own, others: own + others),
        "the denominator has the rival's strength alone; it needs the sum of both":
            _swept(lambda wins: wins + wins.T, lambda own, others: others),
        "the denominator has the rival's strength alone, and so the strengths run away; it needs the sum of both":
            _swept(lambda wins: wins + wins.T, lambda own, others: others, rescaled=False),
        "these are strengths; the rewards are their logarithms": lambda wins, sweeps: np.exp(newton(wins, sweeps)),
        "the mean is not subtracted: the rewards may be shifted together, so the task fixes their mean at zero":
            lambda wins, sweeps: np.log(_strengths(wins, sweeps)),
        "the mean is not subtracted from the logarithms; the task fixes it at zero":
            lambda wins, sweeps: np.log(_at_once(wins, sweeps)),
        "it subtracts the logarithm of the mean strength; subtract the mean of the logarithms":
            lambda wins, sweeps: newton(wins, sweeps) - math.log(np.exp(newton(wins, sweeps)).mean()),
        "there is no logarithm: these are strengths less their mean":
            lambda wins, sweeps: _centred(_strengths(wins, sweeps)),
        "there is no logarithm: these are strengths with the mean logarithm zero, less their mean":
            lambda wins, sweeps: _centred(np.exp(newton(wins, sweeps))),
        "there is no logarithm: these are strengths": _strengths,
        "there is no logarithm: these are shares of all the strength":
            lambda wins, sweeps: _strengths(wins, sweeps) / _strengths(wins, sweeps).sum(),
        "it comes to what one sweep gives: is the return inside the loop, or does each sweep begin anew?":
            lambda wins, sweeps: _centred(np.log(_strengths(wins, 1))),
        "the shift is not fixed to mean zero, but to zero for the first response":
            lambda wins, sweeps: newton(wins, sweeps) - newton(wins, sweeps)[0],
        "it counts the votes won and never asks against whom": lambda wins, sweeps: _centred(np.log(wins.sum(axis=1))),
        "the numerator counts all of a response's votes; count those that it won":
            _swept(lambda wins: wins + wins.T, lambda own, others: own + others, won=lambda wins: wins + wins.T),
        "winners and losers are exchanged": lambda wins, sweeps: -newton(wins, sweeps),
        "it takes the log-odds of each response's share of all its votes, as if all had met equal rivals":
            lambda wins, sweeps: _centred(np.log(wins.sum(axis=1) / wins.sum(axis=0))),
    },
)
