"""Texts in chat templates and other transcripts, known by their marks, made into messages.

The core knows a transcript that is marked as HH-RLHF's; others are read here, before the core sees the row.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rmlib.pairs import Turn
from rmlib.pairs.rows import OTHER_MARK, squash
from rmlib.pairs.turns import MARKED, ROLE_OF, is_transcript, split_turns, turns_between

# Tokens stand anywhere, and nothing stands before the first.
TOKEN_STYLES = [re.compile(pattern) for pattern in (
    r"<\|im_start\|>(?P<role>\w+)(?:\n|<\|im_sep\|>)?",  # ChatML
    r"<\|start_header_id\|>(?P<role>\w+)<\|end_header_id\|>",  # Llama 3
    r"<start_of_turn>(?P<role>\w+)\n?",  # Gemma
    r"<\|(?P<role>system|user|assistant|prompter)\|>",  # Zephyr, Phi 3, OpenAssistant
    r"<extra_id_\d>(?P<role>System|User|Assistant)\n",  # SteerLM
    r"(?:\[|<<)(?P<role>/?INST(?=\])|/?SYS(?=>>))(?:\]|>>)",  # Llama 2, Mistral
)]  # fmt: skip
LLAMA_2 = TOKEN_STYLES[-1]
ON_ONE_LINE = [re.compile(pattern) for pattern in (
    r"(?:\A|(?<=\s)|(?<=</s>))(?P<role>USER|ASSISTANT|SYSTEM):",  # Vicuna
    r"###\s?(?P<role>Human|User|Instruction|Assistant|Response|System):",  # Guanaco, Alpaca
)]  # fmt: skip
ON_LINES = [re.compile(rf"(?:\A|\n)(?P<role>{family}):") for family in (
    "Human|Assistant|System", "User|Assistant|System", "prompter|assistant|system", "user|assistant|system",
    "human|assistant|system",
)]  # fmt: skip
LABEL_ON_LINE = re.compile(r"\s[A-Z]\w{1,20}:(?:\s|\Z)")
AROUND = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<|endoftext|>", "<|begin_of_text|>", "<end_of_turn>", "<bos>",
          "<eos>", "<s>", "</s>")  # fmt: skip


def with_messages(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row, with messages in place of its texts that are in a known template."""
    found, prompt = dict(row), row.get("prompt")
    style = style_of(prompt, is_prompt=True) if isinstance(prompt, str) else None
    asked = list(turns_of(prompt, style)) if isinstance(prompt, str) and style else []
    if asked:
        found["prompt"] = _messages(asked[:-1] if asked[-1] == ("assistant", "") else asked)
    elif isinstance(prompt, str) and OTHER_MARK.match(prompt) and not split_turns(prompt, is_prompt=True):
        found["prompt"] = _messages([Turn("user", prompt)])  # which only begins as a transcript does
    for side in ("chosen", "rejected"):
        if not isinstance(text := row.get(side), str):
            continue
        own = style_of(text, is_prompt=False)
        whole = list(turns_of(text, own)) if own else []
        if whole and (prompt is None or _holds(whole, found["prompt"])):
            found[side] = _messages(whole)
        elif style:
            found[side] = _messages(list(turns_of(text, style, "assistant")) or [Turn("assistant", "")])
    return found


def _holds(turns: list[Turn], prompt: Any) -> bool:
    chat = prompt if isinstance(prompt, list) else [{"content": prompt}]
    asked = [message.get("content") if isinstance(message, Mapping) else None for message in chat]
    said = {squash(text) for _, text in turns[:-1]}
    return all(isinstance(text, str) and squash(text) in said for text in asked)


def _messages(turns: list[Turn]) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in turns]


def turns_of(text: str, style: re.Pattern, opening: str = "system") -> Iterator[Turn]:
    """The turns of a text that is marked in one style, without the tokens that stand around them."""
    for role, said in turns_between(style, _bare(text, style), opening):
        yield Turn(role, _bare(said, style))


def style_of(text: str, is_prompt: bool) -> re.Pattern | None:
    """How the turns of a text are marked; None where it is no transcript, or one that the core knows.

    Of several ways the one is taken that starts the text, and then the one whose assistant speaks first.
    """
    fitting = [(*_places(text, style), style) for style in (MARKED, *TOKEN_STYLES, *ON_ONE_LINE, *ON_LINES)
               if _fits(text, style, is_prompt)]
    best = min(fitting, key=lambda each: each[:2], default=None)
    return None if best is None or best[-1] is MARKED else best[-1]


def _fits(text: str, style: re.Pattern, is_prompt: bool) -> bool:
    if not style.search(text):
        return False
    turns, starts_marked = list(turns_of(text, style)), bool(style.match(_bare(text, style)))
    has_answer = any(role == "assistant" for role, _ in turns)
    if not is_transcript(turns, starts_marked, is_prompt):
        return False
    if style in TOKEN_STYLES:
        return starts_marked and (has_answer or style is not LLAMA_2)
    if style in ON_ONE_LINE and not has_answer and LABEL_ON_LINE.search(turns[-1].text):
        return False
    before = style.split(_bare(text, style), maxsplit=1)[0]
    ends_sentence = style not in ON_ONE_LINE or before.rstrip(" ").endswith((".", "!", "?", ":", "\n"))
    return starts_marked or style is MARKED or has_answer and ends_sentence


def _places(text: str, style: re.Pattern) -> tuple[bool, int]:
    """Whether the text does not start with a marker, and where the first of the assistant's stands."""
    body = _bare(text, style)
    answers = (found.start() for found in style.finditer(body) if ROLE_OF.get(found["role"].lower()) == "assistant")
    return not style.match(body), next(answers, len(body))


def _bare(text: str, style: re.Pattern) -> str:
    """The text, line breaks being line feeds, without white space at its ends, nor tokens there in a chat template."""
    bare = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    while style in TOKEN_STYLES or style in ON_ONE_LINE:
        shorter = bare
        for token in AROUND:
            shorter = shorter.removeprefix(token).removesuffix(token).strip()
        if shorter == bare:
            break
        bare = shorter
    return bare
