"""From a file of human comparisons to `PreferencePair`s, with an account of all that was in it.

The plain forms a row may have are told in `rows.py`; `rmlib.practice.forms` reads more. Every row becomes one
PreferencePair, one BadRow that says why it can't be used, or one LeftOut.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rmlib.files import read_lines
from rmlib.pairs.pair import BadRow, LeftOut, PreferencePair, RowError
from rmlib.pairs.rows import ignored_keys, parse, read_row

Source = str | os.PathLike | Iterable[Mapping[str, Any]]
Item = PreferencePair | BadRow | LeftOut


@dataclass
class PairSet:
    """What a source held: its good pairs, and the account of all its other rows."""

    pairs: list[PreferencePair]
    bad_rows: list[BadRow]
    left_out: list[LeftOut]
    name: str
    ignored: Counter[str] = field(default_factory=Counter)  # keys that nothing reads, and how many rows have them

    @property
    def rows(self) -> int:
        """How many rows there were; a ranked list of responses is one row of several pairs."""
        lines = [item.line for part in (self.pairs, self.bad_rows, self.left_out) for item in part]
        return len(set(lines) - {None}) + lines.count(None)

    def summary(self) -> str:
        """One line: how many pairs from where, and the rows that are none by reason, with their first lines."""
        told = [f"{_count(len(self.pairs), 'pair')} from {self.name}"]
        told += [_tally(rows, fate) for rows, fate in ((self.bad_rows, "skipped"), (self.left_out, "left out")) if rows]
        if self.ignored:
            counts = (f"{key} ({_count(rows, 'row')})" for key, rows in self.ignored.items())
            told += [f"keys that are not read: {', '.join(counts)}"]
        return "; ".join(told)


def read_pairs(source: Source, *, strict: bool = False, limit: int | None = None) -> PairSet:
    """Read all rows, or as many as give `limit` good pairs, with an account of those that can't be used.

    Raises what `iter_rows` raises, and ValueError where no row is good or, if `strict`, at the first bad one.
    """
    ignored: Counter[str] = Counter()
    return account(iter_rows(source, ignored), source, ignored, strict, limit)


def iter_rows(source: Source, ignored: Counter[str] | None = None) -> Iterator[Item]:
    """One item for each row, in order. `source`: a path (JSON lines, gzipped or not) or an iterable of dicts.

    ignored: counts the rows that have a key which nothing reads.
    Raises FileNotFoundError, or ValueError for a file that is empty or can't be read to its end.
    """
    if isinstance(source, Mapping) or hasattr(source, "iloc"):
        raise ValueError("need rows, got one mapping: choose one of its splits, or put a single row in a list; a table "
                         "of pandas is read by rmlib.practice.forms")
    is_file = isinstance(source, str | os.PathLike)
    rows: Iterable[Any] = read_lines(source) if is_file else source  # type: ignore[assignment, arg-type]
    for line, raw in enumerate(rows, start=1):
        if is_file and line == 1 and raw.lstrip().startswith(b"["):
            raise ValueError(f"{source}: a JSON array, where an object on each line is wanted: rmlib.practice.forms "
                             "reads it, and so does the command line")
        try:
            row = parse(raw) if is_file else raw
            item = read_row(row, line)
            if ignored is not None:
                ignored.update(ignored_keys(row))
            yield item
        except RowError as fault:
            yield BadRow(line, fault.reason, str(fault), fault.responses)


def account(items: Iterable[Item], source: Any, ignored: Counter[str], strict: bool, limit: int | None) -> PairSet:
    """All items of a source, or as many as hold `limit` pairs. Raises as `read_pairs` does."""
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    where = os.fspath(source) if isinstance(source, str | os.PathLike) else "rows"
    found = PairSet(pairs=[], bad_rows=[], left_out=[], name=Path(where).name, ignored=ignored)
    shelves: dict[type, list] = {PreferencePair: found.pairs, BadRow: found.bad_rows, LeftOut: found.left_out}
    for item in items:
        shelves[type(item)].append(item)
        if strict and isinstance(item, BadRow):
            raise ValueError(f"{where}:{item.line}: {item.message}")
        if len(found.pairs) == limit:
            break
    if not found.pairs:
        first = "".join(f"; at {where}:{row.line}: {row.message}" for row in found.bad_rows[:1])
        raise ValueError(f"{where}: no row can be used: {found.summary()}{first}")
    return found


def _tally(rows: list[BadRow] | list[LeftOut], fate: str) -> str:
    """How many rows there are, and for each reason how many, with the first three of their lines."""
    lines = defaultdict(list)
    for row in rows:
        lines[row.reason].append(row.line)
    reasons = []
    for reason, at in lines.items():
        first = ", ".join(map(str, at[:3])) + (", ..." if len(at) > 3 else "")
        reasons.append(f"{reason} {len(at)} (line{'' if len(at) == 1 else 's'} {first})")
    return f"{_count(len(rows), 'row')} {fate}: {', '.join(reasons)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
