"""The gap report: what keeps nodes from their next level, and what would lift them, in the words of the checks."""

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection

from bartizan.app.attest_node import Rules
from bartizan.model.posture import Rule
from bartizan.store.findings import GapRow, RuleRow, finding_examples, gap_rows, level_counts, rule_rows


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


class GapRule(msgspec.Struct, frozen=True, kw_only=True):
    """A posture rule that is not in order, or not known, at `nodes`; it keeps `kept` of these from level 5 by now.

    where, add: what is changed (sysctl, cmdline, qemu.conf, firmware, software, hand), and the very line to write there
    if there is one; found, read: at the example.
    """

    rule: str
    title: str
    severity: str
    nodes: int
    kept: int
    roles: dict[str, int]
    example: str
    found: str
    read: str | None
    fix: str
    where: str
    add: str


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report. levels: how many nodes have which; unattested: of whom nothing was accepted yet.

    items: what keeps from the next level; posture: what keeps, or will keep, from level 5.
    """

    nodes: int
    unattested: int
    levels: dict[str, int]
    items: list[GapItem]
    posture: list[GapRule]


def gap_of(connection: Connection, rules: Rules, *, project: int | None, only: str | None = None) -> Gap:
    """The report on a project's nodes, or on all; the checks that keep most nodes down come first.

    only: of this check or rule alone.
    """
    counts = level_counts(connection, project_id=project)
    groups: dict[tuple[int, str], list[GapRow]] = {}
    for row in gap_rows(connection, project_id=project):
        if row.check not in rules.posture and only in {None, row.check}:
            groups.setdefault((row.level, row.check), []).append(row)
    items = [_item(rows, rules) for rows in groups.values()]
    levels: dict[str, int] = {}
    for (level, attested), nodes in sorted(counts.items()):
        if attested:
            levels[str(level)] = levels.get(str(level), 0) + nodes
    return Gap(
        nodes=sum(counts.values()),
        unattested=sum(nodes for (_, attested), nodes in counts.items() if not attested),
        levels=levels,
        items=sorted(items, key=lambda item: (-item.nodes, item.level, item.check)),
        posture=_posture(connection, rules, [only] if only else rules.posture, project=project),
    )


def _item(rows: list[GapRow], rules: Rules) -> GapItem:
    first = rows[0]
    about = rules.about(first.check)
    title, fix = rules.told(first.check)
    return GapItem(
        check=first.check,
        title=title,
        level=first.level,
        nodes=sum(row.nodes for row in rows),
        roles={row.role: row.nodes for row in sorted(rows, key=lambda row: row.role)},
        example=min(row.node for row in rows),
        why="" if about is None else about.why,
        fix=fix,
    )


def _posture(connection: Connection, rules: Rules, about: Collection[str], *, project: int | None) -> list[GapRule]:
    """Rules that keep most nodes first; among these the gravest."""
    groups: dict[str, list[RuleRow]] = {}
    for row in rule_rows(connection, rules.posture.keys() & set(about), project_id=project):
        groups.setdefault(row.check, []).append(row)
    examples = {check: min(row.node_id for row in rows) for check, rows in groups.items()}
    found = finding_examples(connection, examples)
    items = [_rule(rules.posture[check], groups[check], example) for check, example in found.items()]
    return sorted(items, key=lambda one: (-one.kept, -one.nodes, rules.posture[one.rule].severity.order, one.rule))


def _rule(rule: Rule, rows: list[RuleRow], example: tuple[str, str, str | None]) -> GapRule:
    node, found, read = example
    return GapRule(
        rule=rule.id,
        title=rule.title,
        severity=rule.severity.value,
        nodes=sum(row.nodes for row in rows),
        kept=sum(row.kept for row in rows),
        roles={row.role: row.nodes for row in sorted(rows, key=lambda row: row.role)},
        example=node,
        found=found,
        read=read,
        fix=rule.fix,
        where=rule.mend.value,
        add=rule.add,
    )
