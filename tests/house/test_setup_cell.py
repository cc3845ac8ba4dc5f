"""The set-up cell without a machine of its own: where it looks, what it asks of pip, what it tells, word for word."""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

import rmlib
from rmlib.course import versions
from tools import colab

PUT = "put the wheel that `make wheel` builds beside this notebook (on Colab: upload it), and run this cell again."
NAME = "reward_models_from_first_principles-0.2.0-py3-none-any"


@pytest.fixture
def content(tmp_path: Path, monkeypatch) -> Path:
    """The working directory, on a machine where no rmlib is to be found."""
    folder = tmp_path / "a/b/c/content"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(tempfile, "mkdtemp", lambda: str(tmp_path))
    return folder


@pytest.fixture
def asked(monkeypatch) -> list[tuple]:
    """What pip is asked; its answer is the attribute `answer` of `subprocess.run`."""
    calls: list[tuple] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess:
        calls.append((command, options))
        return run.answer

    run.answer = subprocess.CompletedProcess([], 0, "", "")
    monkeypatch.setattr(subprocess, "run", run)
    return calls


@pytest.fixture
def told(monkeypatch) -> list[str]:
    """The versions that the cell says the notebook is of, at its end."""
    found: list[str] = []
    monkeypatch.setattr(versions, "tell_what_is_amiss", lambda notebook: found.append(notebook))
    return found


def run_cell(repo: str = "", ref: str = "main") -> None:
    exec(compile(colab.cell_source(repo, ref), "cell", "exec"), {})


def refusal(repo: str = "") -> str:
    with pytest.raises(ImportError) as refused:
        run_cell(repo)
    return str(refused.value)


def pip(source: str) -> tuple[list[str], dict]:
    return ([sys.executable, "-m", "pip", "install", "--no-deps", "--force-reinstall", source],
            {"capture_output": True, "text": True, "start_new_session": True})


def test_without_code_wheel_and_repository_it_says_what_to_do(content, asked):
    assert refusal() == f"The course's code is not here. In a clone of the course run `make lab`; elsewhere\n{PUT}"
    assert asked == []


def test_from_the_repository_pip_is_asked_for_the_course_alone(content, asked, told):
    run_cell("owner/name", "v1")
    assert asked == [pip("git+https://github.com/owner/name@v1")] and told == [rmlib.__version__]


@pytest.mark.parametrize("stderr, says", [
    ("noise\n  fatal: no such\n ERROR: late\nmore", "fatal: no such"), ("x\nERROR: a\nfatal: b\n", "ERROR: a"),
    ("only\nnoise\n", "only\nnoise\n"),
])
def test_what_pip_says_is_told_by_its_first_error(content, asked, stderr, says):
    subprocess.run.answer = subprocess.CompletedProcess([], 1, "", stderr)
    assert refusal("owner/name") == (
        "Installing git+https://github.com/owner/name@main failed. Is there a network, is REPO public, and has it "
        f"REF?\nElse {PUT}\npip says: {says}")


def test_the_newest_wheel_is_installed_under_a_name_that_pip_takes(content, asked, told, tmp_path):
    for age, (name, data) in enumerate({f"{NAME}.whl": b"old", f"{NAME} (1).whl": b"new"}.items(), start=1):
        (content / name).write_bytes(data)
        os.utime(content / name, (age, age))
    (content / "other-1-py3-none-any.whl").touch()
    run_cell("owner/name")
    assert asked == [pip(f"{tmp_path}/{NAME}.whl")] and (tmp_path / f"{NAME}.whl").read_bytes() == b"new"
    assert told == [rmlib.__version__]
    subprocess.run.answer = subprocess.CompletedProcess([], 1, "", "ERROR: bad\n")
    assert refusal() == f"Installing {tmp_path}/{NAME}.whl failed. Is the file whole?\nElse {PUT}\npip says: ERROR: bad"


def installed(monkeypatch, path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: SimpleNamespace(origin=str(path)) if name == "rmlib"
                        else None)


def test_code_that_is_there_is_taken_and_a_stranger_of_that_name_is_told(content, asked, told, tmp_path, monkeypatch):
    installed(monkeypatch, tmp_path / "site/rmlib/__init__.py", f"é {rmlib.COURSE}")
    run_cell()
    assert told == [rmlib.__version__] and asked == []
    installed(monkeypatch, tmp_path / "site/rmlib/__init__.py", "another")
    assert refusal("owner/name") == (
        f"{tmp_path}/site/rmlib/__init__.py is another project that is also called rmlib. Remove it:\n"
        "%pip uninstall -y rmlib, restart the kernel, and run this cell again.")
    assert asked == [] and len(told) == 1


@pytest.mark.parametrize("at, found", [("a/b/c", True), ("a", True), (".", False), ("a/b/c/content", False)])
def test_a_clone_is_looked_for_in_the_three_folders_above(content, asked, told, tmp_path, monkeypatch, at, found):
    installed(monkeypatch, tmp_path / at / "rmlib/__init__.py", rmlib.COURSE)
    before = [*sys.path]
    run_cell()
    assert sys.path == ([str((tmp_path / at).resolve())] if found else []) + before


def test_the_nearest_clone_comes_first_and_alone(content, asked, told, tmp_path, monkeypatch):
    for at in ("a", "a/b"):
        installed(monkeypatch, tmp_path / at / "rmlib/__init__.py", rmlib.COURSE)
    before = [*sys.path]
    run_cell()
    assert sys.path == [str(tmp_path / "a/b"), *before]
