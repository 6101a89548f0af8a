"""Every route of the JSON API, in the order of the documentation."""

from typing import Any

from litestar import Response, Router
from litestar.di import Provide

from bartizan.web.api import (
    accounts,
    alarms,
    api_tokens,
    audit,
    endorsement_keys,
    evidence,
    findings,
    gap,
    health,
    join_tokens,
    keys,
    metrics,
    nodes,
    policies,
    references,
    results,
    reviews,
    session,
    statements,
    trials,
)
from bartizan.web.api.caller import guard, provide_service, provide_who
from bartizan.web.api.operation import DEFAULT_BODY

ROUTES = (
    *session.ROUTES,
    *accounts.ROUTES,
    *api_tokens.ROUTES,
    *join_tokens.ROUTES,
    *endorsement_keys.ROUTES,
    *reviews.ROUTES,
    *nodes.ROUTES,
    *results.ROUTES,
    *evidence.ROUTES,
    *findings.ROUTES,
    *gap.ROUTES,
    *statements.ROUTES,
    *policies.ROUTES,
    *references.ROUTES,
    *trials.ROUTES,
    *audit.ROUTES,
    *alarms.ROUTES,
    *keys.ROUTES,
)
OUTSIDE = (*health.ROUTES, *metrics.ROUTES)
"""What those who run the service ask: not part of any version of the API."""


async def kept_by_nobody(response: Response[Any]) -> Response[Any]:
    """An answer that no proxy keeps, where nothing else is said, and no browser takes for another kind."""
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response


def api_router() -> Router:
    """The JSON API, with the guard in front of every route."""
    return Router(
        path="/",
        route_handlers=[Router(path="/v1", route_handlers=list(ROUTES)), *OUTSIDE],
        guards=[guard],
        after_request=kept_by_nobody,
        dependencies={
            "service": Provide(provide_service, sync_to_thread=False),
            "who": Provide(provide_who, sync_to_thread=False),
        },
        request_max_body_size=DEFAULT_BODY,
    )
