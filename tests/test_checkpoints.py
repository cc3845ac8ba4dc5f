"""Checkpoints that are damaged, strange or another run's: told, and left alone."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from resume_parts import CONFIG, PAIRS, checkpoint, run
from safetensors.torch import load_file, save_file
from training_parts import one_thread, tiny_model  # noqa: F401

from rmlib.checkpoints import OPTIMIZER, STATE, WEIGHTS
from rmlib.training import train


def halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("file", [WEIGHTS, OPTIMIZER, STATE])
@pytest.mark.parametrize("damage", [halve, Path.unlink, lambda path: path.write_text("{}")],
                         ids=["halved", "missing", "empty object"])
def test_a_damaged_checkpoint_is_a_clear_error(tmp_path, file, damage):
    run(tmp_path, until=2)
    damage(checkpoint(tmp_path) / file)
    with pytest.raises(ValueError, match="newest: can't resume from this checkpoint: .*; delete it"):
        run(tmp_path, resume=True)


def change(update: dict, at: str) -> Callable[[Path], None]:
    """A damage: these keys, in one part of the state, are given other values."""
    def damage(path: Path) -> None:
        state = json.loads(path.read_text())
        state[at].update(update)
        path.write_text(json.dumps(state))
    return damage


@pytest.mark.parametrize("damage", [
    lambda path: path.write_text("3"),
    lambda path: path.write_text('{"identity": 1, "environment": {}, "result": {}, "random_states": []}'),
    change({"of_tomorrow": 1}, at="result"),
    lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {"random_states": []})),
    lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {"random_states": [{"torch": 1}]})),
], ids=["a number", "parts of another kind", "another field", "no random state", "a random state without parts"])
def test_a_state_of_another_shape_is_a_clear_error(tmp_path, damage):
    run(tmp_path, until=2)
    damage(checkpoint(tmp_path) / STATE)
    with pytest.raises(ValueError, match="newest: can't resume from this checkpoint: .*; delete it"):
        run(tmp_path, resume=True)


def test_moments_that_lack_a_parameter_are_refused_and_the_model_is_left_as_it_was(tmp_path):
    run(tmp_path, until=2)
    path = checkpoint(tmp_path) / OPTIMIZER
    save_file({key: tensor for key, tensor in load_file(path).items() if not key.startswith("0.")}, path)
    model = tiny_model(seed=1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match="can't resume.*parameters, and"):
        train(model, PAIRS, CONFIG, checkpoint_dir=tmp_path, resume=True, progress=False)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("moment, left", [
    ("writing over the last one", ["newest", ".newest.rmlib-new"]),
    ("between the two renames", [".newest.rmlib-old", ".newest.rmlib-new"]),
])
def test_a_second_run_is_refused_and_leaves_the_first_ones_files_alone(tmp_path, moment, left):
    for name in left:
        (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match="holds a checkpoint of an earlier run: resume it"):
        run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(left)
