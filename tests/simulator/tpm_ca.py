"""A certificate maker for tests: writes DER by hand, so that it can also write what no library would."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SEQUENCE, SET, INTEGER, BIT_STRING, OCTET_STRING, OID, BOOLEAN = 0x30, 0x31, 0x02, 0x03, 0x04, 0x06, 0x01
UTF8, UTC_TIME, GENERALIZED_TIME = 0x0C, 0x17, 0x18

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
FAR_OFF = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

EK_PURPOSE = "2.23.133.8.1"
USAGE_BITS = {"digitalSignature": 0x80, "keyEncipherment": 0x20, "keyAgreement": 0x08, "keyCertSign": 0x04}


def tlv(tag: int, *parts: bytes) -> bytes:
    """One DER element."""
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def integer(number: int) -> bytes:
    return tlv(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def oid(dotted: str) -> bytes:
    arcs = [int(arc) for arc in dotted.split(".")]
    body = b""
    for arc in (40 * arcs[0] + arcs[1], *arcs[2:]):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.insert(0, 0x80 | arc & 0x7F)
        body += bytes(groups)
    return tlv(OID, body)


def attribute(dotted: str, text: str) -> bytes:
    return tlv(SEQUENCE, oid(dotted), tlv(UTF8, text.encode()))


def name(text: str) -> bytes:
    """A distinguished name of one common name; empty for an empty text."""
    return tlv(SEQUENCE, tlv(SET, attribute("2.5.4.3", text))) if text else tlv(SEQUENCE)


def extension(dotted: str, value: bytes, *, critical: bool = False) -> bytes:
    return tlv(SEQUENCE, oid(dotted), tlv(BOOLEAN, b"\xff") if critical else b"", tlv(OCTET_STRING, value))


def time(moment: datetime) -> bytes:
    if moment.year < 2050:
        return tlv(UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode())


def tpm_name(manufacturer: str = "id:54455354", model: str = "tests", version: str = "id:00010002") -> bytes:
    """A critical subjectAltName as EK certificates carry it."""
    parts = [("2.23.133.2.1", manufacturer), ("2.23.133.2.2", model), ("2.23.133.2.3", version)]
    directory = tlv(SEQUENCE, *(tlv(SET, attribute(dotted, text)) for dotted, text in parts))
    return extension("2.5.29.17", tlv(SEQUENCE, tlv(0xA4, directory)), critical=True)


EC_KEYS: defaultdict[str, ec.EllipticCurvePrivateKey] = defaultdict(lambda: ec.generate_private_key(ec.SECP256R1()))
RSA_KEYS: defaultdict[str, rsa.RSAPrivateKey] = defaultdict(lambda: rsa.generate_private_key(65537, 2048))


def ec_key(label: str) -> ec.EllipticCurvePrivateKey:
    """The P-256 key of this label, the same throughout a run."""
    return EC_KEYS[label]


def rsa_key(label: str) -> rsa.RSAPrivateKey:
    """The RSA-2048 key of this label, the same throughout a run."""
    return RSA_KEYS[label]


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """How a signer signs: an AlgorithmIdentifier and the operation."""

    algorithm: bytes
    sign: Callable[[PrivateKey, bytes], bytes]


def ecdsa(hashed: HashAlgorithm | None = None, dotted: str = "1.2.840.10045.4.3.2") -> Scheme:
    def sign(key: PrivateKey, data: bytes) -> bytes:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key.sign(data, ec.ECDSA(hashed or SHA256()))

    return Scheme(algorithm=tlv(SEQUENCE, oid(dotted)), sign=sign)


def pkcs1(hashed: HashAlgorithm | None = None, dotted: str = "1.2.840.113549.1.1.11") -> Scheme:
    def sign(key: PrivateKey, data: bytes) -> bytes:
        assert isinstance(key, rsa.RSAPrivateKey)
        return key.sign(data, padding.PKCS1v15(), hashed or SHA256())

    return Scheme(algorithm=tlv(SEQUENCE, oid(dotted), tlv(0x05)), sign=sign)


SHA1_RSA = pkcs1(SHA1(), "1.2.840.113549.1.1.5")  # noqa: S303  # what old EK chains are signed with
SHA384_ECDSA = ecdsa(SHA384(), "1.2.840.10045.4.3.3")


def pss(*, salt: int = 32, mask: str = "2.16.840.1.101.3.4.2.1") -> Scheme:
    """RSASSA-PSS with SHA-256."""

    def sign(key: PrivateKey, data: bytes) -> bytes:
        assert isinstance(key, rsa.RSAPrivateKey)
        return key.sign(data, padding.PSS(padding.MGF1(SHA256()), salt), SHA256())

    hashed = tlv(SEQUENCE, oid("2.16.840.1.101.3.4.2.1"), tlv(0x05))
    generator = tlv(SEQUENCE, oid("1.2.840.113549.1.1.8"), tlv(SEQUENCE, oid(mask), tlv(0x05)))
    parameters = tlv(SEQUENCE, tlv(0xA0, hashed), tlv(0xA1, generator), tlv(0xA2, integer(salt)))
    return Scheme(algorithm=tlv(SEQUENCE, oid("1.2.840.113549.1.1.10"), parameters), sign=sign)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Everything a certificate says; the defaults make an EK certificate that a CA named `issuer` signs."""

    subject: str = ""
    issuer: str = "Test TPM CA"
    serial: int = 7
    not_before: datetime = LONG_AGO
    not_after: datetime = FAR_OFF
    key: PrivateKey | None = None
    key_info: bytes | None = None
    is_ca: bool = False
    path_length: int | None = None
    usage: str | None = None
    purposes: tuple[str, ...] = (EK_PURPOSE,)
    more: tuple[bytes, ...] = field(default_factory=lambda: (tpm_name(),))
    subject_key_id: bytes | None = None
    authority_key_id: bytes | None = None
    version: bytes = bytes.fromhex("a003020102")
    tail: bytes | None = None

    def info(self) -> bytes:
        """The SubjectPublicKeyInfo."""
        if self.key_info is not None:
            return self.key_info
        key = self.key or ec_key("ek")
        return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def extensions(self) -> bytes:
        """The extensions, in their tagged field."""
        length = integer(self.path_length) if self.path_length is not None else b""
        parts = [extension("2.5.29.19", tlv(SEQUENCE, tlv(BOOLEAN, b"\xff") + length if self.is_ca else b""))]
        if self.usage is not None:
            bit = USAGE_BITS[self.usage]
            bits = tlv(BIT_STRING, bytes([(bit & -bit).bit_length() - 1, bit]))
            parts.append(extension("2.5.29.15", bits, critical=True))
        if self.purposes:
            parts.append(extension("2.5.29.37", tlv(SEQUENCE, *(oid(purpose) for purpose in self.purposes))))
        if self.subject_key_id is not None:
            parts.append(extension("2.5.29.14", tlv(OCTET_STRING, self.subject_key_id)))
        if self.authority_key_id is not None:
            parts.append(extension("2.5.29.35", tlv(SEQUENCE, tlv(0x80, self.authority_key_id))))
        return tlv(0xA3, tlv(SEQUENCE, *parts, *self.more))


def issue(shape: Shape, signer: PrivateKey, scheme: Scheme | None = None) -> bytes:
    """The certificate, in DER."""
    chosen = scheme or (ecdsa() if isinstance(signer, ec.EllipticCurvePrivateKey) else pkcs1())
    tbs = tlv(
        SEQUENCE,
        shape.version,
        integer(shape.serial),
        chosen.algorithm,
        name(shape.issuer),
        tlv(SEQUENCE, time(shape.not_before), time(shape.not_after)),
        name(shape.subject),
        shape.info(),
        shape.extensions() if shape.tail is None else shape.tail,
    )
    return tlv(SEQUENCE, tbs, chosen.algorithm, tlv(BIT_STRING, b"\0", chosen.sign(signer, tbs)))


def ca(subject: str = "Test TPM CA", issuer: str | None = None) -> Shape:
    """The shape of a CA certificate with the EC key of its name; self-issued when no issuer is named."""
    return Shape(
        subject=subject,
        issuer=subject if issuer is None else issuer,
        key=ec_key(subject),
        is_ca=True,
        usage="keyCertSign",
        purposes=(),
        more=(),
    )


CA = ec_key("Test TPM CA")


def made(shape: Shape | None = None) -> bytes:
    """An EK certificate of this shape, signed by the test CA."""
    return issue(shape or Shape(), CA)


def with_extensions(*extensions: bytes) -> bytes:
    """An EK certificate with these extensions and no others."""
    return made(Shape(tail=tlv(0xA3, tlv(SEQUENCE, *extensions))))


def bare(issuer: bytes | None = None, begins: bytes | None = None) -> bytes:
    """A certificate without extensions, whose signature is none; name and first time as given in DER."""
    algorithm = tlv(SEQUENCE, oid("1.2.840.10045.4.3.2"))
    tbs = tlv(
        SEQUENCE,
        Shape().version,
        integer(1),
        algorithm,
        name("x") if issuer is None else issuer,
        tlv(SEQUENCE, begins or time(LONG_AGO), time(FAR_OFF)),
        name("x"),
        Shape().info(),
    )
    return tlv(SEQUENCE, tbs, algorithm, tlv(BIT_STRING, b"\0"))
