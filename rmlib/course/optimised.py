"""What a policy's samples are worth, to a judge and in truth; and the committed studies of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from rmlib.course.policy import Texts, log_probs, sample
from rmlib.course.world import World
from rmlib.model import RewardModel
from rmlib.settings import EMBEDDED_REWARD_MODEL

Judge = Callable[[Texts], Tensor]


def standardised(models: Sequence[RewardModel], start: Texts) -> Judge:
    """The mean of the models' rewards, each less its mean on the start's samples, divided by its deviation there."""
    scales = [(scores.mean(), scores.std()) for scores in (start.score(model) for model in models)]
    return lambda texts: torch.stack([(texts.score(model) - mean) / std
                                      for model, (mean, std) in zip(models, scales, strict=True)]).mean(0)


def measure(policy, reference, tokenizer, judges: Mapping[str, Judge], step: int) -> dict:
    """Means over samples to 66 validation prompts, two each, drawn with seed `step`.

    Of each judge's rewards by its name, of the gold reward, of log π/π₀ ("kl"), of tokens; shares that are right, are
    wrong, hedge, have ended; and four of the texts.
    """
    world = World()
    prompts = world.prompts("validation")[::3]
    texts = sample(policy, tokenizer, prompts, 2, seed=step)
    words, asked = texts.responses(tokenizer), [prompt for prompt in prompts for _ in range(2)]
    with torch.no_grad():
        kl = log_probs(policy, texts) - log_probs(reference, texts)
    features = [world.features(*each) for each in zip(asked, words)]
    row = {"step": step, **{name: judge(texts).mean().item() for name, judge in judges.items()},
           "gold": np.mean([world.reward(*each) for each in zip(asked, words)]), "kl": kl.mean().item(),
           "right": np.mean([each["correctness"] == 1 for each in features]),
           "wrong": np.mean([each["correctness"] == -1 for each in features]),
           "hedging": np.mean([each["hedging"] for each in features]),
           "tokens": texts.lengths.double().mean().item(),
           "ended": ((texts.input_ids == tokenizer.sep_token_id).sum(1) == 2).double().mean().item()}
    row = {name: value if name == "step" else round(float(value), 4) for name, value in row.items()}
    return row | {"texts": [f"{asked[i]} {words[i]}" for i in (0, 40, 80, 120)]}


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
