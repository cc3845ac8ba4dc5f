"""Guards of notebook 05: what its lines and bars are called, and numbers that its text tells."""

import contextlib
import io
import re
import sys

import numpy as np
import torch

from rmlib.course.world import realised_agreement
from rmlib.evaluation import length_baselines

sys.path.insert(0, "../tests/helpers")
from cells_changed import all_hold, cell_of, names_after  # noqa: E402


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


def test_the_hint_s_experiment_tells_the_two_attentions_apart():
    """A token's value reaches all rows, unless heads are cut across tokens; its query reaches its own row in both."""
    cells = {each["id"]: "".join(each["source"])
             for each in json.loads(Path("05_reward_model.ipynb").read_text(encoding="utf-8"))["cells"]}
    written = {}
    for cell_id in ("05-ex1", "05-ex1-answer"):
        exec(re.search(r"```python\n(.*?)```", cells[cell_id], re.DOTALL)[1], {"np": np}, written)
    assert "`value`: all rows" in cells["05-ex1-answer"]
    tokens, seen = np.random.default_rng(0).normal(size=(3, 1, 5, 8)), np.ones((1, 5), bool)
    for name, each in written.items():
        for changed in range(5):
            other = tokens.copy()
            other[2, 0, changed] += 1
            rows = np.abs(each(*other, seen, 2) - each(*tokens, seen, 2)).max(-1)[0] > 1e-9
            assert rows.all() == (name == "attention" or changed == 2), (name, changed)


def test_large_scores_do_not_overflow():
    """Against an exponential of the scores as they are: the text takes each row's largest away."""
    loud = copy.deepcopy(backbone)
    with torch.no_grad():
        next(iter(layers_of(loud)))["query"].weight *= 1e4
    assert transformer(loud, **padded(opened, [pair])).isfinite().all()


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


def test_the_class_draws_matrices_at_random_and_sets_the_rest():
    """Biases and norms are as they always begin: 28 of the 72 tensors that it did not find differ between two loads."""
    (one, how), (other, _) = (library.from_pretrained(folder, **options) for _ in range(2))
    drawn = [name for name in how["missing_keys"] if not torch.equal(one.state_dict()[name], other.state_dict()[name])]
    assert len(how["missing_keys"]) == len(one.state_dict()) and len(drawn) == 28
    assert {name for name in how["missing_keys"] if one.state_dict()[name].dim() == 2} == set(drawn)


def test_a_template_costs_what_the_text_says():
    assert 0.2 < np.mean(before * after < 0) < 0.4 and templated.encoding.rendering == "template"
    assert model.tokenizer.chat_template is None and model.encoding.rendering != "template"
    assert 0.4 < np.median(np.abs(after - before)) / np.median(np.abs(before)) < 1.3


def test_pads_and_sigmoids_are_what_they_are_called():
    assert judge.config.pad_token_id == tokenizer.sep_token_id == 3 and off > 0.2
    assert two.tolist() == [1.0, 1.0] or min(two) > 0.9999999
    assert abs(pipe([text])[0]["score"] - 1 / (1 + np.exp(-reward))) < 1e-6


class OffBy:
    """A model that gives what another one does, but for one number."""

    def __init__(self, model, off):
        self.__dict__["model"], self.__dict__["off"] = model, off

    def __getattr__(self, name):
        return getattr(self.model, name)

    def __call__(self, **given):
        out = copy.deepcopy(self.model(**given))
        getattr(out, "last_hidden_state", out)[-1, ...].view(-1)[-1] += self.off
        return out


def test_each_claim_fails_where_one_entry_is_wrong():
    """Against the mean, the median or the least of what is claimed of all."""
    names, page = globals(), "05_reward_model.ipynb"
    for off in (2e-5, -2e-5):
        with torch.no_grad():
            assert largest_difference(OffBy(backbone, off), padded(opened, [pair], "left")) > 1.5e-5
            assert not all_hold(cell_of(page, "05-reward"), names, opened=OffBy(opened, off))
    kept = {side: {name: [0.0] * 5 for name in POOLINGS} for side in ("right", "left")}
    for side, name, at in [("right", "mean", 4), ("left", "first token", 1), ("right", "last token", 2)]:
        one_turned = copy.deepcopy(kept)
        one_turned[side][name][at] = 0.002
        assert not all_hold(cell_of(page, "05-poolings"), names,
                            orders_turned=lambda *_, found=one_turned: ({}, found))
    assert all_hold(cell_of(page, "05-poolings"), names, orders_turned=lambda *_: ({}, kept))
    least = 1.1e-5 * max(1, np.abs(alone).max())
    for at, off in ((0, least), (5, -least)):
        one_moves = {f"{n}": np.array([0.0] * 4 + [(n == at) * off]) for n in range(8)}
        assert not all_hold(cell_of(page, "05-changes"), names, what_moves=lambda *_, found=one_moves: (found, {}))
    rewards = iter([np.zeros(2)] * 100 + [np.array([0.0] * 199 + [-1.1e-5])])
    assert not all_hold(cell_of(page, "05-tested"), names, padded_rewards=lambda *_, **__: next(rewards))


def test_what_is_damaged_is_what_is_told():
    """Against more than one bit, and a head of another size than the saved one's."""
    from safetensors.torch import load

    copied, seen = Path(tempfile.mkdtemp(dir=scratch.name)), []
    weights, right = copied / "model.safetensors", (folder / "model.safetensors").read_bytes()
    for each in folder.iterdir():
        (copied / each.name).write_bytes(each.read_bytes())
    for cell_id in ("05-bit", "05-damage"):
        names_after(cell_of("05_reward_model.ipynb", cell_id), globals(), folder=copied, weights=weights,
                    refusal=lambda _: seen.append(weights.read_bytes()))
    bits = [bin(one ^ other).count("1") for one, other in zip(right, seen[0], strict=True) if one != other]
    assert bits == [1]
    whole, (sign, headless, as_it_was) = load(right), map(load, seen[1:])
    assert torch.equal(sign.pop("head.weight"), -model.head.weight.cpu()) and sign.keys() == headless.keys()
    assert whole.keys() == as_it_was.keys() == {*headless, "head.weight"}
    assert all(torch.equal(whole[name], each[name]) for each in (sign, headless, as_it_was) for name in each)
    assert not stranger.training  # dropout would tell two loads apart as well


def test_what_is_compared_is_as_much_as_the_claim_says():
    """Against two pairs for a hundred, half of the held-out ones, and two loads that may be alike."""
    from types import SimpleNamespace

    page, elsewhere, scored = "05_reward_model.ipynb", Path(tempfile.mkdtemp(dir=scratch.name)), []
    names_after(cell_of(page, "05-saved"), globals(), scratch=SimpleNamespace(name=elsewhere),
                score_pairs=lambda _, pairs: scored.append(pairs))
    assert scored == [held_out] * 2 and len(held_out) == 100
    told = run_again("05-trained", teach=lambda *_: None,
                     score_pairs=lambda _, pairs: scored.append(pairs) or ([1, 2, 0, 4], [0, 3, 1, 0]))
    assert scored[2:] == [many] * 4 and len(many) == 500 and told.count("right on 0.50 of 500 held-out pairs") == 4
    same = SimpleNamespace(from_pretrained=lambda *_, **__: (stranger, {"missing_keys": []}))
    twice = cell_of(page, "05-stranger").replace("library = ", "_ = ")
    assert not all_hold(twice, globals(), library=same)


def test_four_models_are_taught_as_the_text_says():
    """Against names of loaded and drawn weights that are exchanged, more epochs, fewer pairs, or pairs held out."""
    page, asked, taught = "05_reward_model.ipynb", [], []
    made = names_after(cell_of(page, "05-readers"), globals(),
                       small_reader=lambda *how: asked.append(how) or how)["four"]
    assert made["encoder, pretrained"] is opened and len(asked) == 3
    for name, how in made.items():
        if how is not opened:
            assert how == ((EMBEDDED_BACKBONE, "cls") if "encoder" in name else (POLICY, "last")) + (
                "pretrained" in name,)
    learner = names_after(cell_of(page, "05-teach"), globals(), train=lambda *how, **more: taught.append(how),
                          learning_rate_for={str(EMBEDDED_BACKBONE): 0.125}.get)["teach"]
    learner(model)
    [(learning, lessons, recipe)] = taught
    assert learning is model and len({*lessons}) > 790 and len(lessons) == 800 and recipe.epochs == 1
    assert recipe == TrainingConfig(learning_rate=0.125, precision="fp32")  # the backbone's, not the small one's
    asked_in = {split: {*world.prompts(split)} for split in ("train", "validation", "test")}
    assert {each.prompt for each in lessons} <= asked_in["train"]
    assert {each.prompt for each in many} <= asked_in["validation"] - asked_in["test"] and {*held_out} <= {*many}


def test_another_family_of_backbones_is_taught_beside_the_one_that_is_opened():
    """Branches that the small profile does not take."""
    from types import SimpleNamespace

    page, elsewhere, given = "05_reward_model.ipynb", SimpleNamespace(backbone="elsewhere"), []
    for kind in ("distilbert", "bert", "gpt2"):
        found = names_after(cell_of(page, "05-opened"), globals(), settings=elsewhere,
                            config=SimpleNamespace(model_type=kind))
        assert (found["opened"] is model) == (kind != "gpt2") == (found["source"] == "elsewhere")
    assert found["source"] == str(EMBEDDED_BACKBONE) and found["tokenizer"] is found["opened"].tokenizer
    for each in (model, found["opened"]):
        names_after(cell_of(page, "05-taught"), globals(), settings=elsewhere, opened=each,
                    teach=lambda *how: given.append(how))
    assert given == [(model, "elsewhere")]


def test_numbers_of_drawn_things_are_those_of_the_text():
    """Against other sizes than the question's, a norm that can divide by zero, and a line elsewhere than at 1e-5."""
    assert keys.shape[1:] == (20, 64)
    rng = np.random.default_rng(1)
    products = (rng.normal(size=(4000, 1, 64)) * rng.normal(size=(4000, 20, 64))).sum(-1)
    for told, root in zip(numbers_said("05-root-drawn"), (1, 8), strict=True):
        powers = np.exp((products - products.max(1, keepdims=True)) / root)
        assert abs((powers.max(1) / powers.sum(1)).mean() - told) < 0.015
    plain = torch.nn.LayerNorm(2, eps=1e-12)
    narrow = torch.tensor([1e-6, -1e-6])
    assert torch.allclose(layer_norm(narrow, plain), plain(narrow)) and layer_norm(narrow, plain)[0] < 0.8
    [line] = [each for each in moves.axes[0].lines if each.get_linestyle() == "--"]
    assert list(line.get_xdata()) == [1e-5, 1e-5]
    assert [each.backbone.config._attn_implementation for each in (tested, writer)] == ["sdpa", "sdpa"]
    scattered = 0.02 * delta.mean(0).norm().item() / 2  # of the mean first loss, from head to head
    assert 0.005 < scattered < 0.02 and draws.shape[1] == 500


def test_the_changes_are_made_to_models_that_pad():
    """Against a model that leaves padding out, and one that stands for both."""
    given = []

    def recorded(*how):
        given.extend(how)
        return {"": np.zeros(1)}, {}

    names_after(cell_of("05_reward_model.ipynb", "05-changes"), globals(), what_moves=recorded)
    assert given[0] is tested and given[1] is writer and given[2] == held_out
    assert type(writer.backbone).__name__.startswith("GPT2") and model is not tested


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
