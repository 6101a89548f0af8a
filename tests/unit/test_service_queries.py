"""What the database does for one node does not grow with the fleet: no statement of that road reads a whole table."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from tests.simulator.attester import Attester
from tests.unit.attested_again import HALF, UNKNOWN
from tests.unit.continuing_side import after, begun, evict, knowing
from tests.unit.service_side import Side, played

SMALL = frozenset(
    {"account", "role", "policy", "reference_set", "generation", "lease", "beat", "known_key", "project", "alarm"}
)
"""Tables that do not grow with the fleet."""
Statements = dict[str, Any]


@contextmanager
def statements(here: Side) -> Iterator[Statements]:
    """Every statement meanwhile, with parameters of it."""
    found: Statements = {}

    def note(_: object, __: object, statement: str, parameters: Any, ___: object, many: bool) -> None:  # noqa: ANN401
        found[statement] = parameters[0] if many else parameters

    event.listen(here.service.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(here.service.engine, "before_cursor_execute", note)


async def scans(here: Side, found: Statements) -> list[str]:
    """The statements that read a whole table."""

    def ask(connection: Any) -> list[str]:  # noqa: ANN401
        said = []
        for statement, parameters in found.items():
            if statement.split()[0] not in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}:
                continue
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            said += [f"{step.detail}: {statement}" for step in plan if step.detail.startswith("SCAN")]
        return said

    return [one for one in await here.service.read(ask) if one.split()[1].rstrip(":") not in SMALL]


async def enrol(here: Side, _: Attester) -> None:
    await here.enrol(Attester(name="n2", entries=HALF))


async def attest_in_full(here: Side, _: Attester) -> None:
    other = Attester(name="n2", entries=HALF)
    await here.attest(other, await here.enrol(other))


async def attest_again(here: Side, node: Attester) -> None:
    await after(here, node)


async def new_entries(here: Side, node: Attester) -> None:
    node.boot, node.entries = node.boot.running(UNKNOWN), None
    await after(here, node)


async def another_boot(here: Side, node: Attester) -> None:
    node.boot = replace(node.boot, resets=node.boot.resets + 1)
    await after(here, node)


async def another_posture(here: Side, node: Attester) -> None:
    node.posture = b"{}"
    await after(here, node)


async def read_again(here: Side, node: Attester) -> None:
    await evict(here, node)
    await after(here, node)


async def refused(here: Side, node: Attester) -> None:
    _, asked = await here.call("challenge", node.ask())
    status, _ = await here.call("evidence", node.evidence(asked["challenge"], pcrs={}))
    assert status == 400
    await here.service.write(lambda _: None)


WHAT: dict[str, Callable[[Side, Attester], Awaitable[None]]] = {
    "enrol": enrol,
    "attest in full": attest_in_full,
    "attest again": attest_again,
    "new entries": new_entries,
    "another boot": another_boot,
    "another posture": another_posture,
    "read again": read_again,
    "refused": refused,
}


@pytest.mark.parametrize("what", WHAT)
def test_no_table_is_read_from_end_to_end_for_one_node(tmp_path: Path, what: str) -> None:
    async def play(here: Side) -> None:
        await knowing(here)
        node = await begun(here, entries=HALF)

        with statements(here) as found:
            await WHAT[what](here, node)

        assert found
        assert await scans(here, found) == []

    played(play, tmp_path)
