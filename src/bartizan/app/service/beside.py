"""What people say beside a verdict: maintenance windows and acknowledged findings. Bounded, named, never part of it."""

from dataclasses import dataclass

from sqlalchemy import Connection

from bartizan.app.service.admission import DEFAULT_PROJECT_ID
from bartizan.app.service.changes import Deed, Who, change
from bartizan.app.service.check_names import known_check
from bartizan.app.service.refusals import Conflict, Missing, NotAllowed, Unfit
from bartizan.app.service.service import Service
from bartizan.model.node import Scope
from bartizan.store.acknowledgements import (
    Acknowledgement,
    acknowledgements,
    add_acknowledgement,
    end_acknowledgement,
    find_acknowledgement,
)
from bartizan.store.maintenance import Window, add_window, end_window, find_window, windows
from bartizan.store.nodes import NodeRow
from bartizan.store.rules import Author

DAY = 24 * 3600 * 1000
LONGEST_WINDOW, LONGEST_ACKNOWLEDGEMENT, FARTHEST = 30 * DAY, 90 * DAY, 366 * DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedWindow:
    """A window to open. Times in milliseconds since 1970 UTC; begins_at None: now."""

    scope: str
    reason: str
    begins_at: int | None
    ends_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedAcknowledgement:
    """A finding to acknowledge. path: None for every file."""

    check: str
    scope: str
    path: str | None
    reason: str
    expires_at: int


async def open_window(service: Service, who: Who, wanted: WantedWindow) -> Window:
    """A new maintenance window.

    Raises:
        Unfit: it is over before it begins, too long, or too far off.
    """
    now = service.clock().milliseconds
    begins = now if wanted.begins_at is None else wanted.begins_at
    if wanted.ends_at <= max(begins, now):
        raise Unfit("ends_at: a time to come, behind begins_at, expected")
    if wanted.ends_at - begins > LONGEST_WINDOW or begins > now + FARTHEST:
        raise Unfit(f"a window of at most {LONGEST_WINDOW // DAY} days that begins within a year expected")

    def run(connection: Connection, author: Author) -> Window:
        return add_window(
            connection,
            scope=wanted.scope,
            reason=wanted.reason,
            begins_at=begins,
            ends_at=wanted.ends_at,
            author=author,
        )

    return await change(
        service, who, run, lambda made: Deed("maintenance.open", made.scope, f"window {made.id}: {made.reason}")
    )


async def close_window(service: Service, who: Who, number: int) -> None:
    """End a window now.

    Raises:
        Missing: there is none. NotAllowed: it is another project's. Conflict: it is over.
    """

    def run(connection: Connection, author: Author) -> Window:
        found = find_window(connection, number)
        _theirs(who, None if found is None else found.project, f"maintenance window {number}")
        if found is None or not end_window(connection, number, now=author.now):
            raise Conflict(f"the maintenance window {number} is over already")
        return found

    await change(service, who, run, lambda found: Deed("maintenance.close", found.scope, f"window {number}"))


async def acknowledge(service: Service, who: Who, wanted: WantedAcknowledgement) -> Acknowledgement:
    """Acknowledge a finding for a time.

    Raises:
        Unfit: there is no such check, or the time is over or too long.
    """
    now = service.clock().milliseconds
    known_check(service.rules.rules, wanted.check)
    if not now < wanted.expires_at <= now + LONGEST_ACKNOWLEDGEMENT:
        raise Unfit(f"expires_at: a time within {LONGEST_ACKNOWLEDGEMENT // DAY} days expected")
    values = {"check": wanted.check, "scope": wanted.scope, "path": wanted.path, "reason": wanted.reason}

    def run(connection: Connection, author: Author) -> Acknowledgement:
        return add_acknowledgement(connection, values, expires_at=wanted.expires_at, author=author)

    def deed(made: Acknowledgement) -> Deed:
        return Deed("finding.acknowledge", made.scope, f"{made.id}, {made.check} {made.path or ''}: {made.reason}")

    return await change(service, who, run, deed)


async def withdraw_acknowledgement(service: Service, who: Who, number: int) -> None:
    """It counts no longer.

    Raises:
        Missing: there is none. NotAllowed: it is another project's. Conflict: it has ended.
    """

    def run(connection: Connection, author: Author) -> Acknowledgement:
        found = find_acknowledgement(connection, number)
        _theirs(who, None if found is None else found.project, f"acknowledgement {number}")
        if found is None or not end_acknowledgement(connection, number, now=author.now):
            raise Conflict(f"the acknowledgement {number} has ended already")
        return found

    await change(service, who, run, lambda found: Deed("finding.unacknowledge", found.scope, f"{number}"))


def seen_windows(connection: Connection, who: Who, *, current: int | None) -> list[Window]:
    """Windows that concern nodes which somebody sees."""
    return [one for one in windows(connection, current=current) if _concerns(who, one.project)]


def seen_acknowledgements(connection: Connection, who: Who, *, current: int | None) -> list[Acknowledgement]:
    """The same for acknowledgements."""
    return [one for one in acknowledgements(connection, current=current) if _concerns(who, one.project)]


def windows_of(node: NodeRow, some: list[Window]) -> list[Window]:
    """Those that a node is in."""
    return [one for one in some if scope_of(one.scope, one.project).covers(node.name, node.role, node.project_id)]


def acknowledged(node: NodeRow, check: str, path: str | None, some: list[Acknowledgement]) -> list[Acknowledgement]:
    """Those that speak of this check at this node; one for a file speaks only of that."""
    return [
        one
        for one in some
        if one.check == check
        and one.path in {None, path}
        and scope_of(one.scope, one.project).covers(node.name, node.role, node.project_id)
    ]


def scope_of(words: str, project: int) -> Scope:
    """What a scope's words mean, said from this project: from the default one, every project's nodes."""
    return Scope(words=words, project=None if project == DEFAULT_PROJECT_ID else project)


def _concerns(who: Who, project: int) -> bool:
    return who.whole or project in {DEFAULT_PROJECT_ID, who.project}


def _theirs(who: Who, project: int | None, what: str) -> None:
    if project is None or not _concerns(who, project):
        raise Missing(f"no {what}")
    if not who.whole and project != who.project:
        raise NotAllowed(f"the {what} was made for every project")
