"""Authenticode signatures: PKCS #7 SignedData over the digest of a PE image. Nothing is verified here.

Windows Authenticode Portable Executable Signature Format (2008); PKCS #7 1.5 (RFC 2315); UEFI 2.10, 32.2.4.
Time stamps, page hashes and nested signatures, which UEFI firmware does not look at either, are passed over.
"""

from collections.abc import Iterator

from bartizan.errors import DecodeError
from bartizan.formats.der import SEQUENCE, SET, Der, context
from bartizan.formats.stored import MAX_STORED
from bartizan.formats.x509 import decode_certificate, decode_serial
from bartizan.formats.x509_keys import HASHES
from bartizan.model.certificate import Certificate
from bartizan.model.image import ImageSignature, ImageSigner

PKCS_SIGNED_DATA = 0x0002
"""WIN_CERT_TYPE_PKCS_SIGNED_DATA; UEFI 2.10, 32.2.4."""
WIN_CERT_REVISION = 0x0200
SIGNED_DATA = "1.2.840.113549.1.7.2"
SPC_INDIRECT_DATA = "1.3.6.1.4.1.311.2.1.4"
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
MAX_CERTIFICATES = 16
"""Certificates of one signature; two to four are usual."""
MAX_SIGNERS = 4
"""Authenticode has one; "SignerInfos"."""
MAX_ATTRIBUTES = 16
"""Signed attributes; three to five are usual."""
MAX_DIGEST = 64
VERSION_OCTETS = 1


def decode_authenticode(raw: bytes) -> ImageSignature:
    """One signature, as an attribute certificate of an image carries it.

    Raises:
        DecodeError: another content than an image's digest, an unknown hash, or malformed DER.
    """
    if len(raw) > MAX_STORED:
        raise DecodeError("Authenticode", 0, f"{len(raw)} bytes are over the limit of {MAX_STORED}")
    outer = Der(raw)
    message = outer.enter(SEQUENCE, "ContentInfo")
    _padding(outer)
    _expect(message, SIGNED_DATA, "contentType")
    wrapped = message.enter(context(0), "content")
    message.finish("ContentInfo")
    signed = wrapped.enter(SEQUENCE, "SignedData")
    wrapped.finish("content")
    return _signed_data(signed)


def _padding(outer: Der) -> None:
    """What stands between a signature and the next multiple of eight, if its length counts that too."""
    start = outer.offset
    if len(padding := outer.rest()) >= 8 or padding.strip(b"\0"):  # noqa: PLR2004  PE Format: aligned to eight bytes
        raise DecodeError("Authenticode", start, f"{len(padding)} bytes left over that are no padding")


def _expect(parent: Der, wanted: str, what: str) -> None:
    start = parent.offset
    if (found := parent.oid(what)) != wanted:
        raise DecodeError(what, start, f"{wanted} expected, found {found}")


def _signed_data(signed: Der) -> ImageSignature:
    """SignedData; RFC 2315, 9.1."""
    signed.integer("version", limit=VERSION_OCTETS)
    signed.enter(SET, "digestAlgorithms")
    digest_alg, digest, content = _content(signed.enter(SEQUENCE, "contentInfo"))
    bag = signed.optional(context(0), "certificates")
    signed.optional(context(1), "crls")
    signers = signed.enter(SET, "signerInfos")
    signed.finish("SignedData")
    return ImageSignature(
        digest_alg=digest_alg,
        digest=digest,
        content=content,
        certificates=_certificates(bag) if bag is not None else (),
        signers=tuple(map(_signer, _elements(signers, MAX_SIGNERS, "signerInfos"))),
    )


def _elements(window: Der, limit: int, what: str) -> Iterator[Der]:
    """Each sequence that a window still holds."""
    count = 0
    while window.more:
        if count == limit:
            raise window.refuse(what, f"more than {limit} elements")
        count += 1
        yield window.enter(SEQUENCE, what)


def _digest(parent: Der, what: str) -> bytes:
    """The next OCTET STRING, of a digest's size."""
    start = parent.offset
    if not 0 < len(digest := parent.octets(what).rest()) <= MAX_DIGEST:
        raise DecodeError(what, start, f"1 to {MAX_DIGEST} bytes expected, found {len(digest)}")
    return digest


def _content(info: Der) -> tuple[str, bytes, bytes]:
    """Hash and digest of SpcIndirectDataContent, and its octets without tag and length, which messageDigest covers."""
    _expect(info, SPC_INDIRECT_DATA, "contentInfo")
    wrapped = info.enter(context(0), "contentInfo")
    info.finish("contentInfo")
    indirect = wrapped.enter(SEQUENCE, "SpcIndirectDataContent")
    wrapped.finish("contentInfo")
    content = indirect.peek_rest()
    indirect.enter(SEQUENCE, "SpcAttributeTypeAndOptionalValue")
    digest_info = indirect.enter(SEQUENCE, "DigestInfo")
    indirect.finish("SpcIndirectDataContent")
    alg = _hash(digest_info, "DigestInfo")
    digest = _digest(digest_info, "digest")
    digest_info.finish("DigestInfo")
    return alg, digest, content


def _hash(parent: Der, what: str) -> str:
    """The name of the next AlgorithmIdentifier's hash."""
    start = parent.offset
    oid = parent.enter(SEQUENCE, what).oid(what)
    if oid not in HASHES:
        raise DecodeError(what, start, f"SHA-1 or SHA-2 expected, found {oid}")
    return HASHES[oid]


def _certificates(bag: Der) -> tuple[Certificate, ...]:
    return tuple(decode_certificate(found.raw) for found in _elements(bag, MAX_CERTIFICATES, "certificates"))


def _signer(signer: Der) -> ImageSigner:
    """SignerInfo; RFC 2315, 9.2."""
    signer.integer("version", limit=VERSION_OCTETS)
    name = signer.enter(SEQUENCE, "issuerAndSerialNumber")
    issuer = name.enter(SEQUENCE, "issuer").raw
    serial = decode_serial(name)
    name.finish("issuerAndSerialNumber")
    digest_alg = _hash(signer, "digestAlgorithm")
    attributes = signer.optional(context(0), "authenticatedAttributes")
    content_type, message_digest = _attributes(attributes) if attributes is not None else ("", b"")
    oid = signer.enter(SEQUENCE, "digestEncryptionAlgorithm").oid("digestEncryptionAlgorithm")
    signature = signer.octets("encryptedDigest").rest()
    signer.optional(context(1), "unauthenticatedAttributes")
    signer.finish("SignerInfo")
    return ImageSigner(
        issuer=issuer,
        serial=serial,
        digest_alg=digest_alg,
        attributes=bytes([SET]) + attributes.raw[1:] if attributes is not None else None,
        content_type=content_type,
        message_digest=message_digest,
        signature_oid=oid,
        signature=signature,
    )


def _attributes(attributes: Der) -> tuple[str, bytes]:
    """Of the signed attributes contentType and messageDigest, each of which must be there once, RFC 2315, 9.2."""
    values: dict[str, Der] = {}
    for attribute in _elements(attributes, MAX_ATTRIBUTES, "authenticatedAttributes"):
        kind = attribute.oid("attribute")
        if kind in values:
            raise attribute.refuse("attribute", f"{kind} stands twice")
        values[kind] = attribute.enter(SET, "attribute")
        attribute.finish("attribute")
    if not {CONTENT_TYPE, MESSAGE_DIGEST} <= values.keys():
        raise attributes.refuse("authenticatedAttributes", "contentType and messageDigest expected")
    content_type = values[CONTENT_TYPE].oid("contentType")
    values[CONTENT_TYPE].finish("contentType")
    digest = _digest(values[MESSAGE_DIGEST], "messageDigest")
    values[MESSAGE_DIGEST].finish("messageDigest")
    return content_type, digest
