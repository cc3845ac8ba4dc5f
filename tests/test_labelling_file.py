"""The label file: every choice on the disk at once, undone whole, gone on with where it stopped, and never mixed up."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmlib.course.labels import VERDICTS, LabelFile, agreement, annotate, labels_path, questions
from rmlib.data import read_pairs
from rmlib.evaluation import wilson_interval
from rmlib.rows import PreferencePair
from rmlib.settings import read_settings
from rmlib.world import Annotator, World

ROOT = Path(__file__).resolve().parents[1]
WORLD = World()
PAIRS = WORLD.pairs(8, seed=5)
OTHER = {"prompt": "Is it raining?", "chosen": "Yes.", "rejected": "No.", "id": 0}  # of another list; the id is taken


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "labels.jsonl"


def label_first(file: LabelFile, verdicts: str | list[str]) -> None:
    for verdict in verdicts:
        file.add(file.waiting()[0], verdict)


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


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
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        file.undo()
    assert path.read_bytes() == before


# --- crashes and damage --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("cut", [2, 30, 100])
def test_a_torn_last_line_is_told_and_costs_one_label(path, cut):
    file = LabelFile(path, PAIRS)
    label_first(file, ["A", "tie", "B"])
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert "labels.jsonl was cut short" in file.damage()
    assert [question.id for question in file.waiting()] == [2, 3, 4, 5, 6, 7]
    assert path.read_bytes() == whole[:-cut]  # nothing is mended by looking
    label_first(file, "B")
    assert path.read_bytes() == whole and file.damage() == ""


def test_a_last_line_without_its_end_is_a_label(path):
    file = LabelFile(path, PAIRS)
    label_first(file, ["A", "B"])
    whole = path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + whole[:-1])  # an editor's byte order mark does no harm either
    assert len(file.answers()) == 2 and file.damage() == ""
    label_first(file, "A")
    assert path.read_bytes().startswith(whole) and len(rows(path)) == 3


@pytest.mark.parametrize(("line", "told"), [
    ('{"prompt": "p", "chosen"', "not JSON|column"), ("[]", "object"), ('{"prompt": "p", "chosen": "a"}', "rejected"),
    ('{"prompt": "p", "responses": ["a", "b"], "label": "both"}', "label should be"), ("caf\xe9", "UTF-8"),
])
def test_a_line_that_is_no_label_stops_everything_and_is_named(path, line, told):
    path.parent.mkdir()
    before = (json.dumps(OTHER) + "\n" + line + "\n").encode("latin-1")
    path.write_bytes(before)
    file = LabelFile(path, PAIRS)
    for act in (file.waiting, file.undo, file.summary, lambda: file.add(file.questions[0], "A")):
        with pytest.raises(ValueError, match=rf"labels\.jsonl:2: .*({told}).*Mend or delete this line, or give"):
            act()
    assert path.read_bytes() == before


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is a directory: give the path of a file"):
        LabelFile(tmp_path, PAIRS).waiting()


FOREVER = """import itertools, sys
from rmlib.course.labels import LabelFile
from rmlib.rows import PreferencePair
file = LabelFile(sys.argv[1], [PreferencePair(f"question {n}", "a" * 5000, "b" * 5000, id=n) for n in range(400)])
for count, question in enumerate(file.waiting(), start=1):
    file.add(question, "AB"[count % 2])
    print(count, flush=True)
    if count % 5 == 0:
        file.undo()
        file.add(question, "tie")"""


def test_a_process_that_is_killed_keeps_every_label_it_was_told_of(path):
    told = 0
    for lives in range(3):
        with subprocess.Popen([sys.executable, "-c", FOREVER, str(path)], stdout=subprocess.PIPE, cwd=ROOT) as process:
            for _ in range(4 + 3 * lives):
                assert process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            told += 4 + 3 * lives
        file = LabelFile(path, [PreferencePair(f"question {n}", "a" * 5000, "b" * 5000, id=n) for n in range(400)])
        kept = len(file.answers())
        assert kept >= told - 1  # one may have been taken back, and not yet given again
        assert [*file.answers()] == [question.key for question in file.questions[:kept]]
        told = kept


@contextmanager
def a_file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "labels.jsonl"


STEPS = st.one_of(
    st.tuples(st.just("label"), st.integers(0, len(PAIRS) - 1), st.sampled_from(VERDICTS)),
    st.tuples(st.just("undo")),
    st.tuples(st.just("crash"), st.floats(0, 1, exclude_max=True)),  # of the last line this share is on the disk
    st.tuples(st.just("other")),  # another program appends a row
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=20), st.integers(0, 3))
def test_after_any_steps_the_file_is_what_was_done(steps, seed):
    """The model: a list of (question's number, verdict), where None stands for another program's row."""
    model: list[tuple[int, str] | None] = []
    with a_file() as path:
        for step in steps:
            file = LabelFile(path, PAIRS, seed)  # every step could be another process's
            done = [each[0] for each in model if each]
            match step:
                case "label", number, verdict if number not in done:
                    file.add(file.questions[number], verdict)
                    model.append((number, verdict))
                case ("undo",):
                    taken = file.undo()
                    assert (taken.id if taken else None) == (done[-1] if done else None)
                    model = [each for each in model if not each or each[0] != done[-1]]
                case "crash", share if model and path.read_bytes().endswith(b"\n"):
                    *before, last = path.read_bytes().splitlines(keepends=True)
                    path.write_bytes(b"".join(before) + last[: int(share * len(last))])
                    if int(share * len(last)) < len(last) - 1:
                        model.pop()
                case ("other",) if not path.exists() or path.read_bytes().endswith(b"\n"):
                    with path.open("a") as appended:
                        appended.write(json.dumps(OTHER) + "\n")
                    model.append(None)
            expected = [file.questions[each[0]].row(each[1]) if each else OTHER for each in model]
            lines = path.read_bytes().split(b"\n") if path.exists() else []
            whole = [line for line in lines if line.endswith(b"}")]
            assert [json.loads(line) for line in whole] == expected
            assert [question.id for question in file.waiting()] == [
                n for n in range(len(PAIRS)) if n not in [each[0] for each in model if each]]


# --- the stand-in and the gold reward ------------------------------------------------------------------------------

def test_the_stand_in_labels_as_the_annotator_would_and_says_so(path, capsys):
    annotator = Annotator(temperature=2.0)
    annotate(PAIRS, WORLD, path, annotator, seed=3)
    assert capsys.readouterr().out == (
        "labels.jsonl: nobody has labelled yet, so a seeded annotator stands in and labels all 8 pairs.\n")
    expected = [(pair.prompt, pair.chosen, pair.rejected, pair.id) for pair in WORLD.relabel(PAIRS, annotator, 3)]
    assert [(each.prompt, each.chosen, each.rejected, each.id) for each in read_pairs(path).pairs] == expected
    assert all(row["by"] == "stand-in" for row in rows(path))
    before = path.read_bytes()
    annotate(PAIRS, WORLD, path, annotator, seed=3)
    assert path.read_bytes() == before
    annotate(PAIRS, WORLD, path, annotator, seed=4)
    assert path.read_bytes() != before and len(rows(path)) == 8


def test_the_stand_in_makes_way_for_a_person_and_does_not_come_back(path, capsys):
    path.parent.mkdir()
    path.write_text(json.dumps(OTHER) + "\n")
    annotate(PAIRS, WORLD, path)
    file = LabelFile(path, PAIRS)
    assert len(file.waiting()) == 8 and len(rows(path)) == 9 and file.undo() is None
    label_first(file, ["B", "skip"])
    kept = rows(path)
    assert kept[0] == OTHER and [row.get("by") for row in kept] == [None] * 3
    capsys.readouterr()
    annotate(PAIRS, WORLD, path)
    assert rows(path) == kept
    assert capsys.readouterr().out == ("labels.jsonl: 2 of 8 labelled: 1 choice, 1 skip. "
                                       "These labels are a person's: no stand-in is needed.\n")


def test_agreement_counts_choices_and_equal_responses_by_half(path):
    pairs = WORLD.pairs(60, seed=11)
    annotate(pairs, WORLD, path, seed=2)
    gold = [(WORLD.reward(r["prompt"], r["chosen"]), WORLD.reward(r["prompt"], r["rejected"])) for r in rows(path)]
    right = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in gold)
    assert any(a == b for a, b in gold) and 30 < right < 60
    found = agreement(path, WORLD)
    assert found == pytest.approx((right / 60, *wilson_interval(right, 60), 60))
    assert agreement(rows(path), WORLD) == found
    assert str(found) == f"{right / 60:.2f} of 60 choices (95% interval {found.low:.2f} to {found.high:.2f})"


def test_agreement_leaves_ties_and_skips_out_and_needs_a_choice(path):
    file = LabelFile(path, PAIRS)
    label_first(file, ["tie", "skip"])
    with pytest.raises(ValueError, match="no row can be used.*2 rows left out"):
        agreement(path, WORLD)
    better = file.waiting()[0]
    rewards = [WORLD.reward(better.prompt, response) for response in (better.left, better.right)]
    file.add(better, "A" if rewards[0] > rewards[1] else "B")
    share, _, high, n = agreement(path, WORLD)
    assert (share, high, n) == (1.0, 1.0, 1)
