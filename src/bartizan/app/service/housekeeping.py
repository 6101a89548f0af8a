"""Housekeeping: once an hour the service lets go of what is older than its settings keep, and of what nobody refers to.

Bytes lose their last reference when a boot goes, and when a node sends another posture or all of its logs once more. To
find them is to look through everything: for blobs when a boot went or another blob came, for IMA entries when a boot
went, for both once a day. That is read beside the writer, page by page (`store.sweeping` says why that is safe).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection, Engine

from bartizan.app.service.clock import Clock
from bartizan.app.service.leases import HOUSEKEEPING, Leases
from bartizan.app.service.settings import Storage
from bartizan.app.service.sweeping import Sweep
from bartizan.store.leases import LeaseLost
from bartizan.store.retention import AT_ONCE, drop_alarms, drop_boots, drop_enrolments, drop_results, newest_blob
from bartizan.store.sweeping import ENTRIES, LOGS, Kept
from bartizan.store.writer import Writer

HOUR = 3600
DAY = 86_400_000
"""Milliseconds."""
log = structlog.get_logger("bartizan.housekeeping")


@dataclass(slots=True, kw_only=True)
class Housekeeping:
    """The use case; each step is a transaction of its own, so that attestations go on in between."""

    engine: Engine
    writer: Writer
    leases: Leases
    settings: Storage
    clock: Clock
    _swept_at: int | None = field(default=None, init=False)
    _newest: int = field(default=0, init=False)

    async def run(self) -> None:
        """Tidy up every hour, until cancelled."""
        while True:
            await asyncio.sleep(HOUR)
            try:
                await self.tidy()
            except LeaseLost:
                log.info("another Verifier tidies up")
            except Exception:  # the outermost loop: what stops one round must not stop the next
                log.exception("housekeeping stopped")

    async def tidy(self) -> dict[str, int]:
        """Drop what is too old; how many rows of what went.

        Raises:
            LeaseLost: another Verifier does it.
        """
        before = self.clock().milliseconds - self.settings.history_days * DAY
        gone = {
            "results": await self._all(lambda connection: drop_results(connection, before=before)),
            "boots": await self._all(lambda connection: drop_boots(connection, before=before)),
            "enrolments": await self._all(
                lambda connection: drop_enrolments(connection, before=self.clock().milliseconds)
            ),
            "alarms": await self._alone(lambda connection: drop_alarms(connection, before=before)),
        }
        daily = self._swept_at is None or self.clock().milliseconds - self._swept_at >= DAY
        if gone["boots"] or daily or await self.writer.submit(newest_blob) != self._newest:
            gone["logs"] = await self._sweep(LOGS)
            self._newest = await self.writer.submit(newest_blob)
        if gone["boots"] or daily:
            gone["entries"] = await self._sweep(ENTRIES)
            self._swept_at = self.clock().milliseconds
        if any(gone.values()):
            log.info("tidied up", **gone)
        return gone

    async def _sweep(self, kept: Kept) -> int:
        """Drop what nothing refers to; how many rows went.

        Raises:
            LeaseLost: another Verifier does it, or did so in between.
        """
        fence = await self.writer.submit(lambda connection: self.leases.surely(connection, HOUSEKEEPING))
        return await Sweep(engine=self.engine, writer=self.writer, leases=self.leases, kept=kept, fence=fence).run()

    async def _alone(self, step: Callable[[Connection], int]) -> int:
        return await self.writer.submit(self.leases.step(HOUSEKEEPING, step))

    async def _all(self, step: Callable[[Connection], int]) -> int:
        """Repeat a step until it finds less than it takes at once."""
        every = 0
        while True:
            gone = await self._alone(step)
            every += gone
            if gone < AT_ONCE:
                return every
