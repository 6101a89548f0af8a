"""The one route table: what is answered where, by whom, and how refusals look."""

from typing import Any

from litestar import Litestar, asgi, get
from litestar.datastructures import State
from litestar.routes import HTTPRoute
from litestar.types import Receive, Scope, Send

from bartizan.app.service.service import Service
from bartizan.web.api.agent import AgentEndpoint
from bartizan.web.api.asked import Bounded
from bartizan.web.api.caller import query_names
from bartizan.web.api.document import document_of, openapi_config, show_openapi
from bartizan.web.api.problem import answer
from bartizan.web.api.table import api_router


def create_app(service: Service) -> Litestar:
    """The ASGI application of a running service."""
    endpoint = AgentEndpoint(service)

    @asgi("/v1/agent", is_mount=True, copy_scope=False)
    async def agent(scope: Scope, receive: Receive, send: Send) -> None:
        await endpoint(scope, receive, send)

    @get("/.well-known/jwks.json", sync_to_thread=True, operation_id="show_keys", tags=["keys"], summary="Key set")
    def jwks() -> dict[str, Any]:
        """The public keys that results are signed with (RFC 7517)."""
        return service.signer.jwks(service.clock())

    app = Litestar(
        route_handlers=[agent, jwks, show_openapi, api_router()],
        request_class=Bounded,
        exception_handlers={Exception: answer},
        openapi_config=openapi_config(),
        state=State({"service": service}),
        logging_config=None,
        debug=False,
    )
    app.state.query_names = query_names([route for route in app.routes if isinstance(route, HTTPRoute)])
    app.state.document = document_of(app)
    return app
