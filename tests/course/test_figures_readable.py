"""Figures of notebooks 01, 02 and 04 can be read: no word is small, and none lies outside the picture."""

import numpy as np
import pytest
from figure_rules import assert_readable, draw

from rmlib.course.plots import bradley_terry as votes
from rmlib.course.plots import bradley_terry_limits as limits
from rmlib.course.plots import pairwise_loss as loss
from rmlib.course.plots import preference_data as data
from rmlib.course.plots import preference_data_tokens as tokens

GRID = np.linspace(-6, 6, 61)
SIGMOID = 1 / (1 + np.exp(-GRID))
LOSS = np.logaddexp(0, -GRID)
FALLING = 2.0 ** -np.arange(30)
WINS = np.zeros((6, 6))
WINS[[0, 1, 0, 2, 1, 2, 3, 4, 3, 5, 4, 5], [1, 0, 2, 0, 2, 1, 4, 3, 5, 3, 5, 4]] = 10
WINS[2, 3] = 1
RULES = dict.fromkeys(("longer", "shorter", "bag of words", "bag of words,\nno prompt"), (0.55, 0.52, 0.58))
SENTENCE = [("[CLS]", "special"), ("capital", "prompt"), ("paris", "response"), ("[SEP]", "special"), ("[PAD]", "pad")]
KEPT = tokens.Kept(prompt=400, prompt_kept=(100, 400), response=200, response_kept=(0, 200))
PATH = np.array([[5.0, 1.0], [4.0, 2.0]])

DRAWN = {
    "votes": lambda: votes.gap_and_votes(-1.5, np.arange(1000) < 182),
    "frequencies": lambda: votes.frequencies(GRID, SIGMOID, np.sin(GRID)),
    "two noises": lambda: votes.two_noises(GRID[30:], SIGMOID[30::-1], SIGMOID[30::-1]),
    "convergence": lambda: votes.convergence(FALLING, FALLING**2),
    "scores": lambda: votes.scores_against_truth(*np.linspace(-2, 2, 12).reshape(3, 4).round(1), list("ABCD")),
    "islands": lambda: votes.islands(WINS, np.arange(6.0), np.arange(6.0)),
    "runaway": lambda: votes.runaway(*np.outer([2.0, 1.0], np.arange(297)).reshape(2, 99, 3) * [1, -0.5, -1]),
    "power": lambda: limits.power_by_votes(np.arange(20, 300), np.linspace(0.2, 0.95, 280), np.linspace(0.2, 0.95, 280),
                                           194),
    "information": lambda: limits.information(GRID, SIGMOID * (1 - SIGMOID), 500, np.arange(5.0), np.ones(5) / 10),
    "mixture": lambda: limits.mixture(GRID, GRID, 2.0),
    "crowds": lambda: limits.crowds([("A over B", 0.9, 0.3, 0.6), ("C over D", 0.7, 0.2, 0.4)]),
    "cycle": lambda: limits.cycle(0.7),
    "elo": lambda: limits.elo(np.outer(1 - FALLING, np.arange(5)), np.arange(5.0), list("ABCDE")),
    "ties": lambda: limits.ties(GRID, [SIGMOID] * 3, [SIGMOID] * 3, [GRID, 1.1 * GRID]),
    "curve": lambda: loss.curve(GRID, LOSS),
    "one pair": lambda: loss.one_pair(-5.5),
    "bound": lambda: loss.upper_bound(GRID, LOSS, (GRID <= 0).astype(float)),
    "first loss": lambda: loss.initial_loss(np.array([0.5, 2.0]), np.array([0.72, 1.1]), (0.1, 0.69)),
    "disagreement": lambda: loss.disagreement(GRID, {20: 1e-9 * LOSS, 36: 0 * LOSS}, limit=1e-12),
    "ranges": lambda: loss.working_ranges({"log(sigmoid), float16": (-17.3, 8.3), "softplus, bfloat16": (-3e3, 88.7)}),
    "slopes": lambda: loss.slopes(GRID, {"−log(σ)": np.where(GRID < -3, np.nan, -0.5), "softplus": -SIGMOID}),
    "rounding": lambda: loss.rounding(GRID / 9 + 12, GRID / 9 + 12, 12, {1: 0.001, 12: 0.035, 40: 0.14}, spread=0.5),
    "risk": lambda: loss.risk(GRID, LOSS, 1.0, GRID, GRID / 2, here=2.0),
    "settling": lambda: loss.settling(np.arange(1, 31), {"plain": np.arange(30), "smoothed": 3 - FALLING}, (None, 3.0)),
    "centring": lambda: loss.centring({"λ = 0": PATH, "λ = 0.01": PATH - 1}),
    "gold reward": lambda: data.gold_reward({"correctness": 1.6, "rude": -0.8}, {"correctness": -1.6, "rude": 0}),
    "limits": lambda: data.limits(np.linspace(0.5, 1, 99), np.array([0.5, 1.0]), np.array([0.8, 0.7]), here=1.0),
    "realised": lambda: data.realised(np.linspace(0.78, 0.82, 99), 0.8, 0.01, ours=0.79),
    "agreement": lambda: data.agreement_band({"temperature 1": (0.68, 0.77)}, {"63%": 0.63}),
    "intervals": lambda: data.intervals(RULES, 0.82),
    "leaks": lambda: data.leaks({"by rows": {"memoriser": [-9, -12], "bag of words": [-16, -21]},
                                 "by conversation": {"memoriser": [-31, -30], "bag of words": [-24, -31]}}),
    "stuck": lambda: data.stuck({"the end is cut": [0.69] * 9, "the prompt is cut": 0.7 * FALLING}),
    "boxes": lambda: tokens.token_boxes([SENTENCE, SENTENCE], {"attention mask": [1, 1, 1, 1, 0]}),
    "cuts": lambda: tokens.cuts({"keep the response": (KEPT, KEPT), "cut on the right": (KEPT, KEPT)}),
    "padding": lambda: tokens.padding({"as they come": [[30, 10], [50, 20]], "sorted": [[10, 20], [30, 50]]}),
}


@pytest.mark.parametrize("name", DRAWN)
def test_every_word_is_at_least_14_points_and_inside_the_picture(name: str):
    assert_readable(DRAWN[name]())


def test_the_dot_of_a_gap_is_whole_at_both_ends():
    for gap in (-5.0, 5.0):
        left = votes.gap_and_votes(gap, np.zeros(1000, dtype=bool)).axes[0]
        [dot] = [line for line in left.lines if line.get_marker() == "o"]
        assert left.get_ylim() == (0, 1) and not dot.get_clip_on()


def test_the_axis_of_a_share_ends_at_one_and_its_legend_hides_no_bar():
    figure = limits.cycle(0.99)
    draw(figure)
    bars = figure.axes[1]
    assert bars.get_ylim() == (0, 1)
    assert not figure.legends[0].get_window_extent().overlaps(bars.get_window_extent())


def test_no_figure_of_these_notebooks_is_left_out():
    public = {function for module in (votes, limits, loss, data, tokens) for function in vars(module).values()
              if getattr(function, "__module__", "") == module.__name__ and hasattr(function, "__wrapped__")}
    assert len(public) == len(DRAWN)
