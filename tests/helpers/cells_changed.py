"""A page's cell by its id, run once more in a guard with other values: the names that it makes, and what it claims."""

import json
from pathlib import Path

import numpy as np
from cells_again import again


def cell_of(page: str, cell_id: str) -> str:
    """The code of one cell of the page that lies in the kernel's folder."""
    cells = json.loads(Path(page).read_text(encoding="utf-8"))["cells"]
    return next("".join(cell["source"]) for cell in cells if cell["id"] == cell_id)


def words_of(page: str, cell_id: str) -> str:
    """The words of one cell of that page, on one line."""
    return " ".join(cell_of(page, cell_id).split())


def names_after(source: str, names: dict, **instead: object) -> dict:
    """All names after the cell has run, where its names mean `names`, but some `instead`. Functions that it defines see
    these too."""
    return again([source], "", names, **instead)[1]


def all_hold(source: str, names: dict, **instead: object) -> bool:
    """Whether all that the cell claims would hold."""
    verdicts = []
    names_after(source, names, **instead, holds=lambda _, condition: verdicts.append(np.asarray(condition).all()))
    assert verdicts, "it claims nothing"
    return all(verdicts)
