"""Human comparisons: rows of a file, the pairs they become, and the conversations that keep a split honest (04)."""

from rmlib.pairs.pair import BadRow, LeftOut, PreferencePair
from rmlib.pairs.reading import PairSet, Source, iter_rows, read_pairs
from rmlib.pairs.rows import read_prompt
from rmlib.pairs.splits import conversation_keys, split_by_conversation
from rmlib.pairs.turns import ASSISTANT, HUMAN, Turn, plain_text, transcript

__all__ = [
    "ASSISTANT", "HUMAN", "BadRow", "LeftOut", "PairSet", "PreferencePair", "Source", "Turn", "conversation_keys",
    "iter_rows", "plain_text", "read_pairs", "read_prompt", "split_by_conversation", "transcript",
]
