"""Time and chance as the loop needs them, so that a test or a fleet can bring its own."""

from __future__ import annotations

import random
import time
from typing import NamedTuple, Optional, Protocol

JUMP = 2.0
"""Seconds between two steps by which the wall clock may differ from the steady one: adjusting it slowly is no jump."""


class Clock(Protocol):
    """Two clocks and a die."""

    def steady(self) -> float:
        """Seconds since some moment: never set, never back, and going on while the machine is suspended."""

    def wall(self) -> float:
        """Seconds since 1970, as far as the machine knows."""

    def chance(self) -> float:
        """A number from 0 up to 1, evenly spread."""


class MachineClock:
    """This machine's."""

    def steady(self) -> float:
        """CLOCK_BOOTTIME: a challenge grows old while the machine sleeps, too."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall(self) -> float:
        """The system's clock."""
        return time.time()

    def chance(self) -> float:
        """From the system's own source: nodes that start at one moment must not move in step."""
        return random.SystemRandom().random()


class Moment(NamedTuple):
    """Both clocks at one time."""

    steady: float
    wall: float


def jumped(before: Optional[Moment], now: Moment) -> Optional[float]:
    """By how many seconds the wall clock was set in between; None if it was not."""
    if before is None:
        return None
    by = (now.wall - before.wall) - (now.steady - before.steady)
    return by if abs(by) > JUMP else None
