"""Precision and accumulation are what the settings say, whatever Accelerate finds around it; weights stay fp32."""

import copy
from dataclasses import replace

import accelerate
import pytest
import torch
from training_parts import CONFIG, PAIRS, losses, one_thread, run, tiny_model  # noqa: F401

from rmlib.training import Trainer


def watch_dtypes(model) -> dict:
    """What goes into a matrix product of the backbone and into and out of the head, filled in as the model runs."""
    seen = {}
    attention = model.backbone.encoder.layer[0].attention.self.query
    attention.register_forward_hook(lambda _, inputs, output: seen.update(backbone=output.dtype))
    model.head.register_forward_hook(lambda _, inputs, output: seen.update(head=(inputs[0].dtype, output.dtype)))
    return seen


def losses_seen(monkeypatch) -> set:
    seen = set()
    backward = accelerate.Accelerator.backward

    def watched(self, loss):
        seen.add(loss.dtype)
        backward(self, loss)

    monkeypatch.setattr(accelerate.Accelerator, "backward", watched)
    return seen


@pytest.mark.parametrize("precision, compute", [("bf16", torch.bfloat16), ("fp32", torch.float32)])
@pytest.mark.parametrize("environment", ["no", "bf16"])
def test_precision_is_what_the_settings_say(monkeypatch, precision, compute, environment):
    """Compute alone is bf16; weights, head, loss and optimizer stay fp32, whatever Accelerate's environment says."""
    monkeypatch.setattr(accelerate.state.AcceleratorState, "_shared_state", {})
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", environment)
    model, loss_dtypes = tiny_model(), losses_seen(monkeypatch)
    seen = watch_dtypes(model)
    trainer = Trainer(model, PAIRS, replace(CONFIG, precision=precision))
    result = trainer.run(progress=False)
    assert result.precision == precision
    assert seen == {"backbone": compute, "head": (torch.float32, torch.float32)} and loss_dtypes == {torch.float32}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    moments = trainer.optimizer.optimizer.state.values()
    assert {tensor.dtype for state in moments for tensor in state.values()} == {torch.float32}


def test_two_precisions_in_one_process():
    # Accelerate alone would refuse the second one, or quietly keep the first one's precision.
    seen = [losses(run(replace(CONFIG, precision=precision))[1]) for precision in ("bf16", "fp32", "bf16")]
    assert seen[0] == seen[2] != seen[1] and seen[0] == pytest.approx(seen[1], abs=0.05)


def test_accumulation_set_elsewhere_divides_nothing(monkeypatch):
    _, result = run()
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    accelerate.Accelerator(gradient_accumulation_steps=4)
    assert [r["grad_norm"] for r in run()[1].history] == [r["grad_norm"] for r in result.history]


def test_a_backbone_saved_in_bf16_is_trained_in_fp32():
    """Adam's steps are far smaller than bf16 resolves: with bf16 weights this run would change almost nothing."""
    model = tiny_model()
    model.to(torch.bfloat16).float()
    rounded = copy.deepcopy(model)
    run(replace(CONFIG, learning_rate=1e-5), model=model)
    changed = [(a != b).float().mean().item() for a, b in zip(model.parameters(), rounded.parameters()) if a.dim() > 1]
    lost = [(a.bfloat16() != b.bfloat16()).float().mean().item()
            for a, b in zip(model.parameters(), rounded.parameters()) if a.dim() > 1]
    assert max(changed) > 0.9 and max(lost) < 0.5
