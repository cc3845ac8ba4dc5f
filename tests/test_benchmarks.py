"""The benchmarks' own arithmetic and accounts, on tiny parts: what they count, and when they refuse to give a ratio."""

import json
import sys
import time
from pathlib import Path

import pytest
import tiny
import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import cross_validate  # noqa: E402

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


def test_cross_validation_holds_each_pair_out_once_and_tells_of_all_rows(backbone_dir, pairs_file, tmp_path, capsys):
    out = tmp_path / "report.json"
    arguments = ["--pairs", str(pairs_file), "--backbone", str(backbone_dir), "--folds", "3", "--json", str(out)]
    assert cross_validate.main(arguments) == 0
    report = json.loads(out.read_text(encoding="utf-8"))
    assert report["rows"] == {"read": 26, "used": 24, "not_used": {"empty response": 1, "missing key": 1}}
    assert [fold["pairs"] + fold["training_pairs"] for fold in report["folds"]] == [24, 24, 24]
    assert sum(fold["pairs"] for fold in report["folds"]) == report["pooled"]["pairs"] == 24
    right = sum(fold["accuracy"] * fold["pairs"] for fold in report["folds"])
    assert report["pooled"]["accuracy"] * 24 == pytest.approx(right)
    assert report["pooled"]["baselines"] == {"longer": 1.0, "shorter": 0.0}
    assert len(capsys.readouterr().out.splitlines()) == 1 + 1 + 3 + 1


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
