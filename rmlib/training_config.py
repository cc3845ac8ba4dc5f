"""The settings of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rmlib.encoding import OVERLONG

PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of one training run. Sizes count pairs over all processes; shares are of the optimizer's steps.

    Raises ValueError for a choice it doesn't know, for what is no number, and for numbers out of their range.
    """

    epochs: int = 1
    batch_size: int = 16  # pairs an optimizer step
    learning_rate: float = 5e-5  # the peak, after warm-up and before the linear decay to 0
    warmup: float = 0.1
    weight_decay: float = 0.01  # of matrices; biases and layer norms are left alone
    max_grad_norm: float = 1.0  # infinity: no clipping
    token_budget: int | None = None  # padded tokens a forward; None: what suits the device
    precision: str = "auto"  # "fp32", "bf16" (compute; weights, head and loss stay fp32), "auto": bf16 if native
    dropout: bool = False
    use_target_margin: bool = False
    overlong: str = "keep_response"  # what becomes of pairs longer than the window, as in encode
    checkpoint_every: int = 100  # steps
    seed: int = 0

    def __post_init__(self):
        for name, choices in (("precision", PRECISIONS), ("overlong", OVERLONG)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")
        for name in ("epochs", "batch_size", "checkpoint_every", "token_budget"):
            value = getattr(self, name)
            if not (isinstance(value, int) and value > 0 or name == "token_budget" and value is None):
                raise ValueError(f"{name} must be a whole number, more than 0, got {value!r}")
        if not isinstance(self.seed, int):
            raise ValueError(f"seed must be a whole number, got {self.seed!r}")
        for name in ("learning_rate", "warmup", "weight_decay", "max_grad_norm"):
            if not isinstance(getattr(self, name), int | float):
                raise ValueError(f"{name} must be a number, got {getattr(self, name)!r}")
        for name in ("learning_rate", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a finite number, at least 0, got {getattr(self, name)}")
        if not self.max_grad_norm > 0:
            raise ValueError(f"max_grad_norm must be more than 0, got {self.max_grad_norm}")
        if not 0 <= self.warmup <= 1:
            raise ValueError(f"warmup is a share of the steps, between 0 and 1, got {self.warmup}")
