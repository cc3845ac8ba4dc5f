"""Every text architecture of the installed transformers as a backbone: right, or refused in words.

    python benchmarks/architectures.py [NAME ...] [--json OUT] [--table OUT]

Each gets random weights, few of them, and goes through construction, forward, padding on either side, batches of
other mates, the way without padding, training, saving and loading, and resuming. What is expected of a reward is the
library's own call on one text at a time; of a resumed training, the weights of one that was never stopped. A step is
right, not asked ("-") or WRONG; what is refused is told in its first sentence. Each runs in a process of its own; what
can't be built this small, or takes over five minutes, is not judged. The exit code is 1 where anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import re
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import pre_tokenizers
from torch import nn
from transformers import CONFIG_MAPPING, AutoModel, AutoTokenizer, GPT2Tokenizer
from transformers.models.auto import modeling_auto

from rmlib.encoding import collate, encode
from rmlib.model import RewardModel, score_pairs, unpadded
from rmlib.model.saving import check_reloads
from rmlib.model.trials import freeze_unused
from rmlib.pairs import PreferencePair
from rmlib.settings import EMBEDDED_BACKBONE
from rmlib.training import TrainingConfig, train

STEPS = ("forward", "padding", "mates", "unpadded", "train", "save", "resume")
SECONDS = 300.0
BOUND = 1e-4  # of the rewards' own spread
PAIRS = [
    PreferencePair("What is the capital of France?", "Paris.", "London, I think, though I do not know."),
    PreferencePair("Is 7 + 5 = 12?", "Yes", "no " * 30),
    PreferencePair("Which is cold?", "The opposite of hot.", "I do not know"),
    PreferencePair("a", "b", "c"),
]
CONFIG = TrainingConfig(epochs=2, batch_size=2, learning_rate=1e-3, precision="fp32", checkpoint_every=1)
# What makes a model small, under all the names that sizes go by; a config takes those that it has.
SMALL = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "embedding_size", "emb_dim", "d_embed"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layers", "n_layer", "num_layers", "encoder_layers", "decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_heads", "n_head", "num_heads", "encoder_attention_heads",
                     "decoder_attention_heads", "num_key_value_heads", "n_routed_experts", "num_experts",
                     "num_local_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_k", "n_group", "topk_group", "num_experts_per_token"), 2),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "d_ff", "d_inner", "hidden_dim", "n_inner", "ffn_hidden_size",
                     "encoder_ffn_dim", "decoder_ffn_dim", "moe_intermediate_size"), 64),
    **dict.fromkeys(("head_dim", "d_kv", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "mamba_d_head"), 8),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len"), 256),
    "kv_lora_rank": 16, "q_lora_rank": 16, "sliding_window": 16, "entity_vocab_size": 10, "entity_emb_size": 32,
    "rotary_dim": 4, "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 300, "mamba_d_ssm": 64,
    "mamba_n_heads": 8, "index_n_heads": 2, "attn_layer_period": 2, "attn_layer_offset": 1, "attn_layer_indices": [1],
    "layer_group_size": 2,
}
LINEAR = {"layer_types": ["linear_attention", "full_attention"]}
# What some need beside, mostly where sizes have to agree with each other, or one layer of each kind.
BESIDE = {
    "funnel": {"block_sizes": [1, 1], "block_repeats": [1, 1], "architectures": ["FunnelModel"]},
    "gemma3n_text": {"num_kv_shared_layers": 0}, "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]}, "qwen3_5_text": LINEAR,
    "qwen3_5_moe_text": LINEAR, "qwen3_next": LINEAR, "lfm3": {"layer_types": ["conv", "full_attention"]},
    "layoutlmv3": {"coordinate_size": 6, "shape_size": 4}, "lilt": {"hidden_size": 48},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1}, "dots1": {"n_shared_experts": 1},
    "mamba2": {"num_heads": 8, "head_dim": 8}, "mistral4": {"head_dim": 16}, "mimo_v2_flash": {"head_dim": 64},
    "neomme": {"head_dim": 16},
    "perceiver": {"num_latents": 8, "d_latents": 32, "vocab_size": 512, "num_blocks": 1},
    "recurrent_gemma": {"block_types": ["recurrent", "attention"]},
    "reformer": {"axial_pos_embds": False, "attention_head_size": 8},
    "roc_bert": {"pronunciation_vocab_size": 20, "shape_vocab_size": 20},
    "zamba": {"layer_types": ["linear_attention", "hybrid", "hybrid"], "num_hidden_layers": 3},
    "zamba2": {"layer_types": ["linear_attention", "hybrid"]}, "zaya": {"num_experts_per_tok": 1},
}


def text_architectures() -> list[str]:
    """Model types with a base model and any head of text, but for those that are made of several models."""
    tables = ("CAUSAL_LM", "MASKED_LM", "TEXT_ENCODING", "SEQUENCE_CLASSIFICATION")
    of_text = set().union(*(getattr(modeling_auto, f"MODEL_FOR_{table}_MAPPING_NAMES") for table in tables))
    return sorted(name for name in of_text & set(modeling_auto.MODEL_MAPPING_NAMES)
                  if not CONFIG_MAPPING[name].sub_configs)


def tokenizer_for(name: str):
    """The embedded backbone's for encoders; for what writes text one of bytes, without a padding token."""
    masked = name in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if masked or name not in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return AutoTokenizer.from_pretrained(EMBEDDED_BACKBONE)
    alphabet = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    return GPT2Tokenizer(vocab={token: i for i, token in enumerate(alphabet)}, merges=[])


def small_config(name: str, tokenizer):
    """The default config of an architecture, made small."""
    kind = CONFIG_MAPPING[name]
    known = set(kind().to_dict()) | set(kind.attribute_map)
    sizes = {key: value for key, value in SMALL.items() if key in known}
    padding, end = tokenizer.pad_token_id, tokenizer.eos_token_id or 0
    # Without a padding token the row that a library keeps at zero is one that no text has.
    tokens = {"pad_token_id": len(tokenizer) if padding is None else padding, "bos_token_id": end, "eos_token_id": end}
    sizes |= {"vocab_size": len(tokenizer) + 3, **tokens, **BESIDE.get(name, {})}
    return kind(**sizes)


def backbone_of(name: str, tokenizer):
    """Random weights, the same each time, and large enough that attention moves what it gives."""
    torch.manual_seed(0)
    backbone = AutoModel.from_config(small_config(name, tokenizer)).eval()
    with torch.no_grad():
        for parameter in backbone.parameters():
            if not parameter.any():  # some begin with layers that do nothing yet
                parameter.normal_(std=0.05)
            if parameter.dim() > 1:
                parameter.mul_(3)
    return backbone


def model_of(name: str) -> RewardModel:
    """A reward model on it, with a head of a size that rewards can be seen by."""
    tokenizer = tokenizer_for(name)
    model = RewardModel(name, backbone=backbone_of(name, tokenizer), tokenizer=tokenizer)
    nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(1))
    return model


def expected(model: RewardModel) -> np.ndarray:
    """Rewards (2, 4) by the library's own call, one text at a time, without a mask or positions."""
    rows = encode(model.tokenizer, PAIRS, model.encoding)
    rewards = [[reference(model, row, pair.response_start) for row in (pair.chosen, pair.rejected)] for pair in rows]
    return np.array(rewards).T


def reference(model: RewardModel, row: np.ndarray, start: int) -> float:
    ids = torch.from_numpy(row).long()[None]
    inputs = {"use_cache": False} if "use_cache" in model.accepts else {}
    if model.encoding.segment:
        inputs["token_type_ids"] = torch.zeros_like(ids)
        inputs["token_type_ids"][:, start:] = model.encoding.segment
    with torch.no_grad():
        hidden = model.backbone(input_ids=ids, **inputs).last_hidden_state[0]
        return model.head(hidden[-1 if model.pooling == "last" else 0]).item()


def apart(rewards, wanted: np.ndarray) -> str:
    """"right" where rewards are the wanted ones within BOUND of their spread, else how far off they are."""
    off = np.abs(np.asarray(rewards) - wanted).max() / wanted.std()
    return "right" if off <= BOUND else f"WRONG: off by {off:.1g} of the spread"


def padded(model: RewardModel, side: str) -> np.ndarray:
    """Rewards (2, 4) of one batch padded on that side, by five columns more than it needs."""
    rows, pad_id = encode(model.tokenizer, PAIRS, model.encoding), model.tokenizer.pad_token_id or 0
    batch = collate(rows, model.encoding, pad_id, side)
    batch = {key: nn.functional.pad(rows, (5, 0) if side == "left" else (0, 5)) for key, rows in batch.items()}
    with torch.no_grad():
        return model(**batch).view(2, -1).numpy()


def one_training(name: str, directory: Path, stop: int | None, resume: bool = False) -> tuple[RewardModel, list]:
    """Train from the same start, broken off after `stop` steps, or going on from there."""
    model = model_of(name)
    freeze_unused(model)

    def on_step(record):
        if record["step"] == stop:
            raise KeyboardInterrupt

    try:
        result = train(model, PAIRS, CONFIG, checkpoint_dir=directory, resume=resume, on_step=on_step, progress=False)
    except KeyboardInterrupt:
        return model, []
    return model, result.history


def steps(name: str, scratch: Path) -> Iterator[tuple[str, str]]:
    """(step, how it went), one by one. Raises what the model raises, in whatever step."""
    model = model_of(name)
    wanted = expected(model)
    told_apart = np.isfinite(wanted).all() and wanted.std() > 1e-3
    yield "forward", apart(score_pairs(model, PAIRS, 1), wanted) if told_apart else "WRONG: texts are not told apart"
    sides = [apart(padded(model, side), wanted) for side in ("right", "left")]
    yield "padding", max(sides, key=len)
    mates = [score_pairs(model, PAIRS[::-1], budget)[:, ::-1] for budget in (200, 10**6)]
    yield "mates", max((apart(rewards, wanted) for rewards in mates), key=len)
    if unpadded.applies(model.backbone, model.device):
        model.backbone.set_attn_implementation("sdpa")
        yield "unpadded", apart(score_pairs(model, PAIRS), wanted)
    else:
        yield "unpadded", "-"
    model = model_of(name)
    check_reloads(model)
    whole, history = one_training(name, scratch / "whole", None)
    ends = {"head": whole.head.weight, "embedding": next(whole.backbone.get_input_embeddings().parameters())}
    before = {"head": model.head.weight, "embedding": next(model.backbone.get_input_embeddings().parameters())}
    still = [end for end in ends if torch.equal(ends[end], before[end])]
    finite = all(np.isfinite(record["loss"]) for record in history)
    yield "train", "right" if finite and not still else f"WRONG: losses finite: {finite}, never moved: {still}"
    whole.save_pretrained(scratch / "saved")
    again = RewardModel.from_pretrained(scratch / "saved")
    yield "save", apart(score_pairs(again, PAIRS), score_pairs(whole, PAIRS).astype(float))
    one_training(name, scratch / "broken", 3)
    resumed, _ = one_training(name, scratch / "broken", None, resume=True)
    same = all(torch.equal(one, other) for one, other in zip(whole.parameters(), resumed.parameters()))
    yield "resume", "right" if same else "WRONG: other weights than without the stop"


def judge(name: str) -> dict[str, str]:
    """What became of each step, and where it was refused in which words."""
    found: dict[str, str] = {}
    try:
        backbone_of(name, tokenizer_for(name))
    except Exception as error:
        return {"not judged": f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"}
    try:
        with tempfile.TemporaryDirectory() as scratch:
            for step, how in steps(name, Path(scratch)):
                found[step] = how
    except ValueError as error:
        found["refused"] = " ".join(str(error).split())
    except Exception as error:
        found["WRONG"] = f"{error!r} in {traceback.extract_tb(error.__traceback__)[-1]}"
    return found


def _report(name: str, pipe) -> None:
    logging.disable()  # here, since whoever calls `judge` may want to go on with a log of its own
    warnings.simplefilter("ignore")
    pipe.send(judge(name))


def in_a_process(name: str) -> dict[str, str]:
    """`judge` in a process of its own, which may hang or die."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_report, args=(name, sender))
    process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(SECONDS) else {"not judged": f"no end within {SECONDS:g} seconds"}
    except EOFError:
        return {"WRONG": "its process died"}
    finally:
        process.kill()
        process.join()


def table(found: dict[str, dict[str, str]]) -> str:
    """Markdown: a row for each architecture that was tried, then the refusals, counted, and what was not judged."""
    tried = {name: steps for name, steps in found.items() if "not judged" not in steps}
    lines = ["| architecture | " + " | ".join(STEPS) + " |", "|:---|" + ":---:|" * len(STEPS)]
    for name, how in tried.items():
        if set(how) <= set(STEPS):
            lines.append(f"| {name} | " + " | ".join(how[step] for step in STEPS) + " |")
        else:
            told = "WRONG: " + how["WRONG"] if "WRONG" in how else "refused: " + reason(name, how["refused"])
            lines.append(f"| {name} | {told} |" + " |" * (len(STEPS) - 1))
    refused = Counter(reason(name, how["refused"]) for name, how in tried.items() if "refused" in how)
    lines += ["", "| refused because | architectures |", "|:---|---:|"]
    lines += [f"| {words} | {count} |" for words, count in refused.most_common()]
    if others := sorted(found.keys() - tried.keys()):
        lines += ["", "Not judged:", "", *(f"- {name}: `{found[name]['not judged']}`" for name in others)]
    return "\n".join(lines) + "\n"


def reason(name: str, words: str) -> str:
    """The first sentence of a refusal, without the architecture's name and its figures."""
    words = re.sub(rf"^\S+ (can't be a reward model's backbone|can't be trained): |^{re.escape(name)}:? ", "", words)
    words = re.sub(r" \(relative difference [^)]*\)|^an? (?=\S+Model )", "", re.split(r"[;.,] ", words)[0])
    return re.sub(r"\bA?[A-Z]\w+Model\b", "it", words).replace("|", "/")


def wrong(found: dict[str, dict[str, str]]) -> list[str]:
    """Architectures of which anything is wrong."""
    return [name for name, how in found.items() if any("WRONG" in text for text in [*how, *how.values()])]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="architectures, by their model type; all where none is named")
    parser.add_argument("--json", type=Path, help="all that was found, as JSON")
    parser.add_argument("--table", type=Path, help="the table, as Markdown")
    options = parser.parse_args(arguments)
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    found = {}
    for name in options.names or text_architectures():
        found[name] = in_a_process(name)
        print(name, json.dumps(found[name]), flush=True)
    told = table(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if options.table:
        options.table.write_text(told, encoding="utf-8")
    print(told)
    right = sum(set(how) == set(STEPS) for how in found.values())
    print(f"{len(found)} architectures: {right} right, {sum('refused' in how for how in found.values())} refused in "
          f"words, {len(wrong(found))} wrong, {sum('not built' in how for how in found.values())} not judged")
    return int(bool(wrong(found)))


if __name__ == "__main__":
    sys.exit(main())
