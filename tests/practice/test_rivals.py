"""Baselines without a language model, each held against a few independent lines of arithmetic."""

import subprocess
import sys
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from places import ROOT

from rmlib.course.world import World
from rmlib.evaluation import extra_characters, length_baselines
from rmlib.pairs import PreferencePair
from rmlib.practice import rivals
from rmlib.practice.rivals import BUCKETS, TOLERANCE, WORD, fit_bag_of_words, null_baselines

L2 = 0.7
PAIRS = [
    PreferencePair("Is grass green?", "Yes, it is green.", "No, no: it is blue."),
    PreferencePair("Is grass blue?", "No, it's green.", "Yes, it is blue!"),
    PreferencePair("Is the sky blue?", "Yes.", "no"),
    PreferencePair([("user", "Hi"), ("assistant", "Yes?"), ("user", "Sky, blue sky?")], "YES yes", "Green"),
    PreferencePair("", "It is what it is", "Ça n'est pas ça"),
]


def words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def exact_solution(pairs, with_prompt, l2):
    """Weights by feature name, by Newton's method on dense matrices: no hash, no torch, no loss of ours."""
    last_turns = [pair.turns[-1].text for pair in pairs]
    rows = []
    for pair, asked in zip(pairs, last_turns):
        said = Counter(words(pair.chosen))
        said.subtract(words(pair.rejected))
        partners = ["", *set(words(asked))] if with_prompt else [""]
        rows.append({(p, w): n / np.sqrt(len(partners)) for w, n in said.items() for p in partners})
    names = sorted({name for row in rows for name in row})
    X = np.array([[row.get(name, 0.0) for name in names] for row in rows])  # (N, D)
    w = np.zeros(len(names))
    for _ in range(50):
        wrong = 1 / (1 + np.exp(X @ w))
        gradient = -X.T @ wrong + l2 * w
        w -= np.linalg.solve(X.T * (wrong * (1 - wrong)) @ X + l2 * np.eye(len(w)), gradient)
    assert np.abs(gradient).max() < 1e-12
    return X @ w, dict(zip(names, w))


@pytest.mark.parametrize("with_prompt", [False, True])
def test_fit_equals_newton_s_method_on_named_features(with_prompt):
    model = fit_bag_of_words(PAIRS, with_prompt, l2=L2)
    margins, weights = exact_solution(PAIRS, with_prompt, L2)
    assert model.margins(PAIRS) == pytest.approx(margins, abs=1e-5)  # a gradient below 1e-7 a pair, curvature >= l2
    found = np.sort(model.weights[model.weights != 0])
    assert found == pytest.approx(np.sort([w for w in weights.values() if w != 0]), abs=1e-5)
    assert 0 <= model.gradient_norm < TOLERANCE


@pytest.mark.parametrize("with_prompt", [False, True])
def test_no_step_from_the_fit_lowers_the_objective(with_prompt):
    pairs = World().pairs(150, seed=3)
    model = fit_bag_of_words(pairs, with_prompt, l2=L2)

    def objective(weights):
        margins = type(model)(weights, with_prompt, 0.0).margins(pairs)
        return np.logaddexp(0, -margins).sum() + L2 / 2 * weights @ weights

    least = objective(model.weights)
    rng = np.random.default_rng(0)
    used = np.flatnonzero(model.weights)
    for _ in range(20):
        step = np.zeros(BUCKETS)
        step[used] = rng.normal(size=len(used))
        step *= 0.01 / np.linalg.norm(step)
        # Strong convexity: at the minimum, a step s costs at least l2/2 |s|², and no slope pays for it.
        assert objective(model.weights + step) - least >= 0.9 * L2 / 2 * step @ step


def test_prompt_words_alone_cannot_change_a_margin_and_joined_ones_do():
    other = [PreferencePair("Who knows?", pair.chosen, pair.rejected) for pair in PAIRS]
    without, with_prompt = fit_bag_of_words(PAIRS, False), fit_bag_of_words(PAIRS, True)
    assert np.array_equal(without.margins(PAIRS), without.margins(other))
    assert not np.allclose(with_prompt.margins(PAIRS), with_prompt.margins(other))


def test_what_depends_on_the_prompt_is_learned_only_with_the_prompt():
    asked = [(f"Say {one}.", one, two) for one, two in product(["red", "green", "blue"], repeat=2) if one != two]
    pairs = [PreferencePair(*texts) for texts in asked]
    assert (fit_bag_of_words(pairs, True, l2=1.0).margins(pairs) > 0.1).all()
    # Each word is chosen as often as rejected: without the prompt there is nothing to learn.
    assert fit_bag_of_words(pairs, False, l2=1.0).margins(pairs) == pytest.approx(np.zeros(6), abs=1e-6)


def test_swapping_chosen_and_rejected_turns_every_margin_round():
    swapped = [PreferencePair(pair.turns, pair.rejected, pair.chosen) for pair in PAIRS]
    model = fit_bag_of_words(PAIRS, True)
    assert model.margins(swapped) == pytest.approx(-model.margins(PAIRS), abs=1e-12)
    assert fit_bag_of_words(swapped, True).margins(PAIRS) == pytest.approx(-model.margins(PAIRS), abs=1e-5)


def test_a_strong_penalty_keeps_weights_small_and_none_is_refused():
    sizes = [np.abs(fit_bag_of_words(PAIRS, True, l2=l2).weights).max() for l2 in (0.1, 1.0, 10.0)]
    assert sizes[0] > sizes[1] > sizes[2] > 0
    for l2 in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="need pairs to fit and 0 < l2"):
            fit_bag_of_words(PAIRS, False, l2=l2)
    with pytest.raises(ValueError, match="got 0 pairs"):
        fit_bag_of_words([], False)


def test_the_penalty_is_the_best_on_validation_questions():
    world = World()
    train, validation = world.pairs(2000), world.pairs(2000, "validation")
    losses = {l2: np.logaddexp(0, -fit_bag_of_words(train, False, l2=l2).margins(validation)).mean()
              for l2 in (rivals.L2 / 3, rivals.L2, rivals.L2 * 3)}
    assert min(losses, key=losses.__getitem__) == rivals.L2


def test_words_that_cancel_or_were_never_seen_say_nothing():
    model = fit_bag_of_words(PAIRS, True)
    unseen = [PreferencePair("Is grass green?", "zebra", "xylophone"), PreferencePair("p", "a b", "B, a!")]
    assert model.margins(unseen).tolist() == [0.0, 0.0] and model.margins([]).shape == (0,)
    assert fit_bag_of_words(unseen[1:], True).weights.any() == np.False_  # no feature at all


def test_fit_is_the_same_in_every_process():
    code = (f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(ROOT)!r}]\n"
            "import test_rivals as t; model = t.fit_bag_of_words(t.PAIRS, True)\n"
            "print(t.np.flatnonzero(model.weights).tolist(), model.margins(t.PAIRS).tolist())")
    environments = [{"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "tests" / "helpers")} for seed in "12"]
    told = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
            for env in environments}
    assert len(told) == 1 and told.pop().count(",") > 2 * len(PAIRS)


def test_null_baselines_are_margins_of_the_held_out_pairs():
    train, held_out = World().pairs(300), World().pairs(50, "test")
    found = null_baselines(train, held_out)
    assert list(found) == ["longer", "shorter", "bag of words", "bag of words, no prompt"]
    assert all(margins.shape == (50,) and margins.dtype == np.float64 for margins in found.values())
    assert np.array_equal(found["longer"], -found["shorter"])
    assert np.array_equal(found["longer"], [len(pair.chosen) - len(pair.rejected) for pair in held_out])
    assert np.array_equal(found["bag of words"], fit_bag_of_words(train, True).margins(held_out))
    assert np.array_equal(found["bag of words, no prompt"], fit_bag_of_words(train, False).margins(held_out))
    assert not np.allclose(found["bag of words"], found["bag of words, no prompt"])


def test_length_baselines_count_equal_lengths_as_half_right():
    lengths = list(product((1, 2, 3), repeat=2))
    pairs = [PreferencePair("Why?", "a" * one, "b" * other) for one, other in lengths]
    assert length_baselines(pairs) == {"longer": 0.5, "shorter": 0.5}
    assert length_baselines(pairs[:3]) == pytest.approx({"longer": 1 / 6, "shorter": 5 / 6})  # 1-1, 1-2 and 1-3
    assert extra_characters(pairs).tolist() == [one - other for one, other in lengths]
    # characters, not bytes
    assert length_baselines([PreferencePair("Why?", "日本", "abc")]) == {"longer": 0, "shorter": 1}
