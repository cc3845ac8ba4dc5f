"""The studies that notebook 06 shows: every run that is planned is there, failures too, and judged on validation."""

import json
import sys
from argparse import Namespace

import numpy as np
import pytest
import torch
from places import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import training_studies  # noqa: E402

STORED = ROOT / "rmlib/assets/studies"


@pytest.mark.parametrize("name", training_studies.STUDIES)
def test_what_is_stored_holds_every_run_that_the_command_makes(name: str):
    study = json.loads((STORED / f"{name}.json").read_text(encoding="utf-8"))
    planned = [(start, pairs, config.learning_rate, config.batch_size, config.seed, config.warmup, config.dropout,
                training_studies.variant_of(config), config.epochs)
               for start, pairs, config in training_studies.STUDIES[name](Namespace(seeds=[0, 1, 2]))]
    usual = {"warmup": 0.1, "dropout": False, "variant": "usual", "epochs": 1}  # what some do not say
    stored = [tuple((usual | row)[key] for key in ("start", "pairs", "learning_rate", "batch_size", "seed", *usual))
              for row in study["runs"]]
    assert stored == planned and len(set(planned)) == len(planned)
    assert all(0 <= row["accuracy"] <= 1 and row["nll"] > 0 for row in study["runs"] if "failed" not in row)
    assert study["command"] == f"python benchmarks/training_studies.py {name}" and study["validation_pairs"] == 2_000


def test_a_study_writes_its_runs_as_they_end(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training_studies, "SIZES", {"pretrained": (16,), "random": (16, 32)})
    asked = []
    real = training_studies.score_pairs
    monkeypatch.setattr(training_studies, "score_pairs", lambda model, pairs: asked.append(pairs) or real(model, pairs))
    out = tmp_path / "sizes.json"
    assert training_studies.main(["sizes", "--seeds", "0", "--validation-pairs", "20", "--json", str(out)]) == 0
    study = json.loads(out.read_text(encoding="utf-8"))
    found = [(row["start"], row["pairs"]) for row in study["runs"]]
    assert found == [("pretrained", 16), ("random", 16), ("random", 32)]
    assert study["runs"] == [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    world = training_studies.World()
    assert all(pairs == world.pairs(20, "validation", seed=0) for pairs in asked) and len(asked) == 3


def test_a_run_that_fails_is_reported(monkeypatch):
    def diverges(*_, **__):
        raise ValueError("3 of 20 pairs have rewards that are not finite numbers")

    monkeypatch.setattr(training_studies, "score_pairs", diverges)
    config = training_studies.TrainingConfig(batch_size=8, precision="fp32")
    row = training_studies.run(training_studies.World(), "pretrained", 8, config, [])
    assert "not finite" in row["failed"] and row["pairs"] == 8 and "accuracy" not in row


def test_facts_and_manners_are_the_parts_of_the_accuracy(monkeypatch):
    world = training_studies.World()
    validation = world.pairs(40, "validation", seed=0)
    facts = training_studies.decided_by_fact(world, validation)
    assert 0 < facts.sum() < 40
    for pair, by_fact in zip(validation, facts, strict=True):
        answers = [world.features(pair.prompt, text)["correctness"] for text in (pair.chosen, pair.rejected)]
        assert by_fact == (answers[0] != answers[1])
    config = training_studies.TrainingConfig(batch_size=8, precision="fp32")
    monkeypatch.setattr(training_studies, "score_pairs", lambda *_: (facts.astype(float), 1.0 - facts))
    row = training_studies.run(world, "pretrained", 8, config, validation)
    assert (row["facts"], row["manners"], row["accuracy"]) == (1.0, 0.0, pytest.approx(facts.mean()))


def test_weights_in_bfloat16_are_trained_in_bfloat16(monkeypatch):
    seen = []
    monkeypatch.setattr(training_studies, "train", lambda model, *_, **__: seen.append(model.head.weight.dtype))
    monkeypatch.setattr(training_studies, "score_pairs", lambda *_: seen.append(0) or 1 / 0)
    config = training_studies.TrainingConfig(batch_size=8, precision="fp32")
    for start in ("pretrained", "pretrained, bfloat16 weights"):
        with pytest.raises(ZeroDivisionError):
            training_studies.run(training_studies.World(), start, 8, config, [])
    assert seen == [torch.float32, 0, torch.bfloat16, 0]


def test_a_start_says_what_is_pooled_and_what_is_trained(monkeypatch):
    seen = []
    monkeypatch.setattr(training_studies, "train", lambda model, *_, **__: seen.append((model.pooling, [
        name.split(".")[1:4] for name, parameter in model.named_parameters() if not parameter.requires_grad])))
    monkeypatch.setattr(training_studies, "score_pairs", lambda *_: 1 / 0)
    config = training_studies.TrainingConfig(batch_size=8, precision="fp32")
    for start in ("pretrained", "pretrained, mean pooling", "pretrained, mean pooling, lower half frozen"):
        with pytest.raises(ZeroDivisionError):
            training_studies.run(training_studies.World(), start, 8, config, [])
    assert seen[:2] == [("cls", []), ("mean", [])]
    pooling, frozen = seen[2]
    assert pooling == "mean" and {place[0] for place in frozen} == {"embeddings", "transformer"}
    assert {place[2] for place in frozen if place[0] == "transformer"} == {"0", "1"}


def test_a_rating_is_of_the_gap_that_was_seen_by_the_one_who_chose():
    """Gaps that are not conditioned on the choice, or have another noise, or another sign."""
    gold = np.repeat([-2.0, 0.0, 3.0], 40_000)
    pairs = [training_studies.PreferencePair("What?", "This.", "That.")] * len(gold)
    rated = training_studies.rated(pairs, gold, 0)
    margins = np.reshape([pair.target_margin for pair in rated], (3, -1))
    assert {(pair.prompt, pair.chosen, pair.rejected) for pair in rated} == {("What?", "This.", "That.")}
    assert set(np.unique(margins)) == {0.0, 1.0, 2.0, 3.0}
    for row, delta in zip(margins, (-2.0, 0.0, 3.0), strict=True):
        above = 1 / (1 + np.exp(np.array([0.0, 0.5, 1.5, 2.5]) - delta))  # P(gap > u)
        for edge, share in zip((0.5, 1.5, 2.5), above[1:] / above[0], strict=True):
            assert abs((row > edge).mean() - share) < 4 * np.sqrt(share * (1 - share) / row.size), (delta, edge)


def test_target_margins_are_trained_on_where_a_variant_wants_them(monkeypatch):
    seen = []
    monkeypatch.setattr(training_studies, "train", lambda model, pairs, *_, **__: seen.append(pairs))
    monkeypatch.setattr(training_studies, "score_pairs", lambda *_: 1 / 0)
    for changed in ({}, {"use_target_margin": True}):
        config = training_studies.TrainingConfig(batch_size=8, precision="fp32", **changed)
        with pytest.raises(ZeroDivisionError):
            training_studies.run(training_studies.World(), "pretrained", 30, config, [])
    plain, rated = ([pair.target_margin for pair in pairs] for pairs in seen)
    assert set(plain) == {None} and {0.0, 3.0} <= set(rated) <= {0.0, 1.0, 2.0, 3.0}


def test_a_fitted_number_is_judged_on_prompts_that_it_was_not_fitted_on():
    """Fitted on the pairs that are judged, or on half of a prompt's pairs; no number where a half has none."""
    rng, prompts = np.random.default_rng(0), np.repeat(["a", "b", "c", "d"], 50).tolist()
    margins = rng.normal(1, 2, 200) * np.repeat([1, 3, 1, 3], 50)
    one = np.isin(prompts, ["a", "c"])
    first, second = (training_studies.fit_temperature(margins[part]) for part in (one, ~one))
    divided = margins / np.where(one, second, first)
    assert training_studies.scaled_nll(margins, prompts) == pytest.approx(training_studies.nll(divided))
    assert training_studies.scaled_nll(np.abs(margins), prompts) is None
    shuffled = rng.permutation(200)
    again = training_studies.scaled_nll(margins[shuffled], np.array(prompts)[shuffled].tolist())
    assert again == pytest.approx(training_studies.scaled_nll(margins, prompts))


def test_one_fitted_number_hardly_makes_the_likelihood_worse_and_the_figures_agree():
    for row in json.loads((STORED / "variants.json").read_text(encoding="utf-8"))["runs"]:
        assert row["nll_scaled"] <= row["nll"] + 6e-4 and 0.5 < row["sure"] < 1
        assert (row["temperature"] > 1) == (row["sure"] > row["accuracy"] + 0.005) or abs(row["temperature"] - 1) < 0.15
