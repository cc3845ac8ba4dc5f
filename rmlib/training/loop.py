"""The loop: one optimizer step after another on Accelerate, with checkpoints from which it resumes bit for bit."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from accelerate.utils import gather_object
from torch import Tensor
from tqdm.auto import tqdm

from rmlib.encoding import EncodedPair, encode, micro_batches, tell_cuts
from rmlib.losses import centring_penalty, smoothed_loss
from rmlib.model import RewardModel
from rmlib.model.trials import freeze_unused
from rmlib.model.unpadded import training_token_budget
from rmlib.pairs import PreferencePair
from rmlib.training import checkpoints
from rmlib.training.config import TrainingConfig
from rmlib.training.devices import has_native_bf16, make_accelerator
from rmlib.training.identity import environment, identity
from rmlib.training.optimizer import make_optimizer
from rmlib.training.validation import Validation

_log = logging.getLogger("rmlib")
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass
class TrainingResult:
    """What happened: one record a step (step, epoch, loss, learning_rate, grad_norm, pairs_per_second).

    validation: one record an evaluation (step, nll). interrupted: whether `should_stop` ended the run.
    """

    history: list[dict] = field(default_factory=list)
    validation: list[dict] = field(default_factory=list)
    steps: int = 0
    pairs_seen: int = 0
    seconds: float = 0.0
    precision: str = "fp32"
    device: str = "cpu"
    interrupted: bool = False


class Trainer:
    """Model, optimizer and the place in the data; `run` is the loop, `step` one optimizer step."""

    def __init__(self, model: RewardModel, pairs: Sequence[PreferencePair], config: TrainingConfig,
                 checkpoint_dir: Path | str | None = None, loss: Loss | None = None, train_bias: bool = False,
                 validation: Sequence[PreferencePair] = ()):
        if loss and config.label_smoothing:
            raise ValueError("label_smoothing belongs to the loss that yours is to replace: put it into yours")
        self.config, self.core, self.own_loss = config, model, loss
        self.accelerator = make_accelerator()
        self.encoded = encode(model.tokenizer, pairs, model.encoding, config.overlong)
        if not self.encoded:
            raise ValueError(f"nothing to train on: none of the {len(pairs)} pairs is left")
        tell_cuts(self.encoded, len(pairs))
        wanted = [pair.target_margin if config.use_target_margin else 0.0 for pair in pairs]
        self.target_margins = [margin or 0.0 for margin in wanted]
        if config.use_target_margin and not any(self.target_margins):
            raise ValueError("target margins are to be used, and no pair has one: give the rows a `margin`")
        if None in wanted:
            _log.warning("%d of %d pairs have no target margin: 0 is taken", wanted.count(None), len(wanted))
        device = self.accelerator.device
        self.bf16 = config.precision == "bf16" or (config.precision == "auto" and has_native_bf16(device))
        self.token_budget = config.token_budget or training_token_budget(model.backbone, device)
        self.steps_per_epoch = -(-len(self.encoded) // config.batch_size)
        self.total_steps = config.epochs * self.steps_per_epoch
        freeze_unused(model)
        model.train(config.dropout)  # evaluation mode is what turns dropout off; nothing else in a transformer changes
        optimizer = make_optimizer(model, config, train_bias or config.centring > 0)
        self.trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.checkpoint = Path(checkpoint_dir) / checkpoints.NEWEST if checkpoint_dir else None
        self.validation = Validation(model, validation, config.patience, self.token_budget)
        self.result = TrainingResult(validation=self.validation.history, precision="bf16" if self.bf16 else "fp32",
                                     device=str(device))
        self.identity = identity(
            config, loss or smoothed_loss, self.encoded, self.target_margins, self.validation.encoded,
            f"{model.pooling} pooling, {model.encoding.max_length} tokens at most, "
            f"{sum(parameter.numel() for parameter in self.trained):,} trained weights")
        self.environment = environment(self.accelerator, self.result.precision, self.token_budget, config.learning_rate)

    def run(self, on_step: Callable[[dict], None] | None = None, should_stop: Callable[[], bool] | None = None,
            progress: bool = True) -> TrainingResult:
        """The loop: batches in order from where we are, a step each, a look at the validation pairs and a checkpoint
        now and then."""
        result, hidden = self.result, not (progress and self.accelerator.is_main_process)
        started = time.perf_counter() - result.seconds
        with tqdm(total=self.config.epochs * len(self.encoded), initial=result.pairs_seen, unit="pair", desc="training",
                  smoothing=0.1, disable=hidden) as bar:
            for epoch, batch in self.batches(start=result.steps):
                if self.validation.is_over:
                    break
                learning_rate = self.learning_rate(result.steps)
                loss, grad_norm = self.step(batch, learning_rate)
                result.steps += 1
                result.pairs_seen += len(batch)
                result.seconds = time.perf_counter() - started
                values = result.steps, epoch, loss, learning_rate, grad_norm, result.pairs_seen / result.seconds
                record = dict(zip(checkpoints.RECORD, values, strict=True))
                result.history.append(record)
                bar.update(len(batch))
                bar.set_postfix(loss=f"{loss:.3f}")
                self.look_up(should_stop)
                if on_step:
                    on_step(record)
                if result.interrupted:
                    break
        self.check_finite()
        if not result.interrupted:
            self.validation.restore_best()
        self.core.eval()
        return result

    def look_up(self, should_stop: Callable[[], bool] | None) -> None:
        """After a step: validate and write a checkpoint where they are due, or the run is to stop."""
        steps, is_last = self.result.steps, self.result.steps == self.total_steps
        if self.validation.encoded and (is_last or steps % (self.config.validate_every or self.steps_per_epoch) == 0):
            self.validation.evaluate(steps)
        if should_stop and should_stop():
            self.accelerator.set_trigger()
        stops = self.accelerator.check_trigger()  # the same in all processes, whichever was asked to stop
        is_due = is_last or stops or self.validation.is_over or steps % self.config.checkpoint_every == 0
        if self.checkpoint and is_due:
            self.save(self.checkpoint)
        self.result.interrupted = stops

    def batches(self, start: int = 0) -> Iterator[tuple[int, list[int]]]:
        """(epoch, indices of a global batch) from step `start` on; the order depends on seed and epoch alone."""
        size = self.config.batch_size
        for step in range(start, self.total_steps):
            epoch, position = divmod(step, self.steps_per_epoch)
            if position == 0 or step == start:
                generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + epoch)
                order = torch.randperm(len(self.encoded), generator=generator).tolist()
            yield epoch, order[position * size : (position + 1) * size]

    def learning_rate(self, step: int) -> float:
        """The schedule: up in a straight line to the peak, then down to zero; a function of the step alone."""
        warmup = round(self.config.warmup * self.total_steps)
        share = step / warmup if step < warmup else (self.total_steps - step) / (self.total_steps - warmup)
        return self.config.learning_rate * share

    def step(self, batch: Sequence[int], learning_rate: float) -> tuple[float, float]:
        """One optimizer step on a global batch: (mean loss over its pairs, gradient norm before clipping).

        Raises ValueError, before the step is made, where one of the two is no finite number.
        """
        total = self.backward(batch)
        for parameter in self.trained:  # a layer that was dropped has none, and a checkpoint needs its moments
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        loss = (self.accelerator.reduce(total, "sum") / len(batch)).item()
        grad_norm = float(self.accelerator.clip_grad_norm_(self.trained, self.config.max_grad_norm))
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            raise ValueError(f"step {self.result.steps + 1} was not made: its loss is {loss} and its gradient's norm "
                             f"{grad_norm}; {self.kept()} with a lower learning rate"
                             f"{', or start again with precision fp32' if self.bf16 else ''}")
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.model.zero_grad()  # the head's bias, too, which the optimizer need not know
        return loss, grad_norm

    def backward(self, batch: Sequence[int]) -> Tensor:
        """Accumulate the gradient of the batch's mean loss; returns the sum of this process's losses."""
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        # A process left without a pair by a short last batch still takes part in the averaging, with weight zero.
        mine, weight = (batch[rank::processes], 1.0) if rank < len(batch) else (batch[:1], 0.0)
        pieces = micro_batches([self.encoded[i] for i in mine], self.token_budget)
        total = torch.zeros((), device=self.accelerator.device)
        for i, piece in enumerate(pieces):
            last = i == len(pieces) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                loss = weight * self.loss(piece)
                # Gradients are averaged over processes, each of which holds a part of the sum over the batch.
                self.accelerator.backward(loss * processes / len(batch))
            total += loss.detach()
        return total

    def loss(self, pairs: Sequence[EncodedPair]) -> Tensor:
        """Sum of the pairs' losses, from one concatenated forward. Raises ValueError where an own loss is not (B,)."""
        with torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=self.bf16):
            rewards = self.model(**self.core.collate(pairs))  # (2P,)
        chosen, rejected = rewards.chunk(2)
        target_margin = torch.tensor([self.target_margins[pair.index] for pair in pairs], device=rewards.device)
        losses = (self.own_loss(chosen, rejected, target_margin) if self.own_loss else
                  smoothed_loss(chosen, rejected, self.config.label_smoothing, target_margin, "none"))
        if losses.shape != chosen.shape:
            raise ValueError(f"{self.identity['loss']} should give one loss for each of {len(pairs)} pairs, "
                             f"{tuple(chosen.shape)}, and gave {tuple(losses.shape)}")
        weight = self.config.centring
        return losses.sum() + (centring_penalty(chosen, rejected, weight, "sum") if weight else 0)

    def check_finite(self) -> None:
        if not all(parameter.isfinite().all() for parameter in self.trained):
            raise ValueError(f"after step {self.result.steps} weights are no finite numbers; {self.kept()} with a "
                             "lower learning rate")

    def kept(self) -> str:
        is_kept = self.checkpoint is not None and self.checkpoint.exists()
        return "the last checkpoint is whole: go on from it" if is_kept else "start again"

    def save(self, path: Path) -> None:
        """Write a checkpoint of everything the run depends on. Raises ValueError for weights that are not finite."""
        self.check_finite()
        random_states = gather_object([checkpoints.random_state()])  # one of each process
        if self.accelerator.is_main_process:
            result = asdict(self.result)
            history = result.pop("history")
            state = {"identity": self.identity, "environment": self.environment, "result": result,
                     "random_states": random_states}
            checkpoints.write(path, self.core, self.optimizer, state, history, self.validation.best)
        self.accelerator.wait_for_everyone()

    def resume(self) -> None:
        """Continue from the checkpoint; without one, from the start, and say so.

        Raises ValueError when it can't be read or belongs to other data or settings.
        """
        found = gather_object([self.checkpoint is not None and self.checkpoint.exists()])  # one of each process
        if any(found) and not all(found):
            raise ValueError(f"{self.checkpoint}: only some of the processes see it: give a directory that all share")
        if self.checkpoint is None or not any(found):
            _log.warning("no checkpoint to resume from: starting at the first step")
            return
        state, history = checkpoints.read_state(self.checkpoint)
        for name, ours in self.identity.items():
            if (theirs := state["identity"].get(name)) != ours:
                raise ValueError(f"the checkpoint was made with another {name}: {theirs}, now {ours}; resume with the "
                                 "same, or start again in another directory")
        for name, ours in self.environment.items():
            if (theirs := state["environment"].get(name)) != ours:
                _log.warning("resumed with another %s: %s, was %s; the result will differ", name, ours, theirs)
        with checkpoints.explained(self.checkpoint):
            here = {"device": self.result.device, "precision": self.result.precision}
            self.result = TrainingResult(history=history, **state["result"] | here)
            self.validation.history = self.result.validation
            random_states = state["random_states"]
            random_state = random_states[self.accelerator.process_index % len(random_states)]
            self.validation.best = checkpoints.load(self.checkpoint, self.core, self.optimizer)
            checkpoints.set_random_state(random_state)
        _log.info("resumed at step %d of %d", self.result.steps, self.total_steps)
