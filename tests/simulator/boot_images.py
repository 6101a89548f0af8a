"""Boot images for tests: PE files laid out and signed by hand, and what real Debian packages hold.

It shares no code with the product's decoders: an image's digest is what is left of the file once the checksum, the
certificate table and its directory entry are cut out, which holds for files without gaps as they are made here.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from struct import pack

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512

from bartizan.formats.authenticode import decode_authenticode
from bartizan.model.digest import HashAlg
from bartizan.model.image import BootImage
from bartizan.model.uefi import SbatEntry, SbatLevel
from tests.simulator.tpm_ca import (
    OCTET_STRING,
    SEQUENCE,
    SET,
    PrivateKey,
    Shape,
    ca,
    ec_key,
    integer,
    issue,
    name,
    oid,
    rsa_key,
    tlv,
)

VECTORS = Path(__file__).parent.parent / "vectors" / "images"
SIGNED_DATA, SPC_INDIRECT_DATA = "1.2.840.113549.1.7.2", "1.3.6.1.4.1.311.2.1.4"
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
HASH_OIDS = {
    "sha1": "1.3.14.3.2.26",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
    "md5": "1.2.840.113549.2.5",
}
HASHES = {"sha1": SHA1(), "sha256": SHA256(), "sha384": SHA384(), "sha512": SHA512()}  # noqa: S303  # must be refused
RSA_OID, EC_OID = "1.2.840.113549.1.1.1", "1.2.840.10045.4.3.2"
PE_AT, ALIGN = 0x80, 0x200
ISSUED: dict[tuple[str, str, str], bytes] = {}


def sha(alg: str, data: bytes) -> bytes:
    return hashlib.new(alg, data, usedforsecurity=False).digest()


def padded(data: bytes, to: int) -> bytes:
    return data + bytes(-len(data) % to)


@dataclass(frozen=True, kw_only=True)
class Pe:
    """A PE file without gaps; each test changes one thing."""

    sections: Mapping[str, bytes] = field(default_factory=lambda: {".text": b"code" * 40, ".data": b"data"})
    plus: bool = True
    directories: int = 16
    machine: int = 0x8664
    trailing: bytes = b""
    signatures: tuple[bytes, ...] = ()
    kind: int = 2

    @property
    def table_entry(self) -> int:
        """Where the certificate table's directory entry stands."""
        return PE_AT + 24 + (112 if self.plus else 96) + 4 * 8

    def unsigned(self) -> bytes:
        """The file before the certificate table."""
        size = (112 if self.plus else 96) + 8 * self.directories
        start = len(padded(bytes(PE_AT + 24 + size + 40 * len(self.sections)), ALIGN))
        bodies, headers, offset, address = b"", b"", start, 0x1000
        for label, content in self.sections.items():
            body = padded(content, ALIGN)
            place = pack("<8sIIII", label.encode(), len(content), address, len(body), offset)
            headers += place + pack("<IIHHI", 0, 0, 0, 0, 0x60000020)
            bodies, offset, address = bodies + body, offset + len(body), address + len(padded(content, 0x1000))
        coff = pack("<HHIIIHH", self.machine, len(self.sections), 0, 0, 0, size, 0x206)
        optional = pack("<H", 0x20B if self.plus else 0x10B) + bytes(58) + pack("<II", start, 0xC0FFEE)
        optional = optional.ljust((112 if self.plus else 96) - 4, b"\0") + pack("<I", self.directories)
        optional += bytes(8 * self.directories)
        dos = b"MZ" + bytes(58) + pack("<I", PE_AT)
        head = dos.ljust(PE_AT, b"\0") + b"PE\0\0" + coff + optional + headers
        return head.ljust(start, b"\0") + bodies + self.trailing

    def encode(self) -> bytes:
        """The whole file."""
        raw = self.unsigned()
        if not self.signatures:
            return raw
        raw = padded(raw, 8)
        entries = (pack("<IHH", len(one) + 8, 0x200, self.kind) + one for one in self.signatures)
        table = b"".join(padded(entry, 8) for entry in entries)
        at = self.table_entry
        return raw[:at] + pack("<II", len(raw), len(table)) + raw[at + 8 :] + table

    def digest(self, alg: str = "sha256") -> bytes:
        """Its Authenticode digest: of a file that is to be signed, with the padding that the table brings."""
        raw = padded(self.unsigned(), 8) if self.signatures else self.unsigned()
        checksum = PE_AT + 24 + 64
        has_entry = self.directories > 4
        rest = raw[checksum + 4 : self.table_entry] + raw[self.table_entry + 8 :] if has_entry else raw[checksum + 4 :]
        return sha(alg, raw[:checksum] + rest)

    def signed(self, *signers: "Signing") -> "Pe":
        """The same, signed."""
        ready = replace(self, signatures=(b"",))
        return replace(self, signatures=tuple(one.of(ready.digest(one.digest_alg)) for one in signers))


def algorithm(label: str) -> bytes:
    return tlv(SEQUENCE, oid(HASH_OIDS[label]), tlv(0x05))


def attribute(dotted: str, value: bytes) -> bytes:
    return tlv(SEQUENCE, oid(dotted), tlv(SET, value))


@dataclass(frozen=True, kw_only=True)
class Signing:
    """Who signs and how; the defaults make a good signature by a signer that `Test Boot CA` issued."""

    key: PrivateKey = field(default_factory=lambda: rsa_key("boot signer"))
    shape: Shape = field(
        default_factory=lambda: Shape(
            subject="Test Boot Signer",
            issuer="Test Boot CA",
            serial=9,
            key=rsa_key("boot signer"),
            purposes=(),
            more=(),
        )
    )
    issuer: str = "Test Boot CA"
    digest_alg: str = "sha256"
    signer_alg: str = "sha256"
    content_type: str = SPC_INDIRECT_DATA
    inner_type: str = SPC_INDIRECT_DATA
    message_digest: bytes | None = None
    with_attributes: bool = True
    more_attributes: tuple[bytes, ...] = ()
    signature_oid: str | None = None
    flip: bool = False
    signers: int = 1
    bag: Sequence[bytes] | None = None

    @property
    def certificate(self) -> bytes:
        """The signer's certificate, the same throughout a run."""
        known = (self.shape.subject, self.shape.issuer, self.issuer)
        if known not in ISSUED:
            ISSUED[known] = issue(self.shape, ec_key(self.issuer))
        return ISSUED[known]

    def of(self, digest: bytes) -> bytes:
        """ContentInfo over this image digest; RFC 2315, 7."""
        data = tlv(SEQUENCE, oid("1.3.6.1.4.1.311.2.1.15"), tlv(SEQUENCE))
        content = data + tlv(SEQUENCE, algorithm(self.digest_alg), tlv(OCTET_STRING, digest))
        indirect = tlv(SEQUENCE, oid(self.inner_type), tlv(0xA0, tlv(SEQUENCE, content)))
        bag = [self.certificate] if self.bag is None else self.bag
        signer = self._signer(content)
        signed = tlv(
            SEQUENCE,
            integer(1),
            tlv(SET, algorithm(self.digest_alg)),
            indirect,
            tlv(0xA0, *bag) if bag else b"",
            tlv(SET, *[signer] * self.signers),
        )
        return tlv(SEQUENCE, oid(SIGNED_DATA), tlv(0xA0, signed))

    def _signer(self, content: bytes) -> bytes:
        digest = self.message_digest or sha(self.signer_alg, content)
        fields = (
            attribute(CONTENT_TYPE, oid(self.content_type)),
            attribute(MESSAGE_DIGEST, tlv(OCTET_STRING, digest)),
            *self.more_attributes,
        )
        signature = bytearray(self._sign(tlv(SET, *fields) if self.with_attributes else content))
        if self.flip:
            signature[-1] ^= 1
        own = EC_OID if isinstance(self.key, ec.EllipticCurvePrivateKey) else RSA_OID
        return tlv(
            SEQUENCE,
            integer(1),
            tlv(SEQUENCE, name(self.shape.issuer), integer(self.shape.serial)),
            algorithm(self.signer_alg),
            tlv(0xA0, *fields) if self.with_attributes else b"",
            tlv(SEQUENCE, oid(self.signature_oid or own), tlv(0x05)),
            tlv(OCTET_STRING, bytes(signature)),
        )

    def _sign(self, data: bytes) -> bytes:
        chosen = HASHES.get(self.signer_alg, SHA256())
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), chosen)
        return self.key.sign(data, ec.ECDSA(chosen))


@cache
def boot_ca() -> bytes:
    """The CA that issued the default signer."""
    return issue(ca("Test Boot CA"), ec_key("Test Boot CA"))


@dataclass(frozen=True, kw_only=True)
class DebianImage:
    """One image of a Debian package, as `measure_debian_images.py` found it."""

    package: str
    version: str
    path: str
    signers: tuple[str, ...]
    image: BootImage

    @property
    def source(self) -> str:
        return f"{self.package} {self.version}"


def _digests(row: Mapping[str, str]) -> dict[HashAlg, bytes]:
    return {HashAlg.from_label(alg): bytes.fromhex(value) for alg, value in row.items()}


@cache
def debian() -> tuple[DebianImage, ...]:
    """Every image in the vectors, in order of packages and versions."""
    rows = json.loads((VECTORS / "debian.json").read_text())
    return tuple(
        DebianImage(
            package=row["package"],
            version=row["version"],
            path=row["path"],
            signers=tuple(row["signers"]),
            image=BootImage(
                size=row["size"],
                flat=_digests(row["flat"]),
                authenticode=_digests(row["authenticode"]),
                signatures=tuple(decode_authenticode(base64.b64decode(one)) for one in row["signatures"]),
                sbat=_sbat(row["sbat"]),
                release=row["release"],
            ),
        )
        for row in rows
    )


def _sbat(rows: Sequence[tuple[str, int]] | None) -> SbatLevel | None:
    return None if rows is None else SbatLevel(entries=tuple(SbatEntry(*row) for row in rows))


def kernels() -> tuple[DebianImage, ...]:
    """Consecutive kernels of Debian 12, the oldest first."""
    return tuple(one for one in debian() if one.package.startswith("linux-image"))
