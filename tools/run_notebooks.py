"""Run every notebook from top to bottom without a browser: `make run`.

Executed copies go to build/notebooks. With --refresh the stored outputs in notebooks/ are rewritten as well, from the
quick profile on the CPU, so that they are the same whoever runs them.
"""

import argparse
import math
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from traitlets import default

from rmlib.files import atomic_write_text

ROOT = Path(__file__).resolve().parents[1]
STORED_SETTINGS = {"RMLIB_PROFILE": "quick", "RMLIB_BACKBONE": "", "RMLIB_PAIRS": "", "CUDA_VISIBLE_DEVICES": ""}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


@dataclass(frozen=True)
class Run:
    """How one notebook went: code cells executed, seconds, and the error's one line where there was one."""

    name: str
    cells: int
    seconds: float
    error: str | None


class ThisPython(KernelSpecManager):
    """Offers the Python that runs this file under every kernel name, whatever kernels are registered on the machine."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The specification that ipykernel would register for this Python, without its chatter."""
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict(["--log-level=ERROR"]))


class ThisPythonManager(AsyncKernelManager):
    """A kernel manager that starts no other Python."""

    @default("kernel_spec_manager")
    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return ThisPython()


class Progress:
    """Tells on one line which cell of a notebook is running; a line a cell where the output is no terminal."""

    def __init__(self, name: str, cells: list[int]):
        self.name, self.cells, self.position = name, cells, 0
        self.end = "\r" if sys.stdout.isatty() else "\n"

    def __call__(self, cell_index: int, **_: object) -> None:
        """Called by nbclient before each cell; counts code cells only, as a reader does."""
        if cell_index in self.cells:
            self.position = self.cells.index(cell_index) + 1
            print(f"{self.name}: {self.where()}", end=self.end, flush=True)

    def where(self) -> str:
        """The cell that is running, or that was when the kernel stopped."""
        return f"cell {self.position} of {len(self.cells)}"


def code_cells(notebook: nbformat.NotebookNode) -> list[int]:
    """Indices of the cells that have code to run."""
    return [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip()]


def execute(notebook: nbformat.NotebookNode, name: str, folder: Path, seconds: float | None = None) -> Run:
    """Execute the notebook in place, the kernel working in `folder`; an error is returned, not raised.

    The kernel finds no labels and keeps none: a reader's own would change what is printed, and be changed.
    A cell that still runs after `seconds`, counted from the start, is an error.
    """
    progress, started, error = Progress(name, code_cells(notebook)), time.perf_counter(), None
    left = seconds and (lambda _: max(1, math.ceil(started + seconds - time.perf_counter())))
    client = NotebookClient(
        notebook, kernel_manager_class=ThisPythonManager, timeout=None, timeout_func=left, startup_timeout=120,
        record_timing=False, coalesce_streams=True, resources={"metadata": {"path": str(folder)}},
        on_cell_start=progress,
    )
    try:
        with tempfile.TemporaryDirectory() as labels:
            client.execute(env=os.environ | {"RMLIB_LABELS": str(Path(labels) / "labels.jsonl")})
    except (CellExecutionError, CellTimeoutError, RuntimeError) as failure:  # the last: its kernel died or never began
        error = f"{progress.where()}: {one_line(failure)}"
    return Run(name, len(progress.cells), time.perf_counter() - started, error)


def one_line(failure: CellExecutionError | CellTimeoutError | RuntimeError) -> str:
    """The error's type and message, without the traceback."""
    if isinstance(failure, CellTimeoutError):
        return "out of time"
    if isinstance(failure, CellExecutionError):
        return f"{failure.ename}: {failure.evalue}".splitlines()[0]
    return "the kernel died (out of memory?)" if isinstance(failure, DeadKernelError) else str(failure)


def for_storage(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without what differs between machines and runs: widget state and views, timings, exact Python."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in map(without_widget, cell.outputs) if output is not None]
    return notebook


def without_widget(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    """The output without its widget view; None where only the view's text stand-in would remain."""
    data = output.get("data", {})
    if data.pop(WIDGET_VIEW, None) is not None and set(data) <= {"text/plain"}:
        return None
    return output


def unfit_to_store(notebook: nbformat.NotebookNode) -> str | None:
    """Why these outputs must not be stored (an absolute path, standard error), or None."""
    private = "|".join(re.escape(str(path)) for path in (ROOT, Path.home(), sys.prefix) if str(path) != "/")
    for position, index in enumerate(code_cells(notebook), start=1):
        for output in notebook.cells[index].outputs:
            if output.get("name") == "stderr":
                return f"cell {position} wrote to standard error: {output.text.strip().splitlines()[0]}"
            text = str(output.get("text", "")) + str(output.get("data", {}))
            if found := re.search(rf"({private})\b[^\s'\"]*", text):
                return f"cell {position} shows a path of this machine: {found[0]}"
    return None


def run_one(path: Path, copies: Path, refresh: bool, seconds: float | None = None) -> Run:
    """Run one notebook, keep its executed copy, and store its outputs where `refresh` says so and nothing is amiss."""
    notebook = nbformat.read(path, as_version=4)
    run = execute(notebook, path.name, path.parent, seconds)
    copies.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, copies / path.name)
    if refresh and run.error is None:
        unfit = unfit_to_store(for_storage(notebook))
        if unfit:
            return Run(run.name, run.cells, run.seconds, f"not stored: {unfit}")
        atomic_write_text(path, nbformat.writes(notebook) + "\n")
    return run


def table(runs: list[Run]) -> str:
    """The closing table: notebook, cells, seconds, ok; and below it the errors."""
    width = max(len(run.name) for run in runs)
    lines = [f"{'notebook':<{width}}  cells  seconds  ok"]
    lines += [f"{r.name:<{width}}  {r.cells:>5}  {r.seconds:>7.1f}  {'no' if r.error else 'yes'}" for r in runs]
    return "\n".join(lines + [f"{run.name}: {run.error}" for run in runs if run.error])


def main(arguments: list[str] | None = None) -> int:
    """Run all notebooks in order, those of the folder side last; exit code 1 if any failed."""
    parser = argparse.ArgumentParser(description="Run every notebook; executed copies go to build/notebooks.")
    parser.add_argument("--refresh", action="store_true", help="also rewrite the outputs stored in the notebooks")
    parser.add_argument("--notebooks", type=Path, default=ROOT / "notebooks", metavar="DIR")
    parser.add_argument("--copies", type=Path, default=ROOT / "build" / "notebooks", metavar="DIR")
    options = parser.parse_args(arguments)
    paths = [path for pattern in ("*.ipynb", "side/*.ipynb") for path in sorted(options.notebooks.glob(pattern))]
    if not paths:
        print(f"no notebooks in {options.notebooks}", file=sys.stderr)
        return 1
    if options.refresh:
        os.environ.update(STORED_SETTINGS)
    runs = [run_one(path, options.copies / path.parent.relative_to(options.notebooks), options.refresh)
            for path in paths]
    print("\n" + table(runs))
    return int(any(run.error for run in runs))


if __name__ == "__main__":
    sys.exit(main())
