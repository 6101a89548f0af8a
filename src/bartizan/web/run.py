"""`bartizan serve`: the service and its server, from settings to SIGTERM."""

import fcntl
import gc
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bartizan.app.service.keys import TlsFiles, pin_of, tls_files
from bartizan.app.service.left_behind import leave_client_files
from bartizan.app.service.service import open_service
from bartizan.app.service.settings import Settings
from bartizan.connectors.service.data_folder import CLIENT_FILE
from bartizan.errors import ConfigError, ConnectorError
from bartizan.web.app import create_app
from bartizan.web.logs import set_up_logging
from bartizan.web.server import listen, serve, server_for, stopped_by_signals

OWNER_ONLY = 0o077
"""Nobody else reads what the service writes."""
COLLECT_SELDOM = (100_000, 20, 20)
"""Of the garbage collector: states of nodes are many, live long, and hold no cycles that it could find."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the service is reached, and the pin that agents know it by; None without TLS."""

    url: str
    pin: str | None


def run_service(settings: Settings, *, plain: bool, ready: Callable[[Address], None]) -> None:
    """Serve until SIGTERM. plain: without TLS, which is for loopback addresses only.

    Raises:
        ConfigError, PolicyError, DecodeError: as for `open_service`, and for the address. ConnectorError: nothing
            can be written any more in this process; another start begins with what was committed.
    """
    os.umask(OWNER_ONLY)
    set_up_logging()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with _alone(settings.folder):
        _serve(settings, plain=plain, ready=ready)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other service uses the data folder while the block runs.

    Raises:
        ConfigError: one does, or the folder cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"data folder {folder}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ConfigError(
            f"data folder {folder}: a service is running on it already; {CLIENT_FILE} says where"
        ) from error
    finally:
        os.close(handle)


def _serve(settings: Settings, *, plain: bool, ready: Callable[[Address], None]) -> None:
    where = settings.listen
    tls = None if plain else _tls(settings)
    with listen(where.host, where.port) as listener:
        address = _address(listener, tls)
        uvloop.run(_run(settings, listener, tls, address, ready))


async def _run(
    settings: Settings,
    listener: socket.socket,
    tls: TlsFiles | None,
    address: Address,
    ready: Callable[[Address], None],
) -> None:
    async with open_service(settings) as service:
        leave_client_files(service.engine, settings.folder, url=address.url, pin=address.pin)
        gc.freeze()
        gc.set_threshold(*COLLECT_SELDOM)
        server = server_for(create_app(service), tls=tls)
        lost = service.writer.lost
        lost.add_done_callback(lambda _: server.stop())
        with stopped_by_signals(server):
            await serve(server, listener, ready=lambda: ready(address))
        if lost.done():
            raise ConnectorError(f"nothing can be written any more: {lost.result()!r}; start the service again")


def _tls(settings: Settings) -> TlsFiles:
    where = settings.listen
    if where.certificate:
        return TlsFiles(certificate=Path(where.certificate), key=Path(where.key))
    return tls_files(settings.keys, where.host)


def _address(listener: socket.socket, tls: TlsFiles | None) -> Address:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    scheme = "http" if tls is None else "https"
    return Address(url=f"{scheme}://{shown}:{port}", pin=None if tls is None else pin_of(tls.certificate))
