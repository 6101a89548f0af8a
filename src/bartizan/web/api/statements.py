"""What people say beside verdicts, for a time: maintenance windows, acknowledged findings. No verdict changes by it."""

from datetime import datetime

import msgspec
from litestar import delete, get, post
from litestar.params import FromQuery, JSONBody

from bartizan.app.service.beside import Wanted, end, seen, state
from bartizan.app.service.changes import Who
from bartizan.app.service.service import Service
from bartizan.model.statement import Statement, StatementKind
from bartizan.web.api.asked import Asked
from bartizan.web.api.caller import Asker, Serving
from bartizan.web.api.operation import Described
from bartizan.web.api.paging import before_number, newest_first, part
from bartizan.web.api.shapes import (
    Body,
    Cursor,
    Label,
    Limit,
    Moment,
    Number,
    Page,
    Reason,
    ScopeWords,
    milliseconds,
    moment,
)


class WindowWanted(Body, frozen=True):
    """A maintenance window: at most 30 days. begins_at: now, where it is left out."""

    scope: ScopeWords
    reason: Reason
    ends_at: Moment
    begins_at: Moment | None = None


class AcknowledgementWanted(Body, frozen=True):
    """What is acknowledged from now on, until when: at most 90 days. path: this file only."""

    check: Label
    scope: ScopeWords
    reason: Reason
    ends_at: Moment
    path: Reason | None = None


class StatementShown(msgspec.Struct, frozen=True, kw_only=True):
    """A maintenance window or an acknowledgement, which has a check. ends_at: also of one that was ended before."""

    id: int
    check: str | None
    path: str | None
    scope: str
    reason: str
    begins_at: datetime
    ends_at: datetime
    created_at: datetime
    created_by: str


@get("/maintenance", operation_id="list_maintenance", operation_class=Described, summary="List", tags=["maintenance"])
async def list_maintenance(
    request: Asked,
    service: Serving,
    who: Asker,
    current: FromQuery[bool] = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[StatementShown]:
    """Maintenance windows, the newest first; current: only those open now."""
    rows = await _seen(service, who, StatementKind.MAINTENANCE, current=current)
    return _page(request, rows, order="maintenance", limit=limit, cursor=cursor)


@get(
    "/acknowledgements",
    operation_id="list_acknowledgements",
    operation_class=Described,
    summary="List",
    tags=["findings"],
)
async def list_acknowledgements(
    request: Asked,
    service: Serving,
    who: Asker,
    current: FromQuery[bool] = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[StatementShown]:
    """Acknowledgements, the newest first; current: only those that count now."""
    rows = await _seen(service, who, StatementKind.ACKNOWLEDGEMENT, current=current)
    return _page(request, rows, order="acknowledgements", limit=limit, cursor=cursor)


@post("/maintenance", operation_id="open_maintenance", operation_class=Described, summary="Open", tags=["maintenance"])
async def open_maintenance(service: Serving, who: Asker, data: JSONBody[WindowWanted]) -> StatementShown:
    """Open a maintenance window. It is signed by the service."""
    wanted = Wanted(
        kind=StatementKind.MAINTENANCE,
        scope=data.scope,
        reason=data.reason,
        begins_at=None if data.begins_at is None else milliseconds(data.begins_at),
        ends_at=milliseconds(data.ends_at),
    )
    return statement_shown(await state(service, who, wanted))


@post(
    "/acknowledgements",
    operation_id="acknowledge_finding",
    operation_class=Described,
    summary="Acknowledge",
    tags=["findings"],
)
async def acknowledge_finding(service: Serving, who: Asker, data: JSONBody[AcknowledgementWanted]) -> StatementShown:
    """Acknowledge what a check says of some nodes, for a time. It is signed by the service."""
    wanted = Wanted(
        kind=StatementKind.ACKNOWLEDGEMENT,
        scope=data.scope,
        reason=data.reason,
        check=data.check,
        path=data.path,
        ends_at=milliseconds(data.ends_at),
    )
    return statement_shown(await state(service, who, wanted))


@delete(
    "/maintenance/{number:int}",
    operation_id="close_maintenance",
    operation_class=Described,
    summary="Close",
    tags=["maintenance"],
)
async def close_maintenance(service: Serving, who: Asker, number: Number) -> None:
    """End a maintenance window now."""
    await end(service, who, StatementKind.MAINTENANCE, number)


@delete(
    "/acknowledgements/{number:int}",
    operation_id="withdraw_acknowledgement",
    operation_class=Described,
    summary="Withdraw",
    tags=["findings"],
)
async def withdraw_acknowledgement(service: Serving, who: Asker, number: Number) -> None:
    """Make an acknowledgement count no longer."""
    await end(service, who, StatementKind.ACKNOWLEDGEMENT, number)


def statement_shown(row: Statement) -> StatementShown:
    """A statement as it is shown."""
    return StatementShown(
        id=_number(row),
        check=row.check,
        path=row.path,
        scope=row.scope,
        reason=row.reason,
        begins_at=moment(row.begins_at),
        ends_at=moment(row.ends_at),
        created_at=moment(row.created_at),
        created_by=row.created_by,
    )


async def _seen(service: Service, who: Who, kind: StatementKind, *, current: bool) -> list[Statement]:
    at = service.clock().milliseconds if current else None
    return await service.read(lambda connection: seen(connection, service, who, kind, current=at))


def _page(
    request: Asked, every: list[Statement], *, order: str, limit: int, cursor: str | None
) -> Page[StatementShown]:
    rows = part(every, _number, before=before_number(cursor, order), limit=limit)
    return newest_first(request, rows, statement_shown, order=order, limit=limit, number=_number)


def _number(row: Statement) -> int:
    return row.id or 0


ROUTES = (
    list_maintenance,
    open_maintenance,
    close_maintenance,
    list_acknowledgements,
    acknowledge_finding,
    withdraw_acknowledgement,
)
