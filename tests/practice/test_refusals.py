"""What export, import and the rivals refuse, as a whole sentence each: what was wrong, where, and what helps."""

from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import transformers
from safetensors.numpy import save_file
from told import hold
from torch import nn

from rmlib.model import RewardModel
from rmlib.pairs import PreferencePair, Turn
from rmlib.practice import chat_template, classifier, export, rivals
from rmlib.practice.bias import occlusion
from rmlib.practice.chat_template import scored_texts, segments_matter, templated_tokenizer
from rmlib.practice.style import described


def refusal(call, *given):
    with pytest.raises(ValueError) as error:
        call(*given)
    return str(error.value)


def test_what_the_import_refuses():
    def config(**facts):
        return SimpleNamespace(**{"architectures": ["XForSequenceClassification"], "num_labels": 1, "auto_map": None,
                                  "is_encoder_decoder": False} | facts)

    def net(*above):
        made = nn.Module()
        made.base_model = nn.Linear(2, 2)
        for at, module in enumerate(above):
            made.add_module(f"part{at}", module)
        return made

    told = [refusal(classifier._check, config(architectures=names), "model") for names in (None, [], ["XForCausalLM"])]
    told += [refusal(classifier._linear_head, net(*above), "model") for above in (
        (nn.Linear(2, 1), nn.LayerNorm(2)), (nn.LayerNorm(2),), ())]
    hold("what an import refuses", "\n".join(told))
    head = nn.Linear(2, 1, bias=False)
    weight, bias = classifier._linear_head(net(head), "model")
    assert weight is head.weight and bias.tolist() == [0]
    assert classifier._linear_head(net(nn.Dropout(), nn.Sequential(nn.Linear(2, 1))), "model")[1].shape == (1,)


def test_what_the_export_refuses(tmp_path, monkeypatch):
    model = tiny.reward_model("bert")
    texts, slow = scored_texts(model), SimpleNamespace(is_fast=False)
    told = [refusal(export.classifier_of, tiny.reward_model("bert", "mean"), None),
            refusal(export.classifier_of, tiny.reward_model("llama", "mean"), None),
            refusal(scored_texts, tiny.reward_model("bert", max_length=6)),
            refusal(templated_tokenizer, SimpleNamespace(tokenizer=slow, encoding=None), texts, False)]
    wrong = [chat_template.ScoredText(texts[0].turns, texts[0].response, [1], 0.0)]
    told.append(refusal(templated_tokenizer, model, wrong, True))
    (tmp_path / "out").mkdir()
    told.append(refusal(export.export, tmp_path, tmp_path / "out").replace(f"{tmp_path}/", ""))
    with monkeypatch.context() as patched:
        patched.delitem(export.HEADS, "bert")
        told.append(refusal(export.classifier_of, model, None))
    model.backbone.config = transformers.CLIPTextConfig()
    told.append(refusal(export.classifier_of, model, None))
    hold("what an export refuses", "\n".join(told))


@pytest.mark.parametrize("factor, is_refused", [(0.5, False), (2.0, True)])
def test_a_difference_is_held_against_the_size_of_a_reward(tmp_path, monkeypatch, factor, is_refused):
    model = tiny.reward_model("gpt2")
    model.save_pretrained(tmp_path / "model")
    export.export(tmp_path / "model", tmp_path / "out")
    [first, *_] = scored_texts(RewardModel.from_pretrained(tmp_path / "model"))
    shifted = chat_template.ScoredText(first.turns, first.response, first.tokens,
                                       first.reward + factor * 1e-2 * max(1, abs(first.reward)))
    monkeypatch.setattr(export, "LARGEST_DIFFERENCE", 1e-2)
    if is_refused:
        assert refusal(export._compare, tmp_path / "out", [shifted], 0.0, False) == (
            "what was written gives rewards that differ from the model's by 0.02 of their size, more than 0.01: "
            "nothing is exported")
    else:
        worst, sides = export._compare(tmp_path / "out", [shifted], 0.0, False)
        assert worst == pytest.approx(0.005, rel=0.02) and "right" in sides


@pytest.mark.parametrize("name, matter", [("bert", True), ("distilbert", False), ("gpt2", False), ("roberta", False)])
def test_token_types_matter_where_a_reward_depends_on_them(name, matter):
    assert segments_matter(tiny.reward_model(name)) == matter


def test_texts_to_compare_with_fit_the_window_and_hold_both_responses():
    model = tiny.reward_model("distilbert")
    texts = scored_texts(model)
    assert len(texts) % 2 == 0 and {text.response for text in texts} >= {"One.\nTwo.", '"1", (2) and 3...',
                                                                          "Yes: so it is.", "7 + 5 = 12"}
    for text in texts:
        assert text.reward == pytest.approx(model.score([{"role": role, "content": said} for role, said in text.turns],
                                                        [text.response])[0], abs=1e-5)


def test_what_rivals_refuse(tmp_path):
    tiny.reward_model("distilbert").save_pretrained(tmp_path)
    save_file({}, tmp_path / rivals.KEPT_IN, {"model.safetensors": rivals.hash_of_weights(tmp_path)})
    told = [refusal(rivals.read_rivals, tmp_path).replace(f"{tmp_path}/", "")]
    told += [refusal(rivals.fit_bag_of_words, [], False), refusal(rivals.fit_bag_of_words, PAIRS, True, -1.0)]
    told.append(refusal(occlusion, None, "p", " "))
    told += [refusal(described, text) for text in ("", " a\n b ", "x" * 29)]
    assert described(f" {'x ' * 15}y ") == "x " * 15 + "y"
    hold("what rivals and pictures refuse", "\n".join(told))


PAIRS = [PreferencePair("Is it hot?", "Yes yes", "no"), PreferencePair("", "don't", "do not"),
         PreferencePair((Turn("user", "Hi"), Turn("assistant", "Hello there"), Turn("user", "One two")), "a", "b")]


def test_features_of_pairs_by_hand():
    rows, _, values = rivals._differences(PAIRS, False)
    assert rows.tolist() == [0, 0, 1, 1, 1, 2, 2] and values.tolist() == [2, -1, 1, -1, -1, 1, -1]
    rows, buckets, values = rivals._differences(PAIRS, True)
    assert np.bincount(rows).tolist() == [2 * 4, 3, 2 * 3]  # nothing and each word of the last question
    assert sorted(set(np.abs(values).round(6).tolist())) == [0.5, 0.57735, 1.0]
    assert len(set(buckets.tolist())) == len(buckets) and [rivals._most_features(pair) for pair in PAIRS] == [8, 3, 6]
    alone = rivals._differences(PAIRS[:1], False)[1].tolist()
    assert set(alone) <= set(buckets.tolist())  # joined to nothing they are the same features
    assert rivals._question(PreferencePair((Turn("system", "s"), Turn("assistant", "a")), "x", "y")) != ""


def test_of_more_features_than_fit_as_many_pairs_are_taken_as_do(monkeypatch):
    pairs = [PreferencePair(f"q{i}", f"a{i}", f"b{i}") for i in range(10)]  # four features each
    taken = []
    for most in (3, 4, 7, 8, 39, 40, 100):
        monkeypatch.setattr(rivals, "MOST_FEATURES", most)
        taken.append(rivals.fit_rivals(pairs).pairs)
    assert taken == [1, 1, 1, 2, 9, 10, 10]
    assert len(rivals.fit_rivals(pairs, PAIRS).conversations) == 13


def test_bags_are_fitted_in_the_order_of_the_pairs_and_see_what_their_names_say():
    found = rivals.fit_rivals(PAIRS)
    assert {name: bag.with_prompt for name, bag in found.bags.items()} == rivals.BAGS
    assert found.seen(PAIRS) == 3 and found.seen([PreferencePair("is  it hot?", "a", "b")]) == 0
    assert found.seen([PreferencePair("Is  it hot?", "a", "b"), PreferencePair("new", "a", "b")]) == 1
    assert found.conversations.dtype == np.int64
