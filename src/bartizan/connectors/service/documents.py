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


class JoinTokenWanted(Document, frozen=True):
    """A join token to make."""

    name: str
    role: str
    hours: int


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


class ApiTokenWanted(Document, frozen=True):
    """An API token to make; account None: the asker's own."""

    label: str
    role: str
    account: str | None
    days: int


class ApiTokenMade(Document, frozen=True):
    """An API token, the only time that it is shown."""

    token: str
    made: ApiToken


class Registered(Document, frozen=True):
    """How many keys were registered."""

    new: int


class Review(Document, frozen=True):
    """An enrolment that waits for a person, or waited."""

    id: int
    kind: str
    why: str
    name: str
    role: str
    ek_name: str
    ak_name: str
    state: str
    created_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    reason: str | None


class Statement(Document, frozen=True):
    """What somebody says of nodes, for a time: a maintenance window, or an acknowledgement, which has a check."""

    id: int
    check: str | None
    path: str | None
    scope: str
    reason: str
    begins_at: datetime
    ends_at: datetime
    created_at: datetime
    created_by: str


class Finding(Document, frozen=True):
    """A check that is not in order at a node; count: how often."""

    check: str
    title: str
    tier: str
    count: int
    path: str | None
    why: str
    fix: str
    keeps_down: bool
    acknowledged: list[Statement]


class NodeFindings(Document, frozen=True):
    """What is not in order at a node, and the windows that it is in."""

    node: str
    maintenance: list[Statement]
    items: list[Finding]


class FindingGroup(Document, frozen=True):
    """A check that is not in order at some nodes."""

    check: str
    title: str
    tier: str
    nodes: int
    example: str
    path: str | None
    why: str
    fix: str


class FindingGroups(Document, frozen=True):
    """What is not in order in the fleet."""

    items: list[FindingGroup]


class GapItem(Document, frozen=True):
    """A check that keeps nodes at a level from the next one."""

    check: str
    title: str
    level: int
    nodes: int
    roles: dict[str, int]
    example: str
    why: str
    fix: str


class Gap(Document, frozen=True):
    """What keeps the fleet down."""

    nodes: int
    unattested: int
    levels: dict[str, int]
    items: list[GapItem]


class Alarm(Document, frozen=True):
    """An alarm about the service as a whole."""

    id: int
    kind: str
    why: str
    raised_at: datetime
    cleared_at: datetime | None


class Reappraisal(Document, frozen=True):
    """How far judging everybody anew has come."""

    total: int
    done: int
    changed: int
    begun_at: datetime | None
    ended_at: datetime | None


class Policy(Document, frozen=True):
    """A version of a policy."""

    id: int
    name: str
    version: int
    digest: str
    active: bool
    created_at: datetime
    created_by: str
    approved_by: str | None


class PolicyText(Document, frozen=True):
    """The same with its document."""

    policy: Policy
    document: str


class Reference(Document, frozen=True):
    """A version of a set of Reference Values."""

    id: int
    name: str
    version: int
    digest: str
    state: str
    created_at: datetime
    created_by: str
    changed_at: datetime
    approved_by: str | None


class AuditEntry(Document, frozen=True):
    """Something that somebody did."""

    id: int
    at: datetime
    account: str
    role: str
    address: str
    action: str
    target: str
    detail: str


class StepTried(msgspec.Struct, frozen=True, kw_only=True):
    """The state that a set is tried in."""

    to: str


class Standing(Document, frozen=True):
    """Nodes at each level, and how many are contraindicated."""

    levels: dict[str, int]
    contraindicated: int


class Moved(Document, frozen=True):
    """A node that would stand elsewhere by the rules that were tried."""

    node: str
    before: int
    after: int
    contraindicated_before: bool
    contraindicated_after: bool
    worse: bool
    check: str
    why: str


class Trial(Document, frozen=True):
    """How far a trial is; the last line, `ended`, names nodes."""

    ended: bool
    total: int
    done: int
    unjudged: int
    worse: int
    better: int
    before: Standing
    after: Standing
    moved: list[Moved]
