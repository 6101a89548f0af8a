"""The end of the demonstration from outside: a signal that would end it at once lets it clean up first."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGTERM, signal.SIGHUP)
ENDED_BY = 128
"""What a shell adds to a signal's number for the exit code."""


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # the first one counts: cleaning up is not interrupted by the next
    raise SystemExit(ENDED_BY + number)


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """While the block runs, SIGTERM and SIGHUP raise SystemExit, so that every context manager ends what it began.

    A signal that is ignored (`nohup`) or handled already stays so. Outside the main thread it changes nothing:
    only that thread gets signals.
    """
    ours = [each for each in SIGNALS if signal.getsignal(each) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        ours = []
    for each in ours:
        signal.signal(each, _end)
    try:
        yield
    finally:
        for each in ours:
            signal.signal(each, signal.SIG_DFL)
