"""Files: read line by line, gzipped or not; written whole or not at all.

What is written goes beside its place, is synced to disk, and then renamed into it.
"""

import codecs
import gzip
import hashlib
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GZIP_MAGIC = b"\x1f\x8b"


@contextmanager
def atomic_directory(path: str | os.PathLike) -> Iterator[Path]:
    """Yield an empty directory that takes `path`'s name when the block ends, replacing the directory that has it.

    An exception in the block leaves `path` as it was. Killed at any moment, the old or the new directory is whole:
    under `path`, or, between the two renames, in a place from which the next write or `recover` brings it back.
    Raises ValueError where `path` is a file. One writer at a time for each path.
    """
    with _replacing(path, is_directory=True) as temporary:
        temporary.mkdir()
        yield temporary


def atomic_write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` as UTF-8, line ends untouched; at every moment `path` holds the old text or the new, whole.

    Raises ValueError where `path` is a directory. One writer at a time for each path.
    """
    with _replacing(path, is_directory=False) as temporary:
        temporary.write_bytes(text.encode())


def recover(path: str | os.PathLike) -> Path:
    """Bring back what a killed writer of `path` had moved aside, delete its leftovers, return the resolved path.

    For readers too: call it before reading a directory whose writer may have been killed, never while one is at work.
    """
    path = Path(path).resolve()
    aside = _beside(path, "old")
    if aside.exists() and not path.exists():
        aside.rename(path)
    _remove(aside)
    _remove(_beside(path, "new"))
    return path


def is_there(path: str | os.PathLike) -> bool:
    """Whether there is a `path`, or one that a killed writer had moved aside; touches nothing."""
    path = Path(path).resolve()
    return path.exists() or _beside(path, "old").exists()


def read_lines(path: str | os.PathLike) -> Iterator[bytes]:
    """The lines of a file, which is gunzipped if its content is gzip, whatever its name; a BOM is left out.

    Raises FileNotFoundError, or ValueError for a file that is empty or can't be read to its end.
    """
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


def sha256(path: str | os.PathLike) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _replacing(path: str | os.PathLike, is_directory: bool) -> Iterator[Path]:
    path = recover(path)
    if path.exists() and path.is_dir() != is_directory:
        raise ValueError(f"{path} is a {'file' if is_directory else 'directory'}: choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path, "new")
    try:
        yield temporary
        for part in [temporary, *temporary.rglob("*")]:
            _sync(part)
        if is_directory and path.exists():
            path.rename(_beside(path, "old"))  # a rename can replace a file, but not a directory that holds something
        temporary.rename(path)
        _sync(path.parent)
    finally:
        recover(path)


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f".{path.name}.rmlib-{what}")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
