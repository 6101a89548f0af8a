"""Maintenance windows: who works on what until when, and why. Shown beside findings; no verdict changes by it."""

from datetime import datetime

import msgspec
from litestar import delete, get, post
from litestar.params import FromQuery, JSONBody

from bartizan.app.service.beside import WantedWindow, close_window, open_window, seen_windows
from bartizan.store.maintenance import Window
from bartizan.web.api.asked import Asked
from bartizan.web.api.caller import Asker, Serving
from bartizan.web.api.operation import Described
from bartizan.web.api.paging import before_number, newest_first, part
from bartizan.web.api.shapes import (
    Body,
    Cursor,
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
    """A window: at most 30 days. begins_at: now, where it is left out."""

    scope: ScopeWords
    reason: Reason
    ends_at: Moment
    begins_at: Moment | None = None


class WindowShown(msgspec.Struct, frozen=True, kw_only=True):
    """A maintenance window."""

    id: int
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
) -> Page[WindowShown]:
    """Maintenance windows, the newest first; current: only those open now."""
    at = service.clock().milliseconds if current else None
    every = await service.read(lambda connection: seen_windows(connection, who, current=at))
    rows = part(every, _number, before=before_number(cursor, "maintenance"), limit=limit)
    return newest_first(request, rows, window_shown, order="maintenance", limit=limit, number=_number)


@post("/maintenance", operation_id="open_maintenance", operation_class=Described, summary="Open", tags=["maintenance"])
async def open_maintenance(service: Serving, who: Asker, data: JSONBody[WindowWanted]) -> WindowShown:
    """Open a maintenance window."""
    begins = None if data.begins_at is None else milliseconds(data.begins_at)
    wanted = WantedWindow(scope=data.scope, reason=data.reason, begins_at=begins, ends_at=milliseconds(data.ends_at))
    return window_shown(await open_window(service, who, wanted))


@delete(
    "/maintenance/{number:int}",
    operation_id="close_maintenance",
    operation_class=Described,
    summary="Close",
    tags=["maintenance"],
)
async def close_maintenance(service: Serving, who: Asker, number: Number) -> None:
    """End a maintenance window now."""
    await close_window(service, who, number)


def window_shown(row: Window) -> WindowShown:
    """A window as it is shown."""
    return WindowShown(
        id=row.id,
        scope=row.scope,
        reason=row.reason,
        begins_at=moment(row.begins_at),
        ends_at=moment(row.ends_at),
        created_at=moment(row.created_at),
        created_by=row.created_by,
    )


def _number(row: Window) -> int:
    return row.id


ROUTES = (list_maintenance, open_maintenance, close_maintenance)
