"""Nodes: the fleet as a list, one of them, and taking one out."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Response, get, post
from litestar.params import FromQuery, JSONBody, QueryParameter

from bartizan.app.service.check_names import known_check
from bartizan.app.service.clock import Now
from bartizan.app.service.fleet import in_state, retire, seen_node, state_of
from bartizan.app.service.service import Service
from bartizan.app.service.settings import Attestation
from bartizan.model.result import State
from bartizan.store.nodes import NodeFilter, NodeRow, Place, Sort, list_nodes
from bartizan.web.api.asked import Asked
from bartizan.web.api.caller import Asker, Serving
from bartizan.web.api.operation import Described
from bartizan.web.api.paging import cursor_of, next_path, place_of
from bartizan.web.api.shapes import (
    WILD_PATTERN,
    Body,
    Cursor,
    Exact,
    Limit,
    Page,
    PathName,
    Reason,
    moment,
    moment_or_none,
)
from bartizan.web.api.tags import tagged, unchanged

Level = Annotated[int | None, QueryParameter(ge=0, le=6)]
Current = Annotated[Literal["fresh", "late", "expired"] | None, QueryParameter(name="state")]
Wild = Annotated[
    str | None, QueryParameter(name="name", pattern=WILD_PATTERN, description="A name; `x*`: all that begin so")
]


class NodeShown(msgspec.Struct, frozen=True, kw_only=True):
    """A node. level, contraindicated: as judged last; state: how current that is; refusal: of its last attempt."""

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


class Why(Body, frozen=True):
    """Why it is done."""

    reason: Reason


@get("/nodes", operation_id="list_nodes", operation_class=Described, summary="List nodes", tags=["nodes"])
async def show_nodes(  # noqa: PLR0913, PLR0917  a parameter is a filter
    request: Asked,
    service: Serving,
    who: Asker,
    name: Wild = None,
    role: Exact = None,
    current: Current = None,
    min_level: Level = None,
    max_level: Level = None,
    contraindicated: FromQuery[bool | None] = None,
    check: Exact = None,
    retired: FromQuery[bool] = False,
    sort: FromQuery[Sort] = Sort.NAME,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[NodeShown]:
    """Nodes, filtered and sorted. `max_level=3` finds those that are kept below level 4."""
    if check is not None:
        known_check(service.rules.rules, check)
    wanted = NodeFilter(
        project=who.sees,
        name=name,
        role=role,
        min_level=min_level,
        max_level=max_level,
        contraindicated=contraindicated,
        check=check,
        retired=retired,
    )
    return await _page(request, service, wanted, state=current, sort=sort, limit=limit, cursor=cursor)


async def _page(  # noqa: PLR0913  as above
    request: Asked,
    service: Service,
    wanted: NodeFilter,
    *,
    state: str | None,
    sort: Sort,
    limit: int,
    cursor: str | None,
) -> Page[NodeShown]:
    now, settings = service.clock(), service.settings.attestation
    wanted = in_state(wanted, None if state is None else State(state), settings, now)
    after = None
    if cursor is not None:
        value, number = place_of(cursor, f"nodes.{sort}", str if sort is Sort.NAME else int)
        after = Place(value=value, number=number)
    rows = await service.read(
        lambda connection: list_nodes(connection, wanted, sort=sort, after=after, limit=limit + 1)
    )
    items = [node_shown(row, settings, now) for row in rows[:limit]]
    if len(rows) <= limit:
        return Page(items=items)
    last = rows[limit - 1]
    values: dict[Sort, str | int] = {
        Sort.NAME: last.name,
        Sort.LEVEL: last.level,
        Sort.DUE: last.due,
        Sort.ENROLLED: last.enrolled_at,
    }
    return Page(items=items, next=next_path(request, cursor_of(f"nodes.{sort}", values[sort], last.id)))


@get("/nodes/{node:str}", operation_id="show_node", operation_class=Described, summary="Show one", tags=["nodes"])
async def show_node(
    request: Asked, service: Serving, who: Asker, node: PathName
) -> Response[NodeShown] | Response[None]:
    """A node by its name or id; retired ones by their id."""
    row = await service.read(lambda connection: seen_node(connection, who, node))
    return tagged(request, node_shown(row, service.settings.attestation, service.clock()))


@post(
    "/nodes/{node:str}/retire",
    operation_id="retire_node",
    operation_class=Described,
    summary="Retire one",
    tags=["nodes"],
    status_code=200,
)
async def retire_node(request: Asked, service: Serving, who: Asker, node: PathName, data: JSONBody[Why]) -> NodeShown:
    """Take a node out of service; its history stays. Its name and TPM may enrol anew, by no registration of before."""
    row = await service.read(lambda connection: seen_node(connection, who, node))
    unchanged(request, node_shown(row, service.settings.attestation, service.clock()))
    gone = await retire(service, who, row.uid, reason=data.reason)
    return node_shown(gone, service.settings.attestation, service.clock())


def node_shown(row: NodeRow, settings: Attestation, now: Now) -> NodeShown:
    """A node as it is shown."""
    return NodeShown(
        id=row.uid,
        name=row.name,
        role=row.role,
        project=row.project,
        state=state_of(row.due, settings, now).value,
        level=row.level,
        contraindicated=row.contraindicated,
        attested=row.accepted,
        attested_at=moment_or_none(row.accepted_at),
        due_at=moment(row.due),
        attempted_at=moment_or_none(row.attempted_at),
        refusal=row.refusal,
        agent=row.agent,
        ek_name=row.ek_name.hex(),
        ak_name=row.ak_name.hex(),
        registered=row.registered,
        pinned_bank=row.pinned.label,
        enrolled_at=moment(row.enrolled_at),
        enrolled_by=row.enrolled_by,
        approved_by=row.approver,
        retired_at=moment_or_none(row.retired_at),
    )


ROUTES = (show_nodes, show_node, retire_node)
