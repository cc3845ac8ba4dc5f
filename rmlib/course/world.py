"""The gold world: short questions and answers with a known reward, and annotators whose noise is known too."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from rmlib.pairs import PreferencePair

FACTS_FILE = Path(__file__).parents[1] / "assets" / "facts.json"
SPLITS = ("train", "validation", "test", "unseen")

# r*(x, y) is the sum of weight times feature; `World.features` says how each feature is counted.
WEIGHTS = {
    "correctness": 1.6,  # +1 right, -1 wrong, 0 no answer; the others are 1 if there is any, else 0
    "courtesy": 0.5,
    "explanation": 0.7,
    "hedging": -0.6,
    "rambling": -0.8,
    "rudeness": -0.8,
}
_KINDS = {"greetings": "courtesy", "farewells": "courtesy", "rudeness": "rudeness", "rambling": "rambling"}
_HEDGES = ("i think", "maybe", "perhaps", "could be", "might be", "not sure")


@dataclass(frozen=True)
class Fact:
    """One true thing: the answer to the questions of its family about its subject."""

    family: str
    subject: str
    answer: str
    also_true: tuple[str, ...]  # other answers that are no mistake: never used as wrong ones


@dataclass(frozen=True)
class Family:
    """Facts of one kind, and the ways to ask for, state and explain them; unseen: kept out of all training."""

    name: str
    questions: tuple[str, ...]
    statements: tuple[str, ...]
    explanations: tuple[str, ...]
    facts: tuple[Fact, ...]
    answers: tuple[str, ...]  # the different answers, in the order of the facts
    unseen: bool


@dataclass(frozen=True)
class Annotator:
    """Someone who picks the better of two responses, with noise.

    P(a over b) = (1-ε) s + ε (1-s),  s = σ((r*_a - r*_b)/temperature + length_bias (words_a - words_b)/10).
    flip_rate is ε, the share of labels turned round by accident. Raises ValueError for impossible settings.
    """

    temperature: float = 1.0
    flip_rate: float = 0.0
    length_bias: float = 0.0

    def __post_init__(self) -> None:
        if self.temperature <= 0 or not 0 <= self.flip_rate <= 1:
            raise ValueError(f"need temperature > 0 and 0 <= flip_rate <= 1, got {self}")

    def probability(self, margin: np.ndarray, extra_words: np.ndarray | float = 0.0) -> np.ndarray:
        """P(a over b), elementwise, from margin = r*_a - r*_b and extra_words = words_a - words_b."""
        logit = np.asarray(margin) / self.temperature + self.length_bias * np.asarray(extra_words) / 10
        better = 0.5 * (1 + np.tanh(logit / 2))  # σ(logit), in a form that can't overflow
        return (1 - self.flip_rate) * better + self.flip_rate * (1 - better)


@dataclass(frozen=True)
class BayesLimits:
    """What no model can beat in expectation: accuracy, NLL in nats, Brier score."""

    accuracy: float
    nll: float
    brier: float


def bayes_limits(probability: np.ndarray) -> BayesLimits:
    """Means of max(p, 1-p), H(p) and p(1-p) over pairs labelled 1 with the given probabilities p, shape (B,).

    These are expectations over labels; one sample of labels differs from them: see `realised_agreement`.
    """
    p = np.asarray(probability, dtype=np.float64)
    q = np.clip([p, 1 - p], np.finfo(np.float64).tiny, 1.0)  # 0 log 0 is 0
    limits = (np.maximum(p, 1 - p), -(q * np.log(q)).sum(axis=0), p * (1 - p))
    return BayesLimits(*(float(limit.mean()) for limit in limits))


def annotator_agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Expected share of pairs on which two independent annotators choose alike: the mean of pq + (1-p)(1-q)."""
    return float(np.mean(first * second + (1 - first) * (1 - second)))


def realised_agreement(margins: np.ndarray) -> float:
    """Share of labelled pairs with a margin r*_chosen - r*_rejected, shape (B,), above 0; a tie counts one half."""
    return float(np.mean((np.sign(margins) + 1) / 2))


class World:
    """Questions, responses, the gold reward r*(x, y) and labelled pairs. Everything random comes from a seed.

    A prompt is a combination of a fact and one of its family's phrasings. Of every fact one phrasing is kept for
    "validation" and one for "test"; the others are "train". Families marked unseen make up the split "unseen".
    """

    def __init__(self) -> None:
        table = json.loads(FACTS_FILE.read_text(encoding="utf-8"))
        self.manners: dict[str, list[str]] = table["manners"]
        self.families = tuple(map(_family, table["families"]))
        self.facts = tuple(fact for family in self.families for fact in family.facts)
        self._by_name = {family.name: family for family in self.families}
        self._kinds = {_plain(s): kind for group, kind in _KINDS.items() for s in self.manners[group]}
        self._prompts: dict[str, tuple[str, Fact]] = {}
        for family in self.families:
            for i, fact in enumerate(family.facts):
                for j, question in enumerate(family.questions):
                    kept = {0: "test", 1: "validation"}.get((i + j) % len(family.questions), "train")
                    self._prompts[_fill(question, fact.subject)] = "unseen" if family.unseen else kept, fact

    def prompts(self, split: str = "train", families: Sequence[str] | None = None) -> list[str]:
        """The questions of a split ("train", "validation", "test", "unseen"), of the named families or of all.

        Raises ValueError for an unknown split or family, or where there is no such question.
        """
        if split not in SPLITS:
            raise ValueError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
        wanted = self._by_name if families is None else families
        if unknown := sorted(set(wanted) - set(self._by_name)):
            raise ValueError(f"unknown families {unknown}: choose from {', '.join(self._by_name)}")
        found = [p for p, (kept, fact) in self._prompts.items() if kept == split and fact.family in wanted]
        if not found:
            raise ValueError(f"the families {list(wanted)} have no question in the split {split!r}")
        return found

    def fact(self, prompt: str) -> Fact:
        """The fact a question asks for. Raises ValueError for a question this world doesn't know."""
        if prompt not in self._prompts:
            raise ValueError(f"the gold world has no question {prompt[:80]!r}: take one of World.prompts()")
        return self._prompts[prompt][1]

    def responses(self, prompt: str, k: int, seed: int | np.random.Generator = 0, *, right: float = 0.5) -> list[str]:
        """k different responses to one prompt; each gives the right answer with probability `right`."""
        fact, rng = self.fact(prompt), np.random.default_rng(seed)
        family = self._by_name[fact.family]
        found: dict[str, None] = {}
        while len(found) < k:
            found[self._response(family, fact, rng.random(14).tolist(), right)] = None
        return list(found)

    def _response(self, family: Family, fact: Fact, u: list[float], right: float) -> str:
        """One response, from 14 uniform numbers: drawing them at once is what makes the world fast."""
        manners = self.manners
        answer = fact.answer if u[0] < right else _pick(_wrong_answers(family, fact), u[1])
        forms = manners["hedged"] if u[2] < 0.3 else (*manners["plain"], *family.statements)
        sentences = [_fill(_pick(forms, u[3]), fact.subject, answer)]
        if u[4] < 0.4:
            sentences.append(_pick(family.explanations, u[5]))
        for i in range(int(4 * u[6] ** 2)):  # none in half of the responses, three in one of eight
            sentences.append(_pick(manners["rambling"], (u[7] + i / len(manners["rambling"])) % 1))
        if u[8] < 0.5:
            sentences.insert(0, _pick(manners["greetings" if u[8] < 0.3 else "rudeness"], u[9]))
        if u[10] < 0.3:
            sentences.append(_pick(manners["farewells"], u[11]))
        return " ".join(sentences)

    def features(self, prompt: str, response: str) -> dict[str, int]:
        """What the gold reward counts in a response, by the names of WEIGHTS, read from the text alone.

        Correctness is +1 if a right answer is named and no wrong answer of the family is, -1 if a wrong one is, and 0
        if none is. A sentence outside the world's language counts only for an answer or a hedge it holds, so a
        reader may type freely. Raises ValueError for an unknown prompt.
        """
        fact = self.fact(prompt)
        family = self._by_name[fact.family]
        found = dict.fromkeys(WEIGHTS, 0)
        words: set[str] = set()
        for sentence in map(_plain, re.findall(r"[^.!?]+", response)):
            if kind := self._kinds.get(sentence):
                found[kind] = 1
            elif sentence in map(_plain, family.explanations):
                found["explanation"] = 1
            else:
                words.update(re.findall(r"[\w'-]+", sentence))
                found["hedging"] |= any(hedge in sentence for hedge in _HEDGES)
        named = words & {*map(_plain, family.answers)} - {*_plain(fact.subject).split()}
        true = set(map(_plain, (fact.answer, *fact.also_true)))
        found["correctness"] = -1 if named - true else int(bool(named & true))
        return found

    def reward(self, prompt: str, response: str) -> float:
        """The gold reward r*(x, y) = sum of WEIGHTS times `features`; 0 for text that says nothing the world knows."""
        total = sum(WEIGHTS[name] * count for name, count in self.features(prompt, response).items())
        return round(total, 9)  # so that equal sums are equal, in whatever order they were added

    def margins(self, pairs: Sequence[PreferencePair]) -> np.ndarray:
        """Gold margins r*_chosen - r*_rejected, float64 (B,)."""
        return np.array([self.reward(p.prompt, p.chosen) - self.reward(p.prompt, p.rejected) for p in pairs])

    def probabilities(self, pairs: Sequence[PreferencePair], annotator: Annotator = Annotator()) -> np.ndarray:
        """P(the annotator prefers what is called chosen to what is called rejected), float64 (B,)."""
        extra_words = np.array([len(p.chosen.split()) - len(p.rejected.split()) for p in pairs])
        return annotator.probability(self.margins(pairs), extra_words)

    def relabel(self, pairs: Sequence[PreferencePair], annotator: Annotator = Annotator(), seed=0):
        """The pairs as another annotator labels them, a list: chosen and rejected trade places where they differ."""
        kept = np.random.default_rng(seed).random(len(pairs)) < self.probabilities(pairs, annotator)
        return [p if keep else replace(p, chosen=p.rejected, rejected=p.chosen) for p, keep in zip(pairs, kept)]

    def pairs(self, n: int, split: str = "train", seed: int = 0, annotator: Annotator = Annotator(),
              families: Sequence[str] | None = None) -> list[PreferencePair]:
        """n labelled pairs with prompts of one split, ids 0 to n-1; the same arguments give the same pairs."""
        prompts = self.prompts(split, families)
        # The split is part of the seed, or seed 0 of train and of test would share their noise.
        texts, labels = np.random.SeedSequence([seed, SPLITS.index(split)]).spawn(2)
        rng = np.random.default_rng(texts)
        asked = enumerate(_pick(prompts, u) for u in rng.random(n))
        return self.relabel([PreferencePair(p, *self.responses(p, 2, rng), id=i) for i, p in asked], annotator, labels)


def _family(row: dict) -> Family:
    facts = tuple(Fact(row["name"], subject, answer, tuple(also)) for subject, answer, *also in row["facts"])
    texts = (tuple(row[name]) for name in ("questions", "statements", "explanations"))
    return Family(row["name"], *texts, facts, tuple(dict.fromkeys(f.answer for f in facts)), row.get("unseen", False))


def _wrong_answers(family: Family, fact: Fact) -> list[str]:
    taken = {fact.answer, *fact.also_true, *fact.subject.split()}  # words of the question are not read as answers
    return [answer for answer in family.answers if answer not in taken]


@lru_cache(maxsize=4096)
def _plain(text: str) -> str:
    return " ".join(text.lower().strip(" .!?").split())


def _fill(template: str, subject: str, answer: str = "") -> str:
    text = template.replace("{subject}", subject).replace("{answer}", answer)
    return text[0].upper() + text[1:]


def _pick(items: Sequence[str], u: float) -> str:
    return items[int(u * len(items))]
