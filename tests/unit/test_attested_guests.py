"""Guests that quoted for themselves: real firmware, TPM, kernel and agent, judged by the service's own functions."""

import pytest

from bartizan.app.defaults import default_policy
from bartizan.collect.posture.document import canonical
from bartizan.errors import VerifyError
from bartizan.formats.posture import decode_posture
from bartizan.formats.strict import json_value
from bartizan.model.result import Anchor, AttestationResult, Claim, Finding, State, Tier
from tests.unit.attested_guests import declared_good, judged, request_of

REFERENCE = ("reference", "unconfined")
"""Another boot of the hardened guest, with all that is started in any of its scenes."""


def hardened_boot(name: str) -> AttestationResult:
    return judged("apparmor-attested", name, known=declared_good(*REFERENCE)).result


def alone(boot: str, name: str, upto: str | None = None) -> AttestationResult:
    """A boot of which a person declared all that it measured good, so that only the posture can keep it down."""
    return judged(boot, name, known=declared_good(boot, upto or name)).result


def of(result: AttestationResult, check: str) -> Finding:
    return next(finding for finding in result.findings if finding.id == check)


def test_the_hardened_guest_reaches_level_5_without_any_waiver() -> None:
    result = hardened_boot("hardened")

    assert default_policy().waivers == ()
    assert (result.level, result.state, result.contraindicated) == (5, State.FRESH, False)
    assert not any(finding.waiver for finding in result.findings)
    assert result.confinement is not None
    assert result.confinement.open == ()
    assert result.confinement.workloads == 2
    assert result.confinement.held[Anchor.TPM] == 8
    assert of(result, "posture.binding").tier is Tier.AFFIRMING
    assert of(result, "HWT-003").anchor is Anchor.TPM
    assert of(result, "HWT-004").anchor is Anchor.AGENT


@pytest.mark.parametrize(
    ("name", "rules"), [("complain", {"AA-002", "AA-003", "QMP-016"}), ("unconfined", {"QMP-016"})]
)
def test_a_machine_that_apparmor_only_watches_or_leaves_alone_keeps_the_guest_at_level_4(
    name: str, rules: set[str]
) -> None:
    result = hardened_boot(name)

    assert (result.level, result.contraindicated) == (4, False)
    assert result.confinement is not None
    assert set(result.confinement.open) == rules
    assert of(result, "QMP-016").tier is Tier.CONTRAINDICATED
    assert of(result, "QMP-016").anchor is Anchor.AGENT
    assert result.vector[Claim.EXECUTABLES] is Tier.AFFIRMING


def test_selinux_enforcing_is_level_5_and_anchored_in_what_the_kernel_measured() -> None:
    result = alone("selinux-attested", "enforcing")

    assert (result.level, result.contraindicated) == (5, False)
    assert of(result, "SEL-001").anchor is Anchor.TPM
    assert of(result, "posture.selinux").tier is Tier.AFFIRMING


def test_selinux_permissive_is_contraindicated_by_the_tpm() -> None:
    result = alone("selinux-attested", "permissive")

    assert (result.level, result.contraindicated) == (4, True)
    assert of(result, "SEL-001").tier is Tier.CONTRAINDICATED
    assert of(result, "SEL-001").anchor is Anchor.TPM
    assert of(result, "posture.selinux").tier is Tier.CONTRAINDICATED


def test_a_node_that_hides_that_it_is_permissive_is_caught_by_what_its_kernel_measured() -> None:
    """Root of the guest quoted over the posture of before, so that the quote itself is good."""
    result = alone("selinux-attested", "lying")

    assert result.contraindicated
    lie = of(result, "posture.agreement")
    assert (lie.tier, lie.anchor) == (Tier.CONTRAINDICATED, Anchor.TPM)
    assert "measured was not enforcing" in lie.why
    assert of(result, "posture.binding").tier is Tier.AFFIRMING


def test_a_permissive_domain_for_guests_keeps_level_5_from_an_enforcing_guest() -> None:
    result = alone("domain-attested", "permissive-domain")

    assert (result.level, result.contraindicated) == (4, False)
    assert of(result, "SEL-001").tier is Tier.AFFIRMING
    assert of(result, "SEL-002").tier is Tier.CONTRAINDICATED
    assert of(result, "SEL-002").anchor is Anchor.AGENT


def test_a_guest_without_an_iommu_is_told_so_by_its_own_word() -> None:
    result = alone("no-iommu", "booted")

    assert of(result, "IOM-001").tier is Tier.WARNING
    assert of(result, "IOM-001").anchor is Anchor.AGENT
    assert of(result, "IOM-003").anchor is Anchor.TPM, "the command line is measured, and turns nothing off"
    assert result.level == 4


def test_without_secure_boot_and_lockdown_no_log_reaches_the_kernel_and_the_rest_is_the_nodes_word() -> None:
    """Debian's GRUB starts the kernel past its EFI stub then, which alone keeps the firmware's log."""
    result = judged("no-lockdown", "booted").result

    assert of(result, "boot.log-present").tier is Tier.NONE
    for rule in ("HWT-003", "HWT-004"):
        assert of(result, rule).tier is not Tier.AFFIRMING
        assert of(result, rule).anchor is Anchor.AGENT
    assert result.level == 1


def test_a_posture_that_was_edited_after_the_quote_is_refused() -> None:
    sent = request_of("apparmor-attested", "unconfined").posture
    assert sent is not None
    document = json_value(sent, "posture")
    assert isinstance(document, dict)
    [machine] = [one for one in document["workloads"] if one["kind"] == "vm"]
    machine["label"] = f"libvirt-{machine['uuid']} (enforce)"
    edited = canonical(document)
    assert decode_posture(edited).workloads != decode_posture(sent).workloads

    with pytest.raises(VerifyError) as caught:
        judged("apparmor-attested", "unconfined", known=declared_good(*REFERENCE), posture=edited)

    assert caught.value.check == "quote.extra-data"


def test_another_scenes_posture_is_refused_too() -> None:
    better = request_of("apparmor-attested", "hardened").posture

    with pytest.raises(VerifyError, match="extra"):
        judged("apparmor-attested", "unconfined", known=declared_good(*REFERENCE), posture=better)
