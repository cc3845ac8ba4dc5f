"""Whether the probabilities σ(margin) can be believed: likelihood, Brier score, calibration, temperature."""

from typing import NamedTuple

import numpy as np

from rmlib.evaluation.accuracy import numbers, pair_accuracies, wilson_interval


class Bin(NamedTuple):
    """Pairs whose confidence lies in (lower, upper]: how many, how confident and how right they are on average."""

    lower: float
    upper: float
    pairs: int
    confidence: float
    accuracy: float
    accuracy_low: float  # Wilson, 95%
    accuracy_high: float


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z)) without overflow, and exact to the last bits where it is small."""
    return np.exp(-np.logaddexp(0, -z))


def nll(margins: np.ndarray) -> float:
    """Negative log-likelihood in nats a pair: the mean of -log σ(Δ) = log(1 + exp(-Δ)); log 2 for a coin.

    Source: Bradley and Terry (1952), Biometrika 39, 324-345, with strengths exp(r); as a measure of calibration, Guo et
    al. (2017), arXiv:1706.04599, section 2.
    """
    return float(np.logaddexp(0, -numbers(margins, "margins")).mean())


def brier(margins: np.ndarray) -> float:
    """Brier score: the mean of (1 - σ(Δ))², the chosen response being what came true; 1/4 for a coin.

    Source: Brier (1950), Mon. Weather Rev. 78, 1-3, whose sum over both outcomes is twice this.
    """
    return float(np.mean(sigmoid(-numbers(margins, "margins")) ** 2))


def confidences(margins: np.ndarray) -> np.ndarray:
    """max(p, 1 - p) with p = σ(margin): the probability a model gives to what it prefers; (N,), in [0.5, 1]."""
    return sigmoid(np.abs(numbers(margins, "margins")))


def reliability(margins: np.ndarray, bins: int = 15) -> list[Bin]:
    """The bins of a reliability diagram that hold pairs, in order: equal in width on [0.5, 1], each closed above.

    A tie has confidence 0.5, falls into the first bin and counts as half right.
    Source: Guo et al. (2017), arXiv:1706.04599, section 2, for the two-way choice.
    """
    confidence, right = confidences(margins), pair_accuracies(margins)
    index = _bin_of(confidence, bins)
    rows = []
    for k in np.unique(index).tolist():
        inside = index == k
        pairs, share = int(inside.sum()), float(right[inside].mean())
        low, high = wilson_interval(float(right[inside].sum()), pairs)
        rows.append(Bin((1 + k / bins) / 2, (1 + (k + 1) / bins) / 2, pairs, float(confidence[inside].mean()), share,
                        low, high))
    return rows


def expected_calibration_error(margins: np.ndarray, bins: int = 15) -> float:
    """Σ_b (n_b / N) |accuracy_b - confidence_b| over the bins of `reliability`.

    A perfect model's is not zero, since the accuracy of few pairs is a matter of luck: see `ece_floor`.
    Source: Naeini, Cooper and Hauskrecht (2015), AAAI, 2901-2907; as in Guo et al. (2017), arXiv:1706.04599, eq. 3, for
    the two-way choice.
    """
    confidence = confidences(margins)
    return _calibration_error(confidence, pair_accuracies(margins), _bin_of(confidence, bins), bins)


def perfect_model_errors(margins: np.ndarray, bins: int = 15, repeats: int = 200, seed: int = 0) -> np.ndarray:
    """Calibration errors, (repeats,), of a model that has these confidences and deserves them.

    Each time every pair is right with the probability that is its confidence; ties stay ties.
    Source: Roelofs et al. (2022), AISTATS, arXiv:2012.08668, on the bias of binned calibration errors.
    """
    margins, rng = numbers(margins, "margins"), np.random.default_rng(seed)
    confidence = confidences(margins)
    index, tied = _bin_of(confidence, bins), margins == 0
    luck = (np.where(tied, 0.5, rng.random(len(margins)) < confidence) for _ in range(repeats))
    return np.array([_calibration_error(confidence, right, index, bins) for right in luck])


def ece_floor(margins: np.ndarray, bins: int = 15) -> float:
    """The calibration error that a perfect model with these confidences would show on average: what luck alone makes.

    The mean of 1,000 `perfect_model_errors`, so that its own error is a thirtieth of their spread; it falls with √N.
    """
    return float(perfect_model_errors(margins, bins, repeats=1000).mean())


def fit_temperature(margins: np.ndarray) -> float:
    """T > 0 that minimises the NLL of margins / T: divide by it, and nothing but the confidence changes.

    With β = 1/T the NLL, mean of log(1 + exp(-βΔ)), is convex, and its slope, the mean of -Δ σ(-βΔ), is zero at one β
    at most, which bisection finds. Fit it on validation pairs: on those that are judged it would flatter.

    Raises ValueError where no T is best: no pair is wrong (the NLL falls for ever as T goes to 0), or the margins point
    the wrong way, with a mean of 0 or less (then it falls as T grows, towards that of a coin).
    Source: Guo et al. (2017), arXiv:1706.04599, section 4.2, for the two-way choice.
    """
    margins = numbers(margins, "margins")
    if not margins.any():
        raise ValueError("no temperature fits: all margins are zero, and stay so at any temperature")
    if margins.min() >= 0:
        raise ValueError("no temperature fits: no pair has the wrong order, so ever smaller ones are better; "
                         "give more validation pairs")
    if margins.mean() <= 0:
        raise ValueError(f"no temperature fits: the mean margin is {margins.mean():.3g}, so that at any temperature a "
                         "coin predicts better than these margins; train the model again, or look for swapped labels")
    scale = np.abs(margins).max()
    margins = margins / scale
    low, high = 0.0, 1.0  # β
    while _slope(margins, high) < 0:
        low, high = high, 2 * high
    for _ in range(64):  # more than the bits of a float64
        middle = (low + high) / 2
        low, high = (middle, high) if _slope(margins, middle) < 0 else (low, middle)
    return float(scale / high)


def _slope(margins: np.ndarray, beta: float) -> float:
    """Derivative of the sum of log(1 + exp(-βΔ)) by β."""
    return float(-(margins * sigmoid(-beta * margins)).sum())


def _calibration_error(confidence: np.ndarray, right: np.ndarray, index: np.ndarray, bins: int) -> float:
    gaps = np.bincount(index, weights=right - confidence, minlength=bins)  # (bins,) sum of right − confidence
    return float(np.abs(gaps).sum() / len(confidence))


def _bin_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    return np.clip(np.ceil((confidence - 0.5) * 2 * bins).astype(int) - 1, 0, bins - 1)
