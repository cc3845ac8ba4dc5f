"""The preflight report: every count against a slower and plainer count of its own."""

import gzip
import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from real_parts import hh_file, minilm_dir, require

from rmlib.encoding import encode, read_spec
from rmlib.pairs import PreferencePair, Turn, read_pairs
from rmlib.practice import lengths
from rmlib.practice.lengths import bin_edges, count_tokens, summarise_lengths
from rmlib.practice.preflight import earlier_turns, preflight, preflight_encoded, tabulate


def words(texts: list[str]) -> list[list[str]]:
    return [text.split() for text in texts]


def talk(*turns: str) -> str:
    *earlier, last = turns
    return "".join(f"\n\nHuman: {turn}\n\nAssistant: ok" for turn in earlier) + f"\n\nHuman: {last}\n\nAssistant:"


def turns(*said: str) -> tuple[Turn, ...]:
    return tuple(turn for text in said for turn in (Turn("user", text), Turn("assistant", "ok")))[:-1]


# --- by hand ---------------------------------------------------------------------------------------------------------

ROWS = [
    {"prompt": "a b c", "chosen": "x y", "rejected": "x z w"},
    {"prompt": "a b c", "chosen": "x y", "rejected": "x z w"},  # again
    {"prompt": "a b c", "chosen": "x z w", "rejected": "x y"},  # the other way round
    {"prompt": talk("one"), "chosen": "p", "rejected": "q"},
    {"prompt": talk("one", "two"), "chosen": "1 2 3 4 5 6 7 8", "rejected": "1 2 3 4 5 6 7 9 10"},
    {"prompt": "p", "responses": ["a", "b"], "label": "tie"},
    {"prompt": "p", "chosen": "long enough", "rejected": " "},
    {"prompt": "p", "chosen": "short", "rejected": "much longer", "margin": "1"},
    {"prompt": "p", "chosen": "same", "rejected": "size", "id": 0.5},
    {"prompt": "p", "chosen": "c"},
]
HELD_OUT = [
    PreferencePair(turns("one", "two", "three"), "a", "b"),
    PreferencePair("a  b c", "a", "b"),  # the conversation is the same, the text is not
    PreferencePair("a b c", "a", "b"),
    PreferencePair("new", "a", "b"),
]


def test_counts_of_rows_that_can_be_counted_by_hand():
    report = preflight(read_pairs(ROWS), words, 7, HELD_OUT)
    assert (report.name, report.rows, report.pairs, report.max_length) == ("rows", 10, 5, 7)
    assert report.bad == {"empty response": 1, "bad margin": 1, "bad id": 1, "missing key": 1}
    assert report.left_out == {"tie": 1}
    # In words: prompts of 3, 3, 3, 1, 7; longer responses of 3, 3, 3, 1, 9.
    assert (report.prompt.median, report.prompt.p95, report.prompt.longest) == (3, 7, 7)
    assert (report.response.median, report.response.p95, report.response.longest) == (2, 9, 9)
    assert (report.whole.median, report.whole.p95, report.whole.longest) == (6, 16, 16)
    assert (report.overlong, report.response_overlong) == (1, 1)
    assert (report.identical_cut_right, report.identical_kept) == (1, 1)
    assert (report.duplicates, report.contradictions) == (1, 3)
    assert (report.conversations, report.shared_prompts, report.earlier_turns) == (2, 3, 1)
    assert (report.held_out, report.leaked_prompts, report.leaked_conversations) == (4, 1, 3)
    # Of the rows that are no pairs, the three whose responses can be read: longer, shorter, equal.
    assert (report.chosen_longer, report.chosen_shorter, report.equal_length) == (2, 4, 2)


def test_a_window_that_has_room_for_the_responses_keeps_them_apart():
    kept = [preflight(ROWS, words, window).identical_kept for window in (7, 8, 9)]
    cut = [preflight(ROWS, words, window).identical_cut_right for window in (3, 4, 5, 14, 15)]
    assert kept == [1, 0, 0] and cut == [4, 4, 1, 1, 0]


def test_forms_of_pairs_that_can_be_looked_over(tmp_path):
    good = ROWS[:5]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in good))
    pairs = read_pairs(good).pairs
    forms = {"rows": good, "pairs": tuple(pairs), "pairs.jsonl": path, "gone": str(path)}
    reports = [asdict(preflight(form, words, 7, form)) for form in forms.values()]
    assert [report.pop("name") for report in reports] == ["rows", "pairs", "pairs.jsonl", "pairs.jsonl"]
    assert all(report == reports[0] for report in reports)
    assert asdict(preflight(iter(good), words, 7, iter(good))) == {"name": "rows"} | reports[0]
    assert reports[0]["leaked_prompts"] == reports[0]["leaked_conversations"] == 5


def test_nothing_held_out_and_none_of_it_are_told_apart():
    without, empty = preflight(ROWS, words, 7), preflight(ROWS, words, 7, held_out=[])
    assert (without.held_out, without.leaked_prompts, without.leaked_conversations) == (None, None, None)
    assert (empty.held_out, empty.leaked_prompts, empty.leaked_conversations) == (0, 0, 0)
    assert "held-out" not in str(without) and "held-out pairs whose prompt is here            0\n" in str(empty)


def test_one_pair_of_any_characters_and_any_length():
    pair = PreferencePair("日本🙂", "é" * 300_000, "e\u0301 " * 90_000)
    report = preflight([pair], words, 10)
    assert (report.pairs, report.overlong, report.response_overlong, report.whole.longest) == (1, 1, 1, 90_001)
    assert (report.chosen_longer, report.chosen_shorter, report.equal_length) == (1, 0, 0)
    assert len(report.edges) <= lengths.BINS + 1 and "90,001" in str(report)


@pytest.mark.parametrize("wrong, words_told", [
    (lambda texts: [text.split() for text in texts[1:]], "gave 4 of list"),
    (lambda texts: {"input_ids": [text.split() for text in texts]}, "gave 1 of str"),
    (lambda texts: texts, "gave 5 of str"),
    (lambda texts: [len(text) for text in texts], "gave 5 of int"),
    (lambda texts: [], "gave 0 of nothing"),
])  # fmt: skip
def test_a_token_counter_that_counts_something_else(wrong, words_told):
    with pytest.raises(ValueError, match=f"one list of tokens for each text; it was given 5 texts, and {words_told}"):
        preflight(ROWS, wrong, 7)


def test_nothing_to_look_over():
    with pytest.raises(ValueError, match="need pairs, .* got 0 pairs and a window of 7"):
        preflight([], words, 7)
    with pytest.raises(ValueError, match="got 5 pairs and a window of 0"):
        preflight(ROWS, words, 0)
    with pytest.raises(ValueError, match="no row can be used"):
        preflight([{}], words, 7)


# --- against plainer counts ------------------------------------------------------------------------------------------

TEXTS = st.lists(st.sampled_from("abc"), max_size=5).map(" ".join)
QUESTIONS = st.lists(st.sampled_from("xyz"), max_size=5).map(" ".join)  # none goes on with one of the responses
PROMPTS = QUESTIONS | st.lists(QUESTIONS, min_size=1, max_size=3).map(lambda said: turns(*said))
PAIRS = st.lists(st.builds(PreferencePair, PROMPTS, TEXTS, TEXTS), min_size=1, max_size=12)


@settings(deadline=None, max_examples=200)
@given(PAIRS, st.integers(1, 14))
def test_counts_of_tokens_are_those_of_cutting(pairs, window):
    report = preflight(pairs, words, window)
    split = [(pair.prompt.split(), pair.chosen.split(), pair.rejected.split()) for pair in pairs]
    assert report.overlong == sum(len(p) + max(len(c), len(r)) > window for p, c, r in split)
    assert report.response_overlong == sum(max(len(c), len(r)) > window for _, c, r in split)
    assert report.identical_cut_right == sum((p + c)[:window] == (p + r)[:window] for p, c, r in split)
    assert report.identical_kept == sum(c[:window] == r[:window] for _, c, r in split)
    assert report.prompt.longest == max(len(p) for p, _, _ in split)


@settings(deadline=None, max_examples=200)
@given(PAIRS, PAIRS)
def test_counts_of_repeats_are_those_of_comparing_all_with_all(pairs, held_out):
    report = preflight(pairs, words, 9, held_out)
    told = [(pair.prompt, pair.chosen, pair.rejected) for pair in pairs]
    turned = [(prompt, rejected, chosen) for prompt, chosen, rejected in told]
    others = [[p for j, p in enumerate(pairs) if j != i] for i in range(len(pairs))]
    assert report.duplicates == sum(told[i] in told[:i] for i in range(len(told)))
    assert report.contradictions == sum(row in told for row in turned)
    assert report.shared_prompts == sum(any(p.prompt == q.prompt for q in rest) for p, rest in zip(pairs, others))
    assert report.leaked_prompts == sum(any(p.prompt == q.prompt for q in pairs) for p in held_out)
    earlier = [any(len(q.turns) > (n := len(pair.turns)) and q.turns[:n] == pair.turns for q in rest)
               for pair, rest in zip(pairs, others)]
    assert earlier_turns(pairs) == earlier and report.earlier_turns == sum(earlier)


@settings(deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=50), st.integers(1, 200))
def test_bins_hold_all_lengths_and_end_at_the_window(found, window):
    edges = bin_edges(max(found), window)
    summary = summarise_lengths(np.array(found), edges)
    assert len(edges) - 1 == len(summary.histogram) <= lengths.BINS and edges[0] < 0
    assert len(set(np.diff(edges))) == 1
    lower = np.array(edges[:-1])
    inside = [[low < n and (n <= high or high == edges[-1]) for low, high in zip(edges, edges[1:])] for n in found]
    assert np.sum(inside, axis=0).tolist() == summary.histogram and sum(summary.histogram) == len(found)
    beyond = sum(count for low, count in zip(lower, summary.histogram) if low >= window)
    assert beyond == sum(n > window for n in found)
    assert summary.longest == max(found) and summary.median == sorted(found)[(len(found) - 1) // 2]
    assert summary.p95 in found and np.mean([n <= summary.p95 for n in found]) >= 0.95


def test_bins_for_texts_without_a_token():
    summary = summarise_lengths(np.zeros(3, dtype=int), bin_edges(0, 5))
    assert (summary.median, summary.longest, summary.histogram) == (0, 0, [3])


def test_tokens_are_counted_in_chunks_that_change_nothing(monkeypatch):
    pairs, given_texts = read_pairs(ROWS).pairs, []
    whole = count_tokens(pairs, words)
    monkeypatch.setattr(lengths, "CHUNK", 2)
    parts = count_tokens(pairs, lambda texts: given_texts.append(len(texts)) or words(texts))
    assert all(np.array_equal(getattr(whole, name), getattr(parts, name)) for name in vars(whole))
    assert given_texts == [2] * 6 + [1] * 3


@pytest.mark.parametrize("name", tiny.ARCHITECTURES)
def test_the_report_tells_what_the_encoding_will_do(name):
    _, tokenizer = tiny.build(name)
    spec = read_spec(tokenizer, 30, causal=name in tiny.DECODERS)
    pairs = [PreferencePair("What is it? " * n, "a egg" * m, "a egg" * m + " b") for n in (1, 9) for m in (1, 3, 40)]
    report = preflight_encoded(pairs, tokenizer, spec)
    encoded = encode(tokenizer, pairs, spec)
    assert report.overlong == sum(pair.prompt_cut > 0 or pair.response_cut for pair in encoded) > 0
    assert report.response_overlong == sum(pair.response_cut for pair in encoded) == 2
    assert report.identical_kept == sum(pair.identical for pair in encoded) == 2
    assert report.identical_cut_right > 2


def test_held_out_pairs_whose_responses_are_here_are_told_whatever_was_asked():
    pairs = [PreferencePair(f"Ticket {i}: it is slow", "Restart it.", "No.") for i in range(4)]
    new = PreferencePair("Ticket 9: it is slow", "No.", "Restart it.")
    report = preflight(pairs, words, 20, [new, replace(new, chosen="Never."), replace(new, rejected="Maybe.")])
    assert (report.leaked_prompts, report.leaked_conversations, report.leaked_responses) == (0, 0, 1)
    assert preflight(pairs, words, 20).leaked_responses is None


# --- the text --------------------------------------------------------------------------------------------------------


def test_the_report_as_text():
    assert str(preflight(read_pairs(ROWS), words, 7, HELD_OUT)).splitlines() == [
        "                                           count",
        "rows                                          10",
        "  bad                                          4   40.0%",
        "  left out, nobody won                         1   10.0%",
        "  pairs                                        5",
        "conversations                                  2",
        "tokens of prompt: median, 95%, longest         3       7       7",
        "  of response                                  2       9       9",
        "  of prompt and longer response                6      16      16",
        "longer than 7 tokens                           1   20.0%",
        "  a response alone                             1   20.0%",
        "identical if the end were cut off              1   20.0%",
        "  if the prompt is cut instead                 1   20.0%",
        "repeat of an earlier pair                      1   20.0%",
        "same texts as another, opposite choice         3   60.0%",
        "prompt is another's, too                       3   60.0%",
        "  is an earlier turn of another's              1   20.0%",
        "held-out pairs whose prompt is here            1   25.0%",
        "  whose conversation is                        3   75.0%",
        "  both of whose responses are                  0",
        "rows whose two responses can be read           8",
        "  chosen is longer                             2   25.0%",
        "  chosen is shorter                            4   50.0%",
        "  both are equally long                        2   25.0%",
        "rows that are no pair: empty response 1, bad margin 1, bad id 1, missing key 1, tie 1",
    ]


def test_reports_side_by_side_keep_their_columns():
    training, held_out = preflight(ROWS[:5], words, 7, HELD_OUT), preflight(HELD_OUT, words, 7)
    both = tabulate({"training": training, "held out": held_out}).splitlines()
    alone = [tabulate({name: report}).splitlines() for name, report in (("training", training), ("held out", held_out))]
    assert both[0].split() == ["training", "held", "out"]
    assert len(both) == len(alone[0]) and all(line.startswith(one) for line, one in zip(both, alone[0]))
    leaks = [line for line in both if "prompt is here" in line or "whose conversation" in line]
    assert [line.split()[-1] for line in leaks] == ["25.0%", "75.0%"]


def test_the_report_is_json():
    report = asdict(preflight(read_pairs(ROWS), words, 7, HELD_OUT))
    assert json.loads(json.dumps(report)) == report


# --- real comparisons ------------------------------------------------------------------------------------------------


def asked(text):
    """A prompt of HH-RLHF as pairs show it: one turn bare, more of them marked, without white space at their ends."""
    said = re.split(r"\n\n(Human|Assistant):", text)[1:]
    said = [f"\n\n{name}: {words.strip()}" for name, words in zip(said[::2], said[1::2])]
    return said[0].removeprefix("\n\nHuman: ") if len(said) == 1 else "".join(said) + "\n\nAssistant:"


def marked(prompt):
    return prompt if prompt.startswith("\n\nHuman:") else f"\n\nHuman: {prompt}\n\nAssistant:"


def independent_counts(path, count, window):
    """The same counts from the raw lines in a few lines that know nothing of rmlib; the file is HH-RLHF's."""
    split = [[json.loads(line)[side].rpartition("\n\nAssistant:") for side in ("chosen", "rejected")]
             for line in gzip.open(path)]
    rows = [(asked(c[0]), asked(r[0]), c[2].strip(), r[2].strip()) for c, r in split]
    empty = sum(not c or not r for p, q, c, r in rows if p == q)
    pairs = [(p, c, r) for p, q, c, r in rows if p == q and c and r]
    prompts = [p for p, _, _ in pairs]
    train, held_out = pairs[::2], pairs[1::2]
    trained = {p for p, _, _ in train}
    first = [" ".join(p.split("\n\nHuman:")[-1 if p.count("\n\nHuman:") < 2 else 1].split("\n\nAssistant:")[0].split())
             for p, _, _ in pairs]
    tokens = [[count(text) for text in pair] for pair in pairs]
    return {
        "rows": len(rows),
        "pairs": len(pairs),
        "bad": {"empty response": empty, "prompts differ": sum(p != q for p, q, _, _ in rows)},
        "overlong": sum(len(p) + max(len(c), len(r)) > window for p, c, r in tokens),
        "response_overlong": sum(max(len(c), len(r)) > window for _, c, r in tokens),
        "identical_cut_right": sum((p + c)[:window] == (p + r)[:window] for p, c, r in tokens),
        "identical_kept": sum(c[:window] == r[:window] for _, c, r in tokens),
        "duplicates": len(pairs) - len(set(pairs)),
        "contradictions": sum((p, r, c) in set(pairs) for p, c, r in pairs),
        "conversations": len(set(first)),
        "shared_prompts": sum(prompts.count(p) > 1 for p in prompts),
        "earlier_turns": sum(any(q.startswith(marked(p)) and q != p for q in prompts) for p in prompts),
        "leaked_prompts": sum(p in trained for p, _, _ in held_out),
        "leaked_conversations": sum(key in first[::2] for key in first[1::2]),
        "chosen_longer": sum(len(c) > len(r) for _, _, c, r in rows),
        "chosen_shorter": sum(len(c) < len(r) for _, _, c, r in rows),
        "equal_length": sum(len(c) == len(r) for _, _, c, r in rows),
    }


@pytest.mark.real
@pytest.mark.parametrize("window", [64, 256, 509])
@pytest.mark.parametrize("counter", ["words", "MiniLM"])
def test_counts_of_real_comparisons_equal_those_of_a_script_of_its_own(counter, window):
    path, many, one = require(hh_file), words, str.split
    if counter == "MiniLM":
        from tokenizers import Tokenizer

        plain = Tokenizer.from_file(str(require(minilm_dir) / "tokenizer.json"))
        plain.no_truncation()
        plain.no_padding()
        one = lambda text: plain.encode(text, add_special_tokens=False).ids  # noqa: E731
        many = lambda texts: [found.ids for found in plain.encode_batch(texts, add_special_tokens=False)]  # noqa: E731
    found = read_pairs(path)
    expected = independent_counts(path, one, window)
    report = asdict(preflight(found, many, window))
    dealt = asdict(preflight(found.pairs[::2], many, window, found.pairs[1::2]))
    report |= {name: dealt[name] for name in ("leaked_prompts", "leaked_conversations")}
    assert {name: report[name] for name in expected} == expected
    assert expected["overlong"] > 0 and expected["identical_cut_right"] > 0 and expected["leaked_conversations"] > 0


@pytest.mark.real
def test_what_is_known_of_the_shared_file():
    path = require(hh_file)
    if path.name != "hh_harmless_dev.jsonl.gz":
        pytest.skip(f"another file: {path.name}")
    report = preflight(path, words, 256)
    assert (report.rows, report.pairs, report.conversations) == (1821, 1813, 1711)
    assert report.bad == {"empty response": 4, "prompts differ": 4}
    assert (report.chosen_shorter, report.chosen_longer, report.equal_length) == (1014, 799, 8)  # 0.557, 0.439
    assert (report.duplicates, report.contradictions) == (0, 0)
    # 96 prompts are earlier turns, one of them of two other prompts: 97 couples. 4 more rows have equal prompts.
    assert (report.earlier_turns, report.shared_prompts) == (96, 4)
    prompts = [pair.turns for pair in read_pairs(path).pairs]
    assert sum(q[: len(p)] == p and q != p for p in prompts for q in prompts) == 97
