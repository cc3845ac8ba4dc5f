"""What a backbone's pretraining is worth: the embedded backbone against the same net from random weights.

    python benchmarks/gold_world.py [--pairs 20000] [--seeds 0 1 2] [--test-pairs 4000]

Fresh pairs, one epoch, mean pooling, one table row for every seed and start. Of the pretrained net the lower half is
frozen, as in notebook 06; of the random one all is trained. All rows are judged on the same held-out pairs, whose
combinations of fact and phrasing are in neither the training pairs nor the text of the pretraining.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from rmlib.course.world import World, bayes_limits, realised_agreement
from rmlib.evaluation import wilson_interval
from rmlib.model import RewardModel, score_pairs
from rmlib.settings import EMBEDDED_BACKBONE
from rmlib.training import TrainingConfig, train


def untrained(start: str, seed: int) -> RewardModel:
    """A reward model on the embedded backbone, or on the same architecture with random weights."""
    torch.manual_seed(seed)
    if start == "pretrained":
        return RewardModel(str(EMBEDDED_BACKBONE))
    backbone = AutoModel.from_config(AutoConfig.from_pretrained(EMBEDDED_BACKBONE), dtype=torch.float32)
    return RewardModel(backbone=backbone, tokenizer=AutoTokenizer.from_pretrained(EMBEDDED_BACKBONE))


def freeze_lower_half(model: RewardModel) -> None:
    """Train neither the embeddings nor the first two of the embedded backbone's four blocks."""
    for part in (model.backbone.embeddings, *model.backbone.transformer.layer[:2]):
        part.requires_grad_(False)


def rows(arguments: argparse.Namespace) -> Iterator[str]:
    """Train and measure; one line of a Markdown table for each run."""
    world = World()
    test = world.pairs(arguments.test_pairs, "test", seed=0)
    gold = world.margins(test)  # (N,)
    agreement, limit = realised_agreement(gold), bayes_limits(world.probabilities(test)).accuracy
    yield f"{len(test)} held-out pairs; the gold reward agrees with {agreement:.4f} of their labels\n"
    yield f"(expected Bayes accuracy {limit:.4f})\n"
    yield "| start | seed | pairs seen | seconds | accuracy (95% interval) | gap to gold, points | correlation |"
    yield "|---|---|---|---|---|---|---|"
    for start in ("pretrained", "random"):
        for seed in arguments.seeds:
            model = untrained(start, seed)
            if start == "pretrained":  # random weights are of no use where they are frozen
                freeze_lower_half(model)
            model.pooling = "mean"
            config = TrainingConfig(batch_size=arguments.batch_size, learning_rate=arguments.learning_rate,
                                    precision=arguments.precision, token_budget=arguments.token_budget, seed=seed)
            result = train(model, world.pairs(arguments.pairs, "train", seed=seed), config, progress=False)
            chosen, rejected = score_pairs(model, test)
            margins = chosen - rejected  # (N,)
            right = realised_agreement(margins)
            low, high = wilson_interval(right * len(test), len(test))
            correlation = np.corrcoef(margins, gold)[0, 1]
            yield (f"| {start} | {seed} | {result.pairs_seen} | {result.seconds:.0f} | {right:.4f} "
                   f"({low:.3f} to {high:.3f}) | {100 * (agreement - right):.1f} | {correlation:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--test-pairs", type=int, default=4000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--token-budget", type=int)
    for row in rows(parser.parse_args()):
        print(row, flush=True)


if __name__ == "__main__":
    main()
