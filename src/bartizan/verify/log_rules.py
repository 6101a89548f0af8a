"""Rules that a boot log must keep by itself, whatever its PCRs: digests, separators, look-alikes, order.

Event types are not covered by digests. An attacker who may extend PCRs can relabel the events of a bad boot and append
the events of a good one, and the log still replays. So each event is held to what its PCR may contain, and a digest is
computed again from the data wherever the specification says how (PFP 1.06, 10.4 and 3.3.4).
"""

from collections.abc import Iterator

from bartizan.errors import DecodeError
from bartizan.formats.uefi import decode_variable
from bartizan.model.boot_log import (
    EFI_ACTION,
    GOOD_SEPARATORS,
    GPT_EVENT,
    NO_ACTION,
    SEPARATOR,
    BootLog,
    Event,
    EventType,
    type_label,
)
from bartizan.model.digest import HashAlg
from bartizan.model.result import Finding, Tier
from bartizan.verify.boot_facts import IMAGE_TYPES
from bartizan.verify.log_view import LogView, view
from bartizan.verify.outcome import outcome
from bartizan.verify.replay import is_startup_locality, startup_event
from bartizan.verify.secure_boot_rules import secure_boot_order

ERROR_SEPARATOR = b"\x01\x00\x00\x00"
BOOT_EXITED = b"Exit Boot Services Returned with Success"
EFI_BOOT_ACTIONS = (
    b"Calling EFI Application from Boot Option",
    b"Returning from EFI Application from Boot Option",
    b"Exit Boot Services Invocation",
    b"Exit Boot Services Returned with Failure",
    BOOT_EXITED,
)
"""Strings that every UEFI measures into PCR 4 and 5; PFP 1.06, 10.4.4."""
BIOS_BOOT_ACTIONS = frozenset({b"Calling INT 19h", b"Returned INT 19h", b"Return via INT 18h"})
"""What a firmware measures into PCR 4 when it boots as a BIOS would; TCG PC Client Conventional BIOS 1.21, 11.3.3."""
BOOT_OMITTED = b"BOOT ATTEMPTS OMITTED"
MAX_ACTION = 128
"""Bytes of an action's text; the longest that the specification has is 47."""
SECURE_BOOT_NAME = bytes.fromhex("61dfe48bca93d211aa0d00e098032b8c") + (10).to_bytes(8, "little")
SECURE_BOOT_FORMS = tuple(
    SECURE_BOOT_NAME + len(value).to_bytes(8, "little") + "SecureBoot".encode("utf-16-le") + value
    for value in (b"", b"\0", b"\1")
)
"""The three event data that the variable SecureBoot can have: nothing of it varies but its value."""
BOOT_VARIABLES = frozenset({EventType.EFI_VARIABLE_BOOT, EventType.EFI_VARIABLE_BOOT2})
VARIABLES = BOOT_VARIABLES | {EventType.EFI_VARIABLE_DRIVER_CONFIG}
ACTIONS = frozenset({EventType.ACTION, EventType.EFI_ACTION})
BOOT_CODE_PCR = 4
BOOT_SETTINGS_PCR = 5
PLACES = {
    BOOT_CODE_PCR: IMAGE_TYPES | ACTIONS | {EventType.SEPARATOR, EventType.OMIT_BOOT_DEVICE_EVENTS},
    BOOT_SETTINGS_PCR: VARIABLES
    | ACTIONS
    | {EventType.SEPARATOR, EventType.EFI_GPT_EVENT, EventType.EFI_GPT_EVENT2, EventType.EVENT_TAG},
}
"""The types that PCR 4 and 5 may hold; PFP 1.06, 3.3.4.5 and 3.3.4.6. Tagged events: systemd-boot's loader.conf."""
BIOS_PLACES = {
    BOOT_CODE_PCR: frozenset({EventType.IPL, EventType.COMPACT_HASH}),
    BOOT_SETTINGS_PCR: frozenset({EventType.IPL_PARTITION_DATA}),
}
"""What they hold besides, once the firmware has begun to boot as a BIOS would."""


def check_log(log: BootLog, alg: HashAlg) -> tuple[Finding, ...]:
    """Everything in the log that breaks a rule of its own; empty for a log that keeps them all.

    A CCEL's registers take the events of several PCRs each: its separators are counted by that, and the rules about
    single PCRs are left out.
    """
    seen = view(log, alg)
    rules = (
        _digests,
        _separators,
        _separator_counts,
        _look_alikes,
        secure_boot_order,
        _places,
        _after_exit,
        _localities,
    )
    return tuple(finding for rule in rules for finding in rule(seen))


def variable_digest_holds(event: Event, alg: HashAlg) -> bool:
    """The digest is the hash of what the specification says for a UEFI variable event.

    Of the whole event data for configuration and authority, of the event data or the variable's data for boot options.
    """
    digest = event.digests.get(alg)
    return digest == alg.digest(event.data) or _is_hash_of_boot_variable(event, alg)


def _is_hash_of_boot_variable(event: Event, alg: HashAlg) -> bool:
    if event.reported_type not in BOOT_VARIABLES:
        return False
    try:
        return event.digests.get(alg) == alg.digest(decode_variable(event.data).data)
    except DecodeError:
        return False


def _digests(seen: LogView) -> Iterator[Finding]:
    """(1) A digest that the specification defines as a hash of the data is that hash."""
    for event in seen.events:
        kind = event.reported_type
        if kind in VARIABLES:
            holds, tier = variable_digest_holds(event, seen.alg), Tier.CONTRAINDICATED
        elif kind == GPT_EVENT:
            holds, tier = seen.is_hash_of(event, event.data), Tier.WARNING
        elif kind == EFI_ACTION and event.pcr in seen.strict:
            holds, tier = seen.is_hash_of(event, event.data), Tier.CONTRAINDICATED
        else:
            continue
        if not holds:
            why = f"the digest of this {type_label(kind)} is not the hash of its data: the data was changed"
            yield outcome("boot.digest", tier, why, seen.at(event))


def _separators(seen: LogView) -> Iterator[Finding]:
    """(2) A separator that firmware writes is 00000000 or ffffffff and its digest is the hash of that."""
    for event in seen.events:
        if event.reported_type != SEPARATOR:
            continue
        by_firmware = event.pcr in seen.separators
        if by_firmware and seen.is_hash_of(event, ERROR_SEPARATOR):
            why = f"the firmware reports an error: the separator of PCR {event.pcr} has the value 1"
            yield outcome("boot.separator", Tier.CONTRAINDICATED, why, seen.at(event))
        elif not seen.is_hash_of(event, event.data):
            tier = Tier.CONTRAINDICATED if event.pcr in seen.strict else Tier.WARNING
            why = f"an event called a separator of PCR {event.pcr} does not have a separator's digest"
            yield outcome("boot.look-alike", tier, why, seen.at(event))
        elif by_firmware and event.data not in GOOD_SEPARATORS:
            why = f"the separator of PCR {event.pcr} is neither 00000000 nor ffffffff but {event.data[:8].hex()}"
            yield outcome("boot.separator", Tier.CONTRAINDICATED, why, seen.at(event))


def _separator_counts(seen: LogView) -> Iterator[Finding]:
    """(3) Each of PCR 0–7 has one separator, not two; a register as many as PCRs stand behind it."""
    counts = dict.fromkeys(seen.separators, 0)
    for event in seen.early:
        if event.reported_type != SEPARATOR:
            continue
        counts[event.pcr] += 1
        if counts[event.pcr] > seen.separators[event.pcr]:
            why = f"PCR {event.pcr} has a second separator: the firmware's part of the boot was closed twice"
            if not seen.has_pcrs:
                why = f"register {event.pcr} has more than the {seen.separators[event.pcr]} separators of its PCRs"
            yield outcome("boot.separator", Tier.CONTRAINDICATED, why, seen.at(event))


def _look_alikes(seen: LogView) -> Iterator[Finding]:
    """(4) No event carries the digest of a separator, of a well-known action or of SecureBoot under another label."""
    separators = {seen.alg.digest(data) for data in (*GOOD_SEPARATORS, ERROR_SEPARATOR)}
    actions = {seen.alg.digest(data): data.decode() for data in EFI_BOOT_ACTIONS}
    settings = {seen.alg.digest(data) for data in SECURE_BOOT_FORMS}
    for event in seen.early:
        digest, kind, strict = event.digests[seen.alg], event.reported_type, event.pcr in seen.strict
        if digest in separators and kind != SEPARATOR and not _is_hash_of_boot_variable(event, seen.alg):
            why = f"an event called {type_label(kind)} has the digest of a separator"
            why += "" if strict else f"; in PCR {event.pcr} this decides nothing, and genuine firmware writes it"
        elif strict and digest in actions and kind not in ACTIONS:
            why = f"an event called {type_label(kind)} has the digest of the action {actions[digest]!a}"
        elif strict and digest in settings and kind != EventType.EFI_VARIABLE_DRIVER_CONFIG:
            why = f"an event called {type_label(kind)} has the digest of the variable SecureBoot"
        else:
            continue
        yield outcome("boot.look-alike", Tier.CONTRAINDICATED if strict else Tier.WARNING, why, seen.at(event))


def _places(seen: LogView) -> Iterator[Finding]:
    """(6) PCR 4 and 5 hold only what belongs there, so that no loader passes for something that is not judged."""
    if not (seen.is_uefi and seen.has_pcrs):
        return
    as_bios = False
    for event in seen.early:
        kind = event.reported_type
        if event.pcr not in PLACES:
            continue
        if kind not in PLACES[event.pcr] and not (as_bios and kind in BIOS_PLACES[event.pcr]):
            why = f"an event of type {type_label(kind)} has no place in PCR {event.pcr}"
            yield outcome("boot.look-alike", Tier.CONTRAINDICATED, why, seen.at(event))
        elif not _says_what_was_hashed(event, seen):
            why = f"this {type_label(kind)} of PCR {event.pcr} is not a text whose hash is its digest"
            yield outcome("boot.look-alike", Tier.CONTRAINDICATED, why, seen.at(event))
        elif kind == EventType.ACTION and event.data.rstrip(b"\0") in BIOS_BOOT_ACTIONS:
            as_bios = as_bios or event.pcr == BOOT_CODE_PCR


def _says_what_was_hashed(event: Event, seen: LogView) -> bool:
    """True of types that carry no text; a text is short, printable and what the digest covers."""
    text = event.data.rstrip(b"\0")
    if event.reported_type == EventType.OMIT_BOOT_DEVICE_EVENTS:
        return text == BOOT_OMITTED and seen.is_hash_of(event, event.data)
    if event.reported_type not in ACTIONS:
        return True
    printable = len(text) <= MAX_ACTION and text.isascii() and text.decode("ascii").isprintable()
    return printable and seen.is_hash_of(event, event.data)


def _after_exit(seen: LogView) -> Iterator[Finding]:
    """(7) Nothing boots after the boot services have ended."""
    exited = False
    for event in seen.early if seen.has_pcrs else ():
        if exited and event.pcr in PLACES:
            why = f"PCR {event.pcr} was extended after the operating system had taken over from the firmware"
            yield outcome("boot.after-exit", Tier.CONTRAINDICATED, why, seen.at(event))
        exited = exited or (event.pcr == BOOT_SETTINGS_PCR and event.data == BOOT_EXITED)


def _localities(seen: LogView) -> Iterator[Finding]:
    """(8) Only one StartupLocality event, before anything extends PCR 0, counts."""
    counted = startup_event(seen.log)
    for event in seen.log.events:
        if event.reported_type == NO_ACTION and is_startup_locality(event) and event is not counted:
            why = f"a StartupLocality {event.data[-1]} that comes second or after the first measurement is ignored"
            yield outcome("boot.locality", Tier.WARNING, why, seen.at(event))
