"""The settings of a training run."""

import math
import sys
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
    label_smoothing: float = 0.0  # s of losses.smoothed_loss
    centring: float = 0.0  # λ of losses.centring_penalty
    overlong: str = "keep_response"  # what becomes of pairs longer than the window, as in encode
    checkpoint_every: int = 100  # steps
    validate_every: int | None = None  # steps; None: at the end of each epoch
    patience: int | None = None  # evaluations without a better one after which training stops; None: it never does
    seed: int = 0

    def __post_init__(self):
        for name, choices in (("precision", PRECISIONS), ("overlong", OVERLONG)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")
        optional = ("token_budget", "validate_every", "patience")
        for name in ("epochs", "batch_size", "checkpoint_every", *optional):
            value = getattr(self, name)
            if not (isinstance(value, int) and value > 0 or name in optional and value is None):
                raise ValueError(f"{name} must be a whole number, more than 0, got {value!r}")
        most = {"learning_rate": sys.float_info.max, "weight_decay": sys.float_info.max, "max_grad_norm": math.inf,
                "warmup": 1, "label_smoothing": 0.5, "centring": sys.float_info.max}
        for name, high in most.items():
            value, low = getattr(self, name), sys.float_info.min if name == "max_grad_norm" else 0  # 0 clips all away
            if not (isinstance(value, int | float) and low <= value <= high):
                raise ValueError(f"{name} must be a number from {low:.4g} to {high:.4g}, got {value!r}")
