"""A Reference Value set on disk: one folder with `reference.json`. Written whole or not at all.

Another set is replaced only when that is asked for, and its signatures go with it.
"""

import os
import tempfile
from pathlib import Path

from bartizan.app.evidence_folder import read_file
from bartizan.errors import ConfigError, DecodeError
from bartizan.formats.inert import inert
from bartizan.formats.reference_file import MAX_FILE, decode_reference, encode_reference
from bartizan.model.reference import ReferenceSet

FILE = "reference.json"
SIGNATURES = "reference.sig.json"
"""Signatures of the set, beside it."""


def read_reference(folder: Path) -> ReferenceSet:
    """The set in a folder that `propose` wrote.

    Raises:
        ConfigError: there is none. DecodeError: its document is not one; it names the file with its folder.
    """
    path = folder / FILE
    if not path.is_file():
        raise ConfigError(f"{folder}: no {FILE} there; write one with: bartizan reference propose DIR --out {folder}")
    try:
        return decode_reference(read_file(path, limit=MAX_FILE))
    except DecodeError as error:
        raise DecodeError(f"{path}: {error.what}", error.offset, error.why) from error


def write_new(reference: ReferenceSet, folder: Path, *, force: bool) -> Path:
    """Write a set where none is yet, or the same one; another one is replaced by force only.

    Raises:
        ConfigError: another set is there, or the folder cannot be written to.
    """
    path = folder / FILE
    if not force and path.exists() and not _holds(path, encode_reference(reference)):
        why = f"{folder}: another set is there ({_present(folder)}), and is left as it is"
        raise ConfigError(f"{why}; name another folder, or replace it and its signatures with --force")
    return write_reference(reference, folder)


def _present(folder: Path) -> str:
    """What a folder holds, in words."""
    try:
        found = read_reference(folder)
    except (ConfigError, DecodeError):
        return f"a {FILE} that cannot be read"
    return f"{inert(found.name)}@sha256:{found.digest}"


def write_reference(reference: ReferenceSet, folder: Path) -> Path:
    """Write a set; an interruption leaves the old file or the new one, never half of one.

    Signatures of another set that was there are deleted: they would say that this one was tampered with.

    Raises:
        ConfigError: the folder cannot be written to.
    """
    content = encode_reference(reference)
    same = _holds(folder / FILE, content)
    path = write_whole(folder, FILE, content)
    if not same:
        try:
            (folder / SIGNATURES).unlink(missing_ok=True)
        except OSError as error:
            why = f"{folder / SIGNATURES}: it signs the set that was there before, and cannot be deleted"
            raise ConfigError(f"{why}: {error.strerror}") from error
    return path


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.is_file() and read_file(path, limit=MAX_FILE) == content
    except ConfigError:
        return False


def write_whole(folder: Path, name: str, content: bytes) -> Path:
    """Write one file of a folder, which is made when missing; an interruption leaves the old file or the new one.

    Raises:
        ConfigError: the file cannot be written; nothing is left of the attempt.
    """
    path = folder / name
    if path.is_dir():
        raise ConfigError(f"{path}: it is a folder; a file to write expected")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def _replace(path: Path, content: bytes) -> None:
    """Put a file with this content in the place of `path` in one step."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
        temporary = Path(stream.name)
        try:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
