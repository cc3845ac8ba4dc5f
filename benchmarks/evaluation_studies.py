"""What notebook 07 and its side page show of many small trainings, and of many sets of trusted labels.

    python benchmarks/evaluation_studies.py lucks --json rmlib/assets/studies/lucks.json
    python benchmarks/evaluation_studies.py two_numbers --json rmlib/assets/studies/two_numbers.json

Every run is reported; all are judged on validation pairs, and `two_numbers` on the notebook's test pairs, too.
`lucks` trains on 300 pairs: eight times on the same ones, each with a seed of its own, then on eight different sets of
300, also with seeds of their own; accuracies are on the notebook's 750 pairs and on 4,000 others. `two_numbers` trains
the notebook's biased copy, takes 40,000 validation pairs with honest labels, and fits the two numbers that mend it to
all of them, then to each 750; rows hold gamma / beta, and what ten words are worth to the mended margins of the test
pairs, with the six parts of the gold reward held fixed.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from datetime import date

import numpy as np
import torch
import transformers

from rmlib.course.world import Annotator, World
from rmlib.evaluation import pair_accuracies, reward_margins, sigmoid
from rmlib.files import atomic_write_text
from rmlib.model import RewardModel, score_pairs
from rmlib.pairs import PreferencePair
from rmlib.practice.bias import extra_words
from rmlib.settings import EMBEDDED_BACKBONE, EMBEDDED_REWARD_MODEL
from rmlib.training import TrainingConfig, train

SMALL, RUNS, TRUSTED, MANY = 300, 8, 750, 4_000
LABELS, TASTE = 40_000, 1.5


def taught(pairs: list[PreferencePair], seed: int, start: str) -> RewardModel:
    """The notebook's `trained`: one epoch in fp32, with a head from this seed where the start has none."""
    torch.manual_seed(seed)
    model = RewardModel.from_pretrained(start) if start == str(EMBEDDED_REWARD_MODEL) else RewardModel(start)
    train(model, pairs, TrainingConfig(learning_rate=3e-4, precision="fp32", seed=seed), progress=False)
    return model


def margins(model: RewardModel, pairs: list[PreferencePair]) -> np.ndarray:
    return reward_margins(score_pairs(model, pairs))


def lucks(options: argparse.Namespace) -> Iterator[dict]:
    """One training after another: `pairs` tells where in the training part its pairs begin."""
    world = World()
    training = world.pairs(5000, "train")
    few, many = world.pairs(1500, "validation")[:TRUSTED], world.pairs(options.many, "validation", seed=1)
    starts = [("same pairs", 0)] * options.runs + [("other pairs", SMALL * i) for i in range(options.runs)]
    for i, (kind, first) in enumerate(starts):
        seed = i % options.runs
        model = taught(training[first : first + SMALL], seed, str(EMBEDDED_BACKBONE))
        few_right, many_right = (float(pair_accuracies(margins(model, each)).mean()) for each in (few, many))
        yield {"kind": kind, "pairs": first, "seed": seed, "few": few_right, "many": many_right}


def two_numbers(options: argparse.Namespace) -> Iterator[dict]:
    """The two numbers from all labels, then from each set of TRUSTED."""
    world = World()
    leaning = world.pairs(2000, "train", seed=1, annotator=Annotator(length_bias=TASTE))
    model = taught(leaning[: options.leaning], 0, str(EMBEDDED_REWARD_MODEL))
    labelled, test = world.pairs(options.labels, "validation", seed=1), world.pairs(4000, "test", seed=1)
    columns = np.stack([margins(model, labelled), extra_words(labelled) / 10], axis=1)  # (labels, 2)
    there = np.stack([margins(model, test), extra_words(test) / 10], axis=1)  # (4000, 2)
    held = np.c_[[parts_of(world, pair) for pair in test], there[:, 1]]  # (4000, 7)
    cuts = range(0, options.labels - TRUSTED + 1, TRUSTED)
    for rows in [slice(None), *(slice(first, first + TRUSTED) for first in cuts)]:
        weights = fit_logistic(columns[rows])
        worth = np.linalg.lstsq(held, there @ weights)[0][-1]
        yield {"labels": len(columns[rows]), "ratio": float(weights[1] / weights[0]), "ten_words": float(worth)}


def fit_logistic(features: np.ndarray, steps: int = 12) -> np.ndarray:
    """The notebook's `logistic`: weights (K,) of chosen less rejected features (N, K), by Newton's steps."""
    weights = np.zeros(features.shape[1])
    for _ in range(steps):
        wrong = sigmoid(-features @ weights)
        weights += np.linalg.solve(features.T * (wrong * (1 - wrong)) @ features, features.T @ wrong)
    return weights


def parts_of(world: World, pair: PreferencePair) -> np.ndarray:
    """Correctness, courtesy and so on of the chosen response less those of the other, (6,)."""
    return np.subtract(*([*world.features(pair.prompt, text).values()] for text in (pair.chosen, pair.rejected)))


STUDIES = {"lucks": lucks, "two_numbers": two_numbers}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--runs", type=int, default=RUNS, help="trainings of either kind")
    parser.add_argument("--many", type=int, default=MANY, help="pairs that `lucks` judges by, beside the few")
    parser.add_argument("--labels", type=int, default=LABELS, help="trusted labels of `two_numbers`")
    parser.add_argument("--leaning", type=int, default=2_000, help="leaning labels that the biased copy learns from")
    parser.add_argument("--json", metavar="OUT", help="write all runs there, anew after each")
    options = parser.parse_args(arguments)
    study = {
        "command": f"python benchmarks/evaluation_studies.py {options.study}", "date": date.today().isoformat(),
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "transformers": transformers.__version__},
        "runs": [],
    }
    for row in STUDIES[options.study](options):
        study["runs"].append(row)
        print(json.dumps(row), flush=True)
        if options.json:
            atomic_write_text(options.json, json.dumps(study, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
