"""The rows of a file, whatever holds them: lines, an array, a table, or a dataset of the Hugging Face Hub."""

import csv
import json
import logging
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from rmlib.files import read_lines
from rmlib.pairs.pair import RowError
from rmlib.pairs.rows import unique_keys

_log = logging.getLogger("rmlib")
HUB = "hf:"
PARQUET, ARROW_FILE, ARROW_STREAM = b"PAR1", b"ARRO", b"\xff\xff\xff\xff"
NUMBERS = ("margin", "better_response_id", "overall_preference", "preference_strength", "labels")  # text in CSV
NEVER_ABSENT = ("prompt", "chosen", "rejected")  # an empty cell of these is an empty text
LONGEST_CELL = 2**31 - 1  # characters; the csv library stops at 131,072


def rows_of_file(source: str | os.PathLike) -> Iterable[tuple[int, Any]]:
    """(line or number, row) of a file, a directory written by `datasets`, or "hf:owner/name:split" (or name/config).

    A row is the bytes of a JSON line, or an object. Raises FileNotFoundError, ImportError where `datasets` is needed
    and missing, or ValueError for what can't be read to its end.
    """
    name = os.fspath(source)
    if name.startswith(HUB):
        return enumerate(_from_hub(name.removeprefix(HUB)), start=1)
    if Path(name).is_dir():
        return enumerate(_from_directory(name), start=1)
    if not Path(name).exists():
        raise FileNotFoundError(f"{name}: no such file")
    if not Path(name).is_file():
        raise ValueError(f"{name}: can be read only once, as a pipe can: write it to a file first, and give that")
    with open(name, "rb") as file:
        magic = file.read(4)
    if magic in (PARQUET, ARROW_FILE, ARROW_STREAM):
        return enumerate(_table(name, magic), start=1)
    suffix = Path(name.lower().removesuffix(".gz")).suffix
    if suffix in (".csv", ".tsv"):
        return _csv(name, "\t" if suffix == ".tsv" else ",")
    lines, start = read_lines(source), []  # blank lines, and the first that is not
    for line in lines:
        start.append(line)
        if line.strip():
            break
    if start[-1].lstrip().startswith(b"["):
        return enumerate(_array(name, b"".join(chain(start, lines))), start=1)
    if start[-1].lstrip().startswith(b"{") and _whole(start[-1]) is None:  # an object begins, and goes on
        start += lines
        if isinstance(_whole(b"".join(start)), dict):
            raise ValueError(f"{name}: one object over several lines: give an array of rows, or one row on each line")
    return enumerate(chain(start, lines), start=1)


def _whole(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _array(name: str, content: bytes) -> list:
    try:
        return json.loads(content, object_pairs_hook=object_or_fault)
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested without end
        raise ValueError(f"{name}: begins as a JSON array, and can't be read as one: {error}") from error


def object_or_fault(items: list[tuple[str, Any]]) -> dict[str, Any] | RowError:
    """An object of an array, or the fault in its place: one must not make all of them unreadable."""
    try:
        return unique_keys(items)
    except RowError as fault:
        return fault


def _csv(name: str, delimiter: str) -> Iterator[tuple[int, dict | RowError]]:
    csv.field_size_limit(LONGEST_CELL)
    lines = (line.decode() for lines in read_lines(name) for line in lines.splitlines(keepends=True))
    reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
    try:
        reader.fieldnames = header = [column.strip() for column in reader.fieldnames or []]
        if len(set(header)) < max(2, len(header)):
            raise ValueError(f"{name}: line 1 should name columns, once each, parted by {delimiter!r}: {header}")
        for row in reader:
            if None in row or None in row.values():
                number = "more" if None in row else "fewer"
                fault = f"the row has {number} cells than the header: a comma or a quote without quotes around it?"
                yield reader.line_num, RowError("another form", fault)
                continue
            numbers = {key: _number(row[key]) for key in NUMBERS if key in row}
            yield reader.line_num, {key: cell for key, cell in row.items() if cell or key in NEVER_ABSENT} | numbers
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: can't be read after line {reader.line_num}: {error}") from error


def _number(cell: str) -> float | str | None:
    try:
        return float(cell) if cell else None
    except ValueError:
        return cell  # what it is instead is told where it is used


def _table(name: str, magic: bytes) -> Iterator[dict]:
    pyarrow = _library("pyarrow", name)
    try:
        if magic == PARQUET:
            from pyarrow.parquet import ParquetFile

            batches: Any = ParquetFile(name).iter_batches()
        elif magic == ARROW_FILE:
            reader = pyarrow.ipc.open_file(name)
            batches = (reader.get_batch(at) for at in range(reader.num_record_batches))
        else:
            batches = pyarrow.ipc.open_stream(name)
        for batch in batches:
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{name}: can't be read as a table of parquet or arrow: {error}") from error


def _from_directory(name: str) -> Iterable[dict]:
    datasets = _library("datasets", name)
    found = datasets.load_from_disk(name)
    if isinstance(found, datasets.DatasetDict):
        splits = " or ".join(f"{name}/{split}" for split in found)
        raise ValueError(f"{name} holds several splits: choose one, {splits}")
    return found


def _from_hub(name: str) -> Iterable[dict]:
    datasets = _library("datasets", f"{HUB}{name}")
    place, _, split = name.partition(":")
    repository, config = "/".join(place.split("/")[:2]), "/".join(place.split("/")[2:]) or None
    if not repository:
        raise ValueError(f"{HUB} wants the name of a dataset: {HUB}owner/name:split, {HUB}owner/name/config:split")
    builder = datasets.load_dataset_builder(repository, config)
    size = builder.info.download_size
    _log.warning("%s of the Hugging Face Hub: %s to download, once", repository,
                 f"{size / 1e6:.0f} MB" if size else "its size is not told")
    return datasets.load_dataset(repository, config, split=split or "train")


def _library(library: str, source: str) -> Any:
    try:
        return __import__(library)
    except ImportError as error:
        raise ImportError(f"{source}: needs the library `datasets` (pip install datasets); or write the rows as JSON "
                          "lines") from error
