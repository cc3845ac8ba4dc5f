"""Trains in child processes that SIGKILL, SIGTERM or SIGINT ends at planned moments, then resumes; test_resume runs it
and compares.

Usage: python killed_training.py DIRECTORY. Under DIRECTORY comes a folder of checkpoints for each moment and one of a
run that nobody interrupted; stdout gets one JSON object, how the first child and the resumed one ended for each moment.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from accelerate.utils import set_seed
from training_parts import made_up_pairs, tiny_model

from rmlib.practice.command_line.signals import STOPPED, stop_on_signals
from rmlib.training import NEWEST, TrainingConfig, checkpoints, train

# 22 pairs in batches of 4: six steps an epoch, the last one short; a checkpoint every second step, six in all; and a
# look at 5 validation pairs every third.
CONFIG = TrainingConfig(epochs=2, batch_size=4, learning_rate=1e-3, token_budget=150, precision="fp32", dropout=True,
                        checkpoint_every=2, validate_every=3, seed=3)
*PAIRS, = made_up_pairs(27)
CHECKPOINTS = 6
draw = random.Random(0)
# Killed from outside, after these shares of the time that an uninterrupted run takes.
FROM_OUTSIDE = {f"after {share:.0%} of the time": share for share in (draw.uniform(0.05, 0.95) for _ in range(7))}
SIGNALS = {f"{('SIGINT', 'SIGTERM')[at % 2]} after {share:.0%} of the time": share
           for at, share in enumerate(draw.uniform(0.05, 0.9) for _ in range(10))}


def die(*_, **__) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def half_a_file(real: Callable) -> Callable:
    def write(tensors, path, **options):
        real(tensors, path, **options)
        os.truncate(path, os.path.getsize(path) // 2)
        die()

    return write


def before_the_rename(real: Callable) -> Callable:
    return lambda source, target: die() if Path(target).name == NEWEST else real(source, target)


def after_the_rename(real: Callable) -> Callable:
    return lambda source, target: (real(source, target), Path(target).name == NEWEST and die())


# Killed from inside a checkpoint write: (where the function lives, its name, what takes its place).
INSIDE_A_WRITE = {
    "in the middle of the file": (checkpoints, "save_file", half_a_file),
    "written and not yet renamed": (os, "replace", before_the_rename),
    "renamed and not yet synced": (os, "replace", after_the_rename),
}
WHICH_WRITE = {moment: draw.randrange(1, CHECKPOINTS) for moment in INSIDE_A_WRITE}


def plant(moment: str) -> None:
    """In a checkpoint write drawn at random, the function dies in place of doing all of its work."""
    module, name, replacement = INSIDE_A_WRITE[moment]
    real, write = getattr(module, name), checkpoints.write
    writes = 0

    def counted_write(*arguments):
        nonlocal writes
        writes += 1
        if writes > WHICH_WRITE[moment]:
            setattr(module, name, replacement(real))
        return write(*arguments)

    checkpoints.write = counted_write


def child(directory: Path, *, resume: bool = False, prepare: Callable = lambda: None, kill_after: float | None = None,
          by: int = signal.SIGKILL):
    """Train in a forked child; returns (its wait status, seconds from its first to its last breath in the loop)."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        prepare()
        # A resumed run must take nothing from its own start: where there is a checkpoint, it starts out differently.
        seed = 1 if resume and (directory / NEWEST).exists() else 0
        set_seed(seed)
        model = tiny_model(seed)
        with stop_on_signals() as should_stop:
            os.write(writing, b"!")
            result = train(model, PAIRS[:22], CONFIG, validation=PAIRS[22:], checkpoint_dir=directory, resume=resume,
                           should_stop=should_stop, progress=False)
        os._exit(STOPPED if result.interrupted else 0)
    os.read(reading, 1)
    started = time.perf_counter()
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(process, by)
    status = os.waitpid(process, 0)[1]
    os.close(reading), os.close(writing)
    return os.waitstatus_to_exitcode(status), time.perf_counter() - started


def kill_from_outside(directory: Path, delay: float, by: int = signal.SIGKILL) -> int:
    """End a run after `delay` seconds; where it was quicker than that, another one after half of them."""
    ended, _ = child(directory, kill_after=delay, by=by)
    if ended == 0:
        shutil.rmtree(directory)
        return kill_from_outside(directory, delay / 2, by)
    return ended


def main(directory: Path) -> None:
    ended, seconds = child(directory / "uninterrupted")
    outcomes = {"uninterrupted": [ended]}
    for moment, share in FROM_OUTSIDE.items():
        first = kill_from_outside(directory / moment, share * seconds)
        outcomes[moment] = [first, child(directory / moment, resume=True)[0]]
    for moment, share in SIGNALS.items():
        first = kill_from_outside(directory / moment, share * seconds, getattr(signal, moment.split()[0]))
        left = sorted(path.name for path in (directory / moment).iterdir())
        outcomes[moment] = [first, child(directory / moment, resume=True)[0], left]
    for moment in INSIDE_A_WRITE:
        first, _ = child(directory / moment, prepare=partial(plant, moment))
        left = sorted(path.name for path in (directory / moment).iterdir())
        outcomes[moment] = [first, child(directory / moment, resume=True)[0], left]
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
