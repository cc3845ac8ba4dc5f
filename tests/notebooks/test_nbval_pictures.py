"""The notebook harness tells a picture that changed: planted ones, run by pytest with this project's settings."""

import base64
import io
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from nbformat.v4 import new_output
from PIL import Image, ImageDraw
from planted_cells import ROOT, cell, load_harness, run_pytest


def in_base64(image: Image.Image) -> str:
    drawn = io.BytesIO()
    image.save(drawn, format="PNG")
    return base64.b64encode(drawn.getvalue()).decode()


def png(end: int, line: str = "#0072B2", paper: str = "#FFFFFF", size: tuple[int, int] = (200, 100)) -> str:
    """A picture, in base64, of a thick line that falls from the upper left to the height `end` on the right."""
    image = Image.new("RGB", size, paper)
    ImageDraw.Draw(image).line([(0, 10), (199, end)], fill=line, width=5)
    return in_base64(image.quantize(16))


def dots(count: int, colour: str = "#000000", size: tuple[int, int] = (100, 100)) -> str:
    """A white picture, in base64, with `count` pixels of a colour."""
    image = Image.new("RGB", size, "#FFFFFF")
    image.paste(colour, (0, 0, count, 1))
    return in_base64(image)


def picture(alt: str, *drawn: str):
    return [new_output("display_data", {"image/png": each, "text/plain": alt}) for each in drawn or [png(80)]]


def show(*drawn: str) -> str:
    return "\n".join(f"display({{'image/png': {each!r}, 'text/plain': 'a curve'}}, raw=True)" for each in drawn)


GREEN = {
    "unchanged picture": cell(show(png(80)), outputs=picture("a curve")),
    "picture in shades that look the same": cell(show(png(80, "#1880C0", "#F8F8F8")), outputs=picture("a curve")),
    "moved curve, more room in this cell": cell(show(png(84)), outputs=picture("a curve"), rmlib={"picture": 0.05}),
}
RED = {
    "another description of a picture": cell(show(png(80)), outputs=picture("a straight line")),
    "missing picture": cell("display({'text/plain': 'a curve'}, raw=True)", outputs=picture("a curve")),
    "moved curve": cell(show(png(84)), outputs=picture("a curve")),
    "curve of another colour": cell(show(png(80, "#0072D6")), outputs=picture("a curve")),
    "moved curve, too little room": cell(show(png(84)), outputs=picture("a curve"), rmlib={"picture": 0.005}),
    "second picture changed": cell(show(png(80), png(84)), outputs=picture("a curve", png(80), png(80))),
    "pictures in another order": cell(show(png(80), png(20)), outputs=picture("a curve", png(20), png(80))),
    "picture of another size": cell(show(png(80, size=(200, 101))), outputs=picture("a curve"),
                                    rmlib={"picture": 0.05}),
}


def with_matplotlib(version: str, folder: Path) -> str:
    """A folder that, first on PYTHONPATH, says that matplotlib is installed in this version."""
    metadata = folder / "installed" / f"matplotlib-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: matplotlib\nVersion: {version}\n")
    return str(folder / "installed")


def pinned_matplotlib() -> str:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    return re.search(r"^matplotlib==(\S+)$", constraints, re.MULTILINE)[1]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("planted")
    return run_pytest(folder, {"planted": GREEN | RED}, PYTHONPATH=with_matplotlib(pinned_matplotlib(), folder))


@pytest.mark.parametrize("title", GREEN)
def test_a_picture_that_looks_the_same_is_green(outcomes, title):
    assert outcomes[title] == "passed"


@pytest.mark.parametrize("title", RED)
def test_a_changed_picture_is_red(outcomes, title):
    assert outcomes[title] == "failure"


def test_pictures_of_another_matplotlib_are_only_counted(tmp_path):
    cells = {title: RED[title] for title in ("moved curve", "picture of another size", "missing picture")}
    outcomes = run_pytest(tmp_path, {"other": cells}, PYTHONPATH=with_matplotlib("3.0.0", tmp_path))
    assert outcomes == dict.fromkeys(cells, "passed") | {"missing picture": "failure"}


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (dots(0), None),
        (dots(3), None),  # 0.03%
        (dots(4), "differs in 0.040% of its pixels, at most 0.030% may"),
        (dots(4, "#FFFFDF"), None),  # 32 of 255 in blue
        (dots(4, "#FFFFDE"), "differs in 0.040% of its pixels, at most 0.030% may"),
        (dots(0, size=(50, 100)), "has 50 x 100 pixels, stored were 100 x 100"),
    ],
    ids=["same", "three dots", "four dots", "pale dots", "darker dots", "narrower"],
)
def test_a_changed_picture_is_told_by_its_share_or_its_size(new, told):
    harness = load_harness()
    assert harness.changed_picture(dots(0), new, harness.DEFAULT_PICTURE) == told


def test_a_changed_picture_is_told_by_its_place_and_how_to_store_it(monkeypatch):
    harness = load_harness()
    monkeypatch.setattr(harness, "drawn_by_the_pinned_matplotlib", lambda: True)
    cell = SimpleNamespace(most_pixels=harness.DEFAULT_PICTURE)
    told = harness.Cell.compare_pictures(cell, [png(80)] * 3, [png(80), png(84), png(20)])
    assert told.startswith("picture 2 of 3 of this cell differs in ")
    assert "make run REFRESH=1" in told
