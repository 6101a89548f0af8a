"""The service's database: opened, brought to the newest schema, refused if it is newer than this program.

SQLite by default: write-ahead log, so that readers never wait, and full synchronisation, so that what was committed
survives a power cut. Nothing here knows what is stored.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from bartizan.errors import ConfigError

BUSY_MILLISECONDS = 30_000
"""How long to wait for another process that writes: a backup, or a command beside the service."""
WRITES = "writes"
"""Execution option of engines and connections whose transactions write."""
PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={BUSY_MILLISECONDS}",
    "PRAGMA journal_size_limit=67108864",
)


@contextmanager
def open_database(url: str) -> Iterator[Engine]:
    """The database at this URL, at the newest schema; closed afterwards.

    Raises:
        ConfigError: it cannot be opened, or a newer program made it.
    """
    try:
        engine = create_engine(make_url(url))
    except (ArgumentError, ImportError) as error:
        raise ConfigError(f"database {url!a}: no URL of a database that can be used here: {error}") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    try:
        upgrade(engine)
        yield engine
    except DBAPIError as error:
        raise ConfigError(f"database {engine.url!r}: {error.orig}") from error
    finally:
        engine.dispose()


def _set_up_sqlite(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver's own transactions leave out reads and changes of tables
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Who will write says so at once: one that began to read could find that somebody else wrote in between."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(WRITES) else "BEGIN")


@contextmanager
def _alembic(connection: Connection) -> Iterator[Config]:
    with as_file(files("bartizan.store") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        yield config


def schema_version(connection: Connection) -> str | None:
    """The revision that a database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def newest_version() -> str:
    """The revision that this program works with."""
    with as_file(files("bartizan.store") / "migrations") as folder:
        head = ScriptDirectory(str(folder)).get_current_head()
    if head is None:
        raise AssertionError("the package holds no migrations")
    return head


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring a database to a revision, in one transaction.

    Raises:
        ConfigError: it is at a revision that this program does not know.
    """
    _migrate(engine, revision, command.upgrade)


def downgrade(engine: Engine, revision: str) -> None:
    """Take a database back to an older revision, in one transaction.

    Raises:
        ConfigError: it is at a revision that this program does not know.
    """
    _migrate(engine, revision, command.downgrade)


def _migrate(engine: Engine, revision: str, move: Callable[[Config, str], None]) -> None:
    with engine.begin() as connection, _alembic(connection) as config:
        current = schema_version(connection)
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if current is not None and current not in known:
            newest = newest_version()
            why = f"its schema is at revision {current}, which this version of Bartizan, at {newest}, does not know"
            raise ConfigError(f"database {engine.url!r}: {why}; run the version that made it, or a newer one")
        move(config, revision)
