"""The figures of an evaluation draw what they are given: margins, slices, words, and what notebook 07 finds."""

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba

from rmlib.course.plots import evaluation_lessons as lessons
from rmlib.evaluation import reliability
from rmlib.practice import figures
from rmlib.practice.style import CHOSEN, REJECTED

MARGINS = np.random.default_rng(0).normal(0.8, 1.5, 600)


def line(axes, number):
    return np.array(axes.lines[number].get_xydata())


def markers(axes, marker="o"):
    """Points drawn alone with a marker, (N, 2)."""
    return np.array([each.get_xydata()[0] for each in axes.lines if each.get_marker() == marker])


def test_each_bin_has_its_dot_and_its_interval():
    left, right = figures.reliability_figure(MARGINS).axes
    rows = reliability(MARGINS)
    np.testing.assert_allclose(markers(left), [(row.confidence, row.accuracy) for row in rows])
    bars = [each.get_ydata() for each in left.lines if len(set(each.get_xdata())) == 1 and len(each.get_xdata()) == 2]
    np.testing.assert_allclose(bars, [(row.accuracy_low, row.accuracy_high) for row in rows])
    assert sum(bar.get_height() for bar in right.patches) == len(MARGINS)
    means = {each.get_label(): each.get_xdata()[0] for each in right.lines}
    assert means["share right"] == pytest.approx((MARGINS > 0).mean())
    assert means["mean confidence"] == pytest.approx((1 / (1 + np.exp(-np.abs(MARGINS)))).mean())
    assert len(right.lines) == 2 and [bar.get_x() for bar in right.patches[:2]] == pytest.approx([0.5, 0.5 + 1 / 30])
    [diagonal] = [each for each in left.lines if each.get_label() == "calibrated"]
    assert np.array_equal(diagonal.get_xydata(), [(0.5, 0.5), (1, 1)])
    assert (left.get_title(loc="left"), right.get_title(loc="left")) == ("share right", "pairs")
    assert left.get_xlabel() == right.get_xlabel() == "confidence"


def test_the_bins_are_as_many_as_asked_for():
    left, right = figures.reliability_figure(MARGINS, bins=5).axes
    assert len(markers(left)) == len(right.patches) == 5 and len(reliability(MARGINS, 5)) == 5
    np.testing.assert_allclose(markers(left), [(row.confidence, row.accuracy) for row in reliability(MARGINS, 5)])


@pytest.mark.parametrize("ties", [0, 60])
def test_margins_are_wrong_left_of_zero_and_right_beyond_it(ties):
    margins = np.concatenate([MARGINS, np.zeros(ties)])
    [axes] = figures.margins_figure(margins).axes
    height = {REJECTED: 0.0, CHOSEN: 0.0}
    for bar in axes.patches:
        middle = bar.get_x() + bar.get_width() / 2
        assert bar.get_height() == 0 or to_hex(bar.get_facecolor()).upper() == (CHOSEN if middle > 0 else REJECTED)
        height[to_hex(bar.get_facecolor()).upper()] += bar.get_height()
    assert height == {REJECTED: (MARGINS < 0).sum(), CHOSEN: (MARGINS > 0).sum()}
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    shares = [f"{name}: {count / len(margins):.1%}" for name, count in
              (("wrong", (MARGINS < 0).sum()), ("right", (MARGINS > 0).sum()))]
    assert labels == shares + (["ties: 9.1%"] if ties else [])
    widest = np.abs(MARGINS).max()
    assert axes.get_xlim() == pytest.approx((-widest, widest)) and line(axes, -1)[:, 0].tolist() == [0, 0]
    assert not ties or line(axes, 0).tolist() == [[0, 0], [0, ties]]
    assert (axes.get_title(loc="left"), axes.get_xlabel()) == ("pairs", "margin Δ")


def test_margins_that_are_all_ties_can_be_drawn():
    [axes] = figures.margins_figure(np.zeros(5)).axes
    assert "ties: 100.0%" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_fitted_line_has_the_slope_it_is_given():
    gold = MARGINS.round(1)
    [axes] = figures.learned_against_gold(gold, 0.5 * gold, 0.5).axes
    fitted = next(each for each in axes.lines if each.get_label() == "fitted line")
    np.testing.assert_allclose(fitted.get_ydata(), 0.5 * np.array(fitted.get_xdata()))
    np.testing.assert_allclose(line(axes, 0)[:, 1], 0.5 * gold)
    np.testing.assert_allclose(line(axes, 0)[:, 0], gold, atol=0.2)  # a little noise, lest dots hide one another
    diagonal = next(each for each in axes.lines if each.get_label() == "learned = gold")
    ends = [gold.min(), gold.max()]
    np.testing.assert_allclose([*diagonal.get_xdata(), *diagonal.get_ydata(), *fitted.get_xdata()], ends * 3)
    assert (axes.get_xlabel(), axes.get_title(loc="left")) == ("gold margin", "learned margin")
    [axes] = figures.learned_against_gold(gold, gold, 1.0, "reward").axes
    assert (axes.get_xlabel(), axes.get_title(loc="left")) == ("gold reward", "learned reward")


def test_slices_stand_in_order_from_the_top():
    rows = [("capitals", 1200, 0.8, 0.7, 0.9), ("books", 30, 0.6, 0.4, 0.8)]
    [axes] = figures.slices_figure(rows, 0.75).axes
    np.testing.assert_allclose(markers(axes), [(0.8, 1), (0.6, 0)])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["capitals (1,200)", "books (30)"]
    assert list(axes.get_yticks()) == [1, 0]
    np.testing.assert_allclose([line(axes, 0)[:, 0], line(axes, 2)[:, 0]], [[0.7, 0.9], [0.4, 0.8]])
    assert {each.get_label(): each.get_xdata()[0] for each in axes.lines[-2:]} == {"a coin": 0.5, "all pairs": 0.75}
    assert [text.get_text() for text in axes.figure.legends[0].get_texts()] == ["a coin", "all pairs"]
    assert [line(axes, number)[:, 1].tolist() for number in (0, 2)] == [[1, 1], [0, 0]]
    assert axes.get_title(loc="left") == "accuracy"
    [axes] = figures.slices_figure(rows, 0.75, "one world").axes
    assert axes.lines[-1].get_label() == "one world"
    assert [each.get_label() for each in figures.slices_figure(rows).axes[0].lines[4:]] == ["a coin"]


def test_words_are_shaded_by_what_the_reward_loses_without_them():
    words = [("Paris.", -2.0), ("The", 0.0), ("radio", 1.0)]
    [axes] = figures.occlusion_figure([("one", words), ("two", [("London", 0.5)])]).axes
    boxes = {text.get_text(): text.get_bbox_patch() for text in axes.texts}
    assert boxes["one"] is None
    strength = {word: to_rgba(box.get_facecolor())[3] for word, box in boxes.items() if box is not None}
    assert strength["The"] == 0 and strength["Paris."] > strength["radio"] > strength["London"] > 0
    assert strength["radio"] == pytest.approx(strength["Paris."] / 2, abs=0.01)  # of 255 steps
    colours = {word: to_hex(box.get_facecolor()).upper() for word, box in boxes.items() if box is not None}
    assert colours["Paris."] == colours["raises the reward by 2.0"] == CHOSEN
    assert colours["radio"] == colours["lowers it by 2.0"] == REJECTED


def test_a_text_without_words_is_one_line_with_the_next_right_below():
    [axes] = figures.occlusion_figure([("the prompt", ()), ("one", [("Paris.", -2.0)])]).axes
    rows = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert (rows["the prompt"], rows["one"], rows["Paris."]) == (0, 1, 2)


def test_long_texts_are_broken_between_words():
    words = [("word", 0.1)] * 40
    [axes] = figures.occlusion_figure([("long", words)]).axes
    places = [text.get_position() for text in axes.texts if text.get_text() == "word"]
    assert len(places) == 40 and len({row for _, row in places}) == 3
    assert max(column for column, _ in places) + len("word") <= figures.LINE


def test_the_dot_of_a_price_stands_where_the_sliders_are():
    gaps = np.array([0.01, 0.02])
    [axes] = lessons.price_of_a_gap(gaps, 100 / gaps, 200 / gaps, 0.2, (0.02, 5000.0)).axes
    np.testing.assert_allclose(markers(axes), [(2, 5000)])
    np.testing.assert_allclose(line(axes, 1), [(1, 10_000), (2, 5000)])
    np.testing.assert_allclose(line(axes, 2), [(1, 2_000), (2, 1000)])
    assert axes.get_xlim() == (0, 10), "a curve that ends early doesn't stretch the axis"


def test_marked_errors_stand_beside_the_perfect_ones():
    [axes] = lessons.perfect_models(np.full(50, 0.017), {"before": (0.03, REJECTED)}).axes
    assert line(axes, 0)[0, 0] == 0.03 and sum(bar.get_height() for bar in axes.patches) == 50


def test_a_temperature_moves_the_dots_and_the_mark():
    temperatures = np.geomspace(0.25, 4, 9)
    losses = np.logaddexp(0, -MARGINS[:, None] / temperatures).mean(axis=0)
    left, right = lessons.temperature(MARGINS, 2.0, temperatures, losses).axes
    np.testing.assert_allclose(markers(left), [(row.confidence, row.accuracy) for row in reliability(MARGINS / 2)])
    np.testing.assert_allclose(markers(right), [(2.0, np.interp(2.0, temperatures, losses))])


def test_offsets_are_removed_on_the_right():
    prompts, gold = np.repeat(np.arange(5), 4), MARGINS[:20]
    left, right = lessons.offsets(gold, gold + 7 * prompts, prompts).axes
    before, after = (np.asarray(panel.collections[0].get_offsets())[:, 1] for panel in (left, right))
    np.testing.assert_allclose(before, gold + 7 * prompts)
    np.testing.assert_allclose(after.reshape(5, 4).mean(axis=1), 0, atol=1e-12)


def test_the_colours_of_prompts_are_evenly_apart_whatever_their_offsets():
    prompts = np.repeat(np.arange(5), 4)
    left, _ = lessons.offsets(MARGINS[:20], 9.0 ** prompts, prompts).axes
    assert left.collections[0].get_array().tolist() == prompts.tolist()


def test_each_kind_of_pairs_has_a_histogram_of_its_own():
    [axes] = lessons.margins_of_kinds({"one": MARGINS[:30], "two": MARGINS[30:]}).axes
    heights = np.array([bar.get_height() for bar in axes.patches]).reshape(2, -1)
    assert heights.sum(axis=1).tolist() == [30, len(MARGINS) - 30]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one", "two"]


def test_a_taste_for_length_is_a_line_through_zero():
    extra = np.arange(-20, 21).repeat(5)
    rests = {"our model": 0.0 * extra, "biased": 0.15 * extra}
    [axes] = lessons.taste_for_length(extra, rests, {"our model": 0.0, "biased": 1.5}, 1.5).axes
    wanted, flat, flat_dots, tilted, tilted_dots = (line(axes, number) for number in range(5))
    np.testing.assert_allclose(wanted, tilted)
    np.testing.assert_allclose(tilted_dots[:, 1], 0.15 * tilted_dots[:, 0], atol=1e-12)
    assert not flat[:, 1].any() and not flat_dots[:, 1].any()


def test_slices_that_miss_the_whole_stand_out():
    [axes] = lessons.slices_by_lot([(0.7, 0.6, 0.8), (0.4, 0.3, 0.5), (0.9, 0.85, 0.95)], 0.7).axes
    assert markers(axes, "s")[:, 0].tolist() == [2, 3] and markers(axes)[:, 0].tolist() == [1]


def test_answers_of_equal_worth_stand_in_the_row_of_their_group():
    [axes] = lessons.same_worth({"capitals": np.array([1.0, 1.5, 3.5]), "books": np.array([0.5])}, 1.6).axes
    np.testing.assert_allclose(line(axes, 0)[:, 0], [1.0, 1.5, 3.5])
    assert [line(axes, number)[0].tolist() for number in (1, 3)] == [[2.0, 1], [0.5, 0]]  # means, each in its row
    assert np.abs(line(axes, 0)[:, 1] - 1).max() < 0.5 and abs(line(axes, 2)[0, 1]) < 0.5
    assert line(axes, 4)[0, 0] == 1.6


def test_a_weight_has_a_bar_for_either_side():
    [axes] = lessons.weights(["courtesy", "rudeness"], np.array([0.5, -0.8]), np.array([0.4, -0.2])).axes
    assert [bar.get_width() for bar in axes.patches] == [0.5, -0.8, 0.4, -0.2]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["courtesy", "rudeness"]


def test_a_lead_that_holds_zero_looks_unlike_one_that_does_not():
    rows = {"longer": [(0.18, 0.14, 0.22), (0.17, 0.13, 0.21)], "words": [(0.01, -0.01, 0.03), (-0.02, -0.05, -0.01)]}
    [axes] = lessons.leads(rows).axes
    np.testing.assert_allclose(np.sort(markers(axes)[:, 0]), [17, 18])
    np.testing.assert_allclose(np.sort(markers(axes, "s")[:, 0]), [-2, 1])
    ends = [line(axes, number) for number in range(0, 8, 2)]
    np.testing.assert_allclose([end[:, 0] for end in ends], [(14, 22), (13, 21), (-1, 3), (-5, -1)])
    assert [end[0, 1].round() for end in ends] == [1, 1, 0, 0] and ends[0][0, 1] > ends[1][0, 1]
    assert line(axes, 8)[0, 0] == 0 and [label.get_text() for label in axes.get_yticklabels()] == list(rows)
