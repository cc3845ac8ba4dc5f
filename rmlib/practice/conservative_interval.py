"""The interval that the report goes by: of several, each too narrow somewhere, the widest ends."""

import math
from collections.abc import Hashable, Sequence
from functools import lru_cache

import numpy as np

from rmlib.evaluation import clustered_bootstrap, wilson_interval
from rmlib.evaluation.accuracy import Z, groups, numbers


def conservative_interval(values: np.ndarray, clusters: Sequence[Hashable], least: float = 0.0) -> tuple[float, float]:
    """95% interval, to go by, of the mean of values in [least, 1], (N,): it has the widest ends of several.

    `clustered_bootstrap` knows skewness, and is too narrow where clusters are few. mean ± t √((C-1)/C Σ_c d_c²) is
    less so, with d_c what the mean changes by without cluster c, and Student's t of C - 1 degrees of freedom. For
    shares (least = 0) there is `wilson_interval`. Where clusters happen to be equal the first two have no width: then
    the mean is taken as if z² more clusters had joined, all of the least value or all ones, which is Wilson's way for
    shares of 0 and 1. From one cluster nothing is known of others: (least, 1).

    Raises ValueError as `clustered_bootstrap` does.
    Source: MacKinnon, Nielsen and Webb (2023), J. Econom. 232, 272-299: the cluster jackknife, CV3.
    """
    values = numbers(values, "values")
    index = groups(clusters, values)
    count, mean = int(index.max()) + 1, float(values.mean())
    if count == 1:
        return least, 1.0
    changes = np.bincount(index, weights=values - mean) / (len(values) - np.bincount(index))  # (C,)
    half = _student(count - 1) * math.sqrt((count - 1) / count * float(changes @ changes))
    ends = [clustered_bootstrap(values, clusters), (mean - half, mean + half)]
    if half < 1e-9:  # equal clusters, but for rounding
        joining = Z**2 / (count + Z**2)
        ends.append((mean - joining * (mean - least), mean + joining * (1 - mean)))
    if least == 0:
        ends.append(wilson_interval(float(values.sum()), len(values)))
    lows, highs = zip(*ends)
    return max(least, min(lows)), min(1.0, max(highs))


@lru_cache
def _student(freedom: int) -> float:
    """97.5% quantile of Student's t: for t = √ν tan θ the density of θ goes with cos^(ν-1) θ, and is summed up."""
    edges = np.linspace(0, math.pi / 2, 20_001)
    shares = np.cumsum(np.cos((edges[1:] + edges[:-1]) / 2) ** (freedom - 1))
    return math.sqrt(freedom) * math.tan(np.interp(0.95, shares / shares[-1], edges[1:]))
