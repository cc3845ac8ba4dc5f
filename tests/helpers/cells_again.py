"""Run a page's cell once more, in a guard, with other values for what it has of the page, and read what it prints.

A cell whose numbers differ between machines is compared with room; with values that the guard chooses it is not.
"""

import contextlib
import io
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace


def code_of(page: str) -> list[str]:
    """The code of each cell of the page that lies in the kernel's folder."""
    cells = json.loads(Path(page).read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def again(cells: list[str], part: str, names: dict, **instead: object) -> tuple[str, dict]:
    """What the first cell with `part` in its code prints where its names mean `names`, but some `instead`, and what
    its names mean then."""
    names = names | instead
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(next(each for each in cells if part in each), names)
    return out.getvalue(), names


def printed(cells: list[str], part: str, names: dict, **instead: object) -> str:
    """What that cell prints."""
    return again(cells, part, names, **instead)[0]


def but(module: ModuleType, **others: object) -> SimpleNamespace:
    """A module with some of its names meaning something else, to stand in its place in a cell."""
    return SimpleNamespace(**vars(module) | others)


def shown(cells: list[str], part: str, names: dict, **instead: object) -> object:
    """The figure that the first cell with `part` in its code shows."""
    figures: list = []
    again(cells, part, names, show=lambda figure, alt: figures.append(figure), **instead)
    [figure] = figures
    return figure


def words_on(figure) -> list[str]:
    """The titles of a figure's panels, what is written along their axes, and the names in their legends, in order: a
    letter in a picture is fewer pixels than two pictures may differ in."""
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    along = [words for axes in figure.axes for words in (
        axes.get_title() or axes.get_title("left"), axes.get_xlabel(), axes.get_ylabel())]
    return [words for words in along if words] + [text.get_text() for each in legends for text in each.get_texts()]
