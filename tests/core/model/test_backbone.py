"""Backbones from directories, from the hub's cache, and from a hub that can't be reached."""

import json
import shutil
from types import SimpleNamespace

import huggingface_hub
import pytest
import tiny
import torch
from huggingface_hub.hf_api import ModelInfo
from safetensors.torch import load_file, save_file
from tiny import configured, garbage, without
from told import told
from transformers import BertConfig, BertModel, T5Config, T5Model

from rmlib.model import RewardModel
from rmlib.model import backbone as backbone_module
from rmlib.model.backbone import announce_download, load_from_hub


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    """Backbone directories, by architecture."""
    root = tmp_path_factory.mktemp("backbones")
    return {name: tiny.save(name, root / name) for name in ("distilbert", "gpt2")}


def test_causality_is_tried_and_not_looked_up():
    torch.manual_seed(0)
    tokenizer = tiny.TOKENIZERS["bert"]()
    config = BertConfig(vocab_size=len(tokenizer), is_decoder=True, hidden_dropout_prob=0.5, **tiny.SHAPE)
    assert RewardModel("bert", backbone=BertModel(config), tokenizer=tokenizer).pooling == "last"
    config.is_decoder = False
    encoder = BertModel(config)
    with torch.no_grad():  # tokens that were never trained may share one vector
        encoder.embeddings.word_embeddings.weight[3:40] = 0.5
    assert RewardModel("bert", backbone=encoder, tokenizer=tokenizer).pooling == "cls"
    decoder, tokenizer = tiny.build("gpt2")  # dropout, left on by whoever made it, must not be taken for sight
    assert RewardModel("gpt2", backbone=decoder.train(), tokenizer=tokenizer).pooling == "last"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_on_disk_becomes_float32(backbones, tmp_path, dtype):
    directory = shutil.copytree(backbones["distilbert"], tmp_path / "half")
    half = {name: tensor.to(dtype) for name, tensor in load_file(directory / "model.safetensors").items()}
    save_file(half, directory / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((directory / "config.json").read_text()) | {"dtype": str(dtype).removeprefix("torch.")}
    (directory / "config.json").write_text(json.dumps(config))
    weights = RewardModel(str(directory)).backbone.state_dict()
    assert all(weights[name].dtype == torch.float32 and torch.equal(weights[name], half[name].float()) for name in half)


def test_an_encoder_decoder_is_refused(tmp_path):
    tokenizer = tiny.TOKENIZERS["roberta"]()
    shape = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2, "vocab_size": len(tokenizer)}
    backbone = T5Model(T5Config(**shape))
    with pytest.raises(ValueError, match="encoder-decoder; a reward model needs"):
        RewardModel("t5", backbone=backbone, tokenizer=tokenizer)
    backbone.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="encoder-decoder; a reward model needs"):
        RewardModel(str(tmp_path))


@pytest.mark.parametrize("damage", [
    garbage("config.json"), garbage("model.safetensors"), garbage("tokenizer.json"), garbage("tokenizer_config.json"),
    without("config.json"), without("model.safetensors"), without("tokenizer.json", "tokenizer_config.json"),
    configured(n_layers=3), configured(dim=64), configured(vocab_size=100), configured(model_type="nonsense"),
    shutil.rmtree,
])  # fmt: skip
def test_a_damaged_backbone_is_refused_and_named(backbones, tmp_path, damage):
    directory = shutil.copytree(backbones["distilbert"], tmp_path / "damaged")
    damage(directory)
    with pytest.raises((ValueError, OSError), match="damaged"):
        RewardModel(str(directory))


def test_a_tokenizer_of_another_backbone_is_refused():
    backbone, _ = tiny.build("bert")
    with pytest.raises(ValueError, match="no pair"):
        RewardModel("mixed", backbone=backbone, tokenizer=tiny.TOKENIZERS["gpt2"]())


def test_the_code_and_the_pickles_of_a_backbone_are_never_run(backbones, tmp_path):
    directory = shutil.copytree(backbones["distilbert"], tmp_path / "remote")
    (directory / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nConfig = Model = None\n")
    configured(auto_map={"AutoConfig": "evil.Config", "AutoModel": "evil.Model"})(directory)
    RewardModel(str(directory))  # of a known type: the library's own class is used
    configured(model_type="evil")(directory)
    with pytest.raises(ValueError, match="remote"):
        RewardModel(str(directory))
    configured(model_type="distilbert")(directory)
    torch.save(load_file(directory / "model.safetensors"), directory / "pytorch_model.bin")
    (directory / "model.safetensors").unlink()
    with pytest.raises(OSError, match="safetensors"):
        RewardModel(str(directory))
    assert not (tmp_path / "ran").exists()


# The hub, which no test asks: its cache is made by hand, its answers are given


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """An empty cache; every question to the network fails, and is counted."""
    asked = []

    def fail(*arguments, **_):
        asked.append(arguments)
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("socket.getaddrinfo", fail)
    monkeypatch.setattr("socket.socket.connect", fail)
    huggingface_hub.utils.build_hf_headers()  # once a process the hub's client asks something about itself
    asked.clear()
    return asked


def populate(cache, name, source, revision="0" * 40):
    """What the hub's client leaves behind after a download."""
    repository = cache / f"models--{name.replace('/', '--')}"
    shutil.copytree(source, repository / "snapshots" / revision)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)


@pytest.mark.parametrize("name", ["someone/tiny-model", "tiny-model"])
def test_a_model_in_the_cache_needs_no_network(backbones, tmp_path, offline, capsys, name):
    populate(tmp_path / "hub", name, backbones["distilbert"])
    model = RewardModel(name)
    assert model.pooling == "cls" and not offline
    assert "downloading" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["distilbert-base-uncased", "someone/nothing"])
def test_without_network_and_cache_one_question_is_asked_and_the_answer_told(offline, name):
    with pytest.raises(OSError, match=f"{name}: no such directory, not in the local cache, and .* can't be asked"):
        RewardModel(name)
    assert len(offline) == 1  # the library's own loader asks six times, half a minute long


@pytest.mark.parametrize("name", ["no/such/directory", "/no/such/directory", "./nothing"])
def test_what_can_be_no_hub_id_is_not_asked_for(offline, name):
    with pytest.raises(OSError, match="no such directory"):
        RewardModel(name)
    assert not offline


def test_a_download_is_told_with_its_size_before_it_begins(monkeypatch, capsys):
    files = {"config.json": 1_000, "model.safetensors": 268_000_000, "pytorch_model.bin": 10**9, "onnx/a.json": 10**9}
    siblings = [{"rfilename": name, "size": size} for name, size in files.items()]
    loads = []

    def info(name, **_):
        return ModelInfo(id=name, siblings=siblings)

    def load(*_, local_files_only):
        loads.append((local_files_only, capsys.readouterr().err))
        if local_files_only:
            raise OSError("not in the cache")
        return tiny.build("distilbert")

    monkeypatch.setattr(huggingface_hub, "model_info", info)
    monkeypatch.setattr(backbone_module, "_load", load)
    RewardModel("someone/model")
    told = "downloading someone/model from the Hugging Face Hub, once: about 268 MB\n"
    assert loads == [(True, ""), (False, told)]


def test_a_hub_that_says_no_is_left_to_the_loader_to_explain(monkeypatch, capsys):
    def refuse(*_, **__):
        raise huggingface_hub.errors.HfHubHTTPError.__new__(huggingface_hub.errors.RepositoryNotFoundError)

    monkeypatch.setattr(huggingface_hub, "model_info", refuse)
    announce_download("someone/private")
    assert capsys.readouterr().err == ""


def test_the_hub_is_asked_once_for_ten_seconds(monkeypatch, capsys):
    asked = []
    sizes = {"a.safetensors": 1_600_000, "b.json": None, "c.txt": 2_000_000, "d.model": 900_000, "e.bin": 10**9}
    files = [SimpleNamespace(rfilename=name, size=size) for name, size in sizes.items()]
    monkeypatch.setattr(backbone_module.huggingface_hub, "model_info",
                        lambda *names, **options: asked.append((names, options)) or SimpleNamespace(siblings=files))
    announce_download("some/model")
    assert asked == [(("some/model",), {"files_metadata": True, "timeout": 10})]
    assert capsys.readouterr().err == "downloading some/model from the Hugging Face Hub, once: about 4 MB\n"


def test_a_model_of_which_the_hub_lists_no_file_is_of_no_size(monkeypatch, capsys):
    monkeypatch.setattr(huggingface_hub, "model_info", lambda *_, **__: SimpleNamespace(siblings=None))
    announce_download("some/model")
    assert capsys.readouterr().err == "downloading some/model from the Hugging Face Hub, once: about 0 MB\n"


def test_the_library_s_bar_is_shown_for_a_download_and_for_nothing_else(monkeypatch):
    seen = []
    for name in ("disable_progress_bar", "enable_progress_bar"):
        monkeypatch.setattr(backbone_module.transformers.logging, name, lambda name=name: seen.append(name))

    def load(*_, local_files_only):
        seen.append(local_files_only)
        if local_files_only:
            raise OSError("not in the cache")
        return "model", "tokenizer"

    monkeypatch.setattr(backbone_module, "_load", load)
    monkeypatch.setattr(backbone_module, "announce_download", lambda name: seen.append(name))
    assert load_from_hub("m", None, None) == ("model", "tokenizer")
    assert seen == ["disable_progress_bar", True, "m", "enable_progress_bar", False]


def test_only_the_pooler_of_the_whole_may_be_missing(monkeypatch):
    """A pooler is never used; a layer inside that has the word in its name is."""
    for library in (backbone_module.AutoConfig, backbone_module.AutoTokenizer):
        monkeypatch.setattr(library, "from_pretrained", lambda name, **_: name)

    def kind(*missing):
        return SimpleNamespace(from_pretrained=lambda name, **_: ("net", {"missing_keys": missing}))

    assert load_from_hub("m", kind("pooler.dense.bias", "pooler.dense.weight"), lambda config: None) == ("net", "m")
    assert told(load_from_hub, "m", kind("pooler.w", "h.pooler.w", "h.a"), lambda config: None) == (
        "m: no whole str: 2 of its weights are missing (h.a, ...); "
        "a saved reward model loads by from_pretrained or --start-from")


def test_a_tokenizer_that_is_given_goes_before_the_backbone_s_own(backbones):
    tokenizer = tiny.TOKENIZERS["distilbert"]()
    assert RewardModel(str(backbones["distilbert"]), tokenizer=tokenizer).tokenizer is tokenizer


def test_a_tokenizer_that_needs_another_library(monkeypatch):
    def fail(*_, **__):
        raise ImportError("needs tiktoken")

    monkeypatch.setattr(backbone_module.AutoConfig, "from_pretrained", fail)
    assert told(load_from_hub, "m", None, None) == (
        "m: can't be loaded: its tokenizer.json is missing. Where a sentencepiece file stands for it, `pip install "
        "sentencepiece protobuf`, or save it once where these are, which writes one")
