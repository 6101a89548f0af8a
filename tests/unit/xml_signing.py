"""Makes enveloped XML signatures with lxml's canonical form, so that Bartizan's is not judged by itself. Not a test."""

import base64
import hashlib
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from lxml import etree

DSIG = "http://www.w3.org/2000/09/xmldsig#"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
DIGESTS: dict[str, Callable[[bytes], "hashlib._Hash"]] = {
    SHA256: hashlib.sha256,
    f"{MORE}sha384": hashlib.sha384,
    "http://www.w3.org/2001/04/xmlenc#sha512": hashlib.sha512,
    f"{DSIG}sha1": hashlib.sha1,
}
HASHES: dict[str, hashes.HashAlgorithm] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def canonical(element: etree._Element, *, exclusive: bool) -> bytes:
    """The canonical form of an element; with inclusive form only for elements whose ancestors declare nothing."""
    found: bytes = etree.tostring(element, method="c14n", exclusive=exclusive, with_comments=False, with_tail=False)
    return found


def sign(  # noqa: PLR0913  # each is one thing that a test changes
    document: bytes,
    key: Key,
    *,
    exclusive: bool = False,
    digest: str = SHA256,
    method: str = "",
    transforms: tuple[str, ...] | None = None,
    references: str = "",
) -> bytes:
    """A document with a signature as its root's last child; `references` is put before the one to the document."""
    root = etree.fromstring(document)
    form = EXCLUSIVE if exclusive else INCLUSIVE
    steps = (f"{DSIG}enveloped-signature", *((form,) if exclusive else ())) if transforms is None else transforms
    value = base64.b64encode(DIGESTS[digest](canonical(root, exclusive=exclusive)).digest()).decode()
    listed = "".join(f'<Transform Algorithm="{step}"/>' for step in steps)
    default = f"{MORE}{'rsa' if isinstance(key, rsa.RSAPrivateKey) else 'ecdsa'}-sha256"
    info = (
        f'<SignedInfo xmlns="{DSIG}"><CanonicalizationMethod Algorithm="{EXCLUSIVE}"/>'
        f'<SignatureMethod Algorithm="{method or default}"/>{references}'
        f'<Reference URI=""><Transforms>{listed}</Transforms><DigestMethod Algorithm="{digest}"/>'
        f"<DigestValue>{value}</DigestValue></Reference></SignedInfo>"
    )
    signed = _sign(canonical(etree.fromstring(info), exclusive=True), key, HASHES.get(method[-3:], hashes.SHA256()))
    signature = etree.fromstring(f'<Signature xmlns="{DSIG}"><SignatureValue/></Signature>')
    signature.insert(0, etree.fromstring(info))
    signature[1].text = base64.encodebytes(signed).decode()
    root.append(signature)
    return etree.tostring(root)


def _sign(octets: bytes, key: Key, digest: hashes.HashAlgorithm) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(octets, padding.PKCS1v15(), digest)
    size = (key.curve.key_size + 7) // 8
    r, s = utils.decode_dss_signature(key.sign(octets, ec.ECDSA(digest)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")
