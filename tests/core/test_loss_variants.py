"""The variants of the loss against formulas in numpy, brute force over all orders, limits and float64 gradchecks."""

import math

import numpy as np
import pytest
import torch

from rmlib.losses import (
    bradley_terry_loss,
    centring_penalty,
    smoothed_loss,
)


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


def scores(*shape, seed=0):
    return 2 * torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def leaves(*tensors):
    return [tensor.clone().requires_grad_() for tensor in tensors]


def surprise(margin):
    """−log σ, by numpy."""
    return np.logaddexp(0, -np.asarray(margin))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.25, 0.5])
def test_smoothing_is_the_expected_loss_under_flips(smoothing):
    chosen, rejected = scores(7), scores(7, seed=1)
    margin = (chosen - rejected).numpy()
    expected = (1 - smoothing) * surprise(margin) + smoothing * surprise(-margin)
    losses = smoothed_loss(chosen, rejected, smoothing, reduction="none")
    np.testing.assert_allclose(losses.numpy(), expected, rtol=1e-12)
    # It is also the plain loss and s times the margin, since L(-Δ) = L(Δ) + Δ.
    np.testing.assert_allclose(losses.numpy(), surprise(margin) + smoothing * margin, rtol=1e-11)
    assert smoothed_loss(chosen, rejected, smoothing).item() == pytest.approx(expected.mean(), rel=1e-12)
    assert torch.autograd.gradcheck(lambda c, r: smoothed_loss(c, r, smoothing), leaves(chosen, rejected))


def test_smoothing_has_its_minimum_at_the_logit_of_the_clean_share():
    margins = doubles(*np.linspace(-6, 6, 120_001))
    losses = smoothed_loss(margins, torch.zeros_like(margins), 0.2, reduction="none")
    assert margins[losses.argmin()].item() == pytest.approx(math.log(0.8 / 0.2), abs=1e-4)  # the grid's step


@pytest.mark.parametrize("smoothing", [-0.1, 0.51, math.nan])
def test_more_flips_than_labels_are_refused(smoothing):
    with pytest.raises(ValueError, match="smoothing"):
        smoothed_loss(torch.zeros(2), torch.zeros(2), smoothing)


def test_centring_costs_the_square_of_the_sum():
    chosen, rejected = scores(5), scores(5, seed=1)
    expected = 0.3 * np.mean((chosen.numpy() + rejected.numpy()) ** 2)
    assert centring_penalty(chosen, rejected, 0.3).item() == pytest.approx(expected, rel=1e-12)
    assert centring_penalty(chosen, -chosen, 0.3).item() == centring_penalty(chosen, rejected, 0.0).item() == 0
    assert torch.autograd.gradcheck(lambda c, r: centring_penalty(c, r, 0.3), leaves(chosen, rejected))
    for weight in (-1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="weight"):
            centring_penalty(chosen, rejected, weight)


def probability_of(order, rewards):
    """Of drawing all in this order, one after the other, each with chances in the proportion e^r; in plain numpy."""
    strengths = np.exp(np.asarray(rewards))[list(order)]
    return math.prod(strengths[k] / strengths[k:].sum() for k in range(len(strengths)))


@pytest.mark.parametrize("loss", [lambda *given: smoothed_loss(given[0], given[1], 0.2, given[2], given[3]),
                                  lambda *given: centring_penalty(given[0], given[1], 0.2, given[3])])
def test_mean_sum_and_each(loss):
    chosen, rejected, wanted = scores(6), scores(6, seed=1), scores(6, seed=2).abs()
    each = loss(chosen, rejected, wanted, "none")
    assert each.shape == (6,) and len(set(each.tolist())) == 6
    assert loss(chosen, rejected, wanted, "sum").item() == pytest.approx(each.sum().item(), rel=1e-12)
    assert loss(chosen, rejected, wanted, "mean").item() == pytest.approx(each.mean().item(), rel=1e-12)


def test_smoothing_with_a_target_margin_by_hand():
    gap, wanted = doubles(1.3, -0.4, 0.0), doubles(0.5, 0.0, 2.0)
    expected = [0.9 * math.log1p(math.exp(m - d)) + 0.1 * math.log1p(math.exp(m + d))
                for d, m in zip(gap.tolist(), wanted.tolist())]
    found = smoothed_loss(gap, torch.zeros_like(gap), 0.1, wanted, "none")
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


EVERY_LOSS = {
    "bradley-terry": bradley_terry_loss,
    "smoothed": lambda a, b: smoothed_loss(a, b, 0.1),
    "centring": lambda a, b: centring_penalty(a, b, 0.1),
}


@pytest.mark.parametrize("name", EVERY_LOSS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_extreme_scores_leave_every_loss_and_gradient_finite(name, dtype):
    low, high = (torch.full((3,), value, dtype=dtype, requires_grad=True) for value in (-5e3, 5e3))
    for one, other in ((low, high), (high, low), (low, low)):
        loss = EVERY_LOSS[name](one, other)
        assert loss.dtype == torch.float32 and loss.isfinite()
        assert all(slope.isfinite().all() for slope in torch.autograd.grad(loss, {one, other}))


@pytest.mark.parametrize("name", EVERY_LOSS)
def test_low_precision_scores_cost_what_they_cost_in_float64(name):
    one, other = torch.tensor([1.0, -2.0, 0.5]).bfloat16(), torch.tensor([2**-8, 1.0, 0.25]).bfloat16()
    expected = EVERY_LOSS[name](one.double(), other.double()).item()
    assert EVERY_LOSS[name](one, other).item() == pytest.approx(expected, rel=1e-6)  # bfloat16 itself: 4e-3


@pytest.mark.parametrize("name", EVERY_LOSS)
def test_an_empty_batch_has_no_mean(name):
    with pytest.raises(ValueError, match="the batch is empty"):
        EVERY_LOSS[name](torch.zeros(0), torch.zeros(0))
