"""Acknowledged findings: seen and accepted for a time, by somebody, for a reason. No verdict changes by it."""

from datetime import datetime

import msgspec
from litestar import delete, get, post
from litestar.params import FromQuery, JSONBody

from bartizan.app.service.beside import (
    WantedAcknowledgement,
    acknowledge,
    seen_acknowledgements,
    withdraw_acknowledgement,
)
from bartizan.store.acknowledgements import Acknowledgement
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
    moment_or_none,
)


class AcknowledgementWanted(Body, frozen=True):
    """What is acknowledged, until when: at most 90 days. path: this file only."""

    check: Label
    scope: ScopeWords
    reason: Reason
    expires_at: Moment
    path: Reason | None = None


class AcknowledgementShown(msgspec.Struct, frozen=True, kw_only=True):
    """An acknowledgement."""

    id: int
    check: str
    scope: str
    path: str | None
    reason: str
    expires_at: datetime
    ended_at: datetime | None
    created_at: datetime
    created_by: str


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
) -> Page[AcknowledgementShown]:
    """Acknowledgements, the newest first; current: only those that count now."""
    at = service.clock().milliseconds if current else None
    every = await service.read(lambda connection: seen_acknowledgements(connection, who, current=at))
    rows = part(every, _number, before=before_number(cursor, "acknowledgements"), limit=limit)
    return newest_first(request, rows, acknowledgement_shown, order="acknowledgements", limit=limit, number=_number)


@post(
    "/acknowledgements",
    operation_id="acknowledge_finding",
    operation_class=Described,
    summary="Acknowledge",
    tags=["findings"],
)
async def acknowledge_finding(
    service: Serving, who: Asker, data: JSONBody[AcknowledgementWanted]
) -> AcknowledgementShown:
    """Acknowledge what a check says of some nodes, for a time."""
    wanted = WantedAcknowledgement(
        check=data.check,
        scope=data.scope,
        path=data.path,
        reason=data.reason,
        expires_at=milliseconds(data.expires_at),
    )
    return acknowledgement_shown(await acknowledge(service, who, wanted))


@delete(
    "/acknowledgements/{number:int}",
    operation_id="withdraw_acknowledgement",
    operation_class=Described,
    summary="Withdraw",
    tags=["findings"],
)
async def end_acknowledgement(service: Serving, who: Asker, number: Number) -> None:
    """Make an acknowledgement count no longer."""
    await withdraw_acknowledgement(service, who, number)


def acknowledgement_shown(row: Acknowledgement) -> AcknowledgementShown:
    """An acknowledgement as it is shown."""
    return AcknowledgementShown(
        id=row.id,
        check=row.check,
        scope=row.scope,
        path=row.path,
        reason=row.reason,
        expires_at=moment(row.expires_at),
        ended_at=moment_or_none(row.ended_at),
        created_at=moment(row.created_at),
        created_by=row.created_by,
    )


def _number(row: Acknowledgement) -> int:
    return row.id


ROUTES = (list_acknowledgements, acknowledge_finding, end_acknowledgement)
