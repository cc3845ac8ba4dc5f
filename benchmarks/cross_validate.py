"""Grouped cross-validation of `rmlib.training`: every pair is held out once, conversations stay whole.

    python benchmarks/cross_validate.py --pairs pairs.jsonl --backbone DIR [--folds 5] [--epochs 1] [--json OUT]

The settings are fixed here, beforehand, and not chosen on these folds. They are those of `python -m rmlib train`
(learning rate 5e-5 with a tenth of warm-up, 16 pairs a step, 512 tokens at most, one epoch), with one exception:
pooling is the mean, since the backbone of the documented run is a sentence encoder that was trained with it, and its
own configuration says so.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
import time
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
import torch
import transformers
from accelerate.utils import set_seed

from rmlib.data import PairSet, read_pairs
from rmlib.evaluation import Evaluation, summarise
from rmlib.model import POOLINGS, RewardModel, score_pairs
from rmlib.rows import PreferencePair
from rmlib.splits import folds_by_conversation
from rmlib.training import TrainingConfig, train

POOLING = "mean"
HEADER = "fold  train  held out  accuracy  95% interval       NLL  shorter  longer  seconds"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    transformers.logging.disable_progress_bar()
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        found = read_pairs(options.pairs, limit=options.limit)
        folds = folds_by_conversation(found.pairs, options.folds, options.seed)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(found.summary())
    report = cross_validate(folds, options)
    report["rows"] = count_rows(found)
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def cross_validate(folds: list[tuple[list[PreferencePair], list[PreferencePair]]], options) -> dict:
    """Train and evaluate once a fold; returns the settings, each fold's figures, and those of all held-out pairs."""
    config = TrainingConfig(epochs=options.epochs, seed=options.seed)
    rows, scored, settings = [], [], {}
    print(HEADER)
    for number, (training, held_out) in enumerate(folds, start=1):
        set_seed(options.seed)
        model = RewardModel(options.backbone, options.pooling)
        started = time.perf_counter()
        result = train(model, training, config, progress=False)
        chosen, rejected = score_pairs(model, held_out)
        evaluation, seconds = summarise(chosen, rejected, held_out), time.perf_counter() - started
        print(line(str(number), len(training), evaluation, seconds), flush=True)
        rows.append({"fold": number, "training_pairs": len(training), "seconds": round(seconds, 1),
                     "last_losses": [record["loss"] for record in result.history[-10:]], **asdict(evaluation)})
        scored.append((chosen, rejected, held_out))
        settings = {**asdict(config), "pooling": model.pooling, "max_length": model.encoding.max_length,
                    "precision": result.precision, "folds": options.folds}
    chosen, rejected = (np.concatenate([fold[side] for fold in scored]) for side in (0, 1))
    pooled = summarise(chosen, rejected, [pair for fold in scored for pair in fold[2]])
    seconds = sum(row["seconds"] for row in rows)
    print(line("all", None, pooled, seconds))
    return {"pooled": asdict(pooled), "folds": rows, "settings": settings, "seconds": seconds, **machine()}


def line(name: str, training: int | None, held_out: Evaluation, seconds: float) -> str:
    """One row of the table under HEADER."""
    interval = f"{held_out.accuracy_low:.3f} to {held_out.accuracy_high:.3f}"
    shorter, longer = held_out.baselines["shorter"], held_out.baselines["longer"]
    return (f"{name:>4}  {training or '':>5}  {held_out.pairs:>8}  {held_out.accuracy:>8.3f}  {interval}  "
            f"{held_out.nll:>6.3f}  {shorter:>7.3f}  {longer:>6.3f}  {seconds:>7.0f}")


def count_rows(found: PairSet) -> dict:
    """The account of every row that was read: used, or why not."""
    reasons = [row.reason for row in [*found.bad_rows, *found.left_out]]
    not_used = {reason: reasons.count(reason) for reason in sorted(set(reasons))}
    return {"read": len(found.pairs) + len(reasons), "used": len(found.pairs), "not_used": not_used}


def machine() -> dict:
    return {"date": date.today().isoformat(), "threads": torch.get_num_threads(), "versions": {
        "python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__}}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Grouped cross-validation of rmlib.training on a file of pairs.")
    parser.add_argument("--pairs", required=True, metavar="FILE")
    parser.add_argument("--backbone", required=True, metavar="NAME_OR_DIR")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="of the folds, the head and the order of pairs")
    parser.add_argument("--pooling", choices=POOLINGS, default=POOLING)
    parser.add_argument("--limit", type=int, metavar="N", help="use the first N good pairs")
    parser.add_argument("--threads", type=int, metavar="T", help="CPU threads (default: torch's own)")
    parser.add_argument("--json", metavar="OUT", help="write all figures there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
