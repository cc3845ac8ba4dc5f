"""A conversation stays on one side, and is counted once, in whatever template its turns are written."""

import logging

import numpy as np
import pytest

from rmlib.evaluation import summarise
from rmlib.pairs import conversation_keys, split_by_conversation
from rmlib.practice import forms
from rmlib.practice.command_line.parts import warn_of_shared
from rmlib.practice.preflight import preflight

CONVERSATIONS, TURNS = 60, 3


def lines(user: str, assistant: str, between: str, start: str = "", end: bool = True):
    """A template of labels: what stands before each turn, and between two."""

    def write(said: list[str]) -> str:
        labels = [assistant if at % 2 else user for at in range(len(said))]
        text = start + between.join(f"{label} {words}" for label, words in zip(labels, said))
        return text + between + assistant if end else text

    return write


def tokens(user: str, assistant: str, end: str = "", start: str = "", is_open: bool = True):
    """A template of tokens around each turn."""

    def write(said: list[str]) -> str:
        text = "".join(f"{assistant if at % 2 else user}{words}{end}" for at, words in enumerate(said))
        return start + text + assistant * is_open

    return write


TEMPLATES = {
    "HH-RLHF": lines("Human:", "Assistant:", "\n\n", "\n\n"),
    "HH-RLHF after a preamble": lines("Human:", "Assistant:", "\n\n", "A chat with a model.\n\n"),
    "single line breaks": lines("Human:", "Assistant:", "\n"),
    "CR and LF": lines("Human:", "Assistant:", "\r\n\r\n", "\r\n\r\n"),
    "prompter": lines("prompter:", "assistant:", "\n", end=False),
    "ChatML": tokens("<|im_start|>user\n", "<|im_start|>assistant\n", "<|im_end|>\n"),
    "Llama 2": tokens("<s>[INST] ", " [/INST] "),
    "Gemma": tokens("<start_of_turn>user\n", "<start_of_turn>model\n", "<end_of_turn>\n"),
    "Vicuna": lines("USER:", "ASSISTANT:", " ", "A chat between a user and an assistant. "),
    "Guanaco": lines("### Human:", "### Assistant:", ""),
    "one name known": lines("User:", "AI:", "\n"),
    "one name known, on one line": lines("USER:", "Assistant:", " "),
    "breaks of both kinds": lambda said: lines("Human:", "Assistant:", "\n")(said[:2]) + "\n\n" * (len(said) > 2)
                            + lines("Human:", "Assistant:", "\n\n")(said[2:]) * (len(said) > 2) if len(said) != 1
                            else lines("Human:", "Assistant:", "\n")(said),
    "stars": lines("**User:**", "**Assistant:**", "\n\n"),
    "brackets on one line": lines("(user)", "(bot)", " "),
    "arrows": lines("=>", "‹=", " "),
    "Chinese": lines("用户：", "助手：", ""),
    "blank lines": lambda said: "\n\n".join(said),
    "headings": lambda said: "".join(f"## {'Assistant' if at % 2 else 'User'}\n\n{words}\n\n"
                                     for at, words in enumerate(said)) + "## Assistant",
    "a preamble that is no sentence": lines("USER:", "ASSISTANT:", "\n", "You are nice\n\n"),
    "names of two words": lines("Speaker 1:", "Speaker 2:", "\n"),
    "names of two words on one line": lines("Person A:", "Person B:", " "),
    "OpenChat": tokens("GPT4 Correct User: ", "GPT4 Correct Assistant: ", "<|end_of_turn|>"),
    "an end token": lambda said: "".join(f"{words}<|endoftext|>" for words in said),
    "a separator": lambda said: " __eou__ ".join(said),
    "that no code names, by lines": lines("Q>", "R>", "\n"),
    "that no code names, by tokens": tokens("[[ask]] ", " [[say]] ", is_open=False),
    "that no code names, on one line": lines("Customer:", "Agent:", " ", end=False),
}
templates = pytest.mark.parametrize("write", TEMPLATES.values(), ids=TEMPLATES)


def conversations(write, **beside) -> list[dict]:
    """Rows of conversations that go on in words of their own, not in one of the responses that are compared."""
    rows = []
    for number in range(CONVERSATIONS):
        said = []
        for turn in range(TURNS):
            said.append(f"What about {turn} of topic {number * 7 % 60}?")
            responses = {"chosen": f"good {turn}", "rejected": f"bad {turn}"}
            rows.append({"prompt": write(said), "id": number} | responses | beside)
            said.append(f"I see, {turn} of {number}.")
    return [rows[at] for at in np.random.default_rng(0).permutation(len(rows))]


@pytest.mark.parametrize("beside", [{}, {"system": "Be kind."}], ids=["", "system"])
@templates
def test_no_conversation_is_on_both_sides_of_a_split(write, beside):
    pairs = forms.read(conversations(write, **beside)).pairs
    training, held_out = split_by_conversation(pairs, 0.2)
    assert len(held_out) == 36 and not {pair.id for pair in training} & {pair.id for pair in held_out}
    assert len(set(conversation_keys(pairs))) == CONVERSATIONS
    assert dict(zip(pairs, conversation_keys(pairs))) == dict(zip(pairs[::-1], conversation_keys(pairs[::-1])))


@templates
def test_preflight_intervals_and_warnings_know_all_conversations(write, caplog):
    pairs = forms.read(conversations(write)).pairs
    report = preflight(pairs, lambda texts: [text.split() for text in texts], 512, pairs[:30])
    assert report.conversations == CONVERSATIONS and report.leaked_conversations == 30
    assert report.earlier_turns == CONVERSATIONS * (TURNS - 1)
    later = [pair for pair in pairs if pair.chosen == "good 2"]
    opening = [pair for pair in pairs if pair.chosen == "good 0"]
    assert preflight(opening, lambda texts: texts and [[]] * len(texts), 512, later).leaked_conversations == len(later)
    assert summarise(np.linspace(-1, 2, len(pairs)), pairs).conversations == CONVERSATIONS
    with caplog.at_level(logging.WARNING, logger="rmlib"):
        warn_of_shared(later, opening, "--eval", "trained on")
    assert "60 of the 60 pairs of --eval are of conversations that are trained on" in caplog.text


@pytest.mark.parametrize("one, other", [
    ("What is 2?", "What is 2? And 3?"), ("What is two", "What is two plus two?"), ("Say it", "Say it again, please"),
    ("Who are you", "Who are you talking to, and why?"), ("What is C", "What is C# for?"), ("Is 3", "Is 3<4?"),
    ("Print: a", "Print: a[0]"), ("Explain a[i]", "Explain a[i] and a[j]"), ("Give me", "Give me a recipe"),
    ("Name a fruit", "Name a fruit Hint: it is red"), ("Translate to French:", "Translate to French: yes"),
    ("Question: Who?", "Question: What?"), ("What is 1+1", "What is 1+12"), ("Write a poem", "Write a poem #haiku"),
    ("Translate:\nUser: yes", "Is this rude?\nUser: yes"), ("Use [INST] or [/INST] here", "Use <|user|> or [/INST]"),
])  # fmt: skip
def test_questions_that_begin_alike_are_different_conversations(one, other):
    rows = [{"prompt": text, "chosen": "2", "rejected": "a"} for text in (one, other)]
    assert len(set(conversation_keys(forms.read(rows).pairs))) == 2


def test_a_question_of_which_nothing_is_left_but_its_label_swallows_no_other():
    texts = ["Question:", "Question: Who?", "Question: What?", "Summarise:", "Summarise:\nOne.", "Summarise:\nTwo."]
    pairs = forms.read([{"prompt": text, "chosen": "2", "rejected": "a"} for text in texts]).pairs
    assert len(set(conversation_keys(pairs))) == len(texts)


def test_turns_and_text_of_one_conversation_have_one_key():
    rows = [{"prompt": "Translate it", "chosen": "a", "rejected": "b"},
            {"prompt": "Translate it\nto French\nand German", "chosen": "a", "rejected": "b"},
            {"prompt": [{"role": "user", "content": "Translate it\nto French\nand German"},
                        {"role": "assistant", "content": "Oui"}, {"role": "user", "content": "On"}],
             "chosen": "a", "rejected": "b"}]
    for some in (rows, rows[1:]):
        assert len(set(conversation_keys(forms.read(some).pairs))) == 1


@pytest.mark.parametrize("prompt, apart", [("We met -", " "), ("We met", " "), ("We met", " - "), ("We met -", "")])
def test_a_prompt_goes_on_with_one_of_its_responses(prompt, apart):
    """Whatever stands between, a letter on one side of it or not; but not in the middle of a word."""
    rows = [{"prompt": prompt, "chosen": "Yes.", "rejected": "No."},
            {"prompt": f"{prompt}{apart}No. - Where", "chosen": "Here.", "rejected": "There."},
            {"prompt": f"{prompt}{apart}Perhaps. - Where", "chosen": "Here.", "rejected": "There."}]
    assert len(set(conversation_keys(forms.read(rows).pairs))) == (3 if apart == " - " else 2)
    in_a_word = [rows[0] | {"prompt": "I say no", "chosen": "where"}, rows[1] | {"prompt": "I say nowhere, never"}]
    assert len(set(conversation_keys(forms.read(in_a_word).pairs))) == 2
