"""The directional check against gradients that are right, wrong and zero."""

import itertools
import math

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from rmlib.encoding import encode
from rmlib.gradients import directional_checks
from rmlib.losses import bradley_terry_loss
from rmlib.pairs import PreferencePair


def doubles(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_directional_derivatives_are_those_of_a_quadratic_form():
    weights, matrix = doubles(4, 3).requires_grad_(), doubles(12, 12, seed=1)
    matrix = matrix + matrix.T
    [check] = directional_checks(lambda: weights.flatten() @ matrix @ weights.flatten() / 2, {"w": weights},
                                 generator=seeded(5))
    u = doubles(4, 3, seed=5).numpy().ravel()  # the check's direction, drawn again
    u = u / np.sqrt((u * u).sum())
    want = weights.detach().numpy().ravel() @ matrix.numpy() @ u
    assert check.name == "w" and check.ok
    assert check.analytic == pytest.approx(want, rel=1e-12)
    assert check.numeric == pytest.approx(want, rel=1e-9)
    assert check.error == abs(check.analytic - check.numeric)


class Scaled(torch.autograd.Function):
    """The identity, with a backward that is wrong by a factor."""

    @staticmethod
    def forward(ctx, values, factor):
        ctx.factor = factor
        return values.clone()

    @staticmethod
    def backward(ctx, gradient):
        return ctx.factor * gradient, None


class Net(nn.Module):
    """Three layers; what flows back into the middle one, and so into the first, is multiplied by `factor`."""

    def __init__(self, factor=1.0):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.middle, self.last = (nn.Linear(5, 5, dtype=torch.float64) for _ in range(3))
        self.factor = factor

    def forward(self):
        hidden = torch.tanh(self.first(doubles(7, 5, seed=3)))
        hidden = torch.tanh(Scaled.apply(self.middle(hidden), self.factor))
        return self.last(hidden).pow(2).mean()


def test_right_gradients_pass_in_every_tensor_and_direction():
    net = Net()
    for seed in range(20):
        checks = directional_checks(net, net.named_parameters(), generator=seeded(seed))
        assert [check.name for check in checks] == [name for name, _ in net.named_parameters()]
        assert all(check.ok for check in checks)


@pytest.mark.parametrize("factor", [-1.0, 0.0, 2.0, 1.001])
def test_a_wrong_gradient_is_found_from_the_middle_layer_down(factor):
    net = Net(factor)
    checks = directional_checks(net, net.named_parameters(), generator=seeded())
    failed = [check.name for check in checks if not check.ok]
    assert failed == ["first.weight", "first.bias", "middle.weight", "middle.bias"]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad])
def test_gradients_are_found_whatever_mode_the_caller_is_in(mode):
    weights = torch.ones(1, dtype=torch.float64, requires_grad=True)
    with mode():
        [check] = directional_checks(lambda: (3 * weights).sum(), {"w": weights}, generator=seeded())
    assert check.ok and abs(check.analytic) == 3 and abs(check.numeric) == pytest.approx(3)


def test_a_wrong_gradient_of_one_tensor_fails_that_tensor_alone():
    net = Net()
    net.middle.weight.register_hook(lambda gradient: 1.001 * gradient)
    checks = directional_checks(net, net.named_parameters(), generator=seeded())
    assert [check.name for check in checks if not check.ok] == ["middle.weight"]


def test_an_error_shows_with_its_length_divided_by_the_root_of_the_number_of_weights():
    weights = doubles(20, 20).requires_grad_()
    weights.register_hook(lambda gradient: gradient + 0.1)  # wrong by 0.1 in each of 400 weights: by a length of 2
    generator = seeded()
    errors = [directional_checks(lambda: weights.sin().sum(), {"w": weights}, generator=generator)[0].error
              for _ in range(300)]
    assert np.mean(np.square(errors)) == pytest.approx(2**2 / 400, rel=4 * math.sqrt(2 / 300))  # 4 standard errors


def test_one_wrong_entry_among_thousands_is_found():
    weights = doubles(50, 50).requires_grad_()
    weights.register_hook(lambda gradient: gradient + torch.eye(2500, dtype=torch.float64)[777].view(50, 50) * 1e-3)
    [check] = directional_checks(lambda: weights.sin().sum(), {"w": weights}, generator=seeded(4))
    u = doubles(2500, seed=4)  # the check's direction, drawn again
    assert not check.ok and check.error == pytest.approx(1e-3 * abs(u[777] / u.norm()).item(), rel=1e-3)


def test_a_stray_detach_is_found_even_where_no_path_is_left():
    weights, other = doubles(3).requires_grad_(), doubles(3, seed=1).requires_grad_()
    for loss_fn in (lambda: weights.detach().exp().sum(), lambda: weights.detach().exp().sum() + other.sum()):
        check = directional_checks(loss_fn, {"w": weights, "other": other}, generator=seeded())[0]
        assert check.analytic == 0 and not check.ok


def shifted_softmax():
    """A softmax whose logits all share a bias, which it ignores: (bias, loss_fn)."""
    bias, logits = torch.ones(1, dtype=torch.float64, requires_grad=True), doubles(6)
    return bias, lambda: torch.softmax(logits + bias, 0) @ doubles(6, seed=1)


def test_a_true_zero_passes_by_atol_and_by_nothing_else():
    bias, loss_fn = shifted_softmax()
    for seed in range(5):
        [check] = directional_checks(loss_fn, [("bias", bias)], generator=seeded(seed))
        assert check.ok and abs(check.analytic) < 1e-15 and check.error < 1e-11
    unused = torch.ones(1, dtype=torch.float64, requires_grad=True)
    unused.register_hook(lambda gradient: gradient + 2.0**-40)  # the whole error: u is 1 or -1, the slope 0 exactly
    for atol, ok in ((2.0**-40, True), (2.0**-41, False), (0.0, False)):
        [check] = directional_checks(lambda: 0 * unused.sum(), {"w": unused}, atol=atol, rtol=1.0)
        assert (check.numeric, check.error, check.ok) == (0, 2.0**-40, ok)


def test_the_model_is_left_as_it_was_bit_for_bit():
    net = Net()
    net().backward()
    before = [(p.detach().clone(), p.grad.clone()) for p in net.parameters()]
    directional_checks(net, net.named_parameters(), generator=seeded())
    for parameter, (values, gradient) in zip(net.parameters(), before, strict=True):
        assert torch.equal(parameter, values) and torch.equal(parameter.grad, gradient)
        assert parameter.requires_grad


def test_the_model_is_left_as_it_was_where_the_loss_fails_on_the_way():
    weights = doubles(3).requires_grad_()
    before, calls = weights.detach().clone(), []

    def loss_fn():
        calls.append(weights.detach().clone())
        if len(calls) == 5:  # two for steadiness, one for the gradient, L(W + hu), and then this
            raise RuntimeError("out of memory")
        return weights.sin().sum()

    with pytest.raises(RuntimeError, match="out of memory"):
        directional_checks(loss_fn, {"w": weights})
    assert not torch.equal(calls[-1], before) and torch.equal(weights, before)


@pytest.mark.parametrize("function", [lambda w: w.abs().sqrt(), lambda w: (1e7 * w).exp()], ids=["nan", "infinity"])
def test_nan_and_infinity_never_pass(function):
    weights = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    [check] = directional_checks(lambda: function(weights).sum(), {"w": weights})
    assert not math.isfinite(check.error) and not check.ok


def test_the_directions_come_from_the_generator():
    net = Net()
    one, same, other = (directional_checks(net, net.named_parameters(), generator=seeded(s)) for s in (1, 1, 2))
    assert one == same and one != other


def test_a_loss_that_is_not_one_float64_number_is_refused():
    weights = doubles(3).requires_grad_()
    with pytest.raises(ValueError, match="one float64 number, got shape .* in float32"):
        directional_checks(lambda: weights.float().sum(), {"w": weights})
    with pytest.raises(ValueError, match=r"one float64 number, got shape \(3,\)"):
        directional_checks(lambda: weights.sin(), {"w": weights})


def test_a_loss_that_changes_from_call_to_call_is_refused():
    weights = doubles(50).requires_grad_()
    with pytest.raises(ValueError, match=r"computed again.*model.eval\(\)"):
        directional_checks(lambda: nn.functional.dropout(weights, 0.1).sum(), {"w": weights})
    calls = itertools.count()  # a thousand times the noise that is let pass
    with pytest.raises(ValueError, match="computed again"):
        directional_checks(lambda: weights.sum() + 1e-11 * next(calls), {"w": weights})


def test_float32_frozen_and_unnamed_parameters_are_refused():
    net = Net().float()
    with pytest.raises(ValueError, match=r"first.weight is float32.*model.double\(\)"):
        directional_checks(net, net.named_parameters())
    net.double()
    with pytest.raises(ValueError, match="named_parameters"):
        directional_checks(net, net.parameters())
    net.middle.weight.requires_grad_(False)
    with pytest.raises(ValueError, match="middle.weight is frozen"):
        directional_checks(net, net.named_parameters())


@pytest.mark.parametrize("step", [0.0, -1e-3, math.nan, math.inf])
def test_a_step_that_goes_nowhere_back_or_too_far_is_refused(step):
    net = Net()
    with pytest.raises(ValueError, match="step must be positive"):
        directional_checks(net, net.named_parameters(), step=step)


def test_what_gives_nothing_to_check_is_told():
    net = Net()
    spent = net.named_parameters()
    assert len(list(spent)) == 6
    with pytest.raises(ValueError, match="must be a tensor.*without .item"):
        directional_checks(lambda: net().item(), net.named_parameters())
    for empty in ({}, spent):
        with pytest.raises(ValueError, match="no parameters to check"):
            directional_checks(net, empty)
    for tolerance in ({"atol": -1.0}, {"rtol": -1.0}, {"atol": math.nan}):
        with pytest.raises(ValueError, match="tolerances must be at least 0"):
            directional_checks(net, net.named_parameters(), **tolerance)


@pytest.mark.parametrize("name", [*tiny.ENCODERS, "gpt2"])  # Llama's norms are computed in float32 in any model
def test_every_tensor_of_a_whole_reward_model_passes(name):
    model = tiny.reward_model(name).double()
    pairs = [PreferencePair("What is the capital of France?", "Paris is the capital.", "London!")]
    batch = model.collate(encode(model.tokenizer, pairs, model.encoding))

    def loss_fn():
        rewards = model(**batch)  # (2,)
        return bradley_terry_loss(rewards[:1], rewards[1:])

    checks = directional_checks(loss_fn, model.named_parameters(), generator=seeded())
    assert not [check for check in checks if not check.ok]
    zero = [check.name for check in checks if abs(check.analytic) < 1e-15]
    assert "head.bias" in zero and len(zero) < len(checks) / 2
