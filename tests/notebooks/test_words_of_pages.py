"""What a page tells: formulas, heads of tables, numbers and comparisons in words, the results and pictures it stores.

Most have a guard that computes them, but a sentence can lose its number unseen, and a refresh stores whatever a slip
prints or draws. Here they stand cell by cell, in order, and a hash of each cell's source, for no list holds the word
that turns a sentence round (bold, timid). Who changes one on purpose looks up where it comes from, looks at the
picture, deletes the page's file, and runs this test twice.
"""

import ast
import json
import re
from hashlib import sha256

import pytest
from places import ROOT
from told import hold

PAGES = sorted((ROOT / "notebooks").rglob("[0-9a-z]*.ipynb"))
NUMBERS = r"""\d[\d,.]*\d|\d|half|halves|thirds?|quarters?|fifths?|sixths?|tenths?|hundredths?|thousandths?|twice|two
    |three|four|five|six|seven|eight|nine|ten|eleven|twelve|sixteen|twenty|thirty|forty|fifty|sixty|eighty|hundred
    |thousand"""
COMPARED = r"""above|below|left|right|more|less|fewer|most|least|higher|lower|larger|smaller|longer|shorter
    |further|better|worse|highest|lowest|largest|smallest|longest|shortest|best|worst|oldest|newest|earlier
    |later|rises?|falls?|grows?|shrinks?|raises?|lowers?|gains?|loses?|first|last|before|after|up|down|not|never
    |no|none|nothing|without|all|every|each|only|alone|both|neither|always|any|some|many|few|often|seldom|hardly
    |nearly|mostly|equal|same|true|false|wrong|can|cannot|(?:can|don|doesn|isn|aren|won|didn|couldn|wasn)['’]t"""
TOLD = re.compile(rf"(?ix) (?<![\w./#-]) [+−-]? (?:{NUMBERS}|{COMPARED}) (?![\w/]) \s?%?")

TABLE_HEAD = r"^\|[^\n]*\|(?=\n\|[-:| ]+\|)"
FORMULA = re.compile(rf"(?sm)\$\$.+?\$\$|(?<!\\)\$[^$]+?\$|{TABLE_HEAD}")
CLAIMS = re.compile(r"^\||[-=<>+^/]|\\(?:le|ge|approx|sim|t?frac|pm)\b")  # more than a name of something


def alts(source: str) -> list[str]:
    """What the figures of a cell say: the strings of each `alt=`."""
    given = [each.value for each in ast.walk(ast.parse(source)) if isinstance(each, ast.keyword) and each.arg == "alt"]
    return ["".join(part.value for part in ast.walk(each) if isinstance(part, ast.Constant)) for each in given
            if not isinstance(each, ast.Call)]


def results(output: dict) -> list[str]:
    """The lines with a number that a cell has printed, what stands below its slider, and a picture by its hash."""
    data = output.get("data", {})
    printed = "".join(output.get("text", "")).splitlines()
    below = re.findall("<p>(At .*?)</p>", "".join(data.get("text/html", "")))
    pictures = [sha256(png.encode()).hexdigest()[:12] for png in "".join(data.get("image/png", "")).split()]
    return [line for line in printed + below if re.search(r"\d", line)] + [f"picture {each}" for each in pictures]


def words_told(page: dict) -> str:
    """A line for each cell: its id, its source's hash, and the numbers and comparisons of its text or its figures; one
    for each formula, for each head of a table, and for each result that is stored."""
    lines = []
    for cell in page["cells"]:
        source = "".join(cell["source"])
        texts = [source] if cell["cell_type"] == "markdown" else alts(source)
        said = [found.group().strip().lower() for text in texts for found in TOLD.finditer(text)]
        if cell["id"].endswith("references"):
            said = []
        lines.append(" ".join([cell["id"], f"({sha256(source.encode()).hexdigest()[:8]})", *said]))
        if cell["cell_type"] == "markdown":
            formulas = [" ".join(each.split()) for each in FORMULA.findall(source)]
            lines += [f"    {each}" for each in formulas if CLAIMS.search(each)]
        lines += [f"    > {each}" for output in cell.get("outputs", []) for each in results(output)]
    return "\n".join(lines)


@pytest.mark.parametrize("path", PAGES, ids=[path.stem for path in PAGES])
def test_what_a_page_tells_in_words(path):
    page = json.loads(path.read_text(encoding="utf-8"))
    hold(path.stem, words_told(page), ROOT / "tests/notebooks/told")


def test_which_words_are_told():
    text = "Three of 1,813 fall by −0.21%, at 3.5 the last [04](04_x.ipynb): $a -\nb$ of $e$."
    text += "\n\n$$\nc \\le d\n$$\n| f | g |\n|:--|--:|\n| h | i |"
    cells = [{"id": "a", "cell_type": "markdown", "source": [text]},
             {"id": "b", "cell_type": "code", "source": ['show(draw(12), alt="Left 31, right "\n     f"{x} two")']},
             {"id": "c-references", "cell_type": "markdown", "source": ["2019, 10(2)"]},
             {"id": "d", "cell_type": "code", "source": ["x"], "outputs": [
                 {"text": ["share 0.25\n", "holds: all\n"]}, {"data": {"text/html": "<p>so</p><p>At k = 1: 2</p>"}},
                 {"data": {"image/png": "AAAA\n"}}]}]
    told = re.sub(r"\([0-9a-f]{8}\)", "(HASH)", words_told({"cells": cells}))
    assert told.splitlines() == [
        "a (HASH) three 1,813 fall −0.21% 3.5 last 04", "    $a - b$", "    $$ c \\le d $$", "    | f | g |",
        "b (HASH) left 31 right two", "c-references (HASH)", "d (HASH)", "    > share 0.25", "    > At k = 1: 2",
        "    > picture 63c1dd951ffe"]


def test_every_word_counts():
    first, second = ({"cells": [{"id": "a", "cell_type": "markdown", "source": [f"It is too {word}."]}]}
                     for word in ("bold", "timid"))
    assert words_told(first) != words_told(second)
