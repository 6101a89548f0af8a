"""Texts as firmware and boot loaders write them: UTF-16 where it is declared, UTF-8 or UTF-16 where it must be seen.

It decodes; it does not make anything harmless to show (`inert` does).
"""

import re

from bartizan.errors import DecodeError
from bartizan.formats.reader import Reader
from bartizan.model.event_data import Encoding, LabelledBlob, Text

MAX_TEXT = 1024 * 1024
"""Bytes of one text; GRUB menus of some KB are the longest seen."""
TEXT = "text"
"""What a refusal by `decode_text` is about."""
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]")
"""Control characters no text has; tab, line breaks and escape do occur in what GRUB was told."""
EMPTY_UTF16 = b"\0\0"
READABLE = re.compile(rb"(?:\xef\xbb\xbf)?[\t\n\r -~]{1,64}")
"""How a text file begins, with or without a mark of its encoding."""
LABEL = re.compile(rb"([ -~]{3,64})\x00")
"""A label: at least three printable characters, as short as `HPE` and `M60` are."""


def is_text(raw: bytes) -> bool:
    """The first 64 bytes are readable ASCII: a listing, a hex dump or JSON, where a binary format was expected."""
    return READABLE.fullmatch(raw, endpos=64) is not None


def utf16(raw: bytes, what: str, *, offset: int = 0) -> str:
    """All of these bytes as UTF-16; unpaired surrogates are kept as they are.

    Raises:
        DecodeError: an odd number of bytes.
    """
    if len(raw) % 2:
        raise DecodeError(what, offset, f"UTF-16 expected, found an odd {len(raw)} bytes")
    return raw.decode("utf-16-le", "surrogatepass")


def utf16_terminated(reader: Reader, what: str, *, limit: int) -> str:
    """UTF-16 up to a null character, which is consumed; `limit` is in bytes.

    Raises:
        DecodeError: no null character within the limit.
    """
    window = reader.peek(limit + 2)
    text, end, _ = utf16(window[: len(window) & ~1], what).partition("\0")
    if not end:
        raise reader.refuse(what, f"no end of the text within {limit} bytes")
    reader.take(len(text.encode("utf-16-le", "surrogatepass")) + 2, what)
    return text


def utf16_padded(raw: bytes) -> str:
    """UTF-16 in a field of fixed, even size, up to its first null character."""
    return raw.decode("utf-16-le", "surrogatepass").partition("\0")[0]


def decode_text(raw: bytes) -> Text:
    """A text whose encoding nobody states, with or without terminating nulls.

    UTF-8 is tried first. UTF-16 must be half Latin, else any bytes of even number would read as Chinese; one odd
    null byte at its end is let pass (systemd-boot before 252 measured one).

    Raises:
        DecodeError: neither reads as text.
    """
    if len(raw) > MAX_TEXT:
        raise DecodeError(TEXT, 0, f"{len(raw)} bytes are over the limit of {MAX_TEXT}")
    if len(raw) > len(EMPTY_UTF16) and not raw.strip(b"\0"):
        raise DecodeError(TEXT, 0, f"{len(raw)} null bytes are no text")
    text = _as_utf8(raw)
    if text is not None:
        return Text(text=text)
    text = _as_utf16(raw)
    if text is not None:
        return Text(text=text, encoding=Encoding.UTF16)
    raise DecodeError(TEXT, 0, "it reads neither as UTF-8 nor as UTF-16")


def _as_utf8(raw: bytes) -> str | None:
    try:
        text = raw.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return None
    return None if CONTROL.search(text) else text


def _as_utf16(raw: bytes) -> str | None:
    even = raw[:-1] if len(raw) % 2 and raw.endswith(b"\0") else raw
    try:
        text = even.decode("utf-16-le").rstrip("\0")
    except UnicodeDecodeError:
        return None
    latin = sum(char < "\u0100" for char in text)
    return None if CONTROL.search(text) or latin * 2 < len(text) else text


def decode_labelled(raw: bytes) -> LabelledBlob:
    """A readable label, a null, and at least one byte more.

    Raises:
        DecodeError: there is no label, or nothing after it.
    """
    match = LABEL.match(raw)
    if match is None or match.end() == len(raw):
        raise DecodeError("label", 0, "three or more printable characters, a null and data expected")
    return LabelledBlob(label=match.group(1).decode(), data=raw[match.end() :])
