"""Human comparisons: from a file to `PreferencePair`s, an account of all that was in it, and a look before training.

The forms a row may have are told in `rmlib.rows`. Every row is accounted for: it becomes one PreferencePair, one BadRow
that says why it can't be used, or one LeftOut.
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rmlib.files import atomic_write_text, read_lines
from rmlib.lengths import TokenCounts, Tokenize, bin_edges, count_tokens, summarise_lengths
from rmlib.preflight import Preflight
from rmlib.rows import BadRow, LeftOut, PreferencePair, RowError, judge, parse
from rmlib.splits import conversation_key, earlier_turns

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
    for line, raw in enumerate(read_lines(source) if is_file else source, start=1):
        try:
            item = judge(parse(raw) if is_file else raw, line)
        except RowError as fault:
            item = BadRow(line, fault.reason, str(fault), fault.responses)
        yield item


def write_pairs(path: str | os.PathLike, pairs: Iterable[PreferencePair]) -> None:
    """Write JSON lines that `read_pairs` reads back as the same pairs; the file is whole or untouched."""
    atomic_write_text(path, "".join(json.dumps(_row(pair), ensure_ascii=False) + "\n" for pair in pairs))


def preflight(
    source: Source | PairSet | Sequence[PreferencePair], tokenize: Tokenize, max_length: int,
    held_out: Source | PairSet | Sequence[PreferencePair] | None = None, *, lead: str = "",
) -> Preflight:
    """Look over pairs before anything is trained on them.

    source: a PairSet, whose bad and left-out rows are counted too, pairs, or whatever `read_pairs` takes.
    tokenize: the token counter; from a list of texts, one list of tokens (words, or ids without special tokens) each.
    max_length: the window, in tokens of prompt and response together: leave out what special tokens take.
    held_out: what the model will be tested on, to find what of it is trained on. lead: as in `count_tokens`.

    Raises ValueError where there are no pairs, or for an impossible window or token counter.
    """
    found = _pair_set(source)
    if not found.pairs or max_length < 1:
        raise ValueError("need pairs, and a window of a token or more, got "
                         f"{_count(len(found.pairs), 'pair')} and a window of {max_length}")
    return Preflight(
        name=found.name,
        rows=len(found.pairs) + len(found.bad_rows) + len(found.left_out),
        pairs=len(found.pairs),
        bad=dict(Counter(row.reason for row in found.bad_rows)),
        left_out=dict(Counter(row.reason for row in found.left_out)),
        max_length=max_length,
        **_against_window(count_tokens(found.pairs, tokenize, lead), max_length),
        **_repeats(found.pairs),
        **_leaks(found.pairs, None if held_out is None else _pair_set(held_out).pairs),
        **_longer_or_shorter(found),
    )


def _against_window(counts: TokenCounts, window: int) -> dict[str, Any]:
    edges = bin_edges(int(counts.whole.max()), window)
    return {
        "edges": edges,
        "prompt": summarise_lengths(counts.prompt, edges),
        "response": summarise_lengths(np.concatenate([counts.chosen, counts.rejected]), edges),
        "whole": summarise_lengths(counts.whole, edges),
        "overlong": int((counts.whole > window).sum()),
        "response_overlong": int((counts.longer > window).sum()),
        "identical_cut_right": int(counts.identical_cut_right(window).sum()),
        "identical_kept": int(counts.identical_kept(window).sum()),
    }


def _repeats(pairs: list[PreferencePair]) -> dict[str, int]:
    texts = Counter((pair.prompt, pair.chosen, pair.rejected) for pair in pairs)
    prompts = Counter(pair.prompt for pair in pairs)
    return {
        "duplicates": len(pairs) - len(texts),
        "contradictions": sum(n for (prompt, one, two), n in texts.items() if (prompt, two, one) in texts),
        "conversations": len(set(map(conversation_key, pairs))),
        "shared_prompts": sum(n for n in prompts.values() if n > 1),
        "earlier_turns": sum(earlier_turns(pairs)),
    }


def _leaks(pairs: list[PreferencePair], held_out: list[PreferencePair] | None) -> dict[str, int | None]:
    if held_out is None:
        return {"held_out": None, "leaked_prompts": None, "leaked_conversations": None}
    prompts, conversations = {pair.prompt for pair in pairs}, set(map(conversation_key, pairs))
    return {
        "held_out": len(held_out),
        "leaked_prompts": sum(pair.prompt in prompts for pair in held_out),
        "leaked_conversations": sum(conversation_key(pair) in conversations for pair in held_out),
    }


def _longer_or_shorter(found: PairSet) -> dict[str, int]:
    """Over all rows whose responses can be read: what is wrong with a row seldom has to do with their lengths."""
    both = [(pair.chosen, pair.rejected) for pair in found.pairs]
    both += [row.responses for row in found.bad_rows if row.responses]
    extra = [len(chosen) - len(rejected) for chosen, rejected in both]
    return {
        "chosen_longer": sum(n > 0 for n in extra),
        "chosen_shorter": sum(n < 0 for n in extra),
        "equal_length": extra.count(0),
    }


def _pair_set(source: Source | PairSet | Sequence[PreferencePair]) -> PairSet:
    if isinstance(source, PairSet):
        return source
    if isinstance(source, str | os.PathLike | Mapping):
        return read_pairs(source)
    rows = list(source)
    if all(isinstance(row, PreferencePair) for row in rows):
        return PairSet(rows, [], [], "pairs")
    return read_pairs(rows)


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
