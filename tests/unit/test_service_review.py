"""What a review of the service found: each way in is shut."""

import asyncio
import threading
from pathlib import Path

import pytest

from bartizan.app.service.fleet import state_of
from bartizan.app.service.refusals import NonceError
from bartizan.errors import DecodeError
from bartizan.formats.agent_message import MAX_ITEMS, decode_evidence
from bartizan.model.node import Silence
from bartizan.model.result import State
from bartizan.store import rules as stored
from bartizan.store.rules import Author, activate_policy, add_policy
from tests.simulator.attester import Attester
from tests.unit.continuing_side import HOUR
from tests.unit.service_side import START, Side, played

POLICY = (Path(__file__).parents[2] / "src/bartizan/data/policies/default.toml").read_text("utf-8")


@pytest.mark.parametrize(
    "body",
    [
        b"\x5f" + b"\x40" * MAX_ITEMS + b"\xff",
        b"\x9f" + b"\x80" * MAX_ITEMS + b"\xff",
        b"\xa1\x61a\x9f" + b"\x00" * MAX_ITEMS + b"\xff",
    ],
    ids=["empty chunks", "empty arrays", "numbers"],
)
def test_a_message_of_many_small_items_costs_no_more_than_its_first_two_thousand(body: bytes) -> None:
    with pytest.raises(DecodeError, match=f"more than {MAX_ITEMS} items"):
        decode_evidence(body)


def test_an_absence_of_the_service_makes_no_old_verdict_fresh(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1", entries=50)
        await here.attest(node, await here.enrol(node))
        await here.wait(HOUR)
        known = await here.service.attesting.node(node.uid)
        here.clock.forward(HOUR)
        await here.service.watch.look()

        settings = here.service.settings.attestation
        assert known.progress.silence is Silence.EXPIRED
        assert state_of(known.progress.due, settings, here.clock()) is State.EXPIRED

    played(scene, tmp_path)


def test_the_later_of_two_changes_of_rules_is_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reading that began first is slow: it must not end last."""
    begun, go_on = threading.Event(), threading.Event()
    read = stored.active_policy
    slow = [True]

    def slowly(connection: object) -> object:
        found = read(connection)  # type: ignore[arg-type]  # whatever the rule book passes
        if slow.pop() if slow else False:
            begun.set()
            go_on.wait(10)
        return found

    async def scene(here: Side) -> None:
        author = Author(project=1, account="tester", now=1)

        def put(name: str) -> None:
            with here.service.engine.begin() as connection:
                text = POLICY.replace('name = "default"', f'name = "{name}"')
                activate_policy(connection, add_policy(connection, name, text.encode(), author=author).id)

        monkeypatch.setattr("bartizan.app.service.rulebook.active_policy", slowly)
        await asyncio.to_thread(put, "first")
        one = asyncio.create_task(here.service.reload())
        await asyncio.to_thread(begun.wait, 10)
        await asyncio.to_thread(put, "second")
        two = asyncio.create_task(here.service.reload())
        go_on.set()
        await asyncio.gather(one, two)

        assert here.service.rules.rules.policy.name == "second"

    played(scene, tmp_path)


def test_a_reading_of_the_rules_that_failed_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bartizan.app.service.service.RELOAD_SECONDS", 0)

    async def scene(here: Side) -> None:
        read, failing, good = here.service.rules.read, [True], threading.Event()

        def once(connection: object) -> bool:
            if failing.pop() if failing else False:
                raise OSError("the disk")
            good.set()
            return read(connection)  # type: ignore[arg-type]  # whatever the service passes

        monkeypatch.setattr(type(here.service.rules), "read", lambda _self, connection: once(connection))
        with pytest.raises(OSError, match="the disk"):
            await here.service.reload()
        assert here.service.rules_wanted
        assert await asyncio.to_thread(good.wait, 10)

    played(scene, tmp_path)


def test_a_nonce_of_a_clock_that_was_ahead_does_not_count(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1", entries=50)
        await here.enrol(node)
        nonces = here.service.attesting.nonces
        ahead = nonces.issue(node.uid, now=START + 24 * HOUR * 1_000_000, after=0)

        with pytest.raises(NonceError, match="clock was ahead"):
            nonces.check(node.uid, ahead, now=START, after=0)

        before = nonces.issue(node.uid, now=START, after=0)
        here.clock.forward(-HOUR)
        await here.service.watch.look()
        with pytest.raises(NonceError, match="before the keys were changed"):
            here.service.attesting.nonces.check(node.uid, before, now=START, after=0)
        await here.attest(node)

    played(scene, tmp_path)
