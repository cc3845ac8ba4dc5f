"""Checkpoints that are damaged, strange or another run's: told, and left alone."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from resume_parts import CONFIG, PAIRS, changed, checkpoint, parts, run
from safetensors import SafetensorError
from training_parts import made_up_pairs, one_thread, tiny_model  # noqa: F401

from rmlib.encoding import EncodedPair
from rmlib.training import NEWEST, checkpoints, train
from rmlib.training.identity import identity


@pytest.mark.parametrize("damage", [
    lambda path: os.truncate(path, path.stat().st_size // 2),
    lambda path: os.truncate(path, path.stat().st_size - 1),
    lambda path: os.truncate(path, 0),
    lambda path: path.write_text("{}"),
    lambda path: (path.unlink(), path.mkdir()),
], ids=["halved", "a byte short", "empty", "text", "a directory"])
def test_a_damaged_checkpoint_is_a_clear_error(tmp_path, damage):
    run(tmp_path, until=2)
    damage(checkpoint(tmp_path))
    with pytest.raises(ValueError, match=f"{NEWEST}: can't resume from this checkpoint: .*; delete it"):
        run(tmp_path, resume=True)


@pytest.mark.parametrize("change", [
    lambda tensors, state: 3,
    lambda tensors, state: state["result"].update(of_tomorrow=1),
    lambda tensors, state: state.update(random_states=[{"torch": 1}]),
    lambda tensors, state: state.pop("random_states") is None or None,
    lambda tensors, state: state.update(random_states=[]),
    lambda tensors, state: state.update(identity="foreign"),
    lambda tensors, state: state.update(environment=["foreign"]),
    lambda tensors, state: state["result"].update(steps="2"),
    lambda tensors, state: state["result"].update(steps=10**6),
    lambda tensors, state: tensors.pop("history") is None or None,
    lambda tensors, state: tensors.update(history=torch.zeros(2, 9)),
], ids=["a number", "another field", "a random state without parts", "no random states", "none in the list",
        "an identity of text", "an environment in a list", "steps as text", "steps beyond the history", "no history",
        "a history of other columns"])
def test_a_state_of_another_shape_is_a_clear_error(tmp_path, change):
    run(tmp_path, until=2)
    changed(checkpoint(tmp_path), change)
    with pytest.raises(ValueError, match=f"{NEWEST}: can't resume from this checkpoint: .*; delete it"):
        run(tmp_path, resume=True)


def without(part: str):
    def change(tensors, state):
        for key in [key for key in tensors if key.startswith(part)]:
            del tensors[key]
    return change


@pytest.mark.parametrize("part, told", [("optimizer.0.", "parameters, and"), ("model.head.bias", "head.bias is in")])
def test_a_checkpoint_that_lacks_a_part_is_refused_and_the_model_is_left_as_it_was(tmp_path, part, told):
    run(tmp_path, until=2)
    changed(checkpoint(tmp_path), without(part))
    model = tiny_model(seed=1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=f"can't resume.*{told}"):
        train(model, PAIRS, CONFIG, checkpoint_dir=tmp_path, resume=True, progress=False)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_second_run_is_refused_and_leaves_the_first_ones_files_alone(tmp_path):
    left = [NEWEST, f".{NEWEST}.rmlib-new"]
    for name in left:
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match="holds a checkpoint of an earlier run: resume it"):
        run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(left)


def test_what_a_checkpoint_holds(tmp_path):
    """One file: each weight once, tied ones too; two moments and a step of each trained tensor; the history; JSON."""
    model, result = run(tmp_path)
    tensors, state = parts(checkpoint(tmp_path))
    weights = {f"model.{name}" for name in model.state_dict()}
    moments = {name for name in tensors if name.startswith("optimizer.")}
    trained = len([p for p in model.parameters() if p.requires_grad]) - 1  # the head's bias
    assert set(tensors) == weights | moments | {"history"} and len(moments) == 3 * trained
    assert tensors["history"].dtype == torch.float64 and tensors["history"].shape == (len(result.history), 6)
    assert set(state) == {"identity", "environment", "result", "random_states"}
    with open(checkpoint(tmp_path), "rb") as file:
        assert int.from_bytes(file.read(8), "little") < 10_000_000


def test_the_last_step_is_written_whatever_the_interval(tmp_path):
    run(tmp_path, replace(CONFIG, checkpoint_every=4))  # of six steps
    assert parts(checkpoint(tmp_path))[1]["result"]["steps"] == 6


def test_what_is_resumed_elsewhere_says_where_it_runs(tmp_path):
    run(tmp_path, until=2)

    def elsewhere(tensors, state):
        state["result"] |= {"device": "cuda:0", "precision": "bf16"}

    changed(checkpoint(tmp_path), elsewhere)
    _, result = run(tmp_path, resume=True)
    assert (result.device, result.precision) == ("cpu", "fp32")
    assert parts(checkpoint(tmp_path))[1]["environment"]["precision"] == "fp32"


def test_weights_of_another_shape_are_refused_before_anything_is_touched(tmp_path):
    run(tmp_path, until=2)
    changed(checkpoint(tmp_path), lambda tensors, state: tensors.update({"model.head.weight": torch.zeros(1, 3)}))
    model = tiny_model(seed=1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match="can't resume.*head.weight is in one of the two alone, or differs"):
        train(model, PAIRS, CONFIG, checkpoint_dir=tmp_path, resume=True, progress=False)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("change", [
    lambda tensors: tensors.update({"best.head.weight": torch.zeros(1, 3)}),
    lambda tensors: tensors.pop("best.head.weight") is None or None,
    lambda tensors: tensors.update({"best.head.other": torch.zeros(1)}),
], ids=["of another shape", "missing", "of another name"])
def test_best_weights_of_another_model_are_refused_before_the_training(tmp_path, change):
    model, pairs = tiny_model(), made_up_pairs(4)
    train(model, PAIRS, CONFIG, validation=pairs, checkpoint_dir=tmp_path, progress=False)
    changed(checkpoint(tmp_path), lambda tensors, state: change(tensors))
    with pytest.raises(ValueError, match="can't resume.*head.(weight|other) is in one of the two alone, or differs"):
        train(tiny_model(), PAIRS, CONFIG, validation=pairs, checkpoint_dir=tmp_path, resume=True, progress=False)


def test_tied_weights_are_written_once_and_stay_tied(tmp_path):
    def tied(seed: int):
        model = tiny_model(seed)
        model.second_head = torch.nn.Linear(*reversed(model.head.weight.shape), bias=False)
        model.second_head.weight = model.head.weight
        return model

    model, pairs = tied(0), made_up_pairs(4)
    train(model, pairs, CONFIG, checkpoint_dir=tmp_path, progress=False)
    tensors, _ = parts(checkpoint(tmp_path))
    assert "model.head.weight" in tensors and "model.second_head.weight" not in tensors
    again = tied(1)
    train(again, pairs, CONFIG, checkpoint_dir=tmp_path, resume=True, progress=False)
    assert again.second_head.weight is again.head.weight and torch.equal(again.head.weight, model.head.weight)


@pytest.mark.parametrize("error", [OSError, ValueError, RuntimeError, TypeError, KeyError, IndexError, AttributeError,
                                   ZeroDivisionError, SafetensorError])
def test_whatever_a_strange_file_raises_names_the_checkpoint(tmp_path, error):
    with pytest.raises(ValueError, match="file: can't resume from this checkpoint: .*odd.*; delete it"):
        with checkpoints.explained(tmp_path / "file"):
            raise error("odd")


def test_no_room_for_a_checkpoint_is_no_fault_of_the_file(tmp_path):
    with pytest.raises(torch.OutOfMemoryError), checkpoints.explained(tmp_path / "file"):
        raise torch.OutOfMemoryError("no room")


def made_of(chosen, rejected):
    return EncodedPair(0, np.int32(chosen), np.int32(rejected), 1, 0, False)


def test_the_data_of_a_run_are_known_by_every_token_in_its_place():
    pairs = [made_of([1, 2], [3]), made_of([1], [2, 3]), made_of([1, 2, 3], []), made_of([3], [1, 2])]
    found = {identity(CONFIG, my_loss, [pair], [0.0], [], "m")["data"] for pair in pairs}
    assert len(found) == 4 and all(each.startswith("1 pairs, sha256 ") for each in found)
    last = replace(pairs[0], index=2)  # two pairs before it were left out
    margins = {(first, of_last): identity(CONFIG, my_loss, [last], [first, 0.0, of_last], [], "m")["data"]
               for first in (0.0, 1.0) for of_last in (0.0, 1.0)}
    assert margins[0.0, 0.0] == margins[1.0, 0.0] != margins[0.0, 1.0] == margins[1.0, 1.0]


def my_loss(chosen, rejected, target_margin):
    raise AssertionError("only its name is asked for")


def test_the_random_state_of_a_device_is_kept_with_the_others(monkeypatch):
    put_back = []

    class Module:
        get_rng_state = staticmethod(lambda: torch.tensor([7, 255], dtype=torch.uint8))
        set_rng_state = staticmethod(put_back.append)

    monkeypatch.setattr(torch, "get_device_module", lambda: Module)
    kept = {}
    for has_device in (False, True):
        monkeypatch.setattr(torch.accelerator, "is_available", lambda has_device=has_device: has_device)
        kept[has_device] = checkpoints.random_state()
    assert (kept[False]["device"], kept[True]["device"]) == (None, [7, 255])
    checkpoints.set_random_state(kept[False])  # written where there was no device, read where there is one
    assert put_back == []
    checkpoints.set_random_state(kept[True])
    [state] = put_back
    assert state.dtype == torch.uint8 and state.tolist() == [7, 255]
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    checkpoints.set_random_state(kept[True])  # and the other way round
    assert len(put_back) == 1
