"""A batch in pieces, for exercises 6.1 and 6.2 of notebook 06: how large they are, and their mean."""

import numpy as np

# 6.1: micro-batches of pairs


def some_lengths(rng: np.random.Generator) -> tuple[list[int], int]:
    """Lengths of 4 to 12 pairs, and a budget of tokens that the longest fits."""
    lengths = rng.integers(4, 40, size=rng.integers(4, 13)).tolist()
    return lengths, int(rng.integers(2, 9)) * max(lengths)


def micro_batch_sizes(lengths, budget, rows=2, ordered=True, padded=True, strict=False, newcomer=1, rest=True,
                      alone=True, longest=0, opens=True, by=None):
    """The right sizes, or with an argument changed those of a mistake.

    longest: 1 where the longest come first, 2 where they do and are counted as the longest of their pieces, too.
    opens: whether the pair that does not fit any more is the first of the next piece.
    by: the place in its piece of the pair by whose length all are counted; None: the one at hand.
    """
    sizes, inside = [], []
    for length in sorted(lengths, reverse=longest > 0) if ordered else lengths:
        widest = max([*inside, length]) if longest == 2 else length if by is None or not inside else inside[by]
        tokens = rows * (len(inside) + newcomer) * widest if padded else rows * sum([*inside, length])
        if (inside or not alone) and (tokens >= budget if strict else tokens > budget):
            sizes.append(len(inside))
            inside = []
            if not opens:
                continue
        inside.append(length)
    return [*sizes, len(inside)] if rest else sizes


def closed_late(lengths, budget):
    sizes, inside = [], 0
    for length in sorted(lengths):
        inside += 1
        if 2 * inside * length > budget:
            sizes.append(inside)
            inside = 0
    return [*sizes, inside] if inside else sizes


def counted_twice(lengths, budget):
    sizes, inside = [], 0
    for length in sorted(lengths):
        if inside and 2 * (inside + 1) * length > budget:
            sizes.append(inside)
            inside = 1
        inside += 1
    return [*sizes, inside]


def all_of_one_size(lengths, budget):
    size = max(1, budget // (2 * max(lengths)))
    return [min(size, len(lengths) - start) for start in range(0, len(lengths), size)]


SIZES = {
    "a pair is two rows, one for each response: count both": lambda s, b: micro_batch_sizes(s, b, rows=1),
    "the pairs are not in order of length": lambda s, b: micro_batch_sizes(s, b, ordered=False),
    "padding counts too: every row is as long as the longest": lambda s, b: micro_batch_sizes(s, b, padded=False),
    "a micro-batch may hold exactly the budget": lambda s, b: micro_batch_sizes(s, b, strict=True),
    "the tokens are counted before the newcomer is in, so that it can overfill the batch":
        lambda s, b: micro_batch_sizes(s, b, newcomer=0),
    "the last micro-batch is lost: when the pairs run out, one is still open":
        lambda s, b: micro_batch_sizes(s, b, rest=False),
    "a piece has at least one pair: one that is too long for the budget stands alone, with no empty piece before it":
        lambda s, b: micro_batch_sizes(s, b, alone=False),
    "the longest come first, so that the pair at hand is the shortest of its piece and the tokens are counted wrong":
        lambda s, b: micro_batch_sizes(s, b, longest=1),
    "the longest come first; begin with the short ones": lambda s, b: micro_batch_sizes(s, b, longest=2),
    "the tokens are counted by the shortest pair of the piece; rows are padded to the longest, the one at hand":
        lambda s, b: micro_batch_sizes(s, b, by=0),
    "the tokens are counted by the pair before; the one at hand is longer, and its length is the piece's":
        lambda s, b: micro_batch_sizes(s, b, by=-1),
    "a pair that opens a piece is counted twice": counted_twice,
    "a piece is closed when it is above the budget already: close it before the pair that is too much":
        closed_late,
    "the pair that does not fit any more is lost: it is the first of the next piece":
        lambda s, b: micro_batch_sizes(s, b, opens=False),
    "the longest of all pairs sets the size of every piece; each is as large as its own longest pair lets it be":
        all_of_one_size,
    "the pieces themselves come back; only their sizes are wanted": lambda s, b: [
        sorted(s)[end - n:end] for n, end in zip(micro_batch_sizes(s, b), np.cumsum(micro_batch_sizes(s, b)))],
}


# 6.2: the mean over a batch, from pieces of it


def pieces(rng: np.random.Generator) -> tuple[list[np.ndarray]]:
    """Gradients of single pairs, (n, D) in each of two to four pieces, which have unequal sizes."""
    sizes, width = rng.choice(np.arange(1, 6), size=rng.integers(2, 5), replace=False), rng.integers(2, 5)
    return ([rng.normal(size=(size, width)).round(1) for size in sizes],)


def accumulated(parts):
    return np.concatenate(parts).mean(axis=0)


ACCUMULATED = {
    "the bug is still there: a mean of means counts a pair in a small piece more than one in a large piece":
        lambda parts: np.mean([part.mean(axis=0) for part in parts], axis=0),
    "this is the sum over the pairs; the batch's loss is their mean": lambda parts: np.concatenate(parts).sum(axis=0),
    "the means of the pieces are added up and divided by nothing":
        lambda parts: np.sum([part.mean(axis=0) for part in parts], axis=0),
    "the sum is divided by the number of pieces; divide by the number of pairs":
        lambda parts: np.concatenate(parts).sum(axis=0) / len(parts),
    "the sum is divided by the count of all numbers; divide by the number of pairs":
        lambda parts: np.concatenate(parts).sum(axis=0) / np.concatenate(parts).size,
    "the last piece is left out": lambda parts: sum(part.sum(axis=0) for part in parts[:-1]) / sum(map(len, parts)),
    "only the last piece is left: += became =": lambda parts: parts[-1].sum(axis=0) / sum(map(len, parts)),
    "the pieces' means are divided by the number of pairs":
        lambda parts: np.sum([part.mean(axis=0) for part in parts], axis=0) / sum(map(len, parts)),
}
