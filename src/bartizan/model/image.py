"""Executable images as decoded: PE/COFF layout, embedded signatures, unified kernel images. Nothing here is proved."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bartizan.model.certificate import Certificate
from bartizan.model.digest import HashAlg
from bartizan.model.uefi import SbatLevel


class Section(NamedTuple):
    """One section: its name, where it lies in memory and in the file; all numbers in bytes."""

    name: str
    virtual_address: int
    virtual_size: int
    offset: int
    size: int


class WinCertificate(NamedTuple):
    """WIN_CERTIFICATE, one entry of the attribute certificate table; `data` is what follows its eight-byte header."""

    revision: int
    kind: int
    data: bytes


class Span(NamedTuple):
    """Bytes of a file from `start` up to `stop`."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeImage:
    """The layout of a PE image; `hashed` are the parts that its Authenticode digest covers, in order of hashing."""

    size: int
    machine: int
    sections: tuple[Section, ...]
    certificates: tuple[WinCertificate, ...]
    hashed: tuple[Span, ...]

    def section(self, name: str) -> Section | None:
        """The first section of this name, or None."""
        return next((section for section in self.sections if section.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSigner:
    """One SignerInfo; `attributes` are the signed bytes (a DER SET), None where the content itself was signed.

    digest_alg and signature_oid as named beside the signature; content_type and message_digest as the attributes say.
    """

    issuer: bytes
    serial: int
    digest_alg: str
    attributes: bytes | None
    content_type: str
    message_digest: bytes
    signature_oid: str
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSignature:
    """An Authenticode signature: the image digest it is about, and who claims to have signed it.

    content: the bytes that messageDigest covers; certificates: those sent along, of whatever worth.
    """

    digest_alg: str
    digest: bytes
    content: bytes
    certificates: tuple[Certificate, ...]
    signers: tuple[ImageSigner, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BootImage:
    """An image that firmware or a loader may start, as far as prediction needs it.

    flat: the digests of the whole file; authenticode: those that PCR 4 takes; sbat: None without such a section;
    release: the kernel release that a Linux image names itself, empty for others.
    """

    size: int
    flat: Mapping[HashAlg, bytes]
    authenticode: Mapping[HashAlg, bytes]
    signatures: tuple[ImageSignature, ...]
    sbat: SbatLevel | None
    release: str
