"""What several Verifiers on one database agree about: the time, the rules in force, the key of challenges.

Once a second each looks at the database's counters, and reads again what has changed; so a change made at one takes
effect at all others within `LOOK_EVERY` and the time of a reading. Time is the database's: a Verifier whose own clock
is wrong neither signs results of the future nor takes anybody for late.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection, Engine, func, select

from bartizan.app.service.clock import Clock, Now, system_clock
from bartizan.store.generations import Held, generations
from bartizan.store.reading import reading

LOOK_EVERY = 1.0
"""Seconds between two looks."""
PRECISE = 0.5
"""Seconds that a look at the database's clock may take to be believed."""
STEADY = 50_000
"""Microseconds of difference that are left alone, beside those that the look itself took."""
WRONG = 2_000_000
"""Microseconds from which on a difference is said in the log."""
log = structlog.get_logger("bartizan.sharing")


class DatabaseClock:
    """The database's clock, carried on between two looks at it by time since boot, which nobody sets."""

    def __init__(self) -> None:
        self._at = _since_boot()
        self._microseconds = system_clock().microseconds
        self._told = False

    def __call__(self) -> Now:
        """The present time."""
        return Now(self._microseconds + _since_boot() - self._at)

    def look(self, connection: Connection) -> None:
        """Ask the database what time it is, and go by that."""
        begun = _since_boot()
        asked = connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one()
        took = _since_boot() - begun
        if took > PRECISE * 1_000_000:
            return
        theirs = int(asked * 1_000_000) + took // 2
        if abs(theirs - self().microseconds) > STEADY + took:
            self._at, self._microseconds = begun + took, theirs
        self._tell(theirs - system_clock().microseconds)

    def _tell(self, difference: int) -> None:
        wrong = abs(difference) > WRONG
        if wrong and not self._told:
            log.warning("this machine's clock is not the database's", seconds=difference / 1_000_000)
        self._told = wrong


def _since_boot() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


@dataclass(slots=True, kw_only=True)
class Sharing:
    """The looks. clock: the database's, where it has one; changed: what to do when a counter has gone up."""

    engine: Engine
    clock: Clock
    seen: dict[Held, int]
    changed: dict[Held, Callable[[int], Awaitable[object]]] = field(default_factory=dict)

    async def run(self) -> None:
        """Look for ever, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001  # the outermost loop: a database that is away comes back
                log.warning("the database could not be looked at", why=str(error).partition("\n")[0])

    async def look(self) -> None:
        """Read again what has changed since the last look."""
        found = await reading(self.engine, self._ask)
        for what, react in self.changed.items():
            if found[what] != self.seen[what]:
                await react(found[what])
                self.seen[what] = found[what]

    def _ask(self, connection: Connection) -> dict[Held, int]:
        if isinstance(self.clock, DatabaseClock):
            self.clock.look(connection)
        return generations(connection)
