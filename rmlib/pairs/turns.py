"""A conversation is a list of turns; here they are read from marked text, and written as one."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple


class Turn(NamedTuple):
    """What one of them said; `role` is "system", "user" or "assistant"."""

    role: str
    text: str


HUMAN, ASSISTANT = "\n\nHuman:", "\n\nAssistant:"
MARKERS = {"user": HUMAN, "assistant": ASSISTANT, "system": "\n\nSystem:"}
ROLES = {
    "user": ("user", "human", "prompter", "instruction", "inst", "/sys"),
    "assistant": ("assistant", "model", "gpt", "chatgpt", "ai", "bot", "response", "/inst"),
    "system": ("system", "developer", "sys"),
}
ROLE_OF = {name: role for role, names in ROLES.items() for name in names}
# How turns may be marked: `role` tells who speaks from there on. Tokens stand anywhere, and nothing before the first.
TOKENS = [re.compile(pattern) for pattern in (
    r"<\|im_start\|>(?P<role>\w+)(?:\n|<\|im_sep\|>)?",  # ChatML
    r"<\|start_header_id\|>(?P<role>\w+)<\|end_header_id\|>",  # Llama 3
    r"<start_of_turn>(?P<role>\w+)\n?",  # Gemma
    r"<\|(?P<role>system|user|assistant|prompter)\|>",  # Zephyr, Phi 3, OpenAssistant
    r"(?:\[|<<)(?P<role>/?INST(?=\])|/?SYS(?=>>))(?:\]|>>)",  # Llama 2, Mistral
)]  # fmt: skip
INLINE = [re.compile(pattern) for pattern in (
    r"(?:\A|(?<=\s)|(?<=</s>))(?P<role>USER|ASSISTANT|SYSTEM):",  # Vicuna
    r"###\s?(?P<role>Human|User|Instruction|Assistant|Response|System):",  # Guanaco, Alpaca
)]  # fmt: skip
FAMILIES = ["Human|Assistant|System", "User|Assistant|System", "prompter|assistant|system", "user|assistant|system",
            "human|assistant|system"]
AFTER_BLANK_LINE, AFTER_BREAK = (
    [re.compile(rf"(?:\A|{line_break})(?P<role>{family}):") for family in FAMILIES] for line_break in (r"\n\n", r"\n")
)
LABEL, LABEL_ON_LINE = (re.compile(rf"{start}{{1,20}}:(?:\s|\Z)") for start in (r"\n\s*[^\s:]", r"\s[A-Z]\w"))
AROUND = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<|endoftext|>", "<|begin_of_text|>", "<end_of_turn>", "<bos>",
          "<eos>", "<s>", "</s>")  # fmt: skip


def transcript(turns: Iterable[Turn]) -> str:
    r"""The turns as one text, each behind its marker, with the assistant's at the end: "\n\nHuman: Q\n\nAssistant:"."""
    return "".join(f"{MARKERS[role]} {text}" for role, text in turns) + ASSISTANT


def plain_text(turns: Sequence[Turn]) -> str:
    """The bare text of a single human turn, else the transcript."""
    return turns[0].text if [role for role, _ in turns] == ["user"] else transcript(turns)


def spoken(text: str) -> list[Turn]:
    """The inverse of `plain_text`: one human turn, or the turns of a transcript as `transcript` writes it."""
    if text.startswith(tuple(MARKERS.values())) and text.endswith(ASSISTANT):
        return list(split_turns(text, AFTER_BLANK_LINE[0]))[:-1]
    return [Turn("user", text)]


def style_of(text: str, is_prompt: bool) -> re.Pattern | None:
    """How the turns of a text are marked; None where it is no transcript.

    A transcript starts with a marker, or has a preamble before the first one, which is the system's. Of several ways
    the one whose assistant speaks first is taken. Without an assistant there is one human turn at most, in which no
    line begins as a turn of another make would. A prompt with a preamble ends in a human turn or an open one of the
    assistant's: what quotes a transcript goes on after it.
    """
    found: list[tuple[int, int, int, re.Pattern]] = []
    for style in TOKENS + INLINE + AFTER_BLANK_LINE + AFTER_BREAK:
        body = _body(text, style)
        markers = [(match.start(), ROLE_OF.get(match["role"].lower(), "")) for match in style.finditer(body)]
        roles = [role for _, role in markers]
        if "user" not in roles:
            continue
        answered = next((at for at, role in markers if role == "assistant"), len(body) + 1)
        label = LABEL_ON_LINE if style in INLINE else LABEL
        is_one_turn = roles.count("user") == 1 and not label.search(body[markers[-1][0] + 1 :])
        if answered > len(body) and not (is_one_turn and style is not TOKENS[-1]):
            continue
        if markers[0][0] > 0:
            turns = list(split_turns(text, style))
            ends_open = turns[-1] == ("assistant", "") or turns[-1].role == "user"
            is_sentence = turns[0].text[-1:] in ".!?:" or style not in INLINE
            if style in TOKENS or not is_sentence or (is_prompt and not ends_open):
                continue
            if answered > len(body) and style is not AFTER_BLANK_LINE[0]:
                continue
        found.append((min(markers[0][0], 1), answered, len(found), style))
    return min(found)[-1] if found else None


def split_turns(text: str, style: re.Pattern, opening: str = "system") -> Iterator[Turn]:
    """The turns of a text marked in one style; what stands before the first marker is `opening`'s.

    An answer may begin with what would mark a human turn elsewhere: where the assistant opens, that is no marker.
    Roles are given by their usual names; one without is given as it is. A system that says nothing is left out, and so
    is the human's opening before the system's in Llama 2.
    """
    body, role, start = _body(text, style), opening, 0
    for found in [*style.finditer(body), None]:
        if found and found.start() == 0 and opening == "assistant" != ROLE_OF.get(found["role"].lower()):
            continue
        said = _body(body[start : found.start() if found else None], style)
        next_role = ROLE_OF.get(found["role"].lower(), found["role"]) if found else ""
        if said or start and role != "system" and next_role != "system":
            yield Turn(role, said)
        if found:
            role, start = next_role, found.end()


def _body(text: str, style: re.Pattern) -> str:
    """The text, line breaks being line feeds, without space at its ends, nor tokens there where they mark turns."""
    body = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    while style in TOKENS or style in INLINE:
        shorter = body
        for token in AROUND:
            shorter = shorter.removeprefix(token).removesuffix(token).strip()
        if shorter == body:
            break
        body = shorter
    return body
