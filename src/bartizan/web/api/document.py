"""The OpenAPI document: what the framework writes, with names and limits put right, and what it cannot know."""

import re
from typing import Any

from litestar import Litestar, Response, Router, get
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from bartizan.app.service.refusals import Missing
from bartizan.web.api.asked import Asked
from bartizan.web.api.operation import PROBLEM_SCHEMA, SECURITY_SCHEMES

MEDIA_TYPE = "application/vnd.oai.openapi+json"
PAGE = re.compile(r"Page_bartizan\.[a-z_.]+\.(\w+)_(?=[\"']|$)")
DESCRIPTION = "The Verifier's API. Times are UTC (RFC 3339); lists come in pages; refusals are problems (RFC 9457)."


def openapi_config() -> OpenAPIConfig:
    """What the framework needs to write its part; its own routes are closed."""

    async def closed(_: ASGIConnection[Any, Any, Any, Any], __: BaseRouteHandler) -> None:
        raise Missing("the document is at /v1/openapi.json")

    return OpenAPIConfig(
        title="Bartizan",
        version="1",
        description=DESCRIPTION,
        openapi_router=Router(path="/v1/openapi", route_handlers=[], guards=[closed], include_in_schema=False),
        render_plugins=[JsonRenderPlugin()],
        use_handler_docstrings=True,
    )


@get("/v1/openapi.json", operation_id="show_openapi", include_in_schema=False, sync_to_thread=False)
def show_openapi(request: Asked) -> Response[dict[str, Any]]:
    """The OpenAPI document."""
    return Response(request.app.state.document, media_type=MEDIA_TYPE)


def document_of(app: Litestar) -> dict[str, Any]:
    """The document of an application."""
    found: dict[str, Any] = _renamed(app.openapi_schema.to_schema())
    components = found["components"]
    components["schemas"]["Problem"] = PROBLEM_SCHEMA
    components["securitySchemes"] = SECURITY_SCHEMES
    for path in found["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                _mend(parameter)
    return found


def _mend(parameter: dict[str, Any]) -> None:
    """A parameter that may be left out is not one that may be null; a lower limit of 0 is one as well."""
    schema = parameter["schema"]
    kinds = [kind for kind in schema.pop("oneOf", []) if kind != {"type": "null"}]
    if kinds:
        (kind,) = kinds
        schema |= kind
    if isinstance(schema.get("type"), list):
        (schema["type"],) = [kind for kind in schema["type"] if kind != "null"]
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    if schema.get("type") == "integer":
        schema.setdefault("minimum", 0)


def _renamed(value: Any) -> Any:  # noqa: ANN401  what JSON is made of
    """Names of pages without the module that their items come from."""
    if isinstance(value, dict):
        return {PAGE.sub(r"\1Page", key): _renamed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    return PAGE.sub(r"\1Page", value) if isinstance(value, str) else value
