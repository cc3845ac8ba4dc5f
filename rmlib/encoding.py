"""From a preference pair to token ids and padded batches: the one way in for training, evaluation and scoring.

The tokenizer's template is read off; what is too long is cut, the prompt's oldest tokens first; batches are made by a
budget of tokens; what was lost is told.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rmlib.pairs import PreferencePair

_log = logging.getLogger("rmlib")
OVERLONG = ("keep_response", "drop", "error")


@dataclass(frozen=True)
class EncodingSpec:
    """How a (prompt, response) becomes one sequence: prefix + prompt + between + response + suffix.

    prefix, between, suffix: token ids the tokenizer's own template puts there, EOS included.
    lead: text set before the response and tokenised with it (a space for decoders, which have no separator token).
    segment: token type of the response and what follows it; everything before it has type 0.
    max_length: tokens of a whole sequence; what is too long loses its oldest prompt tokens first.
    """

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
    def from_dict(cls, fields: dict) -> EncodingSpec:
        """The inverse of asdict. Raises ValueError, TypeError or KeyError where these are not its fields."""
        tokens = {name: tuple(map(int, fields[name])) for name in ("prefix", "between", "suffix")}
        numbers = {name: int(fields[name]) for name in ("segment", "max_length")}
        return cls(**{**fields, **tokens, **numbers, "lead": str(fields["lead"])})


def read_template(tokenizer, max_length: int, causal: bool) -> EncodingSpec:
    """The tokenizer's own template, read off from what it does to two one-letter texts.

    Encoders get the pair template ([CLS] prompt [SEP] response [SEP] for BERT); causal models, which have no use for
    a separator, get prompt and response as one text that ends in EOS, so that the last token has seen all of it.

    Raises ValueError when max_length leaves no room for text or the template can't be recognised.
    """
    first, second = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in "ab")
    whole = tokenizer("a") if causal else tokenizer("a", "b")
    ids = whole["input_ids"]
    start = _find(ids, first, 0)
    if causal:
        suffix = ids[start + len(first) :]
        if not suffix and tokenizer.eos_token_id is not None:
            suffix = [tokenizer.eos_token_id]
        spec = EncodingSpec(tuple(ids[:start]), (), tuple(suffix), " ", 0, max_length)
    else:
        end = start + len(first)
        response = _find(ids, second, end)
        segment = whole["token_type_ids"][response] if "token_type_ids" in whole else 0
        suffix = tuple(ids[response + len(second) :])
        spec = EncodingSpec(tuple(ids[:start]), tuple(ids[end:response]), suffix, "", segment, max_length)
    if spec.room < 2:
        raise ValueError(f"max_length {max_length} leaves no room for text: this template alone needs "
                         f"{max_length - spec.room} tokens; give at least {max_length - spec.room + 2}")
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
    tokenizer, pairs: Sequence[PreferencePair], spec: EncodingSpec, overlong: str = "keep_response"
) -> list[EncodedPair]:
    """Encode pairs so that the response survives and both responses see the same cut of the prompt.

    The cut must be the same for both, or an offset that depends on it would no longer cancel in the margin. So, where a
    prompt is cut, the longer response decides how far, and the reward of the other one depends on its partner.
    overlong: "keep_response" cuts the oldest prompt tokens (and, only where a response alone overfills the window,
    that response's end); "drop" leaves pairs that do not fit out; "error" raises ValueError at the first of them.

    Returns a list of EncodedPair, in order.
    """
    if overlong not in OVERLONG:
        raise ValueError(f"overlong must be one of {OVERLONG}, got {overlong!r}")
    prompts = tokenize(tokenizer, [pair.prompt for pair in pairs])
    chosen = tokenize(tokenizer, [spec.lead + pair.chosen for pair in pairs])
    rejected = tokenize(tokenizer, [spec.lead + pair.rejected for pair in pairs])
    encoded = []
    for index, parts in enumerate(zip(prompts, chosen, rejected)):
        fits = len(parts[0]) + max(len(parts[1]), len(parts[2])) <= spec.room
        if fits or overlong == "keep_response":
            encoded.append(_assemble(index, *parts, spec))
        elif overlong == "error":
            where = f" (line {pairs[index].line})" if pairs[index].line else ""
            raise ValueError(f"pair {index}{where} is longer than max_length = {spec.max_length} tokens; raise "
                             'max_length, or choose overlong="keep_response" or "drop"')
    return encoded


def tokenize(tokenizer, texts: list[str]) -> list[list[int]]:
    """Token ids of each text, without special tokens, uncut."""
    if not texts:
        return []
    # split_special_tokens: a response that spells out "[SEP]" or "</s>" must not be able to write the real one.
    options = {"add_special_tokens": False, "split_special_tokens": True, "return_attention_mask": False}
    return tokenizer(texts, verbose=False, **options)["input_ids"]


def _assemble(index, prompt, chosen, rejected, spec: EncodingSpec) -> EncodedPair:
    longest = max(len(chosen), len(rejected))
    keep = max(0, min(len(prompt), spec.room - longest))
    head = [*spec.prefix, *prompt[len(prompt) - keep :], *spec.between]
    one, other = (np.array([*head, *part[: spec.room], *spec.suffix], dtype=np.int32) for part in (chosen, rejected))
    return EncodedPair(index, one, other, len(head), len(prompt) - keep, longest > spec.room)


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
    """One line: how many of `total` pairs were cut, dropped, or made identical by the cut."""
    cut = sum(pair.prompt_cut > 0 for pair in encoded)
    response_cut = sum(pair.response_cut for pair in encoded)
    identical = sum(pair.identical for pair in encoded)
    return (f"{len(encoded)} of {total} pairs encoded: {cut} with the prompt's oldest tokens cut, "
            f"{response_cut} with a response cut, {total - len(encoded)} dropped, {identical} identical after the cut")


def tell_cuts(encoded: Sequence[EncodedPair], total: int) -> None:
    """Warn with `describe` where anything was lost."""
    if len(encoded) < total or any(pair.prompt_cut or pair.response_cut or pair.identical for pair in encoded):
        _log.warning(describe(encoded, total))
