"""Guards of notebook 07, run in its kernel after the last cell: what no comparison with stored outputs can see."""

import contextlib
import io
import math
import re
import sys
from statistics import NormalDist
from types import SimpleNamespace

import numpy as np

WAY = Path("07_evaluation.ipynb")


def text_of(cell):
    """A text cell's words on one line."""
    [source] = [each["source"] for each in json.loads(WAY.read_text(encoding="utf-8"))["cells"] if each["id"] == cell]
    return " ".join("".join(source).split())


def numbers_said(cell):
    """The numbers with a point or an exponent that a cell prints, run once more, a row for each line."""
    [source] = [each["source"] for each in json.loads(WAY.read_text(encoding="utf-8"))["cells"] if each["id"] == cell]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec("".join(source), globals().copy())
    found = [re.findall(r"-?\d+\.\d+|\d+e-\d+", line) for line in out.getvalue().splitlines()]
    return [[float(number) for number in row] for row in found]


def drawn(axes):
    """The curves and dots of a panel by their label: label -> (x, y)."""
    return {line.get_label(): line.get_data() for line in axes.lines}


def calibration_error_by_loop(each):
    found, sure = 0.0, 1 / (1 + np.exp(-np.abs(each)))
    for low in np.arange(15) / 30 + 0.5:
        inside = (sure > low) & (sure <= low + 1 / 30) | (low == 0.5) & (sure == 0.5)
        found += abs(((each > 0) + 0.5 * (each == 0) - sure)[inside].sum())
    return found / len(each)


def loss_of(weights, columns):
    return np.log1p(np.exp(-columns @ weights)).mean()


def test_the_best_of_ten_is_what_binomials_make():
    """For a maximum over the contests in place of the ten."""
    below = np.cumsum([math.comb(500, k) * 0.77**k * 0.23 ** (500 - k) for k in range(501)])
    best = (1 - below**10).sum() / 500
    rng = np.random.default_rng(0)
    found = (rng.binomial(500, 0.77, size=(20_000, 10)) / 500).max(axis=1).mean()
    assert abs(found - best) < 2e-4 and abs(best - 0.799) < 5e-4


def test_the_rules_have_their_names():
    """For rows that are exchanged in the table of rivals and in its figure."""
    by_length = np.array([np.sign(len(pair.chosen) - len(pair.rejected)) for pair in test])
    assert math.isclose(evaluation.pair_accuracies(rules["longer"]).mean(), (1 + by_length.mean()) / 2)
    assert math.isclose(evaluation.pair_accuracies(rules["shorter"]).mean(), (1 - by_length.mean()) / 2)
    for name in ("bag of words", "bag of words, no prompt"):
        assert np.allclose(rules[name], rivals.bags[name].margins(test))
        lead = (margins > 0).mean() - evaluation.pair_accuracies(rules[name]).mean()
        assert lead > 0.15 and evaluation.mcnemar(margins, rules[name]).p_value < 1e-60
    assert not rivals.bags["bag of words, no prompt"].with_prompt


def test_leads_have_intervals_over_prompts_and_the_p_values_of_a_coin():
    """For intervals of another width in a cell with room, and a p-value of one tail."""
    for (low, high, p_value), each in zip(numbers_said("07-mcnemar"), rules.values(), strict=True):
        won = (np.sign(margins) - np.sign(each)) / 2
        sums = np.bincount(prompt_of, won - won.mean())
        ends = won.mean() + 1.96 * math.sqrt((sums**2).sum()) / len(won) * np.array([-1, 1])
        assert np.allclose((low, high), ends, rtol=0, atol=0.009), (low, high, ends)
        n, fewer = int((won != 0).sum()), int(min((won > 0).sum(), (won < 0).sum()))
        assert p_value == float(f"{2 * sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n:.0e}")


def test_the_worst_and_the_mended_counted_by_hand():
    """For other pairs than the words name, in cells with room."""
    [[too_far], [by_manners]] = numbers_said("07-worst")
    worst = sorted(range(4000), key=lambda i: margins[i])[:50]
    mistakes = [i for i in range(4000) if margins[i] < 0 < gold[i]]
    assert too_far == sum(gold[i] < 0 for i in worst) / 50
    assert abs(by_manners - sum(manners[i] for i in mistakes) / len(mistakes)) < 0.0051
    more = np.array([len(pair.chosen.split()) - len(pair.rejected.split()) for pair in test])
    _, *rows_said = numbers_said("07-mended")
    for row, each in zip(rows_said, (biased_test, mended), strict=True):
        T_here, uneven = 1 / logistic(each[:, None])[0], more != 0
        expected = (1 / (1 + np.exp(-np.sign(more) * each / T_here)))[uneven].mean()
        wanted = ((each > 0).mean(), expected, (more > 0).sum() / uneven.sum())
        assert np.allclose(row, wanted, rtol=0, atol=0.0051), (row, wanted)


def test_the_close_race_is_not_decided():
    """The text says: not significant, one test set in nine, a third smaller."""
    only_large, only_small = (large > small).sum(), (large < small).sum()
    assert math.isclose(gap, (only_large - only_small) / 750)
    assert math.isclose(disagree, (only_large + only_small) / 750)
    assert 0.05 < p < 0.25 and 1.25 < apart / math.sqrt((disagree - gap**2) / 750) < 1.7


def test_the_lucks_that_the_text_tells():
    """Comparable on 750 pairs, the seed ahead on 4,000; and the sibling trained here is the study's."""
    assert abs((sibling > 0).mean() - runs[0]["few"]) < 0.02
    spread = {(kind, part): np.std([run[part] for run in runs if run["kind"] == kind], ddof=1)
              for kind in ("same pairs", "other pairs") for part in ("few", "many")}
    error = {"few": math.sqrt(0.74 * 0.26 / 750), "many": math.sqrt(0.74 * 0.26 / 4000)}
    for (_, part), sd in spread.items():
        assert 0.6 < sd / error[part] < 1 if part == "few" else sd > 1.2 * error[part]
    assert sorted(run["seed"] for run in runs) == sorted(2 * [*range(8)])
    # of n draws the SD is known to 1 / sqrt(chi2 / (n - 1)): quantiles of chi2 with 2 and 7 degrees of freedom
    assert round(math.sqrt(2 / 0.0506)) == 6 and round(math.sqrt(7 / 1.690)) == 2


def test_the_price_of_a_gap_wherever_the_sliders_stand():
    """For curves whose names are exchanged, and for prices that are right at two points and 20% only."""
    normal = NormalDist()
    for points, disagreed in ((0.5, 4), (2.0, 20), (3.0, 10), (8.0, 36)):
        figure, line = price(points, disagreed)
        gap, own, D = points / 100, 2 * 0.77 * 0.23, disagreed / 100
        here, labels, there = (float(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", line))
        for n, null, at_gap in ((here, D, D - gap**2), (there, own, own)):
            z = gap / math.sqrt(at_gap / n) - normal.inv_cdf(0.975) * math.sqrt(null / at_gap)
            assert abs(normal.cdf(z) - 0.80) < 0.005, (points, disagreed, n)
        assert abs(labels - D * here) < 1
        curves_by_name = drawn(figure.axes[0])
        for name, n in (("both on the same pairs: to score", here), ("of these, to label", labels),
                        ("each on pairs of its own, all labelled", there)):
            assert abs(np.interp(points, *curves_by_name[name]) / n - 1) < 0.02, (name, points, n)
        x, y = figure.axes[0].lines[-1].get_data()
        assert math.isclose(x[0], points) and abs(y[0] / here - 1) < 0.01
    assert "impossible" in price(6.0, 4)[1] and "impossible" not in price(4.0, 4)[1]


def test_the_prices_that_the_text_tells():
    text = text_of("07-price-read")
    for points, share in ((2, 0.20), (0.5, 0.04)):
        n = pairs_to_tell(points / 100, share, share - (points / 100) ** 2)
        assert f"{n:,.0f}" in text and f"{share * n:,.0f}" in text, (n, share * n)


def test_labels_where_both_choose_alike_buy_nothing():
    """20,000 test sets of 3,922 pairs, a gap of two points, D = 20%: labelled are the unlike, and the power is 80%."""
    rng, n = np.random.default_rng(0), 3922
    counts = rng.multinomial(n, (0.11, 0.09, 0.80), size=20_000)  # b, c, and those that get no label
    found = np.abs(counts[:, 0] - counts[:, 1]) / n > 1.96 * math.sqrt(0.2 / n)
    assert abs(found.mean() - 0.80) < 0.012 and abs((n - counts[:, 2]).mean() - 0.2 * n) < 1


def test_the_calibration_error_by_a_loop():
    assert abs(ece - calibration_error_by_loop(margins)) < 1e-12
    assert abs(evaluation.ece_floor(margins) - luck.mean()) < 0.001 and luck.mean() < ece < luck.max()
    assert np.bincount(bin_of).mean() > 260


def test_the_temperature_wherever_the_slider_stands():
    """For a draw that forgets to divide by T, or that divides twice, in its line, its dots or its curve."""
    for T_here in (0.25, 0.5, 1.0, 2.0, 4.0):
        figure, line = at_temperature(T_here)
        shown, (left, right_panel) = margins / T_here, figure.axes
        sure = 1 / (1 + np.exp(-np.abs(shown)))
        told = dict(re.findall(r"(NLL|ECE|accuracy) ([\d.]+)", line))
        wanted = {"NLL": np.log1p(np.exp(-shown)).mean(), "ECE": calibration_error_by_loop(shown),
                  "accuracy": (margins > 0).mean()}
        assert all(abs(float(told[name]) - value) < 0.0051 for name, value in wanted.items()), (T_here, line)
        dots = np.array([one.get_data() for one in left.lines if one.get_marker() == "o"])[..., 0]
        for stated, share in dots:
            inside = np.ceil(sure * 30 - 1e-12) == np.ceil(stated * 30 - 1e-12)
            assert abs(share - (margins > 0)[inside].mean()) < 1e-9
        curve, dot = right_panel.lines[:2]
        assert np.allclose(curve.get_ydata(), [np.log1p(np.exp(-margins / t)).mean() for t in curve.get_xdata()])
        assert np.allclose(np.ravel(dot.get_data()), (T_here, wanted["NLL"]))
    assert np.log1p(np.exp(-4 * margins)).mean() > math.log(2)  # at 0.25 worse than a coin


def test_the_two_numbers_are_the_best_two():
    """For a fit that stops early, or mends with the sign turned."""
    here, labelled = loss_of(np.array([beta, gamma]), features), suspects["biased copy"]
    assert np.allclose(features, np.c_[labelled, extra / 10]) and len(features) == 750
    for step in ((1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3)):
        assert loss_of(np.array([beta, gamma]) + step, features) > here
    words_here = [len(pair.chosen.split()) - len(pair.rejected.split()) for pair in test]
    assert np.allclose(mended, beta * biased_test + gamma * np.array(words_here) / 10)
    before, after = (biased_test > 0).mean(), (mended > 0).mean()
    assert before < 0.74 < 0.755 < after and right.mean() - after < 0.25 * (right.mean() - before)


def test_the_planted_taste_is_found_and_gone():
    """By the gold reward: near 1.5 in the copy, near none in ours, in the honest copy, and after two numbers."""
    tastes = {}
    for name, each in {"ours": margins, "copy": biased_test, "mended": mended}.items():
        by_gold, by_words = np.linalg.lstsq(np.c_[gold, words], each, rcond=None)[0]
        tastes[name] = by_words / by_gold
    assert 1.0 < tastes["copy"] < 1.6 and abs(tastes["ours"]) < 0.15 and abs(tastes["mended"]) < 0.45
    assert (suspects["honest copy"] > 0).mean() > (suspects["biased copy"] > 0).mean() + 0.03


def test_who_leans_by_which_labels():
    """The text convicts the copy under honest labels, and under biased ones acquits it and convicts the gold reward."""
    turned = relabelled(likes_length)
    for name, each in {**suspects, "gold": world.margins(trusted)}.items():
        honest = bias.longer_expected(each, extra, asked)
        leaning = bias.longer_expected(turned * each, turned * extra, asked)
        assert (honest.excess_low > 0.05) == (name == "biased copy"), name
        assert (leaning.excess_high < -0.05) == (name != "biased copy"), name
        assert leaning.chosen > honest.chosen + 0.1
    assert 0.05 < (turned < 0).mean() < 0.4
    assert 0.42 < bias.length_bias(world.margins(trusted), extra).matched_longer_preferred < 0.5


def test_the_two_numbers_beside_those_of_more_labels():
    """The text: gamma / beta, and what ten words are worth then, from 40,000 labels and from 53 draws of 750."""
    whole, *draws = json.loads((studies / "two_numbers.json").read_text())["runs"]
    texts = text_of("07-debiased-read") + text_of("07-given-gold-read")
    worth = np.array([each["ten_words"] for each in draws])
    assert f"{whole['ratio']:.2f}" in texts and f"{whole['ten_words']:.2f}$" in texts and len(draws) == 53
    assert f"${worth.mean():.2f}$ (SD {worth.std(ddof=1):.2f})" in texts
    assert (whole["labels"], len(extra)) == (40_000, 750)
    here = np.linalg.lstsq(held, mended)[0][-1]
    assert abs(here - worth.mean()) < 2 * worth.std(ddof=1) and whole["ten_words"] < -0.25
    # in units of the copy's margin, which has learned neither all of the reward nor all of the taste
    found = bias.length_bias(biased_test, bias.extra_words(test), gold)
    assert 0.5 < found.gold_slope < 0.8 and 0.6 < found.slope_given_gold < 1.1


def test_the_temperatures_that_are_told():
    """For a temperature from other labels: each suits best the labels that it learned from."""
    turned = relabelled(likes_length)
    for name, each in {**suspects, "gold": world.margins(trusted)}.items():
        honest, leaning = (1 / logistic(sign * each[:, None])[0] for sign in (np.ones((750, 1)), turned[:, None]))
        assert (honest > 1.3 > leaning) if name == "biased copy" else (honest < 1.3 < leaning), (name, honest, leaning)


def test_ten_words_with_each_feature_held_fixed():
    """For a column that is lost, or of another pair: the slope again, of what is left of the words."""
    sides = [[(pair.prompt, text) for pair, text in zip(test, texts)]
             for texts in zip(*((pair.chosen, pair.rejected) for pair in test))]
    chosen, rejected = (np.array([list(world.features(*one).values()) for one in side], dtype=float) for side in sides)
    rest = words - (chosen - rejected) @ np.linalg.lstsq(chosen - rejected, words, rcond=None)[0]
    found = rest @ margins / (rest @ rest)
    assert abs(found - np.linalg.lstsq(held, margins, rcond=None)[0][-1]) < 1e-9 and -0.25 < found < -0.17


def test_the_slices_and_their_mix():
    """For slices that are exchanged: the fact decides where correctness differs."""
    differs = [len({world.features(pair.prompt, text)["correctness"] for text in (pair.chosen, pair.rejected)}) == 2
               for pair in test]
    assert (~manners == np.array(differs)).all()
    on_facts, on_manners = right[~manners].mean(), right[manners].mean()
    assert f"{0.9 * on_facts + 0.1 * on_manners:.2f}" == "0.90" and f"{0.1 * on_facts + 0.9 * on_manners:.2f}" == "0.64"
    only_bag = ((words_alone > 0) & (margins < 0))[manners].sum()
    only_model = ((words_alone < 0) & (margins > 0))[manners].sum()
    assert only_bag - only_model > 40 and ends[1] < 0
    assert abs(np.median(margins[manners])) < 0.5 and np.median(margins[~manners]) > 2


def test_forty_slices_cut_at_random():
    assert np.bincount(lots).tolist() == [100] * 40 and sum(missed) <= 6
    for accuracy, low, high in by_lot:
        assert np.allclose((low, high), wilson(accuracy, 100), atol=1e-4)


def test_the_benchmarks_of_our_world_hold_what_they_say():
    """For a right answer that is none, and for styles that are exchanged."""
    for prompt, given in zip(prompts, four):
        assert [world.features(prompt, text)["correctness"] for text in given] == [1, -1, -1, -1]
    worth = {"both are short": 3.2, "the right one is longer": 4.4, "the wrong one is longer": 2.0}
    for style, (i, j) in styles.items():
        for prompt, each in zip(prompts[::10], texts[::10]):
            assert math.isclose(world.reward(prompt, each[i][0]) - world.reward(prompt, each[j][1]), worth[style])
            longer = len(each[i][0].split()) - len(each[j][1].split())
            assert (longer > 4) == (i > j) and (longer < -4) == (i < j)
    assert np.abs(np.diff(wilson(0.75, 456)) / 2 - 0.04).max() < 0.001


def test_a_word_is_left_out_by_hand():
    """For shades that belong to the word beside."""
    city = {"Paris.": -1, "London.": 1}
    for text, changes in zip(answers, shaded):
        spoken = text.split()
        for i in (0, len(spoken) // 2, len(spoken) - 1):
            pair = PreferencePair(question, " ".join(spoken[:i] + spoken[i + 1:]), text)
            assert changes[i][0] == spoken[i] and abs(changes[i][1] - margins_of(model, [pair])[0]) < 1e-4
        [(name, change)] = [row for row in changes if row[0] in city]
        assert change * city[name] > 0.2 and np.median([abs(row[1]) for row in changes]) < abs(change) / 2


def test_the_mistakes_wherever_the_sliders_stand():
    """For a list that begins at the second, mixes up whose mistakes it holds, or exchanges the two answers."""
    own_list = sorted(margins[(gold > 1) & (margins < 0)])
    for rank, whose in ((1, 0), (25, 0), (2, 1), (25, 1)):
        figure, line = mistake(rank, whose)
        margin, gold_margin = map(float, re.findall(r"[+-]\d+\.\d", line))
        assert abs(margin - (own_list if whose else np.sort(margins))[rank - 1]) < 0.051
        words_shown = " ".join(text.get_text() for text in figure.axes[0].texts)
        first, second = re.split(r"rejected, gold reward \S+", words_shown)
        pair, = (pair for pair in test if first.startswith(pair.prompt)
                 and pair.chosen in first and pair.rejected in second)
        by_gold = [world.reward(pair.prompt, text) for text in (pair.chosen, pair.rejected)]
        assert abs(by_gold[0] - by_gold[1] - gold_margin) < 0.051


def test_abroad():
    """Three quarters of the way to a coin, the confidence a good half as far, and an interval of whole currencies."""
    home, away = ((each > 0).mean() for each in (margins, there))
    assert 0.65 < (home - away) / (home - 0.5) < 0.85 and len(set(currency_of)) == 16
    surer = evaluation.confidences(margins / T).mean() - evaluation.confidences(there).mean()
    assert 0.5 < surer / (home - away) < 0.7
    widths = {name: np.ptp(conservative_interval(there[facts] > 0, unit[facts])) for name, unit in units.items()}
    assert widths["currencies"] > 1.4 * widths["pairs"] and (there[facts] > 0).mean() < 0.58
    few = np.array(currency_of)[facts]
    assert np.ptp(evaluation.clustered_bootstrap(there[facts] > 0, few)) < widths["currencies"]


def test_leads_over_the_rules():
    """For a table of people's choices whose rows are exchanged; and the rule's answer for MiniLM."""
    for name, seeds in leads.items():
        for (lead_of, low_end, high_end), seed in zip(seeds, people, strict=True):
            row = seed["against"][name]
            assert abs(lead_of - (row["only_model"] - row["only_baseline"]) / seed["pooled"]["pairs"]) < 0.01
            assert low_end < lead_of < high_end and seed["pooled"]["pairs"] == 1813
            assert (row["p_value"] < 0.05 and low_end > 0) == (name in ("longer", "shorter"))
            assert not (row["p_value"] < 0.05 / 4 and high_end < 0)
    ends = [one["pooled"][f"clustered_{end}"] for one in people for end in ("low", "high")]
    assert f"{min(ends):.2f}" == "0.60" and f"{max(ends):.2f}" == "0.65"
    highs = [100 * row[2] for name in ("bag of words", "bag of words, no prompt") for row in leads[name]]
    assert round(min(highs)) in (2, 3) and round(max(highs)) == 5


def test_the_three_verdicts():
    told = [compare(each, test, rivals)["usable"] for each in trials.values()]
    assert [each["answer"] for each in told] == ["usable", "not usable", "not shown to be usable", "usable"]
    assert list(trials)[-1] == "the biased copy" and "not about length, calibration" in told[-1]["why"]


def test_what_holds_is_tested_by_the_bounds_that_it_tells():
    """Against a bound that is looser than its sentence."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of
    from claim_bounds import weak_claims

    code = code_of("07_evaluation.ipynb")
    assert [each for source in code for each in weak_claims(source)] == []


def test_the_sliders_reach_these_ends():
    """Against an end or a step that shows in no stored output."""
    sys.path.insert(0, "../tests/helpers")
    from live_sliders import ends

    assert ends() == {"gap (points)": (0.5, 8, 0.5), "disagree on (%)": (4, 36, 2), "temperature T": (0.25, 4, 0.05),
                      "rank": (1, 25, 1), "whose (0 all, 1 the model's own)": (0, 1, 1)}


def own_pairs_judged(keys):
    """What the cell that runs where RMLIB_PAIRS is set prints of 4,001 pairs with such keys, and the calls it makes."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of

    code = code_of("07_evaluation.ipynb")
    calls = []
    names = {name: lambda *given, come=come: calls.append(given) or come for name, come in {
        "human_pairs": SimpleNamespace(pairs=[*range(4001)]), "split_by_conversation": ("ours", "held"),
        "null_baselines": {"a rule": np.array([1.0, -1.0, 0.0, 2.0])}, "conversation_keys": keys}.items()}
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(next(each for each in code if each.startswith("found = human_pairs")), globals() | names)
    return out.getvalue(), calls[2:]


def test_a_readers_own_pairs_are_judged():
    """Three conversations are too few; of four and more a fifth is held out."""
    assert own_pairs_judged([*"aabcc"]) == ("too few conversations (3) to hold any out\n", [])
    said, calls = own_pairs_judged([*"abcd"])
    assert calls == [([*range(4000)], 0.2), ("ours", "held"), ("held",)]
    low, high = evaluation.clustered_bootstrap(np.array([1.0, 0.0, 0.5, 1.0]), [*"abcd"])
    assert said == f"{'a rule':<24}0.625 ({low:.3f} to {high:.3f})\n"


def test_the_copies_learned_from_the_labels_that_they_are_called_by():
    """Against other pairs or a copy of another start, where the cell has room."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of, printed

    code = code_of("07_evaluation.ipynb")
    given = []
    told = printed(code, "biased, control = (", globals(), copy=SimpleNamespace(deepcopy=lambda each: (each, "copied")),
                   trained=lambda pairs, start: given.append((pairs, start)) or len(given),
                   margins_of=lambda copied, pairs: np.array([1.0, -1.0, -1.0, -1.0]) * (1 if copied == 1 else -1))
    labels = [world.pairs(2000, "train", seed=1, annotator=person) for person in (likes_length, Annotator())]
    assert given == [(pairs, (model, "copied")) for pairs in labels] and likes_length == Annotator(length_bias=1.5)
    assert "\nbiased copy accuracy on honest labels 0.25\nhonest copy accuracy on honest labels 0.75\n" in told


def test_his_error_by_hand():
    """Against another mistake than the two that exercise 7.3 looks for: shares of the first, edges from 0 to 1."""
    few, p_of_few = np.array([-2.0, -1.9, 1.0, 50.0]), 1 / (1 + np.exp(-np.array([-2.0, -1.9, 1.0])))
    assert math.isclose(his_error(few, 4), (p_of_few[:2].sum() + 1 - p_of_few[2]) / 4, rel_tol=1e-9)
