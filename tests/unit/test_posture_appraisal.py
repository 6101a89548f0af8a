"""Level 5: a posture that comes with evidence is judged, held against what was measured, and lowers nothing below."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bartizan.app.defaults import catalogue, default_policy, posture_rules
from bartizan.appraise.catalogue import load_policy
from bartizan.collect.posture.document import canonical
from bartizan.errors import PolicyError
from bartizan.model.policy import Policy, Waiver
from bartizan.model.posture import Profile
from bartizan.model.result import Anchor, AttestationResult, Claim, Finding, Tier
from tests.simulator.tpm_ca import NOW
from tests.unit.ima_lists import Line, buf
from tests.unit.postures import COMMAND_LINE, RUNNING, hardened, judged_with, posture, state

SELINUX = "hardened_selinux"
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
POLICY_BYTES = b"a policy of SELinux"


def of(result: AttestationResult, check: str) -> list[Finding]:
    return [finding for finding in result.findings if finding.id == check]


def only(result: AttestationResult, check: str) -> Finding:
    [found] = of(result, check)
    return found


def policy_of(profile: Profile | None) -> Policy:
    return replace(default_policy(), posture=profile)


def test_a_hardened_node_with_confined_workloads_reaches_level_5() -> None:
    result = judged_with(hardened()).result

    assert (result.level, result.contraindicated) == (5, False)
    assert only(result, "posture.host").tier is Tier.AFFIRMING
    assert only(result, "posture.workloads").why.startswith("all ")
    assert "for 3 workloads" in only(result, "posture.workloads").why
    assert {result.vector[claim] for claim in (Claim.HARDWARE, Claim.STORAGE_OPAQUE)} <= {Tier.AFFIRMING, Tier.WARNING}


def test_the_result_says_how_much_of_level_5_the_tpm_vouches_for() -> None:
    result = judged_with(hardened()).result

    assert result.confinement is not None
    by_tpm = {
        finding.id for finding in result.findings if finding.id in posture_rules() and finding.anchor is Anchor.TPM
    }
    assert by_tpm == {"CPU-002", "CPU-003", "IOM-003", "IOM-006", "IOM-007", "KRN-006", "HWT-002", "HWT-003"}
    assert result.confinement.held[Anchor.TPM] == len(by_tpm)
    assert result.confinement.held[Anchor.AGENT] > 60
    assert result.confinement.open == ()
    assert "8 of them rest on the TPM, the others on the node's word" in only(result, "posture.host").why


def test_the_same_posture_without_a_bound_quote_stays_at_level_4() -> None:
    result = judged_with(hardened(), bound=False).result

    assert result.level == 4
    assert result.ladder[4].missing == ("posture.binding",)


def test_a_node_without_workloads_says_so() -> None:
    result = judged_with(posture(absent=RUNNING)).result

    assert result.level == 5
    assert only(result, "posture.workloads").why == "no virtual machine, container or packet switch runs here"


@pytest.mark.parametrize(
    ("edit", "claim", "missing"),
    [
        ({"files": {"/proc/sys/kernel/kptr_restrict": "0\n"}}, Claim.CONFIGURATION, "posture.host"),
        ({"files": {"/sys/devices/system/cpu/vulnerabilities/mds": "Vulnerable\n"}}, Claim.HARDWARE, "posture.host"),
        ({"qemu": "dynamic_ownership = 0"}, Claim.STORAGE_OPAQUE, "posture.host"),
        (
            {"replace": {"/proc/42/task/44/status": ["Seccomp:\t2", "Seccomp:\t0"]}},
            Claim.CONFIGURATION,
            "posture.workloads",
        ),
        (
            {"replace": {"/proc/42/cmdline": ["7f5c2c1e-4f0b", "00000000-4f0b"]}},
            Claim.INSTANCE_IDENTITY,
            "posture.workloads",
        ),
        ({"absent": ["/proc/42/task"]}, Claim.CONFIGURATION, "posture.workloads"),
    ],
)
def test_a_fault_caps_at_level_4_and_lowers_its_claim(edit: dict[str, Any], claim: Claim, missing: str) -> None:
    before, after = judged_with(hardened()).result, judged_with(posture(**edit)).result

    assert after.level == 4
    assert after.ladder[4].missing == (missing,)
    assert [rung.holds for rung in after.ladder[:4]] == [True] * 4
    assert after.confinement is not None
    assert len(after.confinement.open) >= 1
    lowered = [one for one in after.findings if one.id in posture_rules() and one.tier is not Tier.AFFIRMING]
    assert {one.claim for one in lowered} == {claim}
    assert after.vector[claim].order <= before.vector[claim].order


def test_however_bad_a_posture_is_no_lower_level_falls() -> None:
    worst = canonical({"version": 2, "privileged": False, "files": [], "folders": [], "nodes": [], "workloads": []})

    for raw in (worst, b"", b"no document", hardened()[:-1]):
        result = judged_with(raw).result
        assert result.level == 4
        assert not result.contraindicated


def test_a_malformed_posture_is_told() -> None:
    found = only(judged_with(b'{"version":1}').result, "posture.form")

    assert found.tier is Tier.WARNING
    assert "is no document that can be read" in found.why


def test_a_policy_without_a_profile_judges_no_posture() -> None:
    result = judged_with(hardened(), policy=policy_of(None)).result

    assert result.level == 4
    assert result.ladder[4].missing == ("posture.host", "posture.workloads", "posture.profile")
    assert result.confinement is None


def test_the_profile_of_the_policy_decides() -> None:
    edit = {"replace": {"/proc/42/ksm_stat": ["ksm_mergeable: no", "ksm_mergeable: yes"]}}
    raw = posture(**edit)

    assert judged_with(raw, policy=policy_of(Profile.BASELINE)).result.level == 5
    assert (
        of(judged_with(raw, policy=policy_of(Profile.CONFIDENTIAL)).result, "KSM-003")[0].tier is Tier.CONTRAINDICATED
    )


@pytest.mark.parametrize(
    ("text", "profile"), [('[posture]\nprofile = "confidential"\n', Profile.CONFIDENTIAL), ("", None)]
)
def test_a_policy_file_names_the_profile(text: str, profile: Profile | None) -> None:
    assert load_policy(f'name = "mine"\n{text}', catalogue(), source="mine.toml").posture is profile


def test_a_policy_with_another_profile_is_refused() -> None:
    with pytest.raises(PolicyError, match="posture"):
        load_policy('name = "mine"\n[posture]\nprofile = "best"\n', catalogue(), source="mine.toml")


def waiving(check: str, *, workload: str | None = None, expires: datetime | None = None) -> Policy:
    waiver = Waiver(check=check, reason="ticket 7", workload=workload, expires=expires)
    return replace(default_policy(), waivers=(waiver,))


def test_a_waived_rule_keeps_nothing_from_level_5_and_shows_its_reason() -> None:
    raw = posture(files={"/proc/sys/kernel/kptr_restrict": "0\n"})

    waived = judged_with(raw, policy=waiving("KRN-002")).result

    assert waived.level == 5
    assert only(waived, "KRN-002").waiver == "ticket 7"
    assert judged_with(raw, policy=waiving("KRN-001")).result.level == 4


def test_a_waiver_may_name_one_workload_and_end() -> None:
    raw = posture(replace={"/proc/42/task/42/status": ["NoNewPrivs:\t1", "NoNewPrivs:\t0"]})
    uuid = "7f5c2c1e-4f0b-4b57-9a0e-6d4c7f7f0a01"

    def level(*, workload: str | None = None, expires: datetime | None = None) -> int:
        return judged_with(raw, policy=waiving("QMP-003", workload=workload, expires=expires)).result.level

    assert level(workload=uuid) == 5
    assert level(workload="another") == 4
    assert level(expires=NOW + timedelta(seconds=1)) == 5
    assert level(expires=NOW) == 4


def test_selinux_that_was_measured_as_enforcing_is_anchored_in_the_tpm() -> None:
    result = judged_with(hardened(SELINUX), state(0, initialized=0), state(1)).result

    assert result.level == 5
    assert only(result, "SEL-001").anchor is Anchor.TPM
    found = only(result, "posture.selinux")
    assert (found.tier, found.anchor, found.at.pcr) == (Tier.AFFIRMING, Anchor.TPM, 10)
    assert "SELinux's state" in only(result, "posture.agreement").why


def test_without_a_measured_state_selinux_is_the_nodes_word() -> None:
    assert only(judged_with(hardened(SELINUX)).result, "SEL-001").anchor is Anchor.AGENT


@pytest.mark.parametrize(
    ("lines", "tier", "why"),
    [
        ([state(0)], Tier.CONTRAINDICATED, "denies nothing"),
        ([state(1), state(0)], Tier.CONTRAINDICATED, "denies nothing"),
        ([state(1), state(0), state(1)], Tier.WARNING, "permissive before in this boot"),
        ([state(1, initialized=0)], Tier.CONTRAINDICATED, "denies nothing"),
    ],
)
def test_selinux_that_was_measured_otherwise_is_told_whatever_the_node_says(
    lines: list[Line], tier: Tier, why: str
) -> None:
    for raw in (hardened(SELINUX), None):
        result = judged_with(raw, *lines).result
        found = only(result, "posture.selinux")

        assert found.tier is tier
        assert why in found.why
        assert result.level == 4


def test_a_node_that_calls_itself_enforcing_and_was_measured_as_permissive_lies() -> None:
    result = judged_with(hardened(SELINUX), state(1), state(0)).result

    [lie] = [one for one in of(result, "posture.agreement") if one.tier is not Tier.AFFIRMING]
    assert (lie.tier, lie.anchor, lie.at.pcr) == (Tier.CONTRAINDICATED, Anchor.TPM, 10)
    assert "the node reports that SELinux is enforcing, measured was not enforcing" in lie.why
    assert result.contraindicated
    assert result.level == 4


def test_a_node_that_says_worse_of_itself_may_have_changed_since() -> None:
    raw = posture(SELINUX, files={"/sys/fs/selinux/enforce": "0"})

    [found] = [one for one in of(judged_with(raw, state(1)).result, "posture.agreement") if not one.passes]

    assert found.tier is Tier.WARNING


def measured_policy(raw: bytes) -> Line:
    return buf(b"selinux-policy-hash", hashlib.sha256(raw).digest())


def test_the_loaded_policy_is_the_measured_one() -> None:
    raw = posture(SELINUX, files={"/sys/fs/selinux/policy": POLICY_BYTES.decode()})

    def answers(*lines: Line) -> list[tuple[Tier, bool]]:
        found = of(judged_with(raw, state(1), *lines).result, "posture.agreement")
        return [(one.tier, "SELinux" in one.why and "policy" in one.why) for one in found]

    assert (Tier.AFFIRMING, True) in answers(measured_policy(POLICY_BYTES))
    assert (Tier.CONTRAINDICATED, True) in answers(measured_policy(b"another"))
    assert (Tier.WARNING, True) in answers(measured_policy(POLICY_BYTES), measured_policy(b"another"))
    assert (Tier.AFFIRMING, True) in answers(measured_policy(b"another"), measured_policy(POLICY_BYTES))
    assert not any(about for _, about in answers(buf(b"selinux-policy-hash", b"x" * 64)) if not about)


@pytest.mark.parametrize(
    ("cmdline", "tier", "why"),
    [
        (COMMAND_LINE.replace(" quiet", ""), Tier.CONTRAINDICATED, "measured and not reported: quiet"),
        (COMMAND_LINE.replace("tcb", "none"), Tier.CONTRAINDICATED, "reported and not measured: ima_policy=none"),
        (COMMAND_LINE.rstrip() + " debug\n", Tier.WARNING, "reported and not measured: debug"),
    ],
)
def test_a_command_line_that_is_not_the_measured_one_is_told(cmdline: str, tier: Tier, why: str) -> None:
    result = judged_with(posture(files={"/proc/cmdline": cmdline})).result
    [found] = [one for one in of(result, "posture.agreement") if not one.passes]

    assert found.tier is tier
    assert why in found.why
    assert found.at.pcr == 8
    assert only(result, "CPU-002").anchor is Anchor.AGENT
    assert result.level == 4


def test_a_secure_boot_that_was_measured_otherwise_is_told() -> None:
    result = judged_with(posture(files={SECURE_BOOT: "\x06\0\0\0\0"})).result
    [found] = [one for one in of(result, "posture.agreement") if not one.passes]

    assert (found.tier, found.at.pcr) == (Tier.WARNING, 7)
    assert "reports Secure Boot off, measured was on" in found.why


def test_many_workloads_make_no_endless_result() -> None:
    document: dict[str, Any] = json.loads(hardened())
    [machine] = [row for row in document["workloads"] if row["kind"] == "vm"]
    others = [row for row in document["workloads"] if row["kind"] != "vm"]
    many = [machine | {"pid": 1000 + number, "seccomp": 0} for number in range(2000)]
    document["workloads"] = sorted([*others, *many], key=lambda row: row["pid"])

    result = judged_with(canonical(document)).result

    assert len(of(result, "QMP-004")) == 32
    assert result.confinement is not None
    assert result.confinement.workloads == 2002


def test_whatever_is_found_has_a_description() -> None:
    raw = posture(files={"/proc/sys/kernel/kptr_restrict": "0\n"})

    assert all(catalogue()[finding.id].fix for finding in judged_with(raw).result.findings)


def test_a_policy_file_waives_a_rule_for_a_workload_until_a_day() -> None:
    text = 'name = "mine"\n[[waiver]]\ncheck = "QMP-003"\nreason = "ticket 7"\nworkload = "guest"\nexpires = {}\n'

    [waiver] = load_policy(text.format("2999-01-01T00:00:00Z"), catalogue(), source="mine.toml").waivers

    assert (waiver.check, waiver.workload, waiver.expires) == ("QMP-003", "guest", datetime(2999, 1, 1, tzinfo=UTC))
    with pytest.raises(PolicyError, match="expires"):
        load_policy(text.format("2999-01-01T00:00:00"), catalogue(), source="mine.toml")
