"""Both sides of the limits that forms go by, and what of a row is taken where two things could be meant."""

import csv
import json
from types import SimpleNamespace

import datasets
import pytest
from told import hold

from rmlib.pairs import BadRow, PreferencePair, Turn
from rmlib.practice import forms, row_sources
from rmlib.practice.candidates import Candidates, iter_to_score
from rmlib.practice.form_tables import COMPARISONS, LISTS, QUESTIONS, SYSTEM
from rmlib.practice.row_sources import LONGEST_CELL, NEVER_ABSENT, NUMBERS, object_or_fault, rows_of_file
from rmlib.practice.templates import style_of, turns_of
from rmlib.practice.writing import write_pairs

Q = {"prompt": "Name a fruit.", "chosen": "Plum", "rejected": "Stone"}


def only(row):
    [item] = forms.iter_items([row])
    return item


def chat(*said):
    return [{"role": role, "content": text} for role, text in zip(("user", "assistant") * 9, said)]


def test_the_tables_of_forms():
    told = [f"{first} {second} {key} {read.__name__}" for first, second, key, read in COMPARISONS]
    told += [f"{key}: {texts} {ranks} {scores}" for key, (texts, ranks, scores) in LISTS.items()]
    hold("tables of forms", "\n".join([*told, *map(str, (SYSTEM, QUESTIONS, NUMBERS, NEVER_ABSENT, LONGEST_CELL))]))


def test_the_first_form_that_fits_is_taken():
    both = {"prompt": "p", "response_1": "Plum", "response_2": "Stone", "response_a": "a", "response_b": "b"}
    assert only(both | {"preference_strength": 1, "overall_preference": -1, "winner": "model_a"}).chosen == "Stone"
    assert only(both | {"winner": "model_b"}).chosen == "b"
    lists = {"prompt": "p", "completions": [{"text": "c", "score": 1}, {"text": "d", "score": 2}]}
    assert only(lists).chosen == "d"
    assert only(lists | {"answers": [{"text": "e", "rank": 1}, {"text": "f", "rank": 2}]}).chosen == "e"
    assert only(both | Q | {"winner": "model_b"}).chosen == "Plum"


def test_text_and_rating_of_an_entry_are_the_first_of_their_names():
    entries = [{"answer": "one", "text": "1", "rank": 2, "score": 9},
               {"answer": "two", "text": "2", "rank": 1, "score": 3}]
    found = only({"prompt": "p", "answers": entries})
    assert (found.chosen, found.rejected) == ("two", "one")
    entries = [{"answer": "one", "score": 9, "pm_score": 1}, {"answer": "two", "score": 3, "pm_score": 2}]
    assert only({"prompt": "p", "answers": entries}).chosen == "one"
    entries = [{"answer": "one", "rank": None, "score": 1}, {"answer": "two", "rank": None, "score": 3}]
    assert only({"prompt": "p", "answers": entries}).chosen == "two"


def test_of_equals_the_first_is_the_best_and_equals_are_ties_wherever_they_stand():
    rated = [{"answer": text, "score": score} for text, score in (("a", 2), ("b", 3), ("c", 3), ("d", 1))]
    items = list(forms.iter_items([{"prompt": "p", "answers": rated}]))
    assert [item.chosen for item in items if isinstance(item, PreferencePair)] == ["b", "b"]
    assert [getattr(item, "rejected", "tie") for item in items] == ["a", "tie", "d"]


def test_eight_keys_of_forty_letters_are_named_of_a_row_without_a_form():
    told = only({f"{'k' * 39}{n}z": 0 for n in range(10)}).message
    assert [f"'{'k' * 39}{n}'" in told for n in range(10)] == [True] * 8 + [False] * 2 and "z" not in told


@pytest.mark.parametrize("label, first_won", [("model_a", True), ("assistant_b", False), ("a", True), (" B ", False)])
def test_a_name_ends_in_its_letter(label, first_won):
    found = only({"prompt": "p", "response_a": "x", "response_b": "y", "winner": label})
    assert found.chosen == ("x" if first_won else "y")


def test_who_is_asked_to_score_has_candidates_or_items():
    rows = [{"prompt": "p", "responses": ["a", "b"], "id": 4}, {"question": "q", "responses": ["a"]},
            {"context": chat("Hi"), "responses": ["a"]}, {"history": "\n\nHuman: Hi\n\nAssistant:", "responses": ["a"]},
            {"conversations": [{"from": "human", "value": "Hi"}], "responses": ["a"]},
            {"instruction": "Hi", "responses": ["a"], "label": "model_a"},
            Q | {"responses": ["a", "b"]}, {"responses": ["a"]}, {"prompt": "p", "responses": "a"},
            {"prompt": "p", "responses": []}, {"prompt": "p", "responses": ["a", 3]}, Q, [1],
            {"prompt": "p", "responses": ["a", "b"], "winner": "tie"}]
    told = []
    for item in iter_to_score(rows):
        if isinstance(item, Candidates):
            told.append(f"{item.line}: {item.id} {[tuple(turn) for turn in item.turns]} {item.responses}")
        elif isinstance(item, PreferencePair):
            told.append(f"{item.line}: {item.chosen} before {item.rejected}")
        else:
            told.append(f"{item.line}: {item.reason}: {item.message}")
    hold("rows to score", "\n".join(told))


@pytest.mark.parametrize("key", ["label", "winner", "status"])
def test_what_a_label_says_of_a_row_to_score_is_no_fault_of_it(key):
    [found] = iter_to_score([{"prompt": "p", "responses": ["a", "b"], key: "rejected"}])
    assert isinstance(found, Candidates) and found.responses == ["a", "b"]


@pytest.mark.parametrize("side, reason", [("chosen", "missing key"), ("rejected", "unknown label")])
def test_responses_beside_half_a_choice_are_no_row_to_score(side, reason):
    [found] = iter_to_score([{"prompt": "p", "responses": ["a", "b"], side: "a"}])
    assert isinstance(found, BadRow) and found.reason == reason


TRANSCRIPTS = {  # text: whether it is read as turns, as a prompt and as a response
    "Hi USER: a ASSISTANT: b": (False, False), "Hi. USER: a ASSISTANT: b": (False, True),
    "Hi USER: a ASSISTANT:": (False, False), "Hi. USER: a ASSISTANT:": (True, True),
    "Hi: USER: a ASSISTANT:": (True, True), "Hi! USER: a ASSISTANT:": (True, True),
    "Hi? USER: a ASSISTANT:": (True, True), "Hi\nUSER: a ASSISTANT:": (True, True), "Hi, USER: a": (False, False),
    "Hi. USER: a": (False, False), "USER: a": (True, True), "USER: a\nPASSWORD: b": (False, False),
    "USER: a PS: b": (False, False), "USER: a ASSISTANT: b PS: c": (True, True),
    "[INST] a [/INST]": (True, True), "[INST] a": (False, False), "say [INST] a [/INST] b": (False, False),
    "<|user|>\na": (True, True), "say <|user|>\na<|assistant|>\nb": (False, False),
    "user: a\nassistant: b": (True, True), "user: a": (True, True), "Be brief.\nuser: a\nassistant: b": (False, True),
    "Be brief.\nuser: a\nassistant:": (True, True), "Be brief.\nuser: a": (False, False),
    "###Human: a ###Assistant: b": (True, True), "### Human: a": (True, True), "User: a\nUser: b": (False, False),
}  # fmt: skip


def test_what_is_a_transcript_and_what_only_looks_like_one():
    found = {text: tuple(style_of(text, is_prompt) is not None for is_prompt in (True, False)) for text in TRANSCRIPTS}
    assert found == TRANSCRIPTS


def test_a_text_in_two_templates_is_read_by_the_one_that_starts_it():
    start = "<|im_start|>user\nUSER: a ASSISTANT: b<|im_end|>\n<|im_start|>assistant\nc"
    assert list(turns_of(start, style_of(start, True))) == [("user", "USER: a ASSISTANT: b"), ("assistant", "c")]
    both = "User: a\nassistant: b\nAssistant: c"
    assert [text for _, text in turns_of(both, style_of(both, True))][0].startswith("a")


def test_a_file_of_lines_is_read_from_its_first_row_however_many_blank_lines_stand_before(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("\n\n" + json.dumps(Q) + "\n\n" + json.dumps(Q))
    assert [(line, row.strip() == b"") for line, row in rows_of_file(path)] == [
        (1, True), (2, True), (3, False), (4, True), (5, False)]
    path.write_text('{\n"prompt": "p",\n"chosen": "a",\n"rejected": "b"\n}')
    with pytest.raises(ValueError) as error:
        rows_of_file(path)
    assert str(error.value) == f"{path}: one object over several lines: give an array of rows, or one row on each line"
    path.write_text('{"prompt":\n' + json.dumps(Q))
    assert [line for line, _ in rows_of_file(path)] == [1, 2]


def test_a_repeated_key_is_a_fault_of_its_object_alone():
    assert object_or_fault([("a", 1), ("b", 2)]) == {"a": 1, "b": 2}
    assert "'a' twice" in str(object_or_fault([("a", 1), ("a", 2)]))


def test_cells_of_csv(tmp_path):
    path = tmp_path / "a.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([
            [" prompt", "chosen ", "rejected", "margin", "id", "system"], ["q", "a", "b", "", "", ""],
            ["p", "", "b", "1", "", ""],
            ["p", "a" * 200_000, "b", "2", "x", "Be brief."], ["p", "a"], ["p", "a", "b", "1", "x", "y", "z"]])
    good, empty, long, fewer, more = forms.iter_items(path)
    assert good == PreferencePair("q", "a", "b")
    assert isinstance(empty, BadRow) and empty.reason == "empty response"
    assert (long.line, long.target_margin, long.turns[0]) == (4, 2.0, Turn("system", "Be brief."))
    assert len(long.chosen) == 200_000
    told = "the row has {} cells than the header: a comma or a quote without quotes around it?"
    assert [(row.line, row.reason, row.message) for row in (fewer, more)] == [
        (5, "another form", told.format("fewer")), (6, "another form", told.format("more"))]
    for start, columns in {"prompt,chosen,rejected,chosen\n": ["prompt", "chosen", "rejected", "chosen"],
                           "prompt;chosen;rejected\np;a;b\n": ["prompt;chosen;rejected"],
                           "prompt\tchosen\trejected\n": ["prompt\tchosen\trejected"],
                           "\nprompt,chosen,rejected\np,a,b\n": []}.items():
        path.write_text(start)
        with pytest.raises(ValueError) as error:
            forms.read(path)
        assert str(error.value) == f"{path}: line 1 should name columns, once each, parted by ',': {columns}"


@pytest.mark.parametrize("name", ["hf:", "hf::train"])
def test_a_data_set_of_the_hub_needs_a_name(name):
    with pytest.raises(ValueError) as error:
        forms.read(name)
    assert str(error.value) == "hf: wants the name of a dataset: hf:owner/name:split, hf:owner/name/config:split"


def test_sources_that_are_none():
    splits = "need rows, got one mapping: choose one of its splits, or put a single row in a list"
    for source, told in (({"a": 1}, splits), ("gone.jsonl", "gone.jsonl: no such file")):
        with pytest.raises((ValueError, FileNotFoundError)) as error:
            forms.read(source)
        assert str(error.value) == told


def test_what_is_written_is_text_where_text_will_do(tmp_path):
    marked = PreferencePair("Hi", "User: a", "b", subset="s")
    pairs = [PreferencePair("Hi", "a", "b", 0.0, 0), PreferencePair(tuple(Turn(*each) for each in zip(
        ("user", "assistant", "user"), "abc")), "é", "y"), marked, PreferencePair("[INST] Hi", "a", "b", id="x"),
             PreferencePair("Hi", "[{'role': 'user'}]", "b")]
    write_pairs(tmp_path / "a.jsonl", pairs)
    user = [{"role": "user", "content": "[INST] Hi"}]
    said = [[{"role": "assistant", "content": text}] for text in ("User: a", "b", "[{'role': 'user'}]")]
    lines = (tmp_path / "a.jsonl").read_text("utf-8").splitlines()
    assert list(map(json.loads, lines)) == [
        {"prompt": "Hi", "chosen": "a", "rejected": "b", "margin": 0.0, "id": 0},
        {"prompt": chat("a", "b", "c"), "chosen": "é", "rejected": "y"},
        {"prompt": "Hi", "chosen": said[0], "rejected": said[1], "subset": "s"},
        {"prompt": user, "chosen": "a", "rejected": "b", "id": "x"},
        {"prompt": [{"role": "user", "content": "Hi"}], "chosen": said[2], "rejected": said[1]}]
    assert "é" in lines[1] and (tmp_path / "a.jsonl").read_text("utf-8").endswith("\n")


@pytest.mark.parametrize("mark", ["<|user|>", "<start_of_turn>user", "<extra_id_0>User\n", "[INST]", "assistant:"])
@pytest.mark.parametrize("before, after", [("", "b"), ("a", "")])
def test_a_mark_in_either_response_makes_messages_of_both(mark, before, after, tmp_path):
    pair = PreferencePair("Hi", f"{before or mark} x", f"{after or mark} y")
    write_pairs(tmp_path / "a.jsonl", [pair, PreferencePair(f"{mark} x", "a", "b")])
    first, second = map(json.loads, (tmp_path / "a.jsonl").read_text("utf-8").splitlines())
    assert first == {"prompt": "Hi", "chosen": [{"role": "assistant", "content": pair.chosen}],
                     "rejected": [{"role": "assistant", "content": pair.rejected}]}
    assert second["prompt"] == [{"role": "user", "content": f"{mark} x"}] and second["chosen"] == "a"


def test_the_hub_is_asked_with_what_it_will_cost(monkeypatch):
    sizes, told = iter([1_600_000, None, 0]), []
    monkeypatch.setattr(datasets, "load_dataset_builder",
                        lambda *_: SimpleNamespace(info=SimpleNamespace(download_size=next(sizes))))
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: [Q])
    monkeypatch.setattr(row_sources, "_log", SimpleNamespace(warning=lambda *given: told.append(given[0] % given[1:])))
    for _ in range(3):
        forms.read("hf:owner/name")
    whole = "owner/name of the Hugging Face Hub: {} to download, once"
    assert told == [whole.format(size) for size in ("2 MB", "its size is not told", "its size is not told")]


def test_files_that_can_t_be_read_are_told_from_the_first_word_to_the_library_s_own(tmp_path):
    table = datasets.Dataset.from_list([Q])
    datasets.DatasetDict(train=table, test=table).save_to_disk(tmp_path / "both")
    files = {"a.json": (b"[{", "begins as a JSON array, and can't be read as one: "),
             "a.csv": (b'prompt,chosen,rejected\np,a,b\n"p', "can't be read after line 2: "),
             "a.parquet": (b"PAR1 and no more", "can't be read as a table of parquet or arrow: "),
             "a.arrow": (b"ARROW1 and no more", "can't be read as a table of parquet or arrow: ")}
    for name, (content, told) in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError) as error:
            forms.read(tmp_path / name)
        assert str(error.value).startswith(f"{tmp_path / name}: {told}")
    both = tmp_path / "both"
    with pytest.raises(ValueError) as error:
        forms.read(both)
    assert str(error.value) == f"{both} holds several splits: choose one, {both}/train or {both}/test"
    with pytest.raises(ImportError) as missing:
        row_sources._library("no_such_library", "hf:a/b")
    assert str(missing.value) == ("hf:a/b: needs the library `datasets` (pip install datasets); or write the rows as "
                                  "JSON lines")
