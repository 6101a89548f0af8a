"""Alarms about the service as a whole, and how far the re-appraisal under way has come."""

from datetime import datetime

import msgspec
from litestar import get
from litestar.params import FromQuery

from bartizan.store.alarms import Alarm, alarms
from bartizan.web.api.asked import Asked
from bartizan.web.api.caller import Serving
from bartizan.web.api.operation import Described
from bartizan.web.api.paging import before_number, newest_first, part
from bartizan.web.api.shapes import Cursor, Limit, Page, moment, moment_or_none


class AlarmShown(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm; cleared_at: None while it stands."""

    id: int
    kind: str
    why: str
    raised_at: datetime
    cleared_at: datetime | None


class ProgressShown(msgspec.Struct, frozen=True, kw_only=True):
    """How far the re-appraisal after the last change of rules has come. changed: nodes with another verdict."""

    total: int
    done: int
    changed: int
    begun_at: datetime | None
    ended_at: datetime | None


@get("/alarms", operation_id="list_alarms", operation_class=Described, summary="List alarms", tags=["service"])
async def list_alarms(
    request: Asked,
    service: Serving,
    standing: FromQuery[bool] = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[AlarmShown]:
    """Alarms, the newest first; standing: only those not cleared."""
    every = await service.read(lambda connection: alarms(connection, standing=standing))
    rows = part(every, _number, before=before_number(cursor, "alarms"), limit=limit)
    return newest_first(request, rows, _shown, order="alarms", limit=limit, number=_number)


@get(
    "/reappraisal",
    operation_id="show_reappraisal",
    operation_class=Described,
    summary="Progress of the re-appraisal",
    tags=["service"],
)
async def show_reappraisal(service: Serving) -> ProgressShown:
    """How far the re-appraisal after the last change of policy or Reference Values has come."""
    found = service.reappraising.progress
    return ProgressShown(
        total=found.total,
        done=found.done,
        changed=found.changed,
        begun_at=moment_or_none(found.begun_at or None),
        ended_at=moment_or_none(found.ended_at),
    )


def _number(row: Alarm) -> int:
    return row.id


def _shown(row: Alarm) -> AlarmShown:
    return AlarmShown(
        id=row.id,
        kind=row.kind,
        why=row.why,
        raised_at=moment(row.raised_at),
        cleared_at=moment_or_none(row.cleared_at),
    )


ROUTES = (list_alarms, show_reappraisal)
