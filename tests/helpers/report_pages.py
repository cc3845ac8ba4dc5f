"""Reports for tests: findings with margins of any kind, on a tiny model; and a page taken apart."""

import re
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tiny

from rmlib.course.slices import gold_slices
from rmlib.course.world import World
from rmlib.model import RewardModel
from rmlib.pairs import PairSet, PreferencePair
from rmlib.practice.full_evaluation import full_evaluation
from rmlib.practice.report import Findings
from rmlib.practice.rivals import BAGS

HOSTILE = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</div></details></main><h1>mine</h1>",
    "' onload='x", "&lt;b&gt; &amp;amp; &#60;i&#62;", "<!-- <style>*{display:none}</style>",
    "\u202egnp.exe \x1b[31m $title ${body}",
]


ROOM = TemporaryDirectory(prefix="rmlib-")  # taken away when the tests end


@lru_cache(maxsize=1)
def saved_model() -> tuple[RewardModel, Path]:
    """A tiny model and the directory, `first-try`, that it is saved in."""
    directory = Path(ROOM.name) / "first-try"
    model = tiny.reward_model("distilbert")
    model.save_pretrained(directory)
    return model, directory


def pairs_of_lengths(chosen: list[int], rejected: list[int]) -> list[PreferencePair]:
    """Pairs whose responses have so many words, each of a conversation of its own."""
    return [PreferencePair(f"What is {i}?", "yes " * a + "so.", "no " * b + "so.", line=i + 1)
            for i, (a, b) in enumerate(zip(chosen, rejected))]


def findings(margins: np.ndarray, pairs: list[PreferencePair], gold: np.ndarray | None = None, rivals=None,
             **more) -> Findings:
    """Findings of these margins, as if a model had given them."""
    model, directory = saved_model()
    margins = np.asarray(margins, dtype=np.float64)
    groups = None if gold is None else gold_slices(pairs, gold)
    figures = full_evaluation(model, pairs, margins, gold, groups, rivals)
    found = PairSet(pairs, bad_rows=[], left_out=[], name="world" if gold is not None else "pairs.jsonl")
    return Findings(model, directory, found, margins, figures, gold=gold, **more)


def of_the_world(pairs: int) -> Findings:
    """A rather good model of the gold world: its margins are the gold ones, shrunken, with noise."""
    world = World()
    drawn = world.pairs(pairs, "test")
    gold = world.margins(drawn)
    noise = np.random.default_rng(0).normal(0, 0.5, pairs)
    return findings(0.8 * gold + noise, drawn, gold)


class Parts(HTMLParser):
    """Tags with their attributes, and the text and the value of each number."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.values: list[tuple[str, str]] = []  # (as it is read, exact)
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        tag, attributes = self.tags[-1] if self.tags else ("", {})
        if tag == "data" and len(self.values) < sum(name == "data" for name, _ in self.tags):
            self.values.append((data, attributes["value"]))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))


class Bags:
    """Rivals that are right on the pairs for which `right`, (N,), says so."""

    pairs = 240

    def __init__(self, *right, seen=0):
        self.right, self.known = right, seen

    def seen(self, pairs):
        return self.known

    def margins(self, pairs):
        return {name: np.where(right, 1.0, -1.0) for name, right in zip(BAGS, self.right)}
