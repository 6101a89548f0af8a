"""Whether an XML document's enveloped signature was made by a key that the operator gave, over the whole document.

Keys and certificates within the signature count for nothing.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from bartizan.errors import VerifyError
from bartizan.formats.key_file import PublicKey
from bartizan.formats.xml_canonical import INCLUSIVE, METHODS, canonical, without_layout
from bartizan.formats.xml_signature import DSIG, read_signature
from bartizan.model.digest import HashAlg
from bartizan.model.xml import XmlElement, XmlReference, XmlSignature

CHECK = "rim.signature"
ENVELOPED = DSIG + "enveloped-signature"
DIGESTS: Mapping[str, HashAlg] = {
    "http://www.w3.org/2001/04/xmlenc#sha256": HashAlg.SHA256,
    "http://www.w3.org/2001/04/xmldsig-more#sha384": HashAlg.SHA384,
    "http://www.w3.org/2001/04/xmlenc#sha512": HashAlg.SHA512,
}
"""XML Signature 1.1, 6.2; SHA-1 is not accepted."""
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
METHOD_HASHES: Mapping[str, tuple[str, hashes.HashAlgorithm]] = {
    f"{MORE}{kind}-{name}": (kind, digest)
    for kind in ("rsa", "ecdsa")
    for name, digest in (("sha256", hashes.SHA256()), ("sha384", hashes.SHA384()), ("sha512", hashes.SHA512()))
}
"""XML Signature 1.1, 6.4."""
MIN_RSA_BITS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedDocument:
    """What a key signed; `reindented`: white space between elements was added afterwards, and is gone from `root`."""

    root: XmlElement
    reindented: bool


def verify_document(root: XmlElement, key: PublicKey) -> VerifiedDocument:
    """Verify an enveloped signature over the whole document; XML Signature 1.1, 3.2.

    Steps: (1) there is one, and its methods are accepted ones; (2) one reference covers the whole document without the
    signature, any other one a single element inside the signature; (3) every digest is right; (4) the signature value
    is right over the canonical SignedInfo. Tools that indent a RIM after signing it are common: where the document as
    it stands fails, the same document without white space between its elements is tried, and that one is returned.

    Raises:
        VerifyError: any of these fails, for both. DecodeError: the signature's parts are out of place.
    """
    try:
        _verify_as_is(root, key)
    except VerifyError:
        bare = without_layout(root)
        _verify_as_is(bare, key)
        return VerifiedDocument(root=bare, reindented=True)
    return VerifiedDocument(root=root, reindented=False)


def _verify_as_is(root: XmlElement, key: PublicKey) -> None:
    signature = read_signature(root)
    method = METHOD_HASHES.get(signature.method) if signature is not None else None
    if signature is None or method is None or signature.canonicalization not in METHODS:  # (1)
        found = f"{signature.method[:80]!a}, {signature.canonicalization[:80]!a}" if signature else "no signature"
        raise VerifyError(CHECK, f"RSA or ECDSA with SHA-2, and canonical XML 1.0, expected; found {found}")
    if [reference.uri for reference in signature.references].count("") != 1:  # (2)
        raise VerifyError(CHECK, "exactly one reference to the whole document expected")
    for reference in signature.references:
        _check_reference(root, signature, reference)  # (2) (3)
    signed = canonical(root, signature.signed_info, method=signature.canonicalization)
    _verify(key, signature.value, signed, method)  # (4)


def _check_reference(root: XmlElement, signature: XmlSignature, reference: XmlReference) -> None:
    digest = DIGESTS.get(reference.digest_method)
    if digest is None:  # (1)
        raise VerifyError(CHECK, f"SHA-256, SHA-384 or SHA-512 expected, found {reference.digest_method[:80]!a}")
    transforms = list(reference.transforms)
    if reference.uri == "":
        if transforms[:1] != [ENVELOPED]:
            raise VerifyError(CHECK, "the whole document can only be signed without the signature itself")
        octets = canonical(root, root, method=_form(transforms[1:]), without=signature.element)
    else:
        octets = canonical(root, _inside(signature.element, reference.uri), method=_form(transforms))
    if not hmac.compare_digest(digest.digest(octets), reference.digest):  # (3)
        raise VerifyError(CHECK, f"what {reference.uri or 'the document'} holds was changed after it was signed")


def _form(transforms: list[str]) -> str:
    """Which canonical form is hashed: inclusive unless one transform says otherwise; XML Signature 1.1, 4.4.3.2."""
    if len(transforms) > 1 or not set(transforms) <= METHODS:
        raise VerifyError(CHECK, f"transforms {[name[:80] for name in transforms]} are not accepted")
    return transforms[0] if transforms else INCLUSIVE


def _inside(element: XmlElement, uri: str) -> XmlElement:
    """The one element of the signature that a reference such as `#TST` names."""
    name = uri.removeprefix("#")
    found = [inner for inner in element.walk() if inner.attribute("Id") == name] if uri.startswith("#") and name else []
    if len(found) != 1:
        raise VerifyError(CHECK, f"reference {uri[:80]!a}: one element within the signature expected")
    return found[0]


def _verify(key: PublicKey, value: bytes, signed: bytes, method: tuple[str, hashes.HashAlgorithm]) -> None:
    kind, digest = method
    try:
        if kind == "rsa" and isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
            key.verify(value, signed, padding.PKCS1v15(), digest)
        elif kind == "ecdsa" and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(_pair(value, key), signed, ec.ECDSA(digest))
        else:
            raise VerifyError(CHECK, f"the key given is none for {kind.upper()} signatures, or under 2048 bits")
    except InvalidSignature as error:
        raise VerifyError(CHECK, "the signature does not match: not signed by this key, or changed since") from error
    except UnsupportedAlgorithm as error:
        raise VerifyError(CHECK, f"the key cannot be used: {error}") from error


def _pair(value: bytes, key: ec.EllipticCurvePublicKey) -> bytes:
    """The numbers r and s side by side, as XML has them, in DER; XML Signature 1.1, 6.4.3."""
    size = (key.curve.key_size + 7) // 8
    if len(value) != 2 * size:
        raise VerifyError(CHECK, f"a signature of {2 * size} bytes expected, found {len(value)}")
    return encode_dss_signature(int.from_bytes(value[:size], "big"), int.from_bytes(value[size:], "big"))
