"""Projects, accounts, API tokens, sessions, and the audit of what people did. It checks no password.

Every function takes the connection of its caller's transaction. Tokens and sessions are kept as their SHA-256 alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from bartizan.model.node import Role
from bartizan.store.alone import Alone, serially
from bartizan.store.rules import Author
from bartizan.store.tables import account, api_token, audit, project, session

DEFAULT_PROJECT_NAME = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who may use the service. password: as `app.service.passwords` writes it; None: tokens only."""

    id: int
    project: int
    name: str
    role: Role
    password: str | None
    disabled: bool
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token of an account, with a role that is no more than its account's."""

    id: int
    account: int
    label: str
    role: Role
    created_at: int
    expires_at: int | None
    revoked_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiToken:
    """A token to make. digest: SHA-256 of it."""

    account: int
    label: str
    digest: bytes
    role: Role
    expires_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A person signed in at a browser. digest: of its cookie; csrf: SHA-256 of what changes must come with."""

    digest: bytes
    account: int
    csrf: bytes
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Something that somebody did."""

    id: int
    at: int
    account: str
    role: str
    address: str
    action: str
    target: str
    detail: str


def ensure_default_project(connection: Connection) -> int:
    """The project that everything belongs to until there are others; it has the first number."""
    serially(connection, Alone.SCHEMA)
    return ensure_project(connection, DEFAULT_PROJECT_NAME)


def ensure_project(connection: Connection, name: str) -> int:
    """The number of a project, which is made if there is none of that name."""
    known = connection.execute(select(project.c.id).where(project.c.name == name)).scalar_one_or_none()
    if known is not None:
        return int(known)
    return int(connection.execute(insert(project).values(name=name).returning(project.c.id)).scalar_one())


def projects(connection: Connection) -> dict[int, str]:
    """The names of the projects by their numbers."""
    return {row.id: row.name for row in connection.execute(select(project))}


def add_account(connection: Connection, name: str, role: Role, *, password: str | None, author: Author) -> Account:
    """A new account.

    Raises:
        sqlalchemy.exc.IntegrityError: there is one of that name.
    """
    row = {
        "name": name,
        "role": role.value,
        "password": password,
        "disabled": False,
        "project": author.project,
        "created_at": author.now,
        "created_by": author.account,
    }
    return _account(connection.execute(insert(account).values(row).returning(account)).one())


def change_account(connection: Connection, number: int, **values: object) -> None:
    """Other values in some columns: role, password, disabled."""
    connection.execute(update(account).where(account.c.id == number).values(values))


def accounts(connection: Connection) -> list[Account]:
    """Every account."""
    return [_account(row) for row in connection.execute(select(account).order_by(account.c.id))]


def find_account(connection: Connection, *, name: str | None = None, number: int | None = None) -> Account | None:
    """An account by its name or number."""
    condition = account.c.name == name if name is not None else account.c.id == number
    row = connection.execute(select(account).where(condition)).one_or_none()
    return None if row is None else _account(row)


def add_api_token(connection: Connection, new: NewApiToken, *, author: Author) -> ApiToken:
    """A new token of an account."""
    row = {
        "account": new.account,
        "label": new.label,
        "digest": new.digest,
        "role": new.role.value,
        "expires_at": new.expires_at,
        "project": author.project,
        "created_at": author.now,
        "created_by": author.account,
    }
    return _api_token(connection.execute(insert(api_token).values(row).returning(api_token)).one())


def find_api_token(connection: Connection, digest: bytes) -> tuple[ApiToken, Account] | None:
    """A token and its account, whether or not it still counts."""
    token = connection.execute(select(api_token).where(api_token.c.digest == digest)).one_or_none()
    if token is None:
        return None
    owner = connection.execute(select(account).where(account.c.id == token.account)).one()
    return _api_token(token), _account(owner)


def api_tokens(connection: Connection) -> list[ApiToken]:
    """Every token, the newest first."""
    return [_api_token(row) for row in connection.execute(select(api_token).order_by(api_token.c.id.desc()))]


def revoke_api_token(connection: Connection, number: int, *, now: int) -> bool:
    """Make a token useless; False if there is none, or it was revoked."""
    query = update(api_token).where(api_token.c.id == number, api_token.c.revoked_at.is_(None))
    return connection.execute(query.values(revoked_at=now)).rowcount == 1


def add_session(connection: Connection, new: Session, *, now: int) -> None:
    """Somebody signed in; sessions that have expired are dropped."""
    connection.execute(delete(session).where(session.c.expires_at < now))
    row = {"digest": new.digest, "account": new.account, "csrf": new.csrf, "expires_at": new.expires_at}
    connection.execute(insert(session).values(row | {"created_at": now}))


def find_session(connection: Connection, digest: bytes) -> tuple[Session, Account] | None:
    """A session and its account, whether or not it still counts."""
    row = connection.execute(select(session).where(session.c.digest == digest)).one_or_none()
    if row is None:
        return None
    owner = connection.execute(select(account).where(account.c.id == row.account)).one()
    return Session(digest=digest, account=row.account, csrf=row.csrf, expires_at=row.expires_at), _account(owner)


def end_session(connection: Connection, digest: bytes) -> None:
    """Somebody signed out."""
    connection.execute(delete(session).where(session.c.digest == digest))


def end_sessions(connection: Connection, account_id: int) -> None:
    """An account's sessions end: its password, role or state has changed."""
    connection.execute(delete(session).where(session.c.account == account_id))


def add_audit(connection: Connection, entry: dict[str, Any]) -> int:
    """Something that somebody did. entry: the fields of `AuditEntry` but its number."""
    return int(connection.execute(insert(audit).values(entry).returning(audit.c.id)).scalar_one())


def audit_after(connection: Connection, number: int, *, limit: int) -> Iterator[AuditEntry]:
    """Entries behind this number, in their order."""
    query = select(audit).where(audit.c.id > number).order_by(audit.c.id).limit(limit)
    for row in connection.execute(query):
        yield AuditEntry(**row._mapping)  # noqa: SLF001  SQLAlchemy's public name begins like this


def _account(row: Row[Any]) -> Account:
    return Account(
        id=row.id,
        project=row.project,
        name=row.name,
        role=Role(row.role),
        password=row.password,
        disabled=row.disabled,
        created_at=row.created_at,
    )


def _api_token(row: Row[Any]) -> ApiToken:
    return ApiToken(
        id=row.id,
        account=row.account,
        label=row.label,
        role=Role(row.role),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
