"""A boot log held against quoted PCRs: which PCR is explained, and by which events. It judges no content.

Steps:
(1) each PCR has one speaker: a dynamic launch's own log for PCR 17–22, the boot log for the others; each keeps its own
    rules (`log_rules`);
(2) each boot PCR (0–9, 11–15, and 17–22 after a dynamic launch) of each quoted bank equals its replay, or its reset
    value where no log speaks of it; TPM 2.0 Part 1, 17; PFP 1.06, 3.3;
(3) the pinned bank decides; the other banks are reported;
(4) what is handed on are events that the pinned bank explains, with the digests of those banks only that explain them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from bartizan.model.boot_log import LAUNCH_PCRS, BootLog, Event, make_event
from bartizan.model.digest import HashAlg, PcrBanks, PcrValues
from bartizan.model.evidence import PcrExplanation, VerifiedBoot
from bartizan.model.result import Finding, Pointer, Tier
from bartizan.verify.boot_facts import extract_facts
from bartizan.verify.log_rules import check_log
from bartizan.verify.outcome import outcome
from bartizan.verify.replay import extending, replay

BOOT_PCRS = (*range(10), *range(11, 16), *range(17, 23))
FIRMWARE_PCRS = range(8)
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
    logs = tuple(_speakers(log, launch_log))  # (1)
    findings = [finding for part in logs for finding in check_log(part, pinned)]
    everything = [event for part in logs for event in extending(part)]
    by_pcr: dict[int, list[int]] = {}
    for event in everything:
        by_pcr.setdefault(event.pcr, []).append(event.index)
    explanations = tuple(  # (2)
        explanation
        for bank, values in pcrs.items()
        for explanation in _explain_bank(bank, values, replayed=_replayed(logs, bank), by_pcr=by_pcr, launched=launched)
    )
    findings += _said(log, explanations, pinned=pinned, launched=launched)  # (3)
    events = tuple(_vouched(everything, explanations, pinned))  # (4)
    return VerifiedBoot(
        log=log,
        launch_log=launch_log,
        explanations=explanations,
        events=events,
        facts=extract_facts(log, events, pinned, untrusted_command_line=untrusted_command_line),
        launched=launched,
        findings=tuple(findings),
    )


def fitting_log(candidates: Sequence[BootLog], pcrs: PcrBanks, *, pinned: HashAlg) -> BootLog | None:
    """Of several logs that came for one quote, the one that explains most PCRs of the pinned bank; the first of equals.

    An operating system that keeps a log for every resume hands over all of them.
    """
    values = pcrs.get(pinned, {})
    return max(candidates, key=lambda log: _fit(replay(log, pinned), values), default=None)


def _fit(replayed: PcrValues, values: PcrValues) -> int:
    return sum(values.get(pcr) == value for pcr, value in replayed.items())


def _speakers(log: BootLog | None, launch_log: BootLog | None) -> Iterator[BootLog]:
    """The logs, each with the events of those PCRs only that it may speak of: no log can overrule another."""
    if launch_log is None:
        if log is not None:
            yield log
        return
    if log is not None:
        yield _about(log, launch=False)
    yield _about(launch_log, launch=True)


def _about(log: BootLog, *, launch: bool) -> BootLog:
    return replace(log, events=tuple(event for event in log.events if (event.pcr in LAUNCH_PCRS) is launch))


def _vouched(events: Iterable[Event], explanations: Iterable[PcrExplanation], pinned: HashAlg) -> Iterator[Event]:
    """The events that the pinned bank explains, without digests of banks that do not."""
    banks: dict[int, tuple[HashAlg, ...]] = {}
    for each in explanations:
        if each.explained:
            banks[each.pcr] = (*banks.get(each.pcr, ()), each.bank)
    for event in events:
        vouching = banks.get(event.pcr, ())
        if pinned in vouching and pinned in event.digests:
            yield event if len(event.digests) == 1 else _with_banks(event, vouching)


def _with_banks(event: Event, banks: tuple[HashAlg, ...]) -> Event:
    """The event with the digests of these banks alone; the pinned one is among them."""
    held = event.digests
    proved: dict[int, bytes] = {bank: held[bank] for bank in banks if bank in held}
    if len(proved) == len(held):
        return event
    return make_event((event.index, event.offset, event.pcr, event.reported_type), proved, event.data)


def _launched(values: PcrValues, bank: HashAlg) -> bool:
    """PCR 17 has left its reset value, which only a dynamic launch can do; TPM 2.0 Part 1, 17.4 and 34."""
    value = values.get(LAUNCH_PCR)
    return value is not None and value not in (b"\xff" * bank.size, bytes(bank.size))


def _replayed(logs: Iterable[BootLog], bank: HashAlg) -> dict[int, bytes]:
    return {pcr: value for log in logs for pcr, value in replay(log, bank).items()}


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
    yield from _static([e for e in explanations if e.bank == pinned and e.pcr not in LAUNCH_PCRS], pinned)
    launch_faults = [e for e in explanations if e.bank == pinned and e.pcr in LAUNCH_PCRS and not e.explained]
    if launched or launch_faults:
        yield from _launch(launch_faults)
    yield from _other_banks(explanations, pinned)


def _static(checked: list[PcrExplanation], pinned: HashAlg) -> Iterator[Finding]:
    """What is said of the boot PCRs, those of a dynamic launch left out."""
    faults = [each for each in checked if not each.explained]
    yield from map(_unexplained, faults)
    firmware = [each for each in checked if each.pcr in FIRMWARE_PCRS]
    if faults or not checked:
        return
    if firmware and not any(each.events for each in firmware):
        why = f"the firmware measured nothing into the {pinned.label} bank, so that it proves nothing"
        yield outcome("boot.pcr-explained", Tier.NONE, why, Pointer(bank=pinned.label))
    else:
        why = f"the log explains all {len(checked)} boot PCRs of the {pinned.label} bank"
        yield outcome("boot.pcr-explained", Tier.AFFIRMING, why)


def _unexplained(fault: PcrExplanation) -> Finding:
    at = Pointer(pcr=fault.pcr, bank=fault.bank.label)
    if fault.events:
        why = (
            f"PCR {fault.pcr} is not explained by the log: its {len(fault.events)} events lead to another value,"
            " so events were changed, removed, or added behind the log"
        )
        return outcome("boot.pcr-explained", Tier.CONTRAINDICATED, why, at)
    why = f"PCR {fault.pcr} is not explained by the log: it was extended, and the log has no event for it in this bank"
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
