"""Exact edges and known values of what is measured: lengths in tokens, parts of pairs, leads, answers."""

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from report_pages import findings, pairs_of_lengths, saved_model
from told import hold

from rmlib.pairs import PreferencePair, Turn
from rmlib.practice import full_evaluation, usable
from rmlib.practice.bias import FEW, Slice, length_bias, longer_expected, slices
from rmlib.practice.lengths import bin_edges, count_tokens, summarise_lengths
from rmlib.practice.preflight import earlier_turns, preflight, tabulate
from rmlib.practice.regression import gold_regression
from rmlib.practice.report import mistakes
from rmlib.practice.usable import NO, OPEN, USABLE, pairs_needed


@pytest.mark.parametrize("longest, window, first, last, width", [
    (0, 5, -1, 0, 1), (10, 100, -1, 10, 1), (38, 100, -1, 38, 1), (39, 100, -2, 40, 2), (76, 50, -2, 76, 2),
    (77, 50, -1, 77, 3), (100, 50, -1, 101, 3), (1000, 50, -1, 101, 3), (3, 1, -1, 2, 1),
])  # fmt: skip
def test_bins_are_as_wide_as_forty_of_them_need(longest, window, first, last, width):
    edges = bin_edges(longest, window)
    assert (edges[0], edges[-1], set(np.diff(edges).tolist())) == (first, last, {width})
    assert len(edges) <= 41 and (longest <= window or window in edges)


def test_quantiles_are_lengths_and_bins_hold_their_upper_edge():
    found = summarise_lengths(np.arange(1, 21), [-1, 5, 11, 17])
    assert asdict(found) == {"median": 10, "p95": 19, "longest": 20, "histogram": [5, 6, 9]}
    assert summarise_lengths(np.array([5, 6, 11, 12, 40]), [-1, 5, 11, 17]).histogram == [1, 2, 2]


def test_both_ways_of_cutting_at_their_edges():
    texts = [("a b", "x y z", "x y w"), ("a b", "x y", "x y z"), ("a", "x", "y")]
    pairs = [PreferencePair(*each) for each in texts]
    counts = count_tokens(pairs, lambda texts: [text.split() for text in texts])
    assert counts.shared.tolist() == [2, 2, 0] and counts.longer.tolist() == [3, 3, 1]
    assert counts.whole.tolist() == [5, 5, 2]
    assert [counts.identical_cut_right(window).tolist() for window in (1, 2, 4, 5)] == [
        [True, True, True], [True, True, False], [True, True, False], [False, False, False]]
    assert [counts.identical_kept(window).tolist() for window in (2, 3)] == [[True, True, False], [False] * 3]


def test_a_window_that_is_just_filled_is_not_overfilled():
    pairs = [PreferencePair("a b", "x y z", "x"), PreferencePair("a", "v w x y z", "x")]
    found = [preflight(pairs, lambda texts: [text.split() for text in texts], window) for window in (4, 5, 6)]
    assert [(each.overlong, each.response_overlong) for each in found] == [(2, 1), (1, 0), (0, 0)]


def test_reports_leave_out_what_none_of_them_has_to_say():
    pairs = [PreferencePair(f"q {i}", "a", "b c") for i in range(1200)]
    one, two = (preflight(pairs[:n], lambda texts: [text.split() for text in texts], 2048) for n in (1200, 7))
    hold("two reports", tabulate({"all": one, "a longer name": two}) + "\n" + str(two))
    assert "need pairs, and a window of a token or more, got 7 pairs and a window of 0" == refusal(
        preflight, pairs[:7], lambda texts: texts, 0)


def refusal(call, *given):
    with pytest.raises(ValueError) as error:
        call(*given)
    return str(error.value)


def test_an_unknown_template_opens_what_goes_on_from_it():
    texts = ["Q: a\nA: b\nQ: c", "Q: a\nA: b\nQ: c\nA: d\nQ: e", "Q: a\nA: x", "Q: z"]
    assert earlier_turns([PreferencePair(text, "yes", "no") for text in texts]) == [True, False, False, False]
    assert earlier_turns([PreferencePair("Hi", "yes", "no")] * 2) == [False, False]


# --- parts and lengths of pairs --------------------------------------------------------------------------------------


def test_thirds_of_differences():
    def parts(differences):
        return [name for _, name in full_evaluation._in_three(np.array(differences))]

    assert parts([0, 1, 2]) == ["by 0 words or less", "by 1 words", "by more than 1 words"]
    assert parts([0, 1, 2, 3, 4, 5, 6, 7, 8]) == [*["by 2 words or less"] * 3, *["by 3 to 5 words"] * 3,
                                                 *["by more than 5 words"] * 3]
    assert parts([4, 4, 4]) == ["by 4 words or less"] * 3
    assert [place for place, _ in full_evaluation._in_three(np.array([9, 0, 5]))] == [2, 0, 1]


def test_subsets_stand_from_the_largest_and_those_without_one_last():
    pairs = [PreferencePair(f"{i}", "a", "b", subset=name) for i, name in enumerate(["x", "y", "y", None, None, None])]
    assert full_evaluation._subsets(pairs, "kind") == {"kind": [
        (1, "x"), (0, "y"), (0, "y"), (2, "without kind"), (2, "without kind"), (2, "without kind")]}
    assert full_evaluation._subsets(pairs[3:], "kind") == {}


def test_what_the_object_holds_of_margins():
    margins = np.array([-math.log(4), -1.4, -1.3, 0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    figures = findings(margins, pairs_of_lengths([3] * 11, [5, 1] * 5 + [3])).figures
    assert figures["margins"]["surely_wrong"] == 1  # surer than 80%, and not just as sure
    assert list(figures["margins"]["quantiles"]) == ["5%", "25%", "50%", "75%", "95%"]
    assert list(figures["margins"]["quantiles"].values()) == pytest.approx([-1.393147, -0.65, 3.0, 5.5, 7.5], abs=1e-6)
    sure = 1 / (1 + np.exp(-np.abs(margins)))
    assert figures["confidence"]["mean"] == pytest.approx(sure.mean())
    assert set(figures["confidence"]) == {"mean", "perfect_95", "excess_low", "excess_high"}
    assert "gold" not in figures and set(figures["slices"]) == {"The longer response, in words"}
    assert [row["name"] for row in figures["slices"]["The longer response, in words"]] == [
        "chosen is longer", "rejected is longer", "equally long"]


@pytest.mark.parametrize("roles, part", [("s", (1, "1 turn")), ("u", (1, "1 turn")), ("uau", (2, "2 turns")),
                                         ("suauau", (3, "3 turns")), ("uauauau", (4, "4 turns or more")),
                                         ("uauauauau", (4, "4 turns or more"))])
def test_human_turns_are_counted_and_there_is_at_least_one(roles, part):
    names = {"s": "system", "u": "user", "a": "assistant"}
    turns = tuple(Turn(names[role], f"text {at}") for at, role in enumerate(roles))
    assert full_evaluation._turns(PreferencePair(turns, "a", "b")) == part


def test_the_one_subset_that_was_asked_for_is_a_part():
    pairs = [replace(pair, subset="mail") for pair in pairs_of_lengths([3, 2], [1, 1])]
    found = full_evaluation.full_evaluation(findings(np.ones(2), pairs).model, pairs, np.ones(2), by="kind")
    assert [(row["name"], row["pairs"]) for row in found["slices"]["kind"]] == [("mail", 2)]
    assert "The longer response, in words" not in found["slices"]  # one part of what nobody asked for


@pytest.mark.parametrize("cut, response, name", [(0, False, "everything fits"), (0, True, "a response is cut"),
                                                 (3, False, "the prompt’s oldest tokens are cut"),
                                                 (3, True, "a response is cut")])
def test_what_the_window_has_room_for(cut, response, name):
    from types import SimpleNamespace

    assert full_evaluation._cut(SimpleNamespace(prompt_cut=cut, response_cut=response))[1] == name


def test_equal_slices_keep_their_order_and_few_pairs_are_told():
    rows = slices(np.ones(6), list("bbaacc"))
    assert [row.name for row in rows] == ["b", "a", "c"]
    told = str(Slice("capitals", FEW - 1, 0.75, 0.5, 0.875))
    assert told == "capitals                     29 pairs  0.750  (0.500 to 0.875)  (too few pairs to tell)"
    told = str(Slice("capitals", FEW, 1.0, 0.5, 1.0))
    assert told == "capitals                     30 pairs  1.000  (0.500 to 1.000)"
    assert "      1 pair   1.000" in str(Slice("capitals", 1, 1.0, 0.0, 1.0))


@pytest.mark.parametrize("margins, fits", [
    ([-1.0, 1.0, 0.0], False), ([-1.0, 1.5, 0.0], True), ([0.0, 1.0, 2.0], False), ([-0.1, 1.0, 2.0], True)])
def test_where_a_temperature_fits_there_is_something_to_expect(margins, fits):
    assert (longer_expected(np.array(margins), [1, -1, 2], "abc").expected is not None) == fits


def test_known_values_of_a_length_bias():
    found = length_bias(np.array([1.0, -1.0, 2.0, 0.0]), np.array([2, -2, 2, 3]), np.array([1.0, 0.0, 1.0, 0.0]))
    assert (found.pairs, found.longer_preferred, found.matched_pairs) == (4, 0.875, 2)
    assert (found.matched_longer_preferred, found.matched_accuracy) == (1.0, 0.5)  # two chosen longer ones are one
    assert found.slope == pytest.approx(10 * (2 + 2 + 4) / (4 + 4 + 4 + 9))
    assert found.correlation == pytest.approx(8 / math.sqrt(6 * 21))
    assert refusal(length_bias, [1, 2], [0, 0]) == (
        "all responses are as long as their partners: there is no length bias to measure")
    assert refusal(length_bias, [1, 2], [10, 20], [0.5, 1]) == (
        "gold margins and extra words go together in every pair: their effects can't be told apart")
    assert refusal(gold_regression, [1, 2], [0, 0]) == (
        "the gold rewards never differ within a prompt: there is nothing to compare")


# --- answers ---------------------------------------------------------------------------------------------------------

RULE = {"accuracy": 0.6, "accuracy_low": 0.55, "accuracy_high": 0.65, "lead": 0.2, "lead_low": 0.1, "lead_high": 0.3,
        "p_value": 0.001}


def answered(rule=None, **changes):
    """The answer of a model that is usable but for what is changed, of one rule of four or of all figures."""
    rules = {name: RULE | {"accuracy": 0.6 - at / 100} for at, name in enumerate(usable.NAMES)}
    rules["shorter"] |= rule or {}
    found = {"pairs": 400, "conversations": 300, "accuracy": 0.8, "interval_low": 0.75, "interval_high": 0.85,
             "rules": rules, "bags": {"fitted_to": 9}, "seen": 0}
    return usable._answer(found | changes)


@pytest.mark.parametrize("changes, answer", [
    ({}, USABLE), ({"conversations": 20}, USABLE), ({"conversations": 19}, OPEN),
    ({"interval_high": 0.5}, USABLE), ({"interval_high": 0.4999}, NO), ({"interval_low": 0.5}, OPEN),
    ({"interval_low": 0.5001}, USABLE), ({"seen": 20}, USABLE), ({"seen": 21}, OPEN), ({"seen": None}, USABLE),
    ({"rule": {"p_value": 0.05}}, OPEN), ({"rule": {"p_value": 0.0499}}, USABLE), ({"rule": {"lead_low": 0.0}}, OPEN),
    ({"rule": {"p_value": 0.0125, "lead_high": -0.1}}, USABLE),
    ({"rule": {"p_value": 0.0124, "lead_high": 0.0}}, USABLE),
    ({"rule": {"p_value": 0.0124, "lead_high": -0.0001}}, NO), ({"bags": {"reason": "r"}}, OPEN),
])  # fmt: skip
def test_an_answer_on_both_sides_of_its_limits(changes, answer):
    assert answered(**changes)["answer"] == answer


def test_answers_of_the_same_limits_word_for_word():
    cases = {
        "usable": {}, "no coin beaten": {"interval_low": 0.5}, "no bags": {"bags": {"reason": "none are kept"}},
        "behind by nothing": {"rule": {"lead": 0.0, "lead_low": -0.01, "lead_high": 0.01, "p_value": 0.9}},
        "behind": {"rule": {"lead": -0.001, "lead_low": -0.1, "lead_high": 0.1, "p_value": 0.9}},
        "ahead, and not shown": {"rule": {"lead": 0.04, "lead_low": -0.02, "lead_high": 0.1, "p_value": 0.2}},
        "ahead by two in a hundred": {"rule": {"lead": 0.02, "lead_low": -0.08, "lead_high": 0.12, "p_value": 0.6}},
        "as many pairs as there are": {"rule": {"lead": 0.1, "lead_low": 0.03005, "lead_high": 0.17, "p_value": 0.06}},
        "beaten": {"rule": {"lead": -0.1, "lead_low": -0.2, "lead_high": -0.05, "p_value": 0.001}},
    }
    hold("answers at their limits", "\n".join(f"{name}: {answered(**changes)}" for name, changes in cases.items()))
    assert pairs_needed(400, 0.1, 0.03005) == (400, 0.1)
    about = {94: "94", 950: "950", 1049: "1,000", 1051: "1,100", 123456: "120,000"}
    assert {count: usable._about(count) for count in about} == about


def test_the_hardest_rule_is_the_first_of_the_most_accurate():
    rules = {name: {"accuracy": share} for name, share in (("a", 0.5), ("b", 0.7), ("c", 0.7))}
    assert usable.hardest(rules) == "b"


def test_the_facts_of_a_model():
    model, directory = saved_model()
    made = findings([1.0, -2.0, -0.5], pairs_of_lengths([3] * 3, [4] * 3), training={
        "data": {"name": "n" * 50, "sha256": None}, "settings": None})
    assert made.training_facts == [("data: name", "n" * 40)] and made.worst == [1, 2]
    weights = sum(parameter.numel() for parameter in model.parameters())
    assert made.model_name == directory.name and made.model_facts[:3] == [
        ("Backbone", f"distilbert, {weights:,} weights with the head"), ("Pooling", "cls"), ("Window", "128 tokens")]


def test_a_text_that_just_fits_is_shown_whole():
    assert f">{'x' * 1500}<" in mistakes._text("Chosen", " " + "x" * 1500 + "  ")
    assert "Chosen (its first 1,500 of 1,501 characters)" in (cut := mistakes._text("Chosen", "x" * 1500 + "y "))
    assert "x …" in cut and "y" not in cut
    assert ">… " + "x" * 1499 + "y<" in mistakes._text("Prompt", "x" * 1500 + "y", keep_end=True)
