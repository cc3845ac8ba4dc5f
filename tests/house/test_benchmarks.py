"""The benchmarks' own arithmetic and accounts, on tiny parts: what they count, and when they refuse to give a ratio."""

import json
import sys
import time

import numpy as np
import pytest
import tiny
import torch
from places import ROOT
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(ROOT / "benchmarks"))

import cross_validate  # noqa: E402
import human_curve  # noqa: E402

from rmlib.course import matrix_products  # noqa: E402


@pytest.fixture(scope="module")
def backbone_dir(tmp_path_factory):
    return tiny.save("bert", tmp_path_factory.mktemp("backbone"))


@pytest.fixture
def pairs_file(tmp_path):
    """24 pairs of 8 conversations, and two rows that can't be used."""
    rows = [{"prompt": f"What is {i % 8} plus 5?", "chosen": f"It is {i + 5}.", "rejected": "No."} for i in range(24)]
    rows[5:5] = [{"prompt": "Is it?", "chosen": "Yes", "rejected": ""}, {"prompt": "Is it?", "chosen": "Yes"}]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", tiny.ENCODERS)
def test_the_listed_products_are_those_that_torch_counts(name):
    backbone, _ = tiny.build(name)
    backbone.pooler = None
    backbone.set_attn_implementation("eager")
    lengths = [5, 17, 30]
    with FlopCounterMode(display=False) as counter:
        for length in lengths:
            backbone(torch.randint(5, 50, (1, length))).last_hidden_state.sum().backward()
    assert matrix_products.operations(backbone, lengths) == counter.get_total_flops()


@pytest.mark.parametrize("name", tiny.DECODERS)
def test_a_decoder_has_no_ceiling_here(name):
    backbone, _ = tiny.build(name)
    for count in (matrix_products.operations, matrix_products.listing):
        with pytest.raises(ValueError, match=f"products of {name} are not known"):
            count(backbone, [5, 17])
    with pytest.raises(ValueError, match=f"products of {name} are not known"):
        matrix_products.seconds(backbone, [5, 17], torch.float32, time.perf_counter)


def test_a_ceiling_is_measured_for_either_precision():
    backbone, _ = tiny.build("bert")
    for dtype in (torch.float32, torch.bfloat16):
        assert matrix_products.seconds(backbone, [5, 17, 17], dtype, time.perf_counter) > 0
    assert "2 linear layers: (N, 64) (64, 32)" in "\n".join(matrix_products.listing(backbone, [5, 17, 17]))


@pytest.fixture
def validate(backbone_dir, pairs_file, tmp_path):
    """Cross-validate the 24 pairs in 3 folds: (exit code, the report or None)."""

    def call(*arguments):
        out = tmp_path / "report.json"
        files = ["--pairs", str(pairs_file), "--backbone", str(backbone_dir), "--json", str(out)]
        code = cross_validate.main([*files, "--folds", "3", *arguments])
        return code, json.loads(out.read_text(encoding="utf-8")) if out.exists() else None

    return call


def test_cross_validation_holds_each_pair_out_once_with_each_seed_and_tells_of_all_rows(validate, capsys):
    code, report = validate("--seeds", "0", "3")
    assert code == 0 and report["rows"] == {"read": 26, "used": 24, "not_used": {"empty response": 1, "missing key": 1}}
    assert [seed["seed"] for seed in report["seeds"]] == report["settings"]["seed"] == [0, 3]
    for seed in report["seeds"]:
        assert [fold["pairs"] + fold["training_pairs"] for fold in seed["folds"]] == [24, 24, 24]
        assert sum(fold["pairs"] for fold in seed["folds"]) == seed["pooled"]["pairs"] == 24
        right = sum(fold["accuracy"] * fold["pairs"] for fold in seed["folds"])
        assert seed["pooled"]["accuracy"] * 24 == pytest.approx(right)
    accuracies = [seed["pooled"]["accuracy"] for seed in report["seeds"]]
    assert report["over_seeds"]["accuracy_mean"] == pytest.approx(sum(accuracies) / 2)
    rows = [row.split(" | ") for row in capsys.readouterr().out.splitlines() if row.startswith("| ")]
    assert [len(row) for row in rows] == [8] * (1 + 2 * 3 + 1 + 2 + 1 + 2 * 4)
    assert rows[8][:3] == ["| 0", "24", f"{accuracies[0]:.3f}"] and rows[-1][1] == "bag of words, no prompt"
    assert "What is" not in json.dumps(report) and "backbone" not in report["settings"]


def test_each_baseline_is_judged_on_the_same_pairs_as_the_model(validate):
    [seed] = validate()[1]["seeds"]
    assert list(seed["against"]) == ["longer", "shorter", "bag of words", "bag of words, no prompt"]
    model = round(seed["pooled"]["accuracy"] * 24)  # no ties
    for row in seed["against"].values():
        assert row["ties"] == 0 and row["only_model"] - row["only_baseline"] == model - round(row["accuracy"] * 24)
    assert [seed["against"][name]["accuracy"] for name in ("longer", "shorter")] == [1.0, 0.0]
    # "It", "is" against "No" tells all pairs apart, also those of conversations that were not fitted to.
    assert seed["against"]["bag of words, no prompt"]["accuracy"] == 1.0


def test_baselines_are_fitted_to_what_the_model_is_trained_on_and_to_nothing_else(validate, monkeypatch):
    trained, fitted, train = [], [], cross_validate.trained_fold
    monkeypatch.setattr(cross_validate, "trained_fold", lambda *given: trained.append(given[:2]) or train(*given))
    monkeypatch.setattr(cross_validate, "null_baselines",
                        lambda *parts: fitted.append(parts) or {"coin": np.zeros(len(parts[1]))})
    [seed] = validate()[1]["seeds"]
    assert fitted == trained and len(fitted) == 3
    assert all(not set(training) & set(held_out) for training, held_out in fitted)
    assert seed["against"]["coin"]["ties"] == 24 and seed["against"]["coin"]["accuracy"] == 0.5


def test_mcnemar_s_test_is_of_the_model_against_the_baseline():
    row = cross_validate.compare(np.array([1.0, 2, 3, 4, 5, -1]), np.array([-1.0, -2, -3, -4, 0, 1]), range(6))
    assert (row["only_model"], row["only_baseline"], row["ties"]) == (5, 1, 1)
    assert row["accuracy"] == pytest.approx(1.5 / 6) and row["p_value"] == pytest.approx(2 * 7 / 64)


def test_the_lead_is_paired_and_draws_whole_conversations():
    """The model is always right, the other in half of 500 conversations, each of two pairs."""
    theirs = np.repeat(np.random.default_rng(0).permutation([1.0, -1.0] * 250), 2)  # (1000,)
    row = cross_validate.compare(np.ones(1000), theirs, np.arange(1000) // 2)
    assert row["lead"] == pytest.approx(1 - row["accuracy"]) == pytest.approx(0.5)
    half = 1.96 * 0.5 / 500**0.5  # five hundred independent conversations
    assert [row["lead_low"], row["lead_high"]] == pytest.approx([0.5 - half, 0.5 + half], abs=0.006)
    same = cross_validate.compare(theirs, theirs, np.arange(1000))
    assert [same[name] for name in ("lead", "lead_low", "lead_high")] == [0, 0, 0]


def test_a_finished_fold_is_not_trained_again(validate, tmp_path, monkeypatch):
    kept = tmp_path / "kept"
    _, first = validate("--keep", str(kept))
    assert sorted(path.name for path in kept.iterdir()) == [f"seed0_fold{fold}.json" for fold in (1, 2, 3)]
    (kept / "seed0_fold2.json").unlink()
    trained, train = [], cross_validate.trained_fold
    monkeypatch.setattr(cross_validate, "trained_fold", lambda *given: trained.append(given) or train(*given))
    code, second = validate("--keep", str(kept))
    assert code == 0 and len(trained) == 1
    times = [fold.pop("seconds") for report in (first, second) for fold in report["seeds"][0]["folds"]]
    assert times[0] == times[3] and times[2] == times[5]
    assert first["seeds"][0]["folds"] == second["seeds"][0]["folds"]
    assert first["over_seeds"] == second["over_seeds"]


def test_a_fold_of_other_settings_is_refused(validate, tmp_path, capsys):
    assert validate("--keep", str(tmp_path / "kept"))[0] == 0
    capsys.readouterr()
    code, _ = validate("--keep", str(tmp_path / "kept"), "--epochs", "2")
    assert code == 2 and "seed0_fold1.json is of other pairs, settings or another backbone" in capsys.readouterr().err


def test_the_stored_result_is_of_the_script_as_it_stands():
    study = json.loads((ROOT / "rmlib/assets/studies/hh_minilm.json").read_text(encoding="utf-8"))
    given = cross_validate._parser().parse_args(["--pairs", "HH", "--backbone", "MINILM", "--seeds", "0", "1", "2"])
    assert study["settings"] == cross_validate.settings(given)
    assert [[fold["fold"] for fold in seed["folds"]] for seed in study["seeds"]] == [[1, 2, 3, 4, 5]] * 3
    for seed in study["seeds"]:
        pooled = seed["pooled"]
        assert pooled["pairs"] == study["rows"]["used"] == sum(fold["pairs"] for fold in seed["folds"])
        for row in seed["against"].values():
            assert row["lead"] == pytest.approx(pooled["accuracy"] - row["accuracy"])
            assert row["lead_low"] < row["lead"] < row["lead_high"]


def test_the_human_curve_looks_at_the_start_and_five_times_an_epoch(backbone_dir, tmp_path, capsys):
    rows = [{"prompt": f"What is {i} plus 5?", "chosen": f"It is {i + 5}.", "rejected": "No."} for i in range(300)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert human_curve.main(["--pairs", str(tmp_path / "pairs.jsonl"), "--backbone", str(backbone_dir),
                             "--json", str(tmp_path / "out.json")]) == 0
    study = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert (study["training_pairs"], study["held_out_pairs"], len(study["losses"])) == (240, 60, 30)
    assert [look["step"] for look in study["looks"]] == [0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30]
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == study["looks"]


def test_the_stored_human_curve_is_of_the_script_as_it_stands():
    study = json.loads((ROOT / "rmlib/assets/studies/hh_curve.json").read_text(encoding="utf-8"))
    defaults = cross_validate.TrainingConfig()
    assert (study["epochs"], study["batch_size"], study["learning_rate"], study["pooling"], study["seed"]) == (
        human_curve.EPOCHS, defaults.batch_size, defaults.learning_rate, cross_validate.POOLING, 0)
    assert study["training_pairs"] + study["held_out_pairs"] == study["rows"]["used"] == 1_813
    steps = -(-study["training_pairs"] // study["batch_size"])
    assert len(study["losses"]) == 2 * steps and len(study["looks"]) == 11
    assert [look["step"] for look in study["looks"][::5]] == [0, steps, 2 * steps]
    assert all(look["low"] < look["accuracy"] < look["high"] for look in study["looks"])


def test_cross_validation_tells_a_user_s_error(backbone_dir, tmp_path, capsys):
    assert cross_validate.main(["--pairs", str(tmp_path / "none.jsonl"), "--backbone", str(backbone_dir)]) == 2
    assert "none.jsonl: no such file" in capsys.readouterr().err


def results(**changed):
    row = {"seconds": 1.0, "tokens": 100, "loss": 0.69}
    return {name: [row | changed.get(name, {})] for name in ("reference", "two_forward", "trl", "rmlib_fp32")}


@pytest.mark.parametrize("changed, words", [
    ({"rmlib_fp32": {"tokens": 99}}, "same real tokens"),
    ({"rmlib_fp32": {"loss": 0.67}}, "rmlib_fp32 did not reach trl's loss"),
    ({"reference": {"loss": 0.60}}, "reference did not reach trl's loss"),
    ({"rmlib_fp32": {"loss": float("nan")}}, "rmlib_fp32 did not reach trl's loss"),
])
def test_no_ratio_where_the_loops_did_not_do_the_same_work(monkeypatch, changed, words):
    pytest.importorskip("trl", reason="the peers are not installed: make bench")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    import throughput

    throughput.check(results())
    with pytest.raises(ValueError, match=words):
        throughput.check(results(**changed))
