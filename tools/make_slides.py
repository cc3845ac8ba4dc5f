"""Build an HTML deck of slides from each notebook, as it is stored: `make slides`.

build/slides/NN.html holds everything it shows, reveal.js and MathJax included, so that it works in a hall without a
network. Its pages are written in teach/decks/NN.md, with a line --- between them. Each begins with its heading; a line
{code ID}, {output ID} or {cell ID} stands for what the notebook's cell of that id has; what follows "Notes:" is for the
speaker (key S). Of a cell that does nothing but show a picture, a page has the picture alone.
"""

import argparse
import ast
import copy
import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import nbformat
from nbconvert.exporters import SlidesExporter
from traitlets.config import Config

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = Path(__file__).resolve().parent / "slides"
REVEAL = "sphinx_revealjs/_static/revealjs"
PICTURE_ONLY = "picture-only"
LIBRARIES = {
    "reveal_css": ("sphinx-revealjs", f"{REVEAL}/dist/reveal.css"),
    "reveal_js": ("sphinx-revealjs", f"{REVEAL}/dist/reveal.js"),
    "notes_js": ("sphinx-revealjs", f"{REVEAL}/plugin/notes/notes.js"),
    "mathjax_js": ("sphinx-mathjax-offline", "sphinx-mathjax-offline/static/mathjax/tex-svg-full.js"),
}
"""By the name the template uses: the distribution that carries the file, and where it lies in it."""


SHOWN = re.compile(r"^\{(code|output|cell) ([\w-]+)\}$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """A page of a written deck: Markdown that begins with a heading, and what the speaker is told."""

    text: str
    notes: str


def deck_of(path: Path) -> Path:
    """Where the pages of a notebook's deck are written."""
    return path.parent.parent / "teach" / "decks" / f"{path.name[:2]}.md"


def pages(deck: Path) -> list[Page]:
    """The pages that a file holds. ValueError for one that has no heading or no notes."""
    found = []
    for number, text in enumerate(re.split(r"^---$", deck.read_text(encoding="utf-8"), flags=re.MULTILINE), start=1):
        shown, _, notes = text.partition("\nNotes:")
        if not re.match(r"##? \S", shown.strip()) or not notes.strip():
            raise ValueError(f"{deck.name}: page {number} needs a heading, # or ##, and a line Notes: ...")
        found.append(Page(shown.strip(), notes.strip()))
    return found


def laid_out(notebook: nbformat.NotebookNode, written: list[Page]) -> nbformat.NotebookNode:
    """The pages as cells with slide metadata, those of the notebook in their places. ValueError for an unknown id."""
    cells, here = [], {cell.id: cell for cell in notebook.cells}

    def put(cell: nbformat.NotebookNode, slide_type: str) -> None:
        cell.metadata["slideshow"] = {"slide_type": slide_type}
        cells.append(cell)

    for page in written:
        first, *rest = SHOWN.split(page.text)  # text, then kind, id and text for each cell
        put(nbformat.v4.new_markdown_cell(first), "slide")
        for kind, name, text in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
            if name not in here:
                raise ValueError(f"{first.splitlines()[0]!r} shows the cell {name!r}, which the notebook does not have")
            cell = copy.deepcopy(here[name])
            cell.id = f"{name}-{len(cells)}"  # it may be shown twice: its code, then its output
            cell.outputs = [] if kind == "code" else cell.outputs
            cell.metadata["tags"] = [PICTURE_ONLY] if kind == "output" else []
            put(cell, "-")
            if text.strip():
                put(nbformat.v4.new_markdown_cell(text), "-")
        put(nbformat.v4.new_markdown_cell(page.notes), "notes")
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)


def libraries() -> dict[str, str]:
    """The texts of reveal.js and MathJax. FileNotFoundError where what carries them is not installed."""
    texts = {}
    for name, (carrier, path) in LIBRARIES.items():
        try:
            texts[name] = Path(distribution(carrier).locate_file(path)).read_text(encoding="utf-8")
        except (PackageNotFoundError, FileNotFoundError):
            raise FileNotFoundError(f"{carrier} is not installed, or has no {path}: run make slides") from None
    return texts


def deck(path: Path, carried: dict[str, str]) -> str:
    """The notebook as one HTML file; `carried` is what libraries() returns."""
    notebook = laid_out(nbformat.read(path, as_version=4), pages(deck_of(path)))
    own = {"title": title(notebook), "css": (TEMPLATE / "deck.css").read_text(encoding="utf-8"),
           "js": (TEMPLATE / "deck.js").read_text(encoding="utf-8")}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            if only_shows(cell.source):
                cell.metadata.tags = [PICTURE_ONLY]
            cell.source = shortened(cell.source)
    exporter = SlidesExporter(
        config=Config({"CSSHTMLHeaderPreprocessor": {"style": "default"},
                       "TagRemovePreprocessor": {"enabled": True, "remove_input_tags": {PICTURE_ONLY}}}),
        extra_template_basedirs=[str(TEMPLATE.parent)], template_name=TEMPLATE.name,
        exclude_input_prompt=True, exclude_output_prompt=True, exclude_anchor_links=True,
    )
    page, _ = exporter.from_notebook_node(notebook, resources={"deck": carried | own})
    page = re.sub(r'href="(\d\d)_\w+\.ipynb', r'href="\1.html', page)  # decks link to decks
    return page.replace('href="../', 'href="../../')  # notebooks/ is one folder deep, build/slides two


def only_shows(source: str) -> bool:
    """Whether a cell's code is nothing but calls of show, explore or label."""
    statements = parsed(source).body
    return bool(statements) and all(
        isinstance(each, ast.Expr) and isinstance(each.value, ast.Call) and isinstance(each.value.func, ast.Name)
        and each.value.func.id in ("show", "explore", "label") for each in statements
    )


def shortened(source: str) -> str:
    """The code with `alt=...` for the descriptions of pictures, and no more than one blank line in a row."""
    lines = source.encode().splitlines(keepends=True)  # ast counts in bytes
    starts = [sum(map(len, lines[:number])) for number in range(len(lines))]
    words = [keyword.value for node in ast.walk(parsed(source)) if isinstance(node, ast.Call)
             for keyword in node.keywords if keyword.arg == "alt"]
    code = b"".join(lines)
    for value in sorted(words, key=lambda value: value.lineno, reverse=True):
        begin, end = starts[value.lineno - 1] + value.col_offset, starts[value.end_lineno - 1] + value.end_col_offset
        code = code[:begin] + b"..." + code[end:]
    return re.sub(r"\n{3,}", "\n\n", code.decode())


def parsed(source: str) -> ast.Module:
    """The code's syntax tree; an empty one for what is no plain Python, such as a cell with a magic command."""
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.parse("")


def not_run(notebook: nbformat.NotebookNode) -> int:
    """How many code cells have no number, as while a kernel runs them or after Clear Outputs, or show no picture."""
    return sum(cell.execution_count is None or (only_shows(cell.source) and not cell.outputs)
               for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip())


def title(notebook: nbformat.NotebookNode) -> str:
    """The first line of the first cell, without its mark."""
    return notebook.cells[0].source.splitlines()[0].lstrip("# ")


def main(arguments: list[str] | None = None) -> int:
    """Build all decks; exit code 1 if one could not be built, for want of outputs or of what decks are built with."""
    parser = argparse.ArgumentParser(description="Build an HTML deck of slides from each notebook.")
    parser.add_argument("--notebooks", type=Path, default=ROOT / "notebooks", metavar="DIR")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "slides", metavar="DIR")
    options = parser.parse_args(arguments)
    paths = sorted(options.notebooks.glob("*.ipynb"))
    try:
        carried = libraries()
    except FileNotFoundError as missing:
        print(missing, file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    refused = 0
    for path in paths:
        if missing := not_run(nbformat.read(path, as_version=4)):
            print(f"{path.name}: no deck, {missing} of its cells are stored without what they show. make reset brings "
                  "the stored outputs back and keeps your copy; make run REFRESH=1 makes them anew.", file=sys.stderr)
            refused += 1
            continue
        target = options.out / f"{path.name[:2]}.html"
        target.write_text(deck(path, carried), encoding="utf-8")
        print(f"{path.name} -> {target}")
    if not paths:
        print(f"no notebooks in {options.notebooks}", file=sys.stderr)
    return int(refused > 0 or not paths)


if __name__ == "__main__":
    sys.exit(main())
