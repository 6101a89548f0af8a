"""The frame of a clear-signed text (RFC 4880, 7). It checks that nothing unsigned stands in it, and no signature."""

import re

from bartizan.errors import DecodeError

MAX_CLEARSIGNED = 16 * 1024 * 1024
WHAT = "InRelease"
BEGIN_TEXT = b"-----BEGIN PGP SIGNED MESSAGE-----"
BEGIN_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
END_SIGNATURE = b"-----END PGP SIGNATURE-----"
HASH_HEADER = re.compile(rb"Hash: [A-Z0-9, -]{1,80}")
DASHES = b"-----"


def decode_clearsigned(raw: bytes) -> bytes:
    """The signed text, its dashes unescaped.

    Exactly one message and nothing before, between or after: what people and programs read is what was signed.

    Raises:
        DecodeError: the frame has another form.
    """
    if len(raw) > MAX_CLEARSIGNED:
        raise DecodeError(WHAT, 0, f"{len(raw)} bytes are over the limit of {MAX_CLEARSIGNED}")
    lines = raw.removesuffix(b"\n").split(b"\n")
    boundaries = [index for index, line in enumerate(lines) if line.startswith(DASHES)]
    if [lines[index].rstrip() for index in boundaries] != [BEGIN_TEXT, BEGIN_SIGNATURE, END_SIGNATURE]:
        raise DecodeError(WHAT, 0, "one clear-signed message and nothing else expected")
    start, middle, end = boundaries
    blank = next((index for index in range(start, middle) if not lines[index].strip()), -1)
    if start != 0 or end != len(lines) - 1 or blank < 0:
        raise DecodeError(WHAT, 0, "text outside the signed part")
    if not all(HASH_HEADER.fullmatch(line) for line in lines[1:blank]):
        raise DecodeError(WHAT, 0, "an armour header other than Hash")
    return b"\n".join(line.removeprefix(b"- ") for line in lines[blank + 1 : middle]) + b"\n"
