"""A test of training loops, for exercise 6.1 of notebook 06: sound ones, broken ones, and four pairs."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from rmlib.encoding import encode
from rmlib.model import RewardModel
from rmlib.pairs import PreferencePair
from rmlib.settings import EMBEDDED_BACKBONE

Loop = Callable[[RewardModel, list[PreferencePair], int], list[float]]
PAIRS = [  # what the first teaches is wrong for the second, what the third teaches for the fourth
    PreferencePair("What is the capital of France?", "With pleasure. It is Paris.", "It is Paris."),
    PreferencePair("What is the capital of Italy?", "It is Rome.", "With pleasure. It is Rome."),
    PreferencePair("What is the opposite of big?", "It is small.", "It is old."),
    PreferencePair("What is the opposite of left?", "It is down.", "It is right."),
]
USUAL_RATE, LUCKY_HEAD, OTHER_HEAD = 5e-4, 32, 0


def fresh(seed: int) -> RewardModel:
    """The embedded backbone's first two blocks with a new head."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = RewardModel(str(EMBEDDED_BACKBONE))
    model.backbone.transformer.layer = model.backbone.transformer.layer[:2]
    return model


def loop(model, pairs, steps, rate=USUAL_RATE, stepped=None, turns=None):
    """Adam on all pairs at once. stepped: the model whose weights move; turns: the signs of the margins at a step."""
    moving = stepped or model
    optimizer = torch.optim.Adam([w for w in moving.parameters() if w is not moving.head.bias], lr=rate)
    batch, losses = model.collate(encode(model.tokenizer, pairs, model.encoding)), []
    for step in range(steps):
        chosen, rejected = model(**batch).chunk(2)  # (B,) each
        signs = torch.ones_like(chosen) if turns is None else torch.as_tensor(turns(step)).to(chosen)
        loss = F.softplus(-signs * (chosen - rejected)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@dataclass(frozen=True)
class Case:
    """A loop, whether it is sound, what is said where it is judged wrongly, and the head it starts from."""

    loop: Loop
    sound: bool
    told: str
    head: int = OTHER_HEAD


CASES = (
    Case(loop, True, "It calls a sound loop broken, which learns all four pairs. How many steps did it get, and do "
                     "you ask the model that it trained?"),
    Case(lambda model, pairs, steps: loop(copy.deepcopy(model), pairs, steps), False,
         "It passes a loop that trains a *copy* of the model: the losses fall, and the model has stayed as it was. Ask "
         "the model, not the loop."),
    Case(lambda model, pairs, steps: loop(model, pairs, steps, turns=lambda step: [-1] * len(pairs)), False,
         "It passes a loop that exchanges chosen and rejected: its own loss falls. Ask which response the model "
         "prefers."),
    Case(lambda model, pairs, steps: loop(model, pairs[:1], steps), False,
         "It passes a loop that trains on the first pair alone: ask for every pair."),
    Case(lambda model, pairs, steps: loop(model, pairs[:1] + pairs[2:], steps), False,
         "It passes a loop that leaves out the second pair: ask for every pair, not for most of them or their mean."),
    Case(lambda model, pairs, steps: loop(model, pairs, steps, stepped=copy.deepcopy(model)), False,
         "It passes a loop whose optimizer steps the weights of another copy. This fresh model had all four pairs "
         "right by luck, by tiny margins: ask for more than the right sign.", LUCKY_HEAD),
    Case(lambda model, pairs, steps: loop(model, pairs, steps, USUAL_RATE / 2), True,
         "It calls a sound loop broken, whose learning rate is half the usual: give it more steps, or ask for less."),
)


def judged_loops(is_sound: Callable[[Loop, RewardModel, list[PreferencePair]], bool],
                 rng: np.random.Generator) -> str | None:
    for case in CASES:
        found = is_sound(case.loop, fresh(case.head), list(PAIRS))
        if not isinstance(found, bool | np.bool_):
            return "Wanted is True for a sound loop and False for a broken one."
        if bool(found) != case.sound:
            return case.told
    return None
