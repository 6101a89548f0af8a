"""One boot log seen through one bank: the events that extend it, and what each PCR may hold. It judges nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from bartizan.model.boot_log import BootLog, Event, EventType, LogFormat
from bartizan.model.digest import HashAlg
from bartizan.model.result import Pointer
from bartizan.verify.replay import extending

PCR_SEPARATORS: Mapping[int, int] = dict.fromkeys(range(8), 1)
"""Each of PCR 0–7 is closed by one separator; PFP 1.06, 3.3.2."""
REGISTER_SEPARATORS: Mapping[int, int] = {1: 3, 2: 5}
"""CCEL: register 1 takes the events of PCR 0, 1 and 7, register 2 those of PCR 2 to 6; UEFI 2.10, 38.2.2."""
STRICT_PCRS = frozenset({4, 5, 7})
"""Where a look-alike is contraindicated; elsewhere genuine firmware is known to write one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogView:
    """What of a log counts in one bank.

    events: those that extend this bank; an event without a digest in it changes nothing here and proves nothing.
    early: the events of the PCRs that firmware closes with separators; separators: how many it writes into each.
    strict: PCRs where a look-alike is contraindicated; none in a CCEL, where one register mixes several PCRs.
    """

    log: BootLog
    alg: HashAlg
    events: tuple[Event, ...]
    early: tuple[Event, ...]
    separators: Mapping[int, int]
    strict: frozenset[int]
    is_uefi: bool

    @property
    def has_pcrs(self) -> bool:
        """Its indices are PCRs of a TPM and not registers of a confidential machine."""
        return self.log.format is not LogFormat.CCEL

    def is_hash_of(self, event: Event, data: bytes) -> bool:
        """The event's digest is H(data)."""
        return event.digests[self.alg] == self.alg.digest(data)

    def at(self, event: Event) -> Pointer:
        """The pointer to an event."""
        return Pointer(pcr=event.pcr, event=event.index, bank=self.alg.label)


def view(log: BootLog, alg: HashAlg) -> LogView:
    """The log through this bank."""
    events = tuple(event for event in extending(log) if alg in event.digests)
    is_ccel = log.format is LogFormat.CCEL
    separators = REGISTER_SEPARATORS if is_ccel else PCR_SEPARATORS
    return LogView(
        log=log,
        alg=alg,
        events=events,
        early=tuple(event for event in events if event.pcr in separators),
        separators=separators,
        strict=frozenset() if is_ccel else STRICT_PCRS,
        is_uefi=any(event.reported_type >= EventType.EFI_EVENT_BASE for event in events),
    )
