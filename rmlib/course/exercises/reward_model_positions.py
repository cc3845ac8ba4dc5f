"""Exercise 5.7 of notebook 05: positions counted by the mask, where any position in the table will do for padding."""

from collections.abc import Callable

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.values import as_array

# what is told of positions that equal these at every real token
MISTAKES = {
    "these are the columns' numbers: padding on the left shifts every token":
        lambda m, f: np.arange(m.shape[1]) + f + 0 * m,
    "it counts from one too high: the first real token has the position `first`": lambda m, f: m.cumsum(axis=1) + f,
    "`first` is not used: RoBERTa starts at 2": lambda m, f: m.cumsum(axis=1) - 1,
    "it counts down the rows: the tokens are axis 1": lambda m, f: m.cumsum(axis=0) - 1 + f,
    "it counts from one too low: the first real token has the position `first`":
        lambda m, f: m.cumsum(axis=1) - 2 + f,
    "`first` cuts the numbers off; it has to be added to them": lambda m, f: (m.cumsum(axis=1) - 1).clip(min=f),
    "`first` multiplies; it has to be added": lambda m, f: (m.cumsum(axis=1) - 1) * f,
    "it counts from the end of the text": lambda m, f: m[:, ::-1].cumsum(axis=1)[:, ::-1] - 1 + f,
    "the number of pads is taken from every column, also where they stand on the right":
        lambda m, f: (np.arange(m.shape[1]) - (1 - m).sum(axis=1, keepdims=True)).clip(min=0) + f,
    "it counts padding, not tokens: the mask is turned round": lambda m, f: (1 - m).cumsum(axis=1) - 1 + f,
}


def masks(rng: np.random.Generator) -> list[tuple[np.ndarray, int]]:
    """Masks (B, T) of both sides, each with a first position that is not 0, and one of a model that counts from 0."""
    length = int(rng.integers(4, 7))
    real = np.array([length, *rng.integers(2, length, size=2)])
    mask = (np.arange(length) < rng.permutation(real)[:, None]).astype(np.int64)
    first = int(rng.integers(1, 4))
    return [(np.array([[0, 0, 1, 1], [1, 1, 1, 0]]), 2), (mask, first), (mask[:, ::-1].copy(), first), (mask, 0)]


def judge_positions(function: Callable, rng: np.random.Generator) -> str | None:
    cases, answers = masks(rng), []
    for mask, first in cases:
        given = mask.copy()
        positions = as_array(function(given, first))
        if not np.array_equal(given, mask):
            return "It changes `mask` in place: work on a copy."
        if positions is None or positions.shape != mask.shape:
            return f"A number for each place of the mask is wanted, an array of shape {mask.shape}."
        if positions.dtype.kind not in "iu":
            return f"Positions are rows of a table: whole numbers, not {positions.dtype}."
        answers.append(positions)
    return wrong_at_a_token(cases, answers) or wrong_at_padding(cases, answers)


def wrong_at_a_token(cases: list[tuple[np.ndarray, int]], answers: list[np.ndarray]) -> str | None:
    def holds(positions: Callable) -> bool:
        return all(np.array_equal(answer[mask == 1], positions(mask, first)[mask == 1])
                   for (mask, first), answer in zip(cases, answers, strict=True))

    if holds(lambda mask, first: mask.cumsum(axis=1) - 1 + first):
        return None
    for name, mistake in MISTAKES.items():
        if holds(mistake):
            return f"At real tokens: {name}."
    (mask, first), answer = cases[0], answers[0]
    return (f"For mask = {mask.tolist()} and first = {first} it gives {answer.tolist()}; the real tokens of each row "
            f"have to be numbered {first}, {first + 1}, ... from left to right.")


def wrong_at_padding(cases: list[tuple[np.ndarray, int]], answers: list[np.ndarray]) -> str | None:
    for (mask, first), answer in zip(cases, answers, strict=True):
        outside = answer[(mask == 0) & ((answer < first) | (answer >= first + mask.shape[1]))]
        if outside.size:
            return (f"Right at every token, but padding gets the position {outside[0]} where `first` is {first} and a "
                    f"row has {mask.shape[1]} places: keep from {first} to {first + mask.shape[1] - 1}, which are in "
                    "the table.")
    return None


POSITIONS = Exercise("5.7", judge=judge_positions)
