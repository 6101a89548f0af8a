"""The package store: digests of every file of every package that was ever verified, in one file.

One transaction for each package: after a crash it is there as a whole or not at all, and an import goes on from there.
It believes its caller: only what was verified against a signed repository belongs in here.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, Table, bindparam, create_engine, event, func, insert, inspect, select
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError

from bartizan.errors import ConfigError
from bartizan.model.package import (
    IndexedPackage,
    InstalledPackage,
    PackageContent,
    PackagedFile,
    PackagedLink,
    PackageSource,
)
from bartizan.store.schema import (
    VERSION,
    digest,
    file,
    link,
    metadata,
    newest_release,
    package,
    path,
    source,
    store_version,
)

BUSY_SECONDS = 30.0
"""How long to wait for another process that writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPackage:
    """A package from the store, with where it was verified."""

    content: PackageContent
    source: PackageSource


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSize:
    """How much is in the store; `shared` counts digests, each stored once."""

    packages: int
    files: int
    shared: int


class PackageStore:
    """One store, opened; use it as a context manager."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def newest(self, repository: str) -> datetime | None:
        """The date of the newest Release of a suite that was accepted here."""
        query = select(newest_release.c.date).where(newest_release.c.repository == repository)
        with _reading(self._engine) as connection:
            date = connection.execute(query).scalar()
        return None if date is None else datetime.fromtimestamp(date, UTC)

    def accept_release(self, origin: PackageSource, date: datetime) -> int:
        """Remember a verified Release; returns the id under which its packages are added."""
        seconds = int(date.timestamp())
        newer = sqlite_insert(newest_release).values(repository=origin.repository, date=seconds)
        newer = newer.on_conflict_do_update(
            index_elements=["repository"], set_={"date": func.max(newest_release.c.date, newer.excluded.date)}
        )
        row = {"repository": origin.repository, "signer": origin.signer}
        with _writing(self._engine) as connection:
            connection.execute(newer)
            connection.execute(sqlite_insert(source).values(row).on_conflict_do_nothing())
            query = select(source.c.id).where(
                source.c.repository == origin.repository, source.c.signer == origin.signer
            )
            return int(connection.execute(query).scalar_one())

    def holds(self) -> frozenset[bytes]:
        """The SHA-256 of every package file that is in the store."""
        with _reading(self._engine) as connection:
            return frozenset(connection.execute(select(package.c.sha256)).scalars())

    def add(self, listed: IndexedPackage, content: PackageContent, *, source_id: int) -> bool:
        """Put in one verified package, whole; False when another process put it in meanwhile."""
        row = {
            "sha256": listed.sha256,
            "name": listed.name,
            "version": listed.version,
            "architecture": listed.architecture,
            "source": source_id,
        }
        with _writing(self._engine) as connection:
            added = sqlite_insert(package).values(row).on_conflict_do_nothing().returning(package.c.id)
            package_id = connection.execute(added).scalar_one_or_none()
            if package_id is not None:
                _add_content(connection, package_id, content)
        return package_id is not None

    def packages(self, wanted: Iterable[bytes]) -> Iterator[StoredPackage]:
        """The packages with these SHA-256, as far as they are in the store, in the order asked for."""
        with _reading(self._engine) as connection:
            for sha256 in wanted:
                yield from _stored(connection, sha256)

    def find(self, wanted: Iterable[InstalledPackage]) -> dict[InstalledPackage, tuple[bytes, ...]]:
        """For each installed package the SHA-256 of the package files with that name, version and architecture."""
        query = select(package.c.sha256).where(
            package.c.name == bindparam("n"),
            package.c.version == bindparam("v"),
            package.c.architecture == bindparam("a"),
        )
        query = query.order_by(package.c.sha256)
        with _reading(self._engine) as connection:
            return {
                some: tuple(
                    connection.execute(query, {"n": some.name, "v": some.version, "a": some.architecture}).scalars()
                )
                for some in wanted
            }

    def size(self) -> StoreSize:
        """How much is in it."""
        with _reading(self._engine) as connection:
            return StoreSize(
                packages=_count(connection, package), files=_count(connection, file), shared=_count(connection, digest)
            )


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _add_content(connection: Connection, package_id: int, content: PackageContent) -> None:
    names = {some.path for some in content.files} | {some.path for some in content.links}
    digests = {some.sha256 for some in content.files}
    if names:
        connection.execute(sqlite_insert(path).on_conflict_do_nothing(), [{"path": name} for name in sorted(names)])
    if digests:
        rows = [{"sha256": value} for value in sorted(digests)]
        connection.execute(sqlite_insert(digest).on_conflict_do_nothing(), rows)
        connection.execute(ADD_FILE, [_file_row(package_id, some) for some in content.files])
    if content.links:
        connection.execute(ADD_LINK, [_link_row(package_id, some) for some in content.links])


PATH_ID = select(path.c.id).where(path.c.path == bindparam("of_path")).scalar_subquery()
DIGEST_ID = select(digest.c.id).where(digest.c.sha256 == bindparam("of_digest")).scalar_subquery()
ADD_FILE = insert(file).values(
    package=bindparam("of"), path=PATH_ID, digest=DIGEST_ID, conffile=bindparam("is_conffile")
)
ADD_LINK = insert(link).values(package=bindparam("of"), path=PATH_ID, target=bindparam("to"))


def _file_row(package_id: int, some: PackagedFile) -> dict[str, object]:
    return {"of": package_id, "of_path": some.path, "of_digest": some.sha256, "is_conffile": some.conffile}


def _link_row(package_id: int, some: PackagedLink) -> dict[str, object]:
    return {"of": package_id, "of_path": some.path, "to": some.target}


def _stored(connection: Connection, sha256: bytes) -> Iterator[StoredPackage]:
    query = select(package, source.c.repository, source.c.signer).join(source).where(package.c.sha256 == sha256)
    row = connection.execute(query).one_or_none()
    if row is None:
        return
    files = (
        select(path.c.path, digest.c.sha256, file.c.conffile)
        .select_from(file.join(path).join(digest))
        .where(file.c.package == row.id)
        .order_by(path.c.path)
    )
    links = (
        select(path.c.path, link.c.target)
        .select_from(link.join(path))
        .where(link.c.package == row.id)
        .order_by(path.c.path)
    )
    content = PackageContent(
        name=row.name,
        version=row.version,
        architecture=row.architecture,
        files=tuple(PackagedFile(path=p, sha256=d, conffile=c) for p, d, c in connection.execute(files)),
        links=tuple(PackagedLink(path=p, target=t) for p, t in connection.execute(links)),
    )
    yield StoredPackage(content=content, source=PackageSource(repository=row.repository, signer=row.signer))


@contextmanager
def open_store(where: Path) -> Iterator[PackageStore]:
    """Open a store, or make one.

    Raises:
        ConfigError: the file is not a package store, is of another version, or cannot be used.
    """
    engine = create_engine(URL.create("sqlite", database=str(where)), connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    try:
        _make(engine, where)
        yield PackageStore(engine)
    except DBAPIError as error:
        raise ConfigError(f"{where}: the package store cannot be used: {error.orig}") from error
    finally:
        engine.dispose()


def _prepare(connection: object, _record: object) -> None:
    """Write-ahead log: readers do not wait, and a killed writer leaves nothing half done."""
    connection.isolation_level = None  # type: ignore[attr-defined]  # sqlite3's own; transactions begin in `_begin`
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]  # as above


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _writing(engine: Engine) -> Iterator[Connection]:
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def _reading(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        yield connection


def _make(engine: Engine, where: Path) -> None:
    with _writing(engine) as connection:
        there = inspect(connection).get_table_names()
        if not there:
            metadata.create_all(connection)
            connection.execute(insert(store_version).values(version=VERSION))
        elif "store_version" not in there:
            raise ConfigError(f"{where}: a database, but not a package store")
        version = connection.execute(select(store_version.c.version)).scalar()
    if version != VERSION:
        raise ConfigError(
            f"{where}: a package store of version {version}, {VERSION} expected; make it again by importing"
        )
