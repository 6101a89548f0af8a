"""The service's database: opened, brought to the newest schema, refused if it is newer than this program.

SQLite by default: write-ahead log, so that readers never wait, and full synchronisation, so that what was committed
survives a power cut. PostgreSQL where several Verifiers share one: every wait for it is bounded, so that a Verifier
that is cut off says so instead of standing still. Nothing here knows what is stored.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from bartizan.errors import ConfigError
from bartizan.store.alone import Alone, serially
from bartizan.store.dialect import is_shared

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
BACKENDS = ("sqlite", "postgresql")
POSTGRESQL_DRIVER = "postgresql+psycopg"
CONNECT_SECONDS = 5
"""How long to wait for PostgreSQL to take a connection."""
SILENT_MILLISECONDS = 5_000
"""How long what was sent to PostgreSQL may stay without its machine's acknowledgement."""
POSTGRESQL_LIMITS = {
    "statement_timeout": 15_000,
    "lock_timeout": 6_000,
    "idle_in_transaction_session_timeout": 3_000,
}
"""Milliseconds. The third frees what a Verifier had locked that was frozen, or cut off, within a transaction: until
then others wait, whose transactions many attestations share."""
UNHURRIED = 20
"""So many times as long has a transaction that looks through everything; none has for ever."""
READERS = 15
"""Connections of one Verifier at most, its writer's among them."""


@contextmanager
def open_database(url: str) -> Iterator[Engine]:
    """The database at this URL, at the newest schema; closed afterwards.

    Raises:
        ConfigError: it cannot be opened, or a newer program made it.
    """
    engine = _engine(parsed_url(url))
    try:
        upgrade(engine)
        yield engine
    except DBAPIError as error:
        raise ConfigError(f"database {engine.url!r}: {error.orig}") from error
    finally:
        engine.dispose()


def parsed_url(url: str) -> URL:
    """The URL of a database that can be used here; `postgresql:` without a driver means psycopg.

    Raises:
        ConfigError: it is none, or holds a password, which logs and process lists would show.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except ArgumentError as error:
        raise ConfigError(f"database {url!a}: no URL of a database that can be used here: {error}") from error
    if backend not in BACKENDS:
        raise ConfigError(f"database {parsed!r}: a URL that begins with sqlite:/// or postgresql:// expected")
    if backend == "sqlite":
        return parsed
    if parsed.password is not None or "password" in parsed.query:
        why = (
            "a password belongs into a file: name it with ?passfile=/path, or PGPASSFILE, in PostgreSQL's .pgpass form"
        )
        raise ConfigError(f"database {parsed.set(password=None, query={})!r}: {why}")
    return parsed.set(drivername=POSTGRESQL_DRIVER)


def check_database(url: str) -> str | None:
    """What the PostgreSQL at this URL is; nothing in it is changed. None for SQLite, whose file the first start makes.

    Raises:
        ConfigError: it cannot be reached, or a newer program made it.
    """
    engine = _engine(parsed_url(url))
    if not is_shared(engine):
        return None
    try:
        with engine.connect() as connection:
            _known_revision(engine, connection)
            found = ".".join(map(str, connection.dialect.server_version_info or ()))
            return f"PostgreSQL {found}, schema {schema_version(connection) or 'none yet'}"
    except DBAPIError as error:
        raise ConfigError(f"database {engine.url!r}: {error.orig}") from error
    finally:
        engine.dispose()


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        options = " ".join(f"-c {name}={limit}" for name, limit in POSTGRESQL_LIMITS.items())
        return create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,
            pool_size=READERS,
            max_overflow=0,
            pool_timeout=CONNECT_SECONDS,
            connect_args={
                "connect_timeout": CONNECT_SECONDS,
                "tcp_user_timeout": SILENT_MILLISECONDS,
                "keepalives_idle": CONNECT_SECONDS,
                "keepalives_interval": 1,
                "keepalives_count": CONNECT_SECONDS,
                "options": options,
                "application_name": "bartizan",
            },
        )
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def unhurried(connection: Connection) -> None:
    """Let this transaction take its time: what looks through everything is no statement that hangs."""
    if is_shared(connection):
        for name, limit in POSTGRESQL_LIMITS.items():
            connection.exec_driver_sql(f"SET LOCAL {name} = {limit * UNHURRIED}")


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
        unhurried(connection)
        serially(connection, Alone.SCHEMA)
        _known_revision(engine, connection)
        move(config, revision)


def _known_revision(engine: Engine, connection: Connection) -> None:
    """Nothing, if this program knows the revision that a database is at.

    Raises:
        ConfigError: it does not.
    """
    current = schema_version(connection)
    with as_file(files("bartizan.store") / "migrations") as folder:
        known = {script.revision for script in ScriptDirectory(str(folder)).walk_revisions()}
    if current is not None and current not in known:
        newest = newest_version()
        why = f"its schema is at revision {current}, which this version of Bartizan, at {newest}, does not know"
        raise ConfigError(f"database {engine.url!r}: {why}; run the version that made it, or a newer one")
