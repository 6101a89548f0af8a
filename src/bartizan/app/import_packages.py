"""What imports from repositories share: package after package verified, read and stored, and the set that they make.

Each package is stored before the next is looked at, so that an import can be ended at any time and goes on there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from bartizan.connectors.repository.mirror import Mirror, fetch_ahead
from bartizan.errors import ConfigError, ConnectorError, SenderError
from bartizan.model.package import IndexedPackage, InstalledPackage, PackageContent, PackageSource
from bartizan.model.reference import Origin, ReferenceSet
from bartizan.reference.packages import files_of, origin_of
from bartizan.reference.propose import canonical
from bartizan.store.package_store import PackageStore

MAX_FILES = 1_000_000
"""Files of one set: its document stays below 256 MiB."""

Progress = Callable[[int, int, str], None]
"""Packages done, packages in all, the name of the one at hand."""
Read = Callable[[bytes, IndexedPackage], PackageContent]
"""Verifies a package file against what the index says of it, and decodes it."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Packages of one repository that a store shall get.

    read, largest: how a package file is read, and the most bytes of one; installed: a node's packages, or None for the
    whole repository; most: at most so many packages of it.
    """

    mirror: Mirror
    source: PackageSource
    date: datetime
    read: Read
    largest: int
    installed: tuple[InstalledPackage, ...] | None
    most: int | None


def import_packages(indexed: list[IndexedPackage], task: Task, store: PackageStore, *, progress: Progress) -> Imported:
    """Put the wanted ones of some listed packages into the store. One that is refused is named and left out."""
    source_id = store.accept_release(task.source, task.date)
    done = Imported(source=task.source, date=task.date, indexed=len(indexed))
    chosen = _chosen(indexed, task)
    _packages(chosen, task, store, source_id=source_id, done=done, progress=progress)
    _closure(chosen, task, store, done=done)
    return done


def _chosen(indexed: Iterable[IndexedPackage], task: Task) -> list[IndexedPackage]:
    """The packages to fetch: those installed, or all; each package file once."""
    chosen = {package.sha256: package for package in indexed}.values()
    if task.installed is None:
        return list(chosen)[: task.most]
    installed = {(some.name, some.version, some.architecture) for some in task.installed}
    return [some for some in chosen if (some.name, some.version, some.architecture) in installed][: task.most]


def _packages(
    chosen: list[IndexedPackage],
    task: Task,
    store: PackageStore,
    *,
    source_id: int,
    done: Imported,
    progress: Progress,
) -> None:
    held = store.holds()
    new = [package for package in chosen if package.sha256 not in held]
    done.held = len(chosen) - len(new)
    paths = ((package.filename, min(package.size + 1, task.largest)) for package in new)
    for number, (package, raw) in enumerate(zip(new, fetch_ahead(task.mirror, paths), strict=True), done.held):
        progress(number, len(chosen), package.name)
        try:
            content = _content(raw, package, task.read)
        except (SenderError, ConnectorError) as error:
            done.refused.append(NotImported(package=package, why=str(error)))
            continue
        done.fetched += package.size
        done.added += store.add(package, content, source_id=source_id)
    progress(len(chosen), len(chosen), "")


def _content(raw: bytes | ConnectorError, package: IndexedPackage, read: Read) -> PackageContent:
    if isinstance(raw, ConnectorError):
        raise raw
    return read(raw, package)


def _closure(chosen: list[IndexedPackage], task: Task, store: PackageStore, *, done: Imported) -> None:
    """Which packages belong to the set: for a node those of every repository imported into this store so far."""
    if task.installed is None:
        refused = {some.package.sha256 for some in done.refused}
        done.chosen = tuple(package.sha256 for package in chosen if package.sha256 not in refused)
        return
    found = store.find(task.installed)
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
