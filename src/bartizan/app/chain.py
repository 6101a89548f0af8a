"""Who measured whom: the chain of trust of one boot, as links that people can follow. It judges nothing new."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bartizan.formats.event_data import decode_event_data
from bartizan.formats.event_text import describe
from bartizan.formats.inert import inert
from bartizan.model.boot_log import Event, EventType
from bartizan.model.evidence import VerifiedBoot, VerifiedEvidence
from bartizan.model.result import Finding, Pointer, Tier, worst
from bartizan.verify.quote import ranges

IMAGE_PCR = 4
LINK_CHECKS = ("boot.", "launch.", "secure-boot.", "recognised.", "ima.known", "ima.changed", "ima.replays", "ima.v")
"""The checks that speak of a measurement itself, not of what follows from it elsewhere."""
HARDWARE = {3: "an authenticated code module (locality 3)", 4: "hardware CRTM (locality 4)"}


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
    boot = evidence.boot
    first = HARDWARE.get(boot.facts.startup_locality, "nobody")
    yield _part(boot, findings, depth=0, measurer=first, measured="firmware", pcrs=(0,))
    yield _part(boot, findings, depth=1, measurer="firmware", measured="settings", pcrs=(1, 3, 5, 6))
    if any(event.pcr == 2 and event.reported_type != EventType.SEPARATOR for event in boot.events):  # noqa: PLR2004
        yield _part(boot, findings, depth=1, measurer="firmware", measured="option ROMs", pcrs=(2,))
    secure = {True: "on", False: "off", None: "not readable"}[boot.facts.secure_boot]
    yield _part(boot, findings, depth=1, measurer="firmware", measured=f"Secure Boot policy ({secure})", pcrs=(7,))
    yield from _images(boot, findings)
    yield from _loaded(evidence, findings)


def _part(
    boot: VerifiedBoot, findings: Sequence[Finding], *, depth: int, measurer: str, measured: str, pcrs: tuple[int, ...]
) -> Link:
    events = [event for event in boot.events if event.pcr in pcrs]
    said = f"{measured}: {len(events)} events in PCR {ranges(frozenset(pcrs))}"
    at = Pointer(pcr=pcrs[0])
    return Link(depth=depth, measurer=measurer, measured=said, at=at, tier=_tier(findings, pcrs))


def _applications(boot: VerifiedBoot) -> list[Event]:
    """Executed images, an image that two stages measured one after the other taken once."""
    images: list[Event] = []
    for event in boot.facts.images:
        if event.pcr == IMAGE_PCR and (not images or images[-1].digests != event.digests):
            images.append(event)
    return images


def _images(boot: VerifiedBoot, findings: Sequence[Finding]) -> Iterator[Link]:
    measurer = "firmware"
    for depth, event in enumerate(_applications(boot), start=1):
        name = describe(decode_event_data(event))
        at = Pointer(pcr=IMAGE_PCR, event=event.index)
        tier = _tier(findings, (IMAGE_PCR,), (event,))
        yield Link(depth=depth, measurer=measurer, measured=name, at=at, tier=tier)
        measurer = f"image of event {event.index}"


def _loaded(evidence: VerifiedEvidence, findings: Sequence[Finding]) -> Iterator[Link]:
    boot = evidence.boot
    depth = len(_applications(boot)) + 1
    for text in boot.facts.command_lines:
        at = Pointer(pcr=text.pcr, event=text.event)
        events = [event for event in boot.events if (event.pcr, event.index) == (text.pcr, text.event)]
        said = inert(f"command line: {text.text}")
        tier = _tier(findings, (text.pcr,), events)
        yield Link(depth=depth, measurer="loader", measured=said, at=at, tier=tier)
    files = [event for event in boot.events if event.pcr == 9]  # noqa: PLR2004  GRUB measures files into PCR 9
    for event in files:
        at = Pointer(pcr=event.pcr, event=event.index)
        tier = _tier(findings, (event.pcr,), (event,))
        yield Link(depth=depth, measurer="loader", measured=describe(decode_event_data(event)), at=at, tier=tier)
    if boot.launched:
        tier = _tier(findings, tuple(range(17, 23)))
        yield Link(
            depth=0, measurer="the CPU (dynamic launch)", measured="launched code", at=Pointer(pcr=17), tier=tier
        )
    if evidence.ima is not None:
        said = f"{len(evidence.ima.list.entries)} files and events since (IMA list)"
        tier = _tier(findings, (10,))
        yield Link(depth=depth + 1, measurer="kernel", measured=said, at=Pointer(pcr=10), tier=tier)
