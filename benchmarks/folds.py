"""Cross-validation that keeps every conversation in one fold."""

from collections.abc import Sequence

from rmlib.pairs import PreferencePair
from rmlib.pairs.splits import Split, conversation_sizes, parted


def folds_by_conversation(pairs: Sequence[PreferencePair], folds: int, seed: int = 0) -> list[Split]:
    """Cross-validation: `folds` times (train, held out); each pair is held out once, conversations stay whole.

    The largest conversation goes first, each into the smallest fold so far; equally large ones in an order by `seed`.
    Raises ValueError unless folds >= 2 and there are as many conversations.
    """
    if folds < 2:
        raise ValueError(f"cross-validation needs at least 2 folds, got {folds}")
    sizes = conversation_sizes(pairs, seed, at_least=folds)
    members: list[set[str]] = [set() for _ in range(folds)]
    filled = [0] * folds
    for key in sorted(sizes, key=sizes.__getitem__, reverse=True):
        smallest = filled.index(min(filled))
        members[smallest].add(key)
        filled[smallest] += sizes[key]
    return [parted(pairs, held) for held in members]
