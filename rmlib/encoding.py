"""From a preference pair to token ids and padded batches: the one way in for training, evaluation and scoring.

How a conversation is rendered is part of the encoding, which is saved with the model; what is too long is cut at the
beginning of the prompt; batches are made by a budget of tokens; what was lost is told.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rmlib.pairs import PreferencePair
from rmlib.rendering import LAST_TURN, RENDERINGS, Parts, plain_parts, template_parts, without_oldest_turns

_log = logging.getLogger("rmlib")
RENDERED_AS = {"prompt": "a single question as bare text, more turns as a transcript", "transcript": "transcripts",
               "template": "the tokenizer's chat template"}
OVERLONG = ("keep_response", "drop", "error")


@dataclass(frozen=True)
class EncodingSpec:
    """How a (prompt, response) becomes one sequence: prefix + prompt + between + response + suffix.

    rendering: "prompt" (a single human turn as bare text, more turns as a transcript), "transcript" (always one), or
    "template": the tokenizer's chat template, all of whose own tokens count as the prompt's and the response's.
    prefix, between, suffix: token ids that the tokenizer itself puts there, EOS included.
    lead: text set before the response and tokenised with it (a space for decoders, which have no separator token).
    segment: token type of the response and what follows it; everything before it has type 0.
    max_length: tokens of a whole sequence; what is too long loses the beginning of its prompt.
    """

    rendering: str
    prefix: tuple[int, ...]
    between: tuple[int, ...]
    suffix: tuple[int, ...]
    lead: str
    segment: int
    max_length: int

    @property
    def room(self) -> int:
        """Tokens left for prompt and response."""
        return self.max_length - len(self.prefix) - len(self.between) - len(self.suffix)

    @classmethod
    def from_dict(cls, fields: dict) -> "EncodingSpec":
        """The inverse of asdict. Raises ValueError, TypeError or KeyError where these are not its fields."""
        tokens = {name: tuple(map(int, fields[name])) for name in ("prefix", "between", "suffix")}
        numbers = {name: int(fields[name]) for name in ("segment", "max_length")}
        texts = {name: str(fields[name]) for name in ("lead", "rendering")}
        if texts["rendering"] not in RENDERED_AS:
            raise ValueError(f"no such rendering: {texts['rendering']!r}")
        return cls(**{**fields, **tokens, **numbers, **texts})

    def __str__(self) -> str:
        return RENDERED_AS[self.rendering]


def read_spec(tokenizer, max_length: int, causal: bool, rendering: str = "auto") -> EncodingSpec:
    """The tokenizer's own way with two texts, read off from what it does to two letters; or its chat template.

    rendering: "template" for the chat template, "transcript" for none, "auto" for the template where there is one.
    Without one encoders get the pair template ([CLS] prompt [SEP] response [SEP] for BERT), a single question being
    bare; causal models, which have no separator, get one text that ends in EOS, so that the last token has seen all of
    it, and always a transcript, since a bare question and its answer would run together.

    Raises ValueError when max_length leaves no room for text, or there is no template, or it can't be recognised.
    """
    if rendering not in RENDERINGS:
        raise ValueError(f"rendering must be one of {RENDERINGS}, got {rendering!r}")
    has_template = bool(getattr(tokenizer, "chat_template", None))
    if rendering == "template" and not has_template:
        raise ValueError('the tokenizer has no chat template: choose the rendering "transcript"')
    if has_template and rendering != "transcript":
        [probe] = template_parts(tokenizer, [PreferencePair(tuple(LAST_TURN), "b", "c")])
        spec = EncodingSpec("template", (), (), (), "", 0, max_length)
        return _with_room(spec, len(probe.before + probe.after) + probe.ends[0])
    first, second = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in "ab")
    whole = tokenizer("a") if causal else tokenizer("a", "b")
    ids = whole["input_ids"]
    start = _find(ids, first, 0)
    if causal:
        suffix = ids[start + len(first) :]
        if not suffix and tokenizer.eos_token_id is not None:
            suffix = [tokenizer.eos_token_id]
        spec = EncodingSpec("transcript", tuple(ids[:start]), (), tuple(suffix), " ", 0, max_length)
    else:
        end = start + len(first)
        response = _find(ids, second, end)
        segment = whole["token_type_ids"][response] if "token_type_ids" in whole else 0
        between, suffix = tuple(ids[end:response]), tuple(ids[response + len(second) :])
        spec = EncodingSpec("prompt", tuple(ids[:start]), between, suffix, "", segment, max_length)
    return _with_room(spec, 0)


def _with_room(spec: EncodingSpec, taken: int) -> EncodingSpec:
    needed = spec.max_length - spec.room + taken
    if spec.room - taken < 2:
        raise ValueError(f"max_length {spec.max_length} leaves no room for text: this template alone needs {needed} "
                         f"tokens; give at least {needed + 2}")
    return spec


def _find(ids: list[int], part: list[int], start: int) -> int:
    for position in range(start, len(ids) - len(part) + 1):
        if part and ids[position : position + len(part)] == part:
            return position
    raise ValueError(f"can't recognise the tokenizer's template: {part} does not occur in {ids}")


@dataclass(frozen=True, eq=False)
class EncodedPair:
    """Token ids of both sequences, int32; the prompt part, [0, response_start), is the same in both."""

    index: int  # position of the pair in the list that was encoded
    chosen: np.ndarray  # (T_c,)
    rejected: np.ndarray  # (T_r,)
    response_start: int
    prompt_cut: int  # prompt tokens left out
    response_cut: bool  # a response alone was longer than the window and lost its end

    @property
    def length(self) -> int:
        return max(len(self.chosen), len(self.rejected))

    @property
    def identical(self) -> bool:
        return np.array_equal(self.chosen, self.rejected)


def encode(
    tokenizer, pairs: Sequence[PreferencePair], spec: EncodingSpec, overlong: str = "keep_response",
    same_cut: bool = False,
) -> list[EncodedPair]:
    """Encode pairs so that the response survives and both responses see the same cut of the prompt.

    The cut must be the same for both, or an offset that depends on it would no longer cancel in the margin. So, where a
    prompt is cut, the longer response decides how far, and the reward of the other one depends on its partner.
    overlong: "keep_response" cuts the oldest prompt tokens (and, only where a response alone overfills the window,
    that response's end); "drop" leaves pairs that do not fit out; "error" raises ValueError at the first of them.

    Of a chat template whole turns go, as few as need be, before tokens of the last question do.
    same_cut: for pairs of one prompt, all of which then see the cut that the longest response of all needs.
    Raises ValueError also where a chat template refuses a conversation, or `pairs` is no list of them.
    """
    if overlong not in OVERLONG:
        raise ValueError(f"overlong must be one of {OVERLONG}, got {overlong!r}")
    if not (isinstance(pairs, Sequence) and all(isinstance(pair, PreferencePair) for pair in pairs)):
        raise ValueError(f"pairs should be a list of PreferencePair, as read_pairs(...).pairs is: {repr(pairs)[:60]}")
    encoded, uncut = [], part_tokens(tokenizer, pairs, spec)
    longest = max((parts.length for parts in uncut), default=0)
    for index, (pair, parts) in enumerate(zip(pairs, uncut)):
        room = spec.room - (longest - parts.length if same_cut else 0)
        is_long, tokens = parts.length > room, len(parts.prompt)
        if is_long and spec.rendering == "template" and overlong == "keep_response":
            parts = without_oldest_turns(tokenizer, pair, room)
        if not is_long or overlong == "keep_response":
            encoded.append(_assemble(index, parts, tokens, spec, room))
        elif overlong == "error":
            where = f" (line {pair.line})" if pair.line else ""
            raise ValueError(f"pair {index}{where} is longer than max_length = {spec.max_length} tokens; raise "
                             'max_length, or choose overlong="keep_response" or "drop"')
    return encoded


def part_tokens(tokenizer, pairs: Sequence[PreferencePair], spec: EncodingSpec) -> list[Parts]:
    """Tokens of the prompts and responses of all pairs, uncut. Raises ValueError where a chat template refuses one."""
    if spec.rendering == "template":
        return template_parts(tokenizer, pairs)
    return plain_parts(tokenizer, pairs, spec.rendering == "transcript", spec.lead)


def _assemble(index: int, parts: Parts, uncut: int, spec: EncodingSpec, room: int) -> EncodedPair:
    """One pair, its prompt cut to fit `room`; uncut: tokens that the prompt has where nothing is left out."""
    over = max(0, parts.length - room)
    prompt = [*parts.before, *parts.asked[over:], *parts.after]
    space = spec.room - len(prompt)
    head = [*spec.prefix, *prompt, *spec.between]
    one, other = (
        np.array([*head, *_cut(response, space, end), *spec.suffix], dtype=np.int32)
        for response, end in zip((parts.chosen, parts.rejected), parts.ends)
    )
    return EncodedPair(index, one, other, len(head), uncut - len(prompt), parts.longest > space)


def _cut(response: list[int], space: int, end: int) -> list[int]:
    """The response, without its last tokens before the template's own `end` where there is no space for them."""
    if len(response) <= space:
        return response
    return response[: space - end] + response[len(response) - end :]


def micro_batches(pairs: Sequence[EncodedPair], token_budget: int) -> list[list[EncodedPair]]:
    """Pairs in order of length, cut so that a batch holds at most token_budget padded tokens (at least one pair).

    Neighbours of like length waste little padding; small batches stay in a CPU's cache, large ones fill a GPU.
    """
    batches: list[list[EncodedPair]] = []
    for pair in sorted(pairs, key=lambda pair: (pair.length, pair.index)):
        # Ascending lengths: the pair at hand sets the padded length of a batch it joins.
        if batches and 2 * (len(batches[-1]) + 1) * pair.length <= token_budget:
            batches[-1].append(pair)
        else:
            batches.append([pair])
    return batches


def collate(pairs: Sequence[EncodedPair], spec: EncodingSpec, pad_id: int = 0, pad_side: str = "right") -> dict:
    """Pad P pairs to one batch of 2P rows, the chosen responses first, then the rejected ones.

    Returns input_ids and attention_mask, and token_type_ids where the template has two segments, each int64 (2P, T).
    Raises ValueError for a pad_side that is neither "right" nor "left".
    """
    if pad_side not in ("right", "left"):
        raise ValueError(f'pad_side must be "right" or "left", got {pad_side!r}')
    rows = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
    starts = [pair.response_start for pair in pairs] * 2
    longest = max(len(row) for row in rows)
    shape = (len(rows), longest)
    input_ids = torch.full(shape, pad_id)  # (2P, T)
    attention_mask = torch.zeros(shape, dtype=torch.long)
    token_type_ids = torch.zeros(shape, dtype=torch.long)
    for i, (row, start) in enumerate(zip(rows, starts)):
        offset = longest - len(row) if pad_side == "left" else 0
        input_ids[i, offset : offset + len(row)] = torch.from_numpy(row)
        attention_mask[i, offset : offset + len(row)] = 1
        token_type_ids[i, offset + start : offset + len(row)] = spec.segment
    batch = {"input_ids": input_ids, "attention_mask": attention_mask}
    # GPT-2 would add an embedding for segment 0 as well, so a template of one segment says nothing of segments.
    return {**batch, "token_type_ids": token_type_ids} if spec.segment else batch


def describe(encoded: Sequence[EncodedPair], total: int) -> str:
    """One line: how many of `total` pairs were cut, dropped, or have responses of equal tokens."""
    cut = sum(pair.prompt_cut > 0 for pair in encoded)
    response_cut = sum(pair.response_cut for pair in encoded)
    after_cut = sum(pair.identical for pair in encoded if pair.response_cut)
    as_tokens = sum(pair.identical for pair in encoded) - after_cut
    told = (f"{len(encoded)} of {total} pairs encoded: {cut} with the prompt's oldest tokens cut, "
            f"{response_cut} with a response cut, {total - len(encoded)} dropped, {after_cut} identical after the cut")
    return told + (f", {as_tokens} identical to the tokenizer, whose tokens tell no difference" if as_tokens else "")


def tell_cuts(encoded: Sequence[EncodedPair], total: int) -> None:
    """Warn with `describe` where anything was lost."""
    if len(encoded) < total or any(pair.prompt_cut or pair.response_cut or pair.identical for pair in encoded):
        _log.warning(describe(encoded, total))
