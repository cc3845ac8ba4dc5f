"""The notebooks 00 to 08 on the device that is there, side by side: a part of `gpu.py`."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from gpu import Given

from tools import run_notebooks


def notebooks(figures: dict, given: Given, keep) -> None:
    """Run each from top to bottom in the quick profile; what its cells assert has to hold. Outputs are not compared.

    Raises RuntimeError where one failed.
    """
    paths = sorted(given.notebooks.glob("*.ipynb"))
    together = max(1, min(len(paths), (os.cpu_count() or 1) // 2))
    threads = max(1, (os.cpu_count() or 1) // together)
    os.environ |= {"OMP_NUM_THREADS": str(threads), "RMLIB_PROFILE": "quick"}
    figures |= {"together": together, "threads": threads, "runs": []}

    def run(path: Path) -> None:
        left = max(1.0, given.until - time.time())
        found = run_notebooks.run_one(path, given.copies, refresh=False, seconds=left)
        figures["runs"] = sorted([*figures["runs"], asdict(found)], key=lambda each: each["name"])
        keep()
        print(f"{found.name} {found.error or 'ran through'}, {found.seconds:.0f} s", flush=True)

    with ThreadPoolExecutor(together) as pool:
        list(pool.map(run, paths))
    failed = [run["name"] for run in figures["runs"] if run["error"]]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(paths)} failed: {', '.join(failed)}")
