"""The agent's states: what it does in each, and what it makes of each answer of the protocol's table."""

import math

import pytest

from bartizan.agent.errors import CollectError, NoAnswer, Unusable
from bartizan.agent.loop import State
from bartizan.agent.messages import Held
from tests.unit.agent_parts import (
    EVIDENCE,
    NEW,
    NODE,
    NONCE,
    OTHER_NONCE,
    Life,
    error,
    given,
    judged,
    reply,
)

OPENED = {"enrolment": b"opaque", "id_object": b"id", "encrypted_secret": b"es", "expires_in": 60}
ENROLLED = {"node": "n-1", **given()}
SENT = {"version", "agent", "node", "nonce", "attest", "signature", "pcrs"}


# The good way.


def test_it_enrols_activates_and_attests() -> None:
    life = Life(reply(200, OPENED), reply(200, ENROLLED), judged(), node=NEW)
    waited = life.steps(3)

    assert life.script.paths == ["enrol", "activate", "evidence"]
    assert waited == [0, 60, 60]
    assert life.script.secrets == [(b"id", b"es")]
    assert life.script.requests[1][1]["secret"] == b"opened"
    assert life.memory.node == NODE
    assert life.agent.state is State.WAITING
    assert life.script.requests[2][1].keys() == SENT
    assert not life.warned


def test_the_enrolment_says_who_the_node_is() -> None:
    life = Life(reply(200, OPENED), node=NEW)
    life.steps(1)
    sent = life.script.requests[0][1]

    assert sent["token"] == "join"  # noqa: S105
    assert sent["product"] == {"manufacturer": "IBM", "model": "SW TPM", "firmware": 7}
    assert (sent["name"], sent["role"], sent["banks"], sent["version"]) == ("compute-1", "compute", {11: True}, 1)
    assert life.agent.state is State.ACTIVATING


def test_without_a_token_none_is_sent() -> None:
    life = Life(reply(200, OPENED), node=NEW._replace(token=None))
    life.steps(1)

    assert "token" not in life.script.requests[0][1]


def test_after_a_start_it_asks_for_a_challenge() -> None:
    life = Life(reply(200, given(due_in=10)), judged())
    waited = life.steps(2)

    assert life.script.paths == ["challenge", "evidence"]
    assert waited == [10, 60]
    assert life.script.asked[0].nonce == NONCE


def test_what_the_verifier_holds_goes_to_the_collector() -> None:
    held = {"reset_count": 2, "restart_count": 1, "ima_entries": 40, "posture_digest": b"p" * 32}
    life = Life(reply(200, given(held=held)), judged())
    life.steps(2)

    assert life.script.asked[0].held == Held(2, 1, 40, b"p" * 32)
    assert not life.script.asked[0].full


def test_a_result_is_kept_for_people() -> None:
    life = Life(reply(200, given()), judged(3, contraindicated=True))
    life.steps(2)
    progress = life.memory.progress

    assert progress is not None
    assert (progress.level, progress.contraindicated, progress.keeps_down) == (3, True, ("ima.unknown-file",))
    assert progress.state == "waiting"
    assert progress.next_due == life.clock.wall()


def test_a_step_before_its_time_does_nothing() -> None:
    life = Life(reply(200, given()))
    life.steps(1)
    life.clock.now -= 59

    assert life.agent.step() == 59
    assert life.script.paths == ["challenge"]


@pytest.mark.parametrize(("chance", "waited"), [(0.0, 54), (0.5, 60), (0.999999, 66)])
def test_at_most_a_tenth_is_added_to_or_taken_off_the_due_time(chance: float, waited: float) -> None:
    life = Life(reply(200, given()), chance=chance)

    assert life.steps(1) == [pytest.approx(waited, abs=0.01)]


def test_a_service_in_a_hurry_gets_one_attestation_a_second() -> None:
    life = Life(reply(200, given(due_in=0)), judged(due_in=0))

    assert life.steps(2) == [0, 1]


def test_an_expired_challenge_is_not_used() -> None:
    life = Life(reply(200, given()), reply(200, given(nonce=OTHER_NONCE)), judged())
    life.steps(1)
    life.clock.now += 1000  # the machine was suspended
    life.steps(3)

    assert life.script.paths == ["challenge", "challenge", "evidence"]
    assert life.script.asked[0].nonce == OTHER_NONCE


# Reviews and refusals of enrolment.


@pytest.mark.parametrize("before", [[], [reply(200, OPENED)]], ids=["enrol", "activate"])
def test_a_review_is_waited_for_and_the_same_asked_again(before: list[object]) -> None:
    review = reply(202, {"review": "r-7", "why": "another board", "retry_in": 600})
    life = Life(*before, review, reply(200, OPENED), reply(200, ENROLLED), node=NEW)  # type: ignore[arg-type]  # replies
    waited = life.steps(len(before) + 1)

    assert life.agent.state is State.IN_REVIEW
    assert waited[-1] == 600
    assert life.agent.progress.review == "r-7: another board"
    life.steps(2)
    assert life.script.requests[0] == life.script.requests[len(before) + 1]
    assert life.memory.node == NODE
    assert life.agent.progress.review == ""


@pytest.mark.parametrize("before", [[], [reply(200, OPENED)]], ids=["enrol", "activate"])
def test_a_refused_enrolment_is_given_up(before: list[object]) -> None:
    life = Life(*before, error(403, "enrolment"), node=NEW)  # type: ignore[arg-type]  # replies
    life.steps(len(before))

    assert life.agent.step() == life.agent.step() == math.inf
    assert life.agent.is_over
    assert life.memory.progress is not None
    assert (life.memory.progress.state, life.memory.progress.next_due) == ("refused", None)
    assert life.warned == ["the service answered 403 enrolment: w: y"]


def test_a_lost_answer_to_activation_is_asked_for_again_while_the_enrolment_lasts() -> None:
    life = Life(reply(200, OPENED), NoAnswer("gone"), reply(200, ENROLLED), node=NEW)
    life.steps(3)

    assert life.script.paths == ["enrol", "activate", "activate"]
    assert life.script.requests[1] == life.script.requests[2]


def test_an_enrolment_that_expired_is_begun_anew() -> None:
    life = Life(reply(200, OPENED), NoAnswer("gone"), reply(200, OPENED), node=NEW)
    life.steps(2)
    life.clock.now += 1000
    life.steps(2)

    assert life.script.paths == ["enrol", "activate", "enrol"]


def test_an_activation_that_does_not_hold_begins_anew_after_a_while() -> None:
    life = Life(reply(200, OPENED), error(422, "verify"), reply(200, OPENED), node=NEW)
    waited = life.steps(3)

    assert life.script.paths == ["enrol", "activate", "enrol"]
    assert waited[1] > 0


def test_a_tpm_that_fails_while_enrolling_is_tried_again() -> None:
    life = Life(reply(200, OPENED), node=NEW)
    life.script.identity_fails = CollectError("TPM: gone")
    life.steps(1)
    life.script.identity_fails = None
    life.steps(1)

    assert life.warned == ["TPM: gone"]
    assert life.agent.state is State.ACTIVATING


# What it keeps and what it notices.


class Full:
    """A disk without room."""

    def save_node(self, node: object) -> None:
        raise Unusable(f"disk full, not {node}")

    def save_progress(self, _progress: object) -> None:
        raise Unusable("disk full")


def test_a_full_disk_is_said_once_and_attestation_goes_on() -> None:
    life = Life(reply(200, given(due_in=0)), judged(), judged())
    life.agent._parts = life.agent._parts._replace(keeper=Full())  # type: ignore[arg-type]  # less is enough
    life.steps(3)

    assert life.warned == ["disk full; attestation goes on"]
    assert life.script.requests[1][1]["notes"] == ["the agent's state cannot be written"]
    assert life.script.paths == ["challenge", "evidence", "evidence"]


def test_an_enrolment_that_could_not_be_written_is_written_later() -> None:
    life = Life(reply(200, OPENED), reply(200, ENROLLED), judged(), node=NEW)
    keeper = life.agent._parts.keeper
    life.agent._parts = life.agent._parts._replace(keeper=Full())  # type: ignore[arg-type]  # less is enough
    life.steps(2)
    assert not life.agent.is_kept
    life.agent._parts = life.agent._parts._replace(keeper=keeper)
    life.steps(1)

    assert life.agent.is_kept
    assert life.memory.node == NODE


def test_a_clock_that_jumped_is_noted_until_evidence_has_arrived() -> None:
    life = Life(reply(200, given(due_in=0)), error(422, "verify", **given(due_in=0)), judged(), judged())
    life.steps(1)
    life.clock.offset += 3600
    life.steps(3)
    notes = [sent.get("notes") for path, sent in life.script.requests if path == "evidence"]

    assert notes == [["the wall clock was set by +3600 s"]] * 2 + [None]
    assert life.agent.state is State.WAITING


def test_a_clock_that_jumps_does_not_move_what_is_due() -> None:
    life = Life(reply(200, given()), judged())
    life.steps(1)
    life.clock.now -= 30
    life.clock.offset += 10_000

    assert life.agent.step() == 30


def test_notes_of_the_collector_survive_a_lost_answer() -> None:
    noted = EVIDENCE._replace(notes=("IMA list: it is gone",))
    life = Life(reply(200, given(0)), NoAnswer("reset"), reply(200, given(0)), judged())
    life.script.evidences = [noted]
    life.steps(4)

    assert life.script.requests[-1][1]["notes"] == ["IMA list: it is gone"]


def test_notes_are_bounded() -> None:
    noted = EVIDENCE._replace(notes=tuple(f"{number} " + "x" * 300 for number in range(30)))
    life = Life(reply(200, given(0)), judged())
    life.script.evidences = [noted]
    life.steps(2)
    notes = life.script.requests[-1][1]["notes"]

    assert len(notes) == 16
    assert max(map(len, notes)) <= 200
