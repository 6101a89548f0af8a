"""Whether a COSE_Sign1 message was signed by a key that the operator gave. Keys in its headers count for nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from bartizan.errors import VerifyError
from bartizan.formats.cose import (
    ALGORITHM,
    CRITICAL,
    EDDSA,
    ES_OF_CURVE,
    PS256,
    PS384,
    PS512,
    signature_input,
)
from bartizan.formats.key_file import PublicKey
from bartizan.model.cbor import Map
from bartizan.model.cose import CoseSign1

CHECK = "cose.signature"
PSS_HASHES: Mapping[int, hashes.HashAlgorithm] = {
    PS256: hashes.SHA256(),
    PS384: hashes.SHA384(),
    PS512: hashes.SHA512(),
}
MIN_RSA_BITS = 2048
"""RFC 8230, 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedCose:
    """What a key signed: the payload and the headers that the signature covers."""

    payload: bytes
    headers: Map


def verify_cose(
    message: CoseSign1, key: PublicKey, *, detached: bytes | None = None, external: bytes = b""
) -> VerifiedCose:
    """Verify a COSE_Sign1 message; RFC 9052, 4.4.

    Steps: (1) there is a payload, in it or given; (2) no header is critical; (3) the algorithm is the one that the key
    is for; (4) the signature holds over the exact protected bytes, the external data and the payload.

    detached: the payload, where it travelled apart; external: data that is signed but not sent.

    Raises:
        VerifyError: any of these fails.
    """
    payload = message.payload if message.payload is not None else detached
    if payload is None or (message.payload is not None and detached is not None):  # (1)
        raise VerifyError(CHECK, "one payload expected, in the message or given beside it")
    if CRITICAL in message.headers or CRITICAL in message.untrusted:  # (2) RFC 9052, 3.1
        raise VerifyError(CHECK, "a header is marked as critical, and none is understood here")
    # (3) an algorithm outside the signed headers could be swapped: so it must be the only one that the key is for
    reported = message.headers.get(ALGORITHM, message.untrusted.get(ALGORITHM))
    _verify(key, message.signature, signature_input(message, payload, external=external), reported=reported)  # (4)
    return VerifiedCose(payload=payload, headers=message.headers)


def _verify(key: PublicKey, signature: bytes, signed: bytes, *, reported: object) -> None:
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            _verify_ecdsa(key, signature, signed, reported)
        elif isinstance(key, ed25519.Ed25519PublicKey):
            _expect(reported, EDDSA, "an Ed25519 key")
            key.verify(signature, signed)
        else:
            _verify_pss(key, signature, signed, reported)
    except InvalidSignature as error:
        raise VerifyError(CHECK, "the signature does not match: not signed by this key, or changed since") from error
    except UnsupportedAlgorithm as error:
        raise VerifyError(CHECK, f"the key cannot be used: {error}") from error


def _expect(reported: object, expected: int, key: str) -> None:
    if type(reported) is not int or reported != expected:
        raise VerifyError(CHECK, f"algorithm {expected} expected of {key}, found {reported!a:.60}")


def _verify_ecdsa(key: ec.EllipticCurvePublicKey, signature: bytes, signed: bytes, reported: object) -> None:
    if key.curve.name not in ES_OF_CURVE:
        raise VerifyError(CHECK, f"a key on curve {key.curve.name} is not accepted")
    algorithm, digest = ES_OF_CURVE[key.curve.name]
    _expect(reported, algorithm, f"a key on {key.curve.name}")
    size = (key.curve.key_size + 7) // 8
    if len(signature) != 2 * size:
        raise VerifyError(CHECK, f"a signature of {2 * size} bytes expected, found {len(signature)}")
    r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
    key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(digest))


def _verify_pss(key: rsa.RSAPublicKey, signature: bytes, signed: bytes, reported: object) -> None:
    digest = PSS_HASHES.get(reported) if type(reported) is int else None
    if digest is None or key.key_size < MIN_RSA_BITS:
        why = f"PS256, PS384 or PS512 with a key of {MIN_RSA_BITS} bits and more expected of an RSA key"
        raise VerifyError(CHECK, f"{why}, found algorithm {reported!a:.60} and {key.key_size} bits")
    pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
    key.verify(signature, signed, pss, digest)
