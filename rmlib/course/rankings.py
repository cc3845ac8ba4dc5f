"""Losses of whole rankings, as notebook 02 derives them: over all their pairs, or the best, then the next best."""

import torch
from torch import Tensor

from rmlib.losses import bradley_terry_loss


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
    rewards = rewards.to(torch.promote_types(rewards.dtype, torch.float32))
    rest = torch.logcumsumexp(rewards.flip(1), dim=1).flip(1)  # (B, K) log of the strength of k and all after it
    return bradley_terry_loss(rewards[:, :-1].flatten(), rest[:, 1:].flatten(), reduction="sum") / len(rewards)


def _require_rankings(rewards: Tensor) -> None:
    if rewards.dim() != 2 or rewards.shape[1] < 2:
        raise ValueError(f"rankings must be (B, K) with K >= 2, best response first, got {tuple(rewards.shape)}")
    if not len(rewards):
        raise ValueError("the batch is empty, and has no mean: leave it out")
