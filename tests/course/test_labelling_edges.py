"""The label file at its edges: whole messages, last lines, what is appended and what a stand-in writes."""

import json
import os
from pathlib import Path

import pytest
from labelling_parts import PAIRS, WORLD, label_first, path, rows  # noqa: F401

from rmlib.course.labels import LabelFile, annotate, labels_path
from rmlib.course.world import Annotator
from rmlib.pairs import PreferencePair


def refused(call) -> str:
    with pytest.raises(ValueError) as found:
        call()
    return str(found.value)


def test_what_a_label_file_tells_word_for_word(path):
    file = LabelFile(path, PAIRS)
    assert file.summary() == "0 of 8 labelled" and file.damage() == ""
    label_first(file, ["A", "B", "tie", "tie", "skip", "skip"])
    assert file.summary() == "6 of 8 labelled: 2 choices, 2 ties, 2 skips"
    assert refused(lambda: file.add(file.questions[0], "A")) == "question 0 does not wait for a label"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert file.damage() == ("The last line of labels.jsonl was cut short, as by a crash: it will be taken out, and "
                             "its question is asked again.")
    path.write_bytes(b"\xef\xbb\xbf\n" + whole + b"oops\n")
    assert refused(file.answers).startswith(f"{path}:8: ") and refused(file.answers).endswith(
        ". Mend or delete this line, or give another path for the labels")
    assert refused(LabelFile(path.parent, PAIRS).answers) == (
        f"{path.parent} is a directory: give the path of a file for the labels")
    assert refused(lambda: LabelFile(path, [])) == "there is nothing to label: no pairs"


@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_last_line_counts_with_and_without_its_end(path, end):
    file = LabelFile(path, PAIRS)
    label_first(file, ["A", "tie"])
    path.write_bytes(path.read_bytes().removesuffix(b"\n") + end)
    assert len(file.answers()) == 2 and file.damage() == ""
    label_first(file, "B")
    assert [row["id"] for row in rows(path)] == [0, 1, 2] and path.read_bytes().endswith(b"}\n")
    path.write_bytes(path.read_bytes() + b'{"oops": 1}')  # a whole line, and no label
    assert refused(file.answers).startswith(f"{path}:4: ")


def test_a_label_is_appended_unless_something_has_to_go(path, monkeypatch):
    file, synced = LabelFile(path, PAIRS), []
    label_first(file, "A")
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino))
    before = path.stat().st_ino
    label_first(file, "B")
    assert synced == [before] and path.stat().st_ino == before
    assert not list(path.parent.glob("*.tmp*")) and path.read_bytes().count(b"\n") == 2


def test_a_stand_in_labels_from_seed_0_without_noise_of_its_own(path):
    annotate(PAIRS, WORLD, path)
    usual = path.read_bytes()
    annotate(PAIRS, WORLD, path, Annotator(1.0, 0.0, 0.0), 0)
    assert path.read_bytes() == usual
    sure = Annotator(temperature=1e-9)
    annotate(PAIRS, WORLD, path, sure)
    better = [max((pair.chosen, pair.rejected), key=lambda text: WORLD.reward(pair.prompt, text)) for pair in PAIRS]
    asked = LabelFile(path, PAIRS).questions
    for row, best, gap, question in zip(rows(path), better, WORLD.margins(PAIRS), asked, strict=True):
        assert row["chosen"] == best or not gap
        assert row["left"] == ("chosen" if question.left == row["chosen"] else "rejected")


@pytest.mark.parametrize("given, told", [(None, "labels.jsonl"), ("", "labels.jsonl"), ("a/b.jsonl", "a/b.jsonl")])
def test_where_labels_go_is_said_or_usual(monkeypatch, given, told):
    monkeypatch.delenv("RMLIB_LABELS", raising=False)
    if given is not None:
        monkeypatch.setenv("RMLIB_LABELS", given)
    assert labels_path() == Path(told)


def test_letters_are_written_as_they_are_and_a_number_is_no_text_of_digits(path):
    file = LabelFile(path, [PreferencePair("Où ?", "Là.", "Ici.", id=1)])
    label_first(file, "A")
    assert all(word.encode() in path.read_bytes() for word in ("Où ?", "Là.", "Ici."))
    assert not LabelFile(path, [PreferencePair("Où ?", "Là.", "Ici.", id="1")]).answers() and len(file.answers()) == 1


def test_only_the_last_label_is_taken_back_though_another_has_its_id(path):
    file = LabelFile(path, [PreferencePair("p", "a", "b", id=1), PreferencePair("q", "a", "b", id=1)])
    label_first(file, "AB")
    assert file.undo() == file.questions[1] and [row["prompt"] for row in rows(path)] == ["p"]


def test_whoever_signs_as_another_than_the_stand_in_is_a_person(path):
    file = LabelFile(path, PAIRS)
    path.parent.mkdir()
    path.write_text(json.dumps(file.questions[0].row("A") | {"by": "Ann"}) + "\n")
    assert len(file.answers()) == 1 and len(file.waiting()) == 7
