"""Exercises of notebook 01. Every right answer is written another way than the notebook's solution."""

import math
from collections.abc import Callable
from itertools import permutations

import numpy as np

from rmlib.course.exercises.bradley_terry_fit import FIT, newton
from rmlib.course.exercises.engine import Exercise
from rmlib.course.logistic import logit, sigmoid

# 1.2: a table of votes that fools the check for finite scores


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


# 1.3: a ranking to order

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
            return f"{told}, which is {came}. {_misplaced(rig, order, counts)}"
    return None



def _misplaced(rig: Callable, order: str, counts: np.ndarray) -> str:
    """Where the votes are that the order does not want, or are not that it does."""
    if all(np.array_equal(rig("".join(other)), counts) for other in permutations("ABC")):
        return "The same counts come back for every order."
    agree = np.array([order.index("ABC"[winner]) < order.index("ABC"[loser]) for winner, loser in CIRCLE])
    names = [f"{'ABC'[winner]} and {'ABC'[loser]}" for winner, loser in CIRCLE]
    for name, wanted, count in zip(names, agree, counts, strict=True):
        if wanted and count < counts.max():
            return f"On {name} the voters agree with {order!r}: there, too, many votes are wanted."
        if not wanted and count > counts.min():
            return f"On {name} the voters are against {order!r}: few votes are wanted there."
    return "A pair with many votes gets its own way; which pairs should?"


# 1.4: a circle, or luck


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


def _clear_majorities(*counts: tuple) -> str:
    sizes = [_total(each, (1, 1), (1, 1)) / math.sqrt(_squares(each, (1, 1), (1, 1))[0]) for each in counts]
    return "no scores fit" if min(sizes) > 2 or max(sizes) < -2 else "can't tell"


LUCK = {
    "this allows for one standard error; two are asked":
        lambda *counts: _circle(*counts, room=lambda *c: math.sqrt(sum(_squares(*c)))),
    "a circle can turn either way: a sum far below zero is no luck, either":
        lambda *counts: _circle(*counts, size=float),
    "it adds the standard errors; it is variances that add":
        lambda *counts: _circle(*counts, room=lambda *c: 2 * sum(map(math.sqrt, _squares(*c)))),
    "it looks whether three majorities go round; luck can do that, and scores can fail without it": _majorities,
    "it asks for three majorities that go round as well; scores can fail without them":
        lambda *counts: min(_majorities(*counts), _circle(*counts)),  # "can't tell" comes first
    "each majority has to be beyond luck; it is their sum that counts": _clear_majorities,
    "a sum of any size counts, luck or not": lambda *counts: _circle(*counts, room=lambda *c: 1e-9),
    "the variance of log-odds is not 1/won alone; it has 1/lost as well":
        lambda *counts: _circle(*counts, room=lambda *c: 2 * math.sqrt(sum(1 / won for won, _ in c))),
    "it takes 1/n for the variance of log-odds; it is 1/(n p (1 - p))":
        lambda *counts: _circle(*counts, room=lambda *c: 2 * math.sqrt(sum(1 / sum(pair) for pair in c))),
    "this is the variance of a share, p (1 - p)/n; that of log-odds is 1/(n p (1 - p))": lambda *counts: _circle(
        *counts, room=lambda *c: 2 * math.sqrt(sum(w * l / (w + l) ** 3 for w, l in c))),
    "it adds n p (1 - p), the inverses of the variances": lambda *counts: _circle(
        *counts, room=lambda *c: 2 * math.sqrt(sum(w * l / (w + l) for w, l in c))),
    "it compares with the variance; take the root":
        lambda *counts: _circle(*counts, room=lambda *c: 2 * sum(_squares(*c))),
    "the third step is walked backwards: the circle goes on from C to A": lambda ab, bc, ca: _circle(ab, bc, ca[::-1]),
    "the second number is how many were lost, not how many there were: the share won is won / (won + lost)":
        lambda *counts: _circle(*((won, lost - won) for won, lost in counts), total=lambda *c: sum(
            math.log(won / (won + lost) / (1 - won / (won + lost))) for won, lost in c)),
    "the way back from C to A is missing": lambda *counts: _circle(
        *counts, total=lambda ab, bc, ca: _total(ab, bc, (1, 1)),
        room=lambda *c: 2 * math.sqrt(sum(_squares(*c)[:2]))),
    "the counts are pooled; the circle is a sum of three log-odds, and each has a variance": lambda *counts: _circle(
        *counts, total=lambda *c: _total(tuple(map(sum, zip(*c))), (1, 1), (1, 1)),
        room=lambda *c: 2 * math.sqrt(_squares(tuple(map(sum, zip(*c))), (1, 1), (1, 1))[0])),
    "it adds shares less one half; it is log-odds that add up to zero where scores fit": lambda *counts: _circle(
        *counts, total=lambda *c: sum(w / (w + l) - 0.5 for w, l in c),
        room=lambda *c: 2 * math.sqrt(sum(w * l / (w + l) ** 3 for w, l in c))),
    "these are logarithms of shares; it is log-odds, log(won / lost), that add up to zero where scores fit":
        lambda *counts: _circle(*counts, total=lambda *c: sum(math.log(w / (w + l)) for w, l in c)),
    "the two answers are exchanged": lambda *counts: _circle(*counts, words=("can't tell", "no scores fit")),
}


def _three_counts(rng: np.random.Generator) -> tuple:
    """Three pairs of counts whose log-odds add up to a few standard errors."""
    p = rng.uniform(0.2, 0.8, size=2)
    n = rng.choice([10, 25, 100, 400], size=3)
    error = math.sqrt(float((1 / (n[:2] * p * (1 - p))).sum() + 4 / n[2]))
    shares = [*p, float(sigmoid(rng.normal() * 3 * error - logit(p).sum()))]
    won = [int(np.clip(round(share * size), 1, size - 1)) for share, size in zip(shares, n, strict=True)]
    won = [w + (2 * w == size) for w, size in zip(won, n, strict=True)]  # a majority, one way or the other
    return tuple((w, int(size) - w) for w, size in zip(won, n, strict=True))


EXERCISES = [
    FIT,
    Exercise("1.2", judge=_approved),
    Exercise("1.3", judge=_rigged),
    Exercise("1.4", _circle, _three_counts, LUCK, trials=40, edges=(
        ((6, 4), (6, 4), (6, 4)), ((60, 40), (60, 40), (60, 40)), ((40, 60), (40, 60), (40, 60)),
        ((90, 10), (90, 10), (40, 60)), ((80, 20), (80, 20), (6, 94)), ((10, 90), (10, 90), (60, 40)),
        ((90, 10), (90, 10), (2, 98)), ((90, 10), (90, 10), (90, 10)))),
]
