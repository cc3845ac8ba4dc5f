"""What a report tells, computed once: the sections only put it into words."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from rmlib.baselines import extra_characters
from rmlib.data import PairSet
from rmlib.encoding import EncodedPair, encode
from rmlib.evaluation import (
    GoldRegression, LengthBias, Longer, McNemar, Slice, clustered_bootstrap, confidences, decided_by_fact, extra_words,
    gold_regression, length_bias, longer_expected, mcnemar, perfect_model_errors, rightness, slices,
)
from rmlib.files import sha256
from rmlib.model import WEIGHTS, RewardModel
from rmlib.rows import HUMAN, PreferencePair
from rmlib.splits import conversation_key
from rmlib.world import World

T = TypeVar("T")
RULES = {"longer": 1, "shorter": -1}  # the sign with which a response's length is its reward
WINDOW = "Room in the model’s window"
MANY_TURNS = 4


class Rule(NamedTuple):
    """A rule by length: its accuracy, McNemar's test of the model against it, and the model's lead, 95%, paired."""

    name: str
    accuracy: Slice
    test: McNemar
    lead_low: float
    lead_high: float


@dataclass(frozen=True)
class Findings:
    """One model on one set of pairs. margins: float64 (N,); gold: the gold world's margins, (N,), or None.

    figures: the object that --json prints: an Evaluation's fields and, with validation pairs, the temperature.
    """

    model: RewardModel
    model_directory: Path
    found: PairSet
    margins: np.ndarray
    figures: dict
    validation: str | None = None  # the name of the validation pairs
    gold: np.ndarray | None = None

    @property
    def pairs(self) -> list[PreferencePair]:
        return self.found.pairs

    @property
    def model_name(self) -> str:
        return self.model_directory.resolve().name

    @cached_property
    def model_facts(self) -> list[tuple[str, str]]:
        weights = sum(parameter.numel() for parameter in self.model.parameters())
        return [
            ("Backbone", f"{self.model.backbone.config.model_type}, {weights:,} weights with the head"),
            ("Pooling", self.model.pooling),
            ("Window", f"{self.model.encoding.max_length} tokens"),
            ("Fingerprint of the weights", sha256(self.model_directory / WEIGHTS)[:16]),
        ]

    @cached_property
    def extra_words(self) -> np.ndarray:
        return extra_words(self.pairs)

    @cached_property
    def conversations(self) -> list[Hashable]:
        """Of each pair the conversation that it belongs to: what intervals draw whole."""
        return [conversation_key(pair) for pair in self.pairs]

    @cached_property
    def rules(self) -> list[Rule]:
        """The rules that look at length alone, and the model against each."""
        characters, right = extra_characters(self.pairs), rightness(self.margins)
        rows = []
        for name, sign in RULES.items():
            rule = rightness(sign * characters)
            [accuracy] = slices(rule, [f"always the {name} response"] * len(rule), self.conversations)
            ahead = self.interval(right - rule)
            rows.append(Rule(name, accuracy, mcnemar(self.margins, sign * characters), *ahead))
        return rows

    def interval(self, values: np.ndarray) -> tuple[float, float]:
        """95% interval of the mean of values in [-1, 1], over whole conversations; from one nothing is known."""
        low, high = clustered_bootstrap(values, self.conversations)
        return max(-1.0, low), min(1.0, high)

    @cached_property
    def perfect(self) -> np.ndarray:
        """Calibration errors that a perfect model with these confidences would show by luck."""
        return perfect_model_errors(self.margins)

    @cached_property
    def mean_confidence(self) -> float:
        return float(confidences(self.margins).mean())

    @cached_property
    def overconfidence(self) -> tuple[float, float]:
        """95% interval of the mean confidence less the share right; the two are of the same pairs, so it is paired."""
        return self.interval(confidences(self.margins) - rightness(self.margins))

    @cached_property
    def length(self) -> LengthBias | str:
        return _or_reason(lambda: length_bias(self.margins, self.extra_words, self.gold))

    @cached_property
    def longer(self) -> Longer | str:
        return _or_reason(lambda: longer_expected(self.margins, self.extra_words, self.conversations))

    @cached_property
    def against_gold(self) -> GoldRegression | str:
        return _or_reason(lambda: gold_regression(self.margins, self.gold))

    @cached_property
    def slices(self) -> dict[str, list[Slice]]:
        """By group: its slices, in a sensible order. Groups that would have a single slice are left out."""
        groups = {
            "The longer response, in words": [LONGER[sign] for sign in np.sign(self.extra_words).tolist()],
            "Difference in length": _in_three(np.abs(self.extra_words)),
            "Human turns in the prompt": list(map(_turns, self.pairs)),
            WINDOW: list(map(_cut, encode(self.model.tokenizer, self.pairs, self.model.encoding))),
        }
        if self.gold is not None:
            world = World()
            groups["Family of the question"] = [world.fact(pair.prompt).family for pair in self.pairs]
            groups["What decides in the gold reward"] = [
                DECIDES[0] if fact else DECIDES[1 if margin else 2]
                for fact, margin in zip(decided_by_fact(world, self.pairs), self.gold)]
        right = rightness(self.margins)
        found = {name: sorted(slices(right, parts, self.conversations), key=_place) for name, parts in groups.items()}
        return {name: rows for name, rows in found.items() if len(rows) > 1}

    @cached_property
    def worst(self) -> list[int]:
        """Indices of the pairs on which the model is wrong, the surest mistake first."""
        order = np.argsort(self.margins, kind="stable")
        return order[self.margins[order] < 0].tolist()


def _or_reason(compute: Callable[[], T]) -> T | str:
    """What is computed, or why it can't be, as a sentence."""
    try:
        return compute()
    except ValueError as error:
        return f"{str(error)[0].upper()}{str(error)[1:]}."


class Part(str):
    """The name of a slice, and its place among the slices of its group."""

    place: int

    def __new__(cls, name: str, place: int) -> Part:
        part = super().__new__(cls, name)
        part.place = place
        return part


def _place(row: Slice) -> tuple[int, int]:
    return getattr(row.name, "place", 0), -row.pairs


LONGER = {1: Part("chosen is longer", 0), -1: Part("rejected is longer", 1), 0: Part("equally long", 2)}
DECIDES = [Part(name, i) for i, name in enumerate(
    ("which answer is right", "manner alone", "nothing: equal gold rewards"))]


def _in_three(differences: np.ndarray) -> list[Hashable]:
    """Names of three parts, as equal in size as whole numbers of words allow."""
    low, high = np.quantile(differences, [1 / 3, 2 / 3], method="inverted_cdf").astype(int).tolist()
    middle = f"{high} words" if high == low + 1 else f"{low + 1} to {high} words"
    names = f"by {low} words or less", f"by {middle}", f"by more than {high} words"
    parts = [Part(name, place) for place, name in enumerate(names)]
    return [parts[(difference > low) + (difference > high)] for difference in differences.tolist()]


def _turns(pair: PreferencePair) -> Part:
    turns = max(1, f"\n\n{pair.prompt.lstrip()}".count(HUMAN))
    name = "1 turn" if turns == 1 else f"{turns} turns" if turns < MANY_TURNS else f"{MANY_TURNS} turns or more"
    return Part(name, min(turns, MANY_TURNS))


def _cut(pair: EncodedPair) -> Part:
    if pair.response_cut:
        return Part("a response is cut", 2)
    return Part("the prompt’s oldest tokens are cut", 1) if pair.prompt_cut else Part("everything fits", 0)


def quantiles(margins: np.ndarray) -> Sequence[tuple[str, float]]:
    """Names and values of five quantiles of the margins."""
    shares = {"5%": 0.05, "25%": 0.25, "50%": 0.5, "75%": 0.75, "95%": 0.95}
    return list(zip(shares, np.quantile(margins, list(shares.values())).tolist()))
