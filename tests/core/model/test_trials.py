"""Backbones of many kinds: each is right, or refused in words, and what is tried leaves no trace."""

import math
import shutil

import numpy as np
import pytest
import tiny
import torch
import transformers
from tokenizers.processors import TemplateProcessing
from torch import nn
from transformers import AutoModel

from rmlib.encoding import collate, encode
from rmlib.model import RewardModel, score_pairs, trials
from rmlib.model.trials import freeze_unused
from rmlib.pairs import PreferencePair
from rmlib.settings import EMBEDDED_BACKBONE
from rmlib.training import TrainingConfig, train

PAIRS = [
    PreferencePair("What is the capital of France?", "Paris.", "London, I think, though I do not know."),
    PreferencePair("Is 7 + 5 equal to 12?", "Yes", "no " * 30),
    PreferencePair("a", "b", "c"),
]
SHAPE = {**tiny.SHAPE, "max_position_embeddings": 128}
XLNET = {"own_sizes": True, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64}
EXPERTS = {**SHAPE, "num_key_value_heads": 2, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


def build(kind: str, tokenizer: str = "bert", seed: int = 0, scale: float = 3, **changes):
    """(backbone, tokenizer) of any architecture, weights random and large enough that attention matters."""
    torch.manual_seed(seed)
    tokenizer = tiny.TOKENIZERS[tokenizer]()
    sizes = {"vocab_size": len(tokenizer), **(changes if "own_sizes" in changes else SHAPE | changes)}
    sizes.pop("own_sizes", None)
    config = getattr(transformers, kind + "Config")(**sizes)
    backbone = getattr(transformers, kind + "Model")(config)
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.dim() > 1:
                parameter.mul_(scale)
    return backbone, tokenizer


def reward_model(backbone, tokenizer, **options):
    model = RewardModel("this", backbone=backbone, tokenizer=tokenizer, **options)
    nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(1))
    return model


def assert_right(model):
    """Rewards are those of the library's own call on one text at a time, whatever the padding and the batch."""
    encoded, alone = encode(model.tokenizer, PAIRS, model.encoding), []
    for pair in encoded:
        for row in (pair.chosen, pair.rejected):
            types = torch.zeros(1, len(row), dtype=torch.long)
            types[:, pair.response_start :] = model.encoding.segment
            inputs = {"token_type_ids": types} if model.encoding.segment else {}
            with torch.no_grad():
                hidden = model.backbone(input_ids=torch.from_numpy(row).long()[None], **inputs).last_hidden_state[0]
                alone.append(model.head(hidden[0 if model.pooling == "cls" else -1]).item())
    wanted = np.array(alone).reshape(-1, 2).T
    assert wanted.std() > 0.02
    np.testing.assert_allclose(score_pairs(model, PAIRS, 1), wanted, atol=2e-5 * np.abs(wanted).max())
    for side in ("left", "right"):
        batch = collate(encoded, model.encoding, 0, side)
        with torch.no_grad():
            got = model(**{key: nn.functional.pad(rows, (5, 0) if side == "left" else (0, 5))
                           for key, rows in batch.items()}).view(2, -1)
        np.testing.assert_allclose(got, wanted, atol=2e-5 * np.abs(wanted).max())


# Causal or not


@pytest.mark.parametrize("kind", ["Mixtral", "Qwen2Moe", "Olmoe", "GptOss"])
def test_a_decoder_of_experts_is_no_encoder_by_a_bit_of_rounding(kind):
    for seed in range(6):
        backbone, tokenizer = build(kind, "gpt2", seed, **EXPERTS, num_experts=8, num_local_experts=8)
        assert RewardModel(kind, backbone=backbone, tokenizer=tokenizer).pooling == "last"


def test_one_text_that_changes_its_expert_makes_no_encoder():
    alone = torch.ones(4, 8, 16)
    alone[1, 0] = 2
    assert trials.is_causal(alone)
    alone[2:, 0] = torch.tensor([3.0, 4.0])[:, None]
    assert not trials.is_causal(alone)


def test_a_backbone_that_tells_no_texts_apart_is_refused():
    backbone, tokenizer = build("Bert")
    for layer in backbone.encoder.layer:
        nn.init.zeros_(layer.attention.output.dense.weight)
    with pytest.raises(ValueError, match='pooling "last" gives unlike texts one vector'):
        RewardModel("blind", backbone=backbone, tokenizer=tokenizer)


def test_a_pooling_that_tells_no_texts_apart_is_not_trained():
    model = tiny.reward_model("gpt2", "cls")
    with pytest.raises(ValueError, match='GPT2Model can\'t be trained: pooling "cls" gives unlike texts one vector'):
        freeze_unused(model)


# Batch mates and padding


@pytest.mark.parametrize("kind, changes", [
    ("FNet", {}), ("ConvBert", {"embedding_size": 32}), ("Nystromformer", {"segment_means_seq_len": 64}), ("Yoso", {}),
    ("Funnel", {"own_sizes": True, "block_sizes": [1, 1], "d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 64}),
])  # fmt: skip
def test_a_backbone_that_looks_at_its_batch_mates_is_refused(kind, changes):
    backbone, tokenizer = build(kind, **changes)
    with pytest.raises(ValueError, match=f"{kind}Model can't be .*gives a text other vectors .* than alone"):
        RewardModel(kind, backbone=backbone, tokenizer=tokenizer)


def test_a_backbone_whose_attention_changes_with_the_length_is_refused():
    backbone, tokenizer = build("Electra", embedding_size=32)
    backbone.encoder.register_forward_pre_hook(lambda _, inputs: (inputs[0] * (1 + inputs[0].shape[1] // 100),))
    with pytest.raises(ValueError, match="padded to 127 tokens than alone"):
        RewardModel("long", backbone=backbone, tokenizer=tokenizer)
    assert_right(reward_model(*build("Electra", embedding_size=32)))


@pytest.mark.parametrize("kind, tokenizer, changes", [
    ("OPT", "gpt2", {"word_embed_proj_dim": 16, "ffn_dim": 64, "do_layer_norm_before": True}),
    ("SqueezeBert", "bert", {"embedding_size": 32, "q_groups": 1}), ("XLNet", "bert", XLNET),
    ("Bloom", "gpt2", {"n_layer": 2, "n_head": 4}), ("DebertaV2", "bert", {"relative_attention": True}),
    ("Longformer", "bert", {"attention_window": 8}), ("Mixtral", "gpt2", EXPERTS), ("MPNet", "bert", {}),
    ("Albert", "bert", {"embedding_size": 16}), ("ModernBert", "bert", {"pad_token_id": 0}), ("Mamba", "gpt2", {}),
    ("Rwkv", "gpt2", {}),
])  # fmt: skip
def test_other_backbones_are_right_and_come_back(tmp_path, kind, tokenizer, changes):
    model = reward_model(*build(kind, tokenizer, **changes))
    assert_right(model)
    model.save_pretrained(tmp_path / "model")
    again = RewardModel.from_pretrained(tmp_path / "model")
    np.testing.assert_array_equal(score_pairs(again, PAIRS), score_pairs(model, PAIRS))


def test_cls_is_the_last_token_where_the_tokenizer_puts_it_there():
    backbone, tokenizer = build("XLNet", **XLNET)
    template = TemplateProcessing(
        "$A:0 [SEP]:0 [CLS]:2", "$A:0 [SEP]:0 $B:1 [SEP]:1 [CLS]:2",
        [("[CLS]", tokenizer.cls_token_id), ("[SEP]", tokenizer.sep_token_id)])
    tokenizer.backend_tokenizer.post_processor = template
    model = reward_model(backbone, tokenizer)
    assert model.pooling == "last" and model.encoding.max_length == 512
    assert_right(model)


@pytest.mark.parametrize("kind, changes", [
    ("Canine", {}),
    ("Reformer", {"axial_pos_embds": False, "attention_head_size": 8, "attn_layers": ["local"], "is_decoder": False}),
])  # fmt: skip
def test_what_can_take_no_batch_of_texts_is_refused_in_words(kind, changes):
    backbone, tokenizer = build(kind, **changes)
    with pytest.raises(ValueError, match=f"{kind}Model (can't be a reward model's|has no embeddings of tokens)"):
        RewardModel(kind, backbone=backbone, tokenizer=tokenizer)


@pytest.mark.parametrize("fault", [RuntimeError("shapes"), AssertionError(), IndexError("index out of range")])
def test_whatever_fails_in_a_backbone_is_told(monkeypatch, fault):
    backbone, tokenizer = tiny.build("bert")

    def fail(*_, **__):
        raise fault

    monkeypatch.setattr(backbone.encoder, "forward", fail)
    with pytest.raises(ValueError, match=f"BertModel can't be .* backbone: {type(fault).__name__}: {fault}"):
        RewardModel("bert", backbone=backbone, tokenizer=tokenizer)


def test_vectors_that_are_not_finite_are_refused():
    backbone, tokenizer = tiny.build("bert")
    nn.init.constant_(backbone.encoder.layer[1].output.dense.bias, math.nan)
    with pytest.raises(ValueError, match="not finite"):
        RewardModel("bert", backbone=backbone, tokenizer=tokenizer)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_rounding_alone_refuses_nothing(dtype):
    for name in tiny.ARCHITECTURES:
        backbone, tokenizer = tiny.build(name)
        model = RewardModel(name, backbone=backbone.to(dtype), tokenizer=tokenizer)
        assert model.pooling == ("cls" if name in tiny.ENCODERS else "last")
        model.backbone.set_attn_implementation("sdpa")
        RewardModel(name, backbone=model.backbone, tokenizer=tokenizer)


def test_a_trial_draws_nothing():
    """There are backbones that draw in evaluation, too, and one that seeds numpy's generator."""
    backbone, tokenizer = tiny.build("bert")
    backbone.register_forward_pre_hook(lambda *_: np.random.seed(int(torch.rand(1))))
    torch.manual_seed(5)
    np.random.seed(5)
    model = RewardModel("bert", backbone=backbone, tokenizer=tokenizer)
    freeze_unused(model.train())
    assert model.training and model.backbone.training
    drawn = torch.rand(3), np.random.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)
    nn.init.normal_(nn.Linear(32, 1).weight, std=0.02)
    assert torch.equal(torch.rand(3), drawn[0]) and np.array_equal(np.random.rand(3), drawn[1])


# Positions, segments, adapters


def test_the_window_of_relative_positions_is_not_that_of_a_table():
    for absolute, most in ((False, 600), (True, 128)):
        backbone, tokenizer = build("Deberta", relative_attention=True, position_biased_input=absolute)
        model = RewardModel("deberta", backbone=backbone, tokenizer=tokenizer, max_length=most)
        assert model.encoding.max_length == most
    with pytest.raises(ValueError, match="more than the 128"):
        RewardModel("deberta", backbone=backbone, tokenizer=tokenizer, max_length=129)


def test_the_window_ends_where_positions_would_change_with_the_batch():
    scaling = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
    changes = {"num_key_value_heads": 2, "rope_parameters": scaling, "pad_token_id": 0,
               "original_max_position_embeddings": 64}
    backbone, tokenizer = build("Phi3", "gpt2", **changes)
    assert RewardModel("phi", backbone=backbone, tokenizer=tokenizer).encoding.max_length == 64
    with pytest.raises(ValueError, match="more than the 64"):
        RewardModel("phi", backbone=backbone, tokenizer=tokenizer, max_length=65)


def test_a_single_token_type_is_all_that_is_asked_for():
    model = reward_model(*build("Bert", type_vocab_size=1))
    assert model.encoding.segment == 0
    assert_right(model)


class Adapted(nn.Module):
    """Adapters' way to wrap a backbone: a forward that names nothing, and attributes handed on."""

    def __init__(self, model):
        super().__init__()
        self.base_model = model

    def get_base_model(self):
        return self.base_model

    def forward(self, *args, **kwargs):
        return self.base_model(*args, **kwargs)

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("base_model"), name)


@pytest.mark.parametrize("name", tiny.ARCHITECTURES)
def test_adapters_around_a_backbone_hide_no_input(name):
    backbone, tokenizer = tiny.build(name)
    wrapped, bare = reward_model(Adapted(backbone), tokenizer), reward_model(tiny.build(name)[0], tokenizer)
    np.testing.assert_allclose(score_pairs(wrapped, PAIRS), score_pairs(bare, PAIRS), rtol=1e-5, atol=1e-5)


def test_a_backbone_that_is_given_keeps_its_pooler():
    backbone, tokenizer = tiny.build("bert")
    model = RewardModel("bert", backbone=backbone, tokenizer=tokenizer)
    assert backbone(torch.tensor([[5, 6]])).pooler_output.shape == (1, 32)
    assert model.backbone.embeddings is backbone.embeddings
    assert not [name for name, _ in model.named_parameters() if "pooler" in name]


# What takes no part


def test_what_gets_no_gradient_is_frozen_and_told(caplog, tmp_path):
    def start():
        model = reward_model(*build("Longformer", attention_window=8))
        freeze_unused(model)
        return model

    with caplog.at_level("WARNING", logger="rmlib"):
        model = start()
    assert "12 parameters take no part in a reward" in caplog.text and "query_global.weight" in caplog.text
    frozen = {name.split(".")[-2] for name, weight in model.named_parameters() if not weight.requires_grad}
    assert frozen == {"query_global", "key_global", "value_global"}
    config = TrainingConfig(epochs=2, batch_size=2, precision="fp32", checkpoint_every=1)
    whole = train(model, PAIRS, config, progress=False)

    def stop(record):
        if record["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(start(), PAIRS, config, checkpoint_dir=tmp_path, on_step=stop, progress=False)
    resumed = start()
    train(resumed, PAIRS, config, checkpoint_dir=tmp_path, resume=True, progress=False)
    assert whole.steps == 4
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), resumed.parameters()))


def test_what_takes_part_is_left_alone(caplog):
    for name in tiny.ARCHITECTURES:
        model = tiny.reward_model(name)
        with caplog.at_level("WARNING", logger="rmlib"):
            freeze_unused(model)
        assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert not caplog.text


def test_an_expert_without_a_token_may_have_one_later():
    model = tiny.reward_model("bert")
    model.backbone.encoder.layer[0].experts = nn.ModuleList([nn.Linear(2, 2)])
    model.backbone.encoder.layer[0].left_over = nn.Linear(2, 2)
    freeze_unused(model)
    frozen = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    assert frozen == [f"backbone.encoder.layer.0.left_over.{kind}" for kind in ("weight", "bias")]
    rewards = model(*trials.probes(model))
    rewards.sum().backward()
    assert all(not weight.grad.any() for weight in model.backbone.encoder.layer[0].experts.parameters())
    model.experts.clear()
    assert torch.equal(model(*trials.probes(model)), rewards)


def test_gradients_that_are_not_finite_are_told_before_the_training():
    model = tiny.reward_model("bert")
    model.backbone.encoder.layer[0].register_forward_hook(lambda _, __, output: output + (0 * output).abs().sqrt())
    with pytest.raises(ValueError, match="gradients are not finite"):
        freeze_unused(model)


# Heads that would be lost


def test_a_classifier_s_head_is_not_lost_in_silence(tmp_path):
    torch.manual_seed(0)
    tokenizer = tiny.TOKENIZERS["bert"]()
    config = transformers.BertConfig(vocab_size=len(tokenizer), num_labels=1, **SHAPE)
    classifier = transformers.BertForSequenceClassification(config)
    with pytest.raises(ValueError, match="BertForSequenceClassification, whose head would be lost: .*from_classifier"):
        RewardModel("mine", backbone=classifier, tokenizer=tokenizer)
    classifier.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="BertForSequenceClassification, whose head would be lost: .*from_classifier"):
        RewardModel(str(tmp_path))
    assert RewardModel(backbone=AutoModel.from_pretrained(tmp_path), tokenizer=tokenizer).pooling == "cls"


def test_a_model_with_a_language_head_is_refused_in_words():
    torch.manual_seed(0)
    tokenizer = tiny.TOKENIZERS["gpt2"]()
    config = transformers.GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_head=4, n_layer=2)
    model = transformers.GPT2LMHeadModel(config)
    with pytest.raises(ValueError, match="GPT2LMHeadModel can't be .*last_hidden_state"):
        RewardModel("gpt2", backbone=model, tokenizer=tokenizer)


# Tokenizers


def test_an_id_beyond_the_embedding_is_refused_though_their_number_fits():
    backbone, _ = build("Bert")
    vocab = tiny._word_pieces()
    vocab["france"] = len(vocab) + 7
    tokenizer = transformers.BertTokenizer(vocab=vocab)
    assert len(tokenizer) == backbone.config.vocab_size
    with pytest.raises(ValueError, match="they are no pair"):
        RewardModel("bert", backbone=backbone, tokenizer=tokenizer)


def test_a_tokenizer_of_sentencepiece_alone_says_what_to_install(tmp_path):
    backbone, _ = build("Albert", embedding_size=16)
    backbone.save_pretrained(tmp_path)
    (tmp_path / "spiece.model").write_bytes(b"\n\x0c\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02")
    with pytest.raises(ValueError, match="Where a sentencepiece file stands for it, `pip install sent"):
        RewardModel(str(tmp_path))


def test_a_tokenizer_without_its_file_is_told_by_the_file_s_name(tmp_path):
    shutil.copytree(EMBEDDED_BACKBONE, tmp_path / "backbone")
    (tmp_path / "backbone" / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="backbone: can't be loaded: its tokenizer.json is missing"):
        RewardModel(str(tmp_path / "backbone"))


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda net: nn.Sequential(net), torch.compile])
def test_a_wrapped_backbone_is_refused_by_name(wrap):
    backbone, tokenizer = tiny.build("bert")
    with pytest.raises(ValueError, match="model of transformers, not a (DataParallel|Sequential|Optimized)"):
        RewardModel("x", backbone=wrap(backbone), tokenizer=tokenizer)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError(),
                                   torch.OutOfMemoryError("CUDA out of memory.")])
def test_no_room_is_no_verdict_on_the_model(error):
    model = tiny.reward_model("bert")
    with pytest.raises(type(error)), trials.trying(model):
        raise error


def test_frozen_through_and_through():
    model = tiny.reward_model("bert").requires_grad_(False)
    with pytest.raises(ValueError, match="all weights are frozen"):
        freeze_unused(model)


def test_a_window_goes_by_each_kind_of_layer():
    from rmlib.model.backbone import window

    rope = {"rope_type": "longrope", "original_max_position_embeddings": 32}
    backbone, _ = tiny.build("llama")
    for found, expected in (({"full_attention": rope, "sliding_attention": {"rope_type": "default"}}, 32), (rope, 32)):
        backbone.config.rope_parameters = found
        assert window(backbone, None) == expected
