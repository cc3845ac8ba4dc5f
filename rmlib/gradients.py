"""Derivatives by differences, to hold a gradient in code against the function that it should belong to.

Such a check tests that the gradient is the derivative of the code, where it looks; not that the code is what was meant.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

Numbers = float | complex | np.ndarray | Tensor


def central_difference(function: Callable[[Numbers], Numbers], point: Numbers, step: float) -> Numbers:
    """(f(x + h) − f(x − h)) / 2h, off by about h² |f'''(x)| / 6, and by rounding, of the size of eps |f(x)| / h.

    point: x, a number or an array or tensor of them, where f works on each by itself; step: h.

    Raises ValueError unless 0 < step < ∞.
    """
    require_positive(step)
    return (function(point + step) - function(point - step)) / (2 * step)


class DirectionalCheck(NamedTuple):
    """The derivative of a loss along one random direction in one parameter tensor, found in two ways."""

    name: str
    analytic: float  # gradient · direction
    numeric: float  # central difference along the direction
    error: float  # |analytic − numeric|
    ok: bool  # error <= atol + rtol |numeric|


def directional_checks(
    loss_fn: Callable[[], Tensor], parameters: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]],
    step: float = 1e-4, generator: torch.Generator | None = None, atol: float = 1e-10, rtol: float = 1e-6,
) -> list[DirectionalCheck]:
    """For each parameter tensor W: is autograd's gradient, along a random unit vector u, the slope of the loss there?

    gradient · u is held against (L(W + hu) − L(W − hu)) / 2h. A gradient that is wrong by a vector δ shows the error
    δ · u, which is zero with probability zero, and typically |δ|/√N in a tensor of N weights: unseen are errors up to
    about √N times the tolerance. (The slope shrinks by √N too, so rtol loses nothing by it.) Where a tensor's true
    derivative is zero a relative error means nothing, and atol speaks.

    loss_fn: takes nothing, gives the loss, a float64 scalar, the same one at every call (no dropout).
    parameters: names and tensors, as model.named_parameters() gives them; all float64, all requiring gradients.
    step: h, the length of a step in the whole tensor, about h/√N in each weight; 1e-4 suits a net, which hardly bends.
    generator: where u is drawn from, a CPU generator; None is torch's own.

    Returns a DirectionalCheck for each tensor, in order. The parameters and their .grad are left as they were, bit for
    bit.
    Raises ValueError for float32, for unnamed, frozen or no parameters, a loss that is no scalar tensor or not float64
    or that changes from call to call, unless 0 < step < ∞, and for a tolerance below zero.
    """
    require_positive(step)
    if not (atol >= 0 and rtol >= 0):
        raise ValueError(f"tolerances must be at least 0, got atol={atol!r}, rtol={rtol!r}")
    named = _named_doubles(parameters)
    _require_steady(loss_fn, atol * step)
    checks = []
    for (name, parameter), gradient in zip(named.items(), _gradients(loss_fn, named), strict=True):
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        direction = (direction / direction.norm()).to(parameter.device)
        analytic = (gradient * direction).sum().item()
        numeric = _slope(loss_fn, parameter, direction, step)
        error = abs(analytic - numeric)
        ok = math.isfinite(error) and error <= atol + rtol * abs(numeric)
        checks.append(DirectionalCheck(name, analytic, numeric, error, ok))
    return checks


def _slope(loss_fn: Callable[[], Tensor], parameter: Tensor, direction: Tensor, step: float) -> float:
    """The central difference of the loss along a direction in one parameter, which is put back as it was."""
    original = parameter.detach().clone()  # W + hu − hu would not be W again, by rounding

    def loss_at(distance: float) -> float:
        parameter.copy_(original + distance * direction)
        return loss_fn().item()

    with torch.no_grad():
        try:
            return central_difference(loss_at, 0.0, step)  # type: ignore[arg-type, return-value]
        finally:
            parameter.copy_(original)


@torch.enable_grad()
def _gradients(loss_fn: Callable[[], Tensor], named: dict[str, Tensor]) -> list[Tensor]:
    """Autograd's gradients, zero for a parameter that the loss has no path to."""
    loss = loss_fn()
    if not loss.requires_grad:  # detached as a whole: zeros again, which the differences will confirm or not
        return [torch.zeros_like(parameter) for parameter in named.values()]
    return list(torch.autograd.grad(loss, list(named.values()), materialize_grads=True))


def require_positive(step: float) -> None:
    if not 0 < step < math.inf:
        raise ValueError(f"the step must be positive and finite, got {step!r}")


def _named_doubles(parameters: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    try:
        named = dict(parameters)
        if any(isinstance(name, Tensor) for name in named):  # a tensor of two rows, which dict takes for one item
            raise TypeError
    except (TypeError, ValueError) as error:
        raise ValueError("parameters must come with names: give model.named_parameters() or a dict") from error
    if not named:
        raise ValueError("there are no parameters to check; an iterator such as model.named_parameters() gives them "
                         "once only: call it again")
    for name, parameter in named.items():
        if parameter.dtype != torch.float64:
            raise ValueError(f"{name} is {_dtype(parameter)}, whose rounding is far above the tolerance: turn the "
                             "model to float64 first, with model.double()")
        if not parameter.requires_grad:
            raise ValueError(f"{name} is frozen and has no gradient to check: leave it out, or thaw it with "
                             "requires_grad_()")
    return named


@torch.no_grad()
def _require_steady(loss_fn: Callable[[], Tensor], noise: float) -> None:
    """Raises ValueError unless the loss is a float64 scalar that is the same, up to `noise`, when computed again."""
    first, second = loss_fn(), loss_fn()
    if not isinstance(first, Tensor):
        raise ValueError(f"the loss must be a tensor, with its path back to the parameters, got {first!r:.80}: give it "
                         "back as it is, without .item() or float()")
    if first.dim() != 0 or first.dtype != torch.float64:
        raise ValueError(f"the loss must be one float64 number, got shape {tuple(first.shape)} in {_dtype(first)}: "
                         "reduce it over the batch, and convert to float32 nowhere on its way")
    if abs(first - second) > noise:
        raise ValueError(f"the loss is {first.item()} and, computed again, {second.item()}: turn off what is random, "
                         "with model.eval() for dropout")


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
