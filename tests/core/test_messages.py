"""What losses, gradients, files, settings, encoding and evaluation say when they refuse, word for word."""

import gzip
import math
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from told import told

from rmlib.encoding import EncodingSpec, collate, encode, read_spec
from rmlib.evaluation import fit_temperature, mcnemar, summarise, wilson_interval
from rmlib.evaluation.accuracy import groups, numbers
from rmlib.files import atomic_write_text, read_lines
from rmlib.gradients import directional_checks
from rmlib.losses import bradley_terry_loss, centring_penalty, smoothed_loss
from rmlib.pairs import PreferencePair, Turn
from rmlib.rendering import template_parts
from rmlib.settings import HUB_BACKBONE, Settings, read_settings

THREE = torch.zeros(3)
SHAPES = "rewards must be two vectors of one length, got (3, 1) and (3,); squeeze the last axis of (B, 1) scores"


@pytest.mark.parametrize("call, message", [
    (lambda: bradley_terry_loss(THREE[:, None], THREE), SHAPES),
    (lambda: smoothed_loss(THREE[:, None], THREE, 0.1), SHAPES),
    (lambda: centring_penalty(THREE[:, None], THREE, 0.1), SHAPES),
    (lambda: centring_penalty(THREE, THREE[:, None], 0.1),
     "rewards must be two vectors of one length, got (3,) and (3, 1); squeeze the last axis of (B, 1) scores"),
    (lambda: bradley_terry_loss(THREE, THREE, THREE[:2]), "target_margin must be (3,), got (2,)"),
    (lambda: smoothed_loss(THREE, THREE, 0.6),
     "smoothing must be from 0 to 0.5, got 0.6; above that, swap chosen and rejected"),
    (lambda: centring_penalty(THREE, THREE, -1.0), "the weight of the penalty must be >= 0 and finite, got -1.0"),
    (lambda: bradley_terry_loss(THREE, THREE, reduction="max"),
     'reduction must be "mean", "sum" or "none", got \'max\''),
    (lambda: bradley_terry_loss(THREE[:0], THREE[:0]), "the batch is empty, and has no mean: leave it out"),
])  # fmt: skip
def test_losses(call, message):
    assert told(call) == message


WEIGHTS = torch.zeros(3, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("loss, parameters, options, message", [
    (WEIGHTS.sum, {"w": WEIGHTS}, {"step": 0.0}, "the step must be positive and finite, got 0.0"),
    (WEIGHTS.sum, {"w": WEIGHTS}, {"atol": -1.0}, "tolerances must be at least 0, got atol=-1.0, rtol=1e-06"),
    (WEIGHTS.sum, [WEIGHTS], {}, "parameters must come with names: give model.named_parameters() or a dict"),
    (WEIGHTS.sum, [WEIGHTS.sum()], {}, "parameters must come with names: give model.named_parameters() or a dict"),
    (WEIGHTS.sum, [WEIGHTS.expand(2, 3)], {},  # two rows, which a dict would take for a name and its tensor
     "parameters must come with names: give model.named_parameters() or a dict"),
    (WEIGHTS.sum, {}, {}, "there are no parameters to check; an iterator such as model.named_parameters() gives them "
     "once only: call it again"),
    (WEIGHTS.sum, {"w": WEIGHTS.float()}, {}, "w is float32, whose rounding is far above the tolerance: turn the "
     "model to float64 first, with model.double()"),
    (WEIGHTS.sum, {"w": WEIGHTS.detach()}, {}, "w is frozen and has no gradient to check: leave it out, or thaw it "
     "with requires_grad_()"),
    (lambda: 1.5, {"w": WEIGHTS}, {}, "the loss must be a tensor, with its path back to the parameters, got 1.5: give "
     "it back as it is, without .item() or float()"),
    (lambda: "x" * 100, {"w": WEIGHTS}, {}, "the loss must be a tensor, with its path back to the parameters, got "
     f"'{'x' * 79}: give it back as it is, without .item() or float()"),
    (WEIGHTS.sin, {"w": WEIGHTS}, {}, "the loss must be one float64 number, got shape (3,) in float64: reduce it over "
     "the batch, and convert to float32 nowhere on its way"),
    (WEIGHTS.sum().float, {"w": WEIGHTS}, {}, "the loss must be one float64 number, got shape () in float32: reduce "
     "it over the batch, and convert to float32 nowhere on its way"),
])  # fmt: skip
def test_gradients(loss, parameters, options, message):
    assert told(directional_checks, loss, parameters, **options) == message


def test_a_loss_that_changes_is_told_with_both_values():
    values = iter([torch.tensor(0.5, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)])
    assert told(directional_checks, lambda: next(values), {"w": WEIGHTS}) == (
        "the loss is 0.5 and, computed again, 2.0: turn off what is random, with model.eval() for dropout")


@pytest.mark.parametrize("start, kind", [
    (b"PAR1", "a table of parquet or arrow: rmlib.practice.forms reads it, and so does the command line"),
    (b"ARROW1", "a table of parquet or arrow: rmlib.practice.forms reads it, and so does the command line"),
    (b"\xff\xff\xff\xff", "a table of parquet or arrow: rmlib.practice.forms reads it, and so does the command line"),
    (b"\x28\xb5\x2f\xfd", "data packed by zstd: unpack it first (zstd -d)"),
    (b"\xfd7zXZ", "data packed by xz: unpack it first (xz -d)"),
    (b"BZh", "data packed by bzip2: unpack it first (bzip2 -d)"),
    (b"PK\x03\x04", "a zip archive, or what is built on one (.xlsx, .npz, .pt): unpack or export it first"),
    (b"SQLite format 3", "an SQLite database: export its rows first"),
    (b"\x80", "a pickle, which runs code when it is read: write the rows as JSON lines"),
    (b"\xff\xfe", "text in UTF-16: save it as UTF-8"), (b"\xfe\xff", "text in UTF-16: save it as UTF-8"),
])  # fmt: skip
def test_files_that_hold_no_lines(tmp_path, start, kind):
    path = tmp_path / "data"
    path.write_bytes(start + b"\nmore")
    assert told(lambda: list(read_lines(path))) == f"{path}: no lines of text, but {kind}"
    path.write_bytes(b" " + start + b"\nmore")  # further on it means nothing
    assert list(read_lines(path)) == [b" " + start + b"\n", b"more"]


def test_files_that_cannot_be_read_or_written(tmp_path):
    assert told(lambda: list(read_lines(tmp_path / "gone")), kind=FileNotFoundError) == (
        f"{tmp_path / 'gone'}: no such file")
    assert told(lambda: list(read_lines(tmp_path))) == f"{tmp_path}: can't be read at all: Is a directory"
    assert told(atomic_write_text, tmp_path, "x") == f"{tmp_path.resolve()} is a directory: choose another name"
    whole = gzip.compress(b"one\ntwo\n", mtime=0)
    (tmp_path / "cut.gz").write_bytes(whole[:-4])
    assert told(lambda: list(read_lines(tmp_path / "cut.gz"))) == (
        f"{tmp_path / 'cut.gz'}: the gzip data is damaged or cut short after line 2: Compressed file ended before the "
        "end-of-stream marker was reached")
    (tmp_path / "none").write_bytes(b"")
    assert told(lambda: list(read_lines(tmp_path / "none"))) == f"{tmp_path / 'none'}: the file is empty"


@pytest.mark.parametrize("lines, place", [([], "at all"), ([b"a\n"], "after line 1"), ([b"a\n"] * 2, "after line 2")])
def test_a_disk_that_fails_on_the_way(tmp_path, monkeypatch, lines, place):
    def failing(file):
        yield from lines
        raise OSError(5, "Input/output error")

    path = tmp_path / "packed"
    path.write_bytes(gzip.compress(b""))
    monkeypatch.setattr(gzip, "open", failing)
    assert told(lambda: list(read_lines(path))) == f"{path}: can't be read {place}: Input/output error"


def test_settings_from_the_environment(tmp_path, monkeypatch):
    for knob in ("RMLIB_PROFILE", "RMLIB_BACKBONE", "RMLIB_PAIRS"):
        monkeypatch.delenv(knob, raising=False)
    monkeypatch.chdir(tmp_path)
    assert told(read_settings, "fast") == 'the profile must be "quick" or "full", got \'fast\''
    monkeypatch.setenv("RMLIB_PAIRS", "gone.jsonl")
    assert told(read_settings, kind=FileNotFoundError) == (
        f"RMLIB_PAIRS=gone.jsonl: there is no file {tmp_path / 'gone.jsonl'}. A relative path counts from the folder "
        "that the notebook is in, or the command runs in: write an absolute one, or unset RMLIB_PAIRS")
    (tmp_path / "here.jsonl").write_text("{}")
    for value, pairs in (("", None), ("here.jsonl", "here.jsonl"), ("hf:some/data", "hf:some/data")):
        monkeypatch.setenv("RMLIB_PAIRS", value)
        assert read_settings().pairs == pairs
    monkeypatch.setenv("RMLIB_PROFILE", "full")
    assert read_settings().profile == "full" and read_settings().backbone == HUB_BACKBONE
    assert read_settings("quick").profile == "quick"  # what is asked for goes first
    monkeypatch.setenv("RMLIB_PROFILE", "")
    assert read_settings().profile == "quick"
    monkeypatch.setattr(Settings, "device", torch.device("cpu"))
    assert str(read_settings("full")) == f"profile full, backbone {HUB_BACKBONE}, pairs hf:some/data, on cpu"
    monkeypatch.setenv("RMLIB_PAIRS", "")
    assert str(read_settings()) == "profile quick, backbone embedded, pairs of the gold world, on cpu"
    monkeypatch.setattr(Settings, "device", torch.device("cuda"))
    assert str(read_settings()).endswith(f'on cuda\na GPU is here: profile "full" trains {HUB_BACKBONE} on it')
    assert str(read_settings("full")).endswith("on cuda")


BERT = tiny.TOKENIZERS["bert"]()
SPEC = read_spec(BERT, 16, causal=False)
LONG = PreferencePair("is " * 30, "yes", "no", line=7)


@pytest.mark.parametrize("call, message", [
    (lambda: EncodingSpec.from_dict(asdict(SPEC) | {"rendering": "x"}), "no such rendering: 'x'"),
    (lambda: read_spec(BERT, 16, False, "x"),
     "rendering must be one of ('auto', 'transcript', 'template'), got 'x'"),
    (lambda: read_spec(BERT, 16, False, "template"),
     'the tokenizer has no chat template: choose the rendering "transcript"'),
    (lambda: read_spec(BERT, 4, False),
     "max_length 4 leaves no room for text: this template alone needs 3 tokens; give at least 5"),
    (lambda: encode(BERT, [], SPEC, "cut"), "overlong must be one of ('keep_response', 'drop', 'error'), got 'cut'"),
    (lambda: encode(BERT, [PreferencePair("is", "yes", "no"), LONG], SPEC, "error"),
     "pair 1 (line 7) is longer than max_length = 16 tokens; raise max_length, or choose "
     'overlong="keep_response" or "drop"'),
    (lambda: encode(BERT, [PreferencePair("is " * 30, "yes", "no")], SPEC, "error"),
     'pair 0 is longer than max_length = 16 tokens; raise max_length, or choose overlong="keep_response" or "drop"'),
    (lambda: collate([], SPEC, pad_side="Left"), 'pad_side must be "right" or "left", got \'Left\''),
])  # fmt: skip
def test_encoding(call, message):
    assert told(call) == message


def refuse(messages):
    raise RuntimeError("no system here")


def shout(messages):
    return "".join(f"<{each['content']}>" if "\x02" in each["content"] else each["content"] for each in messages)


@pytest.mark.parametrize("write, message", [
    (refuse, "the tokenizer's chat template refuses turns of system, user, assistant: no system here; "
     '"transcript" renders all conversations'),
    (lambda messages: messages[0]["content"], "the tokenizer's chat template does not write each of the turns of "
     'system, user, assistant once, in order; "transcript" renders all conversations'),
    (shout, "the tokenizer's chat template writes other marks around these texts than around others; "
     '"transcript" renders all conversations'),
    (lambda messages: "".join(each["content"] + "|" for each in messages), None),
])  # fmt: skip
def test_chat_templates(write, message):
    slow = SimpleNamespace(apply_chat_template=lambda messages, tokenize: write(messages), added_tokens_decoder={})
    turns = (Turn("system", "S"), Turn("user", "Q"))
    if message is None:
        assert told(template_parts, slow, [PreferencePair(turns, "a", "b")]) == (
            "a chat template needs a fast tokenizer, which tells where in the text its tokens stand; "
            '"transcript" takes any')
        return
    assert told(template_parts, slow, [PreferencePair(turns, "a", "b")]) == message
    assert told(template_parts, slow, [PreferencePair(turns, "a", "b", line=3)]) == f"line 3: {message}"


@pytest.mark.parametrize("call, message", [
    (lambda: numbers(np.ones((3, 1)), "gaps"),
     "gaps should be numbers in one row, at least one, not an array of shape (3, 1)"),
    (lambda: numbers([1.0, math.nan, math.inf], "gaps"), "2 of 3 gaps are not finite numbers"),
    (lambda: numbers([1.0, 2.0], "gaps", like=[1]), "gaps should be as many as their partners: 2 and 1"),
    (lambda: mcnemar(np.ones(2), np.ones(1)),
     "margins of the second model should be as many as their partners: 1 and 2"),
    (lambda: groups(["a"], np.ones(2)), "every value needs a label of its group: 2 values, 1 labels"),
    (lambda: wilson_interval(6, 5), "need 0 <= successes <= trials and trials > 0, got 6 of 5"),
    (lambda: summarise(np.zeros(0), []), "nothing to evaluate: no pairs"),
    (lambda: fit_temperature(np.zeros(2)),
     "no temperature fits: all margins are zero, and stay so at any temperature"),
    (lambda: fit_temperature(np.array([0.0, 1.0])), "no temperature fits: no pair has the wrong order, so ever smaller "
     "ones are better; give more validation pairs"),
    (lambda: fit_temperature(np.array([-3.0, 1.5])), "no temperature fits: the mean margin is -0.75, so that at any "
     "temperature a coin predicts better than these margins; train the model again, or look for swapped labels"),
    (lambda: fit_temperature(np.array([-1.0, 1.0])), "no temperature fits: the mean margin is 0, so that at any "
     "temperature a coin predicts better than these margins; train the model again, or look for swapped labels"),
])  # fmt: skip
def test_evaluation(call, message):
    assert told(call) == message
