"""Alarms about the service as a whole, and its heartbeat. Every function takes its caller's connection."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from bartizan.store.dialect import inserting
from bartizan.store.tables import alarm, beat

MAX_WHY = 1024
THE_ONE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One alarm; times in milliseconds since 1970 UTC, cleared_at None while it stands."""

    id: int
    kind: str
    why: str
    raised_at: int
    cleared_at: int | None


def raise_alarm(connection: Connection, kind: str, why: str, *, now: int) -> None:
    """An alarm of a kind; while one stands, there is no second one."""
    standing = select(alarm.c.id).where(alarm.c.kind == kind, alarm.c.cleared_at.is_(None))
    if connection.execute(standing).first() is None:
        connection.execute(insert(alarm).values(kind=kind, why=why[:MAX_WHY], raised_at=now))


def clear_alarms(connection: Connection, kind: str, *, now: int) -> None:
    """What it was about is over."""
    connection.execute(update(alarm).where(alarm.c.kind == kind, alarm.c.cleared_at.is_(None)).values(cleared_at=now))


def alarms(connection: Connection, *, standing: bool) -> list[Alarm]:
    """Alarms, the newest first; standing: only those not cleared."""
    query = select(alarm).order_by(alarm.c.id.desc())
    if standing:
        query = query.where(alarm.c.cleared_at.is_(None))
    return [
        Alarm(id=row.id, kind=row.kind, why=row.why, raised_at=row.raised_at, cleared_at=row.cleared_at)
        for row in connection.execute(query)
    ]


def last_beat(connection: Connection) -> int | None:
    """When the service was last known to be alive."""
    at = connection.execute(select(beat.c.at).where(beat.c.id == THE_ONE)).scalar_one_or_none()
    return None if at is None else int(at)


def excused_until(connection: Connection) -> int:
    """Before this time nobody is late: the service was away, and everybody needs time to come back."""
    return connection.execute(select(beat.c.excused_until).where(beat.c.id == THE_ONE)).scalar_one_or_none() or 0


def excuse(connection: Connection, *, until: int) -> None:
    """Nobody is late before this time."""
    connection.execute(update(beat).where(beat.c.id == THE_ONE).values(excused_until=until))


def set_beat(connection: Connection, *, now: int) -> None:
    """It is alive now."""
    row = inserting(connection, beat).values(id=THE_ONE, at=now)
    connection.execute(row.on_conflict_do_update(index_elements=["id"], set_={"at": now}))


def touch_nothing(connection: Connection) -> None:
    """Write to no row, which a database that takes no writes refuses all the same."""
    connection.execute(update(beat).where(beat.c.id != THE_ONE).values(at=beat.c.at))
