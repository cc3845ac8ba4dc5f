"""Gates that the shipped backbone must meet, and that a rebuilt one must meet too (RMLIB_BACKBONE_UNDER_TEST); then the
reward model that notebook 07 puts on trial, against one that is trained anew.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModel, AutoTokenizer

from rmlib.course.policy import POLICY, load_policy
from rmlib.course.world import World
from rmlib.model import RewardModel, score_pairs
from rmlib.pairs import PreferencePair
from rmlib.settings import EMBEDDED_BACKBONE, EMBEDDED_REWARD_MODEL
from rmlib.training import TrainingConfig, train
from tools import build_backbone
from tools.build_policy import GATES, measure
from tools.build_reward_model import build

BACKBONE = Path(os.environ.get("RMLIB_BACKBONE_UNDER_TEST") or EMBEDDED_BACKBONE)
WORLD = World()


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(BACKBONE)


def test_the_assets_are_small():
    files = [file for file in EMBEDDED_BACKBONE.parent.rglob("*") if file.is_file()]
    trained = [file for file in files if file.is_relative_to(EMBEDDED_REWARD_MODEL)]
    assert sum(file.stat().st_size for file in trained) <= 3_000_000
    assert sum(file.stat().st_size for file in files) <= 6_200_000
    assert {"facts.json", "config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"} <= {
        file.name for file in files}


def test_every_weight_has_its_place_and_nothing_is_left_over():
    model, report = AutoModel.from_pretrained(BACKBONE, dtype=torch.float32, output_loading_info=True)
    assert not any(report.values()), report
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_weights_are_stored_in_half_precision():
    with safe_open(BACKBONE / "model.safetensors", "pt") as weights:
        assert {weights.get_tensor(name).dtype for name in weights.keys()} == {torch.float16}


def test_the_command_that_builds_the_backbone_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["build_backbone.py", "--steps", "1", "--out", str(tmp_path / "backbone")])
    build_backbone.main()
    shipped = {file.name for file in EMBEDDED_BACKBONE.iterdir()}
    assert {file.name for file in (tmp_path / "backbone").iterdir()} == shipped
    RewardModel(str(tmp_path / "backbone"))
    # The tokenizer needs no training, and is the shipped one.
    assert (tmp_path / "backbone/tokenizer.json").read_text() == (EMBEDDED_BACKBONE / "tokenizer.json").read_text()


def test_the_record_of_the_build_is_there_and_meets_the_gate():
    record = json.loads((BACKBONE / "build.json").read_text(encoding="utf-8"))
    assert {"seed", "seconds", "threads", "versions", "recipe"} <= set(record)
    known = record["masked_answer_accuracy"]
    assert min(known["train"], known["validation"], known["test"]) >= 0.95
    assert known["unseen"] <= 0.2  # a family that was never read can't be known


def test_every_text_of_the_world_survives_the_tokenizer(tokenizer):
    for split in ("train", "unseen"):
        for prompt in WORLD.prompts(split)[::5]:
            for text in [prompt, *WORLD.responses(prompt, 2, seed=0)]:
                ids = tokenizer(text, add_special_tokens=False).input_ids
                assert tokenizer.unk_token_id not in ids
                assert tokenizer.decode(ids).replace(" ", "") == text.lower().replace(" ", "")


def test_a_word_of_the_world_is_one_token(tokenizer):
    answers = {fact.answer for fact in WORLD.facts}
    assert {len(tokenizer(answer, add_special_tokens=False).input_ids) for answer in answers} == {1}


def test_a_pair_gets_the_template(tokenizer):
    pieces = tokenizer.convert_ids_to_tokens(tokenizer("gold?", "Au.").input_ids)
    assert pieces == ["[CLS]", "gold", "?", "[SEP]", "au", ".", "[SEP]"]


@pytest.mark.parametrize("text, expected", [
    ("lionfish", ["lion", "##f", "##i", "##s", "##h"]),
    ("Élan", ["e", "##l", "##a", "##n"]),
    ("奖", ["[UNK]"]),
    ("🙂", ["[UNK]"]),
    ("\x00\ud7ff", ["[UNK]"]),
    ("", []),
])
def test_other_text_is_spelled_out_or_unknown(tokenizer, text, expected):
    assert tokenizer.tokenize(text) == expected


def fresh(start: str) -> RewardModel:
    torch.manual_seed(0)
    if start == "pretrained":
        return RewardModel(str(BACKBONE))
    backbone = AutoModel.from_config(AutoConfig.from_pretrained(BACKBONE), dtype=torch.float32)
    return RewardModel(backbone=backbone, tokenizer=AutoTokenizer.from_pretrained(BACKBONE))


def right_against_wrong(split: str, n: int) -> list[PreferencePair]:
    """The right answer chosen, a wrong one rejected, in the same few words: nothing but facts tells them apart."""
    questions = WORLD.prompts(split)
    rng, pairs = np.random.default_rng(0), []
    for i in rng.permutation(n) % len(questions):
        fact = WORLD.fact(questions[i])
        answers = [other.answer for other in WORLD.facts if other.family == fact.family]
        wrong = [a for a in answers if a not in (fact.answer, *fact.also_true, *fact.subject.split())]
        pairs.append(PreferencePair(questions[i], f"It is {fact.answer}.", f"It is {rng.choice(wrong)}."))
    return pairs


@pytest.mark.parametrize("start, low, high", [("pretrained", 0.9, 1.0), ("random", 0.0, 0.65)])
def test_the_backbone_brings_the_facts_and_random_weights_do_not(start, low, high):
    model = fresh(start)
    config = TrainingConfig(batch_size=16, learning_rate=5e-4, precision="fp32")
    train(model, right_against_wrong("train", 800), config, progress=False)
    chosen, rejected = score_pairs(model, right_against_wrong("test", 200))
    assert low <= np.mean(chosen > rejected) <= high


@pytest.mark.real  # it takes a minute
def test_the_reward_model_on_trial_is_what_its_command_makes():
    pairs = WORLD.pairs(400, "validation")
    shipped, anew = (np.subtract(*score_pairs(model, pairs).astype(float))
                     for model in (RewardModel.from_pretrained(EMBEDDED_REWARD_MODEL), build()))
    # Another number of threads gives a correlation of 1 - 2e-11, another seed for head and order 0.94.
    assert np.corrcoef(shipped, anew)[0, 1] > 0.99


def test_the_policy_met_its_gates_and_is_stored_in_half_precision():
    record = json.loads((POLICY / "build.json").read_text(encoding="utf-8"))
    assert {"seed", "seconds", "threads", "versions", "right", "steps"} <= set(record)
    assert all(record["samples"][name] >= least for name, least in GATES.items()) and GATES["well_formed"] >= 0.85
    assert sum(file.stat().st_size for file in POLICY.iterdir()) <= 1_500_000
    with safe_open(POLICY / "model.safetensors", "pt") as weights:
        assert {weights.get_tensor(name).dtype for name in weights.keys()} == {torch.float16}


def test_the_policys_samples_are_what_its_record_says():
    policy, tokenizer = load_policy()
    found, told = measure(policy, tokenizer, WORLD), json.loads((POLICY / "build.json").read_text())["samples"]
    assert all(abs(found[name] - told[name]) < 0.04 for name in ("well_formed", "ended", "right", "wrong"))
