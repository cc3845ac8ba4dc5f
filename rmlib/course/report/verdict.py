"""What the report says first: four figures, and a judgement in words on each question it asks."""

from __future__ import annotations

import numpy as np

from rmlib.course.report.findings import Findings, Rule
from rmlib.course.report.page import Html, element, joined, number, p_value, percent

SIGNIFICANT = 0.05
GOOD, BAD, OPEN = "good", "bad", "open"


def at_a_glance(findings: Findings) -> Html:
    """Tiles with the main figures, and the verdicts below them."""
    figures = findings.figures
    rule = best_rule(findings).accuracy
    low, high = interval(figures)
    tiles = element("dl", *(
        element("div", element("dt", name), element("dd", value), element("dd", remark)) for name, value, remark in (
            ("Right on", percent(figures["accuracy"]), joined("95% interval ", percent(low), " to ", percent(high))),
            ("Best length rule", percent(rule.accuracy), rule.name),
            ("Calibration error", number(figures["ece"]),
             joined(number(figures["ece_floor"]), " would be luck alone")),
            ("Pairs", number(figures["pairs"], 0), joined("of ", number(figures["conversations"], 0), " ",
                                                          counted(figures["conversations"], "conversation"))),
        )), class_="tiles")
    verdicts = [accuracy(findings), against_rules(findings), calibration(findings), length(findings)]
    judged = (element("li", text, class_=kind) for kind, text in verdicts)
    return joined(tiles, element("ul", *judged, class_="verdict"))


def interval(figures: dict) -> tuple[float, float]:
    """The interval to go by: that over whole conversations, or Wilson's where there is one conversation alone."""
    name = "clustered" if figures["conversations"] > 1 else "accuracy"
    return figures[f"{name}_low"], figures[f"{name}_high"]


def best_rule(findings: Findings) -> Rule:
    """The rule by length with the highest accuracy: chosen on these very pairs, which favours the rule."""
    return max(findings.rules, key=lambda rule: rule.accuracy.accuracy)


def counted(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def accuracy(findings: Findings) -> tuple[str, Html]:
    low, high = interval(findings.figures)
    if low > 0.5:
        return GOOD, joined("Better than a coin: even the low end of its interval, ", percent(low), ", is above 50%.")
    if high < 0.5:
        return BAD, joined("Worse than a coin: its interval ends at ", percent(high), ". Are chosen and rejected "
                           "swapped, here or in its training?")
    return BAD, joined("Not shown to be better than a coin: its interval, ", percent(low), " to ", percent(high),
                       ", holds 50%.")


def against_rules(findings: Findings) -> tuple[str, Html]:
    rule = best_rule(findings)
    p = rule.test.p_value
    told = joined("(lead ", percent(rule.lead_low), " to ", percent(rule.lead_high), "; McNemar’s test, p\u00a0",
                  "=\u00a0" if p >= 1e-4 else "", p_value(p), ").")
    if p < SIGNIFICANT and rule.lead_low > 0:
        return GOOD, joined("Right more often than the best rule by length alone ", told)
    if p < SIGNIFICANT and rule.lead_high < 0:
        return BAD, joined("Right less often than ", rule.accuracy.name, " would be ", told)
    return BAD, joined("Not shown to differ from the best rule by length alone ", told)


def calibration(findings: Findings) -> tuple[str, Html]:
    ece = findings.figures["ece"]
    luck = joined("of perfectly calibrated models one in twenty would show more than ",
                  number(highest := float(np.quantile(findings.perfect, 1 - SIGNIFICANT))))
    if ece <= highest:
        return GOOD, joined("Its confidence fits, as far as ", number(findings.figures["pairs"], 0), " pairs can tell: "
                            "its calibration error is ", number(ece), "; ", luck, ".")
    low, high = findings.overconfidence
    mended = [] if "calibrated" not in findings.figures else [
        " At the temperature of the validation pairs the error is ", number(findings.figures["calibrated"]["ece"]), "."]
    if low <= 0 <= high:
        return BAD, joined("Its confidence is right on average, and off in places: its calibration error is ",
                           number(ece), "; ", luck, ".", *mended)
    return BAD, joined("It is ", "over" if low > 0 else "under", "confident: ", percent(findings.mean_confidence),
                       " sure on average, and right on ", percent(findings.figures["accuracy"]),
                       "; its calibration error is ", number(ece), ", and ", luck, ".", *mended)


def length(findings: Findings) -> tuple[str, Html]:
    longer = findings.longer
    if isinstance(longer, str):
        return OPEN, joined("Whether it favours length can’t be told. ", longer)
    told = joined("by its probabilities the longer of two responses is the better one in ", percent(longer.expected),
                  " of the pairs; it was chosen in ", percent(longer.chosen), " (the difference: ",
                  percent(longer.excess_low), " to ", percent(longer.excess_high), ").")
    if longer.excess_low > 0:
        return BAD, joined("It leans to long responses, more than the choices do: ", told)
    if longer.excess_high < 0:
        return BAD, joined("It leans to short responses, more than the choices do: ", told)
    return GOOD, joined("It leans to long or short responses no more than the choices do: ", told)


