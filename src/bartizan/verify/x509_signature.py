"""Whether a certificate is signed by a key, over its exact signed bytes. Names and dates do not count here.

Keys are built from their numbers, so that no second parser has a say about the certificate.
"""

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512, HashAlgorithm

from bartizan.model.certificate import Certificate, CertificateKey, KeyKind
from bartizan.verify.roca import is_roca

MIN_RSA_BITS = 2048
"""NIST SP 800-131A rev. 2, table 2."""
MAX_RSA_BITS = 8192
"""Verification time grows with the size; one known platform CA has 8192 bits."""

RSA_PKCS1 = frozenset({f"1.2.840.113549.1.1.{last}" for last in (5, 11, 12, 13)})
RSA_PSS = "1.2.840.113549.1.1.10"
ECDSA = frozenset({"1.2.840.10045.4.1", "1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3", "1.2.840.10045.4.3.4"})
HASHES: dict[str, HashAlgorithm] = {"sha1": SHA1(), "sha256": SHA256(), "sha384": SHA384(), "sha512": SHA512()}  # noqa: S303  # genuine old EK chains
CURVES: dict[str, ec.EllipticCurve] = {
    "secp256r1": ec.SECP256R1(),
    "secp384r1": ec.SECP384R1(),
    "secp521r1": ec.SECP521R1(),
}


def key_fault(key: CertificateKey) -> str | None:
    """Why this key is not accepted in a path, or None."""
    if key.kind is KeyKind.EC:
        return None if key.curve in CURVES else f"a key on curve {key.curve} is not accepted"
    bits = key.modulus.bit_length()
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        return f"an RSA key of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits expected, found {bits}"
    return "the RSA key carries the ROCA fingerprint (CVE-2017-15361)" if is_roca(key.modulus) else None


def signature_fault(certificate: Certificate, key: CertificateKey) -> str | None:
    """Why the certificate is not signed by this key, or None when it is."""
    fault = key_fault(key)
    if fault is not None:
        return fault
    hashed = HASHES.get(certificate.signature_hash)
    if hashed is None or not _fits(certificate.signature_oid, key):
        return f"signature algorithm {certificate.signature_oid} is not accepted with an {key.kind.value.upper()} key"
    try:
        _verify(certificate, key, hashed)
    except InvalidSignature:
        return "signature wrong"
    except (ValueError, UnsupportedAlgorithm) as error:
        return f"the signature cannot be checked: {error}"
    return None


def is_self_signed(certificate: Certificate) -> bool:
    """It names itself as issuer and its own key verifies it."""
    return certificate.subject == certificate.issuer and signature_fault(certificate, certificate.key) is None


def _fits(oid: str, key: CertificateKey) -> bool:
    return oid in ECDSA if key.kind is KeyKind.EC else oid in RSA_PKCS1 or oid == RSA_PSS


def _verify(certificate: Certificate, key: CertificateKey, hashed: HashAlgorithm) -> None:
    signature, tbs = certificate.signature, certificate.tbs
    if key.kind is KeyKind.EC:
        point = ec.EllipticCurvePublicNumbers(key.x, key.y, CURVES[key.curve]).public_key()
        point.verify(signature, tbs, ec.ECDSA(hashed))
        return
    public = rsa.RSAPublicNumbers(key.exponent, key.modulus).public_key()
    if certificate.signature_oid == RSA_PSS:
        mask = padding.MGF1(hashed)
        public.verify(signature, tbs, padding.PSS(mgf=mask, salt_length=certificate.pss_salt), hashed)
    else:
        public.verify(signature, tbs, padding.PKCS1v15(), hashed)
