"""Checkpoints of a training run: one safetensors file each, put in place by one rename."""

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from rmlib.files import atomic_file

NEWEST = "newest.safetensors"
RECORD = ("step", "epoch", "loss", "learning_rate", "grad_norm", "pairs_per_second")


def write(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict, history: list[dict],
          best: dict[str, Tensor]) -> None:
    """Put a checkpoint in place of the one at `path`, which is whole at every moment.

    Tensors: `model.<name>`, tied ones once; `optimizer.<number of the parameter>.<quantity>` (exp_avg, exp_avg_sq, step
    for AdamW); `history`, float64 (steps, 6), in the order of RECORD; `best.<name>`, the weights that did best in
    validation. Metadata: `state`, as JSON.
    """
    tensors = {f"model.{name}": tensor for name, tensor in _weights(model).items()}
    for number, quantities in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{quantity}": tensor for quantity, tensor in quantities.items()}
    tensors |= {f"best.{name}": tensor for name, tensor in best.items()}
    rows = [[record[name] for name in RECORD] for record in history]
    tensors["history"] = torch.tensor(rows, dtype=torch.float64)
    with atomic_file(path) as temporary:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, temporary,
                  metadata={"state": json.dumps(state)})


def read_state(path: Path) -> tuple[dict, list[dict]]:
    """What was written as `state` and `history`. Raises ValueError when it can't be read."""
    with explained(path), safe_open(path, "pt") as file:
        written = json.loads(file.metadata()["state"])
        state = {name: dict(written[name].items()) for name in ("identity", "environment", "result")}
        state["random_states"] = written["random_states"]
        rows = file.get_tensor("history").tolist()
        history = [dict(zip(RECORD, (int(step), int(epoch), *rest), strict=True)) for step, epoch, *rest in rows]
        if (steps := state["result"]["steps"]) != len(history):
            raise ValueError(f"it says that {steps} steps were made, and tells of {len(history)}")
    return state, history


def load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Put a checkpoint's weights and optimizer state in place, and return its best weights; call it under `explained`.

    Raises ValueError where they are not those of all weights and of all trained parameters, and nothing is touched.
    """
    parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
    moments: dict[int, dict[str, Tensor]] = defaultdict(dict)
    with safe_open(path, "pt") as file:
        for key in file.keys():
            kind, _, name = key.partition(".")
            parts[kind][name] = file.get_tensor(key)
    for name, tensor in parts["optimizer"].items():
        number, quantity = name.split(".")
        moments[int(number)][quantity] = tensor
    ours = optimizer.state_dict()
    trained = {number for group in ours["param_groups"] for number in group["params"]}
    if set(moments) != trained:  # AdamW would start anew, and in silence, for a parameter without its moments
        raise ValueError(f"it has the moments of {len(moments)} parameters, and {len(trained)} are trained")
    shapes = [{(name, tensor.shape) for name, tensor in each.items()} for each in (
        parts["model"], _weights(model), parts["best"], model.state_dict() if parts["best"] else {})]
    if different := {name for name, _ in shapes[0] ^ shapes[1] | shapes[2] ^ shapes[3]}:
        raise ValueError(f"its weights are another model's: {min(different)} is in one of the two alone, or differs")
    model.load_state_dict(parts["model"], strict=False)  # not strict: tied weights were written under one name
    optimizer.load_state_dict({**ours, "state": moments})
    return parts["best"]


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """The model's state, each tensor once, under the first of its names."""
    first: dict[Tensor, str] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        first.setdefault(tensor, name)
    return {name: tensor for tensor, name in first.items()}


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what a missing, damaged or strange file raises into a ValueError that names the checkpoint."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # a strange file fails in many ways
        raise ValueError(f"{path}: can't resume from this checkpoint: {error}; delete it to start again") from error


def random_state() -> dict:
    """State of every generator that training may draw from, in JSON's terms."""
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": [name, np.asarray(keys).tolist(), *rest],
        "torch": torch.get_rng_state().tolist(),
        "device": torch.get_device_module().get_rng_state().tolist() if torch.accelerator.is_available() else None,
    }


def set_random_state(state: dict) -> None:
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    np.random.set_state(tuple(state["numpy"]))
    torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
    if state["device"] is not None and torch.accelerator.is_available():
        torch.get_device_module().set_rng_state(torch.tensor(state["device"], dtype=torch.uint8))
