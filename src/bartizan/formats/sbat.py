"""SBAT levels, the CSV that shim measures as SbatLevel: which generations of boot components may still run.

Only the form: which component runs, and whether its generation suffices, is for others to judge.
"""

from bartizan.errors import DecodeError
from bartizan.formats.strict import decimal
from bartizan.model.uefi import SbatEntry, SbatLevel

MAX_SBAT = 16 * 1024
"""Bytes; levels in use have about 100."""
MAX_LINES = 512
"""Components; a level names fewer than ten."""
MAX_GENERATION = 0xFFFF
"""Highest generation: shim reads a 16-bit number."""


def decode_sbat(raw: bytes) -> SbatLevel:
    """An SBAT document: lines of `component,generation[,more]`, the first about `sbat` itself.

    Raises:
        DecodeError: another form, a generation out of range or a component named twice.
    """
    if len(raw) > MAX_SBAT:
        raise DecodeError("SBAT", 0, f"{len(raw)} bytes are over the limit of {MAX_SBAT}")
    lines = _lines(raw)
    entries = tuple(_entry(line) for line in lines)
    if entries[0].component != "sbat":
        raise DecodeError("SBAT", 0, f"the first line must be about sbat, found {entries[0].component!a}")
    if len({entry.component for entry in entries}) != len(entries):
        raise DecodeError("SBAT", 0, "a component is named twice")
    return SbatLevel(entries=entries)


def _lines(raw: bytes) -> list[str]:
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise DecodeError("SBAT", error.start, "ASCII expected") from error
    lines = text.removesuffix("\n").split("\n")
    if len(lines) > MAX_LINES:
        raise DecodeError("SBAT", 0, f"{len(lines)} lines are over the limit of {MAX_LINES}")
    if not text.isprintable() and any(not line.isprintable() for line in lines):
        raise DecodeError("SBAT", 0, "a character that is not printable")
    return lines


def _entry(line: str) -> SbatEntry:
    component, *rest = line.split(",")
    if not component or not rest:
        raise DecodeError("SBAT", 0, f"component,generation expected, found {line[:80]!a}")
    generation = decimal(rest[0], "SBAT generation")
    if not 0 < generation <= MAX_GENERATION:
        raise DecodeError("SBAT generation", 0, f"1 to {MAX_GENERATION} expected, found {generation}")
    return SbatEntry(component, generation, tuple(rest[1:]))
