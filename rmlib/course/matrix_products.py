"""The matrix products of one training pass over given sequences, and how fast torch.matmul does them alone.

Counted are, without padding, the forward product of each linear layer and of each attention, and the two products of
each in the backward pass. Embeddings, norms, activations, softmax and the optimizer are not. All is measured on the
device that the backbone is on: training can't be faster than its products, and its share of their rate says how near.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import torch
from torch import nn

Clock = Callable[[], float]

FAMILIES = ("bert", "distilbert", "roberta")
# Tokens in one product of a linear layer, of which the quickest counts: those that fit a CPU's cache, or fill a GPU.
CHUNKS = {True: (256, 512, 1024, 2048), False: (4096, 16_384, 65_536)}  # by whether it is a CPU
TOGETHER = {True: 1, False: 64}  # sequences whose attention is one product


def clock_of(device: torch.device) -> Clock:
    """Wall time once the device has done all that it was given: a GPU takes work and answers later."""
    def now() -> float:
        if device.type != "cpu":
            torch.accelerator.synchronize()
        return time.perf_counter()

    return now


def seconds(backbone: nn.Module, lengths: list[int], dtype: torch.dtype, clock: Clock) -> float:
    """Seconds on the clock that all products take, measured now, for sequences of these lengths."""
    return linear_seconds(backbone, sum(lengths), dtype, clock) + attention_seconds(backbone, lengths, dtype, clock)


def linear_seconds(backbone: nn.Module, tokens: int, dtype: torch.dtype, clock: Clock) -> float:
    weights = [weight.to(dtype) for weight in linear_weights(backbone)]  # each (out, in)
    device = backbone.device
    best = float("inf")  # seconds a token
    for chunk in CHUNKS[device.type == "cpu"]:
        inputs = {size: torch.randn(chunk, size, device=device).to(dtype) for size in {w.shape[1] for w in weights}}
        gradients = {size: torch.randn(chunk, size, device=device).to(dtype) for size in {w.shape[0] for w in weights}}
        for _ in range(3):
            began = clock()
            for weight in weights:
                x, g = inputs[weight.shape[1]], gradients[weight.shape[0]]
                torch.matmul(x, weight.T)  # (N, in) (in, out)
                torch.matmul(g, weight)  # (N, out) (out, in)
                torch.matmul(g.T, x)  # (out, N) (N, in)
            best = min(best, (clock() - began) / chunk)
    return best * tokens


def attention_seconds(backbone: nn.Module, lengths: list[int], dtype: torch.dtype, clock: Clock) -> float:
    layers, heads, size = attention_shape(backbone)
    device, total = backbone.device, 0.0
    together = TOGETHER[device.type == "cpu"]
    for length, times in Counter(lengths).items():
        wide = torch.randn(together * heads, length, size, device=device).to(dtype)  # Q, K, V, output, their gradients
        square = torch.randn(together * heads, length, length, device=device).to(dtype)  # attention weights, gradient
        best = float("inf")
        for _ in range(2):
            began = clock()
            for _ in range(2):  # forward QKᵀ, backward the gradient of the weights
                torch.matmul(wide, wide.mT)  # (heads, T, d) (heads, d, T)
            for _ in range(2):  # forward PV and backward dQ; backward dV and dK
                torch.matmul(square, wide)  # (heads, T, T) (heads, T, d)
                torch.matmul(square.mT, wide)
            best = min(best, clock() - began)
        total += best / together * times * layers
    return total


def linear_weights(backbone: nn.Module) -> list[torch.Tensor]:
    return [layer.weight.detach() for layer in backbone.modules() if isinstance(layer, nn.Linear)]


def attention_shape(backbone: nn.Module) -> tuple[int, int, int]:
    """(layers, heads, size of a head). Raises ValueError where the products are others than those listed here."""
    config = backbone.config
    if config.model_type not in FAMILIES:
        raise ValueError(f"the matrix products of {config.model_type} are not known here, only those of the encoders "
                         f"{', '.join(FAMILIES)}: decoders attend to one side alone, and not all have nn.Linear layers")
    return config.num_hidden_layers, config.num_attention_heads, config.hidden_size // config.num_attention_heads


def operations(backbone: nn.Module, lengths: list[int]) -> int:
    """Floating-point operations of all products, a multiplication and an addition each counted as one."""
    layers, heads, size = attention_shape(backbone)
    linear = sum(3 * 2 * sum(lengths) * weight.numel() for weight in linear_weights(backbone))
    return linear + layers * 6 * 2 * sum(length**2 for length in lengths) * heads * size


def listing(backbone: nn.Module, lengths: list[int]) -> list[str]:
    """A line for each shape multiplied, and the arithmetic they add up to."""
    lines = [f"matrix products over N = {sum(lengths)} tokens:"]
    for (out, inner), layers in Counter(tuple(weight.shape) for weight in linear_weights(backbone)).items():
        lines.append(f"  {layers} linear layers: (N, {inner}) ({inner}, {out}); (N, {out}) ({out}, {inner}); "
                     f"({out}, N) (N, {inner})")
    layers, heads, size = attention_shape(backbone)
    lines.append(f"  {layers} attentions of {len(lengths)} sequences, T from {min(lengths)} to {max(lengths)}: "
                 f"2 x ({heads}, T, {size}) ({heads}, {size}, T); 4 x ({heads}, T, T) ({heads}, T, {size})")
    return [*lines, f"  {operations(backbone, lengths) / 1e9:.0f} billion floating-point operations"]
