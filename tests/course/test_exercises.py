"""Every exercise of every notebook: its stub, its solution, known mistakes, edits of the solution, wrong answers."""

import importlib.util
import re
from collections.abc import Callable

import numpy as np
import pytest
from exercise_cells import Cells, exercises_in, names_used
from places import ROOT

from rmlib.course.exercises import check
from rmlib.course.exercises.engine import NOTEBOOKS, WrongAnswer, find

PATHS = {name: ROOT / f"notebooks/{int(number):02d}_{name}.ipynb" for number, name in NOTEBOOKS.items()}
HERE = [name for name, path in PATHS.items() if path.exists()]
EXERCISES = {cells.number: cells for name in HERE for cells in exercises_in(PATHS[name])}
EDITED = [name for name in HERE if importlib.util.find_spec(f"mutants.{name}")]
MUTANTS = dict(item for name in EDITED for item in importlib.import_module(f"mutants.{name}").MUTANTS.items())
MISTAKES = [(number, mistake) for number in EXERCISES for mistake in find(number).mistakes]

each_notebook = pytest.mark.parametrize("name", HERE)
each_exercise = pytest.mark.parametrize("cells", EXERCISES.values(), ids=EXERCISES)


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RMLIB_STRICT_EXERCISES", "1")


def told(number: str, function: Callable) -> str:
    """What a wrong answer is told."""
    with pytest.raises(WrongAnswer) as wrong:
        check(number, function)
    return str(wrong.value)


def test_every_notebook_has_exercises_and_a_file_for_them():
    here = re.findall(r"\(notebooks/([^)]+)\).*\| here \|", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {path.name for path in PATHS.values() if path.exists()} == set(here)
    assert [path.name for path in (ROOT / "notebooks").glob("0*.ipynb") if not exercises_in(path)] == []


@each_notebook
def test_what_the_notebook_asks_is_what_its_file_checks(name: str):
    in_file = [exercise.number for exercise in importlib.import_module(f"rmlib.course.exercises.{name}").EXERCISES]
    assert [cells.number for cells in exercises_in(PATHS[name])] == in_file
    assert len(in_file) >= 4 and len(set(in_file)) == len(in_file)


@each_notebook
def test_one_exercise_at_least_is_to_find_a_bug(name: str):
    assert any(re.search(r"\bbugs?\b", cells.statement) for cells in exercises_in(PATHS[name]))


@each_notebook
def test_no_other_cell_uses_what_the_reader_writes(name: str):
    asked = {cells.name for cells in exercises_in(PATHS[name])}
    uses = [used & asked for used in names_used(PATHS[name])]
    assert sum(map(len, uses)) == len(asked), "each name is read once, by its check"


@each_exercise
def test_an_exercise_is_complete(cells: Cells):
    assert cells.statement and cells.hint and cells.solution
    assert f"def {cells.name}(" in cells.stub and "raise NotImplementedError" in cells.stub
    assert len(MUTANTS.get(cells.number, [])) >= 3
    assert find(cells.number).judge or len(find(cells.number).mistakes) >= 3


@each_exercise
def test_the_stub_is_not_attempted(cells: Cells, capsys: pytest.CaptureFixture):
    cells.namespace("from rmlib.course.exercises import check", cells.stub)
    printed = capsys.readouterr().out
    assert printed.startswith(f"{cells.number}: not attempted yet") and printed.count("\n") == 1


@each_exercise
def test_the_solution_on_the_page_is_right(cells: Cells, capsys: pytest.CaptureFixture):
    for _ in range(3):
        check(cells.number, cells.solved())
    assert capsys.readouterr().out.count(f"{cells.number}: right") == 3


@pytest.mark.parametrize("number, old, new, words", [(n, *edit) for n, edits in MUTANTS.items() for edit in edits])
def test_an_edit_of_the_solution_is_told_by_name(number: str, old: str, new: str, words: str):
    solution = EXERCISES[number].solution
    assert old in solution
    assert words.lower() in told(number, EXERCISES[number].solved(solution.replace(old, new))).lower()


@pytest.mark.parametrize("number, mistake", MISTAKES)
def test_a_known_mistake_is_told_by_its_own_name(number: str, mistake: str):
    assert mistake.rstrip(".") in told(number, find(number).mistakes[mistake])


@each_exercise
def test_a_forgotten_return_is_told(cells: Cells):
    """Where None is an answer, or nothing is to be returned, the exercise says what else is wrong."""
    said = told(cells.number, lambda *given: None)
    assert ("is there a `return`?" in said) != find(cells.number).silent


def spoiled(value: object, rng: np.random.Generator) -> object:
    """The same kind of value, and another one."""
    if isinstance(value, tuple | list) and value:
        return type(value)(spoiled(part, rng) for part in value)
    if isinstance(value, bool | np.bool_):
        return not value
    return str(value) + "?" if isinstance(value, str) else value * rng.normal() + rng.normal()


@each_exercise
def test_wrong_answers_are_told_wrong(cells: Cells):
    rng, solved = np.random.default_rng(), cells.solved()
    wrong: dict[str, Callable] = {
        "nothing": lambda *given: None,
        "not a number": lambda *given: float("nan"),
        "a random number": lambda *given: rng.normal(),
        "words": lambda *given: "forty-two",
        "an error": lambda *given: {}["key"],
    }
    if find(cells.number).answer:  # a judge may find one thing as good as another
        wrong["all spoiled"] = lambda *given: spoiled(solved(*given), rng)
    for what, function in wrong.items():
        assert "not right yet" in told(cells.number, function), what


def nudged(value: object) -> object:
    """The same, each of its numbers larger by 0.2 %."""
    if isinstance(value, tuple | list):
        return type(value)(map(nudged, value))
    if isinstance(value, dict):
        return {key: nudged(part) for key, part in value.items()}
    return value if isinstance(value, str | bool) else value * 1.002


def is_measured(number: str) -> bool:
    """Whether the answer is one of numbers: a verdict in words, or of yes or no, can't be off by a little."""
    answer, draw = find(number).answer, find(number).draw
    return bool(answer) and not isinstance(answer(*draw(np.random.default_rng(0))), str | bool)


@pytest.mark.parametrize("number", list(filter(is_measured, EXERCISES)))
def test_what_is_off_by_two_thousandths_is_told_wrong(number: str):
    """The coarsest tolerance is of one thousandth."""
    assert "not right yet" in told(number, lambda *given: nudged(find(number).answer(*given)))


def test_the_price_of_many_draws_is_a_number():
    """A level that the best of 256 is never on adds nothing: 0 log 0."""
    given = np.array([0.001, 0.499, 0.5]), np.arange(3.0), 256
    assert np.allclose([EXERCISES["8.1"].solved()(*given), find("8.1").answer(*given)], np.log(2))
