import gzip
import json
import typing

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from real_parts import datasets_library, hh_file, require

from rmlib.pairs import BadRow, LeftOut, PairSet, PreferencePair, Turn, iter_rows, read_pairs
from rmlib.pairs.pair import Reason
from rmlib.practice.writing import write_pairs

GOOD = {"prompt": "What is the capital of France?", "chosen": "Paris.", "rejected": "London."}
GOOD_LINE = json.dumps(GOOD).encode()


def says(role: str, content: object) -> dict:
    return {"role": role, "content": content}


# --- forms -----------------------------------------------------------------------------------------------------------

ASKED = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Capital?\n\nAssistant:"
TALK = [says("user", "Hi"), says("assistant", "Hello"), says("user", "Capital?")]
PARIS, LONDON = says("assistant", "Paris."), says("assistant", " London.\n")
TURNS = (Turn("user", "Hi"), Turn("assistant", "Hello"), Turn("user", "Capital?"))
SAME_CONVERSATION = {
    "transcripts": {"chosen": ASKED + " Paris.", "rejected": ASKED + " London."},
    "transcripts and their prompt": {
        "prompt": ASKED, "chosen": ASKED + " Paris.", "rejected": ASKED + " London."},
    "transcripts and their last question": {
        "prompt": "Capital?", "chosen": ASKED + " Paris.", "rejected": ASKED + " London."},
    "transcript as prompt": {"prompt": ASKED, "chosen": " Paris.", "rejected": "London."},
    "transcript as prompt, a space after it": {"prompt": ASKED + " ", "chosen": "Paris.", "rejected": "London."},
    "whole chats": {"chosen": [*TALK, PARIS], "rejected": [*TALK, LONDON]},
    "whole chats and their prompt": {"prompt": TALK, "chosen": [*TALK, PARIS], "rejected": [*TALK, LONDON]},
    "whole chats and their first question": {"prompt": "Hi ", "chosen": [*TALK, PARIS], "rejected": [*TALK, LONDON]},
    "chat prompt, chat responses": {"prompt": TALK, "chosen": [PARIS], "rejected": [LONDON]},
    "tuples of messages": {"prompt": (*TALK,), "chosen": (says("assistant", ({"type": "text", "text": "Paris."},)),),
        "rejected": (LONDON,)},
    "chat prompt, text responses": {"prompt": TALK, "chosen": "Paris.", "rejected": "London."},
    "chat prompt, responses of several turns": {
        "prompt": TALK[:1], "chosen": [*TALK[1:], PARIS], "rejected": [*TALK[1:], LONDON]},
    "text prompt, responses of several turns": {
        "prompt": "Hi", "chosen": [*TALK[1:], PARIS], "rejected": [*TALK[1:], LONDON]},
    "content in parts": {
        "chosen": [says("user", [{"type": "text", "text": part} for part in ("Hi", "")]), *TALK[1:], PARIS],
        "rejected": [*TALK, LONDON]},
    "transcripts, their lines ended by CR and LF": {
        "chosen": (ASKED + " Paris.").replace("\n", "\r\n"), "rejected": ASKED + " London."},
    "transcripts, their lines ended by CR": {
        "chosen": (ASKED + " Paris.").replace("\n", "\r"), "rejected": ASKED + " London."},
    "responses that begin with a prompt, its lines ended by CR and LF": {
        "prompt": ASKED.replace("\n", "\r\n"), "chosen": ASKED.replace("\n", "\r\n") + " Paris.",
        "rejected": ASKED.replace("\n", "\r\n") + " London."},
    "prompt and responses that begin with it": {
        "prompt": ASKED.strip(), "chosen": ASKED.strip() + " Paris.", "rejected": ASKED.strip() + " London."},
    "transcript as prompt, chat responses": {"prompt": ASKED, "chosen": [PARIS], "rejected": [LONDON]},
    "transcript as prompt, marked responses": {
        "prompt": ASKED.removesuffix("\n\nAssistant:"), "chosen": "\n\nAssistant: Paris.", "rejected": "London."},
    "numpy": {"prompt": np.array(TALK, dtype=object), "chosen": np.array([PARIS], dtype=object), "rejected": "London."},
}  # fmt: skip


@pytest.mark.parametrize("row", SAME_CONVERSATION.values(), ids=SAME_CONVERSATION)
def test_forms_of_one_conversation_give_equal_pairs(row):
    [pair] = iter_rows([row])
    assert pair == PreferencePair(TURNS, "Paris.", "London.") and pair.line == 1 and pair.prompt == ASKED


@pytest.mark.parametrize("text", [
    "Capital?", "I: who am I?", "Human rights: what are they?", "What does [INST] mean?", "Say:\n\nBye.",
    "What do [INST] and [/INST] mean?", "Sum this up:\n\nHuman: Hi\n\nAssistant: Hello\n\nWhat was said?",
    "Q> Hi\nR> Hello\nQ> Bye\nR>", "USERS: how many?",
])  # fmt: skip
def test_what_is_no_transcript_is_one_human_turn(text):
    [pair] = iter_rows([{"prompt": f" {text}\n", "chosen": "a", "rejected": "b"}])
    assert pair.turns == (Turn("user", text),) and pair.prompt == text


@pytest.mark.parametrize("turns", [TURNS, (Turn("system", "Be brief."), *TURNS), (Turn("user", "Human: Hi"),)])
def test_what_prompt_gives_makes_the_same_pair(turns):
    pair = PreferencePair(turns, "a", "b")
    assert PreferencePair(pair.prompt, "a", "b") == pair


def test_all_texts_are_stripped():
    row = {"prompt": " Capital? ", "chosen": " Paris.\n", "rejected": "London."}
    assert list(iter_rows([row])) == [PreferencePair("Capital?", "Paris.", "London.")]
    assert PreferencePair(" Capital?\n", "a", "b").turns == (Turn("user", "Capital?"),)
    pair = PreferencePair([("system", " S "), ("user", "Q")], "a", "b")
    assert pair.prompt == "\n\nSystem: S\n\nHuman: Q\n\nAssistant:"


def test_parts_of_a_message_are_set_apart():
    """By a space, unless white space ends the one or begins the other, and nothing is set beside an empty part."""
    parts = [{"type": "text", "text": text} for text in ("See this.", "What is it?\n", "Say.", "\nNow", "", " please.")]
    [pair] = iter_rows([{"prompt": [says("user", parts)], "chosen": "a", "rejected": "b"}])
    assert pair.prompt == "See this. What is it?\nSay.\nNow please."


@pytest.mark.parametrize("role, meant", [
    ("developer", "system"), ("human", "user"), ("gpt", "assistant"), ("Model", "assistant")])  # fmt: skip
def test_roles_by_their_other_names(role, meant):
    [pair] = iter_rows([{"prompt": [says(role, "S"), *TALK], "chosen": "a", "rejected": "b"}])
    assert pair.turns == (Turn(meant, "S"), *TURNS)


def test_system_turn_is_rendered():
    talk = [says("system", "Be brief."), says("user", "Hi")]
    [pair] = iter_rows([{"chosen": [*talk, PARIS], "rejected": [*talk, LONDON]}])
    assert pair.prompt == "\n\nSystem: Be brief.\n\nHuman: Hi\n\nAssistant:"
    assert list(iter_rows([{"chosen": pair.prompt + " Paris.", "rejected": pair.prompt + " London."}])) == [pair]
    beside = {"prompt": "Hi", "chosen": pair.prompt + " Paris.", "rejected": pair.prompt + " London."}
    assert list(iter_rows([beside])) == [pair]


@pytest.mark.parametrize("prompt, chosen, rejected, responses", [
    ("Hi.", "Hi. Hello.", "Hi. What?", ("Hello.", "What?")),
    ("Q> A", "Q> A\nR> x", "Q> A\nR> y", ("R> x", "R> y")),
    ("Hi", "Hi, you.", "Who?", ("Hi, you.", "Who?")),  # one of them alone is a way to answer
    ("I", "It is.", "In it.", ("It is.", "In it.")),  # other words
    ("Count to 1", "Count to 10.", "Count to 12.", ("Count to 10.", "Count to 12.")),  # other numbers
    ("Hi", "Human: Hi\n\nAssistant: a", "Human: Hi\n\nAssistant: b", ("a", "b")),
    ("Write a chat.", "User: Hi\nAssistant: Yes?", "No.", ("User: Hi\nAssistant: Yes?", "No.")),
])  # fmt: skip
def test_the_prompt_is_taken_out_of_texts_that_both_begin_with_it(prompt, chosen, rejected, responses):
    [pair] = iter_rows([{"prompt": prompt, "chosen": chosen, "rejected": rejected}])
    assert (pair.chosen, pair.rejected) == responses and pair.prompt == prompt


def test_a_chat_that_the_assistant_opens_is_whole_where_it_holds_the_prompt():
    chat = [says("assistant", "Welcome!"), says("user", "Hi")]
    [pair] = iter_rows([{"prompt": "Hi", "chosen": [*chat, PARIS], "rejected": [*chat, LONDON]}])
    assert pair.turns == (Turn("assistant", "Welcome!"), Turn("user", "Hi"))


@pytest.mark.parametrize("margin, target", [
    (2, 2.0), (-0.5, -0.5), (None, None), (np.float32(0.5), 0.5), (np.nan, None)])  # fmt: skip
def test_margin_is_the_target_margin(margin, target):
    [pair] = iter_rows([GOOD | {"margin": margin}])
    assert pair.target_margin == target and type(pair.target_margin) is type(target)


@pytest.mark.parametrize("name", ["row-7", " row 7\n", 7, "", None, 2**80, 7.0, np.int64(7)])
def test_id_is_kept(name):
    found = next(iter_rows([GOOD | {"id": name}])).id
    assert found == name and isinstance(found, str | int | None)


def test_rows_that_nobody_won_are_left_out_and_counted():
    rows = [{"prompt": "p", "responses": ["a", "b"], "label": label} for label in ("tie", "skip", "tie", "left")]
    found = read_pairs([*rows, GOOD])
    assert [(row.line, row.reason) for row in found.left_out] == [(1, "tie"), (2, "skip"), (3, "tie")]
    assert {type(row) for row in found.left_out} == {LeftOut} and "labelled tie" in found.left_out[0].message
    assert [(row.line, row.reason) for row in found.bad_rows] == [(4, "unknown label")]
    assert found.summary() == (
        "1 pair from rows; 1 row skipped: unknown label 1 (line 4); "
        "3 rows left out: tie 2 (lines 1, 3), skip 1 (line 2)"
    )


@pytest.mark.parametrize("row", [
    GOOD | {"label": "tie"}, GOOD | {"label": "Tie"}, GOOD | {"winner": "tie"}, GOOD | {"status": "tie (bothbad)"},
    {"prompt": "p", "chosen": None, "rejected": None, "label": "tie"},
])  # fmt: skip
def test_a_tie_beside_chosen_and_rejected_is_a_tie(row):
    [item] = iter_rows([row])
    assert isinstance(item, LeftOut) and item.reason == "tie"


def test_keys_that_nothing_reads_are_counted_and_named_once():
    rows = [GOOD | {"source": "x", "split": None}, GOOD | {"source": "y"}, GOOD | {"subset": "s", "note": "n"}]
    assert read_pairs(rows).summary() == "3 pairs from rows; keys that are not read: source (2 rows), note (1 row)"


# --- bad rows --------------------------------------------------------------------------------------------------------


def chat(*messages: object) -> dict:
    return {"chosen": list(messages), "rejected": [says("user", "Hi"), says("assistant", "other")]}


def without(key: str) -> dict:
    return {name: value for name, value in GOOD.items() if name != key}


BAD_LINES = [  # (line of a file, reason, what the message has to say)
    (b"", "blank line", "blank"),
    (b" \t", "blank line", "blank"),
    (b'{"prompt": "caf\xe9"}', "not UTF-8", "byte 16"),
    (b'{"prompt": "\xed\xa0\x80"}', "not UTF-8", "byte 13"),
    (GOOD_LINE[:-1], "not JSON", "column"),
    (b"prompt,chosen,rejected", "not JSON", "'prompt,chosen,rejected'"),
    (b"\xef\xbb\xbf" + GOOD_LINE, "not JSON", "BOM"),  # only a file may begin with one
    (b'{"id": ' + b"1" * 5000 + b"}", "not JSON", "5000"),
    (b'{"a": ' * 100_000, "not JSON", "'{\"a\": {\"a\":"),
    (b'"text"', "not an object", "'text'"),
    (b"17", "not an object", "a number"),
    (b"null", "not an object", "null"),
    (b"NaN", "not an object", "nan"),
    (b'[{"prompt": "p"}]', "not an object", "a list"),
    (b'{"prompt": "p", "chosen": "a", "rejected": "b", "chosen": "c"}', "repeated key", "'chosen' twice"),
]
BAD_ROWS = [  # (row, reason, what the message has to say)
    ({}, "missing key", "'chosen'"),
    (without("chosen"), "missing key", "'chosen'"),
    (without("rejected"), "missing key", "'rejected'"),
    ({"prompt": "p", "label": "tie"}, "missing key", "'chosen'"),
    (GOOD | {"tools": [{"name": "f"}]}, "can't be used", "the row has 'tools'"),
    (GOOD | {"images": ["a.png"]}, "can't be used", "the row has 'images'"),
    (chat(says("user", "Hi"), PARIS | {"tool_calls": [{}]}), "can't be used", "message 2 of chosen has 'tool_calls'"),
    (chat(says("user", "Hi"), PARIS | {"reasoning_content": "So"}), "can't be used", "'reasoning_content'"),
    (GOOD | {"system": "Be brief."}, "another form", "rmlib.practice.forms"),
    (GOOD | {"history": [["a", "b"]]}, "another form", "the row has 'history'"),
    (GOOD | {"chosen": "[{'role': 'user', 'content': 'Hi'}]"}, "messages as text", "chosen is a list of messages"),
    (GOOD | {"prompt": '[{"content": "Hi", "role": "user"}]'}, "messages as text", "prompt is a list of messages"),
    (GOOD | {"rejected": "array([{'role': 'user', 'content': 'Hi'}])"}, "messages as text", "rejected is a list"),
    (GOOD | {"chosen": None}, "null", "chosen is null"),
    (GOOD | {"rejected": None}, "null", "rejected is null"),
    (GOOD | {"prompt": None}, "null", "prompt is null"),
    (GOOD | {"chosen": 3}, "not text", "chosen should be text, not a number"),
    (GOOD | {"rejected": True}, "not text", "rejected should be text, not True"),
    (GOOD | {"prompt": {"role": "user"}}, "not text", "prompt should be text, not an object"),
    (GOOD | {"chosen": "a \ud800 b"}, "lone surrogate", "chosen has half a surrogate pair"),
    (GOOD | {"prompt": "\udfff"}, "lone surrogate", "prompt has"),
    (GOOD | {"id": "\ud800"}, "lone surrogate", "id has"),
    (GOOD | {"rejected": "a\0b"}, "NUL character", "rejected has a NUL"),
    (GOOD | {"chosen": ""}, "empty response", "chosen is empty"),
    (GOOD | {"rejected": " \n\u00a0"}, "empty response", "rejected is empty"),
    ({"chosen": ASKED + " ", "rejected": ASKED + " a"}, "empty response", "chosen is empty"),
    (GOOD | {"prompt": ""}, "empty prompt", "prompt is empty"),
    (GOOD | {"prompt": " \n"}, "empty prompt", "prompt is empty"),
    ({"chosen": "\n\nAssistant: a", "rejected": "\n\nAssistant: b"}, "not a transcript", "chosen is no transcript"),
    ({"chosen": "\n\nHuman: \n\nAssistant: a", "rejected": "\n\nHuman: \n\nAssistant: b"}, "empty prompt", "is empty"),
    ({"chosen": [PARIS], "rejected": [LONDON]}, "empty prompt", "prompt is empty"),
    (GOOD | {"rejected": " Paris. "}, "identical responses", "'Paris.'"),
    ({"chosen": ASKED + " a", "rejected": ASKED.replace("Hi", "Ho") + " b"}, "prompts differ", "after 10 equal"),
    ({"chosen": [*TALK, PARIS], "rejected": [*TALK[2:], LONDON]}, "prompts differ", "after 9 equal"),
    ({"chosen": ASKED + " a", "rejected": ASKED.replace("Hi", "Ho") + " b"}, "prompts differ",
     f"with {ASKED[10:50]!r}... and {'o' + ASKED[11:50]!r}..."),
    ({"prompt": "Else?", "chosen": ASKED + " a", "rejected": ASKED + " b"}, "prompts differ",
     "the row's prompt, 'Else?', is not in the conversation of chosen"),
    ({"prompt": TALK, "chosen": [*TALK, PARIS], "rejected": [*TALK[2:], LONDON]}, "prompts differ",
     "is not in the conversation of rejected"),
    (GOOD | {"prompt": "\n\nHuman: a\n\nHuman: b"}, "another form", "the prompt begins as some template marks turns"),
    (GOOD | {"prompt": "\n\nHuman: a\nBob: b"}, "another form", "the prompt begins as some template marks turns"),
    (GOOD | {"margin": 1e38}, "bad margin", "a number between -1e38 and 1e38, not 1e+38"),
    (GOOD | {"margin": -1e38}, "bad margin", "a number between -1e38 and 1e38, not -1e+38"),
    ({"prompt": "Else?", "chosen": [*TALK, PARIS], "rejected": [*TALK, LONDON]}, "prompts differ", "'Else?'"),
    ({"chosen": "Paris.", "rejected": "London."}, "not a transcript", "chosen is no transcript"),
    ({"chosen": ASKED + " a", "rejected": "\n\nHuman: Hi"}, "last turn not assistant", "the last turn of rejected"),
    (GOOD | {"rejected": "\n\nHuman: Hi"}, "last turn not assistant", "the last turn of rejected"),
    ({"prompt": ASKED, "chosen": "a\n\nHuman: b", "rejected": "c"}, "last turn not assistant", "of chosen"),
    (chat(), "empty chat", "chosen is an empty list"),
    (GOOD | {"prompt": []}, "empty chat", "prompt is an empty list"),
    (chat("Hi", PARIS), "not an object", "message 1 of chosen should be an object, not 'Hi'"),
    (chat(says("user", "Hi"), says("wizard", "a")), "unknown role", "message 2 of chosen has the role 'wizard'"),
    (chat(says(None, "Hi"), PARIS), "null", "the role of message 1 of chosen is null"),
    (chat(says(["user"], "Hi"), PARIS), "not text", "the role of message 1 of chosen"),
    (chat({"content": "Hi"}, PARIS), "missing key", "message 1 of chosen has no 'role'"),
    (chat({"role": "user"}, PARIS), "missing key", "message 1 of chosen has no 'content'"),
    (chat(says("user", None), PARIS), "null", "the content of message 1 of chosen is null"),
    (chat(says("user", 5), PARIS), "not text", "the content of message 1 of chosen"),
    (chat(says("user", [{"type": "image", "url": "u"}]), PARIS), "not text", "part that is not text: 'image'"),
    (chat(says("user", [5]), PARIS), "not text", "part that is not text: a number"),
    (chat(says("user", [{"type": "text"}]), PARIS), "null", "the content of message 1"),
    (chat(says("user", "Hi\0"), PARIS), "NUL character", "the content of message 1"),
    (chat(says("user", "Hi"), PARIS, says("user", "Bye")), "last turn not assistant", "the last turn of chosen"),
    (GOOD | {"margin": float("-inf")}, "bad margin", "not -inf"),
    (GOOD | {"margin": 10**400}, "bad margin", "not a number"),
    (GOOD | {"margin": 4e38}, "bad margin", "not 4e+38"),
    (GOOD | {"margin": True}, "bad margin", "not True"),
    (GOOD | {"margin": "1"}, "bad margin", "not '1'"),
    (GOOD | {"id": 1.5}, "bad id", "not 1.5"),
    (GOOD | {"id": False}, "bad id", "not False"),
    (GOOD | {"id": {}}, "bad id", "an object"),
    (GOOD | {"subset": ["s"]}, "bad subset", "a list"),
    (GOOD | {"subset": {}}, "bad subset", "an object"),
    ({"prompt": "p", "responses": ["a", "b"]}, "unknown label", "null"),
    ({"prompt": "p", "responses": ["a", "b"], "label": 0}, "unknown label", "where one of the responses won"),
    ({"prompt": "p", "responses": ["a", "b"], "label": ["tie"]}, "unknown label", "a list"),
]
BAD = BAD_LINES + [(json.dumps(row).encode(), reason, words) for row, reason, words in BAD_ROWS]


@pytest.mark.parametrize("line, reason, words", BAD, ids=[f"{reason} {at}" for at, (_, reason, _) in enumerate(BAD)])
def test_bad_row_among_good_ones(tmp_path, line, reason, words):
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(b"\n".join([GOOD_LINE, line, GOOD_LINE]))
    found = read_pairs(path)
    assert [pair.line for pair in found.pairs] == [1, 3]
    [bad] = found.bad_rows
    assert (bad.line, bad.reason) == (2, reason)
    assert words in bad.message
    with pytest.raises(ValueError) as error:
        read_pairs(path, strict=True)
    assert str(error.value) == f"{path}:2: {bad.message}"


@pytest.mark.parametrize("row, reason, words", BAD_ROWS)
def test_bad_row_of_an_iterable(row, reason, words):
    [bad] = iter_rows([row])
    assert (bad.line, bad.reason) == (1, reason) and words in bad.message


@pytest.mark.parametrize("value, subset", [
    (" s ", "s"), (2, "2"), (2.0, "2"), ("2.0", "2.0"), (0.5, "0.5"), (True, "True"), (False, "False"), (0, "0"),
    (np.int64(3), "3"), (10**17 + 0.0, str(10**17)), (float("inf"), "inf"), (None, None), ("", None), (" ", None),
    (float("nan"), None),
])  # fmt: skip
def test_a_subset_is_text_whatever_it_was(tmp_path, value, subset):
    [pair] = iter_rows([GOOD | {"subset": value}])
    assert pair.subset == subset
    write_pairs(tmp_path / "pairs.jsonl", [pair])
    assert read_pairs(tmp_path / "pairs.jsonl").pairs == [pair]
    assert ("subset" in (tmp_path / "pairs.jsonl").read_text()) == (subset is not None)


@pytest.mark.parametrize("row, responses", [
    (GOOD | {"rejected": " "}, ("Paris.", "")),
    (GOOD | {"prompt": ""}, ("Paris.", "London.")),
    (GOOD | {"rejected": "Paris."}, ("Paris.", "Paris.")),
    (GOOD | {"margin": "1"}, ("Paris.", "London.")),
    (GOOD | {"id": 1.5}, ("Paris.", "London.")),
    ({"chosen": ASKED + " a", "rejected": ASKED.replace("Hi", "Ho") + " b "}, ("a", "b")),
    ({"prompt": "Else?", "chosen": [*TALK, PARIS], "rejected": [*TALK, LONDON]}, ("Paris.", "London.")),
    (GOOD | {"rejected": None}, None),
    ({"chosen": ASKED + " a", "rejected": "\n\nHuman: Hi"}, None),
])  # fmt: skip
def test_bad_row_keeps_its_responses_where_both_can_be_read(row, responses):
    [bad] = iter_rows([row])
    assert isinstance(bad, BadRow) and bad.responses == responses


def test_every_reason_is_tried():
    assert {reason for _, reason, _ in BAD} == set(typing.get_args(Reason))


@pytest.mark.parametrize("key", ["prompt", "chosen", "margin"])
def test_numbers_too_long_to_print_are_told_without_printing_them(key):
    assert [type(item) for item in iter_rows([GOOD | {key: 10**5000}])] == [BadRow]


def test_message_stays_short_whatever_the_row():
    [bad] = iter_rows([GOOD | {"chosen": "a" * 1_000_000, "rejected": "a" * 1_000_000}])
    assert len(bad.message) < 200


def test_long_response_is_fine():
    [pair] = iter_rows([GOOD | {"chosen": "Paris " * 200_000}])
    assert len(pair.chosen) == 6 * 200_000 - 1


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.jsonl.gz", "pairs.txt"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["", "BOM"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_file_is_known_by_its_content(tmp_path, name, pack, start, end):
    (tmp_path / name).write_bytes(pack(start + GOOD_LINE + b"\r\n" + GOOD_LINE + end))
    found = read_pairs(tmp_path / name)
    assert len(found.pairs) == 2 and not found.bad_rows
    assert found.name == name


def test_line_separators_of_unicode_do_not_end_a_line(tmp_path):
    row = GOOD | {"chosen": "a\u2028b\x85c"}
    (tmp_path / "p").write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    assert read_pairs(str(tmp_path / "p")).pairs[0].chosen == "a\u2028b\x85c"


def test_gzip_cut_short_is_an_error_that_names_file_and_line(tmp_path):
    lines = [json.dumps(GOOD | {"id": np.random.default_rng(i).bytes(300).hex()}).encode() for i in range(500)]
    whole = gzip.compress(b"\n".join(lines))
    path = tmp_path / "cut.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cut\.gz: the gzip data is damaged or cut short after line \d+: ") as error:
        read_pairs(path)
    reached = int(str(error.value).split("after line ")[1].split(":")[0])
    assert len(read_pairs(path, limit=reached).pairs) == reached  # what was asked for lies before the cut
    path.write_bytes(whole[:1000] + b"\0" * 1000 + whole[2000:])
    with pytest.raises(ValueError, match="damaged or cut short"):
        read_pairs(path)
    for nothing in (whole[:5], whole[:2] + b"rubbish rubbish"):
        path.write_bytes(nothing)
        with pytest.raises(ValueError, match="damaged or cut short after line 0"):
            read_pairs(path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_empty_file(tmp_path, pack):
    (tmp_path / "none.jsonl").write_bytes(pack(b""))
    with pytest.raises(ValueError, match=r"none\.jsonl: the file is empty"):
        list(iter_rows(tmp_path / "none.jsonl"))


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.jsonl: no such file"):
        read_pairs(tmp_path / "gone.jsonl")
    with pytest.raises(ValueError, match=f"{tmp_path.name}: can't be read at all: Is a directory"):
        read_pairs(tmp_path)
    (tmp_path / "file").write_bytes(GOOD_LINE)
    with pytest.raises(ValueError, match="Not a directory"):
        read_pairs(tmp_path / "file" / "pairs.jsonl")


def test_json_array_is_told_what_to_be(tmp_path):
    for indent in (None, 2):
        (tmp_path / "array.json").write_text(json.dumps([GOOD, GOOD], indent=indent))
        with pytest.raises(ValueError, match=r"array\.json.*a JSON array.*rmlib.practice.forms reads"):
            read_pairs(tmp_path / "array.json")


def test_no_good_row_is_an_error_that_tells_the_first():
    with pytest.raises(ValueError, match="0 pairs .* 2 rows skipped: missing key 2 .*; at rows:1: the row has no"):
        read_pairs([{}, {}])
    with pytest.raises(ValueError, match="1 row left out: tie 1"):
        read_pairs([{"prompt": "p", "responses": [], "label": "tie"}])
    with pytest.raises(ValueError, match="no row can be used: 0 pairs from rows$"):
        read_pairs([])


def test_mapping_of_splits_is_no_source():
    with pytest.raises(ValueError, match="one of its splits"):
        read_pairs({"train": [GOOD], "test": [GOOD]})


def test_any_iterable_is_read_and_no_further_than_the_limit():
    rows = iter([{}, GOOD, {}, GOOD, {}, GOOD])
    found = read_pairs(rows, limit=2)
    assert ([pair.line for pair in found.pairs], [row.line for row in found.bad_rows]) == ([2, 4], [1, 3])
    assert list(rows) == [{}, GOOD]
    with pytest.raises(ValueError, match="at least 1, got 0"):
        read_pairs([GOOD], limit=0)


@pytest.mark.real
def test_hugging_face_dataset_is_read():
    datasets = require(datasets_library)
    rows = [{"chosen": [*TALK, PARIS], "rejected": [*TALK, LONDON], "margin": margin} for margin in (1.5, None)]
    found = read_pairs(datasets.Dataset.from_list(rows))
    assert [(pair.prompt, pair.chosen, pair.target_margin) for pair in found.pairs] == [
        (ASKED, "Paris.", 1.5), (ASKED, "Paris.", None)]  # fmt: skip
    with pytest.raises(ValueError, match="one of its splits"):
        read_pairs(datasets.DatasetDict(train=datasets.Dataset.from_list(rows)))


def test_summary_tells_three_lines_of_a_reason():
    reasons = ["null", "not JSON", "null", "not JSON", "null", "null", "not JSON"]
    bad = [BadRow(line, reason, "m") for line, reason in enumerate(reasons, start=1)]
    pair = PreferencePair("p", "a", "b")
    assert PairSet([pair] * 2, bad, [], "x.jsonl").summary() == (
        "2 pairs from x.jsonl; 7 rows skipped: null 4 (lines 1, 3, 5, ...), not JSON 3 (lines 2, 4, 7)"
    )
    assert PairSet([pair], [], [], "x.jsonl").summary() == "1 pair from x.jsonl"


# --- whatever comes --------------------------------------------------------------------------------------------------

WORDS = st.sampled_from(["user", "assistant", "text", "tie", ASKED + " a", ASKED + " b", "\ud800", "\0"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
KEYS = st.sampled_from("prompt chosen rejected margin id responses label role content type".split())
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=5)
    | st.fixed_dictionaries({"role": inner, "content": inner})
    | st.fixed_dictionaries({"chosen": inner, "rejected": inner}, optional={"prompt": inner, "margin": inner}),
    max_leaves=12,
)
SCRATCH = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SCRATCH
@given(rows=st.lists(JSON, min_size=1, max_size=5).filter(lambda rows: not isinstance(rows[0], list)))
def test_any_json_gives_one_item_a_row_and_files_agree_with_lists(tmp_path, rows):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    items = list(iter_rows(path))
    assert [item.line for item in items] == list(range(1, len(rows) + 1))
    listed = list(iter_rows(rows))
    assert [type(item) for item in items] == [type(item) for item in listed]
    assert [item for item in items if isinstance(item, PreferencePair)] == [
        item for item in listed if isinstance(item, PreferencePair)]  # fmt: skip
    for item in items:
        assert not isinstance(item, BadRow) or item.reason in typing.get_args(Reason)


@SCRATCH
@given(
    content=st.binary(max_size=200) | st.binary(max_size=60).map(gzip.compress),
    magic=st.booleans(),
    cut=st.integers(0, 60),
)
def test_any_bytes_give_one_item_a_line_or_a_clear_error(tmp_path, content, magic, cut):
    path = tmp_path / "any"
    written = (b"\x1f\x8b" if magic else b"") + content[: len(content) - cut]
    path.write_bytes(written)
    try:
        items = list(iter_rows(path))
    except ValueError as error:
        assert str(error).startswith(f"{path}: ")
        begins = ("is empty", "no lines of text", "a JSON array")
        assert written[:2] == b"\x1f\x8b" or any(told in str(error) for told in begins)
    else:
        plain = gzip.decompress(written) if written[:2] == b"\x1f\x8b" else written
        end = b"\n" if b"\n" in plain else b"\r"
        assert len(items) == plain.count(end) + (not plain.endswith(end))


@SCRATCH
@given(
    rows=st.lists(st.sampled_from([GOOD, {}, {"responses": [], "label": "tie"}]), max_size=9),
    limit=st.none() | st.integers(1, 4),
)
def test_all_rows_read_are_accounted_for(rows, limit):
    assume(GOOD in rows)
    found = read_pairs(rows, limit=limit)
    at = [line for line, row in enumerate(rows, start=1) if row is GOOD]
    read = at[limit - 1] if limit and limit <= len(at) else len(rows)
    assert sorted(item.line for item in [*found.pairs, *found.bad_rows, *found.left_out]) == list(range(1, read + 1))


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
MARKED = st.sampled_from([*"ab \n", "\n\nHuman:", "\n\nAssistant:", "\n\nSystem:"])
SPOKEN = TEXT | st.lists(MARKED, max_size=8).map("".join)


@SCRATCH
@given(
    prompt=SPOKEN, chosen=SPOKEN, rejected=SPOKEN, margin=st.none() | st.floats(-1e30, 1e30),
    name=st.none() | st.integers() | TEXT,
)  # fmt: skip
def test_pairs_read_back_as_they_were_written(tmp_path, prompt, chosen, rejected, margin, name):
    row = {"prompt": prompt, "chosen": chosen, "rejected": rejected, "margin": margin, "id": name}
    pairs = [item for item in iter_rows([row]) if isinstance(item, PreferencePair)]
    assume(pairs)
    write_pairs(tmp_path / "written.jsonl", pairs)
    assert read_pairs(tmp_path / "written.jsonl").pairs == pairs


def test_written_rows_are_readable_by_people(tmp_path):
    pairs = [PreferencePair("Où ?", "Là.", "Ici.", 0.5, "n1", 12), PreferencePair("a", "b", "c")]
    write_pairs(tmp_path / "p.jsonl", pairs)
    assert (tmp_path / "p.jsonl").read_text(encoding="utf-8") == (
        '{"prompt": "Où ?", "chosen": "Là.", "rejected": "Ici.", "margin": 0.5, "id": "n1"}\n'
        '{"prompt": "a", "chosen": "b", "rejected": "c"}\n'
    )
    write_pairs(tmp_path / "p.jsonl", [PreferencePair(TURNS[-2:], "b", "c")])
    assert json.loads((tmp_path / "p.jsonl").read_text()) == {
        "prompt": [says("assistant", "Hello"), says("user", "Capital?")], "chosen": "b", "rejected": "c"}


# --- real comparisons ------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_real_comparisons_are_all_accounted_for():
    path = require(hh_file)
    found = read_pairs(path)
    lines = [item.line for item in [*found.pairs, *found.bad_rows]]
    with gzip.open(path) as file:
        transcripts = [json.loads(line) for line in file]
    assert sorted(lines) == list(range(1, len(transcripts) + 1)) and not found.left_out
    if path.name == "hh_harmless_dev.jsonl.gz":
        assert found.summary() == (
            "1813 pairs from hh_harmless_dev.jsonl.gz; 8 rows skipped: "
            "empty response 4 (lines 70, 410, 735, ...), prompts differ 4 (lines 994, 1340, 1547, ...)"
        )
        # An account of its own over all lines: of the chosen, 0.557 are the shorter one, 0.439 the longer, 8 equal.
        sides = "chosen", "rejected"
        last = [[len(row[side].split("\n\nAssistant:")[-1].strip()) for side in sides] for row in transcripts]
        signs = [np.sign(chosen - rejected) for chosen, rejected in last]
        assert [signs.count(sign) for sign in (-1, 0, 1)] == [1014, 8, 799]
        used = {pair.line: [len(pair.chosen), len(pair.rejected)] for pair in found.pairs}
        assert all(last[line - 1] == lengths for line, lengths in used.items())
