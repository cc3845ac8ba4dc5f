"""What a row of a preference file becomes: a `PreferencePair`, or an account of why it is none."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from rmlib.pairs.turns import MARKERS, Turn, plain_text, spoken

Reason = Literal[
    "not UTF-8", "blank line", "not JSON", "repeated key", "not an object", "missing key", "null", "not text",
    "lone surrogate", "NUL character", "empty chat", "unknown role", "last turn not assistant", "not a transcript",
    "prompts differ", "empty prompt", "empty response", "identical responses", "bad margin", "bad id", "unknown label",
    "messages as text", "another form", "can't be used", "bad subset",
]  # fmt: skip
KINDS = {dict: "an object", list: "a list", int: "a number", type(None): "null"}


@dataclass(frozen=True, init=False)
class PreferencePair:
    """One comparison: of two responses to a conversation, a person preferred `chosen` to `rejected`.

    turns: the conversation before the response; a text is a single human turn, or what `prompt` gives for several.
    Their texts are stripped. Raises ValueError for no turn, one of another role, or a response that is no text.
    """

    turns: tuple[Turn, ...]
    chosen: str
    rejected: str
    target_margin: float | None = None  # the wanted reward difference, m in formulas
    id: str | int | None = None
    line: int | None = field(default=None, compare=False)  # where it was read, from 1
    subset: str | None = None  # what part of the data it belongs to

    def __init__(self, turns: str | Iterable[tuple[str, str]], chosen: str, rejected: str,
                 target_margin: float | None = None, id: str | int | None = None, line: int | None = None,
                 subset: str | None = None):
        whole = spoken(turns) if isinstance(turns, str) else turns
        made = tuple(Turn(role, text.strip()) for role, text in whole)
        if not made or not {role for role, _ in made} <= set(MARKERS):
            raise ValueError(f"turns, (role, text) each, are of {', '.join(MARKERS)}, not {[role for role, _ in made]}")
        if not (isinstance(chosen, str) and isinstance(rejected, str)):
            raise ValueError(f"chosen and rejected should be texts, not {shown(chosen)} and {shown(rejected)}")
        self.__dict__.update(  # frozen: nothing can be set by its name
            turns=made, chosen=chosen, rejected=rejected, target_margin=target_margin, id=id, line=line, subset=subset)

    @property
    def prompt(self) -> str:
        """The turns as text: a single human turn as it is, more turns as a transcript."""
        return plain_text(self.turns)


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


class RowError(ValueError):
    """What is wrong with a row; `reason` is one of a fixed few; `responses` are there where both could be read."""

    responses: tuple[str, str] | None = None

    def __init__(self, reason: Reason, message: str):
        super().__init__(message)
        self.reason = reason


def demand(holds: Any, reason: Reason, message: str) -> None:
    if not holds:
        raise RowError(reason, message)


def shown(value: Any) -> str:
    """The beginning of a text, or the kind of anything else: its repr may be endless."""
    if isinstance(value, str):
        return repr(value[:40]) + ("..." if len(value) > 40 else "")
    return repr(value) if isinstance(value, float | bool) else KINDS.get(type(value), type(value).__name__)
