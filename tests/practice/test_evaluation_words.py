"""Slices and occlusion."""

import math

import numpy as np
import pytest
import tiny

from rmlib.evaluation import pair_accuracies, wilson_interval
from rmlib.model import score_pairs
from rmlib.pairs import PreferencePair
from rmlib.practice import bias
from rmlib.practice.bias import extra_words, occlusion, slices
from rmlib.practice.conservative_interval import conservative_interval

PROMPT = "What is the capital of France?"


def test_slices_are_the_parts_largest_first():
    rng = np.random.default_rng(0)
    margins = rng.normal(size=200).round(1)
    names = rng.choice(["sky", "sums", "hot"], p=[0.1, 0.6, 0.3], size=200).tolist()
    rows = slices(pair_accuracies(margins), names)
    assert [row.name for row in rows] == ["sums", "hot", "sky"] and sum(row.pairs for row in rows) == 200
    for row in rows:
        inside = [m for m, name in zip(margins, names) if name == row.name]
        right = sum(1 if m > 0 else 0.5 if m == 0 else 0 for m in inside)
        assert row.pairs == len(inside) and row.accuracy == pytest.approx(right / len(inside))
        assert (row.low, row.high) == wilson_interval(right, len(inside))


def test_a_slice_of_few_pairs_says_so():
    rows = slices(np.ones(59), ["many"] * 30 + ["few"] * 29)
    assert ["too few" in str(row) for row in rows] == [False, True]
    assert "too few" not in str(rows[0]) and str(rows[0]).split()[:4] == ["many", "30", "pairs", "1.000"]
    assert str(rows[1]).endswith("(too few pairs to tell)")
    name, pairs, accuracy, low, high = rows[1]
    assert (name, pairs, accuracy, high) == ("few", 29, 1, 1) and low < 0.9


def test_intervals_of_slices_cover_where_pairs_of_one_fact_are_alike():
    """Each fact is known, with probability 0.7, or not; Wilson's interval takes its eight pairs as eight witnesses."""
    rng, covered = np.random.default_rng(0), {"pairs": 0, "facts": 0}
    facts = np.repeat(np.arange(60), 8)  # 30 facts in either part
    for _ in range(150):
        right = (rng.random(60) < 0.7).astype(float)[facts]
        for name, clusters in (("pairs", None), ("facts", facts)):
            covered[name] += sum(row.low <= 0.7 <= row.high for row in slices(right, (facts < 30).tolist(), clusters))
    assert covered["pairs"] < 0.7 * 300 and covered["facts"] > 0.88 * 300  # 95% but for the few facts


def test_clusters_decide_the_interval_of_a_slice():
    right, facts = np.repeat([1.0, 0.0, 1.0, 1.0], 10), np.repeat(["a", "b", "c", "d"], 10)
    [row] = slices(right, ["all"] * 40, facts)
    assert (row.low, row.high) == conservative_interval(right, facts) != wilson_interval(30, 40)
    [alone] = slices(right, ["all"] * 40, ["a"] * 40)
    assert (alone.low, alone.high, alone.accuracy) == (0, 1, 0.75)
    with pytest.raises(ValueError, match="40 values, 39 labels"):
        slices(right, ["all"] * 40, facts[1:])


def test_words_are_what_stands_between_white_space_of_any_kind():
    pairs = [PreferencePair("Q", "One\ntwo  three\tfour.", "One two"), PreferencePair("Q", "\n\n", "One\u00a0two")]
    assert extra_words(pairs).tolist() == [2, -2]


def test_extra_words_are_those_of_the_chosen_response():
    pairs = [PreferencePair(PROMPT, "One  two\nthree.", "One."), PreferencePair(PROMPT, "a", "b c")]
    assert extra_words(pairs).tolist() == [2, -1]


@pytest.mark.parametrize("right, names, words", [
    ([1, 0], ["a"], "2 values, 1 labels"),
    ([], [], "at least one"),
    ([1, 3], ["a", "a"], "0 <= successes <= trials"),
])  # fmt: skip
def test_slices_that_are_none(right, names, words):
    with pytest.raises(ValueError, match=words):
        slices(right, names)


# occlusion


def counted(letter):
    """A scorer whose reward is how often a letter occurs: what a word adds is known."""

    def score(model, pairs, token_budget):
        return np.float32([[p.chosen.count(letter) for p in pairs], [p.rejected.count(letter) for p in pairs]])

    return score


def test_a_word_is_worth_what_the_reward_loses_with_it(monkeypatch):
    monkeypatch.setattr(bias, "score_pairs", counted("e"))
    text = "  Three trees,\n\nbut  no seed. "
    assert occlusion(None, PROMPT, text) == [("Three", -2), ("trees,", -2), ("but", 0), ("no", 0), ("seed.", -2)]
    monkeypatch.setattr(bias, "score_pairs", counted("\n"))
    assert occlusion(None, PROMPT, text) == [("Three", 0), ("trees,", -2), ("but", 0), ("no", 0), ("seed.", 0)]
    monkeypatch.setattr(bias, "score_pairs", counted(" "))
    assert dict(occlusion(None, PROMPT, "a b  c"))["c"] == -2  # no space is left hanging at the end


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_occlusion_scores_each_shortened_response_in_batches(name):
    model = tiny.reward_model(name)
    calls = []
    model.register_forward_pre_hook(lambda *_: calls.append(1))
    words = "The capital of France is Paris .".split()
    found = occlusion(model, PROMPT, " ".join(words))
    assert [word for word, _ in found] == words and len(calls) == 1
    occlusion(model, PROMPT, " ".join(words), token_budget=1)
    assert len(calls) == 1 + len(words)
    for i, (_, change) in enumerate(found):
        without = " ".join(words[:i] + words[i + 1 :])
        whole, less = (score_pairs(model, [PreferencePair(PROMPT, text, "-")])[0, 0] for text in
                       (" ".join(words), without))
        assert change == pytest.approx(float(less) - float(whole), abs=1e-5)
    assert max(abs(change) for _, change in found) > 1e-3


def test_a_word_alone_can_be_left_out_and_nothing_can_t():
    model = tiny.reward_model("bert")
    [(word, change)] = occlusion(model, PROMPT, "Paris")
    assert word == "Paris" and math.isfinite(change) and change != 0
    for empty in ("", " \n "):
        with pytest.raises(ValueError, match="no word to leave out"):
            occlusion(model, PROMPT, empty)
