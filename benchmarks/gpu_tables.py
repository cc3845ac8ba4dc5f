"""What was measured on a GPU, by `make gpu`, as Markdown tables: for benchmarks/RESULTS.md."""

from __future__ import annotations

import json
from pathlib import Path

STORED = Path(__file__).parents[1] / "rmlib" / "assets" / "studies" / "gpu.json"
NOT_MEASURED = "Not measured so far: no GPU could be had, and nothing is estimated. `make gpu` measures it."
LOOPS = {
    "rmlib_fp32": "`rmlib.training`, fp32", "trl_fp32": "TRL, fp32", "rmlib_bf16": "`rmlib.training`, bf16",
    "trl_bf16": "TRL, bf16", "trl_defaults_bf16": "TRL with its own defaults (8 pairs a step, bf16, checkpointing)",
    "rmlib_scoring": "scoring, `rmlib`, fp32", "trl_scoring": "scoring, TRL, fp32",
}


def gpu_tables(path: Path = STORED) -> str:
    """All tables of that file, each where its measurement succeeded, and the error where not; without a file a line."""
    if not Path(path).exists():
        return NOT_MEASURED
    found = json.loads(Path(path).read_text(encoding="utf-8"))["measurements"]
    parts = {"machine": _machine, "learning": _learning, "speed": _speed, "agreement": _agreement,
             "notebooks": _notebooks}
    blocks = []
    for name, part in parts.items():
        if name in found:
            blocks += [f"**{name} failed:** {found[name]['error']}"] if found[name]["error"] else []
            blocks += part(found[name])
    return "\n\n".join(blocks)


def _machine(found: dict) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in found.get("versions", {}).items() if version)
    memory = f", {found['memory'] / 2**30:.0f} GiB" if "memory" in found else ""
    rates = ", ".join(f"{name} {rate / 1e12:.1f}" for name, rate in found.get("matrix_products", {}).items())
    return [f"{found.get('date')}: {found.get('device')}{memory}, driver {found.get('driver')}, "
            f"{found.get('cores')} CPU cores; {versions}.",
            f"Large matrix products alone, measured in the same run, in TFLOP/s: {rates}."]


def _learning(found: dict) -> list[str]:
    if not found.get("folds"):
        return []
    rows = [[each["fold"], f"{each['training_pairs']:,}", f"{each['pairs']:,}", _accuracy(each), f"{each['nll']:.3f}",
             f"{each['seconds']:.1f}", f"{each['pairs_per_second']:,.0f}", _gib(each["peak_memory"])]
            for each in found["folds"]]
    pooled = found["pooled"]
    together = ["together", "", f"{pooled['pairs']:,}", _accuracy(pooled), f"{pooled['nll']:.3f}",
                f"{sum(each['seconds'] for each in found['folds']):.1f}", "", ""]
    names = "| fold | trained on | held out | accuracy | NLL | seconds | pairs a second | peak memory |"
    whole = f"{pooled['clustered_low']:.3f} to {pooled['clustered_high']:.3f}"
    return [f"MiniLM on human choices, {found['folds'][0]['precision']}, one epoch, seed {found['settings']['seed']}, "
            f"{len(found['folds'])} of {found['of_folds']} folds; 95% over whole conversations, together: {whole}.",
            _table(names, [*rows, together])]


def _speed(found: dict) -> list[str]:
    blocks = [found["without_trl"]] if found.get("without_trl") else []
    for name, network in found.items():
        if not isinstance(network, dict) or not network["loops"]:
            continue
        loops = network["loops"]
        rows = [[LOOPS[loop], f"{each['pairs_per_second']:,.1f}", _ratio(loops, loop), _percent(each["share"]),
                 _gib(each["peak_memory"]), "" if each["loss"] is None else f"{each['loss']:.4f}", each["pieces"]]
                for loop, each in loops.items()]
        blocks += [f"{name}: {network['parameters'] / 1e6:.0f} million random weights, {network['pairs']} pairs, "
                   f"{network['tokens']:,} tokens, at most {network['window']} a sequence.",
                   _table("| loop | pairs a second | ratio to TRL | share of the card's rate | peak memory | "
                          "loss after | pieces a step |", rows)]
    return blocks


def _agreement(found: dict) -> list[str]:
    rows = [[name, how, f"{largest:.1e}", f"{each['spread_of_margins']:.3f}"] for name, each in found.items()
            if isinstance(each, dict) for how, largest in each["largest_difference"].items()]
    names = "| network | rewards of the same pairs | largest difference | spread of the margins |"
    return [_table(names, rows)] if rows else []


def _notebooks(found: dict) -> list[str]:
    rows = [[run["name"], run["cells"], f"{run['seconds']:.0f}", run["error"] or "yes"]
            for run in found.get("runs", [])]
    return [f"Notebooks, {found['together']} at a time:",
            _table("| notebook | cells | seconds | all that it asserts holds |", rows)] if rows else []


def _table(names: str, rows: list[list]) -> str:
    heading = f"{names}\n|{'---|' * (names.count('|') - 1)}"
    return "\n".join([heading, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def _accuracy(each: dict) -> str:
    return f"{each['accuracy']:.3f} ({each['accuracy_low']:.3f} to {each['accuracy_high']:.3f})"


def _ratio(loops: dict, loop: str) -> str:
    """Pairs a second over those of TRL in the same precision and task."""
    peer = loops.get(loop.replace("rmlib", "trl"))
    mine = loops[loop]["pairs_per_second"]
    return f"{mine / peer['pairs_per_second']:.2f}" if peer and loop.startswith("rmlib") else ""


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _gib(size: int | None) -> str:
    return "" if size is None else f"{size / 2**30:.1f} GiB"
