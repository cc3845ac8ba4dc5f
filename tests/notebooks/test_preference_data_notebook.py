"""Notebook 04 on real human comparisons, and what it keeps of them: nothing.

Without them it is run by nbval, against its stored outputs; here it is run with them.
"""

import gzip
import json
import math
import re

import nbformat
import numpy as np
import pytest
from notebook_rules import load, texts
from real_parts import ROOT, hh_file, require

from rmlib.course.human import ABSENT
from rmlib.pairs import read_pairs
from tools import run_notebooks

PATH = ROOT / "notebooks" / "04_preference_data.ipynb"
NOTE = "**Content note.**"


def said(cells: list[dict]) -> str:
    """All that these cells' outputs show as text."""
    return "\n".join(texts(output) for cell in cells for output in cell.get("outputs", []))


def parts(notebook: dict) -> tuple[list[dict], list[dict]]:
    """The cells before the content note, and those after it."""
    [at] = [number for number, cell in enumerate(notebook["cells"]) if NOTE in cell["source"]]
    return notebook["cells"][:at], notebook["cells"][at + 1 :]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The notebook as it is after a run with the human comparisons."""
    pairs = require(hh_file)
    notebook = nbformat.read(PATH, as_version=4)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RMLIB_PAIRS", str(pairs.resolve()))
        environment.setenv("RMLIB_PROFILE", "quick")
        environment.setenv("HF_HUB_OFFLINE", "1")
        environment.setenv("PYTHONPATH", str(ROOT))
        result = run_notebooks.execute(notebook, PATH.name, PATH.parent)
    assert result.error is None, result.error
    path = tmp_path_factory.mktemp("run") / PATH.name
    nbformat.write(notebook, path)
    return load(path)


def test_without_them_it_says_how_to_get_them_and_nothing_more():
    before, after = parts(load(PATH))
    assert said(after).strip() == ABSENT and ABSENT not in said(before)


@pytest.mark.real
def test_all_that_touches_them_stands_below_the_content_note(run: dict):
    before, after = parts(run)
    read = f"pairs from {require(hh_file).name}"
    assert read in said(after) and read not in said(before) and ABSENT not in said(after)
    code = [cell["source"] for cell in before if cell["cell_type"] == "code"]
    assert not any(re.search(r"\bhuman\b(?!\s+import)", source) for source in code)


@pytest.mark.real
def test_the_leak_is_what_a_few_lines_of_its_own_count(run: dict):
    """For held-out rows that count as trained on: a random quarter, and the first human turns of all other rows."""
    asked = [" ".join(next(text for role, text in pair.turns if role == "user").split())
             for pair in read_pairs(require(hh_file)).pairs]
    order = np.random.default_rng(0).permutation(len(asked)).tolist()
    quarter, others = order[: len(order) // 4], {asked[i] for i in order[len(order) // 4 :]}
    share = sum(asked[i] in others for i in quarter) / len(quarter)
    _, after = parts(run)
    assert f"held out at random: of {share:.1%} the conversation is trained on" in said(after) and 0.02 < share < 0.2


@pytest.mark.real
def test_the_report_counts_what_a_few_lines_of_its_own_count(run: dict):
    rows = [json.loads(line) for line in gzip.open(require(hh_file), "rt", encoding="utf-8")]
    extra = [len(row["chosen"].rpartition("\n\nAssistant:")[2].strip())
             - len(row["rejected"].rpartition("\n\nAssistant:")[2].strip()) for row in rows]
    longer, shorter, ties = (sum(one > 0 for one in extra), sum(one < 0 for one in extra), extra.count(0))
    _, after = parts(run)
    assert f"rows  {len(rows):,}" in re.sub(r" {2,}", "  ", said(after))
    for name, count in (("chosen is longer", longer), ("chosen is shorter", shorter), ("both are equally long", ties)):
        assert re.search(rf"{name} +{count:,} +{count / len(rows):.1%}\n", said(after))
    if len(rows) == 1821:
        assert (round(shorter / 1821, 3), round(longer / 1821, 3), ties) == (0.557, 0.439, 8)


@pytest.mark.real
def test_the_trap_and_the_four_rules_meet_them(run: dict):
    _, after = parts(run)
    [loss] = re.findall(r"right the loss is (\d\.\d+)", said(after))
    assert abs(float(loss) - math.log(2)) < 1e-6
    assert "0 identical after the cut" in said(after)
    found = re.findall(r"^(longer|shorter|bag of words|bag of words, no prompt) +(0\.\d+) +\((0\.\d+) to (0\.\d+)\) of",
                       said(after), re.MULTILINE)
    assert [name for name, *_ in found] == ["longer", "shorter", "bag of words", "bag of words, no prompt"]
    assert all(float(low) < float(share) < float(high) for _, share, low, high in found)


@pytest.mark.real
@pytest.mark.parametrize("which", ["run", "stored"])
def test_none_of_their_words_are_shown(run: dict, which: str):
    shown = said((run if which == "run" else load(PATH))["cells"])
    for pair in read_pairs(require(hh_file)).pairs:
        long = [text for text in (pair.chosen, pair.rejected, *pair.prompt.split("\n\n")) if len(text) > 40]
        assert not [text for text in long if text[:40] in shown]
