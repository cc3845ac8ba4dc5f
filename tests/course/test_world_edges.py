"""The gold world at its edges: streams of pairs, every sentence that it knows, limits by hand, whole messages."""

import hashlib
import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from rmlib.course import questions, slices
from rmlib.course.world import SPLITS, WEIGHTS, Annotator, World, annotator_agreement, bayes_limits
from rmlib.pairs import PreferencePair

WORLD = World()
FRANCE = "What is the capital of France?"


def digest(found: object) -> str:
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]


@pytest.mark.parametrize("split, prompts, pinned", [
    ("train", 788, "9349420ec409a141"), ("validation", 197, "30b2c963e58e5612"), ("test", 197, "e36d8ea6b0cef8cd"),
    ("unseen", 96, "d01faa52cf007fbd"),
])
def test_the_stream_of_each_split_is_pinned(split, prompts, pinned):
    """Stored outputs and studies rest on these texts, their order and who was preferred."""
    annotator = Annotator(temperature=2.0, flip_rate=0.1, length_bias=0.5)
    pairs = WORLD.pairs(500, split, seed=3, annotator=annotator)
    assert len(WORLD.prompts(split)) == prompts
    assert digest([[pair.prompt, pair.chosen, pair.rejected, pair.id] for pair in pairs]) == pinned


def test_the_usual_arguments():
    assert SPLITS == ("train", "validation", "test", "unseen")
    assert WORLD.prompts() == WORLD.prompts("train", None) == WORLD.prompts("train", WORLD._by_name)
    assert WORLD.responses(FRANCE, 9) == WORLD.responses(FRANCE, 9, 0, right=0.5)
    assert digest(WORLD.responses(FRANCE, 40)) == "921e27c6746a41b9"
    usual = WORLD.pairs(20, "train", 0, Annotator(1.0, 0.0, 0.0), None)
    assert WORLD.pairs(20) == usual and [pair.id for pair in usual] == list(range(20))
    assert WORLD.relabel(usual) == WORLD.relabel(usual, Annotator(), 0)
    assert WORLD.probabilities(usual).tolist() == WORLD.probabilities(usual, Annotator()).tolist()


def test_every_sentence_of_the_world_is_counted_as_what_it_is():
    kinds = {"greetings": {"courtesy": 1}, "farewells": {"courtesy": 1}, "rudeness": {"rudeness": 1},
             "rambling": {"rambling": 1}, "plain": {"correctness": 1}, "hedged": {"correctness": 1, "hedging": 1}}
    assert set(WORLD.manners) == set(kinds)
    for group, counted in kinds.items():
        for form in WORLD.manners[group]:
            text = form.replace("{answer}", "Paris")
            assert WORLD.features(FRANCE, text) == dict.fromkeys(WEIGHTS, 0) | counted, text
    for family in WORLD.families:
        fact, prompt = family.facts[0], next(each for each in WORLD._prompts if WORLD.fact(each) == family.facts[0])
        for form in family.explanations:
            assert WORLD.features(prompt, form) == dict.fromkeys(WEIGHTS, 0) | {"explanation": 1}, form
        for form in family.statements:
            text = form.replace("{subject}", fact.subject).replace("{answer}", fact.answer)
            assert WORLD.features(prompt, text) == dict.fromkeys(WEIGHTS, 0) | {"correctness": 1}, text


@pytest.mark.parametrize("hedge", ["I think", "maybe", "perhaps", "could be", "might be", "not sure"])
def test_each_hedge_counts_wherever_it_stands(hedge):
    assert WORLD.features(FRANCE, f"Well, {hedge} so.")["hedging"] == 1
    assert WORLD.features(FRANCE, f"{hedge} one. {hedge} two.")["hedging"] == 1


def test_the_weights_are_the_published_ones_and_sums_are_rounded_to_nine_places():
    assert WEIGHTS == {"correctness": 1.6, "courtesy": 0.5, "explanation": 0.7, "hedging": -0.6, "rambling": -0.8,
                       "rudeness": -0.8}
    text = "Silly question. Maybe it is Paris. Atlases mark a capital with a star. I hope that helps."
    assert WORLD.reward(FRANCE, text) == 1.4 and WORLD.reward(FRANCE, "") == 0
    [margin] = WORLD.margins([PreferencePair(FRANCE, "Paris.", text)])
    assert margin == pytest.approx(0.2)


def test_words_of_the_question_are_no_answers_and_a_word_may_hold_a_hyphen():
    assert WORLD.features("What is 2 plus 2?", "2 plus 2 is 4.")["correctness"] == 1
    assert WORLD.features("What is 2 plus 2?", "2 plus 2 is 44.")["correctness"] == 0
    assert WORLD.features(FRANCE, "Paris-on-Thames.")["correctness"] == 0
    assert WORLD.features(FRANCE, "PARIS  !")["correctness"] == 1


def test_the_end_of_a_word_with_an_apostrophe_is_no_answer():
    """S is sulphur's symbol, and no part of "It's"."""
    oxygen = next(prompt for prompt in WORLD._prompts if WORLD.fact(prompt).answer == "O")
    assert WORLD.features(oxygen, "S.")["correctness"] == -1
    assert WORLD.features(oxygen, "It's O.")["correctness"] == 1 and WORLD.features(oxygen, "It's.") == {
        **dict.fromkeys(WEIGHTS, 0)}


@pytest.mark.parametrize("call, told", [
    (lambda: WORLD.prompts("dev"), "unknown split 'dev': choose one of train, validation, test, unseen"),
    (lambda: WORLD.prompts("test", ["seas", "books", "lakes"]), "unknown families ['lakes', 'seas']: choose from "
     "capitals, chemical symbols, colours, opposites, young animals, arithmetic, books, currencies"),
    (lambda: WORLD.prompts("unseen", ["books"]), "the families ['books'] have no question in the split 'unseen'"),
    (lambda: WORLD.fact("x" * 90), f"the gold world has no question '{'x' * 80}': take one of World.prompts()"),
    (lambda: Annotator(temperature=-1.0), "need temperature > 0 and 0 <= flip_rate <= 1, got "
     "Annotator(temperature=-1.0, flip_rate=0.0, length_bias=0.0)"),
])
def test_what_is_refused_word_for_word(call, told):
    with pytest.raises(ValueError) as refused:
        call()
    assert str(refused.value) == told


def test_annotators_at_the_edges_are_taken_and_do_not_change():
    margins = np.array([0.0, 0.8])
    assert Annotator(flip_rate=1.0).probability(margins) == pytest.approx([0.5, 1 / (1 + np.exp(0.8))])
    assert Annotator(flip_rate=0.0, temperature=1e-9).probability(margins).tolist() == [0.5, 1.0]
    assert Annotator(length_bias=0.5).probability(0.0, np.array([0, 10, -20])) == pytest.approx(
        [0.5, 1 / (1 + np.exp(-0.5)), 1 / (1 + np.exp(1.0))])
    for made, name in ((Annotator(), "flip_rate"), (WORLD.facts[0], "answer"), (WORLD.families[0], "name"),
                       (bayes_limits([0.5]), "nll"), (questions.Question(1, "p", "a", "b"), "left")):
        with pytest.raises(FrozenInstanceError):
            setattr(made, name, 1)


def test_limits_and_agreement_by_hand():
    limits = bayes_limits([0.25, 1.0])
    assert limits.accuracy == 0.875 and limits.brier == 0.1875 / 2
    assert limits.nll == pytest.approx(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)) / 2)
    assert bayes_limits([0.5]).nll == pytest.approx(np.log(2))
    assert annotator_agreement(np.array([0.25, 1.0]), np.array([0.5, 0.75])) == (0.5 + 0.75) / 2


def test_what_decides_and_the_family_of_each_pair():
    pairs = [PreferencePair(FRANCE, "Paris.", "Lima."), PreferencePair(FRANCE, "Paris.", "Paris. Silly question."),
             PreferencePair("What is 2 plus 2?", "I hope that helps. 4.", "4. You are welcome."),
             PreferencePair(FRANCE, "Hello.", "Paris.")]
    assert slices.decided_by_fact(WORLD, pairs).tolist() == [True, False, False, True]
    assert slices.gold_slices(pairs, np.array([0.0, 0.8, 0.0, -1.6])) == {
        "Family of the question": [(0, "capitals"), (0, "capitals"), (0, "arithmetic"), (0, "capitals")],
        "What decides in the gold reward": [
            (0, "which answer is right"), (1, "manner alone"), (2, "nothing: equal gold rewards"),
            (0, "which answer is right")]}
    turned = slices.gold_slices(pairs[1:2], np.array([-0.8]))  # as an annotator may err
    assert turned["What decides in the gold reward"] == [(1, "manner alone")]


# --- questions -----------------------------------------------------------------------------------------------------

def test_ids_and_sides_are_pinned():
    """Label files that readers keep rest on them: another id would ask every question again."""
    made = questions.questions([PreferencePair("p", "b", "a"), PreferencePair("p", "a", "b", id=7)])
    assert made[0] == questions.Question("5c74e2792324", "p", "a", "b")
    sides = [each.left == "a" for seed in range(12) for each in questions.questions([PreferencePair("p", "a", "b")],
                                                                                    seed)]
    assert "".join("ab"[not side] for side in sides) == "abaabababaaa"


def test_a_verdict_and_a_pair_that_are_refused_word_for_word():
    with pytest.raises(ValueError) as refused:
        questions.Question(1, "p", "a", "b").row("C")
    assert str(refused.value) == "a verdict is one of A, B, tie, skip, not 'C'"
    with pytest.raises(ValueError) as refused:
        questions.questions([PreferencePair("p", "a", "b"), PreferencePair("p", "a", "a")])
    assert str(refused.value).startswith("pair 2 can't be labelled: chosen and rejected are the same")
