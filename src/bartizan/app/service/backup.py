"""A copy of everything that the service keeps, taken while it runs, and the way back.

A backup is a tar file: the database as of one instant, the keys that sign results, the TLS key, the operators' tokens,
and a manifest with the SHA-256 of each. The nonce key is left out: a restore makes another one, so that no challenge of
before counts. It holds secrets and is written readable by its owner alone.
"""

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO

import msgspec
from sqlalchemy import make_url

from bartizan.app.service.keys import new_nonce_key
from bartizan.app.service.settings import Settings
from bartizan.errors import ConfigError, DecodeError
from bartizan.formats.strict import json_value
from bartizan.store.database import open_database

FORMAT = "bartizan-backup-1"
TOKENS = "tokens"
MANIFEST, DATABASE = "manifest.json", "bartizan.db"
PAGES = 1024
"""Database pages copied between two chances for writers."""
MAX_MANIFEST = 1 << 20
LEFT_OUT = frozenset({"nonce.key"})
BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database and takes for a part of it, whosever it is."""
MAX_NAMED = 8


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    made_at: str
    version: str
    files: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a backup holds. size: bytes of the file."""

    path: Path
    made_at: datetime
    files: tuple[str, ...]
    size: int


def take_backup(settings: Settings, path: Path, *, now: datetime) -> Backup:
    """Write a backup; the service may run meanwhile.

    Raises:
        ConfigError: there is no SQLite database to copy, the file is there already, or it cannot be written.
    """
    source = _database(settings)
    if not source.is_file():
        raise ConfigError(f"{source}: no database there; name the data folder or settings of the service")
    if path.exists():
        raise ConfigError(f"{path}: is there already, and is left as it is; name another file")
    try:
        with tempfile.TemporaryDirectory(prefix=".backup-", dir=path.absolute().parent) as scratch:
            copy = Path(scratch) / DATABASE
            _copy(source, copy)
            files = {DATABASE: copy} | _keys(settings.keys) | _tokens(settings.folder)
            whole = Path(scratch) / "backup.tar"
            _pack(whole, files, now)
            whole.chmod(0o600)
            _sync(whole)
            whole.rename(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    return Backup(path=path, made_at=now, files=tuple(files), size=path.stat().st_size)


def restore_backup(path: Path, settings: Settings) -> Backup:
    """Put a backup where the service will find it; every challenge that is out becomes void.

    Raises:
        ConfigError: something is there already, the file cannot be read, or the database cannot be used.
        DecodeError: it is no backup, or was changed; nothing of it is left there.
    """
    _nothing_there(_database(settings), settings.keys)
    try:
        with tarfile.open(path, "r:") as archive, ExitStack() as undo:
            manifest = _manifest(archive)
            for name in sorted(manifest.files, key=lambda name: name == DATABASE):  # without it, nothing is restored
                target = _place(settings, name)
                _extract(archive, name, manifest.files[name], target)
                undo.callback(target.unlink, missing_ok=True)
            undo.pop_all()
    except tarfile.TarError as error:
        raise DecodeError("backup", 0, f"no tar file: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    new_nonce_key(settings.keys)
    with open_database(settings.database_url):
        pass  # an older schema is brought up to date, a newer one refused, before anybody relies on it
    made_at = datetime.fromisoformat(manifest.made_at)
    return Backup(path=path, made_at=made_at, files=tuple(manifest.files), size=path.stat().st_size)


def _database(settings: Settings) -> Path:
    url = make_url(settings.database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise ConfigError(f"database {url!r}: only SQLite is copied here; use the database's own tools for others")
    return Path(url.database)


def _nothing_there(database: Path, keys: Path) -> None:
    """What a restore would find beside its own files would change what they say: a log of another database, other keys.

    Raises:
        ConfigError: something is there.
    """
    whole = (database, *(database.with_name(database.name + suffix) for suffix in BESIDE))
    found = [path for path in whole if os.path.lexists(path)]
    found.extend(sorted(path for path in keys.rglob("*") if not path.is_dir()))
    if found:
        more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
        named = ", ".join(map(str, found[:MAX_NAMED])) + more
        raise ConfigError(f"{named}: there already; move away what is left of another service, nothing is overwritten")


def _copy(source: Path, target: Path) -> None:
    """SQLite's online backup: consistent as of its end, also beside a writer."""
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy, pages=PAGES)


def _keys(root: Path) -> dict[str, Path]:
    """The key files below their folder, by their name in the backup."""
    paths = sorted(path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {f"keys/{path.relative_to(root)}": path for path in paths if path.name not in LEFT_OUT}


def _tokens(folder: Path) -> dict[str, Path]:
    """The API tokens that `serve` left for this machine's operators: without them nobody gets in after a restore."""
    return {f"{TOKENS}/{path.name}": path for path in sorted(folder.glob("*.token")) if path.is_file()}


def _pack(target: Path, files: dict[str, Path], now: datetime) -> None:
    digests: dict[str, str] = {}
    for name, path in files.items():
        with path.open("rb") as stream:
            digests[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    manifest = _Manifest(format=FORMAT, made_at=now.isoformat(), version=version("bartizan"), files=digests)
    raw = json.dumps(msgspec.to_builtins(manifest), indent=1).encode()
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo(MANIFEST)
        entry.size = len(raw)
        archive.addfile(entry, io.BytesIO(raw))
        for name, path in files.items():
            archive.add(path, arcname=name, recursive=False)


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _manifest(archive: tarfile.TarFile) -> _Manifest:
    with _open(archive, MANIFEST) as stream:
        raw = stream.read(MAX_MANIFEST)
    try:
        manifest = msgspec.convert(json_value(raw, MANIFEST), _Manifest, strict=True)
    except msgspec.ValidationError as error:
        raise DecodeError(MANIFEST, 0, str(error)) from error
    if manifest.format != FORMAT:
        raise DecodeError(MANIFEST, 0, f"format {FORMAT} expected, found {manifest.format[:40]!a}")
    if DATABASE not in manifest.files:
        raise DecodeError(MANIFEST, 0, f"{DATABASE} is missing")
    return manifest


def _extract(archive: tarfile.TarFile, name: str, digest: str, target: Path) -> None:
    """A file of the backup put in its place, if it is the one that the manifest names."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, scratch = tempfile.mkstemp(dir=target.parent, prefix=".restore-")
    try:
        with os.fdopen(handle, "wb") as out, _open(archive, name) as stream:
            shutil.copyfileobj(stream, out)
            out.flush()
            os.fsync(out.fileno())
        with Path(scratch).open("rb") as written:
            found = hashlib.file_digest(written, "sha256").hexdigest()
        if found != digest:
            raise DecodeError(
                name, 0, f"SHA-256 {digest} expected, found {found}: the backup was changed or is damaged"
            )
        Path(scratch).rename(target)
    finally:
        Path(scratch).unlink(missing_ok=True)


def _open(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        member = archive.getmember(name)
        stream = archive.extractfile(member) if member.isreg() else None
    except KeyError as error:
        raise DecodeError("backup", 0, f"{name} is missing") from error
    if stream is None:
        raise DecodeError("backup", 0, f"{name}: a regular file expected")
    return stream


def _place(settings: Settings, name: str) -> Path:
    """Where a file of a backup belongs.

    Raises:
        DecodeError: nowhere: its name leads out of the data folder.
    """
    if name == DATABASE:
        return _database(settings)
    path = Path(name)
    if path.parts[:1] == (TOKENS,) and len(path.parts) == 2 and path.suffix == ".token":  # noqa: PLR2004  folder, file
        return settings.keys / path.relative_to("keys").name
    if path.is_absolute() or ".." in path.parts or path.parts[:1] != ("keys",):
        raise DecodeError("backup", 0, f"{name!a}: a name below keys/ expected")
    return settings.keys / path.relative_to("keys")
