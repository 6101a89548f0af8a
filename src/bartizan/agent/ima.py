"""The kernel's IMA list, read on from where the Verifier has it: entries are divided, never understood.

Format: Linux, security/integrity/ima/ima_fs.c, little-endian: PCR, template digest, template name, template data. The
kernel makes each part of the file anew for every reader, so whatever is skipped by offset costs this host nothing.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO, Dict, List, NamedTuple, Optional, Tuple

from bartizan.agent.errors import CollectError

HEAD, DIGEST, LENGTH = 28, 20, 4
"""PCR (4), template digest (20), length of the template's name (4)."""
MAX_TEMPLATE_NAME = 255
"""TCG_EVENT_NAME_LEN_MAX of the kernel."""
MAX_TEMPLATE_DATA = 16 * 1024 * 1024
"""Ours; the largest data are buffers such as keys or policies."""
OLD_TEMPLATE = b"ima"
"""Its data has no length in front: a digest, a length, a name."""
MAX_LIST = 48 * 1024 * 1024
"""Bytes sent at once, so that the rest of a request has room below its limit of 64 MiB."""
KEPT_MARKS = 4
"""Places in the list that are remembered: the last one sent, and those before it in case that an answer was lost."""
AGGREGATE = len(b"boot_aggregate\0").to_bytes(LENGTH, "little") + b"boot_aggregate\0"
"""The name of the first entry of a boot, as most templates have it."""


class Mark(NamedTuple):
    """Where the last entry of a prefix stands, and what it was."""

    start: int
    digest: bytes


class Tail(NamedTuple):
    """Entries from `first` on, and what was noticed on the way."""

    first: int
    entries: bytes
    notes: Tuple[str, ...] = ()


class _CutShortError(Exception):
    """No entry stands where one should."""


class ImaReader:
    """One list, and what was seen of it before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._marks: Dict[int, Mark] = {}

    def read(self, first: int) -> Optional[Tail]:
        """The list from this entry on, or in full where it is not the one that was there before; None without a list.

        Raises:
            CollectError: the list is there and cannot be read.
        """
        try:
            with self._path.open("rb") as file:
                return self._on_from(file, first) if first in self._marks else self._from_start(file, first)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CollectError(f"{self._path}: cannot be read: {error.strerror}") from error

    def _on_from(self, file: BinaryIO, first: int) -> Tail:
        mark = self._marks[first]
        file.seek(mark.start)
        try:
            entry = _entry(file)
        except _CutShortError:
            entry = None
        if entry is None or hashlib.sha256(entry).digest() != mark.digest:
            file.seek(0)
            return self._from_start(file, first)
        entries, _, notes = self._rest(file, first, mark)
        again = sum(AGGREGATE in entry for entry in entries)
        return Tail(first, b"".join(entries), notes + _of_kexec(again))

    def _from_start(self, file: BinaryIO, first: int) -> Tail:
        """The whole list read; sent from `first` on if it is the list that the Verifier has, as far as can be seen."""
        known, self._marks = self._marks, {}
        entries, ends, notes = self._rest(file, 0, None)
        odd = _odd(known, entries, first)
        if odd or first > len(entries):
            first = 0
        notes += odd + _of_kexec(sum(AGGREGATE in entry for entry in entries) - 1)
        if not ends:
            return Tail(0, b"".join(entries), notes)
        return Tail(first, b"".join(entries[first:]), notes)

    def _rest(self, file: BinaryIO, index: int, mark: Optional[Mark]) -> Tuple[List[bytes], bool, Tuple[str, ...]]:
        """The entries from here to the end, whether they end as entries do, and what was noticed."""
        entries: List[bytes] = []
        size = 0
        while size <= MAX_LIST:
            start = file.tell()
            try:
                entry = _entry(file)
            except _CutShortError:
                file.seek(start)
                entries.append(file.read(MAX_LIST))
                return entries, False, (f"IMA list: no entry at byte {start}; sent as it is from there on",)
            if entry is None:
                self._remember(index + len(entries), mark)
                return entries, True, ()
            mark = Mark(start, hashlib.sha256(entry).digest())
            entries.append(entry)
            size += len(entry)
        return entries, True, (f"IMA list: over {MAX_LIST} bytes; sent as far as entry {index + len(entries)}",)

    def _remember(self, count: int, mark: Optional[Mark]) -> None:
        if mark is not None:
            self._marks[count] = mark
        for old in sorted(self._marks)[:-KEPT_MARKS]:
            del self._marks[old]


def count_entries(file: BinaryIO) -> int:
    """How many entries a list has; those before the first thing that is none."""
    count = 0
    try:
        while _entry(file) is not None:
            count += 1
    except _CutShortError:
        pass
    return count


def _odd(known: Dict[int, Mark], entries: List[bytes], first: int) -> Tuple[str, ...]:
    """Why this is not the list that was there before; empty if nothing speaks against it."""
    before = max([first, *known])
    if len(entries) < before:
        return (f"IMA list: {len(entries)} entries now, {before} before; sent in full",)
    for count, mark in known.items():
        if hashlib.sha256(entries[count - 1]).digest() != mark.digest:
            return (f"IMA list: entry {count - 1} is not what it was; sent in full",)
    return ()


def _of_kexec(again: int) -> Tuple[str, ...]:
    return ("IMA list: another boot_aggregate: a kernel was started by kexec",) if again > 0 else ()


def _entry(file: BinaryIO) -> Optional[bytes]:
    """The next entry as it is, None at the end of the list."""
    head = file.read(HEAD)
    if not head:
        return None
    name = _take(file, _length(head[-LENGTH:], MAX_TEMPLATE_NAME))
    if len(head) < HEAD or not name:
        raise _CutShortError
    before = _take(file, DIGEST) if name == OLD_TEMPLATE else b""
    size = _take(file, LENGTH)
    return head + name + before + size + _take(file, _length(size, MAX_TEMPLATE_DATA))


def _length(raw: bytes, limit: int) -> int:
    length = int.from_bytes(raw, "little")
    if len(raw) < LENGTH or length > limit:
        raise _CutShortError
    return length


def _take(file: BinaryIO, size: int) -> bytes:
    raw = file.read(size)
    if len(raw) != size:
        raise _CutShortError
    return raw
