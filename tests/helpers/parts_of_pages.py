"""Which pairs a page holds: how many, and of which part of the gold world, for guards that tell sets apart."""

from collections.abc import Sequence

from rmlib.course.world import World
from rmlib.pairs import PreferencePair

PARTS = ("train", "validation", "test", "unseen")


def parts(world: World, **sets: Sequence[PreferencePair]) -> dict[str, tuple[int, str]]:
    """Of each named set the number of its pairs and the parts that hold their prompts, joined by a plus."""
    prompts = {part: {*world.prompts(part)} for part in PARTS}
    return {name: (len(pairs), "+".join(part for part in PARTS if prompts[part] & {pair.prompt for pair in pairs}))
            for name, pairs in sets.items()}
