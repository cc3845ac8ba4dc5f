"""`train`: a training run from its first step, or its last checkpoint, to its end."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rmlib.model import RewardModel
from rmlib.model.saving import check_reloads
from rmlib.pairs import PreferencePair
from rmlib.training.checkpoints import NEWEST
from rmlib.training.config import TrainingConfig
from rmlib.training.loop import Loss, Trainer, TrainingResult


def train(
    model: RewardModel, pairs: Sequence[PreferencePair], config: TrainingConfig = TrainingConfig(),
    *, validation: Sequence[PreferencePair] = (), loss: Loss | None = None, train_bias: bool = False,
    checkpoint_dir: Path | str | None = None, resume: bool = False, on_step: Callable[[dict], None] | None = None,
    should_stop: Callable[[], bool] | None = None, progress: bool = True,
) -> TrainingResult:
    """Train `model` in place on the pairs; the model ends on the device it was trained on.

    validation: pairs on which the run is judged as it goes, by negative log-likelihood; the model ends with the weights
    that were best there, and the config's patience may end the run before its last step.

    The loss is the mean over a batch's pairs of (1 − s) softplus(m − Δ) + s softplus(m + Δ) + λ (r_c + r_r)², with the
    config's label_smoothing s and centring λ, and the pair's target margin m where they are used.
    loss: a loss of your own in place of the first two terms: (chosen, rejected, target_margin) -> losses, (B,) each. A
    checkpoint knows it by its qualified name: give it one, and no lambda.
    train_bias: whether the head's bias is trained, too; it is in any case where λ > 0, as all else leaves it free.
    checkpoint_dir: where the checkpoint goes, as `newest.safetensors`; resume: continue from it, if it is there.
    on_step: called after each optimizer step with its record. should_stop: asked after each; where it says yes in any
    process, the run is checkpointed, and ends with the weights of that step.

    Raises ValueError when there is nothing to train on, no target margin where one is wanted, a loss of your own is not
    (B,) or comes beside label smoothing, or a checkpoint is of other data or settings, or there and not to be resumed;
    and, before the step and with the last checkpoint whole, when loss or gradient are no finite numbers.
    Resume when the earlier run has ended, never beside it.
    """
    if checkpoint_dir and not resume and (Path(checkpoint_dir) / NEWEST).exists():
        raise ValueError(f"{checkpoint_dir} holds a checkpoint of an earlier run: resume it, or give another directory")
    if small := {str(each.dtype) for each in model.parameters() if each.requires_grad and each.dtype.itemsize < 4}:
        raise ValueError(f"weights of {min(small)} would lose most steps of the optimizer to rounding: train "
                         "model.float(); precision bf16 computes in bfloat16 all the same")
    if checkpoint_dir:  # a run that is to be kept
        check_reloads(model)
    trainer = Trainer(model, pairs, config, checkpoint_dir, loss, train_bias, validation)
    if resume:
        trainer.resume()
    return trainer.run(on_step, should_stop, progress)
