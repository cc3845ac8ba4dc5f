"""Say how long each notebook and its deck are, beside what is allowed: `make pages`.

Times are minutes: a minute for 100 words, two for a formula, ten for an exercise. The rules themselves are in
tests/helpers/notebook_rules.py.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

import notebook_rules as rules  # noqa: E402

from tools import make_slides  # noqa: E402

HEAD = ("notebook", "words", "cells", "columns", "formulas", "exercises", "takes", "states", "deck")


def row(path: Path) -> tuple:
    """What `make pages` says of one notebook."""
    notebook, deck = rules.load(path), make_slides.deck_of(path)
    pages = len(make_slides.pages(deck)) if deck.exists() else "-"
    return (path.stem, rules.words(notebook), len(rules.code_cells(notebook)), rules.columns(notebook),
            rules.formulas(notebook), rules.exercises(notebook), rules.minutes(notebook),
            rules.stated_minutes(notebook) or "-", pages)


def main() -> int:
    way, side = (sorted((ROOT / folder).glob("*.ipynb")) for folder in ("notebooks", "notebooks/side"))
    rows = [row(path) for path in (*way, *side)]
    counted = [of for of in rows[: len(way)] if of[0][:2] in rules.TOGETHER]
    together = [("00 to 07", *(sum(of[i] for of in counted) for i in (1, 2)))]
    width = max(len(of[0]) for of in rows)
    for name, *figures in (HEAD, *rows, *together):
        print(f"{name:<{width}}", *(f"{of:>9,}" if isinstance(of, int) else f"{of:>9}" for of in figures))
    most = f"{rules.MOST_WORDS:,} words, 07: {rules.MORE_WORDS['07']:,}"
    print(f"at most: {most}, together {rules.MOST_TOGETHER:,}; {rules.MOST_CELLS} cells, {rules.COLUMNS} columns")
    return 0


if __name__ == "__main__":
    sys.exit(main())
