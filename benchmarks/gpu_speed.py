"""A part of `gpu.py`: training and scoring beside TRL, on networks of DistilBERT's size and of a decoder of 0.5B."""

from __future__ import annotations

import copy
import gc
import importlib
import itertools
from collections.abc import Callable
from dataclasses import replace

import torch
from accelerate.state import AcceleratorState
from gpu import Given
from loops import BATCH, CONFIG, RATE, Scorer, Start, reward_trainer, start_of, timed
from torch import nn
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, DistilBertConfig, Qwen2Config

from rmlib.course.matrix_products import clock_of
from rmlib.course.speed import peak_memory, watch_memory
from rmlib.evaluation import nll, reward_margins
from rmlib.model import RewardModel, score_pairs
from rmlib.pairs import read_pairs
from rmlib.settings import read_settings
from rmlib.training import Trainer

ROUNDS = 2
PIECES = (1, 2, 4, 8, 16)  # a step's 16 pairs are cut into so many, the first that the memory holds
TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 64, "initializer_range": 0.1}  # in so small a net 0.02 would leave texts alike


def encoder_config(tiny: bool, tokenizer) -> DistilBertConfig:
    """DistilBERT's own, which are the class's defaults."""
    small = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "vocab_size": len(tokenizer)} if tiny else {}
    return DistilBertConfig(pad_token_id=tokenizer.pad_token_id, num_labels=1, **small)


def decoder_config(tiny: bool, tokenizer) -> Qwen2Config:
    """That of Qwen2.5-0.5B."""
    large = {"hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
             "intermediate_size": 4864, "vocab_size": 151_936}
    return Qwen2Config(max_position_embeddings=32_768, tie_word_embeddings=True, pad_token_id=tokenizer.pad_token_id,
                       num_labels=1, **(TINY | {"vocab_size": len(tokenizer)} if tiny else large))


def network(config, tokenizer) -> RewardModel:
    """A reward model of that config, its weights random, on the CPU."""
    torch.manual_seed(0)
    with read_settings().device:  # to draw half a billion numbers takes a CPU long
        backbone = AutoModel.from_config(config, dtype=torch.float32).eval()
    return RewardModel(config.model_type, backbone=backbone, tokenizer=tokenizer).to("cpu")


def speed(figures: dict, given: Given, keep: Callable[[], None]) -> None:
    """Both networks, every loop, a second round while there is time; of each loop the quicker one counts."""
    tokenizer = AutoTokenizer.from_pretrained(given.parts / "minilm")
    pairs = read_pairs(given.parts / "pairs.jsonl.gz").pairs
    figures["without_trl"] = without_trl()
    rates = given.found.get("machine", {}).get("matrix_products", {})
    starts = {}
    for name, config, count in (("DistilBERT", encoder_config, 512), ("decoder, 0.5B", decoder_config, 192)):
        model = network(config(given.tiny, tokenizer), tokenizer)
        starts[name] = start_of(model, pairs, 16 if given.tiny else count)
    figures |= {name: about(start) for name, start in starts.items()}
    measure("rmlib_fp32", starts["DistilBERT"])  # a GPU's first run is slow, and would not be fair to it
    for number, name, loop in itertools.product(range(ROUNDS), starts, LOOPS):
        best = figures[name]["loops"]
        if figures["without_trl"] and loop.startswith("trl"):
            continue
        if number and not given.time_for(1.5 * best[loop]["whole"]):
            continue  # its one round stands
        if not given.time_for(5):
            raise TimeoutError(f"no time was left for {name}, {loop}")
        found = account(measure(loop, starts[name]), starts[name], loop, rates)
        print(f"{name}, round {number + 1}: {loop} {found['pairs_per_second']:.1f} pairs/s", flush=True)
        best[loop] = min(found, best.get(loop, found), key=lambda each: each["seconds"])
        keep()
    for name in starts:
        check_tokens(figures[name])


def without_trl() -> str | None:
    """Why there is no TRL to compare with, or None where there is."""
    try:
        importlib.import_module("trl").RewardTrainer
        importlib.import_module("datasets")
    except (ImportError, RuntimeError) as error:  # trl raises the latter where a library of its own is missing
        return f"not compared with TRL: {' '.join(str(error).split())}"
    return None


def about(start: Start) -> dict:
    backbone = start.model.backbone
    return {"parameters": sum(each.numel() for each in backbone.parameters()), "pairs": len(start.pairs),
            "tokens": sum(start.lengths), "window": start.model.encoding.max_length,
            "operations_of_training": 3 * operations(backbone, start.lengths), "loops": {}}


def operations(backbone: nn.Module, lengths: list[int]) -> int:
    """Floating-point operations of a forward pass's matrix products, without padding; a decoder's attention by half."""
    config = backbone.config
    linear = sum(2 * sum(lengths) * each.weight.numel() for each in backbone.modules() if isinstance(each, nn.Linear))
    square = 2 * 2 * sum(length**2 for length in lengths) * config.num_hidden_layers * config.hidden_size
    return linear + (square // 2 if config.model_type == "qwen2" else square)


def account(found: dict, start: Start, loop: str, rates: dict[str, float]) -> dict:
    """A round's figures, with its share of the rate that the device reaches in large products of that precision."""
    passes = 1 if loop.endswith("scoring") else 3
    needed = passes * operations(start.model.backbone, start.lengths)
    rate = rates.get("bf16" if "bf16" in loop else "fp32")
    return {**found, "pairs_per_second": len(start.pairs) / found["seconds"],
            "share": needed / found["seconds"] / rate if rate else None}


def measure(loop: str, start: Start) -> dict:
    """One round of a loop, in as few pieces as the memory holds."""
    now = clock_of(read_settings().device)
    began = now()
    for pieces in PIECES:
        gc.collect()  # earlier loops, and an error with what its traceback held
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            found = attempt(loop, start, pieces, now)
        except torch.OutOfMemoryError:
            found = None
        if found:
            return {**found, "pieces": pieces, "whole": now() - began}
        print(f"{loop}: out of memory with a step in {pieces} piece(s)", flush=True)
    raise MemoryError(f"{loop}: out of memory even with single pairs")


def attempt(loop: str, start: Start, pieces: int, now: Callable[[], float]) -> dict:
    device = read_settings().device
    if loop == "trl_defaults_bf16":
        torch.manual_seed(0)
        with device:
            model = AutoModelForSequenceClassification.from_config(start.model.backbone.config, dtype=torch.float32)
    else:
        model = copy.deepcopy(start.model)
    watch_memory(device)
    seconds, tokens = timed(LOOPS[loop](start, model, pieces), model, now)
    return {"seconds": seconds, "tokens": tokens, "peak_memory": peak_memory(device),
            "loss": None if "defaults" in loop else nll(reward_margins(score_pairs(model, start.pairs)))}


def check_tokens(found: dict) -> None:
    tokens = {loop: each["tokens"] for loop, each in found["loops"].items()}
    if set(tokens.values()) != {found["tokens"]}:
        raise ValueError(f"the loops did not process the same {found['tokens']} real tokens: {tokens}")


def ours(precision: str):
    def prepare(start: Start, model: RewardModel, pieces: int) -> Callable[[], None]:
        budget = None if pieces == 1 else 2 * BATCH * start.model.encoding.max_length // pieces
        AcceleratorState._reset_state(reset_partial_state=True)
        trainer = Trainer(model, start.pairs, replace(CONFIG, precision=precision, token_budget=budget))
        return lambda: trainer.run(progress=False)

    return prepare


def our_scoring(start: Start, model: RewardModel, pieces: int) -> Callable[[], None]:
    model.to(read_settings().device)
    return lambda: score_pairs(model, start.pairs, 8192 // pieces)


def trl(bf16: bool, evaluate: bool = False):
    def prepare(start: Start, model: RewardModel, pieces: int) -> Callable[[], None]:
        return reward_trainer(
            start, Scorer(model), evaluate, per_device_train_batch_size=BATCH // pieces,
            gradient_accumulation_steps=pieces, per_device_eval_batch_size=BATCH // pieces, learning_rate=RATE,
            weight_decay=CONFIG.weight_decay, bf16=bf16, gradient_checkpointing=False,
            train_sampling_strategy="sequential",
        )

    return prepare


def trl_defaults(start: Start, model: nn.Module, pieces: int) -> Callable[[], None]:
    return reward_trainer(start, model, **({"per_device_train_batch_size": max(1, 8 // pieces)} if pieces > 1 else {}))


LOOPS = {
    "rmlib_fp32": ours("fp32"), "trl_fp32": trl(False), "rmlib_bf16": ours("bf16"), "trl_bf16": trl(True),
    "trl_defaults_bf16": trl_defaults, "rmlib_scoring": our_scoring, "trl_scoring": trl(False, evaluate=True),
}
