"""The kernel's word on SELinux in an IMA list is posture, and no file; whatever only looks like it is one."""

import pytest

from bartizan.model.result import AttestationResult, Finding, Tier
from tests.simulator.machine import good, judged
from tests.unit.ima_lists import Line, buf, ng

ENFORCING = buf(b"selinux-state", b"initialized=1;enforcing=1;checkreqprot=0;")
PERMISSIVE = buf(b"selinux-state", b"initialized=1;enforcing=0;checkreqprot=0;")
POLICY = buf(b"selinux-policy-hash", bytes(range(32)))
LOOK_ALIKES = {
    "a state of another form": buf(b"selinux-state", b"enforcing=1"),
    "a state under another name": buf(b"selinux-mood", b"initialized=1;enforcing=1;"),
    "a state whose digest is of something else": buf(b"selinux-state", b"enforcing=1;", digest=bytes(32)),
    "a state in a file's template": ng(b"selinux-state"),
    "a policy of no digest's length": buf(b"selinux-policy-hash", bytes(31)),
}


def judged_with(*lines: Line) -> AttestationResult:
    return judged(good().running(*lines))


def of(result: AttestationResult, check: str) -> list[Finding]:
    return [finding for finding in result.findings if finding.id == check]


def test_a_stated_confinement_is_no_unknown_file() -> None:
    alone, stated = judged_with(), judged_with(ENFORCING, POLICY)

    assert stated.level == 4
    assert [finding.tier for finding in of(stated, "ima.known-files")] == [Tier.AFFIRMING]
    assert of(stated, "ima.known-files")[0].why == of(alone, "ima.known-files")[0].why


def test_a_state_that_changes_is_no_file_that_was_replaced() -> None:
    changed = judged_with(ENFORCING, POLICY, PERMISSIVE)

    assert changed.level == 4
    assert not of(changed, "ima.changed-file")


@pytest.mark.parametrize("case", LOOK_ALIKES)
def test_what_only_looks_like_it_is_an_unknown_file(case: str) -> None:
    found = judged_with(LOOK_ALIKES[case])

    assert found.level == 3
    assert [finding.tier for finding in of(found, "ima.known-files")] == [Tier.WARNING]
