"""The rules of the course's notebooks that a program can judge: each takes a notebook's dict and returns complaints.

A notebook is what json.loads makes of an .ipynb file, with every multi-line text joined (see load).
"""

import ast
import html
import json
import math
import re
import statistics
from collections.abc import Callable, Iterator
from itertools import groupby, pairwise
from pathlib import Path

from conftest import FLOAT

Rule = Callable[[dict], list[str]]

MEDIAN_LINES, MOST_LINES, LONGEST = 5, 20, 30
LARGEST_FILE = 1_000_000  # bytes
SHORTEST_DESCRIPTION = 30  # characters
WIDEST = {"rtol": 0.25, "atol": math.inf, "picture": 0.05}
EXEMPTING_TAGS = {"nbval-skip", "nbval-ignore-output", "raises-exception"}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
NEVER_STORED = {"image/svg+xml", "image/jpeg", "application/javascript", WIDGET_VIEW}

ABSOLUTE_PATH = re.compile(r"(?<![\w.:/\\~<])(?:/|[A-Z]:\\+)(?:[\w.-]+[/\\]+)+[\w.-]+|\bfile://\S+")
TIME_OF_DAY = re.compile(r"(?<![\w.:])(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?![\w:])|\bWall time\b")
PIP_INSTALL_RMLIB = re.compile(r"pip3?\W+install\b[^\n]*?(?<![\w/.@-])rmlib(?!\.?[\w/-])")
EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u26ff\u2705\u2728\u274c\u2b50\ufe0f]")
NBVAL_COMMENT = re.compile(r"^\s*#\s*(?:NBVAL|PYTEST_VALIDATE)_\w+", re.MULTILINE)
HEADING = r"#{3,6} Exercise (\d+\.\d+)(?:: \S.*)?$"
CHECKED = re.compile(r"^check\([\"'](\d+\.\d+)", re.MULTILINE)
UNHEADED = re.compile(r"(?:\A|\n\n)\W*Exercise (\d+\.\d+)\b")
FLUSH = re.compile(r"</details>\s*(?!\s|\Z|<details\b|#{1,6} )")
FENCE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def load(path: Path) -> dict:
    """A notebook file as a dict whose sources and text outputs are single strings."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
        for output in cell.get("outputs", []):
            output["text"] = "".join(output.get("text", ""))
            output["data"] = {mime: "".join(data) for mime, data in output.get("data", {}).items()}
    return notebook


def code_cells(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def outputs(notebook: dict) -> Iterator[tuple[str, dict]]:
    """Every output with the name of its cell."""
    for number, cell in enumerate(code_cells(notebook), start=1):
        for output in cell["outputs"]:
            yield f"code cell {number}", output


def tags(cell: dict) -> set[str]:
    return set(cell["metadata"].get("tags", []))


def texts(output: dict) -> str:
    """All that an output shows as text."""
    readable = [data for mime, data in output["data"].items() if mime.startswith("text/")]
    return "\n".join([output["text"], *readable])


def short_cells(notebook: dict) -> list[str]:
    """Median <= 5 lines, 90% <= 20, none over 30; the set-up cell counts only against 30. Blank lines don't count."""
    cells = code_cells(notebook)
    sizes = [sum(bool(line.strip()) for line in cell["source"].split("\n")) for cell in cells]
    found = [f"code cell {n} has {size} lines, at most {LONGEST}" for n, size in enumerate(sizes, 1) if size > LONGEST]
    taught = [size for size, cell in zip(sizes, cells, strict=True) if "setup" not in tags(cell)]
    if taught and statistics.median(taught) > MEDIAN_LINES:
        found.append(f"half of the code cells have more than {MEDIAN_LINES} lines")
    if sum(size > MOST_LINES for size in taught) > 0.1 * len(taught):
        found.append(f"more than a tenth of the code cells have over {MOST_LINES} lines")
    return found


def prose_around_code(notebook: dict) -> list[str]:
    """Never more than two code cells in a row; text first and last; no empty cell."""
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    found = [f"cell {n} is empty" for n, cell in enumerate(notebook["cells"], 1) if not cell["source"].strip()]
    if max((len(list(run)) for kind, run in groupby(kinds) if kind == "code"), default=0) > 2:
        found.append("more than two code cells in a row")
    if kinds[:1] != ["markdown"] or kinds[-1:] != ["markdown"]:
        found.append("the first and the last cell must be text")
    return found


def one_run_top_to_bottom(notebook: dict) -> list[str]:
    counts = [cell["execution_count"] for cell in code_cells(notebook)]
    return [] if counts == list(range(1, len(counts) + 1)) else [f"execution counts are {counts}, not 1..{len(counts)}"]


def clean_outputs(notebook: dict) -> list[str]:
    """No stderr, no error but an expected one, no output that differs at every run."""
    found = [f"{where} wrote to stderr" for where, output in outputs(notebook) if output.get("name") == "stderr"]
    for number, cell in enumerate(code_cells(notebook), start=1):
        raised = any(output["output_type"] == "error" for output in cell["outputs"])
        if raised and "raises-exception" not in tags(cell):
            found.append(f"code cell {number} stopped with an error")
    for where, output in outputs(notebook):
        found += [f"{where} shows {mime}" for mime in sorted(NEVER_STORED & set(output["data"]))]
    return found


def nothing_of_this_machine(notebook: dict) -> list[str]:
    """No absolute path, no time of day in outputs, no run's timing in metadata."""
    found = [f"{where} shows {match[0]!r}" for where, output in outputs(notebook)
             for pattern in (ABSOLUTE_PATH, TIME_OF_DAY) if (match := pattern.search(texts(output)))]
    for number, cell in enumerate(notebook["cells"], start=1):
        match = ABSOLUTE_PATH.search(cell["source"])
        found += [f"cell {number} mentions {match[0]!r}"] if match else []
        found += [f"cell {number} keeps when it ran"] if "execution" in cell["metadata"] else []
    return found


def portable_metadata(notebook: dict) -> list[str]:
    """kernelspec python3, no exact Python version, no widget state, nbformat with cell ids, each once."""
    metadata, ids = notebook["metadata"], [cell.get("id") for cell in notebook["cells"]]
    found = [] if metadata.get("kernelspec", {}).get("name") == "python3" else ["the kernelspec is not python3"]
    found += ["the notebook keeps widget state"] if "widgets" in metadata else []
    found += ["language_info has a version"] if "version" in metadata.get("language_info", {}) else []
    return found + ([] if None not in ids and len(set(ids)) == len(ids) else ["cells need ids, each of its own"])


def described_pictures(notebook: dict) -> list[str]:
    """Every picture has alt text, and the output after it says the same words on the page."""
    found = []
    for number, cell in enumerate(code_cells(notebook), start=1):
        for output, following in pairwise([*cell["outputs"], {"data": {}}]):
            if "image/png" not in output["data"]:
                continue
            alt = output["metadata"].get("image/png", {}).get("alt", "")
            if len(alt) < SHORTEST_DESCRIPTION:
                found.append(f"code cell {number} has a picture without a description: show(figure, alt=...)")
            elif alt not in html.unescape(following["data"].get("text/html", "")):
                found.append(f"code cell {number} has a picture whose description is not on the page")
    return found


def title_and_promise(notebook: dict) -> list[str]:
    """The first cell is a title and, as its first paragraph, a promise of one sentence."""
    blocks = [block.strip() for block in re.split(r"\n\s*\n", notebook["cells"][0]["source"].strip())]
    if not re.fullmatch(r"# \S.*", blocks[0]):
        return ["the first cell must begin with '# ' and the title, on a line of its own"]
    promise = " ".join(blocks[1].split()) if len(blocks) > 1 else ""
    other = promise.startswith(("#", "- ", "* ", "|", "[!"))  # a heading, a list, a table, a badge
    if other or not promise.strip("*_").endswith((".", "?")) or re.search(r"[.?!] ", promise):
        return ["after the title comes a promise of one sentence, in a paragraph of its own"]
    return []


def folded_answers(notebook: dict) -> list[str]:
    """<details> are closed, have a summary, and a blank line after it (else their Markdown stays raw)."""
    found = []
    for number, cell in enumerate(notebook["cells"], start=1):
        if cell["cell_type"] != "markdown":
            continue
        text = FENCE.sub("", cell["source"])
        opened = len(re.findall(r"<details\b", text))
        if opened != text.count("</details>"):
            found.append(f"cell {number} has {opened} <details> and {text.count('</details>')} </details>")
        if opened != len(re.findall(r"<details\b[^>]*>\s*<summary>.+?</summary>\n\n", text, re.DOTALL)):
            found.append(f"cell {number}: <details> needs <summary>...</summary> and a blank line after it")
    return found


def answers_stand_apart(notebook: dict) -> list[str]:
    """After <details> a cell ends, or another or a heading follows: a text right below a closed answer reads as it."""
    return [f"cell {number} goes on after </details>: begin a new cell there"
            for number, cell in enumerate(notebook["cells"], start=1)
            if cell["cell_type"] == "markdown" and FLUSH.search(FENCE.sub("`", cell["source"]))]


def exercises_have_headings(notebook: dict) -> list[str]:
    """An exercise is a heading, "### Exercise 2.1" or "### Exercise 2.1: name", so that tables of contents have it."""
    prose = [FENCE.sub("`", cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    headed = {number for text in prose for number in re.findall(rf"^{HEADING}", text, re.MULTILINE)}
    begun = {number for text in prose for number in UNHEADED.findall(text)}
    checked = {number for cell in code_cells(notebook) for number in CHECKED.findall(cell["source"])}
    return [f"exercise {number} has no heading: ### Exercise {number}" for number in sorted((begun | checked) - headed)]


def calm_and_safe_words(notebook: dict) -> list[str]:
    """No emoji, and never `pip install` of the bare name rmlib, which is another project's."""
    found = []
    for number, cell in enumerate(notebook["cells"], start=1):
        text = cell["source"] + "".join(map(texts, cell.get("outputs", [])))
        found += [f"cell {number} has an emoji"] if EMOJI.search(text) else []
        found += [f"cell {number} would install a stranger's rmlib"] if PIP_INSTALL_RMLIB.search(text) else []
    return found


def figures_in_the_course_style(notebook: dict) -> list[str]:
    return [f"code cell {number} uses pyplot or %matplotlib: draw with rmlib.course.plots"
            for number, cell in enumerate(code_cells(notebook), start=1)
            if re.search(r"pyplot|\bpylab\b|%matplotlib", cell["source"])]


def few_exempt_cells(notebook: dict) -> list[str]:
    """At most a tenth of the code cells is exempt from comparison, by tag, each with its reason in metadata."""
    cells = code_cells(notebook)
    exempt = [(number, cell) for number, cell in enumerate(cells, start=1) if tags(cell) & EXEMPTING_TAGS]
    found = [f"code cell {number} is exempt: say why in its metadata, rmlib.exempt_reason" for number, cell in exempt
             if not str(cell["metadata"].get("rmlib", {}).get("exempt_reason", "")).strip()]
    found += [f"code cell {number} is exempt by a comment: use a tag" for number, cell in enumerate(cells, start=1)
              if NBVAL_COMMENT.search(cell["source"])]
    return found + ([f"{len(exempt)} of {len(cells)} code cells are exempt"] if len(exempt) > 0.1 * len(cells) else [])


def known_tolerances(notebook: dict) -> list[str]:
    """Metadata's rmlib holds rtol, atol, picture and exempt_reason, nothing misspelt; none so wide as to exempt."""
    found = []
    for number, cell in enumerate(notebook["cells"], start=1):
        for key, value in cell["metadata"].get("rmlib", {}).items():
            if key == "exempt_reason":
                continue
            if key not in WIDEST:
                found.append(f"cell {number}: unknown key rmlib.{key}")
            elif not (isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= WIDEST[key]):
                found.append(f"cell {number}: rmlib.{key} is {value!r}, not a number from 0 to {WIDEST[key]}")
    return found


def tolerances_below_the_numbers(notebook: dict) -> list[str]:
    """No cell's own tolerance is as large as a number that it prints: 0, or the other sign, would pass for it."""
    found = []
    for number, cell in enumerate(code_cells(notebook), start=1):
        given = {"atol": 0, "rtol": 0} | cell["metadata"].get("rmlib", {})
        printed = [match[0] for output in cell["outputs"] for match in FLOAT.finditer(texts(output))]
        found += [f"code cell {number}: 0 would pass for {each}, so wide is its tolerance" for each in printed
                  if 0 < abs(float(each)) <= given["atol"] + given["rtol"] * abs(float(each))]
    return found


def small_file(notebook: dict) -> list[str]:
    """Under 1 MB as it is stored."""
    size = len(json.dumps(notebook, ensure_ascii=False, indent=1).encode())
    return [] if size < LARGEST_FILE else [f"the notebook has {size} bytes, {LARGEST_FILE} is too many"]


RULES: list[Rule] = [
    short_cells, prose_around_code, one_run_top_to_bottom, clean_outputs, nothing_of_this_machine, portable_metadata,
    described_pictures, title_and_promise, folded_answers, answers_stand_apart, exercises_have_headings,
    calm_and_safe_words, figures_in_the_course_style, few_exempt_cells, known_tolerances, tolerances_below_the_numbers,
    small_file,
]


# --- the way and its side pages --------------------------------------------------------------------------------------

MOST_WORDS, MOST_TOGETHER, MOST_CELLS, EXERCISES, COLUMNS = 3_800, 28_000, 60, (4, 6), 80
MORE_WORDS = {"07": 4_500}
TOGETHER = tuple(f"{number:02}" for number in range(8))
"""What MOST_TOGETHER bounds, by number: 00 to 07."""

PER_MINUTE, PER_FORMULA, PER_EXERCISE, OFF = 100, 2, 10, 0.25  # words a minute, minutes, minutes, share of the time
REFERENCES = re.compile(r"^## References\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
DISPLAY = re.compile(r"\$\$.+?\$\$", re.DOTALL)
NO_WORDS = re.compile(r"\$[^$\n]+(?:\n[^$\n]+)?\$|<[^>\n]+>|\]\([^)\s]+\)")  # inline formulas, tags, targets of links
TIME = re.compile(r"\*\*Time:\*\* (\d+) minutes\b")


def prose(notebook: dict) -> str:
    """The text cells, without references and blocks of code."""
    cells = "\n\n".join(cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    return BLOCK.sub("", REFERENCES.sub("", cells))


def words(notebook: dict) -> int:
    """How many there are to read: runs without a space that hold a letter or a digit; hints and solutions count.

    Formulas don't, nor do blocks of code, tags, the targets of links, and references.
    """
    return len(re.findall(r"\S*\w\S*", NO_WORDS.sub(" ", DISPLAY.sub(" ", prose(notebook)))))


def formulas(notebook: dict) -> int:
    """Formulas on lines of their own."""
    return len(DISPLAY.findall(prose(notebook)))


def exercises(notebook: dict) -> int:
    return len(re.findall(rf"^{HEADING}", prose(notebook), re.MULTILINE))


def minutes(notebook: dict) -> int:
    """What the page takes: a minute for 100 words, two for a formula, ten for an exercise."""
    return round(words(notebook) / PER_MINUTE + PER_FORMULA * formulas(notebook) + PER_EXERCISE * exercises(notebook))


def stated_minutes(notebook: dict) -> int | None:
    """What the first cell says, "**Time:** 70 minutes"; None where it doesn't."""
    found = TIME.search(notebook["cells"][0]["source"])
    return int(found[1]) if found else None


def code_lines(notebook: dict) -> Iterator[tuple[str, str]]:
    """Every line of code that is read, with where it stands: of code cells but the set-up, of blocks in text cells."""
    for number, cell in enumerate(notebook["cells"], start=1):
        blocks = [cell["source"]] if cell["cell_type"] == "code" else BLOCK.findall(cell["source"])
        for line in "\n".join(blocks).split("\n") if "setup" not in tags(cell) else ():
            yield f"cell {number}", line


def columns(notebook: dict) -> int:
    return max((len(line) for _, line in code_lines(notebook)), default=0)


def syntax(cell: dict) -> ast.Module:
    """A code cell's syntax tree; of the set-up cell, and of one that is no plain Python, an empty one."""
    try:
        return ast.parse("" if "setup" in tags(cell) else cell["source"])
    except SyntaxError:
        return ast.parse("")


def few_words(notebook: dict, most: int = MOST_WORDS) -> list[str]:
    """A sitting's worth of text and of cells."""
    count, cells = words(notebook), len(code_cells(notebook))
    return ([f"{count:,} words, at most {most:,}"] if count > most else []) + (
        [f"{cells} code cells, at most {MOST_CELLS}"] if cells > MOST_CELLS else [])


def some_exercises(notebook: dict) -> list[str]:
    least, most = EXERCISES
    count = exercises(notebook)
    return [] if least <= count <= most else [f"{count} exercises, not {least} to {most}"]


def narrow_code(notebook: dict) -> list[str]:
    """No line of code is wider than a book's page, Colab or a projector shows it."""
    return [f"{where} has a line of {len(line)} columns, at most {COLUMNS}: {line.strip()[:40]}..."
            for where, line in code_lines(notebook) if len(line) > COLUMNS]


def honest_time(notebook: dict) -> list[str]:
    """The first cell states its time, and states it within a quarter of what the page takes."""
    told, takes = stated_minutes(notebook), minutes(notebook)
    if told is None:
        return [f'the first cell must say "**Time:** {takes} minutes"']
    return [f"it states {told} minutes and takes {takes}"] if abs(told - takes) > OFF * takes else []


def numbers_not_words(notebook: dict) -> list[str]:
    """No cell prints fixed text alone, or a bare truth value: the reader wants the number."""
    found = []
    for number, cell in enumerate(code_cells(notebook), start=1):
        printed = [call for call in ast.walk(syntax(cell)) if isinstance(call, ast.Call)
                   and isinstance(call.func, ast.Name) and call.func.id == "print"]
        if printed and not any(isinstance(node, ast.Name) for call in printed for argument in call.args
                               for node in ast.walk(argument)):
            found.append(f"code cell {number} prints fixed text: print a number, or say it with holds")
        lines = [line.strip() for output in cell["outputs"]
                 for line in (output["text"] + "\n" + output["data"].get("text/plain", "")).splitlines()]
        if {"True", "False"} & set(lines):
            found.append(f"code cell {number} shows a bare truth value: print the number, or say it with holds")
    return found


def claims_by_holds(notebook: dict) -> list[str]:
    """What a page claims it says by holds; what guards the test run alone is in tests/notebooks/NN.py."""
    return [f"code cell {number} has an assert: say it with holds, or make it a guard"
            for number, cell in enumerate(code_cells(notebook), start=1)
            if any(isinstance(node, ast.Assert) for node in ast.walk(syntax(cell)))]


def says_how_to_clear(notebook: dict) -> list[str]:
    """Outputs stand under every prediction: one sentence says how to be rid of them."""
    return [] if "Clear Outputs of All Cells" in prose(notebook) else ["say how outputs are cleared: *Edit, Clear "
                                                                       "Outputs of All Cells*, or `make student`"]


SIDE_RULES: list[Rule] = [few_words, narrow_code, honest_time, numbers_not_words, claims_by_holds, says_how_to_clear]
WAY_RULES: list[Rule] = [*SIDE_RULES, some_exercises]


# --- decks ---------------------------------------------------------------------------------------------------------

MOST_PAGES, MOST_MINUTES, PAGE_WORDS = 35, 50, 60
THINGS = re.compile(r"^\{\w+ [\w-]+\}$|^```.*?^```$|^\$\$.+?^\$\$$|^(?:\|.*\n?)+", re.MULTILINE | re.DOTALL)


def deck_faults(pages: list) -> list[str]:
    """Of the pages of a written deck (tools.make_slides.pages): 35 for 50 minutes, each with one thing on it, headed by
    what no other page is, and with notes that begin with its minutes and have a question to ask."""
    headings = [page.text.split("\n")[0] for page in pages]
    given = [re.match(r"(\d+) min\. ", page.notes) for page in pages]
    total = sum(int(match[1]) for match in given if match)
    found = [f"{len(pages)} pages, at most {MOST_PAGES}"] if len(pages) > MOST_PAGES else []
    found += [f"{total} minutes, at most {MOST_MINUTES}"] if total > MOST_MINUTES else []
    found += [f"two pages are called {each}" for each in sorted({one for one in headings if headings.count(one) > 1})]
    for number, (page, heading, told) in enumerate(zip(pages, headings, given, strict=True), start=1):
        body = page.text.removeprefix(heading)
        things, count = len(THINGS.findall(body)), len(re.findall(r"\S*\w\S*", THINGS.sub("", body)))
        faults = {"its notes begin with minutes: 2 min. ...": not told, "its notes have no question: Ask: ...?":
                  not re.search(r"Ask: .*\?", page.notes), f"{things} things": things > 1,
                  f"{count} words, at most {PAGE_WORDS}": count > PAGE_WORDS,
                  "an exercise as it stands in the notebook: ask its question": "Exercise" in body}
        found += [f"page {number} ({heading}): {fault}" for fault, here in faults.items() if here]
    return found


def broken_links(notebook: dict, folder: Path) -> list[str]:
    """Relative links of text cells that lead to no file."""
    text = "\n".join(FENCE.sub("", cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    targets = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", text)
    return [f"{target} does not exist" for target in targets if not (folder / target).exists()]
