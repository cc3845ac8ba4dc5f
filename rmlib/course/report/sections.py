"""The parts of the report, in order: each puts some findings into words, a table and a picture."""

from __future__ import annotations

import math
from collections import Counter

from rmlib.course.plots import evaluation as figures_of
from rmlib.course.report.findings import WINDOW, Findings, quantiles
from rmlib.course.report.mistakes import mistakes
from rmlib.course.report.page import Html, joined, number, p_value, paragraph, percent, picture, table
from rmlib.course.report.verdict import best_rule, counted
from rmlib.world import realised_agreement

COIN = {"nll": math.log(2), "brier": 0.25}
MEASURES = {
    "nll": "Negative log-likelihood", "brier": "Brier score", "ece": "Calibration error",
    "ece_floor": "Calibration error by luck",
}


def evaluated(findings: Findings) -> Html:
    found, figures = findings.found, findings.figures
    bad, left_out = (Counter(row.reason for row in rows) for rows in (found.bad_rows, found.left_out))
    read = len(found.pairs) + bad.total() + left_out.total()
    rows = [("Rows read", number(read, 0)), ("Pairs used", number(figures["pairs"], 0)),
            ("Conversations they come from", number(figures["conversations"], 0))]
    rows += [(f"Rows skipped: {reason}", number(count, 0)) for reason, count in bad.items()]
    rows += [(f"Rows left out: {reason}", number(count, 0)) for reason, count in left_out.items()]
    return joined(
        paragraph("What this page says holds for these pairs and for others like them, provided that the model was "
                  "trained neither on them nor on other parts of their conversations. That can’t be checked here: the "
                  "page knows the pairs, and not the training."),
        table("The pairs and the model", [], [
            (f"Pairs: {found.name}", rows), (f"Model: {findings.model_name}", findings.model_facts)]),
    )


def accuracy(findings: Findings) -> Html:
    figures = findings.figures
    rows = [
        ("Right", percent(figures["accuracy"])),
        ("95% interval, pairs taken as independent (Wilson)", _to(figures["accuracy_low"], figures["accuracy_high"])),
        ("95% interval, whole conversations (bootstrap)", _to(figures["clustered_low"], figures["clustered_high"])),
        ("Ties, each counted as half right", number(figures["ties"], 0)),
    ]
    return joined(
        paragraph("The model is right on a pair when it gives the chosen response the higher reward. On other pairs of "
                  "the same kind it would score a little higher or lower. An interval says how much: of 100 intervals "
                  "made like this, each from new pairs, about 95 hold the accuracy on all such pairs."),
        paragraph("The first interval takes every pair as news of its own. But pairs of one conversation are alike, "
                  "and tell less together: the second draws whole conversations anew. Where they differ, go by the "
                  "second."),
        table("Accuracy", [], [("", rows)]),
    )


def rules(findings: Findings) -> Html:
    rows = [(rule.name.capitalize(), percent(rule.accuracy.accuracy), _to(rule.accuracy.low, rule.accuracy.high),
             _to(rule.lead_low, rule.lead_high), number(rule.test.only_first, 0), number(rule.test.only_second, 0),
             p_value(rule.test.p_value)) for rule in findings.rules]
    test = best_rule(findings).test
    return joined(
        paragraph("People may prefer short answers, or long ones. Two rules that read nothing and count characters, "
                  "always the longer response and always the shorter, show how far that alone leads. A model is worth "
                  "its cost where it beats them clearly."),
        paragraph("McNemar’s test looks only at the pairs on which one of the two is right and the other wrong: if "
                  "both were equally good, these would fall to either side like a fair coin. The p-value says how "
                  "often a coin would be as one-sided as this. Against the better rule, the model alone is right on ",
                  number(test.only_first, 0), " pairs, and the rule alone on ", number(test.only_second, 0), "."),
        table("Two rules by length, and the model against each", [
            "Rule", "Right", "95% interval", "Lead of the model", "Model alone right", "Rule alone right", "p"],
            [("", rows)]),
        paragraph("Where both responses have as many characters, a rule counts as half right. The better of the two "
                  "rules was found on these very pairs, which is to its advantage. McNemar’s test takes pairs as "
                  "independent; the interval of the lead draws whole conversations, and says what to go by where "
                  "the two differ. Rules that count words are missing: they would need pairs to learn from."),
    )


def calibration(findings: Findings) -> Html:
    figures, margins = findings.figures, findings.margins
    calibrated = figures.get("calibrated")
    rows = [(name, number(figures[key]), *([number(calibrated[key])] if calibrated else []),
             number(COIN[key]) if key in COIN else "") for key, name in MEASURES.items()]
    columns = ["Lower is better", "This model", *(["At the temperature"] if calibrated else []), "A coin"]
    temperature = [] if calibrated is None else [paragraph(
        "The temperature is ", number(figures["temperature"]), ", fitted on ", number(figures["validation_pairs"], 0),
        f" validation pairs ({findings.validation}). Dividing all rewards by it gives the figures of the second "
        "column. The order of any two responses, and with it the accuracy, stays as it is.")]
    alt = (f"Against the model’s confidence, from a half to one, stands the share of pairs it is right on, with the "
           f"diagonal of a calibrated model. On average it is {findings.mean_confidence:.1%} confident and right on "
           f"{figures['accuracy']:.1%}.")
    return joined(
        paragraph("The difference of two rewards stands for a probability: at a difference of 1 the model is 73% sure, "
                  "at 2 it is 88% sure. If its confidence can be trusted, then of the pairs on which it is 80% sure it "
                  "is right on 80 of 100. In the picture the dots then lie on the dashed diagonal."),
        paragraph("The calibration error is the average distance from that diagonal. Luck alone moves dots off it, "
                  "so the figure to compare with is not zero: a perfectly calibrated model with the same confidences "
                  "would show ", number(figures["ece_floor"]), " on average."),
        picture(figures_of.reliability_figure(margins), alt),
        table("Likelihood and calibration", columns, [("", rows)]),
        paragraph("Likelihood and Brier score judge both at once, being right and being sure where it is: a mistake "
                  "costs the more the surer the model was. A coin is never sure."),
        *temperature,
    )


def length(findings: Findings) -> Html:
    bias = findings.length
    if isinstance(bias, str):
        return paragraph(bias)
    rows = []
    if not isinstance(findings.longer, str):
        longer = findings.longer
        rows += [("The longer response was chosen", percent(longer.chosen)),
                 ("By the model’s probabilities, at a temperature that suits, it is expected in",
                  percent(longer.expected)),
                 ("Difference, 95% interval, whole conversations", _to(longer.excess_low, longer.excess_high))]
    rows += [
        ("The model prefers the longer response",
         joined(percent(bias.longer_preferred), " (", _to(bias.longer_low, bias.longer_high), ")")),
        ("Reward difference for ten more words", number(bias.slope)),
    ]
    if bias.slope_given_gold is not None:
        rows.append(("… beyond what the gold reward explains", number(bias.slope_given_gold)))
    if bias.matched_pairs:
        rows += [("Pairs matched for length", number(bias.matched_pairs, 0)),
                 ("… the model prefers the longer response", percent(bias.matched_longer_preferred)),
                 ("… right", percent(bias.matched_accuracy))]
    return joined(
        paragraph("Of ", number(findings.figures["pairs"], 0), " pairs, ", number(bias.pairs, 0), " have responses of "
                  "different length in words. A model may prefer long responses because they are better, or because "
                  "they are long. Matching helps to tell the two apart: for each difference in length as many pairs "
                  "are counted in which the longer response was chosen as in which the shorter was. In what is left "
                  "length says nothing, and a model that goes by length alone is right on half."),
        paragraph("Choices of a model lean further than noisy labels do, even where the model is perfect. So the "
                  "verdict above goes by the model’s probabilities: on average they should be what the labels are."),
        table("Length, in words", [], [("", rows)]),
    )


def parts(findings: Findings) -> Html | None:
    if not findings.slices:
        return None
    groups, drawn = [], []
    for group, rows in findings.slices.items():
        drawn += [(row.name, *row[1:]) for row in rows]
        groups.append((group, [(joined(row.name, ", too few to tell" if row.too_few else ""), number(row.pairs, 0),
                                percent(row.accuracy), _to(row.low, row.high)) for row in rows]))
    alt = (f"The accuracy of {len(drawn)} parts of the pairs, from {min(row[2] for row in drawn):.1%} to "
           f"{max(row[2] for row in drawn):.1%}, each with its interval, and a line at that of all pairs, "
           f"{findings.figures['accuracy']:.1%}.")
    window = "" if WINDOW not in findings.slices else (
        f" The model reads {findings.model.encoding.max_length} tokens; from a longer pair the oldest are cut.")
    return joined(
        paragraph("The same accuracy, part by part. Small parts have wide intervals; and where a model is equally good "
                  f"everywhere, one part in twenty is expected to miss the overall accuracy by luck.{window}"),
        picture(figures_of.slices_figure(drawn, findings.figures["accuracy"]), alt),
        table("Accuracy by part, with 95% intervals", ["Part", "Pairs", "Right", "95% interval"], groups),
    )


def margins(findings: Findings) -> Html:
    values = findings.margins
    alt = (f"A histogram of the reward differences, chosen less rejected: {(values > 0).mean():.1%} of the pairs are "
           f"to the right of zero, where the model agrees with the choice, and {(values < 0).mean():.1%} to the left.")
    columns, row = zip(*((name, number(value)) for name, value in quantiles(values)))
    wrong = int((values < -math.log(4)).sum())  # σ(log 4) is 0.8
    return joined(
        paragraph("A margin is the reward of the chosen response less that of the rejected one. Only such differences "
                  "mean anything, and only between responses to one prompt: a single reward does not. On ",
                  number(wrong, 0), f" {counted(wrong, 'pair')} the model was over 80% sure of the wrong response."),
        picture(figures_of.margins_figure(values), alt),
        table("So many of the pairs have a margin of at most …", ["Pairs", *columns], [("", [("Margin", *row)])]),
    )


def gold(findings: Findings) -> Html | None:
    if findings.gold is None:
        return None
    regression = findings.against_gold
    if isinstance(regression, str):
        return paragraph(regression)
    alt = (f"Learned against gold margins, a dot a pair: the fitted line through zero has the slope "
           f"{regression.slope:.2f}, and the correlation is {regression.correlation:.2f}.")
    return joined(
        paragraph("In the gold world the true reward is known. The labels come from a noisy annotator, so that no "
                  "model can be right on all of them: the gold reward itself agrees with ",
                  percent(realised_agreement(findings.gold)), " of these."),
        picture(figures_of.learned_against_gold(findings.gold, findings.margins, regression.slope), alt),
        table("Learned against gold margins", [], [("", [
            ("The gold reward agrees with the labels", percent(realised_agreement(findings.gold))),
            ("The model agrees with the labels", percent(findings.figures["accuracy"])),
            ("Slope of learned on gold, ideally 1", number(regression.slope)),
            ("Correlation", number(regression.correlation)),
        ])]),
    )


def _to(low: float, high: float) -> Html:
    return joined(percent(low), " to ", percent(high))


SECTIONS = [
    ("evaluated", "What was evaluated", evaluated),
    ("accuracy", "How often is it right?", accuracy),
    ("rules", "Does it beat rules that read nothing?", rules),
    ("calibration", "Can its confidence be trusted?", calibration),
    ("length", "Does it favour length?", length),
    ("parts", "Where is it better, where worse?", parts),
    ("margins", "How sure is it?", margins),
    ("gold", "Has it learned the true reward?", gold),
    ("mistakes", "Its worst mistakes", mistakes),
]
