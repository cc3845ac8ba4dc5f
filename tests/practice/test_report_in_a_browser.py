"""The model report in a real browser without a network: it asks for nothing, and can be read wherever it is opened."""

import pytest
from chromium import SCREENS, browser
from lab_pages import faint_texts
from playwright.sync_api import Page
from report_pages import of_the_world

from rmlib.practice.report import write_report

TEXTS = "body :is(p, li, td, th, dt, dd, h1, h2, h3, a, summary, figcaption, caption, code, .text, .label)"
VIEWS = {"desk": (1200, 900), "phone": (390, 844)}
MEASURE = """() => ({
  sideways: document.documentElement.scrollWidth - innerWidth,
  blank: [...document.images].filter((image) => !image.complete || !image.naturalWidth).length,
  links: [...document.querySelectorAll("[href], [src]")].map((e) => e.getAttribute("href") ?? e.getAttribute("src"))
    .filter((address) => !/^(#|data:)/.test(address)),
  lost: [...document.querySelectorAll("nav a")].filter((a) => !document.querySelector(a.getAttribute("href"))).length,
  smallest: Math.min(...[...document.querySelectorAll("p, li, td, th, dt, dd, figcaption, caption")].map(
    (e) => parseFloat(getComputedStyle(e).fontSize))),
  hidden: !document.querySelector("article").checkVisibility(),
})"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, of_the_world(2_000))
    return path


def opened(page: Page, path) -> list[str]:
    """Opens the file and returns all that went wrong: what it asked for elsewhere, failed requests, console, errors."""
    wrong: list[str] = []
    page.on("request", lambda request: wrong.append(request.url) if request.url != path.as_uri()
            and not request.url.startswith("data:") else None)
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url[:80]}"))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(path.as_uri())
    return wrong


@pytest.mark.real
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_needs_nothing_and_can_be_read(report, scheme):
    (SCREENS / "report").mkdir(parents=True, exist_ok=True)
    with browser() as chromium:
        for view, (width, height) in VIEWS.items():
            page = chromium.new_page(color_scheme=scheme, offline=True, viewport={"width": width, "height": height})
            wrong = opened(page, report)
            measured = page.evaluate(MEASURE)
            assert measured.pop("smallest") >= 12
            assert measured == {"sideways": 0, "blank": 0, "links": [], "lost": 0, "hidden": True}
            page.click("summary")
            assert page.locator("article").first.is_visible()
            page.screenshot(path=SCREENS / "report" / f"{view}-{scheme}.png", full_page=True)
            assert faint_texts(page, TEXTS) == []
            assert wrong == []
            page.close()


@pytest.mark.real
def test_a_report_can_be_printed(report):
    with browser() as chromium:
        page = chromium.new_page(color_scheme="dark", offline=True)
        assert opened(page, report) == []
        printed = SCREENS / "report" / "printed.pdf"
        printed.parent.mkdir(parents=True, exist_ok=True)
        page.pdf(path=printed, format="A4", margin=dict.fromkeys(("top", "bottom", "left", "right"), "2cm"))
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator("nav").is_visible() and faint_texts(page, TEXTS) == []


@pytest.mark.real
def test_the_checks_see_what_is_wrong(report, tmp_path):
    """Planted: a picture from elsewhere, which the page's own policy forbids, faint text, and a line too wide."""
    planted = tmp_path / "planted.html"
    faint, wide = '<p style="color:#bbb">faint</p>', '<p style="width:3000px">wide</p>'
    wrong = f'<img src="https://example.org/x.png">{faint}{wide}</main>'
    planted.write_text(report.read_text(encoding="utf-8").replace("</main>", wrong), encoding="utf-8")
    with browser() as chromium:
        page = chromium.new_page(offline=True)
        told = opened(page, planted)
        assert any("example.org" in each for each in told)
        measured = page.evaluate(MEASURE)
        assert measured["sideways"] > 1000 and measured["blank"] == 1
        assert measured["links"] == ["https://example.org/x.png"]
        assert [each for each in faint_texts(page, TEXTS) if "faint" in each]
