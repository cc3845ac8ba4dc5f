"""The preflight report: what to know of a set of pairs before anything is trained on it. `rmlib.data` makes it."""

from collections.abc import Mapping
from dataclasses import dataclass

from rmlib.lengths import Lengths


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
    conversations: int  # different ones, by `conversation_key`
    shared_prompts: int  # another pair has the same prompt
    earlier_turns: int  # the prompt is an earlier turn of another pair's
    held_out: int | None  # held-out pairs; None, here and below, where none were given
    leaked_prompts: int | None  # held-out pairs whose prompt is among these pairs, too
    leaked_conversations: int | None  # held-out pairs whose conversation is
    chosen_longer: int  # in characters, over all rows whose two responses can be read, bad ones too
    chosen_shorter: int
    equal_length: int

    def __str__(self) -> str:
        reasons = ", ".join(f"{reason} {n}" for reason, n in (self.bad | self.left_out).items())
        return tabulate({"count": self}) + (f"\nrows that are no pair: {reasons}" if reasons else "")


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
        "rows whose two responses can be read": count(compared, None),
        "  chosen is longer": count(report.chosen_longer, compared),
        "  chosen is shorter": count(report.chosen_shorter, compared),
        "  both are equally long": count(report.equal_length, compared),
    }
