"""Conversations: what is one, and splits that leave it whole."""

import gzip
import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from real_parts import hh_file, require

from benchmarks.folds import folds_by_conversation
from rmlib.pairs import PreferencePair, conversation_keys, iter_rows, read_pairs, split_by_conversation

SCRATCH = settings(max_examples=150, deadline=None)


@pytest.mark.parametrize(
    "prompt, key",
    [
        ("Capital  of\nFrance? ", "Capital of France?"),
        ("\n\nHuman: Hi  there\n\nAssistant:", "Hi there"),
        ("\n\nHuman: Hi there\n\nAssistant: Hello\n\nHuman: Bye\n\nAssistant:", "Hi there"),
        ("Human: Hi there\n\nAssistant: Hello\n\nHuman: Bye\n\nAssistant:", "Hi there"),
        ("\n\nHuman: Hi there\n\nHuman: Bye\n\nAssistant:", "Hi there"),
        ("\n\nSystem: Be brief.\n\nHuman: Hi there\n\nAssistant:", "Hi there"),
        ("\n\nAssistant: Welcome!\n\nHuman: Hi there\n\nAssistant:", "Hi there"),
        ("Be brief.\n\nHuman: Hi there\n\nAssistant: Hello\n\nHuman: Bye\n\nAssistant:", "Hi there"),
        ("Two lines\n\nHuman: a\n\nAssistant: b\n\nWho spoke?", "Two lines Human: a Assistant: b Who spoke?"),
    ],
)
def test_keys_of_single_pairs(prompt, key):
    [pair] = iter_rows([{"prompt": prompt, "chosen": "a", "rejected": "b"}])
    assert conversation_keys([pair]) == [key]


def test_an_empty_prompt_is_the_beginning_of_no_other():
    texts = ["", "### Q", "Hi"]
    assert conversation_keys([PreferencePair(text, "yes", "no") for text in texts]) == texts


def test_half_a_character_splits_as_any_other():
    pairs = [PreferencePair(text, "yes", "no") for text in ("\ud800", "b")]
    assert sorted(map(len, split_by_conversation(pairs, 0.5))) == [1, 1]


HEAD = "Sum it up"
MARKED, FULL = "Q> Hi", "用户：你好"


@pytest.mark.parametrize("prompt, rest, goes_on", [
    # A token of thirty characters is one, and what is longer is an address, or a word.
    (HEAD, f" <{'x' * 30}> ok", True), (HEAD, f" <{'x' * 31}> ok", False), (HEAD, "<> ok", False),
    (HEAD, f" [{'x' * 30}] ok", True), (HEAD, f" [{'x' * 31}] ok", False), (HEAD, " [[ab] ok", True),
    (HEAD, " [[[a] ok", False), (HEAD, " {{ok", True), (HEAD, " {{ ok", False), (HEAD, " || ok", True),
    (HEAD, " | ok", False), (HEAD, " -> ok", True), (HEAD, " ==> ok", True), (HEAD, " > ok", False),
    (HEAD, " ### ok", True), (HEAD, " ## ok", False), (HEAD, " __eou__ ok", True), (HEAD, " __ ok", False),
    # Two lines more, the second of which says something.
    (HEAD, "\nnow\nhere", True), (HEAD, "\nnow", False), (HEAD, "\nnow\n \n", False), (HEAD, "\n\n\nnow", False),
    # One of the responses, and then nothing, another sentence or another line.
    (HEAD, " yes", True), (HEAD, " no Then", True), (HEAD, " yes then", False), (HEAD, " yes\nthen", True),
    # Such a token, or a line of thirty characters that is a label, ends the prompt.
    (HEAD + " [SEP]", " ok", True), (HEAD + " [SEP].", " ok", False), (f"{HEAD}\n{'x' * 30}:", " ok", True),
    (f"{HEAD}\n{'x' * 31}:", " ok", False), (f"{HEAD}\n:", " ok", False), (HEAD + " x:", " ok", False),
    # A label begins the prompt, and one begins what follows.
    (MARKED, " R> ok", True), (MARKED, " R ok", False), (MARKED, "R> ok", False), (MARKED + " #", " ok", True),
    (MARKED, f" {'x' * 20}: ok", True), (MARKED, f" {'x' * 21}: ok", False), (MARKED, " a b c: ok", True),
    (MARKED, " a b c d: ok", False), (MARKED, " (a) ok", True), (MARKED, " a : ok", True), (MARKED, " a  : ok", False),
    (MARKED, " ☺ ok", True), (MARKED, " ... ok", False), (HEAD, " R> ok", False), ("Q>", " R> ok", False),
    (FULL, f"{'好' * 12}：ok", True), (FULL, f"{'好' * 13}：ok", False), (HEAD, "好：ok", False),
])  # fmt: skip
def test_where_one_prompt_goes_on_from_another(prompt, rest, goes_on):
    first, second = (PreferencePair(text, "yes", "no") for text in (prompt, prompt + rest))
    assert (conversation_keys([second], [first]) == conversation_keys([first])) == goes_on


def conversations(sizes: list[int]) -> list[PreferencePair]:
    return [
        PreferencePair((("user", f"topic {topic}"), ("assistant", "x"), ("user", f"turn {turn}")), "a", "b",
                       id=f"{topic}.{turn}")
        for topic, size in enumerate(sizes)
        for turn in range(size)
    ]


def keys(pairs: list[PreferencePair]) -> set[str]:
    return set(conversation_keys(pairs))


SIZES = st.lists(st.integers(1, 6), min_size=2, max_size=12)


@SCRATCH
@given(sizes=SIZES, share=st.floats(0.01, 0.99), seed=st.integers(0, 3), shuffle=st.randoms(use_true_random=False))
def test_split_keeps_conversations_whole(sizes, share, seed, shuffle):
    pairs = conversations(sizes)
    train, held = split_by_conversation(pairs, share, seed)
    assert train and held and keys(train).isdisjoint(keys(held))
    assert [pair for pair in pairs if pair in train] == train and [pair for pair in pairs if pair in held] == held
    assert len(train) + len(held) == len(pairs)
    wanted = share * len(pairs)
    in_bounds = min(sizes) <= len(held) <= len(pairs) - min(sizes)
    forced = len(held) == min(sizes) > wanted or len(held) == len(pairs) - min(sizes) < wanted
    assert in_bounds and (forced or abs(len(held) - wanted) <= max(sizes) / 2)
    mixed = shuffle.sample(pairs, len(pairs))
    assert keys(split_by_conversation(mixed, share, seed)[1]) == keys(held)


@SCRATCH
@given(sizes=SIZES, folds=st.integers(2, 5), seed=st.integers(0, 3), shuffle=st.randoms(use_true_random=False))
def test_folds_hold_each_pair_out_once(sizes, folds, seed, shuffle):
    assume(len(sizes) >= folds)
    pairs = conversations(sizes)
    parts = folds_by_conversation(pairs, folds, seed)
    assert len(parts) == folds
    assert sorted(pair.id for _, held in parts for pair in held) == sorted(pair.id for pair in pairs)
    for train, held in parts:
        assert train and held and keys(train).isdisjoint(keys(held)) and len(train) + len(held) == len(pairs)
    lengths = [len(held) for _, held in parts]
    assert max(lengths) - min(lengths) <= max(sizes)
    mixed = shuffle.sample(pairs, len(pairs))
    assert [keys(held) for _, held in folds_by_conversation(mixed, folds, seed)] == [keys(held) for _, held in parts]


def test_seed_and_nothing_else_changes_the_split():
    pairs = conversations([1] * 40)
    held = [keys(split_by_conversation(pairs, 0.25, seed)[1]) for seed in (0, 0, 1)]
    assert held[0] == held[1] != held[2]
    assert {len(part) for part in held} == {10}
    assert folds_by_conversation(pairs, 4, 0) != folds_by_conversation(pairs, 4, 1)
    for seed in range(5):  # the large conversation goes first, wherever the seed puts it
        assert [len(part) for _, part in folds_by_conversation(conversations([1] * 6 + [6]), 2, seed)] == [6, 6]


@pytest.mark.parametrize("sizes, share, held", [
    ([2, 2, 2], 0.5, 2),  # 2 and 4 are as near to 3: the fewer are held out
    ([4, 4], 0.5, 4), ([3, 3, 3], 0.34, 3), ([2, 2, 2, 2], 0.875, 6), ([5, 5, 5, 5], 0.62, 10),
    ([5, 5, 5, 5], 0.63, 15),
])  # fmt: skip
def test_how_many_are_held_out_where_conversations_are_of_one_size(sizes, share, held):
    for seed in range(5):
        assert len(split_by_conversation(conversations(sizes), share, seed)[1]) == held


def test_split_is_the_same_on_every_machine():
    _, held = split_by_conversation(conversations([1] * 8), 0.5, seed=0)
    assert [pair.id for pair in held] == ["0.0", "1.0", "4.0", "6.0"]


def test_splits_that_cannot_be():
    with pytest.raises(ValueError, match="1 conversation can't be split in 2 .*held-out file"):
        split_by_conversation(conversations([9]), 0.5)
    with pytest.raises(ValueError, match="0 conversations can't be split in 2"):
        split_by_conversation([], 0.5)
    with pytest.raises(ValueError, match="3 conversations can't be split in 4"):
        folds_by_conversation(conversations([2, 2, 2]), 4)
    with pytest.raises(ValueError, match="at least 2 folds, got 1"):
        folds_by_conversation(conversations([2, 2, 2]), 1)
    for share in (0, 1, -0.1, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1, got"):
            split_by_conversation(conversations([2, 2]), share)


@pytest.mark.real
def test_keys_of_real_comparisons_are_their_first_human_turns():
    path = require(hh_file)
    with gzip.open(path) as file:
        transcripts = [json.loads(line)["chosen"] for line in file]
    pairs = read_pairs(path).pairs
    first = [transcripts[pair.line - 1].split("\n\nHuman:")[1].split("\n\nAssistant:")[0] for pair in pairs]
    assert conversation_keys(pairs) == [" ".join(text.split()) for text in first]


@pytest.mark.real
def test_real_prompts_do_not_leak_between_parts():
    pairs = read_pairs(require(hh_file)).pairs

    def leaks(train: list[PreferencePair], held: list[PreferencePair]) -> int:
        starts = tuple({pair.prompt for pair in train})
        return sum(pair.prompt.startswith(starts) for pair in held) + sum(
            pair.prompt.startswith(tuple({pair.prompt for pair in held})) for pair in train
        )

    assert leaks(pairs[::2], pairs[1::2]) > 20  # rows dealt out one by one do leak
    for train, held in [split_by_conversation(pairs, 0.2), *folds_by_conversation(pairs, 5)]:
        assert leaks(train, held) == 0
        assert len(held) == pytest.approx(len(pairs) / 5, abs=1)
