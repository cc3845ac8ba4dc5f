"""Cross-validation that keeps every conversation in one fold."""

from collections.abc import Sequence

from rmlib.pairs import PreferencePair, conversation_keys
from rmlib.pairs.splits import Split, shuffled_sizes


def folds_by_conversation(pairs: Sequence[PreferencePair], folds: int, seed: int = 0) -> list[Split]:
    """Cross-validation: `folds` times (train, held out); each pair is held out once, conversations stay whole.

    The largest conversation goes first, each into the smallest fold so far; equally large ones in an order by `seed`.
    Raises ValueError unless folds >= 2 and there are as many conversations.
    """
    if folds < 2:
        raise ValueError(f"cross-validation needs at least 2 folds, got {folds}")
    keys = conversation_keys(pairs)
    sizes = shuffled_sizes(keys, seed)
    if len(sizes) < folds:
        raise ValueError(f"{len(sizes)} conversations can't be split in {folds} without cutting one")
    members: list[set[str]] = [set() for _ in range(folds)]
    filled = [0] * folds
    for key in sorted(sizes, key=sizes.__getitem__, reverse=True):
        smallest = filled.index(min(filled))
        members[smallest].add(key)
        filled[smallest] += sizes[key]
    return [([pair for pair, key in zip(pairs, keys) if key not in held],
             [pair for pair, key in zip(pairs, keys) if key in held]) for held in members]
