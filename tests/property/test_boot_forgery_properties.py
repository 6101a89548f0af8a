"""No way of labelling a bad boot, and of extending it, makes it pass for a good one without a contradiction."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.model.boot_log import BootLog, Event, EventType
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import VerifiedBoot
from bartizan.model.result import Tier
from bartizan.verify.boot import verify_boot
from tests.simulator.boot_logs import (
    CLOSING,
    appended,
    inserted,
    measured,
    of_pcr,
    recorded,
    tpm_after,
    variable,
    with_events,
)

SHA256 = HashAlg.SHA256
OFF, ON = recorded("boots/attack_sb_off"), recorded("boots/good")
POLICY = of_pcr(ON, 7)
EVIL = measured(4, EventType.EFI_BOOT_SERVICES_APPLICATION, b"", of=b"evil loader")
KINDS = st.sampled_from([kind for kind in EventType if kind is not EventType.NO_ACTION]) | st.sampled_from(
    [0x8401, 0x800000FF, 0xFFFFFFFF]
)
TEXTS = [b"Calling INT 19h", b"DMA Protection Disabled", b"BOOT ATTEMPTS OMITTED", CLOSING, b"", b"harmless"]
DATA = st.sampled_from(
    [
        *TEXTS,
        variable("SecureBoot", b"\1"),
        variable("AuditMode", b"\0"),
        variable("devdb", b""),
        *(event.data for event in ON.events if event.pcr in (4, 5, 7)),
    ]
)


@st.composite
def told(draw: st.DrawFn, events: tuple[Event, ...]) -> list[Event]:
    """The same digests in the same order; some events keep their label and data."""
    story = []
    for event in events:
        if draw(st.booleans()):
            story.append(replace(event, reported_type=int(draw(KINDS)), data=draw(st.just(event.data) | DATA)))
        else:
            story.append(event)
    return story


@st.composite
def additions(draw: st.DrawFn, pcr: int) -> list[Event]:
    """What was extended later: good events, or any text; some are in another bank than the one that decides."""
    texts = st.builds(lambda kind, data: measured(pcr, int(kind), data), KINDS, DATA)
    events = draw(st.lists(st.sampled_from(of_pcr(ON, pcr)) | texts, max_size=6))
    return [replace(e, digests={HashAlg.SHA1: bytes(20)}) if draw(st.integers(0, 9)) == 0 else e for e in events]


def retold(log: BootLog, pcr: int, story: list[Event]) -> BootLog:
    """The log with other events for one PCR, all at its end: the order among PCRs is not proved anyway."""
    rest = with_events(log, (event for event in log.events if event.pcr != pcr))
    return appended(rest, *story)


def verified(log: BootLog) -> VerifiedBoot:
    """Held against the TPM that it extended: all is explained but PCR 0 where the log feigns a hardware CRTM."""
    boot = verify_boot(log, {SHA256: tpm_after(log)[SHA256]}, pinned=SHA256)
    assert all(each.explained for each in boot.explanations if each.pcr != 0)
    return boot


def contradicted(boot: VerifiedBoot, pcr: int) -> bool:
    return any(f.tier is Tier.CONTRAINDICATED and f.at.pcr == pcr for f in boot.findings)


@given(told(of_pcr(OFF, 7)), additions(7), st.booleans())
@settings(max_examples=200, deadline=None)
def test_secure_boot_off_never_passes_for_on(story: list[Event], later: list[Event], phantoms: bool) -> None:
    forged = retold(OFF, 7, story + later)
    if phantoms:
        forged = inserted(forged, 0, *(replace(event, digests={HashAlg.SHA1: bytes(20)}) for event in POLICY[:5]))

    boot = verified(forged)

    assert boot.facts.secure_boot is not True or contradicted(boot, 7)


@given(st.sampled_from([OFF, ON]), st.data(), additions(4))
@settings(max_examples=200, deadline=None)
def test_a_loader_is_an_image_or_the_log_is_contradicted(log: BootLog, data: st.DataObject, later: list[Event]) -> None:
    story = data.draw(told((*of_pcr(log, 4), EVIL)))

    boot = verified(retold(log, 4, story + later))

    seen = any(image.digests.get(SHA256) == EVIL.digests[SHA256] for image in boot.facts.images)
    assert seen or contradicted(boot, 4)


@given(told(tuple(event for event in OFF.events if event.reported_type != EventType.NO_ACTION)), additions(7))
@settings(max_examples=100, deadline=None)
def test_no_telling_of_a_whole_boot_makes_secure_boot_appear(story: list[Event], later: list[Event]) -> None:
    boot = verified(with_events(OFF, (*story, *later)))

    assert boot.facts.secure_boot is not True or contradicted(boot, 7)
