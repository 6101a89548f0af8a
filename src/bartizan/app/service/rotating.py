"""A new key for signing results, by a person's wish."""

import asyncio

import structlog
from sqlalchemy import Connection

from bartizan.app.service.changes import Deed, Who, change
from bartizan.app.service.refusals import Conflict
from bartizan.app.service.service import Service
from bartizan.store.rules import Author

SECOND = 1000
log = structlog.get_logger("bartizan.service")


async def rotate_keys(service: Service, who: Who) -> int:
    """Make a new key; when it will sign, in milliseconds since 1970 UTC.

    The key comes first, and outside of the transaction, which may be tried twice; the log has it also where the
    audit's entry then fails.

    Raises:
        Conflict: one is announced already, or the operator's own key signs.
        ConfigError, ConnectorError: it cannot be made.
    """
    now, signer = service.clock(), service.signer
    if signer.store.fixed is not None:
        raise Conflict(signer.store.fixed)
    if not await asyncio.to_thread(signer.announce, now):
        raise Conflict("a new key is announced already; it has to be in use before the next one")
    log.info("a new key for results", by=who.account)

    def made(_: Connection, __: Author) -> int:
        return now.milliseconds + signer.announced * SECOND

    return await change(service, who, made, lambda _: Deed("keys.rotate", "result keys"))
