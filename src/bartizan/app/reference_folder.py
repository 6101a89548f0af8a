"""A Reference Value set on disk: one folder with `reference.json`. Written whole or not at all."""

import os
import tempfile
from pathlib import Path

from bartizan.app.evidence_folder import read_file
from bartizan.errors import ConfigError, DecodeError
from bartizan.formats.reference_file import MAX_FILE, decode_reference, encode_reference
from bartizan.model.reference import ReferenceSet

FILE = "reference.json"


def read_reference(folder: Path) -> ReferenceSet:
    """The set in a folder that `propose` wrote.

    Raises:
        ConfigError: there is none. DecodeError: its document is not one.
    """
    path = folder / FILE
    if not path.is_file():
        raise ConfigError(f"{folder}: no {FILE} there; write one with: bartizan reference propose DIR --out {folder}")
    try:
        return decode_reference(read_file(path, limit=MAX_FILE))
    except DecodeError as error:
        raise DecodeError(f"{FILE}: {error.what}", error.offset, error.why) from error


def write_reference(reference: ReferenceSet, folder: Path) -> Path:
    """Write a set; an interruption leaves the old file or the new one, never half of one.

    Raises:
        ConfigError: the folder cannot be written to.
    """
    return write_whole(folder, FILE, encode_reference(reference))


def write_whole(folder: Path, name: str, content: bytes) -> Path:
    """Write one file of a folder, which is made when missing; an interruption leaves the old file or the new one.

    Raises:
        ConfigError: the folder cannot be written to.
    """
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=f".{name}.", delete=False) as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(stream.name).chmod(0o644)
        Path(stream.name).replace(path)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from error
    return path
