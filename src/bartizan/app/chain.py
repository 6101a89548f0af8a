"""Who measured whom: the chain of trust of one boot, as links that people can follow. It judges nothing new."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bartizan.formats.event_data import decode_event_data
from bartizan.formats.event_text import describe
from bartizan.formats.inert import inert
from bartizan.model.boot_log import FILE_PCR, IMAGE_PCR, LAUNCH_PCRS, OPTION_ROM_PCR, Event, EventType
from bartizan.model.event_data import EventData, ImageLoad
from bartizan.model.evidence import PcrExplanation, VerifiedBoot, VerifiedEvidence
from bartizan.model.ima import IMA_PCR
from bartizan.model.result import Finding, Pointer, Tier, worst
from bartizan.verify.quote import ranges

SETTINGS = (1, 3, 5, 6)
AFTER_THE_LOADER = (8, FILE_PCR, *range(11, 16))
"""Boot PCRs into which loaders and kernels measure, not firmware."""
LINK_CHECKS = ("boot.", "launch.", "secure-boot.", "recognised.")
LIST_CHECKS = (
    *("ima.replays", "ima.boot-aggregate", "ima.kexec", "ima.template-digest"),
    *("ima.known", "ima.changed", "ima.violations"),
)
"""The checks that speak of a measurement itself, not of what follows from it elsewhere: of the boot, of the list."""
HARDWARE = {3: "an authenticated code module (locality 3)", 4: "hardware CRTM (locality 4)"}
UNMEASURED = "firmware, which nobody measured first,"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One measurement step; `depth` is how many steps lie between it and the first one."""

    depth: int
    measurer: str
    measured: str
    at: Pointer
    tier: Tier


def chain_of(evidence: VerifiedEvidence, findings: Sequence[Finding]) -> tuple[Link, ...]:
    """The links from the first step to the running system, in the order of their measuring."""
    return tuple(_links(evidence, findings))


def _tier(findings: Sequence[Finding], pcrs: Sequence[int], events: Sequence[Event] | None = None) -> Tier:
    indices = None if events is None else {event.index for event in events}
    return worst(
        [
            finding.tier
            for finding in findings
            if finding.at.pcr in pcrs
            and finding.id.startswith(LINK_CHECKS)
            and (indices is None or finding.at.event is None or finding.at.event in indices)
        ]
    )


def _links(evidence: VerifiedEvidence, findings: Sequence[Finding]) -> Iterator[Link]:
    yield from _firmware(evidence, findings)
    yield from _images(evidence, findings)
    yield from _loaded(evidence, findings)
    yield from _listed(evidence, findings)
    if evidence.boot.launched:
        tier = _tier(findings, tuple(LAUNCH_PCRS))
        at = Pointer(pcr=min(LAUNCH_PCRS))
        yield Link(depth=0, measurer="the CPU (dynamic launch)", measured="launched code", at=at, tier=tier)


def _firmware(evidence: VerifiedEvidence, findings: Sequence[Finding]) -> Iterator[Link]:
    boot = evidence.boot
    hardware = HARDWARE.get(boot.facts.startup_locality)
    measurer, measured = (hardware, "firmware") if hardware else (UNMEASURED, "itself")
    yield from _part(evidence, findings, depth=0, measurer=measurer, measured=measured, pcrs=(0,))
    yield from _part(evidence, findings, depth=1, measurer="firmware", measured="settings", pcrs=SETTINGS)
    roms = any(event.pcr == OPTION_ROM_PCR and event.reported_type != EventType.SEPARATOR for event in boot.events)
    if roms or _unexplained(evidence, (OPTION_ROM_PCR,)):
        yield from _part(
            evidence, findings, depth=1, measurer="firmware", measured="option ROMs", pcrs=(OPTION_ROM_PCR,)
        )
    secure = {True: "on", False: "off", None: "not readable"}[boot.facts.secure_boot]
    policy = f"Secure Boot policy ({secure})"
    yield from _part(evidence, findings, depth=1, measurer="firmware", measured=policy, pcrs=(7,))


def _unexplained(evidence: VerifiedEvidence, pcrs: Iterable[int]) -> list[PcrExplanation]:
    """Those of these PCRs that the pinned bank does not explain."""
    return [
        each
        for each in evidence.boot.explanations
        if each.bank == evidence.quote.pinned and each.pcr in pcrs and not each.explained
    ]


def _gaps(
    evidence: VerifiedEvidence, findings: Sequence[Finding], *, depth: int, pcrs: Iterable[int]
) -> Iterator[Link]:
    """A link for each PCR whose value nothing explains: something was measured there, and nobody knows what."""
    for each in _unexplained(evidence, pcrs):
        why = "its events prove nothing" if each.events else "no event tells what it was"
        said = f"something into PCR {each.pcr}: not explained, {why}"
        tier = worst([Tier.NONE, _tier(findings, (each.pcr,))])
        yield Link(depth=depth, measurer="somebody", measured=said, at=Pointer(pcr=each.pcr), tier=tier)


def _part(
    evidence: VerifiedEvidence,
    findings: Sequence[Finding],
    *,
    depth: int,
    measurer: str,
    measured: str,
    pcrs: tuple[int, ...],
) -> Iterator[Link]:
    """One link for those PCRs that are explained, one for each that is not; without an event nothing is affirmed."""
    unexplained = {each.pcr for each in _unexplained(evidence, pcrs)}
    known = tuple(pcr for pcr in pcrs if pcr not in unexplained)
    if known:
        events = [event for event in evidence.boot.events if event.pcr in known]
        said = f"{measured}: {len(events)} events in PCR {ranges(frozenset(known))}"
        tier = worst([_tier(findings, known), *([] if events else [Tier.NONE])])
        yield Link(depth=depth, measurer=measurer, measured=said, at=Pointer(pcr=known[0]), tier=tier)
    yield from _gaps(evidence, findings, depth=depth, pcrs=pcrs)


def _applications(boot: VerifiedBoot) -> list[Event]:
    """Executed images, an image that two stages measured one after the other taken once."""
    images: list[Event] = []
    for event in boot.facts.images:
        if event.pcr == IMAGE_PCR and (not images or images[-1].digests != event.digests):
            images.append(event)
    return images


def _images(evidence: VerifiedEvidence, findings: Sequence[Finding]) -> Iterator[Link]:
    measurer = "firmware"
    images = _applications(evidence.boot)
    for depth, event in enumerate(images, start=1):
        data = decode_event_data(event)
        kernel = event is images[-1] and _is_kernel(evidence.boot, event, data)
        name = f"kernel, {describe(data).partition(', ')[2]}" if kernel else describe(data)
        at = Pointer(pcr=IMAGE_PCR, event=event.index)
        tier = _tier(findings, (IMAGE_PCR,), (event,))
        yield Link(depth=depth, measurer=measurer, measured=name, at=at, tier=tier)
        measurer = f"image of event {event.index}"
    yield from _gaps(evidence, findings, depth=1, pcrs=(IMAGE_PCR,))


def _is_kernel(boot: VerifiedBoot, image: Event, data: EventData) -> bool:
    """It was loaded from memory, and a kernel's command line was measured after it."""
    nameless = isinstance(data, ImageLoad) and not data.path.nodes
    return nameless and any(text.event > image.index for text in boot.facts.command_lines)


def _depth_below_images(evidence: VerifiedEvidence) -> int:
    """Below the last image, or below the gap where the images should be."""
    return len(_applications(evidence.boot)) + 1 + bool(_unexplained(evidence, (IMAGE_PCR,)))


def _loaded(evidence: VerifiedEvidence, findings: Sequence[Finding]) -> Iterator[Link]:
    boot = evidence.boot
    depth = _depth_below_images(evidence)
    for text in boot.facts.command_lines:
        at = Pointer(pcr=text.pcr, event=text.event)
        events = [event for event in boot.events if (event.pcr, event.index) == (text.pcr, text.event)]
        said = inert(f"command line: {text.text}")
        tier = _tier(findings, (text.pcr,), events)
        yield Link(depth=depth, measurer="loader", measured=said, at=at, tier=tier)
    for event in (event for event in boot.events if event.pcr == FILE_PCR):
        at = Pointer(pcr=event.pcr, event=event.index)
        tier = _tier(findings, (event.pcr,), (event,))
        yield Link(depth=depth, measurer="loader", measured=describe(decode_event_data(event)), at=at, tier=tier)
    yield from _gaps(evidence, findings, depth=depth, pcrs=AFTER_THE_LOADER)


def _listed(evidence: VerifiedEvidence, findings: Sequence[Finding]) -> Iterator[Link]:
    """The IMA list: the link holds when the list does, when it began in this boot, and when its files are known."""
    if evidence.ima is None:
        return
    said = f"{len(evidence.ima.list.entries)} files and events since (IMA list)"
    tier = worst([finding.tier for finding in findings if finding.id.startswith(LIST_CHECKS)])
    depth = _depth_below_images(evidence) + 1
    yield Link(depth=depth, measurer="kernel", measured=said, at=Pointer(pcr=IMA_PCR), tier=tier)
