"""What a policy's samples are worth, to a judge and in truth; and the committed studies of it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from rmlib.course.policy import Texts, log_probs, sample
from rmlib.course.world import World
from rmlib.model import RewardModel
from rmlib.settings import EMBEDDED_REWARD_MODEL

Judge = Callable[[Texts], Tensor]
TRUTHS = ("gold", "kl", "right", "wrong", "well_formed", "hedging", "tokens", "ended")


def in_parts(function: Judge, texts: Texts, size: int = 32) -> Tensor:
    """What a function says of many rows, (B,), `size` at a time, without gradients: of like length, pads cut off."""
    order, found = texts.attention_mask.sum(1).argsort(), torch.empty(len(texts.input_ids))
    with torch.no_grad():
        for part in order.split(size):
            used = texts.attention_mask[part].any(0)  # (T,)
            found[part] = function(Texts(texts.input_ids[part][:, used], texts.attention_mask[part][:, used],
                                         texts.response_start[part]))
    return found


def standardised(models: Sequence[RewardModel], start: Texts, together: Callable[[Tensor], Tensor] | None = None,
                 a_token: float = 0.0) -> Judge:
    """The mean of the models' rewards, each less its mean on the start's samples, divided by its deviation there.

    together: what makes one reward (B,) of the models' (N, B), where it isn't the mean. a_token: taken off for each
    token that the response is longer than the start's are in the mean.
    """
    scales = [(scores.mean(), scores.std()) for scores in (start.score(model) for model in models)]
    usual = start.lengths.float().mean()

    def judge(texts: Texts) -> Tensor:
        rewards = torch.stack([(texts.score(model) - mean) / std
                               for model, (mean, std) in zip(models, scales, strict=True)])  # (N, B)
        return (together(rewards) if together else rewards.mean(0)) - a_token * (texts.lengths - usual)
    return judge


@cache
def known_sentences(prompt: str) -> frozenset[str]:
    """All sentences that the world can put into a response to this prompt, right or wrong."""
    world = World()
    fact = world.fact(prompt)
    family = next(each for each in world.families if each.name == fact.family)
    manners = [form for group in world.manners.values() for form in group]
    forms = " ".join([*manners, *family.statements, *family.explanations]).replace("{subject}", fact.subject)
    return frozenset().union(*(sentences(forms.replace("{answer}", answer)) for answer in family.answers))


def sentences(text: str) -> set[str]:
    return {" ".join(each.lower().split()) for each in re.findall(r"[^.!?]+", text)} - {""}


def well_formed(prompt: str, response: str) -> bool:
    """Whether the response is made of whole sentences of the world, at least one, about the prompt's own family."""
    return bool(sentences(response)) and sentences(response) <= known_sentences(prompt)


def measure(policy, reference, tokenizer, judges: Mapping[str, Judge], prompts: Sequence[str], k: int,
            seed: int | Sequence[int]) -> dict[str, np.ndarray]:
    """What k samples to each of P prompts are worth, the mean of each prompt's: (P,) by name.

    Names are the judges', and TRUTHS: the gold reward, log π/π₀ ("kl"), tokens; shares that are right, are wrong, are
    well formed, hedge, have ended. "texts" holds the first sample to each prompt.
    """
    world = World()
    drawn = int(np.random.default_rng(seed).integers(2**31))
    texts = sample(policy, tokenizer, prompts, k, drawn)
    words, asked = texts.responses(tokenizer), [prompt for prompt in prompts for _ in range(k)]
    features = [world.features(*each) for each in zip(asked, words)]
    found = {name: in_parts(judge, texts).numpy() for name, judge in judges.items()} | {
        "gold": [world.reward(*each) for each in zip(asked, words)],
        "kl": (in_parts(lambda part: log_probs(policy, part), texts)
               - in_parts(lambda part: log_probs(reference, part), texts)).numpy(),
        "right": [each["correctness"] == 1 for each in features],
        "wrong": [each["correctness"] == -1 for each in features],
        "well_formed": [well_formed(*each) for each in zip(asked, words)],
        "hedging": [each["hedging"] for each in features], "tokens": texts.lengths.numpy(),
        "ended": ((texts.input_ids == tokenizer.sep_token_id).sum(1) == 2).numpy()}
    rows = {name: np.asarray(each, dtype=float).reshape(-1, k).mean(1) for name, each in found.items()}
    return rows | {"texts": np.array(words[::k])}


def mean_and_error(by_prompt: np.ndarray) -> tuple[float, float]:
    """The mean over prompts, (P,), and its standard error."""
    return float(by_prompt.mean()), float(by_prompt.std(ddof=1) / math.sqrt(len(by_prompt)))


def interval(by_prompt: np.ndarray) -> tuple[float, float, float]:
    """The mean over prompts, (P,), and its 95% bootstrap interval."""
    drawn = np.random.default_rng(0).integers(len(by_prompt), size=(2_000, len(by_prompt)))
    return (float(by_prompt.mean()), *np.quantile(by_prompt[drawn].mean(1), (0.025, 0.975)).tolist())


def tilt(rewards: Tensor, beta: float) -> tuple[Tensor, float]:
    """Candidates, (P, M), reweighted by e^{r/β}: weights (P, M), and their mean KL from even ones, in nats."""
    log_weights = (rewards / beta).log_softmax(1)
    kl = (log_weights.exp() * log_weights).sum(1) + math.log(rewards.shape[1])
    return log_weights.exp(), kl.mean().item()


def tilt_at(rewards: Tensor, budget: float) -> Tensor:
    """The weights (P, M) of the tilt, by one β for all prompts, whose mean KL is `budget`, by bisection of log β."""
    low, high = 1e-3, 1e3
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if tilt(rewards, middle)[1] > budget else (low, middle)
    return tilt(rewards, middle)[0]


def study(name: str) -> dict:
    """What `python benchmarks/over_optimisation.py` found, as it is committed: "choices", "policies" or "direct"."""
    return json.loads((EMBEDDED_REWARD_MODEL.parent / "studies" / f"{name}.json").read_text(encoding="utf-8"))


def runs(study: dict, **wanted: object) -> list[dict]:
    """The runs of a study that have these values."""
    return [run for run in study["runs"] if wanted.items() <= run.items()]



def within_kl(kl: Sequence[float], nats: float) -> int:
    """Which point of a curve is the last one whose KL is at most so many nats; it is chosen by KL alone."""
    return int(np.flatnonzero(np.asarray(kl) <= nats)[-1])
