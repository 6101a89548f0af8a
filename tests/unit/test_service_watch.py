"""Who is silent, and whose fault it is: nodes one by one, the network, this service, or its clock."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bartizan.app.service import watch
from bartizan.app.service.watch import Watch
from bartizan.model.node import Silence
from bartizan.store.alarms import last_beat
from bartizan.store.nodes import find_node, retire_node
from bartizan.store.watching import counts, due_before
from tests.simulator.attester import Attester
from tests.unit.continuing_side import HOUR, after, begun, raised
from tests.unit.service_side import HandClock, Side, played, side


@pytest.fixture(autouse=True)
def _looks_of_the_test_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch does not look by itself: how often it would depends on how busy this machine is."""
    monkeypatch.setattr(watch, "LOOK_EVERY", 3600)


async def look(here: Side, seconds: float) -> dict[Silence, int]:
    """The watch looks every few seconds for so long; how many nodes are how far behind then."""
    steps = max(1, round(abs(seconds) / 10)) if seconds > 0 else 1
    for _ in range(steps):
        here.clock.forward(seconds / steps)
        await here.service.watch.look()
    return await here.service.read(counts)


async def small_fleet(here: Side, count: int) -> list[Attester]:
    nodes = [Attester(name=f"n{number}", entries=3) for number in range(count)]
    for node in nodes:
        await here.attest(node, await here.enrol(node))
    return nodes


def test_a_fleet_that_goes_late_is_one_alarm_that_ends_when_it_is_back(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        nodes = await small_fleet(here, 6)
        for node in nodes:
            await here.attest(node)
            here.clock.forward(1)

        seen = [await look(here, 114)] + [await look(here, 1) for _ in range(8)]
        during = await raised(here, "mass-late")
        expired = [await look(here, 1) for _ in range(300)][-1]
        throughout = await raised(here, "mass-late")
        for node in nodes:
            await here.attest(node)
        back = await look(here, 6)

        assert [one[Silence.LATE] for one in seen][-1] == 6
        assert len({one[Silence.LATE] for one in seen}) > 3
        assert (len(during), during) == (1, throughout)
        assert expired[Silence.EXPIRED] == 6
        assert back == {Silence.NONE: 6, Silence.LATE: 0, Silence.EXPIRED: 0}
        (alarm,) = await raised(here, "mass-late")
        assert alarm.cleared_at is not None

    played(play, tmp_path)


def test_half_a_fleet_that_falls_silent_is_one_alarm_from_its_first_late_node_on(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        nodes = await small_fleet(here, 30)
        for node in nodes:
            await look(here, 2)
            await here.attest(node)
        talking = nodes[::2]

        with capture_logs() as said:
            for turn in range(3):
                for node in talking:
                    here.clock.forward(4)
                    await here.attest(node)
                    found = await look(here, 0.001)
                    raised_by_now = [one.kind for one in await raised(here, "mass-late")]
                    assert bool(raised_by_now) == bool(found[Silence.LATE]), turn

        assert found[Silence.LATE] == len(nodes) - len(talking)
        assert [one for one in said if one["event"] == "node silent"] == []

    played(play, tmp_path)


def test_the_last_of_many_that_were_late_is_not_to_blame_and_one_that_is_late_afterwards_is(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        nodes = await small_fleet(here, 10)
        for node in nodes:
            await look(here, 5)
            await here.attest(node)
        while not await raised(here, "mass-late"):
            await look(here, 1)
        for node in nodes[:-1]:
            await here.attest(node)

        with capture_logs() as said:
            while not (await look(here, 1))[Silence.LATE]:
                pass
            assert [one for one in said if one["event"] == "node silent"] == []
            for _ in range(6):
                for node in nodes[1:]:
                    await here.attest(node)
                await look(here, 30)

        assert [one["node"] for one in said if one["event"] == "node silent"] == [nodes[0].name]

    played(play, tmp_path)


def test_a_retired_node_is_missed_by_nobody(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        gone, *_ = await small_fleet(here, 2)
        found = await here.service.read(lambda connection: find_node(connection, gone.uid))
        assert found is not None
        await here.service.write(lambda connection: retire_node(connection, found[0].id, at=1))

        missing = await here.service.read(lambda connection: due_before(connection, 1 << 60))

        assert missing == 1

    played(play, tmp_path)


def test_one_silent_node_among_many_is_no_alarm_about_the_service(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        _, *others = await small_fleet(here, 10)
        await look(here, 100)
        for node in others:
            await here.attest(node)

        found = await look(here, 50)

        assert (found[Silence.LATE], found[Silence.NONE]) == (1, 9)
        assert await raised(here, "mass-late") == []

    played(play, tmp_path)


def test_a_service_that_was_away_is_one_alarm_and_nobody_is_late(tmp_path: Path) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            nodes = await small_fleet(here, 6)
        clock.forward(HOUR)
        async with side(tmp_path, clock=clock) as here:
            found = [await look(here, 1), await look(here, 60), await look(here, 58)]
            (alarm,) = await raised(here, "away")
            late = await look(here, 5)
            for node in nodes:
                await here.attest(node)

        assert [one[Silence.NONE] for one in found] == [6, 6, 6]
        assert late[Silence.LATE] == 6
        assert "for 60 minutes until now; 6 nodes were due meanwhile" in alarm.why
        async with side(tmp_path, clock=clock) as here:
            assert [one.cleared_at is None for one in await raised(here, "away")] == [False]

    asyncio.run(play())


def test_after_a_short_restart_nobody_is_late_before_everybody_had_the_time_to_come(tmp_path: Path) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            await small_fleet(here, 6)
            await look(here, 110)
        clock.forward(5)
        async with side(tmp_path, clock=clock) as here:
            before = await look(here, 119)
            after = await look(here, 2)

        assert (before[Silence.NONE], after[Silence.LATE]) == (6, 6)

    asyncio.run(play())


def test_a_restart_in_no_time_is_no_alarm(tmp_path: Path) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock):
            pass
        clock.forward(59)
        async with side(tmp_path, clock=clock) as here:
            assert await raised(here, "away") == []

    asyncio.run(play())


# A clock that was set back.


def test_after_the_clock_was_set_back_an_hour_everybody_goes_on(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        node = await begun(here)
        _, answer = await here.call("challenge", node.ask())
        here.clock.forward(-HOUR)
        await here.attest(node, answer["challenge"])

        here.clock.forward(60)
        answer = await here.attest(node)

        assert answer["due_in"] == 60
        await here.attest(node, answer["challenge"])

    played(play, tmp_path)


@pytest.mark.parametrize("meanwhile_off", [False, True], ids=["while it ran", "while it was off"])
def test_after_the_clock_was_set_back_the_silent_are_still_found(tmp_path: Path, meanwhile_off: bool) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            node = await begun(here)
            await look(here, 10)
            if not meanwhile_off:
                clock.forward(-HOUR)
                await silent(here, node)
        if meanwhile_off:
            clock.forward(-HOUR)
            async with side(tmp_path, clock=clock) as here:
                await silent(here, node)

    async def silent(here: Side, node: Attester) -> None:
        known = await here.service.attesting.node(node.uid)
        first = await look(here, 1)
        second = await look(here, 130)

        assert (first[Silence.NONE], second[Silence.LATE]) == (1, 1)
        assert known.progress.silence is Silence.LATE
        await after(here, node)
        assert known.progress.silence is Silence.NONE

    asyncio.run(play())


def test_who_was_late_before_the_clock_was_set_back_is_late_still(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        node = await begun(here)
        known = await here.service.attesting.node(node.uid)
        assert (await look(here, 130))[Silence.LATE] == 1

        found = await look(here, -0.5)

        assert (found[Silence.LATE], known.progress.silence) == (1, Silence.LATE)

    played(play, tmp_path)


def test_the_note_that_the_service_is_alive_follows_the_clock_back(tmp_path: Path) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            await look(here, 10)
            await look(here, -HOUR)
            beat = await here.service.read(last_beat)
            assert beat == clock.microseconds // 1000
        clock.forward(70)
        async with side(tmp_path, clock=clock) as here:
            assert len(await raised(here, "away")) == 1

    asyncio.run(play())


def test_a_look_that_fails_does_not_end_the_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_EVERY", 0)

    async def play(_: Side) -> None:
        looks, again = 0, asyncio.Event()

        async def fails(_: Watch) -> None:
            nonlocal looks
            looks += 1
            if looks > 2:
                again.set()
            raise OSError("a full disk")

        monkeypatch.setattr(Watch, "look", fails)
        await asyncio.wait_for(again.wait(), 10)

    played(play, tmp_path)
