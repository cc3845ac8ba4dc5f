"""Two processes on the loopback device do what one does: the same gradients, the same figures, one report."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from real_parts import ROOT
from resume_parts import parts
from safetensors.torch import load_file
from training_parts import (  # noqa: F401
    CONFIG,
    PAIRS,
    losses,
    made_up_pairs,
    one_thread,
    run,
    save_backbone,
    tiny_model,
)
from two_processes import BATCHES, gradients

from rmlib.encoding import micro_batches
from rmlib.evaluation import evaluate
from rmlib.model import score_pairs
from rmlib.practice.command_line import main
from rmlib.practice.writing import write_pairs
from rmlib.training import Trainer, join_processes

ENVIRONMENT = {
    **os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo",
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "helpers")]),
}


def free_port() -> str:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return str(server.getsockname()[1])


def two(*command: str, launcher: tuple[str, ...]) -> subprocess.CompletedProcess:
    """Run a command as two processes and wait for both."""
    done = subprocess.run([sys.executable, "-m", *launcher, *command], env=ENVIRONMENT, capture_output=True, text=True,
                          timeout=240)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Path:
    """Folder of what two processes saw."""
    directory = tmp_path_factory.mktemp("both")
    two(str(ROOT / "tests" / "helpers" / "two_processes.py"), str(directory), launcher=(
        "torch.distributed.run", "--nproc_per_node", "2", "--master_addr", "127.0.0.1", "--master_port", free_port()
    ))
    return directory


def seen(both: Path) -> dict:
    """What both processes saw, once it is known to be the same."""
    first, second = (json.loads((both / f"seen-{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    return first


@pytest.mark.parametrize("name", BATCHES)
def test_gradients_equal_those_of_one_process(both, name):
    expected = gradients(Trainer(tiny_model(), PAIRS, CONFIG), BATCHES[name])
    for rank in (0, 1):
        got = load_file(both / f"{name}-{rank}.safetensors")
        assert got.keys() == expected.keys()
        for parameter, wanted in expected.items():
            assert ((got[parameter] - wanted).abs() <= 1e-6 * wanted.abs().clamp(min=1)).all(), parameter
    assert max(gradient.abs().max() for gradient in expected.values()) > 1e-2


def test_batches_are_as_unequal_as_they_claim():
    encoded = Trainer(tiny_model(), PAIRS, CONFIG).encoded
    counts = {name: [len(micro_batches([encoded[i] for i in batch[rank::2]], CONFIG.token_budget)) for rank in (0, 1)]
              for name, batch in BATCHES.items()}
    assert counts["single"] == [1, 0] and counts["lopsided"][0] > counts["lopsided"][1]
    assert len(BATCHES["uneven"]) % 2 == 1


def test_training_equals_that_of_one_process(both):
    model, result = run()
    assert seen(both)["losses"] == pytest.approx(losses(result), abs=1e-5)
    weights = [load_file(both / f"weights-{rank}") for rank in (0, 1)]
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name])
    reloaded = tiny_model()
    reloaded.load_state_dict(weights[0], strict=False)
    margins = [chosen - rejected for chosen, rejected in (score_pairs(m, PAIRS) for m in (model, reloaded))]
    assert margins[0] == pytest.approx(margins[1], abs=1e-4)


def test_evaluation_counts_every_pair_once(both):
    model = tiny_model()
    model.load_state_dict(load_file(both / "weights-0"), strict=False)
    for figures, count in zip(seen(both)["evaluations"], (14, 5, 1)):
        expected = asdict(evaluate(model, PAIRS[:count]))
        assert figures["pairs"] == count
        assert figures.pop("baselines") == expected.pop("baselines") and figures == pytest.approx(expected, abs=1e-6)
    for got, wanted in zip(seen(both)["scores"], score_pairs(model, PAIRS)):
        assert got == pytest.approx(wanted.tolist(), abs=1e-5)


def test_two_processes_resume_together(both):
    assert seen(both)["unequal after resume"] == []
    assert len(seen(both)["resumed"]) == 8
    [checkpoint] = (both / "parts").iterdir()
    _, state = parts(checkpoint)
    assert state["result"]["steps"] == 8
    assert len(state["random_states"]) == state["environment"]["processes"] == 2


def test_command_under_accelerate_launch(tmp_path, capsys):
    """One report, one directory, and the figures of one process."""
    write_pairs(tmp_path / "pairs.jsonl", made_up_pairs(31))
    command = ["train", str(tmp_path / "pairs.jsonl"), "--backbone", str(save_backbone(tmp_path / "backbone")),
               "--batch-size", "5", "--precision", "fp32", "--learning-rate", "1e-3", "--out"]
    # Accelerate's --cpu starts one process, whatever --num_processes says; --multi_gpu starts both, GPU or none.
    done = two("rmlib", *command, str(tmp_path / "two"), launcher=(
        "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
        "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", free_port(), "-m",
    ))
    assert main([*command, str(tmp_path / "one")]) == 0
    assert done.stdout == capsys.readouterr().out and done.stdout.count("held out:") == 1
    assert done.stderr.count("saved in") == 1
    listings = [sorted(path.name for path in (tmp_path / out).iterdir()) for out in ("one", "two")]
    assert listings[0] == listings[1]
    one, other = (json.loads((tmp_path / out / "training.json").read_text()) for out in ("one", "two"))
    assert [r["loss"] for r in other["history"]] == pytest.approx([r["loss"] for r in one["history"]], abs=1e-5)


def test_processes_that_can_not_be_joined_are_an_error(monkeypatch):
    # This process knows itself to be alone; a launcher that claims to have started more of them is not believed.
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "0")
    with pytest.raises(ValueError, match="4 processes were started, and 1 can work together"):
        join_processes()
