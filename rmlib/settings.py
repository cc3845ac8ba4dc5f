"""The three knobs of the course, read from the environment in this one place."""

import os
from dataclasses import dataclass
from pathlib import Path

EMBEDDED_BACKBONE = Path(__file__).parent / "assets" / "backbone"
HUB_BACKBONE = "distilbert-base-uncased"


@dataclass(frozen=True)
class Settings:
    """profile: "quick" or "full"; backbone: hub id or directory; pairs: path of the reader's own pairs, or None."""

    profile: str
    backbone: str
    pairs: str | None


def read_settings() -> Settings:
    """Settings from RMLIB_PROFILE, RMLIB_BACKBONE and RMLIB_PAIRS.

    Raises ValueError for an unknown profile, FileNotFoundError for a file of pairs that is not there.
    """
    profile = os.environ.get("RMLIB_PROFILE") or "quick"
    if profile not in ("quick", "full"):
        raise ValueError(f'RMLIB_PROFILE must be "quick" or "full", got {profile!r}')
    default = str(EMBEDDED_BACKBONE) if profile == "quick" else HUB_BACKBONE
    pairs = os.environ.get("RMLIB_PAIRS") or None
    if pairs and not Path(pairs).is_file():
        raise FileNotFoundError(f"RMLIB_PAIRS names {pairs}, and there is no such file")
    return Settings(profile, os.environ.get("RMLIB_BACKBONE") or default, pairs)
