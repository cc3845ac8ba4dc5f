"""Two loops with bugs, for the exercises of notebook 06: one that trains, one that goes on where another stopped."""

import numpy as np

from rmlib.course.logistic import sigmoid

# 6.6: three bugs in one loop


def small_data(rng: np.random.Generator) -> tuple[np.ndarray, list[list[np.ndarray]], float, float]:
    """Weights (3,); for each of 8 to 11 batches its two or three pieces, differences of features (n, 3); peak, most."""
    batches = [[rng.normal(size=(rng.integers(1, 5), 3)) for _ in range(rng.integers(2, 4))]
               for _ in range(rng.integers(8, 12))]
    return rng.normal(size=3), batches, float(rng.uniform(0.2, 0.6)), float(rng.uniform(0.15, 0.3))


def loop(weights, batches, peak, most, kept=False, clip_pieces=False, fall_pieces=False, clip=True, ahead=0,
         falls=True, of_means=False):
    """The right loop, or with an argument changed one that has kept a bug."""
    w, gradient, taken = np.array(weights), np.zeros(3), 0
    steps = len(batches)
    for pieces in batches:
        gradient = gradient if kept else np.zeros(3)
        for x in pieces:
            share = 1 / (len(x) * len(pieces)) if of_means else 1 / sum(map(len, pieces))
            gradient = gradient - (sigmoid(-x @ w)[:, None] * x).sum(axis=0) * share
            if clip_pieces:
                gradient = gradient * min(1, most / np.linalg.norm(gradient))
            taken += fall_pieces
        if clip and not clip_pieces:
            gradient = gradient * min(1, most / np.linalg.norm(gradient))
        w = w - peak * (max(0, 1 - (taken + ahead) / steps) if falls else 1) * gradient
        taken += not fall_pieces
    return w


def by_pieces(weights, batches, peak, most, after):
    """The loop with a rate that falls with the share of all pieces that were taken before the step, or after it."""
    w, pieces, taken = np.array(weights), sum(map(len, batches)), 0
    for batch in batches:
        share = 1 - (taken + after * len(batch)) / pieces
        w = loop(w, [batch], peak * share, most)
        taken += len(batch)
    return w


KEPT = "the gradient of the last step is never set to zero, so that it is added to the next"
PIECES = "each piece is clipped, before the gradient is whole: clip once, after the last piece"
FALLS = "the rate falls with every piece, not with every step, and is at zero too early"
LOOP = {
    f"one bug is left: {KEPT}": lambda *a: loop(*a, kept=True),
    f"one bug is left: {PIECES}": lambda *a: loop(*a, clip_pieces=True),
    f"one bug is left: {FALLS}": lambda *a: loop(*a, fall_pieces=True),
    f"two bugs are left: {KEPT}; {PIECES}": lambda *a: loop(*a, kept=True, clip_pieces=True),
    f"two bugs are left: {KEPT}; {FALLS}": lambda *a: loop(*a, kept=True, fall_pieces=True),
    f"two bugs are left: {PIECES}; {FALLS}": lambda *a: loop(*a, clip_pieces=True, fall_pieces=True),
    "all three bugs are still there": lambda *a: loop(*a, kept=True, clip_pieces=True, fall_pieces=True),
    "the rate falls with the share of all pieces; a step counts one, in however many pieces its batch came":
        lambda *a: by_pieces(*a, after=False),
    "the rate falls with the share of all pieces, its own batch's among them; the first rate is the peak":
        lambda *a: by_pieces(*a, after=True),
    "the rate does not fall any more": lambda *a: loop(*a, falls=False),
    "the pieces' means are averaged: the gradient is the sum over all pairs of the batch, divided by their number":
        lambda *a: loop(*a, of_means=True),
    "nothing is clipped any more": lambda *a: loop(*a, clip=False),
    "the rate falls before the first step is taken: the first rate is the peak": lambda *a: loop(*a, ahead=1),
}


# 6.7: what a run depends on beside its weights

RATE = 0.1


def saved_runs(rng: np.random.Generator) -> tuple[dict, list[np.ndarray]]:
    """What a run of momentum steps saved, and the gradients that are still to come."""
    weights, momentum = rng.normal(size=(2, 3))
    state = {"weights": weights, "momentum": momentum, "step": int(rng.integers(2, 8))}
    return state, [rng.normal(size=3) for _ in range(rng.integers(3, 7))]


def continued(saved, gradients, momentum=True, step=True, again=0):
    """The right end of the run, or with an argument changed that of a run that forgot something."""
    w, m = np.array(saved["weights"]), np.array(saved["momentum"]) * momentum
    taken = saved["step"] * step + again
    for g in gradients:
        m = 0.9 * m + g
        w = w - RATE / (1 + taken) * m
        taken += 1
    return w


CONTINUED = {
    "the optimizer's memory is lost: the momentum starts again at zero": lambda s, g: continued(s, g, momentum=False),
    "the schedule starts again: the step that was reached is forgotten": lambda s, g: continued(s, g, step=False),
    "momentum and step are both forgotten": lambda s, g: continued(s, g, momentum=False, step=False),
    "gradients are skipped: the list holds only those that are still to come":
        lambda s, g: continued(s, g[s["step"]:]),
    "the schedule is one step behind the run": lambda s, g: continued(s, g, again=-1),
    "the schedule is one step ahead of the run": lambda s, g: continued(s, g, again=1),
    "the weights are those that were saved: nothing was trained": lambda s, g: s["weights"],
}
