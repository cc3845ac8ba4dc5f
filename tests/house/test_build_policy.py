"""The commands that build policy and reward model: their recipes are the recorded ones, their steps what they say."""

import json
import sys
from argparse import Namespace

import numpy as np
import pytest
import torch
from builder_parts import STEPS, Stop, assert_same_shape, rates, recorded, taken  # noqa: F401

from rmlib.course.optimised import well_formed
from rmlib.course.policy import POLICY, load_policy, sample
from rmlib.course.world import World
from rmlib.settings import EMBEDDED_BACKBONE, EMBEDDED_REWARD_MODEL
from tools import build_policy, build_reward_model
from tools.build_backbone import build_tokenizer

WORLD = World()
TOKENIZER = build_tokenizer(WORLD)


def test_the_policys_recipe_and_shape_are_the_recorded_ones():
    record = recorded(POLICY)
    assert (build_policy.BATCH, build_policy.RATE) == (record["batch_size"], record["learning_rate"])
    assert (build_policy.WARMUP, build_policy.CHUNK) == (0.05, 16)
    assert build_policy.GATES == {"well_formed": 0.85, "ended": 0.98}
    assert_same_shape(build_policy.build_config(TOKENIZER).to_dict(), POLICY)


def test_the_policy_takes_its_steps_and_tells(taken, monkeypatch, capsys):
    monkeypatch.setattr(build_policy, "BATCH", 2)
    policy = build_policy.pretrain(WORLD, TOKENIZER, 0.65, STEPS, seed=5)
    assert [rate for rate, *_ in taken] == pytest.approx(rates(3e-3)) and not policy.training
    assert {decay for _, decay, _ in taken} == {0.01} and max(length for *_, length in taken) == pytest.approx(1.0)
    build_policy.pretrain(WORLD, TOKENIZER, 0.65, 1, seed=5)
    last, first = (line.split("  ") for line in capsys.readouterr().out.splitlines())
    assert last[0] == f"step {STEPS}/{STEPS}" and first[0] == "step 1/1" and first[2].endswith(" s")
    assert float(first[1].removeprefix("nats a token ")) == pytest.approx(np.log(len(TOKENIZER)), abs=0.3)


def test_a_batch_of_the_policy_knows_where_its_responses_begin(monkeypatch):
    monkeypatch.setattr(build_policy, "BATCH", 4)
    source = build_policy.batches(WORLD, TOKENIZER, 1.0, np.random.default_rng(0))
    drawn = [next(source) for _ in range(build_policy.CHUNK)]
    prompts = {TOKENIZER.decode(TOKENIZER(each).input_ids): each for each in WORLD.prompts("train")}
    for texts in drawn:
        asked = [prompts[TOKENIZER.decode(row[:start])] for row, start in zip(texts.input_ids, texts.response_start)]
        for prompt, response in zip(asked, texts.responses(TOKENIZER), strict=True):
            assert WORLD.features(prompt, response)["correctness"] == 1
        assert len(asked) == 4 and texts.attention_mask[:, 0].all()
    lengths = [texts.attention_mask.sum(1).tolist() for texts in drawn]
    ordered = sorted(lengths, key=sum)
    assert lengths != ordered and all(max(one) <= min(two) for one, two in zip(ordered, ordered[1:]))
    wrong = next(build_policy.batches(WORLD, TOKENIZER, 0.0, np.random.default_rng(0)))
    asked = [prompts[TOKENIZER.decode(row[:start])] for row, start in zip(wrong.input_ids, wrong.response_start)]
    assert {WORLD.features(*each)["correctness"] for each in zip(asked, wrong.responses(TOKENIZER))} == {-1}


def test_a_policy_is_measured_by_four_samples_to_each_prompt(monkeypatch):
    """Against counts text by text, on samples of which many are cut before their end."""
    policy, tokenizer = load_policy()
    prompts, asked = WORLD.prompts("validation")[::16], []

    class Few(World):
        def prompts(self, split="train", families=None):
            assert split == "validation"
            return prompts

    def short(*given, seed):
        asked.append((given[2:], seed))
        return sample(*given, seed, max_new_tokens=14)

    monkeypatch.setattr(build_policy, "sample", short)
    found = build_policy.measure(policy, tokenizer, Few())
    every = [prompt for prompt in prompts for _ in range(4)]
    assert asked == [((every, 1), 1)]
    texts = sample(policy, tokenizer, every, 1, 1, max_new_tokens=14)
    told = []
    for prompt, row, mask, words in zip(every, texts.input_ids, texts.response_mask, texts.responses(tokenizer)):
        correct = WORLD.features(prompt, words)["correctness"]
        told.append({"well_formed": well_formed(prompt, words), "ended": row[mask][-1].item() == 3,
                     "right": correct == 1, "wrong": correct == -1, "gold": WORLD.reward(prompt, words),
                     "tokens": int(mask.sum())})
    wanted = {name: np.mean([each[name] for each in told]) for name in told[0]}
    assert found == pytest.approx(wanted, abs=6e-5) and list(found) == list(recorded(POLICY)["samples"])
    assert 0.1 < found["ended"] < 0.9 and all(round(value, 4) == value for value in found.values())


@pytest.mark.parametrize("found, told", [
    ({"well_formed": 0.85, "ended": 0.98}, None),
    ({"well_formed": 0.8499, "ended": 1.0}, "nothing is written: samples must reach {'well_formed': 0.85}"),
    ({"well_formed": 1.0, "ended": 0.9799}, "nothing is written: samples must reach {'ended': 0.98}"),
])
def test_a_policy_below_its_gates_is_not_written(tmp_path, monkeypatch, capsys, found, told):
    asked = []

    def pretrain(*given):
        asked.append(given[2:])
        torch.manual_seed(0)
        return build_policy.GPT2LMHeadModel(build_policy.build_config(TOKENIZER))

    monkeypatch.setattr(build_policy, "pretrain", pretrain)
    monkeypatch.setattr(build_policy, "measure", lambda policy, *_: found | {
        "half": all(torch.equal(each, each.half().float()) for each in policy.parameters())})
    monkeypatch.setattr(sys, "argv", ["build_policy.py", "--out", str(tmp_path)])
    if told:
        with pytest.raises(SystemExit) as refused:
            build_policy.main()
        assert str(refused.value) == told and not [*tmp_path.iterdir()]
        return
    build_policy.main()
    assert asked == [(0.65, 1500, 0)]
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in POLICY.iterdir()}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}
    record = recorded(tmp_path)
    assert record.keys() == recorded(POLICY).keys() and record["versions"].keys() == recorded(POLICY)["versions"].keys()
    assert record["samples"] == found | {"half": True} and record["seconds"] < 60
    same = ("seed", "right", "steps", "batch_size", "learning_rate", "parameters")
    assert [record[name] for name in same] == [recorded(POLICY)[name] for name in same]
    assert json.loads(capsys.readouterr().out.partition("}\n}")[0] + "}\n}") == record


def test_the_policys_command_writes_where_the_policy_is(monkeypatch):
    monkeypatch.setattr(build_policy, "pretrain", lambda *given: (_ for _ in ()).throw(Stop(given[2:])))
    for words, wanted in (([], (0.65, 1500, 0)), (["--right", "0.5", "--steps", "9", "--seed", "4"], (0.5, 9, 4))):
        monkeypatch.setattr(sys, "argv", ["build_policy.py", *words])
        with pytest.raises(Stop) as stopped:
            build_policy.main()
        assert stopped.value.args == (wanted,)


def test_the_reward_model_is_trained_on_5000_pairs_from_seed_0(monkeypatch):
    given = []
    monkeypatch.setattr(build_reward_model, "train", lambda *arguments: given.append(arguments))
    torch.manual_seed(9)
    model = build_reward_model.build()
    [(trained, pairs, config)] = given
    assert trained is model and pairs == WORLD.pairs(5_000, "train", seed=0)
    assert config == build_reward_model.TrainingConfig(learning_rate=3e-4, precision="fp32")
    torch.manual_seed(0)
    assert torch.equal(model.head.weight, build_reward_model.RewardModel(str(EMBEDDED_BACKBONE)).head.weight)


def test_the_reward_models_command_writes_where_it_is_asked(monkeypatch):
    written = []
    monkeypatch.setattr(build_reward_model, "build", lambda: Namespace(save_pretrained=written.append))
    for words in ([], ["--out", "elsewhere"]):
        monkeypatch.setattr(sys, "argv", ["build_reward_model.py", *words])
        build_reward_model.main()
    assert [str(each) for each in written] == [str(EMBEDDED_REWARD_MODEL), "elsewhere"]
