"""Training: one readable loop on Accelerate, with checkpoints from which it resumes bit for bit."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import torch
import transformers
from accelerate.utils import gather_object
from torch import Tensor
from tqdm.auto import tqdm

from rmlib.encoding import EncodedPair, encode, micro_batches, tell_cuts
from rmlib.losses import centring_penalty, smoothed_loss
from rmlib.model import RewardModel
from rmlib.model.unpadded import training_token_budget
from rmlib.pairs import PreferencePair
from rmlib.training import checkpoints
from rmlib.training.config import TrainingConfig
from rmlib.training.devices import has_native_bf16, make_accelerator

_log = logging.getLogger("rmlib")
NEWEST = "newest.safetensors"
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass
class TrainingResult:
    """What happened: one record a step (step, epoch, loss, learning_rate, grad_norm, pairs_per_second)."""

    history: list[dict] = field(default_factory=list)
    steps: int = 0
    pairs_seen: int = 0
    seconds: float = 0.0
    precision: str = "fp32"
    device: str = "cpu"


def train(
    model: RewardModel, pairs: Sequence[PreferencePair], config: TrainingConfig = TrainingConfig(),
    *, loss: Loss | None = None, train_bias: bool = False, checkpoint_dir: Path | str | None = None,
    resume: bool = False, on_step: Callable[[dict], None] | None = None, progress: bool = True,
) -> TrainingResult:
    """Train `model` in place on the pairs; the model ends on the device it was trained on.

    The loss is the mean over a batch's pairs of (1 − s) softplus(m − Δ) + s softplus(m + Δ) + λ (r_c + r_r)², with the
    config's label_smoothing s and centring λ, and the pair's target margin m where they are used.
    loss: a loss of your own in place of the first two terms: (chosen, rejected, target_margin) -> losses, (B,) each. A
    checkpoint knows it by its qualified name: give it one, and no lambda.
    train_bias: whether the head's bias is trained, too; it is in any case where λ > 0, as all else leaves it free.
    checkpoint_dir: where the checkpoint goes, as `newest.safetensors`; resume: continue from it, if it is there.
    on_step: called after each optimizer step with its record.

    Raises ValueError when there is nothing to train on, no target margin where one is wanted, a loss of your own is not
    (B,) or comes beside label smoothing, or a checkpoint is of other data or settings, or there and not to be resumed.
    Resume when the earlier run has ended, never beside it.
    """
    if checkpoint_dir and not resume and (Path(checkpoint_dir) / NEWEST).exists():
        raise ValueError(f"{checkpoint_dir} holds a checkpoint of an earlier run: resume it, or give another directory")
    trainer = Trainer(model, pairs, config, checkpoint_dir, loss, train_bias)
    if resume:
        trainer.resume()
    return trainer.run(on_step, progress)


class Trainer:
    """Model, optimizer and the place in the data; `run` is the loop, `step` one optimizer step."""

    def __init__(self, model: RewardModel, pairs: Sequence[PreferencePair], config: TrainingConfig,
                 checkpoint_dir: Path | str | None = None, loss: Loss | None = None, train_bias: bool = False):
        if loss and config.label_smoothing:
            raise ValueError("label_smoothing belongs to the loss that yours is to replace: put it into yours")
        self.config, self.core, self.own_loss = config, model, loss
        self.accelerator = make_accelerator()
        self.encoded = encode(model.tokenizer, pairs, model.encoding, config.overlong)
        if not self.encoded:
            raise ValueError(f"nothing to train on: none of the {len(pairs)} pairs is left")
        tell_cuts(self.encoded, len(pairs))
        self.target_margins = [(pair.target_margin or 0.0) if config.use_target_margin else 0.0 for pair in pairs]
        if config.use_target_margin and not any(self.target_margins):
            raise ValueError("target margins are to be used, and no pair has one: give the rows a `margin`")
        device = self.accelerator.device
        self.bf16 = config.precision == "bf16" or (config.precision == "auto" and has_native_bf16(device))
        self.token_budget = config.token_budget or training_token_budget(model.backbone, device)
        self.steps_per_epoch = -(-len(self.encoded) // config.batch_size)
        self.total_steps = config.epochs * self.steps_per_epoch
        model.train(config.dropout)  # evaluation mode is what turns dropout off; nothing else in a transformer changes
        groups = _parameter_groups(model, config.weight_decay, train_bias or config.centring > 0)
        self.trained = [parameter for group in groups for parameter in group["params"]]
        optimizer = torch.optim.AdamW(groups, config.learning_rate, fused=True)
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.checkpoint = Path(checkpoint_dir) / NEWEST if checkpoint_dir else None
        self.result = TrainingResult(precision="bf16" if self.bf16 else "fp32", device=str(device))

    def run(self, on_step: Callable[[dict], None] | None = None, progress: bool = True) -> TrainingResult:
        """The loop: batches in order from where we are, a step each, a checkpoint now and then."""
        result, hidden = self.result, not (progress and self.accelerator.is_main_process)
        started = time.perf_counter() - result.seconds
        with tqdm(total=self.config.epochs * len(self.encoded), initial=result.pairs_seen, unit="pair", desc="training",
                  smoothing=0.1, disable=hidden) as bar:
            for epoch, batch in self.batches(start=result.steps):
                learning_rate = self.learning_rate(result.steps)
                loss, grad_norm = self.step(batch, learning_rate)
                result.steps += 1
                result.pairs_seen += len(batch)
                result.seconds = time.perf_counter() - started
                pace = result.pairs_seen / result.seconds
                values = result.steps, epoch, loss, learning_rate, grad_norm, pace
                record = dict(zip(checkpoints.RECORD, values, strict=True))
                result.history.append(record)
                bar.update(len(batch))
                bar.set_postfix(loss=f"{loss:.3f}")
                due = result.steps % self.config.checkpoint_every == 0 or result.steps == self.total_steps
                if self.checkpoint and due:
                    self.save(self.checkpoint)
                if on_step:
                    on_step(record)
        self.core.eval()
        return result

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
        """One optimizer step on a global batch: (mean loss over its pairs, gradient norm before clipping)."""
        total = self.backward(batch)
        grad_norm = self.accelerator.clip_grad_norm_(self.trained, self.config.max_grad_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.model.zero_grad()  # the head's bias, too, which the optimizer need not know
        return (self.accelerator.reduce(total, "sum") / len(batch)).item(), float(grad_norm)

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
        total = losses.sum()
        weight = self.config.centring
        return total + centring_penalty(chosen, rejected, weight, "sum") if weight else total

    def save(self, path: Path) -> None:
        """Write a checkpoint of everything the run depends on."""
        random_states = gather_object([checkpoints.random_state()])  # one of each process
        if self.accelerator.is_main_process:
            result = asdict(self.result)
            history = result.pop("history")
            state = {"identity": self.identity, "environment": self._environment(), "result": result,
                     "random_states": random_states}
            checkpoints.write(path, self.core, self.optimizer, state, history)
        self.accelerator.wait_for_everyone()

    def resume(self) -> None:
        """Continue from the checkpoint; without one, from the start, and say so.

        Raises ValueError when it can't be read or belongs to other data or settings.
        """
        if self.checkpoint is None or not self.checkpoint.exists():
            _log.warning("no checkpoint to resume from: starting at the first step")
            return
        state, history = checkpoints.read_state(self.checkpoint)
        for name, ours in self.identity.items():
            if (theirs := state["identity"].get(name)) != ours:
                raise ValueError(f"the checkpoint was made with another {name}: {theirs}, now {ours}; resume with the "
                                 "same, or start again in another directory")
        for name, ours in self._environment().items():
            if (theirs := state["environment"].get(name)) != ours:
                _log.warning("resumed with another %s: %s, was %s; the result will differ", name, ours, theirs)
        with checkpoints.explained(self.checkpoint):
            here = {"device": self.result.device, "precision": self.result.precision}
            self.result = TrainingResult(history=history, **state["result"] | here)
            random_states = state["random_states"]
            random_state = random_states[self.accelerator.process_index % len(random_states)]
            checkpoints.load(self.checkpoint, self.core, self.optimizer)
            checkpoints.set_random_state(random_state)
        _log.info("resumed at step %d of %d", self.result.steps, self.total_steps)

    @cached_property
    def identity(self) -> dict:
        """What must be the same for a run to be continued: settings, loss, data, pooling and number of weights."""
        digest = hashlib.sha256()
        for pair in self.encoded:
            digest.update(pair.chosen.tobytes() + b"|" + pair.rejected.tobytes() + b"\n")
            digest.update(repr(self.target_margins[pair.index]).encode())
        trained = sum(parameter.numel() for parameter in self.trained)
        settings = {name: value for name, value in asdict(self.config).items() if name != "checkpoint_every"}
        loss = self.own_loss or smoothed_loss
        name = getattr(loss, "__qualname__", type(loss).__qualname__)
        return {**settings, "loss": f"{loss.__module__}.{name}",
                "data": f"{len(self.encoded)} pairs, sha256 {digest.hexdigest()}",
                "model": f"{self.core.pooling} pooling, {trained:,} trained weights"}

    def _environment(self) -> dict:
        """What the last bits of a run depend on beside data and settings."""
        return {"threads": torch.get_num_threads(), "processes": self.accelerator.num_processes,
                "precision": self.result.precision, "device": self.accelerator.device.type,
                "torch": torch.__version__, "transformers": transformers.__version__}


def _parameter_groups(model: RewardModel, weight_decay: float, train_bias: bool) -> list[dict]:
    # The head's bias cancels in every margin: its gradient is rounding noise, and Adam would make steps of that.
    trained = [p for p in model.parameters() if p.requires_grad and (train_bias or p is not model.head.bias)]
    return [
        {"params": [parameter for parameter in trained if parameter.dim() > 1], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trained if parameter.dim() <= 1], "weight_decay": 0.0},
    ]
