"""Programs that run beside one another and end together: nothing that was started here outlives its block."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock


@dataclass(slots=True, kw_only=True)
class Tools:
    """The programs that run now; each leads a process group, so that what it starts ends with it."""

    lock: Lock = field(default_factory=Lock)
    running: set[subprocess.Popen[str]] = field(default_factory=set)
    ended: bool = False

    def run(self, command: Sequence[str], environment: Mapping[str, str], *, timeout: float) -> tuple[int, str]:
        """Exit code of a program, and what it said. timeout: seconds.

        Raises:
            OSError: it cannot be started, or the block has ended. subprocess.TimeoutExpired: it was ended after that.
        """
        process = self._start(command, environment)
        try:
            out, err = process.communicate(timeout=timeout)
            return process.returncode, out + err
        finally:
            self._end(process)

    def _start(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
        with self.lock:
            if self.ended:
                raise InterruptedError("interrupted")
            process = subprocess.Popen(  # noqa: S603  the caller finds the program on PATH, the arguments are ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=dict(environment),
                process_group=0,
            )
            self.running.add(process)
            return process

    def _end(self, process: subprocess.Popen[str]) -> None:
        """Take it off the list; if it still runs, kill it and wait for it."""
        if process.returncode is None:
            _kill(process)
            process.communicate()
        with self.lock:
            self.running.discard(process)

    def end(self) -> None:
        """Kill what runs, and let nothing start any more; those who wait for it return."""
        with self.lock:
            self.ended = True
            for process in self.running:
                _kill(process)


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def ended_tools() -> Iterator[Tools]:
    """Tools that are ended when the block ends, by whatever."""
    tools = Tools()
    try:
        yield tools
    finally:
        tools.end()
