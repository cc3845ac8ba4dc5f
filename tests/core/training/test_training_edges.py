"""What training says when it refuses, word for word; and where it runs, told by hand."""

import logging
import math
from dataclasses import replace
from types import SimpleNamespace

import accelerate
import pytest
import torch
import transformers
from told import told
from training_parts import CONFIG, PAIRS, one_thread, run, tiny_model  # noqa: F401

from rmlib.losses import bradley_terry_loss
from rmlib.model import score_pairs
from rmlib.training import Trainer, TrainingConfig, checkpoints, devices, has_native_bf16, identity, train
from rmlib.training.validation import Validation


@pytest.mark.parametrize("field, value, message", [
    ("precision", "fp16", "precision must be one of ('auto', 'fp32', 'bf16'), got 'fp16'"),
    ("overlong", "cut", "overlong must be one of ('keep_response', 'drop', 'error'), got 'cut'"),
    ("epochs", 0, "epochs must be a whole number, more than 0, got 0"),
    ("patience", 0, "patience must be a whole number, more than 0, got 0"),
    ("epochs", None, "epochs must be a whole number, more than 0, got None"),
    ("warmup", 1.01, "warmup must be a number from 0 to 1, got 1.01"),
    ("label_smoothing", 0.51, "label_smoothing must be a number from 0 to 0.5, got 0.51"),
    ("max_grad_norm", 0.0, "max_grad_norm must be a number from 2.225e-308 to inf, got 0.0"),
    ("learning_rate", math.inf, "learning_rate must be a number from 0 to 1.798e+308, got inf"),
    ("weight_decay", -1e-9, "weight_decay must be a number from 0 to 1.798e+308, got -1e-09"),
    ("centring", "x", "centring must be a number from 0 to 1.798e+308, got 'x'"),
])  # fmt: skip
def test_settings(field, value, message):
    assert told(TrainingConfig, **{field: value}) == message


def mean(chosen, rejected, target_margin):
    return (chosen - rejected).mean()


def test_what_there_is_to_train_on():
    assert told(train, tiny_model(), [], CONFIG) == "nothing to train on: none of the 0 pairs is left"
    assert told(train, tiny_model(), PAIRS, replace(CONFIG, label_smoothing=0.1), loss=mean) == (
        "label_smoothing belongs to the loss that yours is to replace: put it into yours")
    plain = [replace_margin(pair, None) for pair in PAIRS]
    assert told(train, tiny_model(), plain, replace(CONFIG, use_target_margin=True)) == (
        "target margins are to be used, and no pair has one: give the rows a `margin`")
    trainer = Trainer(tiny_model(), PAIRS, CONFIG, loss=mean)
    assert told(trainer.loss, trainer.encoded[:5]) == (
        f"{mean.__module__}.mean should give one loss for each of 5 pairs, (5,), and gave ()")


def replace_margin(pair, margin):
    return type(pair)(pair.turns, pair.chosen, pair.rejected, margin)


def test_numbers_that_are_none(tmp_path):
    trainer = Trainer(tiny_model(), PAIRS, CONFIG, tmp_path)
    with torch.no_grad():
        trainer.core.head.weight[0, 0] = math.nan
    lost = "step 1 was not made: its loss is nan and its gradient's norm nan; "
    assert told(trainer.step, [0, 1], 0.0) == lost + "start again with a lower learning rate"
    assert told(trainer.check_finite) == (
        "after step 0 weights are no finite numbers; start again with a lower learning rate")
    trainer.checkpoint.write_text("")
    assert told(trainer.step, [0, 1], 0.0) == (
        lost + "the last checkpoint is whole: go on from it with a lower learning rate")
    trainer.bf16 = True
    assert told(trainer.step, [0, 1], 0.0).endswith("with a lower learning rate, or start again with precision fp32")
    trainer.result.steps = 4
    assert told(trainer.save, tmp_path / "other").startswith("after step 4 weights are no finite numbers; the last")


def test_a_checkpoint_that_is_there_or_another_s(tmp_path, caplog):
    run(checkpoint_dir=tmp_path)
    assert told(run, checkpoint_dir=tmp_path) == (
        f"{tmp_path} holds a checkpoint of an earlier run: resume it, or give another directory")
    assert told(run, replace(CONFIG, seed=2), checkpoint_dir=tmp_path, resume=True) == (
        "the checkpoint was made with another seed: 1, now 2; resume with the same, or start again in another "
        "directory")
    caplog.clear()
    with caplog.at_level(logging.INFO, "rmlib"):
        _, result = run(replace(CONFIG, learning_rate=1e-3), checkpoint_dir=tmp_path, resume=True)
    assert caplog.messages == ["resumed with another learning_rate: 0.001, was 0.003; the result will differ",
                               "resumed at step 8 of 8"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert all(type(record[name]) is int for record in result.history for name in ("step", "epoch"))
    path = tmp_path / checkpoints.NEWEST
    path.write_text("x")
    message = told(checkpoints.read_state, path)
    assert message.startswith(f"{path}: can't resume from this checkpoint: ")
    assert message.endswith("; delete it to start again")
    caplog.clear()
    run(replace(CONFIG, epochs=1), checkpoint_dir=tmp_path / "new", resume=True)
    assert caplog.messages == ["no checkpoint to resume from: starting at the first step"]


def test_a_checkpoint_of_other_parameters(tmp_path):
    net = torch.nn.Linear(3, 2)
    net.weight = torch.nn.Parameter(torch.randn(3, 2).T)  # not contiguous, which a file has to be
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(3)).sum().backward()
    optimizer.step()
    checkpoints.write(tmp_path / "one", net, optimizer, {}, [],
                      {"weight": net.weight, "bias": net.bias.clone()})
    again = torch.nn.Linear(3, 2)
    best = checkpoints.load(tmp_path / "one", again, torch.optim.AdamW(again.parameters()))
    assert torch.equal(again.weight, net.weight) and torch.equal(best["weight"], net.weight)
    assert told(checkpoints.load, tmp_path / "one", again, torch.optim.AdamW([again.weight])) == (
        "it has the moments of 2 parameters, and 1 are trained")
    other = torch.nn.Linear(4, 2)
    assert told(checkpoints.load, tmp_path / "one", other, torch.optim.AdamW(other.parameters())) == (
        "its weights are another model's: weight is in one of the two alone, or differs")


def test_weights_of_half_precision_are_not_kept(tmp_path):
    half = tiny_model()
    half.head.to(torch.bfloat16)
    assert told(train, half, PAIRS, CONFIG, checkpoint_dir=tmp_path) == (
        "weights of torch.bfloat16 would lose most steps of the optimizer to rounding: train model.float(); precision "
        "bf16 computes in bfloat16 all the same")


def test_a_cut_of_validation_pairs_is_told(caplog):
    Validation(tiny_model(), [replace(PAIRS[0], turns=(("user", "paris " * 40),))], None)
    assert caplog.messages[0].startswith("1 of 1 pairs encoded: 1 with the prompt's oldest tokens cut")


def test_validation(caplog):
    validation = Validation(tiny_model(), PAIRS, None)
    with caplog.at_level(logging.INFO, "rmlib"):
        validation.evaluate(3)
        validation.evaluate(4)
    nll = validation.history[0]["nll"]
    assert nll == bradley_terry_loss(*torch.from_numpy(score_pairs(validation.model, PAIRS)).double()).item()
    assert caplog.messages == [f"validation after step 3: negative log-likelihood {nll:.4f}, the best so far",
                               f"validation after step 4: negative log-likelihood {nll:.4f}"]
    assert {record.levelname for record in caplog.records} == {"INFO"}
    with torch.no_grad():
        validation.model.head.weight[0, 0] = math.nan
    assert told(validation.evaluate, 5) == (
        "the validation loss after step 5 is nan: the training diverged; lower the learning rate")


def test_what_takes_no_part_is_frozen_before_the_training():
    model = tiny_model()
    model.spare = torch.nn.Linear(2, 2)
    Trainer(model, PAIRS, CONFIG)
    assert not model.spare.weight.requires_grad and model.head.weight.requires_grad


def test_what_a_result_depends_on():
    place = SimpleNamespace(num_processes=3, device=torch.device("cuda", 1))
    found = identity.environment(place, "bf16", 5, 0.1)
    assert found == {"threads": 1, "processes": 3, "precision": "bf16", "token_budget": 5, "learning_rate": 0.1,
                     "device": "cuda", "torch": torch.__version__, "transformers": transformers.__version__}


def test_the_bar_of_a_resumed_run_goes_on_where_it_stopped(tmp_path, capsys):
    run(checkpoint_dir=tmp_path, should_stop=lambda: True)
    run(checkpoint_dir=tmp_path, resume=True, progress=True)
    assert "28/28" in capsys.readouterr().err


def test_frozen_weights_of_half_precision_lose_no_step(tmp_path):
    half = tiny_model()
    half.backbone.to(torch.bfloat16).requires_grad_(False)
    _, result = run(replace(CONFIG, epochs=1), model=half, checkpoint_dir=tmp_path)
    assert result.steps == 4 and half.backbone.dtype == torch.bfloat16


def test_the_bar_is_named(capsys):
    run(replace(CONFIG, epochs=1), progress=True)
    assert capsys.readouterr().err.startswith("\rtraining:")


# --- where it runs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("use_cpu, started, has_accelerator, on_cpu", [
    (None, None, False, False), (None, None, True, False), (None, "1", False, False), (None, "2", False, True),
    (None, "2", True, False), ("1", None, True, True), ("1", "2", True, True), ("0", "2", False, True),
    ("0", "1", True, False),
])  # fmt: skip
def test_where_processes_join(monkeypatch, use_cpu, started, has_accelerator, on_cpu):
    for name, value in (("ACCELERATE_USE_CPU", use_cpu), ("WORLD_SIZE", started)):
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: has_accelerator)
    seen = []

    class State:
        num_processes = int(started or 1)

        def __init__(self, cpu):
            seen.append(cpu)

    monkeypatch.setattr(accelerate, "PartialState", State)
    devices.join_processes()
    assert seen == [on_cpu]
    State.num_processes += 2
    assert told(devices.join_processes) == (
        f"{started or 1} processes were started, and {State.num_processes} can work together here: start one process "
        "for each GPU, or set ACCELERATE_USE_CPU=1 to run them on the CPU")


@pytest.mark.parametrize("found, native", [({}, False), ({"avx512_bf16": True}, True), ({"amx_bf16": True}, True),
                                           ({"avx512_bf16": False, "amx_bf16": False, "avx2": True}, False)])
def test_bfloat16_in_hardware(monkeypatch, found, native):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    assert has_native_bf16(torch.device("cpu")) is native and not has_native_bf16(torch.device("meta"))
    asked = []
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **options: asked.append(options) or native)
    assert has_native_bf16(torch.device("cuda")) is native and asked == [{"including_emulation": False}]


@pytest.mark.parametrize("kind, is_whole", [("NO", True), ("MULTI_GPU", True), ("MULTI_CPU", True), ("FSDP", False),
                                            ("DEEPSPEED", False)])
def test_weights_that_are_split_between_processes_are_refused(monkeypatch, kind, is_whole):
    made = SimpleNamespace(distributed_type=devices.DistributedType[kind])
    monkeypatch.setattr(devices, "join_processes", lambda: None)
    monkeypatch.setattr(accelerate, "Accelerator", lambda **_: made)
    if is_whole:
        assert devices.make_accelerator() is made
    else:
        assert told(devices.make_accelerator).endswith(f"{kind} splits the weights between processes, and a checkpoint "
                                                       "would hold a part of them: launch with --multi_gpu")


def test_accumulation_and_precision_are_ours_whatever_the_environment_says(monkeypatch):
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    accelerator = devices.make_accelerator()
    assert accelerator.gradient_accumulation_steps == 1
    assert (accelerator.native_amp, accelerator.scaler) == (False, None)
