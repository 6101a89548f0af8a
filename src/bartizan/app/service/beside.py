"""What people say beside a verdict: maintenance windows and acknowledged findings. Bounded, named, never part of it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from bartizan.app.service.admission import DEFAULT_PROJECT_ID
from bartizan.app.service.changes import Deed, Who, change
from bartizan.app.service.refusals import Conflict, Missing, NotAllowed, Unfit
from bartizan.app.service.service import Service
from bartizan.model.node import Scope
from bartizan.model.statement import Statement, StatementKind
from bartizan.store.nodes import NodeRow
from bartizan.store.rules import Author
from bartizan.store.statements import add_statement, end_statement, find_statement, statements

DAY = 24 * 3600 * 1000
FARTHEST = 366 * DAY
LONGEST: Mapping[StatementKind, int] = {StatementKind.MAINTENANCE: 30 * DAY, StatementKind.ACKNOWLEDGEMENT: 90 * DAY}
NAMES: Mapping[StatementKind, str] = {
    StatementKind.MAINTENANCE: "maintenance window",
    StatementKind.ACKNOWLEDGEMENT: "acknowledgement",
}
OPENED: Mapping[StatementKind, str] = {
    StatementKind.MAINTENANCE: "maintenance.open",
    StatementKind.ACKNOWLEDGEMENT: "finding.acknowledge",
}
ENDED: Mapping[StatementKind, str] = {
    StatementKind.MAINTENANCE: "maintenance.close",
    StatementKind.ACKNOWLEDGEMENT: "finding.unacknowledge",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Something to say. Times in milliseconds since 1970 UTC; begins_at None: now; check, path: as in `Statement`."""

    kind: StatementKind
    scope: str
    reason: str
    ends_at: int
    begins_at: int | None = None
    check: str | None = None
    path: str | None = None


async def state(service: Service, who: Who, wanted: Wanted) -> Statement:
    """A new statement, signed by the service for who makes it.

    Raises:
        Unfit: there is no such check, it is over before it begins, too long, or too far off.
    """
    now = service.clock()
    at = now.milliseconds
    begins = at if wanted.begins_at is None else wanted.begins_at
    _check(service, wanted, begins, at)
    plain = Statement(
        kind=wanted.kind,
        project=who.project,
        scope=wanted.scope,
        check=wanted.check,
        path=wanted.path,
        reason=wanted.reason,
        begins_at=begins,
        ends_at=wanted.ends_at,
        created_at=at,
        created_by=who.account,
    )
    signed = await asyncio.to_thread(service.statements.signed, plain, now)

    def run(connection: Connection, _: Author) -> Statement:
        return add_statement(connection, signed)

    return await change(service, who, run, _said)


def _check(service: Service, wanted: Wanted, begins: int, now: int) -> None:
    longest = LONGEST[wanted.kind]
    if wanted.check is not None and wanted.check not in service.rules.rules.catalogue:
        raise Unfit(f"check: {wanted.check!a} is none; see docs/reference/checks.md")
    if wanted.ends_at <= max(begins, now):
        raise Unfit("ends_at: a time to come, behind begins_at, expected")
    if wanted.ends_at - begins > longest or begins > now + FARTHEST:
        raise Unfit(f"ends_at: at most {longest // DAY} days behind begins_at, and that within a year, expected")


def _said(made: Statement) -> Deed:
    about = f"{made.check} {made.path or ''}".strip() + ", " if made.check else ""
    return Deed(OPENED[made.kind], made.scope, f"{NAMES[made.kind]} {made.id}, {about}{made.reason}")


async def end(service: Service, who: Who, kind: StatementKind, number: int) -> None:
    """It counts no longer; one that has not begun never does.

    Raises:
        Missing: there is none. NotAllowed: it is another project's. Conflict: it is over, or does not count anyhow.
    """
    now = service.clock()
    found = await service.read(lambda connection: _ending(connection, service, who, kind, number))
    shortest = 1 if kind is StatementKind.MAINTENANCE else 0  # its table holds no window without any length
    ends = max(now.milliseconds, found.begins_at + shortest)
    if found.ends_at <= ends:
        raise Conflict(f"the {NAMES[kind]} {number} is over already")
    signed = await asyncio.to_thread(service.statements.signed, replace(found, ends_at=ends), now)

    def run(connection: Connection, _: Author) -> Statement:
        if not end_statement(connection, signed, before=found):
            raise Conflict(f"the {NAMES[kind]} {number} was changed meanwhile")
        return signed

    await change(service, who, run, lambda ended: Deed(ENDED[kind], ended.scope, f"{NAMES[kind]} {number}"))


def _ending(connection: Connection, service: Service, who: Who, kind: StatementKind, number: int) -> Statement:
    found = find_statement(connection, kind, number)
    if found is None or not _concerns(who, found.project):
        raise Missing(f"no {NAMES[kind]} {number}")
    if not who.whole and found.project != who.project:
        raise NotAllowed(f"the {NAMES[kind]} {number} was made for every project")
    if not service.statements.believed(found):
        raise Conflict(f"the {NAMES[kind]} {number} was not signed by this service as it stands: it counts for nothing")
    return found


def seen(
    connection: Connection, service: Service, who: Who, kind: StatementKind, *, current: int | None
) -> list[Statement]:
    """What was said of nodes which somebody sees, as far as this service signed it; current: what counts then."""
    return [
        one
        for one in statements(connection, kind)
        if _concerns(who, one.project) and (current is None or one.counts(current)) and service.statements.believed(one)
    ]


def about(node: NodeRow, some: list[Statement]) -> list[Statement]:
    """Those that a node is in."""
    return [one for one in some if scope_of(one.scope, one.project).covers(node.name, node.role, node.project_id)]


def acknowledged(node: NodeRow, check: str, path: str | None, some: list[Statement]) -> list[Statement]:
    """Those that speak of this check at this node; one for a file speaks only of that."""
    return [one for one in about(node, some) if one.check == check and one.path in {None, path}]


def scope_of(words: str, project: int) -> Scope:
    """What a scope's words mean, said from this project: from the default one, every project's nodes."""
    return Scope(words=words, project=None if project == DEFAULT_PROJECT_ID else project)


def _concerns(who: Who, project: int) -> bool:
    return who.whole or project in {DEFAULT_PROJECT_ID, who.project}
