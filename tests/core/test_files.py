import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

from rmlib.files import atomic_file, atomic_write_text, read_lines, sha256

# Writes version 2 over version 1 and is killed at the k-th thing it asks of the file system in the directory.
KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from rmlib.files import atomic_file
folder, left = sys.argv[1], int(sys.argv[2])
COUNTED = "open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"

def count_down(event, arguments):
    global left
    if event in COUNTED and folder in str(arguments):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count_down)
with atomic_file(Path(folder, "model")) as new:
    new.write_text("2")
"""


def write_version(path: Path, version: str) -> None:
    with atomic_file(path) as new:
        new.write_text(version)


def content(path: Path) -> dict[str, str]:
    return {str(file.relative_to(path)): file.read_text() for file in path.rglob("*") if file.is_file()}


def test_a_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "not" / "yet" / "model"
    with atomic_file(path) as new:
        new.write_text("w")
        assert new.parent == path.parent and not path.exists()
    assert content(path.parent) == {"model": "w"}


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path):
    write_version(tmp_path / "model", "1")
    with pytest.raises(KeyError), atomic_file(tmp_path / "model") as new:
        new.write_text("2")
        raise KeyError
    assert content(tmp_path) == {"model": "1"}


def test_a_replacement_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    write_version(tmp_path / "model", "1")

    def disk_full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", disk_full)
    with pytest.raises(OSError, match="disk full"):
        write_version(tmp_path / "model", "2")
    assert content(tmp_path) == {"model": "1"}


def test_killed_at_every_step_leaves_one_whole_version(tmp_path):
    seen = []
    for steps in range(40):
        folder = tmp_path / str(steps)
        write_version(folder / "model", "1")
        command = [sys.executable, "-c", KILLED_WRITER, str(folder), str(steps)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        seen.append((folder / "model").read_text())
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        write_version(folder / "model", "3")
        assert content(folder) == {"model": "3"}, f"leftovers of a writer killed at step {steps}"
    assert seen == sorted(seen) and set(seen) == {"1", "2"}  # old, old, ..., new: never a mix
    assert seen.count("1") >= 2 <= seen.count("2")  # also killed between the replacement and the end


def test_symbolic_links_keep_pointing(tmp_path):
    write_version(tmp_path / "real", "1")
    (tmp_path / "link").symlink_to("real")
    write_version(tmp_path / "link", "2")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "2"


def test_everything_is_synced_before_it_gets_its_name(tmp_path, monkeypatch):
    opened, log = {}, []
    os_open, fsync, replace = os.open, os.fsync, os.replace

    def remember(path, flags, *rest, **named):
        handle = os_open(path, flags, *rest, **named)
        opened[handle] = Path(path)
        return handle

    monkeypatch.setattr(os, "open", remember)
    monkeypatch.setattr(os, "fsync", lambda handle: (log.append(opened[handle]), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda source, target: (log.append("replace"), replace(source, target)))
    write_version(tmp_path / "model", "1")
    assert log == [tmp_path / ".model.rmlib-new", "replace", tmp_path]


def test_text_is_replaced_whole(tmp_path):
    path = tmp_path / "new" / "settings.json"
    atomic_write_text(path, "old")
    atomic_write_text(path, "né\r\n\u2028\n")
    assert path.read_bytes() == "né\r\n\u2028\n".encode()
    assert os.listdir(path.parent) == ["settings.json"]


def test_text_that_cannot_be_written_leaves_the_old(tmp_path):
    atomic_write_text(tmp_path / "a", "old")
    with pytest.raises(UnicodeEncodeError):
        atomic_write_text(tmp_path / "a", "\ud800")
    assert content(tmp_path) == {"a": "old"}


def test_a_directory_is_not_replaced_by_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is a directory"):
        atomic_write_text(tmp_path, "x")
    assert content(tmp_path) == {"file": "x"}


def test_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("content, lines", [
    (b"\xef\xbb\xbfa\rb\r", [b"a\r", b"b\r"]), (b"a\rb", [b"a\r", b"b"]), (b"a\r\n", [b"a\r\n"]), (b"a", [b"a"]),
    (b"a\rb\nc\rd\n", [b"a\rb\n", b"c\rd\n"]), (b"a\nb\rc", [b"a\n", b"b\rc"]), (b"\xef\xbb\xbf", [b""]),
])  # fmt: skip
def test_lines_end_in_carriage_returns_where_nothing_else_ends_them(tmp_path, pack, content, lines):
    (tmp_path / "lines").write_bytes(pack(content))
    assert [*read_lines(tmp_path / "lines")] == lines
