"""How often somebody may guess: failures are counted by key in a sliding window. In memory, and bounded."""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bartizan.app.service.refusals import TooOften

AT_ONCE = 2
"""Passwords tried at the same time: each takes 32 MiB."""
MAX_WAITING = 32
"""Sign-ins that try a password or wait for it; the last one's turn comes within a few seconds."""
RETRY_WAITING = 5
"""Seconds after which to come back when as many wait already."""
MAX_KEYS = 10_000
"""Keys remembered; those that failed longest ago are forgotten."""


@dataclass(frozen=True, slots=True)
class Limit:
    """So many failures in so many seconds."""

    most: int
    seconds: int


BY_BOTH, BY_ADDRESS, BY_NAME = Limit(5, 300), Limit(30, 300), Limit(100, 3600)
"""For one account from one address; from one address; for one account from anywhere, so high that nobody is locked out
by another's guesses soon."""


class Attempts:
    """Failed sign-ins. clock: seconds that only go forward; room: for those who try a password now."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.room = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._failed: OrderedDict[tuple[str, ...], deque[float]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, name: str, address: str) -> AsyncIterator[None]:
        """Wait for the turn to try a password, which has to be tried, and counted as failed, before this is left.

        Raises:
            TooOften: too many wait, or meanwhile too many tries failed.
        """
        self.check(name, address)
        if self._waiting >= MAX_WAITING:
            raise TooOften("too many sign in at the same time", retry_after=RETRY_WAITING)
        self._waiting += 1
        try:
            async with self.room:
                self.check(name, address)
                yield
        finally:
            self._waiting -= 1

    def check(self, name: str, address: str) -> None:
        """Nothing, if another attempt is due.

        Raises:
            TooOften: it is not yet; it says when.
        """
        now = self._clock()
        waits = [self._wait(key, limit, now) for key, limit in _keys(name, address)]
        if max(waits) > 0:
            raise TooOften("too many failed sign-ins", retry_after=int(max(waits)) + 1)

    def failed(self, name: str, address: str) -> None:
        """Somebody gave a wrong password."""
        for key, limit in _keys(name, address):
            times = self._failed.setdefault(key, deque(maxlen=limit.most))
            times.append(self._clock())
            self._failed.move_to_end(key)
        while len(self._failed) > MAX_KEYS:
            self._failed.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """Somebody gave the right one."""
        self._failed.pop(("both", name, address), None)

    def _wait(self, key: tuple[str, ...], limit: Limit, now: float) -> float:
        times = self._failed.get(key)
        if times is None or len(times) < limit.most:
            return 0
        return times[0] + limit.seconds - now


def _keys(name: str, address: str) -> tuple[tuple[tuple[str, ...], Limit], ...]:
    return (("both", name, address), BY_BOTH), (("address", address), BY_ADDRESS), (("name", name), BY_NAME)
