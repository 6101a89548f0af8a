"""The one route table: what is answered where, by whom, and how refusals look."""

from typing import Any, cast

from litestar import Litestar, get
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from bartizan.app.service.service import Service
from bartizan.web.api.agent import PREFIX, AgentEndpoint
from bartizan.web.api.asked import Bounded
from bartizan.web.api.caller import query_names
from bartizan.web.api.document import document_of, openapi_config, show_openapi
from bartizan.web.api.problem import answer
from bartizan.web.api.table import api_router

LOOPBACK = ["127.0.0.1", "::1"]
"""Proxies that are believed when they say for whom they ask: those on this machine."""


def create_app(service: Service) -> ASGIApp:
    """The ASGI application of a running service: what agents call, and the API for everybody else.

    Agents' calls are told apart first: they are nearly all there is, and the API's router costs as much as judging one.
    """
    endpoint, others = AgentEndpoint(service), ProxyHeadersMiddleware(cast("Any", create_api(service)), LOOPBACK)

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and scope["path"].startswith(PREFIX):
            await endpoint(scope, receive, send)
        else:
            await others(cast("Any", scope), cast("Any", receive), cast("Any", send))

    return front


def create_api(service: Service) -> Litestar:
    """The API of a running service, for people and their programs."""

    @get("/.well-known/jwks.json", sync_to_thread=True, operation_id="show_keys", tags=["keys"], summary="Key set")
    def jwks() -> dict[str, Any]:
        """The public keys that results are signed with (RFC 7517)."""
        return service.signer.jwks(service.clock())

    app = Litestar(
        route_handlers=[jwks, show_openapi, api_router()],
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
