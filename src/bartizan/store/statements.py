"""What people say beside verdicts, as rows; who signed is not looked at. The caller's connection, and transaction."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, Table, insert, select, update

from bartizan.model.statement import Statement, StatementKind
from bartizan.store.tables import acknowledgement, maintenance

TABLES: Mapping[StatementKind, Table] = {
    StatementKind.MAINTENANCE: maintenance,
    StatementKind.ACKNOWLEDGEMENT: acknowledgement,
}


def add_statement(connection: Connection, made: Statement) -> Statement:
    """The same with its number."""
    row: dict[str, Any] = {"scope": made.scope, "reason": made.reason, "signature": made.signature}
    row |= {"project": made.project, "created_at": made.created_at, "created_by": made.created_by}
    if made.kind is StatementKind.MAINTENANCE:
        row |= {"begins_at": made.begins_at, "ends_at": made.ends_at}
    else:
        row |= {"check": made.check, "path": made.path, "expires_at": made.ends_at}
    table = TABLES[made.kind]
    return replace(made, id=connection.execute(insert(table).values(row).returning(table.c.id)).scalar_one())


def statements(connection: Connection, kind: StatementKind) -> list[Statement]:
    """All of a kind, the newest first."""
    table = TABLES[kind]
    return [_shaped(kind, row) for row in connection.execute(select(table).order_by(table.c.id.desc()))]


def find_statement(connection: Connection, kind: StatementKind, number: int) -> Statement | None:
    """One by its number."""
    table = TABLES[kind]
    row = connection.execute(select(table).where(table.c.id == number)).one_or_none()
    return None if row is None else _shaped(kind, row)


def end_statement(connection: Connection, ended: Statement, *, before: Statement) -> bool:
    """Put its new end and signature in place of those of before; False if somebody else changed the row meanwhile."""
    table = TABLES[ended.kind]
    if ended.id is None or find_statement(connection, ended.kind, ended.id) != before:
        return False
    column = table.c.ends_at if ended.kind is StatementKind.MAINTENANCE else table.c.ended_at
    new = {column: ended.ends_at, table.c.signature: ended.signature}
    return connection.execute(update(table).where(table.c.id == ended.id).values(new)).rowcount == 1


def _shaped(kind: StatementKind, row: Row[Any]) -> Statement:
    window = kind is StatementKind.MAINTENANCE
    return Statement(
        kind=kind,
        id=row.id,
        project=row.project,
        scope=row.scope,
        check=None if window else row.check,
        path=None if window else row.path,
        reason=row.reason,
        begins_at=row.begins_at if window else row.created_at,
        ends_at=row.ends_at if window else row.expires_at if row.ended_at is None else row.ended_at,
        created_at=row.created_at,
        created_by=row.created_by,
        signature=row.signature,
    )
