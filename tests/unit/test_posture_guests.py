"""Postures of booted guests: Debian's kernel, AppArmor and SELinux, an IOMMU, lockdown; one thing broken at a time."""

import json
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from bartizan.app.defaults import default_policy, posture_rules
from bartizan.appraise.posture.engine import appraise_posture
from bartizan.collect.posture.document import canonical
from bartizan.formats.ima import decode_ima
from bartizan.formats.posture import decode_posture
from bartizan.model.policy import Policy, Waiver
from bartizan.model.posture import PostureResult, Profile
from bartizan.model.result import Anchor, AttestationResult, Claim, Finding, Tier
from tests.simulator.machine import Machine, digests, good
from tests.unit.ima_lists import Line, buf
from tests.unit.posture_hosts import VECTORS
from tests.unit.postures import judged_with

GUESTS = VECTORS / "guests"
SUFFIX = ".change.json"
CHANGES = sorted(path.name.removesuffix(SUFFIX) for path in GUESTS.glob(f"*{SUFFIX}"))
BROKEN = [name for name in CHANGES if "~" in name and not name.startswith("selinux~")]
ALSO = {
    "QMP-001~user": {"QMP-002"},
    "QMP-003~sandbox": {"QMP-004", "QMP-005"},
    "CPU-002~off": {"CPU-001"},
    "CPU-003~spectre": {"CPU-001"},
    "IOM-003~off": {"IOM-001"},
    "KSM-001~run": {"KSM-003"},
    "LXC-002~capabilities": {"LXC-001"},
    "QMP-016~complain": {"AA-002", "AA-003"},
    "HWT-004~none": {"HWT-003"},
    "HWT-006~unsigned": {"HWT-003", "HWT-004"},
    "KRN-006~apparmor": {"KRN-007", "AA-001", "QMP-016"},
}
"""Rules that fall with the one that a guest's name begins with, since they look at the same from another side."""


@cache
def document(name: str) -> dict[str, Any]:
    """A posture as its guest told it, put together from what changed since the first one of its kind."""
    path = GUESTS / f"{name}.json"
    if path.is_file():
        found: dict[str, Any] = json.loads(path.read_text(encoding="ascii"))
        return found
    change = json.loads((GUESTS / f"{name}{SUFFIX}").read_text(encoding="ascii"))
    whole = dict(document(change.pop("base")))
    for member in ("files", "folders", "nodes"):
        edit = change.get(member, {"rows": [], "gone": []})
        rows = {row["path"]: row for row in (*whole[member], *edit["rows"]) if row["path"] not in edit["gone"]}
        whole[member] = [rows[path] for path in sorted(rows)]
    return whole | {"workloads": change.get("workloads", whole["workloads"])}


def raw(name: str) -> bytes:
    return canonical(document(name))


def judged(name: str) -> PostureResult:
    return appraise_posture(decode_posture(raw(name)), posture_rules(), Profile.BASELINE)


def lowered(name: str) -> set[str]:
    return {one.rule.id for one in judged(name).findings if one.finding.tier is not Tier.AFFIRMING}


def test_there_are_more_than_thirty_guests_with_one_thing_broken() -> None:
    assert len(BROKEN) >= 30
    assert len({name.partition("~")[0] for name in BROKEN}) >= 30


def test_the_hardened_guest_keeps_every_rule() -> None:
    result = judged("good")

    assert lowered("good") == set()
    assert [verdict.workload.kind for verdict in result.workloads] == ["container", "vm"]
    for verdict in result.workloads:
        assert {part: said.why for part, said in verdict.vector.items() if said.tier is not Tier.AFFIRMING} == {}


@pytest.mark.parametrize("name", BROKEN)
def test_a_guest_with_one_thing_broken_lowers_exactly_its_rule(name: str) -> None:
    rule = name.partition("~")[0]

    assert lowered(name) == {rule, *ALSO.get(name, ())}


def test_the_kernels_name_of_a_guest_counts_before_its_command_line() -> None:
    [verdict] = [one for one in judged("QMP-014~uuid").workloads if one.workload.kind == "vm"]

    assert verdict.workload.untrusted_uuid == "11111111-2222-3333-4444-555555555555"
    assert verdict.identity.uuid == "7f5c2c1e-4f0b-4b57-9a0e-6d4c7f7f0a01"


def rule(result: PostureResult, name: str) -> Finding:
    return next(one.finding for one in result.findings if one.rule.id == name)


def test_selinux_enforcing_permissive_and_with_a_permissive_domain_are_told_apart() -> None:
    enforcing, permissive, domain = map(judged, ("enforcing", "permissive", "permissive-domain"))

    assert [rule(one, "SEL-001").tier for one in (enforcing, permissive, domain)] == [
        Tier.AFFIRMING,
        Tier.CONTRAINDICATED,
        Tier.AFFIRMING,
    ]
    assert [rule(one, "SEL-002").tier for one in (enforcing, permissive, domain)] == [
        Tier.AFFIRMING,
        Tier.AFFIRMING,
        Tier.CONTRAINDICATED,
    ]
    assert rule(judged("categories"), "SEL-007").tier is Tier.CONTRAINDICATED


def booted_as(name: str) -> Machine:
    """The simulator's machine, started with this guest's command line."""
    [said] = [row["value"] for row in document(name)["files"] if row["path"] == "/proc/cmdline"]
    payload = b"/vmlinuz " + said.strip().encode()
    [at] = [event.index for event in good().events if event.data.startswith(b"kernel_cmdline: ")]
    return good().with_event(at, data=b"kernel_cmdline: " + payload + b"\0", digests=digests(payload))


def attested(name: str, *lines: Line, policy: Policy | None = None) -> AttestationResult:
    return judged_with(raw(name), *lines, machine=booted_as(name), policy=policy).result


def test_the_hardened_guest_without_workloads_says_so() -> None:
    waiver = Waiver(check="HWT-010", reason="kexec is closed later")
    result = attested("idle", policy=replace(default_policy(), waivers=(waiver,)))

    assert result.level == 5
    assert next(one for one in result.findings if one.id == "posture.workloads").why.startswith("no virtual machine")


@pytest.mark.parametrize("name", BROKEN)
def test_every_other_guest_stays_at_level_4(name: str) -> None:
    result = attested(name)

    assert result.level == 4
    assert [rung.holds for rung in result.ladder[:4]] == [True] * 4
    claim = posture_rules()[name.partition("~")[0]].claim
    assert result.vector[claim].order < Tier.AFFIRMING.order
    assert result.vector[Claim.EXECUTABLES] is Tier.AFFIRMING


def measured_states() -> list[Line]:
    """What the kernel of the guest measured of SELinux, in its own bytes."""
    entries = decode_ima((GUESTS / "selinux.ima").read_bytes()).entries
    return [buf(entry.path, entry.payload) for entry in entries if entry.path.startswith(b"selinux-")]


def test_the_kernel_of_the_guest_measured_each_change_of_selinuxs_state() -> None:
    texts = [line.values[2] for line in measured_states() if b"enforcing" in line.values[2]]

    assert any(b"initialized=1;enforcing=1;" in text for text in texts)
    assert any(b"initialized=1;enforcing=0;" in text for text in texts)


def test_a_guest_that_hides_that_it_is_permissive_is_caught_by_what_its_kernel_measured() -> None:
    states = measured_states()
    last = max(at for at, line in enumerate(states) if b"initialized=1;enforcing=0;" in line.values[2])

    result = attested("enforcing", *states[: last + 1])

    assert result.contraindicated
    [lie] = [one for one in result.findings if one.id == "posture.agreement" and one.tier is Tier.CONTRAINDICATED]
    assert lie.anchor is Anchor.TPM
    assert "measured was not enforcing" in lie.why


def test_a_guest_whose_state_agrees_is_anchored_in_the_tpm() -> None:
    states = measured_states()
    first = min(at for at, line in enumerate(states) if b"initialized=1;enforcing=1;" in line.values[2])

    result = attested("enforcing", *states[: first + 1])

    assert next(one for one in result.findings if one.id == "SEL-001").anchor is Anchor.TPM
