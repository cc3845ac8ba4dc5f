"""What can be told of a pair of the gold world: the family of its question, and what decides in its gold reward."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rmlib.course.world import World
from rmlib.pairs import PreferencePair
from rmlib.practice.full_evaluation import Part

DECIDES = (0, "which answer is right"), (1, "manner alone"), (2, "nothing: equal gold rewards")


def gold_slices(pairs: Sequence[PreferencePair], gold: np.ndarray) -> dict[str, list[Part]]:
    """By group, of each pair the part it belongs to; gold: the pairs' gold margins, (N,)."""
    world = World()
    return {
        "Family of the question": [(0, world.fact(pair.prompt).family) for pair in pairs],
        "What decides in the gold reward": [
            DECIDES[0 if fact else 1 if margin else 2] for fact, margin in zip(decided_by_fact(world, pairs), gold)],
    }


def decided_by_fact(world: World, pairs: Sequence[PreferencePair]) -> np.ndarray:
    """Whether the fact decides, bool (N,): the two responses differ in correctness; elsewhere only manners can."""
    correct = [[world.features(pair.prompt, text)["correctness"] for text in (pair.chosen, pair.rejected)]
               for pair in pairs]
    return np.array([chosen != rejected for chosen, rejected in correct], dtype=bool)
