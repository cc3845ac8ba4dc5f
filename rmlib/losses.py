"""The Bradley-Terry loss: pure functions of scores, which know nothing of models or text."""

import torch
import torch.nn.functional as F
from torch import Tensor


def bradley_terry_loss(
    chosen: Tensor, rejected: Tensor, target_margin: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Negative log-likelihood of the choices: −log σ(r_chosen − r_rejected − m), as softplus(−(Δ − m)).

    chosen, rejected: rewards of the two responses, both (B,), any floating dtype; computed in at least float32.
    target_margin: m, the wanted gap, (B,) or None for zero.
    reduction: "mean" over the pairs, "sum", or "none" for the (B,) losses.

    Raises ValueError when the shapes differ or are not (B,): (B, 1) against (B,) would broadcast to (B, B) in silence.
    Source: Bradley and Terry (1952), Biometrika 39, 324-345; as a reward-model loss, Ouyang et al. (2022),
    arXiv:2203.02155, eq. 1 with K = 2; target margin, Touvron et al. (2023), arXiv:2307.09288, eq. 2.
    """
    if chosen.dim() != 1 or chosen.shape != rejected.shape:
        raise ValueError(
            f"rewards must be two vectors of one length, got {tuple(chosen.shape)} and {tuple(rejected.shape)}; "
            "squeeze the last axis of (B, 1) scores"
        )
    if target_margin is not None and target_margin.shape != chosen.shape:
        raise ValueError(f"target_margin must be {tuple(chosen.shape)}, got {tuple(target_margin.shape)}")
    dtype = torch.promote_types(chosen.dtype, torch.float32)
    margin = chosen.to(dtype) - rejected.to(dtype)  # (B,) Δ
    if target_margin is not None:
        margin = margin - target_margin
    losses = F.softplus(-margin, threshold=36)  # past it x stands for softplus(x): at the usual 20 too soon for float64
    if reduction == "none":
        return losses
    if reduction not in ("mean", "sum"):
        raise ValueError(f'reduction must be "mean", "sum" or "none", got {reduction!r}')
    return losses.mean() if reduction == "mean" else losses.sum()
