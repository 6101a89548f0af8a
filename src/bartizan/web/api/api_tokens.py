"""API tokens: made once, shown once, kept as a digest."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody
from msgspec import Meta

from bartizan.app.service.accounts import WantedToken, make_api_token, seen_tokens, withdraw_api_token
from bartizan.model.node import Role
from bartizan.store.accounts import ApiToken, accounts
from bartizan.web.api.asked import Asked
from bartizan.web.api.caller import Asker, Serving
from bartizan.web.api.operation import Described
from bartizan.web.api.paging import before_number, newest_first, part
from bartizan.web.api.shapes import Body, Cursor, Label, Limit, Name, Number, Page, moment, moment_or_none

DAY = 24 * 3600 * 1000
MAX_DAYS = 3660


class ApiTokenWanted(Body, frozen=True):
    """A token to make. role: no more than its account's; account: the asker's own where none is named."""

    label: Label
    role: Role
    account: Name | None = None
    days: Annotated[int, Meta(ge=1, le=MAX_DAYS)] | None = 90


class ApiTokenShown(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token."""

    id: int
    account: str
    label: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class ApiTokenMade(msgspec.Struct, frozen=True, kw_only=True):
    """A new token: this is the only time that it is shown."""

    token: str
    made: ApiTokenShown


@get("/api-tokens", operation_id="list_api_tokens", operation_class=Described, summary="List", tags=["api-tokens"])
async def list_api_tokens(
    request: Asked, service: Serving, who: Asker, limit: Limit = 100, cursor: Cursor = None
) -> Page[ApiTokenShown]:
    """The asker's tokens; for a security officer and an auditor of the default project, everybody's."""
    names, every = await service.read(lambda connection: (_names(accounts(connection)), seen_tokens(connection, who)))
    rows = part(every, _number, before=before_number(cursor, "api-tokens"), limit=limit)
    return newest_first(request, rows, lambda row: _shown(row, names), order="api-tokens", limit=limit, number=_number)


@post("/api-tokens", operation_id="create_api_token", operation_class=Described, summary="Make", tags=["api-tokens"])
async def create_api_token(service: Serving, who: Asker, data: JSONBody[ApiTokenWanted]) -> ApiTokenMade:
    """Make a token. It is shown in this answer and never again."""
    expires = None if data.days is None else service.clock().milliseconds + data.days * DAY
    wanted = WantedToken(label=data.label, role=data.role, account=data.account, expires_at=expires)
    token, made = await make_api_token(service, who, wanted)
    return ApiTokenMade(token=token, made=_shown(made, {made.account: data.account or who.account}))


@delete(
    "/api-tokens/{number:int}",
    operation_id="revoke_api_token",
    operation_class=Described,
    summary="Revoke",
    tags=["api-tokens"],
)
async def revoke_api_token(service: Serving, who: Asker, number: Number) -> None:
    """Make a token useless at once."""
    await withdraw_api_token(service, who, number)


def _names(rows: list[Any]) -> dict[int, str]:
    return {row.id: row.name for row in rows}


def _number(row: ApiToken) -> int:
    return row.id


def _shown(row: ApiToken, names: dict[int, str]) -> ApiTokenShown:
    return ApiTokenShown(
        id=row.id,
        account=names[row.account],
        label=row.label,
        role=row.role,
        created_at=moment(row.created_at),
        expires_at=moment_or_none(row.expires_at),
        revoked_at=moment_or_none(row.revoked_at),
    )


ROUTES = (list_api_tokens, create_api_token, revoke_api_token)
