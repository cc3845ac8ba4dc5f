"""The matrix products of one training pass over given sequences, and how fast torch.matmul does them alone.

Counted are, without padding, the forward product of each linear layer and of each attention, and the two products of
each in the backward pass. Embeddings, norms, activations, softmax and the optimizer are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import torch
from torch import nn

Clock = Callable[[], float]

FAMILIES = ("bert", "distilbert", "roberta")
CHUNKS = (256, 512, 1024, 2048)  # tokens in one product of a linear layer: the quickest counts


def seconds(backbone: nn.Module, lengths: list[int], dtype: torch.dtype, clock: Clock) -> float:
    """Seconds on the clock that all products take, measured now, for sequences of these lengths."""
    return linear_seconds(backbone, sum(lengths), dtype, clock) + attention_seconds(backbone, lengths, dtype, clock)


def linear_seconds(backbone: nn.Module, tokens: int, dtype: torch.dtype, clock: Clock) -> float:
    weights = [weight.to(dtype) for weight in linear_weights(backbone)]  # each (out, in)
    best = float("inf")  # seconds a token
    for chunk in CHUNKS:
        inputs = {size: torch.randn(chunk, size).to(dtype) for size in {w.shape[1] for w in weights}}
        gradients = {size: torch.randn(chunk, size).to(dtype) for size in {w.shape[0] for w in weights}}
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
    total = 0.0
    for length, times in Counter(lengths).items():
        wide = torch.randn(heads, length, size).to(dtype)  # as Q, K, V, the output, and their gradients
        square = torch.randn(heads, length, length).to(dtype)  # as the attention weights, and their gradient
        best = float("inf")
        for _ in range(2):
            began = clock()
            for _ in range(2):  # forward QKᵀ, backward the gradient of the weights
                torch.matmul(wide, wide.mT)  # (heads, T, d) (heads, d, T)
            for _ in range(2):  # forward PV and backward dQ; backward dV and dK
                torch.matmul(square, wide)  # (heads, T, T) (heads, T, d)
                torch.matmul(square.mT, wide)
            best = min(best, clock() - began)
        total += best * times * layers
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
