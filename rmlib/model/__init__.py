"""The reward model: how it is built, how it scores, how it is saved and loaded (notebook 05)."""

from rmlib.model.reward_model import POOLINGS, RewardModel, pool, position_ids
from rmlib.model.scoring import compute_pairwise_loss, score_pairs, score_pairs_distributed

__all__ = [
    "POOLINGS", "RewardModel", "compute_pairwise_loss", "pool", "position_ids", "score_pairs",
    "score_pairs_distributed",
]
