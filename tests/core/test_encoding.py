"""From pairs to token ids: the library's own template, responses that survive, one cut of the prompt, honest counts."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import tiny
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers.processors import TemplateProcessing

from rmlib.encoding import EncodingSpec, collate, describe, encode, micro_batches, read_spec, tell_cuts
from rmlib.pairs import PreferencePair, Turn, transcript

PAIR = PreferencePair("What is the capital of France?", "Paris, of course.", "London. I think it is London.")
TALK = (Turn("user", "Hello!"), Turn("assistant", "Yes?"), Turn("user", "How do I boil an egg?"))
TRANSCRIPT = PreferencePair(TALK, "In boiling water.", "I don't know")
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=60)
architectures = pytest.mark.parametrize("name", tiny.ARCHITECTURES)


def template(name, max_length=tiny.POSITIONS):
    tokenizer = tiny.TOKENIZERS[name]()
    return tokenizer, read_spec(tokenizer, max_length, causal=name in tiny.DECODERS)


def one(name, pair, max_length=tiny.POSITIONS):
    tokenizer, spec = template(name, max_length)
    [encoded] = encode(tokenizer, [pair], spec)
    return encoded, spec, tokenizer


def ids_of(tokenizer, text):
    """Of text alone: a marker that is spelt out is text, too."""
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def segments(encoded, spec):
    """Token types of the chosen row, as the model gets them."""
    batch = collate([encoded], spec)
    return batch["token_type_ids"][0, : len(encoded.chosen)].tolist() if "token_type_ids" in batch else None


@pytest.mark.parametrize("name", tiny.ENCODERS)
@pytest.mark.parametrize("pair", [PAIR, TRANSCRIPT, PreferencePair("naïve 奖励 🙂 ", "\tß\n", "x" * 30)])
def test_encoders_get_what_the_tokenizer_makes_of_two_texts(name, pair):
    encoded, spec, tokenizer = one(name, pair)
    expected = tokenizer(pair.prompt, pair.chosen)
    assert encoded.chosen.tolist() == expected["input_ids"]
    assert encoded.rejected.tolist() == tokenizer(pair.prompt, pair.rejected)["input_ids"]
    assert (segments(encoded, spec) is not None) == (name == "bert")
    if name == "bert":
        assert segments(encoded, spec) == expected["token_type_ids"]


@pytest.mark.parametrize("name", tiny.DECODERS)
@pytest.mark.parametrize("pair", [PAIR, TRANSCRIPT])
def test_decoders_read_one_text_that_ends_in_eos(name, pair):
    encoded, spec, tokenizer = one(name, pair)
    expected = tokenizer(f"{transcript(pair.turns)} {pair.chosen}")["input_ids"]  # with BOS where it adds one
    assert encoded.chosen.tolist() == [*expected, tokenizer.eos_token_id]
    assert (expected[0] == tokenizer.bos_token_id) == (name == "llama")
    assert segments(encoded, spec) is None


def test_a_tokenizer_that_adds_eos_itself_gets_no_second_one():
    tokenizer = tiny.TOKENIZERS["llama"]()
    tokens = [("<s>", tokenizer.bos_token_id), ("</s>", tokenizer.eos_token_id)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing("<s> $A </s>", None, tokens)
    spec = read_spec(tokenizer, 64, causal=True)
    assert spec.suffix == (tokenizer.eos_token_id,) and spec.prefix == (tokenizer.bos_token_id,)


@architectures
@settings(max_examples=30, deadline=None)
@example(prompt="[SEP]", chosen="a[PAD]", rejected="[SEP]", repeats=1, max_length=8)
@given(prompt=TEXTS, chosen=TEXTS, rejected=TEXTS, repeats=st.integers(1, 12), max_length=st.integers(8, 64))
def test_whatever_the_texts(name, prompt, chosen, rejected, repeats, max_length):
    pair = PreferencePair(prompt * repeats, chosen * repeats, rejected)
    encoded, spec, tokenizer = one(name, pair, max_length)
    start, tail = encoded.response_start, len(spec.suffix)
    bodies = []
    for row, response in ((encoded.chosen, pair.chosen), (encoded.rejected, pair.rejected)):
        assert len(row) <= max_length
        assert row[: len(spec.prefix)].tolist() == list(spec.prefix)
        assert row[len(row) - tail :].tolist() == list(spec.suffix)
        assert row[start - len(spec.between) : start].tolist() == list(spec.between)
        whole = ids_of(tokenizer, spec.lead + response)
        body = row[start : len(row) - tail].tolist()
        assert body == whole[: spec.room]
        bodies.append((body, whole))
    assert encoded.response_cut == any(body != whole for body, whole in bodies)
    # One cut of the prompt for both: its newest tokens, as many as the longer response leaves room for.
    assert encoded.chosen[:start].tolist() == encoded.rejected[:start].tolist()
    written = transcript(pair.turns) if name in tiny.DECODERS else pair.prompt
    full = ids_of(tokenizer, written)
    kept = encoded.chosen[len(spec.prefix) : start - len(spec.between)].tolist()
    assert kept == full[encoded.prompt_cut :]
    assert not encoded.prompt_cut or encoded.response_cut or encoded.length == max_length


@architectures
def test_a_long_prompt_loses_its_oldest_tokens_and_the_response_none(name):
    pair = PreferencePair("old " * 200 + "new", "yes, a good one", "no")
    encoded, spec, tokenizer = one(name, pair, 32)
    response = tokenizer(spec.lead + pair.chosen, add_special_tokens=False)["input_ids"]
    end = len(encoded.chosen) - len(spec.suffix)
    assert encoded.chosen[encoded.response_start : end].tolist() == response
    end = "old new\n\nAssistant:" if name in tiny.DECODERS else "old new"
    newest = tokenizer(end, add_special_tokens=False)["input_ids"][-3:]
    assert encoded.chosen[: encoded.response_start - len(spec.between)][-3:].tolist() == newest
    assert encoded.prompt_cut > 0 and not encoded.response_cut and encoded.length == 32 and not encoded.identical


@architectures
def test_a_response_that_alone_overfills_the_window_loses_its_end_and_is_counted(name):
    pair = PreferencePair("Why?", "is " * 300, "no")
    encoded, _, tokenizer = one(name, pair, 32)
    assert encoded.response_cut and encoded.length == len(encoded.chosen) == 32
    written = transcript(pair.turns) if name in tiny.DECODERS else "Why?"
    assert encoded.prompt_cut == len(tokenizer(written, add_special_tokens=False)["input_ids"])
    assert "1 with a response cut" in describe([encoded], 1)


def test_responses_that_differ_only_beyond_the_window_are_told_as_identical():
    encoded, *_ = one("bert", PreferencePair("Why?", "is " * 300 + "a", "is " * 300 + "b"), 32)
    assert encoded.identical and "1 identical after the cut" in describe([encoded], 1)


def test_what_was_lost_is_told_in_full(caplog):
    """Of five pairs: a cut prompt, a cut response beside a whole one, two alike after the cut, two alike as tokens."""
    tokenizer, spec = template("bert", 16)
    pairs = [PreferencePair("is " * 30, "yes", "no"), PreferencePair("is", "is " * 30, "no"),
             PreferencePair("is", "is " * 30 + "a", "is " * 30 + "b"), PreferencePair("is " * 30, "\x01", "\x02"),
             PreferencePair("is", "yes", "no")]
    encoded = encode(tokenizer, pairs, spec)
    assert describe(encoded, 7) == (
        "5 of 7 pairs encoded: 4 with the prompt's oldest tokens cut, 2 with a response cut, 2 dropped, 1 identical "
        "after the cut, 1 identical to the tokenizer, whose tokens tell no difference")
    assert describe(encoded[-1:], 1) == ("1 of 1 pairs encoded: 0 with the prompt's oldest tokens cut, 0 with a "
                                         "response cut, 0 dropped, 0 identical after the cut")
    for one_lost in ([pairs[0]], [pairs[1]], [PreferencePair("is", "\x01", "\x02")]):
        caplog.clear()
        tell_cuts(encode(tokenizer, one_lost, spec), 1)
        assert len(caplog.messages) == 1 and caplog.messages[0] == describe(encode(tokenizer, one_lost, spec), 1)
    caplog.clear()
    tell_cuts(encoded[-1:], 1)
    assert not caplog.messages


def test_overlong_pairs_can_be_dropped_or_refused(caplog):
    tokenizer, spec = template("bert", 16)
    fits = PreferencePair("Why?", "yes", "no")
    just = PreferencePair("is", "is " * spec.room, "no")
    pairs = [PAIR, fits, PreferencePair("is " * 50, "yes", "no", line=7), just]
    kept = encode(tokenizer, pairs, spec, "drop")
    assert [pair.index for pair in kept] == [1]
    assert "1 of 4 pairs encoded" in describe(kept, 4) and "3 dropped" in describe(kept, 4)
    tell_cuts(kept, 4)
    assert "3 dropped" in caplog.text
    assert [pair.index for pair in encode(tokenizer, pairs, spec)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"\(line 7\) is longer than max_length = 16"):
        encode(tokenizer, pairs[1:], spec, "error")
    with pytest.raises(ValueError, match="overlong must be one of"):
        encode(tokenizer, pairs, spec, "truncate")


def test_a_pair_that_just_fits_is_not_cut():
    tokenizer, spec = template("bert", 24)
    just = PreferencePair("is is", "is " * (spec.room - 2), "no")
    [encoded] = encode(tokenizer, [just], spec, "error")
    assert encoded.prompt_cut == 0 and encoded.length == 24


@pytest.mark.parametrize("name, word", [("bert", "because "), ("gpt2", "a")])
def test_a_response_of_a_megabyte(name, word):
    encoded, *_ = one(name, PreferencePair("Why?", word * (2**20 // len(word)), "no"), 64)
    assert encoded.response_cut and encoded.length == 64


@architectures
@pytest.mark.parametrize(
    "text", ["[SEP] [CLS] [PAD]", "</s><s><pad>", "<|endoftext|>", "\x01\x02", "\u200b", "𝕏 \U0010ffff"]
)
def test_special_and_odd_text_stays_inside_its_response(name, text):
    encoded, spec, tokenizer = one(name, PreferencePair("Why?", text, "no"))
    batch = collate([encoded], spec, tokenizer.pad_token_id or 0)
    body = tokenizer(spec.lead + text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert not set(body) & set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}  # text can't write a real [SEP]
    assert encoded.chosen.tolist() == [*encoded.chosen[: encoded.response_start], *body, *spec.suffix]
    assert batch["attention_mask"].sum(1).tolist() == [len(encoded.chosen), len(encoded.rejected)]


def test_text_that_gives_no_token_is_an_empty_response_and_no_error():
    encoded, spec, _ = one("bert", PreferencePair("Why?", "\x01", "\x02"))
    assert encoded.identical and encoded.chosen.tolist()[encoded.response_start :] == list(spec.suffix)


def test_nothing_to_encode():
    tokenizer, spec = template("bert")
    assert encode(tokenizer, [], spec) == [] and micro_batches([], 64) == []


@pytest.mark.parametrize("name, least", [("bert", 5), ("roberta", 6), ("gpt2", 3), ("llama", 4)])
def test_a_window_without_room_for_text_is_refused(name, least):
    assert template(name, least)[1].room == 2
    with pytest.raises(ValueError, match=f"no room for text.*at least {least}"):
        template(name, least - 1)


@architectures
def test_the_spec_survives_json(name):
    _, spec = template(name)
    assert EncodingSpec.from_dict(json.loads(json.dumps(asdict(spec)))) == spec


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=40), st.integers(1, 1024))
def test_micro_batches_hold_every_pair_once_within_the_budget(lengths, budget):
    tokenizer, spec = template("gpt2", 512)
    pairs = encode(tokenizer, [PreferencePair("", "1 " * n, "2") for n in lengths], spec)
    batches = micro_batches(pairs, budget)
    assert sorted(pair.index for batch in batches for pair in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or 2 * len(batch) * max(pair.length for pair in batch) <= budget
    longest = [max(pair.length for pair in batch) for batch in batches]
    assert longest == sorted(longest)


def test_a_micro_batch_may_fill_its_budget_to_the_last_token():
    tokenizer, spec = template("gpt2", 512)
    pairs = encode(tokenizer, [PreferencePair("", "1 " * 20, "2")] * 6, spec)
    budget = 2 * 3 * pairs[0].length
    assert [len(batch) for batch in micro_batches(pairs, budget)] == [3, 3]
    assert [len(batch) for batch in micro_batches(pairs, budget - 1)] == [2, 2, 2]


@pytest.mark.parametrize("side", ["right", "left"])
def test_collate_puts_chosen_first_and_pads_outside_the_mask(side):
    tokenizer, spec = template("bert")
    pairs = encode(tokenizer, [PAIR, TRANSCRIPT], spec)
    batch = collate(pairs, spec, pad_id=9, pad_side=side)
    rows = [pairs[0].chosen, pairs[1].chosen, pairs[0].rejected, pairs[1].rejected]
    for i, row in enumerate(rows):
        real = batch["attention_mask"][i].bool()
        assert batch["input_ids"][i][real].tolist() == row.tolist()
        assert set(batch["input_ids"][i][~real].tolist()) <= {9}
        assert batch["token_type_ids"][i][~real].sum() == 0
        assert batch["token_type_ids"][i][real].sum() == len(row) - pairs[i % 2].response_start
        assert bool(real[0 if side == "right" else -1])
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}
    assert all(tensor.shape == (4, max(map(len, rows))) for tensor in batch.values())


def test_a_misspelt_pad_side_is_refused():
    encoded, spec, _ = one("bert", PAIR)
    with pytest.raises(ValueError, match="'Left'"):
        collate([encoded], spec, pad_side="Left")


def test_token_ids_are_kept_small():
    encoded, *_ = one("bert", PAIR)
    assert encoded.chosen.dtype == encoded.rejected.dtype == np.int32
