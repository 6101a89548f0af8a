"""Is an image's embedded signature good, and does it lead to an accepted signer? It runs and measures nothing.

Certificates' dates do not count, as they do not for Secure Boot: a boot loader signed in time stays bootable
(UEFI 2.10, 32.5.2). Nor do purposes, which firmware does not look at. What stops an image is a revocation.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from bartizan.errors import VerifyError
from bartizan.formats.authenticode import SPC_INDIRECT_DATA
from bartizan.model.certificate import Certificate, CertificateKey, KeyKind
from bartizan.model.digest import HashAlg
from bartizan.model.image import BootImage, ImageSignature, ImageSigner
from bartizan.verify.x509_signature import CURVES, ECDSA, HASHES, RSA_PKCS1, key_fault, signature_fault

CHECK = "image.signature"
MAX_PATH = 4
"""Certificates between an image and an accepted one; two are usual."""
RSA_OIDS = frozenset({"1.2.840.113549.1.1.1", *RSA_PKCS1})
"""rsaEncryption beside the hash's own name, or both in one; "PKCS #1 v1.5" either way."""
WEAK = "sha1"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSigner:
    """Who signed an image: the signer's certificate, and the accepted one that it is or leads to."""

    certificate: Certificate
    accepted: Certificate

    @property
    def name(self) -> str:
        """The signer's common name, for people."""
        return common_name(self.certificate)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerRules:
    """Who may sign: accepted and revoked certificates by SHA-256; `issuers` only help to build a path."""

    accepted: frozenset[bytes]
    issuers: tuple[Certificate, ...] = ()
    revoked: frozenset[bytes] = frozenset()


def verify_signer(image: BootImage, rules: SignerRules) -> VerifiedSigner:
    """The signer of an image: of its signatures, the first that holds and leads to an accepted certificate.

    Of one signature:
    (1) its digest is the image's, by a hash other than SHA-1; (2) messageDigest covers that statement; (3) the signer's
    certificate is there, and its key verifies the signed attributes; (4) the path leads, through CA certificates
    whose keys verify the one below, to an accepted certificate, and none on it is revoked. UEFI 2.10, 32.5.3.3.

    Raises:
        VerifyError: no signature holds; the reasons of all.
    """
    reasons: list[str] = []
    for signature in image.signatures:
        try:
            return _verified(signature, image.authenticode, rules)
        except VerifyError as error:
            reasons.append(error.why)
    raise VerifyError(CHECK, "; ".join(dict.fromkeys(reasons)) or "the image is not signed")


def common_name(certificate: Certificate) -> str:
    """What a certificate calls its subject: the common name, or the whole name without one."""
    parts = certificate.subject_text.split(", ")
    return next((part.removeprefix("CN=") for part in parts if part.startswith("CN=")), certificate.subject_text)


def _verified(signature: ImageSignature, digests: Mapping[HashAlg, bytes], rules: SignerRules) -> VerifiedSigner:
    if signature.digest_alg == WEAK:  # (1)
        raise VerifyError(CHECK, "the signature is about a SHA-1 digest, which proves nothing")
    digest = digests[HashAlg.from_label(signature.digest_alg)]
    if not hmac.compare_digest(digest, signature.digest):
        raise VerifyError(CHECK, f"the signature is about another image ({signature.digest_alg} differs)")
    if len(signature.signers) != 1:
        raise VerifyError(CHECK, f"one signer expected, found {len(signature.signers)}")
    signer = signature.signers[0]
    _statement(signature, signer)  # (2)
    leaf = _leaf(signature, signer)  # (3)
    _signed(signer, leaf.key, signer.attributes if signer.attributes is not None else signature.content)
    return VerifiedSigner(certificate=leaf, accepted=_path(leaf, signature.certificates, rules))  # (4)


def _statement(signature: ImageSignature, signer: ImageSigner) -> None:
    """What is signed is the statement about the image; RFC 2315, 9.3."""
    if signer.digest_alg == WEAK:
        raise VerifyError(CHECK, "the signer used SHA-1, which proves nothing")
    if signer.attributes is None:
        return
    if signer.content_type != SPC_INDIRECT_DATA:
        raise VerifyError(CHECK, f"contentType {SPC_INDIRECT_DATA} expected, found {signer.content_type}")
    digest = HashAlg.from_label(signer.digest_alg).digest(signature.content)
    if not hmac.compare_digest(digest, signer.message_digest):
        raise VerifyError(CHECK, "messageDigest is not that of the signed statement")


def _leaf(signature: ImageSignature, signer: ImageSigner) -> Certificate:
    for certificate in signature.certificates:
        if (certificate.issuer, certificate.serial) == (signer.issuer, signer.serial):
            return certificate
    raise VerifyError(CHECK, "the signer's certificate is not in the signature")


def _signed(signer: ImageSigner, key: CertificateKey, data: bytes) -> None:
    """The signer's key verifies these bytes.

    Raises:
        VerifyError: it does not, or key or algorithm are not accepted.
    """
    fault = key_fault(key)
    if fault is not None:
        raise VerifyError(CHECK, f"the signer's key: {fault}")
    hashed = HASHES[signer.digest_alg]
    try:
        if key.kind is KeyKind.EC and signer.signature_oid in ECDSA:
            point = ec.EllipticCurvePublicNumbers(key.x, key.y, CURVES[key.curve]).public_key()
            point.verify(signer.signature, data, ec.ECDSA(hashed))
        elif key.kind is KeyKind.RSA and signer.signature_oid in RSA_OIDS:
            public = rsa.RSAPublicNumbers(key.exponent, key.modulus).public_key()
            public.verify(signer.signature, data, padding.PKCS1v15(), hashed)
        else:
            raise VerifyError(CHECK, f"signature algorithm {signer.signature_oid} is not accepted with this key")
    except InvalidSignature as error:
        raise VerifyError(CHECK, "signature wrong") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise VerifyError(CHECK, f"the signature cannot be checked: {error}") from error


def _path(leaf: Certificate, presented: tuple[Certificate, ...], rules: SignerRules) -> Certificate:
    """The accepted certificate that the signer's leads to."""
    current = leaf
    for _ in range(MAX_PATH):
        if fingerprint(current) in rules.revoked:
            raise VerifyError(CHECK, f"the certificate {common_name(current)} is revoked")
        if fingerprint(current) in rules.accepted:
            return current
        issuer = next((some for some in (*rules.issuers, *presented) if _issued(some, current)), None)
        if issuer is None:
            break
        current = issuer
    raise VerifyError(CHECK, f"{common_name(leaf)}, issued by {leaf.issuer_text}, leads to no accepted certificate")


def _issued(issuer: Certificate, child: Certificate) -> bool:
    names = issuer.subject == child.issuer and issuer.raw != child.raw
    return names and issuer.is_ca and signature_fault(child, issuer.key) is None


def fingerprint(certificate: Certificate) -> bytes:
    """SHA-256 of a certificate, as policies and revocation lists name it."""
    return hashlib.sha256(certificate.raw).digest()
