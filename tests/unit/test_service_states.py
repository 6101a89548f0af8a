"""What the service knew of a boot it still knows: after restarts, evictions, suspends, new rules and a damaged disk."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select, text

from bartizan.app.service.settings import Storage
from bartizan.store.alarms import clear_alarms
from bartizan.store.tables import node_state
from tests.simulator.attester import Attester, Document
from tests.simulator.live_boot import live
from tests.unit.attested_again import ALL, CHANGED, UNKNOWN, alike
from tests.unit.continuing_side import HOUR, after, begun, boots, evict, history, knowing, proved, raised, stricter
from tests.unit.ima_lists import BOOTS
from tests.unit.service_side import HandClock, Side, played, side

Meanwhile = Callable[[Side, Attester], Awaitable[None]]


async def nothing(_: Side, __: Attester) -> None:
    """Time passes."""


async def evicted(here: Side, node: Attester) -> None:
    """Another node needs the room in memory."""
    await begun(here, "n2")
    assert here.service.memory.find(node.uid).state.evidence is None  # type: ignore[union-attr]  # it is there


async def suspended(_: Side, node: Attester) -> None:
    node.boot = replace(node.boot, restarts=node.boot.restarts + 1)


async def other_policy(here: Side, _: Attester) -> None:
    await stricter(here)


MEANWHILE: dict[str, Meanwhile] = {
    "nothing": nothing,
    "its evidence was evicted from memory": evicted,
    "the machine was suspended": suspended,
    "the policy was changed": other_policy,
}


def infected(node: Attester) -> None:
    """A known file is replaced and run."""
    node.boot, node.entries = node.boot.running(CHANGED), None


@pytest.mark.parametrize("what", MEANWHILE)
@pytest.mark.parametrize("restarted", [False, True], ids=["", "after a restart"])
def test_malware_seen_at_noon_is_in_the_verdict_at_one(tmp_path: Path, what: str, restarted: bool) -> None:
    async def play() -> None:
        clock, settings = HandClock(), {"storage": Storage(states=1)}
        async with side(tmp_path, clock=clock, **settings) as here:
            await knowing(here)
            node = await begun(here)
            clean = await after(here, node)
            infected(node)
            noon = await after(here, node)
            await MEANWHILE[what](here, node)
            if not restarted:
                one = await after(here, node, HOUR)
        if restarted:
            async with side(tmp_path, clock=clock, **settings) as here:
                one = await after(here, node, HOUR)

        assert (clean["contraindicated"], noon["contraindicated"], one["contraindicated"]) == (False, True, True)
        assert one["level"] < 4

    asyncio.run(play())


async def without_list(here: Side, node: Attester) -> Document:
    """What an attestation says that sends no IMA list, as if the machine had none."""
    here.clock.forward(60)
    _, answer = await here.call("challenge", node.ask())
    request = node.evidence(answer["challenge"])
    del request["ima"]
    status, answer = await here.call("evidence", request)
    assert status == 200, answer
    result: Document = answer["result"]
    return result


def test_malware_whose_list_is_lost_in_a_suspend_is_in_the_verdict_also_after_a_restart(tmp_path: Path) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            await knowing(here)
            node = await begun(here)
            infected(node)
            await after(here, node)
            await suspended(here, node)
            hidden = await without_list(here, node)
        async with side(tmp_path, clock=clock) as here:
            later = await without_list(here, node)

        assert (hidden["contraindicated"], later["contraindicated"]) == (True, True)

    asyncio.run(play())


def test_a_reboot_is_a_clean_slate(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        await knowing(here)
        node = await begun(here)
        infected(node)
        bad = await after(here, node)
        node.boot, node.entries = replace(live("good"), resets=8), ALL

        good = await after(here, node)

        assert (bad["contraindicated"], good["contraindicated"], good["level"]) == (True, False, 4)
        assert await boots(here) == 2

    played(play, tmp_path)


@pytest.mark.parametrize("name", BOOTS)
def test_a_state_that_was_evicted_is_rebuilt_as_it_was(tmp_path: Path, name: str) -> None:
    async def play(here: Side) -> None:
        await knowing(here)
        random = Random(name)  # noqa: S311  # cuts, not secrets
        boot = live(name).running(UNKNOWN, CHANGED)
        every = len(boot.entries)
        node = Attester(name="n1", boot=boot, entries=random.randint(1, every))
        await here.attest(node, await here.enrol(node))
        for _ in range(3):
            node.entries = random.randint(node.count, every)
            await after(here, node)
            known = await here.service.attesting.node(node.uid)
            kept, digest = known.state, known.digest
            await evict(here, node)

            recalled = (await here.service.attesting.node(node.uid)).state
            async with known.lock:
                await here.service.attesting.states.complete(known)
            again = known.state

            assert kept is not None
            assert recalled == kept.without_evidence()
            assert again is not None
            assert again is not kept
            assert alike(again.result, kept.result)
            assert (known.digest, again.stuck) == (digest, kept.stuck)
            one, other = (state.complete().ima for state in (kept, again))
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                assert list(one.list.columns.template_data) == list(other.list.columns.template_data)

    played(play, tmp_path)


# Rules.


def test_reference_values_that_come_are_applied_at_the_next_attestation(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        node = await begun(here)
        before = await after(here, node)
        await knowing(here)

        assert (before["level"], (await after(here, node))["level"]) == (2, 4)

    played(play, tmp_path)


def test_a_stricter_policy_is_applied_at_the_next_attestation_to_what_ran_before(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        await knowing(here)
        node = await begun(here)
        node.boot, node.entries = node.boot.running(UNKNOWN), None
        before = await after(here, node)
        await stricter(here)

        assert (before["contraindicated"], (await after(here, node))["contraindicated"]) == (False, True)

    played(play, tmp_path)


# A database that somebody, or the disk, has changed.

DAMAGE = {
    "a byte of a boot log": (
        "UPDATE blob SET content = CAST(substr(content, 1, 500) || x'5a5b' || substr(content, 503) AS BLOB)"
        " WHERE id = 1"
    ),
    "a byte of an IMA entry": (
        "UPDATE ima_entry SET content = CAST(substr(content, 1, 60) || x'5a5b' || substr(content, 63) AS BLOB)"
        " WHERE id = 9"
    ),
    "two IMA entries in each other's place": (
        "UPDATE ima_chunk SET entries ="
        " CAST(substr(entries, 9, 8) || substr(entries, 1, 8) || substr(entries, 17) AS BLOB)"
    ),
    "an IMA entry twice": "UPDATE ima_chunk SET entries = CAST(substr(entries, 1, 8) || entries AS BLOB)",
    "half an entry's number": "UPDATE ima_chunk SET entries = CAST(substr(entries, 1, 12) AS BLOB)",
    "a piece of the list": "DELETE FROM ima_chunk WHERE first = 0",
    "an IMA entry": "DELETE FROM ima_entry WHERE id = 9",
    "which log it was": "UPDATE boot SET boot_log = NULL",
    "which other logs there were": "UPDATE boot SET other_logs = x'ff'",
    "what stuck": "UPDATE boot SET stuck = x'00'",
    "a byte of the quote": (
        "UPDATE node_state SET evidence = CAST(substr(evidence, 1, 90) || x'5a5b' || substr(evidence, 93) AS BLOB)"
    ),
    "which posture it was": "UPDATE node_state SET posture = 1",
    "the enrolled AK": "UPDATE node SET identity = x'a0'",
}
STAYS = {"the enrolled AK"}
"""What no full logs can mend."""


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_an_alarm_and_the_node_sends_everything_again(tmp_path: Path, what: str) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            await knowing(here)
            node = await in_two_pieces(here)
            before = await after(here, node)
            await here.service.write(lambda connection: connection.execute(text(DAMAGE[what])).rowcount)
        async with side(tmp_path, clock=clock) as here:
            await proved(here, node)
            status, answer = await here.call("challenge", node.ask())
            assert (status, "held" in answer["challenge"]) == (200, False)
            (alarm,) = await raised(here, "damaged")
            assert node.name in alarm.why
            if what in STAYS:
                return
            short = node.evidence(answer["challenge"], full=False)
            asked = await here.call("evidence", short)
            assert (asked[0], asked[1]["error"]["kind"]) == (409, "logs")
            assert await after(here, node) == before
        async with side(tmp_path, clock=clock) as here:
            _, answer = await here.call("challenge", node.ask())
            assert answer["challenge"]["held"]["ima_entries"] == node.count
            assert len(await raised(here, "damaged")) == 1
            assert await after(here, node) == before

    asyncio.run(play())


DAMAGED_POSTURE = {
    "its bytes": "UPDATE blob SET content = x'5a5b' WHERE id = (SELECT posture FROM node_state)",
    "its digest": "UPDATE blob SET digest = zeroblob(32) WHERE id = (SELECT posture FROM node_state)",
    "which it was": "UPDATE node_state SET posture = 1",
}


@pytest.mark.parametrize("what", DAMAGED_POSTURE)
def test_a_damaged_posture_is_stored_anew_and_is_one_alarm(tmp_path: Path, what: str) -> None:
    async def play(here: Side) -> None:
        node = Attester(name="n1", entries=50, posture=b"{}")
        await here.attest(node, await here.enrol(node))
        before = await after(here, node)
        await here.service.write(lambda connection: connection.execute(text(DAMAGED_POSTURE[what])).rowcount)
        await evict(here, node)
        await proved(here, node)
        known = await here.service.attesting.node(node.uid)
        assert (known.state, known.posture_id, known.digest) == (None, None, b"")
        assert len(await raised(here, "damaged")) == 1
        kept = select(node_state.c.posture)
        number = await here.service.read(lambda connection: connection.execute(kept).scalar_one())
        assert number == (1 if what == "which it was" else None)

        assert await after(here, node) == before

        await here.service.write(lambda connection: clear_alarms(connection, "damaged", now=1))
        await evict(here, node)
        assert (await here.service.attesting.node(node.uid)).state is not None
        assert await after(here, node) == before
        assert [alarm for alarm in await raised(here, "damaged") if alarm.cleared_at is None] == []

    played(play, tmp_path)


async def in_two_pieces(here: Side) -> Attester:
    """A node whose list came in two pieces."""
    node = Attester(name="n1", entries=ALL - 5)
    await here.attest(node, await here.enrol(node))
    node.entries = ALL
    await after(here, node)
    return node


def test_damage_to_a_shared_entry_is_one_alarm_and_every_node_mends_its_own(tmp_path: Path) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            nodes = [await begun(here, f"n{number}") for number in range(3)]
            await here.service.write(lambda connection: connection.execute(text(DAMAGE["a byte of an IMA entry"])))
        for _ in range(2):
            async with side(tmp_path, clock=clock) as here:
                for node in nodes:
                    await proved(here, node)
                found = [await after(here, node) for node in nodes]
                assert [one["contraindicated"] for one in found] == [False] * 3
                assert len(await raised(here, "damaged")) == 1

    asyncio.run(play())


# History.


def test_history_has_a_row_for_a_change_and_says_now_and_then_that_nothing_changed(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        await knowing(here)
        node = await begun(here)
        began = here.clock.microseconds // 1000
        for _ in range(25):
            await after(here, node, 60)
        (still,) = await history(here)
        infected(node)
        await after(here, node, 60)

        assert still.first_at == pytest.approx(began, abs=10)
        assert still.last_at - still.first_at == pytest.approx(22 * 60_000, abs=60_000)
        assert [(row.level >= 4, row.contraindicated) for row in await history(here)] == [(True, False), (False, True)]

    played(play, tmp_path)


def test_a_standing_verdict_that_was_written_over_is_put_right_within_two_hours(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        node = await begun(here)
        (before,) = await history(here)
        edit = "UPDATE result SET document = x'00'"
        await here.service.write(lambda connection: connection.execute(text(edit)))
        for _ in range(12):
            await after(here, node, 605)

        (row,) = await history(here)
        assert row.document == before.document

    played(play, tmp_path)


def test_full_logs_of_the_same_boot_are_no_other_boot_and_no_other_verdict(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        node = await begun(here)
        rows = await history(here)
        for _ in range(3):
            here.clock.forward(60)
            _, answer = await here.call("challenge", node.ask())
            status, _ = await here.call("evidence", node.evidence(answer["challenge"], full=True))
            assert status == 200

        assert await boots(here) == 1
        assert [row.id for row in await history(here)] == [row.id for row in rows]
        await evict(here, node)
        _, answer = await here.call("challenge", node.ask())
        assert answer["challenge"]["held"]["ima_entries"] == ALL

    played(play, tmp_path)
