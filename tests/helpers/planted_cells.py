"""Notebooks with planted cells, and what pytest says of each: for the tests of the notebook harness (conftest.py)."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output
from places import ROOT


def load_harness():
    """The root conftest.py as a module of its own."""
    spec = importlib.util.spec_from_file_location("notebook_harness", ROOT / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cell(source: str, *stored: str, count: int | None = 1, outputs: list | None = None, **metadata):
    """A code cell that was run; `stored` are the texts its stdout is said to have had."""
    streams = [new_output("stream", name="stdout", text=text) for text in stored]
    return new_code_cell(source, execution_count=count, outputs=outputs or streams, metadata=metadata)


def run_pytest(folder: Path, notebooks: dict[str, dict], *options: str, **settings: str) -> dict[str, str]:
    """What pytest says of each cell, and each guard, by its name: passed, failure, skipped. Settings: environment."""
    for name, cells in notebooks.items():
        nbformat.write(new_notebook(cells=list(cells.values())), folder / f"{name}.ipynb")
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), f"--rootdir={folder}",
               "-p", "conftest", "-p", "no:cacheprovider", f"--junitxml={report}", *options]
    environment = os.environ | {"RMLIB_PROFILE": "full", "RMLIB_BACKBONE": "elsewhere", "RMLIB_PAIRS": "other.jsonl"}
    environment |= {"RMLIB_LABELS": str(folder / "labels of a reader.jsonl")} | settings
    paths = sorted(folder.glob("*.ipynb"))
    ran = subprocess.run([*command, *paths], cwd=ROOT, env=environment, capture_output=True, text=True)
    names = {(name, f"Cell {n}"): title for name, cells in notebooks.items() for n, title in enumerate(cells)}
    outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        notebook = case.get("classname").removesuffix(".ipynb").rpartition(".")[2]
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        title = names.get((notebook, case.get("name")), case.get("name"))
        outcomes[title] = kinds.pop() if kinds else "passed"
    assert set(outcomes) >= set(names.values()), ran.stdout + ran.stderr
    return outcomes
