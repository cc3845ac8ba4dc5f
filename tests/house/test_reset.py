"""`make reset`: what a reader changed is kept, what came with the course comes back, and nothing else is touched."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from places import ROOT

CAME = {"00_start.ipynb": "came 0", "01_next.ipynb": "came 1", "side/more.ipynb": "came 2"}


def run(folder: Path, *command: str, path: str = os.defpath) -> subprocess.CompletedProcess:
    plain = {"PATH": path, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    return subprocess.run(command, cwd=folder, env=plain, capture_output=True, text=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A committed course of three notebooks, in a folder with spaces."""
    folder = tmp_path / "a folder with spaces"
    for name in ("Makefile", "tools/reset_notebooks.sh", ".gitignore"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name, text in CAME.items():
        (folder / "notebooks" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "notebooks" / name).write_text(text)
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for command in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "course")):
        assert run(folder, "git", *command).returncode == 0
    return folder


def reset(clone: Path) -> str:
    done = run(clone, "make", "reset")
    assert done.returncode == 0, done.stderr
    return done.stdout


def kept(clone: Path) -> dict[str, str]:
    """Text by path below kept/DATE."""
    return {str(path.relative_to(day)): path.read_text()
            for day in (clone / "kept").glob("*") for path in day.rglob("*.ipynb")}


def as_it_came(clone: Path) -> bool:
    return all((clone / "notebooks" / name).read_text() == text for name, text in CAME.items())


def test_changed_notebooks_are_kept_and_restored_staged_or_not(clone):
    (clone / "notebooks/00_start.ipynb").write_text("mine 0")
    (clone / "notebooks/01_next.ipynb").write_text("mine 1")
    (clone / "notebooks/side/more.ipynb").write_text("mine 2")
    run(clone, "git", "add", "notebooks/01_next.ipynb")
    told = reset(clone)
    assert as_it_came(clone)
    assert kept(clone) == {"00_start.ipynb": "mine 0", "01_next.ipynb": "mine 1", "side/more.ipynb": "mine 2"}
    assert all(str(path.relative_to(clone)) in told for path in (clone / "kept").rglob("*.ipynb"))
    assert run(clone, "git", "status", "--porcelain").stdout == ""  # kept/ is ignored, and an update can come in


def test_where_nothing_changed_nothing_is_made(clone):
    assert "nothing to restore" in reset(clone)
    assert not (clone / "kept").exists()


def test_a_deleted_notebook_comes_back(clone):
    (clone / "notebooks/01_next.ipynb").unlink()
    run(clone, "git", "rm", "-q", "notebooks/00_start.ipynb")
    assert reset(clone).count("was deleted") == 2
    assert as_it_came(clone) and kept(clone) == {} and list((clone / "kept").iterdir()) == []


def test_the_readers_own_files_are_left_alone(clone):
    own = {"notebooks/mine.ipynb": "own", "notebooks/staged.ipynb": "own, staged", "notebooks/labels.jsonl": "{}"}
    for name, text in own.items():
        (clone / name).write_text(text)
    run(clone, "git", "add", "notebooks/staged.ipynb")
    (clone / "Makefile").write_text((clone / "Makefile").read_text() + "# mine\n")
    assert "nothing to restore" in reset(clone)
    (clone / "notebooks/00_start.ipynb").write_text("mine 0")
    reset(clone)
    assert kept(clone) == {"00_start.ipynb": "mine 0"} and as_it_came(clone)
    assert {name: (clone / name).read_text() for name in own} == own
    assert (clone / "Makefile").read_text().endswith("# mine\n")


def test_twice_in_one_second_both_are_kept(clone, tmp_path):
    clock = tmp_path / "bin/date"
    clock.parent.mkdir()
    clock.write_text("#!/bin/sh\necho 2026-08-20_12-00-00\n")
    clock.chmod(0o755)
    for text in ("first", "second", "third"):
        (clone / "notebooks/00_start.ipynb").write_text(text)
        assert run(clone, "make", "reset", path=f"{clock.parent}{os.pathsep}{os.defpath}").returncode == 0
    texts = {path.parent.name: path.read_text() for path in (clone / "kept").rglob("*.ipynb")}
    day = "2026-08-20_12-00-00"
    assert texts == {day: "first", f"{day}-2": "second", f"{day}-3": "third"}


def test_what_cannot_be_kept_is_not_restored(clone):
    (clone / "notebooks/00_start.ipynb").write_text("mine")
    (clone / "kept").write_text("a file where the folder should be")
    assert run(clone, "make", "reset").returncode != 0
    assert (clone / "notebooks/00_start.ipynb").read_text() == "mine"


@pytest.mark.parametrize("inside_another", [False, True])
def test_without_a_clone_the_message_says_so(clone, inside_another):
    shutil.rmtree(clone / ".git")
    (clone / "notebooks/00_start.ipynb").write_text("mine")
    if inside_another:
        (clone.parent / "other").write_text("")
        run(clone.parent, "git", "init", "-q")
        run(clone.parent, "git", "add", "other")
        run(clone.parent, "git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "-m", "another")
    done = subprocess.run(["make", "reset"], cwd=clone, env={"PATH": os.defpath}, capture_output=True, text=True)
    assert done.returncode != 0 and "no git clone here" in done.stderr
