"""What the exercises of notebook 04 ask: limits, agreement, a cut, pads, ties; the rest is in preference_data_rows."""

import math

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.preference_data_rows import HOLD_OUT, SPLIT_TRANSCRIPT


def entropy(p):
    q = np.clip([p, 1 - np.asarray(p)], np.finfo(float).tiny, 1)
    return -(q * np.log(q)).sum(axis=0)


def three(p, accuracy=None, nll=None, brier=None):
    """The three limits of p (B,), or other numbers in their place."""
    limits = np.maximum(p, 1 - p).mean(), entropy(p).mean(), (p * (1 - p)).mean()
    return tuple(float(limit if other is None else other)
                 for limit, other in zip(limits, (accuracy, nll, brier), strict=True))


BEST_SCORES = Exercise(
    "4.2",
    answer=three,
    draw=lambda rng: (rng.uniform(size=rng.integers(2, 9)),),
    edges=((np.array([0.0, 1.0, 0.25]),), (np.array([0.5]),)),
    mistakes={
        "min(p², (1-p)²) is what is paid when the likelier one is chosen; the Brier limit is p(1-p)":
            lambda p: three(p, brier=(np.minimum(p, 1 - p) ** 2).mean()),
        "twice p(1-p) counts both responses' errors; one probability is forecast":
            lambda p: three(p, brier=2 * (p * (1 - p)).mean()),
        "(1-p)² is paid when the first is chosen; the other is chosen, too":
            lambda p: three(p, brier=((1 - p) ** 2).mean()),
        "the likelier response is named for each pair anew: the maximum comes before the mean":
            lambda p: three(p, accuracy=max(p.mean(), 1 - p.mean())),
        "always naming the first response is right with probability p; the better of the two is wanted":
            lambda p: three(p, accuracy=p.mean()),
        "this is how often the first is the likelier one; how often the likelier one is chosen is wanted":
            lambda p: three(p, accuracy=(p > 0.5).mean()),
        "half of the entropy is missing: the other response is chosen, too":
            lambda p: three(p, nll=-(p * np.log(np.where(p > 0, p, 1))).mean()),
        "in bits: the NLL is in nats, with the natural logarithm":
            lambda p: three(p, nll=entropy(p).mean() / np.log(2)),
        "-log p is paid when the first is chosen; the other is chosen, too": lambda p: three(p, nll=-np.log(p).mean()),
        "it is paid as if the likelier one were chosen always; the other is chosen, too":
            lambda p: three(p, nll=-np.log(np.maximum(p, 1 - p)).mean(), brier=(np.minimum(p, 1 - p) ** 2).mean()),
        "the entropy of the mean; the mean of the entropies is wanted": lambda p: three(p, nll=entropy(p.mean())),
        "these are the limits of the mean p; the mean over the pairs comes last":
            lambda p: three(p.mean() * np.ones(1)),
        "0 log 0 is nan on a computer; here it has to be 0":
            lambda p: three(p, nll=entropy(p).mean() if ((p > 0) & (p < 1)).all() else np.nan),
        "certain pairs are left out of the mean; they count, with an NLL of 0":
            lambda p: three(p, nll=entropy(p[(p > 0) & (p < 1)]).mean()),
        "-log max(p, 1-p) is paid when the likelier one is chosen; the other is chosen, too":
            lambda p: three(p, nll=-np.log(np.maximum(p, 1 - p)).mean()),
        "p(1-p) of the mean; the mean over the pairs comes last": lambda p: three(p, brier=p.mean() * (1 - p.mean())),
    },
)

def draw_agreement(rng):
    certain, p = rng.uniform(0.05, 0.7), rng.uniform(0.55, 0.98)
    return certain + (1 - certain) * (p**2 + (1 - p) ** 2), certain


def hard(a):
    """The better response's probability where two equal annotators agree on a share a."""
    return (1 + math.sqrt(2 * a - 1)) / 2


def mixed(of_others=hard):
    """The best accuracy, if on the pairs that are not certain it is `of_others(agreement on them)`."""
    return lambda a, certain: certain + (1 - certain) * of_others((a - certain) / (1 - certain))


BEST_ACCURACY = Exercise(
    "4.3",
    answer=mixed(),
    draw=draw_agreement,
    edges=((0.745, 0.0), (0.75, 0.5), (1.0, 0.25)),
    mistakes={
        "the agreement is over all pairs; on those that are not certain it is lower":
            lambda a, certain: certain + (1 - certain) * hard(a),
        "this is the accuracy on the others alone; the certain pairs count, too":
            lambda a, certain: hard((a - certain) / (1 - certain)),
        "as if no pair were certain": lambda a, certain: hard(a),
        "the certain pairs' part is missing in the sum": lambda a, certain: mixed()(a, certain) - certain,
        "the square root of the agreement: they also agree when both are wrong": mixed(math.sqrt),
        "the smaller solution: p is at least one half": mixed(lambda a: 1 - hard(a)),
        "this is |2p - 1|; p itself is wanted": mixed(lambda a: math.sqrt(2 * a - 1)),
        "the agreement itself is the lower edge, where the others are coins": lambda a, certain: a,
        "2a - 1 is |2p - 1| squared: take its root, add 1 and halve": mixed(lambda a: 2 * a - 1),
        "a stands where the root of 2a - 1 should": mixed(lambda a: (1 + a) / 2),
        "under the root stands 2a - 1, not a": mixed(lambda a: (1 + math.sqrt(a)) / 2),
        "1 plus the root is to be halved": mixed(lambda a: 2 * hard(a)),
        "what the others add has to be weighed by their share, 1 - certain":
            lambda a, certain: certain + hard((a - certain) / (1 - certain)),
        "the two edges are mixed; the agreement on the others has to be found first":
            lambda a, certain: certain * a + (1 - certain) * hard(a),
        "agreement - certain is a share of all pairs; divide it by the others' share":
            lambda a, certain: certain + (1 - certain) * hard(a - certain),
    },
)


def cut_pair(prompt, chosen, rejected, room):
    keep = max(0, room - max(len(chosen), len(rejected)))
    kept = prompt[max(0, len(prompt) - keep):]
    return kept + chosen, kept + rejected


def cut_like(keep_of, cut):
    """A cut that keeps `keep_of(chosen, rejected, room)` tokens of the prompt, in a certain way."""

    def cut_both(prompt, chosen, rejected, room):
        kept = cut(prompt, max(0, keep_of(chosen, rejected, room)))
        return kept + chosen, kept + rejected

    return cut_both


def newest(prompt, keep):
    return prompt[max(0, len(prompt) - keep):]


def beside_the_longer(chosen, rejected, room):
    return room - max(len(chosen), len(rejected))


def each_its_own(prompt, chosen, rejected, room):
    return tuple(newest(prompt, room - len(part)) + part for part in (chosen, rejected))


def all_or_nothing(prompt, chosen, rejected, room):
    kept = prompt if len(prompt) <= beside_the_longer(chosen, rejected, room) else []
    return kept + chosen, kept + rejected


def draw_tokens(rng):
    room, exact = int(rng.integers(6, 12)), rng.random() < 0.4
    longer = room if exact else int(rng.integers(2, room))
    sizes = int(rng.integers(2, 20)), longer, int(rng.integers(1, longer + 1))
    prompt, one, other = (rng.integers(100, 999, size=size).tolist() for size in sizes)
    return (prompt, one, other, room) if rng.random() < 0.5 else (prompt, other, one, room)


CUT_PAIR = Exercise(
    "4.4",
    answer=cut_pair,
    draw=draw_tokens,
    edges=(([1, 2, 3], [4, 5, 6], [7], 3), ([1, 2, 3], [4], [5], 6), ([1, 2, 3, 4], [5, 6], [7], 4),
           ([1, 2], [3], [4], 8)),
    mistakes={
        "the bug is still there: prompt[-0:] is the whole prompt":
            cut_like(beside_the_longer, lambda prompt, keep: prompt[-keep:]),
        "where there is room for more than the prompt, len(prompt) - keep is negative, and counts from the end":
            cut_like(beside_the_longer, lambda prompt, keep: prompt[len(prompt) - keep :]),
        "each response has a cut of its own; the prompt's part has to be the same in both": each_its_own,
        "the newest tokens are cut; the oldest should be":
            cut_like(beside_the_longer, lambda prompt, keep: prompt[:keep]),
        "the shorter response decides how much is cut; the longer one has to fit":
            cut_like(lambda chosen, rejected, room: room - min(len(chosen), len(rejected)), newest),
        "it cuts on the right, and with it the responses":
            lambda prompt, chosen, rejected, room: ((prompt + chosen)[:room], (prompt + rejected)[:room]),
        "the prompt is dropped altogether": lambda prompt, chosen, rejected, room: (chosen, rejected),
        "a token of the prompt is kept where there is room for none":
            cut_like(lambda chosen, rejected, room: max(1, beside_the_longer(chosen, rejected, room)), newest),
        "one token too few of the prompt is kept":
            cut_like(lambda chosen, rejected, room: beside_the_longer(chosen, rejected, room) - 1, newest),
        "one token too many of the prompt is kept":
            cut_like(lambda chosen, rejected, room: beside_the_longer(chosen, rejected, room) + 1, newest),
        "the chosen response decides how much is cut; the longer one of the two has to":
            cut_like(lambda chosen, rejected, room: room - len(chosen), newest),
        "the rejected response decides how much is cut; the longer one of the two has to":
            cut_like(lambda chosen, rejected, room: room - len(rejected), newest),
        "there is room for both responses at once; each stands alone after the prompt":
            cut_like(lambda chosen, rejected, room: room - len(chosen) - len(rejected), newest),
        "a prompt that does not fit is dropped whole; its newest tokens may stay": all_or_nothing,
        "nothing is cut": lambda prompt, chosen, rejected, room: (prompt + chosen, prompt + rejected),
    },
)


def in_batches(lengths, size):
    return [lengths[start : start + size] for start in range(0, len(lengths), size)]


def rectangle(lengths, size):
    return sum(len(batch) * max(batch) for batch in in_batches(lengths, size))


SHARE_OF_PADS = Exercise(
    "4.5",
    answer=lambda lengths, size: 1 - sum(lengths) / rectangle(lengths, size),
    draw=lambda rng: (rng.integers(1, 60, size=rng.integers(5, 12)).tolist(), int(rng.integers(2, 5))),
    edges=(([3, 9, 4], 1), ([3, 9, 4, 20, 1], 2)),
    mistakes={
        "the mean of the batches' shares: a long batch has to count for more":
            lambda lengths, size: np.mean([1 - sum(b) / (len(b) * max(b)) for b in in_batches(lengths, size)]),
        "padded to the longest of all; each batch has a longest of its own":
            lambda lengths, size: 1 - sum(lengths) / (len(lengths) * max(lengths)),
        "pads are divided by the tokens; divide by tokens and pads":
            lambda lengths, size: rectangle(lengths, size) / sum(lengths) - 1,
        "the last batch counts as a full one; it has as many rows as are left":
            lambda lengths, size: 1 - sum(lengths) / sum(size * max(b) for b in in_batches(lengths, size)),
        "the last batch is left out where it is smaller; it counts, too":
            lambda lengths, size: 1 - sum(lengths[: len(lengths) // size * size])
            / max(1, rectangle(lengths[: len(lengths) // size * size], size)),
        "the lengths are sorted first; take them in the order in which they come":
            lambda lengths, size: 1 - sum(lengths) / rectangle(sorted(lengths), size),
        "this is the share of tokens; that of pads is wanted":
            lambda lengths, size: sum(lengths) / rectangle(lengths, size),
        "the mean of the sequences' shares: a long sequence has to count for more":
            lambda lengths, size: np.mean([1 - n / max(b) for b in in_batches(lengths, size) for n in b]),
        "the last sequence of a batch need not be its longest":
            lambda lengths, size: 1 - sum(lengths) / sum(len(b) * b[-1] for b in in_batches(lengths, size)),
        "this is the number of pads; their share is wanted":
            lambda lengths, size: rectangle(lengths, size) - sum(lengths),
    },
)


def half_right(margins):
    return ((np.sign(margins) + 1) / 2).mean()


ACCURACY = Exercise(
    "4.6",
    answer=half_right,
    draw=lambda rng: (rng.permutation([0.0, *rng.normal(size=rng.integers(3, 9)), *np.zeros(rng.integers(0, 3))]),),
    edges=((np.zeros(4),), (np.array([1.5, -0.25, 3.0]),), (np.array([1e-14, 1e-14, 1e-14, -1e-14, 2.0]),)),
    mistakes={
        "a tie counts as right; it is half right": lambda margins: (margins >= 0).mean(),
        "a tie counts as wrong; it is half right": lambda margins: (margins > 0).mean(),
        "ties are left out; they are half right": lambda margins: (margins[margins != 0] > 0).mean(),
        "the mean of the signs goes from -1 to 1; add 1 and divide by 2": lambda margins: np.sign(margins).mean(),
        "a mean probability; a pair is right or wrong, whatever the size of its margin":
            lambda margins: (1 / (1 + np.exp(-margins))).mean(),
        "only a margin of exactly zero is a tie: a tiny one is right or wrong, too":
            lambda margins: half_right(np.where(np.abs(margins) < 1e-12, 0, margins)),
        "this is the share that is wrong": lambda margins: 1 - half_right(margins),
    },
)


EXERCISES = [
    SPLIT_TRANSCRIPT, BEST_SCORES, BEST_ACCURACY, CUT_PAIR, SHARE_OF_PADS, ACCURACY, HOLD_OUT,
]
