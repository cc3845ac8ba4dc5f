"""label: what the page is told after each press, and what stands in a notebook that is read without a kernel."""

import json
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import nbformat
import notebook_rules
import pytest
from nbformat.v4 import new_code_cell, new_output
from places import ROOT

from rmlib.course.labels import LabelFile
from rmlib.course.widgets import label, labelling, view
from rmlib.course.widgets.labelling import Session
from rmlib.pairs import PreferencePair
from tools.run_notebooks import WIDGET_VIEW, for_storage, unfit_to_store

PAIRS = [PreferencePair(f" Is {n} < 5 & odd? ", f"Yes,\nit <b>is</b> {n}.", "No.", id=n) for n in range(3)]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(LabelFile(tmp_path / "labels.jsonl", PAIRS))


def labels(session: Session) -> list[int]:
    """The ids of the rows in the file."""
    return [json.loads(line)["id"] for line in session.file.path.read_text().splitlines()]


def test_the_page_is_shown_the_questions_one_by_one(session):
    first = session.file.questions[0]
    assert session.view == {
        "replies": 0, "total": 3, "done": 0, "told": "", "alarm": "", "question": 0, "prompt": "Is 0 < 5 & odd?",
        "left": first.left, "right": first.right,
    }
    session.answer(0, "A")
    assert (session.view["question"], session.view["done"], session.view["told"]) == (1, 1, "Saved: A is better.")
    session.answer(1, "tie")
    session.answer(2, "skip")
    assert (session.view["question"], session.view["done"], session.view["told"]) == (None, 3, "Saved: skip.")
    assert session.view["prompt"] == "Done. 3 of 3 labelled: 1 choice, 1 tie, 1 skip. They are in labels.jsonl."
    session.answer(None, "undo")
    assert (session.view["question"], session.view["done"], session.view["told"]) == (2, 2, "Taken back.")
    assert labels(session) == [0, 1]


def test_a_press_that_comes_too_late_does_nothing(session):
    session.answer(0, "A")
    before = session.view
    for verdict in ("A", "skip", "undo"):
        session.answer(0, verdict)
    assert session.view == before | {"replies": 4}  # the page hears of it, or it would wait
    assert labels(session) == [0]
    other = Session(LabelFile(session.file.path, PAIRS))  # the same file on another page
    other.answer(1, "B")
    session.answer(1, "A")
    assert (session.view["question"], session.view["done"]) == (2, 2)
    assert labels(session) == [0, 1]


def test_presses_that_mean_nothing(session):
    session.answer(0, "undo")
    assert session.view["told"] == "There is nothing to take back."
    for number in range(3):
        session.answer(number, "B")
    session.answer(None, "B")
    assert (session.view["told"], session.view["question"], labels(session)) == ("", None, [0, 1, 2])


def test_a_label_that_could_not_be_stored_is_told_and_can_be_given_again(session):
    session.answer(0, "A")
    whole = session.file.path.read_bytes()
    session.file.path.write_bytes(whole + b"oops\n")
    session.answer(1, "A")
    assert session.view["alarm"].startswith("This was not stored. ") and "labels.jsonl:2: " in session.view["alarm"]
    assert (session.view["question"], session.view["replies"], session.view["told"]) == (1, 2, "")
    session.file.path.write_bytes(whole)
    session.answer(1, "A")
    assert (session.view["question"], session.view["alarm"], labels(session)) == (2, "", [0, 1])


def test_a_disk_that_refuses_is_told(session, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rmlib.course.labels.atomic_write_text", full)
    session.answer(0, "A")
    assert session.view["alarm"] == "This was not stored. [Errno 28] No space left on device"
    assert (session.view["question"], session.view["done"]) == (0, 0)


def test_a_line_that_a_crash_cut_short_is_told_at_the_start(session):
    session.answer(0, "A")
    session.file.path.write_bytes(session.file.path.read_bytes()[:-9])
    again = Session(session.file)
    assert (again.view["question"], again.view["done"]) == (0, 0)
    assert "labels.jsonl was cut short" in again.view["told"]


def test_buttons_reach_the_session_and_the_page_gets_its_answer(session):
    from rmlib.course.widgets.panel import Panel

    panel = session.on(Panel())
    assert panel.view == session.view
    panel._handle_custom_msg({"question": 0, "verdict": "B"}, [])
    assert panel.view["done"] == 1 and panel.view == session.view
    panel._handle_custom_msg({}, [])
    assert panel.view["replies"] == 2 and labels(session) == [0]


def test_what_the_page_needs_is_packed_with_the_code():
    root = ROOT
    packed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["rmlib"]
    files = [path.relative_to(root / "rmlib") for path in (root / "rmlib/course/widgets").glob("*.*s*")]
    assert {path.name for path in files} >= {"labelling.js", "labelling.css"}
    assert [path for path in files if not any(fnmatch(str(path), pattern) for pattern in packed)] == []


# --- on the page ---------------------------------------------------------------------------------------------------

@pytest.fixture
def shown(monkeypatch) -> list[dict]:
    """The data of each output."""
    outputs: list[dict] = []
    for module in (view, labelling):
        monkeypatch.setattr(module, "display", lambda data, raw: outputs.append(data))
    return outputs


def test_a_stored_notebook_has_the_first_question_as_text_and_no_view(shown, tmp_path):
    for folder in ("a", "b"):
        assert label(PAIRS, tmp_path / folder / "labels.jsonl") is None
    live, static = shown[:2]
    assert set(live) == {WIDGET_VIEW, "text/plain"} and set(live[WIDGET_VIEW]) == {
        "version_major", "version_minor", "model_id"}
    assert static == shown[3] and str(tmp_path) not in str(shown)
    assert "Is 0 &lt; 5 &amp; odd?" in static["text/html"] and "it &lt;b&gt;is&lt;/b&gt; 0." in static["text/html"]
    assert "<b>" not in static["text/html"]
    outputs = [new_output("display_data", data) for data in shown[:2]]
    stored = for_storage(nbformat.v4.new_notebook(cells=[new_code_cell("label(...)", outputs=outputs)]))
    assert [set(output.data) for output in stored.cells[0].outputs] == [{"text/html", "text/plain"}]
    assert unfit_to_store(stored) is None
    for output in stored.cells[0].outputs:
        output.text = ""
    assert notebook_rules.clean_outputs(stored) == notebook_rules.nothing_of_this_machine(stored) == []


def test_the_static_question_is_the_first_whatever_has_been_labelled(shown, session):
    session.answer(0, "A")
    label(PAIRS, session.file.path)
    assert "Question 1 of 3" in shown[1]["text/html"] and "Is 0 &lt; 5" in shown[1]["text/html"]
    left, right = session.file.questions[0].left, session.file.questions[0].right
    assert shown[1]["text/plain"] == f"Question 1 of 3: Is 0 < 5 & odd?\nA: {left}\nB: {right}"


def test_without_anywidget_the_question_stands_there_with_advice(shown, tmp_path, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "rmlib.course.widgets.panel", raising=False)
    monkeypatch.setitem(sys.modules, "anywidget", None)
    label(PAIRS, tmp_path / "labels.jsonl")
    assert [set(data) for data in shown] == [{"text/html", "text/plain"}]
    assert capsys.readouterr().out.startswith("To label here: %pip install anywidget")
    assert not (tmp_path / "labels.jsonl").exists()


def test_a_damaged_file_stops_the_cell(shown, tmp_path):
    (tmp_path / "labels.jsonl").write_text("oops\n")
    with pytest.raises(ValueError, match="labels.jsonl:1: "):
        label(PAIRS, tmp_path / "labels.jsonl")
    assert shown == []
