"""Training: the loop on Accelerate, its settings, checkpoints and devices (notebook 06)."""

from rmlib.training.checkpoints import NEWEST
from rmlib.training.config import PRECISIONS, TrainingConfig
from rmlib.training.devices import has_native_bf16, join_processes, make_accelerator
from rmlib.training.loop import Trainer, TrainingResult
from rmlib.training.run import train

__all__ = [
    "NEWEST", "PRECISIONS", "Trainer", "TrainingConfig", "TrainingResult", "has_native_bf16", "join_processes",
    "make_accelerator", "train",
]
