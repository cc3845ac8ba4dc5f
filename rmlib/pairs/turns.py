"""A conversation is a list of turns; here it is written as one text, and read from such a text."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple


class Turn(NamedTuple):
    """What one of them said; `role` is "system", "user" or "assistant"."""

    role: str
    text: str


HUMAN, ASSISTANT = "\n\nHuman:", "\n\nAssistant:"
MARKERS = {"user": HUMAN, "assistant": ASSISTANT, "system": "\n\nSystem:"}
ROLE_OF = {
    **dict.fromkeys(("user", "human", "prompter", "instruction", "inst", "/sys"), "user"),
    **dict.fromkeys(("assistant", "model", "gpt", "chatgpt", "ai", "bot", "response", "/inst"), "assistant"),
    **dict.fromkeys(("system", "developer", "sys"), "system"),
}
MARKED = re.compile(r"(?:\A|\n\n)(?P<role>Human|Assistant|System):")
OTHER_LABEL = re.compile(r"\n[^\S\n]*[^\s:]{1,20}:(?:\s|\Z)")


def transcript(turns: Iterable[Turn]) -> str:
    r"""The turns as one text, each behind its marker, with the assistant's at the end: "\n\nHuman: Q\n\nAssistant:"."""
    return "".join(f"{MARKERS[role]} {text}" for role, text in turns) + ASSISTANT


def plain_text(turns: Sequence[Turn]) -> str:
    """The bare text of a single human turn, else the transcript."""
    return turns[0].text if [role for role, _ in turns] == ["user"] else transcript(turns)


def split_turns(text: str, is_prompt: bool) -> list[Turn]:
    """The turns of a text that is marked as `transcript` marks it; [] where it is none."""
    turns = list(turns_between(MARKED, text))
    return turns if is_transcript(turns, bool(MARKED.match(text.strip())), is_prompt) else []


def spoken(text: str) -> list[Turn]:
    """The inverse of `plain_text`: one human turn, or the turns of a transcript that ends in the assistant's marker."""
    if MARKED.match(text.strip()) and text.rstrip().endswith(ASSISTANT):
        return list(turns_between(MARKED, text))[:-1]
    return [Turn("user", text)]


def is_transcript(turns: Sequence[Turn], starts_marked: bool, is_prompt: bool) -> bool:
    """Whether what was found between markers is a conversation.

    A human speaks. Without an assistant it is a single turn, in which no line begins as a turn of another make would. A
    prompt with words before its first marker doesn't end in the assistant's: what quotes a transcript goes on after it.
    """
    roles = [role for role, _ in turns]
    if "assistant" not in roles:
        return roles[-1:] == ["user"] and roles.count("user") == 1 and not OTHER_LABEL.search(turns[-1].text)
    quotes = is_prompt and not starts_marked and roles[-1] == "assistant" and turns[-1].text
    return "user" in roles and not quotes


def turns_between(markers: re.Pattern, text: str, opening: str = "system") -> Iterator[Turn]:
    """What stands before, between and after markers, each of which names by its group `role` who speaks from there on.

    opening: who speaks before the first; the assistant's own words may begin as a human turn would. Roles are given by
    their usual names; one without is given as it is. A system that says nothing is left out, and so is what opens for
    the system's turn in it (Llama 2).
    """
    body, role, start = text.strip(), opening, 0
    for found in [*markers.finditer(body), None]:
        next_role = ROLE_OF.get(found["role"].lower(), found["role"]) if found else ""
        if found and found.start() == 0 and opening == "assistant" != next_role:
            continue
        said = body[start : found.start() if found else None].strip()
        if said or start and "system" not in (role, next_role):
            yield Turn(role, said)
        if found:
            role, start = next_role, found.end()
