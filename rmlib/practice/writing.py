"""Pairs written as rows that are read back as the same pairs."""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from rmlib.files import atomic_write_text
from rmlib.pairs import PreferencePair
from rmlib.pairs.pair import RowError
from rmlib.pairs.rows import read_row
from rmlib.pairs.turns import ROLE_OF

# What `forms` may take for the mark of a turn.
MARKS = re.compile(rf"<\||<start_of_turn>|<extra_id|\[INST\]|(?i:{'|'.join(ROLE_OF)}):")


def write_pairs(path: str | os.PathLike, pairs: Iterable[PreferencePair]) -> None:
    """Write JSON lines that `read_pairs` reads back as the same pairs, texts stripped, lines ended by line feeds.

    The file is whole or untouched.
    """
    atomic_write_text(path, "".join(json.dumps(_row(pair), ensure_ascii=False) + "\n" for pair in pairs))


def _row(pair: PreferencePair) -> dict[str, Any]:
    """A row that is read as this pair: several turns as messages, one as text, and messages where text would not do."""
    row: dict[str, Any] = {"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected}
    if len(pair.turns) > 1 or MARKS.search(pair.prompt) or not _is_read_as(row, pair):
        row["prompt"] = [{"role": role, "content": text} for role, text in pair.turns]
    if MARKS.search(f"{pair.chosen} {pair.rejected}") or not _is_read_as(row, pair):
        row |= {side: [{"role": "assistant", "content": row[side]}] for side in ("chosen", "rejected")}
    optional = {"margin": pair.target_margin, "id": pair.id, "subset": pair.subset}
    return row | {key: value for key, value in optional.items() if value is not None}


def _is_read_as(row: dict[str, Any], pair: PreferencePair) -> bool:
    try:
        found = read_row(row, 0)
    except RowError:
        return False
    return found == replace(pair, target_margin=None, id=None, subset=None)
