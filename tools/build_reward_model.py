"""Build the reward model that notebook 07 puts on trial: the embedded backbone, trained on pairs of the gold world.

    python tools/build_reward_model.py [--out rmlib/assets/reward_model]

5,000 training pairs, once each, with the settings that notebook 07 gives its other models too. The
directory holds what `save_pretrained` writes, in float32. Another CPU, or another number of threads, gives other last
digits; another backbone, another model: build this one after it.
"""

import argparse
from pathlib import Path

import torch

from rmlib.course.world import World
from rmlib.model import RewardModel
from rmlib.settings import EMBEDDED_BACKBONE, EMBEDDED_REWARD_MODEL
from rmlib.training import TrainingConfig, train


def build() -> RewardModel:
    """The trained model, in evaluation mode."""
    torch.manual_seed(0)
    model = RewardModel(str(EMBEDDED_BACKBONE))
    train(model, World().pairs(5_000, "train"), TrainingConfig(learning_rate=3e-4, precision="fp32"))
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the reward model of notebook 07.")
    parser.add_argument("--out", type=Path, default=EMBEDDED_REWARD_MODEL)
    build().save_pretrained(parser.parse_args().out)


if __name__ == "__main__":
    main()
