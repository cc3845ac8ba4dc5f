"""Write the Colab badges and the set-up cell into README and every notebook: `make colab REPO=owner/name`.

An empty REPO takes the badges out again. Each notebook has one code cell tagged "setup"; its source is
tools/setup_cell.py with REPO, REF and the course's version filled in, folded in JupyterLab and on Colab, where its
first line stays as a title. The badge is the last line of the notebook's first cell.
"""

import argparse
import re
import sys
from pathlib import Path

import nbformat

from rmlib import __version__
from rmlib.files import atomic_write_text

ROOT = Path(__file__).resolve().parents[1]
SETTING = re.compile(r'^REPO, REF = "(.*)", "(.*)"', re.MULTILINE)
VERSION = re.compile(r'notebook="(.*)"')
BADGE = re.compile(r"\n*\[!\[Open [^\n]* in Colab\][^\n]*")
FOLDED = {"jupyter": {"source_hidden": True}, "cellView": "form"}
README_BLOCK = re.compile(r"(<!-- colab badges -->\n).*?(<!-- end of colab badges -->)", re.DOTALL)


def cell_source(repo: str, ref: str) -> str:
    """The set-up cell's source for the course at github.com/{repo}, branch, tag or commit {ref}; repo may be empty.

    Raises ValueError unless repo is empty or owner/name, and ref is a name git allows in an address.
    """
    if not re.fullmatch(r"([\w-]+/[\w.-]+)?", repo):
        raise ValueError(f"REPO must be owner/name as GitHub writes it, got {repo!r}")
    if not re.fullmatch(r"[\w./-]+", ref):
        raise ValueError(f"REF must be a branch, tag or commit, got {ref!r}")
    template = (ROOT / "tools" / "setup_cell.py").read_text(encoding="utf-8")
    dated = VERSION.sub(f'notebook="{__version__}"', template)
    return SETTING.sub(f'REPO, REF = "{repo}", "{ref}"', dated).rstrip("\n")


def badge(repo: str, ref: str, notebook: str) -> str:
    """A Markdown badge that opens the notebook in Colab."""
    site = "https://colab.research.google.com"
    name = notebook.removesuffix(".ipynb").removeprefix("side/")
    picture, target = f"{site}/assets/colab-badge.svg", f"{site}/github/{repo}/blob/{ref}/notebooks/{notebook}"
    return f"[![Open {name} in Colab]({picture})]({target})"


def setup_cell(notebook: nbformat.NotebookNode, path: Path) -> nbformat.NotebookNode:
    """The one code cell tagged "setup"; ValueError where there is none or more than one."""
    tagged = [cell for cell in notebook.cells if "setup" in cell.metadata.get("tags", [])]
    if len(tagged) != 1 or tagged[0].cell_type != "code":
        raise ValueError(f'{path} must have one code cell tagged "setup", and has {len(tagged)} cells with that tag')
    return tagged[0]


def written(root: Path = ROOT) -> tuple[str, str]:
    """REPO and REF as the first notebook has them."""
    path = min((root / "notebooks").glob("*.ipynb"))
    return SETTING.search(setup_cell(nbformat.read(path, as_version=4), path).source).groups()


def changes(repo: str, ref: str, root: Path = ROOT) -> dict[Path, str]:
    """The files that do not yet say what they should for this REPO and REF, each with the text it should have."""
    source, changed, badges = cell_source(repo, ref), {}, []
    folder = root / "notebooks"
    for path in sorted(folder.glob("*.ipynb")) + sorted(folder.glob("side/*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        before = nbformat.writes(notebook)
        cell = setup_cell(notebook, path)
        cell.source = source
        cell.metadata.update(FOLDED)
        badges += [badge(repo, ref, path.relative_to(folder).as_posix())] if repo else []
        first = BADGE.sub("", notebook.cells[0].source)
        notebook.cells[0].source = f"{first}\n\n{badges[-1]}" if repo else first
        if nbformat.writes(notebook) != before:
            changed[path] = nbformat.writes(notebook) + "\n"
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8")
    new = README_BLOCK.sub(lambda block: block[1] + "".join(f"{line}\n" for line in badges) + block[2], text)
    return changed | ({readme: new} if new != text else {})


def main(arguments: list[str] | None = None) -> int:
    """Write what has to change; exit code 2 for a REPO or notebook that can't be used."""
    parser = argparse.ArgumentParser(description="Write Colab badges and the set-up cell into README and notebooks.")
    parser.add_argument("--repo", default="", metavar="OWNER/NAME", help="empty: take the badges out")
    parser.add_argument("--ref", default="", help=f"branch, tag or commit to fetch; default: v{__version__}")
    options = parser.parse_args(arguments)
    try:
        changed = changes(options.repo, options.ref or f"v{__version__}")
    except ValueError as problem:
        print(problem, file=sys.stderr)
        return 2
    for path, text in changed.items():
        atomic_write_text(path, text)
        print(f"wrote {path.relative_to(ROOT)}")
    print("nothing to change" if not changed else f"{len(changed)} files changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
