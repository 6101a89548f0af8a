"""The service's clock, in the units that are kept: one reading for everything that one request does."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

Clock = Callable[[], "Now"]


@dataclass(frozen=True, slots=True)
class Now:
    """One instant, in microseconds since 1970 UTC."""

    microseconds: int

    @property
    def milliseconds(self) -> int:
        """The same in milliseconds."""
        return self.microseconds // 1000

    @property
    def date(self) -> datetime:
        """The same as aware UTC."""
        return datetime.fromtimestamp(self.microseconds / 1_000_000, UTC)


def system_clock() -> Now:
    """This machine's clock."""
    return Now(time.time_ns() // 1000)
