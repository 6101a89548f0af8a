"""`bartizan reference import corim|rim`, `export corim` and `result show`: sets and results to and from other tools."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bartizan.app.evidence_folder import read_file
from bartizan.app.reference_folder import read_reference, write_whole
from bartizan.errors import ConfigError, DecodeError, PolicyError, VerifyError
from bartizan.formats.cbor import MAX_CBOR, encode_cbor
from bartizan.formats.corim import CONTENT_TYPES, CWT_CLAIMS, META, decode_corim, decode_signed_corim, is_signed
from bartizan.formats.cose import CONTENT_TYPE, SigningKey, decode_cose, sign_cose
from bartizan.formats.inert import inert
from bartizan.formats.jws import decode_jws
from bartizan.formats.key_file import MAX_KEY_FILE, NamedKey, decode_key_file
from bartizan.formats.swid import decode_swid, read_swid
from bartizan.formats.tcg_log import MAX_LOG
from bartizan.formats.xml_tree import MAX_XML
from bartizan.model.corim import tag_text
from bartizan.model.cose import CoseSign1
from bartizan.model.ear import Ear
from bartizan.model.reference import ReferenceSet
from bartizan.reference.corim_export import AUTHOR, encode_corim
from bartizan.reference.corim_import import Imported, from_corim, from_software
from bartizan.reference.rim_import import from_support_logs
from bartizan.verify.corim import VerifiedCorim, accept_corim, verify_corim
from bartizan.verify.ear import VerifiedEar, time_fault, verify_ear, verify_ear_cwt
from bartizan.verify.xml_signature import verify_document

MAX_TOKEN_FILE = 4 * 1024 * 1024
BASE64URL_START = b"eyJ"
"""How every JWT begins: `{"` in base64."""


def read_keys(path: Path) -> tuple[NamedKey, ...]:
    """The public keys in a PEM, JWK or JWK set file.

    Raises:
        ConfigError: it cannot be read. DecodeError: it holds no key.
    """
    try:
        return decode_key_file(read_file(path, limit=MAX_KEY_FILE))
    except DecodeError as error:
        raise DecodeError(f"{path}: {error.what}", error.offset, error.why) from error


def import_corim(path: Path, *, key: Path | None, name: str, now: datetime) -> Imported:
    """The Reference Values of a CoRIM. A signed one needs the key that signed it, an unsigned one takes none.

    Raises:
        ConfigError: a file cannot be read, or a signed CoRIM comes without a key. DecodeError: not a CoRIM.
        VerifyError: signature, time or profile do not hold. PolicyError: nothing in it is of use here.
    """
    raw = read_file(path, limit=MAX_CBOR)
    keys = read_keys(key) if key is not None else ()
    try:
        verified, vouched = _verified_corim(raw, path, key=key, keys=keys, now=now.timestamp())
    except DecodeError as error:
        raise DecodeError(f"{path.name}: no CoRIM: {error.what}", error.offset, error.why) from error
    source = f"CoRIM {inert(tag_text(verified.corim.id))}, {vouched}"
    return _of_use(from_corim(verified.corim, name=name, source=source), path)


def _verified_corim(
    raw: bytes, path: Path, *, key: Path | None, keys: tuple[NamedKey, ...], now: float
) -> tuple[VerifiedCorim, str]:
    """The CoRIM, and who vouches for it in words."""
    if not is_signed(raw):
        if key is not None:
            raise VerifyError("corim.signature", "a key is given, but the CoRIM is not signed")
        return accept_corim(decode_corim(raw), now=now), "not signed"
    if key is None:
        raise ConfigError(f"{path}: it is signed; give the signer's public key or certificate with --key")
    verified = verify_corim(decode_signed_corim(raw), keys, now=now)
    signer = verified.signer.name if verified.signer else ""
    return verified, f"signed by {inert(signer)} with the key in {inert(key.name)}"


def _of_use(imported: Imported, path: Path) -> Imported:
    if not imported.reference.events and not imported.reference.files:
        left = "; ".join(imported.left) or "no tag"
        raise PolicyError(f"{path}: no event and no file in it that Bartizan could compare: {left}")
    return imported


def import_rim(path: Path, *, supports: Sequence[Path], cert: Path | None, name: str) -> Imported:
    """The Reference Values of a TCG RIM: events of its support RIMs, or for other SWID tags the payload's files.

    Raises:
        ConfigError: a file is missing or cannot be read, or a signed RIM comes without a certificate. DecodeError: not
            a SWID tag, or a support RIM that is no event log. VerifyError: the signature or a support RIM's hash does
            not hold. PolicyError: nothing in it is of use here.
    """
    tag = decode_swid(read_file(path, limit=MAX_XML))
    vouched = "not signed"
    if tag.signed and cert is None:
        raise ConfigError(f"{path}: it is signed; give the signer's certificate or public key with --cert")
    if cert is not None:
        document = verify_document(tag.root, read_keys(cert)[0].key)
        tag, vouched = read_swid(document.root), f"signed with the key in {inert(cert.name)}"
    source = f"RIM {inert(tag_text(tag.software.identity.id))} ({inert(tag.software.name)}), {vouched}"
    if not tag.is_pc_client:
        return _of_use(from_software(tag.software, name=name, source=source), path)
    if not supports:
        wanted = ", ".join(inert(file.name) for file in tag.software.files)
        raise ConfigError(f"{path}: its values are in event logs; give them with --support: {wanted}")
    logs = tuple(read_file(support, limit=MAX_LOG) for support in supports)
    return _of_use(from_support_logs(tag, logs, name=name, source=source), path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A CoRIM that was written."""

    reference: ReferenceSet
    path: Path
    size: int
    signed: bool


def export_corim(folder: Path, out: Path, *, key: Path | None, issuer: str | None) -> Exported:
    """Write a set as a CoRIM, signed if a key is given.

    Raises:
        ConfigError: a file cannot be read or written, or is no private key. DecodeError: the folder holds no set.
        PolicyError: the set holds a value that a CoRIM cannot.
    """
    reference = read_reference(folder)
    raw = encode_corim(reference)
    if key is not None:
        raw = sign_corim(raw, _private_key(key), issuer=issuer or AUTHOR)
    write_whole(out.parent, out.name, raw)
    return Exported(reference=reference, path=out, size=len(raw), signed=key is not None)


def sign_corim(raw: bytes, key: SigningKey, *, issuer: str) -> bytes:
    """A signed CoRIM; its signer is named in both of the ways that readers know, one or the other; draft, 4.2.1."""
    meta = encode_cbor({0: {0: issuer}})
    return sign_cose(raw, key, {CONTENT_TYPE: CONTENT_TYPES[0], META: meta, CWT_CLAIMS: {1: issuer}})


def _private_key(path: Path) -> SigningKey:
    try:
        key = load_pem_private_key(read_file(path, limit=MAX_KEY_FILE), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: a private key in PEM without a password expected: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise ConfigError(f"{path}: an EC, Ed25519 or RSA private key expected")
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownResult:
    """A result read from a token; `fault` says why it does not count now, `digest` names the token (SHA-256)."""

    verified: VerifiedEar
    fault: str
    digest: str

    @property
    def ear(self) -> Ear:
        """What the token says."""
        return self.verified.ear


def _cwt(raw: bytes, path: Path) -> CoseSign1:
    try:
        return decode_cose(raw)
    except DecodeError as error:
        why = f"neither a JWT nor a CWT: {error.what}: {error.why}"
        raise DecodeError(path.name, error.offset, why) from error


def show_result(path: Path, *, keys: Path, now: datetime) -> ShownResult:
    """Read and verify an Attestation Result, as a JWT or a CWT.

    Raises:
        ConfigError: a file cannot be read. DecodeError: not an EAR, or no key. VerifyError: the signature does not
            hold, or the result contradicts itself.
    """
    raw = read_file(path, limit=MAX_TOKEN_FILE)
    known = read_keys(keys)
    text = raw.strip()
    verified = (
        verify_ear(decode_jws(raw), known)
        if text.startswith(BASE64URL_START)
        else verify_ear_cwt(_cwt(raw, path), known)
    )
    signed = text if text.startswith(BASE64URL_START) else raw
    return ShownResult(
        verified=verified,
        fault=time_fault(verified.ear, now=int(now.timestamp())),
        digest=hashlib.sha256(signed).hexdigest(),
    )
