"""What is not in order in the fleet now, grouped. Every function takes the connection of its caller's transaction."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Subquery, case, func, select

from bartizan.store.tables import finding, node, node_state


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFinding:
    """One check of a node that is not in order: its worst finding, and how many there are. count 0: it is missing."""

    check: str
    tier: str
    count: int
    path: str | None
    why: str
    keeps_down: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingGroup:
    """One check that is not in order, at how many nodes; `node`, `why`, `path`: of one of them."""

    check: str
    tier: str
    nodes: int
    node: str
    why: str
    path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GapRow:
    """How many nodes of a role one check keeps at a level; `node`: one of them."""

    check: str
    level: int
    role: str
    nodes: int
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    """At how many nodes of a role one posture rule is not in order, and how many of them it keeps from level 5.

    node_id: one of them.
    """

    check: str
    role: str
    nodes: int
    kept: int
    node_id: int


def open_findings(connection: Connection, node_id: int) -> list[OpenFinding]:
    """What is not in order at a node, by check."""
    columns = (
        finding.c.check,
        finding.c.tier,
        finding.c["count"],
        finding.c.path,
        finding.c.why,
        finding.c.keeps_down,
    )
    query = select(*columns).where(finding.c.node == node_id).order_by(finding.c.check)
    return [OpenFinding(**row) for row in connection.execute(query).mappings()]


def finding_groups(connection: Connection, *, project_id: int | None) -> list[FindingGroup]:
    """What is not in order at enrolled nodes, by check and tier; those at most nodes first."""
    nodes = func.count().label("nodes")
    query = (
        select(finding.c.check, finding.c.tier, nodes, func.min(node.c.id).label("example"))
        .join(node, node.c.id == finding.c.node)
        .where(node.c.retired_at.is_(None))
        .group_by(finding.c.check, finding.c.tier)
        .order_by(nodes.desc(), finding.c.check, finding.c.tier)
    )
    if project_id is not None:
        query = query.where(node.c.project == project_id)
    return list(_with_examples(connection, query.subquery()))


def _with_examples(connection: Connection, groups: Subquery) -> Iterator[FindingGroup]:
    query = (
        select(groups, node.c.name, finding.c.why, finding.c.path)
        .join(node, node.c.id == groups.c.example)
        .join(finding, (finding.c.node == groups.c.example) & (finding.c.check == groups.c["check"]))
        .order_by(groups.c.nodes.desc(), groups.c["check"], groups.c.tier)
    )
    for row in connection.execute(query).mappings():
        yield FindingGroup(
            check=row["check"],
            tier=row["tier"],
            nodes=row["nodes"],
            node=row["name"],
            why=row["why"],
            path=row["path"],
        )


def gap_rows(connection: Connection, *, project_id: int | None) -> list[GapRow]:
    """What keeps enrolled nodes from their next level, by check, level and role."""
    query = (
        select(
            finding.c.check,
            node_state.c.level,
            node.c.role,
            func.count().label("nodes"),
            func.min(node.c.name).label("node"),
        )
        .join(node, node.c.id == finding.c.node)
        .join(node_state, node_state.c.node == node.c.id)
        .where(finding.c.keeps_down, node.c.retired_at.is_(None))
        .group_by(finding.c.check, node_state.c.level, node.c.role)
    )
    if project_id is not None:
        query = query.where(node.c.project == project_id)
    return [GapRow(**row) for row in connection.execute(query).mappings()]


def rule_rows(connection: Connection, rules: Collection[str], *, project_id: int | None) -> list[RuleRow]:
    """Which of these rules are not in order at enrolled nodes, by rule and role."""
    kept = func.sum(case((finding.c.keeps_down, 1), else_=0))
    query = (
        select(
            finding.c.check,
            node.c.role,
            func.count().label("nodes"),
            kept.label("kept"),
            func.min(node.c.id).label("node_id"),
        )
        .join(node, node.c.id == finding.c.node)
        .where(finding.c.check.in_(rules), node.c.retired_at.is_(None))
        .group_by(finding.c.check, node.c.role)
    )
    if project_id is not None:
        query = query.where(node.c.project == project_id)
    return [RuleRow(**row) for row in connection.execute(query).mappings()]


def finding_examples(connection: Connection, examples: Mapping[str, int]) -> dict[str, tuple[str, str, str | None]]:
    """By check the name of its example node, what was found there, and what was read."""
    query = (
        select(finding.c.check, finding.c.node, node.c.name, finding.c.why, finding.c.path)
        .join(node, node.c.id == finding.c.node)
        .where(finding.c.check.in_(examples), finding.c.node.in_(set(examples.values())))
    )
    rows = connection.execute(query)
    return {row.check: (row.name, row.why, row.path) for row in rows if examples[row.check] == row.node}


def level_counts(connection: Connection, *, project_id: int | None) -> dict[tuple[int, bool], int]:
    """How many enrolled nodes have which level, and whether anything was ever accepted of them."""
    attested = node_state.c.accepted > 0
    query = (
        select(node_state.c.level, attested.label("attested"), func.count().label("nodes"))
        .join(node, node.c.id == node_state.c.node)
        .where(node.c.retired_at.is_(None))
        .group_by(node_state.c.level, attested)
    )
    if project_id is not None:
        query = query.where(node.c.project == project_id)
    return {(row.level, bool(row.attested)): row.nodes for row in connection.execute(query)}
