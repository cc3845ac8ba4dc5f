"""The label file: every choice on the disk at once, undone whole, gone on with where it stopped, never mixed up."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from labelling_parts import OTHER, PAIRS, WORLD, label_first, path, rows  # noqa: F401

from rmlib.course.labels import LabelFile, labels_path
from rmlib.course.questions import questions
from rmlib.pairs import PreferencePair, read_pairs
from rmlib.settings import read_settings


def test_what_a_verdict_writes(path):
    file = LabelFile(path, PAIRS)
    label_first(file, ["A", "B", "tie", "skip"])
    a, b, tie, skip = file.questions[:4]
    assert rows(path) == [
        {"prompt": a.prompt, "chosen": a.left, "rejected": a.right, "left": "chosen", "id": 0},
        {"prompt": b.prompt, "chosen": b.right, "rejected": b.left, "left": "rejected", "id": 1},
        {"prompt": tie.prompt, "responses": [tie.left, tie.right], "label": "tie", "id": 2},
        {"prompt": skip.prompt, "responses": [skip.left, skip.right], "label": "skip", "id": 3},
    ]


def test_the_file_is_read_as_pairs_with_their_ids_and_ties_and_skips_are_counted(path, monkeypatch):
    label_first(LabelFile(path, PAIRS), ["A", "tie", "B", "skip", "tie"])
    monkeypatch.setenv("RMLIB_PAIRS", str(path))
    found = read_pairs(read_settings().pairs)
    assert [pair.id for pair in found.pairs] == [0, 2]
    assert found.bad_rows == []
    assert found.summary() == ("2 pairs from labels.jsonl; "
                               "3 rows left out: tie 2 (lines 2, 5), skip 1 (line 4)")


def test_a_choice_is_on_the_disk_before_add_returns(path, monkeypatch):
    file = LabelFile(path, PAIRS)
    label_first(file, "A")
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append((os.fstat(handle).st_ino, path.read_bytes())))
    label_first(file, "B")
    assert synced == [(path.stat().st_ino, path.read_bytes())]
    assert path.read_bytes().count(b"\n") == 2


def test_the_file_of_the_pairs_themselves_is_no_file_of_labels(path):
    pair = PAIRS[0]
    path.parent.mkdir()
    path.write_text(json.dumps({"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected, "id": 0}))
    written, file = path.read_bytes(), LabelFile(path, PAIRS)
    for call in (file.answers, file.undo, lambda: file.add(file.questions[1], "A")):
        with pytest.raises(ValueError, match="holds one of the pairs itself: give another path"):
            call()
    assert path.read_bytes() == written


def test_labels_go_where_the_variable_says_or_beside_the_notebook(monkeypatch):
    monkeypatch.delenv("RMLIB_LABELS", raising=False)
    assert labels_path() == Path("labels.jsonl")
    monkeypatch.setenv("RMLIB_LABELS", "elsewhere/mine.jsonl")
    assert labels_path() == Path("elsewhere/mine.jsonl")


# --- questions -----------------------------------------------------------------------------------------------------

def test_the_sides_do_not_tell_who_won_and_are_fair():
    pairs = WORLD.pairs(1000, seed=1)
    turned = [PreferencePair(pair.prompt, pair.rejected, pair.chosen, id=pair.id) for pair in pairs]
    assert questions(pairs) == questions(turned)
    assert questions(pairs) != questions(pairs, seed=1)
    on_the_left = sum(each.left == pair.chosen for each, pair in zip(questions(pairs), pairs, strict=True))
    assert abs(on_the_left - 500) < 4 * np.sqrt(1000 / 4)


def test_pairs_without_an_id_get_one_from_their_texts_and_equal_questions_are_asked_once(path):
    pair = PreferencePair("p", "a", "b")
    first, second = questions([pair, PreferencePair("p", "a", "c"), PreferencePair("p", "b", "a")])
    assert first.id != second.id and questions([pair], seed=9)[0].id == first.id
    assert len(questions([PreferencePair("p", "a", "b", id=1), PreferencePair("p", "a", "b", id=2)])) == 2
    label_first(LabelFile(path, [pair]), "A")
    assert read_pairs(path).pairs[0].id == first.id


@pytest.mark.parametrize(("pair", "told"), [
    (PreferencePair("p", "a", "a"), "pair 2 can't be labelled: chosen and rejected are the same"),
    (PreferencePair("p", " ", "a"), "pair 2 can't be labelled: the response of"),
    (PreferencePair("p", "a", "b", id=0.5), "pair 2 can't be labelled: id should be"),
])
def test_a_pair_that_would_be_a_bad_row_is_refused(pair, told):
    with pytest.raises(ValueError, match=told):
        questions([PAIRS[0], pair])


def test_no_pairs_and_unknown_verdicts_are_refused(path):
    with pytest.raises(ValueError, match="no pairs"):
        LabelFile(path, [])
    with pytest.raises(ValueError, match="A, B, tie, skip, not 'both'"):
        label_first(LabelFile(path, PAIRS), ["both"])
    assert not path.exists()


# --- going on, and going back --------------------------------------------------------------------------------------

def test_another_reader_of_the_file_goes_on_and_goes_back(path):
    label_first(LabelFile(path, PAIRS), ["A", "tie", "B"])
    file = LabelFile(path, PAIRS, seed=7)  # with other sides: a question is known by its texts
    assert [question.id for question in file.waiting()] == [3, 4, 5, 6, 7]
    assert file.summary() == "3 of 8 labelled: 2 choices, 1 tie"
    assert file.undo().id == 2 and file.undo().id == 1
    assert [question.id for question in file.waiting()] == [1, 2, 3, 4, 5, 6, 7]
    assert file.undo().id == 0 and file.undo() is None
    assert path.read_bytes() == b"" and file.summary() == "0 of 8 labelled"
    label_first(file, "A")
    assert len(rows(path)) == 1


def test_a_question_is_labelled_once(path):
    file = LabelFile(path, PAIRS)
    question = file.questions[0]
    file.add(question, "A")
    with pytest.raises(ValueError, match="question 0 does not wait for a label"):
        file.add(question, "B")
    assert len(rows(path)) == 1


def test_of_two_labels_of_one_question_the_later_counts_and_undo_takes_both(path):
    file = LabelFile(path, PAIRS)
    first, second = file.questions[:2]
    path.parent.mkdir()  # as when two files were joined
    path.write_text("".join(json.dumps(each.row(verdict)) + "\n" for each, verdict in
                            [(first, "A"), (second, "tie"), (first, "B")]))
    assert [*file.answers().values()] == [second.row("tie"), first.row("B")]
    assert file.summary() == "2 of 8 labelled: 1 choice, 1 tie"
    assert file.undo() == first and file.waiting()[0] == first
    assert rows(path) == [second.row("tie")]


def test_rows_of_other_pairs_are_kept_and_not_counted(path):
    path.parent.mkdir()
    strange = [OTHER, {"prompt": "p", "responses": 5, "label": "tie"},
               {"chosen": "\n\nHuman: Hi!\n\nAssistant: Yo.", "rejected": "\n\nHuman: Hi!\n\nAssistant: No."},
               {"prompt": [{"role": "user", "content": "Hi!"}], "chosen": [{"role": "assistant", "content": "Yo."}],
                "rejected": [{"role": "assistant", "content": "No."}]}]
    path.write_text("".join(json.dumps(row) + "\n\n" for row in strange))  # blank lines do no harm
    file = LabelFile(path, PAIRS)
    assert file.answers() == {} and file.undo() is None
    label_first(file, ["A", "B"])
    assert file.undo().id == 1
    assert rows(path)[:-1] == strange and len(file.answers()) == 1


def test_an_undo_that_fails_leaves_the_file_as_it_was(path, monkeypatch):
    file = LabelFile(path, PAIRS)
    label_first(file, ["A", "B"])
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        file.undo()
    assert path.read_bytes() == before
