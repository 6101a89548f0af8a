"""An RPM package (RPM V4 file format): its headers with the digest of every file. The payload is hashed, not unpacked.

rpm.org, "RPM V4 Package Format" and "RPM Tags". Both headers must lie as a whole in their immutable region, as rpm
writes them: what stands outside of it is covered by no signature.
"""

import hashlib
import re
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from bartizan.errors import DecodeError
from bartizan.formats.ima_signature import decode_ima_signature
from bartizan.formats.reader import Reader
from bartizan.formats.strict import hex_bytes
from bartizan.model.package import PackageContent, PackagedFile, PackagedLink
from bartizan.model.rpm import FileSignature, RpmPackage

MAX_RPM = 2 * 1024 * 1024 * 1024
"""Bytes of one package file."""
MAX_TAGS = 0xFFFF
MAX_STORE = 256 * 1024 * 1024 - 1
"""Entries and bytes of a header (rpm, lib/header.c: HEADER_TAGS_MAX, HEADER_DATA_MAX)."""
MAX_FILES = 500_000
"""Files of one package; kernel-devel has 20,000."""
MAX_PATH = 4096
WHAT = "RPM package"
LEAD = Struct(">4sBBHH66sHH16s")
LEAD_MAGIC, LEAD_VERSIONS = b"\xed\xab\xee\xdb", (3, 4)
BINARY = 0
HEADER = Struct(">4s4sII")
HEADER_MAGIC = b"\x8e\xad\xe8\x01"
ENTRY = Struct(">IIiI")
SIGNATURE_REGION, HEADER_REGION = 62, 63
REGION_BYTES = 16
INT16, INT32, STRING, BINARY_DATA, STRINGS, LOCAL_STRINGS = 3, 4, 6, 7, 8, 9
NUMBERS = {INT16: "H", INT32: "I"}
SHA256_HEADER, RSA_HEADER, DSA_HEADER, FILE_SIGNATURES = 273, 268, 267, 274
NAME, VERSION, RELEASE, ARCH = 1000, 1001, 1002, 1022
MODES, DIGESTS, LINKS, FLAGS = 1030, 1035, 1036, 1037
FOLDER_INDEXES, BASE_NAMES, FOLDERS = 1116, 1117, 1118
DIGEST_ALGORITHM, PAYLOAD_DIGEST, PAYLOAD_ALGORITHM = 5011, 5092, 5093
SHA256 = 8
"""As OpenPGP numbers it (RFC 9580, 9.5); files without a number have MD5."""
CONFIGURATION, GHOST = 1, 64
KIND, REGULAR, LINK = 0o170000, 0o100000, 0o120000
TEXT = re.compile(r"[A-Za-z0-9_.+~^%{}-]{1,256}")


class _Entry(NamedTuple):
    """Where a tag's data lies in the store, as what, and how many."""

    kind: int
    offset: int
    number: int


class _Header:
    """One header structure: its tags, looked up one at a time."""

    def __init__(self, reader: Reader, region: int) -> None:
        """Read the index; nothing of the store is looked at yet."""
        start = reader.offset
        magic, _, count, size = reader.unpack(HEADER, WHAT)
        if magic != HEADER_MAGIC:
            raise DecodeError(WHAT, start, f"the magic of a header expected, found {magic.hex()}")
        if not 0 < count <= MAX_TAGS or size > MAX_STORE:
            raise reader.refuse(WHAT, f"{count} tags in {size} bytes are none or over the limit")
        self._tags: dict[int, _Entry] = {}
        for _ in range(count):
            tag, kind, offset, number = reader.unpack(ENTRY, WHAT)
            if tag in self._tags or not 0 <= offset <= size:
                raise reader.refuse(WHAT, f"tag {tag} stands twice, or outside of the header")
            self._tags[tag] = _Entry(kind, offset, number)
        self._store = reader.take(size, WHAT)
        self._check_region(region, count)

    def _check_region(self, region: int, count: int) -> None:
        """The region holds every tag: its trailer says where it begins, counted in entries of 16 bytes."""
        entry = self._tags.get(region)
        if entry is None or entry.kind != BINARY_DATA or entry.number != REGION_BYTES:
            raise DecodeError(WHAT, 0, f"the header's region {region} is missing")
        tag, kind, offset, size = Reader(self._store, start=entry.offset).unpack(ENTRY, WHAT)
        if (tag, kind, offset, size) != (region, BINARY_DATA, -count * ENTRY.size, REGION_BYTES):
            raise DecodeError(WHAT, entry.offset, "tags outside the header's immutable region")

    def __contains__(self, tag: int) -> bool:
        return tag in self._tags

    def _find(self, tag: int, *kinds: int) -> tuple[_Entry, Reader]:
        entry = self._tags.get(tag)
        if entry is None or entry.kind not in kinds:
            raise DecodeError(WHAT, 0, f"tag {tag} of type {' or '.join(map(str, kinds))} expected")
        return entry, Reader(self._store, start=entry.offset)

    def numbers(self, tag: int, kind: int) -> tuple[int, ...]:
        """An array of numbers."""
        entry, reader = self._find(tag, kind)
        if entry.number > MAX_FILES:
            raise DecodeError(WHAT, entry.offset, f"tag {tag}: {entry.number} values are over the limit of {MAX_FILES}")
        return reader.unpack(Struct(f">{entry.number}{NUMBERS[kind]}"), WHAT)

    def strings(self, tag: int) -> tuple[bytes, ...]:
        """A string, or an array of strings."""
        entry, reader = self._find(tag, STRING, STRINGS, LOCAL_STRINGS)
        if entry.number > MAX_FILES:
            raise DecodeError(WHAT, entry.offset, f"tag {tag}: {entry.number} values are over the limit of {MAX_FILES}")
        found = reader.peek_rest().split(b"\0", entry.number)
        if len(found) <= entry.number:
            raise DecodeError(WHAT, entry.offset, f"tag {tag}: {entry.number} strings expected")
        return tuple(found[: entry.number])

    def first(self, tag: int) -> bytes:
        """A string, or the first one of an array; an empty array is refused."""
        found = self.strings(tag)
        if not found:
            raise DecodeError(WHAT, 0, f"tag {tag}: a string expected, found none")
        return found[0]

    def data(self, tag: int) -> bytes:
        """Bytes."""
        entry, reader = self._find(tag, BINARY_DATA)
        return reader.take(entry.number, WHAT)


def decode_rpm(raw: bytes) -> RpmPackage:
    """The content of a package.

    Regular files are given with the SHA-256 that the header states, symbolic links as they are. Left out are folders,
    devices, and what the package names without having it (%ghost).

    Raises:
        DecodeError: not such a package, a source package, over a limit, file digests that are not SHA-256, a path that
            stands twice or leaves the root, an IMA signature that is none.
    """
    if len(raw) > MAX_RPM:
        raise DecodeError(WHAT, 0, f"{len(raw)} bytes are over the limit of {MAX_RPM}")
    reader = Reader(raw)
    magic, version, _, kind, *_ = reader.unpack(LEAD, WHAT)
    if magic != LEAD_MAGIC or version not in LEAD_VERSIONS or kind != BINARY:
        raise DecodeError(WHAT, 0, "not a binary RPM package of version 3 or 4")
    protection = _Header(reader, SIGNATURE_REGION)
    if any(reader.take(-reader.offset % 8, WHAT)):
        raise reader.refuse(WHAT, "padding before the header")
    begun = reader.offset
    header = _Header(reader, HEADER_REGION)
    covered = Reader(raw, start=begun, end=reader.offset).rest()
    paths = _paths(header)
    return RpmPackage(
        content=_content(header, paths),
        header=covered,
        signature=next((protection.data(tag) for tag in (RSA_HEADER, DSA_HEADER) if tag in protection), None),
        claimed=_claimed(protection, header),
        found={"header": hashlib.sha256(covered).digest(), "payload": hashlib.sha256(reader.rest()).digest()},
        file_signatures=_file_signatures(protection, paths),
    )


def _claimed(protection: _Header, header: _Header) -> dict[str, bytes]:
    """The digests that the package states of its own parts; old packages state none that is worth something."""
    found: dict[str, bytes] = {}
    if SHA256_HEADER in protection:
        found["header"] = _hex(protection.first(SHA256_HEADER))
    if PAYLOAD_DIGEST in header and header.numbers(PAYLOAD_ALGORITHM, INT32) == (SHA256,):
        found["payload"] = _hex(header.first(PAYLOAD_DIGEST))
    return found


def _hex(text: bytes) -> bytes:
    return hex_bytes(text.decode("ascii", "replace"), WHAT)


def _word(header: _Header, tag: int) -> str:
    text = header.first(tag).decode("ascii", "replace")
    if not TEXT.fullmatch(text):
        raise DecodeError(WHAT, 0, f"{text[:80]!a} is not a name, version, release or architecture")
    return text


def _paths(header: _Header) -> tuple[bytes, ...]:
    """Every path of the package, in the order of the other arrays."""
    if BASE_NAMES not in header:
        return ()
    folders, names = header.strings(FOLDERS), header.strings(BASE_NAMES)
    indexes = header.numbers(FOLDER_INDEXES, INT32)
    if len(indexes) != len(names) or any(index >= len(folders) for index in indexes):
        raise DecodeError(WHAT, 0, f"{len(names)} names and {len(indexes)} folders do not fit")
    found = tuple(folders[index] + name for index, name in zip(indexes, names, strict=True))
    for path in found:
        steps = path.split(b"/")
        if not path.startswith(b"/") or {b"", b".", b".."} & {*steps[1:]} or len(path) > MAX_PATH:
            raise DecodeError(WHAT, 0, f"{path[:80]!a} is not an absolute path of a file")
    if len(set(found)) != len(found):
        raise DecodeError(WHAT, 0, "a path stands twice")
    return found


def _content(header: _Header, paths: tuple[bytes, ...]) -> PackageContent:
    files: list[PackagedFile] = []
    links: list[PackagedLink] = []
    for path, mode, flags, digest, target in _rows(header, paths):
        if mode & KIND == LINK:
            links.append(PackagedLink(path=path, target=target))
        elif mode & KIND == REGULAR and not flags & GHOST:
            files.append(PackagedFile(path=path, sha256=digest, conffile=bool(flags & CONFIGURATION)))
    return PackageContent(
        name=_word(header, NAME),
        version=f"{_word(header, VERSION)}-{_word(header, RELEASE)}",
        architecture=_word(header, ARCH),
        files=tuple(files),
        links=tuple(links),
    )


def _rows(header: _Header, paths: tuple[bytes, ...]) -> Iterator[tuple[bytes, int, int, bytes, bytes]]:
    """Path, mode, flags, SHA-256 and link target of everything in the package."""
    if not paths:
        return
    modes, flags = header.numbers(MODES, INT16), header.numbers(FLAGS, INT32)
    digests, targets = header.strings(DIGESTS), header.strings(LINKS)
    if {len(modes), len(flags), len(digests), len(targets)} != {len(paths)}:
        raise DecodeError(WHAT, 0, f"the arrays of {len(paths)} files have not one length")
    hashed = header.numbers(DIGEST_ALGORITHM, INT32) if DIGEST_ALGORITHM in header else ()
    for path, mode, flag, text, target in zip(paths, modes, flags, digests, targets, strict=True):
        digest = b""
        if mode & KIND == REGULAR and not flag & GHOST:
            digest = _hex(text)
            if hashed != (SHA256,) or len(digest) != hashlib.sha256().digest_size:
                raise DecodeError(
                    WHAT, 0, f"{path[:80]!a}: a SHA-256 digest expected, which IMA's can be compared with"
                )
        yield path, mode, flag, digest, target


def _file_signatures(protection: _Header, paths: tuple[bytes, ...]) -> dict[bytes, FileSignature]:
    """IMA signatures, which stand beside the package's own; files without one have an empty text."""
    if FILE_SIGNATURES not in protection:
        return {}
    texts = protection.strings(FILE_SIGNATURES)
    if len(texts) != len(paths):
        raise DecodeError(WHAT, 0, f"{len(texts)} IMA signatures for {len(paths)} files")
    return {path: decode_ima_signature(_hex(text)) for path, text in zip(paths, texts, strict=True) if text}
