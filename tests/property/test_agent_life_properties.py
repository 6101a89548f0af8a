"""Whatever a service answers, in whatever order: the agent lives on, storms nobody, and sends no quote twice."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.agent.errors import CollectError, NoAnswer
from bartizan.agent.loop import State
from bartizan.agent.transport import Reply
from tests.unit.agent_parts import EVIDENCE, NEW, NODE, Life, error, judged, reply
from tests.unit.agent_parts import given as challenge_given

NONCES = st.binary(min_size=16, max_size=16)
GIVEN = st.builds(challenge_given, st.integers(0, 600), NONCES)
KINDS = st.sampled_from(["decode", "version", "enrolment", "node", "nonce", "logs", "size", "verify", "busy", "odd"])
STATUSES = st.sampled_from([400, 403, 404, 409, 413, 422, 429, 500, 502, 503, 302])
OPENED = {"enrolment": b"o", "id_object": b"id", "encrypted_secret": b"es", "expires_in": 60}
REVIEW = {"review": "r", "why": "w"}


def faults(status: int, kind: str, retry: int | None, more: dict[str, object] | None) -> Reply:
    return error(status, kind, retry_after=retry, **(more or {}))


ANSWERS = st.one_of(
    st.builds(lambda more: reply(200, more), GIVEN),
    st.builds(lambda more: reply(200, {"node": "n-1", **more}), GIVEN),
    st.just(reply(200, OPENED)),
    st.builds(lambda retry: reply(202, {**REVIEW, "retry_in": retry}), st.sampled_from([0, 60])),
    st.builds(lambda due, nonce: judged(due_in=due, nonce=nonce), st.integers(0, 600), NONCES),
    st.builds(faults, STATUSES, KINDS, st.sampled_from([None, 0, 1, 100]), st.none() | GIVEN),
    st.builds(Reply, st.integers(100, 599), st.binary(max_size=20)),
    st.just(NoAnswer("gone")),
)
FINDINGS = st.one_of(
    st.builds(lambda notes: EVIDENCE._replace(notes=tuple(notes)), st.lists(st.text(max_size=300), max_size=20)),
    st.just(CollectError("TPM: gone")),
)


@given(
    answers=st.lists(ANSWERS, max_size=40),
    findings=st.lists(FINDINGS, max_size=40),
    is_new=st.booleans(),
    chance=st.floats(0, 0.999),
)
@settings(max_examples=300, deadline=None)
def test_whatever_is_answered(
    answers: list[Reply | Exception], findings: list[object], *, is_new: bool, chance: float
) -> None:
    life = Life(*answers, node=NEW if is_new else NODE, chance=chance)
    life.script.evidences = findings  # type: ignore[assignment]  # evidence and errors
    waits: list[float] = []
    while life.script.answers and not life.agent.is_over and len(waits) < 200:
        waits.append(life.agent.step())
        if waits[-1] != math.inf:
            life.clock.now += waits[-1]

    assert len(waits) < 200
    assert all(0 <= wait <= 7 * 86_400 * 1.1 for wait in waits[:-1])
    sent = [document["nonce"] for path, document in life.script.requests if path == "evidence"]
    challenged = [asked.nonce for asked in life.script.asked]
    assert len(sent) <= len(challenged)
    if not is_new:
        assert "enrol" not in life.script.paths
        assert life.agent.state is not State.REFUSED
    for path, document in life.script.requests:
        if path == "evidence":
            assert len(document.get("notes", [])) <= 16
            assert all(len(note) <= 200 for note in document.get("notes", []))


@given(answers=st.lists(ANSWERS, min_size=1, max_size=6), is_new=st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_service_makes_an_agent_storm_it(answers: list[Reply | Exception], *, is_new: bool) -> None:
    life = Life(*answers * 100, node=NEW if is_new else NODE)
    begun = life.clock.now
    for _ in range(200):
        wait = life.agent.step()
        if life.agent.is_over:
            return
        life.clock.now += wait

    assert len(life.script.requests) <= 4 * (life.clock.now - begun) + 20
