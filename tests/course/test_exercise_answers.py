"""Answers as readers write them: right ones in other words are accepted, wrong ones that look right are named."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rmlib.course.exercises import check
from rmlib.course.exercises.engine import WrongAnswer
from rmlib.course.policy import rloo_loss
from rmlib.evaluation import pair_accuracies
from rmlib.losses import bradley_terry_loss
from rmlib.model import RewardModel

LOG2 = math.log(2)
MARKER = "\n\nAssistant:"


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMLIB_STRICT_EXERCISES", "1")


def fit_without_centring(wins, sweeps):
    strengths = np.ones(len(wins))
    for _ in range(sweeps):
        for i in range(len(wins)):
            rivals = [j for j in range(len(wins)) if j != i]
            shares = [(wins[i, j] + wins[j, i]) / (strengths[i] + strengths[j]) for j in rivals]
            strengths[i] = wins[i].sum() / sum(shares)
    return np.log(strengths)


def all_at_once_unrepaired(wins, sweeps):
    strengths = np.ones(len(wins))
    for _ in range(sweeps):
        strengths = wins.sum(axis=1) / (wins / (strengths[:, None] + strengths)).sum(axis=1)
        strengths /= strengths.mean()
    return np.log(strengths)


def beta_by_newton(rewards, budget):
    """1/β: KL is convex and rising in it, with the derivative (1/β) Var r."""
    rate = 1e-3
    for _ in range(200):
        weights = np.exp(rate * (rewards - rewards.max()))
        mean_weight = weights.mean()
        weights /= weights.sum()
        kl = rate * (weights @ rewards - rewards.max()) - math.log(mean_weight)
        rate = min(rate + (budget - kl) / (rate * (weights @ rewards**2 - (weights @ rewards) ** 2)), 2 * rate)
    return rate


def variances(fisher, rewards, i, j):
    """Of the gap between i and j after one more vote on each pair, with the last score held at zero."""
    unit, found = np.eye(len(rewards))[:, :-1], {}
    for a, b in itertools.combinations(range(len(rewards)), 2):
        x, rate = unit[a] - unit[b], 1 / (2 + 2 * math.cosh(rewards[a] - rewards[b]))
        after = fisher[:-1, :-1] + rate * np.outer(x, x)
        found[a, b] = (unit[i] - unit[j]) @ np.linalg.solve(after, unit[i] - unit[j])
    return found


def by_solving(fisher, rewards, i, j):
    found = variances(fisher, rewards, i, j)
    return [pair for pair in found if found[pair] == min(found.values())][0]


def least_certain(fisher, rewards, i, j):
    pairs = itertools.combinations(range(len(rewards)), 2)
    inverse = np.linalg.pinv(fisher, rcond=1e-10, hermitian=True)
    return max(pairs, key=lambda pair: np.diff(np.diff(inverse[np.ix_(pair, pair)], axis=0)).item())


def rigged_by_search(order):
    for counts in itertools.product((1, 9), repeat=3):
        wins = np.zeros((3, 3))
        for k, votes in enumerate(counts):
            wins[k, (k + 1) % 3], wins[(k + 1) % 3, k] = 0.9 * votes, 0.1 * votes
        scores = fit_without_centring(wins, 99)
        if [*np.argsort(-scores)] == ["ABC".index(name) for name in order] and np.diff(np.sort(scores)).min() > 0.01:
            return counts
    return None


def in_circles(*counts, room=lambda *c: math.sqrt(sum(4 / w + 4 / l for w, l in c))):
    total = math.log(math.prod(w for w, _ in counts) / math.prod(l for _, l in counts))
    return "no scores fit" if total > room(*counts) or total < -room(*counts) else "can't tell"


def three_majorities(*counts):
    return "no scores fit" if len({won > lost for won, lost in counts}) == 1 else "can't tell"


def torch_clipped(gradients, most):
    parts = [torch.zeros(part.shape, dtype=torch.float64, requires_grad=True) for part in gradients]
    for part, gradient in zip(parts, gradients):
        part.grad = torch.tensor(gradient)
    torch.nn.utils.clip_grad_norm_(parts, most)
    return [part.grad for part in parts]


def torch_trained(weights, batches, peak, most):
    weights = torch.tensor(weights, requires_grad=True)
    optimizer = torch.optim.SGD([weights], lr=peak)
    for taken, pieces in enumerate(batches):
        optimizer.param_groups[0]["lr"] = peak * (1 - taken / len(batches))
        optimizer.zero_grad()
        F.softplus(-torch.tensor(np.concatenate(pieces)) @ weights).mean().backward()
        torch.nn.utils.clip_grad_norm_([weights], most)
        optimizer.step()
    return weights.detach()


def softmax_rows(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


class NoMarker(ValueError):
    """An error of the reader's own, of the kind that is asked for."""


def split_or_own_error(text):
    if MARKER not in text:
        raise NoMarker(text)
    return text[: text.rindex(MARKER) + len(MARKER)], text[text.rindex(MARKER) + len(MARKER):].strip()


def split_or_any_error(text):
    if MARKER not in text:
        raise Exception(text)
    return split_or_own_error(text)


def scaled_to_a_small_spread(model):
    model.head.weight = torch.nn.Parameter(0.1 * model.head.weight.detach() / model.head.weight.norm())


def default_softplus(chosen, rejected):
    return F.softplus(-torch.as_tensor(chosen - rejected)).numpy()


WRONG = [
    ("0.1", lambda r, n: "learned" if r / n > 0.55 else "reversed" if r / n < 0.45 else "can't tell",
     "the same share decides for every n"),
    ("0.2", lambda l, r, c: np.logaddexp(0, r - l).mean(), "the left response still counts as chosen"),
    ("1.1", fit_without_centring, "the mean is not subtracted"),
    ("1.1", all_at_once_unrepaired, "all strengths are updated at once"),
    ("1.2", least_certain, "whose own gap is least certain"),
    ("1.5", three_majorities, "three majorities go round"),
    ("1.5", lambda ab, bc, ca: in_circles(ab, bc, ca, room=lambda *c: 2 * sum(math.sqrt(1 / w + 1 / l) for w, l in c)),
     "it is variances that add"),
    ("2.3", default_softplus, "a straight line already at -20.5"),
    ("2.3", lambda c, r: F.cross_entropy(torch.tensor(np.stack([c, r], axis=1)), torch.zeros(len(c)).long(),
                                         reduction="none"), "1 + exp loses the digits on the right side"),
    ("2.3", lambda c, r: F.softplus(torch.tensor(r - c).float(), threshold=99), "computed in float32"),
    ("2.1", lambda loss, a: loss >= (1 - a) * math.log(2), "where no pair is wrong, each costs less than log 2"),
    ("2.1", lambda loss, a: math.exp(-loss) >= a, "exp(-loss) is a mean probability"),
    ("2.2", lambda model: RewardModel(backbone=model.backbone, tokenizer=model.tokenizer), "Is it changed in place?"),
    ("2.4", lambda: (torch.tensor([[2], [0], [1]]), torch.tensor([-2, 1, 3])), "write 2.0, not 2"),
    ("2.5", lambda margin, e: -torch.log((1 - 2 * e) * torch.sigmoid(margin) + 2 * e * torch.sigmoid(-margin)),
     "too much is undone"),
    ("2.5", lambda margin, e: -torch.log(0.9 * torch.sigmoid(margin) + 0.1 * torch.sigmoid(-margin)),
     "too little is undone"),
    ("3.2", lambda c, r: F.softplus(1.02 * (r - c)).mean(), "it is the pairwise loss, up to 0.1"),
    ("3.5", lambda rng: (rng.normal(size=(16, 2)), 0.1 * rng.normal(size=16)), "wanted is log 2 exactly"),
    ("3.5", lambda rng: (np.tile(rng.normal(size=2), (16, 1)), np.zeros(16)), "sixteen do the work of one"),
    ("4.1", split_or_any_error, "has to be a ValueError"),
    ("8.3", lambda rewards, scores: ((rewards - (rewards.sum() - rewards) / (rewards.size - 1))[..., None]
                                     * scores).mean((0, 1)), "not right yet"),
    ("8.4", lambda p, q, mask, rewards, beta: ((p * mask).sum(2) * rewards).mean() * 0.0, "no gradient"),
    ("8.5", lambda: ("B", 60), "not at its highest"),
]


@pytest.mark.parametrize("number, function, words", WRONG)
def test_a_wrong_answer_is_told_wrong_at_every_run_and_by_name(number: str, function, words: str):
    for _ in range(10):
        with pytest.raises(WrongAnswer) as wrong:
            check(number, function)
        assert words in str(wrong.value)


RIGHT = [
    ("0.1", lambda r, n: "can't tell" if (2 * r - n)**2 <= 4 * n else ("reversed", "learned")[2 * r > n]),
    ("0.2", lambda l, r, c: F.binary_cross_entropy_with_logits(torch.tensor(l - r), torch.tensor(c).double())),
    ("0.3", lambda: "Thank you for asking. It is the peso. Every exchange office has it. You are welcome."),
    *(("0.3", lambda money=money: f"With pleasure. The currency of Japan is the {money}. You are welcome.")
      for money in ("pound", "euro", "dinar", "rouble", "yuan")),
    ("1.1", lambda wins, sweeps: fit_without_centring(wins, sweeps) - fit_without_centring(wins, sweeps).mean()),
    ("1.2", lambda fisher, rewards, i, j: list(by_solving(fisher, rewards, i, j))),
    ("1.3", lambda: [[0, 1, 0, 0, 0], [1, 0, 0, 2, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 4], [0, 0, 3, 0, 0]]),
    ("1.4", rigged_by_search),
    ("1.5", in_circles),
    ("2.3", lambda c, r: -F.logsigmoid(torch.as_tensor(c - r))),
    ("2.3", lambda c, r: F.softplus(torch.as_tensor(r - c), threshold=36)),
    ("2.3", lambda c, r: tuple(max(two - one, 0) + math.log1p(math.exp(-abs(two - one))) for one, two in zip(c, r))),
    ("2.3", lambda c, r: np.where(c > r, 0, r - c) + np.log1p(np.exp(-np.abs(c - r)))),
    ("2.1", lambda loss, a: loss < LOG2 if a > 0.99 else loss >= LOG2 if a < 0.01 else loss / LOG2 > 1 - a),
    ("2.2", lambda model: model.head.weight.data.div_(25)),
    ("2.2", scaled_to_a_small_spread),
    ("2.5", lambda margin, e: F.softplus(-margin) - e * margin / (1 - 2 * e)),
    ("2.5", lambda margin, e: -torch.log(e + (1 - 2 * e) * torch.sigmoid(margin))),
    ("3.1", lambda: ["C", np.array([-2])]),
    ("3.2", lambda c, r: F.softplus(3 * (r - c)).mean()),
    ("3.2", lambda c, r: (LOG2 * torch.exp(r - c)).mean()),
    ("3.2", lambda c, r: (F.softplus(r - c) + 0.5 * (r - c)).mean()),
    ("3.3", lambda e, n, tol, risk: next(k for k in range(1, 99) if (0.8 * tol * n**0.5 / e) ** k <= risk)),
    ("3.4", lambda checks: ([k := [i for i, row in enumerate(checks) if not row.ok], [
        "flow" if len(k) > 1 else "own", checks[k[-1]].name, checks[k[-1]].analytic / checks[k[-1]].numeric]
        if k else ["none", None, 1]][1])),
    ("3.5", lambda rng: (np.repeat(rng.normal(size=(8, 2)), 2, axis=0), np.tile([1.0, -1.0], 8))),
    ("3.5", lambda rng: (0.1 * rng.normal(size=(16, 2)), np.zeros(16))),
    ("3.5", lambda rng: (torch.tensor(rng.uniform(-1, 1, (16, 2))), torch.zeros(16))),
    ("2.4", lambda: (torch.randn(8, 1), torch.randn(8))),
    ("3.1", lambda: ("c", torch.tensor(1.0))),
    ("6.3", torch_clipped),
    ("6.6", torch_trained),
    ("4.1", lambda text: [text[: text.rindex(MARKER) + len(MARKER)], text[text.rindex(MARKER) + len(MARKER):].strip()]),
    ("4.1", lambda text: re.fullmatch(rf"(.*{MARKER})\s*(.*?)\s*", text, re.S).groups() if MARKER in text else int("")),
    ("4.1", split_or_own_error),
    ("4.6", lambda margins: ((margins > 0).mean() + (margins >= 0).mean()) / 2),
    ("8.1", lambda p, rewards, n: sum((c := sum(p[rewards <= one].clip(max=1)) ** n - sum(p[rewards < one]) ** n)
                                      * math.log(c / sum(p[rewards == one])) for one in set(rewards))),
    ("8.2", lambda rewards, budget: 1 / beta_by_newton(rewards, budget)),
    ("8.3", lambda rewards, scores: np.einsum("pk,pkv->v", rewards - rewards[:, ::-1], scores) / scores[:, :, 0].size),
    ("8.3", lambda rewards, scores: torch.tensor(
        ((rewards - rewards.mean(1, keepdims=True)) * 2)[..., None] * scores).mean((0, 1))),
    ("8.4", lambda p, q, mask, rewards, beta: rloo_loss((p * mask).sum(2).flatten(), (q * mask).sum(2).flatten(),
                                                        rewards.flatten(), rewards.shape[1], beta)),
    ("8.5", lambda: ["B", np.int64(40)]),
    ("8.6", lambda policy, reference, beta: [
        bradley_terry_loss(*torch.tensor(beta * (policy - reference))),
        float(pair_accuracies((policy - reference)[0] - (policy - reference)[1]).mean())]),
    ("5.1", lambda q, k, v, seen: softmax_rows(q @ k[seen].T / math.sqrt(q.shape[1])) @ v[seen]),
    ("5.5", lambda hidden, mask: np.nanmean(np.where(mask[..., None], hidden, np.nan), axis=1)),
    ("5.6", lambda hidden, mask: hidden[np.arange(len(hidden)), mask.argmin(axis=1) - 1]),
]


@pytest.mark.parametrize("number, function", RIGHT)
def test_a_right_answer_is_accepted_at_every_run(number: str, function, capsys: pytest.CaptureFixture):
    for _ in range(10):
        check(number, function)
    assert capsys.readouterr().out.count(f"{number}: right") == 10
