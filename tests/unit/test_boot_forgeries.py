"""The forger's work: a bad boot's events under other labels, a good boot's events extended behind them.

Each forged log replays to what the TPM holds, since labels and data are covered by no digest. So every one of them must
be seen through by what its PCRs may hold. The machine that forges booted with Secure Boot off (`attack_sb_off`); what
it pretends to be is `good`.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bartizan.model.boot_log import BootLog, Event, EventType, type_label
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import VerifiedBoot
from bartizan.model.result import Tier
from bartizan.verify.boot import verify_boot
from tests.simulator.boot_logs import (
    CLOSING,
    ONES,
    appended,
    changed,
    digests,
    inserted,
    measured,
    of_pcr,
    recorded,
    relabelled,
    tpm_after,
    variable,
    with_events,
)

SHA256 = HashAlg.SHA256
BANKS = (HashAlg.SHA1, SHA256, HashAlg.SHA384)
OFF, ON = recorded("boots/attack_sb_off"), recorded("boots/good")
POLICY = of_pcr(ON, 7)
AUTHORITY = next(event for event in POLICY if event.reported_type == EventType.EFI_VARIABLE_AUTHORITY)
SECURE_BOOT_ON = POLICY[0]
DEVICES = variable("devdb", b"", vendor="f4b4c2b95fbf2d468adfc5c70ac35dad")
IMAGES = (
    EventType.EFI_BOOT_SERVICES_APPLICATION,
    EventType.EFI_BOOT_SERVICES_DRIVER,
    EventType.EFI_RUNTIME_SERVICES_DRIVER,
)

Label = Callable[[Event], Event]


def label(kind: int, data: bytes | None = None) -> Label:
    return lambda event: relabelled(event, kind, data)


LABELS: dict[str, Label] = {
    "as it was": lambda event: event,
    "SecureBoot on": label(EventType.EFI_VARIABLE_DRIVER_CONFIG, SECURE_BOOT_ON.data),
    "another variable": label(EventType.EFI_VARIABLE_DRIVER_CONFIG, variable("AuditMode", b"\0")),
    "no variable": label(EventType.EFI_VARIABLE_DRIVER_CONFIG, b"nothing"),
    "a boot variable": label(EventType.EFI_VARIABLE_BOOT, variable("BootOrder", b"\0\0")),
    "an authority with its data": label(EventType.EFI_VARIABLE_AUTHORITY),
    "an authority of db": label(EventType.EFI_VARIABLE_AUTHORITY, AUTHORITY.data),
    "an authority that cannot be read": label(EventType.EFI_VARIABLE_AUTHORITY, b"\xff" * 40),
    "an action with its data": label(EventType.EFI_ACTION),
    "an action of firmware": label(EventType.EFI_ACTION, b"DMA Protection Disabled"),
    "an action of a BIOS": label(EventType.ACTION, b"Calling INT 19h"),
    "a separator": label(EventType.SEPARATOR, CLOSING),
    "a separator with its data": label(EventType.SEPARATOR),
    "boot loader text": label(EventType.IPL, b"harmless"),
    "boot loader's partition": label(EventType.IPL_PARTITION_DATA, b"harmless"),
    "a compact hash": label(EventType.COMPACT_HASH, b"harm"),
    "a tagged event": label(EventType.EVENT_TAG, b"harmless"),
    "omitted devices": label(EventType.OMIT_BOOT_DEVICE_EVENTS, b"BOOT ATTEMPTS OMITTED"),
    "firmware": label(EventType.EFI_PLATFORM_FIRMWARE_BLOB2, b"harmless"),
    "tables": label(EventType.EFI_HANDOFF_TABLES2, b"harmless"),
    "a device's firmware": label(EventType.EFI_SPDM_FIRMWARE_BLOB, DEVICES),
    "a device's configuration": label(EventType.EFI_SPDM_FIRMWARE_CONFIG, DEVICES),
    "a device policy": label(EventType.EFI_SPDM_DEVICE_POLICY, DEVICES),
    "a device authority": label(EventType.EFI_SPDM_DEVICE_AUTHORITY, DEVICES),
    "a device policy with its data": label(EventType.EFI_SPDM_DEVICE_POLICY),
    "a device authority with its data": label(EventType.EFI_SPDM_DEVICE_AUTHORITY),
    "a dynamic launch's hash": label(EventType.TXT_MLE_HASH, b"harmless"),
    "a type nobody knows": label(0x00008401, b"harmless"),
    "a UEFI type nobody knows": label(0x800000FF, b"harmless"),
}
IMAGE_LABELS = {
    type_label(kind): label(kind, next(e.data for e in ON.events if e.reported_type == IMAGES[0])) for kind in IMAGES
}
ADDITIONS = {
    "the whole good set": POLICY,
    "SecureBoot alone": (SECURE_BOOT_ON,),
    "SecureBoot and an authority": (SECURE_BOOT_ON, AUTHORITY),
    "nothing": (),
}


def held(log: BootLog) -> VerifiedBoot:
    """The log against the TPM that was extended by it: every PCR is explained, or the forgery is a poor one."""
    boot = verify_boot(log, tpm_after(log), pinned=SHA256)
    assert all(each.explained for each in boot.explanations)
    return boot


def is_seen_through(boot: VerifiedBoot, pcr: int) -> bool:
    return any(f.tier is Tier.CONTRAINDICATED and f.at.pcr == pcr for f in boot.findings)


def in_pcr(log: BootLog, pcr: int, change: Label, *, which: slice = slice(None)) -> BootLog:
    """Some events of one PCR under another label."""
    chosen = {event.index for event in of_pcr(log, pcr)[which]}
    return with_events(log, (change(event) if event.index in chosen else event for event in log.events))


def test_the_honest_log_of_either_machine_says_nothing_against_itself() -> None:
    assert held(OFF).facts.secure_boot is False
    assert held(ON).facts.secure_boot is True
    assert not is_seen_through(held(OFF), 7)
    assert not is_seen_through(held(ON), 7)


# --- PCR 7: Secure Boot was off


@pytest.mark.parametrize("addition", ADDITIONS)
@pytest.mark.parametrize("name", [*LABELS, *IMAGE_LABELS])
@pytest.mark.parametrize("which", [slice(None), slice(5), slice(1)], ids=["all events", "the variables", "SecureBoot"])
def test_secure_boot_off_cannot_be_hidden_under_another_label(name: str, addition: str, which: slice) -> None:
    change = (LABELS | IMAGE_LABELS)[name]

    boot = held(appended(in_pcr(OFF, 7, change, which=which), *ADDITIONS[addition]))

    honest = name == "as it was" and not ADDITIONS[addition]
    assert is_seen_through(boot, 7) is not honest
    assert boot.facts.secure_boot is not True or is_seen_through(boot, 7)


@pytest.mark.parametrize("addition", ["the whole good set", "SecureBoot alone"])
def test_events_that_extend_nothing_cannot_stand_in_for_the_true_first_ones(addition: str) -> None:
    """Their digests are in another bank than the one that decides: for that bank they do not exist."""
    phantoms = [replace(event, digests={HashAlg.SHA1: event.digests[HashAlg.SHA1]}) for event in POLICY[:5]]
    hidden = in_pcr(OFF, 7, LABELS["an authority of db"])
    forged = appended(inserted(hidden, 0, *phantoms), *ADDITIONS[addition])

    boot = verify_boot(forged, {SHA256: tpm_after(forged)[SHA256]}, pinned=SHA256)

    assert all(each.explained for each in boot.explanations)
    assert is_seen_through(boot, 7)


def test_phantom_events_are_not_handed_on() -> None:
    phantom = replace(SECURE_BOOT_ON, digests={HashAlg.SHA1: SECURE_BOOT_ON.digests[HashAlg.SHA1]})
    forged = inserted(OFF, 0, phantom)

    boot = verify_boot(forged, {SHA256: tpm_after(forged)[SHA256]}, pinned=SHA256)

    honest = verify_boot(OFF, {SHA256: tpm_after(OFF)[SHA256]}, pinned=SHA256)
    assert [event.digests for event in boot.events] == [event.digests for event in honest.events]


def test_the_events_of_pcr_7_left_out_as_informative_leave_the_pcr_unexplained() -> None:
    forged = appended(in_pcr(OFF, 7, label(EventType.NO_ACTION)), *POLICY)

    boot = verify_boot(forged, tpm_after(appended(OFF, *POLICY)), pinned=SHA256)

    assert {f.id for f in boot.findings if f.at.pcr == 7} == {"boot.pcr-explained"}
    assert is_seen_through(boot, 7)
    assert boot.facts.secure_boot is None


def test_a_second_log_cannot_overrule_the_first() -> None:
    """The boot log tells the lie, a launch log explains the PCR: only one of them may speak of PCR 7."""
    boot = verify_boot(ON, tpm_after(OFF), pinned=SHA256, launch_log=OFF)

    assert boot.facts.secure_boot is None
    assert is_seen_through(boot, 7)


def test_a_log_that_denies_being_one_of_uefi_says_nothing_about_secure_boot() -> None:
    forged = with_events(OFF, (relabelled(event, EventType.EVENT_TAG) for event in OFF.events))

    assert held(forged).facts.secure_boot is None


def test_other_keys_cannot_be_hidden_behind_an_honest_first_event() -> None:
    """Secure Boot is on, but with the attacker's own keys, which the log calls authorities."""
    own = [measured(7, POLICY[1].reported_type, variable(n, b"own"), banks=BANKS) for n in ("PK", "KEK", "db")]
    true = with_events(ON, (event for event in ON.events if event.pcr != 7))
    true = appended(true, POLICY[0], *own, *POLICY[4:])

    for name in ("an authority of db", "an authority with its data", "a device policy"):
        assert is_seen_through(held(in_pcr(true, 7, LABELS[name], which=slice(1, 4))), 7), name


# --- PCR 4: a loader that must not be seen

EVIL = measured(4, EventType.EFI_BOOT_SERVICES_APPLICATION, AUTHORITY.data, of=b"evil loader", banks=BANKS)
WITH_EVIL = appended(ON, EVIL)
AT_EVIL = slice(-1, None)


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("log", [ON, OFF], ids=["Secure Boot on", "Secure Boot off"])
def test_a_loader_cannot_be_hidden_under_another_label(name: str, log: BootLog) -> None:
    last = of_pcr(log, 4)[-1].index
    honest = inserted(log, last + 1, EVIL)
    forged = changed(honest, last + 1, **fields(LABELS[name](EVIL)))

    assert is_seen_through(held(forged), 4) is (name != "as it was")


def fields(event: Event) -> dict[str, object]:
    return {"reported_type": event.reported_type, "data": event.data}


@pytest.mark.parametrize("name", IMAGE_LABELS)
def test_a_loader_under_another_image_label_is_still_an_image_to_be_recognised(name: str) -> None:
    boot = held(appended(ON, IMAGE_LABELS[name](EVIL)))

    assert EVIL.digests[SHA256] in {image.digests[SHA256] for image in boot.facts.images}


def test_a_loader_cannot_hide_as_text_whose_hash_it_is() -> None:
    """The attacker has what was hashed, so that he can put all of it beside the digest."""
    program = b"MZ\x90\0" + bytes(range(256)) * 8
    forged = appended(ON, measured(4, EventType.EFI_ACTION, program, banks=BANKS))

    assert is_seen_through(held(forged), 4)


@pytest.mark.parametrize("name", [*LABELS, *IMAGE_LABELS])
def test_the_action_that_starts_a_loader_cannot_be_hidden(name: str) -> None:
    start = next(event.index for event in of_pcr(ON, 4) if event.reported_type == EventType.EFI_ACTION)
    change = (LABELS | IMAGE_LABELS)[name]
    forged = changed(ON, start, **fields(change(ON.events[start])))

    assert is_seen_through(held(forged), 4) is (name not in ("as it was", "an action with its data"))


def test_a_loader_becomes_no_legacy_boot_code_by_an_action_behind_it() -> None:
    late = measured(4, EventType.ACTION, b"Returned INT 19h", banks=BANKS)
    last = of_pcr(ON, 4)[-1].index
    forged = inserted(ON, last + 1, relabelled(EVIL, EventType.IPL, b"IPL code"), late)

    assert is_seen_through(held(forged), 4)


# --- PCR 5: what the loader was told

GPT = next(event for event in of_pcr(ON, 5) if event.reported_type == EventType.EFI_GPT_EVENT)
CLAIMS_NOTHING = {"as it was", "a tagged event"}
"""A tagged event of PCR 5 claims nothing that anybody believes: systemd-boot measures its settings as one."""


@pytest.mark.parametrize("name", [*LABELS, *IMAGE_LABELS])
def test_a_measurement_of_pcr_5_cannot_pass_for_what_has_no_place_there(name: str) -> None:
    forged = changed(ON, GPT.index, **fields((LABELS | IMAGE_LABELS)[name](GPT)))

    assert is_seen_through(held(forged), 5) is (name not in CLAIMS_NOTHING)


def test_a_partition_table_with_other_data_is_not_affirmed() -> None:
    boot = held(changed(ON, GPT.index, data=GPT.data[:-1] + b"\xff"))

    assert [(f.id, f.tier) for f in boot.findings if f.at.pcr == 5] == [("boot.digest", Tier.WARNING)]


@pytest.mark.parametrize("pcr", [4, 5, 7])
@pytest.mark.parametrize("data", [CLOSING, ONES])
@pytest.mark.parametrize("kind", [EventType.IPL, EventType.EFI_ACTION, EventType.EFI_VARIABLE_AUTHORITY, IMAGES[0]])
def test_a_separator_cannot_be_hidden(pcr: int, data: bytes, kind: EventType) -> None:
    event = next(event for event in of_pcr(ON, pcr) if event.reported_type == EventType.SEPARATOR)
    true = changed(ON, event.index, data=data, digests=digests(data, BANKS))

    assert is_seen_through(held(changed(true, event.index, reported_type=kind)), pcr)
