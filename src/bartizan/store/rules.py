"""Policies and Reference Value sets as the service keeps them: every version, which is in force, who made it.

Every function takes the connection of its caller's transaction.
"""

import hashlib
import zlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, literal, select, update

from bartizan.model.reference import ReferenceState
from bartizan.store.generations import Held, bump
from bartizan.store.tables import policy, reference_set

NO_DOCUMENT = zlib.compress(b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPolicy:
    """One version of a policy. document: TOML; digest: its SHA-256."""

    id: int
    name: str
    version: int
    digest: bytes
    document: bytes
    active: bool
    created_at: int
    created_by: str
    approver: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSet:
    """One version of a Reference Value set. document: its canonical JSON in its present state; digest: of that."""

    id: int
    name: str
    version: int
    digest: bytes
    document: bytes
    state: str
    created_at: int
    changed_at: int
    created_by: str
    approver: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who puts something in, for which project, and when (milliseconds since 1970 UTC)."""

    project: int
    account: str
    now: int


def add_policy(connection: Connection, name: str, document: bytes, *, author: Author) -> StoredPolicy:
    """A new version of a policy; it is not in force yet."""
    version = _next_version(connection, policy.c.version, policy.c.name == name)
    row = {
        "name": name,
        "version": version,
        "digest": hashlib.sha256(document).digest(),
        "document": zlib.compress(document),
        "active": False,
        "project": author.project,
        "created_at": author.now,
        "created_by": author.account,
    }
    return _policy(connection.execute(insert(policy).values(row).returning(policy)).one())


def activate_policy(connection: Connection, number: int | None, *, approver: str | None = None) -> None:
    """Put a policy in force instead of the one that is; None for the one that ships with Bartizan."""
    bump(connection, Held.RULES)
    connection.execute(update(policy).where(policy.c.active).values(active=False))
    if number is not None:
        connection.execute(update(policy).where(policy.c.id == number).values(active=True, approver=approver))


def active_policy(connection: Connection) -> StoredPolicy | None:
    """The policy in force; None where it is the one that ships with Bartizan."""
    row = connection.execute(select(policy).where(policy.c.active)).one_or_none()
    return None if row is None else _policy(row)


def policies(connection: Connection, *, before: int | None = None, limit: int | None = None) -> list[StoredPolicy]:
    """Every version of every policy, the newest first; before: those older than the one of this number."""
    query = select(policy).order_by(policy.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(policy.c.id < before)
    return [_policy(row) for row in connection.execute(query)]


def find_policy(connection: Connection, number: int) -> StoredPolicy | None:
    """A policy by its number."""
    row = connection.execute(select(policy).where(policy.c.id == number)).one_or_none()
    return None if row is None else _policy(row)


def add_set(connection: Connection, name: str, document: bytes, state: ReferenceState, *, author: Author) -> StoredSet:
    """A new version of a set."""
    bump(connection, Held.RULES)
    version = _next_version(connection, reference_set.c.version, reference_set.c.name == name)
    row = {
        "name": name,
        "version": version,
        "digest": hashlib.sha256(document).digest(),
        "document": zlib.compress(document),
        "state": state.value,
        "changed_at": author.now,
        "project": author.project,
        "created_at": author.now,
        "created_by": author.account,
    }
    return _set(connection.execute(insert(reference_set).values(row).returning(reference_set)).one())


def change_set(
    connection: Connection, number: int, document: bytes, state: ReferenceState, *, approver: str | None, now: int
) -> None:
    """A set in another state of its life; its document says so as well."""
    values: dict[str, object] = {
        "document": zlib.compress(document),
        "digest": hashlib.sha256(document).digest(),
        "state": state.value,
        "changed_at": now,
    }
    if approver is not None:
        values["approver"] = approver
    bump(connection, Held.RULES)
    connection.execute(update(reference_set).where(reference_set.c.id == number).values(values))


def stored_sets(connection: Connection) -> list[StoredSet]:
    """Every set that says anything about machines: approved, retired and revoked ones, in the order they came."""
    query = select(reference_set).where(reference_set.c.state != ReferenceState.PROPOSED.value)
    return [_set(row) for row in connection.execute(query.order_by(reference_set.c.id))]


def listed_sets(connection: Connection, *, before: int | None, limit: int) -> list[StoredSet]:
    """Every version of every set without its document, the newest first; before: older than the one of this number."""
    columns = [column for column in reference_set.c if column.name != "document"]
    query = select(*columns, literal(NO_DOCUMENT).label("document")).order_by(reference_set.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(reference_set.c.id < before)
    return [_set(row) for row in connection.execute(query)]


def find_set(connection: Connection, number: int) -> StoredSet | None:
    """A set by its number."""
    row = connection.execute(select(reference_set).where(reference_set.c.id == number)).one_or_none()
    return None if row is None else _set(row)


def _next_version(connection: Connection, column: Any, condition: Any) -> int:  # noqa: ANN401  # SQL expressions
    return int(connection.execute(select(func.coalesce(func.max(column), 0)).where(condition)).scalar_one()) + 1


def _policy(row: Row[Any]) -> StoredPolicy:
    return StoredPolicy(
        id=row.id,
        name=row.name,
        version=row.version,
        digest=row.digest,
        document=zlib.decompress(row.document),
        active=row.active,
        created_at=row.created_at,
        created_by=row.created_by,
        approver=row.approver,
    )


def _set(row: Any) -> StoredSet:  # noqa: ANN401  # a row of either query
    return StoredSet(
        id=row.id,
        name=row.name,
        version=row.version,
        digest=row.digest,
        document=zlib.decompress(row.document),
        state=row.state,
        created_at=row.created_at,
        changed_at=row.changed_at,
        created_by=row.created_by,
        approver=row.approver,
    )
