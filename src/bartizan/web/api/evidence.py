"""A node's present evidence, for an auditor to appraise on a machine of their own."""

from litestar import Response, get

from bartizan.app.service.export_evidence import evidence_of
from bartizan.web.api.caller import Asker, Serving
from bartizan.web.api.operation import Described
from bartizan.web.api.shapes import PathName

MEDIA_TYPE = "application/zip"


@get(
    "/nodes/{node:str}/evidence",
    operation_id="show_evidence",
    operation_class=Described,
    summary="Evidence as a ZIP file",
    tags=["results"],
    media_type=MEDIA_TYPE,
)
async def show_evidence(service: Serving, who: Asker, node: PathName) -> Response[bytes]:
    """The evidence of the verdict that stands, as an evidence folder: `bartizan appraise` re-checks it offline."""
    name, content = await evidence_of(service, who, node)
    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
    return Response(content, media_type=MEDIA_TYPE, headers=headers)


ROUTES = (show_evidence,)
