"""Accounts: who may use the service, and as what."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import get, patch, post
from litestar.params import JSONBody
from msgspec import Meta

from bartizan.app.service.accounts import Alteration, NewAccount, alter_account, make_account
from bartizan.app.service.passwords import LEAST, MOST
from bartizan.model.node import Role
from bartizan.store.accounts import DEFAULT_PROJECT_NAME, Account, accounts, projects
from bartizan.web.api.asked import Asked
from bartizan.web.api.caller import Asker, Serving
from bartizan.web.api.operation import Described
from bartizan.web.api.paging import before_number, newest_first, part
from bartizan.web.api.shapes import Body, Cursor, Limit, Name, Page, PathName, moment

Password = Annotated[str, Meta(min_length=LEAST, max_length=MOST)]


class AccountWanted(Body, frozen=True):
    """An account to make; one without a password is used with tokens only."""

    name: Name
    role: Role
    project: Name = DEFAULT_PROJECT_NAME
    password: Password | None = None


class AccountAltered(Body, frozen=True):
    """What is to be otherwise; null or nothing: as it was."""

    role: Role | None = None
    password: Password | None = None
    disabled: bool | None = None


class AccountShown(msgspec.Struct, frozen=True, kw_only=True):
    """An account."""

    name: str
    role: Role
    project: str
    password: bool
    disabled: bool
    created_at: datetime


@get("/accounts", operation_id="list_accounts", operation_class=Described, summary="List accounts", tags=["accounts"])
async def list_accounts(
    request: Asked, service: Serving, limit: Limit = 100, cursor: Cursor = None
) -> Page[AccountShown]:
    """Every account, the newest first."""
    names = await service.read(projects)
    every = await service.read(lambda connection: accounts(connection)[::-1])
    rows = part(every, _number, before=before_number(cursor, "accounts"), limit=limit)
    return newest_first(request, rows, lambda row: _shown(row, names), order="accounts", limit=limit, number=_number)


@post("/accounts", operation_id="create_account", operation_class=Described, summary="Make one", tags=["accounts"])
async def create_account(service: Serving, who: Asker, data: JSONBody[AccountWanted]) -> AccountShown:
    """Make an account."""
    new = NewAccount(name=data.name, role=data.role, project=data.project, password=data.password)
    return _shown(await make_account(service, who, new), await service.read(projects))


@patch(
    "/accounts/{name:str}",
    operation_id="change_account",
    operation_class=Described,
    summary="Change one",
    tags=["accounts"],
)
async def change_account(service: Serving, who: Asker, name: PathName, data: JSONBody[AccountAltered]) -> AccountShown:
    """Change an account's role, password or state; its sessions end."""
    wanted = Alteration(role=data.role, password=data.password, disabled=data.disabled)
    return _shown(await alter_account(service, who, name, wanted), await service.read(projects))


def _number(row: Account) -> int:
    return row.id


def _shown(row: Account, names: dict[int, str]) -> AccountShown:
    return AccountShown(
        name=row.name,
        role=row.role,
        project=names[row.project],
        password=row.password is not None,
        disabled=row.disabled,
        created_at=moment(row.created_at),
    )


ROUTES = (list_accounts, create_account, change_account)
