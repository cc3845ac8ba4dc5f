"""Parts of `gpu.py`: the machine and its matrix products, MiniLM on human choices, rewards on two devices."""

from __future__ import annotations

import copy
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from importlib.metadata import PackageNotFoundError, version

import cross_validate
import numpy as np
import torch
from accelerate.utils import set_seed
from folds import folds_by_conversation
from gpu import Given
from gpu_speed import decoder_config, network

from rmlib.course.matrix_products import clock_of
from rmlib.course.speed import peak_memory, watch_memory
from rmlib.encoding import EncodedPair, encode
from rmlib.evaluation import reward_margins, summarise
from rmlib.model import RewardModel, score_pairs, unpadded
from rmlib.pairs import read_pairs
from rmlib.settings import read_settings
from rmlib.training import TrainingConfig, has_native_bf16, train

SEED, FOLDS = 0, 5  # those of the first seed of benchmarks/cross_validate.py
LARGEST = 1e-4  # of a reward, or of 1 where it is smaller: what a saved model may differ by when it is loaded


def machine(figures: dict, given: Given, keep: Callable[[], None]) -> None:
    """What this machine is, and the operations a second that its device reaches in large matrix products."""
    device = read_settings().device
    versions = {"python": platform.python_version(), "torch": torch.__version__, "cuda": torch.version.cuda}
    versions |= {name: version_of(name) for name in ("transformers", "accelerate", "trl", "numpy")}
    figures |= {"date": date.today().isoformat(), "device": "CPU", "cores": os.cpu_count(), "driver": driver(),
                "versions": versions}
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        figures |= {"device": found.name, "memory": found.total_memory}
    print(f"{figures['device']}, {figures['cores']} CPU cores, {figures['versions']}", flush=True)
    if device.type == "cpu" and not given.tiny:
        raise RuntimeError("torch sees no GPU here; TINY=1 tries everything on a CPU, with small sizes")
    figures["matrix_products"] = {}
    for name, dtype, how in (("fp32", torch.float32, "highest"), ("tf32", torch.float32, "high"),
                             ("bf16", torch.bfloat16, "highest")):
        rate = product_rate(256 if given.tiny else 8192, dtype, how, device)
        figures["matrix_products"][name] = rate
        print(f"matrix products in {name}: {rate / 1e12:.1f} TFLOP/s", flush=True)
        keep()


def product_rate(size: int, dtype: torch.dtype, precision: str, device: torch.device) -> float:
    """Floating-point operations a second of square matrix products of random numbers, the best of five series."""
    now, times = clock_of(device), 4
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    torch.set_float32_matmul_precision(precision)
    try:
        torch.matmul(a, b)  # the first is slower
        best = float("inf")
        for _ in range(5):
            began = now()
            for _ in range(times):
                torch.matmul(a, b)
            best = min(best, now() - began)
    finally:
        torch.set_float32_matmul_precision("highest")
    return times * 2 * size**3 / best


def driver() -> str | None:
    if not shutil.which("nvidia-smi"):
        return None
    asked = subprocess.run(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
                           capture_output=True, text=True)
    return asked.stdout.splitlines()[0] if asked.returncode == 0 and asked.stdout else None


def version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def learning(figures: dict, given: Given, keep: Callable[[], None]) -> None:
    """MiniLM trained and judged as cross_validate.py does with its first seed, fold after fold while there is time."""
    pairs = read_pairs(given.parts / "pairs.jsonl.gz", limit=40 if given.tiny else None).pairs
    config = TrainingConfig(seed=SEED)
    figures |= {"pairs": len(pairs), "of_folds": FOLDS, "folds": [],
                "settings": {**asdict(config), "pooling": cross_validate.POOLING}}
    margins, held_out = [], []
    for number, (training, held) in enumerate(folds_by_conversation(pairs, FOLDS, SEED), start=1):
        fold, rewards = one_fold(training, held, config, given)
        margins.append(reward_margins(rewards))
        held_out += held
        figures["folds"].append({"fold": number, "training_pairs": len(training), **fold,
                                 **asdict(summarise(margins[-1], held))})
        figures["pooled"] = asdict(summarise(np.concatenate(margins), held_out))
        keep()
        print(f"fold {number} of {FOLDS}: {fold['seconds']:.1f} s, {fold['pairs_per_second']:.0f} pairs/s, accuracy "
              f"{figures['folds'][-1]['accuracy']:.3f}; so far {figures['pooled']['accuracy']:.3f}", flush=True)
        if not given.time_for(2 * fold["seconds"]):
            break


def one_fold(training: Sequence, held: Sequence, config: TrainingConfig, given: Given) -> tuple[dict, np.ndarray]:
    """(the training's curve and speed, rewards (2, N) of the pairs held out)."""
    set_seed(config.seed)
    device = read_settings().device
    model = RewardModel(str(given.parts / "minilm"), cross_validate.POOLING).to(device)
    watch_memory(device)
    result = train(model, training, config, progress=False)
    peak = peak_memory(device)
    return {"losses": [record["loss"] for record in result.history], "seconds": result.seconds,
            "pairs_per_second": result.pairs_seen / result.seconds, "precision": result.precision,
            "device": result.device, "peak_memory": peak}, score_pairs(model, held)


def agreement(figures: dict, given: Given, keep: Callable[[], None]) -> None:
    """Rewards of the same pairs in several ways: the largest differences, and how large the rewards are.

    Raises RuntimeError where two ways in float32 differ by more than a saved model may.
    """
    torch.manual_seed(SEED)
    minilm = RewardModel(str(given.parts / "minilm"), cross_validate.POOLING)
    decoder = network(decoder_config(given.tiny, minilm.tokenizer), minilm.tokenizer)
    device = read_settings().device
    pairs = read_pairs(given.parts / "pairs.jsonl.gz", limit=64).pairs
    for name, model, count in (("MiniLM", minilm, 64), ("decoder, 0.5B", decoder, 4)):
        encoded = encode(model.tokenizer, pairs[: 8 if given.tiny else count], model.encoding)
        figures[name] = differences(model, encoded, device)
        keep()
        print(f"{name}: {figures[name]}", flush=True)
    off = [f"{name}: {how} {largest:.1e}" for name, each in figures.items() if name != "error"
           for how, largest in each["largest_difference"].items()
           if "bf16" not in how and not largest <= LARGEST * max(1.0, each["largest_reward"])]
    if off:
        raise RuntimeError("rewards that should agree do not: " + "; ".join(off))


def differences(model: RewardModel, encoded: Sequence[EncodedPair], device: torch.device) -> dict:
    """The largest difference that device, padding and precision each make in the rewards of these pairs."""
    on_cpu, on_device = model.to("cpu"), copy.deepcopy(model).to(device)
    cpu, here = rewards(on_cpu, encoded, 8), rewards(on_device, encoded, 8)
    found = {"together: device against CPU": here - cpu,
             "CPU: alone against together": rewards(on_cpu, encoded, 0) - cpu,
             "device: alone against together": rewards(on_device, encoded, 0) - here}
    if unpadded.applies(model.backbone, model.device):
        library = copy.deepcopy(model)
        library.backbone.set_attn_implementation("sdpa")
        found["CPU: padded against unpadded"] = rewards(library, encoded, 8) - cpu
    if has_native_bf16(device):
        with torch.autocast(device.type, torch.bfloat16):
            found["device: bf16 against fp32"] = rewards(on_device, encoded, 8) - here
    return {"pairs": len(encoded), "device": device.type, "largest_reward": float(abs(cpu).max()),
            "spread_of_margins": float((cpu[0] - cpu[1]).std()),
            "largest_difference": {how: float(abs(each).max()) for how, each in found.items()}}


@torch.no_grad()
def rewards(model: RewardModel, encoded: Sequence[EncodedPair], together: int) -> np.ndarray:
    """(2, N): so many pairs in a batch as they come, where padding is, to the longest; 0: each text by itself."""
    if together:
        batches = [encoded[i : i + together] for i in range(0, len(encoded), together)]
        return np.hstack([model(**model.collate(batch)).view(2, -1).float().cpu().numpy() for batch in batches])
    columns = []
    for pair in encoded:
        both = model.collate([pair])
        rows = [{name: each[i : i + 1, : int(both["attention_mask"][i].sum())] for name, each in both.items()}
                for i in range(2)]  # padding is on the right
        columns.append([model(**row).item() for row in rows])
    return np.array(columns, dtype=np.float32).T
