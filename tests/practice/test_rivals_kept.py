"""The bags of words that stay beside a model: the same when read again, none beside other weights, never a pickle."""

import json

import numpy as np
import pytest
import tiny
from safetensors import safe_open
from safetensors.numpy import save_file

from rmlib.course.world import World
from rmlib.practice import rivals
from rmlib.practice.rivals import BAGS, BUCKETS, KEPT_IN, fit_bag_of_words, fit_rivals, read_rivals

PAIRS = World().pairs(150)


@pytest.fixture
def model(tmp_path):
    tiny.reward_model("distilbert").save_pretrained(tmp_path)
    return tmp_path


def test_what_is_kept_is_what_was_fitted(model):
    fitted = fit_rivals(PAIRS)
    fitted.save(model)
    kept, others = read_rivals(model), World().pairs(1001, "test")
    assert kept.pairs == fitted.pairs == 150 and list(kept.bags) == list(BAGS)
    for name, with_prompt in BAGS.items():
        alone = fit_bag_of_words(PAIRS, with_prompt)
        assert np.array_equal(kept.bags[name].weights, alone.weights)
        assert kept.bags[name].gradient_norm == alone.gradient_norm
        assert np.array_equal(kept.margins(others)[name], alone.margins(others)) and alone.margins(others).any()
        apart = np.concatenate([alone.margins(others[:7]), alone.margins(others[7:])])
        assert np.array_equal(alone.margins(others), apart)  # more pairs than are in memory at a time


def test_only_weights_that_are_not_zero_take_room(model):
    fitted = fit_rivals(PAIRS)
    fitted.save(model)
    used = sum(np.count_nonzero(bag.weights) for bag in fitted.bags.values())
    assert used < BUCKETS / 10 and (model / KEPT_IN).stat().st_size < 12 * used + 8 * len(PAIRS) + 1000
    first = (model / KEPT_IN).read_bytes()
    fitted.save(model)
    assert (model / KEPT_IN).read_bytes() == first
    assert (model / KEPT_IN).stat().st_mode == (model / "config.json").stat().st_mode


def test_a_model_saved_anew_has_no_rivals_of_the_old_one(model):
    assert read_rivals(model) is None
    fit_rivals(PAIRS).save(model)
    assert read_rivals(model) is not None
    other = tiny.reward_model("distilbert")
    other.head.weight.data.add_(1)
    other.save_pretrained(model)
    assert (model / KEPT_IN).exists() and read_rivals(model) is None


def garbage(path):
    path.write_bytes(b"garbage")


def without_a_bag(path):
    change(path, lambda parts: parts.pop("bag of words: weights"))


def beyond_the_buckets(path):
    change(path, lambda parts: parts.update({"bag of words: buckets": parts["bag of words: buckets"] + BUCKETS}))


def too_few_weights(path):
    change(path, lambda parts: parts.update({"bag of words: weights": parts["bag of words: weights"][:5]}))


def change(path, do):
    with safe_open(path, "numpy") as file:
        metadata, parts = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    do(parts)
    save_file(parts, path, metadata)


@pytest.mark.parametrize("damage", [garbage, without_a_bag, beyond_the_buckets, too_few_weights])
def test_a_damaged_file_is_told(model, damage):
    fit_rivals(PAIRS).save(model)
    damage(model / KEPT_IN)
    with pytest.raises(ValueError, match=f"{KEPT_IN}: does not hold the bags of words of a model: .*; without"):
        read_rivals(model)


def test_of_very_many_pairs_some_are_fitted_to(monkeypatch):
    features = [rivals._most_features(pair) for pair in PAIRS]
    assert sum(features) >= len(rivals._differences(PAIRS, True)[0]) > 0
    monkeypatch.setattr(rivals, "MOST_FEATURES", sum(features) // 3)
    fitted, again = fit_rivals(PAIRS), fit_rivals(PAIRS)
    assert 150 / 4 < fitted.pairs == again.pairs < 150 / 2
    assert all(np.array_equal(fitted.bags[name].weights, again.bags[name].weights) for name in BAGS)
    first = fit_bag_of_words(PAIRS[: fitted.pairs], False)
    assert not np.array_equal(fitted.bags["bag of words, no prompt"].weights, first.weights)  # drawn from all
    for most, pairs in ((sum(features), 150), (sum(features) - 1, 149), (1, 1)):  # it may be filled to the last one
        monkeypatch.setattr(rivals, "MOST_FEATURES", most)
        assert fit_rivals(PAIRS).pairs == pairs
    with pytest.raises(ValueError, match="got 0 pairs"):
        fit_rivals([])


def test_seen_is_what_was_trained_on_and_chosen_by_fitted_to_or_not(monkeypatch):
    validation, new = World().pairs(40, "validation"), World().pairs(40, "test")
    monkeypatch.setattr(rivals, "MOST_FEATURES", 1)
    found = fit_rivals(PAIRS, validation)
    assert found.pairs == 1 and found.seen(PAIRS) == 150 and found.seen(validation) == 40 and found.seen(new) == 0
    assert fit_rivals(PAIRS).seen([*new, PAIRS[0], *validation]) == 1
    assert found.conversations.dtype == np.int64


def test_a_word_may_hold_apostrophes_and_none_at_its_ends():
    assert rivals._words("Rock'n'roll isn't 'so' É2_3-b") == ["rock'n'roll", "isn't", "so", "é2_3", "b"]


def test_the_hash_is_of_the_weights_that_were_saved(model):
    fit_rivals(PAIRS).save(model)
    with safe_open(model / KEPT_IN, "numpy") as file:
        manifest = json.loads((model / "reward_model.json").read_text())
        assert file.metadata() == {"model.safetensors": manifest["sha256"]["model.safetensors"]}
