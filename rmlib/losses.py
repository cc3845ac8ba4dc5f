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

    chosen, rejected: rewards of the two responses, both (B,), any floating dtype; computed in at least float32.
    target_margin: m, the wanted gap, (B,) or None for zero.
    reduction: "mean" over the pairs, "sum", or "none" for the (B,) losses.

    Raises ValueError when the shapes differ or are not (B,): (B, 1) against (B,) would broadcast to (B, B) in silence.
    Source: Bradley and Terry (1952), Biometrika 39, 324-345; as a reward-model loss, Ouyang et al. (2022),
    arXiv:2203.02155, eq. 1 with K = 2; target margin, Touvron et al. (2023), arXiv:2307.09288, eq. 2.
    """
    margin = _difference(chosen, rejected)  # (B,) Δ
    if target_margin is not None:
        if target_margin.shape != chosen.shape:
            raise ValueError(f"target_margin must be {tuple(chosen.shape)}, got {tuple(target_margin.shape)}")
        margin = margin - target_margin
    return _reduce(_softplus(-margin), reduction)


def smoothed_loss(chosen: Tensor, rejected: Tensor, smoothing: float, reduction: str = "mean") -> Tensor:
    """Label smoothing: (1 − s) softplus(−Δ) + s softplus(Δ), the expected loss where a share s of labels is flipped.

    chosen, rejected, reduction: as in bradley_terry_loss.
    smoothing: s in [0, 1/2]. For 0 < s its minimum is finite, at Δ = log((1 − s) / s).

    Raises ValueError for other shapes or another s.
    Source: label smoothing, Szegedy et al. (2016), CVPR, arXiv:1512.00567; for preferences, Mitchell (2023),
    "A note on DPO with noisy preferences and relationship to IPO", eq. 3; for reward models, Wang et al. (2024),
    arXiv:2401.06080.
    """
    if not 0 <= smoothing <= 0.5:
        raise ValueError(f"smoothing must be from 0 to 0.5, got {smoothing}; above that, swap chosen and rejected")
    margin = _difference(chosen, rejected)
    return _reduce((1 - smoothing) * _softplus(-margin) + smoothing * _softplus(margin), reduction)


def centring_penalty(chosen: Tensor, rejected: Tensor, weight: float) -> Tensor:
    """λ · mean((r_chosen + r_rejected)²), to be added to a loss of differences, which leaves the sum free.

    chosen, rejected: (B,). weight: λ >= 0, finite.

    Raises ValueError for other shapes or another weight.
    Source: Eisenstein et al. (2024), "Helping or Herding?", COLM, arXiv:2312.09244, eq. 2.
    """
    if not 0 <= weight < math.inf:
        raise ValueError(f"the weight of the penalty must be >= 0 and finite, got {weight}")
    return weight * _reduce(_difference(chosen, -rejected).square(), "mean")


def ranking_loss(rewards: Tensor) -> Tensor:
    """Mean over B rankings of 1 / C(K, 2) times the sum over their pairs of −log σ(r_better − r_worse).

    rewards: (B, K), each row from the best response to the worst. With K = 2 it is bradley_terry_loss.

    Raises ValueError unless rewards are (B, K) with K >= 2.
    Source: Ouyang et al. (2022), arXiv:2203.02155, eq. 1.
    """
    _require_rankings(rewards)
    places = rewards.shape[1]
    better, worse = torch.triu_indices(places, places, offset=1, device=rewards.device)  # (C(K, 2),) each
    return bradley_terry_loss(rewards[:, better].flatten(), rewards[:, worse].flatten())


def plackett_luce_loss(rewards: Tensor) -> Tensor:
    """Mean over B rankings of −log Π_k e^(r_k) / Σ_(j >= k) e^(r_j): the best drawn first, then the best of the rest.

    Each step is a Bradley-Terry loss against the rest taken together, softplus(log Σ_(j > k) e^(r_j) − r_k).
    rewards: (B, K), each row from the best response to the worst. With K = 2 it is bradley_terry_loss.

    Raises ValueError unless rewards are (B, K) with K >= 2.
    Source: Luce (1959), Individual Choice Behavior, Wiley; Plackett (1975), Applied Statistics 24, 193-202.
    """
    _require_rankings(rewards)
    rewards = _at_least_float32(rewards)
    rest = torch.logcumsumexp(rewards.flip(1), dim=1).flip(1)  # (B, K) log of the strength of k and all after it
    return _reduce(_softplus(rest[:, 1:] - rewards[:, :-1]).sum(dim=1), "mean")


def rao_kupper_loss(
    first: Tensor, second: Tensor, outcome: Tensor, threshold: Tensor | float, reduction: str = "mean"
) -> Tensor:
    """Negative log-likelihood with ties, where a win takes a lead: P(first) = σ(Δ − c), P(second) = σ(−Δ − c).

    What remains is P(tie) = (e^(2c) − 1) σ(Δ − c) σ(−Δ − c); at Δ = 0 it is tanh(c / 2).
    first, second: rewards, (B,); Δ = first − second. outcome: int64 (B,): 1 first wins, 0 tie, −1 second wins.
    threshold: c > 0, a finite number or a scalar tensor, which may be learned. reduction: as in bradley_terry_loss.

    Raises ValueError for other shapes or outcomes, or unless 0 < c < ∞.
    Source: Rao and Kupper (1967), J. Am. Stat. Assoc. 62, 194-204; their parameter is e^c.
    """
    margin = _difference(first, second)
    threshold = torch.as_tensor(threshold, dtype=margin.dtype, device=margin.device)
    if threshold.dim() or not 0 < threshold < math.inf:
        raise ValueError(f"the threshold must be one number > 0, and finite, got {threshold.tolist()}")
    first_wins, second_wins = -_softplus(threshold - margin), -_softplus(threshold + margin)  # (B,) log-probabilities
    tie = first_wins + second_wins + 2 * threshold + torch.log(-torch.expm1(-2 * threshold))
    return _negative_log_likelihood(torch.stack([second_wins, tie, first_wins], dim=1), outcome, reduction)


def davidson_loss(
    first: Tensor, second: Tensor, outcome: Tensor, log_tie: Tensor | float, reduction: str = "mean"
) -> Tensor:
    """Negative log-likelihood with ties, in the proportions first : tie : second = e^(Δ/2) : ν : e^(−Δ/2).

    So P(first) / P(second) = e^Δ, as in Bradley-Terry; at Δ = 0, P(tie) is ν / (2 + ν).
    first, second, outcome, reduction: as in rao_kupper_loss.
    log_tie: log ν, a number or a scalar tensor, which may be learned; −∞ forbids ties.

    Raises ValueError for other shapes or outcomes, or where log ν is +∞ or nan.
    Source: Davidson (1970), J. Am. Stat. Assoc. 65, 317-328.
    """
    margin = _difference(first, second)
    log_tie = torch.as_tensor(log_tie, dtype=margin.dtype, device=margin.device)
    if log_tie.dim() or not log_tie < math.inf:
        raise ValueError(f"log_tie must be one number, finite or -infinity, got {log_tie.tolist()}")
    logits = torch.stack([-margin / 2, log_tie.expand_as(margin), margin / 2], dim=1)  # (B, 3)
    return _negative_log_likelihood(logits.log_softmax(dim=1), outcome, reduction)


def _at_least_float32(scores: Tensor) -> Tensor:
    return scores.to(torch.promote_types(scores.dtype, torch.float32))


def _softplus(z: Tensor) -> Tensor:
    return F.softplus(z, threshold=36)  # past it z stands for softplus(z): at the usual 20 too soon for float64


def _difference(chosen: Tensor, rejected: Tensor) -> Tensor:
    if chosen.dim() != 1 or chosen.shape != rejected.shape:
        raise ValueError(
            f"rewards must be two vectors of one length, got {tuple(chosen.shape)} and {tuple(rejected.shape)}; "
            "squeeze the last axis of (B, 1) scores"
        )
    return _at_least_float32(chosen) - _at_least_float32(rejected)


def _require_rankings(rewards: Tensor) -> None:
    if rewards.dim() != 2 or rewards.shape[1] < 2:
        raise ValueError(f"rankings must be (B, K) with K >= 2, best response first, got {tuple(rewards.shape)}")


def _negative_log_likelihood(log_probabilities: Tensor, outcome: Tensor, reduction: str) -> Tensor:
    if outcome.shape != log_probabilities.shape[:1] or outcome.dtype != torch.int64 or (outcome.abs() > 1).any():
        raise ValueError(
            f"outcome must be int64 of shape {tuple(log_probabilities.shape[:1])}: 1 first wins, 0 tie, -1 second wins"
        )
    return _reduce(-log_probabilities.gather(1, outcome[:, None] + 1).squeeze(1), reduction)


def _reduce(losses: Tensor, reduction: str) -> Tensor:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'reduction must be "mean", "sum" or "none", got {reduction!r}')
    if reduction == "mean" and not losses.numel():
        raise ValueError("the batch is empty, and has no mean: leave it out")
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()
