"""The study that notebook 08 shows: every run that is planned is there, none is run twice, its numbers are its own."""

import json
import sys

import numpy as np
import pytest
import torch
from places import ROOT

from rmlib.course.optimised import measure, runs, standardised, study, tilt, tilt_at
from rmlib.course.policy import load_policy, sample
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
    judges = {"gold": 1, "shipped": 1, "100 pairs": 3, "500 pairs": 3, "length-lover": 3, "mean of 3": 1}
    for source in ("world", "policy"):
        assert {name: len(runs(study("choices"), judge=name, source=source)) for name in judges} == judges
    assert all(study(name)["command"].endswith(f"over_optimisation.py {word}") for word, name in NAMES.items())


def test_the_study_is_small_and_each_curve_is_whole():
    assert sum((STORED / f"{name}.json").stat().st_size for name in NAMES.values()) <= 300_000
    for run in study("policies")["runs"]:
        assert [row["step"] for row in run["curve"]] == list(range(0, run["steps"] + 1, over_optimisation.EVERY))
        assert run["curve"][0]["kl"] == 0 and all(0 <= row["right"] <= 1 for row in run["curve"])


def test_a_run_in_the_file_is_not_run_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(over_optimisation, "GRID", [("shipped", 0.0, 1e-3, 2, 0), ("shipped", 0.1, 1e-3, 2, 0)])
    monkeypatch.setattr(over_optimisation, "EVERY", 1)
    monkeypatch.setattr(over_optimisation, "trained", lambda kind, seed: over_optimisation.models_of("shipped", 0)[0])
    asked = []
    real = over_optimisation.run_policy
    monkeypatch.setitem(over_optimisation.STUDIES, "policies",
                        (over_optimisation.policies, lambda row: asked.append(row) or real(row)))
    out = tmp_path / "policies.json"
    for _ in range(2):
        assert over_optimisation.main(["policies", "--json", str(out)]) == 0
    assert len(asked) == 2  # of two runs in two calls
    first, second = json.loads(out.read_text(encoding="utf-8"))["runs"]
    assert [row["step"] for row in first["curve"]] == [0, 1, 2] and second["beta"] == 0.1
    assert first["curve"][0] == second["curve"][0] and first["curve"][1]["kl"] != 0


def test_a_judge_is_standardised_by_the_starts_samples_and_measured_on_others():
    policy, tokenizer = load_policy()
    model = RewardModel.from_pretrained(EMBEDDED_REWARD_MODEL)
    start = sample(policy, tokenizer, World().prompts("train")[:20], 2, seed=0)
    judge = standardised([model], start)
    rewards = judge(start)
    assert abs(rewards.mean()) < 1e-5 and abs(rewards.std() - 1) < 1e-5
    assert torch.allclose(standardised([model, model], start)(start), rewards, atol=1e-6)
    row = measure(policy, policy, tokenizer, {"proxy": judge}, step=3)
    assert row["kl"] == 0 and row["step"] == 3 and len(row["texts"]) == 4
    assert 0.3 < row["right"] < 0.8 and abs(row["proxy"]) < 0.6 and row["ended"] > 0.95


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
