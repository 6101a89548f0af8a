"""Who is behind time: by an indexed column, so that a look at a hundred thousand nodes costs what it finds.

Every function takes the connection of its caller's transaction.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select, update

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
    return [(number, uid, name) for number, uid, name in connection.execute(query)]


def mark(connection: Connection, numbers: list[int], *, silence: Silence, before: Silence) -> None:
    """These nodes are this far behind now, unless they have been heard of meanwhile."""
    query = update(node_state).where(node_state.c.node.in_(numbers), node_state.c.silence == int(before))
    connection.execute(query.values(silence=int(silence)))


def due_before(connection: Connection, now: int) -> int:
    """How many enrolled nodes that were on time should have come by now."""
    query = (
        select(func.count())
        .select_from(node_state.join(node, node.c.id == node_state.c.node))
        .where(node_state.c.silence == int(Silence.NONE), node_state.c.due < now, node.c.retired_at.is_(None))
    )
    return int(connection.execute(query).scalar_one())


def hasten(connection: Connection, *, until: int, issued: int) -> None:
    """The clock was set back: nobody is due after this time, and no challenge was made after that (microseconds)."""
    connection.execute(update(node_state).where(node_state.c.due > until).values(due=until))
    connection.execute(update(node_state).where(node_state.c.nonce_issued > issued).values(nonce_issued=issued))


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelCount:
    """How many enrolled nodes have a level, and are contraindicated or not. silence: how far behind they are."""

    silence: Silence
    level: int
    contraindicated: bool
    nodes: int


def level_counts_at(connection: Connection, *, late: int, expired: int) -> list[LevelCount]:
    """Enrolled nodes by level and by how far behind they are. late, expired: who was due before that is."""
    behind_now = case(
        (node_state.c.due < expired, int(Silence.EXPIRED)), (node_state.c.due < late, int(Silence.LATE)), else_=0
    ).label("behind")
    query = (
        select(behind_now, node_state.c.level, node_state.c.contraindicated, func.count().label("nodes"))
        .join(node, node.c.id == node_state.c.node)
        .where(node.c.retired_at.is_(None))
        .group_by(behind_now, node_state.c.level, node_state.c.contraindicated)
    )
    return [
        LevelCount(silence=Silence(row.behind), level=row.level, contraindicated=row.contraindicated, nodes=row.nodes)
        for row in connection.execute(query)
    ]
