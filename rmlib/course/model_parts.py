"""Parts of backbones for notebook 05 and its side page: layers under one set of names, published sizes without a
download, how a reward model's weights are divided, small readers; and a saved model that somebody has changed."""

import hashlib
import json
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from rmlib.model import RewardModel
from rmlib.model.backbone import load_backbone
from rmlib.practice.chat_template import segments_matter
from rmlib.settings import EMBEDDED_BACKBONE

SHORT = 128  # positions that every small backbone of the course has
PLACES = {"distilbert": "transformer.layer", "bert": "encoder.layer"}
NAMES = {  # ours: (DistilBERT's, BERT's)
    "query": ("attention.q_lin", "attention.self.query"), "key": ("attention.k_lin", "attention.self.key"),
    "value": ("attention.v_lin", "attention.self.value"), "mix": ("attention.out_lin", "attention.output.dense"),
    "norm 1": ("sa_layer_norm", "attention.output.LayerNorm"), "norm 2": ("output_layer_norm", "output.LayerNorm"),
    "up": ("ffn.lin1", "intermediate.dense"), "down": ("ffn.lin2", "output.dense"),
}
# part -> how the library names what belongs to it; the first part that fits counts
PARTS = {"layer norms": ("norm", "Norm"), "embeddings": ("embeddings",), "head": ("head.",),
         "attention": ("attention.",), "feed-forward": ("ffn", "intermediate", "output.dense")}


def layers_of(backbone: nn.Module) -> Iterator[dict[str, nn.Module]]:
    """For each block of a DistilBERT or BERT its linear layers and norms: query, key, value, mix, norm 1, up, down,
    norm 2."""
    kind = list(PLACES).index(backbone.config.model_type)
    for layer in backbone.get_submodule(PLACES[backbone.config.model_type]):
        yield {ours: layer.get_submodule(theirs[kind]) for ours, theirs in NAMES.items()}


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


def rewrite_weights(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    """Change the weights of a saved reward model, name -> tensor, and write the new file's hash into its manifest."""
    weights, manifest = folder / "model.safetensors", folder / "reward_model.json"
    tensors, told = load_file(weights), json.loads(manifest.read_text(encoding="utf-8"))
    change(tensors)
    save_file(tensors, weights)
    told["sha256"][weights.name] = hashlib.sha256(weights.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(told), encoding="utf-8")


def refusal(folder: Path) -> str:
    """What loading a saved reward model says, without its numbers and the folder's own path, in short lines;
    or "loaded"."""
    try:
        RewardModel.from_pretrained(folder)
    except ValueError as error:
        told = re.sub(r"\[\[.*?\]\]", "...", str(error).replace(str(folder), folder.name))
        return textwrap.fill(told, 76)
    return "loaded"


def small_reader(directory: Path, pooling: str, pretrained: bool) -> RewardModel:
    """A reward model of the shape of the small backbone in `directory`, its weights loaded or drawn from seed 0, that
    encodes texts as the course's encoder does, whether it is an encoder or not."""
    torch.manual_seed(0)
    backbone, tokenizer = load_backbone(str(directory))
    if not pretrained:
        backbone = AutoModel.from_config(backbone.config)
    encoding = RewardModel(str(EMBEDDED_BACKBONE)).encoding
    encoding = replace(encoding, max_length=SHORT)
    torch.manual_seed(0)
    return RewardModel(backbone=backbone, tokenizer=tokenizer, pooling=pooling, encoding=encoding)


def in_its_template(tokenizer, model: RewardModel, prompt: str, response: str) -> str | dict[str, str]:
    """What a pipeline of the export of `model` takes, in the chat template of the export's tokenizer: one text, or two
    where token types tell prompt and response apart."""
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
    if not segments_matter(model):
        return tokenizer.apply_chat_template(turns, tokenize=False)
    alone = tokenizer.apply_chat_template(turns[:1], tokenize=False, add_generation_prompt=True)
    return {"text": alone, "text_pair": response}
