"""Which comparisons belong to one conversation, and splits that keep every conversation in one part.

A conversation is its first human turn: rows of it differ in how far they go on, so that the prompt of one can be an
earlier turn of another's, and a split by rows would show a model in training what it is tested on.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence

from rmlib.pairs.rows import ANY_MARKER, HUMAN, PreferencePair, squash

Split = tuple[list[PreferencePair], list[PreferencePair]]


def conversation_key(pair: PreferencePair) -> str:
    """The first human turn of a transcript, or else the whole prompt, with all white space made single spaces.

    Rows of one conversation share it, however far into the conversation they were compared.
    """
    prompt = f"\n\n{pair.prompt.lstrip()}"
    _, is_spoken, turns = prompt.partition(HUMAN)
    is_transcript = is_spoken and ANY_MARKER.match(prompt)
    return squash(ANY_MARKER.split(turns, maxsplit=1)[0] if is_transcript else prompt)


def split_by_conversation(pairs: Sequence[PreferencePair], held_out: float, seed: int = 0) -> Split:
    """(train, held out): no conversation is in both, and `held_out` is the second's share, as nearly as that allows.

    Which conversations are held out depends on them and on `seed` alone, not on the order of rows; rows keep theirs.
    Raises ValueError unless 0 < held_out < 1 and there are two conversations or more.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"held_out is a share between 0 and 1, got {held_out}")
    sizes = conversation_sizes(pairs, seed, at_least=2)
    wanted, taken, held = held_out * len(pairs), 0, set()
    for key, size in sizes.items():
        if abs(taken + size - wanted) < abs(taken - wanted):
            held.add(key)
            taken += size
    smallest = min(sizes, key=sizes.__getitem__)  # the nearest that leaves neither part empty
    if not held:
        held.add(smallest)
    elif len(held) == len(sizes):
        held.remove(smallest)
    return parted(pairs, held)


def conversation_sizes(pairs: Sequence[PreferencePair], seed: int, at_least: int) -> dict[str, int]:
    """Number of pairs of each conversation, in an order that depends on `seed` and the conversations alone."""
    sizes = Counter(map(conversation_key, pairs))
    if len(sizes) < at_least:
        number = f"{len(sizes)} conversation" + ("" if len(sizes) == 1 else "s")
        raise ValueError(f"{number} can't be split in {at_least} without cutting one: give pairs from more "
                         "conversations, or a held-out file of its own")
    order = sorted(sizes, key=lambda key: hashlib.sha256(f"{seed}\0{key}".encode(errors="surrogatepass")).digest())
    return {key: sizes[key] for key in order}


def parted(pairs: Sequence[PreferencePair], held: set[str]) -> Split:
    parts: Split = [], []
    for pair in pairs:
        parts[conversation_key(pair) in held].append(pair)
    return parts
