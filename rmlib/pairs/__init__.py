"""Human comparisons: rows of a file, the pairs they become, and the conversations that keep a split honest (04)."""

from rmlib.pairs.reading import PairSet, Source, iter_rows, read_pairs, write_pairs
from rmlib.pairs.rows import ASSISTANT, HUMAN, BadRow, LeftOut, PreferencePair
from rmlib.pairs.splits import conversation_key, split_by_conversation

__all__ = [
    "ASSISTANT", "HUMAN", "BadRow", "LeftOut", "PairSet", "PreferencePair", "Source", "conversation_key",
    "iter_rows", "read_pairs", "split_by_conversation", "write_pairs",
]
