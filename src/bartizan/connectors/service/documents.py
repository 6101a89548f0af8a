"""What the service answers, as far as the client shows it. Members that are unknown here are passed over."""

from datetime import datetime
from typing import Any

import msgspec


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an answer; a service of a later version may say more."""


class Node(Document, frozen=True):
    """A node; state: how current its verdict is now."""

    id: str
    name: str
    role: str
    project: str
    state: str
    level: int
    contraindicated: bool
    attested: int
    attested_at: datetime | None
    due_at: datetime
    attempted_at: datetime | None
    refusal: str | None
    agent: str
    ek_name: str
    ak_name: str
    registered: bool
    pinned_bank: str
    enrolled_at: datetime
    enrolled_by: str
    approved_by: str | None
    retired_at: datetime | None


class Result(Document, frozen=True):
    """The verdict that stands."""

    node: str
    id: str
    first_at: datetime
    last_at: datetime
    due_at: datetime
    result: dict[str, Any]


class HistoryEntry(Document, frozen=True):
    """A former verdict."""

    number: int
    boot: int | None
    first_at: datetime
    last_at: datetime
    level: int
    contraindicated: bool


class JoinToken(Document, frozen=True):
    """What is known of a join token."""

    id: int
    name: str
    role: str
    created_at: datetime
    created_by: str
    expires_at: datetime
    used_at: datetime | None


class JoinTokenMade(Document, frozen=True):
    """A join token, the only time that it is shown."""

    token: str
    line: str
    made: JoinToken


class Self(Document, frozen=True):
    """Who asks."""

    account: str
    role: str
    every_project: bool


class Account(Document, frozen=True):
    """Who may use the service."""

    name: str
    role: str
    project: str
    password: bool
    disabled: bool
    created_at: datetime


class ApiToken(Document, frozen=True):
    """What is known of an API token."""

    id: int
    account: str
    label: str
    role: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class ApiTokenMade(Document, frozen=True):
    """An API token, the only time that it is shown."""

    token: str
    made: ApiToken
