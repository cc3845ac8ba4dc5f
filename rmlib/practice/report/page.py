"""The parts of a web page that stands alone: elements, numbers, tables, pictures, and the sheet that holds them.

Whatever is not already `Html` is text, and is escaped where it enters a page: no text can become markup by oversight.
"""

import base64
import html
import re
from collections.abc import Sequence
from string import Template

from matplotlib.figure import Figure

from rmlib.practice.style import DPI, described, png_bytes
from rmlib.settings import ASSETS

VOID = ("img",)
NOT_FOR_PAGES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class Html(str):
    """Text that is markup already."""


def markup(content: object) -> Html:
    """`content` itself where it is Html, or else its text, escaped, with U+FFFD for what no page may hold."""
    if isinstance(content, Html):
        return content
    return Html(html.escape(NOT_FOR_PAGES.sub("\N{REPLACEMENT CHARACTER}", str(content))))


def joined(*contents: object, by: str = "") -> Html:
    """Contents one after the other."""
    return Html(by.join(map(markup, contents)))


def element(tag: str, *contents: object, **attributes: object) -> Html:
    """<tag ...>contents</tag>; a last underscore in an attribute's name is dropped, as in `class_`."""
    given = "".join(f' {name.rstrip("_")}="{markup(value)}"' for name, value in attributes.items())
    return Html(f"<{tag}{given}>" + ("" if tag in VOID else f"{joined(*contents)}</{tag}>"))


def number(value: float, digits: int = 3) -> Html:
    """A number to so many digits, and exactly in the element's `value`, for programs."""
    return element("data", f"{value:z,.{digits}f}".replace("-", "\N{MINUS SIGN}"), value=value)


def percent(value: float) -> Html:
    """A share as a percentage, and exactly in the element's `value`."""
    return element("data", f"{value:z.1%}".replace("-", "\N{MINUS SIGN}"), value=value)


def p_value(value: float) -> Html:
    """A p-value to two digits, or below 0.0001; exactly in the element's `value`."""
    return element("data", "below 0.0001" if value < 1e-4 else f"{value:.2g}", value=value)


def paragraph(*contents: object, **attributes: object) -> Html:
    return element("p", *contents, **attributes)


def table(caption: str, columns: Sequence[str], groups: Sequence[tuple[str, Sequence[Sequence[object]]]]) -> Html:
    """A table of groups of rows, each row headed by its first cell.

    Without columns there are names and values, and no head; a group without a name has no heading of its own.
    """
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in columns)))
    width = len(columns) or 2
    bodies = []
    for name, rows in groups:
        heading = element("tr", element("th", name, scope="rowgroup", colspan=width), class_="group")
        cells = (element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in rest))
                 for first, *rest in rows)
        bodies.append(element("tbody", *([heading] if name else []), *cells))
    whole = element("table", element("caption", caption), *([head] if columns else []), *bodies)
    return element("div", whole, class_="wide")


def picture(figure: Figure, alt: str) -> Html:
    """A figure as PNG inside the page, with `alt` as its alternative text and, to be read, below it."""
    alt = described(alt)
    width, height = (round(inches * DPI) for inches in figure.get_size_inches())
    source = f"data:image/png;base64,{base64.b64encode(png_bytes(figure)).decode()}"
    image = element("img", src=source, alt=alt, width=width, height=height)
    caption = element("figcaption", alt, **{"aria-hidden": "true"})
    return element("figure", element("div", image, class_="wide"), caption)


def fold(summary: object, *contents: object) -> Html:
    """Contents that stay hidden until they are asked for."""
    return element("details", element("summary", summary), *contents)


def html_page(title: str, *contents: object) -> str:
    """The whole page: it loads nothing and runs nothing."""
    sheet, style = ((ASSETS / f"report.{kind}").read_text(encoding="utf-8") for kind in ("html", "css"))
    return Template(sheet).substitute(title=markup(title), style=style, body=joined(*contents, by="\n"))
