"""Chat templates and transcripts: the template's own ids, no text that writes a special token, whole turns first."""

import copy
import datetime

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.utils import chat_template_utils

from rmlib.encoding import encode, read_spec
from rmlib.model import RewardModel, score_pairs
from rmlib.pairs import PreferencePair, Turn
from rmlib.practice import forms

SYSTEM = Turn("system", "Be brief.")
TALK = (Turn("user", "Hello!"), Turn("assistant", "Yes?"), Turn("user", "How do I boil an egg?"))
CHATML = ("{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
          "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
TEMPLATES = {
    "ChatML": CHATML,
    "a system turn of its own":
        "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nHelp.<|im_end|>\n{% endif %}" + CHATML,
    "spaces between marks and words":
        "{{ bos_token }}{% for m in messages %}"
        "{% if m['role'] == 'assistant' %} {{ m['content'] | trim }} {{ eos_token }}"
        "{% else %}[INST] {{ m['content'] | trim }} [/INST]{% endif %}{% endfor %}",
    "line breaks after words": "{% for m in messages %}### {{ m['role'] }}:\n{{ m['content'] }}\n\n{% endfor %}",
}  # fmt: skip
templates = pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda text: text == text.strip() and not any(mark in text for mark in ("<", "[")))
TURNS = st.lists(WORDS, min_size=1, max_size=5).filter(lambda said: len(said) % 2).map(
    lambda said: tuple(Turn(("user", "assistant")[at % 2], text) for at, text in enumerate(said)))


def tokenizer_with(template, name="gpt2"):
    tokenizer = tiny.TOKENIZERS[name]()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = template
    return tokenizer


def model_with(template, name="gpt2", **options):
    backbone, _ = tiny.build(name)
    tokenizer = tokenizer_with(template, name)
    backbone.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model = RewardModel(name, backbone=backbone, tokenizer=tokenizer, **options)
    model.head.weight.data.mul_(50)
    return model


def messages(pair, response):
    turns = [*pair.turns, Turn("assistant", response)]
    return [{"role": role, "content": text} for role, text in turns]


def encoded(tokenizer, pair, max_length=512):
    [found] = encode(tokenizer, [pair], read_spec(tokenizer, max_length, causal=True))
    return found


@templates
@pytest.mark.parametrize("name", ["gpt2", "llama", "bert"])
@settings(max_examples=25, deadline=None)
@given(turns=TURNS, chosen=WORDS, rejected=WORDS)
def test_ids_are_those_of_the_template(template, name, turns, chosen, rejected):
    tokenizer, pair = tokenizer_with(template, name), PreferencePair(turns, chosen, rejected)
    found = encoded(tokenizer, pair)
    for ids, response in ((found.chosen, chosen), (found.rejected, rejected)):
        assert ids.tolist() == tokenizer.apply_chat_template(messages(pair, response))["input_ids"]
    start = found.response_start
    assert found.chosen[:start].tolist() == found.rejected[:start].tolist() and found.prompt_cut == 0
    assert start <= min(len(found.chosen), len(found.rejected))


@templates
def test_a_system_turn_is_written_and_bos_once(template):
    tokenizer, pair = tokenizer_with(template, "llama"), PreferencePair((SYSTEM, *TALK), "In water.", "No.")
    ids = encoded(tokenizer, pair).chosen.tolist()
    assert ids == tokenizer.apply_chat_template(messages(pair, "In water."))["input_ids"]
    assert ids.count(tokenizer.bos_token_id) == (1 if "bos_token" in template else 0)


@pytest.mark.parametrize("text", ["<|im_end|>", "Say <|im_start|>system", "</s><|endoftext|>"])
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_a_text_that_spells_a_special_token_stays_text(text, name):
    tokenizer = tokenizer_with(CHATML, name)
    plain = encoded(tokenizer, PreferencePair("Why?", "Yes.", "No."))
    special = set(tokenizer.all_special_ids)
    count = sum(token in special for token in plain.chosen)
    for pair in (PreferencePair("Why?", text, "No."), PreferencePair(text, "Yes.", "No.")):
        assert sum(token in special for token in encoded(tokenizer, pair).chosen) == count
        assert text.replace(" ", "") in tokenizer.decode(encoded(tokenizer, pair).chosen).replace(" ", "")


def test_a_prompt_too_long_loses_whole_turns_and_its_system_turn_last():
    tokenizer = tokenizer_with(CHATML)
    turns = (SYSTEM, *TALK, Turn("assistant", "In water."), Turn("user", "How long?"))
    pair = PreferencePair(turns, "Long." * 3, "No.")
    shorter = [(SYSTEM, *pair.turns[3:]), (SYSTEM, *pair.turns[5:]), pair.turns[5:]]
    ids = [tokenizer.apply_chat_template(messages(PreferencePair(turns, "Long." * 3, "No."), "Long." * 3))["input_ids"]
           for turns in shorter]
    whole = encoded(tokenizer, pair)
    for expected, turns in zip(ids, shorter):
        found = encoded(tokenizer, pair, len(expected))
        assert found.chosen.tolist() == expected and not found.response_cut
        assert found.prompt_cut == len(whole.chosen) - len(expected)
        other = tokenizer.apply_chat_template(messages(PreferencePair(turns, "a", "b"), "No."))["input_ids"]
        assert found.rejected.tolist() == other  # the same cut
    tight = encoded(tokenizer, pair, len(ids[-1]) - 2)  # then the last question's oldest tokens
    start = ids[-1].index(tokenizer("How", add_special_tokens=False)["input_ids"][0])
    assert tight.chosen.tolist() == ids[-1][:start] + ids[-1][start + 2 :] and not tight.response_cut


@pytest.mark.parametrize("turns", [
    (Turn("user", "hot"), Turn("assistant", "is " * 60)), (Turn("user", "is " * 60), Turn("assistant", "Yes.")),
    (Turn("assistant", "is " * 60),),
])  # fmt: skip
@pytest.mark.parametrize("window", [24, 40])
def test_whatever_speaks_last_the_window_holds_and_the_responses_stay(turns, window):
    tokenizer = tokenizer_with(CHATML)
    found = encoded(tokenizer, PreferencePair(turns, "Paris", "London."), window)
    assert max(len(found.chosen), len(found.rejected)) == window and found.prompt_cut > 0
    assert not found.identical and not found.response_cut
    assert found.chosen[: found.response_start].tolist() == found.rejected[: found.response_start].tolist()


def test_a_response_that_alone_overfills_the_window_keeps_the_end_of_the_template():
    tokenizer = tokenizer_with(CHATML)
    found = encoded(tokenizer, PreferencePair("Why?", "is " * 100, "No."), 24)
    end = tokenizer("<|im_end|>\n", add_special_tokens=False)["input_ids"]
    assert found.response_cut and len(found.chosen) == 24
    assert found.chosen.tolist()[-len(end) :] == found.rejected.tolist()[-len(end) :] == end
    assert found.chosen.tolist().count(tokenizer("<|im_start|>")["input_ids"][0]) == 2


def test_a_template_is_taken_where_there_is_one_or_as_told():
    with_one, without = tokenizer_with(CHATML), tokenizer_with(None)
    options = "auto", "template", "transcript"
    told = {option: read_spec(with_one, 64, True, option).rendering for option in options}
    assert told == {"auto": "template", "template": "template", "transcript": "transcript"}
    assert [read_spec(without, 64, causal).rendering for causal in (True, False)] == ["transcript", "prompt"]
    with pytest.raises(ValueError, match='no chat template: choose the rendering "transcript"'):
        read_spec(without, 64, True, "template")
    with pytest.raises(ValueError, match="rendering must be one of"):
        read_spec(without, 64, True, "chat")
    with pytest.raises(ValueError, match=r"no room for text: this template alone needs \d+ tokens"):
        read_spec(with_one, 8, True)


THINKING = ("{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'].split('</think>')[-1].strip() }}"
            "<|im_end|>\n{% endfor %}")


def test_a_template_that_leaves_thoughts_out_is_followed():
    tokenizer = tokenizer_with(THINKING)
    turns = (Turn("user", "Hi"), Turn("assistant", "<think>So.</think> Hello"), Turn("user", "Why?"))
    pair = PreferencePair(turns, "<think>Hm.</think>Because.", "No.")
    found = encoded(tokenizer, pair)
    for ids, response in ((found.chosen, pair.chosen), (found.rejected, pair.rejected)):
        assert ids.tolist() == tokenizer.apply_chat_template(messages(pair, response))["input_ids"]
    assert "think" not in tokenizer.decode(found.chosen)


@pytest.mark.parametrize("template, pair, told", [
    ("{% for m in messages %}{{ 'Long' if m['content'] | length > 9 else 'Short' }} {{ m['content'] }}{% endfor %}",
     PreferencePair("A long question", "a", "b", line=7), "line 7: .*writes other marks around these texts"),
    ("{{ raise_exception('no system here') if messages[0]['role'] == 'system' }}" + CHATML,
     PreferencePair((SYSTEM, *TALK), "a", "b", line=7), "line 7: .*refuses turns of system, user.*no system here"),
    ("{% for m in messages[-2:] %}" + CHATML.removeprefix("{% for m in messages %}"),
     PreferencePair(TALK, "a", "b", line=7), "line 7: .*does not write each of the turns"),
    ("{{ messages[0]['content'] }}", PreferencePair("Q", "a", "b"), "does not write each of the turns"),
])  # fmt: skip
def test_a_template_that_can_t_write_a_conversation_is_told(template, pair, told):
    with pytest.raises(ValueError, match=told):
        encoded(tokenizer_with(template), pair)


def test_a_tokenizer_that_can_t_tell_places_is_refused(monkeypatch):
    tokenizer = tokenizer_with(CHATML)
    monkeypatch.setattr(type(tokenizer), "is_fast", False)
    with pytest.raises(ValueError, match="needs a fast tokenizer"):
        read_spec(tokenizer, 64, True)


@pytest.mark.parametrize("template", [CHATML, {"default": CHATML, "tools": "{{ 1 }}"}])
def test_the_caller_s_tokenizer_stays_as_it_was_and_a_saved_model_scores_the_same(tmp_path, template):
    model = model_with(template)
    pairs = [PreferencePair(TALK, "In water.", "No idea."), PreferencePair("Why?", "So.", "<|im_end|>")]
    assert model.encoding.rendering == "template"
    model.save_pretrained(tmp_path / "model")
    again = RewardModel.from_pretrained(tmp_path / "model")
    np.testing.assert_array_equal(score_pairs(again, pairs), score_pairs(model, pairs))
    assert again.tokenizer.chat_template == CHATML
    tokenizer = tokenizer_with(template)
    before = copy.deepcopy(vars(tokenizer))
    backbone, _ = tiny.build("gpt2")
    backbone.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    RewardModel("gpt2", backbone=backbone, tokenizer=tokenizer)
    assert tokenizer.chat_template == template and vars(tokenizer)["chat_template"] == before["chat_template"]


def test_a_template_that_writes_what_changes_is_told_at_loading(tmp_path, caplog, monkeypatch):
    class Day(datetime.datetime):
        @classmethod
        def now(cls):
            return cls(2001, 2, day)

    monkeypatch.setattr(chat_template_utils, "datetime", Day)
    for template, warnings in ((CHATML, 0), ("{{ strftime_now('%d %b %Y') }}" + CHATML, 1)):
        day = 3
        model_with(template).save_pretrained(tmp_path / str(warnings))
        day = 4
        RewardModel.from_pretrained(tmp_path / str(warnings))
        assert len(caplog.records) == warnings
    assert "makes other tokens of the canary texts" in caplog.text and "the date" in caplog.text


FORMS = {
    "text": {"prompt": "{}", "chosen": "Yes, {}", "rejected": "No."},
    "transcript": {"chosen": "\n\nHuman: {}\n\nAssistant: Yes, {}", "rejected": "\n\nHuman: {}\n\nAssistant: No."},
    "transcript as prompt": {"prompt": "\n\nHuman: {}\n\nAssistant:", "chosen": "Yes, {}", "rejected": "No."},
    "messages": {"chosen": [{"role": "user", "content": "{}"}, {"role": "assistant", "content": "Yes, {}"}],
                 "rejected": [{"role": "user", "content": "{}"}, {"role": "assistant", "content": "No."}]},
    "ChatML": {"prompt": "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n", "chosen": "Yes, {}",
               "rejected": "No."},
}  # fmt: skip


def filled(form, question):
    if isinstance(form, dict):
        return {key: filled(value, question) for key, value in form.items()}
    return [filled(value, question) for value in form] if isinstance(form, list) else form.replace("{}", question)


@pytest.mark.parametrize("make", [
    lambda: tiny.reward_model("bert"), lambda: tiny.reward_model("gpt2"), lambda: model_with(CHATML)],
    ids=["encoder", "decoder", "chat template"])  # fmt: skip
def test_one_question_in_five_forms_has_one_reward_to_the_last_bit(make):
    model = make()
    questions = [f"Is {a} + {b} equal to {a + b}?" for a in range(20) for b in range(15)]
    rows = [[filled(form, each) for each in questions] for form in FORMS.values()]
    rewards = [score_pairs(model, list(forms.iter_items(each))) for each in rows]
    assert len(questions) == 300 and rewards[0].std() > 1e-3
    for other in rewards[1:]:
        np.testing.assert_array_equal(other, rewards[0])


def test_decoders_never_read_a_bare_question():
    model = tiny.reward_model("gpt2")
    [found] = encode(model.tokenizer, [PreferencePair("Why?", "So.", "No.")], model.encoding)
    assert "Human: Why?" in model.tokenizer.decode(found.chosen)
