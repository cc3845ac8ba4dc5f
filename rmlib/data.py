"""Human comparisons: from a file to `PreferencePair`s, and on to splits that share no conversation.

The forms a row may have are told in `rmlib.rows`. Every row is accounted for: it becomes one PreferencePair, one BadRow
that says why it can't be used, or one LeftOut.
"""

import codecs
import gzip
import hashlib
import json
import os
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmlib.files import atomic_write_text
from rmlib.rows import ANY_MARKER, HUMAN, BadRow, LeftOut, PreferencePair, RowError, judge, parse, squash

Source = str | os.PathLike | Iterable[Mapping[str, Any]]
Split = tuple[list[PreferencePair], list[PreferencePair]]

GZIP_MAGIC = b"\x1f\x8b"


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
    shelves = {PreferencePair: found.pairs, BadRow: found.bad_rows, LeftOut: found.left_out}
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
    for line, raw in enumerate(_lines(source) if is_file else source, start=1):
        try:
            item = judge(parse(raw) if is_file else raw, line)
        except RowError as fault:
            item = BadRow(line, fault.reason, str(fault))
        yield item


def write_pairs(path: str | os.PathLike, pairs: Iterable[PreferencePair]) -> None:
    """Write JSON lines that `read_pairs` reads back as the same pairs; the file is whole or untouched."""
    atomic_write_text(path, "".join(json.dumps(_row(pair), ensure_ascii=False) + "\n" for pair in pairs))


def conversation_key(pair: PreferencePair) -> str:
    """The first human turn of a transcript, or else the whole prompt, with all white space made single spaces.

    Rows of one conversation share it, however far into the conversation they were compared.
    """
    prompt = f"\n\n{pair.prompt.lstrip()}"
    _, is_spoken, turns = prompt.partition(HUMAN)
    is_transcript = is_spoken and ANY_MARKER.match(prompt)
    return squash(ANY_MARKER.split(turns, maxsplit=1)[0] if is_transcript else prompt)


def split_by_conversation(pairs: Sequence[PreferencePair], held_out: float, seed: int = 0) -> Split:
    """(train, held out): no conversation is in both, and `held_out` is the second's share, as nearly as that allows.

    Which conversations are held out depends on them and on `seed` alone, not on the order of rows; rows keep theirs.
    Raises ValueError unless 0 < held_out < 1 and there are two conversations or more.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"held_out is a share between 0 and 1, got {held_out}")
    sizes = _conversation_sizes(pairs, seed, at_least=2)
    wanted, taken, held = held_out * len(pairs), 0, set()
    for key, size in sizes.items():
        if abs(taken + size - wanted) < abs(taken - wanted):
            held.add(key)
            taken += size
    smallest = min(sizes, key=sizes.__getitem__)  # the nearest that leaves neither part empty
    if not held:
        held.add(smallest)
    elif len(held) == len(sizes):
        held.remove(smallest)
    return _part(pairs, held)


def folds_by_conversation(pairs: Sequence[PreferencePair], folds: int, seed: int = 0) -> list[Split]:
    """Cross-validation: `folds` times (train, held out); each pair is held out once, conversations stay whole.

    The largest conversation goes first, each into the smallest fold so far; equally large ones in an order by `seed`.
    Raises ValueError unless folds >= 2 and there are as many conversations.
    """
    if folds < 2:
        raise ValueError(f"cross-validation needs at least 2 folds, got {folds}")
    sizes = _conversation_sizes(pairs, seed, at_least=folds)
    members: list[set[str]] = [set() for _ in range(folds)]
    filled = [0] * folds
    for key in sorted(sizes, key=sizes.__getitem__, reverse=True):
        smallest = filled.index(min(filled))
        members[smallest].add(key)
        filled[smallest] += sizes[key]
    return [_part(pairs, held) for held in members]


def _lines(path: str | os.PathLike) -> Iterator[bytes]:
    number = 0
    try:
        with open(path, "rb") as file:
            lines = gzip.open(file) if file.peek(2)[:2] == GZIP_MAGIC else file
            for number, line in enumerate(lines, start=1):
                yield line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: no such file") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: the gzip data is damaged or cut short after line {number}: {error}") from error
    except OSError as error:
        place = f"after line {number}" if number else "at all"
        raise ValueError(f"{path}: can't be read {place}: {error.strerror or error}") from error
    if number == 0:
        raise ValueError(f"{path}: the file is empty")


def _row(pair: PreferencePair) -> dict[str, Any]:
    row = {"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected}
    optional = {"margin": pair.target_margin, "id": pair.id}
    return row | {key: value for key, value in optional.items() if value is not None}


def _conversation_sizes(pairs: Sequence[PreferencePair], seed: int, at_least: int) -> dict[str, int]:
    """Number of pairs of each conversation, in an order that depends on `seed` and the conversations alone."""
    sizes = Counter(map(conversation_key, pairs))
    if len(sizes) < at_least:
        raise ValueError(
            f"{_count(len(sizes), 'conversation')} can't be split in {at_least} without cutting one: "
            "give pairs from more conversations, or a held-out file of its own"
        )
    order = sorted(sizes, key=lambda key: hashlib.sha256(f"{seed}\0{key}".encode(errors="surrogatepass")).digest())
    return {key: sizes[key] for key in order}


def _part(pairs: Sequence[PreferencePair], held: set[str]) -> Split:
    parts: Split = [], []
    for pair in pairs:
        parts[conversation_key(pair) in held].append(pair)
    return parts


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
