"""From a file of human comparisons to `PreferencePair`s, with an account of all that was in it.

The forms a row may have are told in `rows.py`. Every row becomes one PreferencePair, one BadRow that says why it can't
be used, or one LeftOut.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmlib.files import atomic_write_text, read_lines
from rmlib.pairs.rows import BadRow, LeftOut, PreferencePair, RowError, parse, read_row

Source = str | os.PathLike | Iterable[Mapping[str, Any]]


@dataclass
class PairSet:
    """What a source held: its good pairs, and the account of all its other rows."""

    pairs: list[PreferencePair]
    bad_rows: list[BadRow]
    left_out: list[LeftOut]
    name: str

    def summary(self) -> str:
        """One line: how many pairs from where, and the rows that are none by reason, with their first lines."""
        told = [f"{_count(len(self.pairs), 'pair')} from {self.name}"]
        told += [_tally(rows, fate) for rows, fate in ((self.bad_rows, "skipped"), (self.left_out, "left out")) if rows]
        return "; ".join(told)


def read_pairs(source: Source, *, strict: bool = False, limit: int | None = None) -> PairSet:
    """Read all rows, or as many as give `limit` good pairs, with an account of those that can't be used.

    Raises what `iter_rows` raises, and ValueError where no row is good or, if `strict`, at the first bad one.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    where = os.fspath(source) if isinstance(source, str | os.PathLike) else "rows"
    found = PairSet(pairs=[], bad_rows=[], left_out=[], name=Path(where).name)
    shelves: dict[type, list] = {PreferencePair: found.pairs, BadRow: found.bad_rows, LeftOut: found.left_out}
    for item in iter_rows(source):
        shelves[type(item)].append(item)
        if strict and isinstance(item, BadRow):
            raise ValueError(f"{where}:{item.line}: {item.message}")
        if len(found.pairs) == limit:
            break
    if not found.pairs:
        first = "".join(f"; at {where}:{row.line}: {row.message}" for row in found.bad_rows[:1])
        raise ValueError(f"{where}: no row can be used: {found.summary()}{first}")
    return found


def iter_rows(source: Source) -> Iterator[PreferencePair | BadRow | LeftOut]:
    """One item for each row, in order. `source`: a path (JSON lines, gzipped or not) or an iterable of dicts.

    Raises FileNotFoundError, or ValueError for a file that is empty or can't be read to its end.
    """
    if isinstance(source, Mapping):
        raise ValueError("need rows, got one mapping: choose one of its splits, or put a single row in a list")
    is_file = isinstance(source, str | os.PathLike)
    rows: Iterable[Any] = read_lines(source) if is_file else source  # type: ignore[assignment, arg-type]
    for line, raw in enumerate(rows, start=1):
        try:
            yield read_row(parse(raw) if is_file else raw, line)
        except RowError as fault:
            yield BadRow(line, fault.reason, str(fault), fault.responses)


def write_pairs(path: str | os.PathLike, pairs: Iterable[PreferencePair]) -> None:
    """Write JSON lines that `read_pairs` reads back as the same pairs; the file is whole or untouched."""
    atomic_write_text(path, "".join(json.dumps(_row(pair), ensure_ascii=False) + "\n" for pair in pairs))


def _row(pair: PreferencePair) -> dict[str, Any]:
    row = {"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected}
    optional = {"margin": pair.target_margin, "id": pair.id}
    return row | {key: value for key, value in optional.items() if value is not None}


def _tally(rows: list[BadRow] | list[LeftOut], fate: str) -> str:
    """How many rows there are, and for each reason how many, with the first three of their lines."""
    lines = defaultdict(list)
    for row in rows:
        lines[row.reason].append(row.line)
    reasons = ", ".join(f"{reason} {len(at)} ({_places(at)})" for reason, at in lines.items())
    return f"{_count(len(rows), 'row')} {fate}: {reasons}"


def _places(lines: list[int]) -> str:
    told = ", ".join(map(str, lines[:3])) + (", ..." if len(lines) > 3 else "")
    return f"line{'' if len(lines) == 1 else 's'} {told}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
