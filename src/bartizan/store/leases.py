"""Leases: who of several Verifiers does alone what one must do alone, for how long, and counted by a fencing number.

Every function takes the connection of its caller's transaction. Whoever works under a lease takes or renews it in the
very transaction of each step, so that one who was frozen, and came back after its lease had ended, changes nothing.
"""

from sqlalchemy import Connection, select, update

from bartizan.store.dialect import inserting
from bartizan.store.tables import lease
from bartizan.store.writer import Untouched


class LeaseLost(Untouched):
    """Somebody else does it by now."""


def hold(connection: Connection, name: str, holder: str, *, now: int, until: int, surely: bool = False) -> int | None:
    """Take or renew a lease; its fencing number, another one whenever the holder is. None: it is not to be had.

    now, until: milliseconds since 1970 UTC; no lease lasts longer than that, so that one which seems to is of a clock
    that was set back. surely: take it from whoever has it, who is known to be gone.
    """
    row = connection.execute(select(lease).where(lease.c.name == name)).one_or_none()
    if row is None:
        first = (
            inserting(connection, lease)
            .values(name=name, holder=holder, fence=1, expires_at=until)
            .on_conflict_do_nothing()
        )
        return 1 if connection.execute(first.returning(lease.c.name)).one_or_none() is not None else None
    if row.holder != holder and now < row.expires_at <= until and not surely:
        return None
    fence: int = row.fence + (row.holder != holder)
    seen = (lease.c.fence == row.fence, lease.c.expires_at == row.expires_at)
    taken = update(lease).where(lease.c.name == name, *seen).values(holder=holder, fence=fence, expires_at=until)
    return fence if connection.execute(taken).rowcount == 1 else None


def release(connection: Connection, name: str, holder: str) -> None:
    """Whoever wants it next may have it, if it is still this holder's."""
    own = update(lease).where(lease.c.name == name, lease.c.holder == holder)
    connection.execute(own.values(expires_at=0))
