"""Texts and chat messages of a row, taken as they are or refused in words."""

import re
from collections.abc import Mapping
from typing import Any

from rmlib.pairs.pair import RowError, demand, shown
from rmlib.pairs.turns import MARKERS, ROLE_OF, Turn

# What these hold is part of the question, so a row that has one can't be read without it.
UNUSABLE = ("tools", "functions", "tool_calls", "function_call", "reasoning_content", "images", "image", "audio",
            "audios", "video", "videos", "documents", "context")  # fmt: skip
LONE_SURROGATE, LINE_END = re.compile("[\ud800-\udfff]"), re.compile("\r\n?")
IN_MESSAGES = (*UNUSABLE, "reasoning", "thinking", "image_url", "input_audio")
WHO = re.compile(rf"""['"](?:role|from)['"\\]+\s*:\s*['"\\]+(?:{"|".join(ROLE_OF)})['"\\]""")


def messages(chat: list | tuple, where: str) -> list[Turn]:
    """The turns of a list of chat messages. Raises RowError where it can't be used."""
    demand(chat, "empty chat", f"{where} is an empty list of messages")
    turns = [_turn(message, f"message {number} of {where}") for number, message in enumerate(chat, start=1)]
    turns = [turn for turn in turns if turn != ("system", "")]
    demand(turns, "empty chat", f"{where} has no message but an empty one of the system")
    return turns


def _turn(message: Any, where: str) -> Turn:
    if isinstance(message, RowError):
        raise message
    demand(isinstance(message, Mapping), "not an object", f"{where} should be an object, not {shown(message)}")
    check_context(message, where, IN_MESSAGES)
    by_from = message.get("role") is None and message.get("from") is not None
    names = ("from", "value") if by_from else ("role", "content")
    for key in names:
        demand(key in message, "missing key", f"{where} has no {key!r}")
    role, content = text_of(message[names[0]], f"the {names[0]} of {where}"), plain_value(message[names[1]])
    known = ROLE_OF.get(role.strip().lower(), "")
    demand(known, "unknown role", f"{where} has the role {shown(role)}; known are {', '.join(MARKERS)} and their like")
    parts = content if isinstance(content, list | tuple) else [{"type": "text", "text": content}]
    said = ""
    for part in (_part(part, f"the content of {where}") for part in parts):
        meets = said and part and not said[-1].isspace() and not part[0].isspace()
        said += f" {part}" if meets else part
    return Turn(known, said.strip())


def _part(part: Any, where: str) -> str:
    if isinstance(part, str):
        return text_of(part, where)
    kind = part.get("type") if isinstance(part, Mapping) else part
    is_text = kind in ("text", "input_text", "output_text")
    demand(is_text, "not text", f"{where} has a part that is not text: {shown(kind)}")
    return text_of(part.get("text"), where)


def prose(value: Any, where: str) -> str:
    text = text_of(value, where)
    is_chat = re.match(r"\s*['\"]?(?:\w+\()?[\[({]", text) and WHO.search(text)
    demand(not is_chat, "messages as text", f"{where} is a list of messages written as text: give the list itself "
           f"(json.loads or ast.literal_eval makes it): {shown(text)}")
    return text


def text_of(value: Any, where: str) -> str:
    demand(value is not None, "null", f"{where} is null: text belongs there")
    demand(isinstance(value, str), "not text", f"{where} should be text, not {shown(value)}")
    is_whole = not LONE_SURROGATE.search(value)
    demand(is_whole, "lone surrogate", f"{where} has half a surrogate pair, which is no character: {shown(value)}")
    demand("\0" not in value, "NUL character", f"{where} has a NUL character: {shown(value)}")
    return LINE_END.sub("\n", value.replace("\ufeff", ""))


def check_context(holder: Mapping, where: str, unusable: tuple[str, ...] = UNUSABLE) -> None:
    """Raises RowError where `holder`, a row or a message, has what belongs to the conversation and can't be used."""
    for key in unusable:
        demand(not plain_value(holder.get(key)), "can't be used", f"{where} has {key!r}, which belongs to the "
               "conversation and can't be used: write it into the text, or leave it out")


def plain_value(value: Any) -> Any:
    """A value of numpy or pandas as Python's own, lines ended by line feeds; what is missing, NaN among it, as None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
        value = list(map(plain_value, value)) if isinstance(value, list) else value
    is_missing = isinstance(value, float) and value != value or type(value).__name__ in ("NAType", "NaTType")
    return None if is_missing else LINE_END.sub("\n", value) if isinstance(value, str) else value
