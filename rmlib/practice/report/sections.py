"""The parts of the report, in order: each puts some findings into words, a table and a picture."""

import math
from collections import Counter

from rmlib.pairs.rows import squash
from rmlib.practice import figures as figures_of
from rmlib.practice.bias import FEW
from rmlib.practice.full_evaluation import WINDOW
from rmlib.practice.report.findings import Findings
from rmlib.practice.report.mistakes import mistakes
from rmlib.practice.report.page import Html, joined, number, p_value, paragraph, percent, picture, table
from rmlib.practice.report.verdict import counted, to
from rmlib.practice.usable import NO_BAGS, RULES, SIGNIFICANT

MOST_PARTS = 30  # of one kind
COIN = {"nll": math.log(2), "brier": 0.25}
MEASURES = {
    "nll": "Negative log-likelihood", "brier": "Brier score", "ece": "Calibration error",
    "ece_floor": "Calibration error by luck",
}


def evaluated_section(findings: Findings) -> Html:
    found, figures = findings.found, findings.figures
    bad, left_out = (Counter(row.reason for row in rows) for rows in (found.bad_rows, found.left_out))
    rows = [("Rows read", number(found.rows, 0)), ("Pairs used", number(figures["pairs"], 0)),
            ("Conversations they come from", number(figures["conversations"], 0))]
    rows += [] if findings.data is None else [("Fingerprint of their file", joined(findings.data[:16]))]
    rows += [(f"Rows skipped: {reason}", number(count, 0)) for reason, count in bad.items()]
    rows += [(f"Rows left out: {reason}", number(count, 0)) for reason, count in left_out.items()]
    return joined(
        paragraph("What this page says holds for these pairs and for others like them, provided that the model was "
                  "trained neither on them nor on other parts of their conversations. That can’t be checked here, but "
                  "for a file that is the very one it was trained on: the page knows its name and fingerprint."),
        table("The pairs and the model", [], [
            (f"Pairs: {found.name}", rows), (f"Model: {findings.model_name}", findings.model_facts)]),
    )


def training_section(findings: Findings) -> Html:
    return table("Its training", [], [("", findings.training_facts)])


def accuracy_section(findings: Findings) -> Html:
    figures = findings.figures
    rows = [
        ("Right", percent(figures["accuracy"])),
        ("95% interval to go by", to(figures, "interval")),
        ("… with pairs taken as independent (Wilson)", to(figures, "accuracy")),
        ("… with whole conversations drawn anew (bootstrap)", to(figures, "clustered")),
        ("Ties, each counted as half right", number(figures["ties"], 0)),
    ]
    return joined(
        paragraph("The model is right on a pair when it gives the chosen response the higher reward. On other pairs of "
                  "the same kind it would score a little higher or lower. An interval says how much: of 100 intervals "
                  "made like this, each from new pairs, about 95 hold the accuracy on all such pairs."),
        paragraph("Wilson’s interval takes every pair as news of its own. But pairs of one conversation, known by its "
                  "first human turn, are alike, and tell less together: the bootstrap draws whole conversations. It is "
                  "too narrow where these are few. So the interval to go by has the widest ends of these two and of "
                  "Student’s t over conversations; and every other interval on this page is made the same way."),
        table("Accuracy", [], [("", rows)]),
    )


def rules_section(findings: Findings) -> Html:
    rules, bags = findings.figures["rules"], findings.figures["bags"]
    lines = {
        "The rule is right": lambda rule: percent(rule["accuracy"]),
        "95% interval": lambda rule: to(rule, "accuracy"),
        "Lead of the model over it": lambda rule: percent(rule["lead"]),
        "95% interval of the lead": lambda rule: to(rule, "lead"),
        "Pairs on which the model is righter": lambda rule: number(rule["only_first"], 0),
        "Pairs on which the rule is righter": lambda rule: number(rule["only_second"], 0),
        "McNemar’s p": lambda rule: p_value(rule["p_value"]),
    }
    fitted = joined("Two rules count words: each word has a weight, wherever it stands; one of them joins it to each "
                    "word of the question, too. They were fitted to ", number(bags["fitted_to"], 0), " of the pairs "
                    "that the model was trained on.") if "reason" not in bags else f"Words are not counted: {NO_BAGS}."
    return joined(
        paragraph("People may prefer short answers, or long ones. Two rules that read nothing and count characters, "
                  "always the longer response and always the shorter, show how far that alone leads. ", fitted,
                  " A model is worth its cost where it beats all of them clearly."),
        paragraph("McNemar’s test looks only at the pairs on which one of the two is righter than the other; a tie is "
                  "half right. If both were equally good, these would fall to either side like a fair coin. The "
                  "p-value says how often a coin would be as one-sided as this."),
        table("Rules that only count, and the model against each",
              ["", *(f"Always the {name}" if name in RULES else name.capitalize() for name in rules)],
              [("", [(name, *map(line, rules.values())) for name, line in lines.items()])]),
        paragraph("Where a rule finds both responses equal, it counts as half right. To beat them all the model has to "
                  f"beat each, so that p below {SIGNIFICANT} will do for each. But the best of {len(rules)} rules was "
                  "found on these very pairs, and had as many chances to be ahead by luck: before this page says that "
                  f"one beats the model, p has to be below {SIGNIFICANT / len(rules):.4g}. McNemar’s test takes pairs "
                  "as independent; the interval of the lead goes by conversations, and has to agree with it."),
    )


def calibration_section(findings: Findings) -> Html:
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
           f"diagonal of a calibrated model. On average it is {figures['confidence']['mean']:.1%} confident and right "
           f"on {figures['accuracy']:.1%}.")
    return joined(
        paragraph("The difference of two rewards stands for a probability: at a difference of 1 the model is 73% sure, "
                  "at 2 it is 88% sure. If its confidence can be trusted, then of the pairs on which it is 80% sure it "
                  "is right on 80 of 100. In the picture the dots then lie on the dashed diagonal."),
        paragraph("The calibration error is the average distance from that diagonal. Luck alone moves dots off it, "
                  "so the figure to compare with is not zero: a perfectly calibrated model with the same confidences "
                  "would show ", number(figures["ece_floor"]), " on average, if no error depended on another."),
        picture(figures_of.reliability_figure(margins), alt),
        table("Likelihood and calibration", columns, [("", rows)]),
        paragraph("Likelihood and Brier score judge both at once, being right and being sure where it is: a mistake "
                  "costs the more the surer the model was. A coin is never sure."),
        *temperature,
    )


def length_section(findings: Findings) -> Html:
    bias = findings.figures["length"]
    if "reason" in bias:
        return paragraph(bias["reason"])
    rows = [("The longer response was chosen", percent(bias["chosen"])),
            ("The model prefers it", percent(bias["preferred"])), ("… 95% interval", to(bias, "preferred"))]
    if bias["expected"] is not None:
        rows += [("It is the better one by the model’s probabilities, at a temperature that suits",
                  percent(bias["expected"])),
                 ("… less the share in which it was chosen, 95% interval", to(bias, "excess"))]
    rows.append(("Reward difference for ten more words", number(bias["slope"])))
    if bias["slope_given_gold"] is not None:
        rows.append(("… beyond what the gold reward explains", number(bias["slope_given_gold"])))
    if bias["matched_pairs"]:
        rows += [("Pairs matched for length", number(bias["matched_pairs"], 0)),
                 ("… the model prefers the longer response", percent(bias["matched_longer_preferred"])),
                 ("… right", percent(bias["matched_accuracy"]))]
    return joined(
        paragraph("Of ", number(findings.figures["pairs"], 0), " pairs, ", number(bias["pairs"], 0), " have responses "
                  "of different length in words. A model may prefer long responses because they are better, or because "
                  "they are long. Matching helps to tell the two apart: for each difference in length as many pairs "
                  "are counted in which the longer response was chosen as in which the shorter was. In what is left "
                  "length says nothing, and a model that goes by length alone is right on half."),
        paragraph("Choices of a model lean further than noisy labels do, even where the model is perfect. So the "
                  "verdict above goes by the model’s probabilities, where its rewards can be made into any: on average "
                  "they should be what the labels are. It tells what a model adds to its labels; whether these like "
                  "long responses themselves, no figure here can tell."),
        table("Length, in words", [], [("", rows)]),
    )


def parts_section(findings: Findings) -> Html | None:
    slices = findings.figures["slices"]
    if not slices:
        return None
    groups = [(group, [(joined(row["name"], ", too few to tell" if row["pairs"] < FEW else ""), number(row["pairs"], 0),
                        percent(row["accuracy"]), joined(percent(row["low"]), " to ", percent(row["high"])))
                       for row in rows[:MOST_PARTS]]) for group, rows in slices.items()]
    untold = sum(len(rows[MOST_PARTS:]) for rows in slices.values())
    drawn = [(squash(name)[:40].replace("$", r"\$"), *rest)  # a dollar would begin a formula
             for rows in slices.values() for name, *rest in (row.values() for row in rows[:MOST_PARTS])]
    alt = (f"The accuracy of {len(drawn)} parts of the pairs, from {min(row[2] for row in drawn):.1%} to "
           f"{max(row[2] for row in drawn):.1%}, each with its interval, and a line at that of all pairs, "
           f"{findings.figures['accuracy']:.1%}.")
    window = "" if WINDOW not in slices else (
        f" The model reads {findings.model.encoding.max_length} tokens; from a longer pair the oldest are cut.")
    return joined(
        paragraph("The same accuracy, part by part. Small parts have wide intervals; and where a model is equally good "
                  f"everywhere, up to one part in twenty still misses the overall accuracy, by luck.{window}"
                  + (f" {untold} smaller parts are told by --json alone." if untold else "")),
        picture(figures_of.slices_figure(drawn, findings.figures["accuracy"]), alt),
        table("Accuracy by part, with 95% intervals", ["Part", "Pairs", "Right", "95% interval"], groups),
    )


def margins_section(findings: Findings) -> Html:
    values, figures = findings.margins, findings.figures["margins"]
    alt = (f"A histogram of the reward differences, chosen less rejected: {(values > 0).mean():.1%} of the pairs are "
           f"to the right of zero, where the model agrees with the choice, and {(values < 0).mean():.1%} to the left.")
    columns, row = zip(*((name, number(value)) for name, value in figures["quantiles"].items()))
    wrong = figures["surely_wrong"]
    return joined(
        paragraph("A margin is the reward of the chosen response less that of the rejected one. Only such differences "
                  "mean anything, and only between responses to one prompt: a single reward does not. On ",
                  number(wrong, 0), f" {counted(wrong, 'pair')} the model was over 80% sure of the wrong response."),
        picture(figures_of.margins_figure(values), alt),
        table("So many of the pairs have a margin of at most …", ["Pairs", *columns], [("", [("Margin", *row)])]),
    )


def gold_section(findings: Findings) -> Html | None:
    if findings.gold is None:
        return None
    regression = findings.figures["gold"]
    if "reason" in regression:
        return paragraph(regression["reason"])
    alt = (f"Learned against gold margins, a dot a pair: the fitted line through zero has the slope "
           f"{regression['slope']:.2f}, and the correlation is {regression['correlation']:.2f}.")
    return joined(
        paragraph("In the gold world the true reward is known. The labels come from a noisy annotator, so that no "
                  "model can be right on all of them: the gold reward itself agrees with ",
                  percent(regression["agreement"]), " of these."),
        picture(figures_of.learned_against_gold(findings.gold, findings.margins, regression["slope"]), alt),
        table("Learned against gold margins", [], [("", [
            ("The gold reward agrees with the labels", percent(regression["agreement"])),
            ("The model agrees with the labels", percent(findings.figures["accuracy"])),
            ("Slope of learned on gold, ideally 1", number(regression["slope"])),
            ("Correlation", number(regression["correlation"])),
        ])]),
    )


SECTIONS = [
    ("evaluated", "What was evaluated", evaluated_section),
    ("accuracy", "How often is it right?", accuracy_section),
    ("rules", "Does it beat rules that only count?", rules_section),
    ("calibration", "Can its confidence be trusted?", calibration_section),
    ("length", "Does it favour length?", length_section),
    ("parts", "Where is it better, where worse?", parts_section),
    ("margins", "How sure is it?", margins_section),
    ("gold", "Has it learned the true reward?", gold_section),
    ("mistakes", "Its worst mistakes", mistakes),
    ("training", "How was it trained?", training_section),
]
