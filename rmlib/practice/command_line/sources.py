"""Where the command line takes its pairs from: a file, or the gold world, which goes by the word `world`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from rmlib.pairs import BadRow, LeftOut, PairSet, PreferencePair
from rmlib.practice import forms
from rmlib.practice.candidates import Candidates, iter_to_score
from rmlib.practice.full_evaluation import Part

if TYPE_CHECKING:
    from rmlib.course.world import World

_log = logging.getLogger("rmlib")
WORLD = "world"
ToScore = PreferencePair | Candidates | BadRow | LeftOut  # of a file that is scored
WORLD_PAIRS = {"train": 20_000, "validation": 2_000, "test": 4_000}


def read_source(source: str, strict: bool, limit: int | None, split: str, by: str | None = None) -> PairSet:
    """All pairs of a file or of the world. Raises ValueError where none has a subset at the key `by`."""
    if source == WORLD:
        pairs = _world().pairs(limit or WORLD_PAIRS[split], split)
        found = PairSet(pairs, bad_rows=[], left_out=[], name=WORLD)
    else:
        found = forms.read(source, strict=strict, limit=limit, by=by or "subset")
        _log.info(found.summary())
    missing = sum(pair.subset is None for pair in found.pairs)
    if by and missing == len(found.pairs):
        raise ValueError(f"--by {by}: no row of {source} that can be used has a value there; what train wrote to "
                         "held_out.jsonl keeps it under 'subset'")
    if by and missing:
        _log.warning("--by %s: %d of the %d pairs of %s have no value there", by, missing, len(found.pairs), source)
    for row in found.bad_rows[:5]:
        _log.warning("%s:%d: skipped: %s", source, row.line, row.message)
    if (more := len(found.bad_rows) - 5) > 0:
        _log.warning("... and %d bad row%s more", more, "" if more == 1 else "s")
    return found


def rows_of(source: str) -> Iterator[ToScore]:
    """The rows of a file, or the test pairs of the world."""
    return iter(_world().pairs(WORLD_PAIRS["test"], "test")) if source == WORLD else iter_to_score(source)


def gold_margins(pairs: list[PreferencePair]) -> np.ndarray:
    """The gold world's margins of pairs of its own, (N,)."""
    return _world().margins(pairs)


def gold_parts(pairs: list[PreferencePair], gold: np.ndarray) -> dict[str, list[Part]]:
    """By what the report parts the gold world's pairs; gold: their margins, (N,)."""
    from rmlib.course.slices import gold_slices

    return gold_slices(pairs, gold)


def _world() -> World:
    from rmlib.course.world import World

    return World()
