"""Two Verifiers on one PostgreSQL: whoever a node speaks to, it is the same node; and what one does alone, one does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select, text, update

from bartizan.app.service import sharing, watch
from bartizan.app.service.keys import new_nonce_key
from bartizan.app.service.leases import HOUSEKEEPING, LEASE, REAPPRAISAL, WATCH
from bartizan.app.service.service import open_service
from bartizan.app.service.settings import Settings
from bartizan.app.service.sharing import DatabaseClock
from bartizan.errors import ConfigError
from bartizan.store.database import open_database
from bartizan.store.generations import Held, generations
from bartizan.store.kept import kept_boot
from bartizan.store.leases import LeaseLost
from bartizan.store.nodes import retire_node
from bartizan.store.tables import blob, ima_entry, node_state
from tests.databases import on_postgresql, url_for
from tests.postgresql import Server
from tests.simulator.attester import Attester
from tests.unit.attested_again import CHANGED
from tests.unit.continuing_side import evict, knowing, proved, raised, stricter
from tests.unit.enrolling_side import asking, ca_roots
from tests.unit.service_side import HandClock, Side

Two = Callable[[Side, Side], Awaitable[None]]


@pytest.fixture(autouse=True)
def _looks_of_the_test_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by itself: what one Verifier learns of the other is what the test is about."""
    monkeypatch.setattr(watch, "LOOK_EVERY", 3600)
    monkeypatch.setattr(sharing, "LOOK_EVERY", 3600)


@asynccontextmanager
async def verifier(folder: Path, name: str, clock: HandClock) -> AsyncIterator[Side]:
    settings = msgspec.convert(
        {
            "data": str(folder / name),
            "storage": {"database": url_for(folder)},
            "trust": {"keys": str(folder / "keys"), "roots": str(ca_roots(folder / "roots"))},
        },
        Settings,
    )
    async with open_service(settings, clock=clock) as service:
        yield Side(service=service, clock=clock)


def played(play: Two, folder: Path, server: Server) -> None:
    """Run a scene with two Verifiers, whose machines have the same time."""

    async def run() -> None:
        clock = HandClock()
        async with verifier(folder, "one", clock) as one, verifier(folder, "other", clock) as other:
            await play(one, other)

    with on_postgresql(server):
        asyncio.run(run())


async def challenged(side: Side, node: Attester) -> dict[object, object]:
    _, answer = await side.call("challenge", node.ask())
    found: dict[object, object] = answer["challenge"]
    return found


def test_a_node_goes_from_one_to_the_other_and_sends_only_what_is_new(tmp_path: Path, postgresql: Server) -> None:
    async def play(one: Side, other: Side) -> None:
        node = Attester(name="n1", entries=3)
        answer = await one.attest(node, await one.enrol(node))
        for count, side in enumerate((other, one, other, one), start=4):
            node.entries = count
            request = node.evidence(answer["challenge"])
            assert "boot" not in request
            status, answer = await side.call("evidence", request)
            assert (status, answer.get("error")) == (200, None)
            assert answer["challenge"]["held"]["ima_entries"] == count
        accepted = await one.service.read(lambda c: c.execute(text("SELECT accepted FROM node_state")).scalar_one())
        assert accepted == 5

    played(play, tmp_path, postgresql)


def test_a_nonce_that_was_used_at_one_is_used_at_the_other(tmp_path: Path, postgresql: Server) -> None:
    async def play(one: Side, other: Side) -> None:
        node = Attester(name="n1", entries=3)
        first = await one.attest(node, await one.enrol(node))
        await other.attest(node)  # both have it in memory now
        challenge = await challenged(one, node)
        request = node.evidence(challenge)
        assert (await one.call("evidence", request))[0] == 200

        status, answer = await other.call("evidence", request)

        assert (status, answer["error"]["kind"]) == (409, "nonce")
        assert first["challenge"]["nonce"] != challenge["nonce"]

    played(play, tmp_path, postgresql)


def test_of_two_that_judge_the_same_evidence_at_the_same_time_one_accepts(tmp_path: Path, postgresql: Server) -> None:
    async def play(one: Side, other: Side) -> None:
        node = Attester(name="n1", entries=3)
        await one.attest(node, await one.enrol(node))
        await other.attest(node)
        await one.attest(node)
        for _ in range(5):
            request = node.evidence(await challenged(one, node))
            await challenged(other, node)  # neither memory is behind
            found = await asyncio.gather(one.call("evidence", request), other.call("evidence", request))
            assert sorted(status for status, _ in found) == [200, 409]

    played(play, tmp_path, postgresql)


def test_a_node_that_was_retired_at_one_is_unknown_at_the_other(tmp_path: Path, postgresql: Server) -> None:
    async def play(one: Side, other: Side) -> None:
        node = Attester(name="n1", entries=3)
        await one.attest(node, await one.enrol(node))
        await other.attest(node)
        request = node.evidence(await challenged(other, node))
        known = await other.service.attesting.node(node.uid)
        await one.service.write(lambda connection: retire_node(connection, known.record.id, at=1))

        status, answer = await other.call("evidence", request)

        assert (status, answer["error"]["kind"]) == (404, "node")
        assert other.service.memory.find(node.uid) is None

    played(play, tmp_path, postgresql)


def test_a_token_lets_one_of_two_rivals_in_whichever_they_ask(tmp_path: Path, postgresql: Server) -> None:
    async def play(one: Side, other: Side) -> None:
        for number in range(3):
            name = f"n{number}"
            await one.token(f"secret {name}", name)
            rivals = [Attester(name=name, keys=f"{name} {which}") for which in range(2)]
            opened = await asyncio.gather(
                *(
                    side.call("enrol", asking(node, f"secret {name}"))
                    for side, node in zip((one, other), rivals, strict=True)
                )
            )
            answers = [node.activate(answer) for node, (_, answer) in zip(rivals, opened, strict=True)]
            found = await asyncio.gather(
                *(side.call("activate", answer) for side, answer in zip((other, one), answers, strict=True))
            )
            assert sorted(status for status, _ in found) in ([200, 202], [200, 403])
        enrolled = await one.service.read(lambda c: c.execute(text("SELECT count(*) FROM node")).scalar_one())
        assert enrolled == 3

    played(play, tmp_path, postgresql)


def test_a_policy_put_in_force_at_one_is_in_force_at_the_other_after_its_next_look(
    tmp_path: Path, postgresql: Server
) -> None:
    async def play(one: Side, other: Side) -> None:
        before = other.service.rules.digest
        await stricter(one)
        assert other.service.rules.digest == before

        await other.service.sharing.look()

        assert other.service.rules.digest == one.service.rules.digest != before

    played(play, tmp_path, postgresql)


def test_malware_that_one_saw_is_in_the_verdict_of_the_other(tmp_path: Path, postgresql: Server) -> None:
    async def play(one: Side, other: Side) -> None:
        node = Attester(name="n1")
        await knowing(one)
        await other.service.sharing.look()
        await one.attest(node, await one.enrol(node))
        await other.attest(node)
        node.boot, node.entries = node.boot.running(CHANGED), None
        seen = await one.attest(node)
        node.boot = replace(node.boot, restarts=node.boot.restarts + 1)

        again = await other.attest(node)

        assert (seen["result"]["contraindicated"], again["result"]["contraindicated"]) == (True, True)

    played(play, tmp_path, postgresql)


async def found_damaged(here: Side, node: Attester) -> None:
    """This Verifier reads what is kept of the node again, and finds that it does not hold."""
    await evict(here, node)
    await proved(here, node)
    assert len(await raised(here, "damaged")) == 1


def test_what_one_finds_damaged_the_other_refers_to_no_more(tmp_path: Path, postgresql: Server) -> None:
    async def play(one: Side, other: Side) -> None:
        node, known, later = (Attester(name=name, entries=5) for name in ("n1", "n2", "n3"))
        for side, which in ((one, node), (other, known)):
            await side.attest(which, await side.enrol(which))
        lost = update(ima_entry).where(ima_entry.c.id == 3).values(content=b"lost")  # any of them
        await one.service.write(lambda connection: connection.execute(lost))
        await found_damaged(one, node)

        await other.attest(later, await other.enrol(later))

        number = (await other.service.attesting.node(later.uid)).record.id
        kept = await other.service.read(lambda connection: kept_boot(connection, number))
        assert kept is not None
        assert kept.ima == later.boot.list_bytes(0, 5)
        for side in (other, one):
            assert (await side.attest(node))["challenge"]["held"]["ima_entries"] == node.count

    played(play, tmp_path, postgresql)


def test_a_posture_that_one_found_damaged_is_not_written_back_by_the_other(tmp_path: Path, postgresql: Server) -> None:
    async def play(one: Side, other: Side) -> None:
        node = Attester(name="n1", entries=5, posture=b"{}")
        await one.attest(node, await one.enrol(node))
        request = node.evidence((await other.attest(node))["challenge"])  # it goes by what it remembers
        number = (await one.service.attesting.node(node.uid)).record.id
        lost = update(blob).where(blob.c.id == select(node_state.c.posture).scalar_subquery()).values(content=b"lost")
        await one.service.write(lambda connection: connection.execute(lost))
        await found_damaged(one, node)

        status, answer = await other.call("evidence", request)
        assert (status, answer["error"]["kind"]) == (409, "logs")
        posture = select(node_state.c.posture)
        assert await other.service.read(lambda connection: connection.execute(posture).scalar_one()) is None

        for side in (other, one, other):
            assert (await side.attest(node))["challenge"]["held"]["ima_entries"] == node.count
        kept = await one.service.read(lambda connection: kept_boot(connection, number))
        assert kept is not None
        assert kept.posture == node.posture

    played(play, tmp_path, postgresql)


def test_one_watches_and_the_other_takes_over_when_its_lease_has_ended(tmp_path: Path, postgresql: Server) -> None:
    async def play(one: Side, other: Side) -> None:
        await one.service.watch.look()
        await other.service.watch.look()
        assert (one.service.watch.fence is None, other.service.watch.fence) == (False, None)
        first = one.service.watch.fence

        one.clock.forward(LEASE / 1000 + 1)
        await other.service.watch.look()
        await one.service.watch.look()

        assert first is not None
        assert other.service.watch.fence == first + 1
        assert one.service.watch.fence is None

    played(play, tmp_path, postgresql)


def test_whoever_lost_a_lease_while_it_was_frozen_changes_nothing(tmp_path: Path, postgresql: Server) -> None:
    async def play(one: Side, other: Side) -> None:
        done: list[str] = []
        step = one.service.leases.step(HOUSEKEEPING, lambda _: done.append("one"))
        await one.service.write(step)
        one.clock.forward(LEASE / 1000 + 1)
        await other.service.write(other.service.leases.step(HOUSEKEEPING, lambda _: done.append("other")))

        with pytest.raises(LeaseLost, match="another Verifier does the housekeeping"):
            await one.service.write(step)

        assert done == ["one", "other"]
        await other.service.write(lambda connection: other.service.leases.release(connection, HOUSEKEEPING))
        await one.service.write(step)
        assert done == ["one", "other", "one"]

    played(play, tmp_path, postgresql)


def test_a_lease_of_a_clock_that_was_set_back_binds_nobody(tmp_path: Path, postgresql: Server) -> None:
    async def play(one: Side, other: Side) -> None:
        assert await one.service.write(lambda c: one.service.leases.hold(c, REAPPRAISAL)) == 1
        one.clock.forward(-3600)

        assert await other.service.write(lambda c: other.service.leases.hold(c, REAPPRAISAL)) == 2

    played(play, tmp_path, postgresql)


def test_a_clock_set_back_voids_the_challenges_of_both(tmp_path: Path, postgresql: Server) -> None:
    async def play(one: Side, other: Side) -> None:
        node = Attester(name="n1", entries=3)
        await one.attest(node, await one.enrol(node))
        await one.service.watch.look()
        before = await challenged(other, node)
        one.clock.forward(-3600)
        holder, follower = (one, other) if one.service.watch.fence is not None else (other, one)
        await holder.service.watch.look()
        await follower.service.sharing.look()

        for side in (one, other):
            status, answer = await side.call("evidence", node.evidence(before))
            assert (status, answer["error"]["kind"]) == (409, "nonce")
        await one.attest(node)
        await other.attest(node)
        assert await one.service.read(lambda c: generations(c)[Held.NONCES]) == 1

    played(play, tmp_path, postgresql)


def test_a_verifier_with_another_nonce_key_does_not_start(tmp_path: Path, postgresql: Server) -> None:
    async def start(name: str) -> None:
        async with verifier(tmp_path, name, HandClock()) as side:
            assert side.service.leases.shared

    with on_postgresql(postgresql):
        asyncio.run(start("one"))
        new_nonce_key(tmp_path / "keys")
        with pytest.raises(ConfigError, match=r"give all the same trust\.keys"):
            asyncio.run(start("other"))


def test_an_orderly_end_lets_the_next_one_go_on_at_once(tmp_path: Path, postgresql: Server) -> None:
    async def play() -> None:
        clock = HandClock()
        async with verifier(tmp_path, "one", clock) as one:
            await one.service.watch.look()
            assert one.service.watch.fence is not None
        async with verifier(tmp_path, "other", clock) as other:
            assert await other.service.write(lambda c: other.service.leases.hold(c, WATCH)) is not None

    with on_postgresql(postgresql):
        asyncio.run(play())


def test_the_time_is_the_databases_whatever_this_machines_clock_says(
    tmp_path: Path, postgresql: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 1_000_000_000)  # 1970
    with on_postgresql(postgresql), open_database(url_for(tmp_path)) as engine, engine.connect() as connection:
        clock = DatabaseClock()
        wrong = clock().microseconds
        clock.look(connection)
        asked = "SELECT extract(epoch FROM clock_timestamp())"
        before = connection.execute(text(asked)).scalar_one()
        told = clock().microseconds / 1_000_000
        after = connection.execute(text(asked)).scalar_one()

    assert wrong < 2_000_000
    assert float(before) - 0.1 <= told <= float(after) + 0.1
    assert "clock is not the database's" in capsys.readouterr().out
