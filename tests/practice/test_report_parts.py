"""The parts of a report's page: text that stays text, numbers, tables and pictures that say what they are."""

import re
from dataclasses import replace

import numpy as np
import pytest
from report_pages import HOSTILE, Parts, findings, of_the_world, pairs_of_lengths

from rmlib.practice.report import report_page
from rmlib.practice.report.page import element, joined, markup, number, p_value, percent, picture, table
from rmlib.practice.style import canvas


def test_a_tie_is_no_mistake():
    made = findings(np.array([1.0, 0.0, -0.5, 0.0, -2.0]), pairs_of_lengths([3] * 5, [4] * 5))
    assert made.worst == [4, 2]


def test_a_list_of_several_responses_is_one_row_that_was_read():
    pairs = [replace(pair, line=pair.line // 3) for pair in pairs_of_lengths([3] * 30, [4] * 30)]
    assert re.search(r"Rows read\s*11\s*Pairs used\s*30", Parts(report_page(findings(np.ones(30), pairs))).text())


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_markup(text):
    made = element("p", text, title=text)
    parts = Parts(made)
    assert [tag for tag, _ in parts.tags] == ["p"] and set(parts.all("p")[0]) == {"title"}
    clean = text.replace("\x1b", "\ufffd")
    assert "".join(parts.texts) == parts.all("p")[0]["title"] == clean
    assert markup("\ud800") == "\ufffd" and joined(made, "<") == f"{made}&lt;"


def test_numbers_are_written_for_people_and_kept_for_programs():
    assert number(-1234.5678, 1) == '<data value="-1234.5678">\N{MINUS SIGN}1,234.6</data>'
    assert number(np.float64(0.25)) == '<data value="0.25">0.250</data>'
    assert percent(1 / 3) == f'<data value="{1 / 3}">33.3%</data>'
    assert percent(-0.0241) == '<data value="-0.0241">\N{MINUS SIGN}2.4%</data>'
    assert p_value(0.0312) == '<data value="0.0312">0.031</data>' and ">below 0.0001<" in p_value(1e-30)
    assert [p_value(p) for p in (0.0001, 0.00099)] == [f'<data value="{p}">{p:.2g}</data>' for p in (1e-4, 9.9e-4)]
    assert ">below 0.0001<" in p_value(0.000099)
    assert "<thead>" not in table("Names", [], [("", [("a", "b")])])


def test_a_picture_needs_a_description():
    with pytest.raises(ValueError, match="a figure needs alt"):
        picture(canvas()[0], "a plot")


def test_every_table_picture_and_part_says_what_it_is():
    text = report_page(of_the_world(400))
    parts = Parts(text)
    assert len(parts.all("table")) == len(parts.all("caption")) >= 7
    assert all(cell["scope"] in ("col", "row", "rowgroup") for cell in parts.all("th"))
    assert len(parts.all("img")) == 4
    for image in parts.all("img"):
        assert len(image["alt"]) >= 60 and image["src"].startswith("data:image/png;base64,")
        assert element("figcaption", image["alt"], **{"aria-hidden": "true"}) in text
    names = [attributes["id"] for _, attributes in parts.tags if "id" in attributes]
    assert len(names) == len(set(names))
    assert [link["href"] for link in parts.all("a")] == [f"#{each['id']}" for each in parts.all("section")]
    assert {each["aria-labelledby"] for each in parts.all("section")} <= set(names)
    assert [tag for tag, _ in parts.tags if tag in ("h1", "h2")] == ["h1"] + ["h2"] * 10
    assert "open" not in parts.all("details")[0]
