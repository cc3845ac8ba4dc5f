"""The notebook harness catches what it has to: planted mismatches, run by pytest with this project's settings."""

import sys

import pytest
from nbformat.v4 import new_output
from planted_cells import ROOT, cell, load_harness, run_pytest


def result(text: str):
    return new_output("execute_result", {"text/plain": text}, execution_count=1)


def error(name: str, value: str):
    return new_output("error", ename=name, evalue=value)


CAPTION = new_output("display_data", {"text/html": "<p>falls to 0.5</p>"})

GREEN = {
    "unchanged stream": cell("print('loss 0.6931, epoch 1\\nthen 12 pairs')", "loss 0.6931, epoch 1\nthen 12 pairs\n"),
    "unchanged result": cell("{'a': 1.5}", outputs=[result("{'a': 1.5}")]),
    "unchanged, silent": cell("x = 1"),
    "float within the tolerance": cell("print('loss 0.693')", "loss 0.6931\n"),
    "one in the last digit of a percentage": cell("print('17.0%')", "17.1%\n"),
    "wide tolerance of this cell": cell("print('0.60')", "0.62\n", rmlib={"rtol": 0.05}),
    "wide absolute tolerance of this cell": cell("print('-0.01')", "0.02\n", rmlib={"atol": 0.05}),
    "close numbers in html": cell("display({'text/html': '<p>falls to 0.5001</p>'}, raw=True)", outputs=[CAPTION]),
    "wrong answers to exercises raise": cell("import os; print(os.environ['RMLIB_STRICT_EXERCISES'])", "1\n"),
    "live widget, no view stored": cell("import ipywidgets; display(ipywidgets.IntSlider())"),
    "labels of nobody": cell("from rmlib.course.labels import labels_path\n"
                             "labels_path().write_text(labels_path().name + str(labels_path().exists()))\n"
                             "print(labels_path().read_text())", "labels.jsonlFalse\n"),
    "expected exception": cell("1/0", outputs=[error("ZeroDivisionError", "division by zero")],
                               tags=["raises-exception"]),
}
RED = {
    "changed word": cell("print('loss 0.6931 fell')", "loss 0.6931 rose\n"),
    "changed integer": cell("print('kept 12 pairs')", "kept 13 pairs\n"),
    "changed integer that is close": cell("print('kept 100001 pairs')", "kept 100000 pairs\n"),
    "changed grouping of an integer": cell("print('1821 lines')", "1,821 lines\n"),
    "float outside the tolerance": cell("print('loss 0.69')", "loss 0.71\n"),
    "one in the last digit of a coarse float": cell("print('0.8')", "0.7\n"),
    "changed sign": cell("print('-0.5')", "0.5\n"),
    "nan": cell("print('nan')", "0.5\n"),
    "float in a result": cell("[1.5, 2.5]", outputs=[result("[1.5, 2.6]")]),
    "float outside the tolerance of this cell": cell("print('0.60')", "0.64\n", rmlib={"rtol": 0.05}),
    "tolerance of this cell, integer": cell("print('12')", "13\n", rmlib={"rtol": 0.5, "atol": 9}),
    "extra line": cell("print('a\\nb')", "a\n"),
    "missing line": cell("print('a')", "a\nb\n"),
    "missing output": cell("x = 1", "a\n"),
    "output where none is stored": cell("print('a')"),
    "result where a stream is stored": cell("1.5", "1.5\n"),
    "never run, no outputs": cell("x = 1", count=None),
    "never run, outputs": cell("print('a')", "a\n", count=None),
    "exception": cell("1/0"),
    "no exception where one is stored": cell("1", outputs=[error("ValueError", "bad")], tags=["raises-exception"]),
    "warning on stderr": cell("import sys; print('careful', file=sys.stderr)"),
    "changed html": cell("display({'text/html': '<p>rises to 0.5</p>'}, raw=True)", outputs=[CAPTION]),
}
KERNEL = {
    "kernel": cell(
        "import os, sys, rmlib\n"
        f"assert sys.prefix == {sys.prefix!r}, sys.prefix\n"
        f"assert rmlib.__path__[0] == {str(ROOT / 'rmlib')!r}, rmlib.__path__\n"
        "assert not {'RMLIB_PROFILE', 'RMLIB_BACKBONE', 'RMLIB_PAIRS'} & set(os.environ)\n"
        "assert os.environ['HF_HUB_OFFLINE'] == '1'"
    )
}
SLOW = {
    "too slow": cell("import time; time.sleep(60)"),
    "after the slow one": cell("x = 1"),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, str]:
    return run_pytest(tmp_path_factory.mktemp("planted"), {"planted": GREEN | RED, "kernel": KERNEL})


@pytest.mark.parametrize("title", GREEN | KERNEL)
def test_a_true_notebook_is_green(outcomes, title):
    assert outcomes[title] == "passed"


@pytest.mark.parametrize("title", RED)
def test_a_planted_mismatch_is_red(outcomes, title):
    assert outcomes[title] == "failure"


def test_after_a_timeout_nothing_later_passes(tmp_path):
    outcomes = run_pytest(tmp_path, {"slow": SLOW}, "--nbval-cell-timeout=1")
    assert outcomes == {"too slow": "failure", "after the slow one": "skipped"}


def test_guards_run_in_the_notebooks_own_kernel(tmp_path):
    folder, guards = tmp_path / "notebooks", tmp_path / "tests" / "notebooks"
    folder.mkdir(), guards.mkdir(parents=True)
    (guards / "42.py").write_text("import math\n\ndef test_true():\n    assert draw(math.pi) == 'pi'\n\n"
                                  "def test_false():\n    assert draw(3.0) == 'pi'\n\ndef helper():\n    1 / 0\n")
    cells = {"draws": cell("def draw(x):\n    return 'pi' if abs(x - 3.1416) < 1e-4 else x")}
    outcomes = run_pytest(folder, {"42_moved": cells, "43_unguarded": cells}, "--import-mode=importlib")
    assert outcomes == {"draws": "passed", "test_true": "passed", "test_false": "failure"}


def test_a_side_page_has_guards_of_its_own_name(tmp_path):
    folder, guards = tmp_path / "notebooks" / "side", tmp_path / "tests" / "notebooks" / "side"
    folder.mkdir(parents=True), guards.mkdir(parents=True)
    (guards / "42_more.py").write_text("def test_side():\n    assert x == 2\n")
    (guards.parent / "42.py").write_text("def test_way():\n    assert x == 1\n")
    outcomes = run_pytest(folder, {"42_more": {"sets": cell("x = 2")}}, "--import-mode=importlib")
    assert outcomes == {"sets": "passed", "test_side": "passed"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loss=-0.6931, 17.0%", ["loss", "=", "-0.6931", ",", "17.0", "%"]),
        ("1.2e-3 5E+2 .5s", ["1.2e-3", "5E+2", ".5", "s"]),
        ("torch 2.13.0 of 2026-01-02", ["torch", "2", ".", "13", ".", "0", "of", "2026", "-", "01", "-", "02"]),
        ("x2 1,821 in 5.\n\n", ["x2", "1", ",", "821", "in", "5", ".", "\n", "\n"]),
        ("[ 0.1  -0.2]", ["[", "0.1", "-0.2", "]"]),
        ("a1.5 1e5x", ["a1", ".", "5", "1e5x"]),
    ],
)
def test_text_is_cut_into_floats_words_integers_and_line_ends(text, expected):
    assert list(load_harness().tokens(text)) == expected


@pytest.mark.parametrize(
    ("stored", "new", "agree"),
    [
        ("0.69315", "0.69384", True),  # 0.1%
        ("0.69315", "0.69385", False),
        ("0.616", "0.617", True),  # one in the last digit
        ("0.616", "0.618", False),
        ("1.00", "1.01", True),  # one in the last digit, worth 1%
        ("0.99", "1.00", False),  # one in the last digit, worth more
        ("1.23e-05", "1.24e-05", True),
        ("1.23e-05", "1.25e-05", False),
        ("-0.0000", "0.0000", True),
        ("0.0", "0.1", False),
        ("2.5", "2", False),
        ("12", "13", False),
    ],
)
def test_the_default_tolerance(stored, new, agree):
    harness = load_harness()
    assert harness.close(stored, new, **harness.DEFAULT_TOLERANCE) is agree
