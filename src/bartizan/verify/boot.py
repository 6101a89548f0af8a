"""A boot log held against quoted PCRs: which PCR is explained, and by which events. It judges no content.

Steps:
(1) the log keeps its own rules (`log_rules`);
(2) each boot PCR (0–9, 11–15, and 17–22 after a dynamic launch) of each quoted bank equals its replay, or its reset
    value where no log speaks of it; TPM 2.0 Part 1, 17; PFP 1.06, 3.3;
(3) the pinned bank decides; the other banks are reported.
"""

from collections.abc import Iterator, Mapping, Sequence

from bartizan.model.boot_log import BootLog, Event, EventType
from bartizan.model.digest import HashAlg, PcrBanks, PcrValues
from bartizan.model.evidence import PcrExplanation, VerifiedBoot
from bartizan.model.result import Finding, Pointer, Tier
from bartizan.verify.boot_facts import extract_facts
from bartizan.verify.log_rules import check_log
from bartizan.verify.outcome import outcome
from bartizan.verify.replay import LAUNCH_PCRS, replay

BOOT_PCRS = (*range(10), *range(11, 16), *range(17, 23))
LAUNCH_PCR = 17


def verify_boot(
    log: BootLog | None,
    pcrs: PcrBanks,
    *,
    pinned: HashAlg,
    launch_log: BootLog | None = None,
    untrusted_command_line: str | None = None,
) -> VerifiedBoot:
    """Hold the boot log, and the dynamic launch's own log if there is one, against PCR values."""
    launched = _launched(pcrs.get(pinned, {}), pinned)
    findings: list[Finding] = []
    for part in (log, launch_log):  # (1)
        if part is not None and pinned in part.algorithms:
            findings += check_log(part, pinned)
    everything = tuple(_events((log, launch_log)))
    by_pcr: dict[int, list[int]] = {}
    for event in everything:
        by_pcr.setdefault(event.pcr, []).append(event.index)
    explanations = tuple(  # (2)
        explanation
        for bank, values in pcrs.items()
        for explanation in _explain_bank(
            bank, values, replayed=_replayed((log, launch_log), bank), by_pcr=by_pcr, launched=launched
        )
    )
    findings += _said(log, explanations, pinned=pinned, launched=launched)  # (3)
    explained = {e.pcr for e in explanations if e.explained and e.bank == pinned}
    events = tuple(event for event in everything if event.pcr in explained)
    return VerifiedBoot(
        log=log,
        launch_log=launch_log,
        explanations=explanations,
        events=events,
        facts=extract_facts(log, events, pinned, untrusted_command_line=untrusted_command_line),
        launched=launched,
        findings=tuple(findings),
    )


def _events(logs: tuple[BootLog | None, ...]) -> Iterator[Event]:
    for log in logs:
        if log is not None:
            yield from (event for event in log.events if event.reported_type != EventType.NO_ACTION)


def _launched(values: PcrValues, bank: HashAlg) -> bool:
    """PCR 17 has left its reset value, which only a dynamic launch can do; TPM 2.0 Part 1, 17.4 and 34."""
    value = values.get(LAUNCH_PCR)
    return value is not None and value not in (b"\xff" * bank.size, bytes(bank.size))


def _replayed(logs: tuple[BootLog | None, ...], bank: HashAlg) -> dict[int, bytes]:
    values: dict[int, bytes] = {}
    for log in logs:
        if log is not None and bank in log.algorithms:
            values.update(replay(log, bank))
    return values


def _explain_bank(
    bank: HashAlg,
    values: PcrValues,
    *,
    replayed: PcrValues,
    by_pcr: Mapping[int, Sequence[int]],
    launched: bool,
) -> Iterator[PcrExplanation]:
    for pcr in BOOT_PCRS:
        if pcr not in values:
            continue
        if pcr in replayed:
            holds = values[pcr] == replayed[pcr]
            yield PcrExplanation(pcr=pcr, bank=bank, explained=holds, events=tuple(by_pcr[pcr]))
        else:
            holds = values[pcr] in reset_values(pcr, bank, launched=launched)
            yield PcrExplanation(pcr=pcr, bank=bank, explained=holds, events=())


def reset_values(pcr: int, bank: HashAlg, *, launched: bool) -> tuple[bytes, ...]:
    """What a PCR holds while nothing has extended it; PC Client Platform TPM Profile 1.05, 4.6."""
    zero = bytes(bank.size)
    return (zero,) if pcr not in LAUNCH_PCRS or launched else (b"\xff" * bank.size, zero)


def _said(
    log: BootLog | None, explanations: tuple[PcrExplanation, ...], *, pinned: HashAlg, launched: bool
) -> Iterator[Finding]:
    if log is None:
        yield outcome("boot.log-present", Tier.NONE, "no boot log came with the evidence: nothing explains the PCRs")
    else:
        yield outcome("boot.log-present", Tier.AFFIRMING, f"a boot log with {len(log.events)} events")
    faults = [e for e in explanations if e.bank == pinned and not e.explained]
    yield from (_unexplained(fault) for fault in faults if fault.pcr not in LAUNCH_PCRS)
    boot_faults = [fault for fault in faults if fault.pcr not in LAUNCH_PCRS]
    checked = [e.pcr for e in explanations if e.bank == pinned and e.pcr not in LAUNCH_PCRS]
    if checked and not boot_faults:
        why = f"the log explains all {len(checked)} boot PCRs of the {pinned.label} bank"
        yield outcome("boot.pcr-explained", Tier.AFFIRMING, why)
    if launched:
        yield from _launch([fault for fault in faults if fault.pcr in LAUNCH_PCRS])
    yield from _other_banks(explanations, pinned)


def _unexplained(fault: PcrExplanation) -> Finding:
    at = Pointer(pcr=fault.pcr, bank=fault.bank.label)
    if fault.events:
        why = (
            f"PCR {fault.pcr} is not explained by the log: its {len(fault.events)} events lead to another value,"
            " so events were changed, removed, or added behind the log"
        )
        return outcome("boot.pcr-explained", Tier.CONTRAINDICATED, why, at)
    why = f"PCR {fault.pcr} is not explained by the log: it was extended, and the log has no event for it"
    return outcome("boot.pcr-explained", Tier.NONE, why, at)


def _launch(faults: list[PcrExplanation]) -> Iterator[Finding]:
    if not faults:
        yield outcome("launch.explained", Tier.AFFIRMING, "a dynamic launch happened, and its log explains PCR 17–22")
    for fault in faults:
        at = Pointer(pcr=fault.pcr, bank=fault.bank.label)
        if fault.events:
            why = f"PCR {fault.pcr} of the dynamic launch is not what its log leads to"
            yield outcome("launch.explained", Tier.CONTRAINDICATED, why, at)
        else:
            why = f"a dynamic launch happened (PCR {fault.pcr} has left its reset value) and no log explains it"
            yield outcome("launch.explained", Tier.NONE, why, at)


def _other_banks(explanations: tuple[PcrExplanation, ...], pinned: HashAlg) -> Iterator[Finding]:
    for bank in sorted({e.bank for e in explanations if e.bank != pinned}):
        faults = [str(e.pcr) for e in explanations if e.bank == bank and not e.explained]
        if faults:
            why = f"the {bank.label} bank, which does not decide, is not explained in PCR {', '.join(faults)}"
            yield outcome("boot.other-bank", Tier.WARNING, why, Pointer(bank=bank.label))
        else:
            why = f"the {bank.label} bank is explained as well"
            yield outcome("boot.other-bank", Tier.AFFIRMING, why, Pointer(bank=bank.label))
