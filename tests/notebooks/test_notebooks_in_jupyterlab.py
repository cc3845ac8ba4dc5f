"""Every notebook as a reader meets it: in a real JupyterLab, in a real browser, in the light and in the dark theme.

Pictures of all that was seen are left in build/screens/lab.
"""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import lab_pages
import nbformat
import pytest
from chromium import SCREENS, browser
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from places import ROOT
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.real
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PLANTED = """import sys
from rmlib.course import plots
from rmlib.practice import style
from rmlib.course.widgets import explore, slider
@style.styled
def draw(gap, idle):
    figure, (axes,) = style.canvas()
    axes.plot([0, gap], [0, 1])
    return figure, f"the gap is {gap}"
explore(draw, "A straight line rises from the origin to the point at the gap.",
        gap=slider(0, 9, 0.5, 9.0, label="gap"), idle=slider(0, 9, 1, 1, label="idle"))"""

FAINT = """display({'text/html': '<p style="color: #999999">faint</p>'}, raw=True)"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> str:
    """The address of a notebook, with {} for its file name; the notebooks are copies."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    cells = [new_markdown_cell("# Planted"), new_code_cell(PLANTED), new_code_cell(FAINT),
             new_code_cell("print('careful', file=sys.stderr)"), new_code_cell("1 / 0")]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    planted = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(planted, folder / "notebooks/planted.ipynb")
    with lab_pages.server(folder) as address:
        yield address


@pytest.fixture(scope="module")
def page():
    with browser() as chromium:
        yield chromium.new_page(viewport={"width": 1280, "height": 2000})


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request, page: Page, lab: str) -> Path:
    """Path of a notebook that stands open in `page`, with all its cells run."""
    lab_pages.open_notebook(page, lab.format(request.param.name))
    lab_pages.set_theme(page, "JupyterLab Light")
    lab_pages.run_all(page)
    yield request.param
    lab_pages.close(page)


def code_of(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def test_all_cells_run_without_an_error_or_a_warning(notebook, page):
    assert lab_pages.wrong_outputs(page) == []


def test_a_live_picture_hides_the_static_one(notebook, page):
    expected = len(re.findall(r"^explore\(", code_of(notebook), re.MULTILINE))
    page.wait_for_function("n => document.querySelectorAll('.rmlib-explore').length === n", arg=expected)
    static = page.locator(".rmlib-explore").evaluate_all("""boxes => boxes.map((box) =>
      [...box.closest(".jp-Cell-outputArea").querySelectorAll(".jp-RenderedImage")].map((each) => each.offsetHeight)
    )""")
    assert static == [[0]] * expected


def test_every_slider_moves_its_picture_and_its_numbers(notebook, page):
    assert lab_pages.dead_sliders(page) == []


def test_folded_answers_open(notebook, page):
    opened = page.evaluate("""[...document.querySelectorAll(".jp-MarkdownCell details")].map((answer) => {
      const closed = answer.open ? Infinity : answer.offsetHeight;
      answer.querySelector("summary").click();
      return answer.open && answer.offsetHeight > closed + 10;
    })""")
    assert opened == [True] * notebook.read_text(encoding="utf-8").count("<details>")


def test_the_set_up_is_folded_under_its_title(notebook, page):
    assert page.locator(".jp-CodeCell").first.locator(".jp-InputPlaceholder").inner_text().startswith("#@title Set-up")


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_all_text_is_readable(notebook, page, theme):
    lab_pages.set_theme(page, f"JupyterLab {theme}")
    lab_pages.photograph(page, SCREENS / "lab" / f"{notebook.stem}-{theme.lower()}")
    assert lab_pages.faint_texts(page) == []


# --- the checks see what they should ------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def planted(page: Page, lab: str) -> Page:
    lab_pages.open_notebook(page, lab.format("planted.ipynb"))
    lab_pages.set_theme(page, "JupyterLab Light")
    lab_pages.run_all(page)
    yield page
    lab_pages.close(page)


def test_planted_faults_are_found(planted, monkeypatch):
    warning, error = lab_pages.wrong_outputs(planted)
    assert warning == "careful" and "ZeroDivisionError" in error
    assert lab_pages.faint_texts(planted) == ["2.8: faint"]
    monkeypatch.setattr(lab_pages, "REDRAW_SECONDS", 3)
    assert lab_pages.dead_sliders(planted) == ["idle: the picture did not change", "idle: the numbers did not change"]


def test_a_screen_reader_is_told_what_a_slider_moves_and_where_it_stands(planted):
    for label in ("gap", "idle"):
        assert planted.get_by_role("textbox", name=label, exact=True).count() == 1
        assert planted.get_by_role("slider", name=label, exact=True).count() == 1
    handle = planted.get_by_role("slider", name="gap", exact=True)
    handle.press("Home")
    expect(handle).to_have_attribute("aria-valuetext", "0.0")  # ipywidgets alone says 0, and 1.4999999999999998


@pytest.mark.parametrize("width", [1280, 900, 700, 500, 360])
def test_nothing_under_a_slider_scrolls_sideways(planted, width):
    planted.set_viewport_size({"width": width, "height": 2000})
    planted.wait_for_timeout(500)
    scrolled = planted.evaluate("""[...document.querySelectorAll(".rmlib-explore, .rmlib-explore *")].filter((each) =>
      each.scrollWidth > each.clientWidth && ["auto", "scroll"].includes(getComputedStyle(each).overflowX)).length""")
    sliders = planted.locator(".rmlib-explore .slider-container").evaluate_all("all => all.map((e) => e.clientWidth)")
    planted.set_viewport_size({"width": 1280, "height": 2000})
    assert scrolled == 0 and len(sliders) == 2 and min(sliders) > 90


def test_a_notebook_saved_with_its_widgets_has_them_again_while_its_kernel_runs(planted, lab):
    lab_pages.save(planted)
    lab_pages.open_notebook(planted, lab.format("planted.ipynb"))
    planted.locator(".rmlib-explore img").wait_for(timeout=30_000)
    assert not planted.locator(".jp-RenderedImage img").is_visible()


@pytest.mark.parametrize("ended", ["restarted", "shut down"])
def test_without_that_kernel_the_static_picture_stands_alone(planted, lab, ended):
    """Nor is there a word of the widgets that can't be shown."""
    lab_pages.open_notebook(planted, lab.format("planted.ipynb"))
    if ended == "restarted":
        planted.evaluate(f"{lab_pages.NOTEBOOK}.sessionContext.session.kernel.restart()")
    else:
        lab_pages.close(planted)
    lab_pages.open_notebook(planted, lab.format("planted.ipynb"))
    planted.locator(".jp-RenderedImage img").wait_for(timeout=30_000)
    planted.wait_for_function("!document.body.textContent.includes('Loading widget')", timeout=30_000)
    assert planted.locator(".rmlib-explore").count() == 0
    shown = planted.locator(".jp-CodeCell .jp-OutputArea").first.inner_text().split("\n\n")
    assert shown == ["A straight line rises from the origin to the point at the gap.",
                     "At gap = 9.0, idle = 1: the gap is 9.0"]


def test_a_server_that_does_not_end_when_asked_is_killed():
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        lab_pages.stop(process, patience=0.1)
        assert process.returncode == -signal.SIGKILL
