"""Checkpoints of a training run: safetensors and JSON in a directory that appears whole or not at all."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rmlib.files import atomic_directory, atomic_write_text

WEIGHTS, OPTIMIZER, STATE = "model.safetensors", "optimizer.safetensors", "state.json"


class Checkpoints:
    """A directory of checkpoints, `step-0000100` and so on, of which the newest is kept."""

    def __init__(self, directory: str | Path):
        self.directory = Path(directory)

    def all(self) -> list[Path]:
        """Complete checkpoints, oldest first. One that was being written when the run died has another name."""
        if not self.directory.is_dir():
            return []
        return sorted(path for path in self.directory.iterdir() if re.fullmatch(r"step-\d{7}", path.name))

    def write(self, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict) -> None:
        """Write a checkpoint, and only once it is safe on disk remove the older ones."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._remove_leftovers()
        older = self.all()
        with atomic_directory(self.directory / f"step-{step:07d}") as staging:
            save_file({name: tensor.contiguous() for name, tensor in model.named_parameters()}, staging / WEIGHTS)
            save_file(optimizer_tensors(model, optimizer), staging / OPTIMIZER)
            atomic_write_text(staging / STATE, json.dumps(state))
        for path in older:
            if path.name != f"step-{step:07d}":
                # Renamed first: killed halfway, a removal must leave nothing that looks like a checkpoint.
                shutil.rmtree(path.rename(path.with_name(f".{path.name}.removed")))

    def read_state(self) -> dict | None:
        """The newest checkpoint's state; None if there is no checkpoint. Raises ValueError when it can't be read."""
        self._remove_leftovers()
        if not self.all():
            return None
        path = self.all()[-1]
        with _explained(path):
            state = json.loads((path / STATE).read_text(encoding="utf-8"))
            if missing := {"identity", "environment", "result", "schedule", "random_states"} - set(state):
                raise ValueError(f"{STATE} lacks {sorted(missing)}")
        return state

    def _remove_leftovers(self) -> None:
        """Remove what a run left that was killed while it wrote or removed a checkpoint; one run at a time, please."""
        for leftover in self.directory.glob(".step-*"):
            shutil.rmtree(leftover, ignore_errors=True)  # another process of this run may be quicker

    def load(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Put the newest checkpoint's weights and optimizer state in place.

        Raises ValueError when its files can't be read or are not of this model.
        """
        path = self.all()[-1]
        with _explained(path):
            weights, moments = load_file(path / WEIGHTS), load_file(path / OPTIMIZER)
            parameters = dict(model.named_parameters())
            if set(weights) != set(parameters):
                raise ValueError(f"weights of another model: {sorted(set(weights) ^ set(parameters))[:4]} differ")
            with torch.no_grad():
                for name, tensor in weights.items():
                    parameters[name].copy_(tensor)
            load_optimizer(model, optimizer, moments)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise ValueError(f"{path}: can't resume from this checkpoint: {error}; delete it to start again") from error


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as flat tensors, `<parameter>.<quantity>` (exp_avg, exp_avg_sq, step for AdamW)."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        f"{names[id(parameter)]}.{quantity}": value.contiguous()
        for parameter, quantities in optimizer.state.items()
        for quantity, value in quantities.items()
    }


def load_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The inverse of optimizer_tensors, through the optimizer's own load_state_dict."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    order = [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        name, quantity = key.rsplit(".", 1)
        state.setdefault(order.index(name), {})[quantity] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


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


def environment(processes: int, precision: str, device: str) -> dict:
    """What the last bits of a run depend on beside data and settings."""
    return {
        "threads": torch.get_num_threads(), "processes": processes, "precision": precision, "device": device,
        "torch": torch.__version__, "transformers": transformers.__version__,
    }
