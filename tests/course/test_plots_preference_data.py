"""The figures of notebook 04 draw what they are given, and the theory that they add beside it."""

import numpy as np
import pytest
from figure_rules import draw

from rmlib.course.plots import preference_data as figures
from rmlib.course.plots import preference_data_tokens as tokens

ROWS = {"longer": (0.45, 0.40, 0.48), "bag of words": (0.6, 0.57, 0.61)}


def lengths_of_bars(axes):
    return [bar.get_width() for bar in axes.patches]


def test_the_parts_of_a_reward_add_up_to_the_last_bar():
    [axes] = figures.gold_reward({"right": 1.6, "rude": -0.8}, {"right": -1.6, "rude": 0.0}).axes
    np.testing.assert_allclose(lengths_of_bars(axes), [1.6, -0.8, 0.8, -1.6, 0.0, -1.6])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["right", "rude", "gold reward"]


def test_the_dot_of_the_best_accuracy_is_as_high_as_the_mean_of_the_pairs():
    better = np.array([0.5, 0.6, 0.9, 0.9])
    left, right = figures.limits(better, np.array([0.5, 1.0]), np.array([0.8, 0.7]), here=1.0).axes
    shares, sorted_wins = left.lines[0].get_data()
    assert sorted_wins.tolist() == [0.9, 0.9, 0.6, 0.5] and (shares[0], shares[-1]) == (0, 100)
    assert [*left.lines[1].get_ydata(), *right.lines[1].get_ydata()] == pytest.approx([0.725] * 4)
    assert right.lines[2].get_xydata().tolist() == [[1.0, pytest.approx(0.725)]]
    assert left.get_ylim() == right.get_ylim(), "one height means one number on both sides"


@pytest.mark.parametrize("better", [[1.0, 1.0, 1.0, 0.8], [0.55, 0.5, 0.5]])
def test_the_word_at_the_mean_stays_beside_its_line(better):
    figure = figures.limits(np.array(better), np.array([0.5, 1.0]), np.array([0.8, 0.7]), here=1.0)
    draw(figure)
    left = figure.axes[0]
    word, box = left.texts[0].get_window_extent(), left.get_window_extent()
    assert box.x0 < word.x0 and word.x1 <= box.x1 + 1 and box.y0 < word.y0 and word.y1 < box.y1


def test_the_bell_is_a_normal_density_around_the_expected_agreement():
    samples = np.random.default_rng(0).normal(0.8, 0.01, size=500)
    [axes] = figures.realised(samples, 0.8, 0.01, ours=0.79).axes
    grid, height = axes.lines[0].get_xydata().T
    assert np.trapezoid(height, grid) == pytest.approx(1, abs=1e-3)
    assert grid[height.argmax()] == pytest.approx(0.8, abs=1e-3)
    assert [line.get_xdata()[0] for line in axes.lines[1:]] == [0.8, 0.79]


@pytest.mark.parametrize("p", [0.5, 0.63, 0.9])
def test_the_band_ends_where_all_pairs_are_equally_hard(p):
    agreement = p**2 + (1 - p) ** 2
    [axes] = figures.agreement_band({"here": (agreement, p)}, {"63%": 0.63}).axes
    highest, lowest = axes.lines[:2]
    assert np.interp(agreement, *highest.get_xydata().T) == pytest.approx(p, abs=0.02)  # steep at one half
    np.testing.assert_allclose(lowest.get_xdata(), lowest.get_ydata())
    mark = axes.lines[-1].get_xydata()
    np.testing.assert_allclose(mark, [[0.63, 0.63], [0.63, (1 + np.sqrt(0.26)) / 2]])


@pytest.mark.parametrize("limit, lines", [(None, [0.5]), (0.82, [0.5, 0.82])])
def test_each_rule_has_its_share_beside_a_coin_and_the_limit(limit, lines):
    [axes] = figures.intervals(ROWS, limit).axes
    assert [line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1][: len(lines)] == lines
    dots = next(line for line in axes.lines if line.get_marker() == "o")
    assert dots.get_xdata().tolist() == [0.45, 0.6]
    assert axes.yaxis_inverted(), "the first rule is at the top"


def test_a_leak_stands_beside_the_honest_split():
    """Splits exchanged, a draw left out, or a bar that is not the mean."""
    short = {"rows": {"memoriser": [-8, -12], "bag": [-16, -20]},
             "conversations": {"memoriser": [-31, -31], "bag": [-24, -30]}}
    [axes] = figures.leaks(short).axes
    for marker, side, (name, found) in zip("os", (-1, 1), short.items(), strict=True):
        lines = [line for line in axes.lines if line.get_marker() == marker]
        assert [line.get_ydata().tolist() for line in lines] == list(found.values()) and lines[0].get_label() == name
        assert all((side * (line.get_xdata() - place) > 0).all() for place, line in enumerate(lines))
    bars = sorted(bar.get_segments()[0][0][1] for bar in axes.collections)
    assert bars == [-31, -27, -18, -10]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["memoriser", "bag"]


def test_losses_are_drawn_as_they_are():
    [axes] = figures.stuck({"flat": [0.69, 0.69, 0.69], "falls": [0.7, 0.4]}).axes
    assert [line.get_ydata().tolist() for line in axes.lines] == [[0.69, 0.69, 0.69], [0.7, 0.4]]


def test_a_batch_is_drawn_token_by_token_under_one_another():
    rows = [[("[CLS]", "special"), ("hi", "prompt"), ("yes", "response")],
            [("[CLS]", "special"), ("a", "prompt"), ("[PAD]", "pad")]]
    [axes] = tokens.token_boxes(rows, {"mask": [1, 1, 0]}).axes
    boxes = [(round(box.get_x(), 6), box.get_width()) for box in axes.patches[:6]]
    assert boxes[:3] == boxes[3:], "one column, one width"
    assert all(x + width < after for (x, width), (after, _) in zip(boxes[:2], boxes[1:3])), "no two overlap"
    written = [text.get_text() for text in axes.texts]
    assert written[:6] == ["[CLS]", "hi", "yes", "[CLS]", "a", "[PAD]"] and written[6:10] == ["mask", "1", "1", "0"]
    assert {"special", "prompt", "response", "pad"} <= set(written)


def test_a_strip_has_colour_where_something_is_kept():
    kept = tokens.Kept(prompt=100, prompt_kept=(70, 100), response=20, response_kept=(0, 20))
    lost = tokens.Kept(prompt=100, prompt_kept=(0, 50), response=20, response_kept=(0, 0))
    [axes] = tokens.cuts({"ours": (kept, kept), "right": (lost, lost)}).axes
    spans = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert spans[:6] == [(0, 120), (70, 30), (100, 20)] * 2 and spans[6:12] == [(0, 120), (0, 50), (100, 0)] * 2


def test_the_share_of_pads_is_what_the_rectangles_have_too_much():
    assert tokens.padded([[3, 1], [5]]) == pytest.approx(1 - 9 / 11)
    assert tokens.padded([[4], [7]]) == 0


def test_a_picture_of_batches_counts_its_tokens_and_pads():
    batches = [[3, 1], [5]]
    left, right = tokens.padding({"one way": batches, "another": [[5, 3, 1]]}).axes
    drawn = np.asarray(left.images[0].get_array())
    tokens_drawn, pads_drawn = ((drawn == kind).sum() for kind in (1, 2))
    assert pads_drawn / (tokens_drawn + pads_drawn) == pytest.approx(tokens.padded(batches))
    assert left.get_title(loc="left") == "one way: 18% pads" and right.get_title(loc="left") == "another: 40% pads"


def test_intervals_reach_from_their_low_to_their_high_end():
    [axes] = figures.intervals(ROWS).axes
    [bars] = [lines for lines in axes.collections if len(lines.get_segments()) == len(ROWS)]
    ends = {name: segment[:, 0].tolist() for name, segment in zip(ROWS, bars.get_segments())}
    assert ends == {name: [pytest.approx(low), pytest.approx(high)] for name, (_, low, high) in ROWS.items()}
