"""The ladder up: the course's policy and reward model in TRL's RLOO trainer, a few steps on a CPU.

    python benchmarks/trl_policy.py [--steps 5]

What changes for large models is the two paths, and where the trainer runs. It prints each step's mean reward, and how
far TRL's advantages and its first gradient are from this course's own, on TRL's completions. Needs `make bench`.

Prompts are of one length: TRL pads them on the left and gives the model no positions, and GPT-2 has absolute ones, so
that the log-probabilities after a padded prompt would be others. Models with rotary positions do not mind.
"""

from __future__ import annotations

import argparse
import sys
import tempfile

import torch
from datasets import Dataset
from torch import Tensor
from trl import RLOOConfig, RLOOTrainer

from rmlib import PreferencePair, RewardModel
from rmlib.course.policy import Texts, load_policy, log_probs, rloo_loss
from rmlib.course.world import World
from rmlib.model import score_pairs
from rmlib.settings import EMBEDDED_REWARD_MODEL

PROMPTS, SAMPLES, BETA, LENGTH = 4, 4, 0.1, 9


class Watched(RLOOTrainer):
    """TRL's trainer, which keeps the first batch that it makes and the gradient of its loss."""

    first: dict[str, Tensor] | None = None
    gradient: list[Tensor] | None = None

    def _generate_and_score_completions(self, inputs):
        batch = super()._generate_and_score_completions(inputs)
        if self.first is None:  # here a prompt's completions are still beside each other
            self.first = {name: value for name, value in batch.items() if isinstance(value, Tensor)}
            loss = self._compute_loss(self.model, batch)
            self.gradient = list(torch.autograd.grad(loss, list(self.model.parameters())))
        return batch


def reward_function(model: RewardModel):
    """What TRL calls: the reward of each completion to its prompt."""
    def reward(prompts: list[str], completions: list[str], **_) -> list[float]:
        pairs = [PreferencePair(*each, "another response") for each in zip(prompts, completions, strict=True)]
        return score_pairs(model, pairs)[0].tolist()
    return reward


def trainer(steps: int, directory: str) -> Watched:
    """A trainer of the course's policy, on the CPU, that takes `steps` steps."""
    policy, tokenizer = load_policy()
    tokenizer.eos_token = tokenizer.sep_token  # [SEP] ends a response
    settings = RLOOConfig(
        output_dir=directory, use_cpu=True, bf16=False, report_to="none", logging_steps=1, save_strategy="no", seed=0,
        max_steps=steps, per_device_train_batch_size=PROMPTS * SAMPLES, num_generations=SAMPLES, beta=BETA,
        learning_rate=5e-4, max_completion_length=48, temperature=1.0, top_k=0, top_p=1.0, normalize_advantages=False,
        gradient_checkpointing=False, disable_dropout=True,
    )
    prompts = [prompt for prompt in World().prompts("train") if len(tokenizer(prompt).input_ids) == LENGTH]
    questions = Dataset.from_dict({"prompt": prompts})
    reward = reward_function(RewardModel.from_pretrained(EMBEDDED_REWARD_MODEL))
    return Watched(model=policy, reward_funcs=reward, args=settings, train_dataset=questions,
                   processing_class=tokenizer)


def our_step(batch: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
    """(advantages (B,), gradient of the loss) that this course computes on TRL's first completions."""
    policy, tokenizer = load_policy()
    model = RewardModel.from_pretrained(EMBEDDED_REWARD_MODEL)
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1).long()
    ids = ids.masked_fill(mask == 0, tokenizer.pad_token_id)
    texts = Texts(ids, mask, batch["prompt_mask"].sum(1))
    log_p = log_probs(policy, texts)
    # At the first step the policy is the reference; a leaf tells the advantages by the gradient it gets.
    leaf = log_p.detach().requires_grad_()
    rewards = texts.score(model)
    weights, = torch.autograd.grad(rloo_loss(leaf, log_p.detach(), rewards, SAMPLES, BETA), leaf)
    loss = rloo_loss(log_p, log_p.detach(), rewards, SAMPLES, BETA)
    return -weights * len(weights), list(torch.autograd.grad(loss, list(policy.parameters())))


def distances(watched: Watched) -> tuple[float, float]:
    """The largest difference of an advantage, and of the two gradients, relative to the gradient's norm."""
    advantages, gradient = our_step(watched.first)
    apart = torch.cat([(one - other).flatten() for one, other in zip(gradient, watched.gradient, strict=True)]).norm()
    norm = torch.cat([each.flatten() for each in gradient]).norm()
    return (advantages - watched.first["advantages"]).abs().max().item(), (apart / norm).item()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        watched = trainer(options.steps, directory)
        watched.train()
    for row in watched.state.log_history:
        if "reward" in row:
            print(f"step {row['step']}: reward {row['reward']:.2f}, KL {row.get('kl', 0):.3f}")
    advantages, gradient = distances(watched)
    print(f"advantages differ by {advantages:.1e}, the first gradient by {gradient:.1e} of its norm")
    return 0


if __name__ == "__main__":
    sys.exit(main())
