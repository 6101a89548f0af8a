"""A quote's signature in the forms that tools write: TPMT_SIGNATURE, or bare (RSA block, DER-encoded ECDSA pair).

Bare signatures do not say their hash: the key's own scheme is taken, else SHA-256, the TPM's default.
"""

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from bartizan.errors import DecodeError
from bartizan.formats.public_key import SigningKey
from bartizan.formats.tpm2 import MAX_ECC_COORDINATE, decode_signature
from bartizan.model.digest import SIZES, HashAlg
from bartizan.model.tpm import Alg, RsaKey, Signature

DER_SEQUENCE = 0x30
MAX_BARE = 512
"""Bytes: an RSA-4096 block."""


def decode_quote_signature(raw: bytes, by: SigningKey) -> Signature:
    """The signature, told apart by its form and by the kind of key that made it.

    Raises:
        DecodeError: none of the forms; the reason is that of TPMT_SIGNATURE.
    """
    hash_alg, scheme = _hash_of(by), by.scheme.alg if by.scheme else Alg.RSASSA
    if isinstance(by.key, RsaKey) and len(raw) == len(by.key.modulus) <= MAX_BARE:
        return Signature(alg=scheme, hash_alg=hash_alg, rsa=raw)
    if not isinstance(by.key, RsaKey) and raw[:1] == bytes([DER_SEQUENCE]) and len(raw) <= MAX_BARE:
        return _pair(raw, hash_alg)
    return decode_signature(raw)


def _hash_of(by: SigningKey) -> HashAlg:
    named = by.scheme.hash_alg if by.scheme else None
    return HashAlg(named) if named is not None and named in SIZES else HashAlg.SHA256


def _pair(raw: bytes, hash_alg: HashAlg) -> Signature:
    try:
        r, s = decode_dss_signature(raw)
        sized = [number.to_bytes(MAX_ECC_COORDINATE, "big") for number in (r, s)]
    except (ValueError, OverflowError) as error:
        raise DecodeError("ECDSA signature", 0, f"not a DER pair of numbers: {error}") from error
    return Signature(alg=Alg.ECDSA, hash_alg=hash_alg, r=sized[0], s=sized[1])
