"""HTTP/1.1 as far as the fleet needs it: keep-alive connections, one request at a time each, no tasks and no futures.

Nodes share connections, as they would not in the field: what a connection costs a service is not measured here.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

HEAD_END = b"\r\n\r\n"
LENGTH, RETRY_AFTER = b"content-length: ", b"retry-after: "
CLOSE = b"connection: close"
STATUS = slice(9, 12)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. retry_after: seconds; last: the connection ends with it."""

    status: int
    body: bytes
    retry_after: int | None
    last: bool


class Listener(Protocol):
    """Who is told what becomes of requests."""

    def answered(self, connection: "Connection", reply: Reply) -> None:
        """The request of this connection was answered."""

    def broken(self, connection: "Connection") -> None:
        """The connection ended; what it was asked last, if anything, remains without an answer."""


class Connection(asyncio.Protocol):
    """One connection. purpose: whatever its user remembers of the request under way; None while it is free."""

    __slots__ = ("_buffer", "_listener", "_need", "_transport", "endpoint", "purpose", "sent_at")

    def __init__(self, endpoint: "Endpoint", listener: Listener) -> None:
        self.endpoint = endpoint
        self.purpose: object = None
        self.sent_at = 0.0
        self._listener = listener
        self._buffer = b""
        self._need = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, call: str, body: bytes, *, purpose: object, now: float) -> None:
        """One request; the one before was answered."""
        assert self._transport is not None
        self.purpose, self.sent_at = purpose, now
        self._transport.write(b"".join((self.endpoint.heads[call], b"%d" % len(body), HEAD_END, body)))

    def data_received(self, data: bytes) -> None:
        """A part of an answer."""
        buffer = self._buffer + data if self._buffer else data
        if len(buffer) < self._need:
            self._buffer = buffer
            return
        end = buffer.find(HEAD_END)
        if end < 0:
            self._buffer = buffer
            return
        head = buffer[:end].lower() + b"\r\n"
        size = _number(head, LENGTH)
        begin = end + len(HEAD_END)
        self._need = begin + (size or 0)
        if len(buffer) < self._need:
            self._buffer = buffer
            return
        self._buffer, self._need = b"", 0
        body = buffer[begin : begin + (size or 0)]
        self._listener.answered(self, Reply(int(head[STATUS]), body, _number(head, RETRY_AFTER), CLOSE in head))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's
        """It is over."""
        self._transport = None
        self._listener.broken(self)

    @property
    def is_open(self) -> bool:
        """Requests can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()


@dataclass(slots=True)
class Endpoint:
    """A service at host and port, and the heads of requests to it."""

    host: str
    port: int
    heads: dict[str, bytes]

    @classmethod
    def at(cls, host: str, port: int, calls: tuple[str, ...]) -> "Endpoint":
        """An endpoint for these calls."""
        after = f" HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: application/cbor\r\ncontent-length: "
        return cls(host, port, {call: f"POST /v1/agent/{call}{after}".encode() for call in calls})

    async def connect(self, listener: Listener) -> Connection:
        """A connection.

        Raises:
            OSError: nobody is there.
        """
        make: Callable[[], Connection] = lambda: Connection(self, listener)  # noqa: E731  typed
        _, connection = await asyncio.get_running_loop().create_connection(make, self.host, self.port)
        return connection


def _number(head: bytes, name: bytes) -> int | None:
    at = head.find(name)
    return None if at < 0 else int(head[at + len(name) : head.index(b"\r", at)])
