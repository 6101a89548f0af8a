"""Appraisal policies: every version that was put in, and which is in force."""

from datetime import datetime

import msgspec
from litestar import delete, get, post
from litestar.params import RawBody

from bartizan.app.service.policies import activate, deactivate, upload
from bartizan.app.service.refusals import Missing
from bartizan.store.rules import StoredPolicy, find_policy, policies
from bartizan.web.api.asked import Asked
from bartizan.web.api.caller import Asker, Serving
from bartizan.web.api.operation import RAW_BODIES, Described
from bartizan.web.api.paging import before_number, newest_first
from bartizan.web.api.shapes import Cursor, Limit, Number, Page, moment


class PolicyShown(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a policy. digest: SHA-256 of its document."""

    id: int
    name: str
    version: int
    digest: str
    active: bool
    created_at: datetime
    created_by: str
    approved_by: str | None


class PolicyDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a policy with its document, TOML."""

    policy: PolicyShown
    document: str


@get("/policies", operation_id="list_policies", operation_class=Described, summary="List policies", tags=["policies"])
async def list_policies(
    request: Asked, service: Serving, limit: Limit = 100, cursor: Cursor = None
) -> Page[PolicyShown]:
    """Every version of every policy, the newest first. Where none is active, the one that ships is in force."""
    before = before_number(cursor, "policies")
    rows = await service.read(lambda connection: policies(connection, before=before, limit=limit + 1))
    return newest_first(request, rows, _shown, order="policies", limit=limit, number=lambda row: row.id)


@get(
    "/policies/{number:int}",
    operation_id="show_policy",
    operation_class=Described,
    summary="Show one",
    tags=["policies"],
)
async def show_policy(service: Serving, number: Number) -> PolicyDocument:
    """A version of a policy with its document."""
    row = await service.read(lambda connection: find_policy(connection, number))
    if row is None:
        raise Missing(f"no policy {number}")
    return PolicyDocument(policy=_shown(row), document=row.document.decode())


@post(
    "/policies",
    operation_id="upload_policy",
    operation_class=Described,
    summary="Put one in",
    tags=["policies"],
    request_max_body_size=RAW_BODIES["upload_policy"][1],
)
async def upload_policy(service: Serving, who: Asker, body: RawBody) -> PolicyShown:
    """Put in a policy as TOML: a new version of the name that it has. It is checked, and not in force yet."""
    return _shown(await upload(service, who, body))


@post(
    "/policies/{number:int}/activate",
    operation_id="activate_policy",
    operation_class=Described,
    summary="Put one in force",
    tags=["policies"],
    status_code=200,
)
async def activate_policy(service: Serving, who: Asker, number: Number) -> PolicyShown:
    """Put a policy in force; every node is judged anew by it, without being asked."""
    return _shown(await activate(service, who, number))


@delete(
    "/policies/active",
    operation_id="deactivate_policy",
    operation_class=Described,
    summary="Back to the shipped one",
    tags=["policies"],
)
async def deactivate_policy(service: Serving, who: Asker) -> None:
    """Put the policy that ships with Bartizan in force again."""
    await deactivate(service, who)


def _shown(row: StoredPolicy) -> PolicyShown:
    return PolicyShown(
        id=row.id,
        name=row.name,
        version=row.version,
        digest=row.digest.hex(),
        active=row.active,
        created_at=moment(row.created_at),
        created_by=row.created_by,
        approved_by=row.approver,
    )


ROUTES = (list_policies, show_policy, upload_policy, activate_policy, deactivate_policy)
