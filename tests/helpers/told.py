"""What is told, word for word: texts that a person has read once, kept in a folder `told`, and held from then on.

To change one on purpose, delete its file: the test that misses it writes it anew, and fails until it is run again.
"""

import html
import re
from difflib import unified_diff
from pathlib import Path

import pytest
from places import ROOT

KEPT = ROOT / "tests" / "practice" / "told"
HASH = re.compile(r"(?<![\w.])(?:[0-9a-f]{64}|[0-9a-f]{16})\b")


def told(call, *arguments, kind: type[Exception] = ValueError, **options) -> str:
    """The message of the error that a call raises."""
    with pytest.raises(kind) as error:
        call(*arguments, **options)
    return str(error.value)


def hold(name: str, text: str, kept: Path = KEPT) -> None:
    """Hold a text against the kept one, line by line; hashes, which follow from random weights, are left out."""
    lines = [line.rstrip() for line in HASH.sub("#", text).splitlines()]
    path = kept / f"{name}.txt"
    if not path.exists():
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        raise AssertionError(f"{path.name} was missing and is written: read all of it, and run the test again")
    changed = list(unified_diff(path.read_text(encoding="utf-8").splitlines(), lines, "kept", "told", n=0, lineterm=""))
    assert not changed, "\n".join([path.name, *changed])


def read_aloud(page: str) -> str:
    """The text of a page, a line for each paragraph, item, heading and row, with what its pictures say.

    Cells stand between bars, and in brackets the kinds of verdicts.
    """
    body = re.sub(r"(?s)^.*<body>|</body>.*$", "", page)
    body = re.sub(r'<img [^>]*?alt="(.*?)"[^>]*>', r"\n(\1)", body)
    body = re.sub(r"<figcaption.*?</figcaption>", "", body)
    body = re.sub(r'<(?:p|li) class="(answer )?(good|bad|open)"[^>]*>', r"\n[\2] ", body)
    body = re.sub(r"</?(?:p|li|h\d|tr|caption|summary|dl|article)\b[^>]*>|<div[^>]*><dt>", "\n", body)
    body = re.sub(r"</(?:th|td|dt)>(?=<)|</dd>(?=<dd>)|(?<=</div>)(?=<div class=\"text)", " | ", body)
    body = html.unescape(re.sub(r"<[^>]+>", "", body))
    return "\n".join(re.sub(r"[ \t]+", " ", line).strip(" |") for line in body.splitlines() if line.strip(" |"))
