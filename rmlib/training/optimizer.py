"""What the optimizer is and which weights it moves."""

import torch

from rmlib.model import RewardModel
from rmlib.training.config import TrainingConfig


def make_optimizer(model: RewardModel, config: TrainingConfig, train_bias: bool) -> torch.optim.Optimizer:
    """AdamW over all weights that are not frozen, the head's bias only if `train_bias`; matrices alone decay."""
    # The head's bias cancels in every margin: its gradient is rounding noise, and Adam would make steps of that.
    trained = [p for p in model.parameters() if p.requires_grad and (train_bias or p is not model.head.bias)]
    groups = [
        {"params": [parameter for parameter in trained if parameter.dim() > 1], "weight_decay": config.weight_decay},
        {"params": [parameter for parameter in trained if parameter.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, config.learning_rate, fused=True)
