"""The Release file of a Debian suite (wiki: DebianRepository/Format). Its signature is checked elsewhere."""

import re
from datetime import UTC, datetime

from bartizan.errors import DecodeError
from bartizan.formats.deb822 import fields, paragraphs
from bartizan.formats.strict import decimal, hex_bytes
from bartizan.model.package import ListedFile, Release

MAX_RELEASE = 16 * 1024 * 1024
"""Bytes; that of a whole Debian suite has under 200 KiB."""
MAX_LISTED = 100_000
"""Files that a Release may list; that of a whole Debian suite lists about two thousand."""
SHA256_BYTES = 32
WHAT = "Release"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DATE = re.compile(
    rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ([0-3]?[0-9]) ({'|'.join(MONTHS)}) ([0-9]{{4}})"
    r" ([0-2][0-9]):([0-5][0-9]):([0-5][0-9]) (?:UTC|GMT|Z|\+0000)"
)
PATH = re.compile(r"[A-Za-z0-9_+.~-]+(?:/[A-Za-z0-9_+.~-]+)*")


def decode_release(raw: bytes) -> Release:
    """A Release from its text without the signature's armour.

    Raises:
        DecodeError: not one paragraph, a field missing or of another form, or no SHA-256 digests.
    """
    if len(raw) > MAX_RELEASE:
        raise DecodeError(WHAT, 0, f"{len(raw)} bytes are over the limit of {MAX_RELEASE}")
    found = list(paragraphs(raw, WHAT))
    if len(found) != 1:
        raise DecodeError(WHAT, 0, f"one paragraph expected, found {len(found)}")
    said = fields(found[0][1], offset=found[0][0], what=WHAT)
    if "sha256" not in said or "date" not in said:
        raise DecodeError(WHAT, 0, "the fields Date and SHA256 are needed")
    return Release(
        origin=said.get("origin", ""),
        label=said.get("label", ""),
        suite=said.get("suite", ""),
        codename=said.get("codename", ""),
        date=_date(said["date"], "Date"),
        valid_until=_date(said["valid-until"], "Valid-Until") if "valid-until" in said else None,
        by_hash=said.get("acquire-by-hash", "no") == "yes",
        files=_listed(said["sha256"]),
    )


def _date(text: str, what: str) -> datetime:
    parts = DATE.fullmatch(text)
    if parts is None:
        raise DecodeError(f"{WHAT}: {what}", 0, f"`Sat, 01 Jan 2000 00:00:00 UTC` expected, found {text[:60]!a}")
    day, month, year, hour, minute, second = parts.groups()
    try:
        return datetime(int(year), MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError as error:
        raise DecodeError(f"{WHAT}: {what}", 0, f"no such time: {text!a}") from error


def _listed(text: str) -> dict[str, ListedFile]:
    lines = [line for line in text.split("\n") if line]
    if len(lines) > MAX_LISTED:
        raise DecodeError(WHAT, 0, f"{len(lines)} listed files are over the limit of {MAX_LISTED}")
    files: dict[str, ListedFile] = {}
    for line in lines:
        parts = line.split()
        if len(parts) != len(("digest", "size", "path")) or not PATH.fullmatch(parts[2]) or ".." in parts[2].split("/"):
            raise DecodeError(WHAT, 0, f"`digest size path` expected, found {line[:120]!a}")
        digest = hex_bytes(parts[0], WHAT)
        listed = ListedFile(size=decimal(parts[1], WHAT), sha256=digest)
        if len(digest) != SHA256_BYTES or files.setdefault(parts[2], listed) != listed:
            raise DecodeError(WHAT, 0, f"{parts[2]!a}: not a SHA-256 digest, or listed twice with another")
    return files
