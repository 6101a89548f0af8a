"""A node that is attested again with another posture: only that is judged anew, and no lie is forgotten."""

from dataclasses import replace

import pytest

from bartizan.app.attest_again import begin
from bartizan.app.attest_node import Outcome, attest_node
from bartizan.app.node_state import NodeState
from bartizan.model.result import AttestationResult, Finding, Tier
from bartizan.verify.binding import bound_extra_data
from tests.simulator.machine import ENROLMENT
from tests.simulator.tpm_ca import NOW
from tests.unit.attested_again import ALL, GOOD, RULES, again, alike
from tests.unit.postures import BOUND, LYING, hardened, posture


def of(result: AttestationResult, check: str) -> list[Finding]:
    return [finding for finding in result.findings if finding.id == check]


def judged(raw: bytes | None, held: int = ALL) -> Outcome:
    """A full attestation with this posture."""
    evidence = replace(GOOD.full(held), posture=raw)
    return attest_node(evidence, challenge=BOUND, enrolment=ENROLMENT, rules=RULES, now=NOW)


def starting(raw: bytes | None, held: int = ALL) -> NodeState:
    return begin(judged(raw, held), enrolment=ENROLMENT, rules=RULES, now=NOW)


OPEN = posture(files={"/proc/sys/kernel/kptr_restrict": "0\n"})


@pytest.mark.parametrize(
    ("first", "second"), [(None, hardened()), (hardened(), OPEN), (OPEN, hardened()), (OPEN, b"x")]
)
@pytest.mark.parametrize("held", [ALL, ALL - 3])
def test_another_posture_is_judged_as_with_the_whole_evidence(first: bytes | None, second: bytes, held: int) -> None:
    found = again(starting(first, held), replace(GOOD.again(held, ALL), posture=second), challenge=BOUND)

    assert alike(found.result, judged(second).result)
    assert found.state.complete().posture == second


def test_a_posture_that_is_the_same_is_neither_decoded_nor_judged_again() -> None:
    state = starting(hardened())

    found = again(state, replace(GOOD.again(ALL, ALL), posture=bytes(bytearray(hardened()))), challenge=BOUND)

    assert found.result is state.result
    assert found.state.complete().reported_posture is state.complete().reported_posture


def test_nothing_but_the_posture_is_judged_again_when_it_alone_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    state = starting(hardened())
    monkeypatch.setattr("bartizan.app.attest_again.appraise", None)

    found = again(state, replace(GOOD.again(ALL, ALL), posture=OPEN), challenge=BOUND)

    assert (found.result.level, found.result.ladder[4].missing) == (4, ("posture.host",))


def test_a_fault_that_was_mended_is_forgotten_and_a_lie_is_not() -> None:
    mended = again(starting(OPEN), replace(GOOD.again(ALL, ALL), posture=hardened()), challenge=BOUND)
    assert [one.tier for one in of(mended.result, "KRN-002")] == [Tier.AFFIRMING]
    assert mended.result.level == 5

    caught = again(starting(LYING), replace(GOOD.again(ALL, ALL), posture=hardened()), challenge=BOUND)
    assert Tier.CONTRAINDICATED in {one.tier for one in of(caught.result, "posture.agreement")}
    later = again(caught.state, replace(GOOD.again(ALL, ALL), posture=OPEN), challenge=BOUND)
    assert Tier.CONTRAINDICATED in {one.tier for one in of(later.result, "posture.agreement")}
    assert later.result.contraindicated


def test_a_posture_edited_after_the_quote_is_refused() -> None:
    quoted = bound_extra_data("node", b"n" * 32, hardened())

    assert bound_extra_data("node", b"n" * 32, OPEN) != quoted
    challenge = replace(BOUND, extra_data=bound_extra_data("node", b"n" * 32, OPEN))
    evidence = replace(GOOD.full(ALL), posture=OPEN)
    result = attest_node(evidence, challenge=challenge, enrolment=ENROLMENT, rules=RULES, now=NOW).result

    assert (result.level, result.findings[0].id) == (0, "quote.extra-data")
