"""The audit: everything that anybody changed, as JSON lines, in its order."""

from dataclasses import asdict
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.params import QueryParameter

from bartizan.store.accounts import AuditEntry, audit_after
from bartizan.web.api.caller import Serving
from bartizan.web.api.operation import Described
from bartizan.web.api.shapes import MAX_NUMBER, moment

MEDIA_TYPE = "application/jsonl"
After = Annotated[int, QueryParameter(ge=0, le=MAX_NUMBER, description="The id of the last entry that is known")]
Lines = Annotated[int, QueryParameter(ge=1, le=10_000, description="Lines at most")]


@get(
    "/audit",
    operation_id="export_audit",
    operation_class=Described,
    summary="Export the audit",
    tags=["audit"],
    media_type=MEDIA_TYPE,
)
async def export_audit(service: Serving, after: After = 0, limit: Lines = 1000) -> Response[str]:
    """Entries behind one, a JSON object a line. Ask again with the last id until nothing comes."""
    rows = await service.read(lambda connection: list(audit_after(connection, after, limit=limit)))
    return Response("".join(map(_line, rows)), media_type=MEDIA_TYPE)


def _line(row: AuditEntry) -> str:
    return msgspec.json.encode(asdict(row) | {"at": moment(row.at)}).decode() + "\n"


ROUTES = (export_audit,)
