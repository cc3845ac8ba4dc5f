"""The house rules of the package: small files, one direction of imports, and no torch where it has no place."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import rmlib

PACKAGE = Path(rmlib.__file__).parent
# Each file may import only from files before it.
ORDER = [
    "files", "losses", "rows", "splits", "data", "world", "encoding", "backbone", "unpadded", "model", "checkpoints", "devices",
    "training_config", "training", "evaluation", "gradients", "settings", "__main__",
]
FILES = sorted(path for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def imports(path):
    """Modules of this package that a file imports, anywhere in it: "data", "course.plots"."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "rmlib":
            found |= {f"rmlib.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    assert not [name for name in found if name.startswith(".")], "imports are absolute, and so easy to follow"
    return {name.removeprefix("rmlib.") for name in found if name.startswith("rmlib.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_imports_only_from_files_above_it(path):
    assert path.stem in ORDER, "a new file: give it its place in ORDER"
    for name in imports(path):
        if name.startswith("course"):
            assert path.stem == "__main__"
        else:
            assert ORDER.index(name) < ORDER.index(path.stem)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_can_be_read_in_one_sitting(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 250
    assert not [number for number, line in enumerate(lines, 1) if len(line) > 120]


def test_pairs_and_the_world_need_no_torch():
    code = "import sys; import rmlib.data, rmlib.world; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True, cwd=PACKAGE.parent).stdout.split())
    assert "rmlib.world" in loaded and not {"torch", "transformers"} & loaded
