"""Every route of the JSON API, in the order of the documentation."""

from litestar import Router
from litestar.di import Provide

from bartizan.web.api import accounts, api_tokens, join_tokens, nodes, results, session
from bartizan.web.api.caller import guard, provide_service, provide_who
from bartizan.web.api.operation import DEFAULT_BODY

ROUTES = (
    *session.ROUTES,
    *accounts.ROUTES,
    *api_tokens.ROUTES,
    *join_tokens.ROUTES,
    *nodes.ROUTES,
    *results.ROUTES,
)


def api_router() -> Router:
    """The JSON API, with the guard in front of every route."""
    return Router(
        path="/v1",
        route_handlers=list(ROUTES),
        guards=[guard],
        dependencies={
            "service": Provide(provide_service, sync_to_thread=False),
            "who": Provide(provide_who, sync_to_thread=False),
        },
        request_max_body_size=DEFAULT_BODY,
    )
