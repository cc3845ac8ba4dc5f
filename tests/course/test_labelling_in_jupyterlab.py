"""Labelling as a reader does it, by mouse and by keyboard, in a real JupyterLab whose kernel is killed on the way.

The tests of this file are one story, told in order. Pictures of it are left in build/screens/labelling.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lab_pages
import labelling_parts
import nbformat
import pytest
from chromium import SCREENS, browser
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from places import ROOT
from playwright.sync_api import Locator, Page, expect

from rmlib.pairs import read_pairs

pytestmark = pytest.mark.real
PLANTED = """import os
from pathlib import Path
from rmlib.course.labels import labels_path
from rmlib.course.widgets import label
from rmlib.pairs import PreferencePair
from rmlib.course.world import World
Path("kernel").write_text(str(os.getpid()))
pairs = World().pairs(19, seed=3)
long = "<b>Bold?</b> " + "A long prompt. " * 90
pairs.insert(2, PreferencePair(long, "<script>1</script> & yes", "no " * 200 + "o" * 200, id="x"))
label(pairs, labels_path())"""
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
CELLS = f"{lab_pages.NOTEBOOK}.content.widgets.map((cell) => cell.model.sharedModel.getSource())"
MODE = f"{lab_pages.NOTEBOOK}.content.mode"
COMMAND_KEYS = ["x", "d", "d", "y", "m", "z", "c", "v", "r", "0", "0", "Escape", "ArrowDown", "ArrowUp", "Delete"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the planted notebook and its labels are."""
    path = tmp_path_factory.mktemp("lab") / "notebooks"
    path.mkdir()
    cells = [new_markdown_cell("# Planted"), new_code_cell(PLANTED), new_code_cell("6 * 7")]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), path / "planted.ipynb")
    return path


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[Page]:
    """The notebook, open with its cells run."""
    with lab_pages.server(folder.parent) as address, browser() as chromium:
        page = chromium.new_page(viewport={"width": 1280, "height": 1000})
        page.address = address.format("planted.ipynb")
        lab_pages.open_notebook(page, page.address)
        lab_pages.set_theme(page, "JupyterLab Light")
        lab_pages.run_all(page)
        yield page
        lab_pages.close(page)


def rows(folder: Path) -> list[dict]:
    path = folder / "labels.jsonl"
    return labelling_parts.rows(path) if path.exists() else []


def verdict(row: dict) -> str:
    return row["label"] if "label" in row else {"chosen": "A", "rejected": "B"}[row["left"]]


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def done(page: Page, count: int) -> None:
    """Waits until the page says that `count` questions are labelled."""
    expect(page.locator(".rmlib-status")).to_contain_text(f"{count} of 20 labelled", timeout=30_000)


def texts(page: Page) -> list[str]:
    return page.locator(".rmlib-label :is(.rmlib-prompt, .rmlib-text)").all_inner_texts()


def picture(page: Page, name: str) -> None:
    SCREENS.joinpath("labelling").mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(400)
    page.screenshot(path=SCREENS / "labelling" / f"{name}.png")


def test_the_live_question_hides_the_static_one(page, folder):
    done(page, 0)
    expect(page.get_by_text("Question 1 of 20.")).to_be_attached()
    expect(page.get_by_text("Question 1 of 20.")).to_be_hidden()
    assert rows(folder) == []


def test_labels_by_mouse(page, folder):
    shown = texts(page)
    button(page, "A is better").click()
    done(page, 1)
    row, = rows(folder)
    assert [row["prompt"], row["chosen"], row["rejected"]] == shown
    button(page, "B is better").click()
    done(page, 2)
    assert [verdict(row) for row in rows(folder)] == ["A", "B"]


def test_texts_are_shown_as_they_are_and_long_ones_wrap(page):
    prompt, *responses = texts(page)
    assert prompt.startswith("<b>Bold?</b> A long prompt.") and "<script>1</script> & yes" in responses
    assert page.locator(".rmlib-label :is(b, script)").count() == 0
    parts = page.locator(".rmlib-label, .rmlib-label *")
    assert parts.evaluate_all("all => all.every((each) => each.scrollWidth <= each.clientWidth + 1)")
    a, b = (page.get_by_role("region", name=f"Response {name}").bounding_box() for name in "AB")
    assert a["y"] == b["y"] and a["x"] + a["width"] < b["x"]  # side by side
    picture(page, "light-long")


def test_tab_enter_and_space_press_and_the_focus_stays(page, folder):
    button(page, "A is better").focus()
    page.keyboard.press("Enter")
    done(page, 3)
    expect(button(page, "A is better")).to_be_focused()
    page.keyboard.press("Tab")
    expect(button(page, "B is better")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    done(page, 4)
    expect(button(page, "Tie")).to_be_focused()
    assert [verdict(row) for row in rows(folder)][2:] == ["A", "tie"]


def test_keys_label_and_none_reaches_jupyterlab(page, folder):
    cells = page.evaluate(CELLS)
    for count, key in enumerate(["a", "ArrowLeft", "b", "ArrowRight", "t", "s"], start=5):
        page.keyboard.press(key)
        done(page, count)
    assert [verdict(row) for row in rows(folder)][4:] == ["A", "A", "B", "B", "tie", "skip"]
    for key in COMMAND_KEYS:
        page.keyboard.press(key)
    page.locator(".rmlib-label .rmlib-prompt").click()  # a click on the text brings the keys here as well
    for key in COMMAND_KEYS:
        page.keyboard.press(key)
    page.wait_for_timeout(1000)
    assert page.evaluate(CELLS) == cells and page.evaluate(MODE) == "command"
    assert page.evaluate(f"{lab_pages.NOTEBOOK}.content.activeCellIndex") == 1
    assert len(rows(folder)) == 10


def test_keys_with_a_modifier_stay_jupyterlabs(page, folder):
    before = page.evaluate(f"{lab_pages.NOTEBOOK}.content.activeCell.model.executionCount")
    button(page, "A is better").focus()
    page.keyboard.press("Control+Enter")  # runs the cell
    page.wait_for_function(f"n => {lab_pages.NOTEBOOK}.content.activeCell.model.executionCount > n", arg=before)
    lab_pages.wait_until_idle(page, 60)
    done(page, 10)
    assert len(rows(folder)) == 10


SECOND_CLICK = """button => new Promise((over) => {
  new MutationObserver((_, observer) => {  // the next question has just come: here is the rest of the double click
    observer.disconnect();
    button.dispatchEvent(new MouseEvent("click", { bubbles: true, detail: 2 }));
    over();
  }).observe(document.querySelector(".rmlib-status"), { childList: true });
  button.click();
})"""


def test_a_double_click_and_a_key_held_down_label_one_pair(page, folder):
    for double_click in (lambda b: b.dblclick(), lambda b: b.evaluate(SECOND_CLICK)):
        double_click(button(page, "B is better"))
        done(page, 11)
        page.keyboard.press("u")  # the focus is on the button that was clicked
        done(page, 10)
    button(page, "B is better").focus()
    for _ in range(4):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    done(page, 11)
    for _ in range(4):
        page.keyboard.down("u")
    page.keyboard.up("u")
    done(page, 10)
    page.wait_for_timeout(1000)
    assert len(rows(folder)) == 10


def test_clicks_that_a_slow_kernel_gets_late_label_one_pair(page, folder):
    kernel = int((folder / "kernel").read_text())
    os.kill(kernel, signal.SIGSTOP)
    try:
        for _ in range(2):
            button(page, "B is better").click()
            expect(page.locator(".rmlib-alarm")).to_contain_text("The kernel has not answered", timeout=10_000)
        picture(page, "light-late")
    finally:
        os.kill(kernel, signal.SIGCONT)
    done(page, 11)
    expect(page.locator(".rmlib-alarm")).to_be_empty()
    page.wait_for_timeout(1000)
    assert len(rows(folder)) == 11


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_all_text_is_readable(page, theme):
    lab_pages.set_theme(page, f"JupyterLab {theme}")
    button(page, "Tie").focus()
    picture(page, theme.lower())
    assert lab_pages.faint_texts(page) == []


def test_a_killed_kernel_costs_no_label(page, folder):
    button(page, "Skip").click()
    done(page, 12)
    lab_pages.save(page)
    before = rows(folder)
    os.kill(int((folder / "kernel").read_text()), signal.SIGKILL)
    lab_pages.open_notebook(page, page.address)
    assert page.get_by_text("Question 1 of 20.").is_visible()  # what is stored, without the kernel
    assert page.locator(".rmlib-label").count() == 0
    picture(page, "light-without-kernel")
    lab_pages.run_all(page)
    done(page, 12)
    assert rows(folder) == before and len(before) == 12


def test_eight_more_and_back_and_done(page, folder):
    for count in range(13, 21):
        button(page, "AB"[count % 2] + " is better").click()
        done(page, count)
    expect(page.locator(".rmlib-prompt")).to_have_text(
        "Done. 20 of 20 labelled: 16 choices, 2 ties, 2 skips. They are in labels.jsonl.")
    picture(page, "light-done")
    page.keyboard.press("u")  # the focus is still here, though the button that had it is gone
    done(page, 19)
    assert len(rows(folder)) == 19
    page.keyboard.press("ArrowLeft")
    done(page, 20)
    assert {row["id"] for row in rows(folder)} == {*range(19), "x"}


def test_what_was_labelled_trains(folder):
    assert len(read_pairs(folder / "labels.jsonl").pairs) == 16
    command = [sys.executable, "-m", "rmlib", "train", str(folder / "labels.jsonl"), "--out", str(folder / "model")]
    trained = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert trained.returncode == 0, trained.stderr
    assert "16 pairs from labels.jsonl; 4 rows left out: tie 2 (lines 4, 9), skip 2 (lines 10, 12)" in trained.stderr
    assert "accuracy" in trained.stdout and (folder / "model" / "config.json").exists()
