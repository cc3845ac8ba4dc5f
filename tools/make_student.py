"""Write copies of the notebooks to predict and work in, without outputs and without solutions: `make student`.

They go to build/student. Hints stay; so does what is folded away and is no solution. A copy that is there already and
has been worked in is left as it is.
"""

import argparse
import re
import sys
from pathlib import Path

import nbformat

from rmlib.files import atomic_write_text

ROOT = Path(__file__).resolve().parents[1]
SOLUTION = re.compile(r"<details[^>]*>\s*<summary>\s*Solution.*?</summary>.*?</details>\s*", re.DOTALL)
OUTWARD = re.compile(r"\]\((?=(?:\.\./)+[^.\s)])(?![^)\s]*\.ipynb)")


def student(path: Path) -> nbformat.NotebookNode:
    """The notebook without outputs, numbers of runs and solutions; links to what is beside notebooks/ lead there."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:  # build/student is one folder deeper than notebooks/
            cell.source = OUTWARD.sub("](../", SOLUTION.sub("", cell.source)).rstrip()
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    return notebook


def main(arguments: list[str] | None = None) -> int:
    """Write all copies; exit code 1 where there is no notebook."""
    parser = argparse.ArgumentParser(description="Write copies of the notebooks without outputs and solutions.")
    parser.add_argument("--notebooks", type=Path, default=ROOT / "notebooks", metavar="DIR")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "student", metavar="DIR")
    options = parser.parse_args(arguments)
    paths = [path for pattern in ("*.ipynb", "side/*.ipynb") for path in sorted(options.notebooks.glob(pattern))]
    for path in paths:
        target, text = options.out / path.relative_to(options.notebooks), nbformat.writes(student(path)) + "\n"
        if target.exists() and target.read_text(encoding="utf-8") != text:
            print(f"{target}: left as it is; another copy is there. Move it away, and run this again, for a new one.")
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(target, text)
        print(f"{path.name} -> {target}")
    if not paths:
        print(f"no notebooks in {options.notebooks}", file=sys.stderr)
    return int(not paths)


if __name__ == "__main__":
    sys.exit(main())
