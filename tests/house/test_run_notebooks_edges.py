"""How a notebook's client is asked to run it, and for how long each cell may."""

import os
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools import run_notebooks


@pytest.fixture
def client(monkeypatch) -> dict:
    """What the client is made with; executing it keeps the environment that the kernel would have."""
    kept: dict = {}

    class Client:
        def __init__(self, notebook, **options):
            kept.update(options, notebook=notebook)

        def execute(self, env):
            kept["env"] = env
            kept["folder"] = Path(env["RMLIB_LABELS"]).parent.is_dir()

    monkeypatch.setattr(run_notebooks, "NotebookClient", Client)
    return kept


@pytest.mark.parametrize("now, left", [(100.0, 11), (105.0, 6), (109.9, 1), (110.4, 1), (200.0, 1)])
def test_a_cell_has_what_is_left_of_the_seconds_rounded_up(client, monkeypatch, now, left):
    clock = [100.0]
    monkeypatch.setattr(run_notebooks.time, "perf_counter", lambda: clock[0])
    run = run_notebooks.execute(new_notebook(cells=[new_code_cell("1")]), "a.ipynb", Path("here"), seconds=10.4)
    clock[0] = now
    assert client["timeout_func"](None) == left and client["timeout"] is None
    assert (run.name, run.cells, run.seconds, run.error) == ("a.ipynb", 1, 0.0, None)


def test_a_kernel_is_this_python_without_the_readers_labels(client, monkeypatch):
    monkeypatch.setenv("RMLIB_LABELS", "mine.jsonl")
    notebook = new_notebook(cells=[new_code_cell("1")])
    run_notebooks.execute(notebook, "a.ipynb", Path("here"))
    assert client.pop("notebook") is notebook and client.pop("folder") and client.pop("timeout_func") is None
    env, progress = client.pop("env"), client.pop("on_cell_start")
    labels = Path(env.pop("RMLIB_LABELS"))
    assert labels.name == "labels.jsonl" and not labels.parent.exists()
    assert env == {name: value for name, value in os.environ.items() if name != "RMLIB_LABELS"}
    assert (progress.name, progress.cells) == ("a.ipynb", [0])
    assert client == {"kernel_manager_class": run_notebooks.ThisPythonManager, "timeout": None, "startup_timeout": 120,
                      "record_timing": False, "coalesce_streams": True, "resources": {"metadata": {"path": "here"}}}


def test_what_is_run_is_kept_and_stored_only_where_nothing_is_amiss(tmp_path, monkeypatch):
    path, copies = tmp_path / "a.ipynb", tmp_path / "deep/copies"
    run_notebooks.nbformat.write(new_notebook(cells=[new_code_cell("é")]), path)
    before, told, now = path.read_text(encoding="utf-8"), [], {}

    def execute(notebook, *given):
        told.append(given)
        notebook.cells[0].execution_count = 7
        return run_notebooks.Run("a.ipynb", 1, 2.5, now["error"])

    monkeypatch.setattr(run_notebooks, "execute", execute)
    monkeypatch.setattr(run_notebooks, "unfit_to_store", lambda notebook: now["unfit"])
    for error, unfit, refresh, found in ((None, None, False, None), ("bad", None, True, "bad"),
                                         (None, "a path", True, "not stored: a path")):
        now.update(error=error, unfit=unfit)
        assert run_notebooks.run_one(path, copies, refresh, 9) == run_notebooks.Run("a.ipynb", 1, 2.5, found)
        assert path.read_text(encoding="utf-8") == before and '"execution_count": 7' in (copies / "a.ipynb").read_text()
    now.update(error=None, unfit=None)
    run_notebooks.run_one(path, copies, True)
    stored = path.read_text(encoding="utf-8")
    assert '"execution_count": 7' in stored and stored.endswith("}\n") and "é" in stored and '"Python 3"' in stored
    assert told == [("a.ipynb", tmp_path, 9)] * 3 + [("a.ipynb", tmp_path, None)]
