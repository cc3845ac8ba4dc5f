"""Exercises of notebook 01. Every right answer is written another way than the notebook's solution."""

import math
from collections.abc import Callable
from itertools import permutations

import numpy as np

from rmlib.course.exercises.bradley_terry_fit import FIT, newton
from rmlib.course.exercises.engine import Exercise
from rmlib.course.logistic import logit, sigmoid

# 1.2: the next vote


def _covariance(fisher: np.ndarray) -> np.ndarray:
    """The pseudo-inverse of a connected graph's Laplacian, in closed form."""
    constant = np.full(fisher.shape, 1 / len(fisher))
    return np.linalg.inv(fisher + constant) - constant


def _information(rewards: np.ndarray, a: int, b: int) -> float:
    return float(sigmoid(rewards[a] - rewards[b]) * sigmoid(rewards[b] - rewards[a]))


def _best(worth: Callable) -> Callable:
    """What asks the pair (a, b) of the largest worth(fisher, rewards, i, j, a, b)."""
    def ask(fisher: np.ndarray, rewards: np.ndarray, i: int, j: int) -> tuple[int, int]:
        pairs = [(a, b) for a in range(len(rewards)) for b in range(a + 1, len(rewards))]
        return max(pairs, key=lambda pair: worth(fisher, rewards, i, j, *pair))
    return ask


def _saved(fisher: np.ndarray, rewards: np.ndarray, i: int, j: int, a: int, b: int,
           weigh: Callable = _information, of: Callable = lambda unit, i, j: unit[i] - unit[j],
           whole: bool = True) -> float:
    """By how much a vote lowers the variance of gᵀr: w (gᵀCx)² / (1 + w xᵀCx) (Sherman and Morrison 1950)."""
    unit, vote = np.eye(len(rewards)), weigh(rewards, a, b)
    x, moved = unit[a] - unit[b], _covariance(fisher) @ (unit[a] - unit[b])
    return vote * float(((of(unit, i, j) @ moved) ** 2).sum()) / (1 + whole * vote * float(x @ moved))


def _far(fisher: np.ndarray, rewards: np.ndarray, i: int, j: int, a: int, b: int) -> float:
    c = _covariance(fisher)
    return c[a, a] + c[b, b] - 2 * c[a, b]


NEXT = {
    "it asks i and j themselves, as a rule does for which every vote counts alike; one between far apart responses "
    "adds little, σ(1 - σ), and a vote on the way can teach more": lambda f, r, i, j: (min(i, j), max(i, j)),
    "it leaves the denominator out: w (gᵀI⁺x)² is what a very small part of a vote would save; a whole one saves "
    "w (gᵀI⁺x)² / (1 + w xᵀI⁺x)":
        _best(lambda *given: _saved(*given, whole=False)),
    "it takes the σ of a vote for its information, σ(1 - σ)":
        _best(lambda *given: _saved(*given, weigh=lambda r, a, b: float(sigmoid(r[a] - r[b])))),
    "it lowers the variance of all the scores together; asked is one gap":
        _best(lambda *given: _saved(*given, of=lambda unit, i, j: unit)),
    "it lowers the variance of i's score; asked is the gap":
        _best(lambda *given: _saved(*given, of=lambda unit, i, j: unit[i])),
    "it leaves the sign out: the gap is e_i - e_j":
        _best(lambda *given: _saved(*given, of=lambda unit, i, j: unit[i] + unit[j])),
    "it asks the pair with the most even chances, whatever is known of it":
        _best(lambda f, r, i, j, a, b: _information(r, a, b)),
    "it asks the pair whose own gap is least certain; asked is the gap between i and j": _best(_far),
    "it asks the pair about which the direct votes say least": _best(lambda f, r, i, j, a, b: f[a, b]),
    "the pair is the other way round: a < b": lambda *given: _best(_saved)(*given)[::-1],
}


def _known(votes: np.ndarray, rewards: np.ndarray) -> np.ndarray:
    """The information of votes (K, K), each pair's above the diagonal."""
    weights = (votes + votes.T) * sigmoid(rewards[:, None] - rewards) * sigmoid(rewards - rewards[:, None])
    return np.diag(weights.sum(axis=1)) - weights


POORLY_KNOWN = tuple(  # the right pair has so few votes that one more is no small part of them
    (_known(np.array([[0, ab, ac], [0, 0, bc], [0, 0, 0]]), np.array(rewards)), np.array(rewards), i, j)
    for ab, ac, bc, rewards, i, j in ((1, 5, 20, [-3.0, -4.0, 2.0], 2, 0), (1, 20, 3, [-2.0, -1.0, 4.0], 2, 1)))


def _study(rng: np.random.Generator) -> tuple:
    """A connected graph in which one vote is clearly the best, by a tenth of what it saves."""
    while True:
        size = int(rng.integers(4, 7))
        rewards, votes = rng.normal(size=size) * 2, np.triu(rng.choice([0, 0, 5, 20, 60], size=(size, size)), 1)
        votes[range(size - 1), range(1, size)] += 5
        fisher, (i, j) = _known(votes, rewards), (int(k) for k in rng.choice(size, 2, replace=False))
        saved = sorted(_saved(fisher, rewards, i, j, a, b) for a in range(size) for b in range(a + 1, size))
        if saved[-2] < 0.9 * saved[-1]:
            return fisher, rewards, i, j


# 1.3: a table of votes that fools the check for finite scores


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


PRINTED = {  # such tables as stand in the notebook above the exercise
    "chain": [[0, 30, 0], [0, 0, 1], [0, 0, 0]],
    "subtle": [[0, 1, 0, 0, 0], [2, 0, 0, 0, 0], [3, 3, 0, 1, 2], [3, 3, 2, 0, 3], [3, 3, 1, 0, 0]],
}


def _approved(counterexample: Callable, rng: np.random.Generator) -> str | None:
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
    for name, table in PRINTED.items():
        if wins.tolist() == table:
            return f"That is `{name}`, which stands above. Make a table of your own."
    for done, votes in (("won", wins.sum(axis=1)), ("lost", wins.sum(axis=0))):
        if not votes.all():
            return f"Every response has to win a vote and lose one; that of row {votes.argmin()} (from 0) never {done}."
    if _reaches_all(wins > 0):
        return ("Here the scores are finite, so his function is right to approve: every group of responses has won a "
                "vote against the rest. Look for a table in which some group never won one.")
    return None


# 1.4: a ranking to order

CIRCLE = ((0, 1), (1, 2), (2, 0))


def _rigged(rig: Callable, rng: np.random.Generator) -> str | None:
    for order in map("".join, permutations("ABC")):
        given = rig(order)
        counts = np.asarray(given, dtype=float)
        if counts.shape != (3,) or (counts != counts.round()).any() or (counts < 1).any() or (counts > 100).any():
            return f"It returns three whole numbers from 1 to 100: A and B, B and C, C and A. For {order!r}: {given!r}."
        wins = np.zeros((3, 3))
        for (winner, loser), votes in zip(CIRCLE, counts, strict=True):
            wins[winner, loser], wins[loser, winner] = 0.9 * votes, 0.1 * votes
        scores = newton(wins)
        came = "".join(sorted("ABC", key=lambda name: -scores["ABC".index(name)]))
        told = f"For {order!r} the scores are " + ", ".join(f"{n} {s:+.2f}" for n, s in zip("ABC", scores, strict=True))
        if np.diff(np.sort(scores)).min() < 1e-6:
            return f"{told}: two are equal. Where counts are alike, the circle keeps its balance."
        if came == order[::-1]:
            return f"{told}: that is the order from behind. Who beats whom among its neighbours?"
        if came != order:
            return f"{told}, which is {came}. A pair with many votes gets its own way; which pairs should?"
    return None


# 1.5: a circle, or luck


def _total(ab: tuple, bc: tuple, ca: tuple) -> float:
    return float(sum(logit(won / (won + lost)) for won, lost in (ab, bc, ca)))


def _squares(ab: tuple, bc: tuple, ca: tuple) -> list[float]:
    return [(won + lost) / (won * lost) for won, lost in (ab, bc, ca)]


def _circle(*counts: tuple, total: Callable = _total, room: Callable = lambda *counts: 2 * math.sqrt(
        sum(_squares(*counts))), words: tuple[str, str] = ("no scores fit", "can't tell"), size: Callable = abs) -> str:
    return words[int(size(total(*counts)) <= room(*counts))]


def _majorities(*counts: tuple) -> str:
    first = [won > lost for won, lost in counts]
    return "no scores fit" if all(first) or not any(first) else "can't tell"


LUCK = {
    "this allows for one standard error; two are asked":
        lambda *counts: _circle(*counts, room=lambda *c: math.sqrt(sum(_squares(*c)))),
    "a circle can turn either way: a sum far below zero is no luck, either":
        lambda *counts: _circle(*counts, size=float),
    "it adds the standard errors; it is variances that add":
        lambda *counts: _circle(*counts, room=lambda *c: 2 * sum(map(math.sqrt, _squares(*c)))),
    "it looks whether three majorities go round; luck can do that, and scores can fail without it": _majorities,
    "a sum of any size counts, luck or not": lambda *counts: _circle(*counts, room=lambda *c: 1e-9),
    "it is the variance of a share's logarithm, 1/won; that of log-odds has 1/lost as well":
        lambda *counts: _circle(*counts, room=lambda *c: 2 * math.sqrt(sum(1 / won for won, _ in c))),
    "it takes 1/n for the variance of log-odds; it is 1/(n p (1 - p))":
        lambda *counts: _circle(*counts, room=lambda *c: 2 * math.sqrt(sum(1 / sum(pair) for pair in c))),
    "it compares with the variance; take the root":
        lambda *counts: _circle(*counts, room=lambda *c: 2 * sum(_squares(*c))),
    "the third step is walked backwards: the circle goes on from C to A": lambda ab, bc, ca: _circle(ab, bc, ca[::-1]),
    "the way back from C to A is missing": lambda *counts: _circle(
        *counts, total=lambda ab, bc, ca: _total(ab, bc, (1, 1)),
        room=lambda *c: 2 * math.sqrt(sum(_squares(*c)[:2]))),
    "the two answers are exchanged": lambda *counts: _circle(*counts, words=("can't tell", "no scores fit")),
}


def _three_counts(rng: np.random.Generator) -> tuple:
    """Three pairs of counts whose log-odds add up to a few standard errors."""
    p = rng.uniform(0.2, 0.8, size=2)
    n = rng.choice([10, 25, 100, 400], size=3)
    error = math.sqrt(float((1 / (n[:2] * p * (1 - p))).sum() + 4 / n[2]))
    shares = [*p, float(sigmoid(rng.normal() * 3 * error - logit(p).sum()))]
    won = [int(np.clip(round(share * size), 1, size - 1)) for share, size in zip(shares, n, strict=True)]
    return tuple((w, int(size) - w) for w, size in zip(won, n, strict=True))


EXERCISES = [
    FIT,
    Exercise("1.2", _best(_saved), _study, NEXT, trials=24, edges=POORLY_KNOWN),
    Exercise("1.3", judge=_approved),
    Exercise("1.4", judge=_rigged),
    Exercise("1.5", _circle, _three_counts, LUCK, trials=40, edges=(
        ((6, 4), (6, 4), (6, 4)), ((60, 40), (60, 40), (60, 40)), ((40, 60), (40, 60), (40, 60)),
        ((90, 10), (90, 10), (40, 60)), ((80, 20), (80, 20), (6, 94)), ((10, 90), (10, 90), (60, 40)))),
]
