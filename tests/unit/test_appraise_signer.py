"""A new kernel accepted by its signer: only where everything around it is known and Secure Boot stood behind it."""

import hashlib
from dataclasses import replace

import pytest

from bartizan.app.defaults import default_policy
from bartizan.appraise.context import ReferenceIndex, index_reference
from bartizan.formats.uefi import decode_variable
from bartizan.model.boot_log import Event, EventType
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import ReportedEvidence
from bartizan.model.policy import AcceptedSigner
from bartizan.model.result import AttestationResult, Finding, Tier
from bartizan.model.uefi import EFI_GLOBAL
from tests.simulator.machine import Machine, attested, digests, good, measured, reference, reference_set
from tests.unit.appraise_cases import forged
from tests.unit.uefi_bytes import variable

ACTION, SHIM, GRUB, KERNEL, SECOND = 13, 23, 29, 40, 41
KERNEL_FILE, INITRD_FILE = 39, 44
DB, SBAT, MOK = 21, 26, 28
OWNER = 16


def fingerprint(event: int) -> bytes:
    """SHA-256 of the certificate that an authority event names."""
    return hashlib.sha256(decode_variable(good().events[event].data).data[OWNER:]).digest()


MICROSOFT = AcceptedSigner(name="Microsoft UEFI CA", fingerprint=fingerprint(DB))
DEBIAN = AcceptedSigner(name="Debian Secure Boot CA", fingerprint=fingerprint(MOK))
POLICY = replace(default_policy(), signers=(MICROSOFT, DEBIAN))
NEW = good().with_event(KERNEL, digests=digests(b"new")).with_event(SECOND, digests=digests(b"new"))
NEW = NEW.with_event(KERNEL_FILE, digests=digests(b"new file"))
"""The machine after a kernel update: image and file are new, the rest is as it was."""


def verdict(
    machine: Machine, *, signers: tuple[AcceptedSigner, ...] = (MICROSOFT, DEBIAN), known: ReferenceIndex | None = None
) -> AttestationResult:
    return of(machine.evidence(), signers=signers, known=known)


def of(
    evidence: ReportedEvidence,
    *,
    signers: tuple[AcceptedSigner, ...] = (MICROSOFT, DEBIAN),
    known: ReferenceIndex | None = None,
) -> AttestationResult:
    return attested(evidence, policy=replace(POLICY, signers=signers), known=known).result


def about(result: AttestationResult, check: str) -> list[Finding]:
    return [finding for finding in result.findings if finding.id == check]


def accepted(result: AttestationResult) -> list[int | None]:
    """The events that were accepted by signer."""
    return [
        finding.at.event
        for finding in result.findings
        if "accepted by signer" in finding.why and finding.at.event is not None
    ]


def told(machine: Machine, **labels: Event) -> ReportedEvidence:
    """The machine's evidence with some events described otherwise (`e29=…`)."""
    changes = {int(name[1:]): event for name, event in labels.items()}
    return forged(machine.evidence(), [changes.get(event.index, event) for event in machine.events])


def test_a_new_kernel_is_accepted_and_the_sentence_names_its_signers() -> None:
    result = verdict(NEW)

    assert (result.level, result.contraindicated) == (4, False)
    assert accepted(result) == [KERNEL, SECOND, KERNEL_FILE]
    assert "Secure Boot was on" in about(result, "recognised.loader")[0].why
    assert "Microsoft UEFI CA, Debian Secure Boot CA" in about(result, "recognised.loader")[0].why


def test_without_accepted_signers_a_new_kernel_is_not_recognised() -> None:
    result = verdict(NEW, signers=())

    assert (result.level, accepted(result)) == (2, [])


def test_one_accepted_signer_is_enough_where_the_other_authority_is_a_reference_value() -> None:
    result = verdict(NEW, signers=(DEBIAN,))

    assert (result.level, accepted(result)) == (4, [KERNEL, SECOND, KERNEL_FILE])
    assert "(Debian Secure Boot CA)" in about(result, "recognised.loader")[0].why


def test_a_signer_that_was_not_used_accepts_nothing() -> None:
    assert accepted(verdict(NEW, signers=(AcceptedSigner(name="x", fingerprint=bytes(32)),))) == []


def test_without_reference_values_no_kernel_is_accepted() -> None:
    empty = replace(reference_set(good()), events=(), files=())

    assert accepted(verdict(NEW, known=index_reference(empty))) == []


OFF = NEW.with_event(3, data=variable("SecureBoot", b"\0", vendor=EFI_GLOBAL))


def test_with_secure_boot_off_no_kernel_is_accepted() -> None:
    result = verdict(OFF)

    assert (result.level, accepted(result)) == (2, [])


def test_with_secure_boot_not_readable_no_kernel_is_accepted() -> None:
    assert accepted(verdict(NEW.with_event(3, data=variable("SecureBoot", b"\2", vendor=EFI_GLOBAL)))) == []


ROGUE = variable(
    "MokListRT", bytes(OWNER) + decode_variable(good().events[MOK].data).data[OWNER:-1] + b"\0", vendor=EFI_GLOBAL
)
WITH_ROGUE = NEW.inserted(MOK + 1, measured(7, EventType.EFI_VARIABLE_AUTHORITY, ROGUE))
AUTHORITY = WITH_ROGUE.events[MOK + 1]


def test_one_authority_that_nobody_accepts_spoils_it() -> None:
    result = verdict(WITH_ROGUE)

    assert (result.level, accepted(result)) == (2, [])


DISGUISES = {
    "data that cannot be read": replace(AUTHORITY, data=b"x"),
    "another authority's data": replace(AUTHORITY, data=good().events[MOK].data),
    "the SBAT level's data": replace(AUTHORITY, data=good().events[SBAT].data),
    "a device's authority": replace(AUTHORITY, reported_type=EventType.EFI_SPDM_DEVICE_AUTHORITY),
    "a device's policy": replace(AUTHORITY, reported_type=EventType.EFI_SPDM_DEVICE_POLICY),
    "a boot loader's event": replace(AUTHORITY, reported_type=EventType.IPL),
    "a separator": replace(AUTHORITY, reported_type=EventType.SEPARATOR, data=bytes(4)),
    "a known digest in a bank that does not decide": replace(
        AUTHORITY, digests={**AUTHORITY.digests, HashAlg.SHA384: good().events[MOK].digests[HashAlg.SHA384]}
    ),
}


@pytest.mark.parametrize("name", DISGUISES)
def test_an_authority_in_disguise_spoils_it_as_well(name: str) -> None:
    """Labels and data of PCR 7 are the log's word; the event replays whatever they say."""
    assert accepted(of(told(WITH_ROGUE, **{f"e{MOK + 1}": DISGUISES[name]}))) == []


def test_notices_of_the_firmware_and_new_revocations_do_not_spoil_it() -> None:
    machine = NEW.with_event(7, data=good().events[7].data[:-1] + b"\xee")
    machine = machine.inserted(8, measured(7, EventType.EFI_ACTION, b"DMA Protection Disabled"))

    assert accepted(verdict(machine)) == [KERNEL + 1, SECOND + 1, KERNEL_FILE + 1]


def test_a_loader_that_is_not_recognised_spoils_it() -> None:
    """Whoever asks shim to verify the kernel must be known, or nothing was verified."""
    for loader in (SHIM, GRUB):
        result = verdict(NEW.with_event(loader, digests=digests(b"an old loader, signed as well")))

        assert (result.level, accepted(result)) == (2, [])


def test_an_old_loader_in_the_kernels_place_is_not_accepted() -> None:
    """An outdated loader is signed too: one image before it is not enough."""
    machine = good().with_event(GRUB, digests=digests(b"an old loader")).without_event(KERNEL, SECOND)

    assert accepted(verdict(machine)) == []


LOADED = EventType.EFI_BOOT_SERVICES_APPLICATION


def test_a_known_action_does_not_count_as_an_image() -> None:
    machine = good().with_event(GRUB, digests=digests(b"an old loader")).without_event(KERNEL, SECOND)
    disguised = replace(machine.events[ACTION], reported_type=LOADED, data=machine.events[SHIM].data)

    assert accepted(of(told(machine, e13=disguised))) == []


def test_with_one_known_image_alone_no_kernel_is_accepted() -> None:
    """Where shim itself starts the kernel, what it starts next may be any loader that was ever signed."""
    direct = good().without_event(GRUB)
    new = NEW.without_event(GRUB)

    assert accepted(verdict(new, known=index_reference(reference_set(direct)))) == []


def test_a_shim_that_loaded_itself_does_not_count_twice() -> None:
    machine = good().with_event(GRUB, digests=good().events[SHIM].digests)
    machine = machine.with_event(KERNEL, digests=digests(b"an old loader")).with_event(
        SECOND, digests=digests(b"an old loader")
    )

    assert accepted(verdict(machine)) == []


def test_a_measurement_that_no_pinned_digest_stands_behind_does_not_count_as_an_image() -> None:
    """A phantom: only a bank that does not decide has a digest for it, so that the pinned bank replays without it."""
    machine = good().with_event(GRUB, digests=digests(b"an old loader")).without_event(KERNEL, SECOND)
    phantom = replace(good().events[GRUB], digests={HashAlg.SHA384: good().events[GRUB].digests[HashAlg.SHA384]})
    events = [*machine.events[:GRUB], phantom, *machine.events[GRUB:]]

    assert accepted(of(forged(machine.evidence(), events))) == []


def test_two_different_new_images_are_not_accepted() -> None:
    assert accepted(verdict(NEW.with_event(SECOND, digests=digests(b"another")))) == []


def test_an_image_after_the_known_kernel_is_not_accepted() -> None:
    assert accepted(verdict(good().inserted(SECOND + 1, measured(4, LOADED, b"x", of=b"after the kernel")))) == []


def test_a_new_kernel_that_is_measured_once_is_accepted() -> None:
    assert accepted(verdict(NEW.without_event(SECOND))) == [KERNEL, KERNEL_FILE]


def test_a_new_kernel_whose_file_is_not_the_first_of_the_last_files_is_not_recognised() -> None:
    """The file is accepted by its place among what GRUB loaded; another file in that place is not the kernel."""
    swapped = replace(good().events[KERNEL_FILE], digests=digests(b"evil"))
    machine = NEW.inserted(INITRD_FILE + 1, swapped)

    assert verdict(machine).level == 2


def test_an_initramfs_under_the_kernels_label_is_refused() -> None:
    """The labels of kernel and initramfs exchanged: the order of the digests tells."""
    machine = NEW.with_event(INITRD_FILE, digests=digests(b"evil initramfs"))
    kernel, initrd = machine.events[KERNEL_FILE], machine.events[INITRD_FILE]
    lie = {"e39": replace(kernel, data=initrd.data), "e44": replace(initrd, data=kernel.data)}
    result = of(told(machine, **lie))

    assert result.level == 2
    assert {finding.at.event for finding in about(result, "recognised.boot-files") if finding.tier is Tier.WARNING} == {
        KERNEL_FILE,
        INITRD_FILE,
    }


def test_a_new_initramfs_is_not_accepted_with_the_kernel() -> None:
    result = verdict(NEW.with_event(INITRD_FILE, digests=digests(b"new initramfs")))
    (fault,) = [finding for finding in about(result, "recognised.boot-files") if finding.tier is Tier.WARNING]

    assert (result.level, fault.at.event) == (2, INITRD_FILE)


COMMAND_LINUX, COMMAND_INITRD = 38, 43


def command(text: str) -> dict[str, object]:
    return {"data": f"grub_cmd: {text}".encode(), "digests": digests(text.encode())}


COMMANDS = {
    "no linux command": NEW.with_event(COMMAND_LINUX, **command("echo")),
    "two linux commands": NEW.with_event(COMMAND_INITRD, **command("linux /other")),
    "initramfs first": NEW.with_event(COMMAND_LINUX, **command("initrd /initrd.img")).with_event(
        COMMAND_INITRD, **command("linux /vmlinuz")
    ),
    "more files named than measured": NEW.with_event(COMMAND_INITRD, **command("initrd /a /b /c")),
    "two linux commands for the two files": NEW.with_event(COMMAND_INITRD, **command("linux /initrd.img")),
    "another file named": NEW.with_event(COMMAND_LINUX, **command("linux /other")),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_kernels_file_is_not_accepted_where_its_place_is_unclear(name: str) -> None:
    """The image may be accepted all the same; the file then counts as unknown."""
    assert KERNEL_FILE not in accepted(verdict(COMMANDS[name]))


def test_several_initramfs_files_are_placed_one_by_one() -> None:
    machine = NEW.with_event(COMMAND_INITRD, **command("initrd /microcode /initrd.img"))
    machine = machine.inserted(INITRD_FILE, measured(9, EventType.IPL, b"/microcode\0"))

    assert KERNEL_FILE in accepted(verdict(machine))


def test_the_known_kernel_needs_no_signer() -> None:
    assert accepted(verdict(good())) == []
    assert verdict(good(), known=reference()).level == 4
