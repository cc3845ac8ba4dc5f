"""What is said of a row that can't be used, word for word; and rows at the edges of what a form is."""

import json

import pytest
from told import told

from rmlib.pairs import BadRow, PreferencePair, Turn, conversation_keys, iter_rows, read_pairs, split_by_conversation
from rmlib.pairs.messages import messages
from rmlib.pairs.pair import RowError, shown
from rmlib.pairs.turns import MARKED, split_turns, spoken, turns_between

GOOD = {"prompt": "Q?", "chosen": "Yes.", "rejected": "No."}
HI, HELLO, BYE = ({"role": role, "content": text} for role, text in
                  (("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")))
YES, NO = {"role": "assistant", "content": "Yes."}, {"role": "assistant", "content": "No."}
SYSTEM = {"role": "system", "content": "S"}
ASKED = "\n\nHuman: Hi there\n\nAssistant:"
CONTEXT = "belongs to the conversation and can't be used: write it into the text, or leave it out"
LABEL = "where one of the responses won, write it as 'chosen' and the other as 'rejected'"
AS_TEXT = "[{'role': 'user', 'content': 'Hi'}]"


def asking(*messages) -> dict:
    return GOOD | {"prompt": list(messages)}


@pytest.mark.parametrize("row, message", [
    (3, "a row should be an object, not a number"),
    (None, "a row should be an object, not null"),
    (GOOD | {"tools": [1]}, f"the row has 'tools', which {CONTEXT}"),
    (asking(HI | {"tool_calls": [1]}), f"message 1 of prompt has 'tool_calls', which {CONTEXT}"),
    (GOOD | {"history": [["a", "b"]]},
     "the row has 'history', which rmlib.practice.forms and the command line read where it is text or messages"),
    ({"prompt": "Q?", "rejected": "No."}, "the row has no 'chosen'"),
    ({"prompt": "Q?", "chosen": "Yes."}, "the row has no 'rejected'"),
    (GOOD | {"chosen": " "}, "the response of chosen is empty"),
    (GOOD | {"rejected": " "}, "the response of rejected is empty"),
    (GOOD | {"rejected": "Yes."}, "chosen and rejected are the same: 'Yes.'"),
    (GOOD | {"winner": "rejected"}, "winner says 'rejected': was it chosen, then?"),
    ({"prompt": "Q?", "responses": ["a"], "label": "left"}, f"label should be 'tie' or 'skip', not 'left'; {LABEL}"),
    (GOOD | {"prompt": "### User: Hi"}, "the prompt begins as some template marks turns, '### User: Hi': "
     "rmlib.practice.forms reads it, and so does the command line"),
    (GOOD | {"rejected": "\n\nHuman: Hi"}, "the last turn of rejected is not the assistant's: 'Hi'"),
    ({"id": 1, "chosen": "Yes.", "rejected": "No."}, "the row has no 'prompt', only 'id', 'chosen', 'rejected', and "
     "chosen is no transcript that starts with '\\n\\nHuman:': 'Yes.'"),
    ({"subset": None, "chosen": "Yes.", "rejected": "No."}, "the row has no 'prompt', only 'chosen', 'rejected', and "
     "chosen is no transcript that starts with '\\n\\nHuman:': 'Yes.'"),
    ({"prompt": "Else?", "chosen": ASKED + " a", "rejected": ASKED + " b"},
     "the row's prompt, 'Else?', is not in the conversation of chosen"),
    ({"prompt": [HI, HELLO, BYE], "chosen": [HI, HELLO, BYE, YES], "rejected": [HI, NO]},
     "the row's prompt, 'Hello', is not in the conversation of rejected"),
    ({"prompt": [BYE, HELLO, HI], "chosen": [HI, HELLO, BYE, YES], "rejected": [HI, HELLO, BYE, NO]},
     "the row's prompt, 'in this order', is not in the conversation of chosen"),
    ({"prompt": [BYE, HI], "chosen": [HI, HELLO, BYE, YES], "rejected": [HI, HELLO, BYE, NO]},
     "the row's prompt, 'in this order', is not in the conversation of chosen"),
    ({"chosen": ASKED + " a", "rejected": ASKED.replace("Hi", "Ho") + " b"}, "chosen and rejected answer different "
     "prompts: they part after 10 equal characters, with 'i there\\n\\nAssistant:' and 'o there\\n\\nAssistant:'"),
    (GOOD | {"prompt": " "}, "the prompt is empty: there is nothing to answer"),
    (GOOD | {"margin": "1"}, "margin should be a number between -1e38 and 1e38, not '1'"),
    (GOOD | {"id": 1.5}, "id should be text or a whole number, not 1.5"),
    (GOOD | {"id": float("inf")}, "id should be text or a whole number, not inf"),
    (GOOD | {"subset": []}, "subset should be text, a number, true or false, not a list"),
    (asking(), "prompt is an empty list of messages"),
    (asking(SYSTEM | {"content": " "}), "prompt has no message but an empty one of the system"),
    (asking(HI, "Hi"), "message 2 of prompt should be an object, not 'Hi'"),
    (asking({"content": "Hi"}), "message 1 of prompt has no 'role'"),
    (asking({"role": "user"}), "message 1 of prompt has no 'content'"),
    (asking({"from": "human"}), "message 1 of prompt has no 'value'"),
    (asking({"from": "human", "value": None}), "the content of message 1 of prompt is null: text belongs there"),
    (asking(HI | {"role": "wizard"}),
     "message 1 of prompt has the role 'wizard'; known are user, assistant, system and their like"),
    (asking(HI | {"role": ["user"]}), "the role of message 1 of prompt should be text, not a list"),
    (asking({"from": 3, "value": "Hi"}), "the from of message 1 of prompt should be text, not a number"),
    (asking(HI | {"content": [{"type": "image"}]}),
     "the content of message 1 of prompt has a part that is not text: 'image'"),
    (GOOD | {"chosen": AS_TEXT}, "chosen is a list of messages written as text: give the list itself (json.loads or "
     f"ast.literal_eval makes it): {AS_TEXT!r}"),
    (GOOD | {"chosen": None}, "chosen is null: text belongs there"),
    (GOOD | {"chosen": 3}, "chosen should be text, not a number"),
    (GOOD | {"chosen": "a \ud800"}, "chosen has half a surrogate pair, which is no character: 'a \\ud800'"),
    (GOOD | {"chosen": "a\0b"}, "chosen has a NUL character: 'a\\x00b'"),
])  # fmt: skip
def test_what_is_said_of_a_row(row, message):
    [bad] = iter_rows([row])
    assert isinstance(bad, BadRow) and bad.message == message


@pytest.mark.parametrize("line, message", [
    (b"", "the line is blank"),
    (b'{"prompt": "caf\xe9"}', "byte 16 of the line is not UTF-8: save the file as UTF-8"),
    (b'{"a": 1', "Expecting ',' delimiter at column 8: '{\"a\": 1'"),
    (b' \t{"a": 1 ', "Expecting ',' delimiter at column 10: ' \\t{\"a\": 1'"),  # counted from the line's own beginning
    (b'{"a": 1, "a": 2}', "an object has 'a' twice: which of the two is meant?"),
])  # fmt: skip
def test_what_is_said_of_a_line(tmp_path, line, message):
    (tmp_path / "p").write_bytes(line + b"\n" + json.dumps(GOOD).encode())
    assert [bad.message for bad in read_pairs(tmp_path / "p").bad_rows] == [message]


def test_what_is_said_of_a_source(tmp_path):
    path = tmp_path / "array"
    path.write_text("[{}]")
    assert told(read_pairs, path) == (f"{path}: a JSON array, where an object on each line is wanted: "
                                      "rmlib.practice.forms reads it, and so does the command line")
    assert told(read_pairs, {"train": []}) == (
        "need rows, got one mapping: choose one of its splits, or put a single row in a list; a table of pandas is "
        "read by rmlib.practice.forms")
    assert told(read_pairs, [GOOD], limit=0) == "limit must be at least 1, got 0"
    assert read_pairs([GOOD, GOOD], limit=1).pairs == [PreferencePair("Q?", "Yes.", "No.")]
    assert told(read_pairs, [{}, {}]) == (
        "rows: no row can be used: 0 pairs from rows; 2 rows skipped: missing key 2 (lines 1, 2); at rows:1: the row "
        "has no 'chosen'")  # and of no other row
    path.write_text("{}\n")
    assert told(read_pairs, path) == (f"{path}: no row can be used: 0 pairs from array; 1 row skipped: missing key 1 "
                                      f"(line 1); at {path}:1: the row has no 'chosen'")


def test_what_is_said_of_the_rest():
    [left] = iter_rows([GOOD | {"label": "skip"}])
    assert left.message == "labelled skip: neither response was chosen" and left.reason == "skip"
    for turns, roles in (([], "[]"), ([("user", "Q"), ("wizard", "x")], "['user', 'wizard']")):
        assert told(PreferencePair, turns, "a", "b") == (
            f"turns, (role, text) each, are of user, assistant, system, not {roles}")
    for chosen, rejected, what in ((None, "b", "null and 'b'"), ("a", float("nan"), "'a' and nan")):
        assert told(PreferencePair, "Q", chosen, rejected) == f"chosen and rejected should be texts, not {what}"
    pair = PreferencePair("Q", "a", "b")
    assert (pair.target_margin, pair.id, pair.line, pair.subset) == (None,) * 4
    assert BadRow(1, "null", "m").responses is None
    assert told(split_by_conversation, [pair] * 3, 0.5) == (
        "1 conversation can't be split in 2 without cutting one: give pairs from more conversations, or a held-out "
        "file of its own")
    assert told(split_by_conversation, [pair], 1) == "held_out is a share between 0 and 1, got 1"


def test_a_fault_in_place_of_a_message_is_told_as_it_is():
    fault = RowError("null", "the third column is null")
    assert told(messages, [HI, fault], "prompt", kind=RowError) == "the third column is null"


@pytest.mark.parametrize("value, words", [
    ("a" * 40, repr("a" * 40)), ("a" * 41, repr("a" * 40) + "..."), (True, "True"), (2.5, "2.5"), (3, "a number"),
    (None, "null"), ({}, "an object"), ([], "a list"), ((), "tuple"),
])  # fmt: skip
def test_how_a_value_is_shown(value, words):
    assert shown(value) == words


# --- forms at their edges --------------------------------------------------------------------------------------------


def turns(row) -> list[tuple[str, str]]:
    [pair] = iter_rows([row])
    return [*map(tuple, pair.turns), (pair.chosen, pair.rejected)]


@pytest.mark.parametrize("prompt, chat, expected", [
    # A system turn of the prompt stands before a conversation that has none, once, and is not set before its own.
    ([SYSTEM, HI], [HI], [("system", "S"), ("user", "Hi")]),
    ([SYSTEM, HI], [SYSTEM, HI], [("system", "S"), ("user", "Hi")]),
    ([HI], [SYSTEM, HI], [("system", "S"), ("user", "Hi")]),
    ([HI], [HI], [("user", "Hi")]),
    ([SYSTEM, HI], [HI, SYSTEM], [("system", "S"), ("user", "Hi"), ("system", "S")]),
    ([HI, HELLO, BYE], [HI, HELLO, BYE], [("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")]),
    ([HI, HELLO], [BYE], [("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")]),
    ([SYSTEM | {"content": ""}, HI], [], [("user", "Hi")]),
    ([HI | {"role": " User "}], [], [("user", "Hi")]),
])  # fmt: skip
def test_a_prompt_beside_messages(prompt, chat, expected):
    row = {"prompt": prompt, "chosen": [*chat, YES], "rejected": [*chat, NO]}
    assert turns(row) == [*expected, ("Yes.", "No.")]


@pytest.mark.parametrize("row, expected", [
    ({"prompt": "Hi.", "chosen": "  Hi. Hello.", "rejected": "\nHi. What?"}, [("user", "Hi."), ("Hello.", "What?")]),
    # They begin with what was said first, which is not all that was asked.
    ({"prompt": [HI, HELLO, BYE], "chosen": "Hi you!", "rejected": "Hi there!"},
     [("user", "Hi"), ("assistant", "Hello"), ("user", "Bye"), ("Hi you!", "Hi there!")]),
    # It begins as a transcript would, and is none: an answer.
    ({"prompt": "Q", "chosen": "\n\nHuman: a\n\nHuman: b", "rejected": "No."},
     [("user", "Q"), ("\n\nHuman: a\n\nHuman: b".strip(), "No.")]),
    # Neither a bracket nor a role makes a list of messages.
    (GOOD | {"chosen": "[1] Yes.", "rejected": "Use {'role': 'user'}."},
     [("user", "Q?"), ("[1] Yes.", "Use {'role': 'user'}.")]),
    (GOOD | {"responses": ["a", "b"]}, [("user", "Q?"), ("Yes.", "No.")]),
])  # fmt: skip
def test_texts_beside_a_prompt(row, expected):
    assert turns(row) == expected


def test_a_label_that_says_nothing_is_no_key_that_is_read():
    rows = [GOOD | {"label": "left", "winner": ""}, GOOD | {"label": "tie"},
            {"prompt": "Q?", "responses": ["a", "b"], "label": "tie"}]
    assert dict(read_pairs(rows).ignored) == {"label": 1}


@pytest.mark.parametrize("text, expected", [
    ("Hi", [("user", "Hi")]), (ASKED, [("user", "Hi there")]), (ASKED.removesuffix("\n\nAssistant:"), None),
    ("Hi\n\nAssistant:", None), (ASKED + " ", [("user", "Hi there")]), (ASKED.strip(), [("user", "Hi there")]),
])  # fmt: skip
def test_a_text_is_turns_where_it_both_begins_and_ends_as_a_transcript(text, expected):
    assert spoken(text) == [Turn(*each) for each in expected or [("user", text)]]


def test_keys_do_not_depend_on_the_order_and_pass_over_system_turns():
    """The second goes on from the first, which is its beginning, whichever is given first."""
    first = PreferencePair([("system", "S"), ("user", "Q> Hi")], "Hello", "Hey")
    later = {"chosen": "Q> Hi\nHello\nQ> Bye", "rejected": "Q> Hi\nHey\nQ> Bye", "neither": "Q> Hi there"}
    for side, text in later.items():
        second = PreferencePair(text, "a", "b")
        own = " ".join(text.split())
        wanted = {"chosen": "Q> Hi", "rejected": "Q> Hi", "neither": own}[side]
        assert conversation_keys([first, second]) == ["Q> Hi", wanted]
        assert conversation_keys([second, first]) == [wanted, "Q> Hi"]
        assert conversation_keys([second]) == [own] and conversation_keys([second], [first]) == [wanted]


def test_a_response_that_is_repeated_is_the_next_turn():
    first = PreferencePair([("system", "S"), ("user", "Tell me")], "sure thing", "no way")
    texts = {"Tell me sure thing. And then?": True, "Tell me no way! And then?": True, "Tell me surething. So": False,
             "Tell me sure thing and then": False, "Tell me something. And then?": False}
    for text, goes_on in texts.items():
        assert conversation_keys([PreferencePair(text, "a", "b")], [first]) == ["Tell me" if goes_on else text]


@pytest.mark.parametrize("text, in_prompt, in_response", [
    ("\n\nSystem: S\n\nHuman: Q\nBob: b", 0, 0), ("\n\nSystem: S\nBob: b\n\nHuman: Q", 2, 2),
    ("\n\nSystem: S\n\nHuman: Q", 2, 2), ("\n\nHuman: a\n\nHuman: b", 0, 0), ("\n\nHuman: a\n\nAssistant: b", 2, 2),
    ("Sum up:\n\nHuman: a\n\nAssistant: b", 0, 3), ("Sum up:\n\nHuman: a\n\nAssistant:", 3, 3),
    # Of twenty characters it is a label of another template's, and of more a word of the turn.
    (f"\n\nHuman: Q\n{'x' * 20}: b", 0, 0), (f"\n\nHuman: Q\n{'x' * 21}: b", 1, 1),
    ("\n\nHuman: Q\n \t x:", 0, 0), ("\n\nHuman: Q\nx:b", 1, 1), ("\n\nHuman: Q\na b: c", 1, 1),
    ("Be brief.\n\nHuman: a\n\nAssistant: b\n\nHuman: c", 4, 4), ("\n\nAssistant: a", 0, 0), ("a", 0, 0),
])  # fmt: skip
def test_how_many_turns_a_text_has(text, in_prompt, in_response):
    assert len(split_turns(text, is_prompt=True)) == in_prompt
    assert len(split_turns(text, is_prompt=False)) == in_response


def test_turns_are_stripped_and_an_opening_one_says_something():
    text = " Be brief. \n\nHuman:  Hi \n\nAssistant: \n\nHuman: Bye \n"
    assert list(turns_between(MARKED, text)) == [
        ("system", "Be brief."), ("user", "Hi"), ("assistant", ""), ("user", "Bye")]
    assert list(turns_between(MARKED, "\n\nHuman: Hi")) == [("user", "Hi")]
    assert list(turns_between(MARKED, "\n\nHuman:\n\nSystem: S\n\nHuman: Hi")) == [("system", "S"), ("user", "Hi")]
