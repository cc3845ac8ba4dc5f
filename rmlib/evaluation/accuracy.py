"""How often a model is right, and how sure that is: Wilson's interval, the clustered bootstrap, McNemar's paired test.

What every file of this room does with its arguments, checking them and numbering groups, is here too.
"""

import math
from collections.abc import Hashable, Sequence, Sized
from dataclasses import dataclass

import numpy as np

Z = 1.959963984540054  # the two-sided 95% quantile of the normal law


def numbers(values: Sequence[float] | np.ndarray, name: str, like: Sized | None = None) -> np.ndarray:
    """The values as float64 (N,); `like`: what has to be as many.

    Raises ValueError where there are none, or not as many, or one is not a finite number.
    """
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not found.size:
        raise ValueError(f"{name} should be numbers in one row, at least one, not an array of shape {found.shape}")
    if broken := int((~np.isfinite(found)).sum()):
        raise ValueError(f"{broken} of {found.size} {name} are not finite numbers")
    if like is not None and len(found) != len(like):
        raise ValueError(f"{name} should be as many as their partners: {len(found)} and {len(like)}")
    return found


def groups(labels: Sequence[Hashable], like: Sized) -> np.ndarray:
    """The number of each label's group, int64 (N,), from 0 in order of first sight. Raises ValueError unless N fits."""
    if len(labels) != len(like):
        raise ValueError(f"every value needs a label of its group: {len(like)} values, {len(labels)} labels")
    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(label, len(seen)) for label in labels])


def pair_accuracies(margins: np.ndarray) -> np.ndarray:
    """1 where the chosen response got the higher reward, 0 where the other did, 1/2 at a tie; float64 (N,)."""
    return (np.sign(numbers(margins, "margins")) + 1) / 2


def wilson_interval(successes: float, trials: int, z: float = Z) -> tuple[float, float]:
    """Confidence interval of a proportion, well behaved at 0 and at 1; successes may hold halves, from ties.

    (p̂ + z²/2n ± z √(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n), with p̂ = successes / trials and n = trials;
    z is the two-sided normal quantile (95% by default).

    Raises ValueError unless 0 <= successes <= trials and trials > 0.
    Source: Wilson (1927), J. Am. Stat. Assoc. 22, 209-212.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"need 0 <= successes <= trials and trials > 0, got {successes} of {trials}")
    p, n = successes / trials, trials
    centre = p + z**2 / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)
    return max(0.0, min(low, p)), min(1.0, max(high, p))  # rounding can step over 0 and 1


def clustered_bootstrap(
    right: np.ndarray, clusters: Sequence[Hashable], repeats: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95% interval of the mean of `right`, (N,), where values of one cluster may be alike: pairs of one conversation.

    As many clusters as there are, C, are drawn with replacement, each with all its values. The mean of the values drawn
    is Σ_c s_c / Σ_c n_c, over the drawn clusters' sums and sizes; the interval reaches from the 2.5% to the 97.5%
    quantile of `repeats` such means. The difference of two models' `pair_accuracies` gives that of their accuracies.

    It needs many clusters: with some tens of them it is too narrow, and it has no width where all values are equal
    (Wilson's has). From one cluster nothing can be known of others: the interval is the whole line.
    Raises ValueError where numbers of values and labels differ, or a value is not finite.
    Source: percentile interval, Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13; drawing
    whole clusters, Field and Welsh (2007), J. R. Stat. Soc. B 69, 369-390.
    """
    right = numbers(right, "values")
    index = groups(clusters, right)
    count = int(index.max()) + 1
    if count == 1:
        return -math.inf, math.inf
    table = np.stack([np.bincount(index, weights=right), np.bincount(index)], axis=1)  # (C, 2): sum and size
    # Clusters of equal sum and size are of one kind. How often each kind is drawn follows a multinomial law, so that
    # there is no need to draw C numbers each time; and the order of the pairs doesn't matter.
    kinds, sharing = np.unique(table, axis=0, return_counts=True)  # (K, 2), (K,)
    drawn = np.random.default_rng(seed).multinomial(count, sharing / count, size=repeats)  # (repeats, K)
    sums, sizes = (drawn @ kinds).T  # (repeats,) each
    low, high = np.quantile(sums / sizes, [0.025, 0.975])
    return float(low), float(high)


@dataclass(frozen=True)
class PairedTest:
    """On how many pairs one model was righter than the other, and what chance alone would make of that."""

    only_first: int
    only_second: int
    ties: int  # pairs on which either model's margin is exactly zero: half right, so less than right, more than wrong
    p_value: float


def mcnemar(first: np.ndarray, second: np.ndarray) -> PairedTest:
    """Exact paired test of two models from their margins on the same pairs, (N,) each: is one right more often?

    Pairs on which both are equally right say nothing. Of the other n, were the models equally good, either would be the
    righter one with probability 1/2, so p = min(1, 2 P(X <= k)), X ~ Bin(n, 1/2), k = min(only_first, only_second);
    p = 1 for n = 0. A tie is half right: righter than a wrong margin and less right than a right one, so that without
    ties this is McNemar's exact test, and with ties the sign test. Pairs are taken as independent, which those of one
    conversation need not be: `clustered_bootstrap` of the difference is the check. The sum is exact, in whole numbers.

    Raises ValueError where the numbers of margins differ, or one is not finite.
    Source: McNemar (1947), Psychometrika 12, 153-157; the exact form, Fagerland, Lydersen and Laake (2013), BMC Med.
    Res. Methodol. 13:91, "exact conditional test".
    """
    one = pair_accuracies(first)
    two = pair_accuracies(numbers(second, "margins of the second model", like=one))
    only_first, only_second = int((one > two).sum()), int((one < two).sum())
    ties = int(((one == 0.5) | (two == 0.5)).sum())
    return PairedTest(only_first, only_second, ties, _sign_test(min(only_first, only_second), only_first + only_second))


def _sign_test(k: int, n: int) -> float:
    """min(1, 2 P(X <= k)) for X ~ Bin(n, 1/2) and k <= n/2, without rounding but for the last division."""
    ways, total = 1, 1  # C(n, 0), and their sum so far
    for i in range(k):
        ways = ways * (n - i) // (i + 1)
        total += ways
    return min(1.0, 2 * total / 2**n)
