"""Whether a model is called usable: against every rival, with the luck of several, and with how many pairs more."""

import math
from dataclasses import replace

import numpy as np
import pytest
from report_pages import Bags, Parts, findings, pairs_of_lengths

from rmlib.practice import usable
from rmlib.practice.conservative_interval import conservative_interval
from rmlib.practice.report import report_page
from rmlib.practice.usable import LEAST_LEAD, NO, NO_BAGS, OPEN, USABLE, compare, pairs_needed, told


def even(n):
    """n pairs, each of a conversation of its own, of which the longer response is chosen in every other."""
    return pairs_of_lengths([5] * n, [2, 9] * (n // 2))


def first(n, share):
    return np.arange(n) < share * n


def judged(right, rivals, pairs=None):
    found = compare(np.where(right, 1.0, -1.0), pairs or even(len(right)), rivals)
    return found["usable"]["answer"], found["usable"]["why"]


def test_a_model_that_beats_every_rival_is_usable():
    answer, why = judged(first(400, 0.9), Bags(first(400, 0.75), first(400, 0.7)))
    assert answer == USABLE and "right on 90.0% (95% interval 86." in why and "beats each of 4 rules" in why
    assert "the best of them is the bag of words, with 75.0% (lead 15.0%, 95% interval" in why


def test_who_is_usable_by_the_rule_is_told_what_it_does_not_see():
    """A model that leans to long responses passes it: the answer says that length was not asked."""
    answer, why = judged(first(400, 0.9), Bags(first(400, 0.75), first(400, 0.7)))
    assert answer == USABLE and why.endswith(
        "That is about ranking responses like these; not about length, calibration, other kinds of questions, or a "
        "policy that is trained to please it.")
    assert "That is about" not in judged(first(400, 0.2), Bags(first(400, 0.5), first(400, 0.5)))[1]


def test_a_bag_of_words_that_is_as_right_is_praise_for_nobody():
    """Of 58 pairs 53 were right, by the model and by both bags: it beats length by far."""
    model, bags = first(58, 53 / 58), Bags(np.roll(first(58, 53 / 58), 3), np.roll(first(58, 53 / 58), -3))
    answer, why = judged(model, bags)
    assert answer == OPEN and "not shown to beat the bag of words, with 91.4% (lead 0.0%" in why
    assert "A lead of 2%, if there is one, would show four times in five with about" in why and NO_BAGS not in why
    [lead] = [compare(np.where(model, 1.0, -1.0), even(58), bags)["rules"]["longer"]["lead_low"]]
    assert lead > 0.2
    made = findings(np.where(model, 1.0, -1.0), even(58), rivals=bags)
    page = Parts(report_page(made)).text()
    assert page.index("Not shown to be usable: right on 91.4%") < page.index("A reward model reads a prompt")
    assert "They were fitted to 240 of the pairs" in page and "Right more often" not in page
    assert "Best rival91.4%the bag of words" in page


@pytest.mark.parametrize("bag", [0, 1])
def test_each_rival_counts(bag):
    strong, weak = first(400, 0.88), first(400, 0.6)
    answer, why = judged(first(400, 0.9), Bags(*((strong, weak) if bag == 0 else (weak, strong))))
    assert answer == USABLE  # 8 pairs to none
    behind = np.roll(first(400, 0.88), 20)
    answer, why = judged(first(400, 0.9), Bags(*((behind, weak) if bag == 0 else (weak, behind))))
    assert answer == OPEN and ("sees no prompt" in why) == (bag == 1)


@pytest.mark.parametrize("ahead, answer", [(59, OPEN), (61, OPEN), (62, OPEN), (63, NO), (70, NO)])
def test_one_of_four_rivals_has_to_be_ahead_by_more(ahead, answer):
    """On 100 of 400 pairs only one is right: p is 0.035, 0.021 and 0.012 for 61, 62 and 63; 0.0125 is the limit."""
    both = np.repeat([True, False], [250, 50])
    model = np.concatenate([both, ~first(100, ahead / 100)])
    rival = np.concatenate([both, first(100, ahead / 100)])
    found, why = judged(model, Bags(rival, model))
    assert found == answer
    assert answer == OPEN or "it is right less often than the bag of words, with" in why
    assert judged(model, Bags(rival, model, seen=400))[0] == answer  # what is bad on known pairs is bad


def test_what_is_worse_than_a_coin_is_not_usable():
    answer, why = judged(first(100, 0.3), Bags(first(100, 0.2), first(100, 0.1)))
    assert answer == NO and "worse than a coin. Are chosen and rejected swapped" in why


@pytest.mark.parametrize("share, words", [(0.9, "it beats the rules by length, but no bag"), (0.55, "Besides, no bag")])
def test_without_bags_of_words_nothing_is_shown(share, words):
    answer, why = judged(first(200, share), None)
    assert answer == OPEN and words in why and why.endswith(f"{NO_BAGS}.")
    assert ("it is not shown to beat always the" in why) == (share < 0.9)
    page = Parts(report_page(findings(np.where(first(200, share), 1.0, -1.0), even(200)))).text()
    assert f"Words are not counted: {NO_BAGS}" in page


def test_the_pairs_of_its_training_show_nothing():
    for seen, expected in ((400, OPEN), (21, OPEN), (20, USABLE)):
        answer, why = judged(first(400, 0.9), Bags(first(400, 0.7), first(400, 0.7), seen=seen))
        assert answer == expected and (f"{seen} of the 400 pairs are of conversations" in why) == (expected == OPEN)


@pytest.mark.parametrize("conversations, words", [
    (1, "all pairs are of one conversation, which says nothing of others"),
    (19, "the pairs are of 19 conversations, and 20 are the least"), (20, "it beats each of 4 rules"),
])  # fmt: skip
def test_few_conversations_show_nothing(conversations, words):
    pairs = [replace(pair, turns=f"What is {i % conversations}?") for i, pair in enumerate(even(400))]
    answer, why = judged(first(400, 0.9), Bags(first(400, 0.6), first(400, 0.6)), pairs=pairs)
    assert (answer == USABLE) == (conversations == 20) and words in why


@pytest.mark.parametrize("sign, alone", [(1, USABLE), (-1, NO)])
def test_conversations_of_one_mind_tell_less_than_their_pairs(sign, alone):
    """Of 200 pairs the model is righter on 72 and the bag on 32; of 25 conversations that is 9 and 4."""
    lead = sign * np.repeat([1, -1, 0], [72, 32, 96])
    length = Bags(lead <= 0, first(200, 0.05))
    assert judged(lead >= 0, length)[0] == alone
    whole = [replace(pair, turns=f"What is {i // 8}?") for i, pair in enumerate(even(200))]
    answer, why = judged(lead >= 0, length, pairs=whole)
    assert answer == OPEN and "it is not shown to beat the bag of words, with" in why


def test_a_small_lead_over_rules_that_err_alike_is_no_lead_over_a_coin():
    """Right wherever always the longer response is, and on 8 pairs more: that shows, and 58 of 100 alone do not."""
    pairs = even(100)
    longer = np.array([len(pair.chosen) > len(pair.rejected) for pair in pairs])
    model = longer | (np.arange(100) < 16)
    answer, why = judged(model, Bags(longer, longer), pairs=pairs)
    assert answer == OPEN and "not shown to beat always the shorter" in why


@pytest.mark.parametrize("size", [1, 4])
def test_so_many_pairs_show_the_lead_four_times_in_five(size):
    """Conversations of `size` pairs of one mind, of which the model is righter in 25% and the rival in 15%."""
    rng = np.random.default_rng(0)

    def drawn(pairs):
        """The lead on so many pairs, and the lower end of its interval."""
        lead = np.repeat(rng.choice([1, -1, 0], p=[0.25, 0.15, 0.6], size=pairs // size), size)
        return lead.mean(), conservative_interval(lead, np.arange(len(lead)) // size, least=-1)[0]

    error = np.mean([np.subtract(*drawn(400)) for _ in range(30)])
    needed, lead = pairs_needed(400, 0.1, 0.1 - error)
    exact = size * (1.959964 + 0.841621) ** 2 * (0.4 - 0.01) / 0.01
    assert lead == 0.1 and needed == pytest.approx(exact, rel=0.15)
    shown = np.mean([drawn(needed)[1] > 0 for _ in range(150)])
    assert abs(shown - 0.8) < 4 * math.sqrt(0.8 * 0.2 / 150)


def test_half_the_lead_takes_four_times_the_pairs_and_less_than_two_points_is_none():
    assert pairs_needed(100, 0.1, -0.1)[0] == pytest.approx(4 * 100 * (2.801586 / 1.959964) ** 2, abs=1)
    assert pairs_needed(100, 0.1, -0.1) == (818, 0.1)  # 817.3: no pair too few
    assert pairs_needed(100, 0.05, -0.15)[0] == pytest.approx(4 * pairs_needed(100, 0.1, -0.1)[0], abs=4)
    assert pairs_needed(100, -0.3, -0.5) == pairs_needed(100, 0.0, -0.2) == pairs_needed(100, LEAST_LEAD, -0.18)


def test_the_largest_lead_that_is_left_is_told():
    model = first(2000, 0.8)
    answer, why = judged(model, Bags(model, ~model))
    assert answer == OPEN and why.endswith("may be as large as 0.2%: the end of the 95% interval.")


def test_the_terminal_is_told_of_each_bag():
    found = compare(np.where(first(400, 0.9), 1.0, -1.0), even(400), Bags(first(400, 0.75), first(400, 0.7)))
    lines = told(found).splitlines()
    assert lines[0].startswith("the bag of words: 0.750, and the model's lead over it 0.150 (95% interval 0.1")
    assert lines[1].startswith("the bag of words that sees no prompt: 0.700") and lines[2].startswith("usable: right")
    assert len(told(compare(np.ones(40), even(40), None)).splitlines()) == 1


def test_what_is_rounded_to_zero_has_no_sign():
    rule = {"accuracy": 0.5, "lead": -0.0002, "lead_low": -0.0003, "lead_high": -0.0001}
    compared = {"rules": {"bag of words": rule}, "usable": {"answer": "open", "why": "why"}}
    assert told(compared).splitlines()[0].endswith("lead over it 0.000 (95% interval 0.000 to 0.000)")
    assert usable._percent(-0.0004) == "0.0%" and usable._percent(-0.0006) == "\N{MINUS SIGN}0.1%"
