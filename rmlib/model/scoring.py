"""Rewards of many pairs, dropout off, by one process or several; and the loss of a single comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from torch import Tensor

from rmlib.encoding import EncodedPair, EncodingSpec, collate, encode, micro_batches, tell_cuts
from rmlib.losses import bradley_terry_loss
from rmlib.pairs import PreferencePair, Turn
from rmlib.pairs.messages import text_of
from rmlib.pairs.pair import shown

if TYPE_CHECKING:
    from rmlib.model.reward_model import RewardModel


def score_pairs(model: RewardModel, pairs: Sequence[PreferencePair], token_budget: int = 8192) -> np.ndarray:
    """Rewards of every pair, dropout off: (2, N) float32, the chosen responses' and the rejected ones', in order."""
    encoded = encode(model.tokenizer, pairs, model.encoding)
    tell_cuts(encoded, len(pairs))
    return score_encoded(model, encoded, token_budget)


def score_pairs_distributed(
    model: RewardModel, pairs: Sequence[PreferencePair], token_budget: int = 8192
) -> np.ndarray:
    """score_pairs with the pairs dealt out to the processes: (2, N) float32, in order."""
    encoded = encode(model.tokenizer, pairs, model.encoding)
    tell_cuts(encoded, len(pairs))
    return score_encoded_distributed(model, encoded, token_budget)


def score_encoded_distributed(
    model: RewardModel, encoded: Sequence[EncodedPair], token_budget: int = 8192
) -> np.ndarray:
    """As `score_encoded`, the pairs dealt out to the processes: (2, N) float32."""
    state = PartialState()
    scores = np.empty((2, len(encoded)), dtype=np.float32)
    mine = [replace(pair, index=at) for at, pair in enumerate(encoded[state.process_index :: state.num_processes])]
    for rank, theirs in enumerate(gather_object([score_encoded(model, mine, token_budget)])):
        scores[:, rank :: state.num_processes] = theirs
    return scores


def score_encoded(model: RewardModel, encoded: Sequence[EncodedPair], token_budget: int = 8192) -> np.ndarray:
    """As `score_pairs`, of pairs that are encoded already, all of a list: (2, N) float32."""
    scores = np.full((2, len(encoded)), np.nan, dtype=np.float32)
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for batch in micro_batches(encoded, token_budget):
                index = [pair.index for pair in batch]
                scores[:, index] = model(**model.collate(batch)).view(2, -1).float().cpu().numpy()
        # One sequence scored twice is a tie, though its place in a batch can move the last bit.
        same = [pair.index for pair in encoded if pair.identical]
        scores[1, same] = scores[0, same]
    finally:
        model.train(training)
    return scores


def encode_responses(
    tokenizer, turns: Sequence[Turn], responses: Sequence[str], spec: EncodingSpec
) -> list[EncodedPair]:
    """Responses after the same turns, two in each pair, in order (of an odd number the last one twice), with one cut.

    Raises ValueError where there is no response, or one is no text.
    """
    if isinstance(responses, str | Mapping) or not len(responses):
        raise ValueError(f"responses should be a list of texts, at least one, not {shown(responses)}")
    texts = [text_of(each, f"response {number}").strip() for number, each in enumerate(responses)]
    in_twos = zip(texts[::2], [*texts[1::2], texts[-1]])
    pairs = [PreferencePair(turns, one, other) for one, other in in_twos]
    return encode(tokenizer, pairs, spec, same_cut=True)


def compute_pairwise_loss(
    model: RewardModel, tokenizer, prompt: str, good_response: str, bad_response: str, device: torch.device | str
) -> tuple[Tensor, float, float]:
    """Bradley-Terry loss of one comparison: (loss, a scalar tensor to call .backward() on; good score; bad score).

    prompt: one human turn, or what `PreferencePair.prompt` gives for several. Both responses, stripped, go through the
    model in one forward, encoded as the model's own encoding says.
    """
    [pair] = encode(tokenizer, [PreferencePair(prompt, good_response.strip(), bad_response.strip())], model.encoding)
    batch = collate([pair], model.encoding, tokenizer.pad_token_id or 0)
    rewards = model(**{name: tensor.to(device) for name, tensor in batch.items()})  # (2,)
    loss = bradley_terry_loss(rewards[:1], rewards[1:])
    return loss, rewards[0].item(), rewards[1].item()
