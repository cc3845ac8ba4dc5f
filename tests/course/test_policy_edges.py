"""What the course's policy draws from, token by token."""

import copy

import numpy as np
import pytest
import torch
from tiny import TOKENIZERS
from transformers import GPT2Config, GPT2LMHeadModel

from rmlib.course import optimised
from rmlib.course import policy as module
from rmlib.course.policy import load_policy, sample
from rmlib.course.world import World


def test_each_token_is_drawn_from_what_the_policy_says_without_the_prompts_padding(monkeypatch):
    policy, tokenizer = load_policy()
    prompts = ["Who wrote Hamlet?", "What is the chemical symbol for hydrogen?"]
    said, draw = [], torch.multinomial
    monkeypatch.setattr(torch, "multinomial", lambda p, n, generator: said.append(p) or draw(p, n, generator=generator))
    texts = sample(policy, tokenizer, prompts, 2, seed=1, max_new_tokens=5)
    assert texts.attention_mask[:, 0].tolist() == [0, 0, 1, 1] and len(said) == 5
    for at, (row, mask, start) in enumerate(zip(texts.input_ids, texts.attention_mask, texts.response_start)):
        real = row[mask.bool()]
        for step in range(len(real) - start):
            with torch.no_grad():
                alone = policy(real[None, : start + step]).logits[0, -1].softmax(-1)
            assert torch.allclose(said[step][at], alone, atol=1e-4), (at, step)


@pytest.fixture
def small():
    """A policy of two words and an end, and the tests' tokenizer."""
    tokenizer = TOKENIZERS["distilbert"]()
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=8, n_layer=1, n_head=1,
                                      bos_token_id=2, eos_token_id=3)).eval(), tokenizer


def test_the_reference_stays_what_the_policy_was(small, monkeypatch):
    before, seen = copy.deepcopy(small[0]), []
    monkeypatch.setattr(module, "rloo_loss", lambda log_policy, base, *given: seen.append(base) or log_policy.mean())
    steps = module.learn(*small, lambda texts: torch.zeros(4), ["a"], 3, 0.1, 0.1, seed=0, prompts_a_step=1)
    for texts, base in zip(steps, seen):
        with torch.no_grad():
            assert torch.allclose(base, module.log_probs(before, texts), atol=1e-5)
    assert len(seen) == 3 and not torch.allclose(seen[-1], module.log_probs(small[0], texts), atol=0.1)


def test_a_step_has_the_gradient_of_its_own_samples_alone(small):
    rewards = iter([torch.tensor([1.0, -1.0, 2.0, 0.0]), torch.ones(4)])
    steps = module.learn(*small, lambda texts: next(rewards), ["a"], 2, 0.0, 1e-3, seed=0, prompts_a_step=1)
    norms = [max(each.grad.abs().max().item() for each in small[0].parameters()) for _ in steps]
    assert norms[0] > 1e-3 and norms[1] == 0  # like rewards have no advantage


def test_drawing_ends_with_the_last_response(small):
    policy, tokenizer = small
    policy.lm_head = torch.nn.Linear(8, len(tokenizer))
    with torch.no_grad():
        policy.lm_head.bias[3] = 100.0  # [SEP], at once
    texts = sample(policy, tokenizer, ["a", "a b"], 2, seed=0)
    assert texts.lengths.tolist() == [1] * 4 and texts.input_ids.shape[1] == max(texts.response_start) + 1


def test_what_is_measured_as_kl_is_the_policy_over_the_reference(small, monkeypatch):
    policy, tokenizer = small
    reference, prompts = copy.deepcopy(policy), World().prompts("test")[:2]
    with torch.no_grad():
        reference.lm_head.weight.mul_(30)
    monkeypatch.setattr(optimised, "sample", lambda *given: sample(*given, max_new_tokens=3))
    found = optimised.measure(policy, reference, tokenizer, {}, prompts, 2, 5)
    texts = sample(policy, tokenizer, prompts, 2, int(np.random.default_rng(5).integers(2**31)), max_new_tokens=3)
    with torch.no_grad():
        ratios = module.log_probs(policy, texts) - module.log_probs(reference, texts)
    assert found["kl"] == pytest.approx(ratios.view(2, 2).mean(1).numpy(), abs=1e-4) and abs(found["kl"]).min() > 0.1
