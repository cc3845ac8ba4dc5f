"""Figures of notebook 06: readable, inside the picture, and made of the numbers that they were given."""

import numpy as np
import pytest
from figure_rules import assert_readable, draw

from rmlib.course.plots import training as figures
from rmlib.course.plots import training_limits as limits
from rmlib.practice import style

FALLING = np.linspace(0.7, 0.4, 20)
SEEN = 16 * np.arange(1, 21)
STUDY = [{"start": start, "pairs": pairs, "seed": seed, "accuracy": level + (0, 0, 0.03)[seed], "nll": 0.5}
         for start, level in (("pretrained", 0.74), ("random", 0.55)) for pairs in (256, 1024) for seed in range(3)]
SWEEP = [{"learning_rate": rate, "batch_size": batch, "nll": 0.45 + 100 * rate / batch}
         for rate in (2.5e-4, 5e-4, 1e-3) for batch in (8, 16, 32)]
GAP = 2.0**-12
ACCURACIES = [0.5, 0.7, 0.72, 0.69, 0.72]
LOOKS = [{"step": step, "accuracy": 0.5 + step / 200, "low": 0.45 + step / 200, "high": 0.56 + step / 200, "nll": 0.7}
         for step in (0, 10, 20)]

DRAWN = {
    "overfitting": lambda: figures.overfitting([0.7, 0.2, 0.05], {"right": FALLING, "another copy": [0.7] * 20}),
    "weights": lambda: figures.pair_weights([5, 5, 3, 1]),

    "swallowed": lambda: figures.swallowed(0.05, 0.05 + GAP * np.arange(9) / 4, np.full(9, 0.05), GAP),
    "far": lambda: figures.swallowed(0.05, 0.05 + GAP * np.arange(99), 0.05 + 2 * GAP * np.arange(99), GAP),
    "running": lambda: figures.running_loss(FALLING, 16, limit=0.39),
    "changes": lambda: limits.changes({"usual": [0.46, 0.46, 0.49], "no warm-up": [0.47, 0.49, 0.47],
                                       "dropout": [0.55]}),
    "sizes": lambda: limits.learning_curve(STUDY, 0.81, 0.80),
    "settings": lambda: limits.settings(SWEEP, 0.396),
    "variants": lambda: limits.variants({"usual": ([0.46, 0.46, 0.49], [0.45, 0.45, 0.48]),
                                         "target margins": ([0.55], [0.49])}),
    "stopping": lambda: limits.stopping([0, 8, 16, 24, 32], [0.69, 0.58, 0.5, 0.54, 0.51], ACCURACIES, 0.82, 2, 3),
    "human": lambda: limits.human_curve(FALLING, LOOKS, 16, 0.558),
}


@pytest.mark.parametrize("name", DRAWN)
def test_every_word_is_at_least_14_points_and_inside_the_picture(name: str):
    assert_readable(DRAWN[name]())


def test_a_running_mean_looks_back_only_and_no_further_than_its_window():
    values = np.array([1.0, 3.0, 5.0, 9.0])
    assert figures.smoothed(values, 2) == pytest.approx([1, 2, 4, 7])
    assert figures.smoothed(values, 9) == pytest.approx([1, 2, 3, 4.5])


def test_the_weights_of_a_mean_of_means_add_up_to_one_and_are_equal_inside_a_piece():
    heights = [bar.get_height() for bar in DRAWN["weights"]().axes[0].patches]
    assert sum(heights) == pytest.approx(1) and heights == pytest.approx([1 / 20] * 10 + [1 / 12] * 3 + [1 / 4])
    line = DRAWN["weights"]().axes[0].lines[0]
    assert line.get_ydata()[0] == pytest.approx(1 / 14)


def test_values_of_bfloat16_are_drawn_only_where_they_can_be_told_apart():
    near, far = DRAWN["swallowed"]().axes[0], DRAWN["far"]().axes[0]
    levels = [line.get_ydata()[0] for line in near.lines if line.get_color() == style.FAINT]
    assert np.diff(levels) == pytest.approx(GAP) and 0.05 in np.round(levels, 12)
    assert not [line for line in far.lines if line.get_color() == style.FAINT]


def test_the_line_of_a_learning_curve_goes_through_the_means_of_the_seeds():
    lines = {line.get_label(): line for line in DRAWN["sizes"]().axes[0].lines}
    assert lines["pretrained backbone"].get_ydata() == pytest.approx([0.75, 0.75])
    assert lines["random backbone"].get_ydata() == pytest.approx([0.56, 0.56])
    marks = [line for line in DRAWN["sizes"]().axes[0].lines if line.get_alpha()]
    assert sum(len(line.get_xdata()) for line in marks) == len(STUDY), "every run is drawn"


def test_the_best_setting_is_ringed_and_a_run_that_failed_is_left_out():
    failed = [*SWEEP, {"learning_rate": 2e-3, "batch_size": 8, "failed": "not finite"}]
    axes = limits.settings(failed, 0.396).axes[0]
    [ring] = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    best = curve(axes, "32 pairs a step").get_xydata()[0]
    assert ring.get_xydata().tolist() == [best.tolist()] and best[1] == pytest.approx(0.45 + 100 * 2.5e-4 / 32)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.00025", "0.0005", "0.001", "0.002"]


def test_no_dot_of_a_setting_hides_another():
    even = [row | {"nll": 0.45} for row in SWEEP]
    figure = limits.settings(even, 0.396)
    draw(figure)
    axes = figure.axes[0]
    places = [curve(axes, f"{batch} pairs a step").get_xdata() for batch in (8, 16, 32)]
    assert np.round(places).tolist() == [[0, 1, 2]] * 3, "nearest to its own rate"
    across = np.sort([axes.transData.transform((x, 0.45))[0] for x in np.ravel(places)])
    wide = curve(axes, "8 pairs a step").get_markersize() * figure.dpi / 72
    assert np.diff(across).min() > wide


def test_the_axis_of_a_running_loss_leaves_no_room_below_that_nothing_needs():
    assert figures.running_loss(FALLING, 16, limit=0.39).axes[0].get_ylim() == pytest.approx((0.3, 0.75))
    assert figures.running_loss(0.9 + FALLING, 16).axes[0].get_ylim()[1] > 1.6
    assert figures.running_loss([0.7, 0.05], 16, window=16).axes[0].get_ylim()[0] == 0
    low = figures.running_loss(FALLING, 16, limit=0.31).axes[0]
    assert low.get_ylim()[0] == pytest.approx(0.2), "the limit's name has room"


def test_the_two_limits_are_named_on_their_own_sides():
    higher = limits.learning_curve(STUDY, 0.806, 0.817).axes[0]
    heights = {text.get_text(): text.get_position()[1] for text in higher.texts}
    assert heights["gold reward, realised"] > 0.817 and heights["expected limit"] < 0.806
    heights = {text.get_text(): text.get_position()[1] for text in DRAWN["sizes"]().axes[0].texts}
    assert heights["expected limit"] > 0.81 and heights["gold reward, realised"] < 0.80


def curve(axes, label: str):
    [line] = [line for line in axes.lines if line.get_label() == label]
    return line


def test_every_run_of_each_change_is_drawn_and_the_line_is_the_usual_mean():
    axes = DRAWN["changes"]().axes[0]
    assert curve(axes, "no warm-up").get_xdata() == pytest.approx([0.47, 0.49, 0.47])
    assert set(curve(axes, "no warm-up").get_ydata()) == {1} and curve(axes, "dropout").get_xdata() == [0.55]
    assert axes.lines[-1].get_xdata() == pytest.approx([0.47, 0.47])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["usual", "no warm-up", "dropout"]


def test_losses_are_drawn_as_they_were_given():
    one, sixteen = DRAWN["overfitting"]().axes
    assert one.lines[0].get_ydata() == pytest.approx([0.7, 0.2, 0.05])
    assert curve(sixteen, "another copy").get_ydata() == pytest.approx([0.7] * 20)
    running = figures.running_loss(FALLING, 16, limit=0.39, window=64).axes[0]
    assert running.lines[0].get_xdata() == pytest.approx(SEEN)
    assert running.lines[0].get_ydata() == pytest.approx(figures.smoothed(FALLING, 4))
    assert running.lines[-1].get_ydata() == pytest.approx([0.39, 0.39])


def test_a_weight_is_drawn_as_it_was_given():
    axes = DRAWN["swallowed"]().axes[0]
    assert curve(axes, "float32").get_ydata() == pytest.approx(0.05 + GAP * np.arange(9) / 4)
    assert curve(axes, "bfloat16").get_ydata() == pytest.approx([0.05] * 9)


def test_every_run_of_each_variant_is_drawn_on_both_sides():
    left, right = DRAWN["variants"]().axes
    for axes, usual, targets in ((left, [0.46, 0.46, 0.49], [0.55]), (right, [0.45, 0.45, 0.48], [0.49])):
        assert curve(axes, "usual").get_xdata() == pytest.approx(usual)
        assert curve(axes, "target margins").get_xdata() == pytest.approx(targets)
        assert axes.lines[-1].get_xdata() == pytest.approx([np.mean(usual)] * 2)
    assert [label.get_text() for label in left.get_yticklabels()] == ["usual", "target margins"]
    assert left.get_xlim() == right.get_xlim(), "the two sides are compared"


def test_a_stopped_run_is_seen_up_to_its_end_and_the_kept_look_is_ringed():
    for axes, values in zip(DRAWN["stopping"]().axes, ([0.69, 0.58, 0.5, 0.54], ACCURACIES[:4]), strict=True):
        assert curve(axes, "seen").get_ydata() == pytest.approx(values)
        assert curve(axes, "seen").get_xdata() == pytest.approx([0, 8, 16, 24])
        assert curve(axes, "kept").get_ydata() == pytest.approx(values[2]) and curve(axes, "kept").get_xdata() == [16]
        assert curve(axes, "stopped here").get_xdata()[0] == 24


def test_the_human_curve_has_every_look_with_its_interval():
    left, right = DRAWN["human"]().axes
    assert curve(left, "held-out NLL").get_xdata() == pytest.approx([0, 160, 320])
    assert curve(left, "training loss").get_ydata() == pytest.approx(figures.smoothed(FALLING, 20))
    [bars] = right.containers
    line, _, [segments] = bars.lines
    assert line.get_ydata() == pytest.approx([0.5, 0.55, 0.6])
    ends = [segment[:, 1].tolist() for segment in segments.get_segments()]
    assert np.allclose(ends, [[0.45, 0.56], [0.5, 0.61], [0.55, 0.66]])


def test_a_mean_is_of_as_many_pairs_as_its_words_say():
    """1,024 pairs where the gold world is learnt, 320 of human choices: 64 steps of 16, and 20."""
    losses = np.arange(100.0)
    assert figures.running_loss(losses, 16).axes[0].lines[0].get_ydata()[-1] == pytest.approx(losses[-64:].mean())
    left, _ = limits.human_curve(losses, LOOKS, 16, 0.558).axes
    assert curve(left, "training loss").get_ydata()[-1] == pytest.approx(losses[-20:].mean())


def test_the_first_loss_of_an_overfitted_loop_stands_at_step_1():
    one, sixteen = DRAWN["overfitting"]().axes
    assert one.lines[0].get_xdata().tolist() == [1, 2, 3]
    assert curve(sixteen, "another copy").get_xdata().tolist() == list(range(1, 21))


@pytest.mark.parametrize("name, panel, named", [
    ("running", 0, {"log 2": np.log(2), "the gold reward's own loss": 0.39}),
    ("sizes", 0, {"expected limit": 0.81, "gold reward, realised": 0.80}),
    ("settings", 0, {"expected limit": 0.396, "log 2: a coin": np.log(2)}),
    ("stopping", 0, {"log 2": np.log(2)}), ("stopping", 1, {"gold reward": 0.82}),
    ("human", 0, {"log 2": np.log(2)}), ("human", 1, {"the shorter one": 0.558, "a coin": 0.5}),
    ("overfitting", 1, {}),
])
def test_a_level_bears_its_own_name(name, panel, named):
    """A limit drawn elsewhere, or named by another's words: lines thinner than a picture's tolerance."""
    axes = DRAWN[name]().axes[panel]
    levels = [line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]]
    assert sorted(levels) == pytest.approx(sorted(named.values()) or [np.log(2)])
    heights = {text.get_text().strip(): text.get_position()[1] for text in axes.texts}
    assert heights == pytest.approx(named, abs=0.011)  # a word stands a little above or below its line
