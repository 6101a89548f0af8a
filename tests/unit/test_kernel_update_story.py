"""A Debian kernel update on the recorded machine, before, during and after, over consecutive kernels of the archive.

Digests, signatures and signers are those of the real packages; the machine is quoted anew by a TPM of the tests.
"""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from bartizan.app.defaults import default_policy
from bartizan.appraise.context import ReferenceIndex, index_reference
from bartizan.model.policy import AcceptedSigner, Policy
from bartizan.model.reference import ReferenceSet, ReferenceState
from bartizan.model.result import AttestationResult, Tier
from bartizan.reference.components import Components
from bartizan.reference.predict import Prediction, predict
from bartizan.reference.propose import canonical
from bartizan.reference.vetting import Vetting, authorities
from bartizan.verify.authenticode import common_name, fingerprint
from tests.simulator.boot_images import DebianImage, kernels
from tests.simulator.machine import good, judged, reference_set
from tests.simulator.tpm_ca import NOW
from tests.unit.kernel_machines import digests_of, initramfs, verified, with_kernel

KERNELS = kernels()
UPDATES = list(pairwise(KERNELS))
DAY = timedelta(days=1)
LOADER = 29
"""The event of GRUB's image in the recorded log."""


def names(pair: tuple[DebianImage, DebianImage]) -> str:
    return "→".join(one.version for one in pair)


def alarms(result: AttestationResult) -> set[tuple[str, str]]:
    """What is said against a machine beyond what is said of the untouched one."""
    usual = {(f.id, f.why) for f in judged(good()).findings if not f.passes}
    return {(f.id, f.why) for f in result.findings if not f.passes} - usual


def foretold(old: DebianImage, new: DebianImage, *, regenerated: bool = True) -> Prediction:
    """The prediction made while the machine still runs the old kernel."""
    boot, ima = verified(with_kernel(old))
    initrds = (digests_of(initramfs(new)),) if regenerated else ()
    components = Components(source=new.source, kernel=new.image, initrds=initrds)
    return predict(boot, ima, components, vetting=Vetting.of(boot, default_policy()), name=new.image.release)


def set_of(kernel: DebianImage) -> ReferenceSet:
    return reference_set(with_kernel(kernel))


def ending(some: ReferenceSet, days: int) -> ReferenceSet:
    return canonical(replace(some, valid_until=NOW + days * DAY))


def debian_signer() -> Policy:
    """A policy that accepts what the Debian CA signed; its certificate is in the recorded log."""
    boot, _ = verified(good())
    debian = next(one for one in authorities(boot) if "Debian" in one.subject_text)
    signer = AcceptedSigner(name=common_name(debian), fingerprint=fingerprint(debian))
    return replace(default_policy(), signers=(signer,))


def test_the_kernels_are_consecutive_ones_signed_by_debian() -> None:
    releases = [int(one.image.release.split("-")[1]) for one in KERNELS]

    assert len(releases) >= 4
    assert releases == list(range(releases[0], releases[0] + len(releases)))
    assert {one.signers for one in KERNELS} == {("Debian Secure Boot Signer 2022 - linux",)}


@pytest.mark.parametrize("pair", UPDATES, ids=names)
def test_with_the_prediction_an_update_raises_no_alarm_before_during_and_after(
    pair: tuple[DebianImage, DebianImage],
) -> None:
    old, new = pair
    before, after = set_of(old), foretold(old, new).reference
    steps: list[tuple[DebianImage, ReferenceIndex]] = [
        (old, index_reference(before)),
        (old, index_reference(before, after)),
        (new, index_reference(before, after)),
        (new, index_reference(ending(before, -1), after)),
        (new, index_reference(after)),
    ]

    for kernel, known in steps:
        result = judged(with_kernel(kernel), known=known)
        assert (result.level, alarms(result), result.contraindicated) == (4, set(), False)


@pytest.mark.parametrize("pair", UPDATES, ids=names)
def test_the_result_says_who_signed_the_kernel_and_which_package_foretold_it(
    pair: tuple[DebianImage, DebianImage],
) -> None:
    old, new = pair
    result = judged(with_kernel(new), known=index_reference(set_of(old), foretold(old, new).reference))

    said = next(f for f in result.findings if f.id == "recognised.loader")
    assert said.tier is Tier.AFFIRMING
    assert (
        f"kernel {new.image.release}, signed by Debian Secure Boot Signer 2022 - linux, not revoked,"
        f" predicted from {new.package} {new.version}: accepted"
    ) in said.why


@pytest.mark.parametrize("pair", UPDATES, ids=names)
def test_once_its_window_closes_the_old_kernel_is_not_recognised(pair: tuple[DebianImage, DebianImage]) -> None:
    old, new = pair
    known = index_reference(ending(set_of(old), 0), foretold(old, new).reference)

    result = judged(with_kernel(old), known=known)

    assert result.level == 2
    assert not result.contraindicated
    said = [f.why for f in result.findings if f.id == "recognised.loader"]
    assert len(said) == 2
    assert all("not recognised" in why and "the set good expired at 2026-06-01 00:00 UTC" in why for why in said)


def test_a_window_is_open_before_its_last_instant() -> None:
    old = KERNELS[0]
    known = index_reference(ending(set_of(old), 1))

    assert judged(with_kernel(old), known=known).level == 4


@pytest.mark.parametrize("pair", UPDATES, ids=names)
def test_without_prediction_an_accepted_signer_vouches_for_the_kernel_alone(
    pair: tuple[DebianImage, DebianImage],
) -> None:
    old, new = pair
    known = index_reference(reference_set(with_kernel(old, regenerated=False)))

    result = judged(with_kernel(new, regenerated=False), known=known, policy=debian_signer())

    assert (result.level, alarms(result)) == (4, set())
    accepted = [f for f in result.findings if "accepted by signer" in f.why]
    assert {f.id for f in accepted} == {"recognised.loader", "recognised.boot-files"}
    assert all("Debian Secure Boot CA" in f.why for f in accepted)


def test_the_signer_vouches_for_no_kernel_behind_an_unknown_loader() -> None:
    old, new = UPDATES[-1]
    known = index_reference(reference_set(with_kernel(old, regenerated=False)))
    machine = with_kernel(new, regenerated=False).with_event(LOADER, digests=digests_of(b"another loader"))

    result = judged(machine, known=known, policy=debian_signer())

    assert result.level == 2
    assert not [f for f in result.findings if "accepted by signer" in f.why]


def test_the_signer_does_not_vouch_for_a_new_initramfs() -> None:
    old, new = UPDATES[-1]

    result = judged(with_kernel(new), known=index_reference(set_of(old)), policy=debian_signer())

    assert result.level == 2
    assert alarms(result) == {("recognised.boot-files", "boot file not recognised: file: /initrd.img")}


@pytest.mark.parametrize("pair", UPDATES, ids=names)
def test_with_neither_the_kernel_is_not_recognised_and_named(pair: tuple[DebianImage, DebianImage]) -> None:
    old, new = pair

    result = judged(with_kernel(new), known=index_reference(set_of(old)))

    assert (result.level, result.contraindicated) == (2, False)
    assert {check for check, _ in alarms(result)} == {"recognised.loader", "recognised.boot-files"}
    assert ("recognised.boot-files", "boot file not recognised: file: /vmlinuz") in alarms(result)


def test_a_kernel_that_was_not_foretold_is_found_during_the_update() -> None:
    old, new, other = KERNELS[0], KERNELS[1], KERNELS[3]
    known = index_reference(set_of(old), foretold(old, new).reference)

    result = judged(with_kernel(other), known=known)

    assert result.level == 2
    assert {check for check, _ in alarms(result)} == {"recognised.loader", "recognised.boot-files"}


def test_what_a_revoked_set_alone_knew_is_contraindicated() -> None:
    old, new = UPDATES[0]
    revoked = canonical(replace(set_of(old), state=ReferenceState.REVOKED))
    known = index_reference(revoked, foretold(old, new).reference)

    stale, fresh = judged(with_kernel(old), known=known), judged(with_kernel(new), known=known)

    assert stale.contraindicated
    said = [f for f in stale.findings if f.id == "recognised.loader"]
    assert {f.tier for f in said} == {Tier.CONTRAINDICATED}
    assert all("the set good is revoked" in f.why for f in said)
    assert (fresh.level, fresh.contraindicated) == (4, False)


def test_a_signer_does_not_save_what_a_revoked_set_knew() -> None:
    old, new = UPDATES[0]
    revoked = canonical(replace(set_of(old), state=ReferenceState.REVOKED))
    known = index_reference(revoked, foretold(old, new).reference)

    assert judged(with_kernel(old), known=known, policy=debian_signer()).contraindicated


@pytest.mark.parametrize("state", [ReferenceState.PROPOSED, ReferenceState.RETIRED])
def test_a_set_that_is_not_approved_recognises_nothing_and_says_so(state: ReferenceState) -> None:
    old = KERNELS[0]
    known = index_reference(canonical(replace(set_of(old), state=state)))

    result = judged(with_kernel(old), known=known)

    assert (result.level, result.contraindicated) == (2, False)
    said = next(f for f in result.findings if f.id == "recognised.reference-values")
    assert said.tier is Tier.NONE
    assert state.value in said.why


def test_a_set_that_is_not_yet_valid_recognises_nothing() -> None:
    old = KERNELS[0]
    known = index_reference(canonical(replace(set_of(old), valid_from=NOW + DAY)))

    result = judged(with_kernel(old), known=known)

    assert result.level == 2
    assert "valid only from 2026-06-02 00:00 UTC on" in " ".join(f.why for f in result.findings)


def test_every_set_is_named_in_the_result() -> None:
    old, new = UPDATES[0]
    before, after = set_of(old), foretold(old, new).reference

    result = judged(with_kernel(new), known=index_reference(before, after))

    assert result.reference == f"good@sha256:{before.digest}, {new.image.release}@sha256:{after.digest}"
