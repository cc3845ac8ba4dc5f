"""How fast a training was, beside how fast its device could have been: pairs a second, share of the products' rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rmlib.course import matrix_products
from rmlib.encoding import encode
from rmlib.model import RewardModel
from rmlib.pairs import PreferencePair
from rmlib.training import TrainingResult

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Speed:
    """What a training did in a second; None for what can't be told of this model or device."""

    device: str
    precision: str
    pairs_per_second: float
    share: float | None  # of the rate at which the device does the model's matrix products alone, without padding
    peak_memory: int | None  # bytes that tensors took on a GPU

    def __str__(self) -> str:
        share = "unknown for this backbone" if self.share is None else f"{self.share:.0%}"
        memory = "counted on a GPU alone" if self.peak_memory is None else f"{self.peak_memory / 2**30:.2f} GiB"
        return (f"device                   {self.device}, {self.precision}\n"
                f"pairs a second           {self.pairs_per_second:,.1f}\n"
                f"of its products' rate    {share}\n"
                f"peak memory              {memory}")


def watch_memory(device: torch.device) -> None:
    """Forget the peak so far: called before the training that is to be measured."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int | None:
    """Bytes that tensors took on a GPU at most, since `watch_memory`; None elsewhere."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def measure_speed(model: RewardModel, pairs: Sequence[PreferencePair], result: TrainingResult) -> Speed:
    """The speed of a training on `pairs` that has just ended; measures the device's matrix products, for seconds.

    The share is the time of the products, forward and backward, over that of the training. What `on_step` did counts as
    training: with `rmlib.course.live`, a few hundredths of it.
    """
    peak = peak_memory(model.device)  # before the products, which take memory of their own
    encoded = encode(model.tokenizer, pairs, model.encoding)
    lengths = [len(row) for pair in encoded for row in (pair.chosen, pair.rejected)]
    try:
        alone = matrix_products.seconds(
            model.backbone, lengths, DTYPES[result.precision], matrix_products.clock_of(model.device)
        )
    except ValueError:  # a family whose products are not known
        alone = None
    passes = result.pairs_seen / len(encoded)
    on_cuda = model.device.type == "cuda"
    name = torch.cuda.get_device_name(model.device) if on_cuda else f"CPU, {torch.get_num_threads()} threads"
    return Speed(
        device=name if on_cuda or model.device.type == "cpu" else model.device.type, precision=result.precision,
        pairs_per_second=result.pairs_seen / result.seconds,
        share=None if alone is None else passes * alone / result.seconds,
        peak_memory=peak,
    )
