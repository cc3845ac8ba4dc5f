"""`make lab` and `make html` as a reader meets them: the address that is printed, its links, and exported pages."""

import os
import re
import shutil
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import lab_pages
import nbformat
import pytest
from chromium import browser
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from places import ROOT

ALT = 'A "dot" rises from 0 to 1 & stays there.'
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg=="


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A small course with the real Makefile; its .venv/bin/python is this one, which opens no window."""
    folder = tmp_path / "a course"
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "tools/jupyter/jupyter_config.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "README.md").write_text("# The README")
    (folder / "notebooks").mkdir()
    picture = new_output("display_data", {"image/png": PNG, "text/plain": ALT},
                         metadata={"image/png": {"alt": ALT, "width": 1000}})
    (folder / "notebooks/side").mkdir()
    links = "[on](01_next.ipynb), [aside](side/more.ipynb), [README](../README.md)"
    links_of = {"00_start_here": links, "01_next": links, "side/more": "[back](../01_next.ipynb) [](../../README.md)"}
    for name, links in links_of.items():
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        cells = [new_markdown_cell(f"# Way in\n\n{links}"),
                 new_code_cell("show(figure)", outputs=[picture], execution_count=1)]
        nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / f"notebooks/{name}.ipynb")
    python = folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@" $NO_WINDOW\n')
    python.chmod(0o755)
    (folder / ".venv/installed").touch()
    return folder


class Page(HTMLParser):
    """What a page links to and the descriptions of its pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.pictures.append(dict(attrs))
        if tag == "a" and not dict(attrs).get("href", "#").startswith("#"):
            self.links.append(dict(attrs)["href"])


def test_exported_pages_describe_their_pictures_and_link_to_each_other(course):
    done = subprocess.run(["make", "html"], cwd=course, env={"PATH": os.defpath, "NO_WINDOW": ""},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    way = ["01_next.html", "side/more.html", "../../README.md"]
    side = ["../01_next.html", "../../../README.md"]
    for name, links in {"00_start_here": way, "01_next": way, "side/more": side}.items():
        path = course / f"build/html/{name}.html"
        page = Page(path.read_text(encoding="utf-8"))
        assert [(each["alt"], each["width"]) for each in page.pictures] == [(ALT, "1000")]
        assert page.links == links
        assert all((path.parent / link).exists() for link in page.links)


@pytest.mark.real
def test_the_printed_address_opens_the_way_in_and_its_links_lead_on(course):
    log = course / "lab.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
    environment["NO_WINDOW"] = "--no-browser --ServerApp.port_retries=50"
    with log.open("w") as output:
        make = subprocess.Popen(["make", "lab"], cwd=course, env=environment, stdout=output, stderr=output,
                                start_new_session=True)
    try:
        until = time.monotonic() + lab_pages.START_SECONDS
        while not (found := re.search(r"http://127\.0\.0\.1:\d+\S+token=\w+", log.read_text())):
            assert time.monotonic() < until and make.poll() is None, log.read_text()
            time.sleep(0.5)
        lab_pages.wait_for(found[0], log)
        with browser() as chromium:
            page = chromium.new_page(viewport={"width": 1280, "height": 900})
            page.set_default_timeout(lab_pages.START_SECONDS * 1000)
            page.goto(found[0])
            page.get_by_role("heading", name="Way in").wait_for()
            page.get_by_role("link", name="README").click()
            page.get_by_role("tab", name="README.md").wait_for()
            page.locator(".jp-FileEditor, .jp-MarkdownViewer").filter(has_text="The README").wait_for()
            exported = found[0].replace("/lab/tree/", "/nbconvert/html/")
            assert [each["alt"] for each in Page(page.request.get(exported).text()).pictures] == [ALT]
    finally:
        os.killpg(make.pid, 15)
        make.wait()
