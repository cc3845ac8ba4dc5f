"""A reward model of the field, saved as a `...ForSequenceClassification`, as one of ours."""

import os
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from rmlib.encoding import encode
from rmlib.model import RewardModel
from rmlib.model.backbone import check_kind, load_from_hub
from rmlib.model.saving import CANARIES

_LINEAR_ONLY = ("a reward here is one linear map of one token's vector; of an export of this package, load the model "
                "that it was made from")


def from_classifier(name_or_dir: str | os.PathLike, max_length: int | None = None,
                    rendering: str = "auto") -> RewardModel:
    """The reward model that a hub id or a directory holds: backbone, head, tokenizer and chat template.

    max_length, rendering: as of RewardModel. The class takes the vector of the last token that is not padding: where
    padding is EOS, what is rendered here ends before EOS. Raises ValueError where the class gives more numbers than
    one, a weight is missing or the head is not linear; OSError where nothing can be loaded.
    """
    name = str(name_or_dir)
    classifier, tokenizer = load_from_hub(name, AutoModelForSequenceClassification, lambda config: _check(config, name))
    weight, bias = _linear_head(classifier, name)
    rows = [torch.tensor([tokenizer(pair.prompt, add_special_tokens=False)["input_ids"][:64]]) for pair in CANARIES]
    with torch.inference_mode():
        wanted = torch.cat([classifier(input_ids=row).logits[0] for row in rows])  # (canaries,)
    model = RewardModel(name, "auto", max_length, rendering, backbone=classifier.base_model, tokenizer=tokenizer)
    with torch.no_grad():
        model.head.weight.copy_(weight)
        model.head.bias.copy_(bias)
        got = torch.cat([model(row, torch.ones_like(row)) for row in rows])
    if not torch.allclose(got, wanted, rtol=1e-4, atol=1e-4):
        raise ValueError(f"{name}: {type(classifier).__name__} does more than a linear map of the vector of the "
                         f"{'last' if model.pooling == 'last' else 'first'} token; {_LINEAR_ONLY}")
    _end_before(model, classifier.config.get_text_config().pad_token_id, name)
    return model


def _check(config, name: str) -> None:
    kind = (config.architectures or ["model of no named class"])[0]
    if not kind.endswith("ForSequenceClassification"):
        raise ValueError(f"{name} holds a {kind}, and no ...ForSequenceClassification, whose head would be a reward's")
    check_kind(config, name)
    if config.num_labels != 1:
        raise ValueError(f"{name} gives {config.num_labels} numbers for a text; a reward is one")


def _linear_head(classifier: Any, name: str) -> tuple[Tensor, Tensor]:
    """Weight (1, H) and bias (1,) of what stands above the backbone. Raises ValueError unless it is one linear map."""
    backbone = set(classifier.base_model.modules())
    above = [module for module in classifier.modules() if module not in backbone and list(module.parameters(False))]
    if len(above) != 1 or not isinstance(above[0], nn.Linear):
        told = " and ".join(type(module).__name__ for module in above) or "without weights"
        raise ValueError(f"{name}: the head of {type(classifier).__name__} is {told}; {_LINEAR_ONLY}")
    return above[0].weight, torch.zeros(1) if above[0].bias is None else above[0].bias


def _end_before(model: RewardModel, pad: int | None, name: str) -> None:
    """Let no text end in padding, whose vector the class never takes."""
    tokenizer, spec = model.tokenizer, model.encoding
    if not _ends_in(model, pad):
        return
    if spec.rendering == "template":
        end = tokenizer.convert_ids_to_tokens(pad)
        tokenizer.chat_template = (f"{{%- set text -%}}{tokenizer.chat_template}{{%- endset -%}}"
                                   f"{{{{ text.removesuffix({end!r}) }}}}")
    else:
        model.encoding = replace(spec, suffix=spec.suffix[:-1])
    if _ends_in(model, pad):
        raise ValueError(f"{name}: what its chat template writes ends in padding, whose vector its class never takes")


def _ends_in(model: RewardModel, token: int | None) -> bool:
    encoded = encode(model.tokenizer, CANARIES, model.encoding)
    return any(token == side[-1] for pair in encoded for side in (pair.chosen, pair.rejected))
