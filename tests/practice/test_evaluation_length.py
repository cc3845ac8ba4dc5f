"""Whether a model leans to length more than the choices do: its probabilities against the labels."""

import numpy as np
import pytest

from rmlib.evaluation import fit_temperature
from rmlib.practice.bias import longer_expected
from rmlib.practice.conservative_interval import conservative_interval


def labelled(rng, pairs, taste=0.0):
    """Margins of the true reward, extra words of the chosen response, and clusters of five pairs, (N,) each.

    The reward goes with length, as if long responses were a little worse; `taste` is the labellers' own.
    """
    words = rng.integers(-10, 11, size=pairs)
    truth = rng.normal(0, 1.5, size=pairs) - 0.06 * words
    first = rng.random(pairs) < 1 / (1 + np.exp(-truth - taste * words / 10))
    turned = np.where(first, 1, -1)
    return turned * truth, turned * words, np.arange(pairs) // 5


def test_the_excess_is_a_score_of_the_logistic_model():
    """The slope, by a difference quotient, of the likelihood in a constant that favours the longer response."""
    margins, words, clusters = labelled(np.random.default_rng(0), 400, taste=0.7)
    found = longer_expected(margins, words, clusters)
    uneven = words != 0
    longer, offset = words[uneven] > 0, (np.sign(words) * margins / fit_temperature(margins))[uneven]

    def loss(constant):
        return np.logaddexp(0, np.where(longer, -1, 1) * (offset + constant)).mean()

    assert found.expected - found.chosen == pytest.approx((loss(1e-4) - loss(-1e-4)) / 2e-4, abs=1e-8)
    assert found.pairs == uneven.sum() < 400 and found.chosen == longer.mean()
    each = 1 / (1 + np.exp(-offset)) - longer
    assert (found.excess_low, found.excess_high) == pytest.approx(
        conservative_interval(each, clusters[uneven], least=-1), abs=1e-12)
    preferred = np.where(offset == 0, 0.5, offset > 0)
    assert found.preferred == preferred.mean()
    assert (found.preferred_low, found.preferred_high) == conservative_interval(preferred, clusters[uneven])


def test_the_interval_of_the_true_reward_covers_zero():
    rng = np.random.default_rng(1)
    found = [longer_expected(*labelled(rng, 500)) for _ in range(100)]
    assert 0.885 < np.mean([one.excess_low <= 0 <= one.excess_high for one in found])  # 95%, less 3 standard errors


@pytest.mark.parametrize("sharpness", [0.3, 4])
def test_to_be_too_sure_is_not_to_lean(sharpness):
    margins, *others = labelled(np.random.default_rng(3), 500, taste=0.5)
    assert longer_expected(sharpness * margins, *others) == pytest.approx(longer_expected(margins, *others), abs=1e-9)
    assert longer_expected(margins, *others).expected is not None


def test_labels_with_a_taste_of_their_own_are_told_from_those_without():
    rng = np.random.default_rng(2)
    long, short = (longer_expected(*labelled(rng, 3000, taste)) for taste in (-1, 1))
    assert long.excess_low > 0 and short.excess_high < 0  # against labels that like short ones the truth leans to long


@pytest.mark.parametrize("margins, preferred", [
    ([2.0, 1.0, 3.0], 0.5), ([-1.0, -2.0, 2.0], 0.5), ([0.0, 0.0, 0.0], 0.5), ([1.0, -9.0, 0.0], 1.0),
])  # fmt: skip
def test_where_no_temperature_fits_there_are_choices_alone(margins, preferred):
    found = longer_expected(margins, [4, -2, 0], "abc")
    assert (found.pairs, found.chosen, found.preferred) == (2, 0.5, preferred)
    assert (found.expected, found.excess_low, found.excess_high) == (None, None, None)


@pytest.mark.parametrize("margins, words, clusters, told", [
    ([1.0, -1.0], [0, 0], "ab", "no length bias to measure"),
    ([1.0, -1.0], [1, 2], "a", "2 values, 1 labels"),
    ([1.0, -1.0], [1], "ab", "as many as their partners"),
])  # fmt: skip
def test_where_a_lean_can_t_be_told(margins, words, clusters, told):
    with pytest.raises(ValueError, match=told):
        longer_expected(margins, words, clusters)
