"""The HTTP server around the application: TLS, limits on slow clients, an orderly end. It decides nothing."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator

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


class Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to whoever runs it, and says when it takes requests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests."""
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield

    def stop(self) -> None:
        """Finish the requests under way, then end."""
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        ConfigError: the address cannot be had.
    """
    try:
        return socket.create_server((host, port), backlog=2048, reuse_port=False)
    except OSError as error:
        raise ConfigError(f"{host}:{port}: cannot listen there: {error.strerror}; see listen.port") from error


def server_for(app: ASGIApp, *, tls: TlsFiles | None) -> Server:
    """A server for an application; `serve` runs it."""
    config = uvicorn.Config(
        app,
        http=ImpatientProtocol,
        loop="none",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=STOP_SECONDS,
        limit_concurrency=MAX_CONNECTIONS,
        ssl_certfile=None if tls is None else str(tls.certificate),
        ssl_keyfile=None if tls is None else str(tls.key),
    )
    return Server(config)


async def serve(server: Server, listener: socket.socket, *, ready: Callable[[], None]) -> None:
    """Answer requests until `server.stop`; ready: called once requests are taken."""
    task = asyncio.create_task(server.serve(sockets=[listener]))
    up = asyncio.create_task(server.up.wait())
    await asyncio.wait((task, up), return_when=asyncio.FIRST_COMPLETED)
    if up.done():
        ready()
    up.cancel()
    await task


@contextlib.contextmanager
def stopped_by_signals(server: Server) -> Iterator[None]:
    """SIGTERM and SIGINT stop the server, while the block runs in the main thread's event loop."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for one in signals:
        loop.add_signal_handler(one, server.stop)
    try:
        yield
    finally:
        for one in signals:
            loop.remove_signal_handler(one)
