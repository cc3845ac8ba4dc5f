"""Guards of the side page on evaluation, which run in its kernel after the last cell."""

import math
import re
import sys
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest


def calibration_error_by_loop(each):
    found, sure = 0.0, 1 / (1 + np.exp(-np.abs(each)))
    for low in np.arange(15) / 30 + 0.5:
        inside = (sure > low) & (sure <= low + 1 / 30) | (low == 0.5) & (sure == 0.5)
        found += abs(((each > 0) + 0.5 * (each == 0) - sure)[inside].sum())
    return found / len(each)


def drawn(axes):
    return {line.get_label(): line.get_data() for line in axes.lines}


def test_coverage_is_what_the_design_effect_says():
    """For a correlation that is not the one drawn, or intervals that are exchanged."""
    for (K, m, rho), (wilson, bootstrap) in table.items():
        effect = 1 + (m - 1) * rho
        assert abs(wilson - math.erf(1.96 / math.sqrt(2 * effect))) < 0.04
        assert 0.92 < bootstrap < 0.97 if K == 200 else bootstrap < 0.92
    shares = test_sets(200, 20, 0.3).reshape(-1, 200, 20).mean(axis=2)
    assert abs(shares.mean() - 0.77) < 0.005
    assert abs(shares.var() / (0.77 * 0.23) - (1 + 19 * 0.3) / 20) < 0.02


def test_a_vote_more_is_not_a_pair_more():
    assert abs(with_model.mean() - votes.mean()) < 0.005 and 0.28 < (alone / whole) ** 2 < 0.42
    assert set(np.round(votes * 10).astype(int)) <= set(range(11))


def test_the_floor_halves_with_four_times_the_pairs():
    assert 1.8 < floors[250] / floors[1000] < 2.2 and 1.8 < floors[1000] / floors[4000] < 2.2


def test_marked_errors_are_those_of_their_names():
    """For names that are exchanged in the figure of perfect models."""
    for name, (marked_error, _) in marked.items():
        each = (hurried if name.startswith("hasty") else margins) / (
            1 if name.endswith("before") else T_hasty if name.startswith("hasty") else T)
        assert abs(marked_error - calibration_error_by_loop(each)) < 1e-9, name
    assert 2.1 < T_hasty / T < 3.1 and 2.4 < T_gold < 3.6
    assert marked["hasty people, before"][0] > 3 * luck.max()
    assert max(error for name, (error, _) in marked.items() if name != "hasty people, before") < luck.max()


def test_what_arrives_and_what_stands_behind_a_unit():
    """For the two slopes exchanged: on facts a unit holds more than one, on manners less."""
    for here, there, more in ((facts, facts_there, True), (~facts, ~facts_there, False)):
        back = margins[here] @ gold[here] / (margins[here] @ margins[here])
        assert (back > 1) == more and (back < 0.95) != more
        fitted = [evaluation.fit_temperature(each) for each in (on_validation[there], margins[here])]
        assert max(fitted) < 1.15 if more else min(fitted) > 1.15


def test_the_tastes_have_their_names():
    """For exchanged names or lines in the figure, and a told copy that was not told."""
    figure = lessons.taste_for_length(extra, rests, tastes, likes_length.length_bias)
    columns = np.c_[gold, extra / 10]
    for name in ("told copy", "biased copy"):
        by_gold, by_word = np.linalg.solve(columns.T @ columns, columns.T @ judged[name])
        assert math.isclose(tastes[name], by_word / by_gold) and np.allclose(rests[name], judged[name] / by_gold - gold)
        assert abs(np.polyfit(*drawn(figure.axes[0])[name], 1)[0] * 10 - tastes[name]) < 0.4
    assert 1.0 < tastes["biased copy"] < 1.6 and abs(tastes["told copy"]) < 0.35
    assert (judged["told copy"] > 0).mean() > (judged["biased copy"] > 0).mean() + 0.03
    assert {round(pair.target_margin + 0.15 * words, 9) for pair, words in zip(told, extra_words(leaning))} == {0}


def test_a_second_feature_holds_what_a_noisy_margin_missed():
    """For a sign that is lost, and a fit that stops early: none without noise, then the sign of length and quality."""
    assert gold_many @ tens < 0 < gold_many @ (tens + gold_many / 5)
    assert max(map(abs, held_back[0])) < 0.1 and two_numbers(gold_many, tens, 30) == pytest.approx(held_back[0][0])
    (ours_two, with_two), (ours_four, with_four) = held_back[2], held_back[4]
    assert ours_four < ours_two - 0.1 < -0.1 and 0.1 < with_two < with_four
    assert [each["labels"] for each in sets_of_750] == 53 * [750] and all_labels["labels"] == 40_000
    assert all_labels["ten_words"] < -0.25 and all_labels["ratio"] < -0.8


def test_ten_words_with_each_feature_held_fixed():
    """For a column that is lost, or of another pair: the slopes again, of what is left of the words."""
    words_more = np.array([len(pair.chosen.split()) - len(pair.rejected.split()) for pair in test]) / 10
    sides = [[(pair.prompt, text) for pair, text in zip(test, texts)]
             for texts in zip(*((pair.chosen, pair.rejected) for pair in test))]
    chosen, rejected = (np.array([list(world.features(*one).values()) for one in side], dtype=float) for side in sides)
    rambled = [sum(len(re.findall(re.escape(each), text)) for each in world.manners["rambling"])
               for side in sides for _, text in side]
    count = np.array(rambled[: len(test)]) - rambled[len(test):]
    everything, slopes = np.arange(len(test)), []
    for name, held_fixed in zip(fixed, (chosen - rejected, np.c_[chosen - rejected, count])):
        rest = words_more - held_fixed @ np.linalg.lstsq(held_fixed, words_more, rcond=None)[0]
        slopes.append(rest @ margins / (rest @ rest))
        assert abs(slopes[-1] - worth_of_ten_words(everything, fixed[name])) < 1e-9
    assert np.abs(count).max() == 3 and -0.25 < slopes[0] < -0.17 and 0.4 < slopes[1] / slopes[0] < 0.6


def test_weights_are_those_of_their_features():
    """For names that are exchanged in the table of weights, and gold rewards of other texts."""
    left = centred.ravel() - table_of.reshape(-1, 6) @ own
    assert np.abs(left @ table_of.reshape(-1, 6)).max() < 1e-6
    courteous, rude = (list(WEIGHTS).index(name) for name in ("courtesy", "rudeness"))
    assert 0 < ends[courteous][0] < own[courteous] < ends[courteous][1] < 0.2 < 0.3 < -own[rude]
    for i, j in ((0, 0), (5, 3), (95, 15)):
        assert math.isclose(truth[i, j], world.reward(asked[i], responses[i][j]), abs_tol=1e-9)
        pair = PreferencePair(asked[i], responses[i][j], "No idea.")
        assert abs(score_pairs(model, [pair])[0][0] - learned[i, j]) < 1e-4


def test_the_right_answers_are_all_worth_the_same():
    assert {world.reward(pair.prompt, pair.chosen) for pair in plain} == {1.6}
    assert (groups["capitals"] > 1).mean() > (groups["currencies"] > 1).mean() + 0.3
    assert min(np.median(each) for name, each in groups.items() if name != "currencies") > 0.8


def test_what_holds_is_tested_by_the_bounds_that_it_tells():
    """Against a bound that is looser than its sentence."""
    sys.path.insert(0, "../../tests/helpers")
    from cells_again import code_of
    from claim_bounds import weak_claims

    code = code_of("more_about_evaluation.ipynb")
    assert [each for source in code for each in weak_claims(source)] == []


def test_each_number_of_a_cell_with_room_is_the_one_that_it_is_called():
    """Against pairs of the other part, or another order, by numbers that tell them apart."""
    sys.path.insert(0, "../../tests/helpers")
    from cells_again import code_of, printed

    code = code_of("more_about_evaluation.ipynb")
    regression = SimpleNamespace(slope=0.25, correlation=0.5)
    with patch.object(evaluation, "fit_temperature", len):
        told = printed(code, "facts, facts_there = (decided", globals(), gold_regression=lambda one, other: regression)
    parts = [float(number) for number in re.findall(r"\d+\.\d", told.replace("0.25", "").replace("0.50", ""))]
    assert parts == [facts_there.sum(), facts.sum(), (~facts_there).sum(), (~facts).sum()]
    assert len(facts_there) == len(validation) != len(facts) == len(test)
