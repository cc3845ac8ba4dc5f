"""Exercises 2.3 and 2.4 of notebook 02: a loss that is right at any margin, and one that takes any shape."""

import numpy as np
import torch
import torch.nn.functional as F

from rmlib.course.exercises.engine import Exercise
from rmlib.course.logistic import sigmoid

RIGHT_SIDE = (20.0, 30.0, 40.0, 60.0, 120.0, 300.0, 700.0)  # margins whose losses are small, and not 0
WRONG_SIDE = (-20.5, -40.0, -60.0, -95.0, -300.0, -600.0, -720.0, -1600.0)


def draw_scores(rng):
    batch = rng.integers(2, 9)
    return rng.normal(scale=3, size=batch), rng.normal(scale=3, size=batch)


def stable(chosen, rejected):
    return np.logaddexp(0, rejected - chosen)


def clipped(bound):
    return lambda c, r: stable(np.clip(c - r, -bound, bound), 0)


def of_the_other_side(bound):
    """What stands on the page, but for the bound: softplus(Δ) - Δ, with Δ clipped to ±bound."""
    return lambda c, r: np.logaddexp(0, np.clip(c - r, -bound, bound)) - np.clip(c - r, -bound, bound)


def lost_from(margin):
    return lambda c, r: np.where(c - r >= margin, 0, stable(c, r))


STABLE_LOSS = Exercise(
    "2.3",
    answer=stable,
    draw=draw_scores,
    edges=((np.array([0.0, *RIGHT_SIDE]), np.zeros(1 + len(RIGHT_SIDE))),
           (np.array(WRONG_SIDE) / 2, -np.array(WRONG_SIDE) / 2),
           (np.array([2.0**50 + 1, 2.0**50]), np.full(2, 2.0**50))),  # neighbours up there are 1/4 apart
    mistakes={
        "the margin is turned round: it is chosen minus rejected": lambda c, r: np.logaddexp(0, c - r),
        "the minus before the logarithm is missing": lambda c, r: -stable(c, r),
        "exp overflows far on the wrong side, and 1 + exp loses the digits on the right side":
            lambda c, r: np.log(1 + np.exp(r - c)),
        "σ is rounded to 1 on the right side, and exp overflows far on the wrong side":
            lambda c, r: -np.log(1 / (1 + np.exp(r - c))),
        "1 - σ is 0 far on the wrong side, and loses the digits on the right side":
            lambda c, r: -np.log(1 - 1 / (1 + np.exp(c - r))),
        "the digits are there, but exp overflows far on the wrong side": lambda c, r: np.log1p(np.exp(r - c)),
        "1 + exp loses the digits on the right side: log1p keeps them":
            lambda c, r: np.maximum(r - c, 0) + np.log(1 + np.exp(-np.abs(r - c))),
        "exp of a score overflows, though no margin does: form the margin first":
            lambda c, r: -np.log(np.exp(c) / (np.exp(c) + np.exp(r))),
        "exp of a score overflows, and less r_c the digits of a small loss are lost: form the margin first":
            lambda c, r: np.log(np.exp(c) + np.exp(r)) - c,
        "both bugs are still there": of_the_other_side(500),
        "far out on the right softplus(Δ) and Δ are nearly equal, and their difference loses the digits":
            of_the_other_side(np.inf),
        "where r_c, a large number, is subtracted, the digits of a small loss are lost: form the margin first":
            lambda c, r: np.logaddexp(c, r) - c,
        "1e-7 is added to the probability, and bounds the loss": lambda c, r: -np.log(1 / (1 + np.exp(r - c)) + 1e-7),
        "1e-12 is added to the probability, and bounds the loss": lambda c, r: -np.log(1 / (1 + np.exp(r - c)) + 1e-12),
        "max(-Δ, 0) is the corner alone: the rounding of it, log1p(exp(-|Δ|)), is missing":
            lambda c, r: np.maximum(r - c, 0),
        "the exponent is -|Δ|: without the bars the wrong side is counted twice":
            lambda c, r: np.maximum(r - c, 0) + np.log1p(np.exp(r - c)),
        "the exponent is -|Δ|, which is never positive; this is +|Δ|":
            lambda c, r: np.maximum(r - c, 0) + np.log1p(np.exp(np.abs(r - c))),
        "exp is missing inside log1p": lambda c, r: np.maximum(r - c, 0) + np.log1p(-np.abs(r - c)),
        "it is a straight line already at -20.5, and off by 1e-9 there, as torch's softplus with threshold=20":
            lambda c, r: F.softplus(torch.as_tensor(r - c)).numpy(),
        "far on the wrong side the loss is cut off": lambda c, r: np.minimum(stable(c, r), 100),
        "it is the probability of the choice, not its surprise": lambda c, r: sigmoid(c - r),
        "it is computed in float32, which has 7 digits and nothing between 0 and 1e-45":
            lambda c, r: stable(np.float32(c - r), np.float32(0)).astype(float),
        **{f"the margin is clipped to ±{bound}; no bound is needed": clipped(bound)
           for bound in (10, 15, 20, 30, 50, 80, 88, 100, 500, 700, 709, 1000)},
        **{f"at a margin of {margin:g} the loss is e^(-{margin:g}), small and not 0": lost_from(margin)
           for margin in RIGHT_SIDE},
    },
    rtol=1e-12,
    atol=0.0,
)


def judge_shapes(function, rng):
    """Two tensors of the same scores, pair by pair, of which the unguarded loss makes a wrong number."""
    result = function()
    if not (isinstance(result, tuple | list) and len(result) == 2 and all(torch.is_tensor(each) for each in result)):
        return "Two tensors are wanted: return chosen, rejected."
    if not all(each.is_floating_point() for each in result):
        return "Scores are floating-point numbers; of whole ones the unguarded loss is an error: write 2.0, not 2."
    chosen, rejected = (each.double() for each in result)
    shapes = f"{tuple(chosen.shape)} and {tuple(rejected.shape)}"
    if chosen.numel() != rejected.numel():
        return f"Of shapes {shapes} they hold different numbers of scores: there is one chosen for each rejected."
    if chosen.numel() < 2:
        return "With a single pair there is nothing to mix up: take two or more."
    if not (chosen.isfinite().all() and rejected.isfinite().all()):
        return "Ordinary scores are wanted: all of them finite."
    if chosen.shape == rejected.shape:
        return f"Both have the shape {tuple(chosen.shape)}: pair stands against pair, and the mean is right."
    try:
        margin = chosen - rejected
    except RuntimeError:
        return f"Of shapes {shapes} the difference is an error, which nobody overlooks: find two that pass in silence."
    if margin.numel() == chosen.numel():
        return (f"Of shapes {shapes} the difference is {tuple(margin.shape)}: pair stands against pair still, and the "
                "mean is right. Which two shapes make more differences than there are pairs?")
    wrong = F.softplus(-margin).mean().item()
    true = F.softplus(rejected.flatten() - chosen.flatten()).mean().item()
    if abs(wrong - true) > 1e-6:
        return None
    return (f"Of shapes {shapes} they do broadcast, to {tuple(margin.shape)}, but the mean is {wrong:.7f} and should "
            f"be {true:.7f}: scores as equal as these hide the bug.")


FIND_BROADCAST = Exercise("2.4", judge=judge_shapes)
