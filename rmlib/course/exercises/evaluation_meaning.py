"""The later exercises of notebook 07: whether confidence is honest, what a model rewards, what its ranking is worth."""

import math

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.logistic import sigmoid

# 7.5: a repaired calibration error


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
    "7.5",
    answer=calibration_error,
    draw=_margins_and_bins,
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
        "nothing is binned, so that gaps of opposite sign cancel: bin first, then take absolute values":
            lambda margins, bins: abs(float((_right(margins) - sigmoid(np.abs(margins))).mean())),
        "nothing is binned, so that gaps of opposite sign cancel, and the sign is left: bin, then take absolute values":
            lambda margins, bins: float((_right(margins) - sigmoid(np.abs(margins))).mean()),
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


# 7.6: the taste for length


def _slopes(target: np.ndarray, *columns: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(np.stack(columns, axis=1), target, rcond=None)[0]


def words_for_one(margins: np.ndarray, gold_margins: np.ndarray, extra_words: np.ndarray) -> float:
    gold, word = _slopes(margins, gold_margins, extra_words)
    return float(gold / word)


def _in_two_steps(margins: np.ndarray, gold_margins: np.ndarray, extra_words: np.ndarray) -> float:
    gold = _slopes(margins, gold_margins)[0]
    return float(gold / _slopes(margins - gold * gold_margins, extra_words)[0])


def _learned_gold_words(rng: np.random.Generator) -> tuple:
    n = int(rng.integers(5, 20))
    words = rng.integers(-12, 13, size=n)
    gold = (rng.normal(0.5, 1.5, size=n) + 0.06 * words).round(1)  # longer answers are a little better
    taste = rng.choice([-1, 1]) * rng.uniform(0.8, 2) * words / 10
    return (rng.uniform(0.6, 1.2) * gold + taste + rng.normal(0.3, 0.3, size=n)).round(1), gold, words


LENGTH = Exercise(
    "7.6",
    answer=words_for_one,
    draw=_learned_gold_words,
    mistakes={
        "this is the gold reward that ten words outweigh, c/a; the words that 1 of gold reward outweighs are wanted":
            lambda learned, gold, words: 10 / words_for_one(learned, gold, words),
        "this is the gold reward that one word outweighs; turn the ratio round":
            lambda learned, gold, words: 1 / words_for_one(learned, gold, words),
        "these are tens of words: the slope c belongs to ten of them":
            lambda learned, gold, words: words_for_one(learned, gold, words) / 10,
        "the two slopes are multiplied; how often does the one go into the other?":
            lambda learned, gold, words: float(np.prod(_slopes(learned, gold, words))),
        "this is worth 1 of the model's margin; 1 of gold reward is worth a of it":
            lambda learned, gold, words: float(1 / _slopes(learned, gold, words)[1]),
        "this is c, the slope for ten words; it is still to be compared with the gold reward's":
            lambda learned, gold, words: float(_slopes(learned, gold, words / 10)[1]),
        "without the gold margin the slope also holds what longer answers deserve: fit both together":
            lambda learned, gold, words: float(1 / _slopes(learned, words)[0]),
        "in two steps the slope of the gold margin takes a part of length with it: fit both at once": _in_two_steps,
        "in two steps the slope of length takes a part of the gold margin with it: fit both at once":
            lambda learned, gold, words: 1 / _in_two_steps(learned, words, gold),
        "the two slopes are fitted apart, and each holds a part of the other: fit both at once":
            lambda learned, gold, words: float(_slopes(learned, gold)[0] / _slopes(learned, words)[0]),
        "the two slopes are fitted apart, each with a constant: fit both at once, and without":
            lambda learned, gold, words: float(np.polyfit(gold, learned, 1)[0] / np.polyfit(words, learned, 1)[0]),
        "these are correlations; slopes say how much of the one goes with how much of the other":
            lambda learned, gold, words: float(np.corrcoef(learned, gold)[0, 1] / np.corrcoef(learned, words)[0, 1]),
        "this is the slope of one word alone; it is still to be compared with the gold reward's":
            lambda learned, gold, words: float(_slopes(learned, gold, words)[1]),
        "this is the gold reward's slope alone; it is still to be compared with that of one word":
            lambda learned, gold, words: float(_slopes(learned, gold, words)[0]),
        "this is how much better longer answers are by the gold reward; the model's taste is wanted":
            lambda learned, gold, words: float(1 / _slopes(gold, words)[0]),
        "this predicts the gold margin from the learned one and the words: fit the learned one":
            lambda learned, gold, words: float(-1 / _slopes(gold, learned, words)[1]),
        "this predicts the words from both margins: fit the learned margin from the gold one and the words":
            lambda learned, gold, words: float(-_slopes(words, learned, gold)[1]),
        "the sign of the extra words is gone: which of the two responses is the longer one belongs into the fit":
            lambda learned, gold, words: words_for_one(learned, gold, np.abs(words)),
        "the columns are divided by their spread, so that neither slope is for 1 of gold reward or one word":
            lambda learned, gold, words: words_for_one(learned, gold / gold.std(), words / words.std()),
        "a gold reward of slope 1 is taken for granted by subtracting it: fit its slope too":
            lambda learned, gold, words: float(1 / _slopes(learned - gold, words)[0]),
        "there is a constant in the fit; exchange the two responses and all signs turn, so none belongs there":
            lambda learned, gold, words: float(np.divide(*_slopes(learned, gold, words, np.ones(len(gold)))[:2])),
        "this predicts the gold margin from the learned one, not the learned from the gold":
            lambda learned, gold, words: float(np.divide(*_slopes(gold, learned, words))),
        "the table has two rows, and N columns; np.stack(..., axis=1) makes it (N, 2)":
            lambda learned, gold, words: np.linalg.lstsq(np.stack([gold, words]), learned, rcond=None),
    },
    rtol=1e-6,
)


# 7.7: the best of n, over all draws at once


def expected_best(gold: np.ndarray, learned: np.ndarray, n: int) -> float:
    ranked = gold[np.argsort(learned)]
    chances = [math.comb(k, n - 1) / math.comb(len(gold), n) for k in range(len(gold))]
    return float(np.dot(chances, ranked))


def _with_replacement(gold: np.ndarray, learned: np.ndarray, n: int) -> float:
    edges = (np.arange(len(gold) + 1) / len(gold)) ** n
    return float(np.dot(np.diff(edges), gold[np.argsort(learned)]))


def _gold_learned_n(rng: np.random.Generator) -> tuple:
    size = int(rng.integers(4, 12))
    learned = rng.choice(np.arange(-30, 31), size=size, replace=False) / 10  # no two are equal
    return (learned + rng.normal(size=size)).round(1), learned, int(rng.integers(2, size))


BEST_OF_N = Exercise(
    "7.7",
    answer=expected_best,
    draw=_gold_learned_n,
    edges=((np.array([1.0, -2.0, 0.5]), np.array([0.1, 0.3, 0.2]), 1),
           (np.array([1.0, -2.0, 0.5]), np.array([0.1, 0.3, 0.2]), 3)),
    mistakes={
        "it ranks by the gold reward; the model picks, and the gold reward only judges":
            lambda gold, learned, n: expected_best(gold, gold, n),
        "it is the mean of the learned reward of the pick; the gold reward judges":
            lambda gold, learned, n: expected_best(learned, learned, n),
        "the n are drawn without putting back: no response is drawn twice": _with_replacement,
        "the order is turned round: this picks the worst of n":
            lambda gold, learned, n: expected_best(gold, -learned, n),
        "this is the mean of the n that the model likes best; it picks one, from each n that are drawn":
            lambda gold, learned, n: float(gold[np.argsort(learned)[-n:]].mean()),
        "this is the mean of the n that the model likes least; it picks one, from each n that are drawn":
            lambda gold, learned, n: float(gold[np.argsort(learned)[:n]].mean()),
        "this is the best of all, whatever n is": lambda gold, learned, n: float(gold[np.argmax(learned)]),
        "this is the mean of all: that is a pick by lot": lambda gold, learned, n: float(gold.mean()),
        "beside the pick there are n - 1 others below it, so choose n - 1 of the k lower ones, not n":
            lambda gold, learned, n: float(np.dot([math.comb(k, n) / math.comb(len(gold), n)
                                                   for k in range(len(gold))], gold[np.argsort(learned)])),
        "argsort gives the order, not the ranks: gold[np.argsort(learned)] are the gold rewards from worst to best":
            lambda gold, learned, n: float(np.dot([math.comb(int(k), n - 1) / math.comb(len(gold), n)
                                                   for k in np.argsort(learned)], gold)),
        "places are counted from 0, so that k responses are below place k, and not k + 1":
            lambda gold, learned, n: float(np.dot([math.comb(k + 1, n - 1) / math.comb(len(gold), n)
                                                   for k in range(len(gold))], gold[np.argsort(learned)])),
        "the last place, on which the best response stands, is left out": lambda gold, learned, n: float(
            np.dot([math.comb(k, n - 1) / math.comb(len(gold), n) for k in range(len(gold) - 1)],
                   gold[np.argsort(learned)][:-1])),
        "this is the gain over a pick by lot; the reward itself is wanted":
            lambda gold, learned, n: expected_best(gold, learned, n) - float(gold.mean()),
        "the n are drawn without putting back: of K there are not K^n ways, but K over n": lambda gold, learned, n:
            expected_best(gold, learned, n) * math.comb(len(gold), n) / len(gold) ** n,
        "this draws neighbours only; all ways to draw n of the K count": lambda gold, learned, n: float(
            np.mean([gold[i:i + n][np.argmax(learned[i:i + n])] for i in range(len(gold) - n + 1)])),
        "this divides by the number of ways to draw n - 1 of all; n are drawn": lambda gold, learned, n:
            expected_best(gold, learned, n) * math.comb(len(gold), n) / math.comb(len(gold), n - 1),
        "only the first n responses are looked at; the mean over all draws is wanted":
            lambda gold, learned, n: float(gold[:n][np.argmax(learned[:n])]),
        "the sum has to be divided by the number of ways to draw n of all":
            lambda gold, learned, n: expected_best(gold, learned, n) * math.comb(len(gold), n),
    },
)
