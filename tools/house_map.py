"""The map of the package, by `make map`: layers, rooms and files with their lines, and what each file says it holds."""

import ast
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "rmlib"
UPPER = ("practice", "course")


def layer(path: Path) -> str:
    """The layer that a file of the package belongs to; `doors` are the two files by which one comes in."""
    top = path.relative_to(PACKAGE).parts[0]
    return top if top in UPPER else "doors" if top in ("__init__.py", "__main__.py") else "core"


def lines(paths: list[Path]) -> int:
    """How many lines the files have together."""
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)


def purpose(path: Path) -> str:
    """The first sentence of a file's docstring."""
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(told.split("\n\n")[0].split()).split(". ")[0].rstrip(".")


def main() -> int:
    """Print the map."""
    files = sorted(PACKAGE.rglob("*.py"), key=lambda path: (path.parent != PACKAGE, path.parent, path))
    for name in ("doors", "core", *UPPER):
        inside = [path for path in files if layer(path) == name]
        print(f"{name}: {lines(inside):,} lines")
        room = PACKAGE
        for path in inside:
            if path.parent != room:
                room = path.parent
                print(f"  {room.relative_to(PACKAGE)}/  {lines([each for each in inside if each.parent == room])}")
            indent = "  " if room == PACKAGE else "    "
            print(f"{indent}{path.name:<{26 - len(indent)}} {lines([path]):>4}  {purpose(path)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
