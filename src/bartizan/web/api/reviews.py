"""Reviews: enrolments that wait for a person, and the decisions."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import get, post
from litestar.params import JSONBody, QueryParameter

from bartizan.app.service.reviews import decide
from bartizan.store.joining import APPROVED, REJECTED, Review, reviews
from bartizan.web.api.asked import Asked
from bartizan.web.api.caller import Asker, Serving
from bartizan.web.api.operation import Described
from bartizan.web.api.paging import before_number, newest_first, part
from bartizan.web.api.shapes import Body, Cursor, Limit, Number, Page, Reason, moment, moment_or_none

Decided = Annotated[Literal["open", "approved", "rejected"] | None, QueryParameter(name="state")]


class Decision(Body, frozen=True):
    """Why it is decided so."""

    reason: Reason


class ReviewShown(msgspec.Struct, frozen=True, kw_only=True):
    """A review. kind, why: what is unusual about the enrolment."""

    id: int
    kind: str
    why: str
    name: str
    role: str
    ek_name: str
    ak_name: str
    state: str
    created_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    reason: str | None


@get("/reviews", operation_id="list_reviews", operation_class=Described, summary="List reviews", tags=["enrolment"])
async def list_reviews(
    request: Asked, service: Serving, who: Asker, state_is: Decided = None, limit: Limit = 100, cursor: Cursor = None
) -> Page[ReviewShown]:
    """Reviews, the newest first."""
    every = await service.read(lambda connection: reviews(connection, state=state_is))
    seen = [row for row in every if who.sees in {None, row.project}]
    rows = part(seen, _number, before=before_number(cursor, "reviews"), limit=limit)
    return newest_first(request, rows, _shown, order="reviews", limit=limit, number=_number)


@post(
    "/reviews/{number:int}/approve",
    operation_id="approve_review",
    operation_class=Described,
    summary="Let it in",
    tags=["enrolment"],
    status_code=200,
)
async def approve_review(service: Serving, who: Asker, number: Number, data: JSONBody[Decision]) -> ReviewShown:
    """Let the node in, in the place of whoever has its name or TPM now."""
    return _shown(await decide(service, who, number, state=APPROVED, reason=data.reason))


@post(
    "/reviews/{number:int}/reject",
    operation_id="reject_review",
    operation_class=Described,
    summary="Keep it out",
    tags=["enrolment"],
    status_code=200,
)
async def reject_review(service: Serving, who: Asker, number: Number, data: JSONBody[Decision]) -> ReviewShown:
    """Keep the node out; it is told why."""
    return _shown(await decide(service, who, number, state=REJECTED, reason=data.reason))


def _number(row: Review) -> int:
    return row.id


def _shown(row: Review) -> ReviewShown:
    return ReviewShown(
        id=row.id,
        kind=row.kind,
        why=row.why,
        name=row.node_name,
        role=row.role,
        ek_name=row.ek_name.hex(),
        ak_name=row.ak_name.hex(),
        state=row.state,
        created_at=moment(row.created_at),
        decided_at=moment_or_none(row.decided_at),
        decided_by=row.decided_by,
        reason=row.reason,
    )


ROUTES = (list_reviews, approve_review, reject_review)
