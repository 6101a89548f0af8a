"""PE/COFF executables, as UEFI runs them: headers, sections, certificate table, and what their digest covers.

Microsoft, PE Format; Windows Authenticode Portable Executable Signature Format (2008); UEFI 2.10, 32.2.3. It loads,
relocates and verifies nothing. Every size is held against the file, so that a digest never covers what is not there.
"""

from struct import Struct
from typing import NamedTuple

from bartizan.errors import DecodeError
from bartizan.formats.reader import LittleReader
from bartizan.model.digest import CONSTRUCTORS, HashAlg
from bartizan.model.image import PeImage, Section, Span, WinCertificate

MAX_IMAGE = 512 * 1024 * 1024
"""Bytes; unified kernel images with a large initramfs have about 200 MB, kernels about 15."""
MAX_SECTIONS = 96
"""Sections: the limit of the Windows loader; PE Format, COFF File Header."""
MAX_DIRECTORIES = 16
"""Data directories that are defined; PE Format, Optional Header Data Directories."""
MAX_CERTIFICATES = 16
"""Signatures of one image; shim has two."""
MAX_CERTIFICATE = 64 * 1024
"""Bytes of one signature; Microsoft's have about 10,000."""

DOS_HEADER, DOS_MAGIC = Struct("<2s58xI"), b"MZ"
PE_MAGIC = b"PE\0\0"
COFF = Struct("<HHIIIHH")
SECTION = Struct("<8sIIII12xI")
CERTIFICATE = Struct("<IHH")
DIRECTORY = Struct("<II")
PE32, PE32_PLUS = 0x10B, 0x20B
CHECKSUM = 64
"""Offset of CheckSum in the optional header, in both forms."""
HEADER_SIZE = 60
DIRECTORIES = {PE32: 96, PE32_PLUS: 112}
"""Offset of the data directories in the optional header; the word before is their count."""
SECURITY = 4
"""Index of the Certificate Table among the directories."""
MAX_UNFILLED = 64 * 1024
"""Bytes of a section in memory that the file does not hold; sections that are measured have none."""
ALIGNMENT = 8
"""Certificates start at multiples of it."""


def decode_pe(raw: bytes) -> PeImage:
    """The layout of a PE image.

    Raises:
        DecodeError: no PE image, a size or count that does not fit, or bytes after the certificate table.
    """
    if len(raw) > MAX_IMAGE:
        raise DecodeError("PE image", 0, f"{len(raw)} bytes are over the limit of {MAX_IMAGE}")
    reader = LittleReader(raw)
    magic, start = reader.unpack(DOS_HEADER, "DOS header")
    if magic != DOS_MAGIC:
        raise DecodeError("DOS header", 0, f"MZ expected, found {magic!a}")
    reader = LittleReader(raw, start=min(start, len(raw)))
    if reader.take(len(PE_MAGIC), "PE signature") != PE_MAGIC:
        raise DecodeError("PE signature", start, "PE expected")
    machine, count, _, _, _, optional_size, _ = reader.unpack(COFF, "COFF header")
    if count > MAX_SECTIONS:
        raise DecodeError("NumberOfSections", start + 6, f"{count} are over the limit of {MAX_SECTIONS}")
    optional = reader.offset
    headers, table_at, table = _optional_header(LittleReader(reader.take(optional_size, "optional header")), optional)
    sections = tuple(_section(reader, len(raw)) for _ in range(count))
    if not reader.offset <= headers <= len(raw):
        why = f"{reader.offset} to {len(raw)} expected, found {headers}"
        raise DecodeError("SizeOfHeaders", optional + HEADER_SIZE, why)
    certificates = _certificates(raw, table, headers)
    return PeImage(
        size=len(raw),
        machine=machine,
        sections=sections,
        certificates=certificates,
        hashed=_hashed(sections, headers=headers, skipped=(optional + CHECKSUM, table_at), end=len(raw) - table.size),
    )


class _Table(NamedTuple):
    """The certificate table's place in the file."""

    offset: int
    size: int


def _optional_header(reader: LittleReader, base: int) -> tuple[int, int | None, _Table]:
    """SizeOfHeaders, where the certificate table's directory entry stands (None without one), and what it says."""
    magic = reader.u16("optional header")
    at = DIRECTORIES.get(magic)
    if at is None:
        raise DecodeError("optional header", base, f"PE32 or PE32+ expected, found 0x{magic:04x}")
    reader.take(HEADER_SIZE - 2, "optional header")
    headers = reader.u32("SizeOfHeaders")
    reader.take(at - 4 - reader.offset, "optional header")
    count = reader.u32("NumberOfRvaAndSizes")
    if count > MAX_DIRECTORIES:
        raise DecodeError("NumberOfRvaAndSizes", base + at - 4, f"{count} are over the limit of {MAX_DIRECTORIES}")
    entries = [reader.unpack(DIRECTORY, "data directory") for _ in range(count)]
    if count <= SECURITY:
        return headers, None, _Table(0, 0)
    return headers, base + at + SECURITY * DIRECTORY.size, _Table(*entries[SECURITY])


def _section(reader: LittleReader, end: int) -> Section:
    start = reader.offset
    name, virtual_size, address, size, offset, _ = reader.unpack(SECTION, "section header")
    if size and offset + size > end:
        raise DecodeError("section header", start, f"{size} bytes at {offset} are not in a file of {end}")
    text = name.rstrip(b"\0").decode("ascii", "backslashreplace")
    return Section(name=text, virtual_address=address, virtual_size=virtual_size, offset=offset, size=size)


def _hashed(
    sections: tuple[Section, ...], *, headers: int, skipped: tuple[int, int | None], end: int
) -> tuple[Span, ...]:
    """What the digest covers: "Calculating the PE Image Hash", steps 3 to 14.

    All but the checksum, the directory entry of the certificate table, and that table. Data after the sections counts
    from the sum of their sizes on, as the specification says, wherever they lie.
    """
    checksum, table_at = skipped
    cuts = [
        0,
        checksum,
        checksum + 4,
        *((table_at, table_at + DIRECTORY.size) if table_at is not None else ()),
        headers,
    ]
    spans = [Span(*pair) for pair in zip(cuts[::2], cuts[1::2], strict=True)]
    filled = sorted((section for section in sections if section.size), key=lambda section: section.offset)
    spans += [Span(section.offset, section.offset + section.size) for section in filled]
    total = headers + sum(section.size for section in filled)
    if total > end:
        raise DecodeError("sections", headers, f"headers and sections of {total} bytes are over the {end} to be hashed")
    return (*spans, Span(total, end)) if total < end else tuple(spans)


def _certificates(raw: bytes, table: _Table, headers: int) -> tuple[WinCertificate, ...]:
    """The attribute certificate table, which ends the file."""
    if not table.size:
        return ()
    if table.offset < headers or table.offset + table.size != len(raw):
        why = f"{table.size} bytes at {table.offset} do not end a file of {len(raw)}"
        raise DecodeError("certificate table", min(table.offset, len(raw)), why)
    reader = LittleReader(raw, start=table.offset)
    found: list[WinCertificate] = []
    while reader.remaining:
        if len(found) == MAX_CERTIFICATES:
            raise reader.refuse("certificate table", f"more than {MAX_CERTIFICATES} certificates")
        found.append(_certificate(reader))
    return tuple(found)


def _certificate(reader: LittleReader) -> WinCertificate:
    start = reader.offset
    length, revision, kind = reader.unpack(CERTIFICATE, "WIN_CERTIFICATE")
    size = length - CERTIFICATE.size
    if not 0 < size <= MAX_CERTIFICATE:
        raise DecodeError("dwLength", start, f"up to {MAX_CERTIFICATE} bytes of data expected, found {size}")
    data = reader.take(size, "WIN_CERTIFICATE")
    padding = reader.take(min(-length % ALIGNMENT, reader.remaining), "WIN_CERTIFICATE padding")
    if padding.strip(b"\0"):
        raise DecodeError("WIN_CERTIFICATE padding", start + length, f"zeros expected, found {padding.hex()}")
    return WinCertificate(revision=revision, kind=kind, data=data)


def authenticode_digest(raw: bytes, image: PeImage, alg: HashAlg) -> bytes:
    """The Authenticode digest of an image, given its own bytes: what PCR 4 takes and signatures are about."""
    digest = CONSTRUCTORS[alg](b"")
    view = memoryview(raw)
    for start, stop in image.hashed:
        digest.update(view[start:stop])
    return digest.digest()


def section_content(raw: bytes, section: Section) -> bytes:
    """A section as it lies in memory: of its virtual size, zeros where the file has fewer bytes.

    Raises:
        DecodeError: it has more than `MAX_UNFILLED` bytes that the file does not fill.
    """
    held = min(section.size, section.virtual_size)
    if section.virtual_size - held > MAX_UNFILLED:
        why = f"{section.virtual_size} bytes in memory for {held} in the file"
        raise DecodeError(f"section {section.name}", section.offset, why)
    reader = LittleReader(raw, start=section.offset if held else 0)
    return reader.take(held, f"section {section.name}").ljust(section.virtual_size, b"\0")
