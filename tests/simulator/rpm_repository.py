"""RPM packages and a signed repository, made in a moment and broken at will; it shares no code with the product.

Each part of a package can be replaced: tags of either header, their types, the region's trailer, the payload.
"""

import gzip
import hashlib
import lzma
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from struct import pack
from xml.sax.saxutils import quoteattr

from tests.simulator.debian_repository import NOW, Keys

INT16, INT32, STRING, BINARY, STRINGS = 3, 4, 6, 7, 8
REGULAR, LINK, FOLDER = 0o100644, 0o120777, 0o040755
CONFIGURATION, GHOST = 1, 64
SIGNATURE, HEADER = 62, 63
LEAD = b"\xed\xab\xee\xdb\x03\x00" + bytes(70) + pack(">HH", 1, 5) + bytes(16)
Tag = tuple[int, int, bytes]
"""Type, number of values, bytes."""


def numbers(kind: int, values: list[int]) -> Tag:
    return kind, len(values), b"".join(pack(">H" if kind == INT16 else ">I", value) for value in values)


def string(text: str) -> Tag:
    return STRING, 1, text.encode() + b"\0"


def strings(texts: list[bytes]) -> Tag:
    return STRINGS, len(texts), b"".join(text + b"\0" for text in texts)


def binary(raw: bytes) -> Tag:
    return BINARY, len(raw), raw


def header(tags: Mapping[int, Tag], region: int, *, trailer: bytes | None = None) -> bytes:
    """A header structure with all its tags inside its region."""
    index, store = b"", b""
    for number, (kind, count, data) in sorted(tags.items()):
        store += bytes(-len(store) % {INT16: 2, INT32: 4}.get(kind, 1))
        index += pack(">IIiI", number, kind, len(store), count)
        store += data
    entries = len(tags) + 1
    index = pack(">IIiI", region, BINARY, len(store), 16) + index
    store += pack(">IIiI", region, BINARY, -16 * entries, 16) if trailer is None else trailer
    return b"\x8e\xad\xe8\x01" + bytes(4) + pack(">II", entries, len(store)) + index + store


@dataclass(frozen=True, kw_only=True)
class Rpm:
    """A package to be: contents by path; a text stands for a symbolic link, None for a folder.

    tags, protection: replace or add tags of the header and of the one before it; None takes one out.
    """

    name: str = "tiny"
    version: str = "1.0"
    release: str = "1"
    arch: str = "x86_64"
    files: Mapping[bytes, bytes | str | None] = field(default_factory=dict)
    flags: Mapping[bytes, int] = field(default_factory=dict)
    tags: Mapping[int, Tag | None] = field(default_factory=dict)
    protection: Mapping[int, Tag | None] = field(default_factory=dict)
    payload: bytes = b"payload"
    trailer: bytes | None = None
    lead: bytes = LEAD
    sign: Callable[[bytes], bytes] | None = None

    @property
    def filename(self) -> str:
        return f"Packages/{self.name}-{self.version}-{self.release}.{self.arch}.rpm"

    def main_tags(self) -> dict[int, Tag]:
        paths = sorted(self.files)
        folders = sorted({path.rpartition(b"/")[0] + b"/" for path in paths})
        contents = [self.files[path] for path in paths]
        modes = [FOLDER if some is None else LINK if isinstance(some, str) else REGULAR for some in contents]
        digests = [hashlib.sha256(some).hexdigest().encode() if isinstance(some, bytes) else b"" for some in contents]
        found: dict[int, Tag] = {
            1000: string(self.name),
            1001: string(self.version),
            1002: string(self.release),
            1022: string(self.arch),
            5092: strings([hashlib.sha256(self.payload).hexdigest().encode()]),
            5093: numbers(INT32, [8]),
        }
        if paths:
            found |= {
                1030: numbers(INT16, modes),
                1035: strings(digests),
                1036: strings([some.encode() if isinstance(some, str) else b"" for some in contents]),
                1037: numbers(INT32, [self.flags.get(path, 0) for path in paths]),
                1116: numbers(INT32, [folders.index(path.rpartition(b"/")[0] + b"/") for path in paths]),
                1117: strings([path.rpartition(b"/")[2] for path in paths]),
                1118: strings(folders),
                5011: numbers(INT32, [8]),
            }
        return _with(found, self.tags)

    def encode(self) -> bytes:
        """The package file."""
        main = header(self.main_tags(), HEADER, trailer=self.trailer)
        around: dict[int, Tag] = {273: string(hashlib.sha256(main).hexdigest())}
        if self.sign is not None:
            around[268] = binary(self.sign(main))
        first = header(_with(around, self.protection), SIGNATURE)
        return self.lead + first + bytes(-len(self.lead + first) % 8) + main + self.payload


def _with(tags: dict[int, Tag], changes: Mapping[int, Tag | None]) -> dict[int, Tag]:
    return {number: tag for number, tag in (tags | dict(changes)).items() if tag is not None}


@dataclass(kw_only=True)
class RpmRepository:
    """A repository in a folder, signed anew by `publish`."""

    folder: Path
    keys: Keys
    packages: tuple[Rpm, ...] = ()
    date: int = int(NOW.timestamp()) - 3600
    form: str = "gz"
    checksum: str = "sha256"

    def publish(self, *, key: str = "archive") -> None:
        """Write packages, the list of them and a signed repomd.xml."""
        listed = "".join(self.listed(package) for package in self.packages)
        primary = f'<metadata xmlns="http://linux.duke.edu/metadata/common">{listed}</metadata>'.encode()
        pack = {"gz": gzip.compress, "xz": lambda raw: lzma.compress(raw, preset=0), "zst": bytes, "": bytes}
        raw = pack[self.form](primary)
        path = f"repodata/primary.xml{'.' * bool(self.form)}{self.form}"
        self.write(path, raw)
        self.write("repodata/repomd.xml", self.repomd(path, raw))
        self.sign(key)

    def sign(self, key: str = "archive") -> None:
        raw = (self.folder / "repodata" / "repomd.xml").read_bytes()
        self.write("repodata/repomd.xml.asc", self.keys.detached(raw, key=key, armour=True))

    def write(self, path: str, raw: bytes) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(raw)

    def repomd(self, path: str, raw: bytes) -> bytes:
        return (
            '<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision><data type="primary">'
            f'<checksum type="{self.checksum}">{hashlib.sha256(raw).hexdigest()}</checksum><location href="{path}"/>'
            f"<timestamp>{self.date}</timestamp><size>{len(raw)}</size></data></repomd>"
        ).encode()

    def listed(self, package: Rpm) -> str:
        """A package's entry; its file is written."""
        raw = package.encode()
        self.write(package.filename, raw)
        return (
            f'<package type="rpm"><name>{package.name}</name><arch>{package.arch}</arch>'
            f'<version epoch="0" ver={quoteattr(package.version)} rel={quoteattr(package.release)}/>'
            f'<checksum type="sha256" pkgid="YES">{hashlib.sha256(raw).hexdigest()}</checksum>'
            f'<size package="{len(raw)}"/><location href={quoteattr(package.filename)}/></package>'
        )
