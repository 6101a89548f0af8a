"""What is old enough to go: former verdicts and boots, and bytes that nothing refers to any more.

Every function takes the connection of its caller's transaction; each removes a bounded part, so that nobody waits long.
"""

from array import array

from sqlalchemy import ColumnElement, Connection, delete, exists, func, select

from bartizan.formats.cbor import decode_cbor
from bartizan.formats.cbor_shape import Place, many, unsigned
from bartizan.store.alone import Alone, serially
from bartizan.store.database import unhurried
from bartizan.store.generations import Held, bump
from bartizan.store.tables import alarm, blob, boot, enrolment, ima_chunk, ima_entry, node_state, result

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
    return connection.execute(delete(enrolment).where(enrolment.c.expires_at < before)).rowcount


def drop_alarms(connection: Connection, *, before: int) -> int:
    """Alarms cleared before this time; how many went."""
    return connection.execute(delete(alarm).where(alarm.c.cleared_at < before)).rowcount


def drop_unused_blobs(connection: Connection) -> int:
    """Logs and postures that no boot and no state refers to; how many went."""
    unhurried(connection)
    serially(connection, Alone.CONTENT)
    others = set[int]()
    for row in connection.execute(select(boot.c.other_logs)).scalars():
        others.update(many(unsigned, least=0)(decode_cbor(row), Place("kept logs")))
    used: list[ColumnElement[bool]] = [
        exists().where(column == blob.c.id) for column in (boot.c.boot_log, boot.c.launch_log, boot.c.command_line)
    ]
    used.append(exists().where(node_state.c.posture == blob.c.id))
    query = select(blob.c.id)
    for condition in used:
        query = query.where(~condition)
    unused = [number for number in connection.execute(query).scalars() if number not in others][:AT_ONCE]
    return connection.execute(delete(blob).where(blob.c.id.in_(unused))).rowcount


def drop_unused_entries(connection: Connection) -> int:
    """IMA entries that no boot's list holds; how many went. Whoever remembers their numbers has to forget them."""
    unhurried(connection)
    serially(connection, Alone.CONTENT)
    bump(connection, Held.CONTENT)
    used = set[int]()
    for chunk in connection.execute(select(ima_chunk.c.entries)).scalars():
        numbers = array("q")
        numbers.frombytes(chunk)
        used.update(numbers)
    known = connection.execute(select(ima_entry.c.id)).scalars()
    unused = [number for number in known if number not in used]
    gone = 0
    for start in range(0, len(unused), AT_ONCE):
        some = unused[start : start + AT_ONCE]
        gone += connection.execute(delete(ima_entry).where(ima_entry.c.id.in_(some))).rowcount
    return gone


def newest_blob(connection: Connection) -> int:
    """The highest number of a log or posture, by which it is seen that others came; 0 where there is none."""
    return connection.execute(select(func.max(blob.c.id))).scalar_one() or 0
