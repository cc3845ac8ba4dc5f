"""A person's choices, kept in a file of JSON lines as they are made.

The file is the only memory. A choice is one line, appended and synced to disk before anything else happens, so a kernel
that dies loses nothing, and whoever comes next reads the file to see what is still to be asked. Its rows have the forms
of `rmlib.pairs.rows`, so it trains as it is. A choice has one key more, `left`: which response stood on the left.

A stand-in's rows say so, with `"by": "stand-in"`. They make way for the first label of a person, so that a file holds
the labels of people or of a stand-in, never of both.
"""

import codecs
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from rmlib.course.questions import Key, Question, Row, Verdict, question_of, questions, row_key
from rmlib.course.world import Annotator, World, realised_agreement
from rmlib.files import atomic_write_text
from rmlib.pairs import PreferencePair, Source, read_pairs
from rmlib.pairs.rows import RowError, parse, read_row

STAND_IN = {"by": "stand-in"}


def labels_path() -> Path:
    """Where the reader's labels go: RMLIB_LABELS, or labels.jsonl in the working directory, a notebook's own folder."""
    return Path(os.environ.get("RMLIB_LABELS") or "labels.jsonl")


class LabelFile:
    """The labels of some pairs, in a file that may hold rows about other pairs as well: those are kept, not counted.

    Nothing but the path is remembered: every call reads the file, which may have changed since the last one. Every
    method raises ValueError, with file and line, where a line holds no label, or a pair as it came.
    """

    def __init__(self, path: str | os.PathLike, pairs: Iterable[PreferencePair], seed: int = 0) -> None:
        """`seed` decides which response is on the left. Raises ValueError where there are no pairs, or bad ones."""
        self.path, self.questions = Path(path), questions(pairs, seed)
        if not self.questions:
            raise ValueError("there is nothing to label: no pairs")
        self._by_key = {question.key: question for question in self.questions}

    def answers(self) -> dict[Key, Row]:
        """For each question that a person has labelled its row, by its key, in the order of the labels."""
        found: dict[Key, Row] = {}
        for row in (line.row for line in _read(self.path).lines if not _by_stand_in(line.row)):
            if (key := row_key(row)) in self._by_key:
                if "chosen" in row and "left" not in row:
                    raise ValueError(f"{self.path}: holds one of the pairs itself: give another path for the labels")
                found.pop(key, None)  # of two labels of one question the later one counts, and in its place
                found[key] = row
        return found

    def waiting(self) -> list[Question]:
        """The questions that no person has labelled, in order."""
        done = self.answers()
        return [question for question in self.questions if question.key not in done]

    def add(self, question: Question, verdict: Verdict) -> None:
        """Append a person's label; it is on the disk when this returns.

        Raises ValueError where the question is not one of these, or has been labelled.
        """
        if question not in self.waiting():
            raise ValueError(f"question {question.id!r} does not wait for a label")
        _append(self.path, [question.row(verdict)], keep=lambda row: not _by_stand_in(row))

    def undo(self) -> Question | None:
        """Take back the label that a person gave last to one of these questions; that question, or None.

        The file is replaced as a whole: at every moment it is the old one or the new one.
        """
        done = self.answers()
        if not done:
            return None
        last, _ = done.popitem()
        _append(self.path, [], keep=lambda row: row_key(row) != last)
        return self._by_key[last]

    def stand_in(self, rows: Iterable[Row]) -> None:
        """Put a stand-in's rows in the place of those that a stand-in gave before, all at once."""
        _append(self.path, [row | STAND_IN for row in rows], keep=lambda row: not _by_stand_in(row))

    def summary(self) -> str:
        """For instance "12 of 20 labelled: 10 choices, 1 tie, 1 skip": what a person did; a stand-in doesn't count."""
        done = self.answers().values()
        counts = Counter(row.get("label", "choice") for row in done)
        told = [f"{n} {kind}{'s' * (n > 1)}" for kind in ("choice", "tie", "skip") if (n := counts[kind])]
        return f"{len(done)} of {len(self.questions)} labelled" + (f": {', '.join(told)}" if told else "")

    def damage(self) -> str:
        """What to tell about a last line that a crash cut short; "" where there is none."""
        if not _read(self.path).torn:
            return ""
        return (f"The last line of {self.path.name} was cut short, as by a crash: it will be taken out, "
                "and its question is asked again.")


def has_choices(path: str | os.PathLike) -> bool:
    """Whether a person has chosen in this file, of whatever pairs: a stand-in, ties and skips don't count.

    Raises ValueError, with file and line, where a line holds no label.
    """
    return any("chosen" in line.row and not _by_stand_in(line.row) for line in _read(Path(path)).lines)


class Agreement(NamedTuple):
    """How often `n` choices agree with the gold reward, with its 95% interval."""

    share: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.share:.2f} of {self.n} choices (95% interval {self.low:.2f} to {self.high:.2f})"


def agreement(labels: Source, world: World) -> Agreement:
    """How often the choices in a label file, or in its rows, are those of the gold reward.

    Ties and skips are left out. A choice between responses of equal gold reward counts as half right. The interval is
    Wilson's. Raises ValueError where there is no choice, or a prompt that the world doesn't know.
    """
    from rmlib.evaluation import wilson_interval  # here, because it brings torch: labelling starts without

    pairs = read_pairs(labels).pairs
    share = realised_agreement(world.margins(pairs))
    return Agreement(share, *wilson_interval(share * len(pairs), len(pairs)), len(pairs))


def annotate(
    pairs: Iterable[PreferencePair], world: World, path: str | os.PathLike, annotator: Annotator = Annotator(),
    seed: int = 0,
) -> None:
    """Have `annotator` label all pairs into `path`, unless a person has begun; print who labelled.

    The same arguments give the same labels; other ones replace those that a stand-in gave before.
    Raises ValueError as LabelFile does, and for a prompt that the world doesn't know.
    """
    pairs = [*pairs]
    file = LabelFile(path, pairs)
    if file.answers():
        print(f"{file.path.name}: {file.summary()}. These labels are a person's: no stand-in is needed.")
        return
    labelled = world.relabel(pairs, annotator, seed)
    chosen = {question_of(pair, 0).key: pair.chosen for pair in labelled}
    file.stand_in(each.row("A" if each.left == chosen[each.key] else "B") for each in file.questions)
    print(f"{file.path.name}: nobody has labelled yet, so a seeded annotator stands in and labels all "
          f"{len(file.questions)} pairs.")


class _Line(NamedTuple):
    text: bytes  # as it stands in the file
    row: Row


class _Content(NamedTuple):
    lines: list[_Line]
    torn: bytes  # the beginning of a last line that a crash cut short
    can_grow: bool  # whether a line can be put at the end as it is


def _read(path: Path) -> _Content:
    try:
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except FileNotFoundError:
        return _Content([], b"", can_grow=False)
    except IsADirectoryError:
        raise ValueError(f"{path} is a directory: give the path of a file for the labels") from None
    *whole, last = data.split(b"\n")
    lines = [_Line(text, _row(text, f"{path}:{number}")) for number, text in enumerate(whole, 1) if text.strip()]
    try:
        parse(last)
    except RowError:
        return _Content(lines, last, can_grow=not last)
    return _Content([*lines, _Line(last, _row(last, f"{path}:{len(whole) + 1}"))], b"", can_grow=False)


def _row(text: bytes, place: str) -> Row:
    try:
        row = parse(text)
        read_row(row, 0)
    except RowError as fault:
        raise ValueError(f"{place}: {fault}. Mend or delete this line, or give another path for the labels") from None
    return row


def _append(path: Path, rows: list[Row], keep: Callable[[Row], bool]) -> None:
    """Add rows at the end, drop those that `keep` doesn't want, and what a crash left of a line."""
    content = _read(path)
    kept = [line.text for line in content.lines if keep(line.row)]
    new = [json.dumps(row, ensure_ascii=False).encode() for row in rows]
    if content.can_grow and len(kept) == len(content.lines):
        with path.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in new))
            file.flush()
            os.fsync(file.fileno())
    else:
        atomic_write_text(path, "".join(line.decode() + "\n" for line in [*kept, *new]))


def _by_stand_in(row: Row) -> bool:
    return row.get("by") == STAND_IN["by"]
