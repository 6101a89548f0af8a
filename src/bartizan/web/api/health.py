"""Whether the service lives, and whether it can do its part: for who starts, restarts and balances it."""

import asyncio

import msgspec
from litestar import Response, get
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from bartizan.store.alarms import touch_nothing
from bartizan.store.writer import WriterLost
from bartizan.web.api.caller import Serving
from bartizan.web.api.operation import Described

PATIENCE = 3.0
"""Seconds for a look at the database and a round through the writer."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """ok, or what is not."""

    status: str


@get("/health/live", operation_id="live", operation_class=Described, summary="Does it live?", tags=["service"])
async def live() -> Health:
    """It answers."""
    return Health(status="ok")


@get("/health/ready", operation_id="ready", operation_class=Described, summary="Is it ready?", tags=["service"])
async def ready(service: Serving) -> Response[Health]:
    """Its database can be read, and its writer writes. 503 where not."""
    try:
        async with asyncio.timeout(PATIENCE):
            await service.read(lambda connection: connection.execute(text("SELECT 1")).scalar_one())
            await service.write(touch_nothing)
    except (SQLAlchemyError, WriterLost, TimeoutError):
        return Response(Health(status="the database cannot be read or written"), status_code=503)
    return Response(Health(status="ok"))


ROUTES = (live, ready)
