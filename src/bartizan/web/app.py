"""The one route table: what is answered where, by whom, and how refusals look."""

from typing import Any

from litestar import Litestar, asgi, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import ASGIApp, Receive, Scope, Send

from bartizan.app.service.service import Service
from bartizan.web.api.agent import AgentEndpoint


def create_app(service: Service) -> ASGIApp:
    """The ASGI application of a running service."""
    endpoint = AgentEndpoint(service)

    @asgi("/v1/agent", is_mount=True, copy_scope=False)
    async def agent(scope: Scope, receive: Receive, send: Send) -> None:
        await endpoint(scope, receive, send)

    @get("/.well-known/jwks.json", sync_to_thread=False)
    def jwks() -> dict[str, Any]:
        return service.signer.jwks(service.clock())

    return Litestar(
        route_handlers=[agent, jwks],
        logging_config=None,
        openapi_config=OpenAPIConfig(title="Bartizan", version="1", render_plugins=[JsonRenderPlugin()]),
    )
