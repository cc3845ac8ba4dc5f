"""`make pages` tells of every notebook what the lints count."""

import notebook_rules as rules
import pytest
from places import ROOT

from tools import make_slides, pages


def test_every_notebook_has_its_line_and_the_way_its_sum(capsys: pytest.CaptureFixture):
    assert pages.main() == 0
    told = {line.split("  ")[0]: line.replace(",", "").split() for line in capsys.readouterr().out.splitlines()}
    notebooks = {path.stem: rules.load(path) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
    for name, notebook in notebooks.items():
        assert told[name][1:4] == [str(count) for count in (
            rules.words(notebook), len(rules.code_cells(notebook)), rules.columns(notebook))]
    first = told["00_start_here"]
    deck = make_slides.deck_of(ROOT / "notebooks/00_start_here.ipynb")
    assert first[-3:] == [str(count) for count in (
        rules.minutes(notebooks["00_start_here"]), rules.stated_minutes(notebooks["00_start_here"]),
        deck.read_text(encoding="utf-8").count("\n---\n") + 1)]
    together = [rules.words(notebook) for name, notebook in notebooks.items() if name[:2] in rules.TOGETHER]
    assert len(together) == 8 and told["00 to 07"][-2] == str(sum(together))
