"""The HTTP server around the application: TLS, limits on slow clients, an orderly end. It decides nothing."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bartizan.app.service.keys import TlsFiles
from bartizan.errors import ConfigError

HEADER_SECONDS = 20.0
"""Patience with a connection that has not sent the head of a request."""
MAX_HEAD = 64 * 1024
"""Bytes of a request's head."""
BODY_SECONDS = 90.0
"""Patience with the rest of a request; the agents' side has less, and answers."""
KEEP_ALIVE = 120
"""Seconds that an idle connection is kept: agents come back within their period."""
MAX_CONNECTIONS = 20_000
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
STOP_SECONDS = 10
"""Patience with requests under way when the service stops."""


class ImpatientProtocol(HttpToolsProtocol):
    """HTTP as uvicorn speaks it, and a client that does not get on with it is let go.

    One timer a connection, set by what has been achieved and never by bytes that merely came: uvicorn's own begins anew
    with each of them, and has no limit to a head.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Somebody is there, and has so long to say what for."""
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self._head: int | None = 0
        self._whole = False
        self._within(HEADER_SECONDS)

    def data_received(self, data: bytes) -> None:
        """More bytes; the head of a request has so many at most."""
        super().data_received(data)
        if self._head is not None:
            self._head += len(data)
            if self._head > MAX_HEAD and not self.transport.is_closing():
                self.send_400_response("Request head too large.")

    def on_message_begin(self) -> None:
        """The first byte of a request: the rest of its head has so long again."""
        super().on_message_begin()
        self._head, self._whole = 0, False
        self._within(HEADER_SECONDS)

    def on_headers_complete(self) -> None:
        """The head is whole; now the body."""
        self._head = None
        self._within(BODY_SECONDS)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole, and time is ours, unless it was answered before."""
        super().on_message_complete()
        self._whole = True
        self._within(KEEP_ALIVE if self.cycle.response_complete else None)

    def on_response_complete(self) -> None:
        """The answer is out: time for another request, or for the rest of this one."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self._within(KEEP_ALIVE if self._whole else HEADER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self._within(None)
        super().connection_lost(exc)

    def _within(self, seconds: float | None) -> None:
        """So long until the connection is closed, if nothing is achieved before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


class PatientServer(uvicorn.Server):
    """uvicorn's server, but a signal ends it and nothing else.

    Its own raises the signal again when it is done, and who called it is killed before the database is closed.
    """

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT ask it to stop, while the block runs."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in STOP_SIGNALS:
                loop.remove_signal_handler(number)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        ConfigError: the address cannot be had.
    """
    try:
        return socket.create_server((host, port), backlog=2048, reuse_port=False)
    except OSError as error:
        raise ConfigError(f"{host}:{port}: cannot listen there: {error.strerror}; see listen.port") from error


async def serve(app: ASGIApp, listener: socket.socket, *, tls: TlsFiles | None, ready: Callable[[], None]) -> None:
    """Answer requests until SIGTERM or SIGINT; those under way are finished."""
    config = uvicorn.Config(
        app,
        http=ImpatientProtocol,
        loop="none",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=STOP_SECONDS,
        limit_concurrency=MAX_CONNECTIONS,
        ssl_certfile=None if tls is None else str(tls.certificate),
        ssl_keyfile=None if tls is None else str(tls.key),
    )
    server = PatientServer(config)
    async with _watching(server, ready):
        await server.serve(sockets=[listener])


@asynccontextmanager
async def _watching(server: uvicorn.Server, ready: Callable[[], None]) -> AsyncIterator[None]:
    """Say when the server is ready."""

    async def wait() -> None:
        while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
            await asyncio.sleep(0.01)
        ready()

    task = asyncio.create_task(wait())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
