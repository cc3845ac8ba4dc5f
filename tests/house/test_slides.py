"""Decks of slides: every cell has its place, a deck needs no network, and nothing on a page is cut off or too small."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
import real_parts
from chromium import SCREENS, browser
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_rules import SECOND_EDITION, deck_faults
from PIL import Image
from places import ROOT
from playwright.sync_api import Page

from tools import make_slides

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WRITTEN = [path for path in NOTEBOOKS if make_slides.deck_of(path).exists()]
PLACED = [path for path in NOTEBOOKS if path not in WRITTEN]
TYPES = {"slide", "subslide", "fragment", "skip", "notes", "-"}
FEWEST_PAGES = 10
EMPTY = dict.fromkeys(make_slides.LIBRARIES, "")


def slide_types(path: Path) -> list[str | None]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell["metadata"].get("slideshow", {}).get("slide_type") for cell in cells]


class Deck(HTMLParser):
    """The tags of a deck, and what it asks the browser to load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        asked = [value for tag, attributes in self.tags for key, value in attributes.items()
                 if key == "src" or (key == "href" and tag != "a")]
        self.loads = [value for value in asked if not value.startswith("data:")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def png() -> str:
    """A white picture, 1000 by 400, in base64."""
    packed = io.BytesIO()
    Image.new("1", (1000, 400), 1).save(packed, format="PNG")
    return base64.b64encode(packed.getvalue()).decode()


def placed(cell: nbformat.NotebookNode, slide_type: str) -> nbformat.NotebookNode:
    cell.metadata.slideshow = {"slide_type": slide_type}
    return cell


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A notebook with something of everything that a deck has to carry."""
    picture = new_output("display_data", {"image/png": png(), "text/plain": "dot"},
                         metadata={"image/png": {"alt": 'A "dot" rises.', "width": 1000}})
    caption = new_output("display_data", {"text/html": "<p><em>A dot rises.</em></p>"})
    cells = [
        placed(new_markdown_cell("# 07 · Dots\n\nSee [the next](08_more_dots.ipynb), [all](../README.md)."), "slide"),
        placed(new_code_cell("import setup_of_the_notebook"), "skip"),
        placed(new_markdown_cell("## Sigma\n\nWith $a < b$:\n\n$$\n\\sigma(a) < \\tfrac12\n$$"), "slide"),
        placed(new_code_cell("show(figure, alt='words')", outputs=[picture, caption]), "subslide"),
        placed(new_code_cell("x = 1\nshow(x)", outputs=[new_output("stream", text="printed")]), "subslide"),
        placed(new_markdown_cell("<details><summary>Answer</summary>\n\nForty-two.\n</details>"), "fragment"),
        placed(new_markdown_cell("Say it slowly."), "notes"),
        placed(new_markdown_cell("## Two cells\n\n" + "A line.\n\n" * 10), "slide"),
        placed(new_markdown_cell("A line.\n\n" * 10), "fragment"),
        placed(new_code_cell("x = 1\n" * 20, outputs=[new_output("stream", text="a line\n" * 20)]), "subslide"),
        placed(new_markdown_cell("## Too long\n\n" + "A line.\n\n" * 30), "slide"),
    ]
    path = tmp_path / "07_dots.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_every_notebook_of_the_second_edition_has_a_written_deck():
    assert [path.name[:2] for path in WRITTEN] == sorted(SECOND_EDITION)


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_a_written_deck_fits_an_hour_and_its_pages_have_one_thing_each(path):
    assert deck_faults(make_slides.pages(make_slides.deck_of(path))) == []


@pytest.mark.parametrize("path", PLACED, ids=lambda path: path.stem)
def test_every_cell_has_its_place_and_a_deck_its_pages(path):
    types = slide_types(path)
    assert set(types) <= TYPES, [n for n, kind in enumerate(types) if kind not in TYPES]
    assert types[0] == "slide"
    assert types.count("slide") + types.count("subslide") >= FEWEST_PAGES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_deck_carries_all_it_shows(path):
    text = make_slides.deck(path, EMPTY)
    deck = Deck(text)
    assert deck.loads == []
    assert not re.search(r"@import|url\(", text)
    assert deck.all("img") and "$" in text
    for picture in deck.all("img"):
        assert len(picture["src"]) > 1000 and len(picture["alt"]) >= 30


def test_where_the_cells_go(notebook):
    text = make_slides.deck(notebook, EMPTY)
    deck = Deck(text)
    assert "<title>07 · Dots</title>" in text
    assert len(deck.all("section")) == 4 + 7  # columns and pages
    assert "setup_of_the_notebook" not in text
    assert {"class": "fragment"} in deck.all("div") and deck.all("details") == [{}]
    assert re.search(r'<aside class="notes">.*Say it slowly.*</aside>', text, re.DOTALL)
    assert {"href": "08.html"} in deck.all("a") and {"href": "../../README.md"} in deck.all("a")
    assert not [each for each in deck.all("div") if "Prompt" in (each.get("class") or "")]


DECK = """# 07 · Dots

See [the next](08_more_dots.ipynb).

Notes: 1 min. Ask: why?

---

## Code alone

{code printed}

Notes: 2 min. Ask: what does it print?

---

## Output alone

{output printed}

So it is.

Notes: 47 min. Ask: really?
"""


@pytest.fixture
def written(notebook: Path) -> Path:
    """The same notebook as it lies in a course, with a deck of three pages."""
    course = notebook.parent / "course"
    path, deck = course / "notebooks" / notebook.name, course / "teach" / "decks" / "07.md"
    for folder in (path.parent, deck.parent):
        folder.mkdir(parents=True)
    whole = nbformat.read(notebook, as_version=4)
    whole.cells[4].id = "printed"
    nbformat.write(whole, path)
    deck.write_text(DECK, encoding="utf-8")
    return path


def test_a_written_deck_has_its_pages_and_of_the_notebook_what_they_name(written):
    text = make_slides.deck(written, EMPTY)
    first, code, output = re.findall(r"<section>(?:(?!<section>).)*</section>", text, re.DOTALL)
    assert "<title>07 · Dots</title>" in text and 'href="08.html' in first
    assert "Code alone" in code and '<span class="n">x</span>' in code and "printed</pre>" not in code
    assert "printed" in output and '<span class="n">x</span>' not in output and "So it is." in output
    assert [re.search(r'<aside class="notes">.*Ask: (\w+)', each, re.DOTALL)[1] for each in (first, code, output)] == [
        "why", "what", "really"]
    assert "A line." not in text and "Forty-two" not in text


@pytest.mark.parametrize("old, new, words", [
    ("{code printed}", "{code lost}", "shows the cell 'lost'"),
    ("## Code alone\n", "Code alone\n", "page 2 needs a heading"),
    ("Notes: 1 min. Ask: why?\n", "", "page 1 needs a heading, # or ##, and a line Notes"),
])
def test_a_written_deck_that_can_t_be_laid_out_is_told(written, old, new, words):
    assert old in DECK
    make_slides.deck_of(written).write_text(DECK.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(words)):
        make_slides.deck(written, EMPTY)


@pytest.mark.parametrize("old, new, fault", [
    ("", "", None),
    ("2 min.", "3 min.", "51 minutes"),
    ("2 min. Ask", "Ask", "page 2 (## Code alone): its notes begin with minutes"),
    ("Ask: why?", "Why?", "page 1 (# 07 · Dots): its notes have no question"),
    ("So it is.", "{output printed}", "page 3 (## Output alone): 2 things"),
    ("So it is.", "word " * 61, "page 3 (## Output alone): 61 words"),
    ("So it is.", "### Exercise 7.1", "page 3 (## Output alone): an exercise as it stands"),
    ("## Output alone", "## Code alone", "two pages are called ## Code alone"),
    ("---\n\n## Code", "---\n\n## Page\n\nNotes: 0 min. Ask: so?\n\n" * 33 + "---\n\n## Code", "36 pages"),
])
def test_what_a_written_deck_must_keep(written, old, new, fault):
    deck, pages = make_slides.deck_of(written), 0
    text = DECK.replace(old, new, 1) if old else DECK
    while "## Page\n" in text:  # each with a heading of its own
        text, pages = text.replace("## Page\n", f"## Page {pages}\n", 1), pages + 1
    deck.write_text(text, encoding="utf-8")
    found = deck_faults(make_slides.pages(deck))
    assert (found == []) if fault is None else (len(found) == 1 and fault in found[0])


def test_a_picture_stands_alone_and_keeps_its_description(notebook):
    text = make_slides.deck(notebook, EMPTY)
    picture, = Deck(text).all("img")
    assert picture["alt"] == 'A "dot" rises.' and picture["width"] == "1000"
    assert "<em>A dot rises.</em>" in text
    assert "words" not in text  # of the call of show
    assert "printed" in text and '<span class="n">x</span>' in text


@pytest.mark.parametrize(
    ("source", "alone"),
    [("show(f, alt='a')", True), ("show(a)\nexplore(b)", True), ("print(1)", False), ("x = show(f)", False),
     ("# no", False), ("%pip list", False)],
)
def test_what_only_shows(source, alone):
    assert make_slides.only_shows(source) is alone


def test_code_on_a_page_leaves_descriptions_out():
    source = "é = f(alt='Δ')  # é\n\n\n\nshow(g(x), alt='one '\n     'two', size=3)\nalt = 'kept'"
    assert make_slides.shortened(source) == "é = f(alt=...)  # é\n\nshow(g(x), alt=..., size=3)\nalt = 'kept'"


def test_a_cell_with_a_magic_command_stays_as_it_is():
    source = "%matplotlib inline\nshow(f, alt='words')"
    assert make_slides.shortened(source) == source


@pytest.mark.parametrize("missing", ["number", "picture"])
def test_a_notebook_without_its_outputs_gets_no_deck_and_the_others_do(tmp_path, monkeypatch, capsys, missing):
    monkeypatch.setattr(make_slides, "libraries", lambda: EMPTY)
    picture = new_output("display_data", {"image/png": png(), "text/plain": "dot"})
    for name in ("01_whole", "02_cleared"):
        cells = [placed(new_markdown_cell("# Title"), "slide"),
                 placed(new_code_cell("show(figure, alt='')", outputs=[picture], execution_count=1), "subslide"),
                 placed(new_code_cell("x = 1", execution_count=2), "skip"), placed(new_code_cell(""), "skip")]
        if name == "02_cleared" and missing == "number":
            cells[2].execution_count = None
        elif name == "02_cleared":
            cells[1].outputs = []
        nbformat.write(new_notebook(cells=cells), tmp_path / f"{name}.ipynb")
    assert make_slides.main(["--notebooks", str(tmp_path), "--out", str(tmp_path / "slides")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("02_cleared.ipynb: no deck, 1 of its cells") and told.count("\n") == 1
    assert "make reset" in told and "make run REFRESH=1" in told
    assert [path.name for path in (tmp_path / "slides").iterdir()] == ["01.html"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_notebook_of_the_course_is_refused(path):
    assert make_slides.not_run(nbformat.read(path, as_version=4)) == 0


def test_without_its_libraries_the_command_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(make_slides, "LIBRARIES", {"reveal_js": ("a-package-that-is-not-here", "reveal.js")})
    assert make_slides.main(["--out", str(tmp_path)]) == 1
    assert "run make slides" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# --- in a browser --------------------------------------------------------------------------------------------------

MEASURE = """number => {
  const page = Reveal.getSlides()[number], at = Reveal.getIndices(page);
  Reveal.slide(at.h, at.v, 99);
  const heading = [...document.querySelectorAll(".slides h1, .slides h2, .slides h3")].filter(
    (each) => each.compareDocumentPosition(page) & (Node.DOCUMENT_POSITION_FOLLOWING | Node.DOCUMENT_POSITION_CONTAINS)
  ).pop();
  const size = (each) => parseFloat(getComputedStyle(each).fontSize);
  const smallest = (selector) => Math.min(...[...page.querySelectorAll(selector)].map(size));
  return {
    heading: heading ? heading.textContent : "", height: page.scrollHeight, room: page.clientHeight,
    width: page.scrollWidth - page.clientWidth,
    text: smallest(".jp-RenderedMarkdown :is(p, li, td, summary)"), code: smallest("pre, code"),
    open: page.querySelectorAll("details[open]").length,
    formulas: page.querySelectorAll("mjx-container svg").length,
    wrong: page.querySelectorAll("[data-mjx-error], mjx-merror").length,
    raw: /\\$[^$]+\\$/.test([...page.querySelectorAll(".jp-RenderedMarkdown :is(p, li, td)")].map(
      (each) => each.innerText).join(" ")),
    smallest: Math.min(...[...page.querySelectorAll("*"), document.querySelector(".slide-number")].filter(
      (each) => !each.closest("aside, mjx-container, details > :not(summary)") && [...each.childNodes].some(
        (node) => node.nodeType === 3 && node.textContent.trim())).map(size)),
    scale: Math.min(1, ...[...page.querySelectorAll("img")].map(
      (each) => each.clientWidth / each.getAttribute("width"))),
    wraps: hasLongLine(page),
    own: page.querySelectorAll("h1, h2, h3").length,
    notes: (page.querySelector("aside.notes") || {textContent: ""}).textContent.trim().length,
    empty: page.firstElementChild.matches(".fragment"),
    blank: [...page.querySelectorAll("img")].filter((each) => each.clientHeight < 1 || !each.naturalWidth).length,
  };
}"""


def pages_of(page: Page, path: Path) -> list[dict]:
    """Opens a deck with no network and measures each of its pages; leaves a picture of each in build/screens/slides."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()", timeout=120_000)
    screens = SCREENS / "slides" / path.stem
    screens.mkdir(parents=True, exist_ok=True)
    measured = []
    for number in range(page.evaluate("Reveal.getTotalSlides()")):
        measured.append(page.evaluate(MEASURE, number))
        page.screenshot(path=screens / f"{number + 1:03d}.png")
    assert [url for url in asked if not url.startswith(("data:", path.as_uri()))] == []
    return measured


def too_tall(pages: list[dict]) -> list[str]:
    return [f"page {number}, {page['heading']!r}: {page['height']} px in {page['room']}"
            for number, page in enumerate(pages, start=1) if page["height"] > page["room"]]


@pytest.fixture(scope="module")
def page():
    with browser() as chromium:
        context = chromium.new_context(viewport={"width": 1280, "height": 720}, offline=True)
        yield context.new_page()


@pytest.mark.real
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_deck_reads_well_from_the_back_row(path, page, tmp_path):
    deck = tmp_path / f"{path.stem[:2]}.html"
    deck.write_text(make_slides.deck(path, real_parts.require(make_slides.libraries)), encoding="utf-8")
    pages = pages_of(page, deck)
    assert len(pages) >= FEWEST_PAGES
    assert too_tall(pages) == []
    assert [each for each in pages if each["width"] > 0] == []
    assert min(each["text"] or 24 for each in pages) >= 24 and min(each["code"] or 18 for each in pages) >= 18
    assert not any(each["open"] or each["empty"] or each["wrong"] or each["raw"] or each["blank"] for each in pages)
    assert sum(each["formulas"] for each in pages) > 0


@pytest.mark.real
@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_a_written_deck_is_shown_page_by_page_as_it_is_written(path, page, tmp_path):
    """24 px on a screen of 1920 are 16 here; in pictures, type of 14 points, 19.4 px at the size of the notebook."""
    deck = tmp_path / f"{path.stem[:2]}.html"
    deck.write_text(make_slides.deck(path, real_parts.require(make_slides.libraries)), encoding="utf-8")
    pages = pages_of(page, deck)
    assert len(pages) == len(make_slides.pages(make_slides.deck_of(path)))
    assert [each["own"] for each in pages] == [1] * len(pages) and all(each["notes"] for each in pages)
    assert [each["heading"] for each in pages if each["smallest"] < 16] == []
    assert [each["heading"] for each in pages if each["scale"] * 14 / 72 * 100 < 16] == []
    assert [each["heading"] for each in pages if each["wraps"]] == []
    done = []
    for number in (0, len(pages) - 1):
        page.evaluate("number => Reveal.slide(number)", number)
        page.wait_for_timeout(1_500)  # the bar moves
        done.append(page.evaluate("document.querySelector('.progress span').getBoundingClientRect().width"))
    assert done[0] < 100 and done[1] > 1_200  # what is done is marked, of 1,280


@pytest.mark.real
def test_a_page_that_is_too_long_is_broken_between_cells_or_found(notebook, page, tmp_path):
    deck = tmp_path / "07.html"
    deck.write_text(make_slides.deck(notebook, real_parts.require(make_slides.libraries)), encoding="utf-8")
    pages = pages_of(page, deck)
    assert [each["formulas"] for each in pages] == [0, 2, 0, 0, 0, 0, 0, 0, 0]
    assert [each["heading"] for each in pages[-5:]] == ["Two cells"] * 4 + ["Too long"]
    assert not any(each["empty"] for each in pages)
    found, = too_tall(pages)
    assert re.fullmatch(r"page 9, 'Too long': 1\d\d\d px in 720", found)
