"""Subject public keys and signature algorithms of certificates (RFC 3279, 4055, 5480) as numbers and names.

It accepts no curve or algorithm on anyone's behalf: what it does not know keeps its object identifier, and
verification refuses it. A key that is neither RSA nor elliptic-curve cannot be expressed and is refused here.
"""

from dataclasses import dataclass

from bartizan.errors import DecodeError
from bartizan.formats.der import INTEGER, SEQUENCE, Der, context
from bartizan.model.certificate import CertificateKey, KeyKind, Repair

RSA_PSS = "1.2.840.113549.1.1.10"
RSA_ENCRYPTION, RSAES_OAEP, EC_PUBLIC_KEY = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.7", "1.2.840.10045.2.1"
MGF1 = "1.2.840.113549.1.1.8"

RSA_KEYS = frozenset({RSA_ENCRYPTION, RSAES_OAEP, RSA_PSS})
"""Key identifiers whose key is an RSAPublicKey; RFC 4055, 1.2."""

SIGNATURE_HASHES = {
    "1.2.840.113549.1.1.5": "sha1",
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
    "1.2.840.10045.4.1": "sha1",
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
}
"""Signature identifiers that name their hash; RFC 4055, 5 and RFC 5758, 3.2."""

HASHES = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
CURVES = {
    "1.2.840.10045.3.1.7": ("secp256r1", 32),
    "1.3.132.0.34": ("secp384r1", 48),
    "1.3.132.0.35": ("secp521r1", 66),
}
"""Curve identifiers to name and coordinate size in octets; RFC 5480, 2.1.1.1."""
UNCOMPRESSED = 0x04
MAX_SALT = 2
"""Octets of a salt length."""
NULL = b"\x05\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureAlgorithm:
    """A signature's AlgorithmIdentifier; `hash` is empty where it is not known, `salt` is in bytes (PSS only)."""

    oid: str
    hash: str
    salt: int
    raw: bytes


def decode_signature_algorithm(parent: Der, what: str) -> SignatureAlgorithm:
    """The next AlgorithmIdentifier.

    Raises:
        DecodeError: it is none, or its RSASSA-PSS parameters mix hashes.
    """
    algorithm = parent.enter(SEQUENCE, what)
    raw, oid = algorithm.raw, algorithm.oid(what)
    if oid == RSA_PSS:
        hashed, salt = _pss(algorithm.inside(what), what)
        return SignatureAlgorithm(oid=oid, hash=hashed, salt=salt, raw=raw)
    if algorithm.peek_rest() not in (b"", NULL):
        algorithm.note(Repair.PARAMETERS)
    return SignatureAlgorithm(oid=oid, hash=SIGNATURE_HASHES.get(oid, ""), salt=0, raw=raw)


def _pss(parameters: Der, what: str) -> tuple[str, int]:
    """Hash and salt length of RSASSA-PSS-params; RFC 4055, 3.1."""
    hashed, masked, salt, trailer = "sha1", "sha1", 20, 1
    if (field := parameters.optional(context(0), what)) is not None:
        hashed = _hash(field.inside(what), what)
    if (field := parameters.optional(context(1), what)) is not None:
        generator = field.inside(what)
        if generator.oid(what) != MGF1:
            raise generator.refuse(what, "the mask generation function is not MGF1")
        masked = _hash(generator.inside(what), what)
    if (field := parameters.optional(context(2), what)) is not None:
        salt = field.integer(what, limit=MAX_SALT)
    if (field := parameters.optional(context(3), what)) is not None:
        trailer = field.integer(what, limit=MAX_SALT)
    parameters.finish(what)
    if hashed != masked or salt < 0 or trailer != 1:
        raise parameters.refuse(what, "RSASSA-PSS parameters with two hashes, a negative salt or another trailer")
    return hashed, salt


def _hash(algorithm: Der, what: str) -> str:
    return HASHES.get(algorithm.oid(what), "")


def decode_key(parent: Der) -> CertificateKey:
    """The next SubjectPublicKeyInfo; RFC 5280, 4.1.2.7.

    Raises:
        DecodeError: it is none, its key is neither RSA nor on a named curve, or the point is compressed.
    """
    what = "subjectPublicKeyInfo"
    key = parent.enter(SEQUENCE, what)
    algorithm = key.enter(SEQUENCE, what)
    start = algorithm.offset
    oid = algorithm.oid(what)
    if oid in RSA_KEYS:
        _note_rsa_parameters(algorithm, oid)
        decoded = _rsa(key)
    elif oid == EC_PUBLIC_KEY:
        decoded = _ec(key, algorithm.oid("namedCurve"))
        algorithm.finish(what)
    else:
        raise DecodeError(what, start, f"an RSA or elliptic-curve key expected, found algorithm {oid}")
    key.finish(what)
    return decoded


def _note_rsa_parameters(algorithm: Der, oid: str) -> None:
    if oid == RSAES_OAEP:
        algorithm.note(Repair.OAEP_KEY)
    elif oid == RSA_ENCRYPTION and algorithm.peek_rest() != NULL:
        algorithm.note(Repair.PARAMETERS)


def _rsa(info: Der) -> CertificateKey:
    """An RSAPublicKey; RFC 8017, A.1.1."""
    what = "RSAPublicKey"
    key = info.octet_bits(what).inside(what)
    modulus = key.enter(INTEGER, what)
    size = modulus.remaining
    number, exponent = modulus.number(what), key.integer(what)
    key.finish(what)
    if number < 0:
        info.note(Repair.MODULUS_SIGN)
        number += 1 << 8 * size
    if number == 0 or exponent <= 0:
        raise key.refuse(what, "a modulus and an exponent over zero expected")
    return CertificateKey(kind=KeyKind.RSA, modulus=number, exponent=exponent)


def _ec(info: Der, oid: str) -> CertificateKey:
    """An ECPoint, uncompressed; RFC 5480, 2.2."""
    what = "ECPoint"
    point = info.octet_bits(what)
    if point.u8(what) != UNCOMPRESSED:
        raise point.refuse(what, "an uncompressed point expected")
    name, size = CURVES.get(oid, (oid, point.remaining // 2))
    x, y = (int.from_bytes(point.take(size, what), "big") for _ in "xy")
    point.finish(what)
    return CertificateKey(kind=KeyKind.EC, curve=name, x=x, y=y)
