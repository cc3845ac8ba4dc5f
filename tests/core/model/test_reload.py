"""What can't come back is refused before the training; what is saved comes back whole, whatever came before it."""

import os
import shutil

import numpy as np
import pytest
import tiny
import torch
import transformers
from torch import nn

from rmlib.model import RewardModel, saving, score_pairs
from rmlib.model.saving import check_reloads
from rmlib.pairs import PreferencePair

PAIRS = [PreferencePair("What is the capital of France?", "Paris.", "London, I think."), PreferencePair("a", "b", "c")]


@pytest.fixture(params=["whole", "names and shapes"])
def way(request, monkeypatch):
    """Both ways of asking: a small model is saved and loaded, of a large one only the skeleton is rebuilt."""
    monkeypatch.setattr(saving, "RELOADED", 10**9 if request.param == "whole" else 0)


@pytest.mark.parametrize("name", tiny.ARCHITECTURES)
def test_what_comes_back_passes_and_nothing_is_changed(way, name):
    model = tiny.reward_model(name).train()
    torch.manual_seed(3)
    check_reloads(model)
    drawn = torch.rand(3)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(3), drawn) and model.training


def test_the_encoder_of_an_encoder_decoder_is_refused(way):
    tokenizer = tiny.TOKENIZERS["roberta"]()
    shape = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2, "vocab_size": len(tokenizer)}
    torch.manual_seed(0)
    backbone = transformers.T5EncoderModel(transformers.T5Config(**shape, is_encoder_decoder=False))
    model = RewardModel("t5", backbone=backbone, tokenizer=tokenizer)
    with pytest.raises(ValueError, match="T5EncoderModel could be trained, but not saved and loaded again"):
        check_reloads(model)


class Wrapped(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.inside, self.config, self.get_input_embeddings = backbone, backbone.config, backbone.get_input_embeddings
        self.set_attn_implementation = backbone.set_attn_implementation
        self.get_base_model = lambda: backbone

    def forward(self, *args, **kwargs):
        return self.inside(*args, **kwargs)


def test_a_wrapped_backbone_is_refused(way):
    backbone, tokenizer = tiny.build("gpt2")
    model = RewardModel("gpt2", backbone=Wrapped(backbone), tokenizer=tokenizer)
    with pytest.raises(ValueError, match="Wrapped could be trained, but not saved and loaded again"):
        check_reloads(model)


def test_a_tokenizer_that_is_read_as_another_is_refused(way):
    class Shouting(transformers.BertTokenizer):
        def __call__(self, text, *others, **options):
            upper = str.upper(text) if isinstance(text, str) else [each + "!" for each in text]
            return super().__call__(upper, *others, **options)

    backbone, _ = tiny.build("bert")
    model = RewardModel("bert", backbone=backbone, tokenizer=Shouting(vocab=tiny._word_pieces()))
    with pytest.raises(ValueError, match="not saved and loaded again: .*other tokens of the canary texts"):
        check_reloads(model)


def test_parameters_that_share_one_storage_are_refused(way):
    backbone, tokenizer = tiny.build("bert")
    first, second = backbone.encoder.layer
    second.output.dense.weight = nn.Parameter(first.output.dense.weight.data)
    with pytest.raises(ValueError, match="two of its parameters share one storage"):
        check_reloads(RewardModel("bert", backbone=backbone, tokenizer=tokenizer))


def test_a_model_in_bfloat16_may_attend_in_another_way(tmp_path):
    backbone, tokenizer = tiny.build("bert")
    model = RewardModel("bert", backbone=backbone.to(torch.bfloat16), tokenizer=tokenizer)
    nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(1))
    model.backbone.set_attn_implementation("eager")
    model.save_pretrained(tmp_path)
    again = RewardModel.from_pretrained(tmp_path)
    apart = np.abs(score_pairs(again, PAIRS) - score_pairs(model, PAIRS)).max()
    assert 1e-4 < apart < 0.1  # beyond what is forgiven in float32
    again.backbone.set_attn_implementation("eager")
    np.testing.assert_array_equal(score_pairs(again, PAIRS), score_pairs(model, PAIRS))
    assert (again.head.weight.dtype, again.backbone.dtype) == (torch.float32, torch.bfloat16)


def test_canaries_in_float32_forgive_float32_s_rounding_only(tmp_path):
    model = tiny.reward_model("bert")
    model.save_pretrained(tmp_path)
    for off, refused in ((1e-4, False), (1e-3, True)):
        manifest = saving.read_manifest(tmp_path)
        rewards = manifest["rewards"] + off * np.maximum(1, np.abs(manifest["rewards"]))
        args = tiny.reward_model("bert"), tmp_path, manifest["canaries"], rewards
        if refused:
            with pytest.raises(ValueError, match="canary"):
                saving.load_weights(*args)
        else:
            saving.load_weights(*args)


@pytest.mark.parametrize("kills", range(12))
def test_a_save_after_a_kill_finds_no_file_of_an_older_tokenizer(tmp_path, monkeypatch, kills):
    """Killed at any of the moves and removals: what is saved next is read along with nothing else."""
    directory, older = tmp_path / "model", tiny.reward_model("gpt2")
    older.tokenizer.chat_template = "{% for m in messages %}{{ m['role'] + m['content'] }}{% endfor %}"
    older.save_pretrained(directory)
    (directory / "notes.txt").write_text("mine")
    steps = iter(range(kills))

    def killed(change):
        def step(*args, **options):
            if next(steps, None) is None:
                raise KeyboardInterrupt
            return change(*args, **options)
        return step

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed(os.replace))
        patched.setattr(os, "unlink", killed(os.unlink))
        patched.setattr(shutil, "rmtree", lambda *_, **__: None)
        try:
            older.save_pretrained(directory)
        except KeyboardInterrupt:
            pass
    newer = tiny.reward_model("bert")
    newer.save_pretrained(directory)
    newer.save_pretrained(tmp_path / "fresh")
    names = {file.name for file in (tmp_path / "fresh").iterdir()}
    assert {file.name for file in directory.iterdir()} == names | {"notes.txt"}
    np.testing.assert_array_equal(score_pairs(RewardModel.from_pretrained(directory), PAIRS), score_pairs(newer, PAIRS))
