"""Rows to be scored: responses to one prompt among which nobody has chosen yet, beside pairs of every form."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from rmlib.pairs import BadRow, PreferencePair, Turn
from rmlib.pairs.messages import plain_value, text_of
from rmlib.pairs.pair import RowError, demand, shown
from rmlib.pairs.reading import Item
from rmlib.pairs.rows import LABEL_KEYS, outcome_without_winner, parse
from rmlib.practice.form_tables import QUESTIONS
from rmlib.practice.forms import iter_items, raw_rows, read_form


class Candidates(NamedTuple):
    """Responses to one prompt, none of which was chosen."""

    turns: tuple[Turn, ...]
    responses: list[str]
    id: str | int | None
    line: int


def iter_to_score(source: Any) -> Iterator[Item | Candidates]:
    """As `iter_items`, and a row of a prompt and `responses` without a label holds Candidates."""
    for line, raw in raw_rows(source):
        try:
            row = parse(raw) if isinstance(raw, bytes) else raw
            if isinstance(row, Mapping) and "responses" in row and not {"chosen", "rejected"} & set(row) and not any(
                outcome_without_winner(row.get(key)) for key in LABEL_KEYS):
                yield _candidates(row, line)
                continue
        except RowError as fault:
            yield BadRow(line, fault.reason, str(fault))
            continue
        yield from (replace(item, line=line) for item in iter_items([row]))


def _candidates(row: Mapping, line: int) -> Candidates:
    found = plain_value(row["responses"])
    demand(isinstance(found, list), "not text", f"responses should be a list of texts, not {shown(found)}")
    demand(found, "missing key", "responses is an empty list: at least one is needed")
    texts = [text_of(each, f"response {number}") for number, each in enumerate(found)]
    asked = ("prompt", "messages", "conversations", "context", "history", *QUESTIONS)
    demand(any(row.get(key) for key in asked), "missing key", "the row has no 'prompt' and no 'messages'")
    stand_ins = {"chosen": "One response.", "rejected": "Another response."}
    pair, _ = read_form({key: plain_value(value) for key, value in row.items()
                         if key not in ("responses", *LABEL_KEYS)} | stand_ins, line)
    assert isinstance(pair, PreferencePair)  # no label says otherwise
    return Candidates(pair.turns, texts, pair.id, line)
