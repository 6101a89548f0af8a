"""Who is behind time: by an indexed column, so that a look at a hundred thousand nodes costs what it finds.

Every function takes the connection of its caller's transaction.
"""

from sqlalchemy import Connection, func, select, update

from bartizan.model.node import Silence
from bartizan.store.tables import node, node_state


def behind(connection: Connection, *, silence: Silence, due_before: int, limit: int) -> list[tuple[int, str, str]]:
    """Nodes whose silence was last seen as this and that were due before this time: number, id, name."""
    query = (
        select(node_state.c.node, node.c.uid, node.c.name)
        .join(node, node.c.id == node_state.c.node)
        .where(node_state.c.silence == int(silence), node_state.c.due < due_before, node.c.retired_at.is_(None))
        .order_by(node_state.c.due)
        .limit(limit)
    )
    return [(row.node, row.uid, row.name) for row in connection.execute(query)]


def mark(connection: Connection, numbers: list[int], *, silence: Silence, before: Silence) -> None:
    """These nodes are this far behind now, unless they have been heard of meanwhile."""
    query = update(node_state).where(node_state.c.node.in_(numbers), node_state.c.silence == int(before))
    connection.execute(query.values(silence=int(silence)))


def postpone(connection: Connection, *, until: int) -> int:
    """Nobody is due before this time: the service was not there to be spoken to. Returns how many were."""
    changed = connection.execute(update(node_state).where(node_state.c.due < until).values(due=until)).rowcount
    connection.execute(update(node_state).where(node_state.c.due == until).values(silence=int(Silence.NONE)))
    return changed


def hasten(connection: Connection, *, until: int) -> None:
    """Nobody is due after this time: the clock was set back, and what it said before is far off now."""
    connection.execute(update(node_state).where(node_state.c.due > until).values(due=until))


def counts(connection: Connection) -> dict[Silence, int]:
    """How many enrolled nodes are how far behind."""
    query = (
        select(node_state.c.silence, func.count())
        .join(node, node.c.id == node_state.c.node)
        .where(node.c.retired_at.is_(None))
        .group_by(node_state.c.silence)
    )
    found = {Silence(number): count for number, count in connection.execute(query)}
    return {silence: found.get(silence, 0) for silence in Silence}
