"""What notebook 08 shows of rewards that are optimised: by choosing, by a policy that learns, and from pairs directly.

    python tools/build_policy.py --right 0.5 --out build/start50
    python tools/build_policy.py --right 0.8 --out build/start80
    python benchmarks/over_optimisation.py choices --json rmlib/assets/studies/choices.json
    python benchmarks/over_optimisation.py policies --json rmlib/assets/studies/policies.json
    python benchmarks/over_optimisation.py pairs --json rmlib/assets/studies/direct.json

The judges: the reward model that comes with the course ("shipped"), and models trained on 100 and on 500 pairs and on
1,000 pairs of annotators who like length ("length-lover"), three seeds each, from the embedded backbone; of the three
of 500 pairs the mean, the least, and the mean less a deviation; the length-lover less PENALTY for each token.

What is told of a sample is told on the prompts of `told_on` (66 of the test part, on which nothing is trained); what is
chosen, a step or a length penalty, is chosen on others, of the validation part. `choices`: the gold reward of the best
of n, exactly, over all ways to draw n of 256 candidates, from the world's generator and from the policy; of the same
candidates tilted by e^{r/β}; and a length penalty. `policies`: RLOO, three seeds of each row of GRID: K samples to each
prompt at the steps of `measured`, scored by the judge (standardised by its mean and deviation on the start's samples),
by the gold reward, and on the other prompts by a check, a model of 500 other pairs. `pairs`: DPO on labelled pairs of
the world, three seeds. Numbers are [mean, standard error by prompt]. A run that is already in the file is not run
again. Seeds set the pairs that judges see, prompts, and samples: those of a step are drawn by (seed, step).
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

from rmlib.course.optimised import Judge, in_parts, interval, mean_and_error, measure, standardised, tilt, well_formed
from rmlib.course.policy import (
    POLICY,
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

ROOT = Path(__file__).parents[1]
SIZES, CANDIDATES, SEEDS, K = (1, 2, 4, 8, 16, 32, 64, 128, 256), 256, (0, 1, 2), 8
BEFOREHAND = 16  # the n that the best of 256 is compared with
TRAINED = {"100 pairs": (100, Annotator()), "500 pairs": (500, Annotator()),
           "length-lover": (1_000, Annotator(length_bias=2.0))}
TOGETHER = {"mean of 3": lambda rewards: rewards.mean(0), "least of 3": lambda rewards: rewards.min(0).values,
            "mean less sd": lambda rewards: rewards.mean(0) - rewards.std(0)}
PENALISED, PENALTY = "length-lover, penalised", 0.08  # of the reward's deviation, for each token
STARTS = {0.65: POLICY, 0.5: ROOT / "build/start50", 0.8: ROOT / "build/start80"}  # by share right of their texts
SMALL, LARGE = 5e-4, 3e-3  # learning rates
GRID = [(*row, seed) for row in (  # judge, start, β, rate, steps, seed
    ("shipped", 0.65, 0.0, SMALL, 120), ("shipped", 0.65, 0.1, SMALL, 120), ("shipped", 0.65, 0.0, LARGE, 40),
    ("shipped", 0.5, 0.0, LARGE, 40), ("length-lover", 0.65, 0.0, SMALL, 80), ("100 pairs", 0.65, 0.0, SMALL, 80),
    ("mean of 3", 0.65, 0.0, SMALL, 80), ("shipped", 0.65, 0.03, SMALL, 80), ("shipped", 0.65, 0.3, SMALL, 80),
    (PENALISED, 0.65, 0.0, SMALL, 80), ("500 pairs", 0.65, 0.0, SMALL, 80), ("shipped", 0.65, 0.1, LARGE, 40),
    ("shipped", 0.8, 0.0, LARGE, 40), ("least of 3", 0.65, 0.0, SMALL, 80), ("mean less sd", 0.65, 0.0, SMALL, 80))
    for seed in SEEDS]
DPO = {"pairs": 1_024, "batch": 16, "beta": 0.1, "learning_rate": 2e-4}
DPO_STEPS = (8, 16, 32, 64)
BETAS = (4.0, 2.0, 1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.08)
PENALTIES = (0.0, 0.02, 0.04, 0.08, 0.16)


def told_on() -> list[str]:
    return World().prompts("test")[::3]


def chosen_on() -> list[str]:
    return World().prompts("validation")[::4]


def measured(row: dict) -> tuple[int, ...]:
    """The steps at which a run's samples are measured. A start is in the runs of 120 steps, for all of its seed."""
    if row["learning_rate"] == LARGE:
        return (40,) if row["start"] == 0.65 else (0, 40)
    return (0, 10, 20, 40, 60, 80, 100, 120) if row["steps"] == 120 else (40, 80)


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
    """The models that a judge asks."""
    if kind == "shipped":
        return (RewardModel.from_pretrained(EMBEDDED_REWARD_MODEL),)
    if kind in TOGETHER:
        return tuple(trained("500 pairs", each) for each in SEEDS)
    return (trained("length-lover" if kind == PENALISED else kind, seed),)


def judge_of(kind: str, seed: int, start: Texts) -> Judge:
    return standardised(models_of(kind, seed), start, TOGETHER.get(kind), PENALTY * (kind == PENALISED))


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


def best_of(rewards: Tensor, truth: Tensor) -> np.ndarray:
    """The truth's expectation under the best of n, for each of SIZES and each prompt, (S, P)."""
    return np.array([(chances_of_best(rewards, n) * truth).sum(1).tolist() for n in SIZES])


def fall(by_prompt: np.ndarray) -> tuple[float, float, float]:
    """How far the best of most lies below that of BEFOREHAND, with its interval, of what is worth (S, P)."""
    return interval(by_prompt[SIZES.index(BEFOREHAND)] - by_prompt[-1])


def all_rewards(texts: Texts, prompts: int) -> dict[tuple[str, int], Tensor]:
    """Rewards (P, M) of every judge, standardised by all candidates."""
    found = {(kind, seed): in_parts(standardised(models_of(kind, seed), texts), texts).view(prompts, -1).double()
             for kind, seed in [("shipped", 0), *((kind, seed) for kind in TRAINED for seed in SEEDS)]}
    three = torch.stack([found["500 pairs", seed] for seed in SEEDS])
    return found | {(kind, 0): together(three) for kind, together in TOGETHER.items()}


def choices() -> Iterator[dict]:
    """One row for each source of candidates and judge."""
    world = World()
    prompts, others = told_on(), world.prompts("validation")[2::16]
    for source in ("world", "policy"):
        (texts, words), (other_texts, other_words) = (candidates(source, each) for each in (prompts, others))
        gold, shares, tokens = truths(world, prompts, words, texts)
        other_gold, _, other_tokens = truths(world, others, other_words, other_texts)
        rewards_of, other_of = all_rewards(texts, len(prompts)), all_rewards(other_texts, len(others))
        for (kind, seed), rewards in {("gold", 0): gold, **rewards_of}.items():
            by_prompt = best_of(rewards, gold)
            row = {"source": source, "judge": kind, "seed": seed, "prompts": len(prompts),
                   "gold": [mean_and_error(each) for each in by_prompt],
                   "fall": fall(by_prompt),
                   **{name: best_of(rewards, share).mean(1).tolist() for name, share in shares.items()},
                   "tokens": best_of(rewards, tokens).mean(1).tolist(),
                   "tilt": [tilted(rewards, gold, shares, beta) for beta in BETAS]}
            if kind == "length-lover":
                best = max(PENALTIES, key=lambda penalty: float(
                    (chances_of_best(other_of[kind, seed] - penalty * other_tokens, 64) * other_gold).sum(1).mean()))
                by_prompt = best_of(rewards - best * tokens, gold)
                row |= {"penalty": best, "penalised": [mean_and_error(each) for each in by_prompt],
                        "penalised_fall": fall(by_prompt)}
            yield rounded(row)


def rounded(row):
    """A row with its numbers to three decimals."""
    if isinstance(row, dict):
        return {name: each if name in ("learning_rate", "beta") else rounded(each) for name, each in row.items()}
    if isinstance(row, list | tuple):
        return [rounded(each) for each in row]
    return round(float(row), 3) if isinstance(row, float | np.floating) else row


def tilted(rewards: Tensor, gold: Tensor, shares: dict[str, Tensor], beta: float) -> dict:
    """KL, gold reward and shares of the candidates reweighted by e^{r/β}."""
    weights, kl = tilt(rewards, beta)
    return {"beta": beta, "kl": kl, "gold": mean_and_error((weights * gold).sum(1).numpy()),
            **{name: (weights * share).sum(1).mean().item() for name, share in shares.items()}}


def truths(world: World, prompts: list[str], words: list[list[str]], texts: Texts) -> tuple:
    """Gold rewards (P, M), whether a text is right and well formed, by name, and lengths in tokens; float64."""
    rows = [(prompt, row) for prompt, row in zip(prompts, words, strict=True)]
    gold, right, whole = (torch.tensor([[function(prompt, text) for text in row] for prompt, row in rows]).double()
                          for function in (world.reward, lambda *each: world.features(*each)["correctness"] == 1,
                                           well_formed))
    return gold, {"right": right, "well_formed": whole}, texts.lengths.view(len(prompts), -1).double()


# Learning


def policies() -> Iterator[dict]:
    """One row for each judge, start, β, rate and seed."""
    for row in GRID:
        yield dict(zip(("judge", "start", "beta", "learning_rate", "steps", "seed"), row, strict=True))


def told(found: dict[str, np.ndarray], step: int, whole: bool) -> dict:
    """A row of a curve: of each name its mean and standard error by prompt; of a `whole` one all gold rewards."""
    row = {"step": step, **{name: mean_and_error(each) for name, each in found.items() if name != "texts"}}
    return rounded(row | ({"gold_by_prompt": np.round(found["gold"], 2).tolist()} if whole else {}))


def texts_of(found: dict[str, np.ndarray], prompts: list[str]) -> list[str]:
    return [f"{prompts[i]} {found['texts'][i]}" for i in range(4, len(prompts), 10)]


def run_policy(row: dict) -> dict:
    """Train against the row's judge, and measure."""
    policy, tokenizer = load_policy(STARTS[row["start"]])
    reference, prompts, seed = copy.deepcopy(policy), World().prompts("train"), row["seed"]
    start = sample(policy, tokenizer, prompts[::8], 2, seed=1_000)
    judge, check = judge_of(row["judge"], seed, start), standardised((trained("500 pairs", 7),), start)
    headline = row["steps"] == 120

    def look(step: int) -> dict:
        found = measure(policy, reference, tokenizer, {"proxy": judge}, told_on(), K, (seed, step))
        here = told(found, step, whole=headline)
        if headline:
            other = measure(policy, reference, tokenizer, {"proxy": judge, "check": check}, chosen_on(), 4,
                            (seed, step, 1))
            here |= rounded({f"chosen_{name}": mean_and_error(other[name]) for name in ("proxy", "check")})
        return here | ({"texts": texts_of(found, told_on())} if step == row["steps"] else {})

    curve = [look(0)] if 0 in measured(row) else []
    lesson = learn(policy, tokenizer, judge, prompts, row["steps"], row["beta"], row["learning_rate"], seed)
    for step, _ in enumerate(lesson, start=1):
        if step in measured(row):
            curve.append(look(step))
    return row | {"curve": curve}


# Pairs


def direct() -> Iterator[dict]:
    for seed in SEEDS:
        yield {"seed": seed, **DPO}


def run_direct(row: dict) -> dict:
    """DPO on pairs of the world: its samples at DPO_STEPS, and its implicit accuracy on 500 validation pairs."""
    policy, tokenizer = load_policy()
    [model], world = models_of("shipped", 0), World()
    reference = copy.deepcopy(policy).requires_grad_(False)
    start = sample(policy, tokenizer, world.prompts("train")[::8], 2, seed=1_000)
    judge = judge_of("shipped", 0, start)
    pairs, held_out = world.pairs(row["pairs"], "train", seed=row["seed"]), world.pairs(500, "validation", seed=9)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=row["learning_rate"], weight_decay=0.0)
    held_texts = encode_pairs(model, held_out)
    held_base = in_parts(lambda part: log_probs(reference, part), held_texts).view(2, -1)

    def look(step: int) -> dict:
        found = measure(policy, reference, tokenizer, {"proxy": judge}, told_on(), K, (row["seed"], step))
        moved = in_parts(lambda part: log_probs(policy, part), held_texts).view(2, -1) - held_base
        return told(found, step, whole=True) | rounded({
            "implicit_accuracy": float(pair_accuracies((moved[0] - moved[1]).double().numpy()).mean()),
            "chosen": mean_and_error(moved[0].numpy()), "rejected": mean_and_error(moved[1].numpy())})

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
        if step in DPO_STEPS:
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
        "threads": torch.get_num_threads(), "sizes": SIZES, "beforehand": BEFOREHAND,
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
