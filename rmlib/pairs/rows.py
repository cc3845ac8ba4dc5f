r"""One row of a preference file: the `PreferencePair` it becomes, the forms and the faults it may have.

A row is a JSON object in one of these forms. Responses are stripped, prompts are kept as they are.

- `prompt`, `chosen`, `rejected` as text.
- `chosen`, `rejected` as whole transcripts ("\n\nHuman: ...\n\nAssistant: ..."), split at the last "\n\nAssistant:".
- `chosen`, `rejected` as lists of chat messages: whole conversations, or what follows `prompt` (messages, or text
  that is one human turn). They are rendered as such a transcript, so both forms of a conversation give equal pairs.
- `prompt`, `responses`, and `label` "tie" or "skip": a comparison that nobody won, which training leaves out.

A prompt given beside whole conversations must occur in them. `margin` (the target margin) and `id` are optional; null
there means absent. Other keys are ignored.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

Reason = Literal[
    "not UTF-8", "blank line", "not JSON", "not an object", "missing key", "null", "not text", "lone surrogate",
    "NUL character", "empty chat", "unknown role", "last turn not assistant", "no assistant turn", "prompts differ",
    "empty prompt", "empty response", "identical responses", "bad margin", "bad id", "unknown label",
]  # fmt: skip
Turn = tuple[str, str]  # (marker, text)

HUMAN, ASSISTANT, SYSTEM = "\n\nHuman:", "\n\nAssistant:", "\n\nSystem:"
MARKERS = {"user": HUMAN, "assistant": ASSISTANT, "system": SYSTEM}
ANY_MARKER = re.compile("|".join(MARKERS.values()))
AFTER_LAST_MARKER = re.compile(rf"(?<={ASSISTANT})\s+\Z")  # "...Assistant: " and "...Assistant:" are one prompt
KINDS = {dict: "an object", list: "a list", int: "a number", type(None): "null"}
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class PreferencePair:
    """One comparison: of two responses to `prompt`, a person preferred `chosen` to `rejected`."""

    prompt: str
    chosen: str
    rejected: str
    target_margin: float | None = None  # the wanted reward difference, m in formulas
    id: str | int | None = None
    line: int | None = None  # where it was read, from 1


@dataclass(frozen=True)
class BadRow:
    """A row that can't be used: why in two words (`reason`), and in full (`message`)."""

    line: int
    reason: Reason
    message: str
    responses: tuple[str, str] | None = None  # (chosen, rejected), where both can be read all the same


@dataclass(frozen=True)
class LeftOut:
    """A labelled row without a winner; its label is the reason."""

    line: int
    reason: Literal["tie", "skip"]
    message: str


class RowError(Exception):
    """What is wrong with a row; `reason` is one of a fixed few; `responses` are there where both could be read."""

    responses: tuple[str, str] | None = None

    def __init__(self, reason: Reason, message: str):
        super().__init__(message)
        self.reason = reason


def parse(line: bytes) -> Any:
    """The JSON value on one line of a file. Raises RowError where there is none."""
    try:
        text = line.decode().rstrip()
    except UnicodeDecodeError as error:
        at = error.start + 1
        raise RowError("not UTF-8", f"byte {at} of the line is not UTF-8: save the file as UTF-8") from error
    _demand(text, "blank line", "the line is blank")
    is_array = text.lstrip().startswith("[")
    _demand(not is_array, "not an object", "a JSON array begins here, but one object on each line is wanted")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise RowError("not JSON", f"{error.msg} at column {error.colno}: {_show(text)}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, endless nesting
        raise RowError("not JSON", f"{error}: {_show(text)}") from error


def read_row(row: Any, line: int) -> PreferencePair | LeftOut:
    """What a row holds. Raises RowError where it can't be used."""
    _demand(isinstance(row, Mapping), "not an object", f"a row should be an object, not {_show(row)}")
    if "responses" in row and "chosen" not in row:
        label = row.get("label")
        _demand(label in ("tie", "skip"), "unknown label", f"label should be 'tie' or 'skip', not {_show(label)}")
        return LeftOut(line, label, f"labelled {label}: neither response was chosen")
    for key in ("chosen", "rejected"):
        _demand(key in row, "missing key", f"the row has no {key!r}")
    opening = _opening(row["prompt"]) if "prompt" in row else []
    prompt, chosen = _split(row, opening, "chosen")
    other, rejected = _split(row, opening, "rejected")
    try:
        _demand_one_prompt(prompt, other, opening)
        _demand(chosen, "empty response", "the response of chosen is empty")
        _demand(rejected, "empty response", "the response of rejected is empty")
        _demand(chosen != rejected, "identical responses", f"chosen and rejected are the same: {_show(chosen)}")
        return PreferencePair(prompt, chosen, rejected, _margin(row.get("margin")), _id(row.get("id")), line)
    except RowError as fault:
        fault.responses = chosen, rejected
        raise


def squash(text: str) -> str:
    """The text with each run of white space made one space, and none at the ends."""
    return " ".join(text.split())


def _demand_one_prompt(prompt: str, other: str, opening: list[Turn]) -> None:
    """That both sides answer one prompt, that it is the row's own where it has one, and that it says something."""
    for side, conversation in (("chosen", squash(prompt)), ("rejected", squash(other))):
        for _, text in opening:
            _demand(squash(text) in conversation, "prompts differ",
                    f"{_show(text)}, in the row's prompt, is not in the conversation of {side}")
    if prompt != other:
        at = len(os.path.commonprefix([prompt, other]))
        raise RowError("prompts differ", "chosen and rejected answer different prompts: they part after "
                       f"{at} equal characters, with {_show(prompt[at:])} and {_show(other[at:])}")
    _demand(ANY_MARKER.sub("", prompt).strip(), "empty prompt", "the prompt is empty: there is nothing to answer")


def _split(row: Mapping, opening: list[Turn], side: str) -> tuple[str, str]:
    """(prompt, response) of one side. `opening`: the row's own prompt, [] where it has none."""
    if isinstance(row[side], list | tuple):
        prompt, response = _split_messages(opening, _turns(row[side], side), side)
    else:
        prompt, response = _split_text(row, opening, side)
    return prompt, response.strip()


def _split_text(row: Mapping, opening: list[Turn], side: str) -> tuple[str, str]:
    text = _text(row[side], side)
    if opening and not text.startswith((HUMAN, SYSTEM)):
        prompt = row["prompt"] if isinstance(row["prompt"], str) else _render(opening)
        return AFTER_LAST_MARKER.sub("", prompt), text
    context, marker, response = text.rpartition(ASSISTANT)
    _demand(marker, "no assistant turn", f"{side} has no turn marked {ASSISTANT!r} to split it at: {_show(text)}")
    return context + marker, response


def _split_messages(opening: list[Turn], turns: list[Turn], side: str) -> tuple[str, str]:
    continues = turns[0][0] == ASSISTANT
    *context, (marker, response) = opening + turns if continues else turns
    _demand(marker == ASSISTANT, "last turn not assistant", f"the last message of {side} is not the assistant's")
    return _render(context), response


def _opening(prompt: Any) -> list[Turn]:
    return _turns(prompt, "prompt") if isinstance(prompt, list | tuple) else [(HUMAN, _text(prompt, "prompt"))]


def _render(turns: list[Turn]) -> str:
    return "".join(f"{marker} {text}" for marker, text in turns) + ASSISTANT


def _turns(messages: list | tuple, where: str) -> list[Turn]:
    _demand(messages, "empty chat", f"{where} is an empty list of messages")
    return [_turn(message, f"message {number} of {where}") for number, message in enumerate(messages, start=1)]


def _turn(message: Any, where: str) -> Turn:
    _demand(isinstance(message, Mapping), "not an object", f"{where} should be an object, not {_show(message)}")
    for key in ("role", "content"):
        _demand(key in message, "missing key", f"{where} has no {key!r}")
    role, content = _text(message["role"], f"the role of {where}"), message["content"]
    _demand(role in MARKERS, "unknown role", f"{where} has the role {_show(role)}; known are {', '.join(MARKERS)}")
    parts = content if isinstance(content, list | tuple) else [{"type": "text", "text": content}]
    return MARKERS[role], "".join(_part(part, f"the content of {where}") for part in parts)


def _part(part: Any, where: str) -> str:
    kind = part.get("type") if isinstance(part, Mapping) else part
    _demand(kind == "text", "not text", f"{where} has a part that is not text: {_show(kind)}")
    return _text(part.get("text"), where)


def _text(value: Any, where: str) -> str:
    _demand(value is not None, "null", f"{where} is null: text belongs there")
    _demand(isinstance(value, str), "not text", f"{where} should be text, not {_show(value)}")
    is_whole = not LONE_SURROGATE.search(value)
    _demand(is_whole, "lone surrogate", f"{where} has half a surrogate pair, which is no character: {_show(value)}")
    _demand("\0" not in value, "NUL character", f"{where} has a NUL character: {_show(value)}")
    return value


def _margin(value: Any) -> float | None:
    if value is None:
        return None
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    _demand(is_number and -1e38 < value < 1e38, "bad margin",  # about where float32 ends; nan is on neither side
            f"margin should be a number between -1e38 and 1e38, not {_show(value)}")
    return float(value)


def _id(value: Any) -> str | int | None:
    if value is None or isinstance(value, str):
        return value and _text(value, "id")
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    _demand(is_whole, "bad id", f"id should be text or a whole number, not {_show(value)}")
    return int(value)


def _demand(holds: Any, reason: Reason, message: str) -> None:
    if not holds:
        raise RowError(reason, message)


def _show(value: Any) -> str:
    """The beginning of a text, or the kind of anything else: its repr may be endless."""
    if isinstance(value, str):
        return repr(value[:40]) + ("..." if len(value) > 40 else "")
    return repr(value) if isinstance(value, float | bool) else KINDS.get(type(value), type(value).__name__)
