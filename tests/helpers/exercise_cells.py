"""The exercises of a notebook, taken out of its cells: statement, stub with its check, hint, solution.

An exercise is three cells: a text under the heading "### Exercise 2.1", a code cell with the stub and
`check("2.1", name)`, and a text with a hint and a solution, each folded into <details>.
"""

import ast
import contextlib
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from notebook_rules import HEADING, load, tags

CHECK = re.compile(r"^check\(\s*[\"'](\d+\.\d+)[\"'],\s*(\w+)\s*\)", re.MULTILINE)
STATEMENT = re.compile(rf"^{HEADING}", re.MULTILINE)
FOLDED = re.compile(r"<details[^>]*>\s*<summary>([^<]*)</summary>\n\n(.*?)</details>", re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)


@dataclass(frozen=True)
class Cells:
    """One exercise as it stands in its notebook.

    given: the imports, definitions and literal constants of the code cells above the stub, one source each.
    name: the function that the reader fills in. hint, solution: "" where there is none.
    """

    number: str
    name: str
    statement: str
    stub: str
    hint: str
    solution: str
    given: tuple[str, ...]

    def namespace(self, *sources: str) -> dict[str, object]:
        """What the names of the notebook stand for after what is given and these sources have been run."""
        names: dict[str, object] = {"__name__": f"exercise {self.number}"}
        for source in self.given:
            with contextlib.suppress(NameError):  # a default value that the notebook has computed, say
                exec(source, names)
        for source in sources:
            exec(source, names)
        return names

    def solved(self, solution: str | None = None) -> object:
        """The function as the solution, or another in its place, defines it: run below the stub, as a reader would."""
        stub = CHECK.sub("", self.stub)
        return self.namespace(stub, self.solution if solution is None else solution)[self.name]


def parsed(source: str) -> list[ast.stmt]:
    return ast.parse(MAGIC.sub("", source)).body


def is_definition(statement: ast.stmt) -> bool:
    """Whether a statement can be run without the notebook's computations: an import, a definition, a literal."""
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        try:
            ast.literal_eval(statement.value)
        except ValueError:
            return False
        return True
    return isinstance(statement, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)


def exercises_in(notebook: Path) -> list[Cells]:
    """The notebook's exercises with a check, in order."""
    cells, found, given = load(notebook)["cells"], [], []
    around = [{"cell_type": "none", "source": ""}, *cells, {"cell_type": "none", "source": ""}]
    for (before, cell), (_, after) in pairwise(pairwise(around)):
        if cell["cell_type"] != "code" or "setup" in tags(cell):
            continue
        for number, name in CHECK.findall(cell["source"]):
            statement = before["source"] if number in STATEMENT.findall(before["source"]) else ""
            folded = dict(FOLDED.findall(after["source"])) if after["cell_type"] == "markdown" else {}
            solution = PYTHON.search(folded.get("Solution", ""))
            found.append(Cells(number, name, statement, cell["source"], folded.get("Hint", "").strip(),
                               solution[1] if solution else "", tuple(given)))
        given += [ast.unparse(statement) for statement in parsed(cell["source"]) if is_definition(statement)]
    return found


def names_used(notebook: Path) -> list[set[str]]:
    """For each code cell the names that it reads."""
    sources = [cell["source"] for cell in load(notebook)["cells"] if cell["cell_type"] == "code"]
    return [{node.id for statement in parsed(source) for node in ast.walk(statement)
             if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)} for source in sources]
