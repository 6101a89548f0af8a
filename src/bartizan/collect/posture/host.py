"""Reads files, folders and modes of one host below a root, and keeps every reading with what went wrong.

Only opens for reading, but for query files that must be asked; never follows a link out of the root, never blocks on a
pipe. It judges nothing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple

MACHINE = Path("/")
MAX_TEXT = 256 * 1024
"""Bytes read of one file; the longest, AppArmor's list of profiles, has some 60 bytes for each."""
MAX_HASHED = 64 * 1024 * 1024
"""Bytes of a file that only its digests are kept of; SELinux's policy has 2 to 8 MiB."""
HASHES = ("sha1", "sha256", "sha384", "sha512")
MAX_NAMES = 4096
"""Names taken of one folder; a large server has a few hundred PCI devices."""
KINDS = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISSOCK, "socket"))
ABSENT, DENIED, TOO_LONG, FAILED = "absent", "denied", "too long", "failed"
ERRORS = {
    errno.ENOENT: ABSENT,
    errno.ENOTDIR: ABSENT,
    errno.EACCES: DENIED,
    errno.EPERM: DENIED,
}


@dataclass(frozen=True)
class Reading:
    """A file's text (bytes that are not UTF-8 as escapes), or why there is none: absent, denied, too long, failed."""

    path: str
    value: Optional[str]
    error: Optional[str] = None


@dataclass(frozen=True)
class Listing:
    """The names in a folder in their order, or why there are none."""

    path: str
    names: Optional[Tuple[str, ...]]
    error: Optional[str] = None


@dataclass(frozen=True)
class Node:
    """What stands at a path: `kind` is file, folder, socket or other; `mode` is its permission bits."""

    path: str
    kind: str
    mode: int
    uid: int
    gid: int


class Host:
    """A machine's file tree at `root`, and everything that was read of it; `/` is this machine."""

    def __init__(self, root: Path = MACHINE) -> None:
        self.root = Path(os.path.realpath(root))
        self.files: Dict[str, Reading] = {}
        self.folders: Dict[str, Listing] = {}
        self.nodes: Dict[str, Node] = {}

    def text(self, path: str) -> Reading:
        """The text of a file; kept."""
        reading = self.glance(path)
        self.files[path] = reading
        return reading

    def glance(self, path: str) -> Reading:
        """The text of a file without keeping it."""
        try:
            raw = self._read(path)
        except OSError as error:
            return Reading(path, None, ERRORS.get(error.errno or 0, FAILED))
        if len(raw) > MAX_TEXT:
            return Reading(path, None, TOO_LONG)
        return Reading(path, raw.decode("utf-8", "backslashreplace"))

    def digests(self, path: str) -> Reading:
        """The digests of a file, one line each; kept in place of its text."""
        try:
            raw = self._read(path, MAX_HASHED)
            reading = Reading(path, None, TOO_LONG)
            if len(raw) <= MAX_HASHED:
                lines = (f"{name} {hashlib.new(name, raw, usedforsecurity=False).hexdigest()}\n" for name in HASHES)
                reading = Reading(path, "".join(lines))
        except OSError as error:
            reading = Reading(path, None, ERRORS.get(error.errno or 0, FAILED))
        self.files[path] = reading
        return reading

    def names(self, path: str) -> Listing:
        """The names in a folder; kept."""
        listing = self.glance_names(path)
        self.folders[path] = listing
        return listing

    def glance_names(self, path: str, limit: int = MAX_NAMES) -> Listing:
        """The names in a folder without keeping them."""
        try:
            found = sorted(os.fsencode(entry.name) for entry in self._real(path).iterdir())
        except OSError as error:
            return Listing(path, None, ERRORS.get(error.errno or 0, FAILED))
        if len(found) > limit:
            return Listing(path, None, TOO_LONG)
        return Listing(path, tuple(name.decode("utf-8", "backslashreplace") for name in found))

    def node(self, path: str) -> Optional[Node]:
        """What stands at a path, kept; None, and nothing kept, when nothing that can be seen does."""
        node = self.glance_node(path)
        if node is not None:
            self.nodes[path] = node
        return node

    def glance_node(self, path: str) -> Optional[Node]:
        """What stands at a path without keeping it."""
        try:
            found = self._real(path).stat()
        except OSError:
            return None
        kind = next((name for is_kind, name in KINDS if is_kind(found.st_mode)), "other")
        return Node(path, kind, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)

    def link(self, path: str) -> Optional[str]:
        """Where a link points, not kept; None when it cannot be read."""
        try:
            folder, _, name = path.rpartition("/")
            return os.fspath((self._real(folder) / name).readlink())
        except OSError:
            return None

    def ask(self, path: str, question: str) -> Optional[str]:
        """What a query file of the kernel answers: it is asked and not told anything. None where there is no answer.

        Below another root than this machine's a folder stands at the path, with answers by the question's first word.
        """
        if self.root != MACHINE:
            return self.glance(f"{path}/{question.split(' ', 1)[0]}").value
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            with os.fdopen(descriptor, "r+b", buffering=0) as file:
                file.write(question.encode("utf-8", "surrogateescape"))
                return (file.read(MAX_TEXT) or b"").decode("ascii", "backslashreplace")
        except OSError:
            return None

    def _read(self, path: str, limit: int = MAX_TEXT) -> bytes:
        descriptor = os.open(self._real(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "not a file", path)
            parts: List[bytes] = []
            room = limit + 1
            while room > 0:
                part = file.read(room)
                if not part:
                    break
                parts.append(part)
                room -= len(part)
            return b"".join(parts)

    def _real(self, path: str) -> Path:
        """The path below the root; a link that leads out of it counts as absent."""
        below = self.root / path.lstrip("/")
        if self.root == MACHINE:
            return below
        real = Path(os.path.realpath(below))
        if real != self.root and self.root not in real.parents:
            raise OSError(errno.ENOENT, "outside of the root", path)
        return real
