"""What the optimizer is and which weights it moves."""

import torch

from rmlib.model import RewardModel
from rmlib.training.config import TrainingConfig


def make_optimizer(model: RewardModel, config: TrainingConfig, train_bias: bool) -> torch.optim.Optimizer:
    """AdamW over all weights that are not frozen, with decay of matrices alone; the head's bias only if `train_bias`.

    Raises ValueError for weights of half precision.
    """
    # The head's bias cancels in every margin: its gradient is rounding noise, and Adam would make steps of that.
    trained = [p for p in model.parameters() if p.requires_grad and (train_bias or p is not model.head.bias)]
    if small := {str(parameter.dtype) for parameter in trained if parameter.dtype.itemsize < 4}:
        raise ValueError(f"weights of {min(small)} would lose most steps of the optimizer to rounding: train "
                         "model.float(); precision bf16 computes in bfloat16 all the same")
    groups = [
        {"params": [parameter for parameter in trained if parameter.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [parameter for parameter in trained if parameter.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, config.learning_rate, fused=True)
