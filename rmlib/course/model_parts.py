"""Backbones at their published sizes without a download, and how the weights of a reward model are divided."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

# part -> how the library names what belongs to it; the first part that fits counts
PARTS = {"layer norms": ("norm", "Norm"), "embeddings": ("embeddings",), "head": ("head.",),
         "attention": ("attention.",), "feed-forward": ("ffn", "intermediate", "output.dense")}


@torch.no_grad()
def of_full_size(kind: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """A backbone of the library's default sizes for "bert" or "distilbert", with random weights, and inputs for it:
    two random rows (2, 24), int64, the second with padding on the right."""
    torch.manual_seed(0)
    backbone = AutoModel.from_config(AutoConfig.for_model(kind)).eval()
    mask = (torch.arange(24) < torch.tensor([24, 15])[:, None]).long()
    inputs = {"input_ids": torch.randint(1000, 30_000, (2, 24)), "attention_mask": mask}
    return backbone, inputs | ({"token_type_ids": torch.randint(2, (2, 24))} if kind == "bert" else {})


def count_by_part(named_parameters: Iterable[tuple[str, Tensor]]) -> dict[str, int]:
    """Part -> number of weights, for the parameters of a reward model of BERT's family.

    Raises ValueError for a parameter that belongs to none of the parts.
    """
    counts = dict.fromkeys(PARTS, 0)
    for name, parameter in named_parameters:
        part = next((part for part, names in PARTS.items() if any(each in name for each in names)), None)
        if part is None:
            raise ValueError(f"{name} belongs to none of {', '.join(PARTS)}: is this a model of BERT's family?")
        counts[part] += parameter.numel()
    return counts


def count_at_full_size(kind: str) -> dict[str, int]:
    """`count_by_part` for a backbone of the library's default sizes with a head: shapes alone, no numbers."""
    with torch.device("meta"):
        backbone = AutoModel.from_config(AutoConfig.for_model(kind))
        head = torch.empty(backbone.config.hidden_size + 1)
    named = [(name, weight) for name, weight in backbone.named_parameters() if "pooler" not in name]  # not used here
    return count_by_part([*named, ("head.weight", head)])
