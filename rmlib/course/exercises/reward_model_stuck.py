"""Exercise 5.3: reward models whose loss stays at log 2, to be mended, beside others that are well."""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import torch

from rmlib.course.exercises.engine import Exercise
from rmlib.course.policy import POLICY
from rmlib.course.world import World
from rmlib.encoding import encode
from rmlib.losses import bradley_terry_loss
from rmlib.model import RewardModel
from rmlib.settings import EMBEDDED_BACKBONE

PAIRS, STEPS, ENOUGH = 4, 15, 0.2


@cache
def pairs():
    return World().pairs(PAIRS, seed=4)


@cache
def sound() -> dict[str, RewardModel]:
    """An encoder and a decoder with fresh heads, and nothing wrong with them; their classes' names don't tell them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = RewardModel(str(EMBEDDED_BACKBONE))
        short = replace(encoder.encoding, max_length=128)
        decoder = RewardModel(str(POLICY), pooling="last", encoding=short)
    for model in (encoder, decoder):
        plain = type(model.backbone)
        model.backbone.__class__ = type("Backbone", (plain,), {"__module__": plain.__module__})
    return {"encoder": encoder, "decoder": decoder}


def with_fault(kind: str) -> RewardModel:
    """A new model of one of the kinds that the exercise hands out."""
    model = copy.deepcopy(sound()["decoder" if kind in ("blind", "decoder", "averaged") else "encoder"])
    if kind in ("blind", "averaged"):
        model.pooling = "cls" if kind == "blind" else "mean"
    if kind == "tables":
        model.backbone.embeddings.requires_grad_(False)
    if kind == "head":
        model.head.requires_grad_(False)
    if kind == "frozen":
        model.requires_grad_(False)
        model.head.bias.requires_grad_(True)
    if kind == "zeros":
        torch.nn.init.zeros_(model.head.weight)
    return model


def loss_after_training(model: RewardModel) -> float:
    """The loss on the pairs after the steps on them, of the weights that may be trained."""
    batch = model.collate(encode(model.tokenizer, pairs(), model.encoding))
    optimizer = torch.optim.Adam([weight for weight in model.parameters() if weight.requires_grad], lr=1e-3)
    for _ in range(STEPS + 1):
        optimizer.zero_grad()
        loss = bradley_terry_loss(*model(**batch).chunk(2))
        loss.backward()
        optimizer.step()
    return loss.item()


TOLD = {
    "blind": "A decoder that pools its first token gets one vector for every text",
    "frozen": "Where the head's bias alone may be trained, no margin moves: the bias cancels",
}

SOUND = {  # nothing is wrong with these
    "encoder": "a sound encoder", "decoder": "a sound decoder",
    "zeros": "an encoder whose head starts at zero, where the loss is log 2 and its gradient is not zero",
    "tables": "an encoder whose tables alone are frozen, and which can learn without them",
    "head": "an encoder whose head alone is frozen, and whose backbone can learn to suit it",
    "averaged": "a decoder that pools the mean, which depends on the text",
}


def trained_parts(model: RewardModel) -> list[bool]:
    return [weight.requires_grad for weight in model.parameters()]


def judge_mending(function: Callable, rng: np.random.Generator) -> str | None:
    for kind in (*SOUND, *TOLD):
        model, before = with_fault(kind), with_fault(kind)
        function(model, pairs())
        if not all(map(torch.equal, model.parameters(), before.parameters())):
            return "It changes weights; the faults are not in them."
        if model.training:
            return "It leaves a model in training mode: dropout belongs to whoever trains."
        if model.pooling == before.pooling and trained_parts(model) == trained_parts(before):
            changed = None
        else:
            changed = "pooling" if model.pooling != before.pooling else "set of weights that are trained"
        complaint = amiss(kind, model, changed)
        if complaint:
            return complaint
    return None


def amiss(kind: str, model: RewardModel, changed: str | None) -> str | None:
    """What is wrong with what was made of a model of this kind."""
    if kind in SOUND:
        return f"It changes the {changed} of {SOUND[kind]}: nothing is wrong there." if changed else None
    if not any(trained_parts(model)):
        return "Nothing of the model may be trained any more."
    loss = loss_after_training(model)
    tried = f" It changes the {changed}, and that is not enough." if changed else ""
    return None if loss < ENOUGH else (
        f"{TOLD[kind]}.{tried} After {STEPS} steps on {PAIRS} pairs its loss is {loss:.3f}; wanted is below {ENOUGH}.")


STUCK = Exercise("5.3", judge=judge_mending, silent=True)
