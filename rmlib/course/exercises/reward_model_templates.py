"""Exercise 5.5: a conversation's tokens by a chat template, each special token once."""

import copy
from collections.abc import Callable
from functools import cache
from itertools import product

import numpy as np
from transformers import AutoTokenizer

from rmlib.course.exercises.engine import Exercise
from rmlib.course.exercises.reward_model_padding import told
from rmlib.course.exercises.values import as_array
from rmlib.settings import EMBEDDED_BACKBONE

TEMPLATES = (  # one begins with the token that the tokenizer, too, sets at the beginning of a text; one does not
    "{% for m in messages %}[CLS]{{ m.role }}: {{ m.content }}[SEP]{% endfor %}"
    "{% if add_generation_prompt %}[CLS]assistant:{% endif %}",
    "{% for m in messages %}<{{ m.role }}> {{ m.content }}[SEP]{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}",
)
QUESTIONS = ("What is the capital of France?", "Is it warm?", "And of Peru?", "Who are you?")
ANSWERS = ("Paris.", "I think it is Berlin.", "Yes, it is.", "Lima")
DOUBLE = "the tokenizer adds special tokens of its own to those that the template has written"
PROMPTED = "an answer to come is announced after the answer: `add_generation_prompt` belongs to a prompt without one"
NONE = "Let the tokenizer add none."
MISSING = "the response is not in it"


@cache
def tokenizer():
    return AutoTokenizer.from_pretrained(EMBEDDED_BACKBONE)


def templated(template: str):
    """The embedded tokenizer with a chat template."""
    twin = copy.copy(tokenizer())
    twin.chat_template = template
    return twin


def variant(tokenizer, turns: list, response: str, double: bool, prompted: bool, answered: bool,
            role: str = "assistant") -> list[int]:
    """Ids with some of the bugs, or with none: answered alone."""
    messages = [{"role": role, "content": text} for role, text in turns]
    messages += [{"role": role, "content": response}] * answered
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompted)
    return tokenizer(text, add_special_tokens=double)["input_ids"]


def conversations(rng: np.random.Generator) -> list[tuple]:
    found = []
    for template, turns in product(TEMPLATES, (1, 3)):
        said = [("user", str(rng.choice(QUESTIONS))), ("assistant", str(rng.choice(ANSWERS)))] * 2
        found.append((templated(template), said[:turns], str(rng.choice(ANSWERS))))
    return found


def without_doubles(ids: list[int]) -> list[int]:
    return [one for one, before in zip(ids, [None, *ids]) if one != before]


def judge_ids(function: Callable, rng: np.random.Generator) -> str | None:
    cases, answers = conversations(rng), []
    for tokenizer, turns, response in cases:
        given = list(turns)
        ids = function(tokenizer, given, response)
        if given != turns:
            return "It changes `turns` in place: work on a copy."
        if hasattr(ids, "keys"):
            return 'The ids alone are wanted, a list of whole numbers: result["input_ids"].'
        ids = as_array(ids)
        if ids is None or ids.ndim != 1 or ids.dtype.kind not in "iu":
            return "A list of whole numbers is wanted, the ids of one text."
        answers.append(ids.tolist())
    for double, prompted, answered in product((False, True), (False, True), (True, False)):
        if answers == [variant(*case, double, prompted, answered) for case in cases]:
            return told([DOUBLE] * double + [PROMPTED] * prompted + [MISSING] * (not answered))
    right = [variant(*case, False, False, True) for case in cases]
    if answers == [without_doubles(variant(*case, True, False, True)) for case in cases]:
        return ("Doubles are removed, which is right for one template and not for another: where a template begins "
                "without [CLS], that of the tokenizer stays. " + NONE)
    doubled = [variant(*case, True, False, True) for case in cases]
    if answers in ([ids[1:] for ids in doubled], [ids[ids[0] == ids[1]:] for ids in doubled]):
        return "A token at the beginning is taken off again, and what the tokenizer adds at the end is left. " + NONE
    if answers == [variant(*case, False, False, True, "user") for case in cases]:
        return "The response stands there as the user's: its role is \"assistant\"."
    if answers == [ids[:-1] for ids in right]:
        return ("What the template writes after an answer is missing: give it the response as a message, and don't "
                "write it behind the announcement of one.")
    if [ids[1:-1] for ids in answers] == right or answers == [ids[1:-1] for ids in right]:
        return "The first and the last token are cut off, or added, whatever they are. " + NONE
    others = [function(templated(TEMPLATES[tokenizer.chat_template == TEMPLATES[0]]), list(turns), response)
              for tokenizer, turns, response in cases]
    if all(np.array_equal(one, other) for one, other in zip(answers, others)):
        return "The template is not used: with another one the same ids come back."
    wrong = next(at for at, (got, wanted) in enumerate(zip(answers, right)) if got != wanted)
    words = cases[wrong][0].convert_ids_to_tokens
    return (f"Of {cases[wrong][1]} and the response {cases[wrong][2]!r} it makes\n    {' '.join(words(answers[wrong]))}"
            f"\n  and the model was trained on\n    {' '.join(words(right[wrong]))}")


TO_IDS = Exercise("5.5", judge=judge_ids)
