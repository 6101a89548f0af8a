"""A TPM's signature over exact bytes, by the key of a public area. It knows nothing of what was signed."""

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from bartizan.errors import VerifyError
from bartizan.model.digest import HashAlg
from bartizan.model.tpm import Alg, Curve, EccKey, RsaKey, Scheme, Signature

CHECK = "quote.signature"
DEFAULT_EXPONENT = 65537
"""What an RSA exponent of 0 on the wire stands for; TPM 2.0 Part 2, 12.2.3.5."""
MIN_RSA_BITS = 2048
HASHES: dict[HashAlg, type[hashes.HashAlgorithm]] = {
    HashAlg.SHA1: hashes.SHA1,
    HashAlg.SHA256: hashes.SHA256,
    HashAlg.SHA384: hashes.SHA384,
    HashAlg.SHA512: hashes.SHA512,
    HashAlg.SM3_256: hashes.SM3,
    HashAlg.SHA3_256: hashes.SHA3_256,
    HashAlg.SHA3_384: hashes.SHA3_384,
    HashAlg.SHA3_512: hashes.SHA3_512,
}
CURVES: dict[int, type[ec.EllipticCurve]] = {
    Curve.NIST_P256: ec.SECP256R1,
    Curve.NIST_P384: ec.SECP384R1,
    Curve.NIST_P521: ec.SECP521R1,
}


def load_key(key: RsaKey | EccKey) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    """The public key, ready for use.

    Raises:
        VerifyError: a curve that is not supported, a point off its curve, a modulus that is no RSA key.
    """
    try:
        if isinstance(key, RsaKey):
            modulus = int.from_bytes(key.modulus, "big")
            return rsa.RSAPublicNumbers(key.exponent or DEFAULT_EXPONENT, modulus).public_key()
        return _point(key).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise VerifyError(CHECK, f"the key cannot be used: {error}") from error


def _point(key: EccKey) -> ec.EllipticCurvePublicNumbers:
    curve = CURVES.get(key.curve)
    if curve is None:
        raise VerifyError(CHECK, f"curve 0x{key.curve:04x} is not supported")
    return ec.EllipticCurvePublicNumbers(int.from_bytes(key.x, "big"), int.from_bytes(key.y, "big"), curve())


def verify_signature(
    reported_key: RsaKey | EccKey, message: bytes, signature: Signature, *, scheme: Scheme | None = None
) -> None:
    """Check a TPMT_SIGNATURE over `message`; TPM 2.0 Part 1, B.4–B.6 and C.4.

    Steps: (1) scheme and hash are those the key is bound to, if it is; (2) they fit the key's kind; (3) it holds.

    Raises:
        VerifyError: any of these fails.
    """
    if scheme is not None and (scheme.alg, scheme.hash_alg) != (signature.alg, signature.hash_alg):  # (1)
        why = f"the key signs with 0x{scheme.alg:04x}/{scheme.hash_alg}, the signature says 0x{signature.alg:04x}"
        raise VerifyError(CHECK, why)
    key = load_key(reported_key)
    hashed = HASHES[signature.hash_alg]()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            if signature.rsa is None or key.key_size < MIN_RSA_BITS:  # (2)
                raise VerifyError(CHECK, "an RSA signature by a key of at least 2048 bits is needed")
            key.verify(signature.rsa, message, _padding(signature, hashed), hashed)  # (3)
        else:
            if signature.r is None or signature.s is None:  # (2)
                raise VerifyError(CHECK, "an ECDSA signature is needed for this key")
            pair = encode_dss_signature(int.from_bytes(signature.r, "big"), int.from_bytes(signature.s, "big"))
            key.verify(pair, message, ec.ECDSA(hashed))  # (3)
    except InvalidSignature as error:
        raise VerifyError(CHECK, "the signature does not match: not signed by this key, or changed since") from error
    except UnsupportedAlgorithm as error:
        raise VerifyError(CHECK, f"{signature.hash_alg.label} signatures are not supported here") from error


def _padding(signature: Signature, hashed: hashes.HashAlgorithm) -> padding.AsymmetricPadding:
    if signature.alg == Alg.RSAPSS:
        return padding.PSS(mgf=padding.MGF1(hashed), salt_length=padding.PSS.AUTO)
    return padding.PKCS1v15()
