"""The label file through crashes: a process that is killed, a line cut short, and any steps in any order."""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelling_parts import OTHER, PAIRS, label_first, path, rows  # noqa: F401
from places import ROOT

from rmlib.course.labels import LabelFile
from rmlib.course.questions import VERDICTS
from rmlib.pairs import PreferencePair


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
    ('{"prompt": "p", "responses": ["a", "b"], "label": "left"}', "label should be"), ("caf\xe9", "UTF-8"),
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
from rmlib.pairs import PreferencePair
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
