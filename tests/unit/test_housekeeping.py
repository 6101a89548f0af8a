"""What is older than the settings keep goes; what stands, and what it rests on, stays."""

import asyncio
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Table, delete, func, select

from bartizan.app.service.settings import Storage
from bartizan.model.node import Silence
from bartizan.store.retention import AT_ONCE
from bartizan.store.tables import alarm, blob, boot, ima_chunk, ima_entry, result
from tests.simulator.attester import Attester
from tests.simulator.machine import file_line
from tests.unit.service_side import HandClock, Side, played, side

DAY = 86_400
KEPT = Storage(history_days=10)


async def rows(here: Side, table: Table) -> int:
    return await here.service.read(
        lambda connection: connection.execute(select(func.count()).select_from(table)).scalar_one()
    )


async def reboot(here: Side, node: Attester, *extra: bytes) -> None:
    """Another boot, with files of its own."""
    lines = [file_line(b"/opt/" + name, name) for name in extra]
    node.boot = replace(node.boot, resets=node.boot.resets + 1).running(*lines)
    await here.attest(node)


def test_former_boots_and_verdicts_go_with_everything_that_only_they_used(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1")
        await here.attest(node, await here.enrol(node))
        whole = len(node.boot.entries)
        await reboot(here, node, b"once")
        node.boot = replace(node.boot, entries=node.boot.entries[:whole])
        here.clock.forward(11 * DAY)
        await reboot(here, node)

        gone = await here.service.housekeeping.tidy()

        assert (gone["boots"], gone["results"], gone["entries"]) == (2, 2, 1)
        assert [await rows(here, table) for table in (boot, result, ima_chunk)] == [1, 1, 1]
        assert await rows(here, ima_entry) == len({entry.raw for entry in node.boot.entries})
        again = await here.attest(node)
        assert again["challenge"]["held"]["ima_entries"] == whole

    played(scene, tmp_path, storage=KEPT)


def test_what_is_younger_and_what_stands_stays(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1")
        await here.attest(node, await here.enrol(node))
        before = [await rows(here, table) for table in (boot, result, blob, ima_entry)]
        here.clock.forward(100 * DAY)

        gone = await here.service.housekeeping.tidy()

        assert not any(count for what, count in gone.items() if what != "enrolments")
        assert [await rows(here, table) for table in (boot, result, blob, ima_entry)] == before

    played(scene, tmp_path, storage=KEPT)


def test_postures_that_were_replaced_go_within_the_hour_though_no_boot_went(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1", posture=b"posture 0")
        await here.attest(node, await here.enrol(node))
        before = await rows(here, blob)
        await here.service.housekeeping.tidy()
        for number in range(1, AT_ONCE + 102):
            node.posture = b"posture %d" % number
            await here.attest(node)
        assert await rows(here, blob) == before + AT_ONCE + 101

        gone = await here.service.housekeeping.tidy()

        assert (gone["boots"], gone["logs"]) == (0, AT_ONCE + 101)
        assert await rows(here, blob) == before
        assert "logs" not in await here.service.housekeeping.tidy()

    played(scene, tmp_path, storage=KEPT)


def test_entries_of_a_list_that_was_sent_anew_go_within_a_day_though_no_boot_went(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1", entries=50)
        await here.attest(node, await here.enrol(node))
        await here.service.housekeeping.tidy()
        await here.service.write(lambda connection: connection.execute(delete(ima_chunk)))
        assert "entries" not in await here.service.housekeeping.tidy()

        here.clock.forward(DAY)

        assert (await here.service.housekeeping.tidy())["entries"] == 50
        assert await rows(here, ima_entry) == 0

    played(scene, tmp_path, storage=KEPT)


def test_a_service_that_was_paused_blames_itself_and_no_node(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        nodes = [Attester(name=f"n{number}", entries=50) for number in range(3)]
        for node in nodes:
            await here.attest(node, await here.enrol(node))
        await here.service.watch.look()
        here.clock.forward(3600)

        await here.service.watch.look()

        known = [await here.service.attesting.node(node.uid) for node in nodes]
        assert [one.progress.silence.name for one in known] == ["NONE"] * 3
        why = await here.service.read(lambda connection: connection.execute(select(alarm.c.kind, alarm.c.why)).all())
        ((kind, words),) = [tuple(row) for row in why]
        assert kind == "away"
        assert words.startswith("the service did not run, or stood still, for 60 minutes until now; 3 nodes were due")

    played(scene, tmp_path)


def test_a_service_that_was_off_blames_itself_and_no_node(tmp_path: Path) -> None:
    async def scenes() -> None:
        clock, node = HandClock(), Attester(name="n1", entries=50)
        async with side(tmp_path, clock=clock) as before:
            await before.attest(node, await before.enrol(node))
        clock.forward(7200)
        async with side(tmp_path, clock=clock) as after:
            await after.service.watch.look()
            found = await after.service.read(
                lambda connection: connection.execute(select(alarm.c.kind)).scalars().all()
            )
            known = await after.service.attesting.node(node.uid)

        assert list(found) == ["away"]
        assert known.progress.silence is Silence.NONE

    asyncio.run(scenes())
