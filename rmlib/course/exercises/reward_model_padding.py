"""Exercise 5.4: a scorer of a decoder, right only where there is no padding on the left."""

from collections.abc import Callable
from functools import cache
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import GPT2Config, GPT2Model

from rmlib.course.exercises.engine import Exercise

MASK = "the backbone is not given the mask, so tokens look at padding"
PLACES = {  # by what is taken off the number of real tokens so far; None: no positions are given
    1: "",
    None: "the positions are the library's, which counts columns, padding and all",
    0: "the positions are counted from 1; those of a text alone start at 0",
}
LAST = {
    "real": "",
    "count": "counting the tokens finds the last one only where the padding is on the right",
    "column": "the last column is padding where that is on the right",
    "first": "a decoder's first token has seen nothing of the text: pool the last one",
    "mean": "this is a mean over the tokens; the last one is wanted",
}


@cache
def decoder() -> tuple[GPT2Model, nn.Linear]:
    """A tiny GPT-2 with random weights, large enough that everything shows, and a head."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = GPT2Model(GPT2Config(vocab_size=50, n_positions=32, n_embd=32, n_layer=2, n_head=4,
                                        initializer_range=0.2, bos_token_id=None, eos_token_id=None)).eval()
        return backbone.requires_grad_(False), nn.Linear(32, 1).requires_grad_(False)


def batches(rng: np.random.Generator) -> list[tuple[Tensor, Tensor]]:
    """(ids, mask) of unequal texts padded on the right, on the left, and of one text alone; the padding's id stands in
    the texts, too."""
    lengths = [9, *rng.integers(3, 8, size=2).tolist()]
    texts = [torch.from_numpy(rng.integers(1, 50, size=length)) for length in lengths]
    for text in texts:
        text[1] = 7  # as the padding
    found = []
    for side in ("right", "left"):
        spaces = [(0, 10 - len(text)) if side == "right" else (10 - len(text), 0) for text in texts]
        found.append((torch.stack([pad(text, space, value=7) for text, space in zip(texts, spaces)]),
                      torch.stack([pad(torch.ones_like(text), space) for text, space in zip(texts, spaces)])))
    return [*found, (texts[1][None], torch.ones(1, len(texts[1]), dtype=torch.long))]


def variant(ids: Tensor, mask: Tensor, masked: bool, first: int | None, last: str) -> Tensor:
    """Rewards (B,) by a scorer with some of the bugs, or with none: masked, first = 1, last = "real"."""
    backbone, head = decoder()
    inputs = {"attention_mask": mask} if masked else {}
    places = {} if first is None else {"position_ids": (mask.cumsum(1) - first).clamp(min=0)}
    hidden = backbone(input_ids=ids, **inputs, **places)[0]
    at = {"real": mask.shape[1] - 1 - mask.flip(1).argmax(1), "count": mask.sum(1) - 1,
          "column": torch.full((len(ids),), -1), "first": mask.argmax(1)}
    pooled = (hidden * mask[:, :, None]).sum(1) / mask.sum(1)[:, None] if last == "mean" else \
        hidden[torch.arange(len(ids)), at[last]]
    return head(pooled)[:, 0]


def told(left: list[str]) -> str | None:
    """A sentence that names the bugs that are left, or None where there are none."""
    sentence = "; and ".join(left)
    return f"{sentence[0].upper()}{sentence[1:]}." if left else None


def judge_scorer(function: Callable, rng: np.random.Generator) -> str | None:
    backbone, head = decoder()
    cases, answers = batches(rng), []
    for ids, mask in cases:
        given = ids.clone(), mask.clone()
        rewards = function(backbone, head, *given)
        if not (torch.equal(given[0], ids) and torch.equal(given[1], mask)):
            return "It changes `ids` or `mask` in place: work on a copy."
        if not isinstance(rewards, Tensor) or rewards.numel() != len(ids):
            return f"One reward for each of the {len(ids)} rows is wanted, as a tensor of shape (B,)."
        if rewards.shape != (len(ids),):
            why = "minus a (B,) of other rewards this would be a table." if rewards.ndim else "a batch of one has (1,)."
            return f"It returns shape {tuple(rewards.shape)}, and rewards are (B,): {why}"
        answers.append(rewards.detach())
    for masked, first, last in product((True, False), PLACES, LAST):
        if all(torch.allclose(got, variant(*case, masked, first, last), atol=1e-4)
               for got, case in zip(answers, cases)):
            return told([each for each in (MASK * (not masked), PLACES[first], LAST[last]) if each])
    off = [side for side, got, case in zip(("right", "left"), answers, cases)
           if not torch.allclose(got, variant(*case, True, 1, "real"), atol=1e-4)]
    return f"With padding on the {' and on the '.join(off)} rewards are not those of each text alone." if off else \
        "A text alone, without padding, gets another reward than in a batch."


MIND_THE_PADDING = Exercise("5.4", judge=judge_scorer)
