"""Every public form: samples made by hand, one conversation in all of them, and whatever else a row may hold."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rmlib.pairs import BadRow, LeftOut, PreferencePair, Turn, conversation_keys, read_pairs
from rmlib.pairs.rows import parse
from rmlib.practice import forms
from rmlib.practice.row_sources import rows_of_file
from rmlib.practice.writing import write_pairs

SAMPLES = Path(__file__).parent / "forms"
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
Q = {"prompt": "Name a fruit.", "chosen": "Plum", "rejected": "Stone"}
HI, HELLO, ASKED = Turn("user", "Hi"), Turn("assistant", "Hello"), Turn("user", Q["prompt"])


def says(role: str, content: object) -> dict:
    return {"role": role, "content": content}


def chat(*turns: Turn) -> list[dict]:
    return [says(*turn) for turn in turns]


def without(*keys: str) -> dict:
    return {key: value for key, value in Q.items() if key not in keys}


def only(row: object):
    [item] = forms.iter_items([row])
    return item


# --- samples made by hand ------------------------------------------------------------------------------------------

FILES = sorted(path for path in SAMPLES.iterdir() if not path.name.endswith(".expected.json"))


def test_there_is_a_sample_of_every_form():
    assert [path.stem for path in FILES] == [
        "chatbot_arena", "helpsteer2", "helpsteer3", "hh_transcripts", "instruction_input", "messages", "nectar",
        "plain", "question", "response_ab", "responses_tie", "safe_rlhf", "sharegpt", "shp", "single_message",
        "system_history", "ultrafeedback", "ultrafeedback_binarized"]  # fmt: skip
    assert {path.suffix for path in FILES} == {".jsonl", ".json", ".csv", ".tsv"}


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_a_sample_holds_what_stands_beside_it(path):
    found, wanted = forms.read(path), json.loads((SAMPLES / f"{path.stem}.expected.json").read_text("utf-8"))
    assert [{"turns": [list(turn) for turn in pair.turns], "chosen": pair.chosen, "rejected": pair.rejected}
            for pair in found.pairs] == wanted["pairs"]
    reasons = [row.reason for row in found.left_out]
    assert (reasons.count("tie"), reasons.count("skip"), len(reasons)) == (
        wanted["ties"], wanted["skips"], wanted["ties"] + wanted["skips"])
    assert (found.bad_rows, found.rows, dict(found.ignored)) == ([], 5, wanted["not_read"])


def with_line_ends(value, end: str):
    if isinstance(value, dict):
        return {key: with_line_ends(each, end) for key, each in value.items()}
    if isinstance(value, list):
        return [with_line_ends(each, end) for each in value]
    return value.replace("\n", end) if isinstance(value, str) else value


LINES = "Read:\n\n1. plum\n2. stone"
ANSWERED = {"chosen": f"{LINES}\nPlum", "rejected": f"{LINES}\nStone"}
UNMARKED = "Human: Hi\n\nAssistant: Hello\n\nHuman: Name a fruit.\n\nAssistant:"
WITH_LINES = {
    "prompt": {"prompt": UNMARKED, "chosen": "Plum", "rejected": "Stone"},
    "history": {"history": "Human: Hi\n\nAssistant: Hello", "prompt": "Name a fruit.", "chosen": "Plum",
                "rejected": "Stone"},
    "responses that begin with the prompt": {"prompt": LINES, **ANSWERED},
}


@pytest.mark.parametrize("end", ["\r\n", "\r"])
@pytest.mark.parametrize("rows", [*FILES, *WITH_LINES.values()], ids=[*(path.name for path in FILES), *WITH_LINES])
def test_line_ends_of_any_kind_change_nothing(rows, end):
    read = [parse(raw) if isinstance(raw, bytes) else raw for _, raw in rows_of_file(rows)] if rows in FILES else [rows]
    assert [*forms.iter_items(with_line_ends(read, end))] == [*forms.iter_items(read)]


def test_what_the_rows_with_lines_hold():
    assert [forms.read([row]).pairs[0] for row in WITH_LINES.values()] == [
        PreferencePair((HI, HELLO, ASKED), "Plum", "Stone"), PreferencePair((HI, HELLO, ASKED), "Plum", "Stone"),
        PreferencePair(LINES, "Plum", "Stone")]


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_a_key_of_any_form_tells_the_subset(path, tmp_path):
    rows = [parse(raw) if isinstance(raw, bytes) else raw for _, raw in rows_of_file(path)]
    marked = [row | {"kind": f"d{at % 2}"} | ({"subset": "other"} if at else {}) for at, row in enumerate(rows)]
    found, wanted = forms.read(marked, by="kind"), forms.read(path)
    assert found.pairs == [replace(pair, subset=f"d{lines.index(pair.line) % 2}") for lines in [
        [line for line, _ in rows_of_file(path)]] for pair in wanted.pairs]
    assert found.ignored == wanted.ignored and len(found.left_out) == len(wanted.left_out)
    write_pairs(tmp_path / "pairs.jsonl", found.pairs)
    assert read_pairs(tmp_path / "pairs.jsonl").pairs == found.pairs
    assert {pair.subset for pair in forms.read(marked).pairs} <= {None, "other"}


@pytest.mark.parametrize("key, subset", [("winner", "model_a"), ("prompt", "Name a fruit."), ("nothing", None)])
def test_a_key_that_is_read_for_something_else_tells_the_subset_too(key, subset):
    row = {"prompt": "Name a fruit.", "response_a": "Plum", "response_b": "Stone", "winner": "model_a"}
    [pair] = forms.read([row], by=key).pairs
    assert pair == PreferencePair("Name a fruit.", "Plum", "Stone", subset=subset)


def test_margin_and_id_come_along():
    found = forms.read(SAMPLES / "plain.jsonl").pairs
    assert [(pair.id, pair.target_margin) for pair in found] == [
        ("rice", 1.5), ("month", None), ("bird", 0.5), ("july", None), ("Baum", 2.0)]


# --- one conversation, whatever the row ------------------------------------------------------------------------------

SAID = {  # (row, the turns it stands for)
    "system": (Q | {"system": "Be brief."}, (Turn("system", "Be brief."), ASKED)),
    "system prompt": (Q | {"system_prompt": "Be brief."}, (Turn("system", "Be brief."), ASKED)),
    "system as a message": (Q | {"system": says("system", "Be brief.")}, (Turn("system", "Be brief."), ASKED)),
    "blank system": (Q | {"system": " \n"}, (ASKED,)),
    "history of pairs": (Q | {"history": [["Hi", "Hello"]]}, (HI, HELLO, ASKED)),
    "history of tuples": (Q | {"history": (("Hi", "Hello"),)}, (HI, HELLO, ASKED)),
    "history of messages": (Q | {"history": chat(HI, HELLO)}, (HI, HELLO, ASKED)),
    "history of texts in turn": (Q | {"history": ["Hi", "Hello"]}, (HI, HELLO, ASKED)),
    "history as a transcript": (Q | {"history": "\n\nHuman: Hi\n\nAssistant: Hello"}, (HI, HELLO, ASKED)),
    "history that has the question too": (Q | {"history": [[Q["prompt"], "Hello"]]}, (ASKED, HELLO, ASKED)),
    "history of one question twice": (Q | {"history": [["Hi", "Hello"]] * 2}, (HI, HELLO, HI, HELLO, ASKED)),
    "history that is in the prompt already": (
        without("prompt") | {"prompt": chat(HI, HELLO, ASKED), "history": [["Hi", "Hello"]]}, (HI, HELLO, ASKED)),
    "system that is in the messages already": (
        Q | {"prompt": chat(Turn("system", "Be brief."), ASKED), "system": "Be brief."},
        (Turn("system", "Be brief."), ASKED)),
    "history beside a prompt with a system turn": (
        Q | {"prompt": chat(Turn("system", "Be brief."), ASKED), "history": [["Hi", "Hello"]]},
        (Turn("system", "Be brief."), HI, HELLO, ASKED)),
    "history and system beside a prompt with a system turn": (
        Q | {"prompt": chat(Turn("system", "Be brief."), ASKED), "history": [["Hi", "Hello"]], "system": "Be brief."},
        (Turn("system", "Be brief."), HI, HELLO, ASKED)),
    "messages before the prompt": (Q | {"messages": chat(HI, HELLO)}, (HI, HELLO, ASKED)),
    "messages up to the prompt": (Q | {"messages": chat(HI, HELLO, ASKED)}, (HI, HELLO, ASKED)),
    "messages with the response": (Q | {"messages": chat(ASKED, Turn("assistant", "Plum"))}, (ASKED,)),
    "messages with the response and what came before": (
        Q | {"messages": chat(HI, HELLO, ASKED, Turn("assistant", "Plum"))}, (HI, HELLO, ASKED)),
    "messages that alone have the system turn": (
        Q | {"messages": chat(Turn("system", "Be brief."), ASKED, Turn("assistant", "Plum"))},
        (Turn("system", "Be brief."), ASKED)),
    "messages without the system turn": (
        Q | {"prompt": chat(Turn("system", "Be brief."), ASKED), "messages": chat(ASKED)},
        (Turn("system", "Be brief."), ASKED)),
    "messages in place of a prompt": (without("prompt") | {"messages": chat(HI, HELLO, ASKED)}, (HI, HELLO, ASKED)),
    "prompt and question that are one": (Q | {"question": Q["prompt"]}, (ASKED,)),
    "a list as instruction": (without("prompt") | {"instruction": chat(HI, HELLO, ASKED), "input": ""},
                              (HI, HELLO, ASKED)),
    "arrays of numpy": (without("prompt") | {"prompt": np.array(chat(HI, HELLO, ASKED), dtype=object)},
                        (HI, HELLO, ASKED)),
    "nulls": (Q | dict.fromkeys(("system", "history", "messages", "tools", "label", "question")), (ASKED,)),
    "nothing": (Q | {"system": "", "history": [], "messages": [], "tools": [], "conversations": []}, (ASKED,)),
}


@pytest.mark.parametrize("row, turns", SAID.values(), ids=SAID)
def test_what_was_said_before_is_in_the_turns(row, turns):
    assert only(row) == PreferencePair(turns, "Plum", "Stone")


# --- random conversations --------------------------------------------------------------------------------------------

MARKS = ("human:", "assistant:", "user:", "system:", "prompter:", "###", "<|", "<s", "</s", "[inst", "[/inst", "<<",
         "<eos", "<bos", "<end", "{'", '{"')  # fmt: skip
TEXTS = (
    st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]) | st.just("\n"), min_size=1, max_size=20)
    | st.sampled_from(["Hi", "Hi there", "Go on.", "Tell me\n\nmore of it", "0"])
).map(str.strip).filter(lambda text: text and not any(mark in text.lower() for mark in MARKS))  # fmt: skip
MARKERS = {"user": "\n\nHuman:", "assistant": "\n\nAssistant:", "system": "\n\nSystem:"}
TALKS = st.builds(
    lambda system, said, last: (
        *(Turn("system", text) for text in system),
        *(Turn(role, text) for each in said for role, text in zip(("user", "assistant"), each)),
        Turn("user", last)),
    st.lists(TEXTS, max_size=1), st.lists(st.tuples(TEXTS, TEXTS), max_size=3), TEXTS,
)  # fmt: skip
PAIRS = st.builds(PreferencePair, TALKS, TEXTS, TEXTS).filter(
    lambda pair: pair.chosen != pair.rejected
    and not all(text.startswith(pair.turns[-1].text) for text in (pair.chosen, pair.rejected)))  # that is another form


def talk(*turns: Turn) -> str:
    return "".join(f"{MARKERS[role]} {text}" for role, text in turns)


def rows_of(pair: PreferencePair) -> dict[str, dict]:
    """The pair as a row of each form that can hold it."""
    turns, good, bad = pair.turns, Turn("assistant", pair.chosen), Turn("assistant", pair.rejected)
    *said, question = turns[1:] if turns[0].role == "system" else turns
    *before, asked = turns
    texts, ends = {"chosen": good.text, "rejected": bad.text}, {"chosen": chat(good), "rejected": chat(bad)}
    whole = {"chosen": chat(*turns, good), "rejected": chat(*turns, bad)}
    transcripts = {"chosen": talk(*turns, good), "rejected": talk(*turns, bad)}
    shares = {"user": "human", "assistant": "gpt", "system": "system"}
    system = {"system": turns[0].text} if turns[0].role == "system" else {"system": None}
    columns = system | {"history": [[one.text, two.text] for one, two in zip(said[::2], said[1::2])]}
    prompt = talk(*turns) + "\n\nAssistant:" if before else question.text
    entries = [(bad.text, 2), (good.text, 1)]
    rows = {
        "texts": {"prompt": prompt} | texts,
        "transcripts": transcripts,
        "transcripts and their prompt": {"prompt": prompt} | transcripts,
        "transcripts and the last question": {"prompt": question.text} | transcripts,
        "whole chats": whole,
        "whole chats and their prompt": {"prompt": chat(*turns)} | whole,
        "chat prompt, texts": {"prompt": chat(*turns)} | texts,
        "chat prompt, chats": {"prompt": chat(*turns)} | ends,
        "chat prompt, single messages": {"prompt": chat(*turns), "chosen": says(*good), "rejected": says(*bad)},
        "messages, texts": {"messages": chat(*turns)} | texts,
        "ultrafeedback binarized": {"prompt": (said or [question])[0].text, "messages": chat(*turns, good)} | whole,
        "sharegpt": {
            "conversations": [{"from": shares[role], "value": text} for role, text in turns],
            "chosen": {"from": "gpt", "value": good.text}, "rejected": {"from": "gpt", "value": bad.text}},
        "columns": columns | {"prompt": question.text} | texts,
        "columns, question": columns | {"question": question.text} | texts,
        "columns, instruction": columns | {"instruction": question.text, "input": ""} | texts,
        "columns, history of messages": columns | {"history": chat(*said), "prompt": question.text} | texts,
        "safe": {"prompt": prompt, "response_0": bad.text, "response_1": good.text, "better_response_id": 1},
        "helpsteer 2": {"prompt": prompt, "response_1": good.text, "response_2": bad.text, "overall_preference": -2},
        "helpsteer 3": {"context": chat(*turns), "response1": bad.text, "response2": good.text,
                        "overall_preference": 3},
        "a and b": {"prompt": prompt, "response_a": bad.text, "response_b": good.text, "winner": "model_b"},
        "arena": {"conversation_a": whole["chosen"], "conversation_b": whole["rejected"], "winner": "model_a"},
        "shp": {"history": prompt, "human_ref_A": good.text, "human_ref_B": bad.text, "labels": 1},
        "nectar": {"prompt": prompt, "answers": [{"answer": text, "rank": rank} for text, rank in entries]},
        "ultrafeedback": {"instruction": prompt, "completions": [
            {"response": text, "overall_score": -rank} for text, rank in entries]},
    }  # fmt: skip
    if said:
        rows["columns, history as a transcript"] = columns | {
            "history": talk(*said), "prompt": question.text} | texts
        if before[-2] != asked:  # else they could be the prompt and a response
            rows["messages before the prompt"] = {"messages": chat(*before), "prompt": question.text} | texts
    if "\n\n" in question.text:
        instruction, _, rest = question.text.partition("\n\n")
        rows["columns, instruction and input"] = columns | {"instruction": instruction, "input": rest} | texts
    return rows


@settings(SLOW, max_examples=200)
@given(pair=PAIRS)
def test_one_conversation_in_any_form_is_one_pair(pair):
    rows = rows_of(pair)
    for name, item in zip(rows, forms.iter_items(json.loads(json.dumps(list(rows.values())))), strict=True):
        assert item == pair, name
        assert conversation_keys([item]) == conversation_keys([pair])


@settings(SLOW, max_examples=100)
@given(pair=PAIRS, data=st.data())
def test_one_conversation_has_one_key_however_far_it_goes(pair, data):
    start = 2 if pair.turns[0].role == "system" else 1
    depths = [PreferencePair(pair.turns[:end], "yes", "no") for end in range(start, len(pair.turns) + 1, 2)]
    rows = [data.draw(st.sampled_from(list(rows_of(each).values()))) for each in depths]
    found = forms.read(rows)
    assert found.pairs == depths and not found.bad_rows
    assert set(conversation_keys(found.pairs)) == {" ".join(pair.turns[start - 1].text.split())}


ANYTHING = st.lists(
    st.sampled_from(["Hi", *MARKERS.values(), " ", "\n", "\r\n", "Human:", "<|im_start|>user\n", "[INST]", "[/INST]",
                     "<|im_end|>", "</s>", "USER:", "### Response:", "[{'role': 'user'}]", "\u2028"])
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4),
    min_size=1, max_size=5,
).map(lambda parts: re.sub("\r+\n?", "\n", "".join(parts)).strip("\ufeff").strip()).filter(bool)  # fmt: skip
ANY_TURNS = st.lists(st.builds(Turn, st.sampled_from(list(MARKERS)), ANYTHING), min_size=1, max_size=4).map(tuple)
ANY_PAIRS = st.builds(
    PreferencePair, ANY_TURNS, ANYTHING, ANYTHING, st.none() | st.floats(-1e30, 1e30),
    st.none() | st.integers() | ANYTHING, subset=st.none() | st.text("ab 1.", min_size=1).map(str.strip).filter(bool),
).filter(lambda pair: pair.chosen != pair.rejected)  # fmt: skip


@settings(SLOW, max_examples=200)
@given(pairs=st.lists(ANY_PAIRS, min_size=1, max_size=4))
def test_what_is_written_is_read_back_markers_or_not(pairs, tmp_path):
    write_pairs(tmp_path / "pairs.jsonl", pairs)
    for read in (read_pairs, forms.read):
        found = read(tmp_path / "pairs.jsonl")
        assert found.pairs == pairs and not found.bad_rows and not found.ignored


# --- whatever comes --------------------------------------------------------------------------------------------------

KNOWN = sorted({key for row in rows_of(PreferencePair((HI, HELLO, ASKED), "a", "b")).values() for key in row} | set(
    "label status margin id subset responses system_prompt input tools images context documents rank score".split()))
INNER = st.sampled_from("role content from value type text answer response rank score overall_score pm_score".split())
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.integers() | st.floats() | st.text(max_size=6)
WORDS = st.sampled_from(["user", "gpt", "tie", "model_a", "\n\nHuman: Hi\n\nAssistant: Yo", "<|im_start|>user\nHi",
                         "[{'role': 'user'}]", "\ud800", "a\0", "", " ", "x"])  # fmt: skip
VALUES = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(INNER, inner, max_size=3)
    | st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "human"]), "content": inner})
               | st.fixed_dictionaries({"answer": inner, "rank": inner})
               | st.fixed_dictionaries({"response": inner, "overall_score": inner})
               | st.tuples(WORDS, WORDS), max_size=3),
    max_leaves=6,
)  # fmt: skip
GOOD_ROWS = [row for turns in ((ASKED,), (HI, HELLO, ASKED))
             for row in rows_of(PreferencePair(turns, "a", "b")).values()]  # fmt: skip
ROWS = st.builds(
    lambda row, gone, new: {key: value for key, value in row.items() if key not in gone} | new,
    st.sampled_from([{}, *GOOD_ROWS]), st.sets(st.sampled_from(KNOWN), max_size=2),
    st.dictionaries(st.sampled_from(KNOWN) | st.text(max_size=2), VALUES, max_size=4),
)  # fmt: skip


@settings(SLOW, max_examples=1500)
@given(row=ROWS)
def test_any_row_is_pairs_or_told(row):
    items = list(forms.iter_items([row]))
    assert items, "each row is one item or more"
    assert {type(item) for item in items} <= {PreferencePair, BadRow, LeftOut}
    assert {item.line for item in items} == {1}
    for item in items:
        if isinstance(item, PreferencePair):
            assert item.chosen and item.rejected and any(turn.text for turn in item.turns)


@settings(SLOW, max_examples=150)
@given(row=ROWS)
def test_a_row_that_is_read_can_be_written_and_read_again(row, tmp_path):
    pairs = [item for item in forms.iter_items([row]) if isinstance(item, PreferencePair)]
    assume(pairs)
    write_pairs(tmp_path / "pairs.jsonl", pairs)
    assert read_pairs(tmp_path / "pairs.jsonl").pairs == pairs
