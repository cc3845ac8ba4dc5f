"""Exercises of notebook 05: the parts of a transformer, and what padding does to them."""

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.reward_model_head import BROADCAST, HEAD_STD, WIDEST_MODEL


def padding(rng: np.random.Generator, rows: int, side: str | None = None) -> np.ndarray:
    """An attention mask (rows, T), int64, padded on one side; one row is full, one at least is not."""
    length = int(rng.integers(5, 9))
    real = rng.integers(2, length, size=rows)
    real[rng.integers(rows)] = length
    mask = (np.arange(length) < real[:, None]).astype(np.int64)
    return mask[:, ::-1].copy() if (side or rng.choice(["left", "right"])) == "left" else mask


# 5.1: softmax over what may be seen


def masked_softmax(scores, seen):
    powers = np.exp(scores - np.max(scores, axis=-1, keepdims=True, where=seen, initial=-np.inf), where=seen,
                    out=np.zeros_like(scores))
    return powers / powers.sum(axis=-1, keepdims=True)


def softmax(scores, axis=-1):
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def scores_and_seen(rng: np.random.Generator) -> tuple:
    seen = padding(rng, rows=int(rng.integers(2, 4))).astype(bool)
    return 2 * rng.normal(size=seen.shape), seen


def unshifted(scores, seen):
    powers = np.where(seen, np.exp(scores), 0)
    return powers / powers.sum(axis=-1, keepdims=True)


def shifted_by_all(scores, seen):
    powers = np.where(seen, np.exp(scores - scores.max(axis=-1, keepdims=True)), 0)
    return powers / powers.sum(axis=-1, keepdims=True)


MASKED_SOFTMAX = {
    "the mask comes too late: cut out after the softmax, what is left no longer adds up to 1":
        lambda s, m: softmax(s) * m,
    "a score of 0 is no mask: exp(0) = 1 takes its share; a hidden score is minus infinity":
        lambda s, m: softmax(np.where(m, s, 0)),
    "the mask is turned round: what may not be seen gets everything": lambda s, m: masked_softmax(s, ~m),
    "the mask is not used": lambda s, m: softmax(s),
    "it is taken over the wrong axis: each row has to add up to 1, not each column":
        lambda s, m: softmax(np.where(m, s, -np.inf), axis=0),
    "exp overflows or vanishes: subtract the row's largest seen score first": unshifted,
    "the largest score that is subtracted is one that is not seen, and beside it all others vanish": shifted_by_all,
}
SEEN = np.array([[True, True, False]])


# 5.2: heads, cut out of a vector


def split_heads(x, heads):
    rows, tokens, width = x.shape
    return np.stack([x[:, :, a * (width // heads) : (a + 1) * (width // heads)] for a in range(heads)], axis=1)


def vectors_and_heads(rng: np.random.Generator) -> tuple:
    heads, size = int(rng.integers(2, 4)), int(rng.integers(2, 4))
    return rng.normal(size=(2, int(rng.choice([5, 7])), heads * size)), heads


SPLIT_HEADS = {
    "the bug is still there: a reshape to (B, A, T, D) fills heads with numbers of several tokens":
        lambda x, a: x.reshape(x.shape[0], a, x.shape[1], -1),
    "tokens and heads are still to be exchanged: this is (B, T, A, D)":
        lambda x, a: x.reshape(*x.shape[:2], a, -1),
    "each head takes every A-th number; it has to take D neighbours":
        lambda x, a: x.reshape(*x.shape[:2], -1, a).transpose(0, 3, 1, 2),
    "the last two axes are exchanged: this is (B, A, D, T)":
        lambda x, a: split_heads(x, a).swapaxes(2, 3),
    "the first axis is the batch, and heads come second: this is (A, B, T, D)":
        lambda x, a: split_heads(x, a).swapaxes(0, 1),
}


# 5.5, 5.6: pooling by the mask


def mean_of_real(hidden, mask):
    return np.array([row[real == 1].mean(axis=0) for row, real in zip(hidden, mask)])


def last_real(hidden, mask):
    return np.array([row[np.flatnonzero(real)[-1]] for row, real in zip(hidden, mask)])


def hidden_and_mask(rng: np.random.Generator) -> tuple:
    mask = padding(rng, rows=3)
    return rng.normal(size=(*mask.shape, 4)), mask


MEAN_OF_REAL = {
    "the padding is averaged in: the mask is not used": lambda h, m: h.mean(axis=1),
    "padding is left out of the sum and still counted: divide by the number of real tokens":
        lambda h, m: (h * m[:, :, None]).mean(axis=1),
    "this is the sum; divide it by the number of real tokens": lambda h, m: (h * m[:, :, None]).sum(axis=1),
    "it divides by all real tokens of the batch; each row has its own number":
        lambda h, m: (h * m[:, :, None]).sum(axis=1) / m.sum(),
    "it averages what is padding: the mask is turned round": lambda h, m: np.array(
        [(row * (1 - real)[:, None]).sum(axis=0) / max((1 - real).sum(), 1) for row, real in zip(h, m)]),
    "it averages over the rows; the tokens are axis 1": lambda h, m: (h * m[:, :, None]).sum(0) / m.sum(0)[:, None],
}
LAST_REAL = {
    "the last column is padding where the padding is on the right: hidden[:, -1]": lambda h, m: h[:, -1],
    "counting the tokens finds the last one only where the padding is on the right":
        lambda h, m: h[np.arange(len(h)), m.sum(axis=1) - 1],
    "argmax of the mask finds the first real token, not the last": lambda h, m: h[np.arange(len(h)), m.argmax(axis=1)],
    "it is one token too early": lambda h, m: h[np.arange(len(h)), [np.flatnonzero(real)[-1] - 1 for real in m]],
    "all tokens up to the last are averaged; the last one alone is wanted": mean_of_real,
}


# 5.7: positions


def positions(mask, first):
    counted = np.array([[first + int(row[:t].sum()) for t in range(len(row))] for row in mask])
    return np.where(mask == 1, counted, first)


POSITIONS = {
    "these are the columns' numbers: padding on the left shifts every token": lambda m, f:
        np.where(m == 1, np.arange(m.shape[1]) + f, f),
    "it counts from one too high: the first real token has the position `first`":
        lambda m, f: np.where(m == 1, m.cumsum(axis=1) + f, f),
    "`first` is not used: RoBERTa starts at 2": lambda m, f: positions(m, 0),
    "padding on the left gets a position before `first`, which the table may not have": lambda m, f:
        np.where(m == 1, positions(m, f), f - 1),
    "the count goes on through the padding": lambda m, f: np.maximum(m.cumsum(axis=1) - 1, 0) + f,
    "it counts down the rows: the tokens are axis 1": lambda m, f: np.where(m == 1, m.cumsum(axis=0) - 1 + f, f),
}

EXERCISES = [
    Exercise("5.1", masked_softmax, scores_and_seen, MASKED_SOFTMAX,
             edges=((np.array([[900.0, 899.0, 0.0]]), SEEN), (np.array([[1.0, 0.0, 2000.0]]), SEEN))),
    Exercise("5.2", split_heads, vectors_and_heads, SPLIT_HEADS),
    HEAD_STD,
    BROADCAST,
    Exercise("5.5", mean_of_real, hidden_and_mask, MEAN_OF_REAL),
    Exercise("5.6", last_real, hidden_and_mask, LAST_REAL),
    Exercise("5.7", positions, lambda rng: (padding(rng, 3), int(rng.integers(1, 4))), POSITIONS,
             edges=((np.array([[0, 0, 1, 1]]), 0),)),
    WIDEST_MODEL,
]
