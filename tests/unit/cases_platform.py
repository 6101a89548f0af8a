"""Cases of the platform, its posture, and Secure Boot. Not a test."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

from bartizan.app.defaults import default_policy
from bartizan.formats.uefi import decode_variable
from bartizan.model.boot_log import EventType
from bartizan.model.result import AttestationResult, Tier
from bartizan.model.uefi import EFI_GLOBAL
from tests.simulator.machine import CHALLENGE, Machine, attested, good, judged, measured
from tests.unit.appraise_cases import ANYTHING, Case, Cases, forged, of, relabelled
from tests.unit.cases_boot import sha1_only
from tests.unit.uefi_bytes import OWNER, SHA256_LIST, X509_LIST, signature_list, variable

SECURE_BOOT, DBX = 3, 7
AUTHORITY, SBAT, SHIM_AUTHORITY = 21, 26, 28
GRUB = 29
CRTM = b"Boot Guard Measured S-CRTM"
CERTIFICATE = decode_variable(good().events[AUTHORITY].data).data[16:]
"""What let shim run: the authority's data behind its owner."""
GRUB_DIGEST = good().events[GRUB].digests[0x0B]


def started_at(locality: int) -> Machine:
    """The machine whose TPM was started from another locality."""
    said = replace(measured(0, EventType.NO_ACTION, b"StartupLocality\0" + bytes([locality])), digests={})
    return replace(good().inserted(0, said), locality=locality)


def told(text: bytes) -> Machine:
    """The machine whose firmware measured a notice about itself into PCR 7."""
    return good().inserted(DBX + 1, measured(7, EventType.EFI_ACTION, text))


def hidden_notice() -> AttestationResult:
    """The notice, called something else in the log and given other data."""
    machine = told(b"DMA Protection Disabled")
    return attested(relabelled(machine, DBX + 1, reported_type=EventType.EFI_VARIABLE_AUTHORITY, data=b"x")).result


def with_posture(*, bound: bool) -> Callable[[], AttestationResult]:
    evidence = replace(good().evidence(), posture=b"{}")
    return lambda: attested(evidence, challenge=replace(CHALLENGE, binds_posture=bound)).result


def revoking(**lists: frozenset[bytes]) -> Callable[[], AttestationResult]:
    """The machine under a policy that revokes something."""
    return lambda: judged(good(), policy=replace(default_policy(), **lists))  # type: ignore[arg-type]  # by name


def with_dbx(*lists: bytes) -> Callable[[], AttestationResult]:
    """The machine whose own dbx revokes something."""
    held = decode_variable(good().events[DBX].data)
    data = variable("dbx", held.data + b"".join(lists), vendor=held.vendor)
    return of(good().with_event(DBX, data=data))


def relabelled_grub() -> AttestationResult:
    """A revoked loader that the log calls something else: it still replays."""
    policy = replace(default_policy(), revoked_images=frozenset({GRUB_DIGEST}))
    evidence = relabelled(
        good(), GRUB, reported_type=EventType.EFI_ACTION, data=b"Calling EFI Application from Boot Option"
    )
    return attested(evidence, policy=policy).result


def secure_boot_is(value: bytes) -> Machine:
    return good().with_event(SECURE_BOOT, data=variable("SecureBoot", value, vendor=EFI_GLOBAL))


def without_policy_log() -> AttestationResult:
    """A log that says nothing of PCR 7."""
    others = [event for event in good().events if event.pcr != 7]
    return attested(forged(good().evidence(), others)).result


def asking_for(**minimum: int) -> Callable[[], AttestationResult]:
    return lambda: judged(good(), policy=replace(default_policy(), sbat_minimum=minimum))


CASES: Cases = {
    "a TPM that an authenticated code module started": Case(
        check="platform.first-step",
        tier=Tier.AFFIRMING,
        level=4,
        at=(0, None, None),
        result=of(started_at(3)),
        says="locality 3",
    ),
    "a TPM that a hardware CRTM started": Case(
        check="platform.first-step",
        tier=Tier.AFFIRMING,
        level=4,
        at=(0, None, None),
        result=of(started_at(4)),
        says="locality 4",
    ),
    "an authenticated code module that the log names": Case(
        check="platform.first-step",
        tier=Tier.AFFIRMING,
        level=2,
        at=(0, None, None),
        says=f": {CRTM.decode()}",
        result=of(started_at(3).inserted(1, measured(0, EventType.S_CRTM_CONTENTS, CRTM))),
        also=frozenset({"recognised.firmware"}),
    ),
    "a log that claims what PCR 0 does not show": Case(
        check="platform.first-step",
        tier=Tier.WARNING,
        level=2,
        at=(0, None, None),
        says=f"({CRTM.decode()}), but PCR 0",
        result=of(good().inserted(0, measured(0, EventType.S_CRTM_CONTENTS, CRTM))),
        also=frozenset({"recognised.firmware"}),
    ),
    "firmware that vouches for itself": Case(
        check="platform.first-step",
        tier=Tier.WARNING,
        level=4,
        at=(0, None, None),
        result=of(good()),
        says="nobody measures the first step",
    ),
    "a first step that nothing explains": Case(
        check="platform.first-step",
        tier=Tier.NONE,
        level=1,
        at=(0, None, None),
        says="PCR 0 is not explained",
        also=ANYTHING,
        result=lambda: attested(forged(good().evidence(), good().without_event(1).events)).result,
    ),
    "a StartupLocality that is not true": Case(
        check="platform.first-step",
        tier=Tier.NONE,
        level=1,
        at=(0, None, None),
        says="PCR 0 is not explained",
        also=ANYTHING,
        result=lambda: attested(forged(good().evidence(), started_at(3).events)).result,
    ),
    "firmware without DMA protection": Case(
        check="platform.dma-protection",
        tier=Tier.WARNING,
        level=4,
        at=(7, 8, None),
        says="without DMA protection",
        result=of(told(b"DMA Protection Disabled")),
        also=frozenset({"recognised.secure-boot"}),
    ),
    "firmware that ends the notice with a terminator": Case(
        check="platform.dma-protection",
        tier=Tier.WARNING,
        level=4,
        at=(7, 8, None),
        says="without DMA protection",
        result=of(told(b"DMA Protection Disabled\0")),
        also=frozenset({"recognised.secure-boot"}),
    ),
    "firmware in debug mode": Case(
        check="platform.dma-protection",
        tier=Tier.WARNING,
        level=4,
        at=(7, 8, None),
        says="debug mode",
        result=of(told(b"UEFI Debug Mode")),
        also=frozenset({"recognised.secure-boot"}),
    ),
    "a log that hides the notice": Case(
        check="platform.dma-protection",
        tier=Tier.WARNING,
        level=1,
        at=(7, 8, None),
        says="without DMA protection",
        result=hidden_notice,
        also=ANYTHING,
    ),
    "a posture that the quote covers": Case(
        check="posture.binding",
        tier=Tier.AFFIRMING,
        level=4,
        result=with_posture(bound=True),
        says="covers the posture",
        also=frozenset({"posture.form"}),
    ),
    "a posture that the quote does not cover": Case(
        check="posture.binding",
        tier=Tier.WARNING,
        level=4,
        result=with_posture(bound=False),
        says="not bound to the quote",
        also=frozenset({"posture.form"}),
    ),
    "Secure Boot off": Case(
        check="secure-boot.state",
        tier=Tier.WARNING,
        level=4,
        at=(7, SECURE_BOOT, None),
        says="Secure Boot was off",
        result=of(secure_boot_is(b"\0")),
        also=frozenset({"secure-boot.authorities", "recognised.secure-boot"}),
    ),
    "an empty variable SecureBoot": Case(
        check="secure-boot.state",
        tier=Tier.WARNING,
        level=4,
        at=(7, SECURE_BOOT, None),
        says="Secure Boot was off",
        result=of(secure_boot_is(b"")),
        also=frozenset({"secure-boot.authorities", "recognised.secure-boot"}),
    ),
    "a variable SecureBoot that is neither": Case(
        check="secure-boot.state",
        tier=Tier.NONE,
        level=1,
        at=(7, None, None),
        says="cannot be read",
        result=of(secure_boot_is(b"\2")),
        also=frozenset({"secure-boot.authorities", "recognised.secure-boot"}),
    ),
    "a log that does not speak of PCR 7": Case(
        check="secure-boot.state",
        tier=Tier.NONE,
        level=1,
        at=(7, None, None),
        says="cannot be read",
        also=ANYTHING,
        result=without_policy_log,
    ),
    "an authority whose data its digest does not cover": Case(
        check="secure-boot.authorities",
        tier=Tier.WARNING,
        level=4,
        at=(7, AUTHORITY, None),
        says="names nobody",
        result=lambda: attested(relabelled(good(), AUTHORITY, data=good().events[SHIM_AUTHORITY].data)).result,
    ),
    "an authority that cannot be read": Case(
        check="secure-boot.authorities",
        tier=Tier.WARNING,
        level=4,
        at=(7, AUTHORITY, None),
        says="cannot be read",
        result=lambda: attested(relabelled(good(), AUTHORITY, data=b"x")).result,
    ),
    "an authority that calls itself the SBAT level": Case(
        check="secure-boot.authorities",
        tier=Tier.WARNING,
        level=4,
        at=(7, AUTHORITY, None),
        says="cannot be read",
        result=lambda: attested(relabelled(good(), AUTHORITY, data=good().events[SBAT].data)).result,
    ),
    "an image that the policy revokes": Case(
        check="secure-boot.revoked",
        tier=Tier.CONTRAINDICATED,
        level=1,
        at=(4, GRUB, None),
        says="the policy's list revokes",
        result=revoking(revoked_images=frozenset({GRUB_DIGEST})),
    ),
    "an image that its own dbx revokes": Case(
        check="secure-boot.revoked",
        tier=Tier.CONTRAINDICATED,
        level=1,
        at=(4, GRUB, None),
        says="the machine's own dbx",
        result=with_dbx(signature_list(SHA256_LIST, [(OWNER, GRUB_DIGEST)])),
        also=frozenset({"recognised.secure-boot"}),
    ),
    "a revoked image under another name": Case(
        check="secure-boot.revoked",
        tier=Tier.CONTRAINDICATED,
        level=1,
        at=(4, GRUB, None),
        says="the policy's list revokes",
        result=relabelled_grub,
        also=frozenset({"boot.digest", "boot.look-alike"}),
    ),
    "a certificate that the policy revokes": Case(
        check="secure-boot.revoked",
        tier=Tier.CONTRAINDICATED,
        level=1,
        at=(7, AUTHORITY, None),
        says="revoked certificate",
        result=revoking(revoked_certificates=frozenset({hashlib.sha256(CERTIFICATE).digest()})),
        also=frozenset({"secure-boot.authorities"}),
    ),
    "a certificate that its own dbx revokes": Case(
        check="secure-boot.revoked",
        tier=Tier.CONTRAINDICATED,
        level=1,
        at=(7, AUTHORITY, None),
        says="revoked certificate",
        result=with_dbx(signature_list(X509_LIST, [(OWNER, CERTIFICATE)], size=16 + len(CERTIFICATE))),
        also=frozenset({"secure-boot.authorities", "recognised.secure-boot"}),
    ),
    "an SBAT level behind the policy's": Case(
        check="secure-boot.sbat-level",
        tier=Tier.WARNING,
        level=4,
        at=(7, None, None),
        says="lets shim generation 4 run; 5",
        result=asking_for(shim=5, grub=5),
        also=frozenset({"secure-boot.revoked"}),
    ),
    "an SBAT level that lacks a component": Case(
        check="secure-boot.sbat-level",
        tier=Tier.WARNING,
        level=4,
        at=(7, None, None),
        says="lets linux generation 0 run; 1",
        result=asking_for(linux=1),
        also=frozenset({"secure-boot.revoked"}),
    ),
    "no SHA-256 digests to look up": Case(
        check="secure-boot.revocation-data",
        tier=Tier.WARNING,
        level=2,
        at=(4, None, None),
        says="cannot be recognised",
        result=sha1_only,
        also=ANYTHING,
    ),
}
