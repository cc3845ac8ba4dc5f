"""The transformer under a reward model: found in a directory, the cache or the hub, and asked about its habits: whether
it is causal, where its positions begin, how many it has."""

import copy
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel

DEFAULT_MAX_LENGTH = 512


def load_backbone(model_name: str) -> tuple[PreTrainedModel, Any]:
    """(backbone in float32, tokenizer) as `load_from_hub`; ValueError, too, where it is neither encoder nor decoder."""
    return load_from_hub(model_name, AutoModel, lambda config: check_kind(config, model_name, config.architectures))


def load_from_hub(name: str, kind: Any, check: Callable[[Any], None]) -> tuple[Any, Any]:
    """(model in float32, tokenizer) from a directory, else the local cache, else the hub, which is told beforehand.

    kind: the library's class that loads it; check: refuses a config before any weights are read.
    Safetensors only, and never the repository's own code. Raises OSError where there is no such model or no network,
    ValueError where its files are damaged or incomplete.
    """
    try:
        # Reading a file takes a moment; in a notebook the library's bar for it would stay on the page.
        transformers.logging.disable_progress_bar()
        # The cache first, without a word to the hub: offline, each question would wait half a minute for an answer.
        return _load(name, kind, check, local_files_only=True)
    except OSError:
        if Path(name).is_dir():
            raise
        announce_download(name)
        transformers.logging.enable_progress_bar()
        return _load(name, kind, check, local_files_only=False)


def announce_download(model_name: str) -> None:
    """Say on stderr what is about to be downloaded, and how large it is, before anything is.

    Raises OSError where the hub can't be asked.
    """
    try:
        files = huggingface_hub.model_info(model_name, files_metadata=True, timeout=10).siblings or []
    except huggingface_hub.errors.HfHubHTTPError:
        return  # the hub said no: from_pretrained asks again and tells why
    except Exception as error:  # the HTTP library's own, and which library it is depends on the hub's version
        raise OSError(
            f"{model_name}: no such directory, not in the local cache, and the Hugging Face Hub can't be asked: {error}"
        ) from error
    kinds = (".safetensors", ".json", ".txt", ".model")
    ours = [file for file in files if "/" not in file.rfilename and file.rfilename.endswith(kinds)]
    size = sum(file.size or 0 for file in ours)
    print(f"downloading {model_name} from the Hugging Face Hub, once: about {size / 1e6:.0f} MB", file=sys.stderr)


def _load(name: str, kind: Any, check: Callable[[Any], None], local_files_only: bool) -> tuple[Any, Any]:
    options = {"trust_remote_code": False, "local_files_only": local_files_only}
    try:
        config = AutoConfig.from_pretrained(name, **options)
        check(config)
        net, report = kind.from_pretrained(
            name, config=config, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **options
        )
        tokenizer = AutoTokenizer.from_pretrained(name, **options)
    except OSError:
        raise
    except Exception as error:  # damaged files come as errors of many libraries, some of them bare
        if "tiktoken" in str(error):
            error = ValueError("its tokenizer.json is missing. Where a sentencepiece file stands for it, `pip install "
                               "sentencepiece protobuf`, or save it once where these are, which writes one")
        raise ValueError(f"{name}: can't be loaded: {error}") from error
    # The library would draw what is missing at random, and go on.
    if missing := sorted(weight for weight in report["missing_keys"] if not weight.startswith("pooler.")):
        raise ValueError(f"{name}: no whole {type(net).__name__}: {len(missing)} of its weights are missing "
                         f"({missing[0]}, ...); a saved reward model loads by from_pretrained or --start-from")
    return net, tokenizer


def check_kind(config, name: str, classes: Sequence[str] | None = None) -> None:
    """Raises ValueError unless this is the config of an encoder or a decoder of text, and no head would be lost."""
    if heads := [each for each in classes or () if "Classification" in each or "Reward" in each]:
        raise ValueError(f"{name} is a {heads[0]}, whose head would be lost: rmlib.practice.classifier.from_classifier "
                         "makes a reward model of it, head and all; for a new head, give its base model as `backbone`")
    if config.is_encoder_decoder:
        raise ValueError(f"{name} is an encoder-decoder; a reward model needs an encoder or a decoder")
    if not isinstance(getattr(config, "hidden_size", None), int):
        raise ValueError(f"{name}, of type {config.model_type}, has no single hidden size; a reward model needs an "
                         "encoder or a decoder of text")


def check_tokenizer(tokenizer, backbone: PreTrainedModel, name: str) -> None:
    """Raises ValueError where a tokenizer has no words, as one made from missing files, or more than the backbone."""
    try:
        rows = next(backbone.get_input_embeddings().parameters()).shape[0]
    except (NotImplementedError, AttributeError) as error:
        raise ValueError(f"{name}: a {type(backbone).__name__} has no embeddings of tokens, which a reward model needs"
                         ) from error
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise ValueError(f"{name}: the tokenizer knows no words; are its files (tokenizer.json) missing?")
    if (needed := 1 + max(tokenizer.get_vocab().values())) > rows:
        raise ValueError(f"{name}: {needed} tokens in the tokenizer, {rows} in the backbone: they are no pair")


def accepted(backbone) -> frozenset[str]:
    """Names of the inputs that a backbone takes, also of one under adapters, whose own forward hides them."""
    bare = backbone.get_base_model() if hasattr(backbone, "get_base_model") else backbone
    return frozenset(inspect.signature(bare.forward).parameters)


def unpooled(backbone: PreTrainedModel) -> PreTrainedModel:
    """The same backbone, weights and all, in a module of its own that has no pooler; the one given keeps its own.

    A pooler is never used here, and parameters without gradients break distributed training.
    """
    if backbone._modules.get("pooler") is None:
        return backbone
    twin = copy.copy(backbone)
    twin._modules = {**backbone._modules, "pooler": nn.Identity()}
    return twin


def first_position(backbone: PreTrainedModel) -> int:
    """Number of the first position: RoBERTa and its kin count from just after the padding id."""
    table = getattr(getattr(backbone, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return 0 if padding is None else padding + 1


def window(backbone: PreTrainedModel, max_length: int | None) -> int:
    """Tokens of a whole sequence: max_length, or what the backbone takes, at most 512.

    Raises ValueError where max_length is more than the backbone has positions.
    """
    config = backbone.config
    of_layers = getattr(config, "rope_parameters", None) or {}
    ropes = [of_layers, *(each for each in of_layers.values() if isinstance(each, dict))]  # or one a kind of layer
    limit = getattr(config, "max_position_embeddings", None) or sys.maxsize
    for rope in ropes:  # beyond it all positions change with a batch's longest text
        if rope.get("rope_type") in ("dynamic", "longrope"):
            limit = min(limit, rope.get("original_max_position_embeddings", limit))
    if limit < 0 or not getattr(config, "position_biased_input", True):  # XLNet, DeBERTa: relative positions alone
        limit = sys.maxsize
    limit -= first_position(backbone)
    if max_length is None:
        return min(limit, DEFAULT_MAX_LENGTH)
    if max_length > limit:
        raise ValueError(f"max_length {max_length} is more than the {limit} positions this backbone has")
    return max_length
