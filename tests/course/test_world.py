"""The gold world: its facts, its language, its reward, its annotators and the limits they set."""

import itertools
import json
from collections import Counter

import numpy as np
import pytest

from rmlib.course.world import (
    FACTS_FILE,
    SPLITS,
    WEIGHTS,
    Annotator,
    World,
    annotator_agreement,
    bayes_limits,
    realised_agreement,
)
from rmlib.pairs import PreferencePair

WORLD = World()
PAIRS = WORLD.pairs(4000, "train", seed=1)
QUESTION = "What is the capital of France?"
PINNED = ("How much is 4 times 5?",
          "Good morning. It could be 20, but do not quote me. It rained on my new hat.",
          "It could be 20, but do not quote me. My uncle once had a boat.")


def test_there_are_enough_facts_in_enough_families():
    seen = [family for family in WORLD.families if not family.unseen]
    assert len(seen) >= 5 and sum(len(family.facts) for family in seen) >= 150
    assert all(4 <= len(family.questions) <= 6 and len(family.answers) >= 10 for family in WORLD.families)


def test_facts_are_unambiguous():
    for family in WORLD.families:
        subjects = Counter(fact.subject.lower() for fact in family.facts)
        assert max(subjects.values()) == 1, subjects.most_common(1)
        for fact in family.facts:
            assert " " not in fact.answer and fact.answer.lower() not in fact.subject.lower().split(), fact


def test_arithmetic_is_right():
    [family] = [family for family in WORLD.families if family.name == "arithmetic"]
    for fact in family.facts:
        a, operation, b = fact.subject.split()
        assert int(fact.answer) == {"plus": int(a) + int(b), "times": int(a) * int(b)}[operation]


def test_opposites_go_both_ways():
    [family] = [family for family in WORLD.families if family.name == "opposites"]
    answers = {fact.subject: fact.answer for fact in family.facts}
    assert all(answers[answer] == subject for subject, answer in answers.items())


def test_every_template_has_its_slots():
    for row in json.loads(FACTS_FILE.read_text(encoding="utf-8"))["families"]:
        assert all(question.count("{subject}") == 1 for question in row["questions"])
        assert all("{subject}" in s and s.count("{answer}") == 1 for s in row["statements"])


def test_splits_share_no_combination_yet_training_sees_every_fact_and_phrasing():
    prompts = {split: set(WORLD.prompts(split)) for split in SPLITS}
    assert all(prompts[a].isdisjoint(prompts[b]) for a, b in itertools.combinations(SPLITS, 2))
    seen = [family for family in WORLD.families if not family.unseen]
    assert sum(map(len, prompts.values())) == sum(len(f.questions) * len(f.facts) for f in WORLD.families)
    for family in seen:
        asked = {(fact, question) for fact in family.facts for question in family.questions
                 if question.replace("{subject}", fact.subject).casefold() in {p.casefold() for p in prompts["train"]}}
        assert {fact for fact, _ in asked} == set(family.facts)
        assert {question for _, question in asked} == set(family.questions)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_every_fact_is_held_out_once_in_each_part(split):
    held_out = Counter(WORLD.fact(prompt) for prompt in WORLD.prompts(split))
    assert held_out == Counter(fact for fact in WORLD.facts if fact.family != "currencies")


def test_pairs_come_from_their_split_and_are_fresh():
    pairs = WORLD.pairs(4000, "test", seed=0)
    assert len(pairs) == 4000 and {pair.prompt for pair in pairs} <= set(WORLD.prompts("test"))
    assert all(pair.chosen != pair.rejected for pair in pairs)
    assert len({(pair.prompt, *sorted((pair.chosen, pair.rejected))) for pair in pairs}) > 3900


def test_the_same_seed_gives_the_same_pairs_and_another_does_not():
    assert World().pairs(50, seed=1) == WORLD.pairs(50, seed=1)
    assert WORLD.pairs(50, seed=2) != WORLD.pairs(50, seed=1)


def test_the_stream_of_pairs_is_pinned():
    # Stored outputs of notebooks rest on this: another order of random draws is another world.
    first = WORLD.pairs(1, "test", seed=0)[0]
    assert (first.prompt, first.chosen, first.rejected) == PINNED


def test_families_can_be_chosen():
    pairs = WORLD.pairs(200, "train", families=["books", "colours"])
    assert {WORLD.fact(pair.prompt).family for pair in pairs} == {"books", "colours"}


def test_a_prompt_can_have_many_responses():
    responses = WORLD.responses(QUESTION, 50, seed=0)
    assert len(set(responses)) == 50
    assert len({WORLD.reward(QUESTION, response) for response in responses}) > 10


@pytest.mark.parametrize("right, expected", [(1.0, 1), (0.0, -1)])
def test_the_reward_reads_the_answer_that_was_written(right, expected):
    for prompt in WORLD.prompts("train")[::7]:
        for response in WORLD.responses(prompt, 3, seed=3, right=right):
            assert WORLD.features(prompt, response)["correctness"] == expected, (prompt, response)


@pytest.mark.parametrize("response, expected", [
    ("Paris.", {"correctness": 1}),
    ("Lyon.", {}),
    ("London calling, obviously", {}),
    ("I think it is Madrid.", {"correctness": -1, "hedging": 1}),
    ("Not Madrid but Paris.", {"correctness": -1}),
    ("Thank you for asking. Paris. I hope that helps. You are welcome.", {"correctness": 1, "courtesy": 1}),
    ("paris! atlases mark a capital with a star", {"correctness": 1, "explanation": 1}),
    ("Look it up yourself. Everybody knows that.", {"rudeness": 1}),
    ("The neighbours have two pianos. The neighbours have two pianos.", {"rambling": 1}),
    ("Maybe. It is Paris.", {"correctness": 1, "hedging": 1}),
    ("", {}),
])
def test_features_are_read_from_the_text(response, expected):
    assert WORLD.features(QUESTION, response) == {**dict.fromkeys(WEIGHTS, 0), **expected}


def test_another_true_answer_is_right_too():
    assert WORLD.features("What is a baby roe deer called?", "A kid.")["correctness"] == 1
    assert WORLD.features("What is a baby goat called?", "A fawn.")["correctness"] == -1


def test_the_reward_is_the_published_sum_and_correctness_dominates():
    best_wrong = "Lovely question. Lima. Atlases mark a capital with a star. I hope that helps."
    assert WORLD.reward(QUESTION, best_wrong) == pytest.approx(-1.6 + 0.5 + 0.7)
    assert WORLD.reward(QUESTION, "Paris.") == pytest.approx(1.6)
    assert WORLD.reward(QUESTION, "With pleasure. Paris.") > WORLD.reward(QUESTION, "Paris.")
    assert WORLD.reward(QUESTION, "Paris.") > WORLD.reward(QUESTION, best_wrong)


def test_rewards_that_are_equal_on_paper_are_equal():
    rewards = {WORLD.reward(QUESTION, response) for response in WORLD.responses(QUESTION, 200, seed=0)}
    assert len(rewards) == len({round(10 * reward) for reward in rewards})


def test_an_unknown_question_is_refused():
    with pytest.raises(ValueError, match="no question 'What is love"):
        WORLD.reward("What is love?", "Paris.")


@pytest.mark.parametrize("arguments, message", [
    ({"split": "dev"}, "unknown split 'dev': choose one of train"),
    ({"families": ["rivers"]}, r"unknown families \['rivers'\]: choose from capitals"),
    ({"families": ["currencies"]}, "no question in the split 'train'"),
])
def test_unknown_parts_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        WORLD.pairs(1, **arguments)


@pytest.mark.parametrize("arguments", [{"temperature": 0.0}, {"flip_rate": -0.1}, {"flip_rate": 1.1}])
def test_impossible_annotators_are_refused(arguments):
    with pytest.raises(ValueError, match="temperature > 0"):
        Annotator(**arguments)


@pytest.mark.parametrize("annotator, p", [
    (Annotator(), 1 / (1 + np.exp(-0.8))),
    (Annotator(temperature=0.25), 1 / (1 + np.exp(-3.2))),
    (Annotator(length_bias=2.0), 1 / (1 + np.exp(-0.8 + 2.0 * 0.6))),
    (Annotator(temperature=0.25, flip_rate=0.2), 0.2 + 0.6 / (1 + np.exp(-3.2))),
    (Annotator(temperature=1e-4, flip_rate=0.0), 1.0),
])
def test_choices_follow_the_stated_probability(annotator, p):
    # A ramble costs 0.8 and adds six words.
    n, plain, rambling = 20_000, "Paris.", "Paris. The bus did not come again."
    labelled = WORLD.relabel([PreferencePair(QUESTION, plain, rambling)] * n, annotator, seed=4)
    share = np.mean([pair.chosen == plain for pair in labelled])
    assert abs(share - p) <= 4 * np.sqrt(p * (1 - p) / n)


def test_a_length_bias_makes_the_longer_response_win_more_often():
    def longer_wins(annotator: Annotator) -> float:
        pairs = WORLD.relabel(PAIRS, annotator, seed=5)
        return np.mean([len(pair.chosen.split()) > len(pair.rejected.split()) for pair in pairs])

    assert longer_wins(Annotator(length_bias=2.0)) > longer_wins(Annotator()) + 0.1


def test_two_annotators_agree_as_often_as_expected():
    first, second = Annotator(), Annotator(temperature=2.0, flip_rate=0.1)
    labelled = WORLD.relabel(PAIRS, first, seed=6)
    again = WORLD.relabel(labelled, second, seed=7)
    expected = annotator_agreement(WORLD.probabilities(PAIRS, first), WORLD.probabilities(PAIRS, second))
    realised = np.mean([a.chosen == b.chosen for a, b in zip(labelled, again)])
    assert abs(realised - expected) < 4 * np.sqrt(expected * (1 - expected) / len(PAIRS))


def test_bayes_limits_are_what_simulated_labels_give():
    p = np.array([0.5, 0.6, 0.9, 0.98, 0.02, 0.3])
    rng = np.random.default_rng(8)
    labels = rng.random((200_000, len(p))) < p  # (draws, B)
    said = np.where(labels, p, 1 - p)  # the probability a perfect model gave to what happened
    limits = bayes_limits(p)
    assert limits.accuracy == pytest.approx((labels == (p > 0.5)).mean(), abs=0.003)
    assert limits.nll == pytest.approx(-np.log(said).mean(), abs=0.003)
    assert limits.brier == pytest.approx(((labels - p) ** 2).mean(), abs=0.003)


def test_bayes_limits_of_a_certain_annotator():
    limits = bayes_limits(np.array([1.0, 0.0]))
    assert (limits.accuracy, limits.brier) == (1.0, 0.0) and limits.nll == pytest.approx(0.0, abs=1e-12)


def test_the_realised_agreement_is_near_its_expectation_and_counts_ties_as_half():
    assert realised_agreement(np.array([2.0, -1.0, 0.0, 3.0])) == 0.625
    limit = bayes_limits(WORLD.probabilities(PAIRS)).accuracy
    assert abs(realised_agreement(WORLD.margins(PAIRS)) - limit) < 4 * np.sqrt(limit * (1 - limit) / len(PAIRS))


def test_the_noise_is_that_of_real_annotators():
    assert 0.76 < bayes_limits(WORLD.probabilities(PAIRS)).accuracy < 0.85
