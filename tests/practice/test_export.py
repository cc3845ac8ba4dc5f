"""An export gives the model's own rewards in the hands of transformers: each family, both paddings, every rendering."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import real_parts
import tiny
import torch
import transformers
from safetensors import SafetensorError
from transformers import (
    AlbertConfig,
    AlbertModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DebertaConfig,
    DebertaModel,
    DebertaV2Config,
    DebertaV2Model,
    ElectraConfig,
    ElectraModel,
    Gemma2Config,
    Gemma2Model,
    GemmaConfig,
    GemmaModel,
    MistralConfig,
    MistralModel,
    ModernBertConfig,
    ModernBertModel,
    Qwen3Config,
    Qwen3Model,
)

from rmlib.encoding import encode
from rmlib.model import RewardModel, score_pairs
from rmlib.pairs import PreferencePair, Turn
from rmlib.practice import command_line as cli
from rmlib.practice import export as exporting
from rmlib.practice.chat_template import CLEANED
from rmlib.practice.export import export

ENCODERS = {
    "electra": lambda size: ElectraModel(ElectraConfig(vocab_size=size, embedding_size=32, **tiny.SHAPE)),
    "albert": lambda size: AlbertModel(AlbertConfig(vocab_size=size, embedding_size=16, **tiny.SHAPE)),
    "deberta": lambda size: DebertaModel(DebertaConfig(vocab_size=size, type_vocab_size=0, **tiny.SHAPE)),
    "deberta-v2": lambda size: DebertaV2Model(DebertaV2Config(
        vocab_size=size, type_vocab_size=0, relative_attention=True, pos_att_type=["p2c", "c2p"], pooler_hidden_size=8,
        pooler_hidden_act="tanh", **tiny.SHAPE)),
    "modernbert": lambda size: ModernBertModel(ModernBertConfig(
        vocab_size=size, pad_token_id=0, cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3, **tiny.SHAPE)),
}
DECODERS = {
    kind.model_type: (lambda size, kind=kind, of=of: of(kind(
        vocab_size=size, num_key_value_heads=2, pad_token_id=None, bos_token_id=1, eos_token_id=2, **tiny.SHAPE)))
    for kind, of in ((Qwen3Config, Qwen3Model), (MistralConfig, MistralModel), (GemmaConfig, GemmaModel),
                     (Gemma2Config, Gemma2Model))
}
FAMILIES = [*tiny.ARCHITECTURES, *ENCODERS, *DECODERS, "modernbert, mean"]
TWO_TEXTS = {"bert", "electra", "albert"}  # they add a vector of its own to each token of the response
SHIFTED = {"llama", *DECODERS}
EITHER_SIDE = {*SHIFTED, "modernbert, mean"}  # their positions are differences, and their pooling looks for padding
TEMPLATE = ("{{ bos_token }}{% for m in messages %}{{ '[' + m['role'] + ']' + m['content'] | trim + eos_token }}"
            "{% endfor %}")
PAIRS = [
    PreferencePair("Is 7 + 5 equal to 12?", "Yes, seven and five make twelve.", "No!"),
    PreferencePair("\n\nHuman: Hi.\n\nAssistant: Hello!\n\nHuman: Is grass\n- green?\n\nAssistant:", "1. Yes", "Blue"),
    PreferencePair((Turn("system", "Be brief"), Turn("user", "Why is the sky blue?")), "I\ndo not", '"Perhaps" (!)'),
]


def draw(model):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        model.head.weight.copy_(torch.randn(model.head.weight.shape, generator=generator))
        model.head.bias.fill_(0.75)
    return model


def built(family):
    if family in tiny.ARCHITECTURES:
        return draw(tiny.reward_model(family))
    name, _, pooling = family.partition(", ")
    tokenizer = tiny.build("bert" if name in ENCODERS else "llama")[1]
    torch.manual_seed(0)
    backbone = (ENCODERS | DECODERS)[name](len(tokenizer)).eval()
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.dim() > 1:
                parameter.mul_(5)
    return draw(RewardModel(name, pooling or "auto", backbone=backbone, tokenizer=tokenizer))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """By family: the model, and what a stranger has: class, tokenizer and directory."""
    made = {}

    def get(family, change=lambda model: None):
        if family not in made:
            directory, model = tmp_path_factory.mktemp("export"), built(family)
            change(model)
            model.save_pretrained(directory / "model")
            told = export(directory / "model", directory / "out")
            net = AutoModelForSequenceClassification.from_pretrained(directory / "out")
            tokenizer = AutoTokenizer.from_pretrained(directory / "out")
            made[family] = SimpleNamespace(model=model, net=net, tokenizer=tokenizer, out=directory / "out", told=told)
        return made[family]

    return get


def messages(pair, response=None):
    said = [{"role": role, "content": text} for role, text in pair.turns]
    return said + ([] if response is None else [{"role": "assistant", "content": response}])


def given(tokenizer, pair, response, two_texts):
    """What a user would write by the export's card."""
    if two_texts:
        prompt = tokenizer.apply_chat_template(messages(pair), tokenize=False, add_generation_prompt=True)
        return tokenizer(prompt, response)
    return tokenizer.apply_chat_template(messages(pair, response), tokenize=True, return_dict=True)


def rewards(it, two_texts, side="right"):
    rows = [given(it.tokenizer, pair, each, two_texts) for pair in PAIRS for each in (pair.chosen, pair.rejected)]
    batch = it.tokenizer.pad(rows, return_tensors="pt", padding_side=side)
    with torch.inference_mode():
        return it.net(**batch).logits.view(-1, 2).T


@pytest.mark.parametrize("family", FAMILIES)
def test_rewards_of_a_padded_batch_are_the_models(family, exported):
    it = exported(family)
    wanted = torch.tensor(score_pairs(it.model, PAIRS)) - (0.75 if family in SHIFTED else 0)
    assert wanted.std() > 0.05
    torch.testing.assert_close(rewards(it, family in TWO_TEXTS), wanted, rtol=1e-5, atol=1e-5)
    assert ("0.75" in it.told) == (family in SHIFTED)
    rows = it.model.backbone.get_input_embeddings().weight.shape[0]
    added = it.net.get_input_embeddings().weight[rows:]  # for a padding token: zeros, or files would differ by chance
    assert len(added) == max(0, len(it.tokenizer) - rows) and not added.any()
    card = (it.out / "README.md").read_text()
    if family in EITHER_SIDE:
        torch.testing.assert_close(rewards(it, False, "left"), wanted, rtol=1e-5, atol=1e-5)
        assert "the left or the right" in card
    else:
        assert (rewards(it, family in TWO_TEXTS, "left") - wanted).abs().max() > 0.01
        assert "Padded on the other side it gives other rewards" in card and "left or" not in card


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_are_the_models(family, exported):
    it = exported(family)
    for pair, ids in zip(PAIRS, encode(it.model.tokenizer, PAIRS, it.model.encoding)):
        for response, tokens in ((pair.chosen, ids.chosen), (pair.rejected, ids.rejected)):
            inputs = given(it.tokenizer, pair, response, family in TWO_TEXTS)
            assert inputs["input_ids"] == tokens.tolist()
            if family in TWO_TEXTS:
                assert inputs["token_type_ids"] == [0] * ids.response_start + [1] * (len(tokens) - ids.response_start)
            else:
                assert "token_type_ids" not in inputs


@pytest.mark.parametrize("family", FAMILIES)
def test_the_pipeline_gives_the_same_reward(family, exported):
    it = exported(family)
    pipe = transformers.pipeline("text-classification", str(it.out))
    [pair] = PAIRS[1:2]
    text = messages(pair, pair.chosen)
    if family in TWO_TEXTS:
        prompt = it.tokenizer.apply_chat_template(text[:-1], tokenize=False, add_generation_prompt=True)
        found = pipe({"text": prompt, "text_pair": pair.chosen})
    else:
        [found] = pipe(it.tokenizer.apply_chat_template(text, tokenize=False))
    wanted = score_pairs(it.model, [pair])[0, 0] - (0.75 if family in SHIFTED else 0)
    assert found == {"label": "reward", "score": pytest.approx(wanted, rel=1e-5, abs=1e-5)}


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_the_config_is_what_others_look_for(family, exported):
    it = exported(family)
    config = json.loads((it.out / "config.json").read_text())
    assert config["problem_type"] == "regression" and config["id2label"] == {"0": "reward"}
    assert config["architectures"][0].endswith("ForSequenceClassification") and "rmlib" not in json.dumps(config)
    assert config["pad_token_id"] == it.tokenizer.pad_token_id != it.tokenizer.eos_token_id
    assert it.tokenizer.model_max_length == it.model.encoding.max_length
    assert (it.tokenizer.truncation_side, it.tokenizer.padding_side) == ("left", "right")
    modes = {(it.out / name).stat().st_mode for name in ("config.json", "model.safetensors")}
    assert len(modes) == 1  # who may read one may read the other


@pytest.mark.parametrize("family", ["llama", "distilbert"])
def test_a_chat_template_of_its_own_is_kept(family, tmp_path):
    backbone, tokenizer = tiny.build(family)
    tokenizer.add_special_tokens({"bos_token": "[CLS]", "eos_token": "[SEP]"} if family == "distilbert" else {})
    tokenizer.chat_template = TEMPLATE
    model = draw(RewardModel(family, backbone=backbone, tokenizer=tokenizer))
    assert model.encoding.rendering == "template"
    model.save_pretrained(tmp_path / "model")
    export(tmp_path / "model", tmp_path / "out")
    it = SimpleNamespace(net=AutoModelForSequenceClassification.from_pretrained(tmp_path / "out"),
                         tokenizer=AutoTokenizer.from_pretrained(tmp_path / "out"))
    wanted = torch.tensor(score_pairs(model, PAIRS)) - (0.75 if family == "llama" else 0)
    torch.testing.assert_close(rewards(it, False), wanted, rtol=1e-5, atol=1e-5)
    assert it.tokenizer.chat_template == CLEANED + TEMPLATE
    text = it.tokenizer.apply_chat_template(messages(PAIRS[0], "Yes"), tokenize=False)
    assert it.tokenizer(text)["input_ids"] == it.tokenizer(text, add_special_tokens=False)["input_ids"]


def test_padding_that_is_eos_is_replaced_though_no_text_ends_in_it(tmp_path):
    backbone, tokenizer = tiny.build("llama")
    tokenizer.chat_template, tokenizer.pad_token = TEMPLATE + "over", tokenizer.eos_token
    model = draw(RewardModel("llama", backbone=backbone, tokenizer=tokenizer))
    model.save_pretrained(tmp_path / "model")
    export(tmp_path / "model", tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.pad_token == "<|pad|>" and tokenizer.eos_token == "</s>"


def test_an_encoder_that_always_renders_transcripts(tmp_path):
    backbone, tokenizer = tiny.build("distilbert")
    tokenizer.chat_template = TEMPLATE
    model = draw(RewardModel("it", rendering="transcript", backbone=backbone, tokenizer=tokenizer))
    model.encoding = replace(model.encoding, rendering="transcript")
    model.save_pretrained(tmp_path / "model")
    export(tmp_path / "model", tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    [ids] = encode(model.tokenizer, PAIRS[:1], model.encoding)
    assert given(tokenizer, PAIRS[0], PAIRS[0].chosen, False)["input_ids"] == ids.chosen.tolist()


def test_two_texts_are_cut_as_the_model_cuts_them(exported):
    it = exported("distilbert")
    pair = PreferencePair("Why is the sky so blue, and grass so green? " * 20, "It is.", "It is.")
    [ids] = encode(it.model.tokenizer, [pair], it.model.encoding)
    assert ids.prompt_cut
    assert it.tokenizer(pair.prompt, pair.chosen, truncation="only_first")["input_ids"] == ids.chosen.tolist()


def test_a_text_that_spells_a_special_token_stays_text_where_asked(exported):
    it = exported("distilbert")
    pair = PreferencePair("Is it [SEP] so?", "Yes [CLS]", "No")
    [ids] = encode(it.model.tokenizer, [pair], it.model.encoding)
    plain = given(it.tokenizer, pair, pair.chosen, False)["input_ids"]
    safe = it.tokenizer.apply_chat_template(messages(pair, pair.chosen), return_dict=True, sanitize_control_tokens=True)
    assert safe["input_ids"] == ids.chosen.tolist() != plain


@pytest.mark.parametrize(("family", "said", "why"), [
    ("distilbert", [("user", "Hi")], "the last message should be the assistant's"),
    ("llama", [("assistant", "Hi")], "after at least one other"),
    ("llama", [("user", "Hi"), ("tool", "7"), ("assistant", "Yes")], "needs a role, user, assistant or system"),
    ("gpt2", [("user", [{"type": "text", "text": "Hi"}]), ("assistant", "Yes")], "a content that is text"),
    ("bert", [("user", "Hi"), ("assistant", "Yes")], "token types, which one text can't carry"),
])  # fmt: skip
def test_what_the_template_can_not_spell_is_refused(family, said, why, exported):
    with pytest.raises(Exception, match=why):
        exported(family).tokenizer.apply_chat_template([{"role": role, "content": text} for role, text in said])


@pytest.mark.parametrize(("family", "pooling", "why"), [
    ("bert", "mean", "BertForSequenceClassification pools by cls, and this model by mean"),
    ("llama", "mean", "LlamaForSequenceClassification pools by last, and this model by mean"),
])
def test_a_pooling_that_the_class_lacks_is_refused(family, pooling, why, tmp_path):
    tiny.reward_model(family, pooling).save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match=why):
        export(tmp_path / "model", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_family_whose_head_is_not_known_is_refused(tmp_path, monkeypatch):
    monkeypatch.delitem(exporting.HEADS, "bert")
    tiny.reward_model("bert").save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match="what BertForSequenceClassification puts between its backbone and its last"):
        export(tmp_path / "model", tmp_path / "out")


@pytest.mark.parametrize(("name", "value"), [("BEFORE_TANH", 1.0), ("BEFORE_TANH", float("nan"))])
def test_rewards_that_differ_are_refused_and_nothing_is_left(name, value, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, name, value)
    draw(tiny.reward_model("bert")).save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match="differ from the model's by .* nothing is exported"):
        export(tmp_path / "model", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_window_too_small_to_compare_in_is_refused(tmp_path):
    tiny.reward_model("distilbert", max_length=6).save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match="a window of 6 tokens is too small to compare"):
        export(tmp_path / "model", tmp_path / "out")


def test_the_command_exports_once(tmp_path, capsys):
    draw(tiny.reward_model("llama")).save_pretrained(tmp_path / "model")
    assert cli.main(["export", str(tmp_path / "model"), str(tmp_path / "new/out")]) == 0
    told = capsys.readouterr()
    assert told.out == "" and "LlamaForSequenceClassification in" in told.err and "lower by 0.75" in told.err
    before = (tmp_path / "new/out/model.safetensors").read_bytes()
    assert cli.main(["export", str(tmp_path / "model"), str(tmp_path / "new/out")]) == 2
    assert "is there already, and is not overwritten" in capsys.readouterr().err
    assert (tmp_path / "new/out/model.safetensors").read_bytes() == before
    assert cli.main(["export", str(tmp_path), str(tmp_path / "other")]) == 2
    assert "holds no saved reward model" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["out"]


@pytest.mark.parametrize("family", ["distilbert", "llama"])
def test_line_ends_of_any_kind_are_rendered_alike(tmp_path, family):
    tiny.reward_model(family).save_pretrained(tmp_path / "model")
    export(tmp_path / "model", tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    turns = [{"role": role, "content": f" {role}END\nsaid"} for role in ("user", "assistant")]
    texts = {tokenizer.apply_chat_template(
        [turn | {"content": turn["content"].replace("END\n", end)} for turn in turns], tokenize=False)
        for end in ("\n", "\r\n", "\r")}
    assert len(texts) == 1 and "assistant\nsaid" in texts.pop()


@pytest.mark.parametrize("error", [OSError, SafetensorError, Exception])
def test_a_full_disk_leaves_no_export_and_says_what_to_do(tmp_path, capsys, monkeypatch, error):
    def fail(*_, **__):
        raise error("No space left on device (os error 28)")

    tiny.reward_model("distilbert").save_pretrained(tmp_path / "model")
    monkeypatch.setattr(transformers.PreTrainedModel, "save_pretrained", fail)
    assert cli.main(["export", str(tmp_path / "model"), str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.endswith(f"error: {tmp_path / 'out'}: can't be written, and is not there: No space "
                                            "left on device (os error 28); make room there, and start it again\n")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_export_of_a_model_saved_in_half_precision_is_compared_in_full(tmp_path):
    draw(tiny.reward_model("gpt2")).bfloat16().save_pretrained(tmp_path / "model")
    export(tmp_path / "model", tmp_path / "out")
    assert json.loads((tmp_path / "out/config.json").read_text())["dtype"] == "float32"


@pytest.mark.real
def test_minilm(tmp_path):
    model = draw(RewardModel(str(real_parts.require(real_parts.minilm_dir))))
    with torch.no_grad():
        # A spread of 0.1; that of the shipped model is 0.023. At 1 the two classes differ by 2e-7 in float64, and in
        # float32 by 1.4e-5: rounding, which grows with the head as the bound does not.
        model.head.weight.mul_(0.1)
    model.save_pretrained(tmp_path / "model")
    export(tmp_path / "model", tmp_path / "out")
    it = SimpleNamespace(net=AutoModelForSequenceClassification.from_pretrained(tmp_path / "out"),
                         tokenizer=AutoTokenizer.from_pretrained(tmp_path / "out"))
    wanted = torch.tensor(score_pairs(model, PAIRS))
    torch.testing.assert_close(rewards(it, True), wanted, rtol=1e-5, atol=1e-5)


def test_trl_renders_and_scores_as_the_model_does(exported):
    data_utils = pytest.importorskip("trl.data_utils")
    it = exported("llama")
    texts = [data_utils.apply_chat_template({"messages": messages(pair, pair.chosen)}, it.tokenizer)["text"]
             for pair in PAIRS]
    # As GRPOTrainer calls a reward model.
    batch = it.tokenizer(text=texts, return_tensors="pt", padding=True, padding_side="right", add_special_tokens=False)
    with torch.inference_mode():
        found = it.net(**batch).logits[:, 0]
    torch.testing.assert_close(found, torch.tensor(score_pairs(it.model, PAIRS)[0]) - 0.75, rtol=1e-5, atol=1e-5)


WHITE = [
    ([("user", " Who is it?\n")], "Paris.\n"), ([("system", " "), ("user", "Who\r\nis it?")], " Paris."),
    ([("user", "Who is it?")], "\nYes:\r\nso it is. "), ([("system", " Be brief.\n"), ("user", "Who?")], "A model."),
]


@pytest.mark.parametrize("family", ["gpt2", "llama", "distilbert"])
@pytest.mark.parametrize("templated", [True, False])
def test_white_space_and_empty_system_turns_are_read_as_score_reads_them(family, templated, tmp_path):
    backbone, tokenizer = tiny.build(family)
    tokenizer.add_special_tokens({"bos_token": "[CLS]", "eos_token": "[SEP]"} if family == "distilbert" else {})
    tokenizer.chat_template = TEMPLATE if templated else None
    model = draw(RewardModel(family, backbone=backbone, tokenizer=tokenizer))
    model.save_pretrained(tmp_path / "model")
    export(tmp_path / "model", tmp_path / "out")
    net = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    for turns, response in WHITE:
        chat = [{"role": role, "content": text} for role, text in turns]
        inputs = tokenizer.apply_chat_template([*chat, {"role": "assistant", "content": response}], return_dict=True,
                                               return_tensors="pt")
        [wanted] = model.score(chat, [response])
        with torch.inference_mode():
            got = net(**inputs).logits.item()
        assert got == pytest.approx(wanted - (0.75 if family == "llama" else 0), abs=1e-4), (turns, response)


@pytest.mark.parametrize("family", ["bert", "distilbert", "gpt2", "llama"])
@pytest.mark.parametrize("size", [1000.0, -1000.0])
def test_rewards_are_compared_by_their_size_whatever_their_sign(family, size, tmp_path):
    model = tiny.reward_model(family)
    with torch.no_grad():
        model.head.weight.mul_(100)
        model.head.bias.fill_(size)
    model.save_pretrained(tmp_path / "model")
    assert ("lower by" in export(tmp_path / "model", tmp_path / "out")) == (family == "llama")
