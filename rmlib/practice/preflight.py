"""The preflight report: what to know of a set of pairs before anything is trained on it."""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from rmlib.encoding import EncodingSpec, encode
from rmlib.pairs import PairSet, PreferencePair, Source, conversation_keys
from rmlib.pairs.splits import single_turn
from rmlib.practice import forms, lengths
from rmlib.practice.lengths import Lengths, TokenCounts, Tokenize


@dataclass(frozen=True)
class Preflight:
    """What a set of pairs holds that training would stumble over. Counts are of pairs where nothing else is said."""

    name: str
    rows: int  # all there were: pairs, bad rows and rows left out
    pairs: int
    bad: dict[str, int]  # rows by reason
    left_out: dict[str, int]  # rows by label
    max_length: int  # the window: tokens of prompt and response together
    edges: list[int]  # of the histograms' bins, in tokens: bin i holds what is in (edges[i], edges[i + 1]]
    prompt: Lengths
    response: Lengths  # of both responses of each pair
    whole: Lengths  # prompt and longer response together
    overlong: int  # the whole is longer than the window
    response_overlong: int  # a response alone is
    identical_cut_right: int  # both sequences are the same once the end of prompt + response is cut off (or before)
    identical_kept: int  # they are the same even if the prompt is cut, and a response only where it is too long alone
    duplicates: int  # repeat an earlier pair: same prompt, same chosen, same rejected
    contradictions: int  # another pair has the same texts and the opposite choice
    conversations: int  # different ones, by `conversation_keys`
    shared_prompts: int  # another pair has the same prompt
    earlier_turns: int  # the prompt is an earlier turn of another pair's
    held_out: int | None  # held-out pairs; None, here and below, where none were given
    leaked_prompts: int | None  # held-out pairs whose prompt is among these pairs, too
    leaked_conversations: int | None  # held-out pairs whose conversation is
    leaked_responses: int | None  # held-out pairs both of whose responses are responses of these pairs
    chosen_longer: int  # in characters, over all rows whose two responses can be read, bad ones too
    chosen_shorter: int
    equal_length: int

    def __str__(self) -> str:
        reasons = ", ".join(f"{reason} {n}" for reason, n in (self.bad | self.left_out).items())
        return tabulate({"count": self}) + (f"\nrows that are no pair: {reasons}" if reasons else "")


def preflight(
    source: Source | PairSet | Sequence[PreferencePair], tokenize: Tokenize, max_length: int,
    held_out: Source | PairSet | Sequence[PreferencePair] | None = None,
) -> Preflight:
    """Look over pairs before anything is trained on them.

    source: a PairSet, whose bad and left-out rows are counted too, pairs, or whatever `forms.read` takes.
    tokenize: the token counter; from a list of texts, one list of tokens (words, or ids without special tokens) each.
    max_length: the window, in tokens of prompt and response together: leave out what special tokens take.
    held_out: what the model will be tested on, to find what of it is trained on.

    Raises ValueError where there are no pairs, or for an impossible window or token counter.
    """
    return _report(_pair_set(source), partial(lengths.count_tokens, tokenize=tokenize), max_length, held_out)


def preflight_encoded(
    source: Source | PairSet | Sequence[PreferencePair], tokenizer, spec: EncodingSpec,
    held_out: Source | PairSet | Sequence[PreferencePair] | None = None,
) -> Preflight:
    """`preflight` with the tokens, the window and the cuts of a model's own encoding: model.tokenizer, model.encoding.

    Raises ValueError where there are no pairs, or a chat template refuses one of them.
    """
    found = _pair_set(source)
    report = _report(found, partial(lengths.count_encoded, tokenizer=tokenizer, spec=spec), spec.room, held_out)
    encoded = encode(tokenizer, found.pairs, spec)
    return replace(report, response_overlong=sum(pair.response_cut for pair in encoded),
                   identical_kept=sum(pair.identical for pair in encoded))


def _report(found: PairSet, count: Callable[[list[PreferencePair]], TokenCounts], window: int,
            held_out: Source | PairSet | Sequence[PreferencePair] | None) -> Preflight:
    if not found.pairs or window < 1:
        raise ValueError("need pairs, and a window of a token or more, got "
                         f"{len(found.pairs)} pairs and a window of {window}")
    return Preflight(
        name=found.name,
        rows=found.rows,
        pairs=len(found.pairs),
        bad=dict(Counter(row.reason for row in found.bad_rows)),
        left_out=dict(Counter(row.reason for row in found.left_out)),
        max_length=window,
        **_against_window(count(found.pairs), window),
        **_repeats(found.pairs),
        **_leaks(found.pairs, None if held_out is None else _pair_set(held_out).pairs),
        **_longer_or_shorter(found),
    )


def _against_window(counts: TokenCounts, window: int) -> dict[str, Any]:
    edges = lengths.bin_edges(int(counts.whole.max()), window)
    return {
        "edges": edges,
        "prompt": lengths.summarise_lengths(counts.prompt, edges),
        "response": lengths.summarise_lengths(np.concatenate([counts.chosen, counts.rejected]), edges),
        "whole": lengths.summarise_lengths(counts.whole, edges),
        "overlong": int((counts.whole > window).sum()),
        "response_overlong": int((counts.longer > window).sum()),
        "identical_cut_right": int(counts.identical_cut_right(window).sum()),
        "identical_kept": int(counts.identical_kept(window).sum()),
    }


def _repeats(pairs: list[PreferencePair]) -> dict[str, Any]:
    texts = Counter((pair.turns, pair.chosen, pair.rejected) for pair in pairs)
    prompts = Counter(pair.turns for pair in pairs)
    return {
        "duplicates": len(pairs) - len(texts),
        "contradictions": sum(n for (prompt, one, two), n in texts.items() if (prompt, two, one) in texts),
        "conversations": len(set(conversation_keys(pairs))),
        "shared_prompts": sum(n for n in prompts.values() if n > 1),
        "earlier_turns": sum(earlier_turns(pairs)),
    }


def _leaks(pairs: list[PreferencePair], held_out: list[PreferencePair] | None) -> dict[str, Any]:
    if held_out is None:
        return dict.fromkeys(("held_out", "leaked_prompts", "leaked_conversations", "leaked_responses"))
    prompts, conversations = {pair.turns for pair in pairs}, set(conversation_keys(pairs, held_out))
    responses = {text for pair in pairs for text in (pair.chosen, pair.rejected)}
    return {
        "held_out": len(held_out),
        "leaked_prompts": sum(pair.turns in prompts for pair in held_out),
        "leaked_conversations": sum(key in conversations for key in conversation_keys(held_out, pairs)),
        "leaked_responses": sum({pair.chosen, pair.rejected} <= responses for pair in held_out),
    }


def _longer_or_shorter(found: PairSet) -> dict[str, Any]:
    """Over all rows whose responses can be read: what is wrong with a row seldom has to do with their lengths."""
    both = [(pair.chosen, pair.rejected) for pair in found.pairs]
    both += [row.responses for row in found.bad_rows if row.responses]
    extra = [len(chosen) - len(rejected) for chosen, rejected in both]
    return {
        "chosen_longer": sum(n > 0 for n in extra),
        "chosen_shorter": sum(n < 0 for n in extra),
        "equal_length": extra.count(0),
    }


def _pair_set(source: Source | PairSet | Sequence[PreferencePair]) -> PairSet:
    if isinstance(source, PairSet):
        return source
    if isinstance(source, str | os.PathLike | Mapping):
        return forms.read(source)
    rows: list[Any] = list(source)
    if all(isinstance(row, PreferencePair) for row in rows):
        return PairSet(rows, [], [], "pairs")
    return forms.read(rows)


def earlier_turns(pairs: Sequence[PreferencePair]) -> list[bool]:
    """Of each pair, whether its prompt is an earlier turn of another pair's: its turns open the other's longer ones.

    In a template that nothing here knows, a text opens the other's, which has the same conversation's key.
    """
    turns = {pair.turns for pair in pairs}
    opened = {longer[:at] for longer in turns for at in range(1, len(longer))}
    texts = sorted({(key, text) for key, text in zip(conversation_keys(pairs), map(single_turn, pairs)) if text})
    # In this order what goes on from a text stands directly after it, before all that parts from it.
    neighbours = zip(texts, texts[1:])
    continued = {text for (key, text), (other, after) in neighbours if key == other and after.startswith(text)}
    return [pair.turns in opened or single_turn(pair) in continued for pair in pairs]


def tabulate(reports: Mapping[str, Preflight]) -> str:
    """Reports as text, side by side below their names; a line on which none of them has anything to say is left out."""
    columns = [[name.rjust(7), *_told(report).values()] for name, report in reports.items()]
    lines = [["", *_told(next(iter(reports.values())))], *columns]
    widths = [max(map(len, column)) for column in lines]
    rows = [[cell.ljust(width) for cell, width in zip(cells, widths)] for cells in zip(*lines) if any(cells[1:])]
    return "\n".join("   ".join(row).rstrip() for row in rows)


def _told(report: Preflight) -> dict[str, str]:
    """What is counted, and the count, with its share of the pairs where nothing else is said."""

    def count(number: int | None, of: int | None = report.pairs) -> str:
        return "" if number is None else f"{number:7,}" + (f"  {number / of:6.1%}" if of and number else "")

    def tokens(part: Lengths) -> str:
        return f"{part.median:7,}  {part.p95:6,}  {part.longest:6,}"

    compared = report.chosen_longer + report.chosen_shorter + report.equal_length
    bad, left_out = sum(report.bad.values()), sum(report.left_out.values())
    return {
        "rows": count(report.rows, None),
        "  bad": count(bad, report.rows),
        "  left out, nobody won": count(left_out, report.rows) if left_out else "",
        "  pairs": count(report.pairs, None),
        "conversations": count(report.conversations, None),
        "tokens of prompt: median, 95%, longest": tokens(report.prompt),
        "  of response": tokens(report.response),
        "  of prompt and longer response": tokens(report.whole),
        f"longer than {report.max_length:,} tokens": count(report.overlong),
        "  a response alone": count(report.response_overlong),
        "identical if the end were cut off": count(report.identical_cut_right),
        "  if the prompt is cut instead": count(report.identical_kept),
        "repeat of an earlier pair": count(report.duplicates),
        "same texts as another, opposite choice": count(report.contradictions),
        "prompt is another's, too": count(report.shared_prompts),
        "  is an earlier turn of another's": count(report.earlier_turns),
        "held-out pairs whose prompt is here": count(report.leaked_prompts, report.held_out),
        "  whose conversation is": count(report.leaked_conversations, report.held_out),
        "  both of whose responses are": count(report.leaked_responses, report.held_out),
        "rows whose two responses can be read": count(compared, None),
        "  chosen is longer": count(report.chosen_longer, compared),
        "  chosen is shorter": count(report.chosen_shorter, compared),
        "  both are equally long": count(report.equal_length, compared),
    }
