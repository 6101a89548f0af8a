"""What the service holds of nodes: a state of each, all evidence of some, equal results once."""

import json
from dataclasses import replace
from pathlib import Path

from bartizan.app.node_state import NodeState
from bartizan.app.service.alike import SMALL, Alike
from bartizan.app.service.settings import Storage
from bartizan.formats.ima import decode_ima
from bartizan.formats.result_json import result_document
from bartizan.model.cbor import Encoded
from bartizan.model.result import Anchor, Claim, Finding, Tier
from tests.simulator.attester import Attester
from tests.unit.attested_again import ALL, HALF, started
from tests.unit.continuing_side import after, begun, knowing, let_go
from tests.unit.service_side import Side, played

ONE = {"storage": Storage(states=1)}


def state_in(here: Side, node: Attester) -> NodeState:
    found = here.service.memory.find(node.uid)
    assert found is not None
    assert found.state is not None
    return found.state


def test_evidence_used_longest_ago_makes_room_and_the_state_stays(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        first = await begun(here)
        assert state_in(here, first).evidence is not None

        second = await begun(here, "n2")

        assert state_in(here, first).evidence is None
        assert state_in(here, second).evidence is not None
        assert (here.service.memory.nodes, here.service.memory.states) == (2, 1)
        assert here.service.memory.entries == second.count

    played(play, tmp_path, **ONE)


def test_so_many_ima_entries_are_held_and_no_more(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        first, second = await begun(here), await begun(here, "n2")

        held = [state_in(here, node).evidence is not None for node in (first, second)]

        assert held == [False, True]
        assert here.service.memory.entries == second.count

    played(play, tmp_path, storage=Storage(entries=150))


def test_a_quote_that_brings_nothing_new_reads_nothing_and_takes_no_room(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        first, second = await begun(here), await begun(here, "n2")
        before = state_in(here, first)

        await after(here, first)

        assert state_in(here, first).result is before.result
        assert state_in(here, first).quote is not before.quote
        assert state_in(here, first).evidence is None
        assert state_in(here, second).evidence is not None

    played(play, tmp_path, **ONE)


def test_new_entries_are_judged_with_the_evidence_read_again(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        await knowing(here)
        node = await begun(here, entries=HALF)
        await begun(here, "n2")
        node.entries = None

        found = await after(here, node)

        evidence = state_in(here, node).complete()
        assert found["level"] == 4
        assert evidence.ima is not None
        kept = decode_ima(node.boot.list_bytes())
        assert list(evidence.ima.list.columns.template_data) == [entry.template_data for entry in kept.entries]

    played(play, tmp_path, **ONE)


def test_a_node_that_is_forgotten_frees_its_room(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        node = await begun(here)
        here.service.memory.forget(node.uid)

        assert (here.service.memory.nodes, here.service.memory.states, here.service.memory.entries) == (0, 0, 0)

    played(play, tmp_path)


def test_evidence_that_cannot_be_read_again_is_asked_for_in_full(tmp_path: Path) -> None:
    async def play(here: Side) -> None:
        node = await begun(here, entries=HALF)
        await let_go(here, node)
        await here.service.write(lambda connection: connection.exec_driver_sql("UPDATE blob SET content = x'00'"))
        node.entries = None

        _, asked = await here.call("challenge", node.ask())
        status, answer = await here.call("evidence", node.evidence(asked["challenge"], full=False))

        assert (status, answer["error"]["kind"]) == (409, "logs")
        assert (await after(here, node))["level"] > 0

    played(play, tmp_path)


def test_equal_results_and_their_parts_are_held_once() -> None:
    alike = Alike()

    one, other = alike.state(started()), alike.state(started())
    shorter = alike.state(started(count=HALF))

    assert one.result is other.result
    assert shorter.result.findings != one.result.findings
    assert shorter.result.ladder is one.result.ladder
    assert shorter.result.vector is one.result.vector
    assert {id(f) for f in shorter.result.findings} & {id(f) for f in one.result.findings}
    assert alike.encoded(Encoded(b"told")) is alike.encoded(Encoded(b"told"))


def crowded(count: int) -> NodeState:
    """A state whose result has so many findings, made anew each time."""
    state = started()
    found = [
        Finding(
            id="ima.known-files", claim=Claim.EXECUTABLES, tier=Tier.WARNING, why=f"{n} is unknown", anchor=Anchor.TPM
        )
        for n in range(count)
    ]
    return replace(state, result=replace(state.result, findings=tuple(found)), stuck=tuple(found))


def test_a_result_with_very_many_findings_is_handed_back_as_it_is_and_nothing_of_it_is_remembered() -> None:
    alike, state = Alike(), crowded(20_000)
    document = json.dumps(result_document(state.result)).encode()
    alike.state(started())
    before = dict(alike._known)

    found = alike.state(state)

    assert found.result is state.result
    assert found.stuck is state.stuck
    assert alike.kept(document) == state.result
    assert alike._known == before


def test_up_to_so_many_findings_are_held_once() -> None:
    alike = Alike()

    shared = [alike.state(crowded(SMALL)) for _ in range(2)]
    apart = [alike.state(crowded(SMALL + 1)) for _ in range(2)]

    assert shared[0].result is shared[1].result
    assert shared[0].stuck is shared[1].stuck
    assert apart[0].result is not apart[1].result
    assert apart[0].result == apart[1].result


def test_what_is_shared_equals_what_it_was() -> None:
    alike, state = Alike(), started(count=ALL)
    raised = replace(state, result=replace(state.result, level=state.result.level - 1))

    assert alike.state(state) == state
    assert alike.state(raised) == raised  # the same findings, and another verdict
