"""What a labeller is asked: a pair's two responses, left and right, and the row that an answer makes."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from rmlib.pairs import PreferencePair
from rmlib.pairs.rows import RowError, read_row

Verdict = Literal["A", "B", "tie", "skip"]
Row = dict[str, Any]
Key = tuple[str, str, frozenset[str]]

VERDICTS: tuple[Verdict, ...] = ("A", "B", "tie", "skip")


@dataclass(frozen=True)
class Question:
    """Two responses to one prompt: A is on the left, B on the right."""

    id: str | int
    prompt: str
    left: str
    right: str

    @property
    def key(self) -> Key:
        """What it shares with the rows that answer it."""
        return row_key(self.row("tie"))

    def row(self, verdict: Verdict) -> Row:
        """The file's row for a verdict. Raises ValueError for an unknown one."""
        if verdict not in VERDICTS:
            raise ValueError(f"a verdict is one of {', '.join(VERDICTS)}, not {verdict!r}")
        if verdict in ("tie", "skip"):
            answer = {"responses": [self.left, self.right], "label": verdict}
        elif verdict == "A":
            answer = {"chosen": self.left, "rejected": self.right, "left": "chosen"}
        else:
            answer = {"chosen": self.right, "rejected": self.left, "left": "rejected"}
        return {"prompt": self.prompt} | answer | {"id": self.id}


def questions(pairs: Iterable[PreferencePair], seed: int = 0) -> list[Question]:
    """A question for each pair, in order. Which response is on the left is drawn from `seed` and the two texts.

    A pair without an id gets one that is made from its texts; of questions that are equal in all, the first is kept.
    Raises ValueError for a pair that would be a bad row: an empty or a repeated response, an id that is no id.
    """
    found = {}
    for number, pair in enumerate(pairs, start=1):
        question = question_of(pair, seed)
        try:
            read_row(question.row("A"), number)
        except RowError as fault:
            raise ValueError(f"pair {number} can't be labelled: {fault}") from None
        found.setdefault(question.key, question)
    return [*found.values()]


def row_key(row: Row) -> Key:
    """What tells which question a row answers: its id, its prompt and its responses, whichever stood on the left.

    Rows about other pairs have keys too, whatever they hold: chat messages, say.
    """
    shown = row["responses"] if "chosen" not in row else [row["chosen"], row["rejected"]]
    texts = shown if isinstance(shown, list) else [shown]
    return json.dumps(row.get("id")), json.dumps(row.get("prompt")), frozenset(map(json.dumps, texts))


def question_of(pair: PreferencePair, seed: int) -> Question:
    """The question that a pair makes, good or bad; see `questions`."""
    responses = sorted((pair.chosen, pair.rejected))
    name = _digest(pair.prompt, *responses) if pair.id is None else pair.id
    is_swapped = int(_digest(seed, name, pair.prompt, *responses), 16) % 2
    left, right = reversed(responses) if is_swapped else responses
    return Question(name, pair.prompt, left, right)


def _digest(*parts: str | int) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
