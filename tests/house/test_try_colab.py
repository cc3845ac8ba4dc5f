"""`make test-colab` sees what it should, tried without Colab's environment: bad notebooks, touched versions, CUDA."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools import try_colab


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
