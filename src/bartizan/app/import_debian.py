"""`bartizan reference import deb`: signed repository → index → packages → the digest of every file, kept in a store.

Each package is verified, read and stored before the next, so that an import can be ended at any time and goes on there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bartizan.connectors.debian.gpgv import run_gpgv
from bartizan.connectors.debian.mirror import Mirror, fetch_ahead
from bartizan.errors import ConfigError, ConnectorError, SenderError
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
from bartizan.model.reference import Origin, ReferenceSet
from bartizan.reference.packages import files_of, origin_of
from bartizan.reference.propose import canonical
from bartizan.store.package_store import PackageStore
from bartizan.verify.repository import (
    choose_index,
    refuse_rollback,
    verify_content,
    verify_index,
    verify_package,
    verify_release,
)

MAX_FILES = 1_000_000
"""Files of one set: its document stays below 256 MiB."""

Progress = Callable[[int, int, str], None]
"""Packages done, packages in all, the name of the one at hand."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class NotImported:
    """A package that could not be used, and why."""

    package: IndexedPackage
    why: str


@dataclass(slots=True, kw_only=True)
class Imported:
    """What an import came to.

    indexed: packages in the index; added: new in the store; held: there before; fetched: bytes of packages;
    missing: installed packages that are in no repository imported so far; chosen: SHA-256 of the set's packages.
    """

    source: PackageSource
    date: datetime
    indexed: int = 0
    added: int = 0
    held: int = 0
    fetched: int = 0
    refused: list[NotImported] = field(default_factory=list)
    missing: tuple[InstalledPackage, ...] = ()
    chosen: tuple[bytes, ...] = ()

    @property
    def complete(self) -> bool:
        """Every package that was asked for is in the store."""
        return not self.refused and not self.missing


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
    source_id = store.accept_release(source, verified.release.date)
    done = Imported(source=source, date=verified.release.date, indexed=len(indexed))
    chosen = _chosen(indexed, wanted)
    _packages(chosen, wanted.mirror, store, source_id=source_id, done=done, progress=progress)
    _closure(chosen, wanted, store, done=done)
    return done


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


def _chosen(indexed: Iterable[IndexedPackage], wanted: Wanted) -> list[IndexedPackage]:
    """The packages to fetch: those installed, or all; each package file once."""
    chosen = {package.sha256: package for package in indexed}.values()
    if wanted.installed is None:
        return list(chosen)[: wanted.limit]
    installed = {(some.name, some.version, some.architecture) for some in wanted.installed}
    return [some for some in chosen if (some.name, some.version, some.architecture) in installed][: wanted.limit]


def _packages(
    chosen: list[IndexedPackage],
    mirror: Mirror,
    store: PackageStore,
    *,
    source_id: int,
    done: Imported,
    progress: Progress,
) -> None:
    held = store.holds()
    new = [package for package in chosen if package.sha256 not in held]
    done.held = len(chosen) - len(new)
    paths = ((package.filename, min(package.size + 1, MAX_DEB)) for package in new)
    for number, (package, raw) in enumerate(zip(new, fetch_ahead(mirror, paths), strict=True), done.held):
        progress(number, len(chosen), package.name)
        try:
            content = _content(raw, package)
        except (SenderError, ConnectorError) as error:
            done.refused.append(NotImported(package=package, why=str(error)))
            continue
        done.fetched += package.size
        done.added += store.add(package, content, source_id=source_id)
    progress(len(chosen), len(chosen), "")


def _content(raw: bytes | ConnectorError, package: IndexedPackage) -> PackageContent:
    if isinstance(raw, ConnectorError):
        raise raw
    verify_package(raw, package)
    content = decode_deb(raw)
    verify_content(content, package)
    return content


def _closure(chosen: list[IndexedPackage], wanted: Wanted, store: PackageStore, *, done: Imported) -> None:
    """Which packages belong to the set: for a node those of every repository imported into this store so far."""
    if wanted.installed is None:
        refused = {some.package.sha256 for some in done.refused}
        done.chosen = tuple(package.sha256 for package in chosen if package.sha256 not in refused)
        return
    found = store.find(wanted.installed)
    done.missing = tuple(some for some, known in found.items() if not known)
    done.chosen = tuple(dict.fromkeys(sha256 for known in found.values() for sha256 in known))


def reference_of(done: Imported, store: PackageStore, *, name: str) -> ReferenceSet:
    """The Reference Values of an import's packages.

    Raises:
        ConfigError: they have more files than one set may hold.
    """
    packages: list[tuple[Origin, PackageContent]] = []
    count = 0
    for some in store.packages(done.chosen):
        count += len(some.content.files)
        if count > MAX_FILES:
            why = f"{len(done.chosen)} packages have more files than a set may hold ({MAX_FILES})"
            raise ConfigError(f"{why}; all are in the store now: choose from them with --installed")
        packages.append((origin_of(some.content, some.source), some.content))
    source = f"{len(packages)} packages of signed repositories, the last one {done.source.repository}"
    return canonical(ReferenceSet(name=name, source=source, events=(), files=tuple(files_of(packages)), digest=""))
