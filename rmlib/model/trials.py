"""What a backbone does, found by trying: four short texts alone, in one batch, beside a longer one, with gradients."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from accelerate.utils.memory import should_reduce_batch_size
from torch import Tensor
from torch.nn.functional import pad

from rmlib.model.unpadded import UNPADDED_FAMILIES

if TYPE_CHECKING:
    from rmlib.model.reward_model import RewardModel

_log = logging.getLogger("rmlib")
TEXTS, TOKENS = 4, 8


def rounding(dtype: torch.dtype, share: float = 0.5) -> float:
    """ε^share, relative: beyond share 1/2 a difference is more than rounding, below share 3/4 it is nothing else.

    ε is at least float32's, the precision that rewards have.
    """
    return max(torch.finfo(dtype).eps, torch.finfo(torch.float32).eps) ** share


@contextmanager
def trying(model: RewardModel, verdict: str = "can't be a reward model's backbone") -> Iterator[None]:
    """Evaluation mode, random states left as they were, and whatever fails told as a ValueError after `verdict`."""
    training, numbers, device = model.training, np.random.get_state(), next(model.parameters()).device
    model.eval()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    except Exception as error:  # what fails in a backbone fails in its own way
        if isinstance(error, OSError | MemoryError) or should_reduce_batch_size(error):
            raise  # no room, on the disk or in memory, says nothing of the model
        told = error if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        raise ValueError(f"{type(model.backbone).__name__} {verdict}: {told}") from error
    finally:
        model.train(training)
        np.random.set_state(numbers)


def probes(model: RewardModel) -> tuple[Tensor, Tensor]:
    """Ids and mask (5, 12) of four texts that begin and end alike, padded beside a longer one; always the same."""
    size, special = len(model.tokenizer), set(model.tokenizer.all_special_ids)
    ordinary = torch.tensor([i for i in range(0, size, max(1, size // 64)) if i not in special])
    texts = ordinary[torch.randint(len(ordinary), (TEXTS, TOKENS), generator=torch.Generator().manual_seed(0))]
    texts[:, [0, -1]] = texts[0, [0, -1]]
    ids = torch.cat([pad(texts, (0, 4), value=model.tokenizer.pad_token_id or 0), texts.view(1, -1)[:, : TOKENS + 4]])
    mask = torch.ones_like(ids)
    mask[:TEXTS, TOKENS:] = 0
    device = next(model.parameters()).device
    return ids.to(device), mask.to(device)


def vectors_alone(model: RewardModel) -> Tensor:
    """The backbone's vectors (4, 8, H) of each text by itself. Raises ValueError where it gives none to be used."""
    ids, mask = probes(model)
    with trying(model), torch.no_grad():
        alone = torch.cat([model.hidden(row[None, :TOKENS], mask[:1, :TOKENS]) for row in ids[:TEXTS]])
        if alone.shape[:2] != (TEXTS, TOKENS) or not alone.isfinite().all():
            raise ValueError(f"{TEXTS} texts of {TOKENS} tokens get vectors {tuple(alone.shape)}, or some not finite")
    return alone


def is_causal(alone: Tensor) -> bool:
    """Whether the first position is blind to the others: they change from text to text, its vector by rounding only."""
    return _difference(alone[:, 0], alone[:, 0].roll(1, 0)) < rounding(alone.dtype, 0.75)


def check_batches(model: RewardModel, alone: Tensor) -> None:
    """Raises ValueError where a text's vectors depend on what else is in its batch, whichever way they are computed.

    The attention of some encoders changes with the length: all but the known ones are padded to nearly the window, too.
    """
    (ids, mask), room = probes(model), model.encoding.max_length - 1
    options = {"use_cache": False} if "use_cache" in model.accepts else {}
    with trying(model), torch.no_grad():
        own = model.backbone(input_ids=ids[:TEXTS, :TOKENS], attention_mask=mask[:TEXTS, :TOKENS], **options)
        found = {"in a batch": own.last_hidden_state, "beside a longer text": model.hidden(ids, mask)}
        if not (is_causal(alone) or model.backbone.config.model_type in UNPADDED_FAMILIES):
            more, padding = (0, max(0, room - ids.shape[1])), ids[0, -1].item()
            found[f"padded to {room} tokens"] = model.hidden(pad(ids[:1], more, value=padding), pad(mask[:1], more))
        for where, vectors in found.items():
            vectors = vectors[:TEXTS, :TOKENS]
            if not (apart := _difference(alone[: len(vectors)], vectors)) <= rounding(alone.dtype):
                raise ValueError(f"it gives a text other vectors {where} than alone (relative difference {apart:.1g}), "
                                 "so a reward would depend on what else is scored")


def check_pooled(pooled: Tensor, pooling: str) -> None:
    """Raises ValueError where the pooled vectors (B, H) of unlike texts differ by rounding only."""
    if not _difference(pooled, pooled.roll(1, 0)) > rounding(pooled.dtype, 0.75):
        raise ValueError(f'pooling "{pooling}" gives unlike texts one vector, so all their rewards would be equal')


def freeze_unused(model: RewardModel) -> None:
    """Freeze every parameter that takes no part in a reward, found by one backward pass, and warn of it.

    The optimizer would have no moments for it, and several processes would wait for its gradient. An expert that no
    token was sent to may have one later: none is frozen, and each has a gradient, if of zero, in every batch from now.
    Raises ValueError where pooled vectors do not depend on the text, or gradients are not finite.
    """
    (ids, mask), segment = probes(model), model.encoding.segment
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    if not trained:
        raise ValueError("all weights are frozen: there is nothing to train")
    with trying(model, "can't be trained"), torch.enable_grad():
        check_pooled(model.pooled(ids, mask).detach()[:TEXTS], model.pooling)
        rewards = model(input_ids=ids, attention_mask=mask, token_type_ids=mask * segment if segment else None)
        gradients = torch.autograd.grad(rewards.square().sum(), list(trained.values()), allow_unused=True)
        if not all(gradient is None or gradient.isfinite().all() for gradient in gradients):
            raise ValueError("its gradients are not finite numbers")
    model.experts = [weight for name, weight in trained.items() if ".experts." in name]
    unused = [name for name, gradient in zip(trained, gradients) if gradient is None and ".experts." not in name]
    for name in unused:
        trained[name].requires_grad_(False)
    if unused:
        _log.warning("%d parameters take no part in a reward and are not trained: %s", len(unused), ", ".join(unused))


def _difference(one: Tensor, other: Tensor) -> float:
    """Median over rows of ‖one − other‖ / ‖one‖; of several, lest one token that changed its expert decide."""
    one, other = one.double().flatten(1), other.double().flatten(1)
    return ((one - other).norm(dim=1) / one.norm(dim=1)).median().item()
