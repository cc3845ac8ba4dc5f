"""Runs that have to end early lose nothing: not a number, asked to stop, a full disk, a disk that is not shared."""

import errno
import math
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from resume_parts import parts
from training_parts import CONFIG, PAIRS, one_thread, run, tiny_model  # noqa: F401

from rmlib.losses import smoothed_loss
from rmlib.training import NEWEST, Trainer, checkpoints, loop

EVERY = replace(CONFIG, checkpoint_every=1)


def loss_with(value: float, step: int):
    """The usual loss, but for one pair in a step's batch, whose loss is `value` times its margin."""
    steps = []

    def strange(chosen, rejected, target_margin):
        losses = smoothed_loss(chosen, rejected, 0.0, target_margin, "none")
        steps.append(0)
        return torch.cat([losses[:1] + value * (chosen - rejected)[:1], losses[1:]]) if len(steps) >= step else losses

    return strange


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_before_its_step(tmp_path, value):
    model = tiny_model()
    trainer = Trainer(model, PAIRS, replace(EVERY, token_budget=10_000), tmp_path, loss=loss_with(value, step=4))
    with pytest.raises(ValueError, match="step 4 was not made: its loss is (nan|inf|-inf)"):
        trainer.run(progress=False)
    weights, state = parts(tmp_path / NEWEST)
    assert state["result"]["steps"] == 3 and all(tensor.isfinite().all() for tensor in weights.values())
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, weights[f"model.{name}"]), name  # nothing of step 4 went into them


def test_a_gradient_that_is_no_number_stops_too():
    class Broken(torch.autograd.Function):  # a finite loss with a slope that is not
        @staticmethod
        def forward(context, x):
            return x.clone()

        @staticmethod
        def backward(context, slope):
            return slope * math.inf

    model = tiny_model()
    before = model.backbone.get_input_embeddings().weight.clone()
    with pytest.raises(ValueError, match=r"step 1 was not made: its loss is 1\.\d+ and its gradient's norm (nan|inf)"):
        run(model=model, loss=lambda chosen, rejected, _: Broken.apply((rejected - chosen).exp()))
    assert torch.equal(before, model.backbone.get_input_embeddings().weight)


def test_weights_that_are_no_numbers_are_not_written(tmp_path):
    trainer = Trainer(tiny_model(), PAIRS, EVERY, tmp_path)
    trainer.save(trainer.checkpoint)
    before = trainer.checkpoint.read_bytes()
    with torch.no_grad():
        trainer.core.head.weight[0, 0] = math.inf
    with pytest.raises(ValueError, match="weights are no finite numbers"):
        trainer.save(trainer.checkpoint)
    assert trainer.checkpoint.read_bytes() == before


def test_a_learning_rate_that_throws_the_weights_out_leaves_the_last_good_checkpoint(tmp_path):
    with pytest.raises(ValueError, match="lower learning rate"):
        run(replace(EVERY, learning_rate=1e38, warmup=0.0), checkpoint_dir=tmp_path)
    for path in tmp_path.iterdir():
        assert all(tensor.isfinite().all() for tensor in parts(path)[0].values())


@pytest.mark.parametrize("error", [
    OSError(errno.ENOSPC, "No space left on device"),
    safetensors.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
])
def test_a_full_disk_is_one_message_and_the_last_checkpoint_is_whole(tmp_path, monkeypatch, error):
    real, written = checkpoints.save_file, []

    def full(tensors, path, **options):
        real(tensors, path, **options)
        written.append(path)
        if len(written) == 3:
            path.write_bytes(path.read_bytes()[:1000])
            raise error

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(OSError, match=f"{NEWEST}: can't be written, and is what it was before: .*No space left"):
        run(EVERY, checkpoint_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [NEWEST]
    assert parts(tmp_path / NEWEST)[1]["result"]["steps"] == 2
    monkeypatch.undo()
    _, resumed = run(EVERY, checkpoint_dir=tmp_path, resume=True)
    assert resumed.steps == 8


def test_a_checkpoint_that_only_some_processes_see_is_refused(tmp_path, monkeypatch):
    trainer = Trainer(tiny_model(), PAIRS, EVERY, tmp_path)
    monkeypatch.setattr(loop, "gather_object", lambda found: [*found, True])
    with pytest.raises(ValueError, match="only some of the processes see it"):
        trainer.resume()


def test_a_smaller_token_budget_may_resume_and_is_told(tmp_path, caplog):
    taken = []
    run(EVERY, checkpoint_dir=tmp_path, should_stop=lambda: taken.append(0) or len(taken) == 3)
    _, result = run(replace(EVERY, token_budget=40), checkpoint_dir=tmp_path, resume=True)
    assert result.steps == 8 and "another token_budget: 40, was 80" in caplog.text


def test_no_memory_for_a_checkpoint_does_not_say_to_delete_it(tmp_path):
    with pytest.raises(torch.OutOfMemoryError), checkpoints.explained(tmp_path):
        raise torch.OutOfMemoryError("CUDA out of memory.")


def test_after_a_divergence_the_last_checkpoint_goes_on_with_a_lower_rate(tmp_path, caplog):
    with pytest.raises(ValueError, match="the last checkpoint is whole: go on from it with a lower learning rate"):
        run(EVERY, checkpoint_dir=tmp_path, loss=loss_with(math.nan, step=6))
    _, result = run(replace(EVERY, learning_rate=1e-3), checkpoint_dir=tmp_path, loss=loss_with(math.nan, step=99),
                    resume=True)
    assert result.steps == 8 and "another learning_rate: 0.001, was 0.003" in caplog.text


def test_without_a_checkpoint_it_says_to_start_again_and_returns_no_broken_weights():
    with pytest.raises(ValueError, match="start again with a lower learning rate"):
        run(replace(CONFIG, learning_rate=1e300, warmup=0.0, epochs=1, batch_size=14))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_of_half_precision_are_not_trained_whether_the_run_is_kept_or_not(dtype, tmp_path):
    for place in (tmp_path, None):
        with pytest.raises(ValueError, match=rf"weights of {dtype} would lose most steps.*train model.float\(\)"):
            run(model=tiny_model().to(dtype), checkpoint_dir=place)


def test_validation_keeps_to_the_token_budget(monkeypatch):
    largest = []
    model = tiny_model()
    model.register_forward_pre_hook(lambda _, __, inputs: largest.append(inputs["input_ids"].numel()), with_kwargs=True)
    run(replace(CONFIG, epochs=1), model=model, validation=PAIRS)
    assert max(largest) <= CONFIG.token_budget


def test_a_layer_that_dropout_leaves_out_has_moments_in_the_checkpoint(tmp_path):
    class Dropped(torch.nn.Module):  # as layerdrop does: in some steps the layer is not run at all
        def __init__(self, layer):
            super().__init__()
            self.layer, self.calls = layer, 0

        def forward(self, hidden, *arguments, **options):
            self.calls += 1
            return hidden if self.training else self.layer(hidden, *arguments, **options)

    model = tiny_model()
    model.backbone.encoder.layer[1] = Dropped(model.backbone.encoder.layer[1])
    trainer = Trainer(model, PAIRS, replace(EVERY, dropout=True), tmp_path)
    trainer.step([0, 1], 1e-3)
    trainer.save(trainer.checkpoint)
    trainer.resume()
