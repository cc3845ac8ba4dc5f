"""What a backbone does, found by trying: a few short texts alone, in one batch, beside a longer one, with gradients.

Architectures are many, and names promise little; what is tried here is asked of all alike.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from rmlib.model.unpadded import UNPADDED_FAMILIES

if TYPE_CHECKING:
    from rmlib.model.reward_model import RewardModel

_log = logging.getLogger("rmlib")


def rounding(dtype: torch.dtype, share: float = 0.5) -> float:
    """A relative difference by which equal numbers may differ: all but this share of the digits agree, ε^share.

    A half: more is no rounding. Three quarters: less is nothing else. Never below float32's, which rewards have.
    """
    return max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps) ** share


@contextmanager
def trying(model: RewardModel, verdict: str = "can't be a reward model's backbone") -> Iterator[None]:
    """Evaluation mode, random states left as they are, and whatever fails told as a ValueError after `verdict`."""
    training, numbers, device = model.training, np.random.get_state(), next(model.parameters()).device
    model.eval()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    except Exception as error:  # what fails in a backbone fails in its own way
        raise ValueError(f"{type(model.backbone).__name__} {verdict}: {error or type(error).__name__}") from error
    finally:
        model.train(training)
        np.random.set_state(numbers)


def probes(tokenizer) -> Tensor:
    """Four texts (4, 8) of tokens from all over the vocabulary, always the same; they begin and end alike."""
    size, special = len(tokenizer), set(tokenizer.all_special_ids)
    ordinary = torch.tensor([i for i in range(0, size, max(1, size // 64)) if i not in special])
    texts = ordinary[torch.randint(len(ordinary), (4, 8), generator=torch.Generator().manual_seed(0))]
    texts[:, [0, -1]] = texts[0, [0, -1]]
    return texts


def is_causal(alone: Tensor) -> bool:
    """Whether the first vectors of `alone` (4, 8, H) differ by rounding only: the first position is blind to others."""
    return _difference(alone[:, 0], alone[:, 0].roll(1, 0)) < rounding(alone.dtype, 0.75)


def vectors_alone(model: RewardModel) -> Tensor:
    """The backbone's vectors (4, 8, H) of each probe by itself. Raises ValueError where it gives none to be used."""
    texts = probes(model.tokenizer).to(next(model.parameters()).device)
    with trying(model), torch.no_grad():
        alone = torch.cat([model.hidden(text, torch.ones_like(text)) for text in texts.split(1)])
        if alone.shape[:2] != texts.shape or not alone.isfinite().all():
            raise ValueError(f"{tuple(texts.shape)} tokens get vectors {tuple(alone.shape)}, or such as are not finite")
    return alone


def padded_batch(model: RewardModel) -> dict[str, Tensor]:
    """The probes and a longer text that they are padded beside, five rows of twelve tokens, as the model takes them."""
    texts = probes(model.tokenizer).to(next(model.parameters()).device)
    ids = torch.cat([pad(texts, (0, 4), value=model.tokenizer.pad_token_id or 0), texts.flatten()[:12][None]])
    mask = pad(torch.ones_like(texts), (0, 4, 0, 1))
    mask[-1] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": mask * model.encoding.segment}


def check_batches(model: RewardModel, alone: Tensor) -> None:
    """Raises ValueError where a text's vectors depend on what else is in its batch, whichever way they are computed.

    Encoders of other families than are known are also padded to nearly the whole window (nearly: an odd length may be
    another case): there are some whose attention changes with the length.
    """
    (count, length, _), room = alone.shape, model.encoding.max_length
    ids, mask, types = padded_batch(model).values()
    with trying(model), torch.no_grad():
        if model.encoding.segment:
            model.hidden(ids, mask, types)
        own = model.backbone(input_ids=ids[:count, :length], attention_mask=mask[:count, :length])
        found = {"in a batch": own.last_hidden_state, "beside a longer text": model.hidden(ids, mask)}
        known = is_causal(alone) or model.backbone.config.model_type in UNPADDED_FAMILIES
        if not known and room > 13:
            row, real = (pad(part[:1], (0, room - 13), value=value) for part, value in ((ids, ids[0, -1]), (mask, 0)))
            found[f"padded to {room - 1} tokens"] = model.hidden(row, real)
        for where, vectors in found.items():
            vectors = vectors[:count, :length]
            if not (apart := _difference(alone[: len(vectors)], vectors)) <= rounding(alone.dtype):
                raise ValueError(f"it gives a text other vectors {where} than alone (relative difference {apart:.1g}), "
                                 "so a reward would depend on what else is scored")


def check_pooled(pooled: Tensor, pooling: str) -> None:
    """Raises ValueError where the pooled vectors (B, H) of unlike texts differ by rounding only."""
    if not _difference(pooled, pooled.roll(1, 0)) > rounding(pooled.dtype, 0.75):
        raise ValueError(f'pooling "{pooling}" gives unlike texts one vector, so all their rewards would be equal')


def freeze_unused(model: RewardModel) -> None:
    """Freeze every parameter that takes no part in a reward, and warn of it: the optimizer would have no moments for it,
    and several processes would wait for its gradient.

    Found by one backward pass of the probes. Experts that no token was sent to stay as they are: another may be.
    Raises ValueError where pooled vectors do not depend on the text: there is nothing that training could change.
    """
    batch = padded_batch(model)
    if not model.encoding.segment:
        del batch["token_type_ids"]
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    with trying(model, "can't be trained"), torch.enable_grad():
        rewards = model(**batch)
        gradients = torch.autograd.grad(rewards.square().sum(), list(trained.values()), allow_unused=True)
        check_pooled(model.pooled(**batch).detach()[:-1], model.pooling)
        if not all(gradient is None or gradient.isfinite().all() for gradient in gradients):
            raise ValueError("its gradients are not finite numbers")
    unused = [name for name, gradient in zip(trained, gradients) if gradient is None and ".experts." not in name]
    for name in unused:
        trained[name].requires_grad_(False)
    if unused:
        _log.warning("%d parameters take no part in a reward and are not trained: %s", len(unused), ", ".join(unused))


def _difference(one: Tensor, other: Tensor) -> float:
    """Median over rows of ‖one − other‖ / ‖one‖; of several, lest one token that changed its expert decide."""
    one, other = one.double().flatten(1), other.double().flatten(1)
    return ((one - other).norm(dim=1) / one.norm(dim=1)).median().item()
