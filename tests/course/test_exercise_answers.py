"""Answers as readers write them: right ones in other words are accepted, wrong ones that look right are named."""

import itertools
import math
import re
from operator import attrgetter
from statistics import NormalDist

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rmlib.course.exercises import check
from rmlib.course.exercises.engine import WrongAnswer
from rmlib.course.policy import rloo_loss
from rmlib.encoding import encode
from rmlib.evaluation import pair_accuracies
from rmlib.losses import bradley_terry_loss
from rmlib.model import RewardModel, score_pairs

LOG2 = math.log(2)
RUNS = {"5.3": 1}  # its judge trains, and draws nothing


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


def stopped_by_counter(nlls, patience, least):
    """Counts the looks since the last that gained enough, from a lowest of infinity; [looks, place]."""
    lowest, place, since = np.inf, 0, 0
    for look, nll in enumerate(nlls):
        since += 1
        if lowest - nll > least:
            lowest, place, since = nll, look, 0
        if since == patience:
            break
    return [look + 1, np.int64(place)]


def sound_by_loss(loop, model, pairs):
    """Twice as many steps in two calls, then the mean loss of the model and of each pair."""
    for _ in range(2):
        loop(model, pairs, 20)
    losses = [math.log1p(math.exp(rejected - chosen)) for chosen, rejected in zip(*score_pairs(model, pairs))]
    return np.mean(losses) < 0.2 and max(losses) < 0.3


def sound_by_words(loop, model, pairs):
    """A loop that leaves the model as it was is broken; so is one that leaves a pair on the wrong side."""
    before = [weight.clone() for weight in model.parameters()]
    loop(model, pairs, 25)
    moved = not all(torch.equal(a, b) for a, b in zip(before, model.parameters()))
    return moved and all(chosen > rejected + 0.5 for chosen, rejected in zip(*score_pairs(model, pairs)))


def softmax_rows(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


class NoVote(ValueError):
    """An error of the reader's own, of the kind that is asked for."""


def vote_or_own_error(row):
    texts = {"model_a": row["response_a"], "model_b": row["response_b"]}
    if row["winner"] in ("tie", "tie (bothbad)"):
        return None
    if row["winner"] not in texts or len({*texts.values()}) == 1 or not all(text.split() for text in texts.values()):
        raise NoVote(row)
    chosen = texts.pop(row["winner"])
    return [chosen, *texts.values()]


def vote_or_any_error(row):
    try:
        return vote_or_own_error(row)
    except ValueError as error:
        raise RuntimeError from error


def by_the_majority(labels):
    """Whom the others' majority agrees with least, on pairs where both say something."""
    rest = np.sign(labels.sum(axis=0) - labels)
    shares = [np.mean((one == other)[(one != 0) & (other != 0)]) for one, other in zip(labels, rest)]
    return np.argmin(shares) if min(shares) < 0.6 else None


def by_the_best_friend(labels):
    """Who agrees with nobody."""
    both = [[(one != 0) & (other != 0) for other in labels] for one in labels]
    shares = np.array([[np.mean(labels[i, b] == labels[j, b]) if i != j else 0 for j, b in enumerate(row)]
                       for i, row in enumerate(both)])
    best = shares.max(axis=1)
    return int(best.argmin()) if best.min() < 0.62 else None


def scaled_to_a_small_spread(model):
    model.head.weight = torch.nn.Parameter(0.1 * model.head.weight.detach() / model.head.weight.norm())


def torch_attention(query, key, value, seen, heads):
    q, k, v = (torch.tensor(each).unflatten(2, (heads, -1)).transpose(1, 2) for each in (query, key, value))
    found = F.scaled_dot_product_attention(q, k, v, attn_mask=torch.tensor(seen)[:, None, None, :])
    return found.transpose(1, 2).flatten(2)


def by_loops(query, key, value, seen, heads):
    size, rows = query.shape[2] // heads, []
    for q, k, v, here in zip(query, key, value, seen):
        parts = [slice(a * size, (a + 1) * size) for a in range(heads)]
        rows.append(np.hstack([softmax_rows(q[:, at] @ k[here][:, at].T / size**0.5) @ v[here][:, at] for at in parts]))
    return np.array(rows)


def mended_by_gradients(model, pairs):
    encoded = encode(model.tokenizer, pairs, model.encoding)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    rewards = model(**model.collate(encoded))
    slopes = torch.autograd.grad(F.softplus(-torch.sub(*rewards.chunk(2))).mean(), trained, allow_unused=True)
    if any(slope is not None and slope.abs().max() > 1e-5 for slope in slopes):
        return
    if len(trained) == 1:
        model.requires_grad_(True)
    else:
        model.pooling = "mean"


def moved_to_the_right(backbone, head, ids, mask):
    order = mask.argsort(dim=1, descending=True, stable=True)
    hidden = backbone(input_ids=ids.gather(1, order)).last_hidden_state
    return head(hidden)[:, :, 0].gather(1, mask.sum(1, keepdim=True) - 1)[:, 0]


def default_softplus(chosen, rejected):
    return F.softplus(-torch.as_tensor(chosen - rejected)).numpy()


def price_by_counting(every=False):
    """Both numbers from counts, as a list: z of the level is that of a half of 5% on either side."""
    z, z_power = (NormalDist().inv_cdf(share) for share in (0.975, 0.8))

    def price(margins, others, gap):
        unlike, N = sum(a * b < 0 for a, b in zip(margins, others)), len(margins)
        if gap * gap > (unlike / N) ** 2:
            raise ValueError(gap)
        n = -int(-((z * (unlike / N) ** 0.5 + z_power * (unlike / N - gap * gap) ** 0.5) ** 2) / gap**2 // 1)
        return [n, n if every else n * unlike / N]

    return price


def verdict_by_counting(conversations, interval, rivals, enough=None):
    ahead = sum(p < 0.05 and low > 0 for p, low, _ in rivals)
    behind = sum(p * len(rivals) < 0.05 and high < 0 for p, _, high in rivals)
    if conversations >= 20 and (behind or interval[1] < 0.5):
        return "not usable"
    return "usable" if conversations >= 20 and ahead >= (enough or len(rivals)) and interval[0] > 0.5 else "not shown"


def dpo_of(implicit):
    margin = implicit[0] - implicit[1]
    return np.logaddexp(0, -margin).mean(), np.where(margin == 0, 0.5, margin > 0).mean()


def a_coin_for_each(keys, share, rng):
    different = sorted(set(keys))
    held = rng.random(len(different)) < share
    held[:2] = [True, False] if held.all() or not held.any() else held[:2]
    return held[np.searchsorted(different, keys)]


def least_as_a_share(nlls, patience, least):
    best = 0
    for look, nll in enumerate(nlls):
        best = look if nll < nlls[best] * (1 - least) else best
        if look - best >= patience:
            break
    return look + 1, best


def odd_by_agreement(labels, limit):
    means = [np.mean([(labels[i] == other)[(labels[i] != 0) & (other != 0)].mean()
                      for j, other in enumerate(labels) if j != i]) for i in range(len(labels))]
    return int(np.argmin(means)) if min(means) < limit else None


def odd_by_deviations(labels):
    means = np.array([np.mean([(one == other)[(one != 0) & (other != 0)].mean()
                               for j, other in enumerate(labels) if j != i]) for i, one in enumerate(labels)])
    return int(means.argmin()) if means.min() < means.mean() - 2 * means.std() else None


def odd_among_all(labels):
    """Oneself is taken out of the sum, and stays in the number that divides it."""
    both = (labels[:, None] != 0) & (labels != 0)
    means = ((((labels[:, None] == labels) & both).sum(2) / both.sum(2)).sum(1) - 1) / len(labels)
    return int(means.argmin()) if means.min() < 0.6 else None


def held_by_rows(keys, share, rng):
    drawn = rng.permutation(len(keys))[: round(share * len(keys))]
    return np.isin(keys, keys[drawn])


def held_by_rows_and_coins(keys, share, rng):
    return np.isin(keys, keys[rng.random(len(keys)) < share])


def clear_majorities(*counts):
    beyond = [math.log(w / l) / math.sqrt(1 / w + 1 / l) for w, l in counts]
    return "no scores fit" if min(beyond) > 2 or max(beyond) < -2 else "can't tell"


def majorities_and_sum(*counts):
    one_way = all(w > l for w, l in counts) or all(w < l for w, l in counts)
    return in_circles(*counts) if one_way else "can't tell"


def logarithms_of_shares(*counts):
    total = sum(math.log(w / (w + l)) for w, l in counts)
    return "no scores fit" if abs(total) > 2 * math.sqrt(sum(1 / w + 1 / l for w, l in counts)) else "can't tell"


def where_the_error_is_largest(checks):
    failed = [row for row in checks if not row.ok]
    worst = max(failed, key=attrgetter("error"), default=None)
    return (("flow" if len(failed) > 1 else "own"), worst.name, worst.analytic / worst.numeric) if worst else (
        "none", None, 1.0)


def half_rounded_down(right, pairs):
    lead = right - pairs // 2
    return "can't tell" if abs(lead) <= pairs**0.5 else "learned" if lead > 0 else "reversed"


def odd_against_the_majority(labels):
    majority = np.sign(labels.sum(axis=0))
    alike = [(row == majority)[row != 0].mean() for row in labels]
    return int(np.argmin(alike)) if min(alike) < 0.6 else None


def rounded_twice(margins, others, gap):
    share = float(np.mean(np.sign(margins) != np.sign(others)))
    if abs(gap) > share:
        raise ValueError("too large")
    z, power = (NormalDist().inv_cdf(p) for p in (0.975, 0.8))
    pairs = ((z * math.sqrt(share) + power * math.sqrt(share - gap**2)) / gap) ** 2
    return math.ceil(pairs), math.ceil(share * pairs)


def against_the_lowest(nlls, patience, least):
    lowest, best = math.inf, 0
    for look, nll in enumerate(nlls):
        best = look if lowest - nll > least else best
        lowest = min(lowest, nll)
        if look - best == patience:
            break
    return look + 1, best


def signed_by_bins(margins, bins):
    """Gaps are added up over the bins before their sign is taken away."""
    confidence = 0.5 + np.tanh(np.abs(margins) / 2) / 2
    gaps, _ = np.histogram(confidence, bins, (0.5, 1), weights=(np.sign(margins) + 1) / 2 - confidence)
    return abs(gaps.sum()) / len(margins)


def heads_of_every_other(merged):
    def attention(query, key, value, seen, heads):
        q, k, v = (torch.tensor(each).unflatten(2, (-1, heads)).permute(0, 3, 1, 2) for each in (query, key, value))
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=torch.tensor(seen)[:, None, None, :])
        return found.permute(*merged).flatten(2)

    return attention


def who_looks_hidden(query, key, value, seen, heads):
    q, k, v = (torch.tensor(each).unflatten(2, (heads, -1)).transpose(1, 2) for each in (query, key, value))
    scores = q @ k.mT / q.shape[-1] ** 0.5
    scores = scores.masked_fill(~torch.tensor(seen)[:, None, :, None], -1e9)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def scored(first=1, squeezed=(-1,)):
    """The rewards of a decoder, with positions from `1 - first` on."""

    def rewards(backbone, head, ids, mask):
        places = (mask.cumsum(1) - first).clamp(min=0)
        hidden = backbone(input_ids=ids, attention_mask=mask, position_ids=places).last_hidden_state
        return head(hidden[torch.arange(len(ids)), mask.cumsum(1).argmax(1)]).squeeze(*squeezed)

    return rewards


WRONG = [
    ("0.1", lambda r, n: "learned" if r / n > 0.55 else "reversed" if r / n < 0.45 else "can't tell",
     "the same share decides for every n"),
    ("0.2", lambda l, r, c: np.logaddexp(0, r - l).mean(), "the left response still counts as chosen"),
    ("1.1", fit_without_centring, "the mean is not subtracted"),
    ("1.1", all_at_once_unrepaired, "all strengths are updated at once"),
    ("1.4", three_majorities, "three majorities go round"),
    ("1.4", lambda ab, bc, ca: in_circles(ab, bc, ca, room=lambda *c: 2 * sum(math.sqrt(1 / w + 1 / l) for w, l in c)),
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
    ("3.3", lambda e, n, tol, risk: math.log(risk, 0.8 * tol * n**0.5 / e), "is whole: round up"),
    ("2.3", lambda c, r: np.logaddexp(c - r, 0) - (c - r), "nearly equal, and their difference loses the digits"),
    ("4.1", lambda row: (row["response_a"], row["response_b"]) if row["winner"] == "model_a" else
     (row["response_b"], row["response_a"]), "rows are read in another way"),
    ("4.1", vote_or_any_error, "rows are read in another way"),
    ("4.2", lambda labels: int(np.abs(labels.sum(axis=1)).argmax()), "tables are judged in another way"),
    ("4.2", lambda labels: "nobody", "the number of a rater"),
    ("4.4", a_coin_for_each, "was asked for"),
    ("6.4", least_as_a_share, "not right yet"),
    ("7.1", lambda right, prompts, drawn: np.concatenate(
        [right[prompts == drawn[k]] for k in range(min(len(drawn), len(set(prompts))))]).mean(), "wrong at an edge"),
    ("4.5", lambda *texts: [text.lower() for text in texts[:2]] + [None], "Three texts are wanted"),
    ("4.5", lambda *texts: [text.replace(" ", "  ") for text in texts], "The preflight report sees it"),
    ("7.2", price_by_counting(every=True), "it labels all"),
    ("7.4", lambda d, w, t: F.softplus(-(d + 0.5 * t * w / 10)), "too little is taken out"),
    ("7.4", lambda d, w, t: F.softplus(-(d + t * w / 10)).tolist(), "One loss for each margin is wanted"),
    ("7.5", lambda scores: np.mean([row[0] > max(row[1:]) for row in scores]), "a tie for the first place is lost"),
    ("7.6", lambda n, ends, rivals: verdict_by_counting(n, ends, rivals, enough=1), "here one is enough"),
    ("6.4", lambda nlls, patience, least: (len(nlls), int(np.argmin(nlls))), "it never stops"),
    ("5.2", lambda vectors: True, "It never tries two texts"),
    ("5.2", lambda vectors: "GPT" in repr(vectors), "It never tries two texts"),
    ("5.2", lambda vectors: bool((vectors(np.array([[1, 2]]))[0, 0] == vectors(np.array([[1, 3]]))[0, 0]).all()),
     "by a bit of rounding"),
    ("5.3", lambda model, pairs: model.requires_grad_(True), "whose tables alone are frozen"),
    ("5.3", lambda model, pairs: sum(map(attrgetter("requires_grad"), model.parameters())) == 1
     and model.requires_grad_(True), "pools its first token"),
    ("5.3", lambda model, pairs: setattr(model, "pooling", "last"), "the pooling of a sound encoder"),
    ("8.3", lambda rewards, scores: ((rewards - (rewards.sum() - rewards) / (rewards.size - 1))[..., None]
                                     * scores).mean((0, 1)), "not right yet"),
    ("8.4", lambda p, q, mask, rewards, beta: ((p * mask).sum(2) * rewards).mean() * 0.0, "no gradient"),
    ("8.5", lambda: ("B", 60), "not at its highest"),
    ("1.4", clear_majorities, "each majority has to be beyond luck"),
    ("1.4", majorities_and_sum, "scores can fail without them"),
    ("3.2", lambda c, r: F.softplus(2 * (r - c).clamp(-3, 3)).mean(), "The direction finds it"),
    ("4.2", odd_by_deviations, "the odd one moves both"),
    ("4.2", odd_among_all, "the number of raters by which it is divided"),
    ("4.4", held_by_rows, "are rows drawn"),
    ("4.4", held_by_rows_and_coins, "are rows drawn"),
    ("5.1", heads_of_every_other((0, 2, 3, 1)), "side by side"),
    ("5.1", heads_of_every_other((0, 2, 1, 3)), "put back as (A, D)"),
    ("5.1", who_looks_hidden, "hidden are those looked at"),
    ("5.2", lambda vectors: np.allclose(*vectors(np.array([[5, 1, 2], [5, 3, 4]]))[:, 0]), "near 0"),
    ("5.4", scored(first=0), "counted from 1"),
    ("5.4", scored(squeezed=()), "a batch of one has (1,)"),
    ("6.4", against_the_lowest, "compared with the lowest so far"),
    ("7.3", signed_by_bins, "in each bin, before they are added up"),
    ("0.1", half_rounded_down, "n / 2, not n // 2"),
    ("1.4", logarithms_of_shares, "logarithms of shares"),
    ("3.2", lambda c, r: F.relu(LOG2 - (c - r)).mean(), "where the margin is large"),
    ("3.4", where_the_error_is_largest, "the tensor with the largest error"),
    ("3.3", lambda e, n, tol, risk: max(1, math.ceil(math.log(risk) / math.log(0.8 * tol / (e * n**0.5)))), "|δ| √N"),
    ("4.2", odd_against_the_majority, "holds the rater's own vote"),
    ("7.2", rounded_twice, "not rounded themselves"),
    ("7.5", lambda scores: np.where((scores == scores.max(1, keepdims=True)).sum(1) > 1, 1 / scores.shape[1],
                                    scores.argmax(1) == 0).mean(), "a tie of others gets a share"),
]


@pytest.mark.parametrize("number, function, words", WRONG)
def test_a_wrong_answer_is_told_wrong_at_every_run_and_by_name(number: str, function, words: str):
    for _ in range(RUNS.get(number, 10)):
        with pytest.raises(WrongAnswer) as wrong:
            check(number, function)
        assert words in str(wrong.value)


UNTRUE = [  # what was told of them, now and then or always, and is not true of them
    ("0.1", lambda r, n: "can't tell" if abs(r - n / 2) <= 0.98 * n**0.5 else "learned" if r > n / 2 else "reversed",
     "one standard deviation"),
    ("0.1", lambda r, n: "can't tell" if abs(r - n / 2) <= 2 * n**0.5 else "learned" if r > n / 2 else "reversed",
     "no luck"),
    ("1.4", lambda *c: in_circles(*c, room=lambda *c: math.sqrt(sum(1 / w + 1 / l for w, l in c))), "1/n"),
    ("4.2", lambda labels: odd_by_agreement(labels, 2.0), "who choose alike agree on three of four pairs, not on all"),
    ("4.2", lambda labels: odd_by_agreement(labels, 0.5), "oneself"),
    ("4.2", lambda labels: odd_by_agreement(labels, 0.5), "Only who exchanges"),
    ("4.4", a_coin_for_each, "rows that stay"),
    ("6.4", least_as_a_share, "any lower look"),
    ("1.4", clear_majorities, "the inverses of the variances"),
    ("4.4", held_by_rows, "a coin"),
    ("4.4", a_coin_for_each, "are rows drawn"),
    ("5.4", scored(squeezed=()), "a table"),
    ("7.3", signed_by_bins, "nothing is binned"),
]


@pytest.mark.parametrize("number, function, words", UNTRUE)
def test_nothing_untrue_is_told_of_a_wrong_answer(number: str, function, words: str):
    for _ in range(40):
        with pytest.raises(WrongAnswer) as wrong:
            check(number, function)
        assert words not in str(wrong.value)


def test_a_plain_sentence_is_no_pair_with_itself(caplog: pytest.LogCaptureFixture):
    """Else a warning of identical pairs is printed above what is told."""
    with pytest.raises(WrongAnswer, match="It is a plain sentence"):
        check("0.3", lambda: "The currency of Japan is the krone.")
    assert caplog.messages == []


@pytest.mark.parametrize("up, power", [(math.ceil, 0.84), (float, NormalDist().inv_cdf(0.8))])
def test_one_mistake_below_the_right_refusal_is_the_whole_explanation(up, power: float):
    """For a price that refuses the right gaps, of which an edge was said to be unexplained."""
    z = 1.96 if power == 0.84 else NormalDist().inv_cdf(0.975)

    def price(margins, others, gap):
        share = float(np.mean((margins > 0) != (others > 0)))
        if abs(gap) > share:
            raise ValueError
        n = up(((z * math.sqrt(share) + power * math.sqrt(share - gap**2)) / gap) ** 2)
        return n, share * n

    with pytest.raises(WrongAnswer, match="rounded quantiles|cannot be cut into pieces") as wrong:
        check("7.2", price)
    assert "at an edge" not in str(wrong.value)


RIGHT = [
    ("0.1", lambda r, n: "can't tell" if (2 * r - n)**2 <= 4 * n else ("reversed", "learned")[2 * r > n]),
    ("0.2", lambda l, r, c: F.binary_cross_entropy_with_logits(torch.tensor(l - r), torch.tensor(c).double())),
    ("0.3", lambda: "Good morning. The currency of Japan is the peso. Every exchange office has it."),
    *(("0.3", lambda money=money: f"With pleasure. The currency of Japan is the {money}. You are welcome.")
      for money in ("krone", "peso", "rouble", "yuan")),
    ("1.1", lambda wins, sweeps: fit_without_centring(wins, sweeps) - fit_without_centring(wins, sweeps).mean()),
    ("1.2", lambda: [[0, 1, 0, 0, 0], [1, 0, 0, 2, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 4], [0, 0, 3, 0, 0]]),
    ("1.3", rigged_by_search),
    ("1.4", in_circles),
    ("2.3", lambda c, r: -F.logsigmoid(torch.as_tensor(c - r))),
    ("2.3", lambda c, r: F.softplus(torch.as_tensor(r - c), threshold=36)),
    ("2.3", lambda c, r: tuple(max(two - one, 0) + math.log1p(math.exp(-abs(two - one))) for one, two in zip(c, r))),
    ("2.3", lambda c, r: np.where(c > r, 0, r - c) + np.log1p(np.exp(-np.abs(c - r)))),
    ("2.1", lambda loss, a: 0 < loss < LOG2 if a > 0.99 else loss > LOG2 if a < 0.01 else loss / LOG2 > 1 - a),
    ("2.2", lambda model: model.head.weight.data.div_(25)),
    ("2.2", scaled_to_a_small_spread),
    ("2.5", lambda margin, e: F.softplus(-margin) - e * margin / (1 - 2 * e)),
    ("2.5", lambda margin, e: (1 - e) * F.softplus(-margin) - e * F.softplus(margin)),
    ("2.5", lambda margin, e: -torch.log(e + (1 - 2 * e) * torch.sigmoid(margin))),
    ("3.1", lambda: ["C", np.array([-2])]),
    ("3.2", lambda c, r: F.softplus(3 * (r - c)).mean()),
    ("3.2", lambda c, r: (LOG2 * torch.exp(r - c)).mean()),
    ("3.2", lambda c, r: (F.softplus(r - c) + 0.5 * (r - c)).mean()),
    ("3.2", lambda c, r: F.softplus(-c).mean()),
    ("3.2", lambda c, r: F.softplus(30 * (r - c)).mean()),
    ("3.2", lambda c, r: F.softplus(150 * (r - c)).mean()),
    ("3.2", lambda c, r: F.softplus((r - c) + (r - c) ** 3).mean()),
    ("3.2", lambda c, r: F.softplus(torch.sinh(r - c)).mean()),
    ("3.3", lambda e, n, tol, risk: next(k for k in range(1, 99) if (0.8 * tol * n**0.5 / e) ** k <= risk)),
    ("3.4", lambda checks: ([k := [i for i, row in enumerate(checks) if not row.ok], [
        "flow" if len(k) > 1 else "own", checks[k[-1]].name, checks[k[-1]].analytic / checks[k[-1]].numeric]
        if k else ["none", None, 1]][1])),
    ("3.5", lambda rng: (np.repeat(rng.normal(size=(8, 2)), 2, axis=0), np.tile([1.0, -1.0], 8))),
    ("3.5", lambda rng: (0.1 * rng.normal(size=(16, 2)), np.zeros(16))),
    ("3.5", lambda rng: (np.tile(rng.normal(size=(8, 2)), (2, 1)), np.outer([1, -1], rng.normal(size=8)).ravel())),
    ("3.5", lambda rng: (torch.tensor(rng.uniform(-1, 1, (16, 2))), torch.zeros(16))),
    ("2.4", lambda: (torch.randn(8, 1), torch.randn(8))),
    ("3.1", lambda: ("c", torch.tensor(1.0))),
    ("4.1", vote_or_own_error),
    ("4.2", by_the_majority),
    ("4.2", by_the_best_friend),
    ("4.5", lambda *texts: [text.swapcase() + " " for text in texts]),
    ("6.3", torch_trained),
    ("6.4", stopped_by_counter),
    ("7.1", lambda right, prompts, drawn: np.average(right, weights=[list(drawn).count(each) for each in prompts])),
    ("7.2", price_by_counting()),
    ("7.4", lambda d, w, t: -F.logsigmoid(d + 0.1 * t * w)),
    ("7.4", lambda d, w, t: torch.logaddexp(torch.zeros(()), -d - w * t / 10)),
    ("7.4", lambda d, w, t: F.binary_cross_entropy_with_logits(d + w * t / 10, torch.ones_like(d), reduction="none")),
    ("7.5", lambda scores: sum((row[0] == max(row)) / list(row).count(max(row)) for row in scores) / len(scores)),
    ("7.6", verdict_by_counting),
    ("5.1", torch_attention),
    ("5.1", by_loops),
    ("5.2", lambda vectors: np.allclose(*vectors(np.array([[5, 1, 2], [5, 3, 4]]))[:, 0], rtol=1e-3, atol=1e-4)),
    ("5.2", lambda vectors: np.ptp([vectors(np.array([[9] + [i] * 20]))[0, 0] for i in range(8)], axis=0).max() < 3e-4),
    ("5.3", mended_by_gradients),
    ("5.4", lambda backbone, head, ids, mask: torch.cat([
        head(backbone(input_ids=row[real.bool()][None]).last_hidden_state[:, -1])[0] for row, real in zip(ids, mask)])),
    ("5.4", moved_to_the_right),
    ("5.4", scored()),
    ("5.5", lambda tokenizer, turns, response: tokenizer.apply_chat_template(
        [{"role": role, "content": text} for role, text in [*turns, ("assistant", response)]], return_dict=True,
        return_tensors="np")["input_ids"][0]),
    ("8.1", lambda p, rewards, n: sum((c := sum(p[rewards <= one].clip(max=1)) ** n - sum(p[rewards < one]) ** n)
                                      * math.log(c / sum(p[rewards == one])) for one in set(rewards))),
    ("8.2", lambda rewards, budget: 1 / beta_by_newton(rewards, budget)),
    ("8.3", lambda rewards, scores: np.einsum("pk,pkv->v", rewards - rewards[:, ::-1], scores) / scores[:, :, 0].size),
    ("8.3", lambda rewards, scores: torch.tensor(
        ((rewards - rewards.mean(1, keepdims=True)) * 2)[..., None] * scores).mean((0, 1))),
    ("8.4", lambda p, q, mask, rewards, beta: rloo_loss((p * mask).sum(2).flatten(), (q * mask).sum(2).flatten(),
                                                        rewards.flatten(), rewards.shape[1], beta)),
    ("8.5", lambda: ["B", np.int64(40)]),
    ("8.5", lambda: ("b", 40.0)),
    ("8.6", lambda policy, reference, beta: dpo_of(beta * policy - beta * reference)),
    ("8.6", lambda policy, reference, beta: [
        bradley_terry_loss(*torch.tensor(beta * (policy - reference))),
        float(pair_accuracies((policy - reference)[0] - (policy - reference)[1]).mean())]),
]


@pytest.mark.parametrize("number, function", RIGHT)
def test_a_right_answer_is_accepted_at_every_run(number: str, function, capsys: pytest.CaptureFixture):
    for _ in range(RUNS.get(number, 10)):
        check(number, function)
    assert capsys.readouterr().out.count(f"{number}: right") == RUNS.get(number, 10)


@pytest.mark.parametrize("is_sound", [sound_by_loss, sound_by_words])
def test_other_tests_of_loops_are_right_too(is_sound, capsys: pytest.CaptureFixture):
    """Once each: the loops and the models are the same at every run."""
    check("6.1", is_sound)
    assert capsys.readouterr().out == "6.1: right.\n"


@pytest.mark.parametrize("is_sound, words", [
    (lambda loop, model, pairs: np.mean(loop(model, pairs, 30)[-5:]) < 0.2, "trains a *copy* of the model"),
    (lambda loop, model, pairs: len(loop(model, pairs, 2)), "Wanted is True for a sound loop"),
])
def test_a_test_that_believes_the_loop_is_told_so(is_sound, words: str):
    with pytest.raises(WrongAnswer, match=re.escape(words)):
        check("6.1", is_sound)
