"""The command line: `python -m rmlib` train, evaluate, score, export; `accelerate launch -m rmlib` takes the same.

Data goes to stdout, talk to stderr.
"""

import logging
import os
import sys

from rmlib.practice.command_line.arguments import parser

__all__ = ["main"]
GO_ON = "; a training goes on with --resume"
HALF = "give --token-budget, half of what it was or less"
MEND = {"train": f"{HALF}, with which a training goes on by --resume; or begin a new one with a smaller --max-length",
        "export": "an export holds the model three times over; run it where there is more"}
_log = logging.getLogger("rmlib")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 where the user can mend what went wrong, 130 if it was stopped."""
    options = parser().parse_args(arguments)
    # After the arguments, so that who asks for --help need not wait for torch.
    from accelerate import PartialState
    from accelerate.utils.memory import should_reduce_batch_size

    from rmlib.practice.command_line.evaluating import run_evaluate
    from rmlib.practice.command_line.scoring import run_export, run_score
    from rmlib.practice.command_line.signals import STOPPED
    from rmlib.practice.command_line.training import run_train
    from rmlib.training import join_processes

    try:
        join_processes()
        _log.handlers = [logging.StreamHandler(sys.stderr)]
        _log.setLevel(logging.INFO if PartialState().is_main_process else logging.ERROR)  # from one process of many
        _log.propagate = False
        commands = {"train": run_train, "evaluate": run_evaluate, "score": run_score, "export": run_export}
        code = commands[options.command](options)
        sys.stdout.flush()  # here, and not at exit, where a reader that went away could no longer be caught
        PartialState().destroy_process_group()  # or a process that ends first can bring down one that is still leaving
    except BrokenPipeError:
        # Who read went away (score | head): nothing is wrong, unless that broke a training off (train 2>&1 | head).
        for stream in (sys.stdout, sys.stderr):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return 2 if options.command == "train" else 0
    except KeyboardInterrupt:
        _log.error("stopped%s", GO_ON if options.command == "train" else "")
        return STOPPED
    except (ValueError, OSError, ImportError) as error:
        is_full = isinstance(error, OSError) and "No space left" in str(error)
        _log.error("error: %s%s", error, "; make room there, and start it again" + GO_ON * (
            options.command == "train") if is_full else "")
        return 2
    except (RuntimeError, MemoryError) as error:
        if not (isinstance(error, MemoryError) or should_reduce_batch_size(error)):
            raise
        _log.error("error: out of memory: %s (%s)", MEND.get(options.command, HALF), error)
        return 2
    return code
