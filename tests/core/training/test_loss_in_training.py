"""The loss that training minimises: smoothing, margins, centring, a loss of one's own, against other arithmetic."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_parts import CONFIG, PAIRS, one_thread, run, tiny_model  # noqa: F401

from rmlib.encoding import collate, encode
from rmlib.model import score_pairs
from rmlib.training import Trainer, train

BATCH = list(range(len(PAIRS)))
MARGINS = np.array([pair.target_margin for pair in PAIRS])


def sharp_model():
    """Rewards of some size, or each loss would be log 2."""
    model = tiny_model()
    with torch.no_grad():
        model.head.weight.mul_(40)
        model.head.bias.fill_(0.3)
    return model


def by_hand(chosen, rejected, margin, smoothing, centring):
    gap = chosen - rejected
    terms = ((1 - smoothing) * np.log1p(np.exp(margin - gap)) + smoothing * np.log1p(np.exp(margin + gap))
             + centring * (chosen + rejected) ** 2)
    return terms.mean()


@pytest.mark.parametrize("smoothing", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("centring", [0.0, 0.05])
@pytest.mark.parametrize("use_target_margin", [False, True])
@pytest.mark.parametrize("token_budget", [40, 4096])
def test_the_recorded_loss_is_the_mean_over_the_global_batch(smoothing, centring, use_target_margin, token_budget):
    model = sharp_model()
    chosen, rejected = score_pairs(model, PAIRS).astype(float)
    config = replace(CONFIG, label_smoothing=smoothing, centring=centring, use_target_margin=use_target_margin,
                     token_budget=token_budget)
    loss, _ = Trainer(model, PAIRS, config).step(BATCH, learning_rate=0.0)
    assert loss == pytest.approx(by_hand(chosen, rejected, MARGINS * use_target_margin, smoothing, centring), rel=1e-5)


def test_its_gradient_reaches_every_weight():
    """Autograd of the formula as it is written, without softplus and in one batch, in float64."""
    config = replace(CONFIG, label_smoothing=0.1, centring=0.05, use_target_margin=True, token_budget=60)
    model, plain = sharp_model(), sharp_model().double()
    Trainer(model, PAIRS, config).backward(BATCH)
    batch = collate(encode(plain.tokenizer, PAIRS, plain.encoding), plain.encoding, plain.tokenizer.pad_token_id)
    chosen, rejected = plain(**batch).chunk(2)
    gap, wanted = chosen - rejected, torch.tensor(MARGINS)
    loss = (0.9 * torch.log(1 + torch.exp(wanted - gap)) + 0.1 * torch.log(1 + torch.exp(wanted + gap))
            + 0.05 * (chosen + rejected) ** 2).mean()
    loss.backward()
    for (name, ours), theirs in zip(model.named_parameters(), plain.parameters()):
        assert torch.allclose(ours.grad.double(), theirs.grad, rtol=1e-3, atol=1e-6), name
    assert model.head.bias.grad.abs() > 0.01


def squared(chosen, rejected, target_margin):
    return (chosen - rejected - target_margin - 1).square()


def test_a_loss_of_ones_own_takes_the_place_of_the_first_two_terms():
    model = sharp_model()
    chosen, rejected = score_pairs(model, PAIRS).astype(float)
    config = replace(CONFIG, centring=0.05, use_target_margin=True)
    loss, _ = Trainer(model, PAIRS, config, loss=squared).step(BATCH, learning_rate=0.0)
    expected = ((chosen - rejected - MARGINS - 1) ** 2 + 0.05 * (chosen + rejected) ** 2).mean()
    assert loss == pytest.approx(expected, rel=1e-5)
    _, result = run(loss=squared)
    assert result.history[-1]["loss"] < result.history[0]["loss"]


@pytest.mark.parametrize("broken", [lambda c, r, m: squared(c, r, m).mean(), lambda c, r, m: squared(c, r, m)[:, None],
                                    lambda c, r, m: squared(c[:1], r[:1], m[:1]).repeat(len(c) + 1)])
def test_a_loss_that_is_not_one_a_pair_is_refused(broken):
    with pytest.raises(ValueError, match="lambda.* should give one loss for each of .* pairs"):
        run(loss=broken)


def test_smoothing_belongs_to_the_loss_it_smooths():
    with pytest.raises(ValueError, match="label_smoothing belongs to the loss that yours is to replace"):
        run(replace(CONFIG, label_smoothing=0.1), loss=squared)


@pytest.mark.parametrize("options, config, moves", [
    ({}, CONFIG, False), ({"loss": squared}, CONFIG, False), ({"train_bias": True, "loss": squared}, CONFIG, True),
    ({}, replace(CONFIG, centring=0.1), True), ({}, replace(CONFIG, label_smoothing=0.1), False),
])
def test_the_bias_is_trained_where_something_holds_it(options, config, moves):
    model = tiny_model()
    with torch.no_grad():
        model.head.bias.fill_(0.5)
    train(model, PAIRS, config, progress=False, **options)
    assert (model.head.bias.item() != 0.5) == moves


def test_centring_brings_the_mean_reward_to_zero():
    model = tiny_model()
    with torch.no_grad():
        model.head.bias.fill_(2.0)
    before = abs(score_pairs(model, PAIRS).mean())
    train(model, PAIRS, replace(CONFIG, centring=1.0, epochs=30), progress=False)
    assert abs(score_pairs(model, PAIRS).mean()) < before / 4
