"""Every notebook keeps the course's rules; and every rule catches what it is there for."""

import copy
import json
from collections.abc import Callable

import pytest
from notebook_rules import (
    MORE_WORDS,
    MOST_TOGETHER,
    MOST_WORDS,
    RULES,
    SIDE_RULES,
    TOGETHER,
    WAY_RULES,
    broken_links,
    few_words,
    formulas,
    load,
    minutes,
    words,
)
from places import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SIDE = sorted((ROOT / "notebooks" / "side").glob("*.ipynb"))
ALT = "The loss falls from log 2 at the first epoch to 0.1 at the fifth."


def test_there_are_notebooks_to_judge():
    assert NOTEBOOKS, "no notebook in notebooks/: every test below would be empty"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", [*NOTEBOOKS, *SIDE], ids=lambda path: path.stem)
def test_the_notebook_keeps_the_rule(path, rule):
    assert rule(load(path)) == []


@pytest.mark.parametrize("rule", WAY_RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_the_rules_of_the_way(path, rule):
    more = {"most": MORE_WORDS.get(path.name[:2], MOST_WORDS)} if rule is few_words else {}
    assert rule(load(path), **more) == []


@pytest.mark.parametrize("rule", SIDE_RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", SIDE, ids=lambda path: path.stem)
def test_a_side_page_keeps_the_rules_of_the_way_but_for_exercises(path, rule):
    assert rule(load(path)) == []


@pytest.mark.parametrize("path", SIDE, ids=lambda path: path.stem)
def test_a_side_page_is_linked_from_the_way_and_links_back(path):
    linking = [way.name for way in NOTEBOOKS if f"](side/{path.name})" in way.read_text(encoding="utf-8")]
    assert linking and any(f"](../{name}" in path.read_text(encoding="utf-8") for name in linking)


def test_all_of_the_way_is_short_enough_together():
    counted = [path for path in NOTEBOOKS if path.name[:2] in TOGETHER]
    assert counted and sum(words(load(path)) for path in counted) <= MOST_TOGETHER


@pytest.mark.parametrize("path", [*NOTEBOOKS, *SIDE], ids=lambda path: path.stem)
def test_the_notebook_links_to_files_that_exist(path):
    assert broken_links(load(path), path.parent) == []


def test_the_way_in_links_to_the_readme_and_to_every_other_notebook():
    first, *others = NOTEBOOKS
    text = "".join(cell["source"] for cell in load(first)["cells"] if cell["cell_type"] == "markdown")
    assert [name for name in ["../README.md", *(path.name for path in others)] if f"]({name})" not in text] == []


def markdown(source: str) -> dict:
    return {"cell_type": "markdown", "id": "", "metadata": {}, "source": source}


def code(source: str, *outputs: dict) -> dict:
    return {"cell_type": "code", "id": "", "metadata": {}, "source": source, "execution_count": 0,
            "outputs": list(outputs)}


def stream(text: str, name: str = "stdout") -> dict:
    return {"output_type": "stream", "name": name, "text": text, "data": {}}


def shown(metadata: dict | None = None, **data: str) -> dict:
    """An output with data by MIME type, "/" written as "_"."""
    return {"output_type": "display_data", "metadata": metadata or {}, "text": "",
            "data": {mime.replace("_", "/"): content for mime, content in data.items()}}


def numbered(cells: list[dict]) -> dict:
    """A notebook of these cells, as one run would have stored it."""
    runs = (cell for cell in cells if cell["cell_type"] == "code")
    for count, cell in enumerate(runs, start=1):
        cell["execution_count"] = count
    for position, cell in enumerate(cells):
        cell["id"] = f"cell-{position}"
    metadata = {"kernelspec": {"name": "python3"}, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def good() -> dict:
    """A notebook with twelve code cells that keeps every rule, near the edge of some."""
    setup = code("\n".join(["x = 1"] * 30))
    setup["metadata"] = {"tags": ["setup"]}
    exempt = code("time_it()")
    stated = {"exempt_reason": "a speed", "rtol": 0.1, "picture": 0.05}
    exempt["metadata"] = {"tags": ["nbval-ignore-output"], "rmlib": stated}
    picture = shown({"image/png": {"alt": ALT}}, image_png="iVBORw0", text_plain=ALT)
    cells = [
        markdown("# Start here\n\n*At the end of this page you have\ntrained a reward model.*\n\n"
                 "**Time:** 50 minutes. Edit, Clear Outputs of All Cells."),
        setup,
        markdown("<details><summary>Why?</summary>\n\nSee https://a.b/c/d and/or `</details>` ✓.\n</details>"),
        code("show(figure)", picture, shown(text_html=f"<p><em>{ALT}</em></p>")),
        exempt,
        markdown("<details><summary>Hint</summary>\n\nAdd.\n</details>\n\n<details><summary>Solution</summary>\n\n1\n"
                 "</details>\n\n### Exercise 2.1: find the bug\n\nBetween.\nExercise 2.2 is on another page."),
    ]
    cells += [markdown(f"### Exercise 2.{n}: what?\n\nWhat?") for n in (7, 8, 9)]
    for n in range(9):
        cells += [code("\n".join(["a = 1", "", "b = 2", "c = 3", "d = 4", "e = 5"]), stream(f"{n} of 3/4: 0.5\n"))]
        cells += [markdown("After it.")]
    return numbered(cells)


def with_cell(cell: dict) -> Callable[[dict], None]:
    """A planter that puts a code cell, run in its order, near the end."""

    def plant(notebook: dict) -> None:
        notebook["cells"][-1:] = [copy.deepcopy(cell), markdown("After it.")]
        numbered(notebook["cells"])

    return plant


def with_source(position: int, source: str) -> Callable[[dict], None]:
    return lambda notebook: notebook["cells"][position].update(source=source)


def with_metadata(position: int, **metadata: object) -> Callable[[dict], None]:
    return lambda notebook: notebook["cells"][position]["metadata"].update(metadata)


def with_output(*outputs: dict) -> Callable[[dict], None]:
    return with_cell(code("f()", *outputs))


def longer(lines: int, cells: slice) -> Callable[[dict], None]:
    def plant(notebook: dict) -> None:
        for cell in [cell for cell in notebook["cells"] if cell["cell_type"] == "code"][cells]:
            cell["source"] = "\n".join(["a = 1"] * lines)

    return plant


PICTURE = {"image_png": "iVBORw0", "text_plain": "a figure"}
ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "bad", "traceback": [], "text": "", "data": {}}

PLANTED = {
    "short_cells": [longer(6, slice(1, None)), longer(21, slice(-2, None)), longer(31, slice(0, 1))],
    "prose_around_code": [
        lambda notebook: notebook["cells"].insert(4, code("third()")),
        lambda notebook: notebook["cells"].append(code("last()")),
        lambda notebook: notebook["cells"].pop(0),
        with_cell(code(" ")),
    ],
    "one_run_top_to_bottom": [
        lambda notebook: notebook["cells"][3].update(execution_count=7),
        lambda notebook: notebook["cells"][-2].update(execution_count=None),
    ],
    "clean_outputs": [
        with_output(stream("careful", name="stderr")),
        with_output(ERROR),
        with_output(shown(**{"image_svg+xml": "<svg/>"})),
        with_output(shown(**{"application_vnd.jupyter.widget-view+json": "{}"})),
    ],
    "nothing_of_this_machine": [
        with_output(stream("saved to /opt/course/model.safetensors\n")),
        with_output(shown(text_html="<p>C:\\Users\\reader\\model</p>")),
        with_output(stream("done at 14:05:59\n")),
        with_output(stream("done at 9:30\n")),
        with_cell(code("open('/home/reader/pairs.jsonl')")),
        with_metadata(3, execution={"iopub.status.busy": "then"}),
    ],
    "portable_metadata": [
        lambda notebook: notebook["metadata"].update(kernelspec={"name": "my-env"}),
        lambda notebook: notebook["metadata"].update(widgets={}),
        lambda notebook: notebook["metadata"]["language_info"].update(version="3.11.7"),
        lambda notebook: notebook["cells"][2].pop("id"),
        lambda notebook: notebook["cells"][2].update(id="cell-1"),
    ],
    "described_pictures": [
        with_output(shown(**PICTURE), shown(text_html=f"<p>{ALT}</p>")),
        with_output(shown({"image/png": {"alt": "a figure"}}, **PICTURE), shown(text_html="<p>a figure</p>")),
        with_output(shown({"image/png": {"alt": ALT}}, **PICTURE)),
        with_output(shown({"image/png": {"alt": ALT}}, **PICTURE), shown(text_html="<p>Another description.</p>")),
    ],
    "title_and_promise": [
        with_source(0, "## Start here\n\nYou train a reward model."),
        with_source(0, "# Start here\nYou train a reward model."),
        with_source(0, "# Start here"),
        with_source(0, "# Start here\n\n- You train a reward model."),
        with_source(0, "# Start here\n\n[![Open in Colab](a.svg)](b.ipynb) Train a reward model."),
        with_source(0, "# Start here\n\nYou train a reward model. Then you measure it."),
        with_source(0, "# Start here\n\nA reward model"),
    ],
    "folded_answers": [
        with_source(2, "<details><summary>Why?</summary>\n\nBecause."),
        with_source(2, "<details>\n\nBecause.\n</details>"),
        with_source(2, "<details><summary>Why?</summary>\nBecause **so**.\n</details>"),
    ],
    "answers_stand_apart": [
        with_source(2, "<details><summary>Why?</summary>\n\nSo.\n</details>\n\nThe text goes on."),
        with_source(2, "<details><summary>Why?</summary>\n\nSo.\n</details>\n\n`code` goes on."),
        with_source(2, "<details><summary>Why?</summary>\n\nSo.\n</details>\n\n#hashtags are no heading."),
    ],
    "exercises_have_headings": [
        with_source(2, "**Exercise 2.3.** Return the margin."),
        with_source(2, "What now?\n\n**Exercise 2.3 (optional).** Return the margin."),
        with_source(2, "## Exercise 2.3\n\nReturn the margin."),
        with_source(2, "### Exercise 2.3. Return the margin."),
        with_cell(code('check("2.3", margin)')),
    ],
    "calm_and_safe_words": [
        with_source(2, "Well done \U0001f389"),
        with_output(stream("\u2705 passed")),
        with_source(2, "Never `pip install rmlib`."),
        with_source(2, "So never pip install rmlib. It is another's."),
        with_cell(code("%pip install -q torch rmlib==1.0")),
        with_cell(code('run([sys.executable, "-m", "pip", "install", "rmlib"])')),
    ],
    "figures_in_the_course_style": [
        with_cell(code("import matplotlib.pyplot as plt")),
        with_cell(code("%matplotlib inline")),
    ],
    "few_exempt_cells": [
        with_metadata(3, tags=["nbval-skip"], rmlib={"exempt_reason": "two of twelve"}),
        lambda notebook: notebook["cells"][4]["metadata"].pop("rmlib"),
        lambda notebook: notebook["cells"][4]["metadata"]["rmlib"].update(exempt_reason=" "),
        with_cell(code("# NBVAL_IGNORE_OUTPUT\nf()")),
    ],
    "known_tolerances": [
        with_metadata(3, rmlib={"tolerance": 0.1}),
        with_metadata(3, rmlib={"rtol": 0.3}),
        with_metadata(3, rmlib={"atol": -1.0}),
        with_metadata(3, rmlib={"atol": float("nan")}),
        with_metadata(3, rmlib={"atol": float("inf")}),
        with_metadata(3, rmlib={"rtol": "0.1"}),
        with_metadata(3, rmlib={"picture": 0.06}),
        with_metadata(3, rmlib={"picture": -0.01}),
    ],
    "tolerances_below_the_numbers": [
        with_cell(code("f()", stream("0.71 and -0.02")) | {"metadata": {"rmlib": {"atol": 0.02}}}),
    ],
    "small_file": [with_output(shown(text_plain="x" * 1_000_000))],
}
WIDE = "x = " + "1" * 77
PLANTED |= {
    "few_words": [
        with_source(2, "word " * 3_900),
        lambda notebook: notebook["cells"].extend([code("x"), markdown("y")] * 49),
    ],
    "some_exercises": [
        with_source(6, "No exercise."),
        lambda notebook: notebook["cells"].extend(markdown(f"### Exercise 3.{n}") for n in (1, 2, 3)),
    ],
    "narrow_code": [with_cell(code(WIDE)), with_source(2, f"<details>\n\n```python\n{WIDE}\n```\n</details>")],
    "honest_time": [
        with_source(0, "# Start here\n\n*You train.*\n\n**Time:** an hour."),
        with_source(0, "# Start here\n\n*You train.*\n\n**Time:** 30 minutes."),
        with_source(0, "# Start here\n\n*You train.*\n\n**Time:** 54 minutes."),
        with_source(2, "$$\na\n$$\n\n" * 20),
        with_source(2, "word " * 3_000),
    ],
    "numbers_not_words": [
        with_cell(code("print('ok')")),
        with_cell(code("assert_all()\nprint('the four forms', f'agree')")),
        with_cell(code("x == y", shown(text_plain="True"))),
        with_cell(code("print(x == y)", stream("False\n"))),
    ],
    "claims_by_holds": [with_cell(code("x = 1\nassert x == 1")), with_cell(code("def f():\n    assert x"))],
    "says_how_to_clear": [with_source(0, "# Start here\n\n*You train.*\n\n**Time:** 52 minutes.")],
}
CASES = [(rule, plant) for rule in (*RULES, *WAY_RULES) for plant in PLANTED.get(rule.__name__, [])]


def test_every_rule_has_a_planted_violation():
    assert set(PLANTED) == {rule.__name__ for rule in (*RULES, *WAY_RULES)}


def test_a_good_notebook_draws_no_complaint():
    assert [complaint for rule in (*RULES, *WAY_RULES) for complaint in rule(good())] == []


@pytest.mark.parametrize(("rule", "plant"), CASES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_violation_is_caught(rule, plant):
    notebook = good()
    plant(notebook)
    assert len(rule(notebook)) == 1


def test_what_is_a_word_and_what_is_not():
    text = ("# Two words\n\nOne `code_name`, $a b c$ and $\\sigma(\n x)$, a [link of four](01_next.ipynb#top) "
            "<br> 1 - 2.\n\n$$\na = b\n$$\n\n"
            "<details><summary>Hint</summary>\n\n```python\nno = words\n```\n</details>")
    notebook = numbered([markdown(text), markdown("## References\n\n- A. Uthor (1952)"), markdown("## After\n\nit")])
    assert (words(notebook), formulas(notebook), minutes(notebook)) == (2 + 9 + 1 + 2, 1, 2)


def test_broken_links_are_relative_links_that_lead_nowhere(tmp_path):
    (tmp_path / "01_next.ipynb").write_text("{}")
    links = "[on](01_next.ipynb#top) [web](https://example.org/a) [here](#top) `[code](no.ipynb)` [lost](02_lost.ipynb)"
    assert broken_links(numbered([markdown(links)]), tmp_path) == ["02_lost.ipynb does not exist"]


def test_load_joins_what_the_file_keeps_line_by_line(tmp_path):
    cell = code("", stream(""), shown())
    cell["source"] = ["a = 1\n", "b = 2"]
    cell["outputs"][0] = {"output_type": "stream", "name": "stdout", "text": ["one\n", "two\n"]}
    cell["outputs"][1]["data"] = {"text/plain": ["1.\n", "2."]}
    path = tmp_path / "lines.ipynb"
    path.write_text(json.dumps({"cells": [cell], "metadata": {}}))
    loaded = load(path)["cells"][0]
    assert loaded["source"] == "a = 1\nb = 2"
    assert loaded["outputs"][0]["text"] == "one\ntwo\n"
    assert loaded["outputs"][1]["data"] == {"text/plain": "1.\n2."}
