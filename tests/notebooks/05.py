"""Guards of notebook 05: what its slider shows elsewhere, what its lines are called, and numbers its text tells."""

import re

import numpy as np
import torch


def test_each_head_shows_its_own_table():
    """A slider that is not used, block and head exchanged, or a table that is not the library's."""
    fresh = RewardModel(source)
    fresh.backbone.set_attn_implementation("eager")
    inputs = {name: tensor.cpu() for name, tensor in padded(fresh, [cities]).items()}
    with torch.no_grad():
        theirs = fresh.backbone(**inputs, position_ids=position_ids(inputs["attention_mask"]), output_attentions=True)
    berlin, france = here.index("berlin"), here.index("france")
    for block_, head in ((2, 3), (3, 4), (4, 1)):
        wanted = theirs.attentions[block_ - 1][1, head - 1].numpy()
        figure, said = one_head(block_, head)
        axes, drawn = figure.axes[0], np.asarray(figure.axes[0].images[0].get_array())
        real = len(here)
        assert np.allclose(drawn[:real], wanted[:real], atol=1e-5)
        assert axes.get_title(loc="left") == f"block {block_}, head {head}"
        assert [label.get_text() for label in axes.get_xticklabels()] == words
        assert re.fullmatch(r"'berlin' looks most at '(.*)', with a share of (.*)", said).groups() == (
            words[wanted[berlin].argmax()], f"{wanted[berlin].max():.2f}")
    assert abs(theirs.attentions[1][1, 2, berlin, france] - 0.8) < 0.05
    assert theirs.attentions[2][1, 3, 0].argmax() == france


def test_each_pooling_bears_its_own_name():
    """Names or sides exchanged in the figure of naive poolings."""
    drawn = {axes.get_title(loc="left"): {line.get_label(): line.get_ydata() for line in axes.lines}
             for axes in naive.axes}
    right_side, left_side = drawn["padding on the right"], drawn["padding on the left"]
    assert max(right_side["first token"]) < 1e-3 and max(left_side["last token"]) < 1e-3
    assert 0.3 < min(right_side["mean"][1:]) < min(right_side["last token"][1:]) < 0.42
    assert 0.08 < left_side["first token"][1] < 0.2 < 0.25 < left_side["mean"][1] < 0.35
    places = ["alone", "batch", *(f"+{extra}" for extra in PADS[1:])]
    assert all([label.get_text() for label in axes.get_xticklabels()] == places for axes in naive.axes)


def test_each_way_to_count_bears_its_own_name():
    """The two panels of the drift exchanged: counted by the mask nothing drifts; or chosen and rejected."""
    moved = {axes.get_title(loc="left"): [np.ptp(line.get_ydata()) for line in axes.lines] for axes in drift.axes}
    assert max(moved["position counted by the mask"]) < 1e-4 and min(moved["position = column"]) > 0.1
    alone = [line.get_ydata()[0] for line in drift.axes[0].lines]  # the chosen ones first, in their colour
    assert np.allclose(alone, np.ravel(score_pairs(opened, four)), atol=1e-5)


def test_each_change_bears_its_own_name():
    """Names exchanged among what moves a reward: margins are half as many, and two rows follow from each other."""
    for name, moved in changes.items():
        assert moved.size == (100 if "margin" in name or "other response" in name else 200)
    words_more = changes["two words more: reward"].reshape(2, -1)
    assert np.allclose(changes["two words more: margin"], words_more[0] - words_more[1], atol=1e-5)
    most = {name: np.abs(moved).max() for name, moved in changes.items()}
    coarse_ = most["bfloat16, batch of 1 or of 100"]
    assert 0.001 < coarse_ < 0.1 and coarse_ == min(list(most.values())[7:])
    others = (rewards(beside, model=narrow) - rewards(lengthy, model=narrow))  # chosen, which stayed as it was, first
    assert np.allclose(changes["the other response, prompt cut"], others[:100], atol=1e-6)
    assert not np.allclose(others[:100], others[100:], atol=1e-2)
    assert most["no [SEP] at the end: margin"] < most["two words more: margin"]
    assert [label.get_text() for label in moves.axes[0].get_yticklabels()] == list(changes)
    dots = [line for line in moves.axes[0].lines if len(line.get_xdata()) == 1]
    assert [dot.get_color() for dot in dots] == [dots[0].get_color()] * 7 + [dots[-1].get_color()] * 6
    assert dots[6].get_color() != dots[7].get_color()


def test_dots_and_lines_of_the_first_loss_are_what_they_are_called():
    """Measured and expected exchanged, or a marked size at another place."""
    [axes] = first_loss.axes
    lines = {line.get_linestyle(): line for line in axes.lines if len(line.get_xdata()) > 2}
    bands = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 2]
    assert np.allclose(bands, (0.02, 1 / np.sqrt(3 * 128)))
    assert [text.get_text() for text in axes.texts][:2] == ["ours, 0.02", "torch’s"]
    square = ((phi[:100] - phi[100:]) ** 2).sum(dim=1).mean().item()
    assert np.allclose(lines["--"].get_ydata(), lines["--"].get_xdata() ** 2 * square / 8)
    assert abs(np.interp(0.02, stds, measured) - 0.0011) < 0.0003


def test_each_hidden_token_bears_its_own_name():
    """Words that stand one place off below their bars, or shares and effects exchanged."""
    above, below = hidden_tokens.axes
    assert [label.get_text() for label in below.get_xticklabels()] == here[1:]
    shares_, effects_ = ([bar.get_height() for bar in axes.patches] for axes in (above, below))
    looked_at_, moved = looked_at_and_effects(inputs)
    assert np.allclose(shares_, looked_at_[1:], atol=1e-5) and np.allclose(effects_, moved[1:], atol=1e-4)


def test_the_text_tells_the_numbers_that_came():
    """Ties counted as wrong, a number of another model, or a run that is no longer what the sentences say."""
    margins_of_gold, extra = world.margins(many), [len(pair.rejected) - len(pair.chosen) for pair in many]
    assert abs(gold - (1 + np.sign(margins_of_gold)).mean() / 2) < 1e-9
    assert abs(shorter - (1 + np.sign(extra)).mean() / 2) < 1e-9
    assert {pair.prompt for pair in many} <= set(world.prompts("validation"))
    assert shorter + 0.15 < accuracy < gold and 0.04 < high - low < 0.1 and low < accuracy < high
    assert abs(accuracy - np.mean(np.subtract(*score_pairs(opened, many)) > 0)) <= 0.004
    judged_right = pair_accuracies(np.subtract(*score_pairs(opened, many)))
    assert np.allclose((low, high), clustered_bootstrap(judged_right, [pair.prompt for pair in many]), atol=0.005)
    assert abs(alike - np.corrcoef(np.subtract(*column), np.subtract(*counted))[0, 1]) < 1e-6
    assert abs(right[0] - accuracy) <= 0.004  # padded on the left, positions by the mask: the same model
    assert abs(off - np.abs(column - counted).mean() / np.std(counted)) < 1e-3 * off
