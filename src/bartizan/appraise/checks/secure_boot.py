"""Secure Boot: its state, whom it let in, and whether anything that ran is revoked."""

from collections.abc import Iterator

from bartizan.appraise.context import Context
from bartizan.formats.event_data import decode_event_data
from bartizan.model.boot_facts import Authority
from bartizan.model.boot_log import IMAGE_PCR, POLICY_PCR, Event, EventType
from bartizan.model.digest import HashAlg
from bartizan.model.result import Finding, Pointer, Tier
from bartizan.model.uefi import VariableEvent

HELD_BY_RULES = frozenset({EventType.EFI_VARIABLE_DRIVER_CONFIG, EventType.EFI_ACTION, EventType.ACTION})
"""Events of PCR 7 that verification holds to their data: where it does not fit, boot.digest or boot.order says so."""


def state(context: Context) -> Iterator[Finding]:
    """secure-boot.state: on, off, or not readable from verified events."""
    facts = context.evidence.boot.facts
    at = Pointer(pcr=7, event=facts.secure_boot_event)
    if facts.secure_boot is None:
        why = "whether Secure Boot was on cannot be read from verified events"
        yield context.say("secure-boot.state", Tier.NONE, why, Pointer(pcr=7))
    elif facts.secure_boot and facts.shim_validation_off:
        why = "Secure Boot was on, but shim was told not to verify (MokSBState): it started whatever it found"
        yield context.say("secure-boot.state", Tier.WARNING, why, at)
    elif facts.secure_boot:
        yield context.say("secure-boot.state", Tier.AFFIRMING, "Secure Boot was on", at)
    else:
        why = "Secure Boot was off: the firmware started whatever it found"
        yield context.say("secure-boot.state", Tier.WARNING, why, at)


def unnamed(context: Context) -> tuple[Event, ...]:
    """The events of PCR 7 of which nothing proved says whom or what they stand for.

    All but separators, what the log's rules hold to its data, authorities that can be read (though perhaps not
    believed), and the SBAT level. An authority under another label is among them.
    """
    named = {authority.event for authority in context.evidence.boot.facts.authorities}
    return tuple(
        event
        for event in context.measured(POLICY_PCR)
        if event.reported_type not in HELD_BY_RULES
        and event.index not in named
        and not context.is_separator(event)
        and not _is_sbat_level(context, event)
    )


def _is_sbat_level(context: Context, event: Event) -> bool:
    if event.reported_type != EventType.EFI_VARIABLE_AUTHORITY or not context.vouches(event, event.data):
        return False
    data = decode_event_data(event)
    return isinstance(data, VariableEvent) and data.variable.name == "SbatLevel"


def _unread(context: Context) -> tuple[Event, ...]:
    """The authorities that cannot be read from their events."""
    return tuple(event for event in unnamed(context) if event.reported_type == EventType.EFI_VARIABLE_AUTHORITY)


def authorities(context: Context) -> Iterator[Finding]:
    """secure-boot.authorities: each authority that let code run can be read, and none is revoked by the policy."""
    facts = context.evidence.boot.facts
    if facts.secure_boot is not True:
        return
    revoked = {authority.event for authority in _revoked_authorities(context)}
    unread = _unread(context)
    for event in unread:
        why = "an authority that cannot be read from its event let code run"
        yield context.say("secure-boot.authorities", Tier.WARNING, why, context.at(event))
    sound = 0
    for authority in facts.authorities:
        at = Pointer(pcr=7, event=authority.event)
        if not authority.vouched:
            why = f"the data of the authority {authority.variable!a} is not covered by its digest, so it names nobody"
            yield context.say("secure-boot.authorities", Tier.WARNING, why, at)
        elif authority.event not in revoked:
            sound += 1
    if sound == len(facts.authorities) and not unread:
        why = f"{sound} authorities let code run, each readable from a verified event"
        yield context.say("secure-boot.authorities", Tier.AFFIRMING, why, Pointer(pcr=7))


def _revoked_authorities(context: Context) -> list[Authority]:
    """Certificates that let code run and that the machine's dbx or the policy revokes."""
    facts = context.evidence.boot.facts
    lists = context.policy.revoked_certificates | facts.dbx_certificates
    return [some for some in facts.authorities if facts.secure_boot is True and some.fingerprint in lists]


def revoked(context: Context) -> Iterator[Finding]:
    """secure-boot.revoked: no executed image, no certificate and no SBAT generation is revoked, by dbx or by policy.

    Every measurement counts as an image, whatever the log calls it: a label is no way round a revocation.
    """
    boot, facts = context.evidence.boot, context.evidence.boot.facts
    lists = context.policy.revoked_images | facts.dbx_images
    bad = [event for event in boot.events if event.digests.get(HashAlg.SHA256) in lists]
    for image in bad:
        whose = "the machine's own dbx" if image.digests[HashAlg.SHA256] in facts.dbx_images else "the policy's list"
        why = f"an image that {whose} revokes was executed"
        yield context.say("secure-boot.revoked", Tier.CONTRAINDICATED, why, context.at(image))
    let_in = _revoked_authorities(context)
    for authority in let_in:
        why = f"code was let in by a revoked certificate (SHA-256 {(authority.fingerprint or b'').hex()[:16]}…)"
        yield context.say("secure-boot.revoked", Tier.CONTRAINDICATED, why, Pointer(pcr=7, event=authority.event))
    old = list(_old_generations(context))
    yield from old
    unread = list(_doubtful_authorities(context))
    yield from unread
    if bad or let_in or old or unread or boot.log is None:
        return
    if not any(HashAlg.SHA256 in event.digests for event in context.measured(IMAGE_PCR)):
        why = "revocation lists name SHA-256 digests and none is vouched for: revoked images cannot be recognised"
        yield context.say("secure-boot.revocation-data", Tier.WARNING, why, Pointer(pcr=IMAGE_PCR))
        return
    if facts.secure_boot is not None and not facts.dbx_read:
        why = "the machine's own dbx cannot be read from a verified event: only the policy's lists were applied"
        yield context.say("secure-boot.revocation-data", Tier.WARNING, why, Pointer(pcr=POLICY_PCR))
    why = f"none of {len(facts.images)} executed images is on {len(lists)} revoked digests"
    yield context.say("secure-boot.revoked", Tier.AFFIRMING, why, Pointer(pcr=IMAGE_PCR))


def _doubtful_authorities(context: Context) -> Iterator[Finding]:
    """Certificates are revoked, and who let code run cannot be read: then it is not known whether one of these did."""
    facts = context.evidence.boot.facts
    if facts.secure_boot is not True or not (context.policy.revoked_certificates | facts.dbx_certificates):
        return
    doubtful = {authority.event for authority in facts.authorities if not authority.vouched}
    doubtful |= {event.index for event in _unread(context)}
    for event in sorted(doubtful):
        why = "whether a revoked certificate let code run cannot be told: this authority is not readable from its event"
        yield context.say("secure-boot.revoked", Tier.NONE, why, Pointer(pcr=POLICY_PCR, event=event))


def _old_generations(context: Context) -> Iterator[Finding]:
    """SBAT: what shim was told to refuse must not lag behind what the policy demands."""
    measured = context.evidence.boot.facts.sbat
    if measured is None:
        return
    for component, minimum in sorted(context.policy.sbat_minimum.items()):
        if measured.get(component, 0) < minimum:
            found = measured.get(component, 0)
            why = f"this machine's SbatLevel still lets {component} generation {found} run; {minimum} is demanded"
            yield context.say("secure-boot.sbat-level", Tier.WARNING, why, Pointer(pcr=7))
