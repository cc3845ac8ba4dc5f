"""Exercise 8.4 of notebook 08: the bugs of an RLOO step, judged by its gradient."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from rmlib.course.exercises.engine import Exercise


def loss_of_step(log_policy: Tensor, log_reference: Tensor, mask: Tensor, rewards: Tensor, beta: float, *,
                 penalty_has_gradient: bool = False, baseline: str = "others", shift: int | None = 0,
                 mean_of_tokens: str = "", sign: float = 1.0, summed: bool = False,
                 divided: tuple[str, int] = ("", 0)) -> Tensor:
    """The right loss, or one with a bug. log_policy, log_reference, mask: (P, k, T); rewards: (P, k).

    divided: what is divided by its deviation, and the `correction` of that.
    """
    rewards = rewards / rewards.std(correction=divided[1]) if divided[0] == "rewards" else rewards
    mask = torch.ones_like(mask) if shift is None else torch.roll(mask, shift, 2)
    log_p, log_q = ((each * mask).sum(2) for each in (log_policy, log_reference))  # (P, k)
    if mean_of_tokens == "everywhere":
        log_p, log_q = log_p / mask.sum(2), log_q / mask.sum(2)
    worth = rewards - sign * beta * ((log_p if penalty_has_gradient else log_p.detach()) - log_q)
    k = worth.shape[1]
    known = {"others": (worth.sum(1, keepdim=True) - worth) / (k - 1), "own": worth.mean(1, keepdim=True),
             "all": worth.mean(), "all others": (worth.sum() - worth) / (worth.numel() - 1), "none": 0.0}
    advantage = worth - known[baseline]
    advantage = advantage / advantage.detach().std(correction=divided[1]) if divided[0] == "advantages" else advantage
    terms = -advantage * (log_p / mask.sum(2) if mean_of_tokens == "outside" else log_p)
    return terms.sum() if summed else terms.mean()


ONE_BUG: dict[str, dict] = {
    "the penalty still carries a gradient: it is a number here, so the log-probability in it has to be detached":
        {"penalty_has_gradient": True},
    "the baseline is a mean over all prompts: a sample is compared with the others of its own prompt":
        {"baseline": "all"},
    "the baseline leaves the sample out, but is a mean over all prompts: take the others of its own prompt":
        {"baseline": "all others"},
    "the baseline holds the sample's own reward: that shrinks the step by (k − 1)/k; leave it out":
        {"baseline": "own"},
    "there is no baseline": {"baseline": "none"},
    "the mask is off by one: it marks other tokens than those of the response": {"shift": 1},
    "the mask is off by one to the other side: it begins a token too early": {"shift": -1},
}
OTHER_BUGS: dict[str, dict] = {
    "Log-probabilities are averaged over tokens: log π(y|x) is their sum.": {"mean_of_tokens": "everywhere"},
    "Outside of the penalty log-probabilities are averaged over tokens: log π(y|x) is their sum.":
        {"mean_of_tokens": "outside"},
    "The mask is not used: the prompt's tokens, and those after the end, were not chosen.": {"shift": None},
    "There is no penalty: β (log π − log π₀) is to be taken off the reward.": {"sign": 0.0},
    "The penalty has the wrong sign: it pays for moving away from the reference.": {"sign": -1.0},
    "This is the sum over all samples: the step grows with their number; take the mean.": {"summed": True},
    **{f"The {what} are divided by their deviation{rest}: take them as they are.":
       {"divided": (what, correction)} for what in ("rewards", "advantages")
       for correction, rest in ((1, ""), (0, ", over all samples"))},
    "All three bugs are there.": {"penalty_has_gradient": True, "baseline": "all", "shift": 1},
}
BUGS = {f"{name[0].upper()}{name[1:]}.": bug for name, bug in ONE_BUG.items()} | OTHER_BUGS | {
    f"Two bugs are left: {one}; and {two}.": ONE_BUG[one] | ONE_BUG[two]
    for one, two in combinations(ONE_BUG, 2) if not set(ONE_BUG[one]) & set(ONE_BUG[two])}


SIZES = (2, 3), (3, 2), (4, 4), (2, 4), (3, 3), (1, 5)  # prompts and samples: k - 1 is no other number in all of them


def _step(rng: np.random.Generator, size: tuple[int, int]) -> tuple:
    """Arguments of a step: responses of unequal lengths that begin after two tokens of the prompt."""
    lengths = rng.integers(1, 5, size=size)
    at = np.arange(8)
    mask = torch.tensor((at >= 2) & (at < 2 + lengths[..., None]))
    one, other = (torch.tensor(-rng.exponential(2.0, size=mask.shape)) for _ in range(2))
    return one, other, mask, torch.tensor(rng.normal(0, 2, size=size)), float(rng.uniform(0.1, 0.9))


def _gradient(function: Callable, arguments: tuple, **bug) -> Tensor:
    leaf = arguments[0].clone().requires_grad_()
    loss = function(leaf, *arguments[1:], **bug)
    if not isinstance(loss, Tensor) or loss.dim() != 0:
        raise TypeError(f"return the loss, one number as a tensor, not {type(loss).__name__}")
    return torch.autograd.grad(loss, leaf)[0] if loss.requires_grad else torch.zeros_like(leaf)


def _judged_step(function: Callable, rng: np.random.Generator) -> str | None:
    trials = [_step(rng, size) for size in SIZES]
    try:
        got = [_gradient(function, trial) for trial in trials]
    except TypeError as error:
        return f"{str(error)[0].upper()}{str(error)[1:]}."

    def agrees(rtol: float = 1e-9, **bug: object) -> bool:
        wanted = [_gradient(loss_of_step, trial, **bug) for trial in trials]
        near = (torch.allclose(*each, rtol=rtol, atol=1e-3 * rtol) for each in zip(got, wanted, strict=True))
        return all(near)

    if agrees():
        return None
    if not any(each.any() for each in got):
        return "The loss has no gradient: log_policy must stay in it, undetached, beside the advantage."
    if all(torch.allclose(-one, _gradient(loss_of_step, trial)) for one, trial in zip(got, trials, strict=True)):
        return "The sign is the wrong one: an optimiser makes a loss smaller, and a reward is to grow."
    return next((name for name, bug in BUGS.items() if agrees(1e-6, **bug)), "The gradient is another one than wanted.")


STEP = Exercise("8.4", judge=_judged_step)
