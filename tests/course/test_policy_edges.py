"""What the course's policy draws from, token by token."""

import torch

from rmlib.course.policy import load_policy, sample


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
