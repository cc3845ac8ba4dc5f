"""Encoding and rendering in their parts, by hand: which token belongs to which piece, and how much room is left."""

import pytest
import tiny
from told import told

from rmlib.encoding import EncodingSpec, _find, encode, read_spec
from rmlib.pairs import PreferencePair, Turn
from rmlib.rendering import Parts, _by_piece, _parts

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

    def __init__(self, eos_token_id):
        self.eos_token_id = eos_token_id

    def __call__(self, text, second=None, add_special_tokens=True):
        if not add_special_tokens:
            return {"input_ids": {"a": [7], "b": [7, 8]}[text]}
        return {"input_ids": [1, 7] if second is None else [1, 7, 2, 7, 8, 3],
                "token_type_ids": [0, 0] if second is None else [0, 0, 0, 1, 1, 1]}


def test_a_template_is_read_off_where_one_letter_begins_as_the_other():
    assert read_spec(Alike(3), 9, causal=False) == EncodingSpec("prompt", (1,), (2,), (3,), "", 1, 9)
    assert read_spec(Alike(3), 9, causal=True) == EncodingSpec("transcript", (1,), (), (3,), " ", 0, 9)
    assert read_spec(Alike(None), 9, causal=True) == EncodingSpec("transcript", (1,), (), (), " ", 0, 9)


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
