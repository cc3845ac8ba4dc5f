"""The pairs on which the model is most surely wrong, behind a warning: real comparisons can be hard to read."""

import numpy as np

from rmlib.evaluation import confidences
from rmlib.practice.report.findings import Findings
from rmlib.practice.report.page import Html, element, fold, joined, number, paragraph, percent

MOST = 10
LONGEST = 1500  # characters of a text that are shown


def mistakes(findings: Findings) -> Html:
    worst = findings.worst[:MOST]
    if not worst:
        return paragraph("There are none: the model prefers no rejected response to the chosen one.")
    told = ("the mistake" if len(findings.worst) == 1 else f"all {len(worst)} mistakes" if len(worst) < MOST
            else f"the {MOST} worst of {len(findings.worst):,} mistakes")
    return joined(
        paragraph("The pairs on which the model is surest of the response that was not chosen. Each is a question to "
                  "ask: was the model wrong, or the label?"),
        element("div", paragraph(_content_note(findings)), class_="note", role="note"),
        fold(f"Show {told}", *(_mistake(findings, rank, i) for rank, i in enumerate(worst, start=1))),
    )


def _content_note(findings: Findings) -> Html:
    if findings.gold is not None:
        return joined("These texts are of the course’s own gold world: short, made up and harmless.")
    return joined(element("strong", "Content note."), " These are texts of the evaluated pairs, word for word. Real "
                  "comparisons, HH-RLHF among them, hold offensive and upsetting conversations. They stay folded, on "
                  "paper too, until you open them.")


def _mistake(findings: Findings, rank: int, index: int) -> Html:
    pair, margin = findings.pairs[index], float(findings.margins[index])
    [confidence] = confidences(np.array([margin])).tolist()
    place = f", line {pair.line:,}" if pair.line is not None else ""
    place += f", id {pair.id}" if pair.id not in (None, "") else ""
    gold = ["."] if findings.gold is None else [". Gold margin ", number(float(findings.gold[index]), 1), "."]
    return element(
        "article",
        element("h3", f"Mistake {rank}{place}"),
        paragraph("Margin ", number(margin, 2), ": ", percent(confidence), " sure of the rejected response", *gold),
        _text("Prompt", pair.prompt, keep_end=True),
        element("div", element("div", _text("Chosen", pair.chosen)), element("div", _text("Rejected", pair.rejected)),
                class_="texts"),
    )


def _text(label: str, text: str, keep_end: bool = False) -> Html:
    """A text with its label; of a long one the end, or the beginning, and how much is missing."""
    text, missing = text.strip(), max(0, len(text.strip()) - LONGEST)
    if missing:
        text = f"… {text[-LONGEST:]}" if keep_end else f"{text[:LONGEST]} …"
        label += f" (its {'last' if keep_end else 'first'} {LONGEST:,} of {LONGEST + missing:,} characters)"
    return joined(paragraph(label, class_="label"), element("div", text, class_="text", dir="auto"))
