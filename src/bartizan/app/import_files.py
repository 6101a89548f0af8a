"""`bartizan reference import files`: the digests of an image's own files, which no package has, for people to sign."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from bartizan.errors import ConfigError
from bartizan.model.reference import ReferenceFile, ReferenceSet
from bartizan.reference.propose import canonical

ALG = "sha256"
MAX_FILES = 1_000_000


def files_below(root: Path, paths: tuple[str, ...], *, name: str) -> ReferenceSet:
    """The set of all regular files under some absolute paths of an image that is unpacked or mounted at `root`.

    Links are not followed: the kernel reports a file under its real path.

    Raises:
        ConfigError: a path that is not there, is neither file nor folder, leads out of the root, or cannot be read; no
            file at all, or too many.
    """
    found: dict[bytes, ReferenceFile] = {}
    for path in paths:
        for file in _walk(root.resolve(), path):
            if len(found) >= MAX_FILES:
                raise ConfigError(f"more than {MAX_FILES} files: name folders that hold fewer")
            found[file.path] = file
    if not found:
        raise ConfigError(
            f"no regular file under {', '.join(paths)} in {root}: a set without a file recognises nothing"
        )
    source = f"files of an image under {', '.join(paths)}"
    return canonical(ReferenceSet(name=name, source=source, events=(), files=tuple(found.values()), digest=""))


def _walk(root: Path, path: str) -> Iterator[ReferenceFile]:
    start = (root / path.lstrip("/")).resolve()
    if not path.startswith("/") or not start.is_relative_to(root) or not start.exists():
        raise ConfigError(f"{path}: an absolute path of a file or folder in {root} expected")
    if not start.is_file() and not start.is_dir():
        raise ConfigError(f"{path}: neither a regular file nor a folder in {root}")
    for place in [start] if start.is_file() else _below(start):
        if place.is_file() and not place.is_symlink():
            yield ReferenceFile(path=b"/" + os.fsencode(place.relative_to(root)), alg=ALG, digest=_digest(place))


def _below(start: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(start, onerror=_refuse):
        yield from (Path(folder, name) for name in names)


def _refuse(error: OSError) -> NoReturn:
    raise ConfigError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _digest(place: Path) -> bytes:
    try:
        with place.open("rb") as stream:
            return hashlib.file_digest(stream, ALG).digest()
    except OSError as error:
        raise ConfigError(f"{place}: cannot be read: {error.strerror}") from error
