"""Endorsement keys registered beforehand: their nodes enrol without a token."""

import msgspec
from litestar import delete, get, post
from litestar.params import RawBody

from bartizan.app.service.registering import register, take_back
from bartizan.store.joining import RegisteredEk, registered
from bartizan.web.api.asked import Asked
from bartizan.web.api.caller import Asker, Serving
from bartizan.web.api.operation import RAW_BODIES, Described
from bartizan.web.api.paging import before_number, newest_first
from bartizan.web.api.shapes import Cursor, Limit, Number, Page


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """How many keys are registered now that were not before."""

    new: int


class RegisteredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A registered EK: its Name, and the node that it is for."""

    id: int
    name: str
    role: str
    ek_name: str


@get(
    "/endorsement-keys",
    operation_id="list_endorsement_keys",
    operation_class=Described,
    summary="List registered EKs",
    tags=["enrolment"],
)
async def list_endorsement_keys(
    request: Asked, service: Serving, who: Asker, limit: Limit = 100, cursor: Cursor = None
) -> Page[RegisteredKey]:
    """Registered EKs, the newest first."""
    before = before_number(cursor, "endorsement-keys")
    rows = await service.read(
        lambda connection: registered(connection, project_id=who.sees, before=before, limit=limit + 1)
    )
    return newest_first(request, rows, _shown, order="endorsement-keys", limit=limit, number=lambda row: row.id)


@post(
    "/endorsement-keys",
    operation_id="register_endorsement_keys",
    operation_class=Described,
    summary="Register EKs",
    tags=["enrolment"],
    request_max_body_size=RAW_BODIES["register_endorsement_keys"][1],
)
async def register_endorsement_keys(service: Serving, who: Asker, body: RawBody) -> Registered:
    """Register EKs from CSV lines `name,role,ek_name`. All of them or none; every bad line is named."""
    return Registered(new=await register(service, who, body))


@delete(
    "/endorsement-keys/{number:int}",
    operation_id="withdraw_endorsement_key",
    operation_class=Described,
    summary="Take one back",
    tags=["enrolment"],
)
async def withdraw_endorsement_key(service: Serving, who: Asker, number: Number) -> None:
    """Take a registration back: nobody comes in by it any more. A node that did stays."""
    await take_back(service, who, number)


def _shown(row: RegisteredEk) -> RegisteredKey:
    return RegisteredKey(id=row.id, name=row.node_name, role=row.role, ek_name=row.ek_name.hex())


ROUTES = (list_endorsement_keys, register_endorsement_keys, withdraw_endorsement_key)
