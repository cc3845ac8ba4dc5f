"""Notebook 04 and human comparisons: what was counted once and stored, and a run with a reader's own; no text of them.

Without a file of one's own it is run by nbval, against its stored outputs; here it is run with one.
"""

import gzip
import json
import re
import sys

import nbformat
import numpy as np
import pytest
from notebook_rules import load, texts
from real_parts import ROOT, hh_file, minilm_dir, require

from rmlib.course.human import ABSENT, human_study
from rmlib.pairs import read_pairs
from tools import run_notebooks

sys.path.insert(0, str(ROOT / "benchmarks"))

import human_preflight  # noqa: E402

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


def test_at_home_the_stored_counts_are_shown_and_how_to_look_at_ones_own():
    before, after = parts(load(PATH))
    assert str(human_study().report) in said(after) and said(after).strip().endswith(ABSENT)
    assert ABSENT not in said(before) and "1,821" not in said(before)


@pytest.mark.real
def test_the_stored_counts_are_those_of_the_file():
    study = human_preflight.looked_over(str(require(hh_file)), str(require(minilm_dir)), 512)
    stored = json.loads((ROOT / "rmlib/assets/studies/hh_preflight.json").read_text(encoding="utf-8"))
    assert {**study, "date": ""} == {**stored, "date": ""}


@pytest.mark.real
def test_the_leak_of_a_split_by_rows_is_what_a_few_lines_of_its_own_count():
    asked = [" ".join(next(text for role, text in pair.turns if role == "user").split())
             for pair in read_pairs(require(hh_file)).pairs]
    order = np.random.default_rng(3).permutation(len(asked)).tolist()
    quarter, others = order[: len(order) // 4], {asked[i] for i in order[len(order) // 4 :]}
    assert human_study().rows_leak[3] == pytest.approx(sum(asked[i] in others for i in quarter) / len(quarter))


@pytest.mark.real
def test_all_that_touches_a_reader_s_file_stands_below_the_content_note(run: dict):
    before, after = parts(run)
    read = f"pairs from {require(hh_file).name}"
    assert read in said(after) and read not in said(before) and ABSENT not in said(after)
    code = [cell["source"] for cell in before if cell["cell_type"] == "code"]
    assert not any(re.search(r"\bhuman\b(?!\s+import)", source) for source in code)


@pytest.mark.real
def test_the_report_counts_what_a_few_lines_of_its_own_count():
    rows = [json.loads(line) for line in gzip.open(require(hh_file), "rt", encoding="utf-8")]
    extra = [len(row["chosen"].rpartition("\n\nAssistant:")[2].strip())
             - len(row["rejected"].rpartition("\n\nAssistant:")[2].strip()) for row in rows]
    longer, shorter, ties = (sum(one > 0 for one in extra), sum(one < 0 for one in extra), extra.count(0))
    report = human_study().report
    if len(rows) == 1821:
        assert (report.rows, report.chosen_longer, report.chosen_shorter, report.equal_length) == (
            len(rows), longer, shorter, ties)
        assert (round(shorter / 1821, 3), round(longer / 1821, 3), ties) == (0.557, 0.439, 8)


@pytest.mark.real
def test_the_four_rules_meet_a_reader_s_file(run: dict):
    _, after = parts(run)
    found = re.findall(r"^(longer|shorter|bag of words|bag of words, no prompt) +(0\.\d+) +\((0\.\d+) to (0\.\d+)\)$",
                       said(after), re.MULTILINE)
    assert [name for name, *_ in found] == 2 * ["longer", "shorter", "bag of words", "bag of words, no prompt"]
    assert all(float(low) < float(share) < float(high) for _, share, low, high in found)
    assert re.search(r"whose conversation is +0\n", said(after))


@pytest.mark.real
@pytest.mark.parametrize("which", ["run", "stored"])
def test_none_of_their_words_are_shown(run: dict, which: str):
    shown = said((run if which == "run" else load(PATH))["cells"])
    for pair in read_pairs(require(hh_file)).pairs:
        long = [text for text in (pair.chosen, pair.rejected, *pair.prompt.split("\n\n")) if len(text) > 40]
        assert not [text for text in long if text[:40] in shown]
