"""`bartizan reference sign`: an operator's signature beside a set, and the demand for one when a set is used."""

from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from bartizan.app.evidence_folder import read_file
from bartizan.app.reference_folder import SIGNATURES, read_reference, write_whole
from bartizan.errors import ConfigError, DecodeError, PolicyError, VerifyError
from bartizan.formats.reference_signature import (
    MAX_SIGNATURES_FILE,
    ReferenceSignature,
    decode_reference_signatures,
    encode_reference_signatures,
    signed_message,
)
from bartizan.model.reference import ReferenceSet
from bartizan.verify.reference_signature import PublicKey, fingerprint, verify_reference_signature

FILE = SIGNATURES
MAX_KEY = 16 * 1024
KINDS = "an EC P-256 or Ed25519"
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
CHANGED = "do not use them until you know who changed them"
"""Advice where a signature that should fit does not: to sign again would hide what happened."""


def sign_folder(folder: Path, key: Path) -> tuple[ReferenceSet, bytes]:
    """Sign the set in a folder; signatures by other keys that still fit are kept. Returns set and key fingerprint.

    Raises:
        ConfigError: no set, no such private key, or the folder cannot be written to. DecodeError: the set is none.
    """
    private = private_key(key)
    reference = read_reference(folder)
    own = signed_by(private, signed_message(reference.digest))
    others = tuple(some for some in read_signatures(folder) if some.key != own.key)
    write_whole(folder, FILE, encode_reference_signatures((*others, own)))
    return reference, own.key


def signed_by(key: PrivateKey, message: bytes) -> ReferenceSignature:
    """A key's signature over a message."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        algorithm, signature = "ed25519", key.sign(message)
    else:
        algorithm, signature = "ecdsa-p256-sha256", key.sign(message, ec.ECDSA(hashes.SHA256()))
    return ReferenceSignature(key=fingerprint(key.public_key()), algorithm=algorithm, signature=signature)


def read_signatures(folder: Path) -> tuple[ReferenceSignature, ...]:
    """The signatures beside a set; none when there is no such file.

    Raises:
        ConfigError, DecodeError: the file cannot be used.
    """
    path = folder / FILE
    if not path.is_file():
        return ()
    try:
        return decode_reference_signatures(read_file(path, limit=MAX_SIGNATURES_FILE))
    except DecodeError as error:
        raise DecodeError(f"{path}: {error.what}", error.offset, error.why) from error


def read_accepted(paths: Sequence[Path]) -> tuple[PublicKey, ...]:
    """The public keys in some PEM files.

    Raises:
        ConfigError: a file that cannot be read or holds another kind of key.
    """
    return tuple(_public_key(path) for path in paths)


def demand_signature(reference: ReferenceSet, folder: Path, accepted: Sequence[PublicKey]) -> None:
    """Refuse a set that none of the accepted keys signed.

    Provenance is no way round: what a document says of where its values come from, anyone could have written.

    Raises:
        PolicyError: it is not signed so. DecodeError: its signatures cannot be read.
    """
    signatures = read_signatures(folder)
    try:
        verify_reference_signature(reference.digest, signatures, accepted)
    except VerifyError as error:
        changed = {some.key for some in signatures} & {fingerprint(key) for key in accepted}
        advice = CHANGED if changed else f"sign them: bartizan reference sign {folder} --key PEM"
        raise PolicyError(f"{folder}: the Reference Values cannot be used: {error.why}; {advice}") from error


def private_key(path: Path) -> PrivateKey:
    """An operator's key.

    Raises:
        ConfigError: it cannot be read, or is of another kind.
    """
    try:
        key = load_pem_private_key(read_file(path, limit=MAX_KEY), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: {KINDS} private key in PEM, without a password, expected") from error
    if isinstance(key, ed25519.Ed25519PrivateKey) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
    ):
        return key
    raise ConfigError(f"{path}: {KINDS} private key expected")


def _public_key(path: Path) -> PublicKey:
    try:
        key = load_pem_public_key(read_file(path, limit=MAX_KEY))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: {KINDS} public key in PEM expected") from error
    if isinstance(key, ed25519.Ed25519PublicKey) or (
        isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    ):
        return key
    raise ConfigError(f"{path}: {KINDS} public key expected")
