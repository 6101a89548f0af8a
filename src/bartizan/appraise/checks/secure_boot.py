"""Secure Boot: its state, whom it let in, and whether anything that ran is revoked."""

from collections.abc import Iterator

from bartizan.appraise.context import Context
from bartizan.model.digest import HashAlg
from bartizan.model.result import Finding, Pointer, Tier


def state(context: Context) -> Iterator[Finding]:
    """secure-boot.state: on, off, or not readable from verified events."""
    facts = context.evidence.boot.facts
    at = Pointer(pcr=7, event=facts.secure_boot_event)
    if facts.secure_boot is None:
        why = "whether Secure Boot was on cannot be read from verified events"
        yield context.say("secure-boot.state", Tier.NONE, why, Pointer(pcr=7))
    elif facts.secure_boot:
        yield context.say("secure-boot.state", Tier.AFFIRMING, "Secure Boot was on", at)
    else:
        why = "Secure Boot was off: the firmware started whatever it found"
        yield context.say("secure-boot.state", Tier.WARNING, why, at)


def authorities(context: Context) -> Iterator[Finding]:
    """secure-boot.authorities: each authority that let code run can be read, and none is revoked by the policy."""
    facts = context.evidence.boot.facts
    if facts.secure_boot is not True:
        return
    revoked = context.policy.revoked_certificates | facts.dbx_certificates
    sound = 0
    for authority in facts.authorities:
        at = Pointer(pcr=7, event=authority.event)
        if not authority.vouched:
            why = f"the data of the authority {authority.variable!a} is not covered by its digest, so it names nobody"
            yield context.say("secure-boot.authorities", Tier.WARNING, why, at)
        elif authority.fingerprint in revoked:
            why = f"code was let in by a revoked certificate (SHA-256 {(authority.fingerprint or b'').hex()[:16]}…)"
            yield context.say("secure-boot.revoked", Tier.CONTRAINDICATED, why, at)
        else:
            sound += 1
    if sound == len(facts.authorities):
        why = f"{sound} authorities let code run, each readable from a verified event"
        yield context.say("secure-boot.authorities", Tier.AFFIRMING, why, Pointer(pcr=7))


def revoked(context: Context) -> Iterator[Finding]:
    """secure-boot.revoked: no executed image and no SBAT generation is revoked, by the machine's dbx or ours."""
    facts = context.evidence.boot.facts
    lists = context.policy.revoked_images | facts.dbx_images
    bad = [image for image in facts.images if image.digests.get(HashAlg.SHA256) in lists]
    for image in bad:
        whose = "the machine's own dbx" if image.digests[HashAlg.SHA256] in facts.dbx_images else "the policy's list"
        why = f"an image that {whose} revokes was executed"
        yield context.say("secure-boot.revoked", Tier.CONTRAINDICATED, why, context.at(image))
    old = list(_old_generations(context))
    yield from old
    if bad or old or context.evidence.boot.log is None:
        return
    if facts.images and not any(HashAlg.SHA256 in image.digests for image in facts.images):
        why = "revocation lists name SHA-256 digests and the log has none: revoked images cannot be recognised"
        yield context.say("secure-boot.revocation-data", Tier.WARNING, why, Pointer(pcr=4))
        return
    why = f"none of {len(facts.images)} executed images is on {len(lists)} revoked digests"
    yield context.say("secure-boot.revoked", Tier.AFFIRMING, why, Pointer(pcr=4))


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
