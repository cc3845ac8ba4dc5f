"""What is said of a model that can't be built, loaded or tried, word for word; and both sides of every bound there."""

import json
import logging
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from told import told
from torch import nn
from transformers import BertConfig, BertModel

from rmlib.model import RewardModel, pool, saving, trials
from rmlib.model.backbone import check_kind, check_tokenizer, window
from rmlib.model.saving import check_reloads, load_weights, read_manifest


@pytest.fixture(scope="module")
def model():
    return tiny.reward_model("distilbert")


@pytest.fixture(scope="module")
def directory(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    model.save_pretrained(path)
    return path


def config(**fields):
    return SimpleNamespace(**{"is_encoder_decoder": False, "hidden_size": 8, "model_type": "odd"} | fields)


@pytest.mark.parametrize("fields, classes, message", [
    ({}, ["BertForSequenceClassification"], "m is a BertForSequenceClassification, whose head would be lost: "
     "rmlib.practice.classifier.from_classifier makes a reward model of it, head and all; for a new head, give its "
     "base model as `backbone`"),
    ({}, ["BertModel", "SomeReward"], "m is a SomeReward, whose head would be lost: "
     "rmlib.practice.classifier.from_classifier makes a reward model of it, head and all; for a new head, give its "
     "base model as `backbone`"),
    ({"is_encoder_decoder": True}, None, "m is an encoder-decoder; a reward model needs an encoder or a decoder"),
    ({"hidden_size": [8, 8]}, None,
     "m, of type odd, has no single hidden size; a reward model needs an encoder or a decoder of text"),
])  # fmt: skip
def test_kinds_of_backbones(fields, classes, message):
    assert told(check_kind, config(**fields), "m", classes) == message
    check_kind(config(), "m", ["BertModel"])
    check_kind(config(), "m")


def words(count, special, last):
    vocabulary = {str(at): at for at in range(count - 1)} | {"last": last}
    return type("Words", (), {"__len__": lambda _: count, "all_special_tokens": ["x"] * special,
                              "get_vocab": lambda _: vocabulary})()


def test_a_tokenizer_fits_up_to_the_backbone_s_last_row():
    rows = SimpleNamespace(get_input_embeddings=lambda: nn.Embedding(10, 2))
    check_tokenizer(words(5, 4, last=9), rows, "m")
    assert told(check_tokenizer, words(5, 4, last=10), rows, "m") == (
        "m: 11 tokens in the tokenizer, 10 in the backbone: they are no pair")
    assert told(check_tokenizer, words(5, 5, last=9), rows, "m") == (
        "m: the tokenizer knows no words; are its files (tokenizer.json) missing?")
    assert told(check_tokenizer, words(5, 4, 9), SimpleNamespace(get_input_embeddings=lambda: None), "m") == (
        "m: a SimpleNamespace has no embeddings of tokens, which a reward model needs")


@pytest.mark.parametrize("fields, limit", [
    ({"max_position_embeddings": 128}, 128), ({"max_position_embeddings": 4096}, 4096),
    ({"max_position_embeddings": 128, "rope_parameters": {"rope_type": "default"}}, 128),
    ({"max_position_embeddings": 900, "rope_parameters": {
        "rope_type": "dynamic", "original_max_position_embeddings": 200}}, 200),
    ({"max_position_embeddings": 900, "rope_parameters": {
        "full": {"rope_type": "longrope", "original_max_position_embeddings": 300}, "base": 1.0}}, 300),
    ({"max_position_embeddings": 900, "rope_parameters": {
        "rope_type": "linear", "original_max_position_embeddings": 200}}, 900),
    ({"max_position_embeddings": 900, "rope_parameters": {"rope_type": "dynamic"}}, 900),
])  # fmt: skip
def test_the_longest_window(fields, limit):
    backbone = SimpleNamespace(config=SimpleNamespace(**fields))
    assert window(backbone, None) == min(limit, 512) and window(backbone, limit) == limit
    assert told(window, backbone, limit + 1) == (
        f"max_length {limit + 1} is more than the {limit} positions this backbone has")


@pytest.mark.parametrize("fields", [{}, {"max_position_embeddings": -1},
                                    {"max_position_embeddings": 64, "position_biased_input": False}])
def test_a_window_without_an_end(fields):
    backbone = SimpleNamespace(config=SimpleNamespace(**fields))
    assert window(backbone, None) == 512 and window(backbone, 10**6) == 10**6


def test_positions_of_roberta_begin_after_its_padding():
    backbone, _ = tiny.build("roberta")
    assert window(backbone, None) == tiny.POSITIONS and window(backbone, tiny.POSITIONS) == tiny.POSITIONS
    assert told(window, backbone, tiny.POSITIONS + 1).startswith("max_length 129 is more than the 128 positions")


def test_parts_that_are_no_reward_model_s(model):
    assert told(RewardModel, pooling="max") == "pooling must be one of ('auto', 'cls', 'mean', 'last'), got 'max'"
    assert told(RewardModel, encoding=model.encoding) == (
        "with an encoding say which pooling: 'auto' is found by trials, which are left out then")
    assert told(RewardModel, "m", backbone=nn.Linear(2, 2), tokenizer=model.tokenizer) == (
        "the backbone should be a model of transformers, not a Linear: wrap or compile what RewardModel makes of it")
    assert told(pool, torch.zeros(1, 2, 3), torch.ones(1, 2), "auto") == (
        'pooling must be "cls", "mean" or "last", got \'auto\'')


@pytest.mark.parametrize("types, segment", [(1, 0), (2, 1), (3, 1)])
def test_segments_that_a_backbone_has_no_rows_for_are_left_out(types, segment):
    tokenizer = tiny.TOKENIZERS["bert"]()
    torch.manual_seed(0)
    backbone = BertModel(BertConfig(vocab_size=len(tokenizer), type_vocab_size=types, **tiny.SHAPE))
    assert RewardModel("m", backbone=backbone, tokenizer=tokenizer).encoding.segment == segment


# --- trials ----------------------------------------------------------------------------------------------------------


def test_what_counts_as_rounding():
    eps = 2.0**-23
    assert trials.rounding(torch.float32) == eps**0.5 and trials.rounding(torch.float64) == eps**0.5
    assert trials.rounding(torch.bfloat16, 0.75) == (2.0**-7) ** 0.75


def apart(difference):
    """Vectors (4, 1, 2) whose rows differ from each other, relative to their length, by about as much."""
    return torch.tensor([[1.0, difference * at] for at in (0, 1, 0, 1)], dtype=torch.float64)[:, None]


@pytest.mark.parametrize("times, alike", [(0.9, True), (1.1, False)])
def test_vectors_alike_and_unlike(times, alike):
    vectors = apart(times * trials.rounding(torch.float64, 0.75))
    assert trials.is_causal(vectors) == alike
    if alike:
        assert told(trials.check_pooled, vectors[:, 0], "cls") == (
            'pooling "cls" gives unlike texts one vector, so all their rewards would be equal')
    else:
        trials.check_pooled(vectors[:, 0], "cls")


def test_vectors_that_depend_on_the_batch(model):
    alone = trials.vectors_alone(model)
    trials.check_batches(model, alone)
    assert told(trials.check_batches, model, 2 * alone) == (
        "DistilBertModel can't be a reward model's backbone: it gives a text other vectors in a batch than alone "
        "(relative difference 0.5), so a reward would depend on what else is scored")


def test_what_takes_no_part_is_told(caplog):
    model = tiny.reward_model("distilbert")
    model.spare, model.other = nn.Linear(3, 1, bias=False), nn.Linear(2, 1, bias=False)
    trials.freeze_unused(model)
    assert caplog.messages == ["2 parameters take no part in a reward and are not trained: spare.weight, other.weight"]
    assert not model.spare.weight.requires_grad and model.head.weight.requires_grad
    model.requires_grad_(False)
    assert told(trials.freeze_unused, model) == "all weights are frozen: there is nothing to train"


def test_a_cut_prompt_is_told(caplog):
    model = tiny.reward_model("distilbert", max_length=12)
    model.score("is " * 20, ["yes", "no no"])  # nine tokens of room
    assert caplog.messages == ["the prompt lost its 13 oldest tokens"]
    caplog.clear()
    model.score("is " * 20, ["yes " * 20, "no"])
    model.score("is " * 20, ["no", "yes", "yes " * 20])
    assert caplog.messages == ["the prompt lost its 20 oldest tokens, and a response its end"] * 2


# --- saved models ----------------------------------------------------------------------------------------------------


def test_a_directory_that_holds_no_model(tmp_path):
    manifest = tmp_path / "reward_model.json"
    assert told(read_manifest, tmp_path, kind=FileNotFoundError) == (
        f"{manifest}: no such file; {tmp_path} holds no saved reward model")
    manifest.write_text('{"format": 1}')
    assert told(read_manifest, tmp_path) == (
        f"{manifest}: not the manifest of a saved reward model: ValueError('format 1, and this version reads format 2, "
        "which says how conversations are rendered: train again, or load it with the version that saved it')")
    for names in (["config.json"], ["model.safetensors", "../config.json"]):
        manifest.write_text(json.dumps({"format": 2, "sha256": dict.fromkeys(names, "")}))
        assert f"sha256 should name model.safetensors and the files beside it, not {names}" in told(
            read_manifest, tmp_path)


def test_a_model_that_is_not_the_saved_one(directory, tmp_path):
    manifest = read_manifest(directory)
    assert list(manifest["sha256"]) == sorted(manifest["sha256"])
    model, rewards = tiny.reward_model("distilbert"), manifest["rewards"]
    load_weights(model, directory, manifest["canaries"], rewards)
    bound = trials.rounding(torch.float32) * np.maximum(1, np.abs(rewards))
    load_weights(model, directory, manifest["canaries"], rewards + 0.9 * bound)
    assert told(load_weights, model, directory, manifest["canaries"], rewards + 1.1 * bound) == (
        f"{directory}: the canary texts score {rewards.round(4).tolist()}, but scored "
        f"{(rewards + 1.1 * bound).round(4).tolist()} when the model was saved: this is not the model that was saved, "
        "or its library reads it differently")
    assert told(load_weights, model, directory, manifest["canaries"][:1], rewards[:, :1]) == (
        f"{directory}: the tokenizer makes other tokens of the canary texts than when the model was saved: its library "
        "reads it differently")
    copy = shutil.copytree(directory, tmp_path / "copy")
    (copy / "config.json").write_text("{}")
    assert told(RewardModel.from_pretrained, copy) == (
        f"{copy / 'config.json'}: missing, or changed since the model was saved; restore the directory from a copy or "
        "train again")
    (copy / "model.safetensors").write_text("x")
    assert told(load_weights, model, copy, [], rewards).startswith(
        f"{copy / 'model.safetensors'}: does not hold exactly this model's weights: ")


@pytest.mark.parametrize("above, whole", [(0, True), (1, False)])
def test_a_model_up_to_the_bound_is_saved_and_loaded_whole(monkeypatch, above, whole):
    model, seen = tiny.reward_model("distilbert"), []
    size = sum(weight.nbytes for weight in model.parameters())
    monkeypatch.setattr(saving, "RELOADED", size - above)
    monkeypatch.setattr(RewardModel, "save_pretrained", lambda *_: seen.append(1))
    monkeypatch.setattr(RewardModel, "from_pretrained", lambda *_: model)
    check_reloads(model)
    assert bool(seen) == whole


@pytest.mark.parametrize("error, kind, words", [
    (Exception("bare"), OSError, "model: the model can't be written; what was there is as it was: bare"),
    (OSError("full"), OSError, "model: the model can't be written; what was there is as it was: full"),
    (KeyError("key"), KeyError, "'key'"),
])  # fmt: skip
def test_a_save_that_fails(tmp_path, monkeypatch, caplog, error, kind, words):
    model = tiny.reward_model("distilbert")
    monkeypatch.setattr(model.tokenizer, "save_pretrained", lambda *_: (_ for _ in ()).throw(error))
    with caplog.at_level(logging.CRITICAL):
        assert told(model.save_pretrained, tmp_path / "model", kind=kind).endswith(words)
    assert not (tmp_path / "model").exists()
