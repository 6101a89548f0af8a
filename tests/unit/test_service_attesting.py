"""The service as agents meet it: challenges, attestations kept, refusals that change nothing, restarts."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from bartizan.app.service.judging import judge
from bartizan.formats.reference_file import encode_reference
from bartizan.model.node import Silence
from bartizan.model.reference import ReferenceState
from bartizan.store.rules import add_set
from tests.simulator.attester import Attester
from tests.simulator.machine import reference
from tests.unit.service_side import ADMIN, HandClock, Side, played, side


def test_a_node_enrols_attests_and_attests_again(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1", entries=100)
        challenge = await here.enrol(node)

        first = await here.attest(node, challenge)
        node.entries = 110
        here.clock.forward(60)
        second = await here.attest(node, first["challenge"])

        assert first["result"]["level"] == second["result"]["level"] == 2
        assert first["challenge"]["held"]["ima_entries"] == 100
        assert second["challenge"]["held"]["ima_entries"] == 110
        assert second["due_in"] == 60

    played(scene, tmp_path)


def test_a_service_that_starts_again_goes_on_where_it_was(tmp_path: Path) -> None:
    async def scenes() -> None:
        node, clock = Attester(name="n1", entries=100), HandClock()
        async with side(tmp_path, clock=clock) as before:
            answer = await before.attest(node, await before.enrol(node))
            node.entries = 105
            answer = await before.attest(node, answer["challenge"])
        node.entries = 110
        async with side(tmp_path, clock=clock) as after:
            again = await after.attest(node, answer["challenge"])

        assert answer["challenge"]["held"] == {"reset_count": 7, "restart_count": 0, "ima_entries": 105}
        assert again["challenge"]["held"]["ima_entries"] == 110
        assert again["result"] == answer["result"]

    asyncio.run(scenes())


def test_a_used_nonce_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1", entries=100)
        challenge = await here.enrol(node)
        evidence = node.evidence(challenge)
        await here.call("evidence", evidence)
        before = (await here.service.attesting.node(node.uid)).progress

        status, answer = await here.call("evidence", evidence)

        after = (await here.service.attesting.node(node.uid)).progress
        assert (status, answer["error"]["kind"]) == (409, "nonce")
        assert "used already" in answer["error"]["why"]
        assert answer["challenge"]["nonce"] != challenge["nonce"]
        assert (after.accepted, after.accepted_at, after.level) == (before.accepted, before.accepted_at, before.level)

    played(scene, tmp_path)


def test_the_watch_marks_the_silent_late_then_expired_and_forgets_it_when_they_speak(tmp_path: Path) -> None:
    async def scene(here: Side) -> None:
        node = Attester(name="n1", entries=100)
        await here.attest(node, await here.enrol(node))
        known = await here.service.attesting.node(node.uid)
        seen = []
        for seconds in (100, 30, 300):
            await here.wait(seconds)
            seen.append(known.progress.silence)
        await here.attest(node)

        assert seen == [Silence.NONE, Silence.LATE, Silence.EXPIRED]
        assert known.progress.silence is Silence.NONE

    played(scene, tmp_path)


def test_what_other_rules_judged_is_judged_anew_beside_the_requests_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[bool] = []

    def judging(*arguments: Any, **named: Any) -> object:  # noqa: ANN401  whatever it is given
        threads.append(threading.current_thread() is threading.main_thread())
        return judge(*arguments, **named)

    async def scene(here: Side) -> None:
        node = Attester(name="n1", entries=50)
        await here.attest(node, await here.enrol(node))
        monkeypatch.setattr("bartizan.app.service.attesting.judge", judging)
        await here.attest(node)
        known = encode_reference(reference().set)
        await here.service.write(
            lambda connection: add_set(connection, "known", known, ReferenceState.APPROVED, author=ADMIN)
        )
        await here.service.read(here.service.rules.read)
        for _ in range(2):
            await here.attest(node)

        assert threads == [True, False, True]

    played(scene, tmp_path)
