"""`bartizan reference import deb`: signed repository → index → packages → the digest of every file, kept in a store.

Each package is verified, read and stored before the next, so that an import can be ended at any time and goes on there.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bartizan.app.import_packages import Imported, Progress, Task, import_packages
from bartizan.connectors.repository.gpgv import run_gpgv
from bartizan.connectors.repository.mirror import Mirror
from bartizan.formats.clearsigned import MAX_CLEARSIGNED, decode_clearsigned
from bartizan.formats.deb import MAX_DEB, decode_deb
from bartizan.formats.debian_packages import MAX_INDEX, decode_packages
from bartizan.formats.gpgv_status import decode_gpgv_status
from bartizan.formats.inert import inert
from bartizan.formats.unpack import unpack
from bartizan.model.package import (
    IndexedPackage,
    InstalledPackage,
    PackageContent,
    PackageSource,
    Release,
    VerifiedRelease,
)
from bartizan.store.package_store import PackageStore
from bartizan.verify.repository import (
    choose_index,
    refuse_rollback,
    verify_content,
    verify_index,
    verify_package,
    verify_release,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to import: of which repository, and which of its packages.

    installed: a node's packages, or None for the whole suite; limit: at most so many packages of it.
    """

    mirror: Mirror
    keyring: Path
    suite: str
    components: tuple[str, ...]
    architecture: str
    installed: tuple[InstalledPackage, ...] | None = None
    limit: int | None = None


def import_debian(wanted: Wanted, store: PackageStore, *, now: datetime, progress: Progress) -> Imported:
    """Verify a repository and put the wanted packages into the store.

    A package that is refused is named and left out; the others go on.

    Raises:
        VerifyError, DecodeError: the Release or an index. ConnectorError: mirror or gpgv.
        ConfigError: keyring or store.
    """
    signed = wanted.mirror.fetch(f"dists/{wanted.suite}/InRelease", limit=MAX_CLEARSIGNED)
    verified = _release(signed, wanted, store, now=now)
    source = PackageSource(repository=repository_name(verified.release), signer=verified.signer)
    indexed = [package for component in wanted.components for package in _index(verified, wanted, component)]
    task = Task(
        mirror=wanted.mirror,
        source=source,
        date=verified.release.date,
        read=_read,
        largest=MAX_DEB,
        installed=wanted.installed,
        most=wanted.limit,
    )
    return import_packages(indexed, task, store, progress=progress)


def repository_name(release: Release) -> str:
    """How a suite is named in provenance: origin, label and code name, each once."""
    words = dict.fromkeys((release.origin, release.label, release.codename or release.suite))
    return inert(" ".join(word for word in words if word))


def _release(signed: bytes, wanted: Wanted, store: PackageStore, *, now: datetime) -> VerifiedRelease:
    framed = decode_clearsigned(signed)
    vouched = run_gpgv(signed, wanted.keyring)
    signatures = decode_gpgv_status(vouched.status)
    verified = verify_release(framed, vouched.text, signatures, suite=wanted.suite, now=now)
    refuse_rollback(verified, store.newest(repository_name(verified.release)))
    return verified


def _index(verified: VerifiedRelease, wanted: Wanted, component: str) -> tuple[IndexedPackage, ...]:
    path, listed = choose_index(verified, component=component, architecture=wanted.architecture)
    folder, _, name = path.rpartition("/")
    if wanted.mirror.by_hash and verified.release.by_hash:
        name = f"by-hash/SHA256/{listed.sha256.hex()}"
    raw = wanted.mirror.fetch(f"dists/{wanted.suite}/{folder}/{name}", limit=min(listed.size + 1, MAX_INDEX))
    verify_index(raw, listed, path=path)
    form = path.rpartition("/")[2].removeprefix("Packages").removeprefix(".")
    return decode_packages(unpack(raw, form=form, limit=MAX_INDEX, what=path))


def _read(raw: bytes, package: IndexedPackage) -> PackageContent:
    verify_package(raw, package)
    content = decode_deb(raw)
    verify_content(content, package)
    return content
