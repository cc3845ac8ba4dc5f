"""What stands beside a prompt and its responses: used where it can be, refused in words where it can't, never lost."""

import numpy as np
import pytest
from told import hold

from rmlib.pairs import BadRow, LeftOut, PreferencePair, Turn
from rmlib.practice import forms

Q, A = "Name a fruit.", {"chosen": "Plum.", "rejected": "Stone."}
ASKED = (Turn("user", Q),)
S = Turn("system", "Be brief.")
HELLO = (Turn("user", "Hi"), Turn("assistant", "Hello"))


def chat(*turns):
    return [{"role": role, "content": text} for role, text in turns]


def one(row):
    [item] = forms.iter_items([row])
    return item


def answer(text):
    return ("assistant", text)


CONTEXTS = {
    "history that has the question": ({"prompt": Q, "history": chat(*HELLO, *ASKED), **A}, (*HELLO, *ASKED)),
    "conversations with the answer": ({"conversations": chat(*ASKED, answer("Plum.")), **A}, ASKED),
    "a question and its input": ({"question": "Name a fruit.", "input": "Red.", **A},
                                 (Turn("user", "Name a fruit.\n\nRed."),)),
    "an empty prompt beside chats": ({"prompt": None, "chosen": chat(*ASKED, answer("Plum.")),
                                      "rejected": chat(*ASKED, answer("Stone."))}, ASKED),
    "a question that its answers repeat": ({"prompt": "水果？", "chosen": "水果？Plum.", "rejected": "水果？Stone."},
                                           (Turn("user", "水果？"),)),
    "line ends of Windows": ({"prompt": "Name\r\na fruit.", **A}, (Turn("user", "Name\na fruit."),)),
    "messages alone": ({"messages": chat(*HELLO, *ASKED), **A}, (*HELLO, *ASKED)),
    "messages with the chosen response": ({"messages": chat(*ASKED, answer("Plum.")), **A}, ASKED),
    "messages with the rejected one": ({"messages": chat(*HELLO, *ASKED, answer("Stone.")), **A}, (*HELLO, *ASKED)),
    "messages and their prompt": ({"prompt": Q, "messages": chat(S, *ASKED, answer("Plum.")), **A}, (S, *ASKED)),
    "messages before the prompt": ({"prompt": Q, "messages": chat(*HELLO), **A}, (*HELLO, *ASKED)),
    "messages around the prompt": ({"prompt": Q, "messages": chat(*HELLO, *ASKED, answer("Plum.")), **A},
                                   (*HELLO, *ASKED)),
    "history that says the prompt": ({"prompt": "Hi", "history": [["Hi", "Hello"], ["Bye", "Ciao"]], **A},
                                     (*HELLO, Turn("user", "Bye"), Turn("assistant", "Ciao"), Turn("user", "Hi"))),
    "chat_history beside an empty history": ({"prompt": Q, "history": [], "chat_history": [["Hi", "Hello"]], **A},
                                             (*HELLO, *ASKED)),
    "history that ends in the answer that the prompt begins with": (
        {"prompt": chat(("assistant", "Hello"), *ASKED), "history": [["Hi", "Hello"]], **A}, (*HELLO, *ASKED)),
    "history flat": ({"prompt": Q, "history": ["Hi", "Hello"], **A}, (*HELLO, *ASKED)),
    "history of arrays": ({"prompt": Q, "history": np.array([np.array(["Hi", "Hello"])], dtype=object), **A},
                          (*HELLO, *ASKED)),
    "history in the chats already": ({"history": [["Hi", "Hello"]], "chosen": chat(*HELLO, *ASKED, answer("Plum.")),
                                      "rejected": chat(*HELLO, *ASKED, answer("Stone."))}, (*HELLO, *ASKED)),
    "system and history that has it": ({"prompt": Q, "system": "Be brief.", "history": chat(S, *HELLO), **A},
                                       (S, *HELLO, *ASKED)),
    "system as a message": ({"prompt": Q, "system": {"role": "system", "content": "Be brief."}, **A}, (S, *ASKED)),
    "no system": ({"prompt": Q, "system": " ", **A}, ASKED),
    "an empty system message": ({"prompt": chat(("system", ""), *ASKED), **A}, ASKED),
    "a system token that says nothing": ({"prompt": "<|system|>\n</s>\n<|user|>\nName a fruit.</s>\n<|assistant|>\n",
                                          **A}, ASKED),
    "system in the prompt alone": ({"prompt": chat(S, *ASKED), "chosen": chat(*ASKED, answer("Plum.")),
                                    "rejected": chat(*ASKED, answer("Stone."))}, (S, *ASKED)),
    "chats that go on": ({"prompt": chat(*HELLO), "chosen": chat(*ASKED, answer("Plum.")),
                          "rejected": chat(*ASKED, answer("Stone."))}, (*HELLO, *ASKED)),
    "one question under two names": ({"prompt": Q, "question": f"{Q} ", **A}, ASKED),
    "messages of both makes": ({"conversations": [{"role": None, "from": "human", "value": Q}], **A}, ASKED),
    "prompt of a message, and texts that begin with it": (
        {"prompt": chat(*ASKED), "chosen": f"{Q} Plum.", "rejected": f"{Q} Stone."}, ASKED),
    "answers that begin with a marker": (
        {"prompt": "\n\nHuman: Name a fruit.\n\nAssistant:", "chosen": "Human: no.", "rejected": "Stone."}, ASKED),
    "answers that greet as they were greeted": ({"prompt": "Hi", "chosen": "Hi! You?", "rejected": "Hi, you."},
                                                (Turn("user", "Hi"),)),
}  # fmt: skip


@pytest.mark.parametrize("row, turns", CONTEXTS.values(), ids=CONTEXTS)
def test_what_stands_beside_is_part_of_the_conversation(row, turns):
    found = one(row)
    assert isinstance(found, PreferencePair) and found.turns == turns
    responses = {"Human: no.": ("Human: no.", "Stone."), "Hi! You?": ("Hi! You?", "Hi, you.")}
    assert (found.chosen, found.rejected) == responses.get(row["chosen"] if isinstance(row["chosen"], str) else "",
                                                           ("Plum.", "Stone."))


REFUSED = {
    "a label against its columns": ({"prompt": Q, **A, "winner": "rejected"}, "unknown label", "winner says"),
    "prompt and input": ({"prompt": Q, "input": "Red.", **A}, "another form", "'input'"),
    "a third answer": ({"messages": chat(*ASKED, answer("Pear.")), **A}, "prompts differ", "'Pear.'"),
    "a third answer beside": ({"prompt": Q, "messages": chat(*ASKED, answer("Pear.")), **A}, "prompts differ", "Pear"),
    "another question": ({"prompt": Q, "messages": chat(("user", "Hm?")), **A}, "prompts differ", "'Hm?'"),
    "messages that are none": ({"prompt": Q, "messages": 3, **A}, "not text", "messages should be a list"),
    "a prompt that is part of a word": ({"prompt": "Hi", "chosen": chat(("user", "Hippo?"), answer("a")),
                                         "rejected": chat(("user", "Hippo?"), answer("b"))}, "prompts differ", "'Hi'"),
    "thoughts": ({"prompt": Q, "chosen": [{"role": "assistant", "content": "Plum.", "thinking": "So."}],
                  "rejected": chat(answer("Stone."))}, "can't be used", "'thinking'"),
    "a message as text": ({"prompt": Q, "chosen": '{"role": "assistant", "content": "Plum."}', "rejected": "Stone."},
                          "messages as text", "chosen"),
    "messages as text, another key first": ({"prompt": Q, "chosen": "[{'id': 1, 'role': 'user', 'content': 'Hi'}]",
                                             "rejected": "Stone."}, "messages as text", "chosen"),
    "two questions": ({"prompt": Q, "question": "Name a tree.", **A}, "another form", "'question'"),
    "a history of three": ({"prompt": Q, "history": [["a", "b", "c"]], **A}, "another form", "history"),
    "scores of two kinds": ({"prompt": Q, "answers": [{"answer": "a", "rank": 1}, {"answer": "b", "score": 2}]},
                            "unknown label", "rank"),
}  # fmt: skip


@pytest.mark.parametrize("row, reason, told", REFUSED.values(), ids=REFUSED)
def test_what_can_t_be_used_is_refused_in_words(row, reason, told):
    found = one(row)
    assert isinstance(found, BadRow) and found.reason == reason and told in found.message


def test_every_refusal_word_for_word():
    found = {name: one(row) for name, (row, _, _) in REFUSED.items()}
    hold("refused columns", "\n".join(f"{name}: {row.reason}: {row.message}" for name, row in found.items()))


@pytest.mark.parametrize("label", [
    "tie", "Tie", "TIE ", "Tie (both bad)", "tie (bothbad)", "both_bad", "neither", "no preference", "equally good",
    "same", "draw"])  # fmt: skip
@pytest.mark.parametrize("key", ["label", "winner", "status"])
def test_nobody_won_in_whatever_words(label, key):
    found = one({"prompt": Q, **A, key: label})
    assert isinstance(found, LeftOut) and found.reason == "tie"


@pytest.mark.parametrize("label", ["model_b", 0, 0.5, "discarded"])
def test_a_label_that_is_not_read_is_told(label):
    found = forms.read([{"prompt": Q, **A, "label": label}])
    assert len(found.pairs) == 1 and "keys that are not read: label (1 row)" in found.summary()


@pytest.mark.parametrize("text", [
    "Which model uses [INST] and [/INST]", "Explain <|user|> and <|assistant|>", "[INST] is a token. Why?",
    "Explain the labels USER: and ASSISTANT:", "USER: root\nPASSWORD: x\nwhat is this?",
    "What is wrong with this yaml?\nuser: root\npassword: x", "Classify the intent:\nUser: I want a refund",
])  # fmt: skip
def test_questions_about_markers_stay_whole(text):
    assert one({"prompt": text, **A}).turns == (Turn("user", text),)


def test_a_transcript_that_quotes_other_markers_is_split_by_its_own():
    text = "Be nice.\n\nHuman: What are [INST] and [/INST]?\n\nAssistant:"
    found = one({"chosen": f"{text} Tokens.", "rejected": f"{text} <|user|> Words."})
    assert found.turns == (Turn("system", "Be nice."), Turn("user", "What are [INST] and [/INST]?"))
    assert found.rejected == "<|user|> Words."


@pytest.mark.parametrize("text", [
    "User: A\nAI: x\nUser: B\nAI:", "USER: A Assistant: x USER: B Assistant:", "user: A\ngpt: x\nuser: B",
])  # fmt: skip
def test_a_template_of_which_one_name_is_known_is_left_as_it_is(text):
    assert one({"prompt": text, **A}).turns == (Turn("user", text),)
