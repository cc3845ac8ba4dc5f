"""Figures of notebook 05: readable, inside the picture, and made of the numbers that they were given."""

import numpy as np
import pytest
from figure_rules import assert_readable
from matplotlib.container import BarContainer

from rmlib.course.plots import reward_model as figures
from rmlib.course.plots import reward_model_block as worked
from rmlib.course.plots import reward_model_padding as padding
from rmlib.practice import style

TOKENS = ["[CLS]", "what", "is", "capital", "?", "[SEP]", "berlin", ".", "[SEP]", "[PAD]", "[PAD]"]
MASK = np.array([[0, 0, 1, 1], [1, 1, 1, 1]])
POSITIONS = np.array([[0, 0, 0, 1], [0, 1, 2, 3]])
SHARES = np.eye(len(TOKENS))
SEEN = np.tile(np.arange(len(TOKENS)) < 9, (len(TOKENS), 1))
STDS = np.geomspace(0.002, 8, 9)
SMALL, LARGE = 3 * STDS**2, 2 * STDS - 0.7
EFFECTS = np.linspace(-1, 1, len(TOKENS))
MOVES = {side: {name: [0.0, 1.0 * i, 2.0 * i] for i, name in enumerate(padding.LOOKS)} for side in ("right", "left")}
BY_COLUMN = np.array([[[1.0, 0.0, 2.0, 1.0]], [[0.0, 0.5, -1.0, 0.0]]])  # (2, pairs, alone and 3 pads)
BY_MASK = np.ones((2, 1, 4)) * [[[0.2]], [[0.7]]]
KEYS, VALUES = np.array([[1, 0], [0, 0], [1, 2]]), np.array([[1, 0], [0, 1], [3, 2]])
CHANGES = {"on the right": np.array([1e-7, -2e-6, 0.0]), "swapped": np.zeros(3), "more words": np.array([-2.0, 1.0])}
COUNTS = {name: dict(zip(figures.PARTS, parts)) for name, parts in
          {"ours": (60, 20, 15, 4, 1), "another": (2e7, 3e7, 4.9e7, 1e6, 0)}.items()}

DRAWN = {
    "way": figures.the_way,
    "rows": lambda: figures.rows_of_a_batch([["[PAD]"] * 2 + ["a", "b"], ["a", "capital", "c", "d"]], MASK, POSITIONS),
    "attention": lambda: figures.attention(SHARES, TOKENS, "block 3, head 4"),
    "masks": lambda: figures.who_may_see_whom(TOKENS, {"encoder": SEEN, "decoder": np.tril(SEEN)}),
    "effect": lambda: figures.attention_and_effect(TOKENS, np.full(len(TOKENS), 0.1), EFFECTS),
    "first loss": lambda: figures.first_loss(STDS, np.minimum(SMALL, 2 * STDS), SMALL, LARGE,
                                             {"ours, 0.02": 0.02, "torch’s": 0.05}),
    "weights": lambda: figures.where_the_weights_are(COUNTS),
    "pooling": lambda: padding.naive_pooling(["alone", "batch", "+8"], MOVES),
    "drift": lambda: padding.drift([0, 4, 8], BY_COLUMN, BY_MASK),
    "one token": lambda: worked.one_token_looks(["capital", "of", "a"], np.array([1, 2]), KEYS, VALUES,
                                                np.array([0.7, 0.0, 3.5]), np.array([0.25, 0.0, 0.75])),
    "block": worked.one_block,
    "moves": lambda: padding.what_moves_a_reward(CHANGES, tolerance=1e-5, harmless=2),
}


@pytest.mark.parametrize("name", DRAWN)
def test_every_word_is_at_least_14_points_and_inside_the_picture(name: str):
    assert_readable(DRAWN[name]())


def test_padding_is_grey_and_every_token_has_its_position():
    axes = DRAWN["rows"]().axes[0]
    filled = [patch.get_facecolor()[:3] != (1, 1, 1) for patch in axes.patches]
    assert np.array_equal(np.reshape(filled, MASK.shape), MASK.astype(bool))
    numbers = [int(text.get_text()) for text in axes.texts if text.get_text().isdigit()]
    assert numbers == POSITIONS.ravel().tolist()


def test_a_row_of_attention_is_the_one_who_looks():
    axes = DRAWN["attention"]().axes[0]
    shares = np.zeros((len(TOKENS), len(TOKENS)))
    shares[6, 3] = 1
    [image] = figures.attention(shares, TOKENS, "").axes[0].images
    assert np.argwhere(image.get_array() == 1).tolist() == [[6, 3]] and image.get_clim() == (0, 1)
    assert [label.get_text() for label in axes.get_yticklabels()] == TOKENS
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("who looks", "at whom")


def test_what_may_not_be_seen_is_faint():
    encoder, decoder = (panel.images[0].get_array() for panel in DRAWN["masks"]().axes)
    assert np.array_equal(encoder > 0.5, SEEN) and np.array_equal(decoder > 0.5, np.tril(SEEN))


def test_bars_of_attention_and_effect_leave_the_first_token_out():
    above, below = DRAWN["effect"]().axes
    assert [bar.get_height() for bar in above.patches] == [0.1] * (len(TOKENS) - 1)
    assert [bar.get_height() for bar in below.patches] == pytest.approx(EFFECTS[1:])
    assert [label.get_text() for label in below.get_xticklabels()] == TOKENS[1:]


def test_the_line_for_large_margins_begins_where_it_means_something():
    *_, small, large, dots = DRAWN["first loss"]().axes[0].lines
    assert small.get_ydata() == pytest.approx(SMALL) and len(dots.get_ydata()) == len(STDS)
    assert large.get_ydata().min() > 0.5 and large.get_xdata()[-1] == STDS[-1]
    heights = {text.get_text(): text.get_position() for text in DRAWN["first loss"]().axes[0].texts}
    for name, drawn_line in (("Var(Δ)/8", small), ("E|Δ|/2 − log 2", large)):
        x, y = heights[name]
        assert 1 / 9 < y / np.interp(x, *drawn_line.get_data()) < 9, "each name is beside its own line"


def test_bars_are_divided_in_proportion_and_told_with_their_total():
    axes = DRAWN["weights"]().axes[0]
    bars = [bar for bar in axes.containers if isinstance(bar, BarContainer)]
    assert [bar.patches[0].get_width() for bar in bars[:5]] == pytest.approx([0.6, 0.2, 0.15, 0.04, 0.01])
    assert bars[4].patches[0].get_x() == pytest.approx(0.99)
    told = [text.get_text() for text in axes.texts]
    assert {"60%", "20%", "15%", "0.0 M", "100.0 M"} <= set(told) and "4%" not in told


def test_poolings_keep_their_colours_on_both_sides():
    right, left = DRAWN["pooling"]().axes
    for axes in (right, left):
        drawn = {line.get_label(): (line.get_color(), list(line.get_ydata())) for line in axes.lines}
        assert drawn == {name: (padding.LOOKS[name][0], MOVES["right"][name]) for name in padding.LOOKS}


def test_rewards_by_column_and_by_mask_share_an_axis_that_begins_with_the_response_alone():
    by_column, by_mask = DRAWN["drift"]().axes
    assert [line.get_ydata().tolist() for line in by_column.lines] == BY_COLUMN[:, 0].tolist()
    assert [line.get_color() for line in by_column.lines] == [style.CHOSEN, style.REJECTED]
    assert [line.get_ydata().tolist() for line in by_mask.lines] == [[0.2] * 4, [0.7] * 4]
    assert by_column.get_ylim() == by_mask.get_ylim() and by_mask.get_ylim()[0] < -1 and by_mask.get_ylim()[1] > 2
    alone, *pads = by_column.lines[0].get_xdata()
    assert alone < 0 and pads == [0, 4, 8] and by_column.get_xticklabels()[0].get_text() == "alone"


def test_what_one_token_takes_in_are_the_values_in_its_shares():
    axes = DRAWN["one token"]().axes[0]
    told = [text.get_text() for text in axes.texts]
    assert {"q = (1, 2)", "0.70", "0.25", "0.75", "(3, 2)", "(2.50, 1.50)"} <= set(told)
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.375, 0, 1.125])


def test_a_block_has_two_sums_and_a_norm_after_each():
    names = {text.get_text(): text.get_position()[0] for text in DRAWN["block"]().axes[0].texts}
    assert names["attention"] < names["feed-\nforward"] < names["norm"]
    both = [text.get_text() for text in DRAWN["block"]().axes[0].texts if text.get_text()]
    assert both.count("+") == both.count("norm") == both.count("what was there") == 2


def test_a_change_is_a_line_from_its_median_to_its_largest_move():
    axes = DRAWN["moves"]().axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_alpha()]
    assert [list(line.get_xdata()) for line in lines] == [[1e-7, 2e-6], [padding.FLOOR] * 2, [1.5, 2.0]]
    assert [line.get_color() for line in lines] == [style.CHOSEN, style.CHOSEN, style.REJECTED]
    upright, level = axes.lines[-2:]  # what should not be passed, and between the harmless two and the other
    assert upright.get_xdata() == [1e-5] * 2 and level.get_ydata() == [1.5] * 2
    assert [text.get_text() for text in axes.texts if 1e-5 < text.get_position()[0] < 2e-5] == ["1e-5"]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(CHANGES)
