"""The chain of an RPM repository: keyring → repomd.xml → list of packages → package, each checked before the next.

Signatures themselves are gpgv's work; here is decided what its words are worth. No network, no clock.
"""

import hmac
from collections.abc import Sequence
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from bartizan.errors import VerifyError
from bartizan.formats.inert import inert
from bartizan.formats.rpm_metadata import decode_repomd
from bartizan.model.package import ListedFile, PackagedFile, ReportedSignature
from bartizan.model.rpm import FileSignature, RpmMetadata, RpmPackage
from bartizan.verify.repository import CLOCK_TOLERANCE, signer_of

PRIMARY = "primary"
IMA = "repository.ima-signature"
FileKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


def verify_repomd(raw: bytes, signatures: Sequence[ReportedSignature], *, now: datetime) -> tuple[RpmMetadata, str]:
    """What a repository says of itself, with the fingerprint of the key that vouches for it.

    Steps: (1) no signature is bad and one is good, over a strong hash; (2) only then is the document read; (3) it is
    not from the future. It has no end of validity: that it is not an old one is `refuse_older`'s business.

    Raises:
        VerifyError: any of these fails. DecodeError: the document is none.
    """
    signer = signer_of(signatures)  # (1)
    metadata = decode_repomd(raw)  # (2)
    if metadata.date > now + CLOCK_TOLERANCE:  # (3)
        why = f"the repository is of {metadata.date:%Y-%m-%d %H:%M} UTC, in the future"
        raise VerifyError("repository.freshness", why)
    return metadata, signer


def refuse_older(metadata: RpmMetadata, newest: datetime | None) -> None:
    """Refuse a repository that is older than the newest state of it that was ever accepted here.

    Raises:
        VerifyError: it is older.
    """
    if newest is not None and metadata.date < newest:
        said = f"{metadata.date:%Y-%m-%d %H:%M} UTC, and a state of {newest:%Y-%m-%d %H:%M} UTC was accepted before"
        raise VerifyError("repository.rollback", f"the repository is of {said}")


def choose_list(metadata: RpmMetadata) -> tuple[str, ListedFile]:
    """The path of the list of packages, and what it must be.

    Raises:
        VerifyError: there is none with a SHA-256.
    """
    if PRIMARY not in metadata.files:
        raise VerifyError("repository.index", "the repository names no list of packages with a SHA-256 digest")
    return metadata.files[PRIMARY]


def verify_parts(package: RpmPackage, *, filename: str) -> None:
    """What a package says of its own header and payload is so.

    The package as a whole is what the signed list names, so this tells one that was built or signed wrongly.

    Raises:
        VerifyError: a digest of its own does not hold.
    """
    for part, claimed in package.claimed.items():
        if not hmac.compare_digest(claimed, package.found[part]):
            why = f"{filename}: its own digest of its {part} is {claimed.hex()}, found {package.found[part].hex()}"
            raise VerifyError("repository.package", why)


def verify_header_signature(signatures: Sequence[ReportedSignature], *, filename: str) -> bool:
    """Whether a key of the keyring signed the package itself; a key that is not there is no fault.

    Raises:
        VerifyError: the signature is by such a key, and bad.
    """
    for signature in signatures:
        if signature.bad:
            raise VerifyError("repository.package", f"{filename}: its own signature is bad: {signature.why}")
    return any(signature.good for signature in signatures)


def verify_file_signatures(package: RpmPackage, keys: Sequence[FileKey], *, filename: str) -> None:
    """Every file of a package has an IMA signature by one of these keys, over the digest that its header states.

    Raises:
        VerifyError: a file without one, or one that does not hold.
    """
    for file in package.content.files:
        signature = package.file_signatures.get(file.path)
        shown = inert(file.path.decode("utf-8", "surrogateescape"))
        if signature is None:
            raise VerifyError(IMA, f"{filename}: {shown} has no IMA signature")
        if not any(_holds(signature, file, key) for key in keys):
            raise VerifyError(IMA, f"{filename}: no given key made the IMA signature of {shown}")


def _holds(signature: FileSignature, file: PackagedFile, key: FileKey) -> bool:
    """The kernel verifies the signature over the digest itself (Linux, security/integrity/digsig_asymmetric.c)."""
    if signature.hash_alg != "sha256":
        return False
    digested = Prehashed(hashes.SHA256())
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature.signature, file.sha256, padding.PKCS1v15(), digested)
        else:
            key.verify(signature.signature, file.sha256, ec.ECDSA(digested))
    except InvalidSignature:
        return False
    return True
