"""What PCR 7 may hold, and in which order: the rule that a hidden Secure Boot setting breaks. It reads no setting.

The first events of PCR 7 are the variables SecureBoot, PK, KEK, db and dbx (PFP 1.06, 3.3.4.8), and the digest of each
is the hash of its data. An attacker cannot move the true ones, only give them other labels; so whatever stands before
or among them is a fault, and so is whatever sets a variable later.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from bartizan.errors import DecodeError
from bartizan.formats.uefi import decode_variable
from bartizan.model.boot_log import POLICY_PCR, Event, EventType, type_label
from bartizan.model.result import Finding, Tier
from bartizan.verify.log_view import LogView
from bartizan.verify.outcome import outcome

SECURE_BOOT_VARIABLES = ("SecureBoot", "PK", "KEK", "db", "dbx")
"""What firmware measures into PCR 7 first, in this order; PFP 1.06, 3.3.4.8."""
NEVER_AUTHORITIES = frozenset({"SecureBoot", "PK", "KEK", "dbx", "AuditMode", "DeployedMode", "SetupMode"})
"""Variables that let no code run, so that none of them can be what allowed an image."""
POLICY_ACTIONS = frozenset({b"DMA Protection Disabled", b"UEFI Debug Mode", b"Security Level is Downgraded to 0"})
"""Strings that firmware is known to measure into PCR 7 (PFP 1.06, 3.3.4.8; the last one for Thunderbolt)."""
DEVICE_DATABASE = "devdb"
DEVICE_TYPES = frozenset({EventType.EFI_SPDM_DEVICE_POLICY, EventType.EFI_SPDM_DEVICE_AUTHORITY})
"""Which devices may be used, told as a variable; the other SPDM events belong to PCR 2 and 3 (PFP 1.06, 3.3.4)."""

MAX_POINTED = 50
"""Faults that are told; PCR 7 of a real machine has at most some ten events."""

Fault = tuple[Tier, str]


@dataclass(slots=True, kw_only=True)
class _Story:
    """How far the tale of PCR 7 has come: the variables set so far, and whether firmware has closed it."""

    known: set[str] = field(default_factory=set)
    faults: int = 0
    separated: bool = False
    judged_complete: bool = False

    @property
    def missing(self) -> list[str]:
        return [name for name in SECURE_BOOT_VARIABLES if name not in self.known]


def secure_boot_order(view: LogView) -> Iterator[Finding]:
    """PCR 7 holds SecureBoot, PK, KEK, db, dbx once, first and in this order; then only what may follow."""
    if not (view.is_uefi and view.has_pcrs):
        return
    story = _Story()
    for event in view.early:
        if event.pcr == POLICY_PCR:
            for tier, why in _faults(event, view, story):
                story.faults += 1
                if story.faults <= MAX_POINTED:
                    yield outcome("boot.order", tier, why, view.at(event))
            story.separated = story.separated or event.reported_type == EventType.SEPARATOR


def _faults(event: Event, view: LogView, story: _Story) -> Iterator[Fault]:
    """What is wrong with one event of PCR 7."""
    kind = event.reported_type
    if kind in (EventType.EFI_ACTION, EventType.ACTION):
        if event.data.rstrip(b"\0") not in POLICY_ACTIONS or not view.is_hash_of(event, event.data):
            yield Tier.CONTRAINDICATED, "PCR 7 holds an action that no firmware is known to measure there"
        return
    name = _name(event)
    if kind == EventType.EFI_VARIABLE_DRIVER_CONFIG:
        yield from _configuration(name, story)
        return
    if not story.judged_complete:
        story.judged_complete = True
        yield from _completeness(kind, story)
    if kind == EventType.EFI_VARIABLE_AUTHORITY:
        yield from _authority(event, name, view=view, story=story)
    elif kind in DEVICE_TYPES:
        yield from _device(event, name, view)
    elif kind != EventType.SEPARATOR:
        yield Tier.CONTRAINDICATED, f"an event of type {type_label(kind)} has no place in PCR 7"


def _name(event: Event) -> str | None:
    try:
        return decode_variable(event.data).name
    except DecodeError:
        return None


def _configuration(name: str | None, story: _Story) -> Iterator[Fault]:
    if name is None:
        yield Tier.CONTRAINDICATED, "a variable in PCR 7 cannot be read"
        return
    if story.separated:
        why = f"the variable {name!a} is measured after the separator, when the firmware had closed PCR 7"
        yield Tier.CONTRAINDICATED, why
    elif name in story.known:
        yield Tier.CONTRAINDICATED, f"the variable {name!a} is measured twice"
    elif story.missing and name != story.missing[0] and (name in SECURE_BOOT_VARIABLES or not story.known):
        why = f"the variable {name!a} is not measured in the order SecureBoot, PK, KEK, db, dbx"
        yield Tier.CONTRAINDICATED, why
    story.known.add(name)


def _completeness(kind: int, story: _Story) -> Iterator[Fault]:
    """The first event that sets no variable: all five must have come, else some hide under another name."""
    if not story.known and kind != EventType.SEPARATOR:
        yield Tier.CONTRAINDICATED, f"PCR 7 begins with {type_label(kind)} and not with the variable SecureBoot"
    elif story.missing:
        why = f"the firmware measured no {', '.join(story.missing)} into PCR 7, as it must even where they are empty"
        yield Tier.WARNING, why


def _authority(event: Event, name: str | None, *, view: LogView, story: _Story) -> Iterator[Fault]:
    if name in NEVER_AUTHORITIES:
        yield Tier.CONTRAINDICATED, f"the policy variable {name} is measured as an authority"
    if not story.separated and not view.is_hash_of(event, event.data):
        # Behind the separator shim measures too, and its old versions hashed something else than they logged.
        why = "the digest of an authority that the firmware measured is not the hash of its data: the data was changed"
        yield Tier.CONTRAINDICATED, why


def _device(event: Event, name: str | None, view: LogView) -> Iterator[Fault]:
    if name != DEVICE_DATABASE or not view.is_hash_of(event, event.data):
        why = f"this {type_label(event.reported_type)} is not the variable {DEVICE_DATABASE} that such an event holds"
        yield Tier.CONTRAINDICATED, why
