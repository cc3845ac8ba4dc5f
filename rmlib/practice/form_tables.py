"""The public forms that are not plain, as tables: two responses and what tells the better, and lists of rated ones."""

from collections.abc import Callable
from typing import Any

from rmlib.pairs.pair import demand, shown
from rmlib.pairs.rows import outcome_without_winner


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def by_number(value: Any) -> int:
    """0: the first is better, 1: the second."""
    other = "another number" if type(value) is int else shown(value)
    demand(value in (0, 1) and not isinstance(value, bool), "unknown label", f"should be 0 or 1, not {other}")
    return 1 - 2 * int(value)


def by_one(value: Any) -> int:
    """1: the first is better, 0: the second."""
    return -by_number(value)


def by_sign(value: Any) -> int:
    """Negative: the first is better; positive: the second; 0: a tie."""
    demand(is_number(value), "unknown label", f"should be a number, negative for the first one, not {shown(value)}")
    return (value < 0) - (value > 0)


def by_name(value: Any) -> int:
    """a, model_a: the first is better; b, model_b: the second; 0 for what says that nobody won."""
    if outcome_without_winner(value):
        return 0
    end = value.strip().lower().rpartition("_")[2] if isinstance(value, str) else ""
    demand(end in ("a", "b"), "unknown label", f"should be 'model_a', 'model_b' or 'tie', not {shown(value)}")
    return 1 if end == "a" else -1


# Two responses, the key that tells the better one, how it tells it. Whose: README has the table.
COMPARISONS: list[tuple[str, str, str, Callable[[Any], int]]] = [
    ("response_0", "response_1", "better_response_id", by_number),  # PKU-SafeRLHF
    ("response_1", "response_2", "preference_strength", by_sign),  # HelpSteer 2
    ("response_1", "response_2", "overall_preference", by_sign),
    ("response1", "response2", "overall_preference", by_sign),  # HelpSteer 3
    ("response_a", "response_b", "winner", by_name),
    ("conversation_a", "conversation_b", "winner", by_name),  # Chatbot Arena
    ("human_ref_A", "human_ref_B", "labels", by_one),  # Stanford Human Preferences
]
# Lists of responses, the keys that may hold the text of each, and those that may hold its rank or score.
LISTS = {
    "answers": (("answer", "text"), ("rank",), ("score", "pm_score")),  # Nectar; Stack Exchange
    "completions": (("response", "text"), ("rank",), ("score", "overall_score")),  # UltraFeedback
}
SYSTEM = ("system", "system_prompt", "system_message")
QUESTIONS = ("question", "instruction")  # in place of `prompt`
