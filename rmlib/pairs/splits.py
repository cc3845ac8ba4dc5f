"""Which comparisons belong to one conversation, and splits that keep every conversation in one part.

A conversation is its first human turn: rows of it differ in how far they go on, so that the prompt of one can be an
earlier turn of another's, and a split by rows would show a model in training what it is tested on.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from rmlib.pairs.pair import PreferencePair
from rmlib.pairs.rows import squash

Split = tuple[list[PreferencePair], list[PreferencePair]]
# What marks turns in templates that nothing here knows: a token, anywhere ("<q>", "[SEP]", "__eou__"), or a label, in a
# text that begins with one ("Q> ...", "(user) ...", "用户：...").
TOKEN = r"__\w+__|<[^<>\s]{1,30}>|\[\[?[A-Za-z/]{2,30}\]|\{\{\w+|\|\||[-=]+>|###"
_LABEL = r"[^\w\s.,!?;'\"“‘¿¡(-]|\(?\w{1,20}(?: \w{1,20}){0,2}(?:[:>\])}|=：»*]|\s?:)"
_END = r"[:>\])}|#*=：‹«»-]"
OPENS = re.compile(rf"[^\S\n]*(?:\n\s*\S[^\n]*\n\s*\S|{TOKEN})")  # one line more may belong to the question
OPENS_LABEL = re.compile(rf"\s+(?:{_LABEL})|\w{{1,12}}：")
IS_LABELLED = re.compile(rf"(?:{_LABEL})\S*\s*[^\s{_END[1:-1]}]")  # a label, and words
IS_CLOSED = re.compile(rf"(?:{TOKEN}|\n[^\n]{{1,30}}{_END})\Z")  # a token ends it, or a line that is a label
CLOSED_LABEL = re.compile(rf"{_END}\Z")
ANOTHER = re.compile(r"\s*(?:\Z|[^\w\s]|[A-Z])|\n")  # what follows a response, if the conversation goes on after it


def conversation_keys(pairs: Sequence[PreferencePair], *others: Sequence[PreferencePair]) -> list[str]:
    """A key for each of `pairs`, equal for all pairs of one conversation, however far into it they were compared.

    It is the first human turn, with all white space made single spaces. A single human turn may be a transcript in a
    template that nothing here knows: where it goes on from another prompt of `pairs` or `others`, by two lines or more,
    a template's token, a label or one of that prompt's responses, it takes that prompt's key. The order of the pairs
    changes none.
    """
    answers: defaultdict[str, set[str]] = defaultdict(set)
    for pair in (pair for part in (pairs, *others) for pair in part):
        answers[first_turn(pair)] |= set() if single_turn(pair) is None else {pair.chosen, pair.rejected}
    keys: dict[str, str] = {}
    before: list[str] = []  # what the text at hand begins with, from the shortest on
    for text in sorted(answers):
        while before and not text.startswith(before[-1]):
            before.pop()
        earlier = (each for each in before if each and _goes_on(text, each, answers[each]))
        keys[text] = next((keys[each] for each in earlier), squash(text))
        before.append(text)
    return [keys[first_turn(pair)] for pair in pairs]


def single_turn(pair: PreferencePair) -> str | None:
    """What the human says, where that and a system turn at most is all; None where turns are known."""
    said = [turn for turn in pair.turns if turn.role != "system"]
    return said[0].text if [role for role, _ in said] == ["user"] else None


def first_turn(pair: PreferencePair) -> str:
    """What the human says first; the whole prompt where no human speaks."""
    return next((text for role, text in pair.turns if role == "user"), pair.prompt)


def _goes_on(text: str, prompt: str, answers: set[str]) -> bool:
    """Whether a text that begins with a prompt goes on with the next turn, and not with the same sentence."""
    rest = text[len(prompt) :]
    if OPENS.match(rest) or IS_CLOSED.search(prompt):
        return True
    if IS_LABELLED.match(prompt) and (CLOSED_LABEL.search(prompt) or OPENS_LABEL.match(rest)):
        return True
    said = rest.lstrip()
    in_a_word = prompt[-1].isalnum() and rest[0].isalnum()
    return not in_a_word and any(said.startswith(each) and ANOTHER.match(said[len(each) :]) for each in answers if each)


def split_by_conversation(pairs: Sequence[PreferencePair], held_out: float, seed: int = 0) -> Split:
    """(train, held out): no conversation is in both, and `held_out` is the second's share, as nearly as that allows.

    Which conversations are held out depends on them and on `seed` alone, not on the order of rows; rows keep theirs.
    Raises ValueError unless 0 < held_out < 1 and there are two conversations or more.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"held_out is a share between 0 and 1, got {held_out}")
    keys = conversation_keys(pairs)
    sizes = shuffled_sizes(keys, seed)
    if len(sizes) < 2:
        raise ValueError(f"{len(sizes)} conversation{'' if sizes else 's'} can't be split in 2 without cutting one: "
                         "give pairs from more conversations, or a held-out file of its own")
    wanted, taken, held = held_out * len(pairs), 0, set()
    for key, size in sizes.items():
        if abs(taken + size - wanted) < abs(taken - wanted):
            held.add(key)
            taken += size
    smallest = min(sizes, key=sizes.__getitem__)  # the nearest that leaves neither part empty
    if not held:
        held.add(smallest)
    elif len(held) == len(sizes):
        held.remove(smallest)
    parts: Split = [], []
    for pair, key in zip(pairs, keys):
        parts[key in held].append(pair)
    return parts


def shuffled_sizes(keys: Sequence[str], seed: int) -> dict[str, int]:
    """Number of pairs of each conversation, in an order that depends on `seed` and the conversations alone."""
    sizes = Counter(keys)
    order = sorted(sizes, key=lambda key: hashlib.sha256(f"{seed}\0{key}".encode(errors="surrogatepass")).digest())
    return {key: sizes[key] for key in order}
