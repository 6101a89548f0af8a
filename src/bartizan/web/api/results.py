"""A node's verdict: the one that stands, as JSON or as a signed EAR, and those before it."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from bartizan.app.service.fleet import Standing, seen_node, signed_result, standing_of
from bartizan.app.service.refusals import Missing
from bartizan.formats.strict import json_value
from bartizan.store.results import KeptResult, find_result, history
from bartizan.web.api.asked import Asked
from bartizan.web.api.caller import Asker, Serving
from bartizan.web.api.operation import Described
from bartizan.web.api.paging import before_number, newest_first
from bartizan.web.api.shapes import Cursor, Limit, Number, Page, PathName, moment
from bartizan.web.api.tags import tagged

EAR = "application/eat+jwt"
Nonce = Annotated[
    str | None,
    QueryParameter(pattern=r"^[A-Za-z0-9+/=_.-]{8,88}(?!\n)$", description="Goes into the EAR's eat_nonce"),
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
    """A verdict of a node's history, without its findings."""

    number: int
    boot: int | None
    first_at: datetime
    last_at: datetime
    level: int
    contraindicated: bool


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
    rows = await service.read(
        lambda connection: history(connection, seen_node(connection, who, node).id, before=before, limit=limit + 1)
    )
    return newest_first(request, rows, entry_of, order="history", limit=limit, number=lambda row: row.id)


@get(
    "/nodes/{node:str}/history/{number:int}",
    operation_id="show_history_entry",
    operation_class=Described,
    summary="One verdict before",
    tags=["results"],
)
async def show_history_entry(service: Serving, who: Asker, node: PathName, number: Number) -> HistoryShown:
    """A verdict of a node's history in full."""
    row = await service.read(
        lambda connection: _of_node(find_result(connection, number), seen_node(connection, who, node).id)
    )
    if row is None:
        raise Missing(f"no verdict {number} in the history of this node")
    return HistoryShown(entry=entry_of(row), result=json_value(row.document, "kept result"))


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


def entry_of(row: KeptResult) -> HistoryEntry:
    """A verdict as the history lists it."""
    return HistoryEntry(
        number=row.id,
        boot=row.boot,
        first_at=moment(row.first_at),
        last_at=moment(row.last_at),
        level=row.level,
        contraindicated=row.contraindicated,
    )


def _of_node(row: KeptResult | None, node: int) -> KeptResult | None:
    return row if row is not None and row.node == node else None


ROUTES = (show_result, list_history, show_history_entry)
