"""Verdicts: the one that stands, those before it, and what is not in order now. It judges nothing.

Every function takes the connection of its caller's transaction.
"""

import zlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from bartizan.model.result import Finding, Tier
from bartizan.store.tables import finding, node_state, result

NOTHING_FOUND = "nothing was found out about it"
MAX_WHY = 1024
"""Characters of a reason that the fleet's list of findings keeps; results have all of it."""
given = update(result).where(result.c.id == bindparam("of_result")).values(last_at=bindparam("at"))
"""The same verdict, given again."""
_RENEW = (
    update(result)
    .where(result.c.id == bindparam("of_result"))
    .values(last_at=bindparam("at"), document=bindparam("said"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A result as it is kept. digest: SHA-256 of what makes it another verdict; document: JSON.

    missing: checks that keep the next level from holding.
    """

    level: int
    contraindicated: bool
    digest: bytes
    document: bytes
    findings: tuple[Finding, ...]
    missing: tuple[str, ...] = ()


def add_result(connection: Connection, node_id: int, verdict: Verdict, *, boot: int, now: int) -> int:
    """A verdict that is another one than before: a new row of history, and the node's present findings."""
    row = {
        "node": node_id,
        "boot": boot,
        "first_at": now,
        "last_at": now,
        "level": verdict.level,
        "contraindicated": verdict.contraindicated,
        "digest": verdict.digest,
        "document": zlib.compress(verdict.document, 1),
    }
    number = int(connection.execute(insert(result).values(row).returning(result.c.id)).scalar_one())
    said = {"result": number, "level": verdict.level, "contraindicated": verdict.contraindicated}
    connection.execute(update(node_state).where(node_state.c.node == node_id).values(said))
    connection.execute(delete(finding).where(finding.c.node == node_id))
    rows = _finding_rows(node_id, verdict)
    if rows:
        connection.execute(insert(finding), rows)
    return number


def renew_result(connection: Connection, number: int, document: bytes, *, now: int) -> None:
    """The same verdict, given again at `now`; what it says in detail may have changed."""
    connection.execute(_RENEW, {"of_result": number, "at": now, "said": zlib.compress(document, 1)})


def _finding_rows(node_id: int, verdict: Verdict) -> list[dict[str, object]]:
    """One row a check that is not in order, with its worst finding; one also for a missing check that a level needs."""
    by_check: dict[str, list[Finding]] = {check: [] for check in verdict.missing}
    for one in verdict.findings:
        if one.tier is not Tier.AFFIRMING:
            by_check.setdefault(one.id, []).append(one)
    rows: list[dict[str, object]] = []
    for check, some in by_check.items():
        worst = min(some, key=lambda one: one.tier.order, default=None)
        said: dict[str, object] = {"tier": Tier.NONE.value, "count": 0, "path": None, "why": NOTHING_FOUND}
        if worst is not None:
            path = None if worst.at.path is None else worst.at.path[:MAX_WHY]
            said = {"tier": worst.tier.value, "count": len(some), "path": path, "why": worst.why[:MAX_WHY]}
        rows.append({"node": node_id, "check": check, "keeps_down": check in verdict.missing} | said)
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptResult:
    """One verdict of a node's history. document: JSON, as it was last given; times in milliseconds since 1970 UTC."""

    id: int
    node: int
    boot: int | None
    first_at: int
    last_at: int
    level: int
    contraindicated: bool
    document: bytes


def find_result(connection: Connection, number: int) -> KeptResult | None:
    """A verdict by its number."""
    row = connection.execute(select(result).where(result.c.id == number)).one_or_none()
    return None if row is None else _kept(row)


def history(connection: Connection, node_id: int, *, before: int | None, limit: int) -> list[KeptResult]:
    """A node's verdicts, the newest first; before: those older than the one of this number."""
    query = select(result).where(result.c.node == node_id).order_by(result.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(result.c.id < before)
    return [_kept(row) for row in connection.execute(query)]


def _kept(row: Row[Any]) -> KeptResult:
    return KeptResult(
        id=row.id,
        node=row.node,
        boot=row.boot,
        first_at=row.first_at,
        last_at=row.last_at,
        level=row.level,
        contraindicated=row.contraindicated,
        document=zlib.decompress(row.document),
    )
