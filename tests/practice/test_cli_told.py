"""The command line word for word: what it takes, what a run says, the cards that it leaves and whatever it refuses."""

import argparse
import json
import logging
import os
import re
import signal
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
from places import ROOT
from told import hold
from training_parts import made_up_pairs, save_backbone

from rmlib.model import RewardModel
from rmlib.pairs import BadRow, PairSet
from rmlib.practice import command_line as cli
from rmlib.practice.card import write_export_card
from rmlib.practice.command_line import evaluating, parts, signals, sources, training
from rmlib.practice.command_line.arguments import parser
from rmlib.practice.writing import write_pairs
from rmlib.training import TrainingResult


def test_every_argument_with_its_default_its_limits_and_its_help():
    lines = []
    [commands] = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    helps = {choice.dest: choice.help for choice in commands._choices_actions}
    for name, command in commands.choices.items():
        lines.append(f"# {name}: {helps[name]}. {command.description or ''}")
        for action in command._actions[1:]:
            called = " ".join([*action.option_strings, action.metavar or "", *(action.choices or [])])
            limits = ""
            if action.type:
                with pytest.raises(argparse.ArgumentTypeError) as fault:
                    action.type("x")
                limits = f" ({fault.value})"
            needed = "required" if action.required else f"default {action.default!r}"
            lines.append(f"{called}, {needed}{limits}: {action.help or ''}")
    hold("arguments", "\n".join([parser().prog, parser().description, *lines]))


def score(model, pairs, budget):
    """Rewards that depend on nothing but the place of a pair: 0.8 ahead, and 0.4 behind on every fourth."""
    return np.array([np.zeros(len(pairs)), np.where(np.arange(len(pairs)) % 4, -0.8, 0.4)])


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A place with a backbone and files of pairs, where nothing is trained and scores are made up."""
    save_backbone(tmp_path / "backbone")
    write_pairs(tmp_path / "pairs.jsonl", [replace(pair, target_margin=1.0 - i % 3, subset="mail" if i % 5 else None)
                                           for i, pair in enumerate(made_up_pairs(240))])
    for name, pairs in (("new", made_up_pairs(300)[240:]), ("known", made_up_pairs(300)[235:275])):
        write_pairs(tmp_path / f"{name}.jsonl", [replace(pair, subset="mail") for pair in pairs])
    for module in (training, evaluating):
        monkeypatch.setattr(module, "score_pairs_distributed", score)
    monkeypatch.setattr(logging.StreamHandler, "format", lambda _, record: f"{record.levelname}: {record.getMessage()}")
    looks = [{"step": step, "nll": nll} for step, nll in ((5, 0.7), (10, 0.6))]
    result = TrainingResult([], looks, 10, 160, 61.2, "bf16", "cuda:0")
    monkeypatch.setattr(training, "train", lambda *_, **__: result)
    return tmp_path


@pytest.fixture
def say(room, capsys):
    """Run a command: its code and all that it said, without places, and with the levels of messages."""

    def call(*arguments):
        capsys.readouterr()
        given = [str(each) for each in arguments]
        code = cli.main(given)
        out, err = (text.replace(f"{room}/", "").replace(f"{ROOT}/", "") for text in capsys.readouterr())
        command = " ".join(given).replace(f"{room}/", "")
        return f"$ rmlib {command}\n{err.rstrip()}\n-- {code}\n{out}"

    return call


def page(path):
    return path.read_text(encoding="utf-8").split("---\n", 2)[2]


def test_what_a_training_says(room, say):
    pairs = room / "pairs.jsonl"
    start = "--backbone", room / "backbone"
    with open(pairs, "a", encoding="utf-8") as file:
        file.write("\n{\n" + json.dumps({"prompt": "a", "responses": ["b", "c"], "label": "tie"}) + "\n")
    said = [
        say("train", pairs, "--out", room / "one", *start, "--by", "subset", "--use-target-margin", "--epochs", 2),
        page(room / "one" / "README.md"),
        say("train", pairs, "--out", room / "two", *start, "--eval", room / "known.jsonl", "--validation",
            room / "known.jsonl", "--limit", 240),
        page(room / "two" / "README.md"),
        say("train", pairs, "--out", room / "three", "--start-from", room / "one", "--seed", 5,
            "--validation-share", 0),
        say("train", pairs, "--out", room / "four", "--limit", 40),
    ]
    hold("training", "\n".join(said))


def test_held_out_pairs_are_scored_within_the_trainings_budget(room, say, monkeypatch):
    budgets = []
    monkeypatch.setattr(training, "score_pairs_distributed", lambda *given: budgets.append(given[2]) or score(*given))
    for given in (["--token-budget", 99], []):
        say("train", room / "new.jsonl", "--out", room / str(len(given)), "--backbone", room / "backbone", *given)
    assert budgets == [99, 8192]


def test_what_an_evaluation_says(room, say):
    start = "--backbone", room / "backbone"
    say("train", room / "pairs.jsonl", "--out", room / "model", *start)
    shown = [
        say("evaluate", room / "model", room / "new.jsonl", "--validation", room / "known.jsonl"),
        say("evaluate", room / "model", room / "new.jsonl", "--report", room / "report.html", "--by", "subset"),
        say("evaluate", room / "model", room / "pairs.jsonl", "--by", "subset"),
    ]
    hold("evaluation", "\n".join(shown))


@pytest.mark.parametrize("pairs, said", [(1, "1 validation pair;"), (2, "2 validation pairs;")])
def test_a_temperature_is_told_with_the_pairs_that_it_is_from(pairs, said):
    line = evaluating._temperature_line(1.5, pairs, {"nll": 0.5, "brier": 0.25, "ece": 0.125})
    assert line == (f"temperature 1.500, from {said} with it negative log-likelihood 0.500, Brier score 0.250, "
                    "calibration error 0.125")


def test_what_scoring_says(room, say):
    tiny.reward_model("distilbert").save_pretrained(room / "model")
    rows = [{"prompt": "is " * 200, "chosen": "hot", "rejected": "cold"}, {"prompt": "a", "chosen": "b"},
            {"prompt": "is " * 9, "chosen": "hot " * 150, "rejected": "cold"},
            {"prompt": "a", "chosen": "b", "rejected": "c"}]
    (room / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    hold("scoring", re.sub(r"-?\d+\.\d+", "#", say("score", room / "model", room / "rows.jsonl")))


REFUSED = [
    ["pairs.jsonl", "--validation-share", "0.9"],
    ["pairs.jsonl", "--validation", "new.jsonl", "--validation-share", "0"],
    ["pairs.jsonl", "--by", "colour"],
    ["pairs.jsonl", "--out", "pairs.jsonl"],
    ["pairs.jsonl", "--out", "model"],
    ["pairs.jsonl", "--out", "running"],
    ["pairs.jsonl", "--out", "running", "--resume"],
    ["pairs.jsonl", "--start-from", "model", "--max-length", "9"],
    ["pairs.jsonl", "--limit", "1"],
    ["pairs.jsonl", "--limit", "2"],
]


def test_whatever_a_training_refuses(room, say):
    start = "--backbone", room / "backbone"
    say("train", room / "pairs.jsonl", "--out", room / "model", *start)
    (room / "running" / "checkpoints").mkdir(parents=True)
    (room / "running" / "checkpoints" / "newest.safetensors").touch()
    told = []
    for given in REFUSED:
        places = [room / each if (room / each.split("/")[0]).exists() else each for each in given]
        out = [] if "--out" in given else ["--out", room / "out"]
        told.append(say("train", *places, *out, *([] if "--start-from" in given else start)))
    hold("refused trainings", "\n".join(told))


FAULTS = [KeyboardInterrupt(), OSError(28, "No space left on device", "model.safetensors"),
          OSError(13, "Permission denied", "model.safetensors"), ImportError("no such library"), ValueError("a fault"),
          MemoryError("no room"), RuntimeError("CUDA out of memory.")]


@pytest.mark.parametrize("command", ["train", "evaluate", "score", "export"])
def test_what_is_said_when_something_goes_wrong(room, say, monkeypatch, command):
    told = []
    for fault in FAULTS:
        def fail(*_, fault=fault):
            raise fault

        monkeypatch.setattr(training, "training_data", fail)
        monkeypatch.setattr(RewardModel, "from_pretrained", fail)
        given = ["world", "--out"] if command == "train" else [room / "model"]
        told.append(say(command, *given, room / "out"))
    hold(f"faults of {command}", "\n".join(told))


def test_what_is_said_of_rows_that_are_skipped(caplog, monkeypatch):
    rows = [BadRow(line, "not JSON", f"fault {line}") for line in range(1, 8)]
    found = PairSet([replace(pair, subset="a" if i else None) for i, pair in enumerate(made_up_pairs(3))], rows, [],
                    "pairs.jsonl")
    given = []
    monkeypatch.setattr(sources.forms, "read", lambda *where, **how: given.append((where, how)) or found)
    with caplog.at_level(logging.INFO, logger="rmlib"):
        sources.read_source("pairs.jsonl", True, 9, "train", by="kind")
        sources.read_source("pairs.jsonl", False, None, "train")
        parts.warn_of_shared(made_up_pairs(9), made_up_pairs(4), "--eval", "in PAIRS")
    assert given == [(("pairs.jsonl",), {"strict": True, "limit": 9, "by": "kind"}),
                     (("pairs.jsonl",), {"strict": False, "limit": None, "by": "subset"})]
    hold("skipped rows", "\n".join(f"{record.levelname} {record.getMessage()}" for record in caplog.records))


@pytest.mark.parametrize("of", ["two texts", "one text", "a prompt"])
def test_an_exports_card(of, tmp_path):
    model = tiny.reward_model("bert")
    if of != "a prompt":
        model.encoding = replace(model.encoding, rendering="transcript")
    facts = {"kind": "BertForSequenceClassification", "head": "score" if of == "one text" else "tanh",
             "worst": 0.0000123, "shift": 0.1234567 if of == "one text" else 0.0,
             "sides": ["left", "right"] if of == "one text" else ["right"], "segments": of == "two texts"}
    write_export_card(tmp_path, "out", tmp_path / "nowhere", model, facts)
    hold(f"card of an export of {of}", page(tmp_path / "README.md"))


@pytest.fixture
def unheard():
    """The signals that end a training, and a handler that they have here, whatever this process was told to ignore."""
    ours = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def nothing(*_):
        pass

    earlier = {each: signal.signal(each, nothing) for each in ours}
    yield ours, nothing
    for each, handler in earlier.items():
        signal.signal(each, handler)


def test_a_signal_is_noted_once_and_handlers_come_back(unheard, monkeypatch):
    (ours, nothing), told = unheard, []
    monkeypatch.setattr(signals, "_log", SimpleNamespace(warning=lambda *given: told.append(given[0] % given[1:])))
    for first in ours:
        with signals.stop_on_signals() as stop:
            assert not stop()
            for number in (first, signal.SIGTERM):
                os.kill(os.getpid(), number)
            assert stop() is True
        assert {signal.getsignal(each) for each in ours} == {nothing}
    assert told == [f"{first.name}: stopping after this step; kill -9 would lose what came after the last checkpoint"
                    for first in ours]
