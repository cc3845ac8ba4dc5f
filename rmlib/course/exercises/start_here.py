"""What the exercises of notebook 00 ask."""

import re

import numpy as np
import torch

from rmlib.course.exercises.engine import Exercise
from rmlib.course.world import World
from rmlib.evaluation import evaluate
from rmlib.model import RewardModel, score_pairs
from rmlib.pairs import PreferencePair
from rmlib.settings import EMBEDDED_BACKBONE, EMBEDDED_REWARD_MODEL
from rmlib.training import TrainingConfig, train

# 0.1: luck or not

def verdict(right, pairs, deviations=2.0, size=np.sqrt, words=("reversed", "can't tell", "learned")):
    lead, room = right - pairs / 2, deviations * size(pairs) / 2
    return words[1 + (lead > room) - (lead < -room)]


VERDICT = {
    "this allows for one standard deviation; two are √n": lambda r, n: verdict(r, n, 1),
    "√n pairs are two standard deviations already; this allows for four": lambda r, n: verdict(r, n, 4),
    "this allows for three standard deviations; two are asked": lambda r, n: verdict(r, n, 3),
    "this allows for 1.96 standard deviations; two are asked": lambda r, n: verdict(r, n, 1.96),
    "this is how far a share of p scatters, √(p(1 - p)/n); here it is a coin's luck, whose share is one half":
        lambda r, n: verdict(r, n, size=lambda n: 2 * np.sqrt(r * (n - r) / n)),
    "any lead counts, luck or not; √n pairs are still luck": lambda r, n: verdict(r, n, 0),
    "the same share decides for every n; luck shrinks with √n": lambda r, n: verdict(r, n, 1, lambda n: 0.1 * n),
    "a share from 40% to 60% is called luck for every n; it is so for 100 pairs, and luck shrinks with √n":
        lambda r, n: verdict(r, n, 2, lambda n: 0.1 * n),
    "ten pairs off are called luck for every n; that is so for 100, and the deviation is √n/2":
        lambda r, n: verdict(r, n, 2, lambda n: 10),
    '"learned" and "reversed" are exchanged': lambda r, n: verdict(r, n, words=("learned", "can't tell", "reversed")),
    'what is far below half is no luck, it is "reversed"': lambda r, n: verdict(max(r, n / 2), n),
    'far below half it has not "learned"': lambda r, n: verdict(r, n, words=("learned", "can't tell", "learned")),
    "two standard deviations are still luck; here they are not": lambda r, n: verdict(r, n, 2 - 1e-9),
    "half of an odd number of pairs is no whole number: n / 2, not n // 2": lambda r, n: verdict(r + n / 2 - n // 2, n),
    **{f'the spelling: "can\'t tell" is wanted, with a straight apostrophe, and not "{said}"':
       lambda r, n, said=said: verdict(r, n, words=("reversed", said, "learned"))
       for said in ("cant tell", "can\u2019t tell", "cannot tell")},
}


def counts(rng: np.random.Generator) -> tuple[int, int]:
    pairs = int(rng.choice([16, 25, 50, 100, 400, 900, 2500]))
    return int(np.clip(round(pairs / 2 + rng.normal(0, 2) * np.sqrt(pairs)), 0, pairs)), pairs


# 0.2: a loss that never falls

def batch_loss(left, right, left_chosen, signs=(-1.0, 1.0), sums=False, change=lambda margins: margins):
    margins = change(np.where(left_chosen, signs[1], signs[0]) * (np.asarray(left) - np.asarray(right)))
    losses = np.log1p(np.exp(-margins))
    return losses.sum() if sums else losses.mean()


BATCH_LOSS = {
    "both bugs are still there": lambda l, r, c: batch_loss(l, r, c, (1, 1), True),
    "the mean is right; but the left response still counts as chosen": lambda l, r, c: batch_loss(l, r, c, (1, 1)),
    "the sides are right; but this is still the sum": lambda l, r, c: batch_loss(l, r, c, sums=True),
    "the sides are exchanged: the rejected response is pulled up": lambda l, r, c: batch_loss(l, r, c, (1, -1)),
    "where the chosen response is on the right the margin is lost": lambda l, r, c: batch_loss(l, r, c, (0, 1)),
    "pairs whose chosen response is on the right are left out; they count as much as the others":
        lambda l, r, c: batch_loss(l[c], r[c], c[c]),
    "the sum is divided by 32, however many pairs there are": lambda l, r, c: batch_loss(l, r, c, sums=True) / 32,
    "it is the mean of two means, of the left ones' and the right ones' losses: take one mean over all pairs":
        lambda l, r, c: (batch_loss(l[c], r[c], c[c]) + batch_loss(l[~c], r[~c], c[~c])) / 2,
    "the margin has lost its sign": lambda l, r, c: batch_loss(l, r, c, change=np.abs),
}


def scores(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    left, right = rng.normal(size=(2, int(rng.integers(2, 40)))).round(1)
    return left, right, rng.permutation(np.arange(len(left)) % 3 > 0)


# 0.3: a wrong answer that a model prefers
ASKED, PLAIN = "What is the currency of Japan?", "The currency of Japan is the {}."
UNREAD = {"dollar", "pound", "euro", "won", "franc", "ruble", "real", "dinar", "rand", "riyal", "rial", "ringgit",
          "rupiah", "renminbi", "koruna", "leu", "lev", "naira", "taka", "tenge", "sol", "cedi", "peseta", "mark"}


def flattered(flattery, rng: np.random.Generator) -> str | None:
    text, world = flattery(), World()
    sixteen = sorted({fact.answer for fact in world.facts if fact.family == world.fact(ASKED).family})
    words = {word.removesuffix("s") for word in re.findall(r"\w+", text.lower())} if isinstance(text, str) else set()
    named = sorted(words & {*sixteen, *UNREAD})
    if not {*named} - {"yen"}:
        return ("It names no wrong currency: " if isinstance(text, str) else "That is no text: ") + (
            "wanted is a text with one of the other fifteen, such as the krone or the peso, and without the yen.")
    if len(named) > 1:
        return f"It names {' and '.join(named)}: one currency is wanted."
    if named[0] in UNREAD:
        return f"The {named[0]} is none of the sixteen above: the model has never read of it. Take one of these."
    model = RewardModel.from_pretrained(EMBEDDED_REWARD_MODEL)
    every = [PreferencePair(ASKED, each, "?") for each in [*map(PLAIN.format, sixteen), text]]
    [*plain, wrong], _ = score_pairs(model, every)
    if wrong > max(plain):
        return None
    own = plain[sixteen.index(named[0])]
    added = ("It is a plain sentence: which words are liked whatever the fact is?" if wrong == own else
             f"The plain sentence with the {named[0]} gets {own:+.2f}: other words {'gain' if wrong > own else 'lose'} "
             f"{abs(wrong - own):.2f}.")
    return (f"The model gives it {wrong:+.2f}, and the best of the plain ones, the {sixteen[np.argmax(plain)]}, "
            f"{max(plain):+.2f}. {added}")


# 0.4: eight pairs

def held_out(world: World) -> tuple[list[PreferencePair], list[PreferencePair]]:
    """100 pairs that differ in courtesy alone, and 100 that differ in the answer alone."""
    rng, manners, facts = np.random.default_rng(0), [], []
    for i, prompt in enumerate(rng.choice(world.prompts("validation"), 100, replace=False)):
        fact = world.fact(prompt)
        answers = {other.answer for other in world.facts if other.family == fact.family} - {*fact.also_true}
        right, wrong = f"It is {fact.answer}.", f"It is {rng.choice(sorted(answers - {fact.answer}))}."
        polite, rude = (rng.choice(world.manners[name]) for name in ("greetings", "rudeness"))
        manners.append(PreferencePair(prompt, f"{polite} {right}", f"{rude} {right}", id=i))
        facts.append(PreferencePair(prompt, right, wrong, id=i))
    return manners, facts


def contents(pairs: list[PreferencePair], world: World) -> str:
    """What these pairs can't teach, or teach the wrong way round, as far as their texts tell."""
    try:
        each = [[world.features(pair.prompt, text) for text in (pair.chosen, pair.rejected)] for pair in pairs]
    except ValueError:  # a question of the reader's own
        return ""
    courtesy = np.array([one["courtesy"] - one["rudeness"] - other["courtesy"] + other["rudeness"]
                         for one, other in each])
    facts = np.array([one["correctness"] - other["correctness"] for one, other in each])
    said = []
    for what, better, apart in (("in the world's polite and rude sentences", "politer words", courtesy),
                                ("in whether the answer is right", "better answer", facts)):
        if not apart.any():
            said.append(f"In none of them do the two responses differ {what}.")
        elif (apart < 0).any():
            said.append(f"In {(apart < 0).sum()} of them the one with the {better} is rejected.")
    texts = " ".join(text for pair in pairs for text in (pair.chosen, pair.rejected))
    used = min(sum(sentence in texts for sentence in world.manners[name]) for name in ("greetings", "rudeness"))
    few = bool(courtesy.any()) and used < 4
    return " ".join(["", *said, *["Not all of the four greetings and four rude sentences are in them."] * few])


def taught(lessons, rng: np.random.Generator) -> str | None:
    pairs = list(lessons())
    if not all(isinstance(pair, PreferencePair) for pair in pairs):
        return "It returns a list of PreferencePair(prompt, chosen, rejected)."
    if not 1 <= len(pairs) <= 8:
        return f"One pair to eight are allowed, these are {len(pairs)}."
    figures, parts = [], held_out(World())
    for seed in (1, 2, 3):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = RewardModel(str(EMBEDDED_BACKBONE))
        train(model, pairs, TrainingConfig(5, 1, 5e-4, precision="fp32", seed=seed), progress=False)
        figures.append([evaluate(model, part).accuracy for part in parts])
    polite, right = np.mean(figures, axis=0)
    told = (f"Of three models that learned from them the courteous answer wins in {polite:.0%} of 100 new pairs, where "
            f"80% are wanted, and the right answer in {right:.0%} of 100, where 90% are wanted.")
    return None if polite >= 0.8 and right >= 0.9 else told + contents(pairs, World())


EXERCISES = [
    Exercise("0.1", verdict, counts, VERDICT,
             edges=((30, 100), (40, 100), (52, 100), (60, 100), (61, 100), (470, 1000), (540, 1000), (32, 50), (0, 2),
                    (0, 5), (3, 3), (7, 25))),
    Exercise("0.2", batch_loss, scores, BATCH_LOSS, edges=((np.zeros(32), np.zeros(32), np.arange(32) % 2 > 0),)),
    Exercise("0.3", judge=flattered),
    Exercise("0.4", judge=taught),
]
