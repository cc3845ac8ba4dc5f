"""What the tests of labelling share: a few pairs of the world, and how to label and to read what was labelled."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from rmlib.course.labels import LabelFile
from rmlib.course.world import World

WORLD = World()
PAIRS = WORLD.pairs(8, seed=5)
OTHER = {"prompt": "Is it raining?", "chosen": "Yes.", "rejected": "No.", "id": 0}  # of another list; the id is taken


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a label file that is not there yet, nor its folder."""
    return tmp_path / "folder" / "labels.jsonl"


def label_first(file: LabelFile, verdicts: Iterable[str]) -> None:
    """Give each verdict to the first question that waits for one."""
    for verdict in verdicts:
        file.add(file.waiting()[0], verdict)


def rows(path: Path) -> list[dict]:
    """What the file's lines hold."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
