"""What a report tells: a model, the pairs it was evaluated on, and the figures, which the sections put into words."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rmlib.files import sha256
from rmlib.model import RewardModel
from rmlib.model.saving import WEIGHTS
from rmlib.pairs import PairSet, PreferencePair


@dataclass(frozen=True)
class Findings:
    """One model on one set of pairs. margins: float64 (N,); gold: the gold world's margins, (N,), or None.

    figures: the object that --json prints: `full_evaluation` and, with validation pairs, the temperature.
    """

    model: RewardModel
    model_directory: Path
    found: PairSet
    margins: np.ndarray
    figures: dict
    validation: str | None = None  # the name of the validation pairs
    gold: np.ndarray | None = None
    data: str | None = None  # sha256 of the file of the pairs, where they are of one
    training: dict = field(default_factory=dict)  # what `train` wrote down beside the model

    @property
    def pairs(self) -> list[PreferencePair]:
        return self.found.pairs

    @property
    def model_name(self) -> str:
        return self.model_directory.resolve().name

    @property
    def model_facts(self) -> list[tuple[str, str]]:
        weights = sum(parameter.numel() for parameter in self.model.parameters())
        return [
            ("Backbone", f"{self.model.backbone.config.model_type}, {weights:,} weights with the head"),
            ("Pooling", self.model.pooling),
            ("Window", f"{self.model.encoding.max_length} tokens"),
            ("Fingerprint of the weights", sha256(self.model_directory / WEIGHTS)[:16]),
        ]

    @property
    def training_facts(self) -> list[tuple[str, str]]:
        """Data and settings of the training, where they are known; of a long one the first 40 characters."""
        facts = [(f"{kind}: {name.replace('_', ' ')}", str(value)[:40]) for kind in ("data", "settings")
                 for name, value in (self.training.get(kind) or {}).items() if value is not None]
        return facts or [("Data and settings", "not written down beside the model")]

    @property
    def worst(self) -> list[int]:
        """Indices of the pairs on which the model is wrong, the surest mistake first."""
        order = np.argsort(self.margins, kind="stable")
        return order[self.margins[order] < 0].tolist()
