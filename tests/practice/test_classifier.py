"""A reward model of the field gives in our hands the rewards that its own class gives, or is refused in words."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    Qwen3Config,
    Qwen3ForSequenceClassification,
)

from rmlib.model import RewardModel, score_pairs
from rmlib.pairs import PreferencePair, Turn
from rmlib.practice import classifier
from rmlib.practice.classifier import from_classifier
from rmlib.practice.export import export

# As Llama 3 writes conversations.
LLAMA_3 = ("{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>"
           "\n\n' + message['content'] | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
           "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}")
MARKS = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|pad|>"]
PAIRS = [
    PreferencePair("Is grass green?", "Yes, grass is green.", "No!"),
    PreferencePair((Turn("system", "Be brief."), Turn("user", "Hi"), Turn("assistant", "Hello"), Turn("user", "Why?")),
                   "I do not know.", "The sky is blue"),
]
SHAPE = tiny.SHAPE | {"num_key_value_heads": 2}


def loud(net):
    """Weights large enough that a reward depends on every token."""
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.dim() > 1:
                parameter.mul_(5)
    return net.eval()


def field_model(directory, pad="<|eot_id|>", of=LlamaForSequenceClassification, config=LlamaConfig, **changes):
    tokenizer = tiny.build("llama")[1]
    tokenizer.add_tokens(MARKS, special_tokens=True)
    tokenizer.chat_template, tokenizer.eos_token, tokenizer.pad_token = LLAMA_3, "<|eot_id|>", pad
    torch.manual_seed(0)
    settings = {"num_labels": 1, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": 1, **SHAPE, **changes}
    loud(of(config(vocab_size=len(tokenizer) + 5, **settings))).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def own_rewards(directory, pairs):
    """What the library's own class gives for the texts that the library's own template writes, (2, N)."""
    net = AutoModelForSequenceClassification.from_pretrained(directory)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    found = []
    for pair in pairs:
        turns = [{"role": role, "content": text} for role, text in pair.turns]
        for response in (pair.chosen, pair.rejected):
            said = [*turns, {"role": "assistant", "content": response}]
            ids = tokenizer.apply_chat_template(said, return_tensors="pt", return_dict=True)
            with torch.inference_mode():
                found.append(net(**ids).logits.item())
    return torch.tensor(found).view(-1, 2).T


@pytest.mark.parametrize("pad", ["<|eot_id|>", "<|pad|>"])
@pytest.mark.parametrize(("of", "config"), [(LlamaForSequenceClassification, LlamaConfig),
                                            (Qwen3ForSequenceClassification, Qwen3Config)])
def test_rewards_are_those_of_its_own_class(pad, of, config, tmp_path):
    directory = field_model(tmp_path / "field", pad, of, config)
    model = from_classifier(directory)
    wanted = own_rewards(directory, PAIRS)
    assert wanted.std() > 0.05 and model.encoding.rendering == "template"
    torch.testing.assert_close(torch.tensor(score_pairs(model, PAIRS)), wanted, rtol=1e-6, atol=1e-6)
    model.save_pretrained(tmp_path / "ours")
    again = RewardModel.from_pretrained(tmp_path / "ours")
    torch.testing.assert_close(torch.tensor(score_pairs(again, PAIRS)), wanted, rtol=1e-6, atol=1e-6)
    assert "no place" not in export(tmp_path / "ours", tmp_path / "back")
    torch.testing.assert_close(own_rewards(tmp_path / "back", PAIRS), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rendering", ["template", "transcript"])
def test_window_and_rendering_are_those_that_were_asked_for(rendering, tmp_path):
    encoding = from_classifier(field_model(tmp_path), 40, rendering).encoding
    assert encoding.max_length == 40 and (encoding.rendering == "template") == (rendering == "template")


def test_without_a_template_texts_end_before_padding_that_is_eos(tmp_path):
    tokenizer = tiny.build("gpt2")[1]
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=128, n_embd=32, n_layer=2, n_head=4, num_labels=1,
                        pad_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id)
    net = loud(GPT2ForSequenceClassification(config))
    net.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = from_classifier(tmp_path)
    assert model.encoding.suffix == ()
    ids = tokenizer("\n\nHuman: Is grass green?\n\nAssistant: Yes<|endoftext|>", return_tensors="pt")
    with torch.inference_mode():
        wanted = net(**ids).logits.item()
    assert score_pairs(model, [PreferencePair("Is grass green?", "Yes", "No")])[0, 0] == pytest.approx(wanted, abs=1e-6)


def test_a_bias_of_the_head_is_taken_too(tmp_path, monkeypatch):
    directory = field_model(tmp_path)
    net = AutoModelForSequenceClassification.from_pretrained(directory)
    before = score_pairs(from_classifier(directory), PAIRS)
    weight = net.score.weight
    net.score = torch.nn.Linear(weight.shape[1], 1)
    net.score.weight = weight
    torch.nn.init.constant_(net.score.bias, 0.5)
    monkeypatch.setattr(classifier, "load_from_hub", lambda name, *_: (net, AutoTokenizer.from_pretrained(name)))
    np.testing.assert_allclose(score_pairs(from_classifier(directory), PAIRS), before + 0.5, atol=1e-6)


@pytest.mark.parametrize("more, is_refused", [(0.003, True), (1e-5, False)])
def test_what_the_class_adds_shows_from_the_fourth_digit_on(more, is_refused, tmp_path, monkeypatch):
    net = AutoModelForSequenceClassification.from_pretrained(field_model(tmp_path))
    forward = net.forward
    net.forward = lambda **given: SimpleNamespace(logits=forward(**given).logits + more)
    monkeypatch.setattr(classifier, "load_from_hub", lambda name, *_: (net, AutoTokenizer.from_pretrained(name)))
    if is_refused:
        with pytest.raises(ValueError, match="does more than a linear map of the vector of the last token"):
            from_classifier(tmp_path)
    else:
        from_classifier(tmp_path)


def bert(directory, of, config):
    tokenizer = tiny.build("bert")[1]
    loud(of(config(vocab_size=len(tokenizer), num_labels=1, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                   intermediate_size=64) if of is BertForSequenceClassification else
            config(vocab_size=len(tokenizer), num_labels=1, dim=32, n_layers=2, n_heads=4, hidden_dim=64))
         ).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


@pytest.mark.parametrize(("of", "config", "why"), [
    (BertForSequenceClassification, BertConfig, "does more than a linear map of the vector of the first token"),
    (DistilBertForSequenceClassification, DistilBertConfig, "the head of DistilBertForSequenceClassification is Linear "
                                                            "and Linear; a reward here is one linear map"),
])  # fmt: skip
def test_a_head_that_is_not_linear_is_refused(of, config, why, tmp_path):
    with pytest.raises(ValueError, match=why):
        from_classifier(bert(tmp_path, of, config))


def test_an_export_of_ours_sends_back_to_the_model_it_was_made_from(tmp_path):
    tiny.reward_model("roberta").save_pretrained(tmp_path / "model")
    export(tmp_path / "model", tmp_path / "out")
    with pytest.raises(ValueError, match="of an export of this package, load the model that it was made from"):
        from_classifier(tmp_path / "out")


def test_two_labels_are_refused(tmp_path):
    with pytest.raises(ValueError, match="gives 2 numbers for a text; a reward is one"):
        from_classifier(field_model(tmp_path, num_labels=2))


def test_a_missing_head_is_refused(tmp_path):
    field_model(tmp_path)
    net = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    state = {name: weight for name, weight in net.state_dict().items() if name != "score.weight"}
    net.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(ValueError, match=r"1 of its weights are missing \(score.weight"):
        from_classifier(tmp_path)


def test_a_model_of_another_class_is_refused(tmp_path):
    field_model(tmp_path, of=LlamaForCausalLM)
    with pytest.raises(ValueError, match="holds a LlamaForCausalLM, and no ...ForSequenceClassification"):
        from_classifier(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": None}))
    with pytest.raises(ValueError, match="holds a model of no named class"):
        from_classifier(tmp_path)


def test_damaged_weights_are_told(tmp_path):
    field_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"garbage" * 9)
    with pytest.raises(ValueError, match="can't be loaded"):
        from_classifier(tmp_path)


def test_nothing_there_is_told(tmp_path):
    with pytest.raises(ValueError, match="config.json"):
        from_classifier(tmp_path)
