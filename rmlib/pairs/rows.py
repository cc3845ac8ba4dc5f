r"""One row of a preference file: the `PreferencePair` it becomes, the forms and the faults it may have.

A row is an object in one of these plain forms. All texts are stripped.

- `prompt`, `chosen`, `rejected` as text. A prompt is one human turn, or a transcript, "\n\nHuman: ...\n\nAssistant:";
  where both other texts begin with it, the responses are what follows.
- `chosen`, `rejected` as whole transcripts, whose last turn is the response.
- `chosen`, `rejected` as lists of chat messages: whole conversations, or what follows `prompt` (messages or text).
- `prompt`, `responses`, and `label` "tie" or "skip": a comparison that nobody won, which training leaves out. So is a
  row with such a `label`, `winner` or `status` beside `chosen` and `rejected`.

A prompt given beside whole conversations must occur in them. `margin` (the target margin), `id` and `subset` are
optional; null and NaN there mean absent. What else may change the meaning makes a row bad; other keys are ignored.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

from rmlib.pairs.messages import check_context, messages, plain_value, prose, text_of
from rmlib.pairs.pair import LeftOut, PreferencePair, RowError, demand, shown
from rmlib.pairs.turns import HUMAN, MARKED, MARKERS, ROLE_OF, Turn, split_turns, transcript, turns_between

USED = {"prompt", "chosen", "rejected", "margin", "id", "subset", "responses", "label", "winner", "status",
        "left", "by"}  # the last two: of `rmlib.course.labels`
OTHER_FORMS = ("system", "system_prompt", "history", "messages", "conversations", "instruction", "question")
TIE = {"tie", "ties", "tied", "draw", "equal", "equally good", "same", "both", "both bad", "both good", "bothbad",
       "neither", "no preference", "tie bothbad", "tie both bad", "a tie", "no winner", "none", "about the same",
       "similar", "equal quality", "both are good", "both are bad"}  # fmt: skip
# How a text begins that may be in a template which `rmlib.practice.templates` knows.
OTHER_MARK = re.compile(rf"\s*(?:<\||<s>|<bos>|<start_of_turn>|<extra_id|\[INST\]|(?:### ?)?(?i:{'|'.join(ROLE_OF)}):)")
LABEL_KEYS = ("label", "winner", "status")


def parse(line: bytes) -> Any:
    """The JSON value on one line of a file. Raises RowError where there is none."""
    try:
        text = line.decode().rstrip()
    except UnicodeDecodeError as error:
        at = error.start + 1
        raise RowError("not UTF-8", f"byte {at} of the line is not UTF-8: save the file as UTF-8") from error
    demand(text, "blank line", "the line is blank")
    try:
        return json.loads(text, object_pairs_hook=unique_keys)
    except RowError:
        raise
    except json.JSONDecodeError as error:
        raise RowError("not JSON", f"{error.msg} at column {error.colno}: {shown(text)}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, endless nesting
        raise RowError("not JSON", f"{error}: {shown(text)}") from error


def unique_keys(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises RowError where it has a key twice."""
    counts = Counter(key for key, _ in items)
    twice = [key for key, count in counts.items() if count > 1]
    if twice:
        raise RowError("repeated key", f"an object has {shown(twice[0])} twice: which of the two is meant?")
    return dict(items)


def read_row(row: Any, line: int) -> PreferencePair | LeftOut:
    """What a row holds. Raises RowError where it can't be used."""
    demand(isinstance(row, Mapping), "not an object", f"a row should be an object, not {shown(row)}")
    row = {key: plain_value(value) for key, value in row.items()}
    check_context(row, "the row")
    if label := no_winner(row):
        return LeftOut(line, label, f"labelled {label}: neither response was chosen")
    for key in OTHER_FORMS:
        demand(row.get(key) in (None, "", []), "another form", f"the row has {key!r}, which rmlib.practice.forms and "
               "the command line read where it is text or messages")
    for key in ("chosen", "rejected"):
        demand(key in row, "missing key", f"the row has no {key!r}")
    asked = _asked(row["prompt"]) if "prompt" in row else Asked([], "", False)
    *context, chosen = _conversation(row, asked, "chosen")
    *other, rejected = _conversation(row, asked, "rejected")
    try:
        _demand_one_prompt(context, other, asked.turns)
        demand(chosen.text, "empty response", "the response of chosen is empty")
        demand(rejected.text, "empty response", "the response of rejected is empty")
        same = chosen.text == rejected.text
        demand(not same, "identical responses", f"chosen and rejected are the same: {shown(chosen.text)}")
        margin, name, subset = _margin(row.get("margin")), _id(row.get("id")), _subset(row.get("subset"))
        return PreferencePair(tuple(context), chosen.text, rejected.text, margin, name, line, subset)
    except RowError as fault:
        fault.responses = chosen.text, rejected.text
        raise


def ignored_keys(row: Mapping) -> list[str]:
    """Keys of a row that hold something and that nothing here reads, in its order."""
    read = USED - {key for key in LABEL_KEYS if "chosen" in row and outcome_without_winner(row.get(key)) is None}
    return [str(key) for key, value in row.items() if key not in read and plain_value(value) not in (None, "", [], {})]


def no_winner(row: Mapping) -> Literal["tie", "skip"] | None:
    """What a row's label says where nobody won. Raises RowError where it has no other use than that, and doesn't."""
    has_responses = "responses" in row and "chosen" not in row
    if not has_responses and not {"chosen", "rejected"} & set(row):
        return None
    found = [outcome for key in LABEL_KEYS if (outcome := outcome_without_winner(row.get(key)))]
    for key in LABEL_KEYS:
        demand(row.get(key) != "rejected", "unknown label", f"{key} says 'rejected': was it chosen, then?")
    label = shown(row.get("label"))
    demand(found or not has_responses, "unknown label", f"label should be 'tie' or 'skip', not {label}; where one "
           "of the responses won, write it as 'chosen' and the other as 'rejected'")
    return found[0] if found else None


def outcome_without_winner(label: Any) -> Literal["tie", "skip"] | None:
    """Whether a label says "tie" or "skip", in whatever of the usual words: "Tie (both bad)", "no preference"."""
    words = re.sub(r"[\W_]+", " ", label).strip().lower() if isinstance(label, str) else ""
    return "tie" if words in TIE else "skip" if words in ("skip", "skipped", "unsure", "not sure") else None


def squash(text: str) -> str:
    """The text with each run of white space made one space, and none at the ends."""
    return " ".join(text.split())


@dataclass(frozen=True)
class Asked:
    """A row's own prompt: its turns, [] where there is none; of a single human turn or a transcript also the text."""

    turns: list[Turn]
    text: str
    is_transcript: bool


def _asked(prompt: Any) -> Asked:
    if isinstance(prompt, list | tuple):
        turns = messages(prompt, "prompt")
        return Asked(turns, turns[0].text if len(turns) == 1 else "", False)
    text = prose(prompt, "prompt")
    turns = split_turns(text, is_prompt=True)
    is_other = not turns and OTHER_MARK.match(text)
    demand(not is_other, "another form", f"the prompt begins as some template marks turns, {shown(text)}: "
           "rmlib.practice.forms reads it, and so does the command line")
    asked = turns[:-1] if turns[-1:] == [("assistant", "")] else turns
    return Asked(asked or [Turn("user", text.strip())], text.strip(), bool(turns))


def read_prompt(prompt: Any) -> tuple[Turn, ...]:
    """The turns of messages or of a transcript, else one human turn. Raises ValueError where they can't be used."""
    return tuple(_asked(prompt).turns)


def _conversation(row: Mapping, asked: Asked, side: str) -> list[Turn]:
    """All turns of one side, the last of which is the response."""
    read = _from_messages if isinstance(row[side], list | tuple) else _from_text
    turns = read(row, asked, side)
    role, text = turns[-1]
    is_answer = role == "assistant"
    demand(is_answer, "last turn not assistant", f"the last turn of {side} is not the assistant's: {shown(text)}")
    return turns


def _from_messages(row: Mapping, asked: Asked, side: str) -> list[Turn]:
    turns = messages(row[side], side)
    system = [turn for turn in asked.turns[:1] if turn.role == "system"]
    if asked.turns and _holds(turns, asked.turns[len(system) :]):
        return turns if not system or turns[:1] == system else system + turns
    goes_on = turns[0].role == "assistant" or asked.turns and asked.turns[-1].role == "assistant"
    return asked.turns + turns if goes_on else turns


def _from_text(row: Mapping, asked: Asked, side: str) -> list[Turn]:
    text = prose(row[side], side)
    whole = split_turns(text, is_prompt=False)
    if not asked.turns:
        demand(whole, "not a transcript", f"the row has no 'prompt', only {', '.join(map(repr, filter(row.get, row)))}"
               f", and {side} is no transcript that starts with {HUMAN!r}: {shown(text)}")
        return whole
    if whole and (text.startswith((HUMAN, MARKERS["system"])) or _holds(whole, asked.turns)):
        return whole
    if all(_begins(row[each], asked.text) for each in ("chosen", "rejected")):
        text = text.lstrip()[len(asked.text) :]
    answer = list(turns_between(MARKED, text, "assistant")) if asked.is_transcript else []
    return asked.turns + (answer or [Turn("assistant", text.strip())])


def _holds(turns: list[Turn], asked: list[Turn]) -> bool:
    """Whether all that was asked is said, in its order and by the same, before the last turn."""
    said = iter([(role, squash(text)) for role, text in turns[:-1]])
    return all((role, squash(text)) in said for role, text in asked)


def _begins(text: Any, prompt: str) -> bool:
    """Whether the text begins with a prompt, whose last word ends there."""
    text = text.lstrip() if isinstance(text, str) else ""
    return bool(prompt) and text.startswith(prompt) and (text[len(prompt) :][:1].isspace() or not prompt[-1].isalnum())


def _demand_one_prompt(context: list[Turn], other: list[Turn], asked: list[Turn]) -> None:
    """That both sides answer one prompt, that it is the row's own where it has one, and that it says something."""
    for side, turns in (("chosen", context), ("rejected", other)):
        said = {(role, squash(text)) for role, text in turns}
        missing = next((text for role, text in asked if (role, squash(text)) not in said), "in this order")
        demand(_holds([*turns, *turns[-1:]], asked), "prompts differ",
               f"the row's prompt, {shown(missing)}, is not in the conversation of {side}")
    if context != other:
        prompt, second = transcript(context), transcript(other)
        at = len(os.path.commonprefix([prompt, second]))
        raise RowError("prompts differ", "chosen and rejected answer different prompts: they part after "
                       f"{at} equal characters, with {shown(prompt[at:])} and {shown(second[at:])}")
    demand(any(text for _, text in context), "empty prompt", "the prompt is empty: there is nothing to answer")


def _margin(value: Any) -> float | None:
    if value is None:
        return None
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    demand(is_number and -1e38 < value < 1e38, "bad margin",  # about where float32 ends
           f"margin should be a number between -1e38 and 1e38, not {shown(value)}")
    return float(value)


def _id(value: Any) -> str | int | None:
    if value is None or isinstance(value, str):
        return value and text_of(value, "id")
    is_whole = isinstance(value, Real) and not isinstance(value, bool) and value == value // 1
    demand(is_whole, "bad id", f"id should be text or a whole number, not {shown(value)}")
    return int(value)


def _subset(value: Any) -> str | None:
    is_plain = value is None or isinstance(value, str | Real)
    demand(is_plain, "bad subset", f"subset should be text, a number, true or false, not {shown(value)}")
    is_whole = isinstance(value, float) and value.is_integer()  # 2 and 2.0 are one subset
    return None if value is None else text_of(str(int(value) if is_whole else value), "subset").strip() or None
