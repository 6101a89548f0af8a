"""Public keys as operators keep them: PEM (keys and certificates), JWK and JWK sets (RFC 7517). It trusts none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from bartizan.errors import DecodeError
from bartizan.formats.pem import PemBlock, pem_blocks
from bartizan.formats.strict import base64url, json_value
from bartizan.formats.x509 import decode_certificate
from bartizan.model.certificate import CertificateKey, KeyKind

MAX_KEY_FILE = 1 << 20
"""Bytes; a key set of a hundred RSA-4096 keys has 80 KB."""
MAX_KEYS = 100
MAX_RSA_BITS = 16384
"""Verification time grows with the size."""
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey
CURVES: Mapping[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
    "secp256r1": ec.SECP256R1(),
    "secp384r1": ec.SECP384R1(),
    "secp521r1": ec.SECP521R1(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedKey:
    """A public key, and the name and algorithm that its file gives it."""

    key: PublicKey
    kid: str | None = None
    alg: str | None = None


def decode_key_file(raw: bytes) -> tuple[NamedKey, ...]:
    """The keys of a file, in order; at least one.

    Raises:
        DecodeError: neither PEM nor JSON, a key that cannot be used, or none.
    """
    if len(raw) > MAX_KEY_FILE:
        raise DecodeError("key file", 0, f"{len(raw)} bytes are over the limit of {MAX_KEY_FILE}")
    found = _jwks(raw) if raw.lstrip()[:1] == b"{" else _pems(raw)
    if not 0 < len(found) <= MAX_KEYS:
        raise DecodeError("key file", 0, f"1 to {MAX_KEYS} keys expected, found {len(found)}")
    return found


def _pems(raw: bytes) -> tuple[NamedKey, ...]:
    blocks = [block for block in pem_blocks(raw) if block.label in ("PUBLIC KEY", "CERTIFICATE")]
    return tuple(NamedKey(key=_pem(block)) for block in blocks)


def _pem(block: PemBlock) -> PublicKey:
    der = block.decode()
    if block.label == "CERTIFICATE":
        return certificate_key(decode_certificate(der).key)
    try:
        return _usable(load_der_public_key(der))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise DecodeError("public key", block.offset, f"not a SubjectPublicKeyInfo: {error}") from error


def _usable(key: object) -> PublicKey:
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES:
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size <= MAX_RSA_BITS:
        return key
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    raise DecodeError("public key", 0, "an RSA key, an Ed25519 key, or one on P-256, P-384 or P-521 expected")


def certificate_key(key: CertificateKey) -> PublicKey:
    """A certificate's key, ready for use.

    Raises:
        DecodeError: numbers that are no key, or a curve that is not accepted.
    """
    return _rsa(key.exponent, key.modulus) if key.kind is KeyKind.RSA else _point(key.curve, key.x, key.y)


def _rsa(exponent: int, modulus: int) -> PublicKey:
    try:
        return _usable(rsa.RSAPublicNumbers(exponent, modulus).public_key())
    except ValueError as error:
        raise DecodeError("RSA key", 0, str(error)) from error


def _point(curve: str, x: int, y: int) -> PublicKey:
    if curve not in CURVES:
        raise DecodeError("EC key", 0, f"P-256, P-384 or P-521 expected, found {curve[:40]!a}")
    try:
        return ec.EllipticCurvePublicNumbers(x, y, CURVES[curve]).public_key()
    except ValueError as error:
        raise DecodeError("EC key", 0, f"a point off its curve: {error}") from error


def _jwks(raw: bytes) -> tuple[NamedKey, ...]:
    document = json_value(raw, "JWK")
    keys = document.get("keys", [document])
    if not isinstance(keys, list):
        raise DecodeError("JWK set", 0, "`keys` is no list")
    return tuple(_jwk(key) for key in keys)


def _jwk(key: Any) -> NamedKey:
    if not isinstance(key, dict):
        raise DecodeError("JWK", 0, "an object expected")
    match key.get("kty"):
        case "EC":
            found = _point(_text(key, "crv"), _number(key, "x"), _number(key, "y"))
        case "RSA":
            found = _rsa(_number(key, "e"), _number(key, "n"))
        case "OKP" if key.get("crv") == "Ed25519":
            found = _ed25519(base64url(_text(key, "x"), "JWK.x"))
        case _:
            raise DecodeError("JWK", 0, "an EC, RSA or Ed25519 key expected")
    kid, alg = key.get("kid"), key.get("alg")
    return NamedKey(key=found, kid=kid if isinstance(kid, str) else None, alg=alg if isinstance(alg, str) else None)


def _ed25519(raw: bytes) -> PublicKey:
    try:
        return ed25519.Ed25519PublicKey.from_public_bytes(raw)
    except ValueError as error:
        raise DecodeError("JWK.x", 0, str(error)) from error


def _text(key: dict[str, Any], member: str) -> str:
    value = key.get(member)
    if not isinstance(value, str):
        raise DecodeError(f"JWK.{member}", 0, "text expected")
    return value


def _number(key: dict[str, Any], member: str) -> int:
    return int.from_bytes(base64url(_text(key, member), f"JWK.{member}"), "big")
