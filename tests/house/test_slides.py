"""Decks of slides: pages are as they are written, need no network, and nothing on them is cut off or too small."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
import real_parts
from chromium import SCREENS, browser
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from notebook_rules import deck_faults
from PIL import Image
from places import ROOT
from playwright.sync_api import Page

from tools import make_slides

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EMPTY = dict.fromkeys(make_slides.LIBRARIES, "")
BY_HAND = {  # worked out on the page from what stands there, by the sigmoid, the logarithm and the softmax
    "00": "0.88 0.12 0.99 0.9 0.01 0.11 2.30 4.61", "02": "2.8", "05": "0.10 0.88 0.12",
    "06": "0.29 1.39 3.00 0.55 0.40",
}


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


DECK = """# 07 · Dots

See [the next](08_more_dots.ipynb), [all](../README.md).

Notes: 1 min. Ask: why?

---

## Code alone

{code printed}

Notes: 2 min. Ask: what does it print?

---

## Output alone

{output printed}

With $a < b$.

Notes: 46 min. Ask: really?

---

## A picture

{cell dot}

Notes: 1 min. Ask: where?
"""


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A notebook as it lies in a course, with a deck of four pages."""
    picture = new_output("display_data", {"image/png": png(), "text/plain": "dot"},
                         metadata={"image/png": {"alt": 'A "dot" rises.', "width": 1000}})
    caption = new_output("display_data", {"text/html": "<p><em>A dot rises.</em></p>"})
    cells = [
        new_markdown_cell("# 07 · Dots\n\nA line that no page has."),
        new_code_cell("show(figure, alt='words')", outputs=[picture, caption], id="dot"),
        new_code_cell("x = 1\nprint(x)", outputs=[new_output("stream", text="printed")], id="printed"),
    ]
    course = tmp_path / "course"
    path, deck = course / "notebooks" / "07_dots.ipynb", course / "teach" / "decks" / "07.md"
    for folder in (path.parent, deck.parent):
        folder.mkdir(parents=True)
    nbformat.write(new_notebook(cells=cells), path)
    deck.write_text(DECK, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_deck_fits_an_hour_and_its_pages_have_one_thing_each(path):
    assert deck_faults(make_slides.pages(make_slides.deck_of(path))) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_deck_carries_all_it_shows(path):
    text = make_slides.deck(path, EMPTY)
    deck = Deck(text)
    assert deck.loads == []
    assert not re.search(r"@import|url\(", text)
    assert deck.all("img") and "$" in text
    for picture in deck.all("img"):
        assert len(picture["src"]) > 1000 and len(picture["alt"]) >= 30


def numbers(text: str) -> set[str]:
    """The numbers with decimals or thousands in a text."""
    return set(re.findall(r"\d+(?:[.,]\d+)+", text.replace("{,}", ",").replace("_", ",")))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_number_on_a_page_is_one_of_the_notebook(path):
    """Also where it is typed into a table: a result that is run again would leave it behind."""
    known = [part for cell in nbformat.read(path, as_version=4).cells for part in
             (cell.source, *(str(output.get("text") or output.get("data", {}) | {"image/png": ""})
                             for output in cell.get("outputs", [])))]
    on_pages = numbers(" ".join(page.text for page in make_slides.pages(make_slides.deck_of(path))))
    assert on_pages - numbers(" ".join(known)) == set(BY_HAND.get(path.name[:2], "").split())


def test_a_deck_has_its_pages_and_of_the_notebook_what_they_name(notebook):
    text = make_slides.deck(notebook, EMPTY)
    first, code, output, picture = re.findall(r"<section>(?:(?!<section>).)*</section>", text, re.DOTALL)
    assert "<title>07 · Dots</title>" in text and "A line that no page has" not in text
    assert {"href": "08.html"} in Deck(first).all("a") and {"href": "../../README.md"} in Deck(first).all("a")
    assert "Code alone" in code and '<span class="n">x</span>' in code and "printed</pre>" not in code
    assert "printed" in output and '<span class="n">x</span>' not in output and "With $a" in output
    assert [re.search(r'<aside class="notes">.*Ask: (\w+)', each, re.DOTALL)[1]
            for each in (first, code, output, picture)] == ["why", "what", "really", "where"]
    assert not [each for each in Deck(text).all("div") if "Prompt" in (each.get("class") or "")]


@pytest.mark.parametrize("old, new, words", [
    ("{code printed}", "{code lost}", "shows the cell 'lost'"),
    ("## Code alone\n", "Code alone\n", "page 2 needs a heading"),
    ("Notes: 1 min. Ask: why?\n", "", "page 1 needs a heading, # or ##, and a line Notes"),
])
def test_a_deck_that_can_t_be_laid_out_is_told(notebook, old, new, words):
    assert old in DECK
    make_slides.deck_of(notebook).write_text(DECK.replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(words)):
        make_slides.deck(notebook, EMPTY)


@pytest.mark.parametrize("old, new, fault", [
    ("", "", None),
    ("2 min.", "3 min.", "51 minutes"),
    ("2 min. Ask", "Ask", "page 2 (## Code alone): its notes begin with minutes"),
    ("Ask: why?", "Why?", "page 1 (# 07 · Dots): its notes have no question"),
    ("With $a < b$.", "{output printed}", "page 3 (## Output alone): 2 things"),
    ("With $a < b$.", "word " * 61, "page 3 (## Output alone): 61 words"),
    ("With $a < b$.", "### Exercise 7.1", "page 3 (## Output alone): an exercise as it stands"),
    ("## Output alone", "## Code alone", "two pages are called ## Code alone"),
    ("---\n\n## Code", "---\n\n## Page\n\nNotes: 0 min. Ask: so?\n\n" * 32 + "---\n\n## Code", "36 pages"),
])
def test_what_a_deck_must_keep(notebook, old, new, fault):
    deck, pages = make_slides.deck_of(notebook), 0
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
def test_a_notebook_without_its_outputs_gets_no_deck_and_the_others_do(notebook, monkeypatch, capsys, missing):
    monkeypatch.setattr(make_slides, "libraries", lambda: EMPTY)
    whole, out = nbformat.read(notebook, as_version=4), notebook.parent / "slides"
    for number, cell in enumerate(whole.cells[1:], start=1):
        cell.execution_count = number
    nbformat.write(whole, notebook)
    if missing == "number":
        whole.cells[2].execution_count = None
    else:
        whole.cells[1].outputs = []
    nbformat.write(whole, notebook.parent / "08_cleared.ipynb")
    assert make_slides.main(["--notebooks", str(notebook.parent), "--out", str(out)]) == 1
    told = capsys.readouterr().err
    assert told.startswith("08_cleared.ipynb: no deck, 1 of its cells") and told.count("\n") == 1
    assert "make reset" in told and "make run REFRESH=1" in told
    assert [path.name for path in out.iterdir()] == ["07.html"]


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
    caption: smallest(".jp-RenderedHTML p"),
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
    """24 px on a screen of 1920 are 16 here; in pictures, type of 14 points, 19.4 px at the size of the notebook."""
    deck = tmp_path / f"{path.stem[:2]}.html"
    deck.write_text(make_slides.deck(path, real_parts.require(make_slides.libraries)), encoding="utf-8")
    pages = pages_of(page, deck)
    assert len(pages) == len(make_slides.pages(make_slides.deck_of(path)))
    assert [each["own"] for each in pages] == [1] * len(pages) and all(each["notes"] for each in pages)
    assert too_tall(pages) == []
    assert [each["heading"] for each in pages if each["width"] > 0 or each["wraps"]] == []
    assert min(each["text"] or 24 for each in pages) >= 24 and min(each["code"] or 18 for each in pages) >= 18
    assert [each["heading"] for each in pages if each["smallest"] < 16] == []
    assert [each["heading"] for each in pages if each["scale"] * 14 / 72 * 100 < 16] == []
    assert not any(each["open"] or each["wrong"] or each["raw"] or each["blank"] for each in pages)
    assert sum(each["formulas"] for each in pages) > 0
    done = []
    for number in (0, len(pages) - 1):
        page.evaluate("number => Reveal.slide(number)", number)
        page.wait_for_timeout(1_500)  # the bar moves
        done.append(page.evaluate("document.querySelector('.progress span').getBoundingClientRect().width"))
    assert done[0] < 100 and done[1] > 1_200  # what is done is marked, of 1,280


@pytest.mark.real
def test_a_page_that_is_too_long_is_found(notebook, page, tmp_path):
    text = DECK.replace("With $a < b$.", "A line.\n\n" * 30)
    make_slides.deck_of(notebook).write_text(text, encoding="utf-8")
    deck = tmp_path / "07.html"
    deck.write_text(make_slides.deck(notebook, real_parts.require(make_slides.libraries)), encoding="utf-8")
    found, = too_tall(pages_of(page, deck))
    assert re.fullmatch(r"page 3, 'Output alone': 1\d\d\d px in 720", found)


@pytest.mark.real
@pytest.mark.parametrize("lines, caption", [(0, 20), (2, 20), (8, 16)])
def test_a_caption_is_large_where_its_picture_keeps_its_size(notebook, page, tmp_path, lines, caption):
    text = DECK.replace("{cell dot}", "{cell dot}\n\n" + "A line.\n\n" * lines)
    make_slides.deck_of(notebook).write_text(text, encoding="utf-8")
    deck = tmp_path / "07.html"
    deck.write_text(make_slides.deck(notebook, real_parts.require(make_slides.libraries)), encoding="utf-8")
    *_, found = pages_of(page, deck)
    assert found["caption"] == caption and (found["scale"] >= 0.99) == (caption == 20)


@pytest.mark.real
def test_the_page_number_grows_with_the_screen(notebook, page, tmp_path):
    deck = tmp_path / "07.html"
    deck.write_text(make_slides.deck(notebook, real_parts.require(make_slides.libraries)), encoding="utf-8")
    page.set_viewport_size({"width": 1920, "height": 1080})
    pages_of(page, deck)
    size = page.evaluate("getComputedStyle(document.querySelector('.slide-number')).fontSize")
    page.set_viewport_size({"width": 1280, "height": 720})
    assert size == "24px"


@pytest.mark.real
def test_a_handout_has_the_pages_with_their_margins(notebook, page, tmp_path):
    deck = tmp_path / "07.html"
    deck.write_text(make_slides.deck(notebook, real_parts.require(make_slides.libraries)), encoding="utf-8")
    page.goto(f"{deck.as_uri()}?print-pdf")
    page.wait_for_function("document.querySelectorAll('.pdf-page').length == 4", timeout=60_000)
    left, size = page.evaluate("""() => {
      const heading = document.querySelector(".pdf-page h2"), pdf = heading.closest(".pdf-page");
      const text = heading.closest("section").querySelector("pre");
      return [heading.getBoundingClientRect().left - pdf.getBoundingClientRect().left, getComputedStyle(text).fontSize];
    }""")
    assert left == 56 and float(size.removesuffix("px")) >= 18
