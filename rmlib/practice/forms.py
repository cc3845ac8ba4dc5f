"""Preference data in the forms that people publish it in, read as `PreferencePair`s.

A row is made into plain rows, which `rmlib.pairs` reads; what stands in none of the tables of
`form_tables.py` is refused in words. `row_sources.py` knows the files.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from rmlib.pairs import BadRow, PairSet, PreferencePair, Turn, read_prompt
from rmlib.pairs.messages import check_context, messages, plain_value, text_of
from rmlib.pairs.pair import RowError, demand, shown
from rmlib.pairs.reading import Item, account
from rmlib.pairs.rows import OTHER_FORMS, ignored_keys, outcome_without_winner, parse, read_row
from rmlib.practice.form_tables import COMPARISONS, LISTS, QUESTIONS, SYSTEM, is_number
from rmlib.practice.row_sources import rows_of_file
from rmlib.practice.templates import with_messages

Row = dict[str, Any]


def read(source: Any, *, strict: bool = False, limit: int | None = None, by: str = "subset") -> PairSet:
    """Read all rows, or as many as give `limit` pairs, with an account of those that can't be used.

    source: a path or "hf:owner/name:split", rows, or a table of pandas or datasets. by: the key that tells a row's
    subset, in place of `subset`.
    Raises FileNotFoundError, ImportError where `datasets` is needed and missing, and ValueError for a file that can't
    be read to its end, where no row is good or, if `strict`, at the first bad one.
    """
    ignored: Counter[str] = Counter()
    return account(iter_items(source, ignored, by), source, ignored, strict, limit)


def iter_items(source: Any, ignored: Counter[str] | None = None, by: str = "subset") -> Iterator[Item]:
    """What each row holds, in order: pairs (a ranked list has several), or a BadRow, or a LeftOut.

    ignored: counts the rows that have a key which nothing reads.
    """
    if isinstance(source, Mapping):
        raise ValueError("need rows, got one mapping: choose one of its splits, or put a single row in a list")
    for line, raw in raw_rows(source):
        unread: dict[str, None] = {}
        try:
            whole = parse(raw) if isinstance(raw, bytes) else raw
            plain = [row | {"subset": plain_value(whole.get(by))} for row in plain_rows(whole)]
        except RowError as fault:
            yield BadRow(line, fault.reason, str(fault))
            continue
        for row in plain:
            try:
                item, keys = read_form(row, line)
            except RowError as fault:
                yield BadRow(line, fault.reason, str(fault), fault.responses)
                continue
            if ignored is not None:
                ignored.update(key for key in keys if key not in {*unread, by})
            unread |= dict.fromkeys(keys)
            yield item


def raw_rows(source: Any) -> Iterable[tuple[int, Any]]:
    """(line, row): bytes of a JSON line, or a row as it is."""
    if isinstance(source, str | os.PathLike):
        return rows_of_file(source)
    if hasattr(source, "iloc") and len(set(source.columns)) < len(source.columns):
        raise ValueError(f"the table has columns of one name: {list(source.columns)}")
    return enumerate(source.to_dict("records") if hasattr(source, "iloc") else source, start=1)


def plain_rows(raw: Any) -> list[Row]:
    """The rows of `chosen` and `rejected` that a row of two responses and a label, or of a list of them, stands for."""
    if isinstance(raw, RowError):
        raise raw
    demand(isinstance(raw, Mapping), "not an object", f"a row should be an object, not {shown(raw)}")
    row = {key: plain_value(value) for key, value in raw.items()}
    if {"chosen", "rejected", "responses"} & set(row):
        return [row]
    for first, second, key, read_label in COMPARISONS:
        if first in row and second in row and key in row:
            try:
                outcome = read_label(row[key])
            except RowError as fault:
                raise RowError(fault.reason, f"{key} {fault}") from fault
            rest = _compared(row, {first, second, key}, row[first], row[second], outcome)
            return [rest | ({"label": said} if (said := outcome_without_winner(row[key])) else {})]
    for key, names in LISTS.items():
        if isinstance(row.get(key), list):
            return _ranked(row, key, *names)
    keys = ", ".join(repr(str(key)[:40]) for key in list(row)[:8])
    raise RowError("another form", f"no form of pairs has the keys {keys}: give 'prompt', 'chosen' and 'rejected', or "
                   "one of the forms in README's table")


def _compared(row: Row, used: set[str], first: Any, second: Any, outcome: int) -> Row:
    rest = {key: value for key, value in row.items() if key not in used}
    if outcome == 0:
        return rest | {"chosen": first, "rejected": second, "label": "tie"}
    chosen, rejected = (first, second) if outcome > 0 else (second, first)
    return rest | {"chosen": chosen, "rejected": rejected}


def _ranked(row: Row, key: str, texts: tuple[str, ...], ranks: tuple[str, ...], scores: tuple[str, ...]) -> list[Row]:
    """The best response against each lower one; equals of the best are ties."""
    signs = dict.fromkeys(ranks, -1) | dict.fromkeys(scores, 1)
    first = next((entry for entry in row[key] if isinstance(entry, Mapping)), {})
    by = next((name for name in signs if plain_value(first.get(name)) is not None), "")
    rated: list[tuple[float, Any]] = []
    others: Row = {}
    for at, entry in enumerate(row[key], start=1):
        where = f"entry {at} of {key}"
        demand(isinstance(entry, Mapping), "not an object", f"{where} should be an object, not {shown(entry)}")
        check_context(entry, where)
        text = next((entry[name] for name in texts if entry.get(name) is not None), None)
        demand(text is not None, "missing key", f"{where} has none of {', '.join(texts)}")
        value = plain_value(entry.get(by))
        demand(is_number(value), "unknown label", f"{where} should have a number as {by or ' or '.join(signs)}")
        rated.append((signs[by] * value, text))
        others |= {f"{name} of {key}": given for name, given in entry.items() if name not in {*texts, *signs}}
    demand(len(rated) > 1, "missing key", f"a comparison needs two responses, and {key} has {len(rated)}")
    best = max(range(len(rated)), key=lambda at: rated[at][0])
    most, text = rated[best]
    return [_compared(row | others, {key}, text, other, int(most > value))
            for at, (value, other) in enumerate(rated) if at != best]


def read_form(row: Row, line: int) -> tuple[Item, list[str]]:
    """What a row of `chosen` and `rejected` holds, and the keys of it that nothing reads."""
    plain = with_messages(_with_prompt(row))
    system = [turn for key in SYSTEM for turn in _system(plain.pop(key, None), key)]
    history = _history(plain.pop("history", None) or plain.pop("chat_history", None))
    said = plain.pop("messages", None) or plain.pop("conversations", None)
    demand(not said or isinstance(said, list), "not text", f"messages should be a list, not {shown(said)}")
    said = messages(said, "messages") if said else []
    answer = said[-1].text if said and said[-1].role == "assistant" else None
    if said and "prompt" not in plain:
        plain["prompt"] = [{"role": role, "content": text} for role, text in said[: len(said) - (answer is not None)]]
    for side in ("chosen", "rejected"):
        if isinstance(plain.get(side), Mapping):
            plain[side] = [plain[side]]
    for key in OTHER_FORMS:
        demand(not plain.get(key), "not text", f"{key} should be text or messages, not {shown(plain.get(key))}")
    item = read_row({key: value for key, value in plain.items() if key not in OTHER_FORMS}, line)
    if isinstance(item, PreferencePair):
        turns = list(item.turns)
        if said:
            turns = _with_messages(said[:-1] if answer in (item.chosen, item.rejected) else said, said, turns)
        item = replace(item, turns=tuple(_with_context(system, history, turns)))
    return item, ignored_keys(plain)


def _system(value: Any, key: str) -> list[Turn]:
    if isinstance(value, Mapping | list):
        return messages(value if isinstance(value, list) else [value], key)
    text = text_of(value, key).strip() if value is not None else ""
    return [Turn("system", text)] if text else []


def _with_context(system: list[Turn], history: list[Turn], turns: list[Turn]) -> list[Turn]:
    """The conversation with the turns that stood in columns of their own, once each."""
    said, earlier = (turns[bool(turns and turns[0].role == "system") :] for turns in (turns, history))
    heads = [*system, *history[: len(history) - len(earlier)], *turns[: len(turns) - len(said)]]
    if earlier and earlier[-1:] == said[:1]:
        earlier = earlier[:-1]  # the history has the question, too, or the answer before it
    return list(dict.fromkeys(heads)) + (said if said[: len(earlier)] == earlier else earlier + said)


def _with_prompt(row: Row) -> Row:
    """The row, its question under `prompt`, whatever it was called."""
    if not row.get("prompt") and all(isinstance(row.get(side), list) for side in ("chosen", "rejected")):
        row = {key: value for key, value in row.items() if key != "prompt"}
    asked = [key for key in ("prompt", *QUESTIONS) if row.get(key)]
    if asked[:1] == ["prompt"] and row.get("input"):
        asked.append("input")
    if not asked:  # what elsewhere stands beside a prompt
        kinds = {"context": list, "history": str}
        asked = [key for key, kind in kinds.items() if row.get(key) and isinstance(row[key], kind)]
    if not asked or asked == ["prompt"]:
        return dict(row)
    rest = {key: value for key, value in row.items() if key not in asked}
    question = row[asked[0]]
    if asked[0] in ("instruction", "question") and row.get("input"):
        question = f"{text_of(question, asked[0])}\n\n{text_of(rest.pop('input'), 'input')}"
    others = [key for key in asked[1:] if read_prompt(row[key]) != read_prompt(row[asked[0]])]
    demand(not others, "another form", f"the row has a question in {asked[0]!r} and another in "
           f"{', '.join(map(repr, others))}: which is it?")
    return rest | {"prompt": question}


def _history(value: Any) -> list[Turn]:
    """Earlier turns: messages, or (question, answer) each, or a transcript."""
    if not value:
        return []
    if isinstance(value, str):
        turns = list(read_prompt(with_messages({"prompt": value})["prompt"]))
        demand(len(turns) > 1, "another form", f"history should be a list of turns or a transcript, not {shown(value)}")
        return turns
    demand(isinstance(value, list | tuple), "not text", f"history should be a list of turns, not {shown(value)}")
    if all(isinstance(each, Mapping) for each in value):
        return messages(value, "history")
    if len(value) % 2 == 0 and all(isinstance(each, str) for each in value):
        value = list(zip(value[::2], value[1::2]))
    for each in value:
        is_pair = isinstance(each, list | tuple) and [type(text) for text in each] == [str, str]
        demand(is_pair, "another form", "history should be a list of messages, or of a question and an answer each")
    chat = [{"role": role, "content": text} for each in value for role, text in zip(("user", "assistant"), each)]
    return messages(chat, "history")


def _with_messages(before: list[Turn], said: list[Turn], turns: list[Turn]) -> list[Turn]:
    """The conversation where `messages` stand beside it: all of it or its end, perhaps answered, or what came before.

    before: what was said, without an answer that is one of the row's own responses.
    """
    if before[-len(turns) :] == turns:
        return before
    if not before or turns[-len(before) :] == before:
        return turns
    is_history = said[-1].role == "assistant" and said[-2:-1] != turns[-1:]
    demand(is_history, "prompts differ", f"messages end in {shown(said[-1].text)}, which is not the row's prompt, nor "
           "one of its responses, nor what came before")
    return said + turns
