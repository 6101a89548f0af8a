"""Join tokens: one node each, shown once, with the line that enrols it."""

import re
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody
from msgspec import Meta

from bartizan.app.service.join_tokens import cancel_join_token, make_join_token
from bartizan.app.service.service import Service
from bartizan.store.joining import JoinToken, tokens
from bartizan.web.api.asked import Asked
from bartizan.web.api.caller import Asker, Serving
from bartizan.web.api.operation import Described
from bartizan.web.api.paging import before_number, newest_first
from bartizan.web.api.shapes import Body, Cursor, Limit, Name, Number, Page, moment, moment_or_none

HOUR = 3600
MAX_HOURS = 24 * 90
HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")


class JoinTokenWanted(Body, frozen=True):
    """Which node may come in, and for how long the token is good."""

    name: Name
    role: Name = "compute"
    hours: Annotated[int, Meta(ge=1, le=MAX_HOURS)] = 24


class JoinTokenShown(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token."""

    id: int
    name: str
    role: str
    created_at: datetime
    created_by: str
    expires_at: datetime
    used_at: datetime | None


class JoinTokenMade(msgspec.Struct, frozen=True, kw_only=True):
    """A new token: this is the only time that it is shown. line: what to type on the node, as root."""

    token: str
    line: str
    made: JoinTokenShown


@get("/join-tokens", operation_id="list_join_tokens", operation_class=Described, summary="List", tags=["enrolment"])
async def list_join_tokens(
    request: Asked, service: Serving, who: Asker, limit: Limit = 100, cursor: Cursor = None
) -> Page[JoinTokenShown]:
    """Join tokens, used or not, the newest first."""
    before = before_number(cursor, "join-tokens")
    rows = await service.read(
        lambda connection: tokens(connection, project_id=who.sees, before=before, limit=limit + 1)
    )
    return newest_first(request, rows, _shown, order="join-tokens", limit=limit, number=lambda row: row.id)


@post("/join-tokens", operation_id="create_join_token", operation_class=Described, summary="Make", tags=["enrolment"])
async def create_join_token(
    request: Asked, service: Serving, who: Asker, data: JSONBody[JoinTokenWanted]
) -> JoinTokenMade:
    """Make a token for one node. It is shown in this answer and never again."""
    url = _url(request, service)
    made = await make_join_token(service, who, name=data.name, role=data.role, seconds=data.hours * HOUR, url=url)
    return JoinTokenMade(token=made.token, line=made.line, made=_shown(made.kept))


@delete(
    "/join-tokens/{number:int}",
    operation_id="withdraw_join_token",
    operation_class=Described,
    summary="Withdraw",
    tags=["enrolment"],
)
async def withdraw_join_token(service: Serving, who: Asker, number: Number) -> None:
    """Make a token useless that was not used."""
    await cancel_join_token(service, who, number)


def _url(request: Asked, service: Service) -> str:
    """How agents reach the service: as the settings say, else as this request did."""
    listen = service.settings.listen
    host = request.headers.get("host", "")
    asked = host if HOST.fullmatch(host) else f"{listen.host}:{listen.port}"
    return listen.url or f"{request.scope['scheme']}://{asked}"


def _shown(row: JoinToken) -> JoinTokenShown:
    return JoinTokenShown(
        id=row.id,
        name=row.node_name,
        role=row.role,
        created_at=moment(row.created_at),
        created_by=row.created_by,
        expires_at=moment(row.expires_at),
        used_at=moment_or_none(row.used_at),
    )


ROUTES = (list_join_tokens, create_join_token, withdraw_join_token)
