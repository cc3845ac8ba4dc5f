"""The three knobs of the course, read from the environment in this one place."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

ASSETS = Path(__file__).parent / "assets"
EMBEDDED_BACKBONE, EMBEDDED_REWARD_MODEL = ASSETS / "backbone", ASSETS / "reward_model"
HUB_BACKBONE = "distilbert-base-uncased"


@dataclass(frozen=True)
class Settings:
    """profile: "quick" or "full"; backbone: hub id or directory; pairs: the reader's own, a path or hf:..., or None."""

    profile: str
    backbone: str
    pairs: str | None

    @property
    def device(self) -> torch.device:
        """A GPU where there is one, in either profile."""
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")

    def __str__(self) -> str:
        name = "embedded" if is_embedded(self.backbone) else self.backbone
        pairs = self.pairs or "of the gold world"
        told = f"profile {self.profile}, backbone {name}, pairs {pairs}, on {self.device.type}"
        if self.device.type != "cpu" and self.profile == "quick":
            told += f'\na GPU is here: profile "full" trains {HUB_BACKBONE} on it'
        return told


def read_settings(profile: str | None = None) -> Settings:
    """Settings from RMLIB_PROFILE, RMLIB_BACKBONE and RMLIB_PAIRS; `profile`, where given, goes before the first.

    Raises ValueError for an unknown profile, FileNotFoundError for a file of pairs that is not there.
    """
    profile = profile or os.environ.get("RMLIB_PROFILE") or "quick"
    if profile not in ("quick", "full"):
        raise ValueError(f'the profile must be "quick" or "full", got {profile!r}')
    default = str(EMBEDDED_BACKBONE) if profile == "quick" else HUB_BACKBONE
    pairs = os.environ.get("RMLIB_PAIRS") or None
    if pairs and not pairs.startswith("hf:") and not Path(pairs).exists():
        raise FileNotFoundError(
            f"RMLIB_PAIRS={pairs}: there is no file {Path(pairs).absolute()}. A relative path counts from the folder "
            "that the notebook is in, or the command runs in: write an absolute one, or unset RMLIB_PAIRS"
        )
    return Settings(profile, os.environ.get("RMLIB_BACKBONE") or default, pairs)


def is_embedded(backbone: str) -> bool:
    """Whether this is the small backbone that comes with the course."""
    return Path(backbone).resolve() == EMBEDDED_BACKBONE.resolve()


def learning_rate_for(backbone: str) -> float:
    """A peak learning rate that suits the backbone: small nets take larger steps."""
    return 5e-4 if is_embedded(backbone) else 5e-5
