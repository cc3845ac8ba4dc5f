"""Run a page's cell once more, in a guard, with other values for what it has of the page, and read what it prints.

A cell whose numbers differ between machines is compared with room; with values that the guard chooses it is not.
"""

import contextlib
import io
import json
from pathlib import Path


def code_of(page: str) -> list[str]:
    """The code of each cell of the page that lies in the kernel's folder."""
    cells = json.loads(Path(page).read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def printed(cells: list[str], part: str, names: dict, **instead: object) -> str:
    """What the first cell with `part` in its code prints, where its names mean `names`, but some `instead`."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(next(each for each in cells if part in each), names | instead)
    return out.getvalue()
