"""A node that a kexec took to another kernel, as the service meets it: attested on, started again, judged anew."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bartizan.app.service.judging import held_entries
from bartizan.store.kept import kept_boot
from bartizan.store.rules import activate_policy, add_policy
from tests.simulator.attester import Attester, Document
from tests.simulator.live_boot import LiveBoot
from tests.unit.attested_again import GOOD, UNKNOWN
from tests.unit.continuing_side import after, begun, evict, knowing, stricter
from tests.unit.ima_lists import ng
from tests.unit.kexec_side import DOCUMENT, LOADED
from tests.unit.service_side import ADMIN, HandClock, Side, played, side

READY = GOOD.running(*LOADED)
NEXT = replace(READY.kexec(), entries=(*READY.kexec().entries, *GOOD.entries[1:]))
"""The kernel that it takes them to reads the same files again."""
MORE = 20


async def accepting(here: Side) -> None:
    """Put the policy by which a measured kexec counts in force."""

    def put(connection: object) -> None:
        activate_policy(connection, add_policy(connection, "kexec", DOCUMENT.encode(), author=ADMIN).id)  # type: ignore[arg-type]  # a connection

    await here.service.write(put)
    assert await here.service.reload()


async def ready(here: Side) -> Attester:
    """A node with the next kernel loaded and measured, and all of it attested."""
    await knowing(here)
    await accepting(here)
    node = await begun(here)
    runs(node, READY)
    assert (await after(here, node))["level"] == 4
    return node


def runs(node: Attester, boot: LiveBoot, entries: int | None = None) -> None:
    node.boot, node.entries = boot, entries


async def attested(here: Side, node: Attester) -> tuple[int, Document]:
    """An attestation as an agent makes it: what is new, and everything if that is wanted. How many it took."""
    here.clock.forward(60)
    _, answer = await here.call("challenge", node.ask())
    for tries, full in enumerate((None, True), 1):
        status, answer = await here.call("evidence", node.evidence(answer["challenge"], full=full))
        if status == 200:
            return tries, answer
        assert answer["error"]["kind"] == "logs", answer
    raise AssertionError("full logs were not enough")


async def kept(here: Side, node: Attester) -> bytes | None:
    """The IMA list in the database."""
    known = await here.service.attesting.node(node.uid)
    found = await here.service.read(lambda connection: kept_boot(connection, known.record.id))
    return None if found is None else found.ima


def everything(boot: LiveBoot, count: int | None = None) -> bytes:
    return replace(boot, begins=0).list_bytes(0, count)


@pytest.mark.parametrize("count", [len(READY.entries) + 1, len(READY.entries) + MORE, len(NEXT.entries)])
def test_a_measured_kexec_keeps_its_level_however_long_the_new_list_is(tmp_path: Path, count: int) -> None:
    async def scene(here: Side) -> None:
        node = await ready(here)
        runs(node, NEXT, count)

        tries, answer = await attested(here, node)

        result = answer["result"]
        assert (tries, result["level"], result["contraindicated"]) == (2, 4, False)
        assert answer["challenge"]["held"]["ima_entries"] == count - len(READY.entries)
        assert await kept(here, node) == everything(NEXT, count)

    played(scene, tmp_path)


async def nothing(_: Side, __: Attester) -> None:
    """Time passes."""


async def suspended(_: Side, node: Attester) -> None:
    node.boot = replace(node.boot, restarts=node.boot.restarts + 1)


MEANWHILE: dict[str, Callable[[Side, Attester], Awaitable[None]]] = {
    "nothing": nothing,
    "it was evicted from memory": evict,
    "the machine was suspended": suspended,
}


@pytest.mark.parametrize("what", MEANWHILE)
@pytest.mark.parametrize("restarted", [False, True], ids=["", "after a restart"])
def test_after_it_only_what_is_new_travels(tmp_path: Path, what: str, restarted: bool) -> None:
    async def play() -> None:
        clock = HandClock()
        first, second, third = (len(READY.entries) + MORE * times for times in (1, 2, 3))
        async with side(tmp_path, clock=clock) as here:
            node = await ready(here)
            runs(node, NEXT, first)
            await attested(here, node)
            node.entries = second
            await MEANWHILE[what](here, node)
            if not restarted:
                found = await attested(here, node)
        if restarted:
            async with side(tmp_path, clock=clock) as here:
                found = await attested(here, node)
        async with side(tmp_path, clock=clock) as here:
            node.entries = third
            later = await attested(here, node)

            assert (found[0], found[1]["result"]["level"]) == (1, 4)
            assert (later[0], later[1]["result"]["level"]) == (1, 4)
            assert await kept(here, node) == everything(NEXT, third)

    asyncio.run(play())


def test_a_service_that_starts_between_the_two_kernels_joins_the_lists(tmp_path: Path) -> None:
    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            node = await ready(here)
        async with side(tmp_path, clock=clock) as here:
            runs(node, NEXT)
            _, answer = await attested(here, node)

            assert answer["result"]["level"] == 4

    asyncio.run(play())


def test_an_entry_lost_between_the_two_kernels_keeps_the_level_down_until_a_reboot(tmp_path: Path) -> None:
    lost = READY.running(UNKNOWN).kexec()

    async def scene(here: Side) -> None:
        node = await ready(here)
        runs(node, lost)
        _, answer = await attested(here, node)
        node.boot = lost.running(UNKNOWN)
        _, later = await attested(here, node)
        runs(node, replace(GOOD, resets=8))
        _, rebooted = await attested(here, node)

        assert (answer["result"]["level"], answer["result"]["contraindicated"]) == (1, True)
        assert (later["result"]["level"], later["result"]["contraindicated"]) == (1, True)
        assert (rebooted["result"]["level"], rebooted["result"]["contraindicated"]) == (4, False)

    played(scene, tmp_path)


def test_a_kexec_that_nothing_recognises_keeps_the_level_at_1_and_is_no_lie(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        await knowing(here)
        node = await begun(here)
        runs(node, GOOD.kexec())
        _, answer = await attested(here, node)
        node.boot = node.boot.running(ng(b"/usr/bin/x"))
        _, later = await attested(here, node)

        assert (answer["result"]["level"], answer["result"]["contraindicated"]) == (1, False)
        assert (later["result"]["level"], later["result"]["contraindicated"]) == (1, False)

    played(scene, tmp_path)


def test_other_rules_judge_a_kexec_anew_without_asking_the_node(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = await ready(here)
        runs(node, NEXT)
        await attested(here, node)
        await stricter(here)
        tries, strict = await attested(here, node)
        await accepting(here)
        tries_then, accepted = await attested(here, node)

        assert (tries, strict["result"]["level"]) == (1, 1)
        assert (tries_then, accepted["result"]["level"]) == (1, 4)

    played(scene, tmp_path)


def test_what_ran_before_the_kexec_is_not_forgotten(tmp_path: Path) -> None:
    infected = GOOD.running(UNKNOWN, *LOADED)

    async def scene(here: Side) -> None:
        await knowing(here)
        await accepting(here)
        node = await begun(here)
        runs(node, infected)
        assert (await after(here, node))["level"] == 3
        runs(node, infected.kexec())

        _, answer = await attested(here, node)

        assert answer["result"]["level"] == 1
        assert len(infected.entries) + 1 == held_entries((await here.service.attesting.node(node.uid)).state)  # type: ignore[arg-type]  # it is there

    played(scene, tmp_path)


def test_a_second_kexec_is_joined_as_well(tmp_path: Path) -> None:
    ready_again = NEXT.running(*LOADED)
    third = replace(ready_again.kexec(), entries=(*ready_again.kexec().entries, *GOOD.entries[1:MORE]))

    async def scene(here: Side) -> None:
        node = await ready(here)
        levels = []
        for boot in (NEXT, ready_again, third):
            runs(node, boot)
            _, answer = await attested(here, node)
            levels.append(answer["result"]["level"])

        assert levels == [4, 4, 4]
        assert answer["challenge"]["held"]["ima_entries"] == MORE
        assert await kept(here, node) == everything(third)

    played(scene, tmp_path)


@pytest.mark.parametrize("restarted", [False, True], ids=["", "after a restart"])
def test_a_list_that_the_kernel_carried_on_goes_on_as_it_is(tmp_path: Path, restarted: bool) -> None:
    carried = READY.kexec(carried=True)

    async def play() -> None:
        clock = HandClock()
        async with side(tmp_path, clock=clock) as here:
            node = await ready(here)
            runs(node, carried)
            first = await attested(here, node)
            if not restarted:
                node.boot = replace(carried, entries=(*carried.entries, *GOOD.entries[1:MORE]))
                second = third = await attested(here, node)
        if restarted:
            async with side(tmp_path, clock=clock) as here:
                node.boot = replace(carried, entries=(*carried.entries, *GOOD.entries[1:MORE]))
                second = await attested(here, node)
                node.boot = replace(carried, entries=(*carried.entries, *GOOD.entries[1 : 2 * MORE]))
                third = await attested(here, node)

        assert [first[0], second[0], third[0]] == [1, 1, 1]
        assert [one[1]["result"]["level"] for one in (first, second, third)] == [4, 4, 4]
        assert third[1]["challenge"]["held"]["ima_entries"] == len(node.boot.entries)

    asyncio.run(play())


def test_entries_that_fit_nowhere_are_judged_once_everything_came(tmp_path: Path) -> None:
    """PCR 10 was extended behind the list: no kexec, and nothing joins."""

    async def scene(here: Side) -> None:
        node = await ready(here)
        node.known_pcrs = READY.running(UNKNOWN, UNKNOWN).pcrs(len(READY.entries) + 2)
        runs(node, READY.running(UNKNOWN))

        tries, answer = await attested(here, node)

        assert (tries, answer["result"]["level"], answer["result"]["contraindicated"]) == (2, 1, True)

    played(scene, tmp_path)


def test_a_node_of_which_nothing_but_the_second_list_was_seen_stays_contraindicated(tmp_path: Path) -> None:
    """What ran before was never shown, so that no list leads to PCR 10."""

    async def scene(here: Side) -> None:
        await knowing(here)
        await accepting(here)
        node = Attester(name="n1", boot=NEXT, entries=len(NEXT.entries))
        answer = await here.attest(node, await here.enrol(node))

        assert answer["result"]["contraindicated"]
        assert answer["result"]["level"] < 4

    played(scene, tmp_path)
