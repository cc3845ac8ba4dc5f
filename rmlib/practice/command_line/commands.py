"""What `python -m rmlib` does: train, evaluate, score. Data goes to stdout, talk to stderr."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
from accelerate import PartialState
from accelerate.utils import set_seed

from rmlib.evaluation import fit_temperature, pair_accuracies, reward_margins, summarise
from rmlib.files import atomic_write_text, sha256
from rmlib.model import RewardModel, score_pairs_distributed
from rmlib.pairs import BadRow, LeftOut, PairSet, PreferencePair, write_pairs
from rmlib.practice.command_line.arguments import check_report
from rmlib.practice.command_line.sources import (
    WORLD,
    gold_margins,
    gold_parts,
    preflights,
    read_source,
    read_training,
    rows_of,
    training_data,
    warn_of_shared,
)
from rmlib.practice.full_evaluation import full_evaluation
from rmlib.practice.rivals import Rivals, fit_rivals, read_rivals
from rmlib.practice.usable import compare, told
from rmlib.settings import is_embedded, learning_rate_for, read_settings
from rmlib.training import TrainingConfig, train

_log = logging.getLogger("rmlib")
SCORE_CHUNK = 1024  # rows held in memory at a time


def run_train(options: argparse.Namespace) -> None:
    out = Path(options.out)
    _check_out(out, options.resume)
    set_seed(options.seed)
    training, held_out = training_data(options)
    backbone = options.backbone or read_settings().backbone
    model = RewardModel(backbone, options.pooling, options.max_length, options.rendering)
    # Before the training: what can't be written shows now. A run that goes on has its held-out pairs already.
    if PartialState().is_main_process and not (options.resume and (out / "held_out.jsonl").exists()):
        write_pairs(out / "held_out.jsonl", held_out.pairs)
    _log.info("backbone %s, %s pooling, %d tokens at most; conversations are rendered as %s", backbone, model.pooling,
              model.encoding.max_length, model.encoding)
    if is_embedded(backbone) and options.pairs != WORLD:
        _log.warning("the embedded backbone knows only the gold world's words and facts; for real text give "
                     "--backbone, for instance distilbert-base-uncased")
    if PartialState().is_main_process:
        _log.info("%s", preflights(model, training, held_out))
    config = TrainingConfig(
        epochs=options.epochs, batch_size=options.batch_size, seed=options.seed, precision=options.precision,
        learning_rate=options.learning_rate or learning_rate_for(backbone),
        label_smoothing=options.label_smoothing, centring=options.centring,
        use_target_margin=options.use_target_margin, checkpoint_every=options.checkpoint_every,
    )
    result = train(model, training.pairs, config, checkpoint_dir=out / "checkpoints", resume=options.resume)
    if PartialState().is_main_process:
        model.save_pretrained(out)
        atomic_write_text(out / "training.json", json.dumps({"settings": asdict(config), **asdict(result)}) + "\n")
    _log.info("%d pairs in %.0f s (%s, %s); saved in %s", result.pairs_seen, result.seconds, result.device,
             result.precision, out)
    margins = reward_margins(score_pairs_distributed(model, held_out.pairs))  # (N,)
    if PartialState().is_main_process:
        rivals = fit_rivals(training.pairs)
        rivals.save(out)
        from_world = options.pairs == WORLD and not options.eval
        _tell(margins, held_out.pairs, gold_margins(held_out.pairs) if from_world else None, rivals, title="held out: ")


def run_evaluate(options: argparse.Namespace) -> None:
    if options.report is not None:
        check_report(options)
    model = RewardModel.from_pretrained(options.model).to(PartialState().device)
    found = read_source(options.pairs, options.strict, None, split="test", by=options.by)
    given = options.validation is not None
    validation = read_source(options.validation, options.strict, None, split="validation").pairs if given else []
    rivals, training = read_rivals(Path(options.model)), read_training(Path(options.model))
    margins = reward_margins(score_pairs_distributed(model, found.pairs))  # (N,)
    calibrated, unfitted = {}, None
    if validation:
        warn_of_shared(validation, found.pairs, "--validation",
                        "evaluated, so the figures at its temperature will flatter")
        on_validation = reward_margins(score_pairs_distributed(model, validation))
        try:
            calibrated = _calibrated(on_validation, margins, found.pairs)
        except ValueError as error:
            unfitted = f"--validation {options.validation}: {error}"  # told below the figures, which need none
    if PartialState().is_main_process:
        gold = gold_margins(found.pairs) if options.pairs == WORLD else None
        _tell_all(model, found, margins, gold, calibrated, rivals, training, options)
    if unfitted:
        raise ValueError(unfitted)


def _tell_all(model: RewardModel, found: PairSet, margins: np.ndarray, gold: np.ndarray | None, calibrated: dict,
              rivals: Rivals | None, training: dict, options: argparse.Namespace) -> None:
    figures: dict = {}
    data = sha256(options.pairs) if Path(options.pairs).is_file() else None
    seen = data is not None and data == (training.get("data") or {}).get("sha256")
    if options.json or options.report:
        groups = None if gold is None else gold_parts(found.pairs, gold)
        figures = full_evaluation(model, found.pairs, margins, gold, groups, rivals, seen,
                                  options.by or "subset") | calibrated
    if options.report:
        from rmlib.practice.report import Findings, write_report

        validation = Path(options.validation).name if calibrated else None
        write_report(options.report, Findings(model, Path(options.model), found, margins, figures, validation, gold,
                                              data, training))
        _log.info("report in %s", options.report)
    if options.json:
        print(json.dumps(figures))
    else:
        _tell(margins, found.pairs, gold, rivals, seen)
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
    rows = rows_of(options.pairs)
    told = failed = 0
    while chunk := list(islice(rows, SCORE_CHUNK)):
        for scored in _score_rows(model, chunk):
            told, failed = told + 1, failed + ("error" in scored)
            if PartialState().is_main_process:
                print(json.dumps(scored))
    if failed:
        _log.warning("%s: %d of %d rows have no score; their lines say why", options.pairs, failed, told)
    if failed == told:
        raise ValueError(f"{options.pairs}: no row can be used")


def _score_rows(model: RewardModel, rows: list[PreferencePair | BadRow | LeftOut]) -> Iterator[dict]:
    pairs = [row for row in rows if isinstance(row, PreferencePair)]
    scores = iter(score_pairs_distributed(model, pairs).T.tolist())
    for row in rows:
        if isinstance(row, PreferencePair):
            chosen, rejected = next(scores)
            yield ({} if row.id is None else {"id": row.id}) | {"chosen": chosen, "rejected": rejected}
        else:
            yield {"line": row.line, "error": row.message}


def _tell(margins: np.ndarray, pairs: list[PreferencePair], gold: np.ndarray | None, rivals: Rivals | None,
          seen: bool = False, title: str = "") -> None:
    """Print the figures of margins, (N,); gold: the gold world's margins of the same pairs, (N,)."""
    print(f"{title}{summarise(margins, pairs)}")
    if gold is not None:
        print(f"the gold reward itself agrees with {pair_accuracies(gold).mean():.3f} of these labels")
    print(told(compare(margins, pairs, rivals, seen)))


def _check_out(out: Path, resume: bool) -> None:
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; give a directory")
    if (out / "checkpoints").exists():
        if not resume:
            raise ValueError(f"--out {out} holds an earlier run: --resume continues it, another --out keeps it")
    elif (out / "config.json").exists():
        raise ValueError(f"--out {out} holds a model and no checkpoint to resume from; it would be lost: give another "
                         "--out")


COMMANDS = {"train": run_train, "evaluate": run_evaluate, "score": run_score}
