"""The log of a dynamic launch where TXT keeps it: in its TPM 1.2 container, or inside a dump of the TXT heap.

Intel TXT Software Development Guide, appendix C (heap: BiosData, OsMleData, OsSinitData, SinitMleData, their extended
elements) and F (event log container of TPM 1.2). The heap states physical addresses, and a dump does not say where it
was taken: so the log is looked for, and an address only tells which of several is meant.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.reader import LittleReader
from bartizan.formats.tcg_log import MAX_LOG, PADDINGS, SPEC_ID, decode_boot_log, decode_embedded_log
from bartizan.model.boot_log import BootLog, LogFormat

CONTAINER_SIGNATURE = b"TXT Event Container\0"
CONTAINER = Struct("<20s12s4BIII")
"""Signature, reserved, versions of container and events (major and minor), size, offsets of first and next event; F."""
MAJOR = 1
SMALLEST_TABLE, TABLES = 8, 4
"""The heap's four tables stand in a row, each behind 8 bytes of size that count themselves; C.1."""
OS_SINIT_TABLE = 2
OS_SINIT_FIXED = Struct("<II9QIQ")
"""OsSinitData before its extended elements: version, flags, nine addresses and sizes, capabilities, RSDP; C.4."""
FIRST_WITH_ELEMENTS = 6
"""The version of OsSinitData from which on it has them."""
ELEMENT = Struct("<II")
"""Type and size of an extended element, the size counting these 8 bytes; C.6."""
MAX_ELEMENTS = 64
"""Ours: tboot writes two."""
END_ELEMENT = 0
LOG_POINTERS = {5: Struct("<Q"), 8: Struct("<QIII")}
"""HEAP_EVENT_LOG_POINTER_ELEMENT (TPM 1.2) and …_ELEMENT2_1 (TPM 2.0): both begin with a physical address; C.6."""
PAGE = 4096
LOG_START = re.compile(rb"\0{4}\x03\0{3}\0{20}.{4}" + SPEC_ID, re.DOTALL)
"""A Spec ID event: PCR 0, EV_NO_ACTION, a digest of zeros, 4 bytes of size, its signature; PFP 1.06, 10.4.5.1."""
CONTAINER_START = re.compile(CONTAINER_SIGNATURE)
MAX_CANDIDATES = 8
"""Ours: places that may be a log's beginning; a heap has one, or two after a relaunch."""
MAX_EMBEDDED = 1024 * 1024
"""Bytes of a log in a dump: the heap itself has 1 MiB at most on the machines seen, the log in it 8 to 64 KiB."""


def is_container(raw: bytes) -> bool:
    """It begins as a TPM 1.2 event log container does."""
    return raw.startswith(CONTAINER_SIGNATURE)


def decode_txt_container(raw: bytes) -> BootLog:
    """TPM 1.2 events of a dynamic launch in their container; bytes after it must be one repeated padding byte.

    Raises:
        DecodeError: another version, offsets that do not fit, no events, or an event that the format does not allow.
    """
    log, size = _container(raw)
    rest = raw[size:]
    if not any(rest == byte * len(rest) for byte in PADDINGS):
        raise DecodeError("TXT event container", size, f"{len(rest)} bytes left over that are no padding")
    return log


def _container(raw: bytes) -> tuple[BootLog, int]:
    """The log of a container and the container's size in bytes."""
    reader = LittleReader(raw)
    signature, _, major, _, event_major, _, size, first, end = reader.unpack(CONTAINER, "TXT event container")
    if signature != CONTAINER_SIGNATURE or (major, event_major) != (MAJOR, MAJOR):
        raise DecodeError("TXT event container", 0, f"version {MAJOR} of both parts expected")
    if not CONTAINER.size <= first <= end <= size <= len(raw):
        why = f"events from {first} to {end} of {size} bytes do not fit into {len(raw)}"
        raise DecodeError("TXT event container", CONTAINER.size - 12, why)
    try:
        log = decode_boot_log(raw[first:end])
    except DecodeError as error:
        raise DecodeError(error.what, first + error.offset, error.why) from error
    if log.format is not LogFormat.SHA1:
        raise DecodeError("TXT event container", first, "events of TPM 1.2 expected")
    return replace(log, format=LogFormat.TXT), size


def is_txt_heap(raw: bytes) -> bool:
    """It begins as the heap does: four tables in a row. A boot log never does: its first number is a PCR."""
    try:
        return len(_tables(raw)) == TABLES
    except DecodeError:
        return False


def _tables(raw: bytes) -> list[LittleReader]:
    """A window on each table behind its size; C.1."""
    reader = LittleReader(raw)
    found = []
    for _ in range(TABLES):
        start = reader.offset
        size = reader.u64("size of a heap table")
        if size <= SMALLEST_TABLE:
            raise DecodeError("size of a heap table", start, f"over {SMALLEST_TABLE} expected, found {size}")
        reader.take(size - SMALLEST_TABLE, "heap table")
        found.append(LittleReader(raw, start=start + SMALLEST_TABLE, end=start + size))
    return found


def decode_txt_heap(raw: bytes) -> BootLog:
    """The launch's log inside a dump of the TXT heap; its `start` says where.

    Raises:
        DecodeError: over the limit, no heap, no log in it, or several that differ with no address to choose by.
    """
    if len(raw) > MAX_LOG:
        raise DecodeError("TXT heap", 0, f"{len(raw)} bytes are over the limit of {MAX_LOG}")
    table = _tables(raw)[OS_SINIT_TABLE]
    logs = list(_candidates(raw))
    if _differ(logs):
        pages = {address % PAGE for address in _pointers(table)}
        logs = [log for log in logs if log.start % PAGE in pages]
    if not logs:
        raise DecodeError("TXT heap", 0, "no event log in it, or none where its pointers say")
    if _differ(logs):
        raise DecodeError("TXT heap", logs[1].start, f"{len(logs)} event logs that differ, and no address to choose by")
    return logs[0]


def find_embedded_log(raw: bytes) -> BootLog | None:
    """The only log in a piece of memory; None if there is none, or several that differ."""
    logs = list(_candidates(raw))
    return logs[0] if logs and not _differ(logs) else None


def _differ(logs: list[BootLog]) -> bool:
    return any(log.events != logs[0].events for log in logs)


def _candidates(raw: bytes) -> Iterator[BootLog]:
    """Every log that can be read from some place on, up to a bound; crypto-agile ones, then TPM 1.2 containers."""
    for start in _places(raw, LOG_START):
        with suppress(DecodeError):
            yield replace(decode_embedded_log(raw[start : start + MAX_EMBEDDED])[0], start=start)
    for start in _places(raw, CONTAINER_START):
        with suppress(DecodeError):
            yield replace(_container(raw[start : start + MAX_EMBEDDED])[0], start=start)


def _places(raw: bytes, pattern: re.Pattern[bytes]) -> Iterator[int]:
    return (match.start() for match in islice(pattern.finditer(raw), MAX_CANDIDATES))


def _pointers(table: LittleReader) -> Iterator[int]:
    """The physical addresses under which OsSinitData says that a log lies; C.4 and C.6."""
    version = table.unpack(OS_SINIT_FIXED, "OsSinitData")[0]
    for _ in range(MAX_ELEMENTS if version >= FIRST_WITH_ELEMENTS else 0):
        start = table.offset
        kind, size = table.unpack(ELEMENT, "extended heap element")
        if kind == END_ELEMENT:
            return
        if size < ELEMENT.size:
            raise DecodeError("extended heap element", start, f"{ELEMENT.size} bytes or more expected, found {size}")
        data = table.take(size - ELEMENT.size, "extended heap element")
        if kind in LOG_POINTERS:
            yield LittleReader(data).unpack(LOG_POINTERS[kind], "event log pointer")[0]
