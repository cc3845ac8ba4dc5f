"""Checkpoints of a training run: one directory of safetensors and JSON, replaced as a whole."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor, nn

from rmlib.files import atomic_directory

WEIGHTS, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"


def write(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Put a checkpoint in place of the one at `path`, which is whole at every moment, as atomic_directory says.

    The optimizer's state becomes tensors `<number of the parameter>.<quantity>` (exp_avg, exp_avg_sq, step for AdamW).
    """
    moments = {
        f"{number}.{quantity}": tensor.contiguous()
        for number, quantities in optimizer.state_dict()["state"].items() for quantity, tensor in quantities.items()
    }
    with atomic_directory(path) as staging:
        save_model(model, str(staging / WEIGHTS))
        save_file(moments, staging / OPTIMIZER)
        (staging / STATE).write_text(json.dumps(state), encoding="utf-8")


def read_state(path: Path) -> dict:
    """What was written as `state`. Raises ValueError when it can't be read."""
    with explained(path):
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
        if not isinstance(state, dict):
            raise ValueError(f"{STATE} should hold an object, not {type(state).__name__}")
        for name, kind in {"identity": dict, "environment": dict, "result": dict, "random_states": list}.items():
            if not (isinstance(state.get(name), kind) and state[name]):
                raise ValueError(f"{STATE} lacks {name}, or it is empty or of another kind")
    return state


def load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint's weights and optimizer state in place; call it under `explained`.

    Raises ValueError where the optimizer's state is not that of all trained parameters, and nothing is touched.
    """
    moments: dict[int, dict[str, Tensor]] = defaultdict(dict)
    for key, tensor in load_file(path / OPTIMIZER).items():
        number, quantity = key.split(".")
        moments[int(number)][quantity] = tensor
    ours = optimizer.state_dict()
    trained = {number for group in ours["param_groups"] for number in group["params"]}
    if set(moments) != trained:  # AdamW would start anew, and in silence, for a parameter without its moments
        raise ValueError(f"{OPTIMIZER} is of {len(moments)} parameters, and {len(trained)} are trained")
    load_model(model, str(path / WEIGHTS))
    optimizer.load_state_dict({**ours, "state": moments})


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what a missing, damaged or strange file raises into a ValueError that names the checkpoint."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, TypeError, LookupError, AttributeError, SafetensorError) as error:
        raise ValueError(f"{path}: can't resume from this checkpoint: {error}; delete it to start again") from error


def random_state() -> dict:
    """State of every generator that training may draw from, in JSON's terms."""
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [name, keys.tolist(), *rest],
        "torch": torch.get_rng_state().tolist(),
        "cuda": torch.cuda.get_rng_state().tolist() if torch.cuda.is_available() else None,
    }


def set_random_state(state: dict) -> None:
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    np.random.set_state(tuple(state["numpy"]))
    torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(torch.tensor(state["cuda"], dtype=torch.uint8))
