"""Leaving padding out changes no reward and no gradient: each against transformers' own attention of a padded batch."""

import pytest
import torch
from tiny import ARCHITECTURES, reward_model

from rmlib.model import unpadded


def batch(vocabulary: int, pad_side: str) -> dict:
    """Three sequences of 1, 7 and 12 tokens, padded to 12."""
    lengths = torch.tensor([7, 1, 12])
    mask = (torch.arange(12) < lengths[:, None]).long()  # (3, 12)
    mask = mask.flip(1) if pad_side == "left" else mask
    ids = torch.randint(5, vocabulary, (3, 12), generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids, "attention_mask": mask}


def rewards_and_gradient(model, inputs):
    model.zero_grad()
    rewards = model(**inputs)
    rewards.square().sum().backward()
    return rewards.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("pad_side", ["left", "right"])
@pytest.mark.parametrize("pooling", ["cls", "mean", "last"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_rewards_and_gradients_are_the_padded_batch_s(name, pooling, pad_side):
    model = reward_model(name, pooling).double()
    inputs = batch(model.backbone.config.vocab_size, pad_side)
    assert model.backbone.config._attn_implementation == unpadded.NAME
    rewards, gradient = rewards_and_gradient(model, inputs)
    model.backbone.set_attn_implementation("sdpa")
    padded_rewards, padded_gradient = rewards_and_gradient(model, inputs)
    torch.testing.assert_close(rewards, padded_rewards, rtol=1e-9, atol=1e-9)
    assert gradient.keys() == padded_gradient.keys()
    for parameter, value in gradient.items():
        torch.testing.assert_close(value, padded_gradient[parameter], rtol=1e-7, atol=1e-9, msg=parameter)


def test_padding_is_never_computed():
    model = reward_model("bert")
    seen = []
    model.backbone.encoder.layer[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[:2]))
    model(**batch(model.backbone.config.vocab_size, "right"))
    assert seen == [(1, 7 + 1 + 12)]


def test_attention_set_later_sees_the_padded_batch():
    model = reward_model("bert")
    inputs = batch(model.backbone.config.vocab_size, "right")
    rewards = model(**inputs)
    model.backbone.set_attn_implementation("eager")
    torch.testing.assert_close(model(**inputs), rewards, rtol=1e-5, atol=1e-5)


def test_a_forward_in_training_holds_more_where_padding_is_left_out_and_most_on_a_gpu():
    backbone, budget = reward_model("bert").backbone, unpadded.training_token_budget
    assert (budget(backbone, torch.device("cpu")), budget(backbone, torch.device("cuda"))) == (4096, 65536)
    backbone.set_attn_implementation("sdpa")
    assert (budget(backbone, torch.device("cpu")), budget(backbone, torch.device("cuda"))) == (1024, 65536)


def test_the_backbone_alone_works_as_ever():
    model = reward_model("bert")
    inputs = batch(model.backbone.config.vocab_size, "right")
    ours = model.backbone(**inputs).last_hidden_state
    model.backbone.set_attn_implementation("sdpa")
    torch.testing.assert_close(ours, model.backbone(**inputs).last_hidden_state, rtol=0, atol=0)


@pytest.mark.parametrize("given, computed", [("bfloat16", "float32"), ("float32", "float32"), ("float64", "float64")])
def test_attention_computes_in_float32_at_least(monkeypatch, given, computed):
    seen = []

    def spy(module, query, key, value, *rest, **options):
        seen.append({query.dtype, key.dtype, value.dtype, torch.is_autocast_enabled("cpu")})
        return query.transpose(1, 2), None

    monkeypatch.setattr(unpadded, "sdpa_attention_forward", spy)
    query = torch.randn(1, 2, 5, 4).to(getattr(torch, given))
    with torch.autocast("cpu", torch.bfloat16):
        output, _ = unpadded.attend(torch.nn.Identity(), query, query, query, None, sequence_lengths=[2, 3])
    assert seen == [{getattr(torch, computed), False}] * 2
    torch.testing.assert_close(output, query.transpose(1, 2), rtol=0, atol=0)
