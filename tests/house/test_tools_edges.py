"""What the commands of tools/ print and refuse, word for word, and what they do at the edges."""

import sys
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import rmlib
from tools import gpu_parts, house_map, make_slides, make_student, pages, run_notebooks, try_colab

SIZES = {"words": 1200, "columns": 78, "formulas": 3, "exercises": 2, "minutes": 45}


# --- make map, make pages ------------------------------------------------------------------------------------------

def test_the_map_of_a_small_package_word_for_word(tmp_path, monkeypatch, capsys):
    files = {"__init__.py": '"""The door. And more."""\nx = 1\n', "__main__.py": '"""The other\ndoor.\n\nMore."""\n',
             "losses.py": '"""What it costs."""\n', "pairs/rows.py": '"""Rows."""\n' + "y = 1\n" * 999,
             "pairs/__init__.py": "", "practice/report/page.py": '"""A page, v. 2, of words. Not all."""\n',
             "course/world.py": "z = 1\n\n"}
    for name, source in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source, encoding="utf-8")
    monkeypatch.setattr(house_map, "PACKAGE", tmp_path)
    assert house_map.main() == 0
    assert capsys.readouterr().out == (
        "doors: 6 lines\n"
        "  __init__.py                 2  The door\n"
        "  __main__.py                 4  The other door\n"
        "core: 1,001 lines\n"
        "  losses.py                   1  What it costs\n"
        "  pairs/  1000\n"
        "    __init__.py               0  \n"
        "    rows.py                1000  Rows\n"
        "practice: 1 lines\n"
        "  practice/report/  1\n"
        "    page.py                   1  A page, v\n"
        "course: 2 lines\n"
        "  course/  2\n"
        "    world.py                  2  \n")


def test_pages_prints_its_table_with_the_sum_of_the_way(tmp_path, monkeypatch, capsys):
    (tmp_path / "notebooks/side").mkdir(parents=True)
    (tmp_path / "teach/decks").mkdir(parents=True)
    (tmp_path / "teach/decks/00.md").write_text("# One\n\nNotes: 1\n---\n## Two\n\nNotes: 2\n", encoding="utf-8")
    for name in ("08_last", "00_first", "side/more"):
        (tmp_path / f"notebooks/{name}.ipynb").touch()
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    monkeypatch.setattr(pages.rules, "load", lambda path: path.stem)
    monkeypatch.setattr(pages.rules, "code_cells", lambda notebook: [1] * (12 if notebook == "00_first" else 7))
    monkeypatch.setattr(pages.rules, "stated_minutes", lambda notebook: 50 if notebook == "00_first" else None)
    for name, value in SIZES.items():
        monkeypatch.setattr(pages.rules, name, lambda notebook, value=value: value)
    assert pages.main() == 0
    assert capsys.readouterr().out == (
        "notebook     words     cells   columns  formulas exercises     takes    states      deck\n"
        "00_first     1,200        12        78         3         2        45        50         2\n"
        "08_last      1,200         7        78         3         2        45         -         -\n"
        "more         1,200         7        78         3         2        45         -         -\n"
        "00 to 07     1,200        12\n"
        "at most: 3,800 words, 07: 4,500, together 28,000; 60 cells, 80 columns\n")


# --- make run ------------------------------------------------------------------------------------------------------

def test_the_table_of_a_run_word_for_word():
    runs = [run_notebooks.Run("00_first.ipynb", 12, 3.449, None),
            run_notebooks.Run("b.ipynb", 3, 1234.56, "cell 2: no")]
    assert run_notebooks.table(runs) == (
        "notebook        cells  seconds  ok\n"
        "00_first.ipynb     12      3.4  yes\n"
        "b.ipynb             3   1234.6  no\n"
        "b.ipynb: cell 2: no")


@pytest.mark.parametrize("failure, told", [
    (CellTimeoutError("long"), "out of time"), (DeadKernelError("Kernel died"), "the kernel died (out of memory?)"),
    (RuntimeError("Kernel didn't respond"), "Kernel didn't respond"),
    (CellExecutionError("traceback", "ValueError", "first\nsecond"), "ValueError: first"),
])
def test_a_failure_is_told_in_one_line(failure, told):
    assert run_notebooks.one_line(failure) == told


@pytest.mark.parametrize("terminal, end", [(True, "\r"), (False, "\n")])
def test_progress_counts_code_cells_on_one_line_of_a_terminal(monkeypatch, capsys, terminal, end):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    progress = run_notebooks.Progress("a.ipynb", [1, 4])
    assert progress.where() == "cell 0 of 2"
    for index in range(5):
        progress(cell_index=index, cell=None)
    assert capsys.readouterr().out == f"a.ipynb: cell 1 of 2{end}a.ipynb: cell 2 of 2{end}"


def test_cells_without_code_are_not_counted():
    cells = [new_markdown_cell("x"), new_code_cell(" \n"), new_code_cell("1"), new_markdown_cell("y")]
    assert run_notebooks.code_cells(new_notebook(cells=[*cells, new_code_cell("2")])) == [2, 4]


VIEW = run_notebooks.WIDGET_VIEW


@pytest.mark.parametrize("data, kept", [
    ({VIEW: {}, "text/plain": "stand-in"}, None), ({VIEW: {}}, None), ({"text/plain": "42"}, {"text/plain": "42"}),
    ({VIEW: {}, "text/html": "<p>", "text/plain": "x"}, {"text/html": "<p>", "text/plain": "x"}),
])
def test_a_widget_s_view_is_not_stored(data, kept):
    found = run_notebooks.without_widget(new_output("display_data", data))
    assert (found if found is None else found["data"]) == kept


@pytest.mark.parametrize("output, told", [
    (new_output("stream", text="all well"), None),
    (new_output("stream", name="stderr", text="\nfirst\nsecond"), "cell 2 wrote to standard error: first"),
    (new_output("stream", text=f"at '{run_notebooks.ROOT}/rmlib/x.py' it is"),
     f"cell 2 shows a path of this machine: {run_notebooks.ROOT}/rmlib/x.py"),
    (new_output("execute_result", {"text/plain": f"{Path.home() / 'a'} b"}),
     f"cell 2 shows a path of this machine: {Path.home() / 'a'}"),
    (new_output("stream", text=f"{run_notebooks.ROOT}ine"), None),  # another folder, whose name begins alike
])
def test_what_may_not_be_stored(output, told):
    cells = [new_code_cell("1"), new_markdown_cell("x"), new_code_cell("2", outputs=[output])]
    assert run_notebooks.unfit_to_store(new_notebook(cells=cells)) == told


def test_outputs_are_stored_from_the_quick_profile_on_a_cpu():
    assert run_notebooks.STORED_SETTINGS == {"RMLIB_PROFILE": "quick", "RMLIB_BACKBONE": "", "RMLIB_PAIRS": "",
                                             "CUDA_VISIBLE_DEVICES": ""}


def test_notebooks_run_in_order_those_of_the_side_last_with_what_is_asked(tmp_path, monkeypatch, capsys):
    (tmp_path / "side").mkdir()
    for name in ("b", "a", "side/d", "side/c"):
        (tmp_path / f"{name}.ipynb").touch()
    asked = []
    monkeypatch.setattr(run_notebooks, "run_one", lambda *given: asked.append(given) or run_notebooks.Run(
        given[0].name, 1, 2.0, None))
    for name in run_notebooks.STORED_SETTINGS:
        monkeypatch.setenv(name, "of the reader")
    for words, refresh in (([], False), (["--refresh"], True)):
        folders = ["--notebooks", str(tmp_path), "--copies", str(tmp_path / "copies")]
        assert run_notebooks.main([*folders, *words]) == 0
        assert [(path.stem, copies.relative_to(tmp_path).as_posix(), stored) for path, copies, stored in asked] == [
            ("a", "copies", refresh), ("b", "copies", refresh), ("c", "copies/side", refresh),
            ("d", "copies/side", refresh)]
        assert (run_notebooks.os.environ["RMLIB_PROFILE"] == "quick") is refresh
        asked.clear()
    monkeypatch.setattr(run_notebooks, "ROOT", tmp_path)
    assert run_notebooks.main(["--notebooks", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == f"no notebooks in {tmp_path / 'none'}\n"


# --- make student --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("source, kept", [
    ("[a](../README.md) [b](../../docs/x.md)", "[a](../../README.md) [b](../../../docs/x.md)"),
    ("[a](../00_first.ipynb) [b](side/x.ipynb#y) [c](x.md)", "[a](../00_first.ipynb) [b](side/x.ipynb#y) [c](x.md)"),
    ("[up](..) [up](../) [further](../..)", "[up](..) [up](../) [further](../..)"),
    ("<details open>\n<summary> Solution of 1</summary>\nx\n</details>\n\nAfter.  ", "After."),
    ("<details><summary>Hint</summary>Solution</details>", "<details><summary>Hint</summary>Solution</details>"),
])
def test_what_a_copy_keeps_of_a_text(tmp_path, source, kept):
    path = tmp_path / "a.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell(source), new_markdown_cell(" \n")]), path)
    assert [cell.source for cell in make_student.student(path).cells] == [kept]


def test_copies_are_told_word_for_word(tmp_path, capsys):
    (tmp_path / "in/side").mkdir(parents=True)
    for name in ("b", "a", "side/c"):
        nbformat.write(new_notebook(cells=[new_code_cell("é = 1")]), tmp_path / f"in/{name}.ipynb")
    words, out = ["--notebooks", str(tmp_path / "in"), "--out", str(tmp_path / "out")], tmp_path / "out"
    assert make_student.main(words) == 0
    told = [f"{Path(name).name}.ipynb -> {out}/{name}.ipynb\n" for name in ("a", "b", "side/c")]
    assert capsys.readouterr().out == "".join(told)
    assert (out / "a.ipynb").read_text(encoding="utf-8").endswith("}\n")
    (out / "b.ipynb").write_text("mine", encoding="utf-8")
    assert make_student.main(words) == 0
    told[1] = (f"{out}/b.ipynb: left as it is; another copy is there. Move it away, and run this again, for a new "
               "one.\n")
    assert capsys.readouterr().out == "".join(told)
    assert make_student.main(["--notebooks", str(out / "none")]) == 1
    assert capsys.readouterr().err == f"no notebooks in {out / 'none'}\n"


# --- where all this goes when nothing is said ----------------------------------------------------------------------

def test_the_usual_folders(monkeypatch, tmp_path):
    root, asked = run_notebooks.ROOT, []
    assert root == make_slides.ROOT == make_student.ROOT == try_colab.ROOT == gpu_parts.ROOT == Path(
        rmlib.__file__).parents[1]
    assert (try_colab.VERSIONS, try_colab.FOLDER) == (root / "tools/colab-versions.txt", root / "build/colab")
    assert house_map.PACKAGE == root / "rmlib" and make_slides.TEMPLATE == root / "tools/slides"
    way, side = (sorted((root / "notebooks").glob(pattern)) for pattern in ("*.ipynb", "side/*.ipynb"))

    monkeypatch.setattr(run_notebooks, "run_one",
                        lambda *given: asked.append(given) or run_notebooks.Run("a", 1, 1, None))
    assert run_notebooks.main([]) == 0
    copies = root / "build/notebooks"
    assert asked == [*((path, copies, False) for path in way), *((path, copies / "side", False) for path in side)]

    written: list[tuple[str, str]] = []
    monkeypatch.setattr(make_student, "student", lambda path: new_notebook(metadata={"of": path.stem}))
    monkeypatch.setattr(make_student, "atomic_write_text", lambda path, text: written.append(path))
    monkeypatch.setattr(make_student.Path, "exists", lambda path: False)
    monkeypatch.setattr(make_student.Path, "mkdir", lambda path, **_: asked.append(path))
    assert make_student.main([]) == 0
    assert written == [root / "build/student" / path.relative_to(root / "notebooks") for path in (*way, *side)]

    monkeypatch.setattr(make_slides, "libraries", dict)
    monkeypatch.setattr(make_slides, "deck", lambda path, carried: path.stem)
    monkeypatch.setattr(make_slides.Path, "write_text", lambda path, text, encoding: written.append((path, text)))
    asked.clear()
    written.clear()
    assert make_slides.main([]) == 0 and asked == [root / "build/slides"]
    assert written == [(root / f"build/slides/{path.stem[:2]}.html", path.stem) for path in way]


@pytest.mark.parametrize("tool, helps", [
    (run_notebooks, ["Run every notebook; executed copies go to build/notebooks.",
                     "--refresh also rewrite the outputs stored in the notebooks"]),
    (make_student, ["Write copies of the notebooks without outputs and solutions."]),
    (make_slides, ["Build an HTML deck of slides from each notebook."]),
    (gpu_parts, ["--pairs FILE human comparisons (default: where tests look)",
                 "--python X.Y of the machine with the GPU (default 3.12)",
                 "to unpack there; a folder that is made anew"]),
    (try_colab, ["NN the numbers of the notebooks to run, or all"]),
])
def test_what_a_command_says_of_itself(tool, helps, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as done:
        tool.main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert done.value.code == 0 and [each for each in helps if each not in told] == []
