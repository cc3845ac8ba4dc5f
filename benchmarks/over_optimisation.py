"""What notebook 08 shows of rewards that are optimised: by choosing, by a policy that learns, and from pairs directly.

    python benchmarks/over_optimisation.py choices --json rmlib/assets/studies/choices.json
    python benchmarks/over_optimisation.py policies --json rmlib/assets/studies/policies.json
    python benchmarks/over_optimisation.py pairs --json rmlib/assets/studies/direct.json

The judges: the reward model that comes with the course ("shipped"), and models trained on 100 and on 500 pairs and on
1,000 pairs of annotators who like length ("length-lover"), three seeds each, from the embedded backbone; "mean of 3"
is the mean of the three of 500 pairs. `choices`: the gold reward of the best of n, exactly, over all ways to draw n
of 256 candidates, from the world's generator and from the policy; of the same candidates tilted by e^{r/β}; and a
length penalty, chosen on other prompts. `policies`: RLOO from the policy that comes with the course, against each
judge, with and without KL, three seeds, by small steps and by large ones: every 10 steps samples of 66 validation
prompts are scored by the judge (standardised by its mean and deviation on the start's samples), by the gold reward,
and by a check, a model of 500 other pairs. `pairs`: DPO on labelled pairs of the world, three seeds. A run that is
already in the file is not run again. Seeds set the pairs that judges see, prompts, samples.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import sys
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import torch
import transformers
from torch import Tensor

from rmlib.course.optimised import Judge, measure, standardised, tilt
from rmlib.course.policy import (
    Texts,
    chances_of_best,
    dpo_loss,
    encode_responses,
    learn,
    load_policy,
    log_probs,
    sample,
)
from rmlib.course.world import Annotator, World
from rmlib.evaluation import pair_accuracies, reward_margins
from rmlib.files import atomic_write_text
from rmlib.model import RewardModel, score_pairs
from rmlib.settings import EMBEDDED_BACKBONE, EMBEDDED_REWARD_MODEL
from rmlib.training import TrainingConfig, train

SIZES, CANDIDATES, SEEDS = (1, 2, 4, 8, 16, 32, 64, 128, 256), 256, (0, 1, 2)
TRAINED = {"100 pairs": (100, Annotator()), "500 pairs": (500, Annotator()),
           "length-lover": (1_000, Annotator(length_bias=2.0))}
EVERY, BETA = 10, 0.1
SMALL, LARGE = (5e-4, 120), (3e-3, 40)  # learning rate and steps
GRID = [(judge, beta, rate, steps, seed) for judge, beta, (rate, steps) in (
    ("shipped", 0.0, SMALL), ("shipped", 0.0, LARGE), ("shipped", BETA, SMALL), ("shipped", BETA, LARGE),
    ("length-lover", 0.0, (5e-4, 80)), ("500 pairs", 0.0, (5e-4, 80)), ("mean of 3", 0.0, (5e-4, 80)))
    for seed in SEEDS]
DPO = {"pairs": 1_024, "batch": 16, "beta": 0.1, "learning_rate": 2e-4}
BETAS = (4.0, 2.0, 1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08)
PENALTIES = (0.0, 0.02, 0.04, 0.08, 0.16)  # of the reward's deviation, for each token


@cache
def trained(kind: str, seed: int) -> RewardModel:
    """A weak judge: of this many pairs, one to three epochs, and of this seed."""
    pairs, annotator = TRAINED[kind]
    torch.manual_seed(seed)
    model = RewardModel(str(EMBEDDED_BACKBONE))
    epochs = 3 if pairs < 500 else 1
    config = TrainingConfig(learning_rate=3e-4, precision="fp32", seed=seed, epochs=epochs)
    train(model, World().pairs(pairs, "train", seed=100 + seed, annotator=annotator), config, progress=False)
    return model


@cache
def models_of(kind: str, seed: int) -> tuple[RewardModel, ...]:
    """The models whose mean a judge is."""
    if kind == "shipped":
        return (RewardModel.from_pretrained(EMBEDDED_REWARD_MODEL),)
    return tuple(trained("500 pairs", each) for each in SEEDS) if kind == "mean of 3" else (trained(kind, seed),)


def judge_rows() -> list[dict]:
    """How good each judge is on 1,000 validation pairs of unbiased annotators."""
    validation, rows = World().pairs(1_000, "validation", seed=9), []
    for kind, seed in [("shipped", 0), *((kind, seed) for kind in TRAINED for seed in SEEDS)]:
        [model] = models_of(kind, seed)
        right = pair_accuracies(reward_margins(score_pairs(model, validation)))
        rows.append({"judge": kind, "seed": seed, "accuracy": float(right.mean())})
    return rows


# Choosing


def candidates(source: str, prompts: list[str]) -> tuple[Texts, list[list[str]]]:
    """CANDIDATES responses to each prompt, as tokens (a prompt's beside each other) and as text."""
    if source == "policy":
        policy, tokenizer = load_policy()
        parts = [sample(policy, tokenizer, [prompt], CANDIDATES, seed) for seed, prompt in enumerate(prompts)]
        return merge(parts), [part.responses(tokenizer) for part in parts]
    [model], world = models_of("shipped", 0), World()
    texts = [world.responses(prompt, CANDIDATES, seed) for seed, prompt in enumerate(prompts)]
    parts = [encode_responses(model, [prompt] * (CANDIDATES // 2), each[: CANDIDATES // 2], each[CANDIDATES // 2 :])
             for prompt, each in zip(prompts, texts)]
    return merge(parts), texts


def merge(parts: list[Texts]) -> Texts:
    """Rows of several, padded on the right to the longest."""
    longest = max(part.input_ids.shape[1] for part in parts)
    columns = [(torch.nn.functional.pad(part.input_ids, (0, longest - part.input_ids.shape[1])),
                torch.nn.functional.pad(part.attention_mask, (0, longest - part.input_ids.shape[1])),
                part.response_start) for part in parts]
    return Texts(*map(torch.cat, zip(*columns)))


def in_parts(judge: Judge, texts: Texts, size: int = 512) -> Tensor:
    """Rewards of many rows, `size` at a time."""
    fields = (texts.input_ids, texts.attention_mask, texts.response_start)
    return torch.cat([judge(Texts(*part)) for part in zip(*(field.split(size) for field in fields), strict=True)])


def picked(rewards: Tensor, truth: Tensor) -> list[list[float]]:
    """For each n the mean over prompts of the truth's expectation under the best of n, and each prompt's own."""
    return [(chances_of_best(rewards, n) * truth).sum(1).tolist() for n in SIZES]


def choices() -> Iterator[dict]:
    """One row for each source of candidates and judge."""
    world = World()
    prompts, others = world.prompts("validation")[::6], world.prompts("validation")[2::32]
    for source in ("world", "policy"):
        (texts, words), (other_texts, other_words) = (candidates(source, each) for each in (prompts, others))
        gold, correct, tokens = truths(world, prompts, words, texts)
        other_gold, _, other_tokens = truths(world, others, other_words, other_texts)
        rows = [("gold", 0, gold, None)]
        for kind, seed in [("shipped", 0), *((kind, seed) for kind in TRAINED for seed in SEEDS), ("mean of 3", 0)]:
            judge = standardised(models_of(kind, seed), texts)
            rows.append((kind, seed, in_parts(judge, texts).view(gold.shape).double(),
                         in_parts(judge, other_texts).view(other_gold.shape).double()))
        for kind, seed, rewards, other in rows:
            by_prompt = picked(rewards, gold)
            row = {"source": source, "judge": kind, "seed": seed, "prompts": len(prompts),
                   "gold": [float(np.mean(each)) for each in by_prompt],
                   "right": [float(np.mean(each)) for each in picked(rewards, (correct == 1).double())],
                   "tokens": [float(np.mean(each)) for each in picked(rewards, tokens)],
                   "tilt": [tilted(rewards, gold, beta) for beta in BETAS], "drop": interval(np.array(by_prompt))}
            if kind == "length-lover":
                best = max(PENALTIES, key=lambda penalty: float(
                    (chances_of_best(other - penalty * other_tokens, 64) * other_gold).sum(1).mean()))
                penalised = picked(rewards - best * tokens, gold)
                row |= {"penalty": best, "penalised": [float(np.mean(each)) for each in penalised]}
            yield row


def tilted(rewards: Tensor, gold: Tensor, beta: float) -> list[float]:
    """β, KL and gold reward of the candidates reweighted by e^{r/β}: means over prompts."""
    weights, kl = tilt(rewards, beta)
    return [beta, kl, (weights * gold).sum(1).mean().item()]


def interval(by_prompt: np.ndarray) -> list[float]:
    """How far the best of 256 lies below the best n, (S, P): mean over prompts and its 95% bootstrap interval."""
    fall = by_prompt[by_prompt.mean(1).argmax()] - by_prompt[-1]
    drawn = np.random.default_rng(0).integers(len(fall), size=(2_000, len(fall)))
    return [float(fall.mean()), *np.quantile(fall[drawn].mean(1), (0.025, 0.975)).tolist()]


def truths(world: World, prompts: list[str], words: list[list[str]], texts: Texts) -> tuple[Tensor, Tensor, Tensor]:
    """Gold rewards, correctness and length in tokens, float64 (P, M)."""
    gold = [[world.reward(prompt, text) for text in row] for prompt, row in zip(prompts, words)]
    correct = [[world.features(prompt, text)["correctness"] for text in row] for prompt, row in zip(prompts, words)]
    return (torch.tensor(gold, dtype=torch.float64), torch.tensor(correct, dtype=torch.float64),
            texts.lengths.view(len(prompts), -1).double())


# Learning


def policies() -> Iterator[dict]:
    """One row for each judge, β, size of step and seed."""
    for kind, beta, rate, steps, seed in GRID:
        yield {"judge": kind, "beta": beta, "seed": seed, "learning_rate": rate, "steps": steps}


def run_policy(row: dict) -> dict:
    """Train against the row's judge, and measure every EVERY steps."""
    policy, tokenizer = load_policy()
    reference, prompts = copy.deepcopy(policy), World().prompts("train")
    start = sample(policy, tokenizer, prompts[::8], 2, seed=1_000)
    judges = {"proxy": standardised(models_of(row["judge"], row["seed"]), start),
              "check": standardised((trained("500 pairs", 7),), start)}
    curve = [measure(policy, reference, tokenizer, judges, 0)]
    steps = learn(policy, tokenizer, judges["proxy"], prompts, row["steps"], row["beta"], row["learning_rate"],
                  row["seed"])
    for step, _ in enumerate(steps, start=1):
        if step % EVERY == 0:
            curve.append(measure(policy, reference, tokenizer, judges, step))
    return row | {"curve": curve}


# Pairs


def direct() -> Iterator[dict]:
    for seed in SEEDS:
        yield {"seed": seed, **DPO}


def run_direct(row: dict) -> dict:
    """DPO on pairs of the world; every 16 steps its samples, and its implicit accuracy on 500 validation pairs."""
    policy, tokenizer = load_policy()
    [model], world = models_of("shipped", 0), World()
    reference = copy.deepcopy(policy).requires_grad_(False)
    judges = {"proxy": standardised((model,), sample(policy, tokenizer, world.prompts("train")[::8], 2, seed=1_000))}
    pairs, held_out = world.pairs(row["pairs"], "train", seed=row["seed"]), world.pairs(500, "validation", seed=9)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=row["learning_rate"], weight_decay=0.0)
    held_texts = encode_pairs(model, held_out)
    with torch.no_grad():
        held_base = log_probs(reference, held_texts).view(2, -1)

    def look(step: int) -> dict:
        with torch.no_grad():
            moved = log_probs(policy, held_texts).view(2, -1) - held_base
        return measure(policy, reference, tokenizer, judges, step) | {
            "implicit_accuracy": float(pair_accuracies((moved[0] - moved[1]).double().numpy()).mean()),
            "chosen": round(moved[0].mean().item(), 4), "rejected": round(moved[1].mean().item(), 4)}

    curve = [look(0)]
    for step, first in enumerate(range(0, len(pairs), row["batch"]), start=1):
        texts = encode_pairs(model, pairs[first : first + row["batch"]])
        with torch.no_grad():
            base = log_probs(reference, texts).view(2, -1)
        chosen, rejected = log_probs(policy, texts).view(2, -1)
        loss = dpo_loss(chosen, rejected, *base, row["beta"])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        if step % 16 == 0:
            curve.append(look(step))
    right = pair_accuracies(reward_margins(score_pairs(model, held_out)))
    return row | {"reward_model_accuracy": float(right.mean()), "curve": curve}


def encode_pairs(model: RewardModel, pairs: list) -> Texts:
    return encode_responses(model, *zip(*((pair.prompt, pair.chosen, pair.rejected) for pair in pairs)))


STUDIES = {"choices": (choices, lambda row: row), "policies": (policies, run_policy), "pairs": (direct, run_direct)}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all rows there, anew after each")
    options = parser.parse_args(arguments)
    rows, run = STUDIES[options.study]
    study = {
        "command": f"python benchmarks/over_optimisation.py {options.study}", "date": date.today().isoformat(),
        "threads": torch.get_num_threads(), "sizes": SIZES,
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "transformers": transformers.__version__},
        "runs": [],
    }
    done = json.loads(options.json.read_text())["runs"] if options.json and options.json.exists() else []
    if options.study == "choices":
        study["judges"] = judge_rows()
    for row in rows():
        earlier = [each for each in done if row.items() <= each.items()]
        study["runs"].append(earlier[0] if earlier else run(row))
        print(json.dumps(study["runs"][-1])[:400], flush=True)
        if options.json:
            atomic_write_text(options.json, json.dumps(study, indent=None, separators=(",", ":")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
