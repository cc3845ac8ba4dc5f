"""Reward models from pairwise preferences: what the notebooks of this course derive, build and use.

The names below are the way in; each is loaded when it is first asked for, so that `import rmlib` takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmlib.evaluation import evaluate
    from rmlib.losses import bradley_terry_loss
    from rmlib.model import RewardModel, compute_pairwise_loss
    from rmlib.pairs import PreferencePair, read_pairs
    from rmlib.training import TrainingConfig, train

# The distribution's name. By it the set-up cell tells this rmlib from an unrelated project of the same name.
COURSE = "reward-models-from-first-principles"
__version__ = "0.2.0"

__all__ = [
    "PreferencePair", "RewardModel", "TrainingConfig", "bradley_terry_loss", "compute_pairwise_loss", "evaluate",
    "read_pairs", "train",
]
_ROOMS = {
    "PreferencePair": "pairs", "RewardModel": "model", "TrainingConfig": "training", "bradley_terry_loss": "losses",
    "compute_pairwise_loss": "model", "evaluate": "evaluation", "read_pairs": "pairs", "train": "training",
}


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module 'rmlib' has no attribute {name!r}")
    return getattr(import_module(f"rmlib.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
