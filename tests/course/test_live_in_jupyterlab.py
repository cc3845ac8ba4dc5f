"""The live view of a training in a real JupyterLab: it moves while the cell runs, and is gone when it ends.

Pictures of both are left in build/screens/live.
"""

import sys

import lab_pages
import nbformat
import pytest
from chromium import SCREENS, browser
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from places import ROOT

pytestmark = pytest.mark.real
sys.path.insert(0, str(ROOT / "tools"))

import run_notebooks  # noqa: E402

TRAINING = """import time
from rmlib.course.live import live
from rmlib.course.plots import training as figures
from rmlib.practice.style import show
losses = []
with live(60, lambda records: figures.running_loss([record["loss"] for record in records], 16)) as tell:
    for step in range(1, 61):
        time.sleep(0.2)
        losses.append(0.7 - 0.005 * step)
        tell({"step": step, "loss": losses[-1], "pairs_per_second": 80.0})
show(figures.running_loss(losses, 16), alt="The training loss falls in a straight line from log 2.")"""


def test_it_moves_while_the_cell_runs_and_leaves_the_final_picture_alone(tmp_path):
    (tmp_path / "notebooks").mkdir()
    path, screens = tmp_path / "notebooks/planted.ipynb", SCREENS / "live"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cells = [new_markdown_cell("# Planted"), new_code_cell(TRAINING)]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    screens.mkdir(parents=True, exist_ok=True)
    with browser() as chromium, lab_pages.server(tmp_path) as address:
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        lab_pages.open_notebook(page, address.format("planted.ipynb"))
        lab_pages.do(page, "notebook:run-all-cells")
        words = page.get_by_text("pairs/s")
        words.wait_for(timeout=60_000)
        page.locator("img[alt='the training so far']").wait_for(timeout=60_000)
        first = words.inner_text()
        page.wait_for_timeout(2_000)
        page.screenshot(path=screens / "while.png")
        assert "of 60, 80 pairs/s, 0:" in first and words.inner_text() != first
        lab_pages.wait_until_idle(page, lab_pages.RUN_SECONDS)
        page.locator(".jp-RenderedImage img").wait_for(timeout=30_000)
        assert words.count() == page.locator("img[alt='the training so far']").count() == 0
        assert page.locator(".jupyter-widgets").count() == 0
        page.screenshot(path=screens / "after.png")
        lab_pages.save(page)
        lab_pages.close(page)
    stored = run_notebooks.for_storage(nbformat.read(path, as_version=4))
    assert "widgets" not in stored.metadata
    assert [set(output["data"]) for output in stored.cells[1].outputs] == [{"image/png", "text/plain"}, {"text/html"}]
