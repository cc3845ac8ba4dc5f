"""Encoding and rendering in their parts, by hand: which token belongs to which piece, and how much room is left."""

import logging

import pytest
import tiny
from told import told

from rmlib.encoding import EncodingSpec, _find, encode, micro_batches, read_spec, tell_cuts
from rmlib.evaluation import evaluate
from rmlib.model import score_pairs
from rmlib.pairs import PairSet, PreferencePair, Turn
from rmlib.rendering import Parts, _by_piece, _parts, template_parts, without_oldest_turns
from rmlib.training import train

USER, ASSISTANT = Turn("user", "u"), Turn("assistant", "a")


@pytest.mark.parametrize("pieces, offsets, expected", [
    (["<u>", "hi", "</u>"], [(0, 3), (3, 5), (5, 9)], [[0], [1], [2]]),
    (["<u>", "hi", "</u>"], [(0, 1), (1, 3), (3, 4), (4, 5), (5, 6), (6, 9)], [[0, 1], [2, 3], [4, 5]]),
    (["<u>", "hi", "</u>"], [(0, 2), (2, 4), (4, 9)], [[0], [1, 2], []]),  # of both: the text's
    (["<u>", "hi", "</u>"], [(0, 2), (2, 6), (6, 9)], [[0], [1], [2]]),  # all of the text, and some beside it
    (["<u>", "hi", "</u>"], [(0, 0), (0, 3), (3, 3), (3, 5), (5, 9)], [[0, 1, 2], [3], [4]]),  # of no characters
    (["<u>", "", "</u>"], [(0, 3), (3, 7)], [[0], [], [1]]),
    (["", "hi", "", "yo", ""], [(0, 2), (2, 4)], [[], [0], [], [1], []]),
    (["<", "a", "|", "b", ">"], [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)], [[0], [1], [2], [3], [4]]),
    (["<", "a", "||", "b", ">"], [(0, 2), (2, 3), (3, 5), (5, 6)], [[], [0], [1], [2], [3]]),
])  # fmt: skip
def test_each_token_goes_to_the_piece_it_is_of(pieces, offsets, expected):
    assert _by_piece(pieces, list(range(len(offsets))), offsets) == expected


@pytest.mark.parametrize("turns, before, asked", [
    ((USER,), [1], [2]), ((USER, ASSISTANT, USER), [1, 2, 3, 4, 5], [6]),
    ((USER, ASSISTANT), [1], [2, 3, 4]),  # whatever was said after it
    ((ASSISTANT,), [1], [2]), ((ASSISTANT, ASSISTANT), [1, 2, 3], [4]),  # nobody asks: the last turn
])  # fmt: skip
def test_the_parts_of_a_pair_in_a_template(turns, before, asked):
    context = [[number] for number in range(1, 2 * len(turns) + 1)]
    # The mark before the response, the response, the mark after it.
    chosen = [*context, [30, 31], [40, 41], [50, 52, 53]]
    rejected = [*context, [30, 32, 33], [42], [50, 51]]
    assert _parts(turns, chosen, rejected) == Parts(
        before, asked, [30], [31, 40, 41, 50, 52, 53], [32, 33, 42, 50, 51], ends=(3, 2))
    assert _parts(turns, chosen, [*context, [30, 31], [42], [50]]).after == [30, 31]


def test_lengths_of_parts():
    parts = Parts([1], [2, 3], [4], [5, 6, 7], [8])
    assert (parts.prompt, parts.longest, parts.length, parts.ends) == ([1, 2, 3, 4], 3, 7, (0, 0))


class Alike:
    """A tokenizer to which "b" begins as "a" does, and is two tokens; a pair gets six, of two segments."""

    chat_template = None

    def __init__(self, eos_token_id, own_end=()):
        self.eos_token_id, self.own_end = eos_token_id, own_end

    def __call__(self, text, second=None, add_special_tokens=True):
        if not add_special_tokens:
            return {"input_ids": {"a": [7], "b": [7, 8]}[text]}
        return {"input_ids": [1, 7, *self.own_end] if second is None else [1, 7, 2, 7, 8, 3],
                "token_type_ids": [0, 0] if second is None else [0, 0, 0, 1, 1, 1]}


def test_a_template_is_read_off_where_one_letter_begins_as_the_other():
    assert read_spec(Alike(3), 9, causal=False) == EncodingSpec("prompt", (1,), (2,), (3,), "", 1, 9)
    assert read_spec(Alike(3), 9, causal=True) == EncodingSpec("transcript", (1,), (), (3,), " ", 0, 9)
    assert read_spec(Alike(None), 9, causal=True) == EncodingSpec("transcript", (1,), (), (), " ", 0, 9)
    # A tokenizer that ends a text by itself, though not in EOS, has said how texts end.
    assert read_spec(Alike(3, own_end=[4]), 9, causal=True) == EncodingSpec("transcript", (1,), (), (4,), " ", 0, 9)


def test_a_template_is_read_off_where_both_letters_are_the_unknown_token():
    class Unknown:
        chat_template, eos_token_id = None, 3

        def __call__(self, text, second=None, add_special_tokens=True):
            return {"input_ids": [1, 7, 2, 7, 3] if add_special_tokens else [7], "token_type_ids": [0, 0, 0, 1, 1]}

    assert read_spec(Unknown(), 9, causal=False) == EncodingSpec("prompt", (1,), (2,), (3,), "", 1, 9)


@pytest.mark.parametrize("ids, part, start, at", [
    ([1, 2, 1, 2], [1, 2], 0, 0), ([1, 2, 1, 2], [1, 2], 1, 2), ([1, 2, 1, 2], [1, 2], 2, 2), ([1, 2], [2], 1, 1)])
def test_where_tokens_occur(ids, part, start, at):
    assert _find(ids, part, start) == at


@pytest.mark.parametrize("part, start", [([], 0), ([9], 0), ([1], 1)])
def test_tokens_that_do_not_occur(part, start):
    assert told(_find, [1, 2], part, start) == (
        f"can't recognise the tokenizer's template: {part} does not occur in [1, 2]")


@pytest.mark.parametrize("name, causal, needed", [("bert", False, 3), ("roberta", False, 4), ("llama", True, 2)])
def test_two_tokens_of_room_are_enough_and_one_is_not(name, causal, needed):
    tokenizer = tiny.TOKENIZERS[name]()
    assert read_spec(tokenizer, needed + 2, causal).room == 2
    assert told(read_spec, tokenizer, needed + 1, causal) == (
        f"max_length {needed + 1} leaves no room for text: this template alone needs {needed} tokens; give at least "
        f"{needed + 2}")


def test_the_room_that_a_chat_template_leaves():
    tokenizer = tiny.TOKENIZERS["llama"]()
    tokenizer.chat_template = "{% for m in messages %}<s>{{ m['content'] }}</s>{% endfor %}"
    # <s> and </s> around what was asked and what is answered: four tokens.
    assert read_spec(tokenizer, 6, causal=True) == EncodingSpec("template", (), (), (), "", 0, 6)
    assert told(read_spec, tokenizer, 5, True) == (
        "max_length 5 leaves no room for text: this template alone needs 4 tokens; give at least 6")
    assert read_spec(tokenizer, 6, True, "transcript").rendering == "transcript"


@pytest.mark.parametrize("words, room, cut, response_cut", [
    (3, 8, 0, False), (3, 7, 0, False), (3, 6, 1, False), (3, 4, 3, False), (3, 3, 4, False), (3, 2, 4, True)])
def test_the_edges_of_the_window(words, room, cut, response_cut):
    """A prompt of four tokens and responses of three and one: what fits exactly loses nothing."""
    tokenizer = tiny.TOKENIZERS["bert"]()
    spec = read_spec(tokenizer, room + 3, causal=False)
    pair = PreferencePair("is is is is", "yes " * words, "no")
    [encoded] = encode(tokenizer, [pair], spec)
    assert (encoded.prompt_cut, encoded.response_cut) == (cut, response_cut)
    assert len(encoded.chosen) == min(4 + words, room) + 3 and encoded.length == len(encoded.chosen)
    assert len(encoded.rejected) == len(encoded.chosen) - min(words, room) + 1
    assert len(encode(tokenizer, [pair], spec, "drop")) == (cut == 0)
    assert encoded == encoded and len({encoded}) == 1  # known by what it is, not by its arrays


@pytest.mark.parametrize("window, cut, start, response_cut", [
    (9, 0, 5, False), (8, 1, 4, False), (7, 2, 3, False), (6, 2, 3, True), (5, 2, 3, True), (4, 2, 3, True)])
def test_a_template_s_marks_take_room_from_the_response(window, cut, start, response_cut):
    """Two tokens among three marks, then three and a mark: the response loses some where it alone would still fit."""
    tokenizer = tiny.TOKENIZERS["llama"]()
    tokenizer.chat_template = "{% for m in messages %}<s>{{ m['content'] }}</s>{% endfor %}"
    spec = EncodingSpec("template", (), (), (), "", 0, window)
    [encoded] = encode(tokenizer, [PreferencePair("ye", "yes", "no")], spec)
    assert (encoded.prompt_cut, encoded.response_start, encoded.response_cut) == (cut, start, response_cut)
    marks = [token for token in encoded.chosen.tolist() if token in tokenizer.all_special_ids]
    assert len(encoded.chosen) == window and marks == [tokenizer.bos_token_id, tokenizer.eos_token_id] * 2


def test_a_response_that_fits_keeps_its_end_beside_one_that_does_not():
    tokenizer = tiny.TOKENIZERS["bert"]()
    pairs = [PreferencePair("is", "yes " * words, "no") for words in (30, 3)]
    long, short = encode(tokenizer, pairs, read_spec(tokenizer, 12, causal=False), same_cut=True)
    assert (long.response_cut, short.response_cut) == (True, False) and long.prompt_cut == short.prompt_cut == 1
    assert (len(long.chosen), len(short.chosen), len(short.rejected)) == (12, 3 + 3, 3 + 1)


def test_pairs_of_one_length_stand_in_the_order_of_their_places():
    tokenizer = tiny.TOKENIZERS["bert"]()
    encoded = encode(tokenizer, [PreferencePair("is", "yes", "no")] * 3, read_spec(tokenizer, 16, causal=False))
    [batch] = micro_batches([encoded[2], encoded[0], encoded[1]], 1000)
    assert [pair.index for pair in batch] == [0, 1, 2]


def test_a_response_that_is_cut_is_told_where_no_token_of_a_prompt_could_be(caplog):
    tokenizer = tiny.TOKENIZERS["bert"]()
    pair = PreferencePair("\x01", "yes " * 30, "no")
    encoded = encode(tokenizer, [pair], read_spec(tokenizer, 16, causal=False))
    tell_cuts(encoded, 1)
    assert encoded[0].prompt_cut == 0 and "0 with the prompt's oldest tokens cut, 1 with a response cut" in caplog.text


@pytest.mark.parametrize("fields, kind", [
    ({"prefix": ["x"]}, ValueError), ({"between": [None]}, TypeError), ({"suffix": 3}, TypeError),
    ({"max_length": "x"}, ValueError), ({"segment": None}, TypeError), ({"rendering": "auto"}, ValueError),
    ({"more": 1}, TypeError),
])  # fmt: skip
def test_what_is_no_encoding(fields, kind):
    whole = {"rendering": "prompt", "prefix": [1], "between": [2], "suffix": [3], "lead": "", "segment": 1,
             "max_length": 9}
    assert EncodingSpec.from_dict(whole) == EncodingSpec("prompt", (1,), (2,), (3,), "", 1, 9)
    with pytest.raises(kind):
        EncodingSpec.from_dict(whole | fields)
    for name in whole:
        with pytest.raises((KeyError, TypeError)):
            EncodingSpec.from_dict({key: value for key, value in whole.items() if key != name})


# --- chat templates --------------------------------------------------------------------------------------------------

MARKS = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }} </s>{% endfor %}"
THOUGHTLESS = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'].split('</think>')[-1] }} </s>{% endfor %}"
QUESTION = Turn("user", "How do I boil an egg?")


def llama(template: str = MARKS):
    tokenizer = tiny.TOKENIZERS["llama"]()
    tokenizer.chat_template = template
    return tokenizer


def chosen_in_template(tokenizer, pair: PreferencePair) -> list[int]:
    turns = [*pair.turns, Turn("assistant", pair.chosen)]
    return tokenizer.apply_chat_template([{"role": role, "content": text} for role, text in turns])["input_ids"]


@pytest.mark.parametrize("template, turns, response", [
    (MARKS, [QUESTION, Turn("assistant", "Yes?")] * 7 + [QUESTION], "In water."),  # more turns than one digit counts
    (THOUGHTLESS, [QUESTION], "<think>So.</think>In water,\nnot in oil."),
])  # fmt: skip
def test_many_turns_and_many_lines_are_written_as_the_template_writes_them(template, turns, response):
    tokenizer, pair = llama(template), PreferencePair(turns, response, "No.")
    [parts] = template_parts(tokenizer, [pair])
    assert parts.prompt + parts.chosen == chosen_in_template(tokenizer, pair)


def test_a_token_that_was_added_and_is_not_special_is_an_ordinary_word():
    tokenizer, pair = llama(), PreferencePair([QUESTION], "An egg? In water.", "No egg.")
    tokenizer.add_tokens(["egg"])
    [parts] = template_parts(tokenizer, [pair])
    assert parts.prompt + parts.chosen == chosen_in_template(tokenizer, pair)


def test_where_nobody_asks_the_last_turn_stays_and_the_others_go_whole():
    said = [Turn("assistant", "Is it hot? " * 8), Turn("assistant", "Grass is green.")]
    pair = PreferencePair(said, "Yes.", "No.")
    [last] = template_parts(llama(), [PreferencePair(said[1:], "Yes.", "No.")])
    assert without_oldest_turns(llama(), pair, last.length) == last


@pytest.mark.parametrize("response", ["is " * 30, "</s> " + "is " * 30], ids=["whole", "piece by piece"])
def test_what_is_longer_than_the_tokenizer_expects_is_no_warning_of_its_library(caplog, monkeypatch, response):
    """What is too long is cut, and told, by `encode`; the library's words are of an indexing error to come."""
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    tokenizer = llama()
    tokenizer.model_max_length = 2
    template_parts(tokenizer, [PreferencePair([QUESTION], response, "No.")])
    assert not caplog.messages
    tokenizer("is " * 30)
    assert "longer than the specified maximum" in caplog.text  # this is how it would have been seen


PAIR = PreferencePair("q", "a", "b")
SET = PairSet([PAIR], [], [], "pairs.jsonl")


@pytest.mark.parametrize("pairs, shown", [
    (SET, "PairSet(pairs=[PreferencePair("), ("pairs.jsonl", "'pairs.jsonl'"), ([{"prompt": "q"}], "[{'prompt': 'q'}]"),
    (iter([PAIR]), "<list_iterator object"), (None, "None"),
], ids=["a PairSet", "a path", "rows", "an iterator", "nothing"])  # fmt: skip
def test_what_is_no_list_of_pairs_is_refused_wherever_it_is_given(pairs, shown):
    model = tiny.reward_model("distilbert")
    for call in (train, evaluate, score_pairs):
        assert told(call, model, pairs).startswith(
            f"pairs should be a list of PreferencePair, as read_pairs(...).pairs is: {shown}")
    assert told(train, model, [PAIR], validation=pairs or SET).startswith("pairs should be a list of PreferencePair")
