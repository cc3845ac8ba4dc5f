"""Where the command line takes its pairs from: a file, or the gold world, which goes by the word `world`."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rmlib.model import RewardModel
from rmlib.pairs import (
    BadRow,
    LeftOut,
    PairSet,
    PreferencePair,
    conversation_keys,
    split_by_conversation,
)
from rmlib.practice import forms
from rmlib.practice.full_evaluation import Part
from rmlib.practice.preflight import preflight_encoded, tabulate

if TYPE_CHECKING:
    from rmlib.course.world import World

_log = logging.getLogger("rmlib")
WORLD = "world"
WORLD_TRAIN, WORLD_TEST = 20_000, 4_000  # pairs


def training_data(options: argparse.Namespace) -> tuple[PairSet, PairSet]:
    """Pairs to train on and pairs held out: given apart, from the world's own splits, or whole conversations."""
    found = read_source(options.pairs, options.strict, options.limit, split="train", by=options.by)
    if options.use_target_margin and (negative := sum((pair.target_margin or 0) < 0 for pair in found.pairs)):
        _log.warning("%d of %d pairs have a negative margin: the loss wants their rejected response ahead", negative,
                     len(found.pairs))
    if options.eval:
        held_out = read_source(options.eval, options.strict, None, split="test", by=options.by)
        warn_of_shared(held_out.pairs, found.pairs, "--eval", "trained on, so its figures will flatter")
        return found, held_out
    if options.pairs == WORLD:
        return found, read_source(WORLD, False, None, split="test")
    training, rest = split_by_conversation(found.pairs, options.held_out, options.seed)
    _log.info("held out: %d of %d pairs, in whole conversations", len(rest), len(found.pairs))
    return replace(found, pairs=training), PairSet(rest, bad_rows=[], left_out=[], name=found.name)


def preflights(model: RewardModel, training: PairSet, held_out: PairSet) -> str:
    """Both parts' preflight reports, counted by the model's own tokenizer; bad rows of a file that is split are told
    with the training part."""
    return tabulate({
        "training": preflight_encoded(training, model.tokenizer, model.encoding, held_out),
        "held out": preflight_encoded(held_out, model.tokenizer, model.encoding),
    })


def warn_of_shared(pairs: list[PreferencePair], others: list[PreferencePair], option: str, why: str) -> None:
    """Warn where conversations of `pairs`, which `option` gave, are among those of `others`."""
    taken = set(conversation_keys(others, pairs))
    if shared := sum(key in taken for key in conversation_keys(pairs, others)):
        _log.warning("%d of the %d pairs of %s are of conversations that are %s", shared, len(pairs), option, why)


def read_source(source: str, strict: bool, limit: int | None, split: str, by: str | None = None) -> PairSet:
    """All pairs of a file or of the world. Raises ValueError where none has a subset at the key `by`."""
    if source == WORLD:
        pairs = _world().pairs(limit or (WORLD_TRAIN if split == "train" else WORLD_TEST), split)
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
    if len(found.bad_rows) > 5:
        _log.warning("... and %d rows more", len(found.bad_rows) - 5)
    return found


def read_training(directory: Path) -> dict:
    """What `train` wrote down beside a model; nothing where it did not. Raises ValueError where that is no object."""
    path = directory / "training.json"
    try:
        return dict((json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}).items())
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path}: not what train writes beside a model, and it can go: {error}") from error


def rows_of(source: str) -> Iterator[PreferencePair | BadRow | LeftOut]:
    """The rows of a file, or the test pairs of the world."""
    return iter(_world().pairs(WORLD_TEST, "test")) if source == WORLD else forms.iter_items(source)


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
