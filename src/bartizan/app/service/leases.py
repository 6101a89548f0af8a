"""What one of several Verifiers does alone, in the words of the service: the same code where there is only one.

A lease is held for seconds and renewed with every step. Where the database is SQLite there is one service, which the
data folder's lock sees to, and a lease that another process left is void.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Connection

from bartizan.app.service.clock import Clock
from bartizan.store.leases import LeaseLost, hold, release

Given = TypeVar("Given")
LEASE = 10_000
"""Milliseconds that a lease holds without a step: others take over so long after its holder died or was cut off."""
WATCH, HOUSEKEEPING, REAPPRAISAL, KEYS = "watch", "housekeeping", "reappraisal", "keys"
ALL = (WATCH, HOUSEKEEPING, REAPPRAISAL, KEYS)
MAX_HOST = 40


def _holder() -> str:
    return f"{socket.gethostname()[:MAX_HOST]}-{os.urandom(8).hex()}"


@dataclass(slots=True, kw_only=True)
class Leases:
    """Those of this process. shared: other Verifiers use the database; holder: its name in them."""

    clock: Clock
    shared: bool
    holder: str = field(default_factory=_holder)

    def hold(self, connection: Connection, name: str) -> int | None:
        """Take or renew a lease in the caller's transaction: its fencing number, None where another Verifier has it."""
        now = self.clock().milliseconds
        return hold(connection, name, self.holder, now=now, until=now + LEASE, surely=not self.shared)

    def surely(self, connection: Connection, name: str) -> int:
        """The same, where it must not be another Verifier's.

        Raises:
            LeaseLost: it is.
        """
        held = self.hold(connection, name)
        if held is None:
            raise LeaseLost(f"another Verifier does the {name}")
        return held

    def step(
        self, name: str, work: Callable[[Connection], Given], *, fence: int | None = None
    ) -> Callable[[Connection], Given]:
        """The same work, which does nothing and raises `LeaseLost` where another Verifier has the lease.

        fence: the number that the lease had at a former step, where another Verifier must not have had it since.
        """

        def run(connection: Connection) -> Given:
            held = self.surely(connection, name)
            if fence not in (None, held):
                raise LeaseLost(f"another Verifier did the {name} in between")
            return work(connection)

        return run

    def release(self, connection: Connection, *names: str) -> None:
        """Let others go on at once."""
        for name in names or ALL:
            release(connection, name, self.holder)
