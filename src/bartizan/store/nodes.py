"""Enrolled nodes and how far each has come. Every function takes the connection of its caller's transaction."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Update, bindparam, insert, select, tuple_, update

from bartizan.model.digest import HashAlg
from bartizan.model.node import NodeProgress, NodeRecord, Silence
from bartizan.store.tables import finding, node, node_state, project, result

refused: Update = (
    update(node_state)
    .where(node_state.c.node == bindparam("of_node"), node_state.c.accepted == bindparam("of_accepted"))
    .values(attempted_at=bindparam("attempted_at"), refusal=bindparam("refusal"))
)
"""An attestation that was refused: it changes nothing but what is said of the last attempt.

One that is written after a later attestation was accepted (jobs have no order) says nothing any more.
"""
MAX_REFUSAL = 1024
"""Characters of a refusal that are kept."""
_OF_UID = (node.c.uid == bindparam("of_uid"), node.c.retired_at.is_(None))
_PROGRESS = [column for column in node_state.c if column.name not in {"node", "evidence", "sealed", "notes"}]
_FIND = select(node, *_PROGRESS).join(node_state, node_state.c.node == node.c.id).where(*_OF_UID)
_VERSION = select(node_state.c.version).join(node, node.c.id == node_state.c.node).where(*_OF_UID)
_OF_NODE = update(node_state).where(node_state.c.node == bindparam("of_node"))
_SET_RULES, _SET_SEALED = _OF_NODE.values(rules=bindparam("of_rules")), _OF_NODE.values(sealed=bindparam("of_seal"))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNode:
    """A node to enrol; the fields are those of `NodeRecord`, without its number. enrolled_by: how it came in."""

    uid: str
    name: str
    role: str
    project: int
    ek_name: bytes
    ak_name: bytes
    identity: bytes
    registered: bool
    banks: tuple[HashAlg, ...]
    pinned: HashAlg
    enrolled_by: str
    approver: str | None = None


def add_node(connection: Connection, new: NewNode, *, now: int, due: int) -> NodeRecord:
    """Enrol a node; now, due: milliseconds since 1970 UTC.

    Raises:
        sqlalchemy.exc.IntegrityError: its name or EK is enrolled already.
    """
    row = {
        "uid": new.uid,
        "name": new.name,
        "role": new.role,
        "project": new.project,
        "ek_name": new.ek_name,
        "ak_name": new.ak_name,
        "identity": new.identity,
        "registered": new.registered,
        "banks": b"".join(bank.to_bytes(2, "big") for bank in new.banks),
        "pinned": int(new.pinned),
        "enrolled_at": now,
        "created_at": now,
        "created_by": new.enrolled_by,
        "approver": new.approver,
    }
    added = connection.execute(insert(node).values(row).returning(node)).one()
    state = {"node": added.id, "accepted": 0, "nonce_issued": 0, "due": due, "silence": int(Silence.NONE)}
    connection.execute(insert(node_state).values(state | {"level": 0, "contraindicated": False, "agent": ""}))
    return _record(added)


def find_node(connection: Connection, uid: str) -> tuple[NodeRecord, NodeProgress] | None:
    """An enrolled node and its progress."""
    row = connection.execute(_FIND, {"of_uid": uid}).one_or_none()
    return None if row is None else (_record(row), _progress(row))


def version_of(connection: Connection, uid: str) -> int | None:
    """The version of an enrolled node's row; None if nobody of this id is enrolled."""
    return connection.execute(_VERSION, {"of_uid": uid}).scalar_one_or_none()


def enrolled_as(connection: Connection, *, name: str, ek_name: bytes) -> list[NodeRecord]:
    """Enrolled nodes of this name or with this EK."""
    found: dict[int, NodeRecord] = {}
    for known in (node.c.name == name, node.c.ek_name == ek_name):  # one query for both would read the whole table
        for row in connection.execute(select(node).where(node.c.retired_at.is_(None), known)):
            found[row.id] = _record(row)
    return list(found.values())


def enrolled_since(connection: Connection, numbers: Collection[int], at: int) -> bool:
    """One of these nodes was enrolled after this time."""
    query = select(node.c.id).where(node.c.id.in_(numbers), node.c.enrolled_at > at)
    return connection.execute(query.limit(1)).first() is not None


def retired_since(connection: Connection, ek_name: bytes, at: int) -> bool:
    """A node with this EK was retired at this time or later."""
    query = select(node.c.id).where(node.c.ek_name == ek_name, node.c.retired_at >= at)
    return connection.execute(query.limit(1)).first() is not None


def enrolled_outside(connection: Connection, project_id: int) -> set[bytes]:
    """Names of the EKs of nodes that are enrolled in any other project."""
    query = select(node.c.ek_name).where(node.c.retired_at.is_(None), node.c.project != project_id)
    return set(connection.execute(query).scalars())


def set_boot(connection: Connection, node_id: int, boot_id: int) -> None:
    """A node has begun another boot."""
    connection.execute(update(node_state).where(node_state.c.node == node_id).values(boot=boot_id))


def set_rules(connection: Connection, node_id: int, rules: bytes) -> None:
    """A node's verdict was made by these rules."""
    connection.execute(_SET_RULES, {"of_node": node_id, "of_rules": rules})


def set_sealed(connection: Connection, node_id: int, sealed: bytes | None) -> None:
    """A node's judged state under the service's seal; None: it has to be judged again after a restart."""
    connection.execute(_SET_SEALED, {"of_node": node_id, "of_seal": sealed})


def judged_otherwise(connection: Connection, rules: bytes) -> list[str]:
    """Ids of enrolled nodes whose verdict was made by other rules."""
    query = select(node.c.uid).join(node_state, node_state.c.node == node.c.id)
    stale = query.where(node.c.retired_at.is_(None), node_state.c.boot.is_not(None), node_state.c.rules != rules)
    return list(connection.execute(stale.order_by(node.c.id)).scalars())


def standing_nodes(connection: Connection) -> list[tuple[str, str]]:
    """Ids and names of the enrolled nodes, by name."""
    query = select(node.c.uid, node.c.name).where(node.c.retired_at.is_(None)).order_by(node.c.name)
    return [(row.uid, row.name) for row in connection.execute(query)]


def standing(connection: Connection, node_id: int) -> tuple[int | None, bytes]:
    """The number of a node's posture document, and the digest of the verdict that stands."""
    query = (
        select(node_state.c.posture, result.c.digest)
        .outerjoin(result, result.c.id == node_state.c.result)
        .where(node_state.c.node == node_id)
    )
    row = connection.execute(query).one()
    return row.posture, row.digest or b""


def retire_node(connection: Connection, node_id: int, *, at: int) -> None:
    """Take a node off the list of the enrolled; its history stays, and no attestation under way is kept any more."""
    connection.execute(update(node).where(node.c.id == node_id).values(retired_at=at))
    connection.execute(update(node_state).where(node_state.c.node == node_id).values(version=node_state.c.version + 1))


def _record(row: Row[Any]) -> NodeRecord:
    numbers = range(0, len(row.banks), 2)
    return NodeRecord(
        id=row.id,
        uid=row.uid,
        name=row.name,
        role=row.role,
        project=row.project,
        ek_name=row.ek_name,
        ak_name=row.ak_name,
        identity=row.identity,
        registered=row.registered,
        banks=tuple(HashAlg(int.from_bytes(row.banks[at : at + 2], "big")) for at in numbers),
        pinned=HashAlg(row.pinned),
    )


def _progress(row: Row[Any]) -> NodeProgress:
    return NodeProgress(
        accepted=row.accepted,
        accepted_at=row.accepted_at,
        nonce_issued=row.nonce_issued,
        due=row.due,
        silence=Silence(row.silence),
        level=row.level,
        contraindicated=row.contraindicated,
        boot=row.boot,
        result=row.result,
        attempted_at=row.attempted_at,
        refusal=row.refusal,
        version=row.version,
    )


class Sort(StrEnum):
    """What a list of nodes is ordered by; nodes that are alike in it come in the order of their numbers."""

    NAME = "name"
    LEVEL = "level"
    DUE = "due"
    ENROLLED = "enrolled"


SORT_COLUMNS = {
    Sort.NAME: node.c.name,
    Sort.LEVEL: node_state.c.level,
    Sort.DUE: node_state.c.due,
    Sort.ENROLLED: node.c.enrolled_at,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """A node as people see it. Times in milliseconds since 1970 UTC."""

    id: int
    uid: str
    name: str
    role: str
    project: str
    project_id: int
    ek_name: bytes
    ak_name: bytes
    registered: bool
    pinned: HashAlg
    enrolled_at: int
    enrolled_by: str
    approver: str | None
    retired_at: int | None
    accepted: int
    accepted_at: int | None
    due: int
    level: int
    contraindicated: bool
    result: int | None
    agent: str
    attempted_at: int | None
    refusal: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFilter:
    """Which nodes; None: whichever. due_from, due_before: milliseconds; name ends with `*`: all that begin so."""

    project: int | None = None
    name: str | None = None
    role: str | None = None
    due_from: int | None = None
    due_before: int | None = None
    min_level: int | None = None
    max_level: int | None = None
    contraindicated: bool | None = None
    check: str | None = None
    retired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a page of a list begins: behind the node with this value of the sort's column and this number."""

    value: str | int
    number: int


def list_nodes(
    connection: Connection, wanted: NodeFilter, *, sort: Sort, after: Place | None, limit: int
) -> list[NodeRow]:
    """One page of the nodes that are wanted."""
    column = SORT_COLUMNS[sort]
    query = _rows().where(*_conditions(wanted)).order_by(column, node.c.id).limit(limit)
    if after is not None:
        query = query.where(tuple_(column, node.c.id) > (after.value, after.number))
    return [_node_row(row) for row in connection.execute(query)]


def find_row(connection: Connection, given: str, *, project_id: int | None) -> NodeRow | None:
    """A node by its id, retired or not, or by the name that it is enrolled under; an id counts before a name."""
    scope = [] if project_id is None else [node.c.project == project_id]
    row = connection.execute(_rows().where(node.c.uid == given, *scope)).one_or_none()
    if row is None:
        named = _rows().where(node.c.name == given, node.c.retired_at.is_(None), *scope)
        row = connection.execute(named).one_or_none()
    return None if row is None else _node_row(row)


def _rows() -> Select[Any]:
    return (
        select(node, node_state, project.c.name.label("project_name"))
        .join(node_state, node_state.c.node == node.c.id)
        .join(project, project.c.id == node.c.project)
    )


def _conditions(wanted: NodeFilter) -> list[ColumnElement[bool]]:
    exact = [
        (node.c.project, wanted.project),
        (node.c.role, wanted.role),
        (node_state.c.contraindicated, wanted.contraindicated),
    ]
    found: list[ColumnElement[bool]] = [column == value for column, value in exact if value is not None]
    found.append(node.c.retired_at.is_not(None) if wanted.retired else node.c.retired_at.is_(None))
    if wanted.name is not None:
        found.append(_named(wanted.name))
    if wanted.due_from is not None:
        found.append(node_state.c.due >= wanted.due_from)
    if wanted.due_before is not None:
        found.append(node_state.c.due < wanted.due_before)
    if wanted.min_level is not None:
        found.append(node_state.c.level >= wanted.min_level)
    if wanted.max_level is not None:
        found.append(node_state.c.level <= wanted.max_level)
    if wanted.check is not None:
        found.append(node.c.id.in_(select(finding.c.node).where(finding.c.check == wanted.check)))
    return found


def _named(name: str) -> ColumnElement[bool]:
    if name.endswith("*"):
        return node.c.name.startswith(name[:-1], autoescape=True)
    return node.c.name == name


def _node_row(row: Row[Any]) -> NodeRow:
    return NodeRow(
        id=row.id,
        uid=row.uid,
        name=row.name,
        role=row.role,
        project=row.project_name,
        project_id=row.project,
        ek_name=row.ek_name,
        ak_name=row.ak_name,
        registered=row.registered,
        pinned=HashAlg(row.pinned),
        enrolled_at=row.enrolled_at,
        enrolled_by=row.created_by,
        approver=row.approver,
        retired_at=row.retired_at,
        accepted=row.accepted,
        accepted_at=row.accepted_at,
        due=row.due,
        level=row.level,
        contraindicated=row.contraindicated,
        result=row.result,
        agent=row.agent,
        attempted_at=row.attempted_at,
        refusal=row.refusal,
    )
