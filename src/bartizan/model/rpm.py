"""RPM repositories and packages: what their files say. Nothing here is a judgement."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bartizan.model.package import ListedFile, PackageContent


@dataclass(frozen=True, slots=True, kw_only=True)
class RpmMetadata:
    """repomd.xml: when the repository was made, and its files by what they are (`primary`): path, size, SHA-256."""

    date: datetime
    files: Mapping[str, tuple[str, ListedFile]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RpmPackage:
    """A package file, decoded: its content, what it says of itself, and how that is protected inside it.

    header: the bytes that its own signature covers; signature: the OpenPGP packet over them, or None; claimed: SHA-256
    as the file states them, by `header` and `payload`, and found: as they are; file_signatures: IMA's, by path.
    """

    content: PackageContent
    header: bytes
    signature: bytes | None
    claimed: Mapping[str, bytes]
    found: Mapping[str, bytes]
    file_signatures: Mapping[bytes, "FileSignature"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSignature:
    """An IMA signature as security.ima holds it; `key` are the last four bytes of its key's identifier."""

    hash_alg: str
    key: bytes
    signature: bytes
