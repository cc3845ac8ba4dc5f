"""The later exercises of notebook 01: scores that run away, the price of votes, cycles, Elo."""

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.logistic import logit

# 1.6: a table of votes that fools the check for finite scores


def _reaches_all(arrows: np.ndarray) -> bool:
    """Whether one can walk along the arrows, bool (K, K), from every response to every other one."""
    for start in range(len(arrows)):
        seen, ahead = {start}, [start]
        while ahead:
            found = set(np.flatnonzero(arrows[ahead.pop()]).tolist()) - seen
            seen |= found
            ahead += found
        if len(seen) < len(arrows):
            return False
    return True


def _complaint(counterexample: Callable, rng: np.random.Generator) -> str | None:
    try:
        wins = np.asarray(counterexample(), dtype=float)
    except (TypeError, ValueError) as error:
        return f"Return a square table of numbers ({error})."
    if wins.ndim != 2 or wins.shape[0] != wins.shape[1] or len(wins) < 2:
        return f"Return a square table with a row and a column for each response; this has the shape {wins.shape}."
    if not (np.isfinite(wins).all() and (wins >= 0).all() and (wins == np.round(wins)).all()):
        return "The entries count votes: whole numbers, none below zero."
    if np.diag(wins).any():
        return "The diagonal has to be zero: no response is compared with itself."
    if not _reaches_all(wins + wins.T > 0):
        return "His function refuses this table, and rightly: comparisons don't tie all the responses together."
    if _reaches_all(wins > 0):
        return ("Here the scores are finite, so his function is right to approve: every group of responses has won a "
                "vote against the rest. Look for a table in which some group never won one.")
    return None


COUNTEREXAMPLE = Exercise("1.6", judge=_complaint)


# 1.7: how many votes


def _z(probability: float) -> float:
    return NormalDist().inv_cdf(probability)


def _votes(share: float, z_level: float, z_power: float, coin: float = 0.25, other: float | None = None) -> float:
    """(z_level √coin + z_power √other)² / (share - 1/2)², unrounded; `other`: else share (1 - share)."""
    other = share * (1 - share) if other is None else other
    return (z_level * math.sqrt(coin) + z_power * math.sqrt(other)) ** 2 / (share - 0.5) ** 2


def _share_level_power(rng: np.random.Generator) -> tuple:
    share = 0.5 + float(rng.choice([-1, 1])) * float(rng.uniform(0.06, 0.35))
    return share, float(rng.uniform(0.01, 0.12)), float(rng.uniform(0.7, 0.95))


VOTES = Exercise(
    "1.7",
    answer=lambda p, level, power: math.ceil(_votes(p, -_z(level / 2), _z(power))),
    draw=_share_level_power,
    edges=((0.6, 0.05, 0.8), (0.4, 0.05, 0.8), (0.8, 0.05, 0.8), (0.502, 0.03, 0.9)),
    mistakes={
        "the test is one-sided: half of the level belongs to each side":
            lambda p, level, power: math.ceil(_votes(p, -_z(level), _z(power))),
        "it uses the coin's variance in both places; under the share it is p (1 - p)":
            lambda p, level, power: math.ceil(_votes(p, -_z(level / 2), _z(power), other=0.25)),
        "it uses the share's variance in both places; under the coin it is 1/4":
            lambda p, level, power: math.ceil(_votes(p, -_z(level / 2), _z(power), coin=p * (1 - p))),
        "the two standard deviations are exchanged: the coin's goes with the level":
            lambda p, level, power: math.ceil(_votes(p, -_z(level / 2), _z(power), coin=p * (1 - p), other=0.25)),
        "it forgets to square": lambda p, level, power: math.ceil(math.sqrt(_votes(p, -_z(level / 2), _z(power)))),
        "it forgets to square, and a share below one half costs less than nothing": lambda p, level, power:
            math.ceil(math.copysign(math.sqrt(_votes(p, -_z(level / 2), _z(power))), p - 0.5)),
        "it divides by the share; divide by how far it is from 1/2":
            lambda p, level, power: math.ceil(_votes(p, -_z(level / 2), _z(power)) * ((p - 0.5) / p) ** 2),
        "it divides by share - (1 - share), twice the distance from 1/2":
            lambda p, level, power: math.ceil(_votes(p, -_z(level / 2), _z(power)) / 4),
        "it splits the power in two as well; only the level has two sides":
            lambda p, level, power: math.ceil(_votes(p, -_z(level / 2), -_z((1 - power) / 2))),
        "the coin's standard deviation is 1/2, not 1":
            lambda p, level, power: math.ceil(_votes(p, -_z(level / 2), _z(power), coin=1.0)),
        "it adds two squares; the square of a sum is wanted": lambda p, level, power: math.ceil(
            _votes(p, -_z(level / 2), 0.0) + _votes(p, 0.0, _z(power))),
        "it forgets the power: this finds the share in only about half of all experiments":
            lambda p, level, power: math.ceil(_votes(p, -_z(level / 2), 0.0)),
        "a vote cannot be cut into pieces: round up": lambda p, level, power: _votes(p, -_z(level / 2), _z(power)),
        "it rounds to the nearest; half of the time that misses the power by a little: round up":
            lambda p, level, power: round(_votes(p, -_z(level / 2), _z(power))),
        "one of the two quantiles has the wrong sign: both are above zero":
            lambda p, level, power: math.ceil(_votes(p, -_z(level / 2), -_z(power))),
        "it rounds up before it squares": lambda p, level, power:
            math.ceil(math.copysign(math.sqrt(_votes(p, -_z(level / 2), _z(power))), p - 0.5)) ** 2,
        **{f"it takes 1.96 and {z:.4g}, right for the level 0.05 and the power 0.8 alone":
           lambda p, level, power, z=z: math.ceil(_votes(p, 1.96, z)) for z in (0.84, 0.842, 0.8416)},
        "it takes 1.96 whatever the level is": lambda p, level, power: math.ceil(_votes(p, 1.96, _z(power))),
        **{f"it takes {z:.4g} whatever the power is":
           lambda p, level, power, z=z: math.ceil(_votes(p, -_z(level / 2), z)) for z in (0.84, 0.842, 0.8416)},
        "it rounds down, and so misses the power by a little: round up":
            lambda p, level, power: math.floor(_votes(p, -_z(level / 2), _z(power))),
        **{f"it leaves out a root: {variance} a variance":
           lambda p, level, power, coin=coin, other=other: math.ceil(
               _votes(p, -_z(level / 2), _z(power), coin, (p * (1 - p)) ** (2 if other else 1)))
           for variance, coin, other in (("p (1 - p) is", 1 / 4, True), ("the coin's 1/4 is", 1 / 16, False),
                                         ("each of 1/4 and p (1 - p) is", 1 / 16, True))},
    },
)


# 1.8: around the circle


CIRCLE = Exercise(
    "1.8",
    answer=lambda a, b, c: logit(a) + logit(b) + logit(c),
    draw=lambda rng: tuple(float(p) for p in rng.uniform(0.05, 0.95, 3)),
    edges=((0.75, 2 / 3, 1 / 7), (0.5, 0.5, 0.5)),
    mistakes={
        "the third step is walked backwards: the circle goes on from C to A":
            lambda a, b, c: logit(a) + logit(b) - logit(c),
        "the step from A to B is walked backwards": lambda a, b, c: logit(b) + logit(c) - logit(a),
        "the step from B to C is walked backwards": lambda a, b, c: logit(a) - logit(b) + logit(c),
        "the way back from C to A is missing": lambda a, b, c: logit(a) + logit(b),
        "it divides logarithms; log-odds are the logarithm of a quotient":
            lambda a, b, c: sum(math.log(p) / math.log(1 - p) for p in (a, b, c)),
        "it is the product of the odds less 1; zero where it should be, but log-odds are wanted":
            lambda a, b, c: math.expm1(logit(a) + logit(b) + logit(c)),
        "it adds the sizes of the log-odds; their signs say which way each step goes":
            lambda a, b, c: abs(logit(a)) + abs(logit(b)) + abs(logit(c)),
        "it adds logarithms of probabilities; the gaps are logarithms of odds":
            lambda a, b, c: math.log(a) + math.log(b) + math.log(c),
        "it adds the odds; it is their logarithms that add": lambda a, b, c: a / (1 - a) + b / (1 - b) + c / (1 - c),
        "it adds the odds and then takes the logarithm; the logarithms add":
            lambda a, b, c: math.log(a / (1 - a) + b / (1 - b) + c / (1 - c)),
        "these are the three log-odds; add them up": lambda a, b, c: np.array([logit(a), logit(b), logit(c)]),
        "it adds probabilities; it is the log-odds that add": lambda a, b, c: a + b + c - 1.5,
        "it multiplies the odds but does not take the logarithm: Bradley-Terry scores fit when this is 1, not 0":
            lambda a, b, c: math.exp(logit(a) + logit(b) + logit(c)),
        "it is the size of the sum; the sign tells which way the circle turns":
            lambda a, b, c: abs(logit(a) + logit(b) + logit(c)),
    },
)


# 1.9: one Elo update


def _elo(first: float, second: float, y: float, K: float, base: float = 10.0, scale: float = 400.0,
         back: float = -1.0) -> tuple[float, float]:
    change = K * (y - 0.5 * (1 + math.tanh((first - second) * math.log(base) / scale / 2)))
    return first + change, second + back * change


def _two_players(rng: np.random.Generator) -> tuple:
    """Ratings less than 300 apart: 10 to that power is still a float, so that a forgotten 400 has a result to name."""
    first = rng.uniform(1200, 1800)
    return (float(first), float(first + rng.uniform(-290, 290)), float(rng.choice([0, 0.5, 1])),
            float(rng.choice([10, 16, 24, 40])))


def _one_after_the_other(i: float, j: float, y: float, K: float) -> tuple[float, float]:
    first, _ = _elo(i, j, y, K)
    return first, _elo(first, j, y, K)[1]


def _by_size(i: float, j: float, y: float, K: float) -> tuple[float, float]:
    change = _elo(abs(i - j), 0.0, y, K)[0] - abs(i - j)
    return i + change, j - change


ELO = Exercise(
    "1.9",
    answer=_elo,
    draw=_two_players,
    edges=((1500.0, 1500.0, 1.0, 32.0), (1600.0, 1400.0, 0.5, 24.0), (1450.0, 1500.0, 0.0, 16.0)),
    mistakes={
        "K is fixed at 32; use the one that is given": lambda i, j, y, K: _elo(i, j, y, 32.0),
        "a draw counts as a win; it is half of one": lambda i, j, y, K: _elo(i, j, float(y > 0), K),
        "a draw counts as a loss; it is half of a win": lambda i, j, y, K: _elo(i, j, float(y == 1), K),
        "j's expected score is computed from i's new rating; both changes come from the old ratings":
            _one_after_the_other,
        "j's change uses i's expected score; j's own is 1 minus it":
            lambda i, j, y, K: (_elo(i, j, y, K)[0], j + _elo(i, j, 1 - y, K)[0] - i),
        "j's change uses i's result; j's own is 1 minus it":
            lambda i, j, y, K: (_elo(i, j, y, K)[0], _elo(j, i, y, K)[0]),
        "it counts a loss as -1 and a draw as 0; a draw is 0.5 and a loss 0":
            lambda i, j, y, K: _elo(i, j, 2 * y - 1, K),
        "a draw leaves the ratings as they are; it is half of a win":
            lambda i, j, y, K: (i, j) if y == 0.5 else _elo(i, j, y, K),
        "it takes the size of the difference, as if i were always the stronger": _by_size,
        "the change is halved": lambda i, j, y, K: _elo(i, j, y, K / 2),
        "it takes every result for a win": lambda i, j, y, K: _elo(i, j, 1.0, K),
        "these are the changes; add them to the ratings": lambda i, j, y, K: (_elo(i, j, y, K)[0] - i,
                                                                              _elo(i, j, y, K)[1] - j),
        "it uses base e; Elo's is 10": lambda i, j, y, K: _elo(i, j, y, K, base=math.e),
        "both ratings move the same way; what one gains the other loses": lambda i, j, y, K: _elo(i, j, y, K, back=1.0),
        "only the first rating moves": lambda i, j, y, K: _elo(i, j, y, K, back=0.0),
        "the expected score is j's, not i's": lambda i, j, y, K: _elo(i, j, y, K, scale=-400.0),
        "the ratings are exchanged in the result": lambda i, j, y, K: _elo(i, j, y, K)[::-1],
        "it expects one half of everybody, whatever the ratings are":
            lambda i, j, y, K: (i + K * (y - 0.5), j - K * (y - 0.5)),
        "the difference is not divided by 400": lambda i, j, y, K: _elo(i, j, y, K, scale=1.0),
        "it moves by K y, as if nothing had been expected": lambda i, j, y, K: (i + K * y, j - K * y),
    },
)
