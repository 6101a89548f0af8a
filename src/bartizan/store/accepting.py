"""The row that every accepted attestation changes, written for many nodes at once; and who may change it.

A node's row has a version. Who judged by what the row said changes it only while it still has that version, in the very
transaction: of several Verifiers that judge a node at the same time one is first, and the others have to look again.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Connection, Update, bindparam, column, func, update

from bartizan.model.node import Silence
from bartizan.store.dialect import is_shared
from bartizan.store.tables import node_state
from bartizan.store.writer import Row, Untouched


class Outdated(Untouched):
    """The row is another one by now: somebody else attested, judged, or retired the node."""


FIELDS = ("accepted", "accepted_at", "nonce_issued", "due", "evidence", "posture", "agent", "notes")
"""Columns of the row that come with an attestation; with `of_node` and `of_version` they are what a row has."""


def _accepts(values: dict[str, Any], number: Any, version: Any) -> Update:  # noqa: ANN401  # SQL expressions
    return (
        update(node_state)
        .where(node_state.c.node == number, node_state.c.version == version)
        .values(
            **values,
            silence=int(Silence.NONE),
            attempted_at=values["accepted_at"],
            refusal=None,
            version=node_state.c.version + 1,
        )
    )


_ONE_BY_ONE = _accepts({name: bindparam(name) for name in FIELDS}, bindparam("of_node"), bindparam("of_version"))


_CLAIM = (
    update(node_state)
    .where(node_state.c.node == bindparam("of_node"), node_state.c.version == bindparam("of_version"))
    .values(version=node_state.c.version + 1)
)


def _all_at_once() -> Update:
    """PostgreSQL's way: one statement whose parameters are columns of many rows."""
    types: dict[str, Any] = {name: node_state.c[name].type for name in FIELDS}
    types |= {"of_node": BigInteger(), "of_version": BigInteger()}
    arrays = [bindparam(name, type_=ARRAY(kind)) for name, kind in types.items()]
    columns: list[Any] = [column(name, kind) for name, kind in types.items()]
    sent = func.unnest(*arrays).table_valued(*columns).render_derived(name="sent")
    made = _accepts({name: sent.c[name] for name in FIELDS}, sent.c.of_node, sent.c.of_version)
    return made.returning(node_state.c.node)


_AT_ONCE = _all_at_once()


def accept(connection: Connection, rows: Sequence[Row]) -> list[Outdated | None]:
    """Write accepted attestations; what became of each: nothing to say, or that its row has another version.

    rows: `FIELDS`, and `of_node`, `of_version`: the number of a node, each once, and its version.

    Raises:
        Outdated: some rows have other versions, and this database does not say which; they are to be written alone.
    """
    outdated = Outdated("the node's row is another one by now")
    if is_shared(connection):
        names = (*FIELDS, "of_node", "of_version")
        written = set(connection.execute(_AT_ONCE, {name: [row[name] for row in rows] for name in names}).scalars())
        return [None if row["of_node"] in written else outdated for row in rows]
    if connection.execute(_ONE_BY_ONE, list(rows)).rowcount == len(rows):
        return [None] * len(rows)
    if len(rows) > 1:
        raise outdated
    return [outdated]


def claim(connection: Connection, node_id: int, version: int) -> int:
    """Take a node's row for a change beside an attestation's; its version from now on.

    Raises:
        Outdated: it has another one; nothing was written.
    """
    if connection.execute(_CLAIM, {"of_node": node_id, "of_version": version}).rowcount != 1:
        raise Outdated("the node's row is another one by now")
    return version + 1
