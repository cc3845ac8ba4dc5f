"""What the exercises of notebook 08 ask: the price of choosing, a budget, two samples, a stop, DPO; 8.4 lies apart."""

from collections.abc import Callable

import numpy as np

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.using_the_reward_step import STEP

# 8.1: KL of best-of-n where responses tie


def _level_chances(p: np.ndarray, rewards: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each level of reward its probability, and that of the best of n being on it."""
    levels = np.unique(rewards)
    share = np.array([p[rewards == level].sum() for level in levels])
    upto = np.cumsum(share).clip(max=1.0)
    return share, np.maximum(upto**n - np.r_[0, upto[:-1]] ** n, 1e-300)  # so rare that it is rounded to 0


def best_of_n_kl(p: np.ndarray, rewards: np.ndarray, n: int) -> float:
    share, chosen = _level_chances(p, rewards, n)
    return float((chosen * np.log(chosen / share)).sum())


def _ordered(order: Callable) -> Callable:
    """Ties are broken by the place in an order of all responses."""
    return lambda p, rewards, n: best_of_n_kl(p[order(rewards)], np.arange(len(p)), n)


def _even_among_ties(p: np.ndarray, rewards: np.ndarray, n: int) -> float:
    levels, counts = np.unique(rewards, return_counts=True)
    _, chosen = _level_chances(p, rewards, n)
    q = (chosen / counts)[np.searchsorted(levels, rewards)]
    return float((q * np.log(q / p)).sum())


def _of_levels(formula: Callable) -> Callable:
    return lambda p, rewards, n: float(formula(*_level_chances(p, rewards, n)).sum())


def _candidates(rng: np.random.Generator) -> tuple:
    size = int(rng.integers(3, 8))
    p = rng.uniform(0.05, 1, size)
    return p / p.sum(), rng.integers(-2, 3, size).astype(float), int(rng.integers(2, 9))


TIES = {
    "this is log n − (n − 1)/n, exact for a continuum of rewards; here it is only a bound": lambda p, rewards, n:
        float(np.log(n) - (n - 1) / n),
    "ties are broken by the order in the list; equal rewards are one level, and share its probability":
        _ordered(lambda rewards: np.argsort(rewards, kind="stable")),
    "ties are broken by the order in the list, from its end; equal rewards are one level":
        _ordered(lambda rewards: np.argsort(-rewards, kind="stable")[::-1]),
    "ties are broken by the order in which argsort happens to leave them; equal rewards are one level":
        _ordered(np.argsort),
    "among tied responses the pick is as likely as the draw: p decides, they are not all alike": _even_among_ties,
    "the two are exchanged: this is KL(p ‖ q), and the pick's distribution q comes first":
        _of_levels(lambda share, chosen: share * np.log(share / chosen)),
    "the mean is over p here, and KL(q ‖ p) is a mean over what is picked":
        _of_levels(lambda share, chosen: share * np.log(chosen / share)),
    "this is the entropy of the pick; what is missing is p": _of_levels(lambda _, chosen: -chosen * np.log(chosen)),
    "n − 1 stands where n belongs: all n are at most at a level": lambda p, rewards, n: best_of_n_kl(p, rewards, n - 1),
    "it counts the responses of a level; its probability is the sum of their p": lambda p, rewards, n:
        best_of_n_kl(np.full(len(p), 1 / len(p)), rewards, n),
    "the logarithm has the base 2: nats are wanted": _of_levels(lambda share, chosen: chosen * np.log2(chosen / share)),
}

# 8.2: the β that meets a budget


def kl_of_tilt(rewards: np.ndarray, beta: float) -> float:
    weights = np.exp((rewards - rewards.max()) / beta)
    weights /= weights.sum()
    return float((weights * np.log(np.maximum(weights, 1e-300) * len(rewards))).sum())


def _solved(kl: Callable, rewards: np.ndarray, budget: float, bound: float = 1e3, turned: bool = False) -> float:
    low, high = 1 / bound, bound
    for _ in range(100):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if (kl(rewards, middle) > budget) != turned else (low, middle)
    return middle


def _entropy(rewards: np.ndarray, beta: float) -> float:
    return float(np.log(len(rewards)) - kl_of_tilt(rewards, beta))


def beta_for(rewards: np.ndarray, budget: float) -> float:
    return _solved(kl_of_tilt, rewards, budget)


def _reverse(rewards: np.ndarray, beta: float) -> float:
    scaled = rewards / beta
    return float(np.log(np.exp(scaled - scaled.max()).mean()) + scaled.max() - scaled.mean())


def _budget(rng: np.random.Generator) -> tuple:
    rewards = rng.normal(0, rng.uniform(0.5, 3), size=int(rng.integers(20, 60)))
    return rewards, float(rng.uniform(0.2, 1.5))


BUDGET = {
    "this is 1/β": lambda rewards, budget: 1 / beta_for(rewards, budget),
    "this meets KL(π₀ ‖ π); the budget is for KL(π ‖ π₀)": lambda rewards, budget: _solved(_reverse, rewards, budget),
    "this spends twice the budget": lambda rewards, budget: beta_for(rewards, 2 * budget),
    "this spends half of the budget": lambda rewards, budget: beta_for(rewards, budget / 2),
    "the rewards are standardised first; β grows with their deviation, and this one does not": lambda r, budget:
        beta_for(r / r.std(), budget),
    **{f"the halving {what}, and runs to {1 / bound:g} or {bound:g}": lambda *given, kl=kl, bound=bound, turned=turned:
       _solved(kl, *given, bound, turned) for bound in (1e2, 1e3, 1e4, 1e6) for what, kl, turned in (
           ("goes the wrong way", kl_of_tilt, True),
           ("looks at the entropy, which is log M less the KL", _entropy, False))},
    "this meets the budget with the entropy; the KL is log M less that": lambda rewards, budget:
        _solved(_entropy, rewards, budget, 1e6, True),
    "the budget is in nats, and here it is taken for bits": lambda rewards, budget:
        beta_for(rewards, budget * np.log(2)),
    "this is β = standard deviation/√(2 KL), which holds for normal rewards, endlessly many, not for these few":
        lambda rewards, budget: float(rewards.std() / np.sqrt(2 * budget)),
}

# 8.3: leave-one-out of two samples


def of_two(rewards: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return ((rewards[:, 0] - rewards[:, 1])[:, None] * (scores[:, 0] - scores[:, 1])).mean(0) / 2


def _two(weights: Callable) -> Callable:
    return lambda rewards, scores: (weights(rewards)[..., None] * scores).mean((0, 1))


def _pairs_of_samples(rng: np.random.Generator) -> tuple:
    """Rewards (P, 2), some of them tied, and gradients of log π (P, 2, V)."""
    prompts, weights = int(rng.integers(2, 7)), int(rng.integers(2, 6))
    return rng.integers(-2, 3, size=(prompts, 2)) * rng.uniform(0.5, 2), rng.normal(size=(prompts, 2, weights))


TWO = {
    "the step is half as long, as where each sample's own reward is in its baseline: take the other's alone":
        _two(lambda r: r - r.mean(1, keepdims=True)),
    "half is missing: a prompt has two samples, and their mean is taken": lambda r, s: 2 * of_two(r, s),
    "the sign is wrong: this goes down; the better sample is to become more likely": lambda r, s: -of_two(r, s),
    "there is no baseline": _two(lambda r: r),
    "the scores are added: the other sample's reward is taken off, and its score, too, is to be subtracted":
        lambda r, s: ((r[:, 0] - r[:, 1])[:, None] * s.sum(1)).mean(0) / 2,
    "the baseline is a mean over all prompts; it is the reward of the other sample to the same prompt":
        _two(lambda r: r - r.mean()),
    "the better sample is pushed up, but the worse one isn't pushed down": _two(
        lambda r: np.maximum(r - r[:, ::-1], 0)),
    "only which is better counts here, and not by how much": _two(lambda r: np.sign(r - r[:, ::-1])),
    "only the first sample's score is there; the second one's goes the other way":
        lambda r, s: ((r[:, 0] - r[:, 1])[:, None] * s[:, 0]).mean(0),
    "the absolute difference pushes both up": _two(lambda r: np.abs(r - r[:, ::-1])),
    "this is the sum over prompts, and not their mean": lambda r, s: of_two(r, s) * len(r),
}

# 8.5: which run is over-optimised, and where to stop

RUN, STOP = "B", 40


def _stopped(function: Callable, rng: np.random.Generator) -> str | None:
    answer = function()
    if not (isinstance(answer, tuple | list) and len(answer) == 2 and str(answer[0]).strip().upper() in ("A", "B", "C")
            and isinstance(answer[1], int | float | np.number) and not isinstance(answer[1], bool)):
        return f'Return the run\'s letter and a step of the table, such as ("A", 80), not {answer!r:.60}.'
    answer = str(answer[0]).strip().upper(), answer[1]
    if answer[0] == "A":
        return "In A the check follows the proxy to the end: it has learned, and may go on."
    if answer[0] == "C":
        return "In C the proxy doesn't rise: nothing is optimised there, over or not; look for a bug."
    if answer[1] not in range(0, 121, 20):
        return f"The table has no step {answer[1]}."
    if answer[1] == 120:
        return "At 120 the proxy is highest, but the proxy is what is being exploited: look at the check."
    return None if answer[1] == STOP else f"At step {answer[1]} the check is not at its highest."


# 8.6: DPO from the pairwise loss


def dpo(policy: np.ndarray, reference: np.ndarray, beta: float) -> tuple[float, float]:
    margin = beta * ((policy[0] - reference[0]) - (policy[1] - reference[1]))
    return float(np.logaddexp(0, -margin).mean()), float(((np.sign(margin) + 1) / 2).mean())


def _log_probs(rng: np.random.Generator) -> tuple:
    # Sixteenths, and β in sixty-fourths, so that a tie is one in whatever order they are subtracted and multiplied.
    reference = -rng.integers(1, 400, size=(2, int(rng.integers(3, 7)))) / 8 - [[0], [1 / 16]]  # log π never ties
    policy = reference + rng.integers(-40, 40, size=reference.shape) / 8
    policy[:, 0] = reference[:, 0] - 1.0  # one pair is a tie
    return policy, reference, float(rng.integers(3, 40) / 64)


def _margins(change: Callable) -> Callable:
    def wrong(policy: np.ndarray, reference: np.ndarray, beta: float) -> tuple[float, float]:
        margin = change(policy, reference, beta)
        return float(np.logaddexp(0, -margin).mean()), float(((np.sign(margin) + 1) / 2).mean())
    return wrong


DIRECT = {
    "the reference is missing: the reward is β log π/π₀, not β log π":
        _margins(lambda p, q, beta: beta * (p[0] - p[1])),
    "chosen and rejected are exchanged": _margins(lambda p, q, beta: beta * ((p[1] - q[1]) - (p[0] - q[0]))),
    "β is missing": _margins(lambda p, q, beta: (p[0] - q[0]) - (p[1] - q[1])),
    "the margin is divided by β, not multiplied": _margins(lambda p, q, beta: ((p[0] - q[0]) - (p[1] - q[1])) / beta),
    "β stands at log π alone; it multiplies log π₀ as well":
        _margins(lambda p, q, beta: (beta * p[0] - q[0]) - (beta * p[1] - q[1])),
    "β stands at log π₀ alone; it multiplies log π as well":
        _margins(lambda p, q, beta: (p[0] - beta * q[0]) - (p[1] - beta * q[1])),
    "β is outside of the loss: it belongs to the reward, inside": lambda p, q, beta:
        (beta * dpo(p, q, 1.0)[0], dpo(p, q, 1.0)[1]),
    "a tie counts one half, and here it is wrong": lambda p, q, beta:
        (dpo(p, q, beta)[0], float(((p[0] - q[0]) > (p[1] - q[1])).mean())),
    "a tie counts one half, and here it is right": lambda p, q, beta:
        (dpo(p, q, beta)[0], float(((p[0] - q[0]) >= (p[1] - q[1])).mean())),
    "the loss is added up over the pairs; their mean is wanted": lambda p, q, beta:
        (dpo(p, q, beta)[0] * p.shape[1], dpo(p, q, beta)[1]),
    "the accuracy is that of log π alone; the implicit reward is β log π/π₀": lambda p, q, beta:
        (dpo(p, q, beta)[0], float((p[0] > p[1]).mean())),
}

EXERCISES = [
    Exercise("8.1", answer=best_of_n_kl, draw=_candidates, mistakes=TIES,
             edges=((np.array([0.5, 0.3, 0.2]), np.zeros(3), 4), (np.array([0.5, 0.3, 0.2]), np.arange(3.0), 1))),
    Exercise("8.2", answer=beta_for, draw=_budget, mistakes=BUDGET, rtol=1e-3, trials=6,
             edges=((0.3 * np.linspace(-1, 1, 20) ** 3, 2.4), (20 * np.sin(np.arange(30.0)), 0.1))),
    Exercise("8.3", answer=of_two, draw=_pairs_of_samples, mistakes=TWO,
             edges=((np.zeros((3, 2)), np.ones((3, 2, 2))), (np.array([[5.0, -5.0]]), np.eye(2)[None]))),
    STEP,
    Exercise("8.5", judge=_stopped),
    Exercise("8.6", answer=dpo, draw=_log_probs, mistakes=DIRECT),
]
