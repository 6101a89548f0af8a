"""Rules that a boot log must keep by itself, whatever its PCRs: digests, separators, look-alikes, order.

Event types are not covered by digests. An attacker who may extend PCRs can relabel the events of a bad boot and append
the events of a good one, and the log still replays. So each event is held to what its PCR may contain, and a digest is
computed again from the data wherever the specification says how (PFP 1.06, 10.4 and 3.3.4).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bartizan.errors import DecodeError
from bartizan.formats.uefi import decode_variable
from bartizan.model.boot_log import BootLog, Event, EventType, type_label
from bartizan.model.digest import HashAlg
from bartizan.model.result import Finding, Pointer, Tier
from bartizan.verify.outcome import outcome
from bartizan.verify.replay import extending, is_startup_locality, startup_event

FIRMWARE_PCRS = frozenset(range(8))
STRICT_PCRS = frozenset({4, 5, 7})
"""Where a look-alike is contraindicated; elsewhere one genuine firmware is known to write one."""
GOOD_SEPARATORS = (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff")
ERROR_SEPARATOR = b"\x01\x00\x00\x00"
SEPARATORS = (*GOOD_SEPARATORS, ERROR_SEPARATOR)
BOOT_EXITED = b"Exit Boot Services Returned with Success"
SECURE_BOOT_VARIABLES = ("SecureBoot", "PK", "KEK", "db", "dbx")
"""What firmware measures into PCR 7 first, in this order; PFP 1.06, 3.3.4.8."""
POLICY_VARIABLES = frozenset({*SECURE_BOOT_VARIABLES, "dbt", "dbr", "AuditMode", "DeployedMode", "SetupMode"})
POLICY_PCR = 7
SECURE_BOOT_PREFIX = (
    bytes.fromhex("61dfe48bca93d211aa0d00e098032b8c")
    + (10).to_bytes(8, "little")
    + (1).to_bytes(8, "little")
    + "SecureBoot".encode("utf-16-le")
)
"""The event data of the variable SecureBoot before its one byte of value: it never varies."""
SPDM_TYPES = range(EventType.EFI_SPDM_FIRMWARE_BLOB, EventType.EFI_SPDM_DEVICE_AUTHORITY + 1)
PCR7_ACTIONS = frozenset({b"DMA Protection Disabled", b"UEFI Debug Mode", b"Security Level is Downgraded to 0"})
"""Strings that firmware is known to measure into PCR 7 (PFP 1.06, 3.3.4.8; the last one seen on Lenovo machines)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bank:
    """One log seen through one bank; `events` are those that extend a PCR."""

    log: BootLog
    alg: HashAlg
    events: tuple[Event, ...]

    def is_hash_of(self, event: Event, data: bytes) -> bool:
        return event.digests.get(self.alg) == self.alg.digest(data)

    def at(self, event: Event) -> Pointer:
        return Pointer(pcr=event.pcr, event=event.index, bank=self.alg.label)


def check_log(log: BootLog, alg: HashAlg) -> tuple[Finding, ...]:
    """Everything in the log that breaks a rule of its own; empty for a log that keeps them all."""
    bank = _Bank(log=log, alg=alg, events=tuple(extending(log)))
    rules = (_digests, _separators, _separator_counts, _look_alikes, _secure_boot_order, _after_exit, _localities)
    return tuple(finding for rule in rules for finding in rule(bank))


def variable_digest_holds(event: Event, alg: HashAlg) -> bool:
    """The digest is the hash of what the specification says for a UEFI variable event.

    Of the whole event data for configuration and authority, of the event data or the variable's data for boot options.
    """
    digest = event.digests.get(alg)
    if digest == alg.digest(event.data):
        return True
    if event.reported_type not in (EventType.EFI_VARIABLE_BOOT, EventType.EFI_VARIABLE_BOOT2):
        return False
    try:
        return digest == alg.digest(decode_variable(event.data).data)
    except DecodeError:
        return False


def _digests(bank: _Bank) -> Iterator[Finding]:
    """(1) A digest that the specification defines as a hash of the data is that hash."""
    for event in bank.events:
        if bank.alg not in event.digests:
            continue
        kind = event.reported_type
        if kind in (EventType.EFI_VARIABLE_DRIVER_CONFIG, EventType.EFI_VARIABLE_BOOT, EventType.EFI_VARIABLE_BOOT2):
            holds, tier = variable_digest_holds(event, bank.alg), Tier.CONTRAINDICATED
        elif kind == EventType.EFI_ACTION and event.pcr in STRICT_PCRS:
            holds, tier = bank.is_hash_of(event, event.data), Tier.CONTRAINDICATED
        elif kind == EventType.EFI_GPT_EVENT:
            holds, tier = bank.is_hash_of(event, event.data), Tier.WARNING
        else:
            continue
        if not holds:
            why = f"the digest of this {type_label(kind)} is not the hash of its data: the data was changed"
            yield outcome("boot.digest", tier, why, bank.at(event))


def _separators(bank: _Bank) -> Iterator[Finding]:
    """(2) A separator in PCR 0–7 is 00000000 or ffffffff and its digest is the hash of that."""
    for event in bank.events:
        if event.reported_type != EventType.SEPARATOR or bank.alg not in event.digests:
            continue
        if not bank.is_hash_of(event, event.data):
            tier = Tier.CONTRAINDICATED if event.pcr in STRICT_PCRS else Tier.WARNING
            why = f"an event called a separator of PCR {event.pcr} does not have a separator's digest"
            yield outcome("boot.look-alike", tier, why, bank.at(event))
        elif event.pcr in FIRMWARE_PCRS and event.data == ERROR_SEPARATOR:
            why = f"the firmware reports an error: the separator of PCR {event.pcr} has the value 1"
            yield outcome("boot.separator", Tier.CONTRAINDICATED, why, bank.at(event))
        elif event.pcr in FIRMWARE_PCRS and event.data not in GOOD_SEPARATORS:
            why = f"the separator of PCR {event.pcr} is neither 00000000 nor ffffffff but {event.data[:8].hex()}"
            yield outcome("boot.separator", Tier.CONTRAINDICATED, why, bank.at(event))


def _separator_counts(bank: _Bank) -> Iterator[Finding]:
    """(3) Each of PCR 0–7 has one separator, not two."""
    seen: set[int] = set()
    for event in bank.events:
        if event.reported_type != EventType.SEPARATOR or event.pcr not in FIRMWARE_PCRS:
            continue
        if event.pcr in seen:
            why = f"PCR {event.pcr} has a second separator: the firmware's part of the boot was closed twice"
            yield outcome("boot.separator", Tier.CONTRAINDICATED, why, bank.at(event))
        seen.add(event.pcr)


def _look_alikes(bank: _Bank) -> Iterator[Finding]:
    """(4) No event carries a separator's digest under another name."""
    digests = {bank.alg.digest(data) for data in SEPARATORS}
    for event in bank.events:
        if event.reported_type == EventType.SEPARATOR or event.pcr not in FIRMWARE_PCRS:
            continue
        if event.digests.get(bank.alg) in digests:
            strict = event.pcr in STRICT_PCRS
            why = f"an event called {type_label(event.reported_type)} has the digest of a separator" + (
                "" if strict else f"; in PCR {event.pcr} this decides nothing, and one genuine firmware writes it"
            )
            tier = Tier.CONTRAINDICATED if strict else Tier.WARNING
            yield outcome("boot.look-alike", tier, why, bank.at(event))


def _variable_name(event: Event) -> str | None:
    try:
        return decode_variable(event.data).name
    except DecodeError:
        return None


def _secure_boot_order(bank: _Bank) -> Iterator[Finding]:
    """(5) PCR 7 holds SecureBoot, PK, KEK, db, dbx once, first and in this order; then only what may follow."""
    uefi = any(event.reported_type >= EventType.EFI_EVENT_BASE for event in bank.events)
    if not uefi:
        return
    known: list[str] = []
    separated = False
    for event in bank.events:
        if event.pcr != POLICY_PCR:
            continue
        separated = separated or event.reported_type == EventType.SEPARATOR
        why = _policy_fault(event, bank=bank, separated=separated, known=known)
        if why is not None:
            yield outcome("boot.order", Tier.CONTRAINDICATED, why, bank.at(event))


def _policy_fault(event: Event, *, bank: _Bank, separated: bool, known: list[str]) -> str | None:
    """What is wrong with one event of PCR 7, or None; adds the variable it configures to `known`."""
    kind = event.reported_type
    if kind in (EventType.EFI_ACTION, EventType.ACTION):
        holds = event.data.rstrip(b"\0") in PCR7_ACTIONS and bank.is_hash_of(event, event.data)
        return None if holds else "PCR 7 holds an action that no firmware is known to measure there"
    if kind == EventType.EFI_VARIABLE_DRIVER_CONFIG:
        return _configuration_fault(_variable_name(event), separated=separated, known=known)
    if not known:
        return f"PCR 7 begins with {type_label(kind)} and not with the variable SecureBoot"
    if kind == EventType.EFI_VARIABLE_AUTHORITY:
        return _authority_fault(event, bank)
    if kind == EventType.SEPARATOR or kind in SPDM_TYPES:
        return None
    return f"an event of type {type_label(kind)} has no place in PCR 7"


def _configuration_fault(name: str | None, *, separated: bool, known: list[str]) -> str | None:
    if name is None:
        return "a variable in PCR 7 cannot be read"
    if separated:
        return f"the variable {name!a} is measured after the separator, when the firmware had closed PCR 7"
    if name in known:
        return f"the variable {name!a} is measured twice"
    ordered = [variable for variable in known if variable in SECURE_BOOT_VARIABLES]
    known.append(name)
    following = SECURE_BOOT_VARIABLES[len(ordered)] if len(ordered) < len(SECURE_BOOT_VARIABLES) else None
    if (name in SECURE_BOOT_VARIABLES or not ordered) and name != following:
        return f"the variable {name!a} is not measured in the order SecureBoot, PK, KEK, db, dbx"
    return None


def _authority_fault(event: Event, bank: _Bank) -> str | None:
    name = _variable_name(event)
    if name in POLICY_VARIABLES - {"db", "dbr", "dbt"}:
        return f"the policy variable {name} is measured as an authority"
    if any(bank.is_hash_of(event, SECURE_BOOT_PREFIX + value) for value in (b"\0", b"\1")):
        return "the variable SecureBoot is measured under the name of an authority"
    return None


def _after_exit(bank: _Bank) -> Iterator[Finding]:
    """(6) Nothing boots after the boot services have ended."""
    exited = False
    for event in bank.events:
        if exited and event.pcr in (4, 5):
            why = f"PCR {event.pcr} was extended after the operating system had taken over from the firmware"
            yield outcome("boot.after-exit", Tier.CONTRAINDICATED, why, bank.at(event))
        exited = exited or (event.pcr == 5 and event.data == BOOT_EXITED)  # noqa: PLR2004  PFP 1.06, 3.3.4.6: PCR 5


def _localities(bank: _Bank) -> Iterator[Finding]:
    """(7) Only one StartupLocality event, before anything extends PCR 0, counts."""
    counted = startup_event(bank.log)
    for event in bank.log.events:
        if event.reported_type == EventType.NO_ACTION and is_startup_locality(event) and event is not counted:
            why = f"a StartupLocality {event.data[-1]} that comes second or after the first measurement is ignored"
            yield outcome("boot.locality", Tier.WARNING, why, bank.at(event))
