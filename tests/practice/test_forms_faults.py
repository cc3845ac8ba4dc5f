"""Rows in their forms: who won, how many pairs a ranked list holds, and what is wrong with a row, told in words."""

import datasets
import numpy as np
import pandas
import pytest
from told import hold

from rmlib.pairs import BadRow, LeftOut, PreferencePair
from rmlib.practice import forms

Q = {"prompt": "Name a fruit.", "chosen": "Plum", "rejected": "Stone"}
PAIR = PreferencePair("Name a fruit.", "Plum", "Stone")
HI = {"role": "user", "content": "Hi"}


def without(*keys: str) -> dict:
    return {key: value for key, value in Q.items() if key not in keys}


def only(row: object):
    [item] = forms.iter_items([row])
    return item


# --- who won ---------------------------------------------------------------------------------------------------------


def two(first: str, second: str, key: str, label: object) -> dict:
    return {"prompt": "Name a fruit.", first: "Plum", second: "Stone", key: label}


SIDES = {"safe": ("response_0", "response_1", "better_response_id"), "a and b": ("response_a", "response_b", "winner"),
         "2": ("response_1", "response_2", "overall_preference"), "shp": ("human_ref_A", "human_ref_B", "labels"),
         "3": ("response1", "response2", "overall_preference")}  # fmt: skip
WON = [
    *((SIDES["safe"], label) for label in (0, 0.0, np.int64(0))), *((SIDES["shp"], label) for label in (1, 1.0)),
    *((SIDES[which], label) for which in "23" for label in (-3, -1, -0.5)),
    *((SIDES["a and b"], label) for label in ("a", "A", "model_a", " Model_A ")),
]  # fmt: skip
LOST = [
    (SIDES["safe"], 1), (SIDES["shp"], 0), *((SIDES[which], label) for which in "23" for label in (3, 1, 0.5)),
    *((SIDES["a and b"], label) for label in ("b", "B", "model_b")),
]  # fmt: skip
NOBODY = [
    *((SIDES[which], label, "tie") for which in "23" for label in (0, 0.0)),
    *((SIDES["a and b"], label, "tie") for label in ("tie", "Tie", " TIE", "tie (bothbad)", "both_bad", "draw")),
    (SIDES["a and b"], "skip", "skip"),
]  # fmt: skip
UNKNOWN = [
    *((SIDES["safe"], label) for label in (2, -1, 0.5, True, "0", None, [0])),
    *((SIDES["shp"], label) for label in (2, False, "A", None)),
    *((SIDES[which], label) for which in "23" for label in ("first", None, True, {}, float("nan"))),
    *((SIDES["a and b"], label) for label in ("left", "", None, 0, "c", ["a"])),
]  # fmt: skip


@pytest.mark.parametrize("sides, label", WON)
def test_the_first_won(sides, label):
    assert only(two(*sides, label)) == PAIR


@pytest.mark.parametrize("sides, label", LOST)
def test_the_second_won(sides, label):
    assert only(two(*sides, label)) == PreferencePair("Name a fruit.", "Stone", "Plum")


@pytest.mark.parametrize("sides, label, reason", NOBODY)
def test_nobody_won(sides, label, reason):
    item = only(two(*sides, label))
    assert isinstance(item, LeftOut) and (item.line, item.reason) == (1, reason)


@pytest.mark.parametrize("sides, label", UNKNOWN)
def test_a_label_that_is_not_known_is_told_with_its_key(sides, label):
    item = only(two(*sides, label))
    assert isinstance(item, BadRow) and item.reason == "unknown label" and sides[2] in item.message


@pytest.mark.parametrize("key", ["label", "winner", "status"])
@pytest.mark.parametrize("row", [Q, Q | {"chosen": None, "rejected": None}], ids=["texts", "nulls"])
def test_a_tie_beside_chosen_and_rejected_is_left_out(row, key):
    assert isinstance(only(row | {key: "Tie"}), LeftOut)


def ranked(*entries: tuple, key: str = "answers", names: tuple = ("answer", "rank")) -> dict:
    return {"prompt": "Name a fruit.", key: [dict(zip(names, entry)) for entry in entries]}


def outcomes(row: dict) -> list:
    return [(item.chosen, item.rejected) if isinstance(item, PreferencePair) else item.reason
            for item in forms.iter_items([row])]


@pytest.mark.parametrize("key, names, sign", [
    ("answers", ("answer", "rank"), -1), ("answers", ("text", "rank"), -1), ("answers", ("text", "pm_score"), 1),
    ("answers", ("answer", "score"), 1), ("completions", ("response", "overall_score"), 1),
    ("completions", ("text", "score"), 1), ("completions", ("response", "rank"), -1),
])  # fmt: skip
def test_the_best_of_a_list_is_held_against_each_lower_one(key, names, sign):
    entries = [("low", 1), ("best", 5), ("lower", -2), ("as good", 5.0)]
    row = ranked(*((text, sign * value) for text, value in entries), key=key, names=names)
    assert outcomes(row) == [("best", "low"), ("best", "lower"), "tie"]


@pytest.mark.parametrize("entries, wanted", [
    ([("x", 1), ("x", 1)], ["tie"]),
    ([("x", 1), ("x", 2), ("y", 3)], ["identical responses", ("x", "y")]),
    ([("x", 1), (" ", 2), ("y", 3)], ["empty response", ("x", "y")]),
])  # fmt: skip
def test_equal_texts_and_empty_ones_of_a_list_are_told_one_by_one(entries, wanted):
    assert outcomes(ranked(*entries)) == wanted


def test_the_limit_counts_pairs_and_rows_are_counted_apart():
    rows = [ranked(("a", 1), ("b", 2), ("c", 3)), ranked(("d", 1), ("e", 1), ("f", 2), ("", 3)), {}, ranked(("g", 1))]
    found = forms.read(rows)
    assert (len(found.pairs), len(found.left_out), len(found.bad_rows), found.rows) == (3, 1, 3, 4)
    assert [(pair.line, pair.rejected) for pair in found.pairs] == [(1, "b"), (1, "c"), (2, "f")]
    assert [(found.rows, len(found.pairs)) for found in (forms.read(rows, limit=limit) for limit in (1, 2, 3))] == [
        (1, 1), (1, 2), (2, 3)]
    with pytest.raises(ValueError, match="limit must be at least 1"):
        forms.read(rows, limit=0)
    with pytest.raises(ValueError, match="rows:2: the response of rejected is empty"):
        forms.read(rows, strict=True)


# --- faults of rows --------------------------------------------------------------------------------------------------

FAULTS = [  # (row, reason, what the message has to say)
    ({"utterance": "Hi", "reply": "Yo"}, "another form", ["'utterance'", "'reply'", "'prompt'", "README"]),
    (without("chosen", "rejected") | {"response_a": "x", "response_b": "y"}, "another form", ["'response_a'"]),
    (Q | {"question": "Name a tree."}, "another form", ["'prompt'", "'question'"]),
    (Q | {"instruction": "Name a tree.", "input": "Go"}, "another form", ["'instruction'", "'prompt'"]),
    (ranked(("a", 1)), "missing key", ["needs two", "answers has 1"]),
    (ranked(), "missing key", ["answers has 0"]),
    (ranked(("a", 1), ("b", None)), "unknown label", ["entry 2 of answers", "rank"]),
    (ranked(("a", 1), ("b",)), "unknown label", ["entry 2 of answers", "number", "rank"]),
    (ranked(("a", 1), ("b", True)), "unknown label", ["entry 2 of answers"]),
    (ranked(("a", 1), ("b", "2")), "unknown label", ["entry 2 of answers"]),
    (ranked(("a", 1), (None, 2)), "missing key", ["entry 2 of answers", "answer"]),
    (ranked(("a", 1), ("b", 2), names=("said", "rank")), "missing key", ["entry 1 of answers", "answer"]),
    ({"prompt": "p", "completions": ["a", "b"]}, "not an object", ["entry 1 of completions", "'a'"]),
    *((Q | {"history": wrong}, "another form", ["history"]) for wrong in (
        "We talked.", [["Hi"]], ["Hi"], [["Hi", "Yo", "So"]], [["Hi", 5]], [HI, ["Hi", "Yo"]])),
    (Q | {"history": 5}, "not text", ["history", "a number"]),
    (Q | {"history": {"Hi": "Yo"}}, "not text", ["history", "an object"]),
    (Q | {"history": [["Hi", "\ud800"]]}, "lone surrogate", ["history"]),
    (Q | {"history": [["Hi\0", "Yo"]]}, "NUL character", ["history"]),
    (Q | {"history": [HI | {"role": "wizard"}]}, "unknown role", ["message 1 of history", "'wizard'"]),
    (Q | {"system": 5}, "not text", ["system", "a number"]),
    (Q | {"system": ["Be brief."]}, "not an object", ["message 1 of system", "'Be brief.'"]),
    (Q | {"messages": 5}, "not text", ["messages", "a number"]),
    (Q | {"messages": [HI]}, "prompts differ", ["messages", "'Hi'"]),
    (Q | {"messages": [HI | {"content": Q["prompt"]}, {"role": "assistant", "content": "Pear"}]}, "prompts differ",
     ["messages", "'Pear'"]),
    (Q | {"messages": [HI | {"tool_calls": [{}]}]}, "can't be used", ["message 1 of messages", "'tool_calls'"]),
    (Q | {"images": ["a.png"]}, "can't be used", ["'images'"]),
    (Q | {"context": "A page of text."}, "can't be used", ["'context'"]),
    *((without("prompt") | {"instruction": 5, "input": text}, "not text", ["a number"]) for text in ("", "x")),
    (without("prompt") | {"instruction": "Spell", "input": 5}, "not text", ["input", "a number"]),
    (without("prompt") | {"conversations": [{"from": "human"}]}, "missing key", ["message 1", "'value'"]),
    (two(*SIDES["2"], -1) | {"response_1": None}, "null", ["null"]),
    (5, "not an object", ["a number"]),
]  # fmt: skip


@pytest.mark.parametrize("row, reason, words", FAULTS, ids=[f"{each[1]} {at}" for at, each in enumerate(FAULTS)])
def test_a_fault_is_told_in_words(row, reason, words):
    item = only(row)
    assert isinstance(item, BadRow) and (item.line, item.reason) == (1, reason)
    assert all(word in item.message for word in words), item.message


def test_every_fault_word_for_word():
    rows = [row for row, _, _ in FAULTS] + [two(*sides, label) for sides, label in UNKNOWN]
    hold("faults of rows", "\n".join(f"{only(row).reason}: {only(row).message}" for row in rows))


def test_who_reads_forms_is_not_sent_to_forms(tmp_path):
    (tmp_path / "a.json").write_text("[[], []]")
    bad = [only(without("prompt") | {"question": 3}), *forms.iter_items(tmp_path / "a.json")]
    assert [type(item) for item in bad] == [BadRow] * 3
    assert not [item.message for item in bad if "rmlib.practice.forms" in item.message]


def test_keys_that_are_not_read_are_counted_and_named_once():
    rows = [Q | {"a source": "hand", "b": 1, "c": 0, "d": None, "e": ""}, Q | {"a source": "x", "label": "tie"},
            ranked(("a", 1), ("b", 2), ("c", 3)) | {"a source": "y", "tools": [], "f": [1], "g": "", "h": False}]
    found = forms.read(rows)
    assert list(found.ignored.items()) == [("a source", 3), ("b", 1), ("c", 1), ("f", 1), ("h", 1)]
    assert found.summary().endswith("; keys that are not read: a source (3 rows), b (1 row), c (1 row), f (1 row), "
                                    "h (1 row)")
    assert "not read" not in forms.read([Q]).summary()


def test_a_table_of_pandas_is_read():
    chats = [np.array([HI, {"role": "assistant", "content": text}], dtype=object) for text in ("Yo", "Hm", "Ah")]
    table = pandas.DataFrame({"chosen": chats[:2], "rejected": chats[1:], "system": ["Be brief.", None],
                              "margin": [np.nan, 0.5], "id": [5, np.nan]})  # fmt: skip
    for rows in (table, table.convert_dtypes()):
        found = forms.read(rows)
        assert found.pairs == [
            PreferencePair((("system", "Be brief."), ("user", "Hi")), "Yo", "Hm", id=5),
            PreferencePair("Hi", "Hm", "Ah", target_margin=0.5)]
        assert (found.name, found.rows, [pair.line for pair in found.pairs]) == ("rows", 2, [1, 2])


def test_a_dataset_is_read_and_a_mapping_of_splits_is_not():
    table = datasets.Dataset.from_list([Q])
    assert forms.read(table).pairs == [PAIR]
    with pytest.raises(ValueError, match="one of its splits"):
        forms.read(datasets.DatasetDict(train=table))
