"""Guards of the side page on evaluation, which run in its kernel after the last cell."""

import json
import math
import re
import sys
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import torch


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


def test_centring_pulls_at_every_pair():
    """For a penalty on the mean of all rewards: in the study the pairs' sums come together, not their mean alone."""
    rows = json.loads((studies / "variants.json").read_text())["runs"]
    spread = {(row["variant"], row["seed"]): row["level_spread"] for row in rows}
    assert all(spread["centring 0.1", seed] < 0.5 * spread["usual", seed] for seed in range(3))


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


def cell_again(part, **instead):
    """What a cell of this page prints, and its names, where some of them mean something else."""
    sys.path.insert(0, "../../tests/helpers")
    from cells_again import again, code_of

    return again(code_of("more_about_evaluation.ipynb"), part, globals(), **instead)


def figure_of(part):
    sys.path.insert(0, "../../tests/helpers")
    from cells_again import code_of, shown

    return shown(code_of("more_about_evaluation.ipynb"), part, globals())


def module_but(module, **others):
    sys.path.insert(0, "../../tests/helpers")
    from cells_again import but

    return but(module, **others)


def test_each_simulation_is_as_large_as_it_is_told():
    """For fewer draws than the page tells, which print the same, and for luck of another model."""
    drawn_sets = []

    def whole_line(each, clusters, repeats):
        drawn_sets.append((clusters, repeats))
        return 0, 1

    _, names = cell_again("def covered(", evaluation=module_but(evaluation, clustered_bootstrap=whole_line))
    assert names["covered"](3, 2, 0.0)[1] == 1 and len(drawn_sets) == 1000
    assert all(clusters.tolist() == [0, 0, 1, 1, 2, 2] and repeats == 400 for clusters, repeats in drawn_sets)
    assert names["test_sets"](3, 2, 0.0, sets=7).shape == (7, 6) and perfect_errors(250).shape == (400,)
    given = []
    cell_again("luck = evaluation.perfect_model_errors", evaluation=module_but(
        evaluation, perfect_model_errors=lambda each, repeats: given.append((each, repeats)) or luck))
    assert given[0][1] == 500 and np.allclose(given[0][0] * T, margins) and luck.shape == (500,)


def test_votes_are_drawn_by_whole_prompts():
    """For single pairs, which on this page give nearly the same width; and the probability by the gold reward."""
    given = []
    cell_again("each vote is worth", evaluation=module_but(
        evaluation, clustered_bootstrap=lambda each, clusters: given.append((each, clusters)) or (0.0, 1.0)))
    [(voted, groups_here)] = given
    prompts_here = [pair.prompt for pair in test]
    assert voted is votes and len({*groups_here}) == len({*zip(groups_here, prompts_here)}) == len({*prompts_here})
    sure = 1 / (1 + np.exp(-gold))
    assert np.allclose(with_model, np.where(right == 1, sure, 1 - sure))


def test_the_measures_are_the_ones_that_they_are_called():
    """For one number of a measure in another's place, where the two are near."""
    found = SimpleNamespace(longer_preferred=0.11, matched_longer_preferred=0.22, slope_given_gold=0.5, gold_slope=2.0)
    told, names = cell_again("def measured(", length_bias=lambda each, words_more, true: found)
    with patch("builtins.print") as printed_there:
        names["measured"]("a copy", None)
    assert printed_there.call_args.args == ("a copy       longer preferred: raw 0.11, matched 0.22; c/a 0.25",)
    given = []
    _, names = cell_again("def measured(", length_bias=lambda *each: given.append(each) or found)
    with patch("builtins.print"):
        names["measured"]("", margins)
    assert all(one is other for one, other in zip(given[0], (margins, extra, gold)))


def test_every_interval_is_of_the_middle_95_percent():
    """For nearer quantiles, which print nearly the same: the draws again, sorted."""
    outside = int(0.025 * 299)

    def ends_of(again_here):
        ordered = np.sort(again_here, axis=0)
        share = 0.025 * 299 - outside
        return [(1 - share) * ordered[i] + share * ordered[j] for i, j in (
            (outside, outside + 1), (299 - outside, 298 - outside))]

    _, names = cell_again("own, draws = weights_on")
    assert np.allclose(np.transpose(ends_of(names["again"])), ends) and len(names["again"]) == 300
    _, before = cell_again("held = np.c_[")
    told, names = cell_again("def worth_of_ten_words(", draws=before["draws"], np=module_but(
        np, linalg=SimpleNamespace(lstsq=lambda columns, values: [[values.mean() + columns.shape[1]]])))
    low, high = ends_of(names["again"])
    assert told.splitlines()[-1].endswith(f"({low:.2f} to {high:.2f})") and len(names["again"]) == 300
    rows_of = sorted(int(i) for each in pairs_of for i in each)
    assert rows_of == [*range(4000)] and all(len(set(prompt_of[each])) == 1 for each in pairs_of)


def test_shares_above_one_and_lengths_that_go_with_quality():
    """For a bound beside the one, a slope beside a fifth, and a line that is not the taste of the labels."""
    made = {"capitals": np.array([0.99, 1.0, 1.01, 1.02]), "currencies": np.array([1.0, 1.03])}
    rows_made = np.concatenate([*made.values()])
    families = [SimpleNamespace(family=name) for name in made for _ in made[name]]
    told, _ = cell_again("share above 1, {name}", score_pairs=lambda *_: [rows_made],
                         places=[(each, None) for each in families])
    assert told == "share above 1, capitals: 0.5\nshare above 1, currencies: 0.5\n"
    given = []
    cell_again("held_back = {", two_numbers=lambda each, feature: given.append((each, feature)) or 0.0)
    for at, (each, feature) in enumerate(given):
        assert np.allclose(feature - tens, gold_many / 5 if at % 2 else 0)
        spread = np.std(each - gold_many)
        assert abs(spread / (2 * (at // 2)) - 1) < 0.02 if at > 1 else spread == 0
    few_sets = [{"ratio": value, "ten_words": value} for value in (1.0, 2.0, 4.5)]  # of three an SD tells its divisor
    told, _ = cell_again("from 750 labels", sets_of_750=few_sets, all_labels=dict.fromkeys(("ratio", "ten_words"), 9.0))
    assert told.count("from 750 labels 2.50, SD 1.80; from 40,000 9.00") == 2
    [wanted] = [line for line in figure_of("lessons.taste_for_length").axes[0].lines
                if line.get_label() == "put into the labels"]
    assert np.allclose(np.diff(wanted.get_ydata()) / np.diff(wanted.get_xdata()), 0.15)


def test_the_copies_are_taught_as_in_notebook_07():
    """For another rate, in cells with room: what each hands on."""
    given = []
    _, names = cell_again("def taught(", train=lambda *handed, **_: given.append(handed))
    learner = names["taught"]("pairs", use_target_margin=True)
    assert learner is not model and torch.initial_seed() == 0 and given == [(learner, "pairs", TrainingConfig(
        learning_rate=3e-4, precision="fp32", use_target_margin=True))]
    assert names["leaning"] == world.pairs(2000, "train", seed=1, annotator=Annotator(length_bias=1.5)) == leaning


def test_the_figures_name_what_they_show():
    """For a letter too few or too many, which the comparison of pictures takes for nothing."""
    figures = {part: figure_of(part) for part in ("lessons.perfect_models(", "lessons.taste_for_length(",
                                                  "lessons.weights(", "lessons.offsets(", "lessons.same_worth(")}
    from cells_again import words_on

    words_there = {part: words_on(figure) for part, figure in figures.items()}
    assert [*words_there.values()] == [
        ["simulations", "calibration error (ECE)", "perfect models", *marked],
        ["margin beyond what is deserved", "words that the chosen response has more", "put into the labels",
         "told copy", "biased copy"],
        ["worth of one more", "gold reward", "our model"],
        ["second model's reward", "gold reward", "each prompt's mean removed", "gold reward"],
        ["learned reward of right answers", "mean", "the gold reward of each"]], words_there
    spots = np.concatenate([each.get_offsets() for each in figures["lessons.offsets("].axes[0].collections])
    assert np.allclose(spots[:, 1], (learned[:8] + [[len(prompt.split())] for prompt in asked[:8]]).ravel())
    [gold_line] = [line for line in figures["lessons.same_worth("].axes[0].lines
                   if line.get_label() == "the gold reward of each"]
    assert set(gold_line.get_xdata()) == {1.6}
    bars = [bar.get_width() for bar in figures["lessons.weights("].axes[0].patches]
    assert np.allclose(bars, [*WEIGHTS.values(), *own])
