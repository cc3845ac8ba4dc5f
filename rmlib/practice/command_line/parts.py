"""The three parts of a training on the command line: pairs to train on, pairs held out, pairs for validation."""

import argparse
import logging
from dataclasses import replace

from rmlib.pairs import PairSet, PreferencePair, conversation_keys, split_by_conversation
from rmlib.practice.command_line.sources import WORLD, read_source

_log = logging.getLogger("rmlib")
VALIDATION_SHARE = 0.1


def training_data(options: argparse.Namespace) -> tuple[PairSet, PairSet, PairSet]:
    """Pairs to train on, pairs held out and pairs for validation: given apart, from the world's own splits, or whole
    conversations."""
    training, held_out = _held_out(options)
    if options.validation and options.validation_share is not None:
        raise ValueError("give --validation or --validation-share, not both")
    share = VALIDATION_SHARE if options.validation_share is None else options.validation_share
    if options.validation or options.pairs == WORLD and share:
        validation = read_source(options.validation or WORLD, options.strict, None, split="validation")
        warn_of_shared(validation.pairs, training.pairs, "--validation", "trained on, so it will find no overfitting")
        warn_of_shared(held_out.pairs, validation.pairs, "those held out",
                       "in --validation, which chooses the weights, so the figures will flatter")
        return training, held_out, validation
    if not share:
        return training, held_out, replace(held_out, pairs=[])
    total = len(training.pairs) + (0 if options.eval else len(held_out.pairs))
    wanted = share * total / len(training.pairs)
    if wanted >= 1:
        raise ValueError(f"--validation-share {share} leaves nothing to train on: of the {total} pairs "
                         f"{len(training.pairs)} are not held out")
    try:
        rest, apart = split_by_conversation(training.pairs, wanted, options.seed)
    except ValueError as error:
        raise ValueError(f"for validation: {error}; or do without it, by --validation-share 0") from error
    _log.info("for validation: %d of %d pairs, in whole conversations", len(apart), total)
    return replace(training, pairs=rest), held_out, replace(held_out, pairs=apart)


def _held_out(options: argparse.Namespace) -> tuple[PairSet, PairSet]:
    found = read_source(options.pairs, options.strict, options.limit, split="train", by=options.by)
    if options.use_target_margin and (negative := sum((pair.target_margin or 0) < 0 for pair in found.pairs)):
        _log.warning("%d of %d pairs have a negative margin: the loss wants their rejected response ahead", negative,
                     len(found.pairs))
    if options.eval:
        held_out = read_source(options.eval, options.strict, None, split="test", by=options.by)
        warn_of_shared(held_out.pairs, found.pairs, "--eval", "in PAIRS, so its figures will flatter")
        return found, held_out
    if options.pairs == WORLD:
        return found, read_source(WORLD, False, None, split="test")
    training, rest = split_by_conversation(found.pairs, options.held_out, options.seed)
    _log.info("held out: %d of %d pairs, in whole conversations", len(rest), len(found.pairs))
    return replace(found, pairs=training), PairSet(rest, bad_rows=[], left_out=[], name=found.name)


def warn_of_shared(pairs: list[PreferencePair], others: list[PreferencePair], option: str, why: str) -> None:
    """Warn where conversations of `pairs`, which `option` gave, are among those of `others`."""
    taken = set(conversation_keys(others, pairs))
    if shared := sum(key in taken for key in conversation_keys(pairs, others)):
        _log.warning("%d of the %d pairs of %s are of conversations that are %s", shared, len(pairs), option, why)
