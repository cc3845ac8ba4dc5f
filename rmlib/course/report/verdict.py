"""What the report says first: four figures, and a judgement in words on each question it asks."""

from __future__ import annotations

import numpy as np

from rmlib.course.report.findings import Findings
from rmlib.course.report.page import Html, element, joined, number, p_value, percent

SIGNIFICANT = 0.05
GOOD, BAD, OPEN = "good", "bad", "open"


def at_a_glance(findings: Findings) -> Html:
    """Tiles with the main figures, and the verdicts below them."""
    figures = findings.figures
    _, rule, _ = best_rule(findings)
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


def best_rule(findings: Findings):
    """The rule by length with the highest accuracy, as in Findings.rules."""
    return max(findings.rules, key=lambda row: row[1].accuracy)


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
    _, rule, test = best_rule(findings)
    p = joined("(McNemar’s test, p\u00a0", "=\u00a0" if test.p_value >= 1e-4 else "", p_value(test.p_value), ").")
    if test.p_value < SIGNIFICANT:
        if test.only_first > test.only_second:
            return GOOD, joined("Right more often than the best rule by length alone ", p)
        return BAD, joined("Right less often than ", rule.name, " would be ", p)
    return BAD, joined("Not shown to differ from the best rule by length alone ", p)


def calibration(findings: Findings) -> tuple[str, Html]:
    highest = float(np.quantile(findings.perfect, 1 - SIGNIFICANT))
    if findings.figures["ece"] <= highest:
        return GOOD, joined("Its confidence fits: a calibration error of ", number(findings.figures["ece"]),
                            " is within what luck makes of a perfectly calibrated model.")
    low, high = interval(findings.figures)
    sure = findings.mean_confidence
    if low <= sure <= high:
        return BAD, joined("Its confidence is right on average, and off in places: a calibration error of ",
                           number(findings.figures["ece"]), " is more than luck makes of a perfectly calibrated model.")
    return BAD, joined("It is ", "over" if sure > high else "under", "confident: ", percent(sure),
                       " sure on average, and right on ", percent(findings.figures["accuracy"]), ".")


def length(findings: Findings) -> tuple[str, Html]:
    bias = findings.length
    if isinstance(bias, str):
        return OPEN, joined("Whether it favours length can’t be told. ", bias)
    share, low, high = findings.longer_chosen
    told = joined("it prefers the longer of two responses in ", percent(bias.longer_preferred),
                  " of the pairs; in ", percent(share), " the longer one was chosen.")
    if bias.longer_low > high:
        return BAD, joined("It leans to long responses: ", told)
    if bias.longer_high < low:
        return BAD, joined("It leans to short responses: ", told)
    return GOOD, joined("It leans to long or short responses no more than the choices do: ", told)


