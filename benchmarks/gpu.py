"""What a GPU does with the course, measured by one command in at most eight minutes, without a network: `make gpu`.

    python benchmarks/gpu.py --parts DIR --json OUT [--tiny] [--only NAME ...]
    python benchmarks/gpu.py --table JSON       the tables of an earlier run, as RESULTS.md has them

DIR is what `python tools/gpu_parts.py unpack` laid out. Five measurements run one after another, each in a process
of its own and within its own time: what the machine is and how fast it multiplies matrices; MiniLM trained on human
choices; training and scoring beside TRL; rewards on CPU and GPU, padded and not; 00 to 08, side by side. One
that fails leaves its error and what it had in OUT, which is written anew after each, and the others go on; the exit
code is then 1. --tiny takes small sizes, to try everything on a CPU.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from gpu_tables import gpu_tables

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 480  # seconds for all
# Where each is, and how many seconds it may take at most; what one leaves over goes to the last.
MEASUREMENTS = {
    "machine": ("gpu_model", 50), "learning": ("gpu_model", 70), "speed": ("gpu_speed", 120),
    "agreement": ("gpu_model", 50), "notebooks": ("gpu_notebooks", LIMIT),
}
TINY_PATIENCE = 10  # times the seconds, for a CPU that others use too


@dataclass
class Given:
    """What a measurement is given, beside the object that it fills and the function that keeps it."""

    parts: Path  # minilm/ and pairs.jsonl.gz
    notebooks: Path
    copies: Path  # of executed notebooks
    tiny: bool
    found: dict = field(default_factory=dict)  # what earlier measurements came to
    until: float = 0.0  # time.time() after which nothing new should begin

    def time_for(self, seconds: float) -> bool:
        """Whether something that takes so long would end in time."""
        return time.time() + seconds < self.until


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    prepare_environment()
    if options.table:
        print(gpu_tables(options.table))
        return 0
    given = Given(options.parts, options.notebooks, options.json.parent / "gpu-notebooks", options.tiny)
    report = measure_all(options.only or list(MEASUREMENTS), given, options.json)
    print(f"\n{gpu_tables(options.json)}\n\n{options.json}: {report['seconds']:.0f} s in all", flush=True)
    failed = {name: part["error"] for name, part in report["measurements"].items() if part["error"]}
    for name, error in failed.items():
        print(f"FAILED {name}: {error}")
    return int(bool(failed))


def prepare_environment() -> None:
    """For all processes to come: this copy of rmlib, one GPU, no downloads, no threads of the tokenizers."""
    places = [str(ROOT), str(ROOT / "benchmarks")]
    sys.path[:0] = places
    os.environ["PYTHONPATH"] = os.pathsep.join([*places, *filter(None, [os.environ.get("PYTHONPATH")])])
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1",
                   "PYTHONWARNINGS": "ignore"}
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")
    for knob in ("RMLIB_PROFILE", "RMLIB_BACKBONE", "RMLIB_PAIRS", "RMLIB_STRICT_EXERCISES"):
        os.environ.pop(knob, None)


def measure_all(names: list[str], given: Given, out: Path) -> dict:
    """Run the measurements in turn; `out` holds all that is known after each."""
    context = multiprocessing.get_context("spawn")  # in a forked process CUDA may not start
    out.parent.mkdir(parents=True, exist_ok=True)
    began, report = time.perf_counter(), {"tiny": given.tiny, "seconds": 0.0, "measurements": {}}
    for name in names:
        seconds = MEASUREMENTS[name][1] * (TINY_PATIENCE if given.tiny else 1)
        if not given.tiny:
            seconds = min(seconds, LIMIT - (time.perf_counter() - began))
        print(f"\n{name}: at most {seconds:.0f} s", flush=True)
        where, file = (MEASUREMENTS[name][0], name), out.with_suffix(f".{name}.json")
        report["measurements"][name] = found = measure(context, where, seconds, given, file)
        report["seconds"] = time.perf_counter() - began
        given.found = report["measurements"]
        write(out, report)
        ended = f"FAILED, {found['error']}" if found["error"] else "done"
        print(f"{name}: {ended}, {found['seconds']:.0f} s", flush=True)
        if found.get("device") == "CPU" and not given.tiny:
            break  # for a CPU the sizes are too large
    return report


def measure(context, where: tuple[str, str], seconds: float, given: Given, file: Path) -> dict:
    """What a measurement (its module and function) came to, in a process of its own that is ended after its seconds.

    What it keeps in `file` counts also where it comes to no end.
    """
    began = time.perf_counter()
    given.until = time.time() + 0.9 * seconds
    file.unlink(missing_ok=True)
    process = context.Process(target=in_child, args=(*where, given, file))
    process.start()
    process.join(seconds)
    late = process.is_alive()
    if late:
        process.kill()
        process.join()
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"error": None}
    file.unlink(missing_ok=True)
    if late:
        found["error"] = f"ended after {seconds:.0f} s, unfinished"
    elif process.exitcode and not found["error"]:
        found["error"] = f"the process ended with code {process.exitcode}"
    return {**found, "seconds": time.perf_counter() - began}


def in_child(module: str, name: str, given: Given, file: Path) -> None:
    """Fill an object with the measurement, and keep it in `file`, now and then and at the end."""
    figures = {"error": None}
    try:
        getattr(importlib.import_module(module), name)(figures, given, lambda: write(file, figures))
    except Exception as error:
        traceback.print_exc()
        figures["error"] = f"{type(error).__name__}: {error}"
    write(file, figures)
    sys.exit(int(figures["error"] is not None))


def write(file: Path, content: dict) -> None:
    from rmlib.files import atomic_write_text

    atomic_write_text(file, json.dumps(content, indent=2) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure what a GPU does with the course.")
    parser.add_argument("--parts", type=Path, default=ROOT / "build/gpu", metavar="DIR")
    parser.add_argument("--json", type=Path, default=ROOT / "build/gpu.json", metavar="OUT")
    parser.add_argument("--notebooks", type=Path, default=ROOT / "notebooks", metavar="DIR")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to try everything on a CPU")
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, metavar="NAME", help=", ".join(MEASUREMENTS))
    parser.add_argument("--table", type=Path, metavar="JSON", help="only print the tables of an earlier run")
    return parser


if __name__ == "__main__":
    sys.exit(main())
