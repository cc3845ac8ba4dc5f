"""Exercises of notebook 05: the parts of a transformer, and what padding does to them."""

from collections.abc import Callable

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.reward_model_head import BROADCAST, HEAD_STD, WIDEST_MODEL
from rmlib.course.exercises.reward_model_positions import POSITIONS


def padding(rng: np.random.Generator, rows: int) -> np.ndarray:
    """An attention mask (rows, T), int64, padded on one side; one row is full, one at least is not."""
    length = int(rng.integers(4, 7))
    real = rng.integers(2, length, size=rows)
    real[rng.integers(rows)] = length
    mask = (np.arange(length) < real[:, None]).astype(np.int64)
    return mask[:, ::-1].copy() if rng.random() < 0.5 else mask


# 5.1: one head of attention


def shares(scores, seen):
    """Softmax over what may be seen: scores (T, T), seen (T,) bool."""
    powers = np.exp(scores - np.max(scores, axis=-1, keepdims=True, where=seen, initial=-np.inf), where=seen,
                    out=np.zeros_like(scores))
    return powers / powers.sum(axis=-1, keepdims=True)


def softmax(scores, axis=-1):
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def scaled(query, key):
    return query @ key.T / np.sqrt(query.shape[-1])


def attention(query, key, value, seen):
    return shares(scaled(query, key), seen) @ value


def vectors_and_seen(rng: np.random.Generator) -> tuple:
    [seen] = padding(rng, rows=2)[:1].astype(bool)
    seen[rng.choice(np.flatnonzero(seen)[1:])] = False  # one is hidden at least, one seen
    size = len(seen), int(rng.choice([2, 3, 5]))
    return *(rng.integers(-2, 3, size=size).astype(float) for _ in range(3)), seen


def shifted(scores, seen, by):
    powers = np.where(seen, np.exp(scores - by), 0)
    return powers / powers.sum(axis=-1, keepdims=True)


def instead(weigh: Callable) -> Callable:
    """Attention whose shares are made by weigh(scores, seen)."""
    return lambda q, k, v, seen: weigh(scaled(q, k), seen) @ v


ATTENTION = {
    "the scores are not divided by √D": lambda q, k, v, m: shares(q @ k.T, m) @ v,
    "the scores are divided by D; it is √D": lambda q, k, v, m: shares(q @ k.T / q.shape[-1], m) @ v,
    "the scores are divided by √T, the number of tokens; it is √D, the length of a query":
        lambda q, k, v, m: shares(q @ k.T / np.sqrt(len(q)), m) @ v,
    "queries and keys are exchanged: row i belongs to query i": lambda q, k, v, m: shares(scaled(k, q), m) @ v,
    "the mask comes too late: cut out after the softmax, what is left no longer adds up to 1":
        instead(lambda s, m: softmax(s) * m),
    "a score of 0 is no mask: exp(0) = 1 takes its share; a hidden score is minus infinity":
        instead(lambda s, m: softmax(np.where(m, s, 0))),
    "-100 is no minus infinity: where the seen scores lie below it, all goes to the hidden ones":
        instead(lambda s, m: softmax(np.where(m, s, -100))),
    "the mask is turned round: what may not be seen gets everything": instead(lambda s, m: shares(s, ~m)),
    "the mask is not used": instead(lambda s, m: softmax(s)),
    "the mask hides rows, the tokens that look; hidden are columns, the tokens looked at":
        instead(lambda s, m: softmax(np.where(m[:, None], s, -1e30))),
    "the mask hides rows, and a row of nothing but -inf becomes nan; hidden are columns, the tokens looked at":
        instead(lambda s, m: softmax(np.where(m[:, None], s, -np.inf))),
    "a hidden token still looks, and takes in what it sees; only nobody looks at it":
        lambda q, k, v, m: attention(q, k, v, m) * m[:, None],
    "the softmax goes over the wrong axis: each row has to add up to 1, not each column":
        instead(lambda s, m: softmax(np.where(m, s, -np.inf), axis=0)),
    "the softmax goes over the wrong axis, columns; each row has to add up to 1":
        instead(lambda s, m: softmax(np.where(m, s, -1e30), axis=0)),
    "the powers are not divided by their sum: a row of shares adds up to 1":
        instead(lambda s, m: np.exp(np.where(m, s, -np.inf) - np.where(m, s, -np.inf).max(-1, keepdims=True))),
    "exp overflows or vanishes: subtract the row's largest seen score first": instead(lambda s, m: shifted(s, m, 0)),
    "the largest score that is subtracted is one that is not seen, and beside it all others vanish":
        instead(lambda s, m: shifted(s, m, s.max(axis=-1, keepdims=True))),
    "one maximum for the whole table is not enough: a row far below it vanishes":
        instead(lambda s, m: shifted(s, m, np.where(m, s, -np.inf).max())),
}
SEEN = np.array([True, True, False])
VALUES = np.array([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])


def edge(*keys: float) -> tuple:
    """Two queries that see these keys as scores, one that sees them with the other sign; D = 1."""
    return np.array([[1.0], [1.0], [-1.0]]), np.array(keys)[:, None], VALUES, SEEN


# 5.2: heads, cut out of a vector


def split_heads(x, heads):
    rows, tokens, width = x.shape
    return np.stack([x[:, :, a * (width // heads) : (a + 1) * (width // heads)] for a in range(heads)], axis=1)


def vectors_and_heads(rng: np.random.Generator) -> tuple:
    rows, length, heads, size = (int(rng.integers(low, low + 2)) for low in (1, 2, 2, 1))
    numbers = rng.permutation(rows * length * heads * size) + 1.0
    return numbers.reshape(rows, length, heads * size), heads


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
    "`heads` is how many heads there are, not how long each is":
        lambda x, a: split_heads(x, x.shape[-1] // a),
    "the tokens are cut into pieces; the H numbers of each token should be":
        lambda x, a: np.stack(np.array_split(x, a, axis=1), axis=1),
    "numbers and tokens are exchanged before the reshape, which then cuts through tokens":
        lambda x, a: x.swapaxes(1, 2).reshape(x.shape[0], a, x.shape[1], -1),
    "the heads stand in the opposite order": lambda x, a: split_heads(x, a)[:, ::-1],
}


# 5.5, 5.6: pooling by the mask


def mean_of_real(hidden, mask):
    return np.array([row[real == 1].mean(axis=0) for row, real in zip(hidden, mask)])


def last_real(hidden, mask):
    return np.array([row[np.flatnonzero(real)[-1]] for row, real in zip(hidden, mask)])


def hidden_and_mask(rng: np.random.Generator) -> tuple:
    mask, width = padding(rng, rows=3), int(rng.choice([2, 7]))  # never B, so that no axis takes another's place
    return rng.integers(-9, 10, size=(*mask.shape, width)).astype(float), mask


MEAN_OF_REAL = {
    "the padding is averaged in: the mask is not used": lambda h, m: h.mean(axis=1),
    "padding is left out of the sum and still counted: divide by the number of real tokens":
        lambda h, m: (h * m[:, :, None]).mean(axis=1),
    "this is the sum; divide it by the number of real tokens": lambda h, m: (h * m[:, :, None]).sum(axis=1),
    "it divides by all real tokens of the batch; each row has its own number":
        lambda h, m: (h * m[:, :, None]).sum(axis=1) / m.sum(),
    "it averages what is padding: the mask is turned round": lambda h, m: np.array(
        [(row * (1 - real)[:, None]).sum(axis=0) / max((1 - real).sum(), 1) for row, real in zip(h, m)]),
    "the first n tokens are averaged, n the number of real ones: with padding on the left these are others":
        lambda h, m: np.array([row[: real.sum()].mean(axis=0) for row, real in zip(h, m)]),
    "the last n tokens are averaged, n the number of real ones: with padding on the right these are others":
        lambda h, m: np.array([row[-real.sum() :].mean(axis=0) for row, real in zip(h, m)]),
    "the sum is of all tokens, padding among them; only its divisor knows the mask":
        lambda h, m: h.sum(axis=1) / m.sum(axis=1)[:, None],
    "the divisor is too large by 1": lambda h, m: (h * m[:, :, None]).sum(axis=1) / (m.sum(axis=1) + 1)[:, None],
    "it averages the numbers of a vector; the tokens are axis 1":
        lambda h, m: (h * m[:, :, None]).sum(axis=2) / m.sum(axis=1)[:, None],
    "this is the first column, not a mean": lambda h, m: h[:, 0],
    "this is the maximum, not a mean": lambda h, m: np.where(m[:, :, None] == 1, h, -np.inf).max(axis=1),
    "one mean over all rows; each row has its own": lambda h, m: h[m == 1].mean(axis=0),
    "a mean over nan is nan: padding has to be left out of the sum":
        lambda h, m: np.where(m[:, :, None] == 1, h, np.nan).mean(axis=1),
    "it averages over the rows; the tokens are axis 1": lambda h, m: (h * m[:, :, None]).sum(0) / m.sum(0)[:, None],
}
LAST_REAL = {
    "the last column is padding where the padding is on the right: hidden[:, -1]": lambda h, m: h[:, -1],
    "counting the tokens finds the last one only where the padding is on the right":
        lambda h, m: h[np.arange(len(h)), m.sum(axis=1) - 1],
    "this is the first column, which is the first token or padding": lambda h, m: h[:, 0],
    "argmax of the reversed mask counts from the end: turn it back, T - 1 minus it":
        lambda h, m: h[np.arange(len(h)), m[:, ::-1].argmax(axis=1)],
    "argmax of the mask finds the first real token, not the last": lambda h, m: h[np.arange(len(h)), m.argmax(axis=1)],
    "counting the tokens from 1, the place after the last one is taken":
        lambda h, m: h[np.arange(len(h)), np.minimum(m.sum(axis=1), m.shape[1] - 1)],
    "from the end places count -1, -2, ...: argmax of the reversed mask is 0 where -1 is meant":
        lambda h, m: h[np.arange(len(h)), -m[:, ::-1].argmax(axis=1)],
    "a last column of padding, set to 0, is still padding": lambda h, m: (h * m[:, :, None])[:, -1],
    "every row gets the last token of every row: index rows and places together, hidden[np.arange(B), last]":
        lambda h, m: h[:, m.shape[1] - 1 - m[:, ::-1].argmax(axis=1)],
    "these are the places of the last tokens; their vectors are wanted":
        lambda h, m: m.shape[1] - 1 - m[:, ::-1].argmax(axis=1),
    "it is one token too early": lambda h, m: h[np.arange(len(h)), [np.flatnonzero(real)[-1] - 1 for real in m]],
    "all tokens up to the last are averaged; the last one alone is wanted": mean_of_real,
}


EXERCISES = [
    Exercise("5.1", attention, vectors_and_seen, ATTENTION, edges=(edge(900.0, 899.0, 0.0), edge(1.0, 0.0, 2000.0))),
    Exercise("5.2", split_heads, vectors_and_heads, SPLIT_HEADS),
    HEAD_STD,
    BROADCAST,
    Exercise("5.5", mean_of_real, hidden_and_mask, MEAN_OF_REAL),
    Exercise("5.6", last_real, hidden_and_mask, LAST_REAL),
    POSITIONS,
    WIDEST_MODEL,
]
