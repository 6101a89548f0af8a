"""After a restart a node goes on from what was sealed of it; what does not agree with the seal is never believed."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import OperationalError

from bartizan.app.attest_node import Rules
from bartizan.app.service import proving, states
from bartizan.app.service.rulebook import InForce, RuleBook
from bartizan.model.node import KeptBoot
from bartizan.store.tables import node_state
from tests.simulator.attester import Attester
from tests.unit.attested_again import ALL, CHANGED, HALF, UNKNOWN
from tests.unit.continuing_side import after, begun, knowing, let_go, proved, put_stricter, raised, stricter, waiving
from tests.unit.postures import LYING, hardened
from tests.unit.service_side import HandClock, Side, played, side

Found = TypeVar("Found")


async def recalled(here: Side, node: Attester) -> bool:
    """The node's state is there, and its evidence was not read for that."""
    found = (await here.service.attesting.node(node.uid)).state
    return found is not None and found.evidence is None


async def told(here: Side, node: Attester) -> dict[str, object]:
    _, answer = await here.call("challenge", node.ask())
    found: dict[str, object] = answer["challenge"]
    return found


def test_a_restart_reads_no_evidence_and_the_node_sends_nothing_twice(tmp_path: Path) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            await knowing(here)
            node = await begun(here)
            before = await after(here, node)
        async with side(tmp_path, clock=clock) as here:
            assert await recalled(here, node)
            assert (await told(here, node))["held"]["ima_entries"] == ALL  # type: ignore[index]  # a map
            assert await after(here, node) == before
            assert await recalled(here, node)

            await proved(here, node)

            assert await recalled(here, node)
            assert await after(here, node) == before
            assert await raised(here, "damaged") == []

    asyncio.run(play())


def test_what_came_after_a_restart_is_judged_with_everything_before_it(tmp_path: Path) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            await knowing(here)
            node = await begun(here, entries=HALF)
        async with side(tmp_path, clock=clock) as here:
            assert await recalled(here, node)
            node.boot, node.entries = node.boot.running(CHANGED), None
            assert (await after(here, node))["contraindicated"]
        async with side(tmp_path, clock=clock) as here:
            assert await recalled(here, node)
            assert (await after(here, node))["contraindicated"]

    asyncio.run(play())


def test_rules_that_are_others_after_a_restart_judge_everything_again(tmp_path: Path) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            node = await begun(here)
            await stricter(here)
        async with side(tmp_path, clock=clock) as here:
            assert not await recalled(here, node)
            await after(here, node)
        async with side(tmp_path, clock=clock) as here:
            assert await recalled(here, node)

    asyncio.run(play())


def test_a_node_of_an_earlier_version_has_no_seal_and_gets_one(tmp_path: Path) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            node = await begun(here)
            await here.service.write(lambda connection: connection.execute(text("UPDATE node_state SET sealed = NULL")))
        async with side(tmp_path, clock=clock) as here:
            assert not await recalled(here, node)
            await after(here, node)
        async with side(tmp_path, clock=clock) as here:
            assert await recalled(here, node)

    asyncio.run(play())


FORGED = {
    "the result": "UPDATE result SET document = (SELECT document FROM result ORDER BY id LIMIT 1)",
    "which result stands": "UPDATE node_state SET result = 1",
    "the findings that stick": "UPDATE boot SET stuck = (SELECT stuck FROM boot ORDER BY id LIMIT 1)",
}


@pytest.mark.parametrize("what", FORGED)
def test_what_was_written_into_the_database_beside_the_seal_is_an_alarm(tmp_path: Path, what: str) -> None:
    """And not believed where the evidence, or what sticks, says otherwise."""

    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            await knowing(here)
            good = await begun(here, "good")
            bad = await begun(here, "bad")
            assert not (await after(here, good))["contraindicated"]
            bad.boot, bad.entries = bad.boot.running(CHANGED), None
            assert (await after(here, bad))["contraindicated"]
            bad.boot = replace(bad.boot, restarts=bad.boot.restarts + 1)
            bad.entries = HALF  # the list is left out from here on: what was found sticks
            assert (await after(here, bad))["contraindicated"]
            await here.service.write(lambda connection: connection.execute(text(FORGED[what])))
        async with side(tmp_path, clock=clock) as here:
            await here.service.attesting.node(bad.uid)
            (alarm,) = await raised(here, "damaged")
            assert "bad" in alarm.why
            assert "not what was sealed" in alarm.why
            if what != "the findings that stick":
                assert (await after(here, bad))["contraindicated"]

    asyncio.run(play())


@pytest.mark.parametrize(
    "how", ["sealed = x'00'", "sealed = (SELECT sealed FROM node_state ORDER BY node LIMIT 1)", "sealed = NULL"]
)
def test_without_its_own_seal_everything_is_judged_again(tmp_path: Path, how: str) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            await begun(here, "other")
            node = await begun(here)
            before = await after(here, node)
            await here.service.write(lambda connection: connection.execute(text(f"UPDATE node_state SET {how}")))  # noqa: S608  # ours
        async with side(tmp_path, clock=clock) as here:
            assert not await recalled(here, node)
            assert await after(here, node) == before

    asyncio.run(play())


def test_a_quote_of_other_pcrs_than_those_judged_is_judged_again(tmp_path: Path) -> None:
    """The seal of the clean machine beside the quote of the infected one, as an edited row would have it."""

    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            await knowing(here)
            node = await begun(here)
            kept = "SELECT node_state.sealed, result.document, boot.stuck FROM node_state, result, boot"
            clean = await here.service.read(lambda connection: connection.execute(text(kept)).one())
            node.boot, node.entries = node.boot.running(CHANGED), None
            await after(here, node)

            def edit(connection: Connection) -> None:
                connection.execute(text("UPDATE node_state SET sealed = :one"), {"one": clean.sealed})
                connection.execute(text("UPDATE result SET document = :one"), {"one": clean.document})
                connection.execute(text("UPDATE boot SET stuck = :one"), {"one": clean.stuck})

            await here.service.write(edit)
        async with side(tmp_path, clock=clock) as here:
            assert not await recalled(here, node)
            assert (await after(here, node))["contraindicated"]

    asyncio.run(play())


class Hasty(RuleBook):
    """Whatever is asked of it, others have come into force as soon as that was answered."""

    engine: Engine

    @property
    def rules(self) -> Rules:
        return self._then(super().rules)

    @property
    def in_force(self) -> InForce:
        return self._then(super().in_force)

    def _then(self, found: Found) -> Found:
        with self.engine.connect() as connection:
            self.read(connection)
        return found


def test_a_state_is_not_sealed_under_the_name_of_rules_that_came_into_force_meanwhile(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        node, service = Attester(name="n1"), here.service
        challenge = await here.enrol(node)
        before, hasty = service.rules.digest, Hasty()
        vars(hasty).update(vars(service.rules), engine=service.engine)
        service.attesting.keeper.rules = hasty
        await put_stricter(here)

        await here.attest(node, challenge)

        named = await service.read(lambda connection: connection.execute(select(node_state.c.rules)).scalar_one())
        assert hasty.digest != before
        assert named in {before, b""}

    played(play, tmp_path)


def test_what_is_kept_of_recalled_nodes_is_proved_in_the_background(tmp_path: Path) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            node = await begun(here)
            lost = "UPDATE ima_entry SET content = x'00'"
            await here.service.write(lambda connection: connection.execute(text(lost)))
        async with side(tmp_path, clock=clock) as here:
            assert await recalled(here, node)
            async with asyncio.timeout(30):
                while not await raised(here, "damaged"):
                    pass
            assert (await after(here, node))["level"] > 0

    asyncio.run(play())


def test_what_sticks_still_sticks_when_the_evidence_has_shown_it_once_more(tmp_path: Path) -> None:
    """A lie, the truth, the same lie; then the evidence is read again, the service restarted, and the truth told."""

    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            await knowing(here)
            node = Attester(name="n1", entries=HALF, posture=LYING)
            await here.attest(node, await here.enrol(node))
            for posture in (hardened(), LYING):
                node.posture = posture
                assert (await after(here, node))["contraindicated"]
            await let_go(here, node)
            node.entries = HALF + 5
            assert (await after(here, node))["contraindicated"]
        async with side(tmp_path, clock=clock) as here:
            node.posture = hardened()
            assert (await after(here, node))["contraindicated"]
            assert await raised(here, "damaged") == []

    asyncio.run(play())


@pytest.mark.parametrize("restarted", [False, True], ids=["", "after a restart"])
def test_a_waiver_that_has_expired_counts_no_more(tmp_path: Path, restarted: bool) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            await knowing(here)
            ends = datetime.fromtimestamp(clock.microseconds / 1_000_000, UTC) + timedelta(seconds=200)
            await waiving(here, "ima.known-files", ends)
            node = await begun(here)
            node.boot, node.entries = node.boot.running(UNKNOWN), None
            assert (await after(here, node))["level"] == 4
            if not restarted:
                assert (await after(here, node, 3600))["level"] == 3
        async with side(tmp_path, clock=clock) as here:
            assert (await after(here, node, 3600))["level"] == 3

    asyncio.run(play())


def test_what_could_not_be_read_is_proved_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, fails = states.kept_boot, [True]

    def away_once(connection: Connection, node_id: int) -> KeptBoot | None:
        if fails:
            fails.pop()
            raise OperationalError("SELECT", {}, Exception("the database was restarted"))
        return reading(connection, node_id)

    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            node = await begun(here)
            lost = "UPDATE ima_entry SET content = x'00'"
            await here.service.write(lambda connection: connection.execute(text(lost)))
        monkeypatch.setattr(states, "kept_boot", away_once)
        monkeypatch.setattr(proving, "PAUSE", 0.0)
        async with side(tmp_path, clock=clock) as here:
            assert await recalled(here, node)
            async with asyncio.timeout(30):
                while not await raised(here, "damaged"):
                    pass
        assert not fails

    asyncio.run(play())


def test_nobody_but_the_node_makes_the_service_read_its_evidence(tmp_path: Path) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            node = await begun(here)
            await let_go(here, node)
            request = node.evidence(await told(here, node), full=True)  # type: ignore[arg-type]  # a challenge
            forged = request | {"signature": request["signature"][:-8] + bytes(8)}

            status, answer = await here.call("evidence", forged)

            assert (status, answer["error"]["what"]) == (422, "quote.signature")
            assert await recalled(here, node)

    asyncio.run(play())
