"""`make gpu`, tried on a CPU with tiny sizes: what it runs, what it counts, and what it keeps where a part fails."""

import gzip
import itertools
import json
import multiprocessing
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import nbformat
import numpy as np
import pytest
import tiny
import torch
from nbformat.v4 import new_code_cell, new_notebook
from places import ROOT
from torch.utils.flop_counter import FlopCounterMode
from training_parts import PAIRS as TINY_PAIRS
from training_parts import one_thread, tiny_model  # noqa: F401

sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tools")]

import gpu
import gpu_model
import gpu_parts
import gpu_speed
from gpu_tables import NOT_MEASURED, STORED, gpu_tables

from rmlib.course.world import World
from rmlib.encoding import encode
from rmlib.evaluation import evaluate
from rmlib.model import RewardModel, score_pairs
from rmlib.pairs import conversation_keys
from rmlib.practice.writing import write_pairs
from rmlib.settings import EMBEDDED_BACKBONE
from rmlib.training import train

HAS_TRL = find_spec("trl") is not None


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """The parts as `make gpu` lays them out; for MiniLM the embedded backbone, and the gold world's pairs."""
    packed, to = tmp_path_factory.mktemp("packed"), tmp_path_factory.mktemp("parts") / "gpu"
    gpu_parts.pack_model(EMBEDDED_BACKBONE, packed / gpu_parts.MODEL)
    write_pairs(packed / "plain", World().pairs(64, "train", seed=0))
    (packed / gpu_parts.PAIRS).write_bytes(gzip.compress((packed / "plain").read_bytes()))
    assert gpu_parts.main(["unpack", str(packed), str(to)]) == 0
    return to


@pytest.fixture
def given(unpacked, tmp_path) -> gpu.Given:
    return gpu.Given(unpacked, tmp_path, tmp_path / "copies", tiny=True, until=time.time() + 1000)


def notebook(path: Path, *sources: str) -> None:
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)


def test_the_command_runs_and_one_failure_stops_nothing(unpacked, tmp_path):
    """Three of the measurements; the tests of the other two, below, run them whole."""
    notebook(tmp_path / "a.ipynb", "import os, rmlib\nassert os.environ['RMLIB_PROFILE'] == 'quick'",
             f"assert rmlib.__file__.startswith({str(ROOT)!r})")
    notebook(tmp_path / "b.ipynb", "1 + 1", "assert 1 + 1 == 3, 'no sum'")
    out = tmp_path / "out" / "gpu.json"
    command = [sys.executable, str(ROOT / "benchmarks/gpu.py"), "--tiny", "--parts", str(unpacked), "--json", str(out)]
    command += ["--notebooks", str(tmp_path), "--only", "notebooks", "machine", "speed"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    report = json.loads(out.read_text(encoding="utf-8"))
    found = report["measurements"]
    assert list(found) == ["notebooks", "machine", "speed"] and report["tiny"]
    errors = {name: part["error"] for name, part in found.items() if part["error"]}
    assert errors == {"notebooks": "RuntimeError: 1 of 2 failed: b.ipynb"}
    assert [(run["name"], run["error"]) for run in found["notebooks"]["runs"]] == [
        ("a.ipynb", None), ("b.ipynb", "cell 2 of 2: AssertionError: no sum")]
    assert found["machine"]["versions"]["torch"] == torch.__version__
    assert set(found["machine"]["matrix_products"]) == {"fp32", "tf32", "bf16"}
    loops = [loop for loop in gpu_speed.LOOPS if HAS_TRL or not loop.startswith("trl")]
    for name in ("DistilBERT", "decoder, 0.5B"):
        assert list(found["speed"][name]["loops"]) == loops
        assert all(each["share"] > 0 and each["pieces"] == 1 for each in found["speed"][name]["loops"].values())
        losses = [each["loss"] for loop, each in found["speed"][name]["loops"].items()
                  if loop in ("rmlib_fp32", "trl_fp32", "rmlib_bf16", "trl_bf16")]
        assert max(losses) - min(losses) < 1e-3  # they did the same
    assert (found["speed"]["without_trl"] is None) == HAS_TRL
    told = done.stdout.splitlines()
    assert f"FAILED notebooks: {errors['notebooks']}" in told and "b.ipynb: cell 2 of 2" in told
    assert gpu_tables(out) in done.stdout
    assert [path.name for path in out.parent.iterdir() if path.is_file()] == ["gpu.json"]


# --- what could be wrong in silence --------------------------------------------------------------------------------

@pytest.mark.parametrize("config", [gpu_speed.encoder_config, gpu_speed.decoder_config])
def test_a_forward_s_products_are_those_that_torch_counts_but_for_a_decoder_s_future(config, unpacked):
    tokenizer = RewardModel(str(unpacked / "minilm")).tokenizer
    model, lengths = gpu_speed.network(config(True, tokenizer), tokenizer), [5, 17, 30]
    model.backbone.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        for length in lengths:
            model.backbone(torch.randint(5, 50, (1, length)))
    future = 2 * 32 * 2 * sum(length**2 for length in lengths)  # half of 4 d T² in each of two layers
    expected = counter.get_total_flops() - (future if model.pooling == "last" else 0)
    assert gpu_speed.operations(model.backbone, lengths) == expected


def test_full_sizes_are_those_of_the_real_networks():
    """Parameters as published: 66 million; 0.49 billion, of which 0.36 are no embedding."""
    tokenizer = tiny.TOKENIZERS["bert"]()
    with torch.device("meta"):
        encoder = gpu_speed.AutoModel.from_config(gpu_speed.encoder_config(False, tokenizer))
        decoder = gpu_speed.AutoModel.from_config(gpu_speed.decoder_config(False, tokenizer))
    assert round(encoder.num_parameters() / 1e6) == 66
    assert round(decoder.num_parameters() / 1e7) == 49
    assert round((decoder.num_parameters() - decoder.get_input_embeddings().weight.numel()) / 1e7) == 36


@pytest.fixture
def start(unpacked):
    model = RewardModel(str(unpacked / "minilm"))
    return gpu_speed.start_of(model, World().pairs(32, "train", seed=0), 32)


def test_a_share_is_of_the_rate_of_its_own_precision_and_training_is_three_forwards(start):
    once = gpu_speed.operations(start.model.backbone, start.lengths)
    rates = {"fp32": once * 2.0, "tf32": once * 100.0, "bf16": once * 8.0}
    for loop, share in {"rmlib_fp32": 3 / 2 / 4, "trl_bf16": 3 / 8 / 4, "rmlib_scoring": 1 / 2 / 4}.items():
        found = gpu_speed.account({"seconds": 4.0}, start, loop, rates)
        assert found["share"] == pytest.approx(share) and found["pairs_per_second"] == 32 / 4
    assert gpu_speed.account({"seconds": 4.0}, start, "rmlib_fp32", {})["share"] is None


def test_the_rate_is_that_of_the_products_made(monkeypatch):
    clock = iter([0.0, 5.0, 10.0, 12.0, 20.0, 23.0, 30.0, 39.0, 40.0, 48.0])
    made, matmul = [], torch.matmul
    monkeypatch.setattr(gpu_model, "clock_of", lambda device: lambda: next(clock))
    monkeypatch.setattr(torch, "matmul", lambda a, b: made.append(a.shape) or matmul(a, b))
    rate = gpu_model.product_rate(16, torch.float32, "highest", torch.device("cpu"))
    assert rate == (len(made) - 1) / 5 * 2 * 16**3 / 2.0  # the quickest series took 2 s; the first product is warm-up
    assert torch.get_float32_matmul_precision() == "highest"


def test_the_peak_is_that_of_the_loop_alone(start, monkeypatch):
    events = []
    monkeypatch.setattr(gpu_speed, "watch_memory", lambda device: events.append("forget"))
    monkeypatch.setattr(gpu_speed, "peak_memory", lambda device: events.append("read") or 5)
    monkeypatch.setattr(gpu_speed, "score_pairs", lambda *_: events.append("score") or score_pairs(*_))
    run = gpu_speed.LOOPS["rmlib_fp32"]
    monkeypatch.setitem(gpu_speed.LOOPS, "rmlib_fp32", lambda *_: lambda: events.append("train") or run(*_)())
    assert gpu_speed.measure("rmlib_fp32", start)["peak_memory"] == 5
    assert events == ["forget", "train", "read", "score"]


def test_out_of_memory_takes_smaller_pieces_and_says_so(start, monkeypatch, capsys):
    def attempt(loop, start, pieces, now):
        if pieces < 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {"seconds": 1.0}

    monkeypatch.setattr(gpu_speed, "attempt", attempt)
    assert gpu_speed.measure("trl_fp32", start)["pieces"] == 4
    assert capsys.readouterr().out.count("trl_fp32: out of memory") == 2
    monkeypatch.setattr(gpu_speed, "PIECES", (1, 2))
    with pytest.raises(MemoryError, match="even with single pairs"):
        gpu_speed.measure("trl_fp32", start)


@pytest.mark.parametrize("loop", ["rmlib_fp32", "rmlib_scoring", "trl_fp32"])
def test_pieces_are_smaller_forwards_and_the_same_work(start, loop, monkeypatch):
    if loop.startswith("trl") and not HAS_TRL:
        pytest.skip("TRL is not installed: make bench")
    rows, forward = [], RewardModel.forward
    monkeypatch.setattr(RewardModel, "forward", lambda self, *a, **k: rows.append(len((a or [k["input_ids"]])[0]))
                        or forward(self, *a, **k))
    monkeypatch.setattr(gpu_speed, "score_pairs", lambda *a: score_pairs(*a) if len(a) == 3 else [[0.0]] * 2)
    found = {}
    for pieces in (1, 16):
        rows.clear()
        found[pieces] = gpu_speed.attempt(loop, start, pieces, time.perf_counter), max(rows)
    assert found[16][1] < found[1][1]
    assert found[16][0]["tokens"] == found[1][0]["tokens"] == sum(start.lengths)


def test_loops_that_saw_other_tokens_give_no_figures():
    gpu_speed.check_tokens({"tokens": 7, "loops": {"a": {"tokens": 7}, "b": {"tokens": 7}}})
    with pytest.raises(ValueError, match="same 7 real tokens"):
        gpu_speed.check_tokens({"tokens": 7, "loops": {"a": {"tokens": 7}, "b": {"tokens": 8}}})


def test_the_curve_and_the_accuracy_are_those_of_the_package_s_own_training(given):
    figures = {}
    gpu_model.learning(figures, given, lambda: None)
    pairs = gpu_model.read_pairs(given.parts / "pairs.jsonl.gz", limit=40).pairs
    training, held = gpu_model.folds_by_conversation(pairs, 5, 0)[0]
    assert not {*conversation_keys(training)} & {*conversation_keys(held)}
    gpu_model.set_seed(0)
    model = RewardModel(str(given.parts / "minilm"), "mean")
    result, first = train(model, training, gpu_model.TrainingConfig(), progress=False), figures["folds"][0]
    assert first["losses"] == pytest.approx([record["loss"] for record in result.history], abs=1e-4)
    assert len(first["losses"]) == -(-len(training) // 16)
    expected = evaluate(model, held)
    assert first["accuracy"] == expected.accuracy and first["nll"] == pytest.approx(expected.nll, abs=1e-4)
    assert gpu.MEASUREMENTS["learning"][0] == gpu.MEASUREMENTS["agreement"][0] == gpu_model.__name__
    assert figures["pooled"]["pairs"] == 40 == sum(fold["pairs"] for fold in figures["folds"])
    assert figures["pooled"]["accuracy_low"] < figures["pooled"]["accuracy"] < figures["pooled"]["accuracy_high"]


def test_no_fold_begins_that_would_not_end_in_time(given):
    given.until, kept, figures = time.time() - 1, [], {}
    gpu_model.learning(figures, given, lambda: kept.append(len(figures["folds"])))
    assert kept == [1] and figures["pooled"]["pairs"] == figures["folds"][0]["pairs"]


def test_rewards_alone_and_together_agree_with_the_package_s(given):
    model = tiny_model()
    encoded = encode(model.tokenizer, TINY_PAIRS, model.encoding)
    expected = score_pairs(model, TINY_PAIRS)
    for together in (0, 4):
        np.testing.assert_allclose(gpu_model.rewards(model, encoded, together), expected, atol=1e-6)


def test_a_device_or_a_padding_that_changes_rewards_is_found(given, monkeypatch):
    figures = {}
    gpu_model.agreement(figures, given, lambda: None)
    assert figures["decoder, 0.5B"]["spread_of_margins"] > 0.01 < figures["MiniLM"]["spread_of_margins"]
    plain = gpu_model.rewards
    for spoiled in (0, 8):
        monkeypatch.setattr(gpu_model, "rewards", lambda *a, side=spoiled: plain(*a) + 1e-3 * (a[2] == side))
        with pytest.raises(RuntimeError) as raised:
            gpu_model.agreement({}, given, lambda: None)
        for network, where in itertools.product(("MiniLM", "decoder, 0.5B"), ("CPU", "device")):
            assert f"{network}: {where}: alone against together 1.0e-03" in str(raised.value)
    calls = iter([0.0] + [1e-3] * 20)  # all but the first on another device
    monkeypatch.setattr(gpu_model, "rewards", lambda *a: plain(*a) + next(calls))
    with pytest.raises(RuntimeError, match="MiniLM: together: device against CPU 1.0e-03"):
        gpu_model.agreement({}, given, lambda: None)


# --- the runner ----------------------------------------------------------------------------------------------------

PARTS = {
    "late": "import time\ndef f(figures, given, keep):\n    figures['kept'] = 1\n    keep()\n    time.sleep(600)",
    "dies": "import os\ndef f(figures, given, keep):\n    figures['kept'] = 1\n    keep()\n    os._exit(3)",
    "raises": "def f(figures, given, keep):\n    figures['kept'] = 1\n    {}['x']",
}


class Patient:
    """A process that has as long as it needs, or until it has kept something where it would never end."""

    def __init__(self, endless: bool, file: Path):
        self.endless, self.file = endless, file

    def Process(self, **named):
        self.process = multiprocessing.get_context("spawn").Process(**named)
        return self

    def __getattr__(self, name):
        return getattr(self.process, name)

    def join(self, seconds=None):
        while seconds and self.endless and not self.file.exists():
            time.sleep(0.05)
        self.process.join(0 if seconds and self.endless else None)


@pytest.mark.parametrize("name, error", [
    ("late", "ended after 7 s, unfinished"), ("dies", "the process ended with code 3"), ("raises", "KeyError: 'x'")])
def test_a_measurement_that_does_not_end_leaves_what_it_kept(name, error, given, tmp_path, monkeypatch):
    (tmp_path / f"part_{name}.py").write_text(PARTS[name], encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    kept = tmp_path / "kept.json"
    found = gpu.measure(Patient(name == "late", kept), (f"part_{name}", "f"), 7, given, kept)
    assert found["error"] == error and found["kept"] == 1 and not kept.exists()


def test_the_file_is_whole_after_each_measurement_and_the_last_gets_what_is_left(given, tmp_path, monkeypatch):
    out, seen, now = tmp_path / "gpu.json", [], [0.0]

    def measure(context, where, seconds, given, file):
        seen.append((where[1], seconds, list(json.loads(out.read_text())["measurements"]) if out.exists() else []))
        now[0] += 30
        return {"error": None, "seconds": 30.0}

    monkeypatch.setattr(gpu, "measure", measure)
    monkeypatch.setattr(gpu.time, "perf_counter", lambda: now[0])
    given.tiny = False
    gpu.measure_all(list(gpu.MEASUREMENTS), given, out)
    names = list(gpu.MEASUREMENTS)
    assert [(name, before) for name, _, before in seen] == [(name, names[:i]) for i, name in enumerate(names)]
    assert seen[-1][1] == gpu.LIMIT - 4 * 30 and gpu.LIMIT <= 480
    assert gpu.LIMIT - sum(seconds for _, seconds in [*gpu.MEASUREMENTS.values()][:-1]) >= 180  # for the notebooks


def test_without_a_gpu_only_the_machine_is_told(given, tmp_path, monkeypatch):
    found = {"error": "RuntimeError: torch sees no GPU here", "device": "CPU", "seconds": 1.0}
    monkeypatch.setattr(gpu, "measure", lambda *_: found)
    given.tiny = False
    assert gpu.measure_all(list(gpu.MEASUREMENTS), given, tmp_path / "gpu.json")["measurements"] == {"machine": found}


# --- tables ---------------------------------------------------------------------------------------------------------

def test_results_hold_what_was_measured_or_say_that_nothing_was():
    section = (ROOT / "benchmarks/RESULTS.md").read_text(encoding="utf-8").partition("## On a GPU")[2]
    assert (gpu_tables() if STORED.exists() else "Not measured") in section


def test_without_a_file_the_tables_say_so_and_a_failure_is_told(tmp_path):
    assert gpu_tables(tmp_path / "none.json") == NOT_MEASURED
    loop = {"pairs_per_second": 20.0, "share": 0.5, "peak_memory": 3 * 2**30, "loss": 0.69, "pieces": 2}
    network = {"parameters": 66_000_000, "pairs": 5, "tokens": 99, "window": 512,
               "loops": {"rmlib_bf16": loop, "trl_bf16": loop | {"pairs_per_second": 8.0, "loss": None}}}
    found = {"machine": {"error": "RuntimeError: no GPU"}, "speed": {"error": None, "without_trl": None, "X": network}}
    (tmp_path / "gpu.json").write_text(json.dumps({"measurements": found}), encoding="utf-8")
    told = gpu_tables(tmp_path / "gpu.json")
    assert "**machine failed:** RuntimeError: no GPU" in told
    assert "| `rmlib.training`, bf16 | 20.0 | 2.50 | 50% | 3.0 GiB | 0.6900 | 2 |" in told
    assert "| TRL, bf16 | 8.0 |  | 50% | 3.0 GiB |  | 2 |" in told
