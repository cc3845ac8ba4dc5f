"""`train` on the command line: validation, a start from a saved model, signals, memory that runs out."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import tiny
import torch
from places import ROOT
from training_parts import made_up_pairs, save_backbone

from rmlib.files import sha256
from rmlib.model import RewardModel
from rmlib.pairs import conversation_keys, read_pairs
from rmlib.practice import command_line as cli
from rmlib.practice.command_line import evaluating, scoring, sources, training
from rmlib.practice.rivals import read_rivals
from rmlib.practice.writing import write_pairs


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("cli_training")
    save_backbone(directory / "backbone")
    write_pairs(directory / "pairs.jsonl", made_up_pairs(60))
    return directory


@pytest.fixture
def train(room, tmp_path, capsys):
    """Train in this process: (exit code, what it said on stderr)."""

    def call(*arguments, out="run", start=("--backbone", room / "backbone")):
        capsys.readouterr()
        given = ("train", room / "pairs.jsonl", "--out", tmp_path / out, *start, *arguments)
        code = cli.main(list(map(str, given)))
        return code, capsys.readouterr().err

    return call


def facts(out: Path) -> dict:
    return json.loads((out / "training.json").read_text())


def pairs_of(path: Path) -> list:
    return read_pairs(path).pairs


def test_a_tenth_is_for_validation_and_no_conversation_is_in_two_parts(train, room, tmp_path):
    code, err = train("--epochs", 2)
    held_out, validation = (pairs_of(tmp_path / "run" / f"{name}.jsonl") for name in ("held_out", "validation"))
    assert code == 0 and (len(held_out), len(validation)) == (12, 6)
    assert "for validation: 6 of 60 pairs, in whole conversations" in err
    assert not set(conversation_keys(held_out)) & set(conversation_keys(validation))
    found = facts(tmp_path / "run")
    assert found["pairs_seen"] == 2 * 42 and len(found["validation"]) == 2


def test_what_evaluate_wants_for_a_temperature_is_there(train, tmp_path, capsys):
    train("--learning-rate", 1e-2, "--epochs", 3)
    run = str(tmp_path / "run")
    code = cli.main(["evaluate", run, f"{run}/held_out.jsonl", "--validation", f"{run}/validation.jsonl"])
    told = capsys.readouterr()
    assert code == 0 and "from 6 validation pairs" in told.out or code == 2 and "no temperature fits" in told.err


def test_without_validation_the_last_weights_are_kept_and_all_the_rest_is_trained_on(train, tmp_path):
    code, err = train("--validation-share", 0)
    assert code == 0 and not (tmp_path / "run" / "validation.jsonl").exists() and "validation after" not in err
    assert facts(tmp_path / "run")["pairs_seen"] == 48 and facts(tmp_path / "run")["validation"] == []


def test_a_file_for_validation(train, room, tmp_path):
    apart = tmp_path / "apart.jsonl"
    write_pairs(apart, [*made_up_pairs(70)[60:], *made_up_pairs(3)])
    code, err = train("--validation", apart, "--validate-every", 2)
    shared = pairs_of(tmp_path / "run" / "held_out.jsonl")
    at_risk = len(set(conversation_keys(made_up_pairs(3))) - set(conversation_keys(shared)))
    assert code == 0 and at_risk and f"{at_risk} of the 13 pairs of --validation are of conversations" in err
    assert pairs_of(tmp_path / "run" / "validation.jsonl") == pairs_of(apart)
    assert [record["step"] for record in facts(tmp_path / "run")["validation"]] == [2, 3]
    code, err = train("--validation", apart, "--validation-share", 0.3, out="both")
    assert code == 2 and "not both" in err


def test_a_validation_share_that_conversations_do_not_allow(train, room, tmp_path, monkeypatch):
    few = tmp_path / "few.jsonl"
    write_pairs(few, made_up_pairs(2))
    code = cli.main(["train", str(few), "--out", str(tmp_path / "few"), "--backbone", str(room / "backbone")])
    assert code == 2
    code = cli.main(["train", str(few), "--out", str(tmp_path / "few"), "--backbone", str(room / "backbone"),
                     "--validation-share", "0"])
    assert code == 0


def test_the_world_has_validation_pairs_of_its_own(room, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "WORLD_PAIRS", {"train": 24, "validation": 7, "test": 10})
    assert cli.main(["train", "world", "--out", str(tmp_path / "run"), "--backbone", str(room / "backbone")]) == 0
    assert len(pairs_of(tmp_path / "run" / "validation.jsonl")) == 7
    assert facts(tmp_path / "run")["pairs_seen"] == 24


def test_patience_reaches_the_training(train, tmp_path):
    assert train("--patience", 1, "--validate-every", 1, "--epochs", 30, "--learning-rate", 0.05)[0] == 0
    found = facts(tmp_path / "run")
    assert found["steps"] < 90 and found["settings"]["patience"] == 1


def test_a_start_from_a_saved_model_takes_its_head_along(train, tmp_path, room):
    train("--learning-rate", 1e-2, "--epochs", 3, out="first")
    start = ("--start-from", tmp_path / "first")
    assert train("--learning-rate", 1e-12, start=start, out="second")[0] == 0  # as good as no training
    first, second = (RewardModel.from_pretrained(tmp_path / name) for name in ("first", "second"))
    assert torch.allclose(first.head.weight, second.head.weight, atol=1e-6)
    responses = ["paris is hot", "london is blue"]
    assert first.score("hot", responses) == pytest.approx(second.score("hot", responses), abs=1e-5)


@pytest.mark.parametrize("option, value", [("--pooling", "mean"), ("--max-length", 20), ("--rendering", "transcript"),
                                           ("--backbone", "elsewhere")])
def test_what_belongs_to_the_saved_model_can_not_be_given_beside_it(train, tmp_path, option, value):
    code, err = train(option, value, start=("--start-from", tmp_path))
    assert code == 2 and f"error: {option} is part of the model that --start-from gives" in err


def test_a_start_from_what_is_no_saved_model(train, room):
    code, err = train(start=("--start-from", room / "backbone"))
    assert code == 2 and "holds no saved reward model" in err


def ended_by(number: int, room: Path, out: Path) -> tuple[int, str]:
    """Start a long run, send it a signal at its second step, and wait: (exit code, stderr)."""
    command = [sys.executable, "-m", "rmlib", "train", room / "pairs.jsonl", "--out", out, "--backbone",
               room / "backbone", "--epochs", "4000", "--checkpoint-every", "1000000", "--validation-share", "0"]
    process = subprocess.Popen(list(map(str, command)), cwd=ROOT, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "OMP_NUM_THREADS": "1"})
    told = ""
    while "loss=" not in told:
        told += process.stderr.read(1)
    process.send_signal(number)
    _, rest = process.communicate(timeout=60)
    return process.returncode, told + rest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_its_step_and_it_resumes(room, tmp_path, number):
    code, err = ended_by(number, room, tmp_path / "run")
    assert code == 130 and "Traceback" not in err and f"{number.name}: stopping after this step" in err
    assert "is saved: the same command with --resume goes on" in err
    assert (tmp_path / "run" / "checkpoints" / "newest.safetensors").exists()
    assert not (tmp_path / "run" / "reward_model.json").exists()


def test_ctrl_c_before_the_training_is_no_traceback(train, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "training_data", interrupted)
    assert train() == (130, "stopped; a training goes on with --resume\n")


def test_a_signal_that_was_to_be_ignored_still_is():
    script = ("import os, signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
              "from rmlib.practice.command_line.signals import stop_on_signals\n"
              "with stop_on_signals() as stop:\n    os.kill(os.getpid(), signal.SIGINT)\n    assert not stop()\n"
              "    os.kill(os.getpid(), signal.SIGTERM)\n    assert stop()\n"
              "with stop_on_signals() as stop:\n    os.kill(os.getpid(), signal.SIGHUP)\n    assert stop()\n"
              "assert {signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)} == {signal.SIG_DFL}")
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0


def test_a_signal_amid_a_line_that_is_being_written_breaks_nothing():
    """Against a handler that writes: nobody reads, so the process hangs in a write of its own, where Python's streams
    allow no second one."""
    script = ("import logging, sys\nlogging.getLogger('rmlib').addHandler(logging.StreamHandler(sys.stderr))\n"
              "from rmlib.practice.command_line.signals import stop_on_signals\n"
              "with stop_on_signals() as stop:\n    print('on', flush=True)\n"
              "    while not stop():\n        print('loss=0.1', file=sys.stderr)\n")
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=buffered, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and err.endswith("would lose what came after the last checkpoint\n")


@pytest.mark.parametrize("error", [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to"),
    MemoryError(),
])
def test_memory_that_runs_out_is_one_message_with_what_to_do(train, monkeypatch, error, tmp_path):
    def full(*_, **__):
        raise error

    monkeypatch.setattr(training, "train", full)
    code, err = train()
    assert code == 2 and "error: out of memory: give --token-budget" in err and "--max-length" in err
    assert "Traceback" not in err


def test_other_errors_of_torch_are_not_taken_for_it(train, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(training, "train", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        train()


@pytest.mark.parametrize("command", ["evaluate", "score"])
def test_a_token_budget_reaches_scoring(room, tmp_path, monkeypatch, command):
    tiny.reward_model("distilbert").save_pretrained(tmp_path / "model")
    seen = []
    for module, name in ((evaluating, "score_pairs_distributed"), (scoring, "score_encoded_distributed")):
        monkeypatch.setattr(module, name,
                            lambda model, pairs, budget: seen.append(budget) or torch.rand(2, len(pairs)).numpy())
    assert cli.main([command, str(tmp_path / "model"), str(room / "pairs.jsonl"), "--token-budget", "77"]) == 0
    assert seen == [77]


def test_a_token_budget_reaches_the_training(train, tmp_path):
    assert train("--token-budget", 99)[0] == 0 and facts(tmp_path / "run")["settings"]["token_budget"] == 99


def test_a_start_from_a_model_that_saw_what_is_now_held_out_is_told(train, tmp_path):
    train(out="first")
    start = ("--start-from", tmp_path / "first")
    assert "has seen" not in train(start=start, out="same")[1]
    assert "of the 12 pairs held out are of conversations that" in train("--seed", 5, start=start, out="other")[1]
    seen = [read_rivals(tmp_path / name).seen(read_pairs(tmp_path / "first" / part).pairs)
            for name in ("first", "other") for part in ("held_out.jsonl", "validation.jsonl")]
    assert seen[0] == 0 < seen[1] == seen[3] and seen[2] > 0  # the other has seen what the first saw, and more


def test_a_card_and_the_facts_of_the_training_stand_beside_the_model(train, tmp_path, room):
    train("--epochs", 2)
    found, card = facts(tmp_path / "run"), (tmp_path / "run" / "README.md").read_text()
    digest = sha256(room / "pairs.jsonl")
    assert found["data"] == {"name": "pairs.jsonl", "sha256": digest, "pairs": 42, "conversations": 42,
                             "validation_pairs": 6, "held_out_pairs": 12}
    assert digest in card and "| epochs | 2 |" in card and "12 pairs: accuracy" in card
    assert "| validation pairs | 6 |" in card and "| backbone | backbone |" in card and "too few conversations" in card
    assert sha256(tmp_path / "run" / "model.safetensors") in card
    RewardModel.from_pretrained(tmp_path / "run").save_pretrained(tmp_path / "run")
    assert not (tmp_path / "run" / "README.md").exists()


def killed_before_its_first_checkpoint(train, tmp_path, monkeypatch):
    def die(*_, **__):
        raise ValueError("as if it had been killed")

    with monkeypatch.context() as patched:
        patched.setattr(training, "train", die)
        assert train()[0] == 2


def test_parts_of_a_run_that_left_no_checkpoint_are_made_anew(train, tmp_path, monkeypatch):
    killed_before_its_first_checkpoint(train, tmp_path, monkeypatch)
    stale = (tmp_path / "run" / "held_out.jsonl").read_text()
    assert train("--resume", "--seed", 5, "--validation-share", 0)[0] == 0
    assert (tmp_path / "run" / "held_out.jsonl").read_text() != stale
    assert not (tmp_path / "run" / "validation.jsonl").exists()


@pytest.mark.parametrize("name", ["held_out.jsonl", "validation.jsonl", "README.md", "config.json"])
@pytest.mark.parametrize("option", [(), ("--resume",)])
def test_a_reader_s_own_files_are_not_overwritten(train, tmp_path, name, option):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "theirs.pt").touch()
    (tmp_path / "run" / "notes.txt").touch()
    (tmp_path / "run" / name).write_text("mine")
    code, err = train(*option)
    assert code == 2 and f"run holds {name} and no checkpoint; it would be lost" in err
    assert (tmp_path / "run" / name).read_text() == "mine"
    (tmp_path / "run" / name).unlink()
    assert train(*option)[0] == 0


def test_a_checkpoint_that_was_deleted_leaves_a_run_to_start_again(train, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(training, "stop_on_signals", lambda: nullcontext(lambda: True))
        assert train()[0] == 130
    assert train()[0] == 2
    (tmp_path / "run" / "checkpoints" / "newest.safetensors").unlink()
    assert train("--seed", 5)[0] == 0


@pytest.mark.parametrize("option", [("--held-out", 0.4), ("--validation-share", 0.3), ("--seed", 5)])
def test_a_run_is_not_resumed_with_other_pairs_put_aside(train, tmp_path, option):
    train()
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    code, err = train("--resume", *option)
    assert code == 2 and "the run put other pairs aside" in err
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}


def test_a_share_that_leaves_nothing_to_train_on(train):
    code, err = train("--validation-share", 0.9)
    assert code == 2 and "--validation-share 0.9 leaves nothing to train on" in err


def test_a_full_disk_says_to_make_room(train, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training, "train", full)
    assert "make room there, and start it again; a training goes on with --resume" in train()[1]


def test_the_last_look_being_the_best_is_told(train):
    assert "was the best: more --epochs may do better" in train()[1]


def test_pairs_that_were_trained_on_show_nothing(train, room, capsys, tmp_path):
    code, _ = train("--eval", room / "pairs.jsonl", "--validation-share", 0)
    card = (tmp_path / "run" / "README.md").read_text()
    assert code == 0 and "On pairs.jsonl:" in card and "held out of" not in card
    kept = read_rivals(tmp_path / "run")
    assert kept.seen(pairs_of(room / "pairs.jsonl")) == 60 and kept.seen(made_up_pairs(70)[60:]) == 0
    train(out="other")
    kept = read_rivals(tmp_path / "other")
    assert kept.seen(pairs_of(tmp_path / "other" / "validation.jsonl")) == 6
    assert kept.seen(pairs_of(tmp_path / "other" / "held_out.jsonl")) == 0
