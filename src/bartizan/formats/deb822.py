"""Debian control data: paragraphs of `Field: value` lines (deb822(5)). Which fields mean what is left to others."""

import re
from collections.abc import Iterator

from bartizan.errors import DecodeError

MAX_PARAGRAPH = 32 * 1024 * 1024
"""Bytes of one paragraph: the Release of a large suite is one of a few hundred KiB."""
MAX_FIELDS = 256
"""Fields of one paragraph; the longest of a real Packages file have about thirty."""
NAME = re.compile(rb"[!-\"$-,.-9;-~][!-9;-~]*")
"""Printable ASCII without colon, not starting with # or - (Debian Policy 5.1)."""
BLANK = b" \t"


def paragraphs(raw: bytes, what: str) -> Iterator[tuple[int, bytes]]:
    """Each paragraph with its offset; blank lines stand between them.

    Raises:
        DecodeError: a carriage return or NUL, or a paragraph over its limit.
    """
    for forbidden in (b"\r", b"\0"):
        at = raw.find(forbidden)
        if at >= 0:
            raise DecodeError(what, at, f"byte 0x{forbidden[0]:02x} does not belong into control data")
    offset = 0
    for block in raw.split(b"\n\n"):
        inner = block.strip(b"\n")
        if len(inner) > MAX_PARAGRAPH:
            raise DecodeError(what, offset, f"a paragraph of {len(inner)} bytes is over the limit of {MAX_PARAGRAPH}")
        if inner:
            yield offset + block.index(inner), inner
        offset += len(block) + 2


def fields(paragraph: bytes, *, offset: int, what: str) -> dict[str, str]:
    """The fields of one paragraph by lower-case name; the lines of a long value are joined by line feeds.

    Raises:
        DecodeError: a line that is no field and continues none, a name that stands twice, text that is not UTF-8.
    """
    found: dict[str, list[bytes]] = {}
    value: list[bytes] | None = None
    for line in paragraph.split(b"\n"):
        if line[:1] in (b" ", b"\t"):
            if value is None:
                raise DecodeError(what, offset, "a continuation line before any field")
            value.append(line.strip(BLANK))
            continue
        name, colon, rest = line.partition(b":")
        if not colon or not NAME.fullmatch(name):
            raise DecodeError(what, offset, f"`Field: value` expected, found {line[:60]!a}")
        key = name.decode("ascii").lower()
        if key in found or len(found) >= MAX_FIELDS:
            raise DecodeError(what, offset, f"field {key!a} stands twice, or is one of more than {MAX_FIELDS}")
        value = found[key] = [rest.strip(BLANK)]
    try:
        return {key: b"\n".join(lines).decode("utf-8") for key, lines in found.items()}
    except UnicodeDecodeError as error:
        raise DecodeError(what, offset, f"not UTF-8: {error.reason}") from error
