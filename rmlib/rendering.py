"""How a conversation and a response become the tokens of their parts: as plain text, or in a chat template."""

import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate

from rmlib.pairs import PreferencePair, Turn, plain_text, transcript

RENDERINGS = ("auto", "transcript", "template")
LAST_TURN = [Turn("user", "a")]


@dataclass
class Parts:
    """Tokens of a pair: its prompt is before + asked + after. Of a prompt too long `asked` loses its oldest tokens.

    ends: how many tokens at the end of each response are the template's own.
    """

    before: list[int]
    asked: list[int]
    after: list[int]
    chosen: list[int]
    rejected: list[int]
    ends: tuple[int, int] = (0, 0)

    @property
    def prompt(self) -> list[int]:
        return self.before + self.asked + self.after

    @property
    def longest(self) -> int:
        """Tokens of the longer response."""
        return max(len(self.chosen), len(self.rejected))

    @property
    def length(self) -> int:
        """Tokens of the prompt and the longer response."""
        return len(self.prompt) + self.longest


def plain_parts(tokenizer, pairs: Sequence[PreferencePair], always_transcript: bool, lead: str) -> list[Parts]:
    """A bare prompt (or, if `always_transcript`, a transcript of it) and responses, each tokenised by itself."""
    write = transcript if always_transcript else plain_text
    prompts = tokenize(tokenizer, [write(pair.turns) for pair in pairs])
    chosen = tokenize(tokenizer, [lead + pair.chosen for pair in pairs])
    rejected = tokenize(tokenizer, [lead + pair.rejected for pair in pairs])
    return [Parts([], prompt, [], one, other) for prompt, one, other in zip(prompts, chosen, rejected)]


def tokenize(tokenizer, texts: list[str]) -> list[list[int]]:
    """Token ids of each text, without special tokens, uncut."""
    if not texts:
        return []
    # split_special_tokens: a response that spells out "[SEP]" or "</s>" must not be able to write the real one.
    options = {"add_special_tokens": False, "split_special_tokens": True, "return_attention_mask": False}
    return tokenizer(texts, verbose=False, **options)["input_ids"]


def template_parts(tokenizer, pairs: Sequence[PreferencePair]) -> list[Parts]:
    """Parts in the tokenizer's chat template: ids as its `apply_chat_template` gives them.

    Only where a text spells a special token do they differ: that text stays text. Raises ValueError where the template
    refuses a conversation.
    """
    frame = cache(lambda roles: _frame(tokenizer, roles))
    texts = []
    for pair in pairs:
        for response in (pair.chosen, pair.rejected):
            turns = [*pair.turns, Turn("assistant", response)]
            try:
                literals = frame(tuple(role for role, _ in turns))
                contents = _as_written(tokenizer, turns, literals)
            except ValueError as error:
                raise ValueError(f"{f'line {pair.line}: ' if pair.line else ''}{error}") from error
            texts.append([piece for both in zip(literals, contents) for piece in both] + literals[-1:])
    pieces = iter(_tokens_of_pieces(tokenizer, texts))
    return [_parts(pair.turns, next(pieces), next(pieces)) for pair in pairs]


def without_oldest_turns(tokenizer, pair: PreferencePair, room: int) -> Parts:
    """Parts of a pair with as few whole turns left out as make it fit `room` tokens: the oldest first, and a system
    turn last of all. The last human turn stays, fit or not."""
    asked = [at for at, (role, _) in enumerate(pair.turns) if role == "user"] or [len(pair.turns) - 1]
    system = [turn for turn in pair.turns[: asked[0]] if turn.role == "system"]
    shorter = [system + list(pair.turns[at:]) for at in asked] + [list(pair.turns[asked[-1] :])]
    for turns in shorter:
        [parts] = template_parts(tokenizer, [replace(pair, turns=tuple(turns))])
        if parts.length <= room:
            break
    return parts


def _parts(turns: Sequence[Turn], chosen: list[list[int]], rejected: list[list[int]]) -> Parts:
    """From the tokens of literal, text, literal, ... of both sides: a response is the last text and what follows it.

    What was asked is the last human turn, and whatever was said after it.
    """
    asked = 2 * max((at for at, (role, _) in enumerate(turns) if role == "user"), default=len(turns) - 1) + 1
    after, other = chosen[-3], rejected[-3]
    equal = len(os.path.commonprefix([after, other]))  # a space may have become part of the one and not of the other
    return Parts(sum(chosen[:asked], []), sum(chosen[asked:-3], []), after[:equal],
                 after[equal:] + chosen[-2] + chosen[-1], other[equal:] + rejected[-2] + rejected[-1],
                 (len(chosen[-1]), len(rejected[-1])))


def _as_written(tokenizer, turns: Sequence[Turn], literals: list[str]) -> Sequence[str]:
    """The texts as the template writes them between its literals: some leave out thoughts, for instance."""
    texts = [text for _, text in turns]
    written = tokenizer.apply_chat_template([{"role": role, "content": text} for role, text in turns], tokenize=False)
    if written == "".join(piece for both in zip(literals, texts) for piece in both) + literals[-1]:
        return texts
    found = re.fullmatch("(.*?)".join(map(re.escape, literals)), written, re.DOTALL)
    if not found:
        raise ValueError("the tokenizer's chat template writes other marks around these texts than around others; "
                         '"transcript" renders all conversations')
    return found.groups()


def _frame(tokenizer, roles: tuple[str, ...]) -> list[str]:
    """What the template writes before, between and after turns of these roles."""
    messages = [{"role": role, "content": f"\x02{at}\x03"} for at, role in enumerate(roles)]
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False)
    except Exception as error:  # a template raises what it likes
        raise ValueError(f"the tokenizer's chat template refuses turns of {', '.join(roles)}: {error}; "
                         '"transcript" renders all conversations') from error
    literals, places = re.split("\x02[0-9]+\x03", text), re.findall("\x02([0-9]+)\x03", text)
    if places != [str(at) for at in range(len(roles))]:
        raise ValueError(f"the tokenizer's chat template does not write each of the turns of {', '.join(roles)} once, "
                         'in order; "transcript" renders all conversations')
    return literals


def _tokens_of_pieces(tokenizer, texts: list[list[str]]) -> Iterator[list[list[int]]]:
    """The tokens of each piece of each text, literal, text, literal, ...; a token of both is the text's.

    Raises ValueError for a tokenizer that can't tell where its tokens stand.
    """
    special = [re.escape(token.content) for token in tokenizer.added_tokens_decoder.values() if token.special]
    spells = re.compile("|".join(special) or r"\Z.", re.IGNORECASE)
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError("a chat template needs a fast tokenizer, which tells where in the text its tokens stand; "
                         '"transcript" takes any')
    options = {"add_special_tokens": False, "return_offsets_mapping": True, "return_attention_mask": False}
    whole = tokenizer(["".join(pieces) for pieces in texts], verbose=False, **options) if texts else {}
    for at, pieces in enumerate(texts):
        if any(spells.search(text) for text in pieces[1::2]):
            literals = tokenizer(pieces[::2], add_special_tokens=False, verbose=False)["input_ids"]
            contents = tokenize(tokenizer, pieces[1::2])
            yield [(literals if i % 2 == 0 else contents)[i // 2] for i in range(len(pieces))]
        else:
            yield _by_piece(pieces, whole["input_ids"][at], whole["offset_mapping"][at])


def _by_piece(pieces: list[str], ids: list[int], offsets: list[tuple[int, int]]) -> list[list[int]]:
    starts = [0, *accumulate(map(len, pieces[:-1]))]
    found: list[list[int]] = [[] for _ in pieces]
    for token, (start, end) in zip(ids, offsets):
        first = bisect_right(starts, start if start < end else max(start - 1, 0)) - 1
        last = bisect_right(starts, max(end - 1, 0)) - 1
        found[first if first % 2 or last <= first else first + 1].append(token)
    return found
