"""A TPM key however an operator has it: TPM2B_PUBLIC, or a SubjectPublicKeyInfo in PEM or DER (RFC 5280, 4.1)."""

from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

from bartizan.errors import DecodeError
from bartizan.formats.tpm2 import decode_public
from bartizan.model.tpm import Curve, EccKey, RsaKey, Scheme

MAX_KEY = 16 * 1024
"""Bytes; an RSA-4096 key in PEM needs under 1 KiB."""
PEM_START = b"-----BEGIN"
DER_START = 0x30
CURVES = {"secp256r1": Curve.NIST_P256, "secp384r1": Curve.NIST_P384, "secp521r1": Curve.NIST_P521}


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key, and the scheme it is bound to where its form says so."""

    key: RsaKey | EccKey
    scheme: Scheme | None


def decode_public_key(raw: bytes) -> SigningKey:
    """A key in any of the three forms, told apart by how it begins.

    Raises:
        DecodeError: none of them, or a kind of key that signs no quotes.
    """
    if len(raw) > MAX_KEY:
        raise DecodeError("public key", 0, f"{len(raw)} bytes are over the limit of {MAX_KEY}")
    if not raw.lstrip().startswith(PEM_START) and raw[:1] != bytes([DER_START]):
        area = decode_public(raw)
        return SigningKey(key=area.key, scheme=area.scheme)
    try:
        loaded = load_pem_public_key(raw) if PEM_START in raw else load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise DecodeError("public key", 0, f"not a SubjectPublicKeyInfo: {error}") from error
    if isinstance(loaded, rsa.RSAPublicKey):
        return SigningKey(key=_rsa(loaded), scheme=None)
    if isinstance(loaded, ec.EllipticCurvePublicKey) and loaded.curve.name in CURVES:
        return SigningKey(key=_ecc(loaded), scheme=None)
    raise DecodeError("public key", 0, "an RSA key, or one on NIST P-256, P-384 or P-521, expected")


def _rsa(key: rsa.RSAPublicKey) -> RsaKey:
    numbers = key.public_numbers()
    modulus = numbers.n.to_bytes((key.key_size + 7) // 8, "big")
    return RsaKey(bits=key.key_size, exponent=numbers.e, modulus=modulus)


def _ecc(key: ec.EllipticCurvePublicKey) -> EccKey:
    numbers, size = key.public_numbers(), (key.key_size + 7) // 8
    curve = CURVES[key.curve.name]
    return EccKey(curve=curve, kdf=None, x=numbers.x.to_bytes(size, "big"), y=numbers.y.to_bytes(size, "big"))
