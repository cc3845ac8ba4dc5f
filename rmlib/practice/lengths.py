"""How long texts are in tokens, and what becomes of a pair that a window is too small for.

Tokens are those of an encoding, or whatever a token counter makes of texts: any function from a list of texts to one
list of tokens for each.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rmlib.encoding import EncodingSpec, part_tokens
from rmlib.pairs import PreferencePair

Tokenize = Callable[[list[str]], Sequence[Sequence]]

BINS = 40
CHUNK = 1024  # pairs whose tokens are held in memory at a time


@dataclass(frozen=True, eq=False)
class TokenCounts:
    """Tokens of the parts of N pairs, each int64 (N,); a window is a number of tokens of prompt and response together.

    shared: how many tokens the two responses have in common before the first at which they part.
    """

    prompt: np.ndarray
    chosen: np.ndarray
    rejected: np.ndarray
    shared: np.ndarray

    @property
    def longer(self) -> np.ndarray:
        """Tokens of the longer response."""
        return np.maximum(self.chosen, self.rejected)

    @property
    def whole(self) -> np.ndarray:
        """Tokens of prompt and longer response together: what a window must have room for."""
        return self.prompt + self.longer

    def identical_cut_right(self, window: int) -> np.ndarray:
        """Whether both sequences, prompt + response, are the same once all after the window's end is cut off."""
        return self._identical(window - self.prompt)

    def identical_kept(self, window: int) -> np.ndarray:
        """Whether they are the same where the prompt is cut, and a response only if it overfills the window alone."""
        return self._identical(np.full_like(self.prompt, window))

    def _identical(self, kept: np.ndarray) -> np.ndarray:
        """Whether the first `kept` tokens (N,) of both responses are the same, or all of them are."""
        return (self.shared >= kept) | ((self.shared == self.chosen) & (self.shared == self.rejected))


def count_tokens(pairs: Sequence[PreferencePair], tokenize: Tokenize) -> TokenCounts:
    """The token counts of all pairs: of the texts of prompt and responses, each by itself.

    Raises ValueError where `tokenize` does not give one list of tokens for each text.
    """

    def parts(chunk: Sequence[PreferencePair]) -> Iterable[tuple[Sequence, Sequence, Sequence]]:
        texts = ([getattr(pair, name) for pair in chunk] for name in ("prompt", "chosen", "rejected"))
        return zip(*(_tokens(tokenize, part) for part in texts))

    return _counts(pairs, parts)


def count_encoded(pairs: Sequence[PreferencePair], tokenizer, spec: EncodingSpec) -> TokenCounts:
    """The token counts of all pairs as an encoding renders them, uncut."""
    return _counts(pairs, lambda chunk: ((parts.prompt, parts.chosen, parts.rejected)
                                         for parts in part_tokens(tokenizer, chunk, spec)))


def _counts(pairs: Sequence[PreferencePair], parts: Callable[[Sequence[PreferencePair]], Iterable]) -> TokenCounts:
    rows: list[tuple[int, int, int, int]] = []
    for start in range(0, len(pairs), CHUNK):
        rows += [(len(p), len(c), len(r), _shared(c, r)) for p, c, r in parts(pairs[start : start + CHUNK])]
    return TokenCounts(*np.array(rows, dtype=np.int64).reshape(-1, 4).T)


def _tokens(tokenize: Tokenize, texts: list[str]) -> list[Sequence]:
    tokens = list(tokenize(texts))
    kinds = {type(found).__name__ for found in tokens}
    if len(tokens) != len(texts) or "str" in kinds or not all(hasattr(found, "__len__") for found in tokens):
        raise ValueError(f"tokenize has to give one list of tokens for each text; it was given {len(texts)} texts, and "
                         f"gave {len(tokens)} of {', '.join(sorted(kinds)) or 'nothing'}")
    return tokens


def _shared(first: Sequence, second: Sequence) -> int:
    """The number of equal items before the first at which two sequences part."""
    together = min(len(first), len(second))
    return next((i for i in range(together) if first[i] != second[i]), together)


@dataclass(frozen=True)
class Lengths:
    """Token lengths summed up: median, 95% quantile (each the length of one of them), longest, and a histogram.

    histogram: how many are longer than edges[i] and not longer than edges[i + 1]; the last bin has no upper edge.
    """

    median: int
    p95: int
    longest: int
    histogram: list[int]


def summarise_lengths(lengths: np.ndarray, edges: Sequence[int]) -> Lengths:
    """The Lengths of lengths, int64 (N,), N > 0, with the bins of `bin_edges`."""
    median, p95 = np.quantile(lengths, [0.5, 0.95], method="inverted_cdf").tolist()
    bins = np.searchsorted(edges[1:-1], lengths, side="left")
    return Lengths(int(median), int(p95), int(lengths.max()), np.bincount(bins, minlength=len(edges) - 1).tolist())


def bin_edges(longest: int, window: int) -> list[int]:
    """Edges of at most BINS bins of one width; where anything is longer than `window`, that is one of the edges.

    So the bins to its right hold all that does not fit, and nothing else. The last edge is at two windows or earlier,
    up to a bin's width.
    """
    reach = min(longest, 2 * window)
    width = -(-reach // (BINS - 2)) or 1
    return list(range(window % width - width, reach + width, width))
