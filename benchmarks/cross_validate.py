"""Grouped cross-validation of `rmlib.training` beside four null baselines: conversations stay whole, each seed anew.

    python benchmarks/cross_validate.py --pairs pairs.jsonl --backbone DIR [--seeds 0 1 2] [--keep DIR] [--json OUT]

With each seed every pair is held out once. The baselines are fitted on the training part of each fold and judged on its
held-out pairs. McNemar's test holds the model against each, as if pairs were independent; beside it stands the
interval of the model's lead, the difference of the two accuracies, over whole conversations. The settings are fixed
here, beforehand, and not chosen on these folds. They are those of `python -m rmlib train` (learning
rate 5e-5 with a tenth of warm-up, 16 pairs a step, 512 tokens at most, one epoch), with one exception: pooling is the
mean, since the backbone of the documented run is a sentence encoder that was trained with it, and its own configuration
says so.

A fold of the documented run takes minutes. With --keep each finished fold leaves its rewards in a file of that
directory, and a later call goes on from there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import platform
import sys
import time
from collections.abc import Hashable, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
import torch
import transformers
from accelerate.utils import set_seed
from folds import folds_by_conversation

from rmlib.evaluation import clustered_bootstrap, mcnemar, pair_accuracies, reward_margins, summarise, wilson_interval
from rmlib.files import atomic_write_text
from rmlib.model import POOLINGS, RewardModel, score_pairs
from rmlib.pairs import PairSet, PreferencePair, conversation_keys, read_pairs
from rmlib.practice.rivals import null_baselines
from rmlib.training import TrainingConfig, train

POOLING = "mean"
FOLDS = "| seed | fold | trained on | held out | accuracy | 95% interval | NLL | seconds |"
SEEDS = "| seed | pairs | accuracy | 95%, pairs independent | 95%, whole conversations | NLL | Brier | ECE (by luck) |"
BASELINES = ("| seed | baseline | accuracy | 95% interval | the model's lead, whole conversations | "
             "only the model right | only the baseline right | McNemar p |")


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    transformers.logging.disable_progress_bar()
    if options.threads:
        torch.set_num_threads(options.threads)
    try:
        found = read_pairs(options.pairs, limit=options.limit)
        print(f"{found.summary()}\n\n{heading(FOLDS)}", flush=True)
        seeds = [one_seed(found.pairs, seed, options) for seed in options.seeds]
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    report = {"over_seeds": over_seeds(seeds), "seeds": seeds, "settings": settings(options), "rows": count_rows(found),
              **machine()}
    print(tables(report))
    if options.json:
        atomic_write_text(options.json, json.dumps(report, indent=2) + "\n")
    return 0


def one_seed(pairs: list[PreferencePair], seed: int, options: argparse.Namespace) -> dict:
    """Hold every pair out once: the figures of each fold, of all pairs together, and of the baselines on them."""
    folds = folds_by_conversation(pairs, options.folds, seed)
    rows, margins, held_out, baselines = [], [], [], {}
    for number, (training, held) in enumerate(folds, start=1):
        fold = finished_fold(training, held, seed, number, options)
        margins.append(reward_margins([fold.pop("chosen"), fold.pop("rejected")]))
        held_out += held
        evaluation = asdict(summarise(margins[-1], held))
        rows.append({"fold": number, "training_pairs": len(training), **fold, **evaluation})
        print(line(seed, number, f"{len(training):,}", len(held), f"{evaluation['accuracy']:.3f}", interval(evaluation),
                   f"{evaluation['nll']:.3f}", round(fold["seconds"])), flush=True)
        for name, theirs in null_baselines(training, held).items():
            baselines.setdefault(name, []).append(theirs)
    ours, conversations = np.concatenate(margins), conversation_keys(held_out)
    pooled = {**asdict(summarise(ours, held_out)), "seconds": sum(row["seconds"] for row in rows)}
    against = {name: compare(ours, np.concatenate(parts), conversations) for name, parts in baselines.items()}
    return {"seed": seed, "pooled": pooled, "against": against, "folds": rows}


def finished_fold(training: list[PreferencePair], held_out: list[PreferencePair], seed: int, number: int,
                  options: argparse.Namespace) -> dict:
    """A fold's rewards and account of its training: what --keep has of it, or else a training.

    Raises ValueError where what is kept is of other pairs, settings or another backbone.
    """
    path = options.keep and Path(options.keep) / f"seed{seed}_fold{number}.json"
    config = TrainingConfig(epochs=options.epochs, seed=seed)
    texts = [[(pair.turns, pair.chosen, pair.rejected) for pair in part] for part in (training, held_out)]
    everything = json.dumps([[options.backbone, options.pooling, asdict(config)], texts])
    identity = hashlib.sha256(everything.encode()).hexdigest()
    if path and path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept.pop("identity") != identity:
            raise ValueError(f"{path} is of other pairs, settings or another backbone: give another --keep")
        return kept
    fold = trained_fold(training, held_out, config, options)
    if path:
        atomic_write_text(path, json.dumps({"identity": identity, **fold}) + "\n")
    return fold


def trained_fold(training: list[PreferencePair], held_out: list[PreferencePair], config: TrainingConfig,
                 options: argparse.Namespace) -> dict:
    """Train on one part and score the other."""
    set_seed(config.seed)
    model = RewardModel(options.backbone, options.pooling)
    started = time.perf_counter()
    result = train(model, training, config, progress=False)
    chosen, rejected = score_pairs(model, held_out)
    return {
        "chosen": chosen.tolist(), "rejected": rejected.tolist(), "seconds": round(time.perf_counter() - started, 1),
        "last_losses": [record["loss"] for record in result.history[-10:]], "precision": result.precision,
        "max_length": model.encoding.max_length,
    }


def compare(ours: np.ndarray, theirs: np.ndarray, conversations: Sequence[Hashable]) -> dict:
    """A baseline's accuracy, the model's lead and McNemar's test, from margins and conversations (N,) of the pairs."""
    right = float(pair_accuracies(theirs).sum())
    low, high = wilson_interval(right, len(theirs))
    ahead = pair_accuracies(ours) - pair_accuracies(theirs)
    lead_low, lead_high = clustered_bootstrap(ahead, conversations)
    test = mcnemar(ours, theirs)
    return {"accuracy": right / len(theirs), "accuracy_low": low, "accuracy_high": high,
            "lead": float(ahead.mean()), "lead_low": lead_low, "lead_high": lead_high,
            "ties": int((theirs == 0).sum()), "only_model": test.only_first, "only_baseline": test.only_second,
            "p_value": test.p_value}


def over_seeds(seeds: list[dict]) -> dict:
    """Mean and spread of the pooled figures over the seeds; the largest p-value of each baseline's tests."""
    accuracies = [seed["pooled"]["accuracy"] for seed in seeds]
    return {
        "accuracy_mean": float(np.mean(accuracies)), "accuracy_min": min(accuracies), "accuracy_max": max(accuracies),
        "nll_mean": float(np.mean([seed["pooled"]["nll"] for seed in seeds])),
        "largest_p_value": {name: max(seed["against"][name]["p_value"] for seed in seeds)
                            for name in seeds[0]["against"]},
    }


def tables(report: dict) -> str:
    """What all seeds came to: a table of the model, and one of the baselines beside it."""
    model, baselines = [], []
    for seed in report["seeds"]:
        pooled = seed["pooled"]
        model.append(line(seed["seed"], f"{pooled['pairs']:,}", f"{pooled['accuracy']:.3f}", interval(pooled),
                          interval(pooled, "clustered"), f"{pooled['nll']:.3f}", f"{pooled['brier']:.3f}",
                          f"{pooled['ece']:.3f} ({pooled['ece_floor']:.3f})"))
        baselines += [line(seed["seed"], name, f"{row['accuracy']:.3f}", interval(row), interval(row, "lead"),
                           row["only_model"], row["only_baseline"], f"{row['p_value']:.2g}")
                      for name, row in seed["against"].items()]
    overall = report["over_seeds"]
    mean = (f"Mean accuracy {overall['accuracy_mean']:.3f} ({overall['accuracy_min']:.3f} to "
            f"{overall['accuracy_max']:.3f}), mean NLL {overall['nll_mean']:.3f}.")
    return "\n".join(["", heading(SEEDS), *model, "", heading(BASELINES), *baselines, "", mean])


def heading(names: str) -> str:
    """The first two lines of a Markdown table."""
    return f"{names}\n|{'---:|' * (names.count('|') - 1)}"


def line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def interval(figures: dict, name: str = "accuracy") -> str:
    return f"{figures[f'{name}_low']:.3f} to {figures[f'{name}_high']:.3f}"


def settings(options: argparse.Namespace) -> dict:
    return {**asdict(TrainingConfig(epochs=options.epochs)), "seed": options.seeds, "pooling": options.pooling,
            "folds": options.folds, "limit": options.limit}


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
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="S",
                        help="each of its own folds, head and order of pairs")
    parser.add_argument("--pooling", choices=POOLINGS, default=POOLING)
    parser.add_argument("--limit", type=int, metavar="N", help="use the first N good pairs")
    parser.add_argument("--threads", type=int, metavar="T", help="CPU threads (default: torch's own)")
    parser.add_argument("--keep", metavar="DIR", help="finished folds go there, and are taken from there")
    parser.add_argument("--json", metavar="OUT", help="write all figures there")
    return parser


if __name__ == "__main__":
    sys.exit(main())
