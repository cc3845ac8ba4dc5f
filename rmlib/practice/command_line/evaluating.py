"""`python -m rmlib evaluate`: a saved model's figures, as text, as JSON, as a report."""

import argparse
import json
import logging
from pathlib import Path

import numpy as np
from accelerate import PartialState

from rmlib.evaluation import fit_temperature, pair_accuracies, reward_margins, summarise
from rmlib.files import sha256
from rmlib.model import RewardModel, score_pairs_distributed
from rmlib.pairs import PairSet, PreferencePair
from rmlib.practice.command_line.arguments import check_report
from rmlib.practice.command_line.parts import warn_of_shared
from rmlib.practice.command_line.sources import WORLD, gold_margins, gold_parts, read_source
from rmlib.practice.full_evaluation import full_evaluation
from rmlib.practice.rivals import Rivals, hash_of_weights, read_rivals
from rmlib.practice.usable import compare, told

_log = logging.getLogger("rmlib")
TRAINING = "training.json"  # what `train` writes beside a model


def run_evaluate(options: argparse.Namespace) -> int:
    if options.report is not None:
        check_report(options)
    model = RewardModel.from_pretrained(options.model).to(PartialState().device)
    found = read_source(options.pairs, options.strict, None, split="test", by=options.by)
    given = options.validation is not None
    validation = read_source(options.validation, options.strict, None, split="validation").pairs if given else []
    rivals, training = read_rivals(Path(options.model)), read_training(Path(options.model))
    margins = reward_margins(score_pairs_distributed(model, found.pairs, options.token_budget))  # (N,)
    calibrated, unfitted = {}, None
    if validation:
        warn_of_shared(validation, found.pairs, "--validation",
                        "evaluated, so the figures at its temperature will flatter")
        on_validation = reward_margins(score_pairs_distributed(model, validation, options.token_budget))
        try:
            calibrated = _calibrated(on_validation, margins, found.pairs)
        except ValueError as error:
            unfitted = f"--validation {options.validation}: {error}"  # told below the figures, which need none
    if PartialState().is_main_process:
        gold = gold_margins(found.pairs) if options.pairs == WORLD else None
        _tell_all(model, found, margins, gold, calibrated, rivals, training, options)
    if unfitted:
        raise ValueError(unfitted)
    return 0


def _tell_all(model: RewardModel, found: PairSet, margins: np.ndarray, gold: np.ndarray | None, calibrated: dict,
              rivals: Rivals | None, training: dict, options: argparse.Namespace) -> None:
    figures: dict = {}
    data = sha256(options.pairs) if Path(options.pairs).is_file() else None
    if options.json or options.report:
        groups = None if gold is None else gold_parts(found.pairs, gold)
        figures = full_evaluation(model, found.pairs, margins, gold, groups, rivals,
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
        tell(margins, found.pairs, gold, compare(margins, found.pairs, rivals))
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
    counted = f"{validation_pairs} validation pair{'s' * (validation_pairs != 1)}"
    return f"temperature {temperature:.3f}, from {counted}; with it {figures}"


def tell(margins: np.ndarray, pairs: list[PreferencePair], gold: np.ndarray | None, compared: dict,
         title: str = "") -> None:
    """Print the figures of margins, (N,), and what `compare` finds; gold: the gold world's margins, (N,)."""
    print(f"{title}{summarise(margins, pairs)}")
    if gold is not None:
        print(f"the gold reward itself agrees with {pair_accuracies(gold).mean():.3f} of these labels")
    print(told(compared))


def read_training(directory: Path) -> dict:
    """What `train` wrote down beside a model; nothing where it did not, or did so beside other weights.

    Raises ValueError where that is no object.
    """
    path = directory / TRAINING
    try:
        written = dict(json.loads(path.read_text(encoding="utf-8")).items()) if path.exists() else {}
        return written if written and written.get("weights") == hash_of_weights(directory) else {}
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{path}: not what train writes beside a model, and it can go: {error}") from error
