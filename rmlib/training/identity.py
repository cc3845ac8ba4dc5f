"""What a run is and where it runs: a checkpoint is continued only by the same one, and told where the place differs."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict

import accelerate
import torch
import transformers

from rmlib.encoding import EncodedPair
from rmlib.training.config import TrainingConfig

# Settings that may change on the way: the result differs, by its last bits or, after a divergence, for the better.
_FREE = {"checkpoint_every", "token_budget", "learning_rate"}


def identity(config: TrainingConfig, loss, pairs: Sequence[EncodedPair], target_margins: Sequence[float],
             validation: Sequence[EncodedPair], model: str) -> dict:
    """What must be the same for a run to be continued: settings, loss, both data sets, model."""
    settings = {name: value for name, value in asdict(config).items() if name not in _FREE}
    name = getattr(loss, "__qualname__", type(loss).__qualname__)
    margins = [target_margins[pair.index] for pair in pairs]
    return {**settings, "loss": f"{loss.__module__}.{name}", "model": model, "data": _fingerprint(pairs, margins),
            "validation": _fingerprint(validation, [0.0] * len(validation))}


def environment(accelerator: accelerate.Accelerator, precision: str, token_budget: int, learning_rate: float) -> dict:
    """What a run's result depends on, and may yet differ when it is continued."""
    return {"threads": torch.get_num_threads(), "processes": accelerator.num_processes, "precision": precision,
            "token_budget": token_budget, "learning_rate": learning_rate, "device": accelerator.device.type,
            "torch": torch.__version__, "transformers": transformers.__version__}


def _fingerprint(pairs: Sequence[EncodedPair], margins: Sequence[float]) -> str:
    digest = hashlib.sha256()
    for pair, margin in zip(pairs, margins):
        digest.update(pair.chosen.tobytes() + b"|" + pair.rejected.tobytes() + b"\n" + repr(margin).encode())
    return f"{len(pairs)} pairs, sha256 {digest.hexdigest()}"
