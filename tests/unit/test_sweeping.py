"""What nothing refers to any more goes in short steps, and nothing goes that a node wants again meanwhile."""

import threading
from array import array
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, event, func, insert, select, text

from bartizan.app.service import sweeping as service_sweeping
from bartizan.app.service.leases import HOUSEKEEPING, LEASE
from bartizan.app.service.sweeping import Sweep
from bartizan.model.protocol import SentBoot
from bartizan.store import sweeping
from bartizan.store.accounts import ensure_default_project
from bartizan.store.database import open_database
from bartizan.store.evidence import DIGEST_BYTES, Interning, add_boot, add_entries, add_posture, entry_digest
from bartizan.store.kept import kept_boot, set_aside
from bartizan.store.leases import LeaseLost
from bartizan.store.nodes import add_node
from bartizan.store.sweeping import AT_ONCE, ENTRIES, LOGS, Kept
from bartizan.store.tables import ima_chunk, ima_entry, node_state
from tests.databases import on_postgresql, url_for
from tests.postgresql import Server
from tests.simulator.attester import Attester
from tests.simulator.machine import file_line
from tests.unit.continuing_side import evict
from tests.unit.service_side import Side, played
from tests.unit.test_service_replicas import played as played_by_two
from tests.unit.test_writer import new_node

each_database = pytest.mark.usefixtures("each_database")
POSTURE = b"a posture of before"
Meanwhile = Mapping[str, Callable[[], Awaitable[object]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted(Sweep):
    """A sweep in which something happens before the first transaction of a step."""

    meanwhile: Meanwhile

    async def _each(self, step: Any, numbers: set[int]) -> list[Any]:  # noqa: ANN401  as the sweep has it
        await self.meanwhile.get(step.__name__, _nothing)()
        return await Sweep._each(self, step, numbers)


async def _nothing() -> None:
    """Nothing happens."""


async def swept(here: Side, kept: Kept, **meanwhile: Callable[[], Awaitable[object]]) -> int:
    service = here.service
    fence = await service.write(lambda connection: service.leases.surely(connection, HOUSEKEEPING))
    sweep = Interrupted(
        engine=service.engine,
        writer=service.writer,
        leases=service.leases,
        kept=kept,
        fence=fence,
        meanwhile=meanwhile,
    )
    return await sweep.run()


def with_files(node: Attester, *names: bytes) -> None:
    """It boots once more, and runs these."""
    node.boot = replace(node.boot, resets=node.boot.resets + 1)
    node.boot = node.boot.running(*(file_line(b"/opt/" + name, name) for name in names))


async def orphans(here: Side) -> Attester:
    """Three entries and a posture that nothing refers to any more; and a node that could use them, and does not yet."""
    before, later = Attester(name="before", posture=POSTURE), Attester(name="later", posture=b"its own")
    await here.attest(before, await here.enrol(before))
    await here.attest(later, await here.enrol(later))
    plain = before.boot
    with_files(before, b"one", b"two", b"three")
    await here.attest(before)
    before.boot, before.posture = replace(plain, resets=before.boot.resets + 1), b"another"
    await here.attest(before)
    await here.service.write(_forget_former_boots)
    return later


def _forget_former_boots(connection: Connection) -> None:
    connection.execute(delete(ima_chunk).where(ima_chunk.c.boot.not_in(select(node_state.c.boot))))


async def whole(here: Side, node: Attester) -> None:
    """What is kept of the node is what it sent, and a Verifier that has forgotten it reads it again."""
    kept = await here.service.read(lambda connection: kept_boot(connection, _number(connection, node)))
    assert kept is not None
    assert kept.ima == b"".join(entry.raw for entry in node.boot.entries)
    assert kept.posture == node.posture
    await evict(here, node)
    answer = await here.attest(node)
    assert answer["challenge"]["held"]["ima_entries"] == len(node.boot.entries)


def _number(connection: Connection, node: Attester) -> int:
    found = connection.execute(text("SELECT id FROM node WHERE uid = :uid"), {"uid": node.uid}).scalar_one()
    assert isinstance(found, int)
    return found


async def hidden(here: Side, kept: Kept) -> int:
    count = select(func.count()).where(func.length(kept.table.c.digest) > kept.size)
    return await here.service.read(lambda connection: connection.execute(count).scalar_one())


@each_database
@pytest.mark.parametrize(("kept", "count"), [(ENTRIES, 3), (LOGS, 1)])
def test_what_nothing_refers_to_goes_and_all_else_stays(tmp_path: Path, kept: Kept, count: int) -> None:
    async def scene(here: Side) -> None:
        later = await orphans(here)

        assert await swept(here, kept) == count
        assert (await swept(here, kept), await hidden(here, kept)) == (0, 0)
        await whole(here, later)

    played(scene, tmp_path)


@each_database
@pytest.mark.parametrize(("step", "gone"), [("hide", 0), ("show", 3), ("drop", 3)])
def test_an_entry_that_a_node_wants_again_during_the_sweep_stays_its(tmp_path: Path, step: str, gone: int) -> None:
    async def scene(here: Side) -> None:
        later = await orphans(here)

        async def boots() -> None:
            with_files(later, b"three", b"two", b"one")
            await here.attest(later)

        async def holds() -> None:
            await whole(here, later)

        assert await swept(here, ENTRIES, **{"show": holds, "drop": holds, step: boots}) == gone
        assert await hidden(here, ENTRIES) == 0
        await whole(here, later)

    played(scene, tmp_path)


@each_database
@pytest.mark.parametrize(("step", "gone"), [("hide", 0), ("show", 1), ("drop", 1)])
def test_a_posture_that_a_node_has_again_during_the_sweep_stays_its(tmp_path: Path, step: str, gone: int) -> None:
    async def scene(here: Side) -> None:
        later = await orphans(here)

        async def changes() -> None:
            later.posture = POSTURE
            await here.attest(later)

        async def holds() -> None:
            await whole(here, later)

        assert await swept(here, LOGS, **{"show": holds, "drop": holds, step: changes}) == gone
        assert await hidden(here, LOGS) == 0
        await whole(here, later)

    played(scene, tmp_path)


@each_database
@pytest.mark.parametrize("kept", [ENTRIES, LOGS])
def test_after_a_sweep_that_ended_in_the_middle_all_is_read_and_the_next_one_finishes(
    tmp_path: Path, kept: Kept
) -> None:
    async def scene(here: Side) -> None:
        later = await orphans(here)

        async def wanted() -> None:
            with_files(later, b"one")
            later.posture = POSTURE
            await here.attest(later)

        async def end() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await swept(here, kept, hide=wanted, show=end)
        assert await hidden(here, kept) > 0
        await whole(here, later)
        number = await here.service.read(lambda connection: _number(connection, later))
        assert await here.service.write(lambda connection: set_aside(connection, number)) == 0

        await swept(here, kept)
        assert await hidden(here, kept) == 1  # what is used: it may stay so
        await whole(here, later)

    played(scene, tmp_path)


@each_database
@pytest.mark.parametrize(("kept", "count"), [(ENTRIES, 1), (LOGS, 2)], ids=["entries", "logs and an own posture"])
def test_bytes_stored_anew_beside_hidden_ones_that_are_used_go_when_nothing_refers_to_them(
    tmp_path: Path, kept: Kept, count: int
) -> None:
    async def scene(here: Side) -> None:
        later = await orphans(here)
        other = Attester(name="other", posture=b"the other's")
        await here.attest(other, await here.enrol(other))
        plain = other.boot

        async def wants(node: Attester) -> None:
            with_files(node, b"one")
            node.posture = POSTURE
            await here.attest(node)

        await swept(here, kept, hide=lambda: wants(later), show=lambda: wants(other))
        assert await hidden(here, kept) == 1  # later's, for other's has the digest
        other.boot, other.posture = replace(plain, resets=other.boot.resets + 1), b"the other's"
        await here.attest(other)
        await here.service.write(_forget_former_boots)

        assert await swept(here, kept) == count
        for node in (later, other):
            await whole(here, node)

    played(scene, tmp_path)


@each_database
@pytest.mark.parametrize("kept", [ENTRIES, LOGS])
def test_of_rows_of_the_same_bytes_that_are_hidden_one_is_shown_again(tmp_path: Path, kept: Kept) -> None:
    def stored(connection: Connection) -> int:
        if kept is LOGS:
            return add_posture(connection, POSTURE) or 0
        return array("q", Interning().numbers(connection, [b"entry"]))[0]

    with open_database(url_for(tmp_path)) as engine:
        found = []
        for _ in range(3):
            with engine.begin() as connection:
                found.append(stored(connection))
                sweeping.hide(connection, kept, found)
        with engine.begin() as connection:
            sweeping.show(connection, kept, found)

            assert len(set(found)) == 3
            assert sweeping.drop(connection, kept, found) == 2
            assert stored(connection) in found


@each_database
def test_everything_is_looked_through_however_many_pages_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for where in (sweeping, service_sweeping):
        monkeypatch.setattr(where, "AT_ONCE", 2)
        monkeypatch.setattr(where, "NUMBERS_AT_ONCE", 3)

    async def scene(here: Side) -> None:
        nodes = [Attester(name=f"n{number}", posture=b"posture %d" % number) for number in range(5)]
        for node in nodes:
            await here.attest(node, await here.enrol(node))
            with_files(node, node.name.encode())
            await here.attest(node)
        later = await orphans(here)

        assert (await swept(here, ENTRIES), await swept(here, LOGS)) == (3, 1)
        for node in (*nodes, later):
            await whole(here, node)

    played(scene, tmp_path)


@each_database
def test_no_transaction_of_a_sweep_writes_more_than_its_share(tmp_path: Path) -> None:
    rows = [{"digest": entry_digest(b"%d" % number), "content": b"%d" % number} for number in range(2 * AT_ONCE + 1)]

    async def scene(here: Side) -> None:
        await here.service.write(lambda connection: connection.execute(insert(ima_entry), rows))
        written = [0]

        def note(_c: object, cursor: Any, statement: str, *_: object) -> None:  # noqa: ANN401  a driver's cursor
            if "ima_entry" in statement and not statement.startswith("SELECT"):
                written[-1] += cursor.rowcount

        event.listen(here.service.engine, "after_cursor_execute", note)
        event.listen(here.service.engine, "commit", lambda _: written.append(0))

        gone = await here.service.housekeeping.tidy()
        said = [count for count in written if count]

        assert gone["entries"] == len(rows)
        assert max(said) <= AT_ONCE
        assert sum(said) == 2 * len(rows)  # hidden, then dropped

    played(scene, tmp_path)


def test_a_verifier_that_remembers_an_entry_of_another_ones_sweep_stores_it_anew(
    tmp_path: Path, postgresql: Server
) -> None:
    async def play(one: Side, other: Side) -> None:
        later = await orphans(other)

        async def boots() -> None:
            with_files(later, b"one", b"two", b"three")
            await other.attest(later)

        assert await swept(one, ENTRIES, drop=boots) == 3
        await whole(one, later)

    played_by_two(play, tmp_path, postgresql)


def test_a_sweep_ends_where_another_verifier_may_have_swept_in_between(tmp_path: Path, postgresql: Server) -> None:
    async def play(one: Side, other: Side) -> None:
        await orphans(one)

        async def sweeps() -> None:
            one.clock.forward(LEASE / 1000 + 1)
            await other.service.write(lambda c: other.service.leases.surely(c, HOUSEKEEPING))
            one.clock.forward(LEASE / 1000 + 1)

        with pytest.raises(LeaseLost, match="in between"):
            await swept(one, ENTRIES, drop=sweeps)
        assert await hidden(one, ENTRIES) == 3

    played_by_two(play, tmp_path, postgresql)


def test_who_is_in_the_middle_of_storing_a_list_is_waited_for(tmp_path: Path, postgresql: Server) -> None:
    def hide() -> None:
        with engine.begin() as connection:
            sweeping.hide(connection, ENTRIES, [1])

    with on_postgresql(postgresql), open_database(url_for(tmp_path)) as engine:
        with engine.begin() as connection:
            ensure_default_project(connection)
            number = add_boot(
                connection, add_node(connection, new_node("n"), now=0, due=0).id, SentBoot(), stuck=b"[]", now=0
            )
            Interning().numbers(connection, [b"wanted"])
        hiding = threading.Thread(target=hide)
        with engine.begin() as connection, engine.connect() as watching:
            add_entries(connection, Interning(), number, [b"wanted"], first=0)
            hiding.start()
            waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            while not watching.execute(waits).scalar_one():
                assert hiding.is_alive()
        hiding.join()
        with engine.connect() as connection:
            found, _ = sweeping.referred(connection, ENTRIES.referring[0], None)
            digest = connection.execute(select(ima_entry.c.digest)).scalar_one()

    assert found == {1}
    assert len(digest) > DIGEST_BYTES
