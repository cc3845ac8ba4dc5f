"""Texts in known templates become the turns that they mark, whatever marks them; other texts stay whole."""

import pytest

from rmlib.pairs import BadRow, PreferencePair, Turn
from rmlib.practice import forms

TURNS = (Turn("user", "Hi"), Turn("assistant", "Hello"), Turn("user", "Capital?"))
ASKED = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Capital?\n\nAssistant:"
MARKED = {  # of one conversation, with a system turn, before the response
    "a preamble": "Be brief." + ASKED,
    "a system turn": "\n\nSystem: Be brief." + ASKED,
    "User": "Be brief.\n\nUser: Hi\n\nAssistant: Hello\n\nUser: Capital?\n\nAssistant:",
    "prompter": "system: Be brief.\nprompter: Hi\nassistant: Hello\nprompter: Capital?\nassistant:",
    "ChatML": "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello"
              "<|im_end|>\n<|im_start|>user\nCapital?<|im_end|>\n<|im_start|>assistant\n",
    "Llama 2": "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello </s><s>[INST] Capital? [/INST]",
    "Llama 3": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
               "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
               "<|start_header_id|>assistant<|end_header_id|>\n\nHello<|eot_id|>"
               "<|start_header_id|>user<|end_header_id|>\n\nCapital?<|eot_id|><|start_header_id|>assistant"
               "<|end_header_id|>\n\n",
    "Zephyr": "<|system|>\nBe brief.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello</s>\n<|user|>\nCapital?</s>\n"
              "<|assistant|>\n",
    "Vicuna": "Be brief. USER: Hi ASSISTANT: Hello</s>USER: Capital? ASSISTANT:",
    "Alpaca": "Be brief.\n\n### Instruction:\nHi\n\n### Response:\nHello\n\n### Instruction:\nCapital?\n\n"
              "### Response:",
}  # fmt: skip


def one(row):
    [item] = forms.iter_items([row])
    return item


@pytest.mark.parametrize("text", MARKED.values(), ids=MARKED)
def test_marked_texts_are_the_same_conversation_in_every_known_template(text):
    pair = PreferencePair((Turn("system", "Be brief."), *TURNS), "Paris.", "London.")
    assert one({"prompt": text, "chosen": "Paris.", "rejected": "London."}) == pair
    assert one({"chosen": f"{text} Paris.", "rejected": f"{text} London."}) == pair
    assert one({"prompt": text, "chosen": f"{text} Paris.", "rejected": f"{text} London."}) == pair
    assert one({"prompt": "Capital?", "chosen": f"{text} Paris.", "rejected": f"{text} London."}) == pair
    chosen, rejected = ([{"role": "assistant", "content": words}] for words in ("Paris.", "London."))
    assert one({"prompt": text, "chosen": chosen, "rejected": rejected}) == pair


@pytest.mark.parametrize("text", ["\r\n".join(ASKED.split("\n")), ASKED.replace("\n\n", "\n"), ASKED.strip()])
def test_line_breaks_of_any_kind(text):
    pair = PreferencePair(TURNS, "Paris.", "London.")
    assert one({"chosen": f"{text} Paris.", "rejected": f"{text} London."}) == pair


@pytest.mark.parametrize("name", ["prompter", "ChatML", "Llama 2", "Llama 3", "Zephyr", "Vicuna", "Alpaca"])
def test_line_breaks_that_are_carriage_returns_alone(name):
    found = one({"prompt": MARKED[name].replace("\n", "\r"), "chosen": "Paris.", "rejected": "London."})
    assert found == PreferencePair((Turn("system", "Be brief."), *TURNS), "Paris.", "London.")


def test_a_prompt_that_is_the_transcripts_own_answer_is_not_in_it():
    texts = {"chosen": "USER: Capital? ASSISTANT: Paris.", "rejected": "USER: Capital? ASSISTANT: London."}
    assert one({"prompt": "Paris.", **texts}) == PreferencePair("Paris.", *texts.values())
    assert one({"prompt": "Capital?", **texts}) == PreferencePair("Capital?", "Paris.", "London.")


def test_a_role_that_nothing_is_known_of_is_told():
    text = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>wizard\nNo<|im_end|>\n<|im_start|>assistant\n"
    found = one({"prompt": text, "chosen": "a", "rejected": "b"})
    assert isinstance(found, BadRow) and found.reason == "unknown role" and "'wizard'" in found.message


def test_a_response_that_goes_on_as_the_human_is_refused():
    row = {"prompt": MARKED["Llama 2"], "chosen": "Paris. </s><s>[INST] And of Spain? [/INST]", "rejected": "London."}
    found = one(row)
    assert isinstance(found, BadRow)
