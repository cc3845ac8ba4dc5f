"""`score` and `rank`: rewards of any number of responses to one prompt."""

import logging

import numpy as np
import pytest
import tiny
import torch

from rmlib.encoding import encode
from rmlib.model import score_pairs
from rmlib.pairs import PreferencePair

PROMPT = "What is the capital of France?"
RESPONSES = ["Paris.", "London, I am sorry.", "I do not know that.", "The capital of France is Paris.", "eight"]
CHAT = "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }} </s>{% endfor %}"
TURNS = [("user", "Is grass green? " * 6), ("assistant", "yes " * 6), ("user", "Is the sky blue, perhaps, or hot?")]


def alone(model, turns, response, cut=0) -> float:
    """The reward of one response by hand: its own tokens, `cut` of the prompt's oldest left out, no batch, no pair."""
    spec = model.encoding
    [pair] = encode(model.tokenizer, [PreferencePair(turns, response, response)], spec)
    start = len(spec.prefix)
    ids = [*pair.chosen[:start], *pair.chosen[start + cut :]]
    types = [spec.segment * (at >= pair.response_start - cut) for at in range(len(ids))]
    inputs = {"input_ids": [ids], "attention_mask": [[1] * len(ids)]}
    inputs |= {"token_type_ids": [types]} if spec.segment else {}
    with torch.no_grad():
        return model(**{name: torch.tensor(value) for name, value in inputs.items()}).item()


@pytest.mark.parametrize("name", tiny.ARCHITECTURES)
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_rewards_are_those_of_each_response_alone(name, count):
    model = tiny.reward_model(name)
    found = model.score(PROMPT, RESPONSES[:count])
    assert found == pytest.approx([alone(model, PROMPT, each) for each in RESPONSES[:count]], abs=1e-5)
    assert all(type(each) is float for each in found) and (count == 1 or max(found) - min(found) > 1e-3)


def test_they_are_those_of_pairs():
    model = tiny.reward_model("llama")
    assert model.score(PROMPT, RESPONSES[:2]) == pytest.approx(
        score_pairs(model, [PreferencePair(PROMPT, *RESPONSES[:2])]).ravel().tolist(), abs=1e-6)


def test_rank_has_the_best_first_and_equals_in_their_order():
    model = tiny.reward_model("distilbert")
    rewards, order = model.score(PROMPT, RESPONSES), model.rank(PROMPT, RESPONSES)
    assert order == np.argsort(-np.array(rewards)).tolist() != sorted(order)
    with torch.no_grad():
        model.head.weight.zero_()
    assert model.rank(PROMPT, RESPONSES) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", ["distilbert", "gpt2"])
def test_all_responses_see_the_cut_of_the_longest(name, caplog):
    model = tiny.reward_model(name, max_length=40)
    prompt = "What is the capital of France? " * 5
    responses = ["Paris", "London", " ".join(["yes"] * 9), " ".join(["no"] * 12), "eight"]
    found = model.score(prompt, responses)
    cuts = [pair.prompt_cut for pair in encode(
        model.tokenizer, [PreferencePair(prompt, each, each) for each in responses], model.encoding)]
    wide = tiny.reward_model(name)
    assert len(set(cuts)) > 2 and f"lost its {max(cuts)} oldest tokens" in caplog.text
    assert found == pytest.approx([alone(wide, prompt, each, max(cuts)) for each in responses], abs=1e-5)
    assert found != pytest.approx([alone(wide, prompt, *both) for both in zip(responses, cuts)], abs=1e-5)


def test_of_a_template_all_lose_the_same_turns():
    model = tiny.reward_model("llama")
    model.tokenizer.chat_template = CHAT
    from rmlib.model import RewardModel

    model = RewardModel("llama", max_length=60, backbone=model.backbone, tokenizer=model.tokenizer)
    responses = ["no", "The sky is blue and " * 6]
    together = encode(model.tokenizer, [PreferencePair(TURNS, each, each) for each in responses], model.encoding,
                      same_cut=True)
    apart = encode(model.tokenizer, [PreferencePair(TURNS, each, each) for each in responses], model.encoding)
    starts = [pair.chosen[: pair.response_start].tolist() for pair in together]
    assert starts[0] == starts[1] == apart[1].chosen[: apart[1].response_start].tolist()
    assert starts[0] != apart[0].chosen[: apart[0].response_start].tolist()
    assert len(model.score(TURNS_AS_MESSAGES, responses)) == 2


TURNS_AS_MESSAGES = [{"role": role, "content": text} for role, text in TURNS]


def test_a_prompt_may_be_text_a_transcript_or_messages():
    model = tiny.reward_model("gpt2")
    as_text = "".join(f"\n\n{'Human' if role == 'user' else 'Assistant'}: {text.strip()}" for role, text in TURNS)
    assert model.score(TURNS_AS_MESSAGES, RESPONSES) == model.score(as_text + "\n\nAssistant:", RESPONSES)
    assert model.score([{"role": "user", "content": PROMPT}], RESPONSES) == model.score(PROMPT, RESPONSES)
    with_system = [{"role": "system", "content": "Be short."}, {"role": "user", "content": PROMPT}]
    assert model.score(with_system, RESPONSES) != pytest.approx(model.score(PROMPT, RESPONSES), abs=1e-3)


def test_training_mode_and_gradients_are_left_as_they_were():
    model = tiny.reward_model("bert").train()
    first = model.score(PROMPT, RESPONSES)
    assert model.score(PROMPT, RESPONSES) == first and model.training


@pytest.mark.parametrize("responses, words", [
    ("Paris", "should be a list of texts, at least one, not 'Paris'"), ([], "at least one"),
    (["Paris", None], "response 1 is null"), ([{"role": "assistant", "content": "x"}], "response 0 should be text"),
    ({"a": "Paris"}, "at least one, not an object"), (["a\0b"], "NUL"), (["\ud800"], "surrogate"),
])
def test_what_is_no_response(responses, words):
    with pytest.raises(ValueError, match=words):
        tiny.reward_model("distilbert").score(PROMPT, responses)


@pytest.mark.parametrize("prompt", [None, 3, [], [{"role": "wizard", "content": "x"}], "### User: a"])
def test_what_is_no_prompt(prompt):
    with pytest.raises(ValueError):
        tiny.reward_model("distilbert").score(prompt, RESPONSES)


def test_one_sequence_scored_twice_is_a_tie_whatever_its_places_in_a_batch_make_of_it(monkeypatch):
    model = tiny.reward_model("distilbert")
    monkeypatch.setattr(model, "forward", lambda **batch: torch.arange(len(batch["input_ids"])).float())
    [[alike, apart], [alike_again, apart_again]] = score_pairs(
        model, [PreferencePair(PROMPT, "\x01", "\x02"), PreferencePair(PROMPT, "yes", "no")])
    assert alike == alike_again and apart != apart_again


def test_a_response_is_stripped_as_those_of_pairs_are():
    model = tiny.reward_model("gpt2")
    assert model.score(PROMPT, [" Paris.\n", "Paris."]) == model.score(PROMPT, ["Paris.", "Paris."])


def test_an_empty_response_has_a_reward(caplog):
    with caplog.at_level(logging.WARNING):
        [reward] = tiny.reward_model("distilbert").score(PROMPT, [""])
    assert np.isfinite(reward) and not caplog.text
