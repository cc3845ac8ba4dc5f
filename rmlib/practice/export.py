"""A saved reward model as a `...ForSequenceClassification`, which pipelines and trainers of policies load.

The class of a family brings a head of its own, into which the reward's linear map is written. Tokens and rewards are
compared with the reward model's before anything is put in its place.
"""

import copy
import math
import os
import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from rmlib.files import sync
from rmlib.model import RewardModel
from rmlib.practice.card import write_export_card
from rmlib.practice.chat_template import ScoredText, scored_texts, segments_matter, templated_tokenizer

# By family: two linear maps of its class, by the names of its modules, and what stands between them.
HEADS = {
    "bert": ("bert.pooler.dense", "tanh", "classifier"),
    "albert": ("albert.pooler", "tanh", "classifier"),
    **dict.fromkeys(("roberta", "camembert", "xlm-roberta", "mpnet"),
                    ("classifier.dense", "tanh", "classifier.out_proj")),
    "distilbert": ("pre_classifier", "relu", "classifier"),
    "electra": ("classifier.dense", "gelu", "classifier.out_proj"),
    **dict.fromkeys(("deberta", "deberta-v2"), ("pooler.dense", "gelu", "classifier")),
    "modernbert": ("head.dense", "gelu, layer norm", "classifier"),
}
# Powers of two, which scale without rounding. 2^-14 is the smallest normal number of float16.
BEFORE_TANH, BEFORE_NORM = 2.0**-14, 2.0**-20
LARGEST_DIFFERENCE = 1e-5


def export(source: str | os.PathLike, out: str | os.PathLike) -> str:
    """Write the reward model in `source` to `out` in the form that transformers knows; returns what is to be told.

    `out` is there whole or not at all. Weights, and the rewards compared, are in float32. Raises ValueError where `out`
    is there already, where family, pooling or tokenizer allow no such form, or where a reward r is not the model's
    within 1e-5 max(1, |r|).
    """
    out = Path(out).resolve()
    if out.exists():
        raise ValueError(f"{out} is there already, and is not overwritten: give another place")
    model = RewardModel.from_pretrained(source).float()
    texts, segments = scored_texts(model), segments_matter(model)
    tokenizer = templated_tokenizer(model, texts, segments)
    classifier, shift = classifier_of(model, tokenizer)
    staging = out.with_name(f".{out.name}.rmlib-new")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    transformers.logging.disable_progress_bar()
    try:
        classifier.save_pretrained(staging)
        tokenizer.save_pretrained(staging)
        worst, sides = _compare(staging, texts, shift, segments)
        for weights in staging.glob("*.safetensors"):  # safetensors shuts out all but the owner
            shutil.copymode(staging / "config.json", weights)
        write_export_card(staging, out.name, Path(source), model, {
            "kind": type(classifier).__name__, "shift": shift, "sides": sides, "segments": segments, "worst": worst,
            "head": HEADS.get(classifier.config.model_type, ("", "score", ""))[1]})
        for file in [*staging.iterdir(), staging]:
            sync(file)
        staging.rename(out)
        sync(out.parent)
    except Exception as error:
        if isinstance(error, OSError | SafetensorError) or type(error) is Exception:  # a bare one from the tokenizer
            raise OSError(f"{out}: can't be written, and is not there: {error}") from error
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    told = f"{type(classifier).__name__} in {out}; rewards differ by at most {worst:.1g}"
    return told + (f"; all are lower by {shift:.6g}, the head's bias, for which it has no place" if shift else "")


def classifier_of(model: RewardModel, tokenizer) -> tuple[PreTrainedModel, float]:
    """(the family's class with the model's weights, by how much its rewards are lower).

    Raises ValueError for a family or a pooling that the class can't follow.
    """
    config = copy.deepcopy(model.backbone.config)
    kind: Any = transformers.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING.get(type(config), None)
    if kind is None:
        raise ValueError(f"transformers has no class that would score the text of a {config.model_type} model")
    config._attn_implementation = None
    config.num_labels, config.problem_type = 1, "regression"  # pipelines put a sigmoid on anything else
    config.id2label, config.label2id = {0: "reward"}, {"reward": 0}
    if config.model_type == "modernbert" and model.pooling in ("cls", "mean"):
        config.classifier_pooling, config.classifier_activation = model.pooling, "gelu"
    if config.model_type.startswith("deberta"):
        config.pooler_hidden_size, config.pooler_hidden_act = config.hidden_size, "gelu"
    net = kind(config).float()
    is_score = isinstance(getattr(net, "score", None), nn.Linear)
    if not is_score and config.model_type not in HEADS:
        raise ValueError(f"what {kind.__name__} puts between its backbone and its last layer is not known here, so no "
                         "reward can be written into it exactly")
    takes = ("last",) if is_score else ("cls", "mean") if config.model_type == "modernbert" else ("cls",)
    if model.pooling not in takes:
        raise ValueError(f"{kind.__name__} pools by {' or '.join(takes)}, and this model by {model.pooling}: train it "
                         f"with --pooling {takes[0]} to export it")
    keys = net.base_model.load_state_dict(model.backbone.state_dict(), strict=False)
    if wrong := [key for part in keys for key in part if not key.startswith("pooler.")]:
        raise ValueError(f"the backbone inside {kind.__name__} has other weights than the model's: {wrong[0]}, ...")
    rows = net.get_input_embeddings().weight.shape[0]
    with torch.no_grad():
        if len(tokenizer) > rows:
            net.resize_token_embeddings(len(tokenizer), mean_resizing=False)
            net.get_input_embeddings().weight[rows:] = 0
        write = _write_score if is_score else _write_head
        shift = write(net, model.head.weight[0], model.head.bias[0])
    net.config.pad_token_id = tokenizer.pad_token_id
    return net.eval(), shift


def _write_score(net: Any, weight: Tensor, bias: Tensor) -> float:
    """The row w of a head without a bias. b goes into that of the last norm: w·(h + b w/|w|²) = w·h + b."""
    net.score.weight[0] = weight
    norm_bias = getattr(getattr(net.base_model, "ln_f", None), "bias", None)
    if norm_bias is None:
        return bias.item()
    norm_bias += bias * weight / weight.square().sum()
    return 0.0


def _write_head(net: Any, weight: Tensor, bias: Tensor) -> float:
    """The reward w·h + b through two linear maps and what stands between them.

    tanh(εx) is εx up to (εx)³/3. φ(x) - φ(-x) = x, where φ is ReLU or GELU. A layer norm divides a vector that is far
    smaller than the root of its constant by that root.
    """
    first_name, between, last_name = HEADS[net.config.model_type]
    first, last = net.get_submodule(first_name), net.get_submodule(last_name)
    for parameter in (*first.parameters(), *last.parameters()):
        parameter.zero_()
    last.bias.fill_(bias)
    if between == "tanh":
        first.weight.fill_diagonal_(BEFORE_TANH)
        last.weight[0] = weight / BEFORE_TANH
        return 0.0
    small, root = (BEFORE_NORM, math.sqrt(net.config.norm_eps)) if "norm" in between else (1.0, 1.0)
    for row, sign in ((0, 1), (1, -1)):
        first.weight[row] = sign * small * weight
        last.weight[0, row] = sign * root / small
    return 0.0


def _compare(directory: Path, texts: list[ScoredText], shift: float, segments: bool) -> tuple[float, list[str]]:
    """(worst difference, sides that may be padded) of what is in `directory`. Raises ValueError if it is too large."""
    classifier = AutoModelForSequenceClassification.from_pretrained(directory, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    wanted = torch.tensor([text.reward - shift for text in texts])
    worst = {}
    for tokenizer.padding_side in ("left", "right"):
        batch = tokenizer.pad([text.inputs(tokenizer, segments) for text in texts], return_tensors="pt")
        with torch.inference_mode():
            rewards = classifier(**batch).logits[:, 0]  # (texts,)
        worst[tokenizer.padding_side] = ((rewards - wanted).abs() / (wanted + shift).abs().clamp(min=1)).max().item()
    if not worst["right"] <= LARGEST_DIFFERENCE:
        raise ValueError(f"what was written gives rewards that differ from the model's by {worst['right']:.1g} of "
                         f"their size, more than {LARGEST_DIFFERENCE}: nothing is exported")
    return worst["right"], [side for side, difference in worst.items() if difference <= LARGEST_DIFFERENCE]
