"""`make test-colab` sees what it should, tried without Colab's environment: bad notebooks, touched versions, CUDA."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools import try_colab

LIST = "# Python 3.12.3\ntorch==2.11.0+cu128\nnumpy==2.1.3\n"


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("source", "told"), [
    ("x = 1", None),
    ("1 / 0", "ZeroDivisionError"),
    ("import warnings; warnings.warn('careful')", "standard error"),
    ("explore = print\nexplore('a slider')", "1 calls of explore showed 0 widgets"),
])
def test_a_notebook_fails_by_an_error_a_warning_or_a_slider_that_is_not_there(
        tmp_path: Path, source: str, told: str | None):
    path = tmp_path / "00.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(source)]), path)
    found = try_colab.run(Path(try_colab.sys.executable), path, dict(try_colab.os.environ))
    assert (found is None) if told is None else told in found


@pytest.mark.parametrize(("offered", "build"), [
    ("2.15.0, 2.14.1, 2.13.0+cpu, 2.13.0, 2.12.0+cpu, 2.12.0, 2.9.0+cpu", "2.12.0+cpu"),
    ("2.15.0, 2.11.0, 2.9.0+cpu", None),
    ("2.100.0+cpu, 2.12.0+cpu", "2.12.0+cpu"),
])
def test_the_oldest_torch_without_cuda_is_taken(tmp_path: Path, monkeypatch, offered: str, build: str | None):
    monkeypatch.setattr(try_colab.sys, "platform", "linux")
    python = script(tmp_path / "python", f"echo 'torch (2.15.0)'; echo 'Available versions: {offered}'")
    assert try_colab.torch_without_cuda(str(python), "2.11.0") == build


@pytest.mark.parametrize(("later", "code"), [("numpy==2.1.3", 0), ("numpy==2.4.0", 1), ("", 1)])
def test_a_version_that_is_touched_is_told(tmp_path: Path, monkeypatch, capsys, later: str, code: int):
    frozen = tmp_path / "frozen"
    frozen.write_text("numpy==2.1.3\n")
    python = script(tmp_path / "python", f'case "$*" in *freeze*) cat "{frozen}";; esac')

    def run(*_: object) -> None:
        frozen.write_text(f"{later}\n{try_colab.COURSE} @ file:///wheel\n".lstrip())

    wheel = tmp_path / "course.whl"
    wheel.touch()
    for name, value in {"FOLDER": tmp_path / "colab", "run": run, "environment": lambda _: python}.items():
        monkeypatch.setattr(try_colab, name, value)
    assert try_colab.main([str(wheel), "00"]) == code
    assert ("versions were touched: numpy==2.1.3" in capsys.readouterr().out) == bool(code)


def test_a_notebook_that_there_is_not_is_refused(tmp_path: Path, monkeypatch):
    wheel = tmp_path / "course.whl"
    wheel.touch()
    monkeypatch.setattr(try_colab, "FOLDER", tmp_path / "colab")
    monkeypatch.setattr(try_colab, "environment", lambda _: tmp_path)
    with pytest.raises(SystemExit) as refused:
        try_colab.main([str(wheel), "00", "98"])
    assert refused.value.code == 2


def test_a_command_that_fails_stops_all_with_the_end_of_what_it_says(tmp_path: Path):
    python = script(tmp_path / "python", "printf 'x%.0s' $(seq 4000) >&2; echo done; exit ${1:-0}")
    assert try_colab.call(python, 0) == "done\n"
    with pytest.raises(SystemExit) as stopped:
        try_colab.call(python, 3)
    assert str(stopped.value) == f"{python} failed:\n{'x' * 3000}"


def test_the_pythons_that_work_are_colabs_by_its_name_or_from_pyenv_and_this_one(tmp_path: Path, monkeypatch):
    kept = tmp_path / ".pyenv/versions"
    for number in (9, 3):
        (kept / f"3.12.{number}/bin").mkdir(parents=True)
        script(kept / f"3.12.{number}/bin/python", "")
    monkeypatch.setattr(try_colab.Path, "home", lambda: tmp_path)
    works: set[str] = set()
    monkeypatch.setattr(try_colab.shutil, "which", lambda path: path if "3.12" in str(path) else None)
    monkeypatch.setattr(try_colab.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(
        command, int(str(command[0]) not in works or command[1:] != ["-c", "import ensurepip"])))
    three, nine = (str(kept / f"3.12.{number}/bin/python") for number in (3, 9))
    for found, first in (({"python3.12", three}, "python3.12"), ({nine, three}, three), ({nine}, nine)):
        works.clear()
        works.update(found)
        assert try_colab.pythons("3.12") == [first, sys.executable]
    assert try_colab.pythons("3.11") == [sys.executable]


def test_versions_are_numbers_and_where_there_is_no_cuda_every_build_will_do(tmp_path: Path, monkeypatch):
    assert try_colab.numbers("2.11.0+cpu") == [2, 11, 0]
    monkeypatch.setattr(try_colab.sys, "platform", "darwin")
    python = script(tmp_path / "python", "echo 'torch (2.15.0)'; echo 'Available versions: 2.15.0, 2.11.0, 2.9.0'")
    assert try_colab.torch_without_cuda(str(python), "2.11.0") == "2.11.0"
    assert try_colab.torch_without_cuda(str(python), "2.11.1") == "2.15.0"
    assert try_colab.torch_without_cuda(str(python), "2.16") is None


@pytest.fixture
def machine(tmp_path: Path, monkeypatch) -> list[list[str]]:
    """The commands that `environment` calls, on a machine where the first Python has no torch."""
    called: list[list[str]] = []

    def call(*command: object) -> str:
        called.append([str(part) for part in command])
        if "venv" in command:
            Path(command[-1]).mkdir(parents=True)
        return "3.12\n" if "print(*sys" in str(command[-1]) else f"{tmp_path}/site\n"

    monkeypatch.setattr(try_colab, "FOLDER", tmp_path)
    monkeypatch.setattr(try_colab, "call", call)
    monkeypatch.setattr(try_colab, "pythons", lambda version: ["first", "second"] if version == "3.12" else [])
    monkeypatch.setattr(try_colab, "torch_without_cuda",
                        lambda python, oldest: "2.12.0+cpu" if (python, oldest) == ("second", "2.11.0") else None)
    return called


def test_an_environment_is_made_once_for_a_list(machine, tmp_path: Path, capsys):
    made, venv = tmp_path / "venv/bin/python", tmp_path / "venv"
    assert try_colab.environment(LIST) == made
    packages = LIST.replace("2.11.0+cu128", "2.12.0+cpu")
    said = "Python 3.12 (Colab: 3.12), torch 2.12.0+cpu (2.11.0+cu128)\n"
    assert capsys.readouterr().out == f"{said}installing 2 packages and what they need in {venv}\n"
    assert machine == [
        ["second", "-c", "import sys; print(*sys.version_info[:2], sep='.')"], ["second", "-m", "venv", str(venv)],
        [str(made), "-m", "pip", "install", "--no-compile", "-r", f"{tmp_path}/requirements.txt"],
        [str(made), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]]
    assert (tmp_path / "requirements.txt").read_text() == packages
    assert (venv / "versions.txt").read_text() == f"# 3.12\n{packages}"
    assert [*(tmp_path / "site").rglob("*.py")] == [tmp_path / "site/google/colab/__init__.py"]
    machine.clear()
    assert try_colab.environment(LIST) == made and len(machine) == 1 and capsys.readouterr().out == said
    (venv / "old").touch()
    (tmp_path / "site/google/colab/__init__.py").unlink()
    (tmp_path / "site/google/colab").rmdir()
    try_colab.environment(LIST + "six==1\n")
    assert len(machine) == 5 and not (venv / "old").exists() and "installing 3 packages" in capsys.readouterr().out


def test_without_a_build_of_torch_there_is_no_environment(machine, monkeypatch):
    monkeypatch.setattr(try_colab, "torch_without_cuda", lambda *_: None)
    with pytest.raises(SystemExit) as stopped:
        try_colab.environment(LIST)
    assert str(stopped.value) == (
        'no build of torch >= 2.11.0 without CUDA is offered; see "CPU or GPU" in README.md')


@pytest.mark.parametrize(("body", "told", "error"), [
    ("exit 0", "ok", None), ("printf 'x%.0s' $(seq 4000) >&2; exit 1", "failed", f"a.ipynb: {'x' * 3000}"),
    ('[ "$(pwd)" = "$FOLDER" ] && [ "$1" = -c ] && [ "$3" = a.ipynb ]', "ok", None),
])
def test_a_notebook_is_run_in_its_folder_and_its_seconds_told(tmp_path: Path, monkeypatch, capsys, body, told, error):
    monkeypatch.setattr(try_colab.time, "perf_counter", iter([10.0, 12.6]).__next__)
    python = script(tmp_path / "python", body)
    home = {"PATH": os.environ["PATH"], "FOLDER": str(tmp_path)}
    assert try_colab.run(python, tmp_path / "a.ipynb", home) == error
    assert capsys.readouterr().out == f"a.ipynb: {told}, 3 s\n"


def test_notebooks_lie_alone_with_the_wheel_and_find_nothing_of_this_machine(tmp_path: Path, monkeypatch, capsys):
    ran, called, content = [], [], tmp_path / "colab/content"
    for name in ("notebooks/00_a.ipynb", "notebooks/01_b.ipynb", "notebooks/side/more.ipynb", "course.whl",
                 "colab/content/old.ipynb", "versions.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setenv("RMLIB_PAIRS", "mine")
    monkeypatch.setenv("PYTHONPATH", "mine")
    monkeypatch.setenv("KEPT", "1")
    frozen = ["numpy==2.1.3\n", f"numpy==2.1.3\n{try_colab.COURSE} @ file:///x\n"]
    replaced = {
        "ROOT": tmp_path, "FOLDER": tmp_path / "colab", "VERSIONS": tmp_path / "versions.txt",
        "environment": lambda text: f"python of {text}",
        "call": lambda *command: called.append(command[1:]) or (frozen.pop(0) if "freeze" in command else ""),
        "run": lambda python, notebook, home: ran.append((python, notebook, home)) or (
            "00_a.ipynb: bad" if notebook.name == "00_a.ipynb" else None)}
    for name, value in replaced.items():
        monkeypatch.setattr(try_colab, name, value)
    assert try_colab.main([str(tmp_path / "course.whl")]) == 1
    assert [notebook for _, notebook, _ in ran] == [content / f"{name}.ipynb" for name in ("00_a", "01_b", "more")]
    assert sorted(path.name for path in content.iterdir()) == ["00_a.ipynb", "01_b.ipynb", "course.whl", "more.ipynb"]
    python, _, home = ran[0]
    assert python == "python of versions.txt" and home["KEPT"] == "1"
    assert (home["HF_HUB_OFFLINE"], home["CUDA_VISIBLE_DEVICES"]) == ("1", "") and "PATH" in home
    assert not [name for name in home if name.startswith(("RMLIB_", "PYTHON"))]
    assert called == [("-m", "pip", "uninstall", "-y", try_colab.COURSE), *[("-m", "pip", "freeze", "--all")] * 2]
    assert capsys.readouterr().out == "00_a.ipynb: bad\n3 notebooks, 1 packages: wrong\n"
    ran.clear()
    frozen[:] = ["a==1\nb==1\n", "a==1\nb==2\n"]
    assert try_colab.main([str(tmp_path / "course.whl"), "01", "more"]) == 1
    assert [notebook.name for _, notebook, _ in ran] == ["01_b.ipynb", "more.ipynb"]
    assert capsys.readouterr().out == "versions were touched: b==1 b==2\n2 notebooks, 2 packages: wrong\n"
    frozen[:] = ["a==1\n"] * 2
    assert try_colab.main([str(tmp_path / "course.whl"), "01"]) == 0
    assert capsys.readouterr().out == "1 notebooks, 1 packages: all well\n"
    with pytest.raises(SystemExit):
        try_colab.main([str(tmp_path / "course.whl"), "01", "02"])
    assert "no such notebook among 01 02" in capsys.readouterr().err
