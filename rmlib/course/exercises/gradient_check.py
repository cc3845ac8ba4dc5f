"""What the exercises of notebook 03 ask."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.gradient_check_start import A_START
from rmlib.course.exercises.values import as_array
from rmlib.course.logistic import sigmoid
from rmlib.encoding import encode
from rmlib.gradients import DirectionalCheck, directional_checks
from rmlib.losses import bradley_terry_loss
from rmlib.model import RewardModel
from rmlib.pairs import PreferencePair
from rmlib.settings import EMBEDDED_BACKBONE

# 3.1: one of four slopes is wrong

SLOPES = {
    "a": lambda margin: -1 / (1 + np.exp(margin)),
    "b": lambda margin: -np.exp(-np.logaddexp(0, margin)),
    "c": lambda margin: -np.exp(-margin) / (1 + np.exp(margin)),
    "d": lambda margin: -(1 - np.tanh(margin / 2)) / 2,
}


def judge_the_wrong_one(function: Callable, rng: np.random.Generator) -> str | None:
    answer = function()
    if not isinstance(answer, tuple | list) or len(answer) != 2 or not isinstance(answer[0], str):
        return 'Return two things: a letter, and a margin that shows its bug, such as ("a", 1.0).'
    letter, margin = answer[0].strip().lower().removeprefix("slope_"), answer[1]
    margin = margin.item() if getattr(as_array(margin), "size", 0) == 1 and hasattr(margin, "item") else margin
    if letter not in SLOPES:
        return f'"{letter}" is none of the four: a, b, c or d.'
    if isinstance(margin, bool) or not isinstance(margin, int | float | np.number) or not np.isfinite(margin):
        return f"The margin has to be one finite number, not {margin!r}."
    tried = rng.normal(scale=3, size=100)
    if np.allclose(SLOPES[letter](tried), -sigmoid(-tried), rtol=1e-9):
        return f"slope_{letter} is right: at a hundred margins drawn just now it equals −σ(−Δ), in other words."
    with np.errstate(all="ignore"):
        gap = abs(SLOPES[letter](float(margin)) + sigmoid(-float(margin)))
    if margin == 0:
        return "It is the one, but a margin of 0 does not show it: there it gives −1/2, as the right slope does."
    if not gap > 1e-6:
        return f"It is the one, but a margin of {margin:g} does not show it: there it is right to within {gap:.0e}."
    return None


# 3.2: a loss that passes every test and is another one


def judge_impostor(function: Callable, rng: np.random.Generator) -> str | None:
    scores = 2 * torch.tensor(rng.normal(size=(2, 5)))
    scores[:, 0], scores[:, 1] = scores[:, 0].sort()[0], scores[:, 1].sort(descending=True)[0]  # margins of both signs
    scores[:, 2], scores[:, 3] = scores.new_tensor([[-3, 3], [3, -3]])  # ... and far out, where a clamp shows
    chosen, rejected = scores
    whole = function(chosen, rejected)
    if not isinstance(whole, torch.Tensor) or whole.shape != ():
        return "It returns one number, a torch tensor of shape (), that autograd can follow to the scores."
    leaves = [side.clone().requires_grad_() for side in scores]
    if not function(*leaves).requires_grad or not torch.autograd.gradcheck(function, leaves, raise_exception=False):
        return "The gradient check finds it: its gradient is not the slope of its values."
    at_zero = function(torch.zeros_like(chosen), torch.zeros_like(chosen)).item()
    if abs(off := at_zero - math.log(2)) > 1e-12:
        return f"A known value finds it: where all scores are equal it is not log 2, but differs by {off:.2g}."
    one, two, four = (function(chosen.new_tensor([margin]), rejected.new_zeros(1)) for margin in (1, 2, 4))
    if not one > two > four:
        return "The direction finds it: where the margin is large a chosen score was raised, and the loss did not fall."
    for i, unit in enumerate(torch.eye(5, dtype=torch.float64)):
        raised = function(chosen + 0.1 * unit, rejected)
        low, high = (function(scores[:1, i] + more, scores[1:, i]) for more in (0.1, 0))
        if raised > whole or raised == whole and 0 < high <= low:  # one so near zero is lost among the others
            return "The direction finds it: a chosen score was raised, and the loss did not fall."
    pairs = [function(chosen[i:i + 1], rejected[i:i + 1]).item() for i in range(5)]
    if abs(more := whole.item() - np.mean(pairs)) > 1e-12:
        return f"Additivity finds it: the batch's value differs by {more:.2g} from the mean of its pairs'."
    spread = torch.linspace(-3, 3, 61, dtype=torch.float64)
    losses = torch.stack([function(one + low, 0 * one + low) for low in (0, 2) for one in spread[:, None]])
    if (losses.view(2, -1) - F.softplus(-spread)).abs().max() < 0.1:
        return "All four pass it; but it is the pairwise loss, up to 0.1, at all margins from -3 to 3."
    return None


# 3.3: how many directions


def directions(error, weights, tolerance, risk, share=lambda t: 0.8 * t, rounded=math.ceil):
    return max(1, int(rounded(math.log(risk) / math.log(share(tolerance * math.sqrt(weights) / error)))))


def directions_exactly(error, weights, tolerance, risk):
    return math.log(risk) / math.log(0.8 * tolerance * math.sqrt(weights) / error)


DIRECTIONS = {
    "t is the tolerance over the typical δ · u, which is |δ|/√N: the √N is missing":
        lambda e, n, tol, risk: directions(e, 1, tol, risk),
    "one direction misses with probability 0.8 t, not t": lambda e, n, tol, risk:
        directions(e, n, tol, risk, lambda t: t),
    "rounded down, the risk is above what is allowed": lambda e, n, tol, risk:
        directions(e, n, tol, risk, rounded=math.floor),
    "directions are independent: their probabilities multiply, (0.8 t)^k": lambda e, n, tol, risk:
        math.ceil(0.8 * tol * math.sqrt(n) / e / risk),
    "one direction misses more often than that": lambda e, n, tol, risk: 1,
    "a number of directions is whole: round up": lambda e, n, tol, risk: directions_exactly(e, n, tol, risk),
    "rounded to the nearest whole number the risk may be above what is allowed: round up":
        lambda e, n, tol, risk: round(directions_exactly(e, n, tol, risk)),
    "the typical δ · u is |δ|/√N, not |δ|/N": lambda e, n, tol, risk: directions_exactly(e, n * n, tol, risk),
    "the typical δ · u is |δ|/√N, not |δ|/N, rounded up or not":
        lambda e, n, tol, risk: math.ceil(directions_exactly(e, n * n, tol, risk)),
    "where k directions meet the risk exactly, k are enough: round up, and add nothing":
        lambda e, n, tol, risk: math.floor(directions_exactly(e, n, tol, risk)) + 1,
    "the typical δ · u is |δ|/√N, and here it is |δ| √N": lambda e, n, tol, risk: directions(e * n, n, tol, risk),
    "this is one direction too many": lambda e, n, tol, risk: directions(e, n, tol, risk) + 1,
}


def planted_error(rng: np.random.Generator) -> tuple[float, int, float, float]:
    """A bug of some length, a tensor's size, a tolerance and a risk whose answer is not on the edge of another."""
    while True:
        weights, t = int(rng.choice([128, 512, 16_384, 65_536])), float(rng.uniform(0.05, 0.5))
        error, risk = 10 ** rng.uniform(-4, -1), float(rng.choice([1e-2, 1e-3, 1e-6]))
        exact = math.log(risk) / math.log(0.8 * t)
        if 0.05 < exact % 1 < 0.95:
            return float(error), weights, float(t * error / math.sqrt(weights)), risk


# 3.4: a bug in a transformer, from its report


@cache
def report() -> tuple[DirectionalCheck, ...]:
    """The course's small model, each tensor checked, with nothing wrong."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = RewardModel(str(EMBEDDED_BACKBONE)).double().eval()
    pair = PreferencePair("What is the capital of France?", "The capital of France is Paris.", "London, I think.")
    batch = model.collate(encode(model.tokenizer, [pair], model.encoding))

    def loss() -> torch.Tensor:
        rewards = model(**batch)
        return bradley_terry_loss(rewards[:1], rewards[1:])

    rows = directional_checks(loss, model.named_parameters(), generator=torch.Generator().manual_seed(0))
    return tuple(row._replace(numeric=row.numeric or 1e-14) for row in rows)  # some processors leave no rounding


def with_bug(last: int | None, factor: float, flows: bool) -> list[DirectionalCheck]:
    """What the report becomes where the gradient of tensor `last`, and all that it flows on to, gets a factor."""
    rows = []
    for i, row in enumerate(report()):
        hit = last is not None and (i == last or flows and i < last)
        analytic = row.analytic * (factor if hit else 1)
        error = abs(analytic - row.numeric)
        rows.append(row._replace(analytic=analytic, error=error, ok=error <= 1e-10 + 1e-6 * abs(row.numeric)))
    return rows


def planted_bug(rng: np.random.Generator) -> tuple[list[DirectionalCheck]]:
    seen = [i for i, row in enumerate(report()) if abs(row.numeric) > 1e-6]
    norms = [i for i in seen if report()[i].name.endswith("layer_norm.bias")]
    factor = float(rng.choice([-1, 0, 1.01, 0.5, 2], p=[0.25, 0.25, 0.25, 0.125, 0.125]))
    kind = rng.integers(5)
    if kind == 0:
        return (with_bug(None, 1, False),)
    return (with_bug(int(rng.choice(norms if kind > 2 else seen)), factor, bool(kind > 2)),)


def locate(checks):
    failed = [row for row in checks if not row.ok]
    if not failed:
        return "none", None, 1.0
    return "flow" if len(failed) > 1 else "own", failed[-1].name, failed[-1].analytic / failed[-1].numeric


def relocated(kind=None, which=-1, ratio=lambda row: row.analytic / row.numeric, seen=lambda row: not row.ok):
    def function(checks):
        failed = [row for row in checks if seen(row)]
        if not failed:
            return "none", None, 1.0
        found = failed[which]
        return kind or ("flow" if len(failed) > 1 else "own"), found.name, ratio(found) if found.numeric else 1.0
    return function


def kinds(checks, change):
    kind, name, factor = locate(checks)
    return (kind if name is None else change(kind, [row.name for row in checks].index(name))), name, factor


LOCATE = {
    "where the gradient flows from the head to the words, the bug sits at the last tensor that fails, not at the first":
        relocated(which=0),
    "one tensor that fails alone has a bug of its own: what flows back takes all below along": relocated(kind="flow"),
    "where many tensors fail the bug is in what flows back": relocated(kind="own"),
    'in "flow" rows that are true zeros pass: two that fail are enough': lambda checks: kinds(
        checks, lambda kind, at: "own" if any(row.ok for row in checks[:at]) else "flow"),
    '"flow" and "own" are exchanged':
        lambda checks: kinds(checks, lambda kind, at: "own" if kind == "flow" else "flow"),
    "the factor is analytic over numeric: the difference is what is true":
        relocated(ratio=lambda row: row.numeric / row.analytic if row.analytic else math.inf),
    "the factor is analytic over numeric, and so it may be 0: the difference is what is true":
        relocated(ratio=lambda row: row.numeric / row.analytic),
    "the factor is a ratio; this is the error": relocated(ratio=lambda row: row.error),
    "this is the tensor with the largest error, and the bug sits at the last that fails": lambda checks: relocated(
        which=int(np.argmax([row.error for row in checks if not row.ok] or [0])))(checks),
    "the factor has lost its sign": relocated(ratio=lambda row: abs(row.analytic / row.numeric)),
    "a relative error above 1e-6 does not make a bug: where the true slope is zero it is rounding, so ask .ok":
        relocated(seen=lambda row: row.error > 1e-6 * abs(row.numeric)),
    "a slope of zero is no proof of a bug: where the difference is zero as well, it is true":
        relocated(seen=lambda row: not row.ok or abs(row.analytic) < 1e-12),
}


EXERCISES = [
    Exercise("3.1", judge=judge_the_wrong_one),
    Exercise("3.2", judge=judge_impostor),
    Exercise("3.3", directions, planted_error, DIRECTIONS, edges=(
        (0.01, 16_384, 2e-5, 1e-3), (1.0, 100, 0.04, 1e-2), (1.0, 100, 0.02, 1e-6),
        (2.0, 4, 0.3125, 0.25))),  # one direction meets this risk exactly, in floating point as well
    Exercise("3.4", locate, planted_bug, LOCATE, rtol=1e-3, trials=60),
    A_START,
]
