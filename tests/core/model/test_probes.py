"""The texts that a backbone is tried with, how far apart vectors are, and other parts of a model by themselves."""

import json
from types import SimpleNamespace

import pytest
import tiny
import torch
from safetensors import SafetensorError
from told import told
from torch import nn

from rmlib.model import RewardModel, saving, trials


def probed(size: int, special: tuple[int, ...] = ()):
    tokenizer = type("Words", (), {"__len__": lambda _: size, "all_special_ids": list(special), "pad_token_id": 3})()
    return trials.probes(SimpleNamespace(tokenizer=tokenizer, parameters=nn.Linear(1, 1).parameters))


@pytest.mark.parametrize("size, step", [(6400, 100), (128, 2), (127, 1), (20, 1)])
def test_probes_are_made_of_words_from_all_over_the_vocabulary(size, step):
    ids, mask = probed(size, special=(0, 2 * step))
    used = set(ids[mask.bool()].tolist())
    assert all(each % step == 0 for each in used) and any(each // step % 2 for each in used)
    assert not used & {0, 2 * step} and max(used) >= 0.9 * size > min(used) * 4
    again, _ = probed(size, special=(0, 2 * step))
    assert torch.equal(ids, again)  # always the same


def test_four_probes_begin_and_end_alike_and_a_longer_one_stands_beside_them():
    ids, mask = probed(6400)
    assert ids.shape == mask.shape == (5, 12) and mask.sum(1).tolist() == [8, 8, 8, 8, 12]
    assert mask[:4, :8].all() and (ids[:4, 8:] == 3).all()
    texts = ids[:4, :8]
    assert all(len(set(texts[:, at].tolist())) == 1 for at in (0, 7))
    assert all(len({tuple(text.tolist()) for text in texts[:, :at]}) == 4 for at in (4, 7))  # unlike in between
    assert ids[4].tolist() == texts.flatten()[:12].tolist()


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("times, alike", [(0.9, True), (1.1, False)])
def test_vectors_are_alike_or_not_whatever_their_size(size, times, alike):
    """In float32 the squares of 1e-30 are all zero, and those of 1e30 infinite."""
    gap = times * trials.rounding(torch.float32, 0.75)
    vectors = size * torch.tensor([[[1.0, gap * at]] for at in (0, 1, 0, 1)])
    assert trials.is_causal(vectors) == alike


TEMPLATES = {"default": "{% for m in messages %}<{{ m['content'] }}>{% endfor %}", "tools": "{{ 1 }}"}


@pytest.mark.parametrize("rendering, kept", [("auto", TEMPLATES["default"]), ("transcript", None)])
def test_of_several_chat_templates_the_usual_one_is_kept_or_none(rendering, kept):
    backbone, tokenizer = tiny.build("gpt2")
    tokenizer.chat_template = TEMPLATES
    model = RewardModel("gpt2", rendering=rendering, backbone=backbone, tokenizer=tokenizer)
    assert model.tokenizer.chat_template == kept and tokenizer.chat_template == TEMPLATES
    assert model.encoding.rendering == ("transcript" if kept is None else "template")


def test_padding_is_taken_out_and_the_order_of_tokens_stays():
    model, seen = tiny.reward_model("bert"), []
    model.hidden = lambda ids, mask, types: seen.append((ids, mask, types)) or torch.zeros(*ids.shape, 32)
    count = 100
    ids, mask = torch.arange(count)[None], (torch.arange(count)[None] % 3 > 0).long()
    model.pooled(ids, mask, ids + 1)
    [(moved, moved_mask, types)] = seen
    real = [each for each in range(count) if each % 3]
    assert moved[0].tolist() == real + list(range(0, count, 3)) and moved_mask[0].tolist() == [1] * 66 + [0] * 34
    assert torch.equal(types, moved + 1)


def test_parameters_without_an_element_share_nothing():
    model = tiny.reward_model("distilbert")
    model.one, model.other = (nn.Parameter(torch.zeros(0)) for _ in range(2))
    assert "share one storage" not in told(saving.check_reloads, model)  # it has them to lose, which is another fault


@pytest.mark.parametrize("text", [
    '{"format": 2, "pooling": "cls", "sha256": ["model.safetensors"]}', "[" * 100_000, "3", "{}", "null",
], ids=["hashes in a list", "endless", "number", "empty", "null"])
def test_whatever_stands_in_a_manifest_it_is_named(tmp_path, text):
    (tmp_path / "reward_model.json").write_text(text)
    assert told(saving.read_manifest, tmp_path).startswith(
        f"{tmp_path / 'reward_model.json'}: not the manifest of a saved reward model: ")


def test_weights_that_the_library_cannot_write_leave_what_was_there(tmp_path, monkeypatch):
    def full(*_):
        raise SafetensorError("disk full")

    monkeypatch.setattr(saving, "save_model", full)
    assert told(tiny.reward_model("distilbert").save_pretrained, tmp_path, kind=OSError) == (
        f"{tmp_path}: the model can't be written; what was there is as it was: disk full")


@pytest.mark.parametrize("is_new", [True, False])
def test_a_save_that_is_broken_off_by_hand_leaves_nothing_of_its_own(tmp_path, monkeypatch, is_new):
    def interrupt(*_):
        raise KeyboardInterrupt

    directory = tmp_path / "new" if is_new else tmp_path
    monkeypatch.setattr(saving, "save_model", interrupt)
    with pytest.raises(KeyboardInterrupt):
        tiny.reward_model("distilbert").save_pretrained(directory)
    assert list(tmp_path.iterdir()) == []


def test_every_file_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    log, sync, replace = [], saving.sync, saving.os.replace
    monkeypatch.setattr(saving, "sync", lambda path: (log.append(("sync", path)), sync(path)))
    monkeypatch.setattr(saving.os, "replace", lambda one, other: (log.append(("move", one)), replace(one, other)))
    tiny.reward_model("distilbert").save_pretrained(tmp_path)
    for file in tmp_path.iterdir():
        at = log.index(("move", tmp_path / ".incoming" / file.name))
        assert log[at - 1] == ("sync", tmp_path / ".incoming" / file.name)
    assert log[-2:] == [("move", tmp_path / ".incoming" / "reward_model.json"), ("sync", tmp_path)]


def test_what_is_unused_is_found_by_gradients_though_the_caller_wants_none():
    model = tiny.reward_model("distilbert")
    with torch.no_grad():
        trials.freeze_unused(model)
    assert all(weight.requires_grad for weight in model.parameters())


def test_a_saved_model_says_with_what_it_was_made(tmp_path):
    tiny.reward_model("distilbert").save_pretrained(tmp_path)
    manifest = json.loads((tmp_path / "reward_model.json").read_text())
    assert list(manifest) == ["format", "pooling", "encoding", "canaries", "rewards", "sha256", "versions"]
    assert manifest["versions"]["torch"] == torch.__version__ and set(manifest["versions"]) == {"torch", "transformers"}
    assert (tmp_path / "reward_model.json").read_text().count("\n") == 9  # a line for each
