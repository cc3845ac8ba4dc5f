"""The Bradley-Terry loss and its variants: pure functions of scores, which know nothing of models or text.

Scores may have any floating dtype; every loss is computed in at least float32. softplus(z) = log(1 + e^z).
A mean over an empty batch is no number: ValueError.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def bradley_terry_loss(
    chosen: Tensor, rejected: Tensor, target_margin: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Negative log-likelihood of the choices: −log σ(r_chosen − r_rejected − m), as softplus(−(Δ − m)).

    chosen, rejected: rewards of the two responses, both (B,).
    target_margin: m, the wanted gap, (B,) or None for zero.
    reduction: "mean" over the pairs, "sum", or "none" for the (B,) losses.

    Raises ValueError when the shapes differ or are not (B,): (B, 1) against (B,) would broadcast to (B, B) in silence.
    Source: Bradley and Terry (1952), Biometrika 39, 324-345; as a reward-model loss, Ouyang et al. (2022),
    arXiv:2203.02155, eq. 1 with K = 2; target margin, Touvron et al. (2023), arXiv:2307.09288, eq. 2.
    """
    _require_pairs(chosen, rejected)
    margin = _at_least_float32(chosen) - _at_least_float32(rejected)  # (B,) Δ
    if target_margin is not None:
        if target_margin.shape != chosen.shape:
            raise ValueError(f"target_margin must be {tuple(chosen.shape)}, got {tuple(target_margin.shape)}")
        margin = margin - target_margin
    # Past the threshold z stands for softplus(z): at the usual 20 too soon for float64.
    return _reduce(F.softplus(-margin, threshold=36), reduction)


def smoothed_loss(
    chosen: Tensor, rejected: Tensor, smoothing: float, target_margin: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Label smoothing: (1 − s) softplus(m − Δ) + s softplus(m + Δ), the expected loss where a share s is flipped.

    chosen, rejected, target_margin, reduction: as in bradley_terry_loss.
    smoothing: s in [0, 1/2]. For 0 < s its minimum is finite; without m it is at Δ = log((1 − s) / s).

    Raises ValueError for other shapes or another s.
    Source: label smoothing, Szegedy et al. (2016), CVPR, arXiv:1512.00567; for preferences, Mitchell (2023),
    "A note on DPO with noisy preferences and relationship to IPO", eq. 3; for reward models, Wang et al. (2024),
    arXiv:2401.06080.
    """
    if not 0 <= smoothing <= 0.5:
        raise ValueError(f"smoothing must be from 0 to 0.5, got {smoothing}; above that, swap chosen and rejected")
    as_labelled = bradley_terry_loss(chosen, rejected, target_margin, reduction)
    if not smoothing:
        return as_labelled
    return (1 - smoothing) * as_labelled + smoothing * bradley_terry_loss(rejected, chosen, target_margin, reduction)


def centring_penalty(chosen: Tensor, rejected: Tensor, weight: float, reduction: str = "mean") -> Tensor:
    """λ · mean((r_chosen + r_rejected)²), to be added to a loss of differences, which leaves the sum free.

    chosen, rejected: (B,). weight: λ >= 0, finite. reduction: as in bradley_terry_loss.

    Raises ValueError for other shapes or another weight.
    Source: Eisenstein et al. (2024), "Helping or Herding?", COLM, arXiv:2312.09244, eq. 2.
    """
    if not 0 <= weight < math.inf:
        raise ValueError(f"the weight of the penalty must be >= 0 and finite, got {weight}")
    _require_pairs(chosen, rejected)
    return weight * _reduce((_at_least_float32(chosen) + _at_least_float32(rejected)).square(), reduction)


def _at_least_float32(scores: Tensor) -> Tensor:
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def _require_pairs(chosen: Tensor, rejected: Tensor) -> None:
    if chosen.dim() != 1 or chosen.shape != rejected.shape:
        raise ValueError(
            f"rewards must be two vectors of one length, got {tuple(chosen.shape)} and {tuple(rejected.shape)}; "
            "squeeze the last axis of (B, 1) scores"
        )


def _reduce(losses: Tensor, reduction: str) -> Tensor:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'reduction must be "mean", "sum" or "none", got {reduction!r}')
    if reduction == "mean" and not losses.numel():
        raise ValueError("the batch is empty, and has no mean: leave it out")
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()
