"""Ctrl-C, SIGTERM and a terminal that closes as a request: the training makes its step, saves a checkpoint and ends."""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOPPED = 130  # exit code, as shells have it for Ctrl-C
_log = logging.getLogger("rmlib")


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Yields a function that tells whether a signal has come; in the block signals have no other effect."""
    received: list[int] = []

    def should_stop() -> bool:
        if received and 0 not in received:  # told here: the handler may have broken into a line that is being written
            _log.warning("%s: stopping after this step; kill -9 would lose what came after the last checkpoint",
                         signal.Signals(received[0]).name)
            received.append(0)
        return bool(received)

    # What was started to ignore a signal, as shells start background jobs, goes on ignoring it.
    ours = [each for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) != signal.SIG_IGN]
    earlier = {each: signal.signal(each, lambda number, _: received.append(number)) for each in ours}
    try:
        yield should_stop
    finally:
        for each, handler in earlier.items():
            signal.signal(each, handler)
