"""What notebook 06 shows of longer trainings: settings compared on validation pairs, and learning curves.

    python benchmarks/training_studies.py settings --json rmlib/assets/studies/settings.json
    python benchmarks/training_studies.py longer --json rmlib/assets/studies/longer.json
    python benchmarks/training_studies.py sizes --json rmlib/assets/studies/sizes.json
    python benchmarks/training_studies.py ingredients --json rmlib/assets/studies/ingredients.json
    python benchmarks/training_studies.py knowledge --json rmlib/assets/studies/knowledge.json
    python benchmarks/training_studies.py variants --json rmlib/assets/studies/variants.json
    python benchmarks/training_studies.py again --json rmlib/assets/studies/again.json

Every run but those of `again` is one epoch over fresh pairs of the gold world, and every run is reported. They are
judged on validation pairs alone; the test part is opened by none. `settings` trains on 2,048 pairs with each peak
learning rate and batch size, seed 0. `longer` compares smaller rates on four times the pairs, then mean pooling and a
frozen lower half, three seeds each. `sizes` trains on ever more pairs, three seeds each, from the embedded backbone
and from the same net with random weights; seeds set the head, the net's random weights, the pairs and their order.
`ingredients` changes one thing after another in trainings on 512 pairs, three seeds each. `knowledge` asks what the
net with random weights has learned from 4,096 pairs. `variants` changes the loss (label smoothing, target margins,
centring) and what the other studies leave alone (clipping, weight decay), with 2,048 pairs and three seeds. `again`
goes four times through 256 pairs, in as many steps as `sizes` has for 1,024 fresh ones, three seeds. Rows hold the
accuracy where one answer is right and the other wrong (`facts`), and where manner alone decides (`manners`); the mean
confidence (`sure`) and the spread of the margins; the temperature that suits these pairs best; the NLL where each half
of the prompts has the temperature that suits the *other* half best (`nll_scaled`); mean and spread of the pairs' mean
rewards (`level`). Files that are older than `variants` lack the last six.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
from itertools import product

import numpy as np
import torch
import transformers
from gold_world import freeze_lower_half, untrained

from rmlib.course.slices import decided_by_fact
from rmlib.course.world import World, bayes_limits, realised_agreement
from rmlib.evaluation import confidences, fit_temperature, nll, pair_accuracies, reward_margins, summarise
from rmlib.files import atomic_write_text
from rmlib.model import score_pairs
from rmlib.pairs import PreferencePair
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
VARIANTS_PAIRS = 2_048
VARIANTS = {"usual": {}, "smoothing 0.1": {"label_smoothing": 0.1}, "target margins": {"use_target_margin": True},
            "centring 0.01": {"centring": 0.01}, "centring 0.1": {"centring": 0.1},
            "no clipping": {"max_grad_norm": math.inf}, "no decay": {"weight_decay": 0.0}}
AGAIN_PAIRS, AGAIN_EPOCHS = 256, 4
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


def variants_runs(options: argparse.Namespace) -> Iterator[tuple[str, int, TrainingConfig]]:
    """(start, pairs, settings) of each run with another loss, or without clipping or decay."""
    for seed, changed in product(options.seeds, VARIANTS.values()):
        yield "pretrained", VARIANTS_PAIRS, TrainingConfig(**USUAL | changed, seed=seed)


def again_runs(options: argparse.Namespace) -> Iterator[tuple[str, int, TrainingConfig]]:
    """(start, pairs, settings) of each run that goes through its pairs several times."""
    for seed in options.seeds:
        yield "pretrained", AGAIN_PAIRS, TrainingConfig(**USUAL, epochs=AGAIN_EPOCHS, seed=seed)


STUDIES = {"settings": settings_runs, "longer": longer_runs, "sizes": sizes_runs, "ingredients": ingredients_runs,
           "knowledge": knowledge_runs, "variants": variants_runs, "again": again_runs}


def rated(pairs: Sequence[PreferencePair], gold: np.ndarray, seed: int) -> list[PreferencePair]:
    """The pairs with target margins 0 to 3: how much better the chosen response seemed to the one who chose it.

    gold: gold margins (N,). That person saw a gap of `gold` plus logistic noise, and chose by its sign: of a pair with
    margin Δ the gap is above u with probability σ(Δ - u). It is drawn anew, given the choice, and rounded.
    """
    above = (1 - np.random.default_rng(seed).random(len(gold))) / (1 + np.exp(-gold))  # P(gap > u), up to P(gap > 0)
    gaps = gold - np.log(above / (1 - above))  # (N,) all of them above 0
    return [PreferencePair(pair.turns, pair.chosen, pair.rejected, float(min(3, round(gap))))
            for pair, gap in zip(pairs, gaps, strict=True)]


def variant_of(config: TrainingConfig) -> str:
    """The name of what differs from the usual settings, among those that `variants` changes."""
    usual = asdict(TrainingConfig())
    differing = {name: value for name, value in asdict(config).items()
                 if name in {key for each in VARIANTS.values() for key in each} and value != usual[name]}
    return next(name for name, changed in VARIANTS.items() if changed == differing)


def best_temperature(margins: np.ndarray) -> float | None:
    """The temperature that suits them best; None where there is none."""
    return fit_temperature(margins) if margins.min() < 0 < margins.mean() else None


def scaled_nll(margins: np.ndarray, prompts: Sequence[str]) -> float | None:
    """NLL of margins (N,), those of each half of the prompts divided by the temperature that suits the other half best.

    So no pair is judged with a number that was fitted on it. None where a half has no such temperature.
    """
    half = np.unique(prompts, return_inverse=True)[1] % 2  # (N,) every second prompt of the alphabet
    fitted = [best_temperature(margins[half != side]) for side in (0, 1)]
    return None if None in fitted else nll(margins / np.array(fitted)[half])


def run(world: World, start: str, pairs: int, config: TrainingConfig, validation: list) -> dict:
    """Train once and measure on the validation pairs; a run that fails is reported as one."""
    row = {"start": start, "pairs": pairs, "learning_rate": config.learning_rate, "batch_size": config.batch_size,
           "seed": config.seed, "warmup": config.warmup, "dropout": config.dropout, "variant": variant_of(config),
           "epochs": config.epochs}
    start, *changed = start.split(", ")
    model = untrained(start, config.seed).to(torch.bfloat16 if ROUNDED in changed else torch.float32)
    if MEAN in changed:
        model.pooling = "mean"  # of an encoder it is the first token's otherwise
    if FROZEN in changed:
        freeze_lower_half(model)
    training = world.pairs(pairs, "train", seed=config.seed)
    if config.use_target_margin:
        training = rated(training, world.margins(training), config.seed)
    try:
        result = train(model, training, config, progress=False)
        rewards = score_pairs(model, validation)
        margins = reward_margins(rewards)
        found = summarise(margins, validation)
    except ValueError as error:  # rewards that are no finite numbers, above all
        return {**row, "failed": str(error)}
    right, facts = pair_accuracies(margins), decided_by_fact(world, validation)
    sums = np.add(*rewards, dtype=np.float64)
    return {**row, "facts": right[facts].mean(), "manners": right[~facts].mean(),
            "seconds": round(result.seconds, 1), "accuracy": found.accuracy, "nll": found.nll,
            "low": found.accuracy_low, "high": found.accuracy_high, "sure": confidences(margins).mean(),
            "spread": margins.std(), "temperature": best_temperature(margins),
            "nll_scaled": scaled_nll(margins, [pair.prompt for pair in validation]),
            "level": sums.mean() / 2, "level_spread": sums.std() / 2}


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
