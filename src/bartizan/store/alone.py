"""Work that no two Verifiers on one PostgreSQL do at the same time; SQLite has one writer anyway.

A lock is held until the end of the transaction that asked for it, and is gone with the connection, whatever happens.
"""

from enum import IntEnum

from sqlalchemy import Connection, func, select

from bartizan.store.dialect import is_shared

SPACE = 0x6261_7274
"""Of PostgreSQL's advisory locks, apart from those of other programs on the database."""


class Alone(IntEnum):
    """What is done one after the other."""

    SCHEMA = 1
    ENROLMENT = 2
    CHANGES = 3
    FIRST_ACCOUNTS = 4
    CONTENT = 5


def serially(connection: Connection, what: Alone) -> None:
    """Wait until nobody else does this, and let nobody begin it before this transaction ends."""
    if is_shared(connection):
        connection.execute(select(func.pg_advisory_xact_lock(SPACE, int(what))))


def together(connection: Connection, what: Alone) -> None:
    """The same for work that many may do at once, but none beside somebody who does it alone."""
    if is_shared(connection):
        connection.execute(select(func.pg_advisory_xact_lock_shared(SPACE, int(what))))
