"""Guards of notebook 07, run in its kernel after the last cell: what no comparison with stored outputs can see."""

import math
import re
from statistics import NormalDist

import numpy as np


def drawn(axes):
    """The curves and dots of a panel by their label: label -> (x, y)."""
    return {line.get_label(): line.get_data() for line in axes.lines}


def calibration_error_by_loop(each):
    found, sure = 0.0, 1 / (1 + np.exp(-np.abs(each)))
    for low in np.arange(15) / 30 + 0.5:
        inside = (sure > low) & (sure <= low + 1 / 30) | (low == 0.5) & (sure == 0.5)
        found += abs(((each > 0) + 0.5 * (each == 0) - sure)[inside].sum())
    return found / len(each)


def test_the_price_of_a_gap_wherever_the_sliders_stand():
    """For curves whose names are exchanged, and for prices that are right at two points and 20% only."""
    normal = NormalDist()
    for points, disagree in ((0.5, 4), (2.0, 20), (3.0, 10), (8.0, 36)):
        figure, line = price(points, disagree)
        gap, own = points / 100, 2 * 0.77 * 0.23
        prices = [float(number.replace(",", "")) for number in re.findall(r"[\d,]{2,}", line)]
        for n, null, at_gap in zip(prices, (disagree / 100, own), (disagree / 100 - gap**2, own), strict=True):
            z = gap / math.sqrt(at_gap / n) - normal.inv_cdf(0.975) * math.sqrt(null / at_gap)
            assert abs(normal.cdf(z) - 0.80) < 0.005, (points, disagree, n)
        curves_by_name = drawn(figure.axes[0])
        for name, n in zip(("both judged on the same pairs", "each model judged on pairs of its own"), prices):
            assert abs(np.interp(points, *curves_by_name[name]) / n - 1) < 0.01
        x, y = figure.axes[0].lines[-1].get_data()
        assert math.isclose(x[0], points) and abs(y[0] / prices[0] - 1) < 0.01
    assert "impossible" in price(6.0, 4)[1] and "impossible" not in price(4.0, 4)[1]


def test_the_temperature_wherever_the_slider_stands():
    """For a draw that forgets to divide by T, or that divides twice, in its line, its dots or its curve."""
    for T_here in (0.25, 0.5, 1.0, 2.0, 4.0):
        figure, line = at_temperature(T_here)
        shown, (left, right_panel) = margins / T_here, figure.axes
        sure = 1 / (1 + np.exp(-np.abs(shown)))
        told = dict(re.findall(r"(NLL|ECE|confidence|accuracy) ([\d.]+)", line))
        wanted = {"NLL": np.log1p(np.exp(-shown)).mean(), "ECE": calibration_error_by_loop(shown),
                  "confidence": sure.mean(), "accuracy": (margins > 0).mean()}
        assert all(abs(float(told[name]) - value) < 0.0051 for name, value in wanted.items()), (T_here, line)
        dots = np.array([one.get_data() for one in left.lines if one.get_marker() == "o"])[..., 0]
        for stated, share in dots:
            inside = np.ceil(sure * 30 - 1e-12) == np.ceil(stated * 30 - 1e-12)
            assert abs(share - (margins > 0)[inside].mean()) < 1e-9
        curve, dot = right_panel.lines[:2]
        assert np.allclose(curve.get_ydata(), [np.log1p(np.exp(-margins / t)).mean() for t in curve.get_xdata()])
        assert np.allclose(np.ravel(dot.get_data()), (T_here, wanted["NLL"]))


def test_the_mistakes_wherever_the_sliders_stand():
    """For a list that begins at the second, mixes up whose mistakes it holds, or exchanges the two answers."""
    own_list = sorted(margins[(gold > 1) & (margins < 0)])
    for rank, whose in ((1, 0), (25, 0), (2, 1), (25, 1)):
        figure, line = mistake(rank, whose)
        margin, gold_margin = map(float, re.findall(r"[+-]\d+\.\d", line))
        assert abs(margin - (own_list if whose else np.sort(margins))[rank - 1]) < 0.051
        words_shown = " ".join(text.get_text() for text in figure.axes[0].texts)
        first, second = re.split(r"rejected, gold reward \S+", words_shown)
        pair, = (pair for pair in test if pair.prompt in line and pair.chosen in first and pair.rejected in second)
        by_gold = [world.reward(pair.prompt, text) for text in (pair.chosen, pair.rejected)]
        assert abs(by_gold[0] - by_gold[1] - gold_margin) < 0.051


def test_the_taste_for_length_has_its_name():
    """For exchanged names or lines in the figure of the biased copy."""
    figure = more_figures.taste_for_length(extra_there, rests, tastes, likes_length.length_bias)
    for name, own_margins in (("our model", on_validation[:750]), ("after biased labels", biased_margins)):
        by_gold, by_word = np.linalg.solve(columns.T @ columns, columns.T @ own_margins)
        assert math.isclose(tastes[name], by_word / by_gold)
        assert np.allclose(rests[name], own_margins / by_gold - gold_there)
        assert abs(np.polyfit(*drawn(figure.axes[0])[name], 1)[0] * 10 - tastes[name]) < 0.4
    assert tastes["after biased labels"] - tastes["our model"] > 1


def test_ten_words_with_each_feature_held_fixed():
    """For a column that is lost, or of another pair: the slopes again, of what is left of the words."""
    words = np.array([len(pair.chosen.split()) - len(pair.rejected.split()) for pair in test]) / 10
    sides = [[(pair.prompt, text) for pair, text in zip(test, texts)]
             for texts in zip(*((pair.chosen, pair.rejected) for pair in test))]
    chosen, rejected = (np.array([list(world.features(*one).values()) for one in side], dtype=float) for side in sides)
    rambled = [sum(len(re.findall(re.escape(each), text)) for each in world.manners["rambling"])
               for side in sides for _, text in side]
    count = np.array(rambled[: len(test)]) - rambled[len(test):]
    everything, slopes = np.arange(len(test)), []
    for name, held_fixed in zip(fixed, (chosen - rejected, np.c_[chosen - rejected, count])):
        rest = words - held_fixed @ np.linalg.lstsq(held_fixed, words, rcond=None)[0]
        slopes.append(rest @ margins / (rest @ rest))
        assert abs(slopes[-1] - worth_of_ten_words(everything, fixed[name])) < 1e-9
    assert np.abs(count).max() == 3 and -0.25 < slopes[0] < -0.17 and 0.4 < slopes[1] / slopes[0] < 0.6



def test_weights_are_those_of_their_features():
    """For names that are exchanged in the table of weights."""
    left = centred.ravel() - table.reshape(-1, len(WEIGHTS)) @ own
    assert np.abs(left @ table.reshape(-1, len(WEIGHTS))).max() < 1e-6
    courteous, rude = (list(WEIGHTS).index(name) for name in ("courtesy", "rudeness"))
    assert 0 < own_low[courteous] < own[courteous] < own_high[courteous] < 0.2 < 0.3 < -own[rude]


def test_marked_errors_are_those_of_their_names():
    """For names that are exchanged in the figure of perfect models."""
    for name, (marked_error, _) in marked.items():
        each = (hurried if name.startswith("hasty") else margins) / (
            1 if name.endswith("before") else T_hasty if name.startswith("hasty") else T)
        assert abs(marked_error - calibration_error_by_loop(each)) < 1e-9, name


def test_the_curves_of_best_of_n_are_of_their_names():
    """For exchanged curves: the mean over two hundred draws is near the exact one, over all ways to draw."""
    for name, judge in (("the gold reward picks", truth), ("our model picks", learned)):
        for n, height in zip(sizes, curves[name], strict=True):
            ways = [math.comb(k, n - 1) / math.comb(16, int(n)) for k in range(16)]
            ranked_worth = np.take_along_axis(truth, judge.argsort(axis=1, kind="stable"), axis=1)
            assert abs(height - (ranked_worth @ ways).mean()) < 0.04, (name, n)
    assert np.allclose(curves["picked at random"], truth.mean())


def test_leads_over_the_rules():
    """For a table of people's choices whose rows are exchanged."""
    for name, seeds in rows.items():
        for (lead, low_end, high_end), seed in zip(seeds, people, strict=True):
            row = seed["against"][name]
            assert abs(lead - (row["only_model"] - row["only_baseline"]) / seed["pooled"]["pairs"]) < 0.01
            assert low_end < lead < high_end
