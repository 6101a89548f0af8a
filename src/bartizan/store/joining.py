"""How nodes come in: join tokens, registered EKs, enrolments under way, reviews.

Every function takes the connection of its caller's transaction. Tokens are kept as their SHA-256 alone.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, true, update

from bartizan.store.parts import in_parts
from bartizan.store.rules import Author
from bartizan.store.tables import enrolment, join_token, registered_ek, review

AT_ONCE = 500
"""EK Names in one look-up."""
OPEN, APPROVED, REJECTED, CLOSED = "open", "approved", "rejected", "closed"
"""States of a review; one is closed when its approval was used, or when what it was about is no longer so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinToken:
    """What a join token allows. Times in milliseconds since 1970 UTC."""

    id: int
    project: int
    node_name: str
    role: str
    created_at: int
    created_by: str
    expires_at: int
    used_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredEk:
    """An EK accepted beforehand, by its Name. created_at: milliseconds since 1970 UTC."""

    id: int
    project: int
    ek_name: bytes
    node_name: str
    role: str
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingEnrolment:
    """An enrolment whose credential is out. request: as it came; secret: what must come back."""

    id: bytes
    request: bytes
    secret: bytes
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """An enrolment that a person has to decide. kind: what is unusual about it."""

    id: int
    project: int
    kind: str
    why: str
    node_name: str
    role: str
    ek_name: bytes
    ak_name: bytes
    state: str
    created_at: int
    decided_at: int | None
    decided_by: str | None
    reason: str | None


def token_digest(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).digest()


def add_token(
    connection: Connection, digest: bytes, *, node_name: str, role: str, expires_at: int, author: Author
) -> JoinToken:
    """A join token for one node."""
    row = {"digest": digest, "node_name": node_name, "role": role, "expires_at": expires_at} | _made(author)
    return _token(connection.execute(insert(join_token).values(row).returning(join_token)).one())


def find_token(connection: Connection, digest: bytes) -> JoinToken | None:
    """A token, used or not."""
    row = connection.execute(select(join_token).where(join_token.c.digest == digest)).one_or_none()
    return None if row is None else _token(row)


def find_join_token(connection: Connection, number: int, *, project_id: int | None) -> JoinToken | None:
    """A token of a project, or of any, by its number."""
    row = connection.execute(select(join_token).where(join_token.c.id == number)).one_or_none()
    return None if row is None or project_id not in {None, row.project} else _token(row)


def tokens(
    connection: Connection, *, project_id: int | None = None, before: int | None = None, limit: int | None = None
) -> list[JoinToken]:
    """Tokens, of a project or all, the newest first; before: those older than the one of this number."""
    query = select(join_token).order_by(join_token.c.id.desc()).limit(limit)
    if project_id is not None:
        query = query.where(join_token.c.project == project_id)
    if before is not None:
        query = query.where(join_token.c.id < before)
    return [_token(row) for row in connection.execute(query)]


def use_token(connection: Connection, number: int, *, now: int) -> bool:
    """Use a token up; False if somebody did before."""
    spent = update(join_token).where(join_token.c.id == number, join_token.c.used_at.is_(None)).values(used_at=now)
    return connection.execute(spent).rowcount == 1


def withdraw_token(connection: Connection, number: int, *, now: int) -> bool:
    """Make a token useless; False if there is none, or it was used, or is useless already."""
    query = update(join_token).where(join_token.c.id == number, join_token.c.used_at.is_(None))
    query = query.where(join_token.c.expires_at > now)
    return connection.execute(query.values(expires_at=now)).rowcount == 1


def register_eks(connection: Connection, rows: Iterable[tuple[bytes, str, str]], *, author: Author) -> int:
    """Accept EKs beforehand: EK Name, node name, role. Those known are passed over; returns how many are new."""
    new = {ek: {"ek_name": ek, "node_name": name, "role": role} | _made(author) for ek, name, role in rows}
    known = set[bytes]()
    for some in in_parts(list(new), AT_ONCE):
        query = select(registered_ek.c.ek_name).where(registered_ek.c.ek_name.in_(some))
        known.update(connection.execute(query).scalars())
    fresh = [row for ek, row in new.items() if ek not in known]
    if fresh:
        connection.execute(insert(registered_ek), fresh)
    return len(fresh)


def find_registered(connection: Connection, ek_name: bytes) -> RegisteredEk | None:
    """The registration of an EK."""
    row = connection.execute(select(registered_ek).where(registered_ek.c.ek_name == ek_name)).one_or_none()
    return None if row is None else _registered(row)


def drop_registered(connection: Connection, number: int, *, project_id: int | None) -> RegisteredEk | None:
    """Take back a registration of a project, or of any; None if there is none of that number."""
    own = true() if project_id is None else registered_ek.c.project == project_id
    gone = delete(registered_ek).where(registered_ek.c.id == number, own).returning(registered_ek)
    row = connection.execute(gone).one_or_none()
    return None if row is None else _registered(row)


def registered(
    connection: Connection, *, project_id: int | None = None, before: int | None = None, limit: int | None = None
) -> list[RegisteredEk]:
    """Registered EKs, of a project or all, the newest first; before: those older than the one of this number."""
    query = select(registered_ek).order_by(registered_ek.c.id.desc()).limit(limit)
    if project_id is not None:
        query = query.where(registered_ek.c.project == project_id)
    if before is not None:
        query = query.where(registered_ek.c.id < before)
    return [_registered(row) for row in connection.execute(query)]


def begin_enrolment(connection: Connection, pending: PendingEnrolment, *, now: int) -> None:
    """Remember an enrolment until its credential is answered; those that have expired are dropped."""
    connection.execute(delete(enrolment).where(enrolment.c.expires_at < now))
    row = {
        "id": pending.id,
        "request": pending.request,
        "secret": hashlib.sha256(pending.secret).digest(),
        "expires_at": pending.expires_at,
    }
    connection.execute(insert(enrolment).values(row))


def find_enrolment(connection: Connection, number: bytes, *, now: int) -> tuple[bytes, bytes] | None:
    """Request and SHA-256 of the secret of an enrolment that may still be answered."""
    row = connection.execute(select(enrolment).where(enrolment.c.id == number)).one_or_none()
    return None if row is None or row.expires_at < now else (row.request, row.secret)


def drop_enrolment(connection: Connection, number: bytes) -> None:
    """A wrong answer ends an enrolment."""
    connection.execute(delete(enrolment).where(enrolment.c.id == number))


def find_review(connection: Connection, *, ek_name: bytes, ak_name: bytes, node_name: str, role: str) -> Review | None:
    """The newest review of exactly these keys under this name and role that is not closed."""
    query = select(review).where(
        review.c.ek_name == ek_name, review.c.ak_name == ak_name, review.c.node_name == node_name, review.c.role == role
    )
    row = connection.execute(query.where(review.c.state != CLOSED).order_by(review.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else _review(row)


def add_review(connection: Connection, new: dict[str, Any], *, author: Author) -> Review:
    """Put an enrolment before a person. new: kind, why, node_name, role, ek_name, ak_name."""
    row = new | {"state": OPEN} | _made(author)
    return _review(connection.execute(insert(review).values(row).returning(review)).one())


def decide_review(connection: Connection, number: int, *, state: str, by: str, reason: str, now: int) -> Review | None:
    """Decide an open review; None if there is none of that number, or it was decided."""
    query = update(review).where(review.c.id == number, review.c.state == OPEN)
    decided = query.values(state=state, decided_at=now, decided_by=by, reason=reason, approver=by).returning(review)
    row = connection.execute(decided).one_or_none()
    return None if row is None else _review(row)


def close_review(connection: Connection, number: int) -> None:
    """A review counts no more: an approval lets in once, or what was asked is another question by now."""
    connection.execute(update(review).where(review.c.id == number, review.c.state != REJECTED).values(state=CLOSED))


def close_overtaken(connection: Connection, *, ek_name: bytes, node_name: str | None, reason: str, now: int) -> None:
    """Reviews of this EK, or of this name where one is given, count no more: what they ask is decided otherwise."""
    about = review.c.ek_name == ek_name
    if node_name is not None:
        about |= review.c.node_name == node_name
    query = update(review).where(about, review.c.state.in_((OPEN, APPROVED)))
    connection.execute(query.values(state=CLOSED, reason=reason, decided_at=now))


def reviews(connection: Connection, *, state: str | None) -> list[Review]:
    """Reviews in a state, or all, the newest first."""
    query = select(review).order_by(review.c.id.desc())
    return [
        _review(row) for row in connection.execute(query if state is None else query.where(review.c.state == state))
    ]


def review_numbered(connection: Connection, number: int, *, project_id: int | None) -> Review | None:
    """A review of a project, or of any, by its number."""
    row = connection.execute(select(review).where(review.c.id == number)).one_or_none()
    return None if row is None or project_id not in {None, row.project} else _review(row)


def open_reviews(connection: Connection, *, ek_name: bytes | None = None) -> int:
    """How many wait for a person, of everybody or of one EK."""
    own = true() if ek_name is None else review.c.ek_name == ek_name
    return _count(connection, (review.c.state == OPEN) & own)


def _count(connection: Connection, condition: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).where(condition)).scalar_one())


def _made(author: Author) -> dict[str, Any]:
    return {"project": author.project, "created_at": author.now, "created_by": author.account}


def _token(row: Row[Any]) -> JoinToken:
    return JoinToken(
        id=row.id,
        project=row.project,
        node_name=row.node_name,
        role=row.role,
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        used_at=row.used_at,
    )


def _registered(row: Row[Any]) -> RegisteredEk:
    return RegisteredEk(
        id=row.id,
        project=row.project,
        ek_name=row.ek_name,
        node_name=row.node_name,
        role=row.role,
        created_at=row.created_at,
    )


def _review(row: Row[Any]) -> Review:
    return Review(
        id=row.id,
        project=row.project,
        kind=row.kind,
        why=row.why,
        node_name=row.node_name,
        role=row.role,
        ek_name=row.ek_name,
        ak_name=row.ak_name,
        state=row.state,
        created_at=row.created_at,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
        reason=row.reason,
    )
