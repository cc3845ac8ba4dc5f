"""python -m rmlib train / evaluate / score: a reward model from your own pairs, its figures, its scores.

Data goes to stdout, talk to stderr. `accelerate launch -m rmlib ...` takes the same arguments.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from accelerate import PartialState
from accelerate.utils import set_seed

from rmlib.arguments import check_report, parser
from rmlib.data import PairSet, iter_rows, preflight, read_pairs, write_pairs
from rmlib.devices import join_processes
from rmlib.encoding import tokenize
from rmlib.evaluation import (
    Evaluation, evaluate, fit_temperature, margins_from, score_everywhere, summarise, whole_account,
)
from rmlib.files import atomic_write_text
from rmlib.model import RewardModel
from rmlib.preflight import tabulate
from rmlib.rows import BadRow, LeftOut, PreferencePair
from rmlib.settings import is_embedded, learning_rate_for, read_settings
from rmlib.splits import conversation_key, split_by_conversation
from rmlib.training import train
from rmlib.training_config import TrainingConfig
from rmlib.world import World, realised_agreement

log = logging.getLogger("rmlib")
WORLD = "world"
WORLD_TRAIN, WORLD_TEST = 20_000, 4_000  # pairs
SCORE_CHUNK = 1024  # rows held in memory at a time


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, or 2 where the user can mend what went wrong."""
    options = parser().parse_args(arguments)
    try:
        join_processes()
        _set_up_log()
        COMMANDS[options.command](options)
        sys.stdout.flush()  # here, and not at exit, where a reader that went away could no longer be caught
        PartialState().destroy_process_group()  # or a process that ends first can bring down one that is still leaving
    except BrokenPipeError:
        # The reader of stdout went away (score | head): nothing is wrong, and nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError) as error:
        log.error("error: %s", error)
        return 2
    return 0


def run_train(options: argparse.Namespace) -> None:
    out = Path(options.out)
    _check_out(out, options.resume)
    set_seed(options.seed)
    training, held_out = _training_data(options)
    backbone = options.backbone or read_settings().backbone
    model = RewardModel(backbone, options.pooling, options.max_length)
    if PartialState().is_main_process:
        write_pairs(out / "held_out.jsonl", held_out.pairs)  # before the training: what can't be written shows now
    log.info("backbone %s, %s pooling, %d tokens at most", backbone, model.pooling, model.encoding.max_length)
    if is_embedded(backbone) and options.pairs != WORLD:
        log.warning("the embedded backbone knows only the gold world's words and facts; for real text give --backbone, "
                    "for instance distilbert-base-uncased")
    if PartialState().is_main_process:
        log.info("%s", _preflights(model, training, held_out))
    config = TrainingConfig(
        epochs=options.epochs, batch_size=options.batch_size, seed=options.seed, precision=options.precision,
        learning_rate=options.learning_rate or learning_rate_for(backbone),
        use_target_margin=options.use_target_margin, checkpoint_every=options.checkpoint_every,
    )
    result = train(model, training.pairs, config, checkpoint_dir=out / "checkpoints", resume=options.resume)
    if PartialState().is_main_process:
        model.save_pretrained(out)
        atomic_write_text(out / "training.json", json.dumps({"settings": asdict(config), **asdict(result)}) + "\n")
    log.info("%d pairs in %.0f s (%s, %s); saved in %s", result.pairs_seen, result.seconds, result.device,
             result.precision, out)
    evaluation = evaluate(model, held_out.pairs)
    if PartialState().is_main_process:
        from_world = options.pairs == WORLD and not options.eval
        _tell(evaluation, World().margins(held_out.pairs) if from_world else None, title="held out: ")


def run_evaluate(options: argparse.Namespace) -> None:
    if options.report is not None:
        check_report(options)
    model = RewardModel.from_pretrained(options.model).to(PartialState().device)
    found = _read(options.pairs, options.strict, None, split="test")
    given = options.validation is not None
    validation = _read(options.validation, options.strict, None, split="validation").pairs if given else []
    margins = margins_from(score_everywhere(model, found.pairs))  # (N,)
    calibrated, unfitted = {}, None
    if validation:
        _warn_of_shared(validation, found.pairs, "--validation",
                        "evaluated, so the figures at its temperature will flatter")
        on_validation = margins_from(score_everywhere(model, validation))
        try:
            calibrated = _calibrated(on_validation, margins, found.pairs)
        except ValueError as error:
            unfitted = f"--validation {options.validation}: {error}"  # told below the figures, which need none
    if PartialState().is_main_process:
        gold = World().margins(found.pairs) if options.pairs == WORLD else None
        _tell_all(model, found, margins, gold, calibrated, options)
    if unfitted:
        raise ValueError(unfitted)


def _tell_all(model: RewardModel, found: PairSet, margins: np.ndarray, gold: np.ndarray | None, calibrated: dict,
              options: argparse.Namespace) -> None:
    figures = whole_account(model, found.pairs, margins, gold) | calibrated if options.json or options.report else {}
    if options.report:
        from rmlib.course.report import Findings, write_report  # who wants none need not wait for matplotlib

        validation = Path(options.validation).name if calibrated else None
        write_report(options.report, Findings(model, Path(options.model), found, margins, figures, validation, gold))
        log.info("report in %s", options.report)
    if options.json:
        print(json.dumps(figures))
    else:
        _tell(summarise(margins, found.pairs), gold)
        if calibrated:
            print(_temperature_line(**calibrated))


def _calibrated(on_validation: np.ndarray, margins: np.ndarray, pairs: list[PreferencePair]) -> dict:
    """The temperature fitted on validation margins, (V,), and the figures of `margins`, (N,), divided by it."""
    temperature = fit_temperature(on_validation)
    after = summarise(margins / temperature, pairs)
    figures = {name: getattr(after, name) for name in ("nll", "brier", "ece", "ece_floor")}
    return {"temperature": temperature, "validation_pairs": len(on_validation), "calibrated": figures}


def _temperature_line(temperature: float, validation_pairs: int, calibrated: dict[str, float]) -> str:
    names = {"nll": "negative log-likelihood", "brier": "Brier score", "ece": "calibration error"}
    figures = ", ".join(f"{name} {calibrated[key]:.3f}" for key, name in names.items())
    return f"temperature {temperature:.3f}, from {validation_pairs} validation pairs; with it {figures}"


def run_score(options: argparse.Namespace) -> None:
    model = RewardModel.from_pretrained(options.model).to(PartialState().device)
    rows = iter(World().pairs(WORLD_TEST, "test")) if options.pairs == WORLD else iter_rows(options.pairs)
    told = failed = 0
    while chunk := list(islice(rows, SCORE_CHUNK)):
        for scored in _score_rows(model, chunk):
            told, failed = told + 1, failed + ("error" in scored)
            if PartialState().is_main_process:
                print(json.dumps(scored))
    if failed:
        log.warning("%s: %d of %d rows have no score; their lines say why", options.pairs, failed, told)
    if failed == told:
        raise ValueError(f"{options.pairs}: no row can be used")


def _score_rows(model: RewardModel, rows: list[PreferencePair | BadRow | LeftOut]) -> Iterator[dict]:
    pairs = [row for row in rows if isinstance(row, PreferencePair)]
    scores = iter(score_everywhere(model, pairs).T.tolist())
    for row in rows:
        if isinstance(row, PreferencePair):
            chosen, rejected = next(scores)
            yield ({} if row.id is None else {"id": row.id}) | {"chosen": chosen, "rejected": rejected}
        else:
            yield {"line": row.line, "error": row.message}


def _training_data(options: argparse.Namespace) -> tuple[PairSet, PairSet]:
    """Pairs to train on and pairs held out: given apart, from the world's own splits, or whole conversations."""
    found = _read(options.pairs, options.strict, options.limit, split="train")
    if options.eval:
        held_out = _read(options.eval, options.strict, None, split="test")
        _warn_of_shared(held_out.pairs, found.pairs, "--eval", "trained on, so its figures will flatter")
        return found, held_out
    if options.pairs == WORLD:
        return found, _read(WORLD, False, None, split="test")
    training, held_out = split_by_conversation(found.pairs, options.held_out, options.seed)
    log.info("held out: %d of %d pairs, in whole conversations", len(held_out), len(found.pairs))
    return replace(found, pairs=training), PairSet(held_out, bad_rows=[], left_out=[], name=found.name)


def _preflights(model: RewardModel, training: PairSet, held_out: PairSet) -> str:
    """Both parts' preflight reports, counted by the model's own tokenizer; bad rows of a file that is split are told
    with the training part."""
    count, room, lead = partial(tokenize, model.tokenizer), model.encoding.room, model.encoding.lead
    return tabulate({
        "training": preflight(training, count, room, held_out, lead=lead),
        "held out": preflight(held_out, count, room, lead=lead),
    })


def _warn_of_shared(pairs: list[PreferencePair], others: list[PreferencePair], option: str, why: str) -> None:
    """Warn where conversations of `pairs`, which `option` gave, are among those of `others`."""
    taken = set(map(conversation_key, others))
    if shared := sum(conversation_key(pair) in taken for pair in pairs):
        log.warning("%d of the %d pairs of %s are of conversations that are %s", shared, len(pairs), option, why)


def _read(source: str, strict: bool, limit: int | None, split: str) -> PairSet:
    if source == WORLD:
        pairs = World().pairs(limit or (WORLD_TRAIN if split == "train" else WORLD_TEST), split)
        return PairSet(pairs, bad_rows=[], left_out=[], name=WORLD)
    found = read_pairs(source, strict=strict, limit=limit)
    log.info(found.summary())
    for row in found.bad_rows[:5]:
        log.warning("%s:%d: skipped: %s", source, row.line, row.message)
    if len(found.bad_rows) > 5:
        log.warning("... and %d rows more", len(found.bad_rows) - 5)
    return found


def _tell(evaluation: Evaluation, gold: np.ndarray | None, title: str = "") -> None:
    """Print the figures; `gold`: the gold world's margins of the same pairs, (N,)."""
    print(f"{title}{evaluation}")
    if gold is not None:
        print(f"the gold reward itself agrees with {realised_agreement(gold):.3f} of these labels")


def _check_out(out: Path, resume: bool) -> None:
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; give a directory")
    if (out / "checkpoints").exists():
        if not resume:
            raise ValueError(f"--out {out} holds an earlier run: --resume continues it, another --out keeps it")
    elif (out / "config.json").exists():
        raise ValueError(f"--out {out} holds a model and no checkpoint to resume from; it would be lost: give another "
                         "--out")


def _set_up_log() -> None:
    """Our messages to stderr, from one process of many."""
    log.handlers = [logging.StreamHandler(sys.stderr)]
    log.setLevel(logging.INFO if PartialState().is_main_process else logging.ERROR)
    log.propagate = False


COMMANDS = {"train": run_train, "evaluate": run_evaluate, "score": run_score}

if __name__ == "__main__":
    sys.exit(main())
