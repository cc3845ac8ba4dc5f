"""Guards of the side page on the encoder, which run in its kernel after the last cell."""

import re
import sys

import numpy as np
import torch


def test_each_head_shows_its_own_table():
    """A slider that is not used, block and head exchanged, or a row that is not the one named."""
    berlin = words.index("berlin")
    for block, head in ((2, 3), (3, 4), (4, 1)):
        wanted = told_again().attentions[block - 1][0, head - 1].numpy()
        figure, said = one_head(block, head)
        axes = figure.axes[0]
        assert np.allclose(axes.images[0].get_array(), wanted, atol=1e-5)
        assert axes.get_title(loc="left") == f"block {block}, head {head}"
        assert [label.get_text() for label in axes.get_xticklabels()] == words
        assert re.fullmatch(r"'berlin' looks most at '(.*)', with a share of (.*)", said).groups() == (
            words[wanted[berlin].argmax()], f"{wanted[berlin].max():.2f}")


def told_again():
    eager = copy.deepcopy(backbone)
    eager.set_attn_implementation("eager")  # RewardModel sets another
    with torch.no_grad():
        return eager(input_ids=row, attention_mask=torch.ones_like(row), output_attentions=True)


def test_where_berlin_looks_at_france():
    berlin, france = words.index("berlin"), words.index("france")
    most = shares[:, :, berlin, france].amax(1)  # the best head's share, by block
    assert most[0] < 0.1 and (most[1:] > 0.7).all()
    assert shares[1, :, berlin, france].argmax() == 2 and abs(shares[1, 2, berlin, france] - 0.8) < 0.05
    assert shares[2, 3, 0].argmax() == france


def test_each_hidden_token_bears_its_own_name():
    """Words that stand one place off below their bars, or shares and effects exchanged."""
    above, below = both.axes
    assert [label.get_text() for label in below.get_xticklabels()] == words[1:]
    heights = [[bar.get_height() for bar in axes.patches] for axes in (above, below)]
    assert np.allclose(heights, [looked_at[1:], effects[1:]], atol=1e-6)
    for at in (4, 11):
        hidden = row.clone()
        hidden[0, at] = tokenizer.mask_token_id
        with torch.no_grad():
            change = judge(hidden, torch.ones_like(row)) - judge(row, torch.ones_like(row))
        assert abs(change.item() - effects[at]) < 1e-4
    what, capital, france, berlin = (words.index(each) for each in ("what", "capital", "france", "berlin"))
    assert 0.2 < looked_at[what] < 0.3 and abs(effects[what]) < 0.06
    assert looked_at[capital] < 0.02 and abs(effects[capital]) > 0.15
    assert effects[france] < -0.2 and effects[berlin] > 0.2


def test_attention_and_effect_agree_weakly():
    assert ranks([3.0, 1.0, 4.0, 2.0]).tolist() == [2, 0, 3, 1]
    assert 0.1 < correlation < 0.3 and 0.2 < same_top < 0.5 and 0.02 < by_chance < 0.05


def test_errors_grow_by_units_only():
    for name, errors in off.items():
        assert len(errors) == 5 and 0.5 * units[name] < errors[0] < errors[-1] < 8 * units[name]


def test_first_losses_follow_both_lines():
    """Either line of the theory drawn for the other, or dots that are not the measured ones."""
    [axes] = first_loss.axes
    lines = {line.get_linestyle(): line for line in axes.lines if len(line.get_xdata()) > 2}
    bands = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 2]
    assert np.allclose(bands, (0.02, 1 / np.sqrt(3 * 128)))
    assert [text.get_text() for text in axes.texts][:2] == ["ours, 0.02", "torch’s"]
    square = (delta**2).sum(dim=1).mean().item()
    assert np.allclose(lines["--"].get_ydata(), lines["--"].get_xdata() ** 2 * square / 8)
    assert np.allclose(found[small < 0.02], small[small < 0.02], rtol=0.15) and abs(found[-1] / large[-1] - 1) < 0.1
    assert abs(np.interp(0.02, stds, found) - 0.0011) < 0.0003
    assert abs(scatter / (0.02 * delta.mean(0).norm() / 2) - 1) < 0.15


def test_both_numberings_of_roberta():
    assert first_position(roberta) == 2 and by_position[0] > 1 > 1e-5 > by_position[2]


def test_orders_move_what_the_text_says():
    assert moved(backbone, 0, nowhere) < 1e-5 < 0.1 < moved(decoder, -1, nowhere) < moved(backbone, 0, places)


def test_what_holds_is_tested_by_the_bounds_that_it_tells():
    """Against a bound that is looser than its sentence."""
    sys.path.insert(0, "../../tests/helpers")
    from cells_again import code_of
    from claim_bounds import weak_claims

    code = code_of("inside_the_encoder.ipynb")
    assert [each for source in code for each in weak_claims(source)] == []


def test_the_sliders_reach_these_ends():
    """Against an end or a step that shows in no stored output."""
    sys.path.insert(0, "../../tests/helpers")
    from live_sliders import ends

    assert ends() == {"block": (1, 4, 1), "head": (1, 4, 1)}
