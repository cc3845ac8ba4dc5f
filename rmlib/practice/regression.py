"""The learned reward against the true one, which is known in the gold world, up to what no comparison can show."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from rmlib.evaluation.accuracy import groups, numbers


@dataclass(frozen=True)
class GoldRegression:
    """learned = slope x gold + an offset of each prompt, and the correlation of the two without these offsets."""

    slope: float  # 1 / temperature for a model that learned everything from an annotator of that temperature
    correlation: float


def centre_by_prompt(values: np.ndarray, prompts: Sequence[Hashable]) -> np.ndarray:
    """Values, (N,), less the mean of all values of the same prompt: what is left when a prompt's offset is gone."""
    values = numbers(values, "values")
    index = groups(prompts, values)
    return values - (np.bincount(index, weights=values) / np.bincount(index))[index]


def gold_regression(learned: np.ndarray, gold: np.ndarray, prompts: Sequence[Hashable] | None = None) -> GoldRegression:
    """Least-squares slope and correlation of learned on gold rewards, (N,) each, each prompt with an offset of its own.

    With l and g the values less their prompt's mean: slope Σ l g / Σ g², correlation Σ l g / √(Σ l² Σ g²).
    Comparisons say nothing of a prompt's offset (it cancels in every margin), so it must not count.
    prompts: of each response, any number of responses each. Without them the values are margins, one a pair. That is
    the case of two responses, whose centred rewards are ±Δ/2, and the result is the same; in contrast to numpy's
    corrcoef, it doesn't depend on which response is called the chosen one.

    Raises ValueError where lengths differ, values are not finite, or one of the two never varies within a prompt.
    Source: Frisch and Waugh (1933), Econometrica 1, 387-401, and Lovell (1963), J. Am. Stat. Assoc. 58, 993-1010: to
    subtract the means is to fit the offsets.
    """
    learned = numbers(learned, "learned values")
    gold = numbers(gold, "gold values", like=learned)
    if prompts is not None:
        learned, gold = centre_by_prompt(learned, prompts), centre_by_prompt(gold, prompts)
    for name, values in (("learned", learned), ("gold", gold)):
        if np.abs(values).max() < 1e-12:  # what centring may leave of equal values
            raise ValueError(f"the {name} rewards never differ within a prompt: there is nothing to compare")
    product, squares = float(learned @ gold), float(gold @ gold)
    return GoldRegression(product / squares, product / float(np.sqrt((learned @ learned) * squares)))
