"""What the tests of the commands that build the shipped parts share: records, and the steps of a training."""

import json
from pathlib import Path

import pytest
import torch

STEPS = 20
OF_THE_RUN = {"architectures", "dtype", "transformers_version"}  # of a stored config, not of its architecture


class Stop(Exception):
    """Raised in place of a long training."""


def recorded(folder: Path, file: str = "build.json") -> dict:
    return json.loads((folder / file).read_text(encoding="utf-8"))


def assert_same_shape(built: dict, folder: Path) -> None:
    """A configuration is the stored one."""
    stored = recorded(folder, "config.json")
    assert {name: built[name] for name in stored.keys() - OF_THE_RUN} == {
        name: stored[name] for name in stored.keys() - OF_THE_RUN}


@pytest.fixture
def taken(monkeypatch) -> list[tuple[float, float, float]]:
    """(learning rate, weight decay, length of the gradient) of each step."""
    found = []

    class Watched(torch.optim.AdamW):
        def step(self, *given):
            [group] = self.param_groups
            norms = [each.grad.norm() for each in group["params"] if each.grad is not None]
            found.append((group["lr"], group["weight_decay"], torch.stack(norms).norm().item()))
            return super().step(*given)

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    return found


def rates(peak: float) -> list[float]:
    """Of STEPS steps: the first at a 25th of the peak, which is reached after 5% of them, then down in a line."""
    low, top = peak / 25 / 1e4, 0.05 * (STEPS + 1) - 1
    return [peak / 25, *(peak - (step - top) / (STEPS - top) * (peak - low) for step in range(1, STEPS))]
