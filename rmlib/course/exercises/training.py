"""What the exercises of notebook 06 ask."""

from itertools import accumulate

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.training_loops import CONTINUED, EDGES, LOOP, continued, loop, saved_runs, small_data
from rmlib.course.exercises.training_sound import judged_loops

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
    "the sum is divided by the number of pieces as well as by that of pairs":
        lambda parts: np.concatenate(parts).mean(axis=0) / len(parts),
    "the sum is divided by the pairs of the last piece; divide by those of all":
        lambda parts: np.concatenate(parts).sum(axis=0) / len(parts[-1]),
    "the sum is divided as if all pieces had as many pairs as the first":
        lambda parts: np.concatenate(parts).sum(axis=0) / (len(parts) * len(parts[0])),
    "the last piece is left out": lambda parts: sum(part.sum(axis=0) for part in parts[:-1]) / sum(map(len, parts)),
    "only the last piece is left: += became =": lambda parts: parts[-1].sum(axis=0) / sum(map(len, parts)),
    "the pieces' means are divided by the number of pairs":
        lambda parts: np.sum([part.mean(axis=0) for part in parts], axis=0) / sum(map(len, parts)),
}


# 6.4: when to stop, and what to keep


def some_looks(rng: np.random.Generator) -> tuple[list[float], int, float]:
    """NLLs of 3 to 14 evaluations, in hundredths; a patience of 1 to 4; a least gain between two hundredths."""
    count = int(rng.integers(3, 15))
    falling = 0.48 + 0.2 * np.exp(-np.arange(count) / 2) + 0.01 * np.arange(count)
    return [round(each, 2) for each in falling + rng.normal(0, 0.02, count)], int(
        rng.integers(1, 5)), float(rng.choice([0.005, 0.015, 0.025]))


def stop_early(nlls, patience, least, better=lambda new, old, least: new < old - least, waits=0, stops=True,
               hasty=False, keep=None, first=0):
    """The right decision, or with an argument changed that of a mistake.

    better: when a look is a new best; waits: looks by which it is too patient; stops: whether it ever does.
    hasty: whether it counts rises in a row, and not the looks since the best. keep: what is kept in place of the best.
    first: the number of the first look.
    """
    best, rises = 0, 0
    for look, nll in enumerate(nlls):
        best = look if look and better(nll, nlls[best], least) else best
        rises = rises + 1 if look and nll >= nlls[look - 1] else 0
        if stops and (rises if hasty else look - best) >= patience + waits:
            break
    return look + 1, (best if keep is None else keep(nlls, look)) + first


def lowest(nlls, look):
    return int(np.argmin(nlls))


STOPPED = {
    "the weights of the last look are kept; wanted are those of the best": lambda n, p, g:
        stop_early(n, p, g, keep=lambda nlls, look: look),
    "it never stops: after `patience` looks without a better one the run ends": lambda n, p, g:
        stop_early(n, p, g, stops=False),
    "it never stops, and keeps the lowest look of all, whatever it gained": lambda n, p, g:
        stop_early(n, p, g, stops=False, keep=lowest),
    "what is kept is the lowest of all; the run ended before some of them, and never saw those": lambda n, p, g:
        stop_early(n, p, g, keep=lowest),
    "patience counts rises in a row; count the looks since the best, or a zigzag above it goes on for ever":
        lambda n, p, g: stop_early(n, p, g, hasty=True),
    "any lower look counts as better, as on the page; here it has to be lower by more than `least`": lambda n, p, g:
        stop_early(n, p, g, better=lambda new, old, least: new < old),
    "a look that is lower than the best *plus* `least` is no better one; the gain goes the other way": lambda n, p, g:
        stop_early(n, p, g, better=lambda new, old, least: new < old + least),
    "what is kept is the lowest look that was made; one that gains too little is not kept": lambda n, p, g:
        stop_early(n, p, g, keep=lambda nlls, look: lowest(nlls[:look + 1], look)),
    "it stops one look too late": lambda n, p, g: stop_early(n, p, g, waits=1),
    "it stops one look too early": lambda n, p, g: stop_early(n, p, g, waits=-1),
    "it stops at the first look that is no better, whatever the patience": lambda n, p, g: stop_early(n, 1, g),
    "the looks are counted from 0; the best one's place is one too large": lambda n, p, g: stop_early(n, p, g, first=1),
    "the first number is how many looks were made; this is the place of the last, one less": lambda n, p, g:
        (stop_early(n, p, g)[0] - 1, stop_early(n, p, g)[1]),
    "the two are in the wrong order: first how many looks, then the best one's place": lambda n, p, g:
        stop_early(n, p, g)[::-1],
    "each look is compared with the one before it; compare it with the best": lambda n, p, g: against_the_last(n, p, g),
    "each look is compared with the lowest so far; compare it with the last better one, which may be higher": lambda *g:
        against_the_lowest(*g),
    "a look that is lower by just `least` is no better one: by more than that, it says": lambda n, p, g:
        stop_early(n, p, g, better=lambda new, old, least: new <= old - least),
    "all looks that are no better ones are counted; a better one starts the count again": lambda n, p, g:
        never_forgiven(n, p, g),
    "the higher NLL counts as the better one": lambda n, p, g:
        stop_early(n, p, g, better=lambda new, old, least: new > old + least),
    "the best look's NLL comes back; wanted is its place": lambda n, p, g:
        (stop_early(n, p, g)[0], n[stop_early(n, p, g)[1]]),
}


def against_the_last(nlls, patience, least):
    """Every fall by more than `least` counts as a new best."""
    falls = [look == 0 or nll < nlls[look - 1] - least for look, nll in enumerate(nlls)]
    since = list(accumulate(falls, lambda count, fell: 0 if fell else count + 1, initial=0))[1:]
    look = next((look for look, count in enumerate(since) if count >= patience), len(nlls) - 1)
    return look + 1, max(place for place in range(look + 1) if falls[place])


def against_the_lowest(nlls, patience, least):
    """A look that gains too little is no better one, and yet the next is measured against it."""
    best = 0
    for look in range(1, len(nlls)):
        best = look if nlls[look] < min(nlls[:look]) - least else best
        if look - best >= patience:
            return look + 1, best
    return len(nlls), best


def never_forgiven(nlls, patience, least):
    """Stops at the look that is, of all that were no better, number `patience`."""
    bests = [stop_early(nlls[:look + 1], len(nlls), least)[1] for look in range(len(nlls))]
    worse = [look for look, best in enumerate(bests) if best != look]
    end = worse[patience - 1] if len(worse) >= patience else len(nlls) - 1
    return end + 1, bests[end]


LOOKS = (
    ([0.69, 0.6, 0.5, 0.45], 1, 0.005), ([0.7, 0.7, 0.7], 2, 0.005), ([0.69, 0.5, 0.5, 0.5, 0.4], 2, 0.005),
    ([0.6, 0.5, 0.55, 0.53, 0.54], 3, 0.005), ([0.69, 0.5, 0.6, 0.55, 0.65, 0.4], 2, 0.005), ([0.6], 1, 0.015),
    ([0.69, 0.5, 0.52, 0.51, 0.52, 0.51, 0.52], 4, 0.005), ([0.69, 0.5, 0.49, 0.48, 0.47, 0.46], 2, 0.015),
    ([0.69, 0.5, 0.49, 0.48, 0.47, 0.46], 3, 0.015), ([0.69, 0.5, 0.49, 0.52, 0.53], 3, 0.015),
    ([0.75, 0.5, 0.25, 0.5], 2, 0.25), ([0.5, 0.5, 0.25], 1, 0.0),  # lower by just `least`, in floating point as well
    ([0.7, 0.5, 0.49, 0.48, 0.3], 2, 0.05),  # lower looks, and no better ones, until it ends
)

TORCH = {"rtol": 1e-5, "atol": 1e-5}  # its clipping adds 1e-6 to the norm

EXERCISES = [
    Exercise("6.1", judge=judged_loops),
    Exercise("6.2", accumulated, pieces, ACCUMULATED),
    Exercise("6.3", loop, small_data, LOOP, **TORCH, edges=EDGES),
    Exercise("6.4", stop_early, some_looks, STOPPED, edges=LOOKS),
    Exercise("6.5", continued, saved_runs, CONTINUED),
]
