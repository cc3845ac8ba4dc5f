"""Files: read line by line, gzipped or not; written whole or not at all; told apart by their hash.

What is written goes beside its place, is synced to disk, and then renamed into it.
"""

import codecs
import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

GZIP_MAGIC = b"\x1f\x8b"
# How files begin that hold no lines of text, and what to do about it.
UNREADABLE = {
    **dict.fromkeys((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"),
                    "a table of parquet or arrow: rmlib.practice.forms reads it, and so does the command line"),
    b"\x28\xb5\x2f\xfd": "data packed by zstd: unpack it first (zstd -d)",
    b"\xfd7zXZ": "data packed by xz: unpack it first (xz -d)",
    b"BZh": "data packed by bzip2: unpack it first (bzip2 -d)",
    b"PK\x03\x04": "a zip archive, or what is built on one (.xlsx, .npz, .pt): unpack or export it first",
    b"SQLite format 3": "an SQLite database: export its rows first",
    b"\x80": "a pickle, which runs code when it is read: write the rows as JSON lines",
    **dict.fromkeys((b"\xff\xfe", b"\xfe\xff"), "text in UTF-16: save it as UTF-8"),
}


@contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a path to write a file at, which takes `path`'s place when the block ends.

    Killed at any moment, or stopped by an exception in the block, `path` is what it was: the old file, or none.
    Raises ValueError where `path` is a directory, OSError where it can't be written. One writer at a time for a path.
    """
    path = Path(path).resolve()
    if path.is_dir():
        raise ValueError(f"{path} is a directory: choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.rmlib-new")
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    except (OSError, SafetensorError) as error:
        raise OSError(f"{path}: can't be written, and is what it was before: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` as UTF-8, line ends untouched, by `atomic_file`: whole, or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(text.encode())


def sync(path: Path) -> None:
    """Wait until a file, or a directory's list of its files, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_lines(path: str | os.PathLike) -> Iterator[bytes]:
    """The lines of a file, which is gunzipped if its content is gzip, whatever its name; a BOM is left out. They end in
    line feeds; only where there is none, in carriage returns.

    Raises FileNotFoundError, or ValueError for a file that is empty or can't be read to its end.
    """
    number = 0
    try:
        with open(path, "rb") as file:
            start = file.peek(16)[:16]
            if kind := next((told for magic, told in UNREADABLE.items() if start.startswith(magic)), None):
                raise ValueError(f"{path}: no lines of text, but {kind}")
            lines = gzip.open(file) if start[:2] == GZIP_MAGIC else file
            for number, line in enumerate(lines, start=1):
                line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                lines_of_old_macs = line.splitlines(keepends=True) if number == 1 and not line.endswith(b"\n") else []
                yield from lines_of_old_macs or [line]
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: no such file") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: the gzip data is damaged or cut short after line {number}: {error}") from error
    except OSError as error:
        place = f"after line {number}" if number else "at all"
        raise ValueError(f"{path}: can't be read {place}: {error.strerror or error}") from error
    if number == 0:
        raise ValueError(f"{path}: the file is empty")


def sha256(path: str | os.PathLike) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
