"""`make run`: every notebook in order, failures told and passed over, stored outputs rewritten only when asked."""

import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools import run_notebooks

PLAIN = "import os\nprint(os.environ.get('RMLIB_PROFILE'), os.path.exists('b.ipynb'))"


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for notebooks, and no kernel registered but one that can't start."""
    kernel = tmp_path / "registered/kernels/python3/kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({"argv": ["false", "{connection_file}"], "display_name": "X", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "registered"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    for name in run_notebooks.STORED_SETTINGS:
        monkeypatch.setenv(name, "of the reader")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setenv("RMLIB_LABELS", str(tmp_path / "labels of the reader.jsonl"))
    return tmp_path


def write(course: Path, name: str, *sources: str) -> Path:
    path = course / "notebooks" / name
    cells = [new_markdown_cell("# Title"), *map(new_code_cell, sources)]
    nbformat.write(new_notebook(cells=cells, metadata={"widgets": {"state": 1}, "rmlib": "kept"}), path)
    return path


def run(course: Path, *arguments: str) -> int:
    folders = ["--notebooks", str(course / "notebooks"), "--copies", str(course / "copies")]
    return run_notebooks.main([*folders, *arguments])


def outputs(path: Path) -> list[nbformat.NotebookNode]:
    return [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", [])]


def test_a_failing_notebook_is_told_and_the_next_one_runs(course: Path, capsys: pytest.CaptureFixture):
    stored = [write(course, "a.ipynb", "1", "1 / 0", "2"), write(course, "b.ipynb", PLAIN)]
    stored += [write(course, "c.ipynb", "import os; os._exit(1)")]
    before = [path.read_bytes() for path in stored]
    assert run(course) == 1
    told = capsys.readouterr().out
    assert told.index("a.ipynb: cell 1 of 3") < told.index("a.ipynb: cell 2 of 3") < told.index("b.ipynb: cell 1 of 1")
    table = [line.split() for line in told[told.index("notebook "):].splitlines()]
    assert table[0] == ["notebook", "cells", "seconds", "ok"]
    assert [(row[0], row[1], row[3]) for row in table[1:4]] == [
        ("a.ipynb", "3", "no"), ("b.ipynb", "1", "yes"), ("c.ipynb", "1", "no")]
    assert "a.ipynb: cell 2 of 3: ZeroDivisionError: division by zero" in told
    assert "c.ipynb: cell 1 of 1: the kernel died" in told
    assert [path.read_bytes() for path in stored] == before
    assert outputs(course / "copies/b.ipynb")[0].text == "of the reader True\n"


def test_a_cell_that_does_not_end_in_time_is_told(course: Path):
    path = write(course, "a.ipynb", "1", "import time\nwhile True: time.sleep(1)", "3")
    found = run_notebooks.run_one(path, course / "copies", refresh=False, seconds=1)
    assert (found.error, found.cells) == ("cell 2 of 3: out of time", 3) and found.seconds < 60


def test_a_kernel_that_never_answers_is_told(course: Path, monkeypatch: pytest.MonkeyPatch):
    async def silent(self, **_):
        raise RuntimeError("Kernel didn't respond in 120 seconds")

    monkeypatch.setattr(run_notebooks.NotebookClient, "async_start_new_kernel_client", silent)
    found = run_notebooks.run_one(write(course, "a.ipynb", "1"), course / "copies", refresh=False)
    assert found.error == "cell 0 of 1: Kernel didn't respond in 120 seconds"


def test_refresh_stores_the_quick_profiles_outputs_and_is_stable(course: Path):
    stored = write(course, "b.ipynb", PLAIN, "import ipywidgets; ipywidgets.IntSlider()", "6 * 7")
    assert run(course, "--refresh") == 0
    notebook, first = nbformat.read(stored, as_version=4), stored.read_bytes()
    assert [output.get("text") or output.data["text/plain"] for output in outputs(stored)] == ["quick True\n", "42"]
    assert set(notebook.metadata) == {"kernelspec", "language_info", "rmlib"}
    assert [cell.execution_count for cell in notebook.cells[1:]] == [1, 2, 3]
    assert not [cell for cell in notebook.cells if cell.metadata]
    assert run(course, "--refresh") == 0
    assert stored.read_bytes() == first


def test_every_notebook_begins_without_labels_and_leaves_none(course: Path):
    source = "import os\nwith open(os.environ['RMLIB_LABELS'], 'x') as file: print(os.path.basename(file.name))"
    for name in ("a.ipynb", "b.ipynb"):
        write(course, name, source)
    assert run(course) == run(course, "--refresh") == 0
    assert [outputs(course / folder / name)[0].text for folder in ("copies", "notebooks")
            for name in ("a.ipynb", "b.ipynb")] == ["labels.jsonl\n"] * 4
    assert not [*course.rglob("*labels*")]


@pytest.mark.parametrize("source, reason", [
    ("import sys; print('noise', file=sys.stderr)", "cell 2 wrote to standard error: noise"),
    ("import sys; sys.prefix + '/lib'", "cell 2 shows a path of this machine: "),
])
def test_outputs_that_must_not_be_stored_are_not(course: Path, capsys: pytest.CaptureFixture, source: str, reason: str):
    stored = write(course, "b.ipynb", "1", source)
    before = stored.read_bytes()
    assert run(course, "--refresh") == 1
    assert f"b.ipynb: not stored: {reason}" in capsys.readouterr().out
    assert stored.read_bytes() == before


def test_side_pages_run_last_and_are_stored_in_their_folder(course: Path, capsys: pytest.CaptureFixture):
    (course / "notebooks/side").mkdir()
    stored = [write(course, name, "import os\nos.path.basename(os.getcwd())") for name in ("side/a.ipynb", "b.ipynb")]
    assert run(course, "--refresh") == 0
    told = capsys.readouterr().out
    assert told.index("b.ipynb: cell 1") < told.index("a.ipynb: cell 1")
    for path in (*stored, course / "copies/side/a.ipynb"):
        [output] = outputs(path)
        assert output.data["text/plain"] == ("'side'" if path.name == "a.ipynb" else "'notebooks'")


def test_no_notebooks_is_an_error(course: Path, capsys: pytest.CaptureFixture):
    assert run(course) == 1
    assert "no notebooks in" in capsys.readouterr().err
