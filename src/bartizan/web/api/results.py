"""A node's verdict: the one that stands, as JSON or as a signed EAR, and those before it."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from bartizan.app.service.fleet import Standing, Told, seen_node, signed_result, standing_of, told_history
from bartizan.app.service.refusals import Missing
from bartizan.formats.strict import json_value
from bartizan.store.results import history
from bartizan.web.api.asked import Asked
from bartizan.web.api.caller import Asker, Serving
from bartizan.web.api.operation import Described
from bartizan.web.api.paging import before_number, newest_first
from bartizan.web.api.shapes import NONCE_PATTERN, Cursor, Limit, Number, Page, PathName, moment
from bartizan.web.api.tags import tagged

EAR = "application/eat+jwt"
Nonce = Annotated[
    str | None,
    QueryParameter(pattern=NONCE_PATTERN, description="Goes into the EAR's eat_nonce"),
]


class ResultShown(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict. first_at, last_at: of its first and last time; result: as in docs/reference/json.md."""

    node: str
    id: str
    first_at: datetime
    last_at: datetime
    due_at: datetime
    result: dict[str, Any]


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict of a node's history, without its findings; check, why: the one that made it another than before.

    Both are null for a node's first verdict, and where only what is in order changed.
    """

    number: int
    boot: int | None
    first_at: datetime
    last_at: datetime
    level: int
    contraindicated: bool
    check: str | None
    why: str | None


class HistoryShown(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict of a node's history in full."""

    entry: HistoryEntry
    result: dict[str, Any]


@get(
    "/nodes/{node:str}/result",
    operation_id="show_result",
    operation_class=Described,
    summary="The verdict that stands",
    tags=["results"],
    responses={200: ResponseSpec(data_container=ResultShown, description="With Accept: application/eat+jwt, an EAR")},
)
async def show_result(
    request: Asked, service: Serving, who: Asker, node: PathName, nonce: Nonce = None
) -> Response[Any]:
    """The verdict on a node, with its state of now. With `Accept: application/eat+jwt` it is a signed EAR."""
    standing = await standing_of(service, who, node)
    if request.accept.best_match(["application/json", EAR]) == EAR:
        return Response(await signed_result(service, standing, nonce=nonce), media_type=EAR)
    return tagged(request, result_shown(standing))


@get(
    "/nodes/{node:str}/history",
    operation_id="list_history",
    operation_class=Described,
    summary="Verdicts before",
    tags=["results"],
)
async def list_history(
    request: Asked,
    service: Serving,
    who: Asker,
    node: PathName,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[HistoryEntry]:
    """A node's verdicts, the newest first: one entry for each change."""
    before = before_number(cursor, "history")
    told = await service.read(
        lambda connection: told_history(
            history(connection, seen_node(connection, who, node).id, before=before, limit=limit + 1)
        )
    )
    return newest_first(request, told, entry_of, order="history", limit=limit, number=lambda one: one.row.id)


@get(
    "/nodes/{node:str}/history/{number:int}",
    operation_id="show_history_entry",
    operation_class=Described,
    summary="One verdict before",
    tags=["results"],
)
async def show_history_entry(service: Serving, who: Asker, node: PathName, number: Number) -> HistoryShown:
    """A verdict of a node's history in full."""
    rows = await service.read(
        lambda connection: history(connection, seen_node(connection, who, node).id, before=number + 1, limit=2)
    )
    if not rows or rows[0].id != number:
        raise Missing(f"no verdict {number} in the history of this node")
    return HistoryShown(entry=entry_of(told_history(rows)[0]), result=json_value(rows[0].document, "kept result"))


def result_shown(standing: Standing) -> ResultShown:
    """A verdict as it is shown."""
    return ResultShown(
        node=standing.node.name,
        id=standing.node.uid,
        first_at=moment(standing.result.first_at),
        last_at=moment(standing.node.accepted_at or standing.result.last_at),
        due_at=moment(standing.node.due),
        result=standing.document,
    )


def entry_of(one: Told) -> HistoryEntry:
    """A verdict as the history lists it."""
    row, cause = one.row, one.cause
    return HistoryEntry(
        number=row.id,
        boot=row.boot,
        first_at=moment(row.first_at),
        last_at=moment(row.last_at),
        level=row.level,
        contraindicated=row.contraindicated,
        check=None if cause is None else cause.id,
        why=None if cause is None else one.why,
    )


ROUTES = (show_result, list_history, show_history_entry)
