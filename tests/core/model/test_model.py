"""The reward model: what must not move a reward, pooling, the reference's own computation, saving and loading."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from tiny import configured, garbage, without
from torch import nn
from transformers import AutoModel, AutoTokenizer

from rmlib.encoding import collate, encode
from rmlib.evaluation import evaluate
from rmlib.files import sha256
from rmlib.model import RewardModel, compute_pairwise_loss, pool, score_pairs, score_pairs_distributed
from rmlib.model import saving as model_module
from rmlib.model.saving import CANARIES
from rmlib.pairs import PreferencePair

PAIRS = [
    PreferencePair("What is the capital of France?", "Paris.", "London, I think, though I do not know."),
    PreferencePair("Is 7 + 5 equal to 12?", "Yes", "no " * 30),
    PreferencePair([("user", "Hi"), ("assistant", "Yes?"), ("user", "Boil an egg?")], "Put it in boiling water.", "🙂"),
    PreferencePair("old " * 300, "the opposite of hot", "cold [PAD] <pad> </s> <|endoftext|>"),
    PreferencePair("a", "b", "c"),
]
architectures = pytest.mark.parametrize("name", tiny.ARCHITECTURES)
poolings = pytest.mark.parametrize("pooling", ["cls", "mean", "last"])


@pytest.fixture(scope="module")
def models():
    return {name: tiny.reward_model(name) for name in tiny.ARCHITECTURES}


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    """Backbone directories, by architecture."""
    root = tmp_path_factory.mktemp("backbones")
    return {name: tiny.save(name, root / name) for name in ("distilbert", "gpt2")}


@pytest.fixture
def saved(tmp_path):
    model = tiny.reward_model("bert", "mean")
    model.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def rewards(model, pairs=PAIRS, pad_side="right", extra=0):
    """(2P,) rewards from one batch, padded on one side, with `extra` columns more than needed."""
    batch = collate(encode(model.tokenizer, pairs, model.encoding), model.encoding, 0, pad_side)
    where = (extra, 0) if pad_side == "left" else (0, extra)
    batch = {key: nn.functional.pad(tensor, where) for key, tensor in batch.items()}
    # Whatever stands in the padding, it is masked.
    batch["input_ids"] = torch.where(batch["attention_mask"] == 1, batch["input_ids"], 6)
    with torch.no_grad():
        return model(**batch)


def assert_same(got, expected):
    bound = 1e-5 * np.maximum(1, np.abs(np.asarray(expected)))
    assert np.all(np.abs(np.asarray(got) - np.asarray(expected)) <= bound)


# What must not move a reward


@architectures
@poolings
def test_pad_side_and_pad_amount(name, pooling):
    model = tiny.reward_model(name, pooling)
    alone = torch.cat([rewards(model, [pair]) for pair in PAIRS]).view(-1, 2).T.flatten()  # hardly any padding
    if not (name in tiny.DECODERS and pooling == "cls"):
        assert alone.std() > 0.1  # else all the rest is blind
    for side in ("right", "left"):
        for extra in (0, 1, 37):
            assert_same(rewards(model, PAIRS, side, extra), alone)


@architectures
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_padded_batch_gives_the_same_rewards(models, name, attention):
    """What runs on a GPU, where padding goes through the backbone and is masked there."""
    model, expected = tiny.reward_model(name), rewards(models[name])
    model.backbone.set_attn_implementation(attention)
    for side in ("right", "left"):
        for extra in (0, 17):
            assert_same(rewards(model, PAIRS, side, extra), expected)


@architectures
def test_batch_size_and_order(models, name):
    model, backward = models[name], PAIRS[::-1]
    chosen, rejected = scores = score_pairs(model, PAIRS)
    assert scores.dtype == np.float32 and scores.shape == (2, len(PAIRS))
    for budget in (1, 300, 10**6):
        other = score_pairs(model, backward, token_budget=budget)
        assert_same(other[0][::-1], chosen)
        assert_same(other[1][::-1], rejected)


def test_the_token_budget_decides_how_many_forwards_there_are(models):
    """Wherever it is given: one pair at a time, or all at once."""
    model, calls = models["distilbert"], []
    hook = model.register_forward_pre_hook(lambda *_: calls.append(1))
    for score in (score_pairs, score_pairs_distributed, evaluate):
        for budget, forwards in ((1, len(PAIRS)), (10**6, 1)):
            calls.clear()
            score(model, PAIRS, token_budget=budget)
            assert len(calls) == forwards, (score, budget)
    hook.remove()


@architectures
def test_swapping_the_responses_negates_the_margin(models, name):
    swapped = [PreferencePair(pair.prompt, pair.rejected, pair.chosen) for pair in PAIRS]
    (chosen, rejected), (other, another) = score_pairs(models[name], PAIRS), score_pairs(models[name], swapped)
    assert_same(chosen - rejected, another - other)
    assert np.abs(chosen - rejected).max() > 0.1


@architectures
def test_real_positions_are_the_library_s_own_without_padding(models, name):
    model = models[name]
    [encoded] = encode(model.tokenizer, PAIRS[:1], model.encoding)
    row = torch.from_numpy(encoded.chosen).long()[None]
    types = torch.zeros_like(row)
    types[:, encoded.response_start :] = model.encoding.segment
    inputs = {"token_type_ids": types} if name == "bert" else {}
    with torch.no_grad():
        hidden = model.backbone(input_ids=row, attention_mask=torch.ones_like(row), **inputs).last_hidden_state
        expected = model.head(hidden[:, 0 if model.pooling == "cls" else -1]).item()
    assert_same(rewards(model, PAIRS[:1])[0], expected)


def test_dropout_is_off_while_scoring_and_the_mode_is_put_back(models):
    model = models["bert"].train()
    assert_same(score_pairs(model, PAIRS)[0], score_pairs(model, PAIRS)[0])
    assert model.training and model.backbone.training
    model.eval()


# Pooling


@pytest.mark.parametrize("mask", [[[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]])
def test_pooling_reads_the_mask(mask):
    mask = torch.tensor(mask)
    hidden = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    real = [hidden[i][mask[i].bool()] for i in range(2)]
    torch.testing.assert_close(pool(hidden, mask, "cls"), torch.stack([row[0] for row in real]))
    torch.testing.assert_close(pool(hidden, mask, "last"), torch.stack([row[-1] for row in real]))
    torch.testing.assert_close(pool(hidden, mask, "mean"), torch.stack([row.mean(0) for row in real]))


def test_a_misspelt_pooling_is_refused():
    with pytest.raises(ValueError, match="'CLS'"):
        pool(torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.long), "CLS")


def test_the_head_begins_small():
    torch.manual_seed(0)
    backbone, tokenizer = tiny.build("bert")
    heads = [RewardModel(backbone=backbone, tokenizer=tokenizer).head for _ in range(50)]
    weights = torch.cat([head.weight for head in heads])  # (50, 32)
    assert abs(weights.std().item() / 0.02 - 1) < 0.1  # of 1,600 draws: more than five standard errors
    assert not any(head.bias.item() for head in heads)


def test_the_mean_of_bfloat16_vectors_is_taken_in_float32():
    hidden = torch.ones(1, 301, 2, dtype=torch.bfloat16)
    hidden[:, 0] = 332
    mean = pool(hidden, torch.ones(1, 301, dtype=torch.long), "mean")
    assert mean.flatten().tolist() == pytest.approx([632 / 301] * 2, rel=1e-6)  # in bfloat16 632 / 300


def test_auto_pooling_is_cls_for_encoders_and_last_for_decoders(models):
    found = {name: model.pooling for name, model in models.items()}
    assert found == {"distilbert": "cls", "bert": "cls", "roberta": "cls", "gpt2": "last", "llama": "last"}


@pytest.mark.parametrize("name", tiny.DECODERS)
def test_cls_of_a_decoder_has_seen_one_token(name):
    """The trap that "auto" avoids: the first token sees only itself, so all responses to a prompt are equal."""
    chosen, rejected = score_pairs(tiny.reward_model(name, "cls"), PAIRS)
    assert_same(chosen, rejected)


# Construction


def test_a_backbone_directory(backbones):
    model = RewardModel(str(backbones["distilbert"]))
    assert model.pooling == "cls" and model.encoding.max_length == tiny.POSITIONS
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    original = tiny.build("distilbert")[0].state_dict()
    assert all(torch.equal(tensor, original[name]) for name, tensor in model.backbone.state_dict().items())


def test_no_parameter_is_left_without_a_gradient():
    for name in tiny.ARCHITECTURES:
        model = tiny.reward_model(name)
        loss, _, _ = compute_pairwise_loss(model, model.tokenizer, "Why?", "Because.", "No idea", "cpu")
        loss.backward()
        assert not [key for key, parameter in model.named_parameters() if parameter.grad is None]


def test_the_loss_starts_near_log_2(backbones):
    for directory in backbones.values():
        torch.manual_seed(0)
        model = RewardModel(str(directory))
        chosen, rejected = score_pairs(model, PAIRS)
        assert np.logaddexp(0, rejected - chosen).mean() == pytest.approx(math.log(2), abs=0.1)
        assert model.head.bias.item() == 0


@pytest.mark.parametrize("length, words", [(129, "more than the 128"), (4, "no room"), (0, "no room"), (-5, "no room")])
def test_a_window_the_backbone_cannot_have_is_refused(length, words):
    for name in ("bert", "roberta"):  # RoBERTa's table has 130 rows and 128 positions
        with pytest.raises(ValueError, match=words):
            tiny.reward_model(name, max_length=length)
        assert tiny.reward_model(name, max_length=128).encoding.max_length == 128


def test_the_whole_window_can_be_used(models):
    for model in models.values():
        [encoded] = encode(model.tokenizer, PAIRS[3:4], model.encoding)
        assert encoded.length == tiny.POSITIONS and torch.isfinite(rewards(model, PAIRS[3:4])).all()


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="pooling must be one of"):
        tiny.reward_model("bert", "max")


def test_an_encoding_goes_with_a_pooling(models):
    """Without trials a decoder would be pooled at its first token, which sees no other."""
    model = models["gpt2"]
    with pytest.raises(ValueError, match="with an encoding say which pooling"):
        RewardModel(backbone=model.backbone, tokenizer=model.tokenizer, encoding=model.encoding)


# The reference


def test_cls_rewards_are_the_reference_s(backbones):
    directory = str(backbones["distilbert"])
    model = RewardModel(directory, pooling="cls").eval()
    transformer, tokenizer = AutoModel.from_pretrained(directory), AutoTokenizer.from_pretrained(directory)
    batch = tokenizer([pair.prompt for pair in PAIRS[:3]], [pair.chosen for pair in PAIRS[:3]],
                      return_tensors="pt", padding=True)
    with torch.no_grad():
        hidden = transformer(batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        expected = nn.functional.linear(hidden[:, 0], model.head.weight, model.head.bias).squeeze(-1)
        got = model(batch["input_ids"], batch["attention_mask"])
    assert got.shape == (3,)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    np.testing.assert_allclose(score_pairs(model, PAIRS[:3])[0], expected, atol=1e-6)


def test_compute_pairwise_loss_takes_texts_as_scores_do(models):
    """A prompt with a space behind its last marker, and responses with white space around them."""
    model, prompt = models["bert"], "\n\nHuman: Is it?\n\nAssistant:"
    losses = [compute_pairwise_loss(model, model.tokenizer, asked, *given, "cpu")[0].item()
              for asked, given in ((prompt, ("yes", "no")), (prompt + " ", (" yes", "no\n")))]
    assert losses[0] == losses[1] and model.score(prompt + " ", ["yes"]) == model.score(prompt, [" yes"])


@architectures
def test_compute_pairwise_loss(models, name):
    model = models[name]
    prompt, good, bad = PAIRS[0].prompt, PAIRS[0].chosen, PAIRS[0].rejected
    loss, good_score, bad_score = compute_pairwise_loss(model, model.tokenizer, prompt, good, bad, "cpu")
    (chosen,), (rejected,) = score_pairs(model, PAIRS[:1])
    assert type(good_score) is type(bad_score) is float and loss.shape == () and loss.requires_grad
    assert_same([good_score, bad_score], [chosen, rejected])
    assert loss.item() == pytest.approx(math.log1p(math.exp(bad_score - good_score)), rel=1e-5)


def test_five_epochs_of_adam_as_in_the_reference():
    torch.manual_seed(0)
    model = tiny.reward_model("distilbert").train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss, _, _ = compute_pairwise_loss(
            model, model.tokenizer, prompt="What's the capital of France?", device=torch.device("cpu"),
            good_response="The capital of France is Paris.", bad_response="The capital of France is London.",
        )
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    good, bad = score_pairs(model, [PreferencePair(
        "What's the capital of France?", "The capital of France is Paris.", "The capital of France is London."
    )])
    assert losses[-1] < losses[0] and good > bad


def test_head_and_rewards_stay_float32_under_autocast(models):
    model = models["bert"]
    batch = model.collate(encode(model.tokenizer, PAIRS, model.encoding))
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert model(**batch).dtype == torch.float32


# Saving and loading


@architectures
def test_a_saved_model_scores_bit_for_bit_what_it_scored(tmp_path, name):
    model = tiny.reward_model(name, "mean", max_length=64)
    model.save_pretrained(tmp_path / "deep" / "saved")
    again = RewardModel.from_pretrained(tmp_path / "deep" / "saved")
    assert not again.training and again.pooling == "mean" and again.encoding == model.encoding
    for one, other in zip(score_pairs(model, PAIRS), score_pairs(again, PAIRS)):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_saved_as_they_are(tmp_path, dtype):
    model = tiny.reward_model("llama").to(dtype)
    model.save_pretrained(tmp_path / "saved")
    again = RewardModel.from_pretrained(tmp_path / "saved")
    assert {parameter.dtype for parameter in again.parameters()} == {dtype}
    np.testing.assert_array_equal(score_pairs(model, PAIRS), score_pairs(again, PAIRS))


def test_the_directory_holds_safetensors_and_json_that_others_may_read(saved):
    names = {file.name for file in saved.iterdir()}
    assert {"model.safetensors", "config.json", "reward_model.json", "tokenizer.json"} <= names
    assert {Path(name).suffix for name in names} <= {".safetensors", ".json"}
    assert len({file.stat().st_mode for file in saved.iterdir()}) == 1


def rehash(directory, name):
    """Make the manifest agree with a file that was changed, so that what comes after the hashes is tried."""
    manifest = json.loads((directory / "reward_model.json").read_text())
    manifest["sha256"][name] = sha256(directory / name)
    (directory / "reward_model.json").write_text(json.dumps(manifest))


def with_weights(change):
    def damage(directory):
        weights = load_file(directory / "model.safetensors")
        change(weights)
        save_file(weights, directory / "model.safetensors")
        rehash(directory, "model.safetensors")

    return damage


def with_rewards(change):
    return with_manifest(rewards=change)


def with_manifest(**changes):
    def damage(directory):
        manifest = json.loads((directory / "reward_model.json").read_text())
        for key, change in changes.items():
            manifest[key] = change(manifest[key])
        (directory / "reward_model.json").write_text(json.dumps(manifest))

    return damage


def flip_a_byte(directory):
    data = bytearray((directory / "model.safetensors").read_bytes())
    data[-100] ^= 1
    (directory / "model.safetensors").write_bytes(data)


def edit_config_quietly(directory):
    configured(hidden_act="relu")(directory)
    rehash(directory, "config.json")


DAMAGE = {
    "flipped byte": (flip_a_byte, "changed since"),
    "config edited": (configured(hidden_act="relu"), "config.json: missing, or changed"),
    "config edited, hash too": (edit_config_quietly, "canary"),
    "tokenizer gone": (without("tokenizer.json"), "tokenizer.json: missing"),
    "weights gone": (without("model.safetensors"), "model.safetensors: missing"),
    "head gone": (with_weights(lambda weights: weights.pop("head.weight")), "does not hold exactly"),
    "weight too many": (with_weights(lambda weights: weights.update(x=torch.zeros(1))), "does not hold exactly"),
    "weight of another shape": (with_weights(lambda w: w.update({"head.bias": torch.zeros(2)})), "does not hold"),
    "head drawn anew": (with_weights(lambda w: w.update({"head.weight": torch.zeros(1, 32)})), "canary"),
    "weights not numbers": (with_weights(lambda w: w.update({"head.bias": torch.full((1,), math.nan)})), "canary"),
    "canary score changed": (with_rewards(lambda c: [[c[0][0] + 0.01, *c[0][1:]], c[1]]), "canary"),
    "a canary less": (with_rewards(lambda c: [side[1:] for side in c]), "canary"),
    "canaries ragged": (with_rewards(lambda c: [c[0], c[1][1:]]), "manifest"),
    "a canary's tokens less": (with_manifest(canaries=lambda c: [c[0][:2], *c[1:]]), "manifest"),
    "a canary of other tokens": (with_manifest(canaries=lambda c: [[c[0][1], *c[0][1:]], *c[1:]]), "canary"),
    "canaries gone": (with_manifest(canaries=lambda c: []), "canary"),
    "other pooling": (with_manifest(pooling=lambda _: "last"), "canary"),
    "unknown pooling": (with_manifest(pooling=lambda _: "max"), "pooling"),
    "other encoding": (with_manifest(encoding=lambda e: e | {"suffix": []}), "canary"),
    "encoding without a field": (with_manifest(encoding=lambda e: {"lead": ""}), "manifest"),
    "encoding of wrong kinds": (with_manifest(encoding=lambda e: e | {"max_length": "long"}), "manifest"),
    "format of the future": (with_manifest(format=lambda _: 3), "format 3"),
    "format of the first edition": (with_manifest(format=lambda _: 1), "format 1, .*reads format 2.*train again"),
    "weights of whole numbers": (with_weights(lambda w: w.update({k: w[k].char() for k in w})), "does not hold"),
    "hash of the weights gone": (with_manifest(sha256=lambda _: {}), "manifest"),
    "hash of a file elsewhere": (with_manifest(sha256=lambda h: h | {"../x": ""}), "manifest"),
    "manifest garbage": (garbage("reward_model.json"), "manifest"),
    "manifest a list": (lambda d: (d / "reward_model.json").write_text("[]"), "manifest"),
    "manifest not text": (lambda d: (d / "reward_model.json").write_bytes(b"\xff\x00"), "manifest"),
}


@pytest.mark.parametrize("damage, words", DAMAGE.values(), ids=DAMAGE)
def test_what_is_not_the_saved_model_is_refused(saved, damage, words):
    damage(saved)
    with pytest.raises(ValueError, match=words):
        RewardModel.from_pretrained(saved)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("place", [0.0, 0.3, 0.7, 1.0])
def test_one_corrupt_byte_anywhere_is_refused(saved, name, place):
    data = bytearray((saved / name).read_bytes())
    data[round(place * (len(data) - 1))] ^= 1
    (saved / name).write_bytes(data)
    with pytest.raises(ValueError, match=f"{name}: missing, or changed since the model was saved"):
        RewardModel.from_pretrained(saved)


def test_without_a_manifest_there_is_no_model(saved, tmp_path):
    (saved / "reward_model.json").unlink()
    for directory in (saved, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match="holds no saved reward model"):
            RewardModel.from_pretrained(directory)


def test_the_rounding_of_another_machine_is_let_pass(saved):
    with_rewards(lambda c: [[score + 1e-6 for score in side] for side in c])(saved)
    RewardModel.from_pretrained(saved)


def test_a_saved_reward_model_is_no_backbone(saved):
    with pytest.raises(ValueError, match="a saved reward model loads by from_pretrained or --start-from"):
        RewardModel(str(saved))


def test_saving_over_a_model_replaces_it_and_keeps_what_is_not_its_own(saved):
    (saved / "held_out.jsonl").write_text("{}\n")
    (saved / "checkpoints").mkdir()
    stale = saved / "vocab.txt"  # a file of the earlier model's tokenizer
    stale.write_text("stale")
    with_manifest(sha256=lambda hashes: hashes | {"vocab.txt": sha256(stale)})(saved)
    model = tiny.reward_model("gpt2")
    model.save_pretrained(saved)
    np.testing.assert_array_equal(score_pairs(RewardModel.from_pretrained(saved), PAIRS), score_pairs(model, PAIRS))
    names = {file.name for file in saved.iterdir()}
    assert {"held_out.jsonl", "checkpoints"} < names and not {"vocab.txt", ".incoming"} & names


def test_saving_over_a_garbage_manifest_mends_it(saved):
    garbage("reward_model.json")(saved)
    tiny.reward_model("gpt2").save_pretrained(saved)
    assert RewardModel.from_pretrained(saved).pooling == "last"


@pytest.mark.parametrize("point", ["save_model", "atomic_write_text", "sha256"])
def test_a_save_that_fails_leaves_the_old_model(saved, monkeypatch, point):
    before = score_pairs(RewardModel.from_pretrained(saved), PAIRS)

    def fail(*_, **__):
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(model_module, point, fail)
        with pytest.raises(OSError, match="disk full"):
            tiny.reward_model("gpt2").save_pretrained(saved)
        with pytest.raises(OSError, match="disk full"):
            tiny.reward_model("gpt2").save_pretrained(saved.parent / "new")
    assert not (saved.parent / "new").exists()
    np.testing.assert_array_equal(score_pairs(RewardModel.from_pretrained(saved), PAIRS), before)


@pytest.mark.parametrize("moves", range(4))
def test_a_save_killed_between_two_moves_is_refused_until_it_is_done_again(saved, monkeypatch, moves):
    done, replace = [], model_module.os.replace

    def stop(source, target):
        if ".incoming" in str(source) and Path(target).parent == saved:
            if len(done) == moves:
                raise KeyboardInterrupt
            done.append(target)
        replace(source, target)

    model = tiny.reward_model("gpt2")
    with monkeypatch.context() as patched:
        patched.setattr(model_module.os, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            model.save_pretrained(saved)
    with pytest.raises(FileNotFoundError, match="no saved reward model"):
        RewardModel.from_pretrained(saved)
    model.save_pretrained(saved)
    np.testing.assert_array_equal(score_pairs(RewardModel.from_pretrained(saved), PAIRS), score_pairs(model, PAIRS))


def test_a_failed_save_leaves_what_else_is_in_the_directory(tmp_path):
    model = tiny.reward_model("gpt2")
    nn.init.constant_(model.head.weight, math.nan)
    kept = tmp_path / "checkpoints" / "newest.safetensors"
    kept.parent.mkdir()
    kept.write_bytes(b"a night's work")
    with pytest.raises(ValueError, match="diverged"):
        model.save_pretrained(tmp_path)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [kept]


def test_a_model_that_diverged_is_not_saved(tmp_path):
    model = tiny.reward_model("bert")
    with torch.no_grad():
        model.head.bias.fill_(math.nan)
    with pytest.raises(ValueError, match="diverged"):
        model.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_a_save_that_is_broken_off_while_files_move_keeps_the_new_ones(saved, monkeypatch):
    def stop(source, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(model_module.os, "replace", lambda source, target: stop(source, target)
                        if Path(source).name == "model.safetensors" else os.rename(source, target))
        tiny.reward_model("gpt2").save_pretrained(saved)
    assert (saved / ".incoming" / "model.safetensors").is_file()
    with pytest.raises(FileNotFoundError):
        RewardModel.from_pretrained(saved)


def test_canaries_hold_what_could_go_wrong():
    """Both forms of prompt, a response longer than any window of the default length, text beyond ASCII."""
    assert any(pair.prompt.startswith("\n\nHuman:") for pair in CANARIES)
    assert any(not pair.prompt.isascii() for pair in CANARIES)
    assert any(len(pair.rejected.split()) > 300 for pair in CANARIES)
