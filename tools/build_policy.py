"""Build the policy of notebook 08: a small causal language model that writes responses of the gold world.

    python tools/build_policy.py [--out rmlib/assets/policy] [--right 0.65] [--seed 0] [--steps 1500]

A GPT-2 of 3 layers of 128 with the reward model's own tokenizer and input, [CLS] prompt [SEP] response [SEP], learns to
predict the responses that the world's generator writes to its training prompts, right with probability --right. It is
pretrained on texts alone: no preference and no reward is used. What it must have learned before it is written: at least
85% of its samples to validation prompts are made of whole sentences of the world, about the prompt's own family, and
98% of them end. The rest is recorded in build.json, beside the weights, in float16.
"""

import argparse
import json
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from rmlib.course.optimised import well_formed
from rmlib.course.policy import POLICY, Texts, log_probs, sample
from rmlib.course.world import World
from rmlib.files import atomic_write_text
from rmlib.settings import EMBEDDED_REWARD_MODEL

LAYERS, WIDTH, HEADS, POSITIONS = 3, 128, 4, 128
BATCH, RATE, WARMUP, CHUNK = 64, 3e-3, 0.05, 16  # CHUNK batches are drawn at once: each holds texts of like length
GATES = {"well_formed": 0.85, "ended": 0.98}


def build_config(tokenizer) -> GPT2Config:
    return GPT2Config(vocab_size=len(tokenizer), n_positions=POSITIONS, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS,
                      resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=tokenizer.cls_token_id,
                      eos_token_id=tokenizer.sep_token_id, pad_token_id=tokenizer.pad_token_id)


def batches(world: World, tokenizer, right: float, rng: np.random.Generator) -> Iterator[Texts]:
    """Fresh prompts and responses without end, padded on the right."""
    prompts = world.prompts("train")
    while True:
        asked = [prompts[i] for i in rng.integers(len(prompts), size=BATCH * CHUNK)]
        rows = tokenizer(asked, [world.responses(each, 1, rng, right=right)[0] for each in asked]).input_ids
        starts = [len(row) for row in tokenizer(asked).input_ids]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for chunk in rng.permutation(CHUNK):
            members = order[chunk * BATCH : (chunk + 1) * BATCH]
            padded = tokenizer.pad({"input_ids": [rows[i] for i in members]}, return_tensors="pt")
            yield Texts(padded.input_ids, padded.attention_mask, torch.tensor([starts[i] for i in members]))


def pretrain(world: World, tokenizer, right: float, steps: int, seed: int) -> GPT2LMHeadModel:
    """Train on `steps` batches, without dropout, in float32."""
    torch.manual_seed(seed)
    policy = GPT2LMHeadModel(build_config(tokenizer)).eval()
    optimizer = torch.optim.AdamW(policy.parameters(), lr=RATE, weight_decay=0.01, fused=True)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps + 1, pct_start=WARMUP, anneal_strategy="linear",
                                               cycle_momentum=False)
    source, start = batches(world, tokenizer, right, np.random.default_rng(seed)), time.perf_counter()
    for step in range(1, steps + 1):
        texts = next(source)
        loss = -log_probs(policy, texts).sum() / texts.lengths.sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        rate.step()
        if step % 250 == 0 or step == steps:
            seconds = time.perf_counter() - start
            print(f"step {step}/{steps}  nats a token {loss.item():.3f}  {seconds:.0f} s", flush=True)
    return policy


def measure(policy: GPT2LMHeadModel, tokenizer, world: World) -> dict[str, float]:
    """Shares of samples to validation prompts that are well formed, end, are right or wrong; their mean gold reward."""
    prompts = [prompt for prompt in world.prompts("validation") for _ in range(4)]
    texts = sample(policy, tokenizer, prompts, 1, seed=1)
    responses = texts.responses(tokenizer)
    correct = [world.features(*each)["correctness"] for each in zip(prompts, responses)]
    found = {
        "well_formed": np.mean([well_formed(*each) for each in zip(prompts, responses)]),
        "ended": ((texts.input_ids == tokenizer.sep_token_id).sum(1) == 2).float().mean(),
        "right": np.mean(np.equal(correct, 1)), "wrong": np.mean(np.equal(correct, -1)),
        "gold": np.mean([world.reward(*each) for each in zip(prompts, responses)]),
        "tokens": texts.lengths.float().mean(),
    }
    return {name: round(float(value), 4) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the policy of notebook 08.")
    parser.add_argument("--out", type=Path, default=POLICY)
    parser.add_argument("--right", type=float, default=0.65, help="share of right answers in the texts")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1500, help="batches of pretraining")
    options = parser.parse_args()
    world, tokenizer = World(), AutoTokenizer.from_pretrained(EMBEDDED_REWARD_MODEL)
    start = time.perf_counter()
    policy = pretrain(world, tokenizer, options.right, options.steps, options.seed)
    policy = policy.half().float()  # as it will be loaded
    found = measure(policy, tokenizer, world)
    record = {
        "seed": options.seed, "right": options.right, "steps": options.steps, "batch_size": BATCH,
        "learning_rate": RATE, "seconds": round(time.perf_counter() - start), "threads": torch.get_num_threads(),
        "parameters": policy.num_parameters(), "samples": found,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
                     "transformers": transformers.__version__},
    }
    print(json.dumps(record, indent=2))
    if failed := {name: least for name, least in GATES.items() if found[name] < least}:
        raise SystemExit(f"nothing is written: samples must reach {failed}")
    policy.half().save_pretrained(options.out)
    tokenizer.save_pretrained(options.out)
    atomic_write_text(options.out / "build.json", json.dumps(record, indent=2) + "\n")
    for file in options.out.iterdir():
        file.chmod(0o644)  # safetensors writes for the owner only, and a package is for all


if __name__ == "__main__":
    main()
