"""A recorded boot attested in full and again, and what the tests of that ask. Not a test."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from bartizan.app.attest_again import Again, NeedsEvidence, NeedsFullLogs, ReportedAgain, attest_again, begin
from bartizan.app.attest_node import Outcome, Rules, attest_node
from bartizan.app.defaults import catalogue, default_policy, levels
from bartizan.app.node_state import NodeState
from bartizan.formats.ima import decode_ima
from bartizan.model.evidence import Challenge
from bartizan.model.result import AttestationResult, Claim, Finding, Tier
from tests.simulator.live_boot import CLOCK, LiveBoot, live
from tests.simulator.machine import CHALLENGE, ENROLMENT, file_line, reference
from tests.simulator.tpm_ca import NOW

RULES = Rules(catalogue=catalogue(), levels=levels(), policy=default_policy(), reference=reference())
GOOD = live("good")
HALF, ALL = 60, len(GOOD.entries)
UNKNOWN, OTHER = file_line(b"/opt/unknown", b"who knows"), file_line(b"/opt/other", b"nor this")
CHANGED = file_line(decode_ima(GOOD.list_bytes()).entries[ALL - 1].path, b"not what it was")
LATER = NOW + timedelta(minutes=1)


def whole(boot: LiveBoot, count: int, *, rules: Rules = RULES, ahead: int = 0, clock: int = CLOCK) -> Outcome:
    """A full attestation after so many entries."""
    evidence = boot.full(count, ahead=ahead, clock=clock)
    return attest_node(evidence, challenge=CHALLENGE, enrolment=ENROLMENT, rules=rules, now=NOW)


def started(boot: LiveBoot = GOOD, count: int = ALL, *, rules: Rules = RULES, ahead: int = 0) -> NodeState:
    return begin(whole(boot, count, rules=rules, ahead=ahead), enrolment=ENROLMENT, rules=rules, now=NOW)


def asked(
    state: NodeState, sent: ReportedAgain, *, rules: Rules = RULES, challenge: Challenge = CHALLENGE
) -> Again | NeedsFullLogs:
    """The answer; a state without its evidence gives the same, or says that it needs that because something is new."""
    found = attest_again(state, sent, challenge=challenge, rules=rules, now=LATER)
    assert not isinstance(found, NeedsEvidence)
    little = attest_again(state.without_evidence(), sent, challenge=challenge, rules=rules, now=LATER)
    if isinstance(little, NeedsEvidence):
        assert isinstance(found, Again)
        assert found.state.evidence is not state.evidence
    elif isinstance(little, Again) and isinstance(found, Again):
        assert (little.result, little.state) == (found.result, found.state.without_evidence())
    else:
        assert little == found
    return found


def again(state: NodeState, sent: ReportedAgain, *, rules: Rules = RULES, challenge: Challenge = CHALLENGE) -> Again:
    found = asked(state, sent, rules=rules, challenge=challenge)
    assert isinstance(found, Again)
    assert found.result.level == 0 or found.state.result is found.result
    return found


def refused_because(state: NodeState, sent: ReportedAgain, *, challenge: Challenge = CHALLENGE) -> str:
    """The check that stopped a quote; what is known of the node stays."""
    found = again(state, sent, challenge=challenge)
    assert found.state is state
    assert (found.result.level, found.result.vector[Claim.FILE_SYSTEM]) == (0, Tier.NONE)
    (why,) = found.result.findings
    return why.id


def alike(one: AttestationResult, other: AttestationResult) -> bool:
    """The same verdict for the same reasons, in whatever order."""
    assert Counter(map(repr, one.findings)) == Counter(map(repr, other.findings))
    return replace(one, findings=()) == replace(other, findings=())


def of(result: AttestationResult, check: str) -> list[Finding]:
    return [finding for finding in result.findings if finding.id == check]
