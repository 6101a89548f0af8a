"""A node whose boot is known is attested again: only what is new is looked at, and nothing bad is forgotten."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bartizan.app.attest_again import NeedsFullLogs, ReportedAgain, begin
from bartizan.app.attest_node import attest_node
from bartizan.appraise.context import index_reference
from bartizan.formats.ima import decode_ima
from bartizan.model.policy import Waiver
from bartizan.model.reference import ReferenceFile
from bartizan.model.result import State, Tier
from tests.simulator.live_boot import CLOCK, LiveBoot
from tests.simulator.machine import CHALLENGE, ENROLMENT, file_line, reference
from tests.simulator.tpm_ca import NOW
from tests.unit.attested_again import (
    ALL,
    CHANGED,
    GOOD,
    HALF,
    OTHER,
    RULES,
    UNKNOWN,
    again,
    alike,
    asked,
    of,
    started,
    whole,
)
from tests.unit.ima_lists import ng


def test_nothing_new_leaves_the_result_as_it_is() -> None:
    state = started()

    found = again(state, GOOD.again(ALL, ALL, clock=CLOCK + 1))

    assert found.result is state.result
    assert found.result.level == 4
    assert found.state.quote.attest.clock.clock == CLOCK + 1
    assert found.state.complete().ima is state.complete().ima


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
    assert (found.result.contraindicated, found.result.level) == (True, 1)

    asked_for = asked(found.state, boot.again(ALL + 1, ALL + 2))
    repaired = begin(whole(boot, ALL + 2), enrolment=ENROLMENT, rules=RULES, now=NOW, previous=found.state)

    assert isinstance(asked_for, NeedsFullLogs)
    assert "did not lead to PCR 10" in asked_for.reason
    assert (repaired.result.contraindicated, repaired.result.level) == (True, 1)
    assert any("entries were removed" in finding.why for finding in repaired.result.findings)
    again_then = again(repaired, boot.again(ALL + 2, ALL + 2))
    assert again_then.result is repaired.result


def test_a_kexec_into_a_kernel_that_reads_the_same_files_does_not_hide_what_ran_before() -> None:
    """It shows the entries of before, and PCR 10 went on: `CONFIG_IMA_KEXEC` was not set."""
    evidence = replace(GOOD.running(UNKNOWN).full(ALL + 1), ima=decode_ima(GOOD.list_bytes()))
    outcome = attest_node(evidence, challenge=CHALLENGE, enrolment=ENROLMENT, rules=RULES, now=NOW)

    known = begin(outcome, enrolment=ENROLMENT, rules=RULES, now=NOW, previous=started())
    unknown = begin(outcome, enrolment=ENROLMENT, rules=RULES, now=NOW)

    assert (known.result.level, known.result.contraindicated) == (1, True)
    assert any("lost by a kexec" in finding.why for finding in of(known.result, "ima.list-present"))
    assert (unknown.result.level, unknown.result.contraindicated) == (3, True)


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


def test_what_was_shown_before_a_suspend_cannot_be_left_out_after_it() -> None:
    boot = GOOD.running(UNKNOWN)
    shown = started(boot, ALL + 1)
    resumed = replace(boot, restarts=1)
    evidence = replace(resumed.full(ALL + 1), ima=None)
    silent = attest_node(evidence, challenge=CHALLENGE, enrolment=ENROLMENT, rules=RULES, now=NOW)

    whole_again = begin(whole(resumed, ALL + 1), enrolment=ENROLMENT, rules=RULES, now=NOW, previous=shown)
    left_out = begin(silent, enrolment=ENROLMENT, rules=RULES, now=NOW, previous=shown)

    assert not whole_again.result.contraindicated
    assert (left_out.result.contraindicated, left_out.result.level) == (True, 1)
    assert "left out" in of(left_out.result, "ima.list-present")[-1].why


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
    only_ahead = again(started(GOOD, HALF, rules=rules), GOOD.again(HALF, HALF, ahead=3), rules=rules)
    assert alike(only_ahead.result, whole(GOOD, HALF, rules=rules, ahead=3).result)


def test_other_rules_do_not_bring_back_what_a_broken_list_hides() -> None:
    boot = GOOD.running(CHANGED, UNKNOWN, OTHER)
    bad = again(started(boot), boot.again(ALL, ALL + 1)).state

    found = again(bad, cheating(boot, ALL + 1, ALL + 2), rules=replace(RULES))

    assert any(finding.at.entry == ALL for finding in of(found.result, "ima.known-files"))


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
    assert found.state.complete().posture == b"{}"


def test_the_state_of_a_result_is_that_of_the_last_quote() -> None:
    recorded = replace(CHALLENGE, recorded=True)

    assert again(started(), GOOD.again(ALL, ALL), challenge=recorded).result.state is State.RECORDED
