"""The study that notebook 08 shows: every run that is planned is there, none is run twice, its numbers are its own."""

import json
import sys

import numpy as np
import pytest
import torch
from places import ROOT

from rmlib.course import optimised
from rmlib.course.optimised import (
    at_kl,
    in_parts,
    interval,
    mean_and_error,
    measure,
    runs,
    standardised,
    study,
    tilt,
    tilt_at,
    well_formed,
)
from rmlib.course.policy import load_policy, log_probs, sample
from rmlib.course.world import World
from rmlib.model import RewardModel
from rmlib.settings import EMBEDDED_REWARD_MODEL

sys.path.insert(0, str(ROOT / "benchmarks"))

import over_optimisation  # noqa: E402

STORED = ROOT / "rmlib/assets/studies"
NAMES = {"choices": "choices", "policies": "policies", "pairs": "direct"}


def test_what_is_stored_holds_every_run_that_the_command_makes():
    assert set(NAMES) == set(over_optimisation.STUDIES)
    policies, direct = study("policies"), study("direct")
    for stored, planned in ((policies, over_optimisation.policies()), (direct, over_optimisation.direct())):
        planned = list(planned)
        assert len(stored["runs"]) == len(planned)
        assert all(row.items() <= run.items() for row, run in zip(planned, stored["runs"]))
    judges = {"gold": 1, "shipped": 1, "100 pairs": 3, "500 pairs": 3, "length-lover": 3,
              **dict.fromkeys(over_optimisation.TOGETHER, 1)}
    for source in ("world", "policy"):
        assert {name: len(runs(study("choices"), judge=name, source=source)) for name in judges} == judges
    assert all(study(name)["command"].endswith(f"over_optimisation.py {word}") for word, name in NAMES.items())


def test_the_study_is_small_and_each_curve_is_whole():
    assert sum((STORED / f"{name}.json").stat().st_size for name in NAMES.values()) <= 300_000
    for run in study("policies")["runs"]:
        assert [row["step"] for row in run["curve"]] == list(over_optimisation.measured(run))
        assert all(row["kl"] == [0, 0] for row in run["curve"] if not row["step"])
        assert all(0 <= row["right"][0] <= 1 for row in run["curve"])
        assert all(row[name][1] >= 0 for row in run["curve"] for name in ("gold", "proxy", "right", "well_formed"))
    for row in (row for run in study("direct")["runs"] for row in run["curve"]):
        assert abs(np.mean(row["gold_by_prompt"]) - row["gold"][0]) < 0.006


def test_no_prompt_that_something_is_chosen_on_is_one_that_it_is_told_on():
    told, chosen = set(over_optimisation.told_on()), set(over_optimisation.chosen_on())
    assert len(told) == 66 and not told & (chosen | set(World().prompts("validation")) | set(World().prompts("train")))


def test_a_run_in_the_file_is_not_run_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(over_optimisation, "GRID", [("shipped", 0.65, 0.0, 1e-3, 120, 0),
                                                    ("shipped", 0.65, 0.1, 1e-3, 2, 0)])
    monkeypatch.setattr(over_optimisation, "measured", lambda row: (0, 1, 2))
    monkeypatch.setattr(over_optimisation, "K", 2)
    monkeypatch.setattr(over_optimisation, "told_on", lambda: World().prompts("test")[::20])
    monkeypatch.setattr(over_optimisation, "chosen_on", lambda: World().prompts("validation")[::40])
    monkeypatch.setattr(over_optimisation, "trained", lambda kind, seed: over_optimisation.models_of("shipped", 0)[0])
    real_learn = over_optimisation.learn
    monkeypatch.setattr(over_optimisation, "learn", lambda *given: real_learn(*given[:4], 2, *given[5:]))
    asked, real = [], over_optimisation.run_policy
    monkeypatch.setitem(over_optimisation.STUDIES, "policies",
                        (over_optimisation.policies, lambda row: asked.append(row) or real(row)))
    out = tmp_path / "policies.json"
    for _ in range(2):
        assert over_optimisation.main(["policies", "--json", str(out)]) == 0
    assert len(asked) == 2  # of two runs in two calls
    first, second = json.loads(out.read_text(encoding="utf-8"))["runs"]
    assert [row["step"] for row in first["curve"]] == [0, 1, 2] and second["beta"] == 0.1
    assert first["curve"][0]["gold"] == second["curve"][0]["gold"] and first["curve"][1]["kl"][0] != 0
    assert "chosen_check" in first["curve"][0] and "chosen_check" not in second["curve"][0]
    assert len(second["curve"][-1]["texts"]) == 1 and "texts" not in second["curve"][0]


def test_direct_preferences_are_measured_at_their_steps(monkeypatch):
    monkeypatch.setattr(over_optimisation, "DPO_STEPS", (1, 2))
    monkeypatch.setattr(over_optimisation, "K", 1)
    monkeypatch.setattr(over_optimisation, "told_on", lambda: World().prompts("test")[::20])
    run = over_optimisation.run_direct({"seed": 1, **over_optimisation.DPO, "pairs": 32})
    assert [row["step"] for row in run["curve"]] == [0, 1, 2]
    assert run["curve"][0]["chosen"] == [0, 0] and run["curve"][0]["implicit_accuracy"] == 0.5
    assert run["curve"][2]["chosen"][0] != 0 and 0.6 < run["reward_model_accuracy"] < 0.9


def test_a_choice_is_counted_on_the_prompts_that_it_is_told_on(monkeypatch):
    monkeypatch.setattr(over_optimisation, "CANDIDATES", 8)
    monkeypatch.setattr(over_optimisation, "SIZES", (1, 2, 8))
    monkeypatch.setattr(over_optimisation, "BEFOREHAND", 2)
    monkeypatch.setattr(over_optimisation, "PENALTIES", (0.0, 0.1))
    monkeypatch.setattr(over_optimisation, "told_on", lambda: World().prompts("test")[::40])
    monkeypatch.setattr(over_optimisation, "trained", lambda kind, seed: over_optimisation.models_of("shipped", 0)[0])
    real_chances = over_optimisation.chances_of_best
    monkeypatch.setattr(over_optimisation, "chances_of_best",
                        lambda rewards, n: real_chances(rewards, min(n, rewards.shape[1])))
    rows = list(over_optimisation.choices())
    [gold] = runs({"runs": rows}, source="world", judge="gold")
    world, prompts = World(), World().prompts("test")[::40]
    true = np.array([[world.reward(prompt, each) for each in world.responses(prompt, 8, seed)]
                     for seed, prompt in enumerate(prompts)])
    assert np.allclose([gold["gold"][0][0], gold["gold"][2][0]], [true.mean(), true.max(1).mean()], atol=6e-4)
    assert np.isclose(gold["fall"][0], gold["gold"][1][0] - gold["gold"][2][0], atol=2e-3)
    assert gold["well_formed"] == [1, 1, 1] and len(rows) == 2 * 14
    [penalised] = runs({"runs": rows}, source="policy", judge="length-lover", seed=1)
    assert penalised["penalty"] in (0.0, 0.1) and len(penalised["penalised"]) == 3
    of_two, of_eight = (each[0] for each in penalised["penalised"][1:])
    assert np.isclose(penalised["penalised_fall"][0], of_two - of_eight, atol=2e-3)


def test_a_judge_is_standardised_by_the_starts_samples():
    policy, tokenizer = load_policy()
    model = RewardModel.from_pretrained(EMBEDDED_REWARD_MODEL)
    start = sample(policy, tokenizer, World().prompts("train")[:20], 2, seed=0)
    judge = standardised([model], start)
    rewards = judge(start)
    assert abs(rewards.mean()) < 1e-5 and abs(rewards.std() - 1) < 1e-5
    assert torch.allclose(standardised([model, model], start)(start), rewards, atol=1e-6)
    least = standardised([model, model], start, lambda each: each.min(0).values - each.std(0))
    assert torch.allclose(least(start), rewards, atol=1e-6)
    shorter = standardised([model], start, a_token=0.1)(start)
    assert torch.allclose(shorter, rewards - 0.1 * (start.lengths - start.lengths.float().mean()), atol=1e-5)
    assert torch.allclose(in_parts(judge, start, size=7), rewards, atol=1e-4)


def test_samples_are_measured_by_prompt_and_by_seed():
    policy, tokenizer = load_policy()
    model, prompts = RewardModel.from_pretrained(EMBEDDED_REWARD_MODEL), World().prompts("test")[::10]
    judges = {"reward": lambda texts: texts.score(model)}
    found, again, other = (measure(policy, policy, tokenizer, judges, prompts, 4, seed) for seed in ((0, 1), (0, 1), 2))
    assert all(np.array_equal(found[name], again[name]) for name in found)
    assert not np.array_equal(found["gold"], other["gold"])
    assert all(len(each) == len(prompts) for each in found.values()) and not found["kl"].any()
    assert found["well_formed"].mean() > 0.8 and found["ended"].mean() > 0.95
    texts = sample(policy, tokenizer, prompts, 4, int(np.random.default_rng((0, 1)).integers(2**31)))
    words, world = texts.responses(tokenizer), World()
    wanted = [np.mean([world.reward(prompt, words[4 * i + j]) for j in range(4)]) for i, prompt in enumerate(prompts)]
    assert np.allclose(found["gold"], wanted) and list(found["texts"]) == words[::4]
    assert np.allclose(found["reward"], texts.score(model).view(-1, 4).mean(1), atol=1e-4)
    whole = log_probs(policy, texts).detach()
    assert torch.allclose(in_parts(lambda part: log_probs(policy, part), texts), whole, atol=1e-3)


def test_what_is_measured_is_counted_text_by_text(monkeypatch):
    """On samples of which many are cut before their end."""
    policy, tokenizer = load_policy()
    world, prompts = World(), World().prompts("test")[::20]
    monkeypatch.setattr(optimised, "sample", lambda *given: sample(*given, max_new_tokens=14))
    found = measure(policy, policy, tokenizer, {}, prompts, 4, 3)
    texts = sample(policy, tokenizer, prompts, 4, int(np.random.default_rng(3).integers(2**31)), max_new_tokens=14)
    told = []
    for at, (row, mask, words) in enumerate(zip(texts.input_ids, texts.response_mask, texts.responses(tokenizer))):
        features = world.features(prompts[at // 4], words)
        told.append({
            "tokens": int(mask.sum()), "ended": row[mask][-1].item() == tokenizer.sep_token_id,
            "right": features["correctness"] == 1, "wrong": features["correctness"] == -1,
            "hedging": features["hedging"], "well_formed": well_formed(prompts[at // 4], words)})
    for name in told[0]:
        counted = np.reshape([each[name] for each in told], (-1, 4)).mean(1)
        assert np.allclose(found[name], counted) and 0 < counted.mean() != counted[0], name
    assert 0.1 < found["ended"].mean() < 0.9


def test_a_text_is_well_formed_if_the_world_could_say_each_of_its_sentences():
    world = World()
    for prompt in world.prompts("test")[::25]:
        assert all(well_formed(prompt, text) for text in world.responses(prompt, 10, 0))
    assert well_formed("What is the capital of France?", "The answer is madrid.")  # wrong, but whole
    for broken in ("", "...", "The answer is paris paris.", "The answer is.", "The answer is paris. zoo zoo.",
                   "The answer is seven."):
        assert not well_formed("What is the capital of France?", broken), broken


def test_means_errors_and_intervals_by_prompt():
    values = np.random.default_rng(0).normal(1.0, 2.0, size=400)
    mean, error = mean_and_error(values)
    assert np.isclose(mean, values.mean()) and np.isclose(error, values.std(ddof=1) / 20)
    assert np.allclose(interval(values), (mean, mean - 1.96 * error, mean + 1.96 * error), atol=0.02)


def test_a_curve_between_its_points_where_it_last_passes():
    kl, gold = [0.0, 1.0, 3.0, 2.0, 5.0, 5.0], [0.0, 2.0, 3.0, 5.0, 8.0, 9.0]
    for nats, wanted in ((0, 0), (0.5, 1), (1, 2), (1.5, 2.25), (2, 5), (2.5, 5.5), (4, 7), (5, 8)):
        assert np.isclose(at_kl(kl, gold, nats), wanted), nats
    assert np.isnan(at_kl(kl, gold, 5.1)) and np.isnan(at_kl(kl[1:], gold[1:], 0.5))
    assert np.allclose(at_kl([0, 4], [(0, 1), (1, 3)], 1), (0.25, 1.5))
    assert at_kl([0, 4], [(0, 1), (1, 3)], 9).shape == (2,)


def test_the_tilt_by_loop_and_its_budget():
    rewards = torch.tensor(np.random.default_rng(0).normal(size=(3, 7)))
    weights, kl = tilt(rewards, 0.5)
    wanted = np.exp(rewards.numpy() / 0.5)
    wanted /= wanted.sum(1, keepdims=True)
    assert np.allclose(weights, wanted) and np.isclose(kl, (wanted * np.log(wanted * 7)).sum(1).mean())
    for budget in (0.1, 1.0):
        at = tilt_at(rewards, budget)
        assert np.isclose((at * (at * 7).log()).sum(1).mean(), budget, atol=1e-6)


@pytest.mark.parametrize("name", NAMES.values())
def test_what_is_stored_is_finite(name):
    json.loads((STORED / f"{name}.json").read_text(encoding="utf-8"), parse_constant=lambda word: pytest.fail(word))
