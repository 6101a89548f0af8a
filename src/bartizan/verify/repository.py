"""The chain of a Debian repository: keyring → InRelease → index → package, each checked before the next is read.

The signature itself is gpgv's work; here is decided what its words are worth. No network, no clock.
"""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta

from bartizan.errors import VerifyError
from bartizan.formats.debian_release import decode_release
from bartizan.model.package import (
    IndexedPackage,
    ListedFile,
    PackageContent,
    Release,
    ReportedSignature,
    VerifiedRelease,
)

STRONG_HASHES = frozenset({8, 9, 10, 12, 14})
"""SHA-256, SHA-384, SHA-512, SHA3-256 and SHA3-512 as OpenPGP numbers them (RFC 9580, 9.5)."""
CLOCK_TOLERANCE = timedelta(minutes=10)
"""How far a Release's date may lie ahead of our clock."""


def verify_release(
    framed: bytes,
    vouched: bytes,
    signatures: Sequence[ReportedSignature],
    *,
    suite: str,
    now: datetime,
) -> VerifiedRelease:
    """A Release that a key of the operator's keyring vouches for.

    framed: the text inside the clear-signed frame; vouched: the text that gpgv wrote out as signed; suite: the one that
    was asked for.

    Steps: (1) the two texts are one; (2) no signature is bad and one is good, over a strong hash; (3) it is the suite
    that was asked for: a mirror must not serve another one under its name; (4) not from the future, not expired.

    Raises:
        VerifyError: any of these fails. DecodeError: the text is no Release.
    """
    if _lines(framed) != _lines(vouched):  # (1)
        raise VerifyError("repository.signature", "the file holds other text than what was signed")
    signer = signer_of(signatures)  # (2)
    release = decode_release(vouched)
    if suite not in (release.suite, release.codename):  # (3)
        why = f"the suite {suite} was asked for, and this Release is of {release.suite} ({release.codename})"
        raise VerifyError("repository.suite", why)
    _current(release, now=now)  # (4)
    return VerifiedRelease(release=release, signer=signer)


def _lines(text: bytes) -> list[bytes]:
    """Lines without the white space at their ends, which a clear-text signature does not cover (RFC 4880, 7.1)."""
    return [line.rstrip() for line in text.rstrip().split(b"\n")]


def signer_of(signatures: Sequence[ReportedSignature]) -> str:
    """The fingerprint of a key that vouches for a repository.

    Raises:
        VerifyError: a signature is bad, or none is good over a strong hash.
    """
    if not signatures:
        raise VerifyError("repository.signature", "no signature that gpgv can read")
    for signature in signatures:
        if signature.bad:
            raise VerifyError("repository.signature", f"a bad signature: {signature.why}")
    good = [signature for signature in signatures if signature.good and signature.hash_alg in STRONG_HASHES]
    if not good:
        reasons = "; ".join(dict.fromkeys(_weakness(signature) for signature in signatures))
        raise VerifyError("repository.signature", f"no key of the keyring vouches for it: {reasons}")
    return good[0].fingerprint


def _weakness(signature: ReportedSignature) -> str:
    return "the signature is over a weak hash" if signature.good else signature.why


def _current(release: Release, *, now: datetime) -> None:
    if release.date > now + CLOCK_TOLERANCE:
        raise VerifyError("repository.freshness", f"the Release is of {release.date:%Y-%m-%d %H:%M} UTC, in the future")
    if release.valid_until is not None and release.valid_until < now:
        why = f"the Release was valid until {release.valid_until:%Y-%m-%d %H:%M} UTC: the mirror is held back or dead"
        raise VerifyError("repository.freshness", why)


def refuse_rollback(verified: VerifiedRelease, newest: datetime | None) -> None:
    """Refuse a Release that is older than the newest one of its suite that was ever accepted here.

    Raises:
        VerifyError: it is older.
    """
    date = verified.release.date
    if newest is not None and date < newest:
        why = f"the Release is of {date:%Y-%m-%d %H:%M} UTC, and one of {newest:%Y-%m-%d %H:%M} UTC was accepted before"
        raise VerifyError("repository.rollback", why)


def choose_index(verified: VerifiedRelease, *, component: str, architecture: str) -> tuple[str, ListedFile]:
    """The path, below the suite, of the index to fetch, and what it must be: xz, else gzip, else not packed.

    Raises:
        VerifyError: the Release lists none for this component and architecture.
    """
    base = f"{component}/binary-{architecture}/Packages"
    for path in (f"{base}.xz", f"{base}.gz", base):
        if path in verified.release.files:
            return path, verified.release.files[path]
    why = f"the Release lists no index for component {component} and architecture {architecture}"
    raise VerifyError("repository.index", why)


def verify_index(raw: bytes, listed: ListedFile, *, path: str) -> None:
    """The index is the one that the Release lists.

    Raises:
        VerifyError: another size or SHA-256.
    """
    _same("repository.index", raw, size=listed.size, sha256=listed.sha256, name=path)


def verify_package(raw: bytes, package: IndexedPackage) -> None:
    """The package file is the one that the index lists.

    Raises:
        VerifyError: another size or SHA-256.
    """
    _same("repository.package", raw, size=package.size, sha256=package.sha256, name=package.filename)


def verify_content(content: PackageContent, package: IndexedPackage) -> None:
    """The package says of itself what the index says of it.

    Raises:
        VerifyError: another name, version or architecture.
    """
    inside = (content.name, content.version, content.architecture)
    if inside != (package.name, package.version, package.architecture):
        why = f"{package.filename} calls itself {' '.join(inside)!a}, the index {package.name} {package.version}"
        raise VerifyError("repository.package", why)


def _same(check: str, raw: bytes, *, size: int, sha256: bytes, name: str) -> None:
    found = hashlib.sha256(raw).digest()
    if len(raw) != size or not hmac.compare_digest(found, sha256):
        why = f"{name}: {size} bytes with SHA-256 {sha256.hex()} expected, found {len(raw)} with {found.hex()}"
        raise VerifyError(check, why)
