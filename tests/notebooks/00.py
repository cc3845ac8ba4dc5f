"""Guards of notebook 00, run in its kernel after its last cell."""

from pathlib import Path
from unittest.mock import patch

import numpy as np


def test_the_head_s_bias_is_left_out_of_the_optimizer():
    """Against an optimizer of all parameters; of one pair the bias's gradient is zero, so that no weight would tell."""
    given = []
    adam = torch.optim.Adam
    with patch.object(torch.optim, "Adam", lambda weights, lr: given.extend(weights) or adam(given, lr=lr)):
        five_epochs(RewardModel(settings.backbone).to(settings.device))
    assert len(given) == len(list(model.parameters())) - 1 and (1,) not in [weight.shape for weight in given]


def test_the_bound_that_the_cell_insists_on_is_the_one_that_the_page_states():
    """Against a weaker one: the loss may exceed log 2 - margin/2 by margin²/8 at most."""
    text = Path("00_start_here.ipynb").read_text(encoding="utf-8")
    assert "margin**2 / 8 + 2e-6" in text and text.count("margin**2 /") == 1


def test_each_loss_is_that_of_its_scores():
    """Against a history whose columns are exchanged, or scores read after the step."""
    for loss, good, bad in history:
        assert abs(loss - math.log1p(math.exp(bad - good))) < 1e-5
    assert history[-1][1] > history[0][1] and history[-1][2] < history[0][2]  # both scores moved, apart


def test_the_picture_names_the_curve_that_it_draws():
    """Against exchanged names, which cover few pixels."""
    left, right = plots.loss_and_scores(history).axes
    columns = {"chosen": 1, "rejected": 2}
    assert np.allclose(left.lines[1].get_ydata(), [row[0] for row in history])
    assert {text.get_text(): round(text.xy[1], 4) for text in right.texts} == {
        name: round(history[-1][column], 4) for name, column in columns.items()}
    for line, column in zip(right.lines, columns.values(), strict=True):
        assert np.allclose(line.get_ydata(), [row[column] for row in history])


def test_the_third_run_is_the_model_of_this_page():
    """Against runs whose columns are exchanged, and against a trained model that was scored before its training."""
    first_loss, mean, _, accuracy, _ = runs[2]
    assert abs(first_loss - history[0][0]) < 1e-4 and abs(mean - math.log(2)) < 0.03
    assert abs(accuracy - evaluate(model, held_out).accuracy) < 0.02


def test_the_first_losses_of_one_pair_are_spread_and_the_means_are_not():
    """Against a table that prints one number twice."""
    assert np.ptp(first_losses) > 0.2 > 0.05 > np.ptp(means)


def test_the_rule_and_the_limit_that_are_printed():
    """Against the longer for the shorter response, and a limit of other pairs."""
    lengths = np.array([(len(pair.chosen), len(pair.rejected)) for pair in held_out])
    wins = (lengths[:, 0] < lengths[:, 1]) + 0.5 * (lengths[:, 0] == lengths[:, 1])
    assert abs(shorter - wins.mean()) < 1e-12
    truth = [world.reward(pair.prompt, pair.chosen) - world.reward(pair.prompt, pair.rejected) for pair in held_out]
    assert abs(agreement - np.mean(np.array(truth) > 0)) < 0.01 < 0.05 < agreement - limit


def test_held_out_pairs_are_of_other_subjects_and_not_of_the_test_part():
    """Against pairs about capitals, and against the part that notebooks 06 and 07 keep."""
    kept = {pair.prompt for pair in world.pairs(2000, split="test", families=others)}
    assert not kept & {pair.prompt for pair in held_out}
    assert not any("capital" in pair.prompt for pair in held_out) and set(manners_decide) <= set(held_out)
