"""What moves a reward, for notebook 05: batches padded on either side by any number of columns, poolings that forget
the mask, and changes that must not move a reward beside others that do."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rmlib.encoding import collate, encode
from rmlib.model import RewardModel, pool, position_ids
from rmlib.pairs import PreferencePair

HEADS = 200  # random heads that order the pairs
PADS = 17  # columns of padding that are added


def padded(model: RewardModel, pairs: Sequence[PreferencePair], side: str = "right",
           extra: int = 0) -> dict[str, Tensor]:
    """One batch on the model's device, chosen rows first, with `extra` columns of padding on `side`: (2P, T) each."""
    encoded = encode(model.tokenizer, pairs, model.encoding)
    batch = collate(encoded, model.encoding, model.tokenizer.pad_token_id or 0, side)
    columns = (extra, 0) if side == "left" else (0, extra)
    return {name: F.pad(tensor, columns).to(model.head.weight.device) for name, tensor in batch.items()}


@torch.no_grad()
def padded_rewards(model: RewardModel, pairs: Sequence[PreferencePair], side: str = "right", extra: int = 0,
                   forwards: int = 1) -> np.ndarray:
    """The rewards of `padded`'s rows, (2P,), in one forward pass or in several, as the model is: it may be training."""
    batch = padded(model, pairs, side, extra)
    parts = [{name: rows.chunk(forwards)[at] for name, rows in batch.items()} for at in range(forwards)]
    return torch.cat([model(**part) for part in parts]).float().cpu().numpy()


def singly(model: RewardModel, pairs: Sequence[PreferencePair]) -> np.ndarray:
    """The rewards (2P,) of pairs that have a batch each."""
    return np.stack([padded_rewards(model, [pair]) for pair in pairs], axis=1).ravel()


@torch.no_grad()
def orders_turned(model: RewardModel, pairs: Sequence[PreferencePair], pads: Sequence[int],
                  poolings: dict[str, tuple[str, Callable[[Tensor], Tensor]]]) -> tuple[dict, dict]:
    """Side -> pooling's name -> share of pairs, over 200 random heads, whose order is not the one that the mask gives
    without added columns: first 0, of responses alone, then one for each number of columns in `pads`. Once pooled in a
    hurry, once by the mask. `poolings`: name -> (what `pool` calls it, what one writes in a hurry: vectors (2P, T, H)
    to pooled ones (2P, H)).
    """
    heads = torch.randn(model.head.in_features, HEADS, generator=torch.Generator().manual_seed(0))

    def order(pooled: Tensor) -> Tensor:  # (2P, H) -> (P, 200) of bools
        return torch.sub(*(pooled @ heads.to(pooled)).chunk(2)) > 0

    def vectors(side: str, extra: int) -> tuple[Tensor, Tensor]:  # (2P, T, H), (2P, T)
        batch = padded(model, pairs, side, extra)
        positions = position_ids(batch["attention_mask"])
        return model.backbone(**batch, position_ids=positions).last_hidden_state, batch["attention_mask"]

    truth = {name: order(pool(*vectors("right", 0), by_mask)) for name, (by_mask, _) in poolings.items()}
    hurried, masked = (
        {side: {name: [0.0] for name in poolings} for side in ("right", "left")} for _ in range(2))
    for side in hurried:
        for extra in pads:
            hidden, mask = vectors(side, extra)
            for name, (by_mask, in_a_hurry) in poolings.items():
                for found, pooled in ((hurried, in_a_hurry(hidden)), (masked, pool(hidden, mask, by_mask))):
                    found[side][name].append((order(pooled) != truth[name]).float().mean().item())
    return hurried, masked


def what_moves(model: RewardModel, decoder: RewardModel, pairs: Sequence[PreferencePair]) -> tuple[dict, dict]:
    """Change -> by how much it moves each reward, (2P,), or each margin or first response's reward, (P,): what must
    move none, and what does. Models that pad, as given, are needed to see the former."""
    alone, together = singly(model, pairs), padded_rewards(model, pairs)  # (2P,) each
    raised, unended, narrow, noisy, coarse = (copy.deepcopy(model) for _ in range(5))
    nn.init.constant_(raised.head.bias, 1.0)
    unended.encoding = replace(model.encoding, suffix=())
    narrow.encoding = replace(model.encoding, max_length=64)
    noisy.train()
    coarse.bfloat16()
    shuffled = np.random.default_rng(0).permutation(len(pairs))
    swapped = [replace(pair, chosen=pair.rejected, rejected=pair.chosen) for pair in pairs]

    def after_more(before: str, after: str = "") -> list[PreferencePair]:
        return [PreferencePair(before + pair.prompt, pair.chosen, pair.rejected + after) for pair in pairs]

    greeted, lengthy, beside = (after_more("Good morning. "), after_more(8 * "Good morning. "),
                                after_more(8 * "Good morning. ", " That reminds me of soup."))
    harmless = {
        f"{PADS} columns on the right": padded_rewards(model, pairs, "right", PADS) - alone,
        f"{PADS} columns on the left": padded_rewards(model, pairs, "left", PADS) - alone,
        f"a decoder, {PADS} on the left": padded_rewards(decoder, pairs, "left", PADS) - padded_rewards(decoder, pairs),
        f"batch of 1 pair or of {len(pairs)}": together - alone,
        "two forwards for one": padded_rewards(model, pairs, forwards=2) - together,
        "pairs in another order": padded_rewards(model, [pairs[i] for i in shuffled])
        - alone.reshape(2, -1)[:, shuffled].ravel(),
        "the bias raised: margin": margins(padded_rewards(raised, pairs)) - margins(together),
        "responses swapped: margin": margins(padded_rewards(model, swapped)) + margins(together),
    }
    moving = {
        "two words more: reward": padded_rewards(model, greeted) - alone,
        "two words more: margin": margins(padded_rewards(model, greeted)) - margins(alone),
        "no [SEP] at the end: margin": margins(padded_rewards(unended, pairs)) - margins(alone),
        f"bfloat16, batch of 1 or of {len(pairs)}": padded_rewards(coarse, pairs) - singly(coarse, pairs),
        "dropout left on": padded_rewards(noisy, pairs) - alone,
        "the other response, prompt cut": (padded_rewards(narrow, beside)
                                           - padded_rewards(narrow, lengthy))[: len(pairs)],
    }
    return harmless, moving


def margins(rewards: np.ndarray) -> np.ndarray:
    """(2P,) rewards, chosen first -> (P,) margins."""
    return np.subtract(*rewards.reshape(2, -1))
