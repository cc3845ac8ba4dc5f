"""Files that are whole or not there: written beside their place, synced to disk, then renamed into it."""

import glob
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_directory(path: str | os.PathLike) -> Iterator[Path]:
    """Yield an empty directory that takes `path`'s name when the block ends, replacing the directory that has it.

    An exception in the block leaves `path` as it was. So does a kill, and whatever was half done is tidied up by the
    next write or by `recover`. Raises ValueError where `path` is a file. One writer at a time for each path.
    """
    path = recover(path)
    if path.exists() and not path.is_dir():
        raise ValueError(f"{path} is a file, and a directory is to be written there: choose another name")
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        for folder, _, names in os.walk(temporary):
            for name in [*names, "."]:
                _sync(Path(folder, name))
        if path.exists():
            path.rename(_aside(path))  # rename can't replace a full directory; killed here, recover() undoes it
        temporary.rename(path)
        _sync(path.parent)
    finally:
        _remove(temporary)
        recover(path)


def atomic_write_text(path: str | os.PathLike, text: str) -> None:
    """Write `text` as UTF-8, line ends untouched; at any moment `path` holds all of the old text or all of the new.

    Raises ValueError where `path` is a directory.
    """
    path = recover(path)
    if path.is_dir():
        raise ValueError(f"{path} is a directory, and a file is to be written there: choose another name")
    temporary = _temporary(path)
    try:
        temporary.write_bytes(text.encode())
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        _remove(temporary)


def recover(path: str | os.PathLike) -> Path:
    """Bring back what a killed writer of `path` had moved aside, delete its leftovers, return the resolved path.

    For readers too: call it before reading a directory whose writer may have been killed, never while one is at work.
    """
    path = Path(path).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    if _aside(path).exists() and not path.exists():
        _aside(path).rename(path)
    _remove(_aside(path))
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.tmp-*"):
        if not _alive(int(leftover.name.rpartition("-")[2])):
            _remove(leftover)
    return path


def sha256(path: str | os.PathLike) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp-{os.getpid()}")


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # signal 0 is not delivered: it only asks whether the process is there
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


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
