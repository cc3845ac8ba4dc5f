"""Two loops with bugs, for the exercises of notebook 06: one that trains, one that goes on where another stopped."""

from collections.abc import Callable
from itertools import product

import numpy as np

from rmlib.course.logistic import sigmoid

# 6.3: three bugs in one loop


def small_data(rng: np.random.Generator) -> tuple[np.ndarray, list[list[np.ndarray]], float, float]:
    """Weights (D,); for each of 2 to 6 batches its one to three pieces, differences of features (n, D); peak, most.

    `most` is above some gradients and below others.
    """
    width = int(rng.integers(2, 4))
    batches = [[rng.choice([-1, 1], size=(n, width)) * rng.integers(1, 30, size=(n, width)) / 10
                for n in rng.integers(1, 4, size=pieces)] for pieces in rng.integers(1, 4, size=rng.integers(2, 7))]
    return rng.normal(size=width).round(1), batches, float(rng.integers(2, 7)) / 10, float(rng.integers(15, 121)) / 100


EDGES = (  # a short gradient; one so long that its step is, too; two pieces that are clipped, with steps to go
    (np.zeros(2), [[np.array([[0.2, -0.1]])]], 0.5, 0.3), (np.zeros(2), [[np.array([[9.0, -4.0]])]], 0.5, 0.3),
    (np.zeros(2), [[np.array([[9.0, -4.0]]), np.array([[-5.0, 6.0]])], *[[np.array([[0.2, -0.1]])]] * 5], 0.5, 1.0),
)


def loop(weights, batches, peak, most, kept=False, last=False, clip="batch", fall_pieces=False, ahead=0, falls=True,
         share="pair", single=False, more=0, before=False):
    """The right loop, or with an argument changed one that has kept a bug, or has a new one.

    last: only the last piece counts; single: each piece is taken for a batch, at its batch's rate; before: the rate is
    what it is before the batch's pieces are counted.
    """
    w, gradient, taken = np.array(weights), np.zeros(len(weights)), 0
    steps = len(batches) + more
    for pieces in batches:
        gradient = gradient if kept else np.zeros(len(weights))
        rate = peak * (max(0, 1 - (taken + ahead) / steps) if falls else 1)
        for x in pieces:
            shares = {"pair": 1 / sum(map(len, pieces)), "mean": 1 / (len(x) * len(pieces)), "piece": 1 / len(x),
                      "none": 1}
            own = -(sigmoid(-x @ w)[:, None] * x).sum(axis=0) * shares[share]
            own = shortened(own, most) if clip == "own" or single else own
            gradient = own if last else gradient + own
            gradient = shortened(gradient, most) if clip == "pieces" else gradient
            w = w - rate * own * single
            taken += fall_pieces
        gradient = shortened(gradient, most) if clip == "batch" else gradient
        gradient = gradient * most / np.linalg.norm(gradient) if clip == "always" else gradient
        gradient = gradient * max(1, most / np.linalg.norm(gradient)) if clip == "max" else gradient
        gradient = np.clip(gradient, -most, most) if clip == "numbers" else gradient
        rate = rate if before else peak * (max(0, 1 - (taken + ahead) / steps) if falls else 1)
        step = rate * gradient * (not single)
        w = w - (shortened(step, most) if clip == "step" else step)
        taken += not fall_pieces
    return w


def shortened(gradient, most):
    norm = np.linalg.norm(gradient)
    return gradient * most / norm if norm > most else gradient


def by_pieces(weights, batches, peak, most, after):
    """The loop with a rate that falls with the share of all pieces that were taken before the step, or after it."""
    w, pieces, taken = np.array(weights), sum(map(len, batches)), 0
    for batch in batches:
        share = 1 - (taken + after * len(batch)) / pieces
        w = loop(w, [batch], peak * share, most)
        taken += len(batch)
    return w


BUGS = (  # for each bug of the page what may stand in its place: what is told, and the arguments of `loop`
    {"the gradient of the last step is never set to zero, so that it is added to the next": {"kept": True}, "": {}},
    {"each piece is clipped, before the gradient is whole: clip once, after the last piece": {"clip": "pieces"},
     "each piece is clipped for itself, before they are added up: clip once, after the last piece": {"clip": "own"},
     "min is missing from the clipping, so that short gradients are lengthened": {"clip": "always"}, "": {}},
    {"the rate falls with every piece, not with every step, and is at zero too early": {"fall_pieces": True},
     "the rate falls once a step now, but before the step is taken: the first rate is the peak": {"ahead": 1}, "": {}},
)
COUNTED = ("", "one bug is left", "two bugs are left", "all three bugs are still there")


def left_over() -> dict[str, Callable]:
    """A loop for every choice of the bugs that are left, by what is told of it."""
    found = {}
    for choice in product(*BUGS):
        bugs = [bug for bug in choice if bug]
        kept = {name: value for which, bug in zip(BUGS, choice, strict=True) for name, value in which[bug].items()}
        if bugs:
            found[f"{COUNTED[len(bugs)]}: {'; '.join(bugs)}"] = lambda *a, kept=kept: loop(*a, **kept)
    return found


LOOP = left_over() | {
    "the rate falls with the share of all pieces; a step counts one, in however many pieces its batch came":
        lambda *a: by_pieces(*a, after=False),
    "the rate falls with the share of all pieces, its own batch's among them; the first rate is the peak":
        lambda *a: by_pieces(*a, after=True),
    "the rate falls with every piece before it; count the batches": lambda *a: loop(*a, fall_pieces=True, before=True),
    "the rate does not fall any more": lambda *a: loop(*a, falls=False),
    "the gradient is set to zero at each piece, so that only the last one counts": lambda *a: loop(*a, last=True),
    "each piece has a step of its own; accumulate them, and take one step a batch": lambda *a: loop(*a, single=True),
    "the pieces' means are averaged: the gradient is the sum over all pairs of the batch, divided by their number":
        lambda *a: loop(*a, share="mean"),
    "each piece is divided by its own number of pairs; divide by that of the whole batch":
        lambda *a: loop(*a, share="piece"),
    "the sum is not divided by the number of pairs any more": lambda *a: loop(*a, share="none"),
    "only the last piece counts, and the rate falls with every piece": lambda *a: loop(*a, last=True, fall_pieces=True),
    "each number of the gradient is clipped by itself, which turns it; shorten it as a whole, by its norm":
        lambda *a: loop(*a, clip="numbers"),
    "max stands where min belongs": lambda *a: loop(*a, clip="max"),
    "the step is clipped; clip the gradient, before it is multiplied by the rate": lambda *a: loop(*a, clip="step"),
    "the rate is divided among one step more than there are": lambda *a: loop(*a, more=1),
    "the rate is at zero in the last step: there are as many steps as batches":
        lambda *a: loop(*a, more=-1 if len(a[1]) > 1 else 0),
    "nothing is clipped any more": lambda *a: loop(*a, clip="never"),
}


# 6.5: what a run depends on beside its weights

RATE = 0.1


def saved_runs(rng: np.random.Generator) -> tuple[dict, list[np.ndarray]]:
    """What a run of momentum steps saved, and the gradients that are still to come."""
    weights, momentum = rng.normal(size=(2, 3)).round(1)
    state = {"weights": weights, "momentum": momentum, "step": int(rng.integers(2, 8))}
    return state, [rng.normal(size=3).round(1) for _ in range(rng.integers(2, 7))]


def continued(saved, gradients, momentum=True, step=True, again=0, early=False, advance=1, share=1.0, keep=True,
              at=lambda taken: RATE / (1 + taken)):
    """The right end of the run, or with an argument changed that of a run that forgot something."""
    w, m = np.array(saved["weights"]), np.array(saved["momentum"]) * momentum
    taken = saved["step"] * step + again
    for g in gradients:
        new = 0.9 * m + share * g
        w = w - at(taken) * (m if early else new)
        m = new if keep else m
        taken += advance
    return w


CONTINUED = {
    "the optimizer's memory is lost: the momentum starts again at zero": lambda s, g: continued(s, g, momentum=False),
    "the schedule starts again: the step that was reached is forgotten": lambda s, g: continued(s, g, step=False),
    "momentum and step are both forgotten": lambda s, g: continued(s, g, momentum=False, step=False),
    "gradients are skipped: the list holds only those that are still to come":
        lambda s, g: continued(s, g[s["step"]:]),
    "the schedule is one step behind the run": lambda s, g: continued(s, g, again=-1),
    "the schedule is one step ahead of the run": lambda s, g: continued(s, g, again=1),
    "the weights move before the new gradient is in the momentum: first m, then w":
        lambda s, g: continued(s, g, early=True),
    "the rate stays at that of the saved step; it falls on with every step": lambda s, g: continued(s, g, advance=0),
    "the rate does not fall at all": lambda s, g: continued(s, g, at=lambda t: RATE),
    "the new gradient enters the momentum whole, not with a share of 0.1": lambda s, g: continued(s, g, share=0.1),
    "the momentum is not kept from step to step": lambda s, g: continued(s, g, keep=False),
    "the gradient alone moves the weights, without momentum": lambda s, g: continued(s, g, momentum=False, keep=False),
    "0.1 / 1 + t is 0.1 + t: the sum belongs in brackets": lambda s, g: continued(s, g, at=lambda t: RATE + t),
    "only the first of the gradients is used": lambda s, g: continued(s, g[:1]),
    "the schedule starts again, at its second step": lambda s, g: continued({**s, "step": 1}, g),
    "the steps go up the gradient": lambda s, g: continued(s, g, at=lambda t: -RATE / (1 + t)),
    "the weights are those that were saved: nothing was trained": lambda s, g: s["weights"],
}
