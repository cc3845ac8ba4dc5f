"""Guards of notebook 02, which run in its kernel after the last cell."""

import math
import re

import numpy as np


def numbers(text):
    return [float(each) for each in re.findall(r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?", text)]


def test_one_pair_at_other_margins():
    """The slope's sign, the loss of the other answer, or bars that are exchanged."""
    for margin in (-6.0, 2.5):
        figure, text = one_pair(margin)
        chance = 1 / (1 + math.exp(-margin))
        assert np.allclose(numbers(text), [chance, -math.log(chance), chance - 1], rtol=0, atol=6e-5)
        curve, tangent, dot = figure.axes[0].lines
        x, y = tangent.get_xdata(), tangent.get_ydata()
        assert np.isclose((y[-1] - y[0]) / (x[-1] - x[0]), chance - 1)
        assert np.isclose(dot.get_ydata()[0], -math.log(chance))
        assert np.allclose(curve.get_ydata(), np.log(1 + np.exp(-x)))
        assert np.allclose([bar.get_height() for bar in figure.axes[1].patches], [chance, 1 - chance])


def test_rewards_that_drift_to_other_offsets():
    """The spacing of another power of two, the share of another offset, a theory without ω."""
    shown = {}
    for offset, spacing in ((1, 2**-7), (31, 2**-3), (32, 2**-2), (63, 2**-2)):
        figure, text = drift(offset)
        kept = figure.axes[0].lines[1].get_ydata()
        assert numbers(text)[0] == spacing and np.all(kept % (spacing / 2) == 0) and abs(kept.mean() - offset) < spacing
        assert np.diff(np.unique(kept[kept > offset])).min() == spacing
        theory, found, here = figure.axes[1].lines
        assert np.isclose(theory.get_ydata()[-1], 100 * 0.25 / math.sqrt(math.pi))
        shown[offset] = numbers(text)[1]
        assert np.isclose(here.get_ydata()[0], shown[offset], atol=0.051) and len(found.get_xdata()) == 63
    few_ties, half, many = (100 * spacing / math.sqrt(math.pi) for spacing in (2**-7, 2**-3, 2**-2))  # ω is 1/2
    assert abs(shown[1] - few_ties) < 0.25 and abs(shown[31] - half) < 1 and abs(shown[63] - many) < 1
    assert shown[31] < shown[32] < shown[63]


def test_flips_at_other_positions():
    """Shares that are not of a hundred, p* and ε exchanged, a minimum that is marked elsewhere."""
    for percent, agree in ((0, 99), (49, 60), (25, 75)):
        figure, text = flips(percent, agree)
        chance = agree / 100 + percent / 100 - 2 * percent * agree / 1e4
        best, clean_best = (math.log(p) - math.log(1 - p) for p in (chance, agree / 100))
        assert np.allclose(numbers(text), [chance, best, clean_best], rtol=0, atol=6e-4)
        valley, dot = figure.axes[0].lines
        assert abs(valley.get_xdata()[valley.get_ydata().argmin()] - best) < 0.051
        assert np.isclose(dot.get_xdata()[0], best)
        _, noisy, here = figure.axes[1].lines
        clean_chance = 1 / (1 + np.exp(-noisy.get_xdata()))
        flipped = clean_chance + percent / 100 * (1 - 2 * clean_chance)
        assert np.allclose(noisy.get_ydata(), np.log(flipped) - np.log(1 - flipped))
        assert np.allclose([here.get_xdata()[0], here.get_ydata()[0]], [clean_best, best])
