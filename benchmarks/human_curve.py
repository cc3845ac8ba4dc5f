"""One training of a real encoder on human choices, watched as it goes: the curve that notebook 06 shows.

    python benchmarks/human_curve.py --pairs pairs.jsonl --backbone DIR --json rmlib/assets/studies/hh_curve.json

Settings and pooling are those of `cross_validate.py`, but for two epochs in place of one, so that it can be seen what
the second does. A fifth of the conversations is held out (the split of seed 0) and judged at the start, and then five
times an epoch: accuracy and NLL. Nothing was chosen on them, and nothing stops the run. How much the accuracy after one
epoch owes to the seed and the split, `cross_validate.py` measures.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from datetime import date

import torch
import transformers
from accelerate.utils import set_seed
from cross_validate import POOLING, count_rows

from rmlib import RewardModel, TrainingConfig, evaluate, read_pairs, train
from rmlib.files import atomic_write_text
from rmlib.pairs import split_by_conversation

EPOCHS, HELD_OUT, LOOKS_AN_EPOCH = 2, 0.2, 5


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", required=True, metavar="FILE")
    parser.add_argument("--backbone", required=True, metavar="NAME_OR_DIR")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, metavar="N", help="use the first N good pairs")
    parser.add_argument("--json", metavar="OUT", help="write all figures there")
    options = parser.parse_args(arguments)
    found = read_pairs(options.pairs, limit=options.limit)
    training, held_out = split_by_conversation(found.pairs, HELD_OUT, options.seed)
    set_seed(options.seed)
    model = RewardModel(options.backbone, POOLING)
    config = TrainingConfig(epochs=EPOCHS, seed=options.seed)
    steps = -(-len(training) // config.batch_size)  # of one epoch
    looks = [look(model, held_out, 0)]

    def on_step(record: dict) -> None:
        if record["step"] % steps in [round(steps * part / LOOKS_AN_EPOCH) for part in range(LOOKS_AN_EPOCH)]:
            looks.append(look(model, held_out, record["step"]))

    result = train(model, training, config, on_step=on_step, progress=False)
    study = {
        "command": "python benchmarks/human_curve.py", "date": date.today().isoformat(), "seed": options.seed,
        "rows": count_rows(found), "training_pairs": len(training), "held_out_pairs": len(held_out),
        "baselines": evaluate(model, held_out).baselines, "batch_size": config.batch_size,
        "learning_rate": config.learning_rate, "epochs": EPOCHS, "pooling": POOLING, "precision": result.precision,
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "transformers": transformers.__version__},
        "losses": [round(record["loss"], 4) for record in result.history], "looks": looks,
    }
    if options.json:
        atomic_write_text(options.json, json.dumps(study, indent=1) + "\n")
    return 0


def look(model: RewardModel, held_out: list, step: int) -> dict:
    """Accuracy, its interval and NLL on the held-out pairs after a step."""
    was_training = model.training
    found = evaluate(model, held_out)
    model.train(was_training)
    row = {"step": step, "accuracy": found.accuracy, "low": found.clustered_low, "high": found.clustered_high,
           "nll": found.nll}
    print(json.dumps(row), flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())
