"""The gap report: what keeps nodes from their next level, and what would lift them, in the words of the checks."""

from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection

from bartizan.model.policy import Check
from bartizan.store.findings import GapRow, gap_rows, level_counts


class GapItem(msgspec.Struct, frozen=True, kw_only=True):
    """A check that keeps nodes at `level` from the next one. roles: how many nodes of each."""

    check: str
    title: str
    level: int
    nodes: int
    roles: dict[str, int]
    example: str
    why: str
    fix: str


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report. levels: how many nodes have which; unattested: of whom nothing was accepted yet."""

    nodes: int
    unattested: int
    levels: dict[str, int]
    items: list[GapItem]


def gap_of(connection: Connection, catalogue: Mapping[str, Check], *, project: int | None) -> Gap:
    """The report on a project's nodes, or on all; the checks that keep most nodes down come first."""
    counts = level_counts(connection, project_id=project)
    groups: dict[tuple[int, str], list[GapRow]] = {}
    for row in gap_rows(connection, project_id=project):
        groups.setdefault((row.level, row.check), []).append(row)
    items = [_item(rows, catalogue.get(check)) for (_, check), rows in groups.items()]
    levels: dict[str, int] = {}
    for (level, attested), nodes in sorted(counts.items()):
        if attested:
            levels[str(level)] = levels.get(str(level), 0) + nodes
    return Gap(
        nodes=sum(counts.values()),
        unattested=sum(nodes for (_, attested), nodes in counts.items() if not attested),
        levels=levels,
        items=sorted(items, key=lambda item: (-item.nodes, item.level, item.check)),
    )


def _item(rows: list[GapRow], check: Check | None) -> GapItem:
    first = rows[0]
    return GapItem(
        check=first.check,
        title=first.check if check is None else check.title,
        level=first.level,
        nodes=sum(row.nodes for row in rows),
        roles={row.role: row.nodes for row in sorted(rows, key=lambda row: row.role)},
        example=min(row.node for row in rows),
        why="" if check is None else check.why,
        fix="" if check is None else check.fix,
    )
