"""A run that can be interrupted and resumed, for the tests of checkpoints."""

import json
from collections.abc import Callable
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from training_parts import made_up_pairs, tiny_model

from rmlib.training import TrainingConfig, train

CONFIG = TrainingConfig(epochs=2, batch_size=4, learning_rate=1e-3, token_budget=150, precision="fp32", dropout=True,
                        checkpoint_every=2, seed=3)
PAIRS = made_up_pairs(10)  # three steps an epoch, the last one short


class Interruption(Exception):
    pass


def run(directory: Path, config: TrainingConfig = CONFIG, pairs=PAIRS, *, seed: int = 0, until: int | None = None,
        resume: bool = False):
    """Train a tiny model; interrupted after step `until`. Returns (model, result), or None where interrupted."""
    def on_step(record: dict) -> None:
        if record["step"] == until:
            raise Interruption

    model = tiny_model(seed)
    try:
        return model, train(model, pairs, config, checkpoint_dir=directory, resume=resume, on_step=on_step,
                            progress=False)
    except Interruption:
        return None


def checkpoint(directory: Path) -> Path:
    [path] = directory.iterdir()  # exactly one, and no leftovers
    return path


def parts(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Of a checkpoint its tensors and its state."""
    with safe_open(path, "pt") as file:
        state = json.loads(file.metadata()["state"])
    return load_file(path), state


def changed(path: Path, change: Callable[[dict, dict], object]) -> None:
    """Write a checkpoint anew after `change(tensors, state)`, which may give back another state."""
    tensors, state = parts(path)
    other = change(tensors, state)
    save_file(tensors, path, metadata={"state": json.dumps(state if other is None else other)})
