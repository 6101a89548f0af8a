"""Tar archives as dpkg accepts them: V7, ustar and GNU long names (tar(5)); pax headers are refused as dpkg does.

Contents are hashed while they pass; nothing is written anywhere.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from bartizan.errors import DecodeError
from bartizan.formats.reader import Reader
from bartizan.formats.unpack import Unpacked

BLOCK = 512
HEADER = Struct("100s8s8s8s12s12s8ss100s6s2s32s32s8s8s155s12s")
CHECKSUM_AT, CHECKSUM_SIZE = 148, 8
MAX_MEMBERS = 500_000
"""Members of one archive; Debian's largest packages have under 200,000."""
MAX_PATH = 4096
"""Bytes: PATH_MAX of Linux."""
PIECE = 1 << 20
REGULAR, HARD_LINK, SYMBOLIC_LINK, FOLDER = b"0", b"1", b"2", b"5"
OLD_REGULAR, CONTIGUOUS = b"\0", b"7"
NODES = (b"3", b"4", b"6")
LONG_NAME, LONG_LINK = b"L", b"K"
USTAR = b"ustar\0"
OCTAL = frozenset(b"01234567")


@dataclass(frozen=True, slots=True, kw_only=True)
class TarMember:
    """One member: `kind` is a type flag of tar, `sha256` of a regular file's content, `content` if it was asked for."""

    path: bytes
    kind: bytes
    target: bytes
    sha256: bytes
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    name: bytes
    kind: bytes
    size: int
    target: bytes


def tar_members(
    stream: Unpacked, *, what: str, keep: frozenset[bytes] = frozenset(), keep_limit: int = 0
) -> Iterator[TarMember]:
    """Every member in order; the content of those named in `keep` comes along, up to `keep_limit` bytes.

    Raises:
        DecodeError: a header that is none, a type that no package holds, a name that leaves the archive, cut off.
    """
    names: dict[bytes, bytes] = {}
    count = 0
    while header := _header(stream, what):
        count += 1
        if count > MAX_MEMBERS:
            raise DecodeError(what, stream.offset, f"more than {MAX_MEMBERS} members")
        if header.kind in (LONG_NAME, LONG_LINK):
            if header.kind in names:
                raise DecodeError(what, stream.offset, "two long names for one member")
            names[header.kind] = _long_name(stream, header.size, what)
            continue
        path = _path(names.get(LONG_NAME, header.name), stream, what)
        kept = path in keep
        if kept and header.size > keep_limit:
            raise DecodeError(what, stream.offset, f"{path!a} is over the limit of {keep_limit} bytes")
        digest, content = _content(stream, header, what=what, keep=kept)
        target = names.get(LONG_LINK, header.target)
        if header.kind == HARD_LINK:
            target = _path(target, stream, what)
        yield TarMember(path=path, kind=header.kind, target=target, sha256=digest, content=content)
        names = {}
    if names:
        raise DecodeError(what, stream.offset, "a long name without its member")
    _padding(stream, what)


def _header(stream: Unpacked, what: str) -> _Header | None:
    """The next header, or None at the end of the archive (a block of zeros)."""
    at = stream.offset
    block = stream.take(BLOCK)
    if len(block) != BLOCK:
        raise DecodeError(what, at, f"a header of {BLOCK} bytes expected, {len(block)} left")
    if not any(block):
        return None
    parts = Reader(block).unpack(HEADER, what)
    name, size, checksum, kind, target, magic, prefix = (parts[index] for index in (0, 4, 6, 7, 8, 9, 15))
    blanked = sum(block) - sum(block[CHECKSUM_AT : CHECKSUM_AT + CHECKSUM_SIZE]) + CHECKSUM_SIZE * ord(" ")
    if _octal(checksum, what, at) != blanked:
        raise DecodeError(what, at, "the header's checksum does not fit")
    kind = REGULAR if kind in (OLD_REGULAR, CONTIGUOUS) else kind
    if kind not in (REGULAR, HARD_LINK, SYMBOLIC_LINK, FOLDER, LONG_NAME, LONG_LINK, *NODES):
        raise DecodeError(what, at, f"a member of type {kind!a}, which dpkg does not unpack either")
    whole = _text(name)
    if magic == USTAR and _text(prefix):
        whole = _text(prefix) + b"/" + whole
    return _Header(name=whole, kind=kind, size=_octal(size, what, at), target=_text(target))


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _octal(field: bytes, what: str, at: int) -> int:
    digits = field.strip(b" \0")
    if not set(digits) <= OCTAL:
        raise DecodeError(what, at, f"an octal number expected, found {field!a}")
    return int(digits, 8) if digits else 0


def _long_name(stream: Unpacked, size: int, what: str) -> bytes:
    if not 0 < size <= MAX_PATH + 1:
        raise DecodeError(what, stream.offset, f"a name of {size} bytes is over the limit of {MAX_PATH}")
    return _text(_padded(stream, size, what))


def _padded(stream: Unpacked, size: int, what: str) -> bytes:
    at = stream.offset
    blocks = stream.take(-(-size // BLOCK) * BLOCK)
    if len(blocks) % BLOCK or len(blocks) < size:
        raise DecodeError(what, at, f"{size} bytes and padding expected, {len(blocks)} left")
    return blocks[:size]


def _path(name: bytes, stream: Unpacked, what: str) -> bytes:
    """An absolute path from a member's name, `./usr/bin/x`."""
    bare = name.removeprefix(b"./").rstrip(b"/")
    steps = bare.split(b"/") if bare not in (b"", b".") else []
    if any(step in (b"", b".", b"..") for step in steps) or len(name) > MAX_PATH:
        raise DecodeError(what, stream.offset, f"{name[:80]!a} is not a path below the root of an archive")
    return b"/" + b"/".join(steps)


def _content(stream: Unpacked, header: _Header, *, what: str, keep: bool) -> tuple[bytes, bytes]:
    if header.kind != REGULAR:
        if header.size and header.kind not in (HARD_LINK, SYMBOLIC_LINK, FOLDER):
            raise DecodeError(what, stream.offset, f"a member of type {header.kind!a} with content")
        return b"", b""
    hashed = hashlib.sha256()
    kept: list[bytes] = []
    left = header.size
    while left > 0:
        piece = _padded(stream, min(left, PIECE), what)
        hashed.update(piece)
        left -= len(piece)
        if keep:
            kept.append(piece)
    return hashed.digest(), b"".join(kept)


def _padding(stream: Unpacked, what: str) -> None:
    """After the end only zeros."""
    while piece := stream.take(PIECE):
        if any(piece):
            raise DecodeError(what, stream.offset, "bytes after the end of the archive")
