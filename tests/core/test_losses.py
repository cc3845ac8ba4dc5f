"""The Bradley-Terry loss against its formula, its limits, and its hand-derived gradient."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmlib.losses import bradley_terry_loss

floats = st.floats(-50, 50)


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


@settings(deadline=None)  # no timing: other work may share the machine
@given(floats, floats)
def test_it_is_minus_the_log_of_the_probability_of_the_choice(chosen, rejected):
    probability = 1 / (1 + math.exp(rejected - chosen))
    loss = bradley_terry_loss(doubles(chosen), doubles(rejected))
    assert loss.item() == pytest.approx(-math.log(probability), rel=1e-9, abs=1e-12)


def test_equal_scores_cost_log_2():
    assert bradley_terry_loss(doubles(3.0, -1.0), doubles(3.0, -1.0)).item() == pytest.approx(math.log(2), rel=1e-15)


@settings(deadline=None)  # no timing: other work may share the machine
@given(floats)
def test_turning_a_pair_round_changes_the_loss_by_the_margin(margin):
    one, other = bradley_terry_loss(doubles(margin), doubles(0)), bradley_terry_loss(doubles(0), doubles(margin))
    assert (one - other).item() == pytest.approx(-margin, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_scores_far_apart_give_neither_infinity_nor_nan(dtype):
    low, high = torch.tensor([-5e3], dtype=dtype), torch.tensor([5e3], dtype=dtype)
    wrong, right = bradley_terry_loss(low, high), bradley_terry_loss(high, low)
    assert wrong.dtype == right.dtype == torch.float32
    assert wrong.item() == pytest.approx(1e4, rel=1e-2) and right.item() == 0


def test_low_precision_scores_are_subtracted_in_float32():
    chosen, rejected = torch.tensor([256.0]).bfloat16(), torch.tensor([255.0]).bfloat16()
    assert bradley_terry_loss(chosen, rejected).item() == pytest.approx(math.log1p(math.exp(-1)), rel=1e-6)
    # 1 - 2**-8 has nine significant bits: bfloat16 would round it to 1.
    ours = bradley_terry_loss(torch.tensor([1.0]).bfloat16(), torch.tensor([2**-8]).bfloat16())
    assert ours.item() == pytest.approx(math.log1p(math.exp(-(1 - 2**-8))), rel=1e-6)


def test_a_target_margin_moves_the_gap_that_costs_log_2():
    chosen, rejected, wanted = doubles(2.0, 0.0), doubles(1.0, 0.0), doubles(1.0, 3.0)
    losses = bradley_terry_loss(chosen, rejected, wanted, reduction="none")
    assert losses.tolist() == pytest.approx([math.log(2), math.log1p(math.exp(3))])


def test_reductions():
    chosen, rejected = doubles(0.0, 1.0, -2.0), doubles(1.0, 1.0, 1.0)
    losses = bradley_terry_loss(chosen, rejected, reduction="none")
    assert losses.shape == (3,)
    assert bradley_terry_loss(chosen, rejected).item() == pytest.approx(losses.sum().item() / 3)
    assert bradley_terry_loss(chosen, rejected, reduction="sum").item() == pytest.approx(losses.sum().item())
    with pytest.raises(ValueError, match="reduction"):
        bradley_terry_loss(chosen, rejected, reduction="median")


@pytest.mark.parametrize("chosen, rejected", [((3, 1), (3,)), ((3, 1), (3, 1)), ((3,), (2,)), ((), ()), ((1,), (3,))])
def test_shapes_that_would_broadcast_are_refused(chosen, rejected):
    with pytest.raises(ValueError, match="one length"):
        bradley_terry_loss(torch.zeros(chosen), torch.zeros(rejected))


@pytest.mark.parametrize("shape", [(), (1,), (2,), (4,), (3, 1), (1, 3)])
def test_a_target_margin_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="target_margin"):
        bradley_terry_loss(torch.zeros(3), torch.zeros(3), torch.ones(shape))


def test_the_gradient_is_minus_the_probability_given_to_the_wrong_answer():
    chosen, rejected = doubles(0.3, -2.0, 5.0).requires_grad_(), doubles(0.1, 1.0, -5.0).requires_grad_()
    bradley_terry_loss(chosen, rejected, reduction="sum").backward()
    wrong = 1 / (1 + torch.exp(chosen - rejected)).detach()
    torch.testing.assert_close(chosen.grad, -wrong, rtol=1e-12, atol=0)
    torch.testing.assert_close(rejected.grad, wrong, rtol=1e-12, atol=0)
    torch.autograd.gradcheck(lambda c, r: bradley_terry_loss(c, r, doubles(0.5, 0, 1)), (chosen, rejected))


@pytest.mark.parametrize("gap", [20.5, 25.0, 30.0])
def test_a_loss_far_out_in_float64(gap):
    """softplus(z) = z + log(1 + e^-z), and the second term is above the rounding of the first until z is 36."""
    zero, far = torch.zeros(1, dtype=torch.float64), torch.tensor([gap], dtype=torch.float64)
    assert bradley_terry_loss(zero, far).item() == pytest.approx(gap + math.exp(-gap), rel=3e-16, abs=0)
    assert bradley_terry_loss(far, zero).item() == pytest.approx(math.exp(-gap), rel=1e-9)


def test_a_gradient_far_out_in_float64():
    """It is σ(z) = 1 - e^-z nearly, which is not 1 to a float64 until z is 36: e^-35.5 = 3.8e-16."""
    zero, far = doubles(0.0).requires_grad_(), doubles(35.5)
    bradley_terry_loss(zero, far).backward()
    assert 0 < 1 + zero.grad.item() < 1e-15


def test_an_empty_batch_has_a_sum():
    nothing = torch.zeros(0)
    assert bradley_terry_loss(nothing, nothing, reduction="sum").item() == 0
    assert bradley_terry_loss(nothing, nothing, reduction="none").shape == (0,)
