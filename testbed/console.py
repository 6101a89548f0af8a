"""A guest's second serial line, for whoever sits at it: a script goes in, its output and exit status come out."""

import base64
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bartizan.errors import ConnectorError

READY = b"TESTBED ready"
DONE = re.compile(rb"(?s)(.*?)TESTBED done (\d+)\r?\n")
POLL = 0.5
"""Seconds between two looks at whether the guest still lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A script that ended. code: its exit status."""

    code: int
    said: str


@dataclass(slots=True, kw_only=True)
class Console:
    """The line, from the host's side. failed: says why nothing will come any more, or None while the guest lives."""

    path: Path
    failed: Callable[[], str | None]
    _socket: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_UNIX))
    _heard: bytes = b""
    _connected: bool = False

    def wait_until_ready(self, seconds: float) -> None:
        """Until the guest's services are up.

        Raises:
            ConnectorError: it is not up by then, or ended.
        """
        deadline = time.monotonic() + seconds
        if not self._connected:
            self._connect(deadline)
        while READY not in self._heard:
            self._hear(deadline, "the guest is not up")
        self._heard = self._heard.partition(READY)[2]

    def run(self, script: str, *, seconds: float = 120) -> Ran:
        """Run a script as root in the guest.

        Raises:
            ConnectorError: it does not end by then, or the guest ended.
        """
        self.say(script)
        return self.finish(seconds=seconds)

    def finish(self, *, seconds: float = 120) -> Ran:
        """What came of the script that was started last.

        Raises:
            ConnectorError: it does not end by then, or the guest ended.
        """
        deadline = time.monotonic() + seconds
        while (match := DONE.search(self._heard)) is None:
            self._hear(deadline, "the guest does not end a script")
        self._heard = self._heard[match.end() :]
        return Ran(code=int(match[2]), said=match[1].decode(errors="replace").replace("\r", "").strip())

    def say(self, script: str) -> None:
        """Start a script; of some, such as a power-off, nobody hears the end."""
        self._socket.sendall(base64.b64encode(script.encode()) + b"\n")

    def expect_restart(self) -> None:
        """What was heard is of a kernel that is gone."""
        self._heard = b""

    def close(self) -> None:
        """Let go of the line."""
        self._socket.close()

    def _connect(self, deadline: float) -> None:
        self._socket.settimeout(POLL)
        while True:
            try:
                self._socket.connect(str(self.path))
            except OSError as error:
                why = self.failed() or (str(error) if time.monotonic() > deadline else None)
            else:
                self._connected = True
                return
            if why:
                raise ConnectorError(f"the guest's console: {why}")
            time.sleep(POLL / 10)

    def _hear(self, deadline: float, what: str) -> None:
        try:
            part = self._socket.recv(4096)
        except TimeoutError:
            part = None
        except OSError:
            part = b""
        if part:
            self._heard += part
            return
        why = self.failed()
        if part == b"" or why or time.monotonic() > deadline:
            raise ConnectorError(f"{what}: {why or 'no answer in time'}")
