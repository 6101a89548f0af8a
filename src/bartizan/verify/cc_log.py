"""A confidential machine's log (CCEL) held against its measurement registers. It verifies no quote.

A register takes the events of several PCRs: 1 (RTMR0) of PCR 1 and 7, 2 (RTMR1) of PCR 2 to 6, 3 (RTMR2) of PCR 8
to 15, 4 (RTMR3) none of them (UEFI 2.10, 38.4.1). Steps:
(1) what PCR 7 must hold stands in register 1: SecureBoot, PK, KEK, db, dbx once, in this order, under no other label;
(2) the firmware's registers are closed when the boot services have ended;
(3) each register that is given equals its replay, or zero where the log has no event for it.
The running system may extend registers 3 and 4 itself, so a difference there says less than one in 1 and 2.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bartizan.errors import DecodeError
from bartizan.formats.uefi import decode_variable
from bartizan.model.boot_log import BootLog, EventType, LogFormat, type_label
from bartizan.model.digest import HashAlg, PcrValues
from bartizan.model.result import Finding, Pointer, Tier
from bartizan.model.tdx import REGISTER_NAMES, TdxQuote
from bartizan.verify.log_rules import BOOT_EXITED, SECURE_BOOT_FORMS
from bartizan.verify.log_view import LogView, view
from bartizan.verify.outcome import outcome
from bartizan.verify.replay import replay
from bartizan.verify.secure_boot_rules import SECURE_BOOT_VARIABLES

REGISTERS = frozenset(range(1, 5))
"""Indices that can be extended; 0 is the initial image (MRTD), of which no log speaks."""
POLICY_REGISTER, BOOT_REGISTER = 1, 2
RUNTIME_REGISTERS = frozenset({3, 4})
"""What Linux lets the running system extend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterComparison:
    """Which registers are what the log leads to, and what that means; `matches` by index."""

    matches: Mapping[int, bool]
    findings: tuple[Finding, ...]


def register_name(index: int, alg: HashAlg) -> str:
    """`RTMR0` where the bank is TDX's, else `register 1`."""
    return REGISTER_NAMES.get(index, f"register {index}") if alg is HashAlg.SHA384 else f"register {index}"


def check_registers(log: BootLog, alg: HashAlg) -> tuple[Finding, ...]:
    """What in a CCEL breaks the rules that `check_log` leaves to its registers; nothing for another log."""
    if log.format is not LogFormat.CCEL:
        return ()
    seen = view(log, alg)
    return (*_policy(seen), *_after_exit(seen))


def _policy(seen: LogView) -> Iterator[Finding]:
    """(1) Secure Boot's variables; PFP 1.06, 3.3.4.8."""
    settings = {seen.alg.digest(data) for data in SECURE_BOOT_FORMS}
    waiting = list(SECURE_BOOT_VARIABLES)
    for event in seen.events:
        if event.pcr not in seen.separators:
            continue
        kind = event.reported_type
        if kind != EventType.EFI_VARIABLE_DRIVER_CONFIG or event.pcr != POLICY_REGISTER:
            if event.digests[seen.alg] in settings:
                why = f"an event called {type_label(kind)} has the digest of the variable SecureBoot"
                yield outcome("boot.look-alike", Tier.CONTRAINDICATED, why, seen.at(event))
            continue
        name = _variable_name(event.data)
        if name is None or (name in SECURE_BOOT_VARIABLES and name != (waiting[0] if waiting else None)):
            why = f"the variable {name!a} is not measured once and in the order SecureBoot, PK, KEK, db, dbx"
            yield outcome("boot.order", Tier.CONTRAINDICATED, why, seen.at(event))
        elif name in SECURE_BOOT_VARIABLES:
            waiting.pop(0)


def _variable_name(data: bytes) -> str | None:
    try:
        return decode_variable(data).name
    except DecodeError:
        return None


def _after_exit(seen: LogView) -> Iterator[Finding]:
    """(2) Nothing of the firmware's comes after the end of its boot services."""
    exited = False
    for event in seen.events:
        if exited and event.pcr in seen.separators:
            name = register_name(event.pcr, seen.alg)
            why = f"{name} was extended after the operating system had taken over from the firmware"
            yield outcome("boot.after-exit", Tier.CONTRAINDICATED, why, seen.at(event))
        exited = exited or (event.pcr == BOOT_REGISTER and event.data == BOOT_EXITED)


def compare_registers(log: BootLog, values: PcrValues, alg: HashAlg) -> RegisterComparison:
    """(3) Hold a CCEL against register values by index; an index that is no register is passed over."""
    replayed = replay(log, alg)
    matches = {
        index: value == replayed.get(index, bytes(alg.size)) for index, value in values.items() if index in REGISTERS
    }
    return RegisterComparison(matches=matches, findings=tuple(_said(matches, replayed, alg)))


def _said(matches: Mapping[int, bool], replayed: PcrValues, alg: HashAlg) -> Iterator[Finding]:
    for index in (index for index, holds in matches.items() if not holds):
        name, at = register_name(index, alg), Pointer(pcr=index, bank=alg.label)
        if index not in replayed:
            why = f"{name} is not explained: it was extended, and the log has no event for it"
            yield outcome("cc.registers-explained", Tier.NONE, why, at)
        elif index in RUNTIME_REGISTERS:
            why = f"{name} is not what the log leads to: the running system extended it further, or events were changed"
            yield outcome("cc.registers-explained", Tier.NONE, why, at)
        else:
            why = f"{name} is not what the log leads to: events were changed, removed, or added behind the log"
            yield outcome("cc.registers-explained", Tier.CONTRAINDICATED, why, at)
    if matches and all(matches.values()):
        names = ", ".join(register_name(index, alg) for index in sorted(matches))
        yield outcome("cc.registers-explained", Tier.AFFIRMING, f"the log explains {names}")


def check_quote(quote: TdxQuote) -> tuple[Finding, ...]:
    """What a TDX quote says about itself, before anybody has verified it."""
    why = "the quote's signature was not verified: its registers are so far the machine's own word"
    found = [outcome("cc.quote-signature", Tier.NONE, why)]
    if quote.report.under_debug:
        why = "the trust domain runs under debug: its host can read and change its memory"
        found.append(outcome("cc.debug", Tier.CONTRAINDICATED, why))
    return tuple(found)
