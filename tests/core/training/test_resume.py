"""A run that was interrupted and resumed ends where the uninterrupted one ends, bit for bit."""

import json
import logging
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from killed_training import FROM_OUTSIDE, INSIDE_A_WRITE, SIGNALS
from places import ROOT
from resume_parts import CONFIG, PAIRS, changed, checkpoint, parts, run
from safetensors.torch import load_file
from training_parts import made_up_pairs, one_thread, save_backbone, tiny_model  # noqa: F401

from rmlib.practice.writing import write_pairs
from rmlib.training import NEWEST, Trainer, train
from rmlib.training.checkpoints import RECORD

PATHS = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "helpers")])
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": PATHS}


def assert_same_checkpoint(got: Path, expected: Path) -> None:
    """Weights, optimizer state, random states and the history of losses and rates: equal to the last bit."""
    (tensors, state), (wanted, expected_state) = parts(got), parts(expected)
    assert tensors.keys() == wanted.keys() and len(wanted) > 10
    untimed = RECORD.index("pairs_per_second")
    history, expected_history = (each.pop("history")[:, :untimed] for each in (tensors, wanted))
    assert torch.equal(history, expected_history) and len(history)
    assert [name for name in wanted if not torch.equal(tensors[name], wanted[name])] == []
    del state["result"]["seconds"], expected_state["result"]["seconds"]
    assert state == expected_state


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> tuple[Path, dict]:
    """Runs killed with SIGKILL and resumed: (a folder of checkpoints for each moment, how the processes ended)."""
    directory = tmp_path_factory.mktemp("killed")
    driver = [sys.executable, str(ROOT / "tests" / "helpers" / "killed_training.py"), str(directory)]
    done = subprocess.run(driver, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return directory, json.loads(done.stdout)


@pytest.mark.parametrize("moment", [*FROM_OUTSIDE, *INSIDE_A_WRITE])
def test_killed_and_resumed_equals_uninterrupted(killed, moment):
    directory, outcomes = killed
    assert outcomes["uninterrupted"] == [0]
    assert outcomes[moment][:2] == [-signal.SIGKILL, 0]
    assert_same_checkpoint(checkpoint(directory / moment), checkpoint(directory / "uninterrupted"))


@pytest.mark.parametrize("moment", SIGNALS)
def test_stopped_by_a_signal_and_resumed_equals_uninterrupted(killed, moment):
    directory, outcomes = killed
    assert outcomes[moment] == [130, 0, [NEWEST]]  # it wrote a checkpoint before it went
    assert_same_checkpoint(checkpoint(directory / moment), checkpoint(directory / "uninterrupted"))


@pytest.mark.parametrize("moment, left", list(zip(INSIDE_A_WRITE, [
    [f".{NEWEST}.rmlib-new", NEWEST], [f".{NEWEST}.rmlib-new", NEWEST], [NEWEST],
])))
def test_a_kill_came_where_it_was_planned(killed, moment, left):
    assert killed[1][moment][2] == left  # a half-written checkpoint never has the checkpoint's name


@pytest.mark.parametrize("until", [2, 3, 4, 5])
def test_resumes_in_the_middle_of_an_epoch_and_across_epochs(tmp_path, until):
    whole, _ = run(tmp_path / "whole")
    assert run(tmp_path / "parts", until=until) is None
    resumed, result = run(tmp_path / "parts", seed=1, resume=True)
    assert result.steps == 6 and result.pairs_seen == 20
    assert_same_checkpoint(checkpoint(tmp_path / "parts"), checkpoint(tmp_path / "whole"))
    for ours, wanted in zip(resumed.parameters(), whole.parameters()):
        assert torch.equal(ours, wanted)


def test_place_in_the_data():
    trainer = Trainer(tiny_model(), PAIRS, CONFIG)
    everything = list(trainer.batches())
    assert [epoch for epoch, _ in everything] == [0, 0, 0, 1, 1, 1]
    for epoch in (0, 1):
        assert sorted(sum((batch for number, batch in everything if number == epoch), [])) == list(range(10))
    assert everything[0][1] != everything[3][1]  # another order in the second epoch
    for start in range(7):
        assert list(trainer.batches(start)) == everything[start:]


MARGINS = replace(CONFIG, use_target_margin=True)


@pytest.mark.parametrize("change, told", [
    pytest.param({"config": replace(MARGINS, weight_decay=0.5)}, "weight_decay: 0.01, now 0.5", id="settings"),
    pytest.param({"config": replace(MARGINS, epochs=3)}, "epochs: 2, now 3", id="epochs"),
    pytest.param({"pairs": [replace(PAIRS[0], chosen="yes yes"), *PAIRS[1:]]}, "data: 10 pairs", id="texts"),
    pytest.param({"pairs": [replace(PAIRS[1], target_margin=PAIRS[0].target_margin),
                            replace(PAIRS[0], target_margin=PAIRS[1].target_margin), *PAIRS[2:]]}, "data", id="order"),
    pytest.param({"pairs": PAIRS[:9]}, "data: 10 pairs.*now 9 pairs", id="fewer pairs"),
    pytest.param({"pairs": [replace(PAIRS[0], target_margin=9.0), *PAIRS[1:]]}, "data", id="target margins"),
])
def test_refuses_other_data_or_settings(tmp_path, change, told):
    run(tmp_path, MARGINS, until=2)
    with pytest.raises(ValueError, match=f"checkpoint was made with another {told}"):
        run(tmp_path, **{"config": MARGINS, "resume": True, **change})


def test_all_settings_but_those_that_may_change_on_the_way_are_what_a_run_is(tmp_path):
    free = {"checkpoint_every": 3, "token_budget": 90, "learning_rate": 2e-3}
    ours = Trainer(tiny_model(), PAIRS, CONFIG).identity
    assert {field.name for field in fields(CONFIG)} - set(ours) == set(free)
    assert ours | Trainer(tiny_model(), PAIRS, replace(CONFIG, **free)).identity == ours
    run(tmp_path, until=2)
    _, result = run(tmp_path, replace(CONFIG, **free), resume=True)
    rates = [record["learning_rate"] for record in result.history]
    assert result.steps == 6 and rates[2:] == pytest.approx([2 * rate for rate in unbroken_rates()[2:]])


def unbroken_rates() -> list[float]:
    trainer = Trainer(tiny_model(), PAIRS, CONFIG)
    return [trainer.learning_rate(step) for step in range(6)]


def test_time_goes_on_from_that_of_the_earlier_run(tmp_path):
    run(tmp_path, until=2)
    changed(checkpoint(tmp_path), lambda tensors, state: state["result"].update(seconds=1000.0))
    _, result = run(tmp_path, resume=True)
    assert 1000 < result.seconds < 1500
    assert result.history[-1]["pairs_per_second"] == pytest.approx(20 / result.seconds)
    assert all(isinstance(record[name], int) for record in result.history for name in ("step", "epoch"))


def my_loss(chosen, rejected, target_margin):
    return (chosen - rejected - target_margin - 1).square()


@pytest.mark.parametrize("change, told", [
    ({"loss": my_loss}, "loss: rmlib.losses.smoothed_loss, now .*my_loss"),
    ({"train_bias": True}, "model: cls pooling"),
    ({"config": replace(CONFIG, label_smoothing=0.1)}, "label_smoothing: 0.0, now 0.1"),
    ({"config": replace(CONFIG, centring=0.1)}, "centring: 0.0, now 0.1"),
])
def test_refuses_another_loss(tmp_path, change, told):
    run(tmp_path, until=2)
    options = {"config": CONFIG, "checkpoint_dir": tmp_path, "resume": True, "progress": False} | change
    with pytest.raises(ValueError, match=f"checkpoint was made with another {told}"):
        train(tiny_model(), PAIRS, **options)


def test_refuses_another_model_and_leaves_it_as_it_was(tmp_path):
    run(tmp_path, until=2)
    model = tiny_model(seed=1)
    model.pooling = "mean"
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match="checkpoint was made with another model: cls pooling.*now mean pooling"):
        train(model, PAIRS, CONFIG, checkpoint_dir=tmp_path, resume=True, progress=False)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.fixture
def warnings():
    """Warnings of rmlib's log, as they come."""
    told = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: told.append(record.getMessage())
    logging.getLogger("rmlib").addHandler(handler)
    yield told
    logging.getLogger("rmlib").removeHandler(handler)


@pytest.mark.parametrize("name, value", [("threads", 77), ("torch", "0.1"), ("transformers", "0.1"), ("processes", 8)])
def test_tells_another_environment(tmp_path, warnings, name, value):
    run(tmp_path, until=2)
    ours = parts(checkpoint(tmp_path))[1]["environment"][name]
    changed(checkpoint(tmp_path), lambda tensors, state: state["environment"].update({name: value}))
    _, result = run(tmp_path, resume=True)
    assert result.steps == 6
    [told] = warnings
    assert f"another {name}: {ours}, was {value}" in told


def test_nothing_is_told_in_the_same_environment(tmp_path, warnings):
    run(tmp_path, until=2)
    run(tmp_path, resume=True)
    assert warnings == []


def test_starts_at_the_first_step_where_there_is_no_checkpoint(tmp_path, warnings):
    (tmp_path / f".{NEWEST}.rmlib-new").touch()  # a write that was killed, and a file of somebody else's
    (tmp_path / "notes.txt").touch()
    _, result = run(tmp_path, resume=True)
    [told] = warnings
    assert "no checkpoint" in told and result.steps == len(result.history) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == [NEWEST, "notes.txt"]


def test_a_finished_run_does_nothing_more(tmp_path):
    model, result = run(tmp_path)
    again, seen = tiny_model(seed=1), []
    repeated = train(again, PAIRS, CONFIG, checkpoint_dir=tmp_path, resume=True, on_step=seen.append, progress=False)
    assert seen == [] and repeated == result and not again.training
    for ours, wanted in zip(again.parameters(), model.parameters()):
        assert torch.equal(ours, wanted)


def test_random_states_come_back(tmp_path):
    run(tmp_path, until=2)
    run(tmp_path, until=4, resume=True)
    expected = random.random(), np.random.rand(), torch.rand(()).item()
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    trainer = Trainer(tiny_model(1), PAIRS, CONFIG, tmp_path)
    trainer.resume()
    assert (random.random(), np.random.rand(), torch.rand(()).item()) == expected


def test_command_killed_and_resumed(tmp_path):
    """The real command: killed once its first checkpoint is there, resumed, and held against an uninterrupted one."""
    write_pairs(tmp_path / "pairs.jsonl", made_up_pairs(40))
    command = [sys.executable, "-m", "rmlib", "train", str(tmp_path / "pairs.jsonl"), "--backbone",
               str(save_backbone(tmp_path / "backbone")), "--batch-size", "4", "--checkpoint-every", "2",
               "--epochs", "2", "--out"]
    whole = subprocess.Popen([*command, str(tmp_path / "whole")], env=ENVIRONMENT, stdout=subprocess.PIPE)
    killed = subprocess.Popen([*command, str(tmp_path / "killed")], env=ENVIRONMENT)
    while not list((tmp_path / "killed").glob(f"checkpoints/{NEWEST}")) and killed.poll() is None:
        time.sleep(0.01)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    resumed = subprocess.run([*command, str(tmp_path / "killed"), "--resume"], env=ENVIRONMENT, capture_output=True)
    assert resumed.returncode == 0 and b"resumed at step" in resumed.stderr
    assert resumed.stdout == whole.communicate()[0] != b""
    assert_same_checkpoint(*(tmp_path / out / "checkpoints" / NEWEST for out in ("killed", "whole")))
    weights = [load_file(tmp_path / out / "model.safetensors") for out in ("killed", "whole")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])
