"""What draws afresh for a reader draws the same in each run of the tests, unless RMLIB_DRAW_AFRESH=1 is set."""

import os
from itertools import count

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generators without a seed have the seeds 0, 1, 2, ..., in the order in which a test makes them."""
    if os.environ.get("RMLIB_DRAW_AFRESH") != "1":
        seeds, seeded = count(), np.random.default_rng
        monkeypatch.setattr(np.random, "default_rng",
                            lambda seed=None: seeded(next(seeds) if seed is None else seed))
