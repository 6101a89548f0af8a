"""Cases of recognition: each part of the boot unknown, unexplained, missing, or nobody knows it. Not a test."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from bartizan.appraise.context import index_reference
from bartizan.model.boot_log import EventType
from bartizan.model.digest import HashAlg
from bartizan.model.reference import ReferenceSet, ReferenceState
from bartizan.model.result import AttestationResult, Tier
from tests.simulator.machine import NO_REFERENCE, attested, digests, good, judged, measured, reference_set
from tests.simulator.tpm_ca import NOW
from tests.unit.appraise_cases import ANYTHING, Case, Cases, forged, of, place_of

PARTS: dict[str, tuple[int, int]] = {
    "recognised.firmware": (0, 2),
    "recognised.firmware-settings": (1, 4),
    "recognised.option-rom": (2, 2),
    "recognised.loader": (4, 2),
    "recognised.other-settings": (5, 4),
    "recognised.secure-boot": (7, 4),
    "recognised.command-line": (8, 2),
    "recognised.boot-files": (9, 2),
    "recognised.owner-keys": (14, 4),
}
"""Check, a PCR of its part, and the level of a machine on which one measurement of it is unknown."""
KERNEL, SECOND_KERNEL, GRUB = 40, 41, 29
CONTENT = b"what nobody knows"


def unknown(pcr: int) -> Callable[[], AttestationResult]:
    """One measurement that is not the known one, or one more where there was none."""
    if pcr == 2:
        driver = measured(2, EventType.EFI_BOOT_SERVICES_DRIVER, CONTENT)
        return of(good().inserted(3, driver))
    if pcr == 5:
        return of(good().inserted(22, measured(5, EventType.EVENT_TAG, CONTENT)))
    if pcr == 4:
        return of(
            good().with_event(KERNEL, digests=digests(CONTENT)).with_event(SECOND_KERNEL, digests=digests(CONTENT))
        )
    if pcr == 7:
        return of(good().with_event(7, data=good().events[7].data[:-1] + b"\xee"))
    index = place_of(pcr=pcr, kind=EventType.EFI_PLATFORM_FIRMWARE_BLOB if pcr == 0 else None)
    return of(
        good().with_event(index, digests=digests(CONTENT)) if pcr != 1 else good().with_event(index, data=CONTENT)
    )


def unexplained(pcr: int) -> Callable[[], AttestationResult]:
    """A log in which one digest of this PCR is another than was measured."""
    index = max(event.index for event in good().events if event.pcr == pcr)
    events = list(good().events)
    events[index] = replace(events[index], digests=digests(CONTENT))
    return lambda: attested(forged(good().evidence(), events)).result


def emptied(pcr: int) -> Callable[[], AttestationResult]:
    """A machine that measured nothing into this PCR but a separator."""
    gone = [event.index for event in good().events if event.pcr == pcr and event.reported_type != EventType.SEPARATOR]
    return of(good().without_event(*gone))


def without_reference() -> AttestationResult:
    return judged(good(), known=NO_REFERENCE)


def known_by(*sets: ReferenceSet) -> Callable[[], AttestationResult]:
    return lambda: judged(good(), known=index_reference(*sets))


SET = reference_set(good())
OLD = replace(SET, name="old", state=ReferenceState.REVOKED)


def _part_cases() -> Cases:
    cases: Cases = {}
    for check, (pcr, level) in PARTS.items():
        path = frozenset({"recognised.boot-path"}) if pcr == 4 else frozenset()
        cases[f"something unknown in PCR {pcr}"] = Case(
            check=check,
            tier=Tier.WARNING,
            level=level,
            result=unknown(pcr),
            says="not recognised: ",
            count=2 if pcr == 4 else 1,
            at=(pcr, first_fault(unknown(pcr)(), check), None),
            also=ANYTHING if pcr in (4, 8) else path,
        )
        cases[f"a PCR {pcr} that the log does not explain"] = Case(
            check=check,
            tier=Tier.NONE,
            level=1,
            result=unexplained(pcr),
            at=(pcr, None, None),
            says="nothing can be recognised in a PCR that the log does not explain",
            also=ANYTHING,
        )
        cases[f"nobody who knows PCR {pcr}"] = Case(
            check=check,
            tier=Tier.NONE,
            level=2,
            result=without_reference,
            also=ANYTHING,
            at=(3 if check == "recognised.other-settings" else pcr, None, None),
            says="no Reference Values were given",
        )
    return cases


def first_fault(result: AttestationResult, check: str) -> int | None:
    return next(f.at.event for f in result.findings if f.id == check and f.tier is Tier.WARNING)


def known_beside() -> AttestationResult:
    """An unknown kernel, whose log entry carries the known one's digest in a bank that is not pinned."""
    machine = good().with_event(KERNEL, digests=digests(CONTENT)).with_event(SECOND_KERNEL, digests=digests(CONTENT))
    lie = {**digests(CONTENT), HashAlg.SHA384: good().events[KERNEL].digests[HashAlg.SHA384]}
    events = [
        replace(event, digests=lie) if event.index in (KERNEL, SECOND_KERNEL) else event for event in machine.events
    ]
    return attested(forged(machine.evidence(), events)).result


CASES: Cases = {
    **_part_cases(),
    **{
        f"nothing in PCR {pcr}, where there should be something": Case(
            check=check,
            tier=Tier.WARNING,
            level=level,
            result=emptied(pcr),
            at=(pcr, None, None),
            says=f"PCR {pcr} holds nothing, where the Reference Values have",
            also=ANYTHING,
        )
        for check, pcr, level in (
            ("recognised.loader", 4, 2),
            ("recognised.command-line", 8, 2),
            ("recognised.owner-keys", 14, 4),
        )
    },
    "a separator that says something else": Case(
        check="recognised.owner-keys",
        tier=Tier.WARNING,
        level=4,
        at=(14, 48, None),
        says="not recognised",
        result=of(good().appended(measured(14, EventType.SEPARATOR, b"WBCL"))),
    ),
    "a loader that ran twice": Case(
        check="recognised.boot-path",
        tier=Tier.WARNING,
        level=4,
        at=(4, None, None),
        says="every image is known",
        result=of(good().inserted(GRUB, good().events[GRUB])),
        also=frozenset(),
    ),
    "the known images in another order": Case(
        check="recognised.boot-path",
        tier=Tier.WARNING,
        level=4,
        at=(4, None, None),
        says="or in another order",
        result=of(good().without_event(GRUB).inserted(KERNEL + 1, good().events[GRUB])),
        also=frozenset(),
    ),
    "the known images in the known order": Case(
        check="recognised.boot-path",
        tier=Tier.AFFIRMING,
        level=4,
        at=(4, None, None),
        says="in the order of",
        result=of(good()),
    ),
    "a digest of a known kernel in a bank that does not decide": Case(
        check="recognised.loader",
        tier=Tier.WARNING,
        level=2,
        count=2,
        at=(4, KERNEL, None),
        says="not recognised",
        result=known_beside,
        also=ANYTHING,
    ),
    "Reference Values that are in force for a while": Case(
        check="recognised.reference-values",
        tier=Tier.AFFIRMING,
        level=4,
        says="is in force until",
        result=known_by(replace(SET, valid_until=NOW + timedelta(days=1))),
    ),
    "Reference Values that have expired": Case(
        check="recognised.reference-values",
        tier=Tier.NONE,
        level=2,
        says="recognises nothing",
        also=ANYTHING,
        result=known_by(replace(SET, valid_until=NOW)),
    ),
    "a value that only a revoked set knows": Case(
        check="recognised.firmware",
        tier=Tier.CONTRAINDICATED,
        level=2,
        count=3,
        at=(0, 0, None),
        says="firmware revoked",
        result=known_by(OLD),
        also=ANYTHING,
    ),
}
