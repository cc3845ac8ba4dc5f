"""Students' copies: nothing that tells, all else; they run, and what was worked in is not written over."""

import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from exercise_cells import exercises_in
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_rules import broken_links, load
from places import ROOT

from tools import make_student, run_notebooks

NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
FOLDED = ("Why?\n\n<details><summary>Hint</summary>\n\nAdd.\n</details>\n\n<details><summary>Solution</summary>\n\n"
          "```python\nsecret\n```\n</details>\n\n<details><summary>And then?</summary>\n\nMore.\n</details>")


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """Notebooks that find the package above them, with a side page."""
    setup = json.loads((ROOT / "notebooks/00_start_here.ipynb").read_text(encoding="utf-8"))["cells"]
    [source] = ["".join(cell["source"]) for cell in setup if "setup" in cell["metadata"].get("tags", [])]
    (tmp_path / "rmlib").mkdir()
    shutil.copytree(ROOT / "rmlib/course", tmp_path / "rmlib/course")
    shutil.copy(ROOT / "rmlib/__init__.py", tmp_path / "rmlib")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, up in (("00_first", "../"), ("side/more", "../../")):
        run = new_code_cell("import rmlib\nprint(rmlib.__file__)", execution_count=2, outputs=[new_output("stream")])
        links = f"[all]({up}README.md) [here](00_first.ipynb) [up](../00_first.ipynb) [web](https://a.b/../c)"
        cells = [new_markdown_cell(links), new_code_cell(source), run, new_markdown_cell(FOLDED),
                 new_markdown_cell("<details><summary>Solution</summary>\n\nsecret\n</details>")]
        path = tmp_path / f"notebooks/{name}.ipynb"
        path.parent.mkdir(exist_ok=True)
        nbformat.write(new_notebook(cells=cells), path)
    return tmp_path


def write(course: Path) -> int:
    return make_student.main(["--notebooks", str(course / "notebooks"), "--out", str(course / "build/student")])


def test_a_copy_has_all_but_outputs_and_solutions_and_its_links_lead_where_they_led(course: Path):
    assert write(course) == 0
    for name, up in (("00_first", "../../"), ("side/more", "../../../")):
        links, _, run, folded = nbformat.read(course / f"build/student/{name}.ipynb", as_version=4).cells
        assert links.source == (f"[all]({up}README.md) [here](00_first.ipynb) [up](../00_first.ipynb) "
                                "[web](https://a.b/../c)")
        assert run.outputs == [] and run.execution_count is None
        assert re.findall("<summary>(.*?)</summary>", folded.source) == ["Hint", "And then?"]
        assert "secret" not in folded.source and folded.source.count("</details>") == 2


def test_copies_run(course: Path):
    """From their own folders they find the course's code: of this clone, not another that is installed."""
    write(course)
    for name in ("00_first.ipynb", "side/more.ipynb"):
        path = course / "build/student" / name
        notebook = nbformat.read(path, as_version=4)
        assert run_notebooks.execute(notebook, path.name, path.parent).error is None
        assert notebook.cells[2].outputs[0].text == f"{course}/rmlib/__init__.py\n"


def test_a_copy_that_was_worked_in_is_left(course: Path, capsys: pytest.CaptureFixture):
    write(course)
    mine = course / "build/student/00_first.ipynb"
    mine.write_text("mine", encoding="utf-8")
    assert write(course) == 0 and mine.read_text(encoding="utf-8") == "mine"
    assert f"{mine}: left as it is" in capsys.readouterr().out


def test_without_notebooks_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert write(tmp_path) == 1
    assert "no notebooks in" in capsys.readouterr().err


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_solution_of_the_course_is_left_and_every_hint_is(path: Path, tmp_path: Path):
    whole, copy = exercises_in(path), tmp_path / path.name
    nbformat.write(make_student.student(path), copy)
    texts = [cell["source"] for cell in load(copy)["cells"] if cell["cell_type"] == "markdown"]
    assert not any("<summary>Solution" in text for text in texts)
    for exercise in whole:
        assert any(exercise.hint in text for text in texts)
        assert not any(exercise.solution in text for text in texts)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_of_the_copies_lead_somewhere(path: Path):
    """As if the copy lay in build/student, one folder deeper than it does, beside all the others."""
    text = make_student.student(path)
    place = ROOT / "build/student" / path.relative_to(ROOT / "notebooks").parent
    outward = {"cells": [{"cell_type": "markdown", "source": re.sub(r"\]\([^)]*\.ipynb", "](", cell.source)}
                         for cell in text.cells if cell.cell_type == "markdown"]}
    place.mkdir(parents=True, exist_ok=True)
    assert broken_links(outward, place) == []
