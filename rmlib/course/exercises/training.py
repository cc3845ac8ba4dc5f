"""What the exercises of notebook 06 ask."""

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.training_batches import (
    ACCUMULATED,
    SIZES,
    accumulated,
    micro_batch_sizes,
    pieces,
    some_lengths,
)
from rmlib.course.exercises.training_loops import CONTINUED, EDGES, LOOP, continued, loop, saved_runs, small_data

# 6.3: clipping


def some_gradients(rng: np.random.Generator) -> tuple[list[np.ndarray], float]:
    """Gradients of three parameters, and a length that is longer or shorter than theirs."""
    gradients = [rng.normal(size=shape).round(1) for shape in ((2, 2), (3,), (1, 2))]
    return gradients, float(rng.choice([0.8, 1.8, 4.5, 7.5]))


def length(gradients):
    return np.sqrt(sum(np.sum(part**2) for part in gradients))


def clipped(gradients, most):
    share = min(1.0, most / length(gradients))
    return [share * part for part in gradients]


CLIPPED = {
    "each tensor is clipped by its own norm; the norm is that of all of them together, so that the direction stays":
        lambda g, m: [min(1, m / np.linalg.norm(part)) * part for part in g],
    "a gradient that is short enough is lengthened: clipping only ever shortens":
        lambda g, m: [m / length(g) * part for part in g],
    "single numbers are clipped, which turns the gradient in another direction":
        lambda g, m: [np.clip(part, -m, m) for part in g],
    "the norms of the tensors are added up; their squares are, and then comes the root":
        lambda g, m: [min(1, m / sum(np.linalg.norm(part) for part in g)) * part for part in g],
    "the root is missing: this divides by the squared norm":
        lambda g, m: [min(1, m / length(g)**2) * part for part in g],
    "this divides by the root of the mean square; the norm is the root of the sum":
        lambda g, m: [min(1, m / length(g) * np.sqrt(sum(part.size for part in g))) * part for part in g],
    "a long gradient becomes zero; it is to be shortened": lambda g, m: [(length(g) <= m) * part for part in g],
    "each is clipped by the longest of their norms; one norm belongs to all: the root of the sum of all squares":
        lambda g, m: [min(1, m / max(np.linalg.norm(part) for part in g)) * part for part in g],
    "max stands where min belongs: a short gradient is lengthened, and a long one left as it is":
        lambda g, m: [max(1, m / length(g)) * part for part in g],
    "what is too long is divided by the squared norm; divide by the norm":
        lambda g, m: [part * (m / length(g)**2 if length(g) > m else 1) for part in g],
    "the norm is that of the first tensor alone; all belong to it":
        lambda g, m: [min(1, m / np.linalg.norm(g[0])) * part for part in g],
    "the tensors' norms are averaged; their squares are added up, and then comes the root":
        lambda g, m: [min(1, m / np.mean([np.linalg.norm(part) for part in g])) * part for part in g],
    "this divides by the largest single number; the norm is the root of the sum of squares":
        lambda g, m: [min(1, m / max(np.abs(part).max() for part in g)) * part for part in g],
    "this has length 1, whatever `most` is": lambda g, m: [min(1, 1 / length(g)) * part for part in g],
    "a long gradient gets length 1, whatever `most` is":
        lambda g, m: [part / (length(g) if length(g) > m else 1) for part in g],
    "the factor is upside down: what is too long is multiplied by most / norm":
        lambda g, m: [min(1, length(g) / m) * part for part in g],
    "absolute values are added up; the norm is the root of the sum of squares":
        lambda g, m: [min(1, m / sum(np.abs(part).sum() for part in g)) * part for part in g],
    "of a matrix norm(..., 2) is the largest singular value; add up the squares of all its numbers":
        lambda g, m: [min(1, m / np.sqrt(sum(np.linalg.norm(part, 2)**2 for part in g))) * part for part in g],
}


# 6.4: one step of AdamW

BETA, GAMMA, TINY = 0.9, 0.999, 1e-8


def adam_state(rng: np.random.Generator) -> tuple:
    weight, gradient, mean = rng.normal(size=(3, int(rng.integers(2, 5)))).round(1)
    square = rng.integers(1, 100, size=len(weight)) / 10_000
    return weight, gradient, mean / 10, square, int(rng.integers(1, 20)), 0.01, 0.1


def adamw(w, g, m, v, t, rate, decay, coupled=0.0, corrected=True, root=True, rated=True, old=False, tiny=TINY,
          inside=0.0, beta=BETA, gamma=GAMMA, begun=(BETA, GAMMA), late=0.0, new=None, squared=lambda g, m: g**2,
          fresh=False, outside=False, speed=None):
    """The right step, or with an argument changed that of a mistake."""
    g, before = g + coupled * w, (m, v)
    of_mean, of_square = new or (1 - beta, 1 - gamma)
    m = beta * m + of_mean * g
    v = gamma * v + of_square * squared(g, m)
    mean, square = before if old else (m, v)
    mean, square = (mean / (1 - begun[0]**t), square / (1 - begun[1]**t)) if corrected else (mean, square)
    shrunk, mean = w * (1 - (rate if rated else 1) * decay), g if fresh else mean
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.sqrt(v) / (1 - begun[1]**t) if outside else np.sqrt(square + inside) if root else square
        stepped = shrunk - (speed or rate) * mean / (size + tiny)
    return stepped * (1 - rate * late), m, v


ADAMW_EDGES = (  # gradients of the size of ε, and none at all
    (np.array([0.5, -0.2]), np.array([1e-6, -2e-6]), np.zeros(2), np.full(2, 1e-14), 10, 0.01, 0.1),
    (np.array([0.5, -0.2]), np.zeros(2), np.zeros(2), np.zeros(2), 1, 0.01, 0.1),
)


ADAMW = {
    "the averages are not corrected: at first they are far too small, since they began at zero":
        lambda *a: adamw(*a, corrected=False),
    "the decay is in the gradient: that is Adam with an L2 penalty, and Adam's division takes it away again":
        lambda w, g, m, v, t, r, d: adamw(w, g, m, v, t, r, 0.0, coupled=d),
    "the root is missing: divide by the root of the mean square": lambda *a: adamw(*a, root=False),
    "the decay is not multiplied by the learning rate": lambda *a: adamw(*a, rated=False),
    "ε is under the root; it stands outside of it": lambda *a: adamw(*a, tiny=0.0, inside=TINY),
    "ε is missing: without it a weight that never had a gradient becomes 0/0": lambda *a: adamw(*a, tiny=0.0),
    "t counts from 1 already: here it is one too large": lambda w, g, m, v, t, r, d: adamw(w, g, m, v, t + 1, r, d),
    "the step is made of the old averages; make it of the new ones": lambda *a: adamw(*a, old=True),
    "0.9 and 0.999 are the shares of the old averages, 0.1 and 0.001 those of what is new":
        lambda *a: adamw(*a, beta=1 - BETA, gamma=1 - GAMMA),
    "0.9 is the share of the old mean, 0.1 that of the gradient": lambda *a: adamw(*a, beta=1 - BETA),
    "β₁ = 0.9 belongs to m and β₂ = 0.999 to v; they are exchanged":
        lambda *a: adamw(*a, beta=GAMMA, gamma=BETA, begun=(GAMMA, BETA)),
    "β₁ = 0.9 belongs to m and β₂ = 0.999 to v; they are exchanged in the averages":
        lambda *a: adamw(*a, beta=GAMMA, gamma=BETA),
    "0.9 and 0.999 are the shares of the old averages, 0.1 and 0.001 those of what is new, and β in the correction":
        lambda *a: adamw(*a, beta=1 - BETA, gamma=1 - GAMMA, begun=(1 - BETA, 1 - GAMMA)),
    "what is new is added whole; its shares are 0.1 and 0.001": lambda *a: adamw(*a, new=(1, 1)),
    "v is a mean of squares: square the gradient": lambda *a: adamw(*a, squared=lambda g, m: g),
    "v takes the square of the mean m; it takes that of the gradient": lambda *a: adamw(*a, squared=lambda g, m: m**2),
    "v is not corrected; it began at zero, as m did": lambda *a: adamw(*a, begun=(BETA, 0.0)),
    "m is not corrected; it began at zero, as v did": lambda *a: adamw(*a, begun=(0.0, GAMMA)),
    "the step takes the new gradient; it takes the running mean": lambda *a: adamw(*a, fresh=True),
    "the step is not multiplied by the learning rate": lambda *a: adamw(*a, speed=1.0),
    "the correction of v belongs under the root": lambda *a: adamw(*a, outside=True),
    "t counts from 1 already: here it is one too small": lambda w, g, m, v, t, r, d:
        adamw(w, g, m, v, t - 1, r, d),
    "first the weights, then m and v": lambda *a: (*adamw(*a)[1:], adamw(*a)[0]),
    "m and v come back in the wrong order": lambda *a: (adamw(*a)[0], adamw(*a)[2], adamw(*a)[1]),
    "β₁ and β₂ are exchanged in the correction": lambda *a: adamw(*a, begun=(GAMMA, BETA)),
    "it is the weight after the step that decays; the old one does": lambda w, g, m, v, t, r, d:
        adamw(w, g, m, v, t, r, 0.0, late=d),
    "the weight does not decay": lambda w, g, m, v, t, r, d: adamw(w, g, m, v, t, r, 0.0),
    "the corrected averages come back; the state keeps the plain ones": lambda *a: (
        adamw(*a)[0], adamw(*a)[1] / (1 - BETA ** a[4]), adamw(*a)[2] / (1 - GAMMA ** a[4])),
    "the step goes up the gradient": lambda w, g, m, v, t, r, d: (
        2 * w * (1 - r * d) - adamw(w, g, m, v, t, r, d)[0], *adamw(w, g, m, v, t, r, d)[1:]),
}


# 6.5: the schedule


def moments(rng: np.random.Generator) -> tuple[int, int, int, float, float]:
    steps = int(rng.integers(40, 100))
    warmup = int(rng.integers(4, 20))
    step = int(rng.integers(1, warmup) if rng.random() < 0.3 else rng.integers(warmup, steps))
    return step, steps, warmup, int(rng.integers(1, 100)) / 1e4, int(rng.integers(1, 9)) / 20


def learning_rate(step, steps, warmup, peak, floor, turn=np.pi, begun=None, least=0.0, wave=None, fall=None, early=0):
    """The right rate, or with an argument changed that of a mistake.

    turn: angle at the end; begun, fall: where the fall begins and how long it takes; least: share that warm-up starts
    at; wave: what the angle makes of the fall, 1 to 0; early: steps by which the warm-up is ahead.
    """
    if step < warmup:
        return peak * (least + (1 - least) * (step + early) / warmup)
    begun = warmup if begun is None else begun
    angle = turn * (step - begun) / (fall or steps - begun)
    return peak * (floor + (1 - floor) * (wave or (lambda x: (1 + np.cos(x)) / 2))(angle))


RATE = {
    "it falls to zero; at step `steps`, `floor` times the peak is left": lambda s, n, w, p, f:
        learning_rate(s, n, w, p, 0.0),
    "the floor is added to the whole wave, and so the rate jumps above the peak: the wave's height is 1 - floor":
        lambda s, n, w, p, f: learning_rate(s, n, w, p, 0.0) + (p * f if s >= w else 0),
    "the wave goes down to zero and is cut off at the floor; it lies between the peak and the floor":
        lambda s, n, w, p, f: max(learning_rate(s, n, w, p, 0.0), p * f if s >= w else 0),
    "wave and warm-up are cut off at the floor; the wave ends there, and the warm-up begins at zero":
        lambda s, n, w, p, f: max(learning_rate(s, n, w, p, 0.0), p * f),
    "this falls in a straight line; half a wave is flat at both of its ends":
        lambda *a: learning_rate(*a, wave=lambda x: 1 - x / np.pi),
    "this is a whole wave, which ends at the peak again; half of one ends at its lowest":
        lambda *a: learning_rate(*a, turn=2 * np.pi),
    "this is a quarter of a wave, the cosine from 1 to 0; half of one goes from 1 to -1":
        lambda *a: learning_rate(*a, wave=lambda x: np.cos(x / 2)),
    "a cosine lies between 1 and -1: add 1 and halve it, or the rate falls below the floor":
        lambda *a: learning_rate(*a, wave=np.cos),
    "π is missing: half a wave goes from cos 0 to cos π": lambda *a: learning_rate(*a, turn=1.0),
    "1 + cos goes from 2 to 0: halve it": lambda *a: learning_rate(*a, wave=lambda x: 1 + np.cos(x)),
    "the wave's height is 1 - floor, and what is below it floor; they are exchanged":
        lambda s, n, w, p, f: learning_rate(s, n, w, p, 1 - f if s >= w else f),
    "there is no warm-up": lambda s, n, w, p, f: learning_rate(s, n, 0, p, f),
    "cos takes radians: half a wave is π, not 180": lambda *a: learning_rate(*a, turn=180.0),
    "the wave begins at step 0, as if there had been no warm-up, and so the rate jumps at its end":
        lambda *a: learning_rate(*a, begun=0),
    "the wave begins at the end of the warm-up and is as long as the whole run: it never gets to the floor":
        lambda *a: learning_rate(*a, fall=a[1]),
    "the warm-up counts from one: the first step, step 0, has rate zero": lambda *a: learning_rate(*a, early=1),
    "the warm-up begins at the floor; it begins at zero": lambda *a: learning_rate(*a, least=a[4]),
    "`floor` is a share of the peak; here it is taken for a rate": lambda s, n, w, p, f:
        learning_rate(s, n, w, p, f / p),
    "it rises from the floor to the peak": lambda *a: learning_rate(*a, wave=lambda x: (1 - np.cos(x)) / 2),
    "it is at the floor at the last step already; it would be at step `steps`, of which there is none":
        lambda *a: learning_rate(*a, fall=a[1] - 1 - a[2]),
    "it is a share; multiply by the peak": lambda s, n, w, p, f: learning_rate(s, n, w, 1.0, f),
    "the warm-up multiplies a wave that begins at step 0; the wave begins at the peak, where the warm-up ends":
        lambda s, n, w, p, f: min(1.0, s / w if w else 1.0) * learning_rate(s, n, 0, p, f),
    "step / warmup is computed at every step: without a warm-up it divides by zero":
        lambda s, n, w, p, f: learning_rate(s, n, w, p, f) * (w / w),
    "without a warm-up step 0 has the peak: there, step / warmup divides by zero":
        lambda s, n, w, p, f: learning_rate(s, n, w, p, f) * (w / w if s <= w else 1),
    "without a warm-up step 0 has the peak; here one step of warm-up is left":
        lambda s, n, w, p, f: learning_rate(s, n, max(w, 1), p, f),
    "without a warm-up step 0 has the peak; here it has rate zero":
        lambda s, n, w, p, f: learning_rate(s, n, w, p, f) * (s > 0),
}

RATE_EDGES = tuple((step, 50, 5, 1e-3, 0.1) for step in (0, 5, 49)) + ((0, 50, 0, 1e-3, 0.0), (20, 50, 0, 1e-3, 0.1))

TORCH = {"rtol": 1e-5, "atol": 1e-5}  # its clipping adds 1e-6 to the norm

EXERCISES = [
    Exercise("6.1", micro_batch_sizes, some_lengths, SIZES,
             edges=(([5, 5, 5, 5], 20), ([7], 14), ([30, 4, 4], 20), ([30], 20), ([30, 40], 20))),
    Exercise("6.2", accumulated, pieces, ACCUMULATED),
    Exercise("6.3", clipped, some_gradients, CLIPPED, **TORCH, edges=(([np.ones((2, 3)), np.full(4, -2.0)], 0.5),)),
    Exercise("6.4", adamw, adam_state, ADAMW, edges=ADAMW_EDGES),
    Exercise("6.5", learning_rate, moments, RATE, edges=RATE_EDGES),
    Exercise("6.6", loop, small_data, LOOP, **TORCH, edges=EDGES),
    Exercise("6.7", continued, saved_runs, CONTINUED),
]
