"""Sequences of unlike length without padding: laid end to end in one row, each attends to itself alone.

On a CPU the padding of a batch costs as much as its text. A GPU keeps the padded batch: there many small attention
calls would cost more than padding does.
"""

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "rmlib_unpadded"
# Positions are an input, attention is the one place where tokens meet, and each token may see its whole sequence.
UNPADDED_FAMILIES = ("bert", "distilbert", "roberta", "gpt2", "llama")


def attend(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
           sequence_lengths: list[int] | None = None, **options) -> tuple[Tensor, None]:
    """Attention of each sequence by itself: (1, heads, N, d) -> (1, N, heads, d), N the sum of sequence_lengths.

    Without sequence_lengths it is transformers' own scaled dot-product attention of a padded batch.
    """
    if sequence_lengths is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    # At least float32: on a CPU the backward pass of bfloat16 attention is the slower one.
    wide = [part.to(torch.promote_types(part.dtype, torch.float32)) for part in (query, key, value)]
    sequences = zip(*(part.split(sequence_lengths, dim=2) for part in wide))
    with torch.autocast(query.device.type, enabled=False):
        outputs = [sdpa_attention_forward(module, *sequence, None, **options)[0]  # type: ignore[call-arg]
                   for sequence in sequences]
    return torch.cat(outputs, dim=1).to(query.dtype), None


def mask(*args, attention_mask: Tensor | None = None, **options) -> Tensor | None:
    """transformers' own mask for a padded batch, none for sequences laid end to end: `attend` keeps those apart."""
    return None if attention_mask is None else sdpa_mask(*args, **options | {"attention_mask": attention_mask})


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, mask)


def enable(backbone: PreTrainedModel) -> None:
    """Let `last_hidden_state` leave padding out, where the backbone is of a family for which that changes no result."""
    if backbone.config.model_type in UNPADDED_FAMILIES:
        backbone.set_attn_implementation(NAME)


def applies(backbone: PreTrainedModel, device: torch.device) -> bool:
    """Whether `last_hidden_state` leaves padding out there.

    Asked at each call: any other attention, set later to look at its weights, would see across sequences.
    """
    return backbone.config._attn_implementation == NAME and device.type == "cpu"


def training_token_budget(backbone: PreTrainedModel, device: torch.device) -> int:
    """Padded tokens of a forward in training: many on a GPU; on a CPU more where padding is left out."""
    if device.type != "cpu":
        return 65_536
    return 4_096 if applies(backbone, device) else 1_024


def last_hidden_state(backbone: PreTrainedModel, input_ids: Tensor, attention_mask: Tensor, **inputs) -> Tensor:
    """The backbone's output (B, T, H) for sequences (B, T) padded on either side; at padding it means nothing."""
    if not applies(backbone, input_ids.device):
        return backbone(input_ids=input_ids, attention_mask=attention_mask, **inputs).last_hidden_state
    real = attention_mask.bool()
    rows = {name: value[real][None] if isinstance(value, Tensor) else value for name, value in inputs.items()}
    lengths = attention_mask.sum(1).tolist()
    flat = backbone(input_ids=input_ids[real][None], sequence_lengths=lengths, **rows).last_hidden_state  # (1, N, H)
    hidden = flat.new_zeros(*input_ids.shape, flat.shape[-1])  # (B, T, H)
    hidden[real] = flat[0]
    return hidden
