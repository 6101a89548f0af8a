"""Storm control: full attestations are judged a few at a time; who finds the queue full gets a place in line.

A reboot of a whole site brings everybody back at once. Those turned away are told times that lie one behind the other,
as long apart as one full attestation takes, so that they come back as fast as they can be judged, and no faster.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bartizan.app.service.refusals import Busy

FIRST_GUESS = 0.05
"""Seconds of one full attestation before any was seen."""
WEIGHT = 0.1
"""Of the newest one in the running mean."""
LONGEST = 600.0
"""Seconds that a node is told to wait at most."""

SPREAD = 2
"""Agents add up to as much again to what they are told: told half, each comes before its place and none behind it.

Who comes too early is turned away once more, which costs little; a place that stays empty is time lost for everybody.
"""


class Storm:
    """at_once: full attestations judged at the same time; waiting: how many may wait for that."""

    def __init__(self, *, at_once: int, waiting: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._room = asyncio.Semaphore(at_once)
        self._at_once = at_once
        self._most = waiting
        self._clock = clock
        self._inside = 0
        self._seconds = FIRST_GUESS
        self._next_place = 0.0
        self.turned_away = 0

    def check(self) -> None:
        """Nothing, if there is room.

        Raises:
            Busy: there is none; it says when to come back.
        """
        if self._inside < self._at_once + self._most:
            return
        self.turned_away += 1
        now = self._clock()
        self._next_place = max(self._next_place, now + self._most * self._step()) + self._step()
        wait = min((self._next_place - now) / SPREAD, LONGEST)
        raise Busy(f"{self._inside} full attestations are waiting already", retry_after=max(1, round(wait)))

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One's turn to be judged in full.

        Raises:
            Busy: as above.
        """
        self.check()
        self._inside += 1
        try:
            async with self._room:
                begun = self._clock()
                yield
                self._seconds += WEIGHT * (self._clock() - begun - self._seconds)
        finally:
            self._inside -= 1

    @property
    def inside(self) -> int:
        """Full attestations being judged or waiting."""
        return self._inside

    def _step(self) -> float:
        return self._seconds / self._at_once
