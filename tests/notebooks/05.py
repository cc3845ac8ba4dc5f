"""Guards of notebook 05: what its lines and bars are called, and numbers that its text tells."""

import contextlib
import io
import re
import sys

import numpy as np
import torch

from rmlib.course.world import realised_agreement
from rmlib.evaluation import length_baselines


def run_again(cell_id, **instead):
    """What a cell prints, run once more with `instead` for what it has of the page."""
    cells = json.loads(Path("05_reward_model.ipynb").read_text(encoding="utf-8"))["cells"]
    [source] = ["".join(cell["source"]) for cell in cells if cell["id"] == cell_id]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(source, globals() | instead)
    return out.getvalue()


def numbers_said(cell_id):
    """The numbers with a point that a cell prints; what it saves goes to a place of its own."""
    elsewhere = Path(tempfile.mkdtemp(dir=scratch.name)) / "saved"
    return [float(number) for number in re.findall(r"\d+\.\d+", run_again(cell_id, folder=elsewhere))]


def test_numbers_with_room_are_those_that_their_words_name():
    """A median for a mean, one side's rewards for both sides': less than the tolerance of the cell that prints them."""
    both = np.concatenate(score_pairs(opened, many))
    off_by, moved_by = np.abs(column - counted).ravel(), np.abs(after - before)
    right = [sum(c > r for c, r in zip(*each)) / 500 for each in (column, counted)]
    export_off = abs(judge_of(tokenizer.sep_token_id) - score_pairs(writer, [pair])[0][0])
    spread_of_writer = np.sqrt(np.var(np.concatenate(score_pairs(writer, many))))
    wrong = {}
    for cell_id, wanted in (
            ("05-taught", [np.sqrt(((both - both.mean()) ** 2).mean())]),
            ("05-column", [*right, off_by.sum() / 1000 / both.std()]),
            ("05-rendered", [np.sort(np.abs(before))[49:51].mean(), np.sort(moved_by)[49:51].mean(),
                             sum(one * other < 0 for one, other in zip(before, after)) / 100]),
            ("05-pad", [0.0, export_off / spread_of_writer])):
        found = numbers_said(cell_id)
        if not np.allclose(found, wanted, rtol=0, atol=0.052):
            wrong[cell_id] = found, wanted
    assert not wrong


def judge_of(pad):
    """The export's score of the page's first pair with `pad` for its padding token."""
    judge.config.pad_token_id = pad
    with torch.no_grad():
        return judge(padded(writer, [pair])["input_ids"][:1].cpu()).logits.item()


def test_by_hand_with_every_part():
    """Segments that are not looked up, a mask that hides nothing, a triangle the wrong way round."""
    large, given = of_full_size("bert")
    ours = transformer(large, **given)
    unhidden = torch.ones_like(given["attention_mask"])
    for name, other in (("token_type_ids", 1 - given["token_type_ids"]), ("attention_mask", unhidden)):
        changed = transformer(large, **given | {name: other})
        assert (changed - ours)[1, :15].abs().max() > 1e-3
    ids, later = given["input_ids"], given["input_ids"].clone()
    later[:, 9:] += 1
    first, second = (transformer(large, **given | {"input_ids": each}, causal=True) for each in (ids, later))
    assert (first[:, :9] - second[:, :9]).abs().max() == 0 < (first[:, 9:] - second[:, 9:]).abs().max()


def test_a_key_s_bias_does_nothing():
    """Where the softmax is, the text says so; a query's bias does something, and its gradient is not zero."""
    changed, sizes = copy.deepcopy(backbone).double(), {}
    layer, given = next(iter(layers_of(changed))), padded(opened, [pair])
    before = transformer(changed, **given)
    inputs = (embed(changed.embeddings, given["input_ids"], position_ids(given["attention_mask"]),
                    torch.zeros_like(given["input_ids"])), given["attention_mask"][:, None, None, :].bool())
    found = attend(*inputs, layer, backbone.config.num_attention_heads)
    for name, slope in zip(("key", "query"), torch.autograd.grad(
            (found * torch.randn_like(found)).sum(), [layer[name].bias for name in ("key", "query")])):
        with torch.no_grad():
            layer[name].bias += torch.randn_like(layer[name].bias)
        after = transformer(changed, **given)
        sizes[name], before = (slope.abs().max().item(), (after - before).abs().max().item()), after
    assert max(sizes["key"]) < 1e-10 and min(sizes["query"]) > 1e-3, sizes


def test_forty_lines_are_enough():
    import inspect

    pieces = (layer_norm, embed, linear, attend, feed_forward, block, transformer)
    assert sum(len(inspect.getsource(piece).strip().split("\n")) for piece in pieces) <= 50


def test_no_gradient_reaches_a_decoder_that_is_pooled_at_its_first_token():
    batch = padded(blind, [pair])
    loss = torch.nn.functional.softplus(-torch.sub(*blind(**batch).chunk(2))).mean()
    grown = torch.autograd.grad(loss, [blind.head.weight, blind.backbone.wte.weight])
    assert abs(loss.item() - np.log(2)) < 1e-6 and max(each.abs().max() for each in grown) < 1e-6


def test_fresh_heads_start_where_the_formula_says():
    assert abs(square - 22.9) < 0.5 and abs(excess(0.02) / (0.02**2 * square / 8) - 1) < 0.05
    fresh = torch.cat([RewardModel(str(EMBEDDED_BACKBONE)).head.weight.flatten() for _ in range(3)])
    assert abs(fresh.std().item() / 0.02 - 1) < 0.15


def test_one_pretraining_stands_out():
    """A pooling, an encoding or a set of pairs that is not the same for all."""
    right = {name: np.mean(np.subtract(*score_pairs(each, many)) > 0) for name, each in four.items()}
    assert 0.73 < right.pop("encoder, pretrained") < 0.81 and all(0.48 < share < 0.62 for share in right.values())
    assert [each.pooling for each in four.values()] == ["cls", "last", "cls", "last"]
    ids = [encode(each.tokenizer, held_out, each.encoding) for each in four.values()]
    assert all(np.array_equal(one.chosen, other.chosen) for rest in ids for one, other in zip(ids[0], rest))
    sizes = [sum(weight.numel() for weight in each.parameters()) for each in four.values()]
    assert 650_000 < min(sizes) <= max(sizes) < 750_000
    assert abs(length_baselines(many)["shorter"] - 0.52) < 0.005
    assert abs(realised_agreement(world.margins(many)) - 0.81) < 0.005


def test_each_pooling_bears_its_own_name():
    """Names or sides exchanged in the figure of naive poolings."""
    drawn = {axes.get_title(loc="left"): {line.get_label(): line.get_ydata() for line in axes.lines}
             for axes in naive.axes}
    right_side, left_side = drawn["padding on the right"], drawn["padding on the left"]
    assert max(right_side["first token"]) < 1e-3 and max(left_side["last token"]) < 1e-3
    assert 0.3 < min(right_side["mean"][1:]) < min(right_side["last token"][1:]) < 0.42
    assert 0.08 < left_side["first token"][1] < 0.2 < 0.25 < left_side["mean"][1] < 0.35
    places = ["alone", "batch", *(f"+{extra}" for extra in pads[1:])]
    assert all([label.get_text() for label in axes.get_xticklabels()] == places for axes in naive.axes)


def test_each_way_to_count_bears_its_own_name():
    """The two panels of the drift exchanged: counted by the mask nothing drifts; or chosen and rejected."""
    moved = {axes.get_title(loc="left"): [np.ptp(line.get_ydata()) for line in axes.lines] for axes in drift.axes}
    assert max(moved["position counted by the mask"]) < 1e-4 and min(moved["position = column"]) > 0.1
    first = [line.get_ydata()[0] for line in drift.axes[0].lines]  # the chosen ones first, in their colour
    assert np.allclose(first, np.ravel(score_pairs(opened, brief)), atol=1e-5)


def test_positions_by_column_lose_most_of_what_was_learnt():
    right, wrong = (np.mean(each[0] > each[1]) for each in (counted, column))
    assert wrong < right - 0.12 and 0.6 < np.abs(column - counted).mean() / spread < 1.2
    assert np.allclose(np.subtract(*counted), np.subtract(*score_pairs(opened, many)), atol=1e-4)


def test_each_change_bears_its_own_name():
    """Names exchanged among what moves a reward: margins are half as many, and two rows follow from each other."""
    changes = harmless | moving
    assert len(harmless) == 8 and len(changes) == 14
    for name, moved in changes.items():
        assert moved.size == (100 if "margin" in name or "other response" in name else 200)
    words_more = changes["two words more: reward"].reshape(2, -1)
    assert np.allclose(changes["two words more: margin"], words_more[0] - words_more[1], atol=1e-5)
    most = {name: np.abs(moved).max() for name, moved in changes.items()}
    coarse_ = most["bfloat16, batch of 1 or of 100"]
    assert 0.001 < coarse_ < 0.1 and coarse_ == min(most[name] for name in moving)
    assert coarse_ > 10 * max(most[name] for name in harmless)
    assert most["no [SEP] at the end: margin"] < most["two words more: margin"]
    assert [label.get_text() for label in moves.axes[0].get_yticklabels()] == list(changes)
    dots = [line for line in moves.axes[0].lines if len(line.get_xdata()) == 1]
    assert [dot.get_color() for dot in dots] == [dots[0].get_color()] * 8 + [dots[-1].get_color()] * 6
    assert dots[7].get_color() != dots[8].get_color()


def test_what_was_tested_has_met_padding():
    """A copy that leaves padding out, as on a CPU, would pass whatever padding did."""
    from rmlib.model import unpadded

    assert not unpadded.applies(tested.backbone, torch.device("cpu"))
    assert padded(tested, held_out)["attention_mask"].float().mean() < 0.7
    assert np.allclose(alone, np.ravel(score_pairs(model, held_out)), atol=1e-5)


def test_padding_of_the_test_is_17_columns_on_the_left():
    """A claim that other padding would make true as well."""
    asked = []

    def recorded(model, pairs, *how, **more):
        asked.append((len(pairs), *how, *more.items()))
        return padded_rewards(model, pairs, *how, **more)

    run_again("05-tested", padded_rewards=recorded)
    assert asked == [*[(1,)] * 100, (100, "left", ("extra", 17))]


def test_what_is_loaded_can_be_told_from_another_model():
    """A claim that compares a model with itself: with other weights than were saved, both claims have to fail."""
    class Another(RewardModel):
        @classmethod
        def from_pretrained(cls, folder):
            return RewardModel(str(EMBEDDED_BACKBONE), max_length=64)

    claims = {}
    run_again("05-saved", RewardModel=Another, holds=claims.__setitem__)
    assert [bool(np.all(claim)) for claim in claims.values()] == [False, False]


def test_a_template_costs_what_the_text_says():
    assert 0.2 < np.mean(before * after < 0) < 0.4 and templated.encoding.rendering == "template"
    assert 0.4 < np.median(np.abs(after - before)) / np.median(np.abs(before)) < 1.3


def test_pads_and_sigmoids_are_what_they_are_called():
    assert judge.config.pad_token_id == tokenizer.sep_token_id == 3 and off > 0.2
    assert two.tolist() == [1.0, 1.0] or min(two) > 0.9999999
    assert abs(pipe([text])[0]["score"] - 1 / (1 + np.exp(-reward))) < 1e-6


def test_the_word_that_is_cut_is_cut_so():
    assert tokenizer.tokenize("unhelpful")[:3] == ["u", "##n", "##h"]


def test_what_holds_is_tested_by_the_bounds_that_it_tells():
    """Against a bound that is looser than its sentence."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of
    from claim_bounds import weak_claims

    code = code_of("05_reward_model.ipynb")
    assert [each for source in code for each in weak_claims(source)] == []


def test_each_number_of_a_cell_with_room_is_the_one_that_it_is_called():
    """Against another side, a column more and other arguments, by numbers that tell them apart."""
    sys.path.insert(0, "../tests/helpers")
    from cells_again import code_of, printed

    code = code_of("05_reward_model.ipynb")
    from unittest.mock import patch


    asked_for = []

    def told_apart(pairs, extra, counted):
        asked_for.append((len(pairs), extra, counted))
        return np.array(([3.0, 1.0, 1.0, 5.0] if counted else [1.0] * 4) + [0.0, 2.0, 3.0, 4.0])

    told = printed(code, "column, counted = (rewards_at", globals(), rewards_at=told_apart, spread=0.5)
    assert asked_for == [(500, 0, False), (500, 0, True)] and len(held_out) == 100
    assert told == "right: 0.25 by column, 0.50 by the mask; off by 1.5 standard deviations\n"
    told = printed(code, "before = margins(alone)", globals(), margins=lambda x: x,
                   alone=np.array([2.0, -2.0, 2.0, 2.0]),
                   padded_rewards=lambda model, pairs: np.array([5.0, 5.0, 5.0, 7.0]))
    assert "the median margin is 2.0 in size, the median move 4.0\nanother order: 0.25 of the pairs\n" in told
    with patch.object(torch, "sigmoid", lambda x: asked_for.append(x.tolist()) or x):
        printed(code, "rewards 18 and 25 become", globals(), pipe=lambda texts: [{"score": 0.5}])
    assert asked_for[-1] == [18, 25]
