"""What a reward model goes by: the length of a response, the kind of question, the single word."""

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rmlib.evaluation import fit_temperature, pair_accuracies, sigmoid, wilson_interval
from rmlib.evaluation.accuracy import groups, numbers
from rmlib.model import RewardModel, score_pairs
from rmlib.pairs import PreferencePair
from rmlib.practice.conservative_interval import conservative_interval
from rmlib.practice.regression import gold_regression

FEW = 30  # pairs of a slice below which to look at the interval, which is wide, and not at the accuracy


@dataclass(frozen=True)
class LengthBias:
    """How a model's margins go with the extra words of the chosen response. Slopes are for ten words, like the
    length_bias of `rmlib.course.world.Annotator`; shares are of pairs whose two responses differ in length."""

    pairs: int  # whose lengths differ
    slope: float
    correlation: float
    longer_preferred: float  # share of pairs in which the longer response gets the higher reward
    matched_pairs: int
    matched_longer_preferred: float | None  # None without a match
    matched_accuracy: float | None
    slope_given_gold: float | None  # None where no gold margins were given
    gold_slope: float | None


def length_bias(margins: np.ndarray, extra_words: np.ndarray, gold_margins: np.ndarray | None = None) -> LengthBias:
    """Length bias of a model, raw, after matching lengths, and with the gold reward held fixed; all arrays are (N,).

    extra_words: words of the chosen response less words of the rejected one.

    Raw: slope and correlation of the margin on the extra words, through zero (a pair turned round is the same pair):
    Σ Δ w / Σ w². They hold what length deserves as well as what it doesn't.
    Matched: among pairs that differ by d words, as many in which the longer response was chosen as in which the shorter
    was, for each d; so that in what is left length says nothing about the label, and a model that goes by length alone
    is right half of the time. No pair is drawn at random: each of the n_d+ and n_d- pairs gets the weight
    min(n_d+, n_d-) / n_d±. A model that is always right prefers the longer in half of them; one that errs, or whose
    labels are noisy, keeps there a part of what length deserves, so that this takes off too little.
    Given gold: the two coefficients of Δ = gold_slope · Δ* + slope_given_gold · w / 10 by least squares. An annotator
    with σ(Δ*/temperature + length_bias · w / 10) makes them 1 / temperature and length_bias. A model whose margins
    are too small has both too small: what ten words are worth to it in gold reward is their ratio.

    Raises ValueError where lengths of the arrays differ, no pair differs in length, or gold and length can't be told
    apart.
    Source: the correlation of reward and length, Singhal et al. (2023), arXiv:2310.03716; exact matching with weights,
    Stuart (2010), Stat. Sci. 25, 1-21, doi:10.1214/09-STS313.
    """
    margins = numbers(margins, "margins")
    tens = numbers(extra_words, "extra words", like=margins) / 10
    if not tens.any():
        raise ValueError("all responses are as long as their partners: there is no length bias to measure")
    raw = gold_regression(margins, tens)
    uneven = tens != 0
    longer = pair_accuracies(margins * np.sign(tens))[uneven]  # (pairs,) the longer one preferred: 1, 0, 1/2
    given_gold = (None, None) if gold_margins is None else _with_gold(margins, tens, gold_margins)
    return LengthBias(len(longer), raw.slope, raw.correlation, float(longer.mean()),
                      *_matched(longer, tens[uneven]), *given_gold)


class Longer(NamedTuple):
    """Of pairs that differ in words: how often the longer response was chosen, is preferred by a model, and is expected
    by it. Intervals: 95%, `conservative_interval` over clusters; None where no temperature fits."""

    pairs: int
    chosen: float
    preferred: float
    preferred_low: float
    preferred_high: float
    expected: float | None
    excess_low: float | None  # of expected - chosen, which are of the same pairs
    excess_high: float | None


def longer_expected(margins: np.ndarray, extra_words: np.ndarray, clusters: Sequence[Hashable]) -> Longer:
    """Whether a model leans to long responses more than the choices do, or less; arrays and clusters are (N,).

    A taste that the labels share goes unseen, and a model without it seems to lean the other way.

    Its probabilities are held against the labels, and not its choices: labels of a noisy annotator without a taste for
    length lie nearer to one half than the choices of even the true reward. They are taken at the temperature that
    suits these pairs, or a model that is too sure of itself would seem to lean; T is one number for all pairs, and
    knows nothing of length. Where `fit_temperature` finds none, there is nothing to expect.
    With s = ±1 for a longer or shorter chosen response, the mean of σ(s Δ/T) - [s > 0]: minus the score, in a logistic
    model of "the longer one is chosen" with s Δ/T as its offset, of a constant; 0 where length tells nothing more.

    Raises ValueError where lengths of the arrays differ, or no pair differs in length.
    """
    margins = numbers(margins, "margins")
    sign = np.sign(numbers(extra_words, "extra words", like=margins))
    uneven = sign != 0
    if not uneven.any():
        raise ValueError("all responses are as long as their partners: there is no length bias to measure")
    cluster = groups(clusters, margins)[uneven].tolist()
    chosen, preferred = pair_accuracies(sign)[uneven], pair_accuracies(sign * margins)[uneven]
    found = len(chosen), float(chosen.mean()), float(preferred.mean()), *conservative_interval(preferred, cluster)
    if margins.min() >= 0 or margins.mean() <= 0:
        return Longer(*found, None, None, None)
    expected = sigmoid(sign * margins / fit_temperature(margins))[uneven]
    return Longer(*found, float(expected.mean()), *conservative_interval(expected - chosen, cluster, least=-1))


def _matched(longer: np.ndarray, tens: np.ndarray) -> tuple[int, float | None, float | None]:
    """(pairs, share that prefers the longer, accuracy) after matching, for each number of extra words."""
    _, size = np.unique(np.abs(tens), return_inverse=True)  # (pairs,) which number of extra words
    chosen_longer = tens > 0
    counts = np.stack([np.bincount(size[side], minlength=size.max() + 1) for side in (chosen_longer, ~chosen_longer)])
    kept = counts.min(axis=0)  # (sizes,) of either side
    if not kept.any():
        return 0, None, None
    weight = kept[size] / counts[np.where(chosen_longer, 0, 1), size]  # (pairs,)
    right = np.where(chosen_longer, longer, 1 - longer)
    return 2 * int(kept.sum()), float(np.average(longer, weights=weight)), float(np.average(right, weights=weight))


def _with_gold(margins: np.ndarray, tens: np.ndarray, gold_margins: np.ndarray) -> tuple[float, float]:
    """Coefficients of tens of words and of the gold margin in a least-squares fit without a constant."""
    table = np.stack([tens, numbers(gold_margins, "gold margins", like=margins)], axis=1)  # (N, 2)
    (by_words, by_gold), _, rank, _ = np.linalg.lstsq(table, margins)
    if rank < 2:
        raise ValueError("gold margins and extra words go together in every pair: their effects can't be told apart")
    return float(by_words), float(by_gold)


class Slice(NamedTuple):
    """A part of the pairs with its accuracy and that accuracy's 95% interval, as `slices` makes it."""

    name: Any
    pairs: int
    accuracy: float
    low: float
    high: float

    def __str__(self) -> str:
        warning = "  (too few pairs to tell)" if self.pairs < FEW else ""
        return (f"{str(self.name):<24} {self.pairs:>6} pair{' ' if self.pairs == 1 else 's'}  {self.accuracy:.3f}  "
                f"({self.low:.3f} to {self.high:.3f}){warning}")


def slices(right: np.ndarray, names: Sequence[Hashable], clusters: Sequence[Hashable] | None = None) -> list[Slice]:
    """Accuracy of each part of the pairs, largest first. right: (N,), `pair_accuracies`; names: each pair's part.

    clusters: what each pair belongs to, its conversation for one, if pairs may be alike. Without them intervals are
    Wilson's. With them they are those of `conservative_interval`, within the part: a part may have few clusters.
    Of twenty slices of an even model about one has an interval that misses the overall accuracy.
    Raises ValueError where the numbers of pairs, names and clusters differ, or a value is not a finite number.
    """
    right = numbers(right, "values")
    index = groups(names, right)
    cluster = None if clusters is None else groups(clusters, right)
    rows = []
    for number, name in enumerate(dict.fromkeys(names)):
        inside = index == number
        part = right[inside]
        ends = (wilson_interval(float(part.sum()), len(part)) if cluster is None
                else conservative_interval(part, cluster[inside].tolist()))
        rows.append(Slice(name, len(part), float(part.mean()), *ends))
    return sorted(rows, key=lambda row: -row.pairs)


def extra_words(pairs: Sequence[PreferencePair]) -> np.ndarray:
    """Words of the chosen response less words of the rejected one, int64 (N,); words are what stands between spaces."""
    return np.array([len(pair.chosen.split()) - len(pair.rejected.split()) for pair in pairs], dtype=np.int64)


def occlusion(model: RewardModel, prompt: str, response: str, token_budget: int = 8192) -> list[tuple[str, float]]:
    """(word, change of the reward when that word is left out) for each word of the response to a prompt, a text.

    Words are what stands between white space, with their punctuation; a word goes with the space after it. A negative
    change says that the word raised the reward, in this company: the changes of two words needn't add up.
    All shortened responses are scored in batches, beside the whole one, so that a long prompt is cut for both alike.

    Raises ValueError where the response has no word.
    Source: Li, Monroe and Jurafsky (2016), arXiv:1612.08220 (erasure of words); occlusion of pictures' parts, Zeiler
    and Fergus (2014), arXiv:1311.2901.
    """
    words = list(re.finditer(r"(\S+)\s*", response))
    if not words:
        raise ValueError("the response has no word to leave out")
    shortened = [(response[: word.start()] + response[word.end() :]).rstrip() for word in words]
    whole, without = score_pairs(model, [PreferencePair(prompt, response, text) for text in shortened], token_budget)
    return [(word[1], change) for word, change in zip(words, (without.astype(float) - whole).tolist())]
