import os
import subprocess
import sys
from pathlib import Path

import pytest

from rmlib.files import atomic_directory, atomic_write_text, recover, sha256

ROOT = Path(__file__).resolve().parents[1]

# Writes version 2 over version 1 and is killed at the k-th thing it asks of the file system in the directory.
KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from rmlib.files import atomic_directory
folder, left = sys.argv[1], int(sys.argv[2])
COUNTED = "open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"

def count_down(event, arguments):
    global left
    if event in COUNTED and folder in str(arguments):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count_down)
with atomic_directory(Path(folder, "model")) as new:
    (new / "sub").mkdir()
    (new / "one").write_text("2")
    (new / "sub" / "two").write_text("2")
"""


def write_version(path: Path, version: str) -> None:
    with atomic_directory(path) as new:
        (new / "sub").mkdir()
        (new / "one").write_text(version)
        (new / "sub" / "two").write_text(version)


def content(path: Path) -> dict[str, str]:
    return {str(file.relative_to(path)): file.read_text() for file in path.rglob("*") if file.is_file()}


def test_directory_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "not" / "yet" / "model"
    with atomic_directory(path) as new:
        (new / "weights").write_text("w")
        assert new.parent == path.parent and not path.exists()
    assert content(path) == {"weights": "w"}
    assert os.listdir(path.parent) == ["model"]


def test_directory_is_replaced_not_merged(tmp_path):
    write_version(tmp_path / "model", "1")
    with atomic_directory(tmp_path / "model") as new:
        (new / "other").write_text("2")
    assert content(tmp_path / "model") == {"other": "2"}
    assert os.listdir(tmp_path) == ["model"]


def test_exception_leaves_the_old_directory_and_nothing_else(tmp_path):
    write_version(tmp_path / "model", "1")
    with pytest.raises(KeyError), atomic_directory(tmp_path / "model") as new:
        (new / "one").write_text("2")
        raise KeyError
    assert content(tmp_path / "model") == {"one": "1", "sub/two": "1"}
    assert os.listdir(tmp_path) == ["model"]


def test_failed_rename_puts_the_old_directory_back(tmp_path, monkeypatch):
    write_version(tmp_path / "model", "1")
    rename = Path.rename

    def fail_for_the_new(self, target):
        if self.name == ".model.rmlib-new":
            raise OSError("disk full")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with pytest.raises(OSError, match="disk full"):
        write_version(tmp_path / "model", "2")
    assert content(tmp_path / "model") == {"one": "1", "sub/two": "1"}
    assert os.listdir(tmp_path) == ["model"]


def test_killed_at_every_step_leaves_one_whole_version(tmp_path):
    seen = []
    for steps in range(40):
        folder = tmp_path / str(steps)
        write_version(folder / "model", "1")
        command = [sys.executable, "-c", KILLED_WRITER, str(folder), str(steps)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        recover(folder / "model")
        seen.append("".join(sorted(set(content(folder / "model").values()))))
        assert content(folder / "model").keys() == {"one", "sub/two"}, f"killed at step {steps}"
        assert os.listdir(folder) == ["model"], f"leftovers of a writer killed at step {steps}"
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
    assert seen == sorted(seen) and set(seen) == {"1", "2"}  # old, old, ..., new, new: never a mix
    assert seen.count("2") >= 3  # also killed while the old one was being deleted


def test_other_names_are_not_swept(tmp_path):
    names = [".model.rmlib-new-1", ".model.tmp", ".model2.rmlib-new", ".model[1].rmlib-new"]
    for name in names:
        (tmp_path / name).mkdir()
    recover(tmp_path / "model")
    assert sorted(os.listdir(tmp_path)) == names
    recover(tmp_path / "model[1]")
    assert sorted(os.listdir(tmp_path)) == names[:3]


def test_symbolic_links_keep_pointing(tmp_path):
    write_version(tmp_path / "real", "1")
    (tmp_path / "link").symlink_to("real")
    write_version(tmp_path / "link", "2")
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "real") == {"one": "2", "sub/two": "2"}


def test_everything_is_synced_before_it_gets_its_name(tmp_path, monkeypatch):
    opened, log = {}, []
    os_open, fsync, rename = os.open, os.fsync, Path.rename

    def remember(path, flags, *rest, **named):
        handle = os_open(path, flags, *rest, **named)
        opened[handle] = Path(path)
        return handle

    monkeypatch.setattr(os, "open", remember)
    monkeypatch.setattr(os, "fsync", lambda handle: (log.append(opened[handle]), fsync(handle)))
    monkeypatch.setattr(Path, "rename", lambda self, target: (log.append("rename"), rename(self, target)))
    write_version(tmp_path / "model", "1")
    before, after = log[: log.index("rename")], log[log.index("rename") + 1 :]
    assert {path.name for path in before} == {"one", "two", "sub", ".model.rmlib-new"}
    assert after == [tmp_path]


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


def test_file_and_directory_are_not_confused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="file is a file"), atomic_directory(tmp_path / "file"):
        pass
    with pytest.raises(ValueError, match="is a directory"):
        atomic_write_text(tmp_path, "x")
    assert content(tmp_path) == {"file": "x"}


def test_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
