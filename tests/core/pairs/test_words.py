"""The words that rows of public data use: for a tie, for who speaks, for what can't be read; each of them is known."""

import re

import numpy as np
import pytest

from rmlib.pairs import BadRow, LeftOut, PreferencePair, Turn, iter_rows
from rmlib.pairs.messages import plain_value
from rmlib.pairs.turns import MARKED, turns_between

GOOD = {"prompt": "Q?", "chosen": "Yes.", "rejected": "No."}
USER = ["user", "human", "prompter", "instruction", "inst", "/sys"]
ASSISTANT = ["assistant", "model", "gpt", "chatgpt", "ai", "bot", "response", "/inst"]
SYSTEM = ["system", "developer", "sys"]
ROLES = {**dict.fromkeys(USER, "user"), **dict.fromkeys(ASSISTANT, "assistant"), **dict.fromkeys(SYSTEM, "system")}


def read(**changes):
    [item] = iter_rows([GOOD | changes])
    return item


@pytest.mark.parametrize("key", ["label", "winner", "status"])
@pytest.mark.parametrize("reason, words", [
    ("tie", ["tie", "ties", "tied", "draw", "equal", "equally good", "same", "both", "both bad", "both good", "bothbad",
             "neither", "no preference", "tie (bothbad)", "tie (both bad)", "a tie", "no winner", "none", "similar",
             "about the same", "equal quality", "both are good", "both are bad", " Both_are-BAD! "]),
    ("skip", ["skip", "skipped", "unsure", "not sure", "Not_sure."]),
    (None, ["left", "both left", "chosen", "1", "not", "", None, 0, ["tie"]]),
])  # fmt: skip
def test_labels_of_what_nobody_won(key, reason, words):
    for word in words:
        item = read(**{key: word})
        assert (item.reason if isinstance(item, LeftOut) else None) == reason, word
        assert reason or isinstance(item, PreferencePair)


@pytest.mark.parametrize("key", [
    "tools", "functions", "tool_calls", "function_call", "reasoning_content", "images", "image", "audio", "audios",
    "video", "videos", "documents", "context",
])  # fmt: skip
def test_what_belongs_to_the_conversation_and_cannot_be_used(key):
    for found in (read(**{key: ["x"]}), read(prompt=[{"role": "user", "content": "Q?", key: ["x"]}])):
        assert isinstance(found, BadRow) and found.reason == "can't be used" and repr(key) in found.message
    assert isinstance(read(**{key: []}), PreferencePair)


@pytest.mark.parametrize("key", ["reasoning", "thinking", "image_url", "input_audio"])
def test_what_cannot_be_used_in_a_message_alone(key):
    assert read(prompt=[{"role": "user", "content": "Q?", key: "x"}]).reason == "can't be used"
    assert isinstance(read(**{key: "x"}), PreferencePair)


@pytest.mark.parametrize("key", ["system", "system_prompt", "history", "messages", "conversations", "instruction",
                                 "question"])
def test_rows_of_another_form(key):
    assert read(**{key: "x"}).reason == "another form"
    assert all(isinstance(read(**{key: nothing}), PreferencePair) for nothing in (None, "", [], float("nan")))


@pytest.mark.parametrize("role, meant", ROLES.items())
def test_who_speaks(role, meant):
    [turn, *_] = read(prompt=[{"role": role.upper(), "content": "Q?"}, {"role": "user", "content": "And?"}]).turns
    assert turn == Turn(meant, "Q?")
    for written in (f"[{{'role': '{role}', 'content': 'Q?'}}]", f'[{{"from": "{role}", "value": "Q?"}}]',
                    f"array([{{'role': '{role}'}}])", f'"[{{\\"from\\": \\"{role}\\"}}]"', f"'({{'from': '{role}'}})'"):
        assert read(prompt=written).reason == "messages as text", written
    bare = [] if role == "human" else [f"{role}: Hi", f" {role.title()}: Hi"]  # "Human:" marks our own transcripts
    for mark in (*bare, f"###{role}: Hi", f"### {role}: Hi"):
        assert read(prompt=mark).reason == "another form", mark
    for plain in (f"# {role}: Hi", f"## {role}: Hi", f"####{role}: Hi", f"{role} Hi", f"Say {role}: Hi"):
        assert read(prompt=plain).turns == (Turn("user", plain),)


@pytest.mark.parametrize("mark", ["<|im_start|>", "<s>", "<bos>", "<start_of_turn>", "<extra_id_1>", "[INST]"])
def test_how_other_templates_begin(mark):
    assert read(prompt=f"\n{mark} Hi").reason == "another form"
    assert isinstance(read(prompt=f"Say {mark} Hi"), PreferencePair)


@pytest.mark.parametrize("kind", ["text", "input_text", "output_text"])
def test_parts_that_are_text(kind):
    parts = [{"type": kind, "text": "Q?"}, "Or", {"type": kind, "text": "R?"}]
    found = read(prompt=[{"role": "user", "content": parts}])
    assert found.prompt == "Q? Or R?"


@pytest.mark.parametrize("text, kept", [
    ("\ufeffHi", "Hi"), ("a\r\nb", "a\nb"), ("a\rb", "a\nb"), ("a\n\rb", "a\n\nb"), ("a\ufeffb", "ab"),
])  # fmt: skip
def test_marks_of_files_are_no_part_of_a_text(text, kept):
    assert read(prompt=text).turns == (Turn("user", kept),) and read(chosen=text).chosen == kept


@pytest.mark.parametrize("name", ["NAType", "NaTType"])
def test_what_a_table_has_where_nothing_is_means_absent(name):
    missing = type(name, (), {})()  # of pandas, which nothing here imports
    assert read(id=missing, margin=missing, subset=missing, label=missing, tools=missing) == PreferencePair(
        "Q?", "Yes.", "No.")


def test_arrays_become_lists_to_the_last_level():
    inner = np.empty(3, dtype=object)
    inner[:] = [np.array(["a", "b"]), float("nan"), {"x": 1}]
    assert plain_value(inner) == [["a", "b"], None, {"x": 1}]
    assert plain_value(np.float32(0.5)) == 0.5 and plain_value(np.array(["a"])) == ["a"]


def test_a_marker_of_a_role_that_is_not_known_is_given_as_it_is():
    markers = re.compile(r"<(?P<role>\w+)>")
    assert list(turns_between(markers, "<Wizard> a <USER> b")) == [("Wizard", "a"), ("user", "b")]
    assert list(turns_between(MARKED, "Human: a\n\nHuman: b")) == [("user", "a"), ("user", "b")]
