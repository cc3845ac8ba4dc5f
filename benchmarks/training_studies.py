"""What notebook 06 shows of longer trainings: settings compared on validation pairs, and learning curves.

    python benchmarks/training_studies.py settings --json rmlib/assets/studies/settings.json
    python benchmarks/training_studies.py longer --json rmlib/assets/studies/longer.json
    python benchmarks/training_studies.py sizes --json rmlib/assets/studies/sizes.json
    python benchmarks/training_studies.py ingredients --json rmlib/assets/studies/ingredients.json
    python benchmarks/training_studies.py knowledge --json rmlib/assets/studies/knowledge.json

Every run is one epoch over fresh pairs of the gold world, and every run is reported. They are judged on validation
pairs alone; the test part is opened by none. `settings` trains on 2,048 pairs with each peak learning rate and batch
size, seed 0. `longer` compares smaller rates on four times the pairs, then mean pooling and a frozen lower half, three
seeds each. `sizes` trains on ever more pairs, three seeds each, from the embedded backbone and from the same net with
random weights; seeds set the head, the net's random weights, the pairs and their order. `ingredients`
changes one thing after another in trainings on 512 pairs, three seeds each. `knowledge` asks what the net with random
weights has learned from 4,096 pairs. Rows hold the accuracy where one answer is right and the other wrong (`facts`),
and where manner alone decides (`manners`).
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from itertools import product

import torch
import transformers
from gold_world import freeze_lower_half, untrained

from rmlib.course.slices import decided_by_fact
from rmlib.course.world import World, bayes_limits, realised_agreement
from rmlib.evaluation import pair_accuracies, reward_margins, summarise
from rmlib.files import atomic_write_text
from rmlib.model import score_pairs
from rmlib.training import TrainingConfig, train

RATES, BATCHES, SETTINGS_PAIRS = (2.5e-4, 5e-4, 1e-3, 2e-3), (8, 16, 32), 2_048
LONGER_RATES, LONGER_BATCHES, LONGER_PAIRS = (1.25e-4, 2.5e-4, 5e-4), (16, 32), 8_192
ROUNDED, MEAN, FROZEN = "bfloat16 weights", "mean pooling", "lower half frozen"  # what a start may say after a comma
INGREDIENTS_PAIRS, KNOWLEDGE_PAIRS = 512, 4_096
USUAL = {"learning_rate": 5e-4, "batch_size": 16, "precision": "fp32"}
CHANGES = (  # (weights, what differs from the usual settings)
    ("fp32", {}), ("fp32", {"dropout": True}), ("fp32", {"warmup": 0.0}),
    ("fp32", {"learning_rate": 1e-3}), ("fp32", {"learning_rate": 1e-3, "warmup": 0.0}),
    ("fp32", {"learning_rate": 2e-3}), ("fp32", {"learning_rate": 2e-3, "warmup": 0.0}),
    ("fp32", {"batch_size": 4}), ("fp32", {"batch_size": 4, "learning_rate": 2.5e-4}),
    ("fp32", {"batch_size": 64}), ("fp32", {"batch_size": 64, "learning_rate": 1e-3}),
    ("fp32", {"learning_rate": 1e-4}), ("bf16", {}), ("bf16", {"learning_rate": 1e-4}),
)
SIZES = {"pretrained": (256, 1_024, 4_096, 16_384), "random": (256, 1_024, 4_096)}


def settings_runs(_: argparse.Namespace) -> Iterator[tuple[str, int, TrainingConfig]]:
    """(start, pairs, settings) of each run that compares learning rates and batch sizes."""
    for rate, batch in product(RATES, BATCHES):
        yield "pretrained", SETTINGS_PAIRS, TrainingConfig(learning_rate=rate, batch_size=batch, precision="fp32")


def longer_runs(options: argparse.Namespace) -> Iterator[tuple[str, int, TrainingConfig]]:
    """(start, pairs, settings) of each run that compares them again, with more pairs; then pooling and freezing."""
    grid = [("pretrained", *each) for each in product(LONGER_RATES, LONGER_BATCHES)]
    grid += [(f"pretrained, {MEAN}", 2.5e-4, 16)]
    grid += [(f"pretrained, {MEAN}, {FROZEN}", rate, 16) for rate in (2.5e-4, 5e-4)]
    for (start, rate, batch), seed in product(grid, options.seeds):
        yield start, LONGER_PAIRS, TrainingConfig(learning_rate=rate, batch_size=batch, precision="fp32", seed=seed)


def sizes_runs(options: argparse.Namespace) -> Iterator[tuple[str, int, TrainingConfig]]:
    """(start, pairs, settings) of each run of the learning curves."""
    for start, sizes in SIZES.items():
        for pairs, seed in product(sizes, options.seeds):
            yield start, pairs, TrainingConfig(**USUAL, seed=seed)


def ingredients_runs(options: argparse.Namespace) -> Iterator[tuple[str, int, TrainingConfig]]:
    """(start, pairs, settings) of each run that leaves something out or changes it."""
    for seed, (weights, changed) in product(options.seeds, CHANGES):
        start = "pretrained" if weights == "fp32" else f"pretrained, {ROUNDED}"
        yield start, INGREDIENTS_PAIRS, TrainingConfig(**USUAL | changed, seed=seed)


def knowledge_runs(options: argparse.Namespace) -> Iterator[tuple[str, int, TrainingConfig]]:
    """(start, pairs, settings) of each run that is asked of facts and manners."""
    for seed in options.seeds:
        yield "random", KNOWLEDGE_PAIRS, TrainingConfig(**USUAL, seed=seed)


STUDIES = {"settings": settings_runs, "longer": longer_runs, "sizes": sizes_runs, "ingredients": ingredients_runs,
           "knowledge": knowledge_runs}


def run(world: World, start: str, pairs: int, config: TrainingConfig, validation: list) -> dict:
    """Train once and measure on the validation pairs; a run that fails is reported as one."""
    row = {"start": start, "pairs": pairs, "learning_rate": config.learning_rate, "batch_size": config.batch_size,
           "seed": config.seed, "warmup": config.warmup, "dropout": config.dropout}
    start, *changed = start.split(", ")
    model = untrained(start, config.seed).to(torch.bfloat16 if ROUNDED in changed else torch.float32)
    if MEAN in changed:
        model.pooling = "mean"  # of an encoder it is the first token's otherwise
    if FROZEN in changed:
        freeze_lower_half(model)
    try:
        result = train(model, world.pairs(pairs, "train", seed=config.seed), config, progress=False)
        margins = reward_margins(score_pairs(model, validation))
        found = summarise(margins, validation)
    except ValueError as error:  # rewards that are no finite numbers, above all
        return {**row, "failed": str(error)}
    right, facts = pair_accuracies(margins), decided_by_fact(world, validation)
    return {**row, "facts": right[facts].mean(), "manners": right[~facts].mean(),
            "seconds": round(result.seconds, 1), "accuracy": found.accuracy, "nll": found.nll,
            "low": found.accuracy_low, "high": found.accuracy_high}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--validation-pairs", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of all studies but `settings`")
    parser.add_argument("--json", metavar="OUT", help="write all runs there, anew after each")
    options = parser.parse_args(arguments)
    world = World()
    validation = world.pairs(options.validation_pairs, "validation", seed=0)
    study = {
        "command": f"python benchmarks/training_studies.py {options.study}", "date": date.today().isoformat(),
        "validation_pairs": len(validation), "realised_agreement": realised_agreement(world.margins(validation)),
        "limits": asdict(bayes_limits(world.probabilities(validation))), "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "transformers": transformers.__version__},
        "runs": [],
    }
    for start, pairs, config in STUDIES[options.study](options):
        study["runs"].append(run(world, start, pairs, config, validation))
        print(json.dumps(study["runs"][-1]), flush=True)
        if options.json:
            atomic_write_text(options.json, json.dumps(study, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
