"""Exercise 3.5: a start at log 2 that trains."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from rmlib.course.exercises.engine import Exercise


def xor_like(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """200 pairs of points in the plane, (P, 2) each: preferred is the one whose coordinates have the larger product."""
    phi = np.random.default_rng(seed).normal(size=(2, 200, 2))
    order = np.argsort(-phi.prod(axis=2), axis=0)[:, :, None]
    return tuple(torch.from_numpy(np.take_along_axis(phi, order, axis=0)))


def train_two_layers(below, head, chosen, rejected, steps=400):
    below, head = (torch.tensor(weights, requires_grad=True) for weights in (below, head))
    losses = []
    for _ in range(steps):
        margins = (F.relu(chosen @ below.T) - F.relu(rejected @ below.T)) @ head
        loss = F.softplus(-margins).mean()
        gradients = torch.autograd.grad(loss, [below, head])
        with torch.no_grad():
            for weights, gradient in zip((below, head), gradients, strict=True):
                weights -= gradient
        losses.append(loss.item())
    return losses


def judge_start(function: Callable, rng: np.random.Generator) -> str | None:
    first, last = [], []
    for seed in (1, 2, 3):
        below, head = (np.array(part, dtype=float) for part in function(np.random.default_rng(seed)))
        if below.shape != (16, 2) or head.shape != (16,):
            return f"Return W of shape (16, 2) and w of shape (16,), not {below.shape} and {head.shape}."
        if not (np.isfinite(below).all() and np.isfinite(head).all()):
            return "Some of these weights are no finite numbers."
        losses = train_two_layers(below, head, *xor_like(seed))
        first.append(np.abs(np.diff(np.maximum(np.stack(xor_like(seed)) @ below.T, 0) @ head, axis=0)).max())
        last.append(losses[-1])
    if max(first) > 1e-12 * max(1, np.abs(below).max() * np.abs(head).max()):
        return (f"A pair starts with a margin of {max(first):.1g}, so it is preferred without a reason: wanted is "
                "log 2 exactly, all margins zero.")
    if np.mean(last) <= 0.4:
        return None
    alike = np.ptp(below, axis=0).max() == 0 and np.ptp(head) == 0 and np.abs(below).max() > 0
    why = ("All units start alike, so they get one gradient and stay alike: sixteen do the work of one." if alike else
           "At the start no gradient reaches either layer: it is a saddle." if not below.any() and not head.any() else
           "Where every W φ is 0, so is relu's slope: no gradient reaches W, and none w." if not below.any() else
           "It moves, but not to where it could.")
    return f"It starts at log 2 and after 400 steps the loss is {np.mean(last):.3f}; wanted is below 0.4. {why}"


A_START = Exercise("3.5", judge=judge_start)
