"""Reference Values: proposed, approved, retired, revoked; their documents, and what one has otherwise than another."""

from dataclasses import replace
from datetime import datetime

import msgspec
from litestar import Response, get, post
from litestar.params import JSONBody, RawBody

from bartizan.app.service.changes import Who
from bartizan.app.service.references import Step, compare, propose_set, stored_set, take_step
from bartizan.app.service.service import Service
from bartizan.model.reference import ReferenceState
from bartizan.store.rules import StoredSet, listed_sets
from bartizan.web.api.asked import Asked
from bartizan.web.api.caller import Asker, Serving
from bartizan.web.api.operation import RAW_BODIES, Described
from bartizan.web.api.paging import before_number, newest_first
from bartizan.web.api.shapes import Body, Cursor, Limit, Moment, Number, Page, Reason, moment
from bartizan.web.api.tags import tagged, unchanged

MAX_DIFFERENCES = 1000


class ReferenceShown(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a set of Reference Values. digest: SHA-256 of its document in its present state."""

    id: int
    name: str
    version: int
    digest: str
    state: ReferenceState
    created_at: datetime
    created_by: str
    changed_at: datetime
    approved_by: str | None


class Approval(Body, frozen=True):
    """Why it is approved, and the time in which it holds; without, what its document says."""

    reason: Reason
    valid_from: Moment | None = None
    valid_until: Moment | None = None


class Ending(Body, frozen=True):
    """Why it ends."""

    reason: Reason


class DifferenceShown(msgspec.Struct, frozen=True, kw_only=True):
    """One difference in words. change: added, removed or changed; pcr 10 stands for files."""

    change: str
    pcr: int
    what: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What one set has otherwise than another: the first differences, and how many there are."""

    total: int
    items: list[DifferenceShown]


@get(
    "/references",
    operation_id="list_references",
    operation_class=Described,
    summary="List Reference Values",
    tags=["references"],
)
async def list_references(
    request: Asked, service: Serving, limit: Limit = 100, cursor: Cursor = None
) -> Page[ReferenceShown]:
    """Every version of every set, the newest first."""
    before = before_number(cursor, "references")
    rows = await service.read(lambda connection: listed_sets(connection, before=before, limit=limit + 1))
    return newest_first(request, rows, _shown, order="references", limit=limit, number=lambda row: row.id)


@get(
    "/references/{number:int}",
    operation_id="show_reference",
    operation_class=Described,
    summary="Show one",
    tags=["references"],
)
async def show_reference(request: Asked, service: Serving, number: Number) -> Response[ReferenceShown] | Response[None]:
    """A set's state and who stands behind it."""
    return tagged(request, _shown(await service.read(lambda connection: stored_set(connection, number))))


@get(
    "/references/{number:int}/document",
    operation_id="show_reference_document",
    operation_class=Described,
    summary="Its document",
    tags=["references"],
)
async def show_reference_document(service: Serving, number: Number) -> Response[bytes]:
    """The canonical document, byte for byte, as `bartizan appraise --reference` reads it."""
    row = await service.read(lambda connection: stored_set(connection, number))
    return Response(row.document, media_type="application/json")


@get(
    "/references/{number:int}/diff/{other:int}",
    operation_id="compare_references",
    operation_class=Described,
    summary="Compare two",
    tags=["references"],
)
async def compare_references(service: Serving, number: Number, other: Number) -> Comparison:
    """What the other set has otherwise than this one, in words."""
    found = await service.read(lambda connection: compare(connection, number, other))
    items = [DifferenceShown(change=one.change.value, pcr=one.pcr, what=one.what) for one in found[:MAX_DIFFERENCES]]
    return Comparison(total=len(found), items=items)


@post(
    "/references",
    operation_id="propose_reference",
    operation_class=Described,
    summary="Propose some",
    tags=["references"],
    request_max_body_size=RAW_BODIES["propose_reference"][1],
)
async def propose_reference(service: Serving, who: Asker, body: RawBody) -> ReferenceShown:
    """Propose Reference Values: the canonical document that `bartizan reference` writes. They hold for nobody yet."""
    return _shown(await propose_set(service, who, body))


@post(
    "/references/{number:int}/approve",
    operation_id="approve_reference",
    operation_class=Described,
    summary="Put one in force",
    tags=["references"],
    status_code=200,
)
async def approve_reference(
    request: Asked, service: Serving, who: Asker, number: Number, data: JSONBody[Approval]
) -> ReferenceShown:
    """Approve a proposal; every node is judged anew by it, without being asked."""
    step = Step(
        to=ReferenceState.APPROVED, reason=data.reason, valid_from=data.valid_from, valid_until=data.valid_until
    )
    return await _taken(request, service, who, number, step)


@post(
    "/references/{number:int}/retire",
    operation_id="retire_reference",
    operation_class=Described,
    summary="Retire one",
    tags=["references"],
    status_code=200,
)
async def retire_reference(
    request: Asked, service: Serving, who: Asker, number: Number, data: JSONBody[Ending]
) -> ReferenceShown:
    """Retire a set: what it knows is known no more, and is no fault."""
    return await _taken(request, service, who, number, Step(to=ReferenceState.RETIRED, reason=data.reason))


@post(
    "/references/{number:int}/revoke",
    operation_id="revoke_reference",
    operation_class=Described,
    summary="Revoke one",
    tags=["references"],
    status_code=200,
)
async def revoke_reference(
    request: Asked, service: Serving, who: Asker, number: Number, data: JSONBody[Ending]
) -> ReferenceShown:
    """Revoke a set: whoever runs what only it knows is told so. There is no way back."""
    return await _taken(request, service, who, number, Step(to=ReferenceState.REVOKED, reason=data.reason))


async def _taken(request: Asked, service: Service, who: Who, number: int, step: Step) -> ReferenceShown:
    row = await service.read(lambda connection: stored_set(connection, number))
    unchanged(request, _shown(row))
    seen = row.digest if "if-match" in request.headers else None
    return _shown(await take_step(service, who, number, replace(step, seen=seen)))


def _shown(row: StoredSet) -> ReferenceShown:
    return ReferenceShown(
        id=row.id,
        name=row.name,
        version=row.version,
        digest=row.digest.hex(),
        state=ReferenceState(row.state),
        created_at=moment(row.created_at),
        created_by=row.created_by,
        changed_at=moment(row.changed_at),
        approved_by=row.approver,
    )


ROUTES = (
    list_references,
    show_reference,
    show_reference_document,
    compare_references,
    propose_reference,
    approve_reference,
    retire_reference,
    revoke_reference,
)
