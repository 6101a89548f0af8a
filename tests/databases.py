"""Which database the services of a test are on: SQLite in their folders, or one PostgreSQL with a database for each."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bartizan.app.service.settings import Settings
from tests.postgresql import Server

POSTGRESQL_EVERYWHERE = os.environ.get("BARTIZAN_TEST_DATABASE") == "postgresql"
"""All tests with a service are to use PostgreSQL, also those that need not be run twice."""
_server: list[Server] = []
_made: dict[Path, str] = {}


@contextmanager
def on_postgresql(server: Server) -> Iterator[None]:
    """While the block runs, services are on this server; their databases are dropped afterwards."""
    _server.append(server)
    try:
        yield
    finally:
        _server.pop()
        for name in _made.values():
            server.drop(name)
        _made.clear()


def url_for(folder: Path) -> str:
    """The database of the service on this folder, the same each time."""
    if not _server:
        return f"sqlite:///{folder / 'bartizan.db'}"
    server = _server[-1]
    if folder not in _made:
        _made[folder] = server.create("t" + hashlib.sha256(str(folder).encode()).hexdigest()[:16])
    return server.local_url(_made[folder])


def settled(settings: Settings) -> Settings:
    """Settings of a service on that database."""
    storage = msgspec.structs.replace(settings.storage, database=url_for(settings.folder))
    return msgspec.structs.replace(settings, storage=storage)
