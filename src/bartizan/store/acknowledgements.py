"""Acknowledged findings: seen and accepted for a time, shown beside the finding, never part of a verdict.

Every function takes the connection of its caller's transaction.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from bartizan.store.rules import Author
from bartizan.store.tables import acknowledgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Somebody has seen what a check says of some nodes. path: of this file only; times in milliseconds since 1970."""

    id: int
    project: int
    check: str
    scope: str
    path: str | None
    reason: str
    expires_at: int
    ended_at: int | None
    created_at: int
    created_by: str


def add_acknowledgement(
    connection: Connection, values: dict[str, Any], *, expires_at: int, author: Author
) -> Acknowledgement:
    """A new one. values: check, scope, path, reason."""
    made = {"project": author.project, "created_at": author.now, "created_by": author.account}
    row = values | {"expires_at": expires_at} | made
    return _shaped(connection.execute(insert(acknowledgement).values(row).returning(acknowledgement)).one())


def acknowledgements(
    connection: Connection, *, current: int | None = None, before: int | None = None, limit: int | None = None
) -> list[Acknowledgement]:
    """The newest first; current: those that count at this time; before: older than the one of this number."""
    query = select(acknowledgement).order_by(acknowledgement.c.id.desc()).limit(limit)
    if current is not None:
        query = query.where(acknowledgement.c.ended_at.is_(None), acknowledgement.c.expires_at > current)
    if before is not None:
        query = query.where(acknowledgement.c.id < before)
    return [_shaped(row) for row in connection.execute(query)]


def find_acknowledgement(connection: Connection, number: int) -> Acknowledgement | None:
    """One by its number."""
    row = connection.execute(select(acknowledgement).where(acknowledgement.c.id == number)).one_or_none()
    return None if row is None else _shaped(row)


def end_acknowledgement(connection: Connection, number: int, *, now: int) -> bool:
    """It counts no longer; False if it had ended before."""
    query = update(acknowledgement).where(acknowledgement.c.id == number, acknowledgement.c.ended_at.is_(None))
    return connection.execute(query.where(acknowledgement.c.expires_at > now).values(ended_at=now)).rowcount == 1


def _shaped(row: Row[Any]) -> Acknowledgement:
    return Acknowledgement(
        id=row.id,
        project=row.project,
        check=row.check,
        scope=row.scope,
        path=row.path,
        reason=row.reason,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
        created_at=row.created_at,
        created_by=row.created_by,
    )
