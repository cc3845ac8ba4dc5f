"""The parts of a report's page: text that stays text, numbers, tables and pictures that say what they are."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from report_pages import HOSTILE, Parts, findings, of_the_world, pairs_of_lengths

from rmlib.pairs import PreferencePair
from rmlib.practice.report import mistakes, report_page, sections
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
    assert (number(-0.0004), percent(-0.0004)) == ('<data value="-0.0004">0.000</data>',
                                                   '<data value="-0.0004">0.0%</data>')
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


@pytest.mark.parametrize("line, name, told", [(None, None, ""), (3, None, ", line 3"), (1234, 0, ", line 1,234, id 0"),
                                              (None, "q7", ", id q7"), (0, "", ", line 0")])
def test_a_mistake_is_told_with_its_line_and_its_id(line, name, told):
    pair = PreferencePair("p" * 1501, "c" * 1500, f" {'r' * 1500} ", id=name, line=line)
    page = mistakes._mistake(SimpleNamespace(pairs=[pair], margins=np.array([-1.0]), gold=None), 2, 0)
    assert f"<h3>Mistake 2{told}</h3>" in page
    assert re.findall(r">([^<]*)</p><div class=.text. dir=.auto.>([^<]*)<", page) == [
        ("Prompt (its last 1,500 of 1,501 characters)", f"… {'p' * 1500}"), ("Chosen", "c" * 1500),
        ("Rejected", "r" * 1500)]


def test_names_of_parts_fit_a_line_of_their_picture_and_write_no_formula(monkeypatch):
    drawn = []
    monkeypatch.setattr(sections.figures_of, "slices_figure", lambda rows, overall: drawn.append((rows, overall)))
    monkeypatch.setattr(sections, "picture", lambda figure, alt: "")
    rows = [{"name": name, "pairs": 40 - at, "accuracy": 0.5, "low": 0.25, "high": 0.75}
            for at, name in enumerate(("two\n  words", "x" * 41, "$1 and $2"))]
    told = sections.parts_section(SimpleNamespace(figures={"slices": {"subset": rows}, "accuracy": 0.75}))
    assert drawn == [([("two words", 40, 0.5, 0.25, 0.75), ("x" * 40, 39, 0.5, 0.25, 0.75),
                       (r"\$1 and \$2", 38, 0.5, 0.25, 0.75)], 0.75)]
    assert "x" * 41 in told and "two\n  words" in told and "$1 and $2" in told


def test_what_no_page_may_hold_is_replaced_and_its_neighbours_stay():
    for bad in "\x00\x08\x0b\x0c\r\x1f\x7f\x80\x9f\ud800\udfff":
        assert markup(f"a{bad}b") == "a\ufffdb", bad
    for good in "\t\n ~\xa0é\ud7ff\ue000":
        assert markup(f"a{good}b") == f"a{good}b", good


@pytest.mark.parametrize("columns, width", [([], 2), (["", "A", "B", "C"], 4)])
def test_the_name_of_a_group_goes_over_all_columns(columns, width):
    assert f'scope="rowgroup" colspan="{width}">Group<' in table("Names", columns, [("Group", [("a", "b")])])
