"""Packages of a distribution: what a repository says of them, and what is inside. Nothing here is a judgement."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedSignature:
    """What gpgv said of one signature; `fingerprint` is the primary key's, where the keyring holds that key.

    hash_alg: OpenPGP number (RFC 4880, 9.4). bad: the text is not what was signed.
    """

    good: bool
    bad: bool
    fingerprint: str
    hash_alg: int | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """A file of a repository as its Release lists it: size in bytes, SHA-256."""

    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The Release file of one suite: who it says it is, how long it may be used, and the digest of every index.

    by_hash: indexes can be had under their digest, so that a mirror in the middle of an update still fits.
    """

    origin: str
    label: str
    suite: str
    codename: str
    date: datetime
    valid_until: datetime | None
    by_hash: bool
    files: dict[str, ListedFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRelease:
    """A Release whose signature, suite and age hold; `signer` is the fingerprint of the key that vouches for it."""

    release: Release
    signer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedPackage:
    """One package as the index lists it: where its file is, and what that file must hash to."""

    name: str
    version: str
    architecture: str
    filename: str
    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledPackage:
    """One package that a node says it has."""

    name: str
    version: str
    architecture: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedFile:
    """A regular file inside a package; `conffile`: the administrator may change it (deb-conffiles(5))."""

    path: bytes
    sha256: bytes
    conffile: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedLink:
    """A symbolic link inside a package, its target as it is written there."""

    path: bytes
    target: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageContent:
    """What a package file holds; name, version and architecture are its own word."""

    name: str
    version: str
    architecture: str
    files: tuple[PackagedFile, ...]
    links: tuple[PackagedLink, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSource:
    """Where a package was verified: a signed suite of a repository, and the key that vouched for it."""

    repository: str
    signer: str
