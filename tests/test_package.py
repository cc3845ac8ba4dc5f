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
    "files", "losses", "rows", "splits", "lengths", "preflight", "data", "baselines", "world", "encoding",
    "backbone", "unpadded", "model", "checkpoints", "devices", "training_config", "training",
    "evaluation.intervals", "evaluation.calibration", "evaluation.gold", "evaluation.bias", "evaluation.summary",
    "evaluation.account", "evaluation", "gradients", "settings", "arguments", "__main__",
]
COURSE = PACKAGE / "course"  # has its own ways


def module(path):
    """The name of a file inside the package: "losses", "evaluation.gold"; of a folder's __init__.py: "evaluation"."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


FILES = {module(path): path for path in sorted(PACKAGE.rglob("*.py"))
         if COURSE not in path.parents and path != PACKAGE / "__init__.py"}


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


def test_every_file_has_its_place():
    assert set(FILES) == set(ORDER) and len(ORDER) == len(set(ORDER)), "a new file: give it its place in ORDER"


@pytest.mark.parametrize("name", FILES)
def test_a_file_imports_only_from_files_above_it(name):
    for other in imports(FILES[name]):
        if other.startswith("course"):
            assert name == "__main__"
        else:
            assert ORDER.index(other) < ORDER.index(name)


@pytest.mark.parametrize("name", FILES)
def test_a_file_can_be_read_in_one_sitting(name):
    lines = FILES[name].read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 250
    assert not [number for number, line in enumerate(lines, 1) if len(line) > 120]


def test_pairs_and_the_world_need_no_torch():
    code = "import sys; import rmlib.data, rmlib.world; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True, cwd=PACKAGE.parent).stdout.split())
    assert "rmlib.world" in loaded and not {"torch", "transformers"} & loaded
