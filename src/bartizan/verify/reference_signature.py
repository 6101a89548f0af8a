"""Who signed a set of Reference Values, or waivers. It decides nothing about what is in them."""

import hashlib
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bartizan.errors import VerifyError
from bartizan.formats.reference_signature import FORMAT, ReferenceSignature, signed_message

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
CHECK = "reference.signature"


def fingerprint(key: PublicKey) -> bytes:
    """SHA-256 over a key's SubjectPublicKeyInfo."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def verify_reference_signature(
    digest: str, signatures: Sequence[ReferenceSignature], accepted: Sequence[PublicKey], *, kind: str = FORMAT
) -> bytes:
    """The fingerprint of the first accepted key that signed what has this digest.

    Steps: (1) there is a signature by an accepted key; (2) its algorithm is that key's; (3) it holds over this digest.

    Raises:
        VerifyError: none of the signatures passes all steps.
    """
    keys = {fingerprint(key): key for key in accepted}
    message = signed_message(digest, kind=kind)
    why = "it has no signature" if not signatures else "none of its signatures is by an accepted key"
    for signature in signatures:
        key = keys.get(signature.key)
        if key is None:  # (1)
            continue
        if _holds(key, signature, message):  # (2) (3)
            return signature.key
        why = "its signature by an accepted key does not fit: the set was changed after it was signed"
    raise VerifyError(CHECK, why)


def _holds(key: PublicKey, signature: ReferenceSignature, message: bytes) -> bool:
    try:
        if isinstance(key, ed25519.Ed25519PublicKey) and signature.algorithm == "ed25519":
            key.verify(signature.signature, message)
        elif isinstance(key, ec.EllipticCurvePublicKey) and signature.algorithm == "ecdsa-p256-sha256":
            key.verify(signature.signature, message, ec.ECDSA(hashes.SHA256()))
        else:
            return False
    except InvalidSignature:
        return False
    return True
