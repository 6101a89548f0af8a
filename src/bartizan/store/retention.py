"""What is old enough to go: former verdicts and boots. What nothing refers to any more is `sweeping`'s.

Every function takes the connection of its caller's transaction; each removes a bounded part, so that nobody waits long.
"""

from sqlalchemy import Connection, delete, exists, func, select

from bartizan.store.tables import alarm, blob, boot, enrolment, ima_chunk, node_state, result

AT_ONCE = 500
"""Rows of one table in one step."""


def drop_results(connection: Connection, *, before: int) -> int:
    """Verdicts given last before this time, but none that stands; how many went."""
    standing = select(node_state.c.result).where(node_state.c.result.is_not(None))
    old = select(result.c.id).where(result.c.last_at < before, result.c.id.not_in(standing)).limit(AT_ONCE)
    return connection.execute(delete(result).where(result.c.id.in_(old))).rowcount


def drop_boots(connection: Connection, *, before: int) -> int:
    """Boots that began before this time, are not the present one, and have no verdict left; how many went."""
    present = exists().where(node_state.c.boot == boot.c.id)
    judged = exists().where(result.c.boot == boot.c.id)
    old = select(boot.c.id).where(boot.c.seen_at < before, ~present, ~judged).limit(AT_ONCE)
    numbers = list(connection.execute(old).scalars())
    connection.execute(delete(ima_chunk).where(ima_chunk.c.boot.in_(numbers)))
    return connection.execute(delete(boot).where(boot.c.id.in_(numbers))).rowcount


def drop_enrolments(connection: Connection, *, before: int) -> int:
    """Enrolments whose time to answer ended before this time; how many went."""
    old = select(enrolment.c.id).where(enrolment.c.expires_at < before).limit(AT_ONCE)
    return connection.execute(delete(enrolment).where(enrolment.c.id.in_(old))).rowcount


def drop_alarms(connection: Connection, *, before: int) -> int:
    """Alarms cleared before this time; how many went."""
    return connection.execute(delete(alarm).where(alarm.c.cleared_at < before)).rowcount


def newest_blob(connection: Connection) -> int:
    """The highest number of a log or posture, by which it is seen that others came; 0 where there is none."""
    return connection.execute(select(func.max(blob.c.id))).scalar_one() or 0
