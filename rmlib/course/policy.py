"""A small policy and what a reward is used for: samples, log-probabilities, policy gradients, direct preferences.

It is for a policy of a notebook's size; TRL, OpenRLHF and verl train large ones. Texts are the reward model's own
input, [CLS] prompt [SEP] response [SEP], so that what the policy writes is scored as it stands, token for token.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, PreTrainedModel

from rmlib.encoding import collate, encode
from rmlib.losses import bradley_terry_loss
from rmlib.model import RewardModel, position_ids
from rmlib.pairs import PreferencePair

POLICY = Path(__file__).parents[1] / "assets" / "policy"
MAX_NEW_TOKENS = 48  # the longest response of the gold world has as many, its end included


@dataclass(frozen=True)
class Texts:
    """Rows of prompt and response as tokens, padded on either side.

    input_ids, attention_mask: int64 (B, T). response_start: int64 (B,), the number of tokens before the response; its
    end, [SEP], is part of it, where there is one.
    """

    input_ids: Tensor
    attention_mask: Tensor
    response_start: Tensor

    @property
    def response_mask(self) -> Tensor:
        """Which tokens the policy chose, bool (B, T)."""
        return self.attention_mask.bool() & (position_ids(self.attention_mask) >= self.response_start[:, None])

    @property
    def lengths(self) -> Tensor:
        """Tokens of each response, its end included, int64 (B,)."""
        return self.response_mask.sum(1)

    def responses(self, tokenizer) -> list[str]:
        """The responses as text, without special tokens."""
        return [tokenizer.decode(row[mask], skip_special_tokens=True)
                for row, mask in zip(self.input_ids, self.response_mask)]

    def score(self, model: RewardModel) -> Tensor:
        """Rewards (B,) of the rows as they stand, float32, without gradients."""
        with torch.inference_mode():
            return model(self.input_ids, self.attention_mask)


def load_policy(directory: Path = POLICY):
    """(policy, tokenizer): the policy that comes with the course, in float32, dropout off."""
    transformers.logging.disable_progress_bar()  # which would stay on a notebook's page
    policy = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    return policy, AutoTokenizer.from_pretrained(directory)


@torch.no_grad()
def sample(policy: PreTrainedModel, tokenizer, prompts: Sequence[str], k: int, seed: int,
           max_new_tokens: int = MAX_NEW_TOKENS) -> Texts:
    """k responses to each of P prompts, drawn from the policy itself: rows in order, B = P k.

    Nothing is left out of the distribution (no top-k, top-p or temperature), or log-probabilities would not be those
    of the samples. What has no end after max_new_tokens is cut there.
    """
    generator = torch.Generator(policy.device).manual_seed(seed)
    asked = tokenizer([*prompts], padding=True, padding_side="left", return_tensors="pt").to(policy.device)
    ids, mask = (asked[name].repeat_interleave(k, 0) for name in ("input_ids", "attention_mask"))  # (B, T)
    start, cache, alive = mask.sum(1), DynamicCache(), torch.ones(len(ids), dtype=torch.bool, device=ids.device)
    new, positions = ids, position_ids(mask)
    for _ in range(max_new_tokens):
        # the cache by its place: its name is another one from transformers 5.24 on
        out = policy(new, cache, mask, position_ids=positions, use_cache=True)
        new = torch.multinomial(out.logits[:, -1].softmax(-1), 1, generator=generator)  # (B, 1)
        new = torch.where(alive[:, None], new, tokenizer.pad_token_id)
        ids, mask = torch.cat([ids, new], 1), torch.cat([mask, alive[:, None].long()], 1)  # (B, T + 1)
        alive = alive & (new[:, 0] != tokenizer.sep_token_id)
        positions = positions[:, -1:] + 1
        if not alive.any():
            break
    return Texts(ids, mask, start)


def encode_responses(model: RewardModel, prompts: Sequence[str], chosen: Sequence[str],
                     rejected: Sequence[str]) -> Texts:
    """Pairs of texts as the reward model encodes them, padded on the right: chosen rows first, then rejected; 2P."""
    pairs = [PreferencePair(*each) for each in zip(prompts, chosen, rejected)]
    encoded = encode(model.tokenizer, pairs, model.encoding)
    batch = collate(encoded, model.encoding, model.tokenizer.pad_token_id)
    start = torch.tensor([each.response_start for each in encoded] * 2)
    return Texts(batch["input_ids"], batch["attention_mask"], start)


def token_log_probs(policy: PreTrainedModel, texts: Texts) -> Tensor:
    """log π(y_t | x, y_<t) of each token of the responses, (B, T - 1), 0 elsewhere."""
    mask = texts.attention_mask
    logits = policy(texts.input_ids, attention_mask=mask, position_ids=position_ids(mask), use_cache=False).logits
    chosen = logits[:, :-1].log_softmax(-1).gather(2, texts.input_ids[:, 1:, None]).squeeze(2)  # (B, T - 1)
    return chosen.masked_fill(~texts.response_mask[:, 1:], 0.0)


def log_probs(policy: PreTrainedModel, texts: Texts) -> Tensor:
    """log π(y | x) of the responses, (B,): the sum over their tokens, the end included."""
    return token_log_probs(policy, texts).sum(1)


def chances_of_best(rewards: Tensor, n: int) -> Tensor:
    """P(a candidate is the best of n drawn without replacement from its row), (P, M) float64, rows sum to 1.

    rewards: (P, M), n <= M. The one of rank i from below is the best of C(i − 1, n − 1) of C(M, n) draws; of equal
    ones the later is taken.
    """
    most = rewards.shape[1]
    by_rank = torch.tensor([math.comb(i, n - 1) / math.comb(most, n) for i in range(most)], dtype=torch.float64)
    return by_rank[rewards.argsort(dim=1, stable=True).argsort(dim=1)]


def kl_terms(log_policy: Tensor, log_reference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Estimators k1, k2, k3 of KL(π ‖ π₀) from log π and log π₀ of samples of π, all of one shape.

    k1 = log π/π₀, without bias; k2 = k1²/2, biased; k3 = e^{−k1} − 1 + k1, without bias and never negative.
    Source: Schulman (2020), "Approximating KL Divergence".
    """
    k1 = log_policy - log_reference
    return k1, k1.square() / 2, torch.expm1(-k1) + k1


def rloo_advantages(rewards: Tensor) -> Tensor:
    """Each reward less the mean of the k − 1 others of its prompt, (P, k) -> (P, k): k/(k−1) (r − mean).

    Raises ValueError where there are no others. Source: Kool et al. (2019), "Buy 4 REINFORCE Samples, Get a Baseline
    for Free!"; for language models, Ahmadian et al. (2024), arXiv:2402.14740.
    """
    if rewards.dim() != 2 or rewards.shape[1] < 2:
        raise ValueError(f"rewards must be (P, k) with k >= 2 samples of each prompt, got {tuple(rewards.shape)}")
    k = rewards.shape[1]
    return (rewards - rewards.mean(1, keepdim=True)) * k / (k - 1)


def rloo_loss(log_policy: Tensor, log_reference: Tensor, rewards: Tensor, k: int, beta: float) -> Tensor:
    """A scalar whose gradient is minus the policy gradient of E r − β KL(π ‖ π₀), from k samples of each prompt.

    log_policy, log_reference, rewards: (B,), B = P k, a prompt's samples beside each other; only log_policy carries a
    gradient. The reward of a sample is r − β log π/π₀, a number; its advantage weighs ∇ log π(y|x) (Williams, 1992).
    """
    penalised = rewards - beta * (log_policy.detach() - log_reference)  # (B,)
    return -(rloo_advantages(penalised.view(-1, k)).flatten() * log_policy).mean()


def dpo_loss(chosen: Tensor, rejected: Tensor, reference_chosen: Tensor, reference_rejected: Tensor,
             beta: float) -> Tensor:
    """Bradley-Terry loss of the rewards β log π/π₀ of P pairs, from log-probabilities (P,) of policy and reference.

    Source: Rafailov et al. (2023), arXiv:2305.18290, eq. 7.
    """
    return bradley_terry_loss(beta * (chosen - reference_chosen), beta * (rejected - reference_rejected))


def learn(policy: PreTrainedModel, tokenizer, reward: Callable[[Texts], Tensor], prompts: Sequence[str], steps: int,
          beta: float, learning_rate: float, seed: int, prompts_a_step: int = 8, k: int = 4) -> Iterator[Texts]:
    """Train the policy by RLOO, in place; yields each step's samples, after the step.

    reward: of the sampled texts, (B,). The reference is the policy as it was. AdamW without weight decay, a constant
    rate, gradients clipped to norm 1. The same seed gives the same steps on the same machine.
    """
    reference = copy.deepcopy(policy).requires_grad_(False)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=learning_rate, weight_decay=0.0)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        asked = [prompts[i] for i in rng.integers(len(prompts), size=prompts_a_step)]
        texts = sample(policy, tokenizer, asked, k, int(rng.integers(2**31)))
        with torch.no_grad():
            base = log_probs(reference, texts)
        loss = rloo_loss(log_probs(policy, texts), base, reward(texts), k, beta)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        yield texts
