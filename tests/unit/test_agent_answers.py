"""What the agent makes of each answer other than yes: the protocol's table of errors, row by row."""

import pytest

from bartizan.agent.errors import CollectError, NoAnswer
from bartizan.agent.loop import LONGEST_BACKOFF, State
from tests.unit.agent_parts import NODE, NONCE, OTHER_NONCE, Life, challenge, error, given, judged, reply

# The table of errors.


@pytest.mark.parametrize("kind", ["decode", "version"])
def test_400_is_reported_and_tried_again_with_back_off(kind: str) -> None:
    life = Life(reply(200, given()), error(400, kind, **given(nonce=OTHER_NONCE)), judged())
    waited = life.steps(3)

    assert life.warned == [f"the service answered 400 {kind}: w: y"]
    assert waited[1] == 0.5
    assert life.script.asked[1].nonce == OTHER_NONCE


def test_403_of_something_else_is_tried_again() -> None:
    life = Life(reply(200, given()), error(403, "enrolment"), reply(200, given()))
    life.steps(3)

    assert life.script.paths == ["challenge", "evidence", "challenge"]


def test_404_is_reported_and_never_answered_with_an_enrolment() -> None:
    life = Life(*[error(404, "node")] * 6)
    waited = life.steps(6)

    assert life.script.paths == ["challenge"] * 6
    assert waited == [0.5, 1, 2, 4, 8, 16]
    assert life.warned == ["the service answered 404 node: w: y"]
    assert life.agent.node == NODE


def test_409_nonce_quotes_again_at_once_with_the_new_challenge() -> None:
    life = Life(reply(200, given()), error(409, "nonce", **given(nonce=OTHER_NONCE)), judged())
    waited = life.steps(3)

    assert waited[1] == 0
    assert [asked.nonce for asked in life.script.asked] == [NONCE, OTHER_NONCE]
    assert not life.script.asked[1].full


def test_409_nonce_without_a_challenge_asks_for_one_at_once() -> None:
    life = Life(reply(200, given()), error(409, "nonce"), reply(200, given(0, OTHER_NONCE)), judged())
    waited = life.steps(4)

    assert waited[1:3] == [0, 0]
    assert life.script.paths == ["challenge", "evidence", "challenge", "evidence"]


def test_409_logs_quotes_again_at_once_and_sends_everything() -> None:
    life = Life(reply(200, given()), error(409, "logs", **given(nonce=OTHER_NONCE)), judged(), judged())
    waited = life.steps(4)

    assert waited[1] == 0
    assert [asked.full for asked in life.script.asked] == [False, True, False]


@pytest.mark.parametrize("kind", ["nonce", "logs"])
def test_a_service_that_says_409_again_and_again_is_not_stormed(kind: str) -> None:
    life = Life(reply(200, given()), *[error(409, kind, **given(nonce=OTHER_NONCE))] * 6)
    waited = life.steps(7)

    assert waited[1:] == [0, 0.5, 1, 2, 4, 8]
    assert life.script.asked[-1].full is (kind == "logs")


def test_409_of_another_kind_backs_off() -> None:
    life = Life(reply(200, given()), error(409, "other", **given()))

    assert life.steps(2)[1] == 0.5


@pytest.mark.parametrize(("status", "kind"), [(413, "size"), (422, "verify")])
def test_evidence_that_is_refused_is_reported_and_the_next_is_sent_when_due(status: int, kind: str) -> None:
    life = Life(reply(200, given()), error(status, kind, **given(nonce=OTHER_NONCE)), judged())
    waited = life.steps(3)

    assert life.warned == [f"the service answered {status} {kind}: w: y"]
    assert waited[1] == 60
    assert life.script.asked[1].nonce == OTHER_NONCE
    assert not life.agent.rejected


def test_422_alone_means_that_evidence_did_not_hold() -> None:
    life = Life(reply(200, given()), error(422, "verify"), reply(200, given()))
    life.steps(2)

    assert life.agent.rejected
    life.steps(1)
    assert life.script.paths[-1] == "challenge"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("chance", [0.0, 0.5])
def test_busy_waits_as_long_as_asked_and_a_random_part_more(status: int, chance: float) -> None:
    life = Life(error(status, "busy", retry_after=20), chance=chance)

    assert life.steps(1) == [20 * (1 + chance)]
    assert life.agent.state is State.BACKING_OFF


@pytest.mark.parametrize("retry", [None, 0])
def test_busy_without_a_time_backs_off(retry: int | None) -> None:
    assert Life(*[error(503, "busy", retry_after=retry)] * 3).steps(3) == [0.5, 1, 2]


def test_evidence_that_is_refused_at_once_is_not_sent_at_once() -> None:
    life = Life(reply(200, given(0)), *[error(422, "verify", **given(0))] * 3)

    assert life.steps(4)[1:] == [1, 1, 1]


def test_challenges_that_are_old_when_they_come_are_not_asked_for_in_a_storm() -> None:
    old = reply(200, {"challenge": {**challenge(), "expires_in": 0}, "due_in": 0})
    life = Life(*[old] * 9)

    assert sum(life.steps(10)) > 10


def test_a_service_cannot_send_an_agent_to_sleep_for_long() -> None:
    assert Life(error(503, "busy", retry_after=999_999), chance=0.0).steps(1) == [86_400]


@pytest.mark.parametrize("answer", [reply(500), reply(502, b"<html>"), NoAnswer("timed out"), reply(200, b"junk")])
def test_no_answer_and_server_errors_back_off_up_to_a_minute(answer: object) -> None:
    life = Life(*[answer] * 9)  # type: ignore[arg-type]  # replies and errors

    assert life.steps(9) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert len(life.warned) == 1


def test_back_off_has_full_jitter() -> None:
    assert Life(NoAnswer("x"), chance=0.0).steps(1) == [0]
    assert max(Life(*[NoAnswer("x")] * 20, chance=0.999).steps(20)) < LONGEST_BACKOFF


def test_success_ends_the_back_off() -> None:
    life = Life(NoAnswer("x"), NoAnswer("x"), reply(200, given(due_in=0)), judged(), NoAnswer("x"))

    assert life.steps(5)[-1] == 0.5


def test_a_lost_answer_to_evidence_is_never_answered_with_the_same_quote() -> None:
    life = Life(reply(200, given()), NoAnswer("reset"), reply(200, given(0, OTHER_NONCE)), judged())
    life.steps(4)

    assert life.script.paths == ["challenge", "evidence", "challenge", "evidence"]
    assert life.script.asked[1].nonce == OTHER_NONCE


def test_a_tpm_that_fails_is_reported_and_tried_again() -> None:
    life = Life(reply(200, given()), reply(200, given(0)), judged())
    life.script.evidences = [CollectError("TPM: locked out")]
    life.steps(4)

    assert life.warned == ["TPM: locked out"]
    assert life.script.paths == ["challenge", "challenge", "evidence"]
    assert life.agent.state is State.WAITING


@pytest.mark.parametrize(
    "document",
    [
        {"challenge": 1, "due_in": 1},
        {**given(), "extra": 1},
        {**given(), "due_in": -1},
        {**given(), "due_in": True},
        given(nonce=b"short"),
        {"challenge": {**given()["challenge"], "banks": {11: [24]}}, "due_in": 1},  # type: ignore[dict-item]  # a map
        {"challenge": {**given()["challenge"], "banks": {}}, "due_in": 1},  # type: ignore[dict-item]  # a map
        {"challenge": {**given()["challenge"], "banks": {11: [1, 1]}}, "due_in": 1},  # type: ignore[dict-item]  # a map
    ],
)
def test_an_answer_that_is_not_of_the_protocol_is_none(document: dict[str, object]) -> None:
    life = Life(reply(200, document))
    life.steps(1)

    assert life.agent.state is State.BACKING_OFF
    assert len(life.warned) == 1


def test_what_the_service_says_cannot_play_with_a_terminal() -> None:
    life = Life(reply(400, {"error": {"kind": "decode", "what": "\x1b[2J\n", "why": "y", "offset": 7}}))
    life.steps(1)

    assert life.warned == [r"the service answered 400 decode: \x1b[2J\n at byte 7: y"]
