"""Exercises of notebook 05: bugs in attention, and whether a backbone looks back; the others lie apart."""

from collections.abc import Callable, Iterable
from itertools import combinations

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.reward_model_padding import MIND_THE_PADDING
from rmlib.course.exercises.reward_model_stuck import STUCK
from rmlib.course.exercises.reward_model_templates import TO_IDS

# 5.1: three bugs in attention

BUGS = {
    "cut": "one reshape cuts heads out of several tokens' numbers: cut each token, then exchange tokens and heads",
    "width": "the scores are divided by √H; it is √D, the length of a head's query",
    "zero": "a score of 0 hides nothing: exp(0) = 1 takes its share; minus infinity hides",
}
SLIPS = {
    "no maximum": "exp overflows or vanishes: subtract each row's largest seen score first",
    "merge": "the heads are put together by a reshape alone: exchange heads and tokens first",
    "no root": "the scores are not divided by √D",
    "whole D": "the scores are divided by D; it is its root, √D",
    "heads' root": "the scores are divided by the root of the number of heads; it is √D, the length of a head's query",
    "-10": "-10 is no minus infinity: beside seen scores near 0 a hidden one still gets its share",
    "late": "the mask comes too late: cut out after the softmax, what is left no longer adds up to 1",
    "-100": "-100 is no minus infinity: where the seen scores lie below it, all goes to the hidden ones",
    "unseen maximum": "the largest score that is subtracted is one that is not seen, and beside it all others vanish",
    "one maximum": "one maximum for the whole table is not enough: a row far below it vanishes",
    "rows": "the mask hides the tokens that look; hidden are those looked at",
    "every A-th": "the numbers of a token are cut as (D, A), so that a head gets every A-th; cut (A, D), side by side",
    "turned": "the mask is the wrong way round: what may not be seen gets everything",
    "axis": "the softmax goes over the wrong axis: each row has to add up to 1, not each column",
}


def shares_of(scores, mask, left):
    mask = mask.swapaxes(2, 3) if "rows" in left else ~mask if "turned" in left else mask
    hidden = 0 if {"zero", "late"} & {*left} else next((float(one) for one in left if one[1:].isdigit()), -np.inf)
    hiding = np.where(mask, scores, scores if "late" in left else hidden)
    axis = 2 if "axis" in left else 3
    most = (scores if "unseen maximum" in left else hiding).max(axis=None if "one maximum" in left else axis,
                                                                keepdims=True)
    powers = np.exp(hiding - (0 if "no maximum" in left else most))
    shares = powers / powers.sum(axis=axis, keepdims=True)
    return shares * mask if "late" in left else shares


def attention(query, key, value, seen, heads, left=()):
    """Attention of several heads, right but for the bugs and slips that are `left` in it."""
    rows, length, width = query.shape

    def cut(z):
        if "cut" in left:
            return z.reshape(rows, heads, length, -1)
        if "every A-th" in left:
            return z.reshape(rows, length, -1, heads).transpose(0, 3, 1, 2)
        return z.reshape(rows, length, heads, -1).transpose(0, 2, 1, 3)

    root = 1 if "no root" in left else width / heads if "whole D" in left else np.sqrt(
        width if "width" in left else heads if "heads' root" in left else width / heads)
    found = shares_of(cut(query) @ cut(key).swapaxes(2, 3) / root, seen[:, None, None, :], left) @ cut(value)
    back = (0, 2, 3, 1) if "every A-th" in left and "merge" not in left else (0, 2, 1, 3)
    together = found if "cut" in left or left == ("merge",) else found.transpose(back)
    return together.reshape(rows, length, width)


def with_left(left: Iterable[str]) -> tuple[str, Callable]:
    names = {**BUGS, **SLIPS}
    return "; and ".join(names[each] for each in left), lambda *given: attention(*given, left=left)


SETS = [left for size in range(1, 4) for left in combinations(BUGS, size)]
ATTENTION = dict(map(with_left, [*SETS, *((slip,) for slip in SLIPS)])) | {
    "a large negative number hides the tokens that look; hidden are those looked at":
        lambda *given: attention(*given, left=("rows", "-1000000000")),
    "the numbers of a token are cut as (D, A), so that a head gets every A-th, and put back as (A, D); cut them so":
        lambda *given: attention(*given, left=("every A-th", "merge")),
}


def vectors_and_heads(rng: np.random.Generator) -> tuple:
    rows, length, heads, size = (int(rng.integers(low, low + 2)) for low in (1, 3, 2, 2))
    seen = np.ones((rows, length), dtype=bool)
    seen[:, rng.integers(1, length)] = False
    numbers = rng.integers(-2, 3, size=(3, rows, length, heads * size)).astype(float)
    numbers[1] += rng.choice([0, -40], p=[0.8, 0.2])  # keys far away: scores below -100
    return *numbers, seen, heads


def edge(query: tuple, keys: tuple) -> tuple:
    """Three tokens, the last one hidden; two heads of D = 1, the first of which has these queries and keys."""
    quiet, values = [0.1, 0.2, 0.3], [[1.0, 2.0], [3.0, 5.0], [7.0, 9.0]]
    return *(np.array([each], dtype=float) for each in (list(zip(query, quiet)), list(zip(keys, quiet)), values)), \
        np.array([[True, True, False]]), 2


# 5.2: does it look back only?


def small_transformer(rng: np.random.Generator, causal: bool, mixing: float, rounding: float) -> Callable:
    """A function from ids (B, T), int below 64, to vectors (B, T, 16), float32, of two layers of attention."""
    words, places = rng.normal(size=(64, 16)), rng.normal(size=(32, 16))
    layers, noise = rng.normal(scale=0.25, size=(2, 3, 16, 16)), np.random.default_rng(rng.integers(2**31))

    def vectors(ids):
        ids = np.asarray(ids)
        if ids.ndim != 2 or ids.dtype.kind not in "iu" or ids.shape[1] > 32 or not np.all((0 <= ids) & (ids < 64)):
            raise ValueError("ids are whole numbers from 0 to 63, of shape (B, T), with T at most 32")
        z = words[ids] + places[: ids.shape[1]]
        for query, key, value in layers:
            scores = (z @ query) @ (z @ key).swapaxes(1, 2) / 4
            scores = np.where(np.tri(ids.shape[1], dtype=bool) | (not causal), scores, -np.inf)
            powers = np.exp(scores - scores.max(-1, keepdims=True))
            z = z + mixing * powers / powers.sum(-1, keepdims=True) @ (z @ value)
        off = noise.normal(size=z.shape)
        length, of_off = (np.linalg.norm(each, axis=-1, keepdims=True) for each in (z, off))
        return (z + rounding * length / of_off * off).astype(np.float32)

    return vectors


KINDS = {  # causal, how much a token takes in, how far rounding moves a vector
    "decoder": (True, 1.0, 0.0), "rounded decoder": (True, 1.0, 1e-6),
    "encoder": (False, 1.0, 1e-6), "faint encoder": (False, 0.02, 1e-6),
}


def judge_looking_back(function: Callable, rng: np.random.Generator) -> str | None:
    wrong, touched, moved = [], False, False
    for kind in [*KINDS, *KINDS, *KINDS, *["rounded decoder"] * 6]:  # nearly all of these have a number near 0
        vectors, tried = small_transformer(rng, *KINDS[kind]), []

        def watched(ids, vectors=vectors, tried=tried):
            tried.append(np.array(ids))
            return vectors(ids)

        answer = function(watched)
        if not isinstance(answer, bool | np.bool_):
            return "Return True for a decoder and False for an encoder."
        wrong += [kind] * bool(answer != KINDS[kind][0])
        rows = [row for ids in tried for row in ids]
        touched |= len({row[0] for row in rows}) > 1
        moved |= len({row.tobytes() for row in rows}) > 1
    if not wrong:
        return None
    if not moved:
        return "It never tries two texts: only what changes when tokens change tells who looks at them."
    kinds = set(wrong)
    if kinds == {"rounded decoder"}:
        return ("A decoder is taken for an encoder by a bit of rounding, here a millionth of a vector's length: ask "
                "whether the first vector moves by more than that. (One of its numbers that is near 0 can move by more "
                "than a hundred-thousandth of itself, `allclose`'s usual bound.)")
    if kinds <= {"encoder", "faint encoder"} and wrong.count("encoder") < wrong.count("faint encoder"):
        return ("An encoder is taken for a decoder: its first vector moves by more than a thousandth of its length, a "
                "thousand times what rounding does. The tolerance is too wide.")
    if kinds == set(KINDS):
        return "True and False are exchanged: True is a decoder."
    if kinds == {"decoder", "rounded decoder"}:
        return ("Every decoder is called an encoder. " + (
            "The first token was changed, and all vectors may see it, the last one too. Change later tokens, and look "
            "at the first vector." if touched else
            "Which vector must not move in a decoder, whatever comes after it? The first."))
    if kinds == {"encoder", "faint encoder"}:
        return ("Encoders are called decoders. In an encoder the first vector moves when other tokens change: do you "
                "look at that one? If so, the tolerance is too wide.")
    return f"It is wrong about models of these kinds: {', '.join(sorted(kinds))}."


EXERCISES = [
    Exercise("5.1", attention, vectors_and_heads, ATTENTION, trials=20, edges=(
        edge((40, 40, -40), (40, 39.9, 0)), edge((1, 1, -1), (1, 0, 2000)), edge((-40, 40, 1), (40, 39, 1)))),
    Exercise("5.2", judge=judge_looking_back),
    STUCK,
    MIND_THE_PADDING,
    TO_IDS,
]
