"""PEM text (RFC 7468): the blocks of a file. What stands between blocks is comment; no block's content is judged."""

import binascii
import re
from dataclasses import dataclass

from bartizan.errors import DecodeError

MAX_PEM = 1 << 20
"""Bytes of one PEM file; a system's whole bundle of web CAs has a quarter of that."""
MAX_BLOCKS = 512
"""Blocks of one file."""
BOUNDARY = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]{1,64})-----")
BEGIN = b"BEGIN"


@dataclass(frozen=True, slots=True, kw_only=True)
class PemBlock:
    """One block: what its label says, and its base64 text; `offset` is that of its first line, in bytes."""

    label: str
    offset: int
    text: bytes

    def decode(self) -> bytes:
        """The bytes that the block holds.

        Raises:
            DecodeError: its text is not base64.
        """
        try:
            return binascii.a2b_base64(self.text, strict_mode=True)
        except binascii.Error as error:
            raise DecodeError(f"PEM block {self.label}", self.offset, f"not base64: {error}") from error


def pem_blocks(raw: bytes) -> tuple[PemBlock, ...]:
    """The blocks of a PEM file, in order; none when it holds no block.

    Raises:
        DecodeError: a boundary without its other half, or a size or count over its limit.
    """
    if len(raw) > MAX_PEM:
        raise DecodeError("PEM", 0, f"{len(raw)} bytes are over the limit of {MAX_PEM}")
    blocks: list[PemBlock] = []
    opened: bytes | None = None
    start = position = 0
    lines: list[bytes] = []
    for ended in raw.splitlines(keepends=True):
        line = ended.strip()
        boundary = BOUNDARY.fullmatch(line)
        if boundary is None:
            lines.append(line)
        elif (boundary[1] == BEGIN) is (opened is not None) or opened not in (None, boundary[2]):
            raise DecodeError("PEM", position, f"a boundary out of place: {line!a}")
        elif opened is None:
            opened, start, lines = boundary[2], position, []
        else:
            blocks.append(PemBlock(label=opened.decode("ascii"), offset=start, text=b"".join(lines)))
            opened = None
        position += len(ended)
    if opened is not None or len(blocks) > MAX_BLOCKS:
        raise DecodeError("PEM", start, f"a block that ends, and at most {MAX_BLOCKS} of them, expected")
    return tuple(blocks)
