"""A node whose boot is known is attested again: only what is new is looked at, and nothing bad is forgotten."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from bartizan.app.attest_again import Again, NeedsFullLogs, NodeState, ReportedAgain, attest_again, begin
from bartizan.app.attest_node import Outcome, Rules, attest_node
from bartizan.app.defaults import catalogue, default_policy, levels
from bartizan.appraise.context import index_reference
from bartizan.errors import DecodeError, VerifyError
from bartizan.formats.ima import decode_ima
from bartizan.formats.tpm2 import decode_signature
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import Activation, Challenge
from bartizan.model.policy import Waiver
from bartizan.model.reference import ReferenceFile
from bartizan.model.result import AttestationResult, Claim, Finding, State, Tier
from bartizan.verify.identity import TPM_RH_ENDORSEMENT, qualified_name
from tests.simulator.live_boot import CLOCK, LiveBoot, live
from tests.simulator.machine import AK, CHALLENGE, ENROLMENT, SIGNER, file_line, reference
from tests.simulator.tpm_ca import NOW
from tests.unit.ima_lists import ng

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
    return attest_again(state, sent, challenge=challenge, rules=rules, now=LATER)


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


def test_nothing_new_leaves_the_result_as_it_is() -> None:
    state = started()

    found = again(state, GOOD.again(ALL, ALL, clock=CLOCK + 1))

    assert found.result is state.result
    assert found.result.level == 4
    assert found.state.evidence.quote.attest.clock.clock == CLOCK + 1
    assert found.state.evidence.ima is state.evidence.ima


@pytest.mark.parametrize("size", [1, 20, ALL - HALF])
def test_known_files_are_added_to_the_result(size: int) -> None:
    found = again(started(GOOD, HALF), GOOD.again(HALF, HALF + size))

    assert alike(found.result, whole(GOOD, HALF + size).result)
    assert found.result.level == 4


def test_steps_one_by_one_lead_to_the_same_result() -> None:
    state = started(GOOD, HALF)
    for count in range(HALF, ALL):
        state = again(state, GOOD.again(count, count + 1)).state

    assert alike(state.result, whole(GOOD, ALL).result)


MEASURED = {
    "an unknown file": [UNKNOWN],
    "two unknown files": [UNKNOWN, OTHER],
    "a file that was replaced": [CHANGED],
    "a file that changed twice": [UNKNOWN, file_line(b"/opt/unknown", b"once more")],
    "a violation": [ng(b"/var/log/x", violation=True)],
    "a violation, then its file": [ng(b"/opt/unknown", violation=True), UNKNOWN],
    "a file, then its violation": [UNKNOWN, ng(b"/opt/unknown", violation=True)],
    "another PCR": [ng(b"/opt/unknown", pcr=16)],
    "another kernel": [ng(b"boot_aggregate")],
    "an algorithm that is not known": [file_line(b"/opt/unknown", b"x", label=b"md5")],
}


@pytest.mark.parametrize("case", MEASURED)
def test_whatever_is_measured_next_the_result_is_that_of_the_whole(case: str) -> None:
    boot = GOOD.running(*MEASURED[case])
    end = len(boot.entries)
    state = started(boot)

    at_once = again(state, boot.again(ALL, end))
    for count in range(ALL, end):
        state = again(state, boot.again(count, count + 1)).state

    assert alike(at_once.result, whole(boot, end).result)
    assert alike(state.result, whole(boot, end).result)
    assert state.result.level < 4


def test_an_unknown_file_is_not_forgiven_later() -> None:
    boot = replace(GOOD, entries=GOOD.entries[:HALF]).running(UNKNOWN)
    boot = replace(boot, entries=boot.entries + GOOD.entries[HALF:])
    state = again(started(boot, HALF), boot.again(HALF, HALF + 1)).state

    known = again(state, boot.again(HALF + 1, ALL + 1))
    nothing = again(known.state, boot.again(ALL + 1, ALL + 1))

    assert [finding.at.path for finding in of(nothing.result, "ima.known-files")] == ["/opt/unknown"]
    assert nothing.result is known.result
    assert alike(known.result, whole(boot, ALL + 1).result)


def test_what_is_measured_after_a_violation_tells_its_kind() -> None:
    path = decode_ima(GOOD.list_bytes()).entries[HALF + 1].path
    boot = replace(GOOD, entries=GOOD.entries[:HALF]).running(ng(path, violation=True))
    boot = replace(boot, entries=boot.entries + GOOD.entries[HALF:])
    first = again(started(boot, HALF), boot.again(HALF, HALF + 1))

    second = again(first.state, boot.again(HALF + 1, ALL + 1))

    assert "open-writers" not in of(first.result, "ima.violations")[0].why
    assert "open-writers" in of(second.result, "ima.violations")[0].why
    assert alike(second.result, whole(boot, ALL + 1).result)


def test_entries_ahead_of_the_quote_count_once_they_are_covered() -> None:
    first = again(started(GOOD, HALF), GOOD.again(HALF, HALF + 5, ahead=5))
    second = again(first.state, GOOD.again(HALF + 10, HALF + 12))

    assert of(first.result, "ima.pending")[0].at.entry == HALF + 5
    assert not of(second.result, "ima.pending")
    assert alike(first.result, whole(GOOD, HALF + 5, ahead=5).result)
    assert alike(second.result, whole(GOOD, HALF + 12).result)


def test_entries_ahead_of_the_first_quote_count_too() -> None:
    state = started(GOOD, HALF, ahead=ALL - HALF)

    assert alike(again(state, GOOD.again(ALL, ALL)).result, whole(GOOD, ALL).result)


def test_entries_that_never_were_measured_are_contraindicated_for_good() -> None:
    made_up = GOOD.running(UNKNOWN)
    state = started(made_up, ALL, ahead=1)
    assert state.result.level == 4

    found = again(state, replace(GOOD.again(ALL, ALL), first_entry=ALL + 1))
    then = again(found.state, replace(GOOD.again(ALL, ALL), first_entry=ALL + 1))

    for result in (found.result, then.result):
        assert result.contraindicated
        assert result.level < 4
        assert any("it never saw them" in finding.why for finding in of(result, "ima.replays"))


def test_pending_entries_that_came_late_stay_contraindicated_after_they_came() -> None:
    boot = GOOD.running(file_line(b"/opt/unknown", b"who knows"))
    state = started(boot, ALL - 2, ahead=2)
    late = again(state, GOOD.again(ALL, ALL - 1)).state

    caught_up = again(late, GOOD.again(ALL, ALL))

    assert caught_up.result.contraindicated
    assert [finding.tier for finding in of(caught_up.result, "ima.replays")] == [Tier.AFFIRMING, Tier.CONTRAINDICATED]


def cheating(boot: LiveBoot, held: int, shown: int) -> ReportedAgain:
    """A quote of all entries, with some left out of what is sent."""
    return replace(boot.again(held, len(boot.entries)), new_entries=boot.list_bytes(shown))


def test_a_list_with_entries_left_out_is_contraindicated_and_stays_so() -> None:
    boot = GOOD.running(UNKNOWN, OTHER)
    found = again(started(boot), cheating(boot, ALL, ALL + 1))
    assert (found.result.contraindicated, found.result.level) == (True, 3)

    asked_for = asked(found.state, boot.again(ALL + 1, ALL + 2))
    repaired = begin(whole(boot, ALL + 2), enrolment=ENROLMENT, rules=RULES, now=NOW, previous=found.state)

    assert isinstance(asked_for, NeedsFullLogs)
    assert "did not lead to PCR 10" in asked_for.reason
    assert (repaired.result.contraindicated, repaired.result.level) == (True, 3)
    assert any("entries were removed" in finding.why for finding in repaired.result.findings)
    again_then = again(repaired, boot.again(ALL + 2, ALL + 2))
    assert again_then.result is repaired.result


def test_a_contraindicated_file_is_not_lost_with_the_list() -> None:
    boot = GOOD.running(CHANGED, UNKNOWN, OTHER)
    bad = again(started(boot), boot.again(ALL, ALL + 1))
    assert bad.result.contraindicated
    evidence = replace(boot.full(ALL + 1), ima=None)
    without = attest_node(evidence, challenge=CHALLENGE, enrolment=ENROLMENT, rules=RULES, now=NOW)

    broken = again(bad.state, cheating(boot, ALL + 1, ALL + 2))
    silent = begin(without, enrolment=ENROLMENT, rules=RULES, now=NOW, previous=bad.state)

    for result in (broken.result, silent.result):
        assert result.contraindicated
        assert any(finding.at.entry == ALL for finding in of(result, "ima.known-files"))


def test_a_new_boot_starts_with_a_clean_slate() -> None:
    boot = GOOD.running(CHANGED)
    bad = started(boot, ALL + 1)
    assert bad.result.contraindicated
    next_boot = replace(GOOD, resets=8)

    state = begin(whole(next_boot, ALL), enrolment=ENROLMENT, rules=RULES, now=NOW, previous=bad)

    assert (state.result.contraindicated, state.result.level) == (False, 4)


def test_what_an_operator_accepts_later_is_forgiven_without_asking_the_node() -> None:
    boot = GOOD.running(CHANGED)
    bad = again(started(boot), boot.again(ALL, ALL + 1)).state
    entry = decode_ima(boot.list_bytes()).entries[-1]
    known = reference().set
    files = (*known.files, ReferenceFile(path=entry.path, alg=entry.digest_alg, digest=entry.digest))
    accepting = replace(RULES, reference=index_reference(replace(known, files=files)))

    found = again(bad, boot.again(ALL + 1, ALL + 1), rules=accepting)
    restarted = begin(
        whole(boot, ALL + 1, rules=accepting), enrolment=ENROLMENT, rules=accepting, now=NOW, previous=bad
    )

    assert (bad.result.contraindicated, found.result.contraindicated) == (True, False)
    assert alike(found.result, whole(boot, ALL + 1, rules=accepting).result)
    assert alike(restarted.result, found.result)


def test_a_stricter_policy_is_applied_to_what_was_measured_before() -> None:
    boot = GOOD.running(UNKNOWN)
    strict = replace(RULES, policy=replace(RULES.policy, unknown_file=Tier.CONTRAINDICATED))

    found = again(started(boot, ALL + 1), boot.again(ALL + 1, ALL + 1), rules=strict)

    assert found.result.contraindicated
    assert alike(found.result, whole(boot, ALL + 1, rules=strict).result)


def test_a_set_that_runs_out_is_noticed() -> None:
    bounded = replace(reference().set, valid_until=NOW + timedelta(seconds=30))
    rules = replace(RULES, reference=index_reference(bounded))

    found = again(started(rules=rules), GOOD.again(ALL, ALL), rules=rules)

    assert found.result.level < 3


def test_without_reference_values_further_entries_are_appraised_as_a_whole() -> None:
    rules = replace(RULES, reference=None)

    found = again(started(GOOD, HALF, rules=rules), GOOD.again(HALF, ALL), rules=rules)

    assert alike(found.result, whole(GOOD, ALL, rules=rules).result)


def test_a_waiver_goes_with_a_finding_that_is_said_anew() -> None:
    waivers = (Waiver(check="ima.blind-spots", reason="tmpfs is noexec here"),)
    rules = replace(RULES, policy=replace(RULES.policy, waivers=waivers))

    found = again(started(GOOD, HALF, rules=rules), GOOD.again(HALF, ALL), rules=rules)

    assert of(found.result, "ima.blind-spots")[0].waiver == "tmpfs is noexec here"
    assert alike(found.result, whole(GOOD, ALL, rules=rules).result)


def test_posture_that_comes_or_changes_is_appraised() -> None:
    bound = replace(CHALLENGE, binds_posture=True)

    found = again(started(), replace(GOOD.again(ALL, ALL), posture=b"{}"), challenge=bound)

    assert of(found.result, "posture.binding")
    assert found.state.evidence.posture == b"{}"


def test_the_state_of_a_result_is_that_of_the_last_quote() -> None:
    recorded = replace(CHALLENGE, recorded=True)

    assert again(started(), GOOD.again(ALL, ALL), challenge=recorded).result.state is State.RECORDED


def test_a_reused_nonce_is_refused() -> None:
    assert refused_because(started(), GOOD.again(ALL, ALL), challenge=replace(CHALLENGE, extra_data=b"another")) == (
        "quote.extra-data"
    )


def test_another_signature_is_refused() -> None:
    sent = GOOD.again(ALL, ALL)
    signature = decode_signature(SIGNER.sign(b"something else").encode())

    assert refused_because(started(), replace(sent, quote=replace(sent.quote, signature=signature))) == (
        "quote.signature"
    )


def test_other_values_than_the_quoted_ones_are_refused() -> None:
    sent = replace(GOOD.again(ALL, ALL), untrusted_pcrs=GOOD.pcrs(ALL - 1))

    assert refused_because(started(), sent) == "quote.pcr-digest"


@pytest.mark.parametrize("older", [{"clock": CLOCK - 1}, {"resets": 6}])
def test_a_quote_from_before_is_refused(older: dict[str, int]) -> None:
    boot = replace(GOOD, resets=older.get("resets", GOOD.resets))

    assert refused_because(started(), boot.again(ALL, ALL, clock=older.get("clock", CLOCK))) == "quote.clock"


def test_a_certificate_outside_of_its_time_is_refused() -> None:
    state = started()
    early = max(certificate.not_before for certificate in state.evidence.identity.path) - timedelta(days=1)

    found = attest_again(state, GOOD.again(ALL, ALL), challenge=CHALLENGE, rules=RULES, now=early)

    assert isinstance(found, Again)
    assert [finding.id for finding in found.result.findings] == ["identity.ek-chain"]


PRIMARY = qualified_name(TPM_RH_ENDORSEMENT, AK)


def test_another_qualified_signer_has_to_prove_itself() -> None:
    sent = replace(GOOD.again(ALL, ALL), quote=GOOD.quote(GOOD.pcrs(ALL), signer=PRIMARY))
    shown = replace(ENROLMENT, activation=Activation.SHOWN)
    evidence = attest_node(GOOD.full(ALL), challenge=CHALLENGE, enrolment=shown, rules=RULES, now=NOW)

    found = again(begin(evidence, enrolment=shown, rules=RULES, now=NOW), sent)

    assert refused_because(started(), sent) == "identity.ak-residency"
    assert found.result.level == 4
    assert "endorsement hierarchy" in of(found.result, "identity.ak-residency")[0].why


@pytest.mark.parametrize("started_again", [{"resets": 8}, {"restarts": 1}])
def test_another_start_needs_full_logs(started_again: dict[str, int]) -> None:
    found = asked(started(), replace(GOOD, **started_again).again(ALL, ALL))  # type: ignore[arg-type]  # by name

    assert isinstance(found, NeedsFullLogs)
    assert "was started" in found.reason


@pytest.mark.parametrize("pcr", [0, 7, 9, 11, 15, 17, 22])
def test_a_boot_pcr_that_changed_needs_full_logs(pcr: int) -> None:
    static = {bank: {**values, pcr: b"\x01" * bank.size} for bank, values in GOOD.static.items()}

    found = asked(started(), replace(GOOD, static=static).again(ALL, ALL))

    assert isinstance(found, NeedsFullLogs)
    assert f"PCR {pcr} of the" in found.reason


def test_an_entry_that_goes_into_a_boot_pcr_needs_full_logs() -> None:
    boot = GOOD.running(ng(b"/opt/unknown", pcr=11))

    assert isinstance(asked(started(), boot.again(ALL, ALL + 1)), NeedsFullLogs)


def test_a_debug_pcr_may_change() -> None:
    static = {bank: {**values, 16: b"\x01" * bank.size} for bank, values in GOOD.static.items()}

    assert again(started(), replace(GOOD, static=static).again(ALL, ALL)).result.level == 4


def test_another_selection_needs_full_logs() -> None:
    banks = {HashAlg.SHA256: GOOD.static[HashAlg.SHA256]}
    fewer = {bank: {pcr: values[pcr] for pcr in range(11)} for bank, values in GOOD.static.items()}

    for static, why in ((banks, "other banks"), (fewer, "other PCRs")):
        challenge = replace(CHALLENGE, selection={bank: frozenset(values) for bank, values in static.items()})
        found = asked(started(), replace(GOOD, static=static).again(ALL, ALL), challenge=challenge)
        assert isinstance(found, NeedsFullLogs)
        assert why in found.reason


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (replace(GOOD.again(HALF, ALL), new_entries=b""), "PCR 10 was extended"),
        (GOOD.again(HALF + 1, ALL), f"from {HALF} on expected, found those from {HALF + 1} on"),
        (GOOD.again(HALF - 1, ALL), f"from {HALF} on expected, found those from {HALF - 1} on"),
    ],
)
def test_entries_that_do_not_follow_on_need_full_logs(sent: ReportedAgain, why: str) -> None:
    found = asked(started(GOOD, HALF), sent)

    assert isinstance(found, NeedsFullLogs)
    assert why in found.reason


def test_a_node_without_a_list_stays_without_one_or_sends_it_whole() -> None:
    evidence = replace(GOOD.full(HALF), ima=None)
    outcome = attest_node(evidence, challenge=CHALLENGE, enrolment=ENROLMENT, rules=RULES, now=NOW)
    state = begin(outcome, enrolment=ENROLMENT, rules=RULES, now=NOW)

    same = again(state, replace(GOOD.again(HALF, HALF + 1), new_entries=b""))

    assert same.result is state.result
    assert isinstance(asked(state, GOOD.again(0, ALL)), NeedsFullLogs)
    assert alike(
        again(state, replace(GOOD.again(HALF, HALF), first_entry=0), rules=replace(RULES)).result, state.result
    )


def test_entries_that_are_none_are_refused() -> None:
    with pytest.raises(DecodeError):
        asked(started(GOOD, HALF), replace(GOOD.again(HALF, ALL), new_entries=b"junk"))


def test_nothing_begins_with_an_outcome_that_proved_nothing() -> None:
    challenge = replace(CHALLENGE, extra_data=b"another")
    outcome = attest_node(GOOD.full(ALL), challenge=challenge, enrolment=ENROLMENT, rules=RULES, now=NOW)

    with pytest.raises(ValueError, match="begins nothing"):
        begin(outcome, enrolment=ENROLMENT, rules=RULES, now=NOW)


def test_a_state_is_not_replaced_by_an_older_one() -> None:
    with pytest.raises(VerifyError, match="clock went back"):
        begin(whole(GOOD, ALL, clock=CLOCK - 1), enrolment=ENROLMENT, rules=RULES, now=NOW, previous=started())
