"""Maintenance windows: shown beside findings, never part of a verdict. Every function takes its caller's connection."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from bartizan.store.rules import Author
from bartizan.store.tables import maintenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time in which something is done to nodes. Times in milliseconds since 1970 UTC."""

    id: int
    project: int
    scope: str
    reason: str
    begins_at: int
    ends_at: int
    created_at: int
    created_by: str


def add_window(
    connection: Connection, *, scope: str, reason: str, begins_at: int, ends_at: int, author: Author
) -> Window:
    """A new window."""
    row = {"scope": scope, "reason": reason, "begins_at": begins_at, "ends_at": ends_at}
    made = {"project": author.project, "created_at": author.now, "created_by": author.account}
    return _window(connection.execute(insert(maintenance).values(row | made).returning(maintenance)).one())


def windows(
    connection: Connection, *, current: int | None = None, before: int | None = None, limit: int | None = None
) -> list[Window]:
    """The newest first; current: those open at this time; before: older than the one of this number."""
    query = select(maintenance).order_by(maintenance.c.id.desc()).limit(limit)
    if current is not None:
        query = query.where(maintenance.c.begins_at <= current, maintenance.c.ends_at > current)
    if before is not None:
        query = query.where(maintenance.c.id < before)
    return [_window(row) for row in connection.execute(query)]


def end_window(connection: Connection, number: int, *, now: int) -> bool:
    """Close a window now; False if it is over. One that has not begun is as if it had lasted no time."""
    query = update(maintenance).where(maintenance.c.id == number, maintenance.c.ends_at > now)
    begun = connection.execute(query.where(maintenance.c.begins_at < now).values(ends_at=now)).rowcount
    if begun:
        return True
    ahead = query.values(ends_at=maintenance.c.begins_at + 1, begins_at=maintenance.c.begins_at)
    return connection.execute(ahead.where(maintenance.c.begins_at >= now)).rowcount == 1


def find_window(connection: Connection, number: int) -> Window | None:
    """A window by its number."""
    row = connection.execute(select(maintenance).where(maintenance.c.id == number)).one_or_none()
    return None if row is None else _window(row)


def _window(row: Row[Any]) -> Window:
    return Window(
        id=row.id,
        project=row.project,
        scope=row.scope,
        reason=row.reason,
        begins_at=row.begins_at,
        ends_at=row.ends_at,
        created_at=row.created_at,
        created_by=row.created_by,
    )
