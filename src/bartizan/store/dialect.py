"""Where the two databases differ, asked in one place: PostgreSQL, which several Verifiers share, and SQLite."""

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import postgresql, sqlite


def is_shared(database: Engine | Connection) -> bool:
    """Several Verifiers may be on it: PostgreSQL; SQLite has one."""
    return database.dialect.name == "postgresql"


def inserting(connection: Connection, table: Table) -> "postgresql.Insert | sqlite.Insert":
    """A row to put in, for which either database knows what to do when it is there already."""
    return postgresql.insert(table) if is_shared(connection) else sqlite.insert(table)
