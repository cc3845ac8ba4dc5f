"""The directional check refuses a loss that drifts from call to call, up or down, and however slowly it does."""

import pytest
import torch

from rmlib.gradients import directional_checks


@pytest.mark.parametrize("change", [1e-3, -1e-3, 1e-12])
def test_a_loss_that_drifts_is_refused_even_by_less_than_atol(change: float):
    weights, calls = torch.linspace(-1, 2, 3, dtype=torch.float64, requires_grad=True), []

    def loss_fn() -> torch.Tensor:
        calls.append(None)
        return weights.sin().sum() + change * len(calls)

    with pytest.raises(ValueError, match="computed again"):
        directional_checks(loss_fn, {"w": weights}, step=1e-4, atol=1e-10)
