"""Pairs a second of five training loops in one run: same weights, same real pairs, same threads, dropout off.

    python benchmarks/throughput.py --backbone DIR --pairs FILE [--json OUT] [--limit 64] [--threads T] [--cpu-time]

    reference               one pair at a time: tokenise both texts, two forwards, Adam
    two_forward             16 pairs a step: chosen responses padded to one batch, rejected ones to another, Adam
    trl                     TRL's RewardTrainer on the same network: 16 pairs a step, float32, no gradient checkpointing
    trl_defaults            RewardTrainer as it comes, on transformers' sequence classifier of the same backbone
    rmlib_fp32, rmlib_bf16  rmlib.training

Only pairs that fit the window whole are used, so that every loop sees the same tokens; each loop's real tokens are
counted and must agree, and so must the loss on these pairs after training. Time runs from the first forward on, so that
setting up counts for none; rmlib and TRL have tokenised before. Rows run in turn, in rounds; a row's time is its best
round, since whatever else the machine does can only add to it. The ceiling is the time of the model's own
matrix products alone (listed), without padding, at the speed that torch.matmul reaches in the same run.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import sys
import time
import warnings
from pathlib import Path

os.environ["ACCELERATE_USE_CPU"] = "true"

import torch
import transformers
import trl
from loops import LOOPS, Start, make_start, timed
from transformers import AutoModelForSequenceClassification

from rmlib.course import matrix_products
from rmlib.evaluation import nll, reward_margins
from rmlib.model import RewardModel, score_pairs
from rmlib.pairs import read_pairs
from rmlib.training import has_native_bf16

LOSS_TOLERANCE = {"reference": 0.05}  # nats from trl's; single pairs take another path to about the same place
OTHERS_TOLERANCE = 0.01
ROUNDS, SECONDS = 3, 420  # another round starts only if it would end in time


def measure(name: str, start: Start, now: matrix_products.Clock) -> dict:
    """Seconds of one loop from its first forward on, the real tokens it processed, the loss on the pairs after it."""
    if name == "trl_defaults":
        model = AutoModelForSequenceClassification.from_pretrained(start.directory, num_labels=1, dtype=torch.float32)
    else:
        model = copy.deepcopy(start.model).eval()
        if not name.startswith("rmlib"):
            model.backbone.set_attn_implementation("sdpa")  # the library's own, with padding
    seconds, tokens = timed(LOOPS[name](start, model), model, now)
    loss = None if name == "trl_defaults" else loss_on(model, start)  # another head, another rate: not to be compared
    return {"seconds": seconds, "tokens": tokens, "loss": loss}


def loss_on(model: RewardModel, start: Start) -> float:
    return nll(reward_margins(score_pairs(model, start.pairs)))


def check(rounds: dict[str, list[dict]]) -> None:
    """Raise ValueError unless all loops saw the same tokens, and those on one network reached a similar loss."""
    tokens = {name: results[0]["tokens"] for name, results in rounds.items()}
    if len(set(tokens.values())) > 1:
        raise ValueError(f"the loops did not process the same real tokens, so no ratio would be fair: {tokens}")
    losses = {name: results[0]["loss"] for name, results in rounds.items() if results[0]["loss"] is not None}
    for name, loss in losses.items():
        if not abs(loss - losses["trl"]) <= LOSS_TOLERANCE.get(name, OTHERS_TOLERANCE):
            raise ValueError(f"{name} did not reach trl's loss on the same pairs, so it did other work: {losses}")


def run_rounds(start: Start, names: list[str], dtypes: dict[str, torch.dtype], now: matrix_products.Clock):
    """All rows in turn, forth and back, until time is up: (results of each loop, seconds of each ceiling, rounds)."""
    rounds: dict[str, list[dict]] = {name: [] for name in names}
    ceilings: dict[str, list[float]] = {name: [] for name in dtypes}
    began, done = time.perf_counter(), 0
    while done == 0 or (done < ROUNDS and (time.perf_counter() - began) * (1 + 1 / done) < SECONDS):
        for name in names[:: -1 if done % 2 else 1]:
            rounds[name].append(measure(name, start, now))
            print(f"round {done + 1}: {name} {rounds[name][-1]['seconds']:.1f} s", file=sys.stderr, flush=True)
        for name, dtype in dtypes.items():
            ceilings[name].append(matrix_products.seconds(start.model.backbone, start.lengths, dtype, now))
        done += 1
    return rounds, ceilings, done


def report(start: Start, rounds: dict, ceilings: dict, done: int) -> dict:
    """The figures as one object; a precision that this CPU lacks is null."""
    best = {name: min(result["seconds"] for result in results) for name, results in rounds.items()}
    speed = {name: len(start.pairs) / seconds for name, seconds in best.items()}
    limit = {name: len(start.pairs) / min(seconds) for name, seconds in ceilings.items()}
    ours = ("rmlib_fp32", "rmlib_bf16")
    return {
        "pairs_per_second": {name: speed.get(name) for name in LOOPS if name != "trl_defaults"},
        "ratio_to_trl": {name: speed[name] / speed["trl"] if name in speed else None for name in ours},
        "share_of_ceiling": {name: speed[name] / limit[name] if name in speed else None for name in ours},
        "trl_defaults_pairs_per_second": speed["trl_defaults"],
        "ceiling_pairs_per_second": limit,
        "loss_before": loss_on(start.model, start),
        "loss_after": {name: results[0]["loss"] for name, results in rounds.items()},
        "seconds": {name: [result["seconds"] for result in results] for name, results in rounds.items()},
        "pairs": len(start.pairs), "tokens": sum(start.lengths), "rounds": done,
        "window": start.model.encoding.max_length, "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "transformers": transformers.__version__, "trl": trl.__version__},
    }


def print_table(figures: dict) -> None:
    speeds = {**figures["pairs_per_second"], "trl_defaults": figures["trl_defaults_pairs_per_second"]}
    print(f"{figures['pairs']} pairs, {figures['tokens']} tokens, at most {figures['window']} a sequence; "
          f"threads: {figures['threads']}; {figures['clock']}, best of {figures['rounds']} rounds; "
          f"loss before {figures['loss_before']:.4f}")
    print(f"{'loop':<14}{'pairs/s':>8}{'to trl':>8}{'of ceiling':>12}{'loss after':>12}")
    for name in (name for name in LOOPS if speeds[name]):
        share, loss = figures["share_of_ceiling"].get(name), figures["loss_after"][name]
        print(f"{name:<14}{speeds[name]:>8.2f}{speeds[name] / speeds['trl']:>8.2f}"
              f"{f'{share:.0%}' if share else '':>12}{f'{loss:.4f}' if loss else '':>12}")
    for name, limit in figures["ceiling_pairs_per_second"].items():
        print(f"{'ceiling':<8}{name[-4:]:<6}{limit:>8.2f}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Training speed beside the reference, a plain loop and TRL.")
    parser.add_argument("--backbone", required=True, metavar="DIR")
    parser.add_argument("--pairs", required=True, metavar="FILE")
    parser.add_argument("--limit", type=int, default=64, metavar="N", help="pairs, of those that fit (default 64)")
    parser.add_argument("--threads", type=int, metavar="T", help="CPU threads (default: torch's own)")
    parser.add_argument("--cpu-time", action="store_true", help="on one thread, time that a busy machine can't stretch")
    parser.add_argument("--json", metavar="OUT", help="write all figures there, as one object")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore", FutureWarning)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if options.threads or options.cpu_time:
        torch.set_num_threads(1 if options.cpu_time else options.threads)
    now = time.process_time if options.cpu_time else time.perf_counter
    try:
        start = make_start(options.backbone, read_pairs(options.pairs).pairs, options.limit)
        bf16 = has_native_bf16(torch.device("cpu"))
        dtypes = {"rmlib_fp32": torch.float32} | ({"rmlib_bf16": torch.bfloat16} if bf16 else {})
        names = [name for name in LOOPS if bf16 or name != "rmlib_bf16"]
        rounds, ceilings, done = run_rounds(start, names, dtypes, now)
        check(rounds)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    figures = {**report(start, rounds, ceilings, done), "clock": "CPU time" if options.cpu_time else "wall time"}
    print("\n".join(matrix_products.listing(start.model.backbone, start.lengths)))
    print_table(figures)
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
