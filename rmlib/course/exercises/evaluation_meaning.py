"""Exercises of notebook 07 on what a model means: whether its confidence is honest, whose taste it learns."""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from rmlib.course.exercises.engine import Exercise
from rmlib.course.logistic import sigmoid
from rmlib.course.world import WEIGHTS, Annotator, World

# 7.3: a repaired calibration error


def _right(margins: np.ndarray) -> np.ndarray:
    return (np.sign(margins) + 1) / 2


def _bin_numbers(confidence: np.ndarray, bins: int, low: float = 0.5, high: float = 1.0) -> np.ndarray:
    return np.clip(((confidence - low) / (high - low) * bins).astype(int), 0, bins - 1)


def _gaps(right: np.ndarray, stated: np.ndarray, bins: int, *, low: float = 0.5, high: float = 1.0,
          absolute: bool = True, weighted: bool = True, sums: bool = False, power: int = 1) -> float:
    """What the bins make of share right against what was stated, with one thing or another wrong."""
    index, total = _bin_numbers(stated, bins, low, high), 0.0
    used = np.unique(index)
    for one in used:
        inside = index == one
        gap = right[inside].mean() - stated[inside].mean()
        gap = abs(gap) ** power if absolute else gap
        total += gap * (1.0 if sums else inside.mean() if weighted else 1 / len(used))
    return float(total)


def calibration_error(margins: np.ndarray, bins: int) -> float:
    return _gaps(_right(margins), sigmoid(np.abs(margins)), bins)


def _last_left_open(margins: np.ndarray, bins: int, counted: int) -> float:
    """Where bins end before 1, and a confidence that is 1 is counted by itself, or not at all."""
    sure = sigmoid(np.abs(margins)) == 1
    rest = calibration_error(margins[~sure], bins) * np.mean(~sure)
    return float(rest + counted * np.abs((1 - _right(margins))[sure].sum()) / len(margins))


def _largest(margins: np.ndarray, bins: int) -> float:
    confidence = sigmoid(np.abs(margins))
    index, gaps = _bin_numbers(confidence, bins), _right(margins) - confidence
    return float(max(abs(gaps[index == one].mean()) for one in np.unique(index)))


def _of_equal_sizes(margins: np.ndarray, bins: int) -> float:
    confidence = sigmoid(np.abs(margins))
    gaps = (_right(margins) - confidence)[np.argsort(confidence)]
    return float(sum(abs(part.sum()) for part in np.array_split(gaps, bins)) / len(gaps))


def _right_confidence_of(margins: np.ndarray, bins: int) -> float:
    confidence = sigmoid(np.abs(margins))
    index, gaps = _bin_numbers(confidence, bins), _right(margins) - sigmoid(margins)
    return float(np.abs(np.bincount(index, gaps)).sum() / len(gaps))


def _from_midpoints(margins: np.ndarray, bins: int) -> float:
    confidence = sigmoid(np.abs(margins))
    index = _bin_numbers(confidence, bins)
    middle = 0.5 + (np.arange(bins) + 0.5) / (2 * bins)
    return float(sum(abs(_right(margins)[index == one].mean() - middle[one]) * (index == one).mean()
                     for one in np.unique(index)))


def _margins_and_bins(rng: np.random.Generator) -> tuple[np.ndarray, int]:
    margins = rng.normal(0.6, 1.8, size=rng.integers(4, 30)).round(1)
    margins[: rng.integers(1, 4)] = 0.0  # ties
    return margins, 2 * int(rng.integers(1, 7)) + 1  # odd, so that a tie never lies between two bins on [0, 1]


CALIBRATION = Exercise(
    "7.3",
    answer=calibration_error,
    draw=_margins_and_bins,
    edges=((np.array([-50.0, 3.0, 3.0, 3.0, 0.5, 0.0]), 5),),  # a confidence of 1, in the same bin as others
    mistakes={
        "it still bins p = σ(Δ): no pair below one half is right, all above are; bin the confidence max(p, 1 - p)":
            lambda margins, bins: _gaps((margins > 0).astype(float), sigmoid(margins), bins, low=0.0),
        "it still bins p = σ(Δ), ties at one half or not; bin the confidence max(p, 1 - p)":
            lambda margins, bins: _gaps(_right(margins), sigmoid(margins), bins, low=0.0),
        "p = σ(Δ) is below one half wherever the model is wrong; bin the confidence max(p, 1 - p)":
            lambda margins, bins: _gaps(_right(margins), sigmoid(margins), bins),
        "a tie is half right; here it is wrong":
            lambda margins, bins: _gaps((margins > 0).astype(float), sigmoid(np.abs(margins)), bins),
        "a tie is half right; here it is right":
            lambda margins, bins: _gaps((margins >= 0).astype(float), sigmoid(np.abs(margins)), bins),
        "a confidence that is 1 in floating point has a bin of its own; it belongs to the last":
            lambda margins, bins: _last_left_open(margins, bins, 1),
        "a confidence that is 1 in floating point is in no bin; it belongs to the last":
            lambda margins, bins: _last_left_open(margins, bins, 0),
        "gaps up and gaps down cancel: take the absolute value in each bin":
            lambda margins, bins: _gaps(_right(margins), sigmoid(np.abs(margins)), bins, absolute=False),
        "every bin counts alike; weigh each by its share of the pairs":
            lambda margins, bins: _gaps(_right(margins), sigmoid(np.abs(margins)), bins, weighted=False),
        "the gaps are added up without weights: weigh each bin by its share of the pairs":
            lambda margins, bins: _gaps(_right(margins), sigmoid(np.abs(margins)), bins, sums=True),
        "the middle of the bin stands for the confidence; take the mean confidence of the pairs in it":
            _from_midpoints,
        "the bins run from 0 to 1, and half of them stay empty; a confidence is at least one half":
            lambda margins, bins: _gaps(_right(margins), sigmoid(np.abs(margins)), bins, low=0.0),
        "the confidence is right now; but the bins still start at 0, and a tie still counts as wrong":
            lambda margins, bins: _gaps((margins > 0).astype(float), sigmoid(np.abs(margins)), bins, low=0.0),
        "gaps of opposite sign cancel, as without bins: take the absolute value in each bin, before they are added up":
            lambda margins, bins: abs(float((_right(margins) - sigmoid(np.abs(margins))).mean())),
        "this is the largest gap; the error is the sum of all gaps, each with its bin's share of the pairs": _largest,
        "the gaps are squared; the error is the mean of their absolute values": lambda margins, bins:
            _gaps(_right(margins), sigmoid(np.abs(margins)), bins, power=2),
        "this is the root of the mean squared gap; the error is the mean of the absolute values": lambda margins, bins:
            math.sqrt(_gaps(_right(margins), sigmoid(np.abs(margins)), bins, power=2)),
        "the distance is taken pair by pair: first the mean of each bin, then the absolute value":
            lambda margins, bins: float(np.abs(_right(margins) - sigmoid(np.abs(margins))).mean()),
        "the bins hold equally many pairs; they should be equally wide, on [0.5, 1]": _of_equal_sizes,
        "binned is the confidence, and p is what the share right is compared with": _right_confidence_of,
        "ties are left out; a tie is half right, with a confidence of one half": lambda margins, bins:
            calibration_error(margins[margins != 0], bins),
        "the range is one half wide, so that (confidence - 0.5) * bins reaches only half of the bins":
            lambda margins, bins: _gaps(_right(margins), sigmoid(np.abs(margins)), bins, high=1.5),
        "np.linspace(0.5, 1, bins) are the edges of one bin less: it takes bins + 1 of them":
            lambda margins, bins: _gaps(_right(margins), sigmoid(np.abs(margins)), bins - 1),
        "there are always 15 bins, however many are asked for":
            lambda margins, bins: _gaps(_right(margins), sigmoid(np.abs(margins)), 15),
        "every pair is right here: the margin's sign says which are": lambda margins, bins:
            _gaps(np.where(margins == 0, 0.5, 1.0), sigmoid(np.abs(margins)), bins),
        "a confidence is above one half whatever was chosen; whether the model is right, the margin's sign says":
            lambda margins, bins: _gaps(np.where(margins == 0, 0.0, 1.0), sigmoid(np.abs(margins)), bins),
    },
    rtol=1e-6,
)


# 7.4: the loss of labels that lean

TASTES = (1.5, -0.8)  # of reward for ten extra words
NEAR = 0.3  # the weight of ten words may come out so far from 0; its standard error is below 0.1


@lru_cache
def _leaning_pairs(taste: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Feature differences (4000, 6) and extra words (4000,) of pairs whose annotator has this taste."""
    world = World()
    pairs = world.pairs(4000, seed=3, annotator=Annotator(length_bias=taste))
    features = [np.subtract(*([*world.features(pair.prompt, text).values()] for text in (pair.chosen, pair.rejected)))
                for pair in pairs]
    words = [len(pair.chosen.split()) - len(pair.rejected.split()) for pair in pairs]
    return torch.tensor(np.array(features)).double(), torch.tensor(words).double()


def _weights(loss: Callable, taste: float) -> tuple[float, float]:
    """(share of the gold weights, weight of ten words) that are best by the loss."""
    x, words = _leaning_pairs(taste)
    columns = torch.cat([x, words[:, None] / 10], dim=1)  # (4000, 7)
    gold = torch.tensor([*WEIGHTS.values()], dtype=torch.float64)
    w = torch.zeros(7, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([w], max_iter=200, line_search_fn="strong_wolfe")

    def mean_loss() -> torch.Tensor:
        optimizer.zero_grad()
        mean = loss(columns @ w, words).mean()
        mean.backward()
        return mean

    optimizer.step(mean_loss)
    found = w.detach()
    return float(found[:6] @ gold / (gold @ gold)), float(found[6])


def leans_no_more(loss: Callable, rng: np.random.Generator) -> str | None:
    margins, words = torch.linspace(-40, 40, 81, dtype=torch.float64), torch.arange(-20.0, 20.5, 0.5).double()
    told = loss(margins, words, 1.5)
    if not torch.is_tensor(told) or told.shape != margins.shape:
        return "One loss for each margin is wanted: of tensors (B,) a tensor (B,)."
    if not told.isfinite().all():
        return "At margins from -40 to 40 it is not finite everywhere."
    for taste in TASTES:
        share, ten_words = _weights(lambda d, w, t=taste: loss(d, w, t), taste)
        where = f"Trained on labels with a taste of {taste:+.1f}, ten words get the weight {ten_words:+.2f}"
        if not (-9 < share < 9 and -99 < ten_words < 99):
            return f"Trained on labels with a taste of {taste:+.1f}, the weights run away: it has no minimum."
        if share < 0.3:
            return f"{where}, and the gold features {share:.2f} of theirs: it prefers what was not chosen."
        if abs(ten_words) < NEAR and 0.8 < share < 1.2:
            continue
        if abs(ten_words) < NEAR or not 0.6 < share < 1.5:
            return f"{where}, and the gold features {share:.2f} of theirs: is the margin as it was?"
        if abs(ten_words - taste) < NEAR / 2:
            return f"{where}, as with the plain loss: the taste is still in the reward."
        if abs(ten_words - 2 * taste) < NEAR:
            return f"{where}: the taste is in it twice. Is it added to the margin, or taken off?"
        if abs(ten_words + 9 * taste) < 1:
            return f"{where}: ten words count like the taste, and here each of them does."
        if abs(ten_words - 11 * taste) < 1:
            return f"{where}: ten words count like the taste, not each of them; and it is to be added, not taken off."
        if ten_words * taste > 1.2 * taste**2:
            return f"{where}, more than is in the labels, and 0 is wanted."
        return f"{where}, and 0 is wanted: too {'little' if ten_words * taste > 0 else 'much'} is taken out."
    plain = torch.allclose(loss(margins, words, 0.0), F.softplus(-margins))
    return None if plain else "Without a taste, at 0, it is not the plain loss."


LEANING = Exercise("7.4", judge=leans_no_more)
