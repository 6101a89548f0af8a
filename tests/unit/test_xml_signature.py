"""Enveloped XML signatures: the recorded ones, our own by lxml's canonical form, and every way in which one fails."""

from pathlib import Path

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bartizan.errors import DecodeError, VerifyError
from bartizan.formats.key_file import decode_key_file
from bartizan.formats.xml_signature import read_signature
from bartizan.formats.xml_tree import decode_xml
from bartizan.verify import xml_signature
from bartizan.verify.xml_signature import verify_document
from tests.unit.xml_signing import DSIG, EXCLUSIVE, INCLUSIVE, MORE, SHA256, Key, sign

HIRS = Path(__file__).parents[1] / "vectors" / "rim" / "nsacyber_HIRS"
SIGNER = decode_key_file((HIRS / "signer.pem").read_bytes())[0].key
INDENTED = sorted(path.name for path in HIRS.glob("generated_*.swidtag"))
BUNDLES = sorted(path.name for path in HIRS.glob("laptop_*.swidtag"))
DOCUMENT = b'<s:tag xmlns:s="urn:s" name="x"><s:file hash="00"/><s:file hash="11"/></s:tag>'
P256 = ec.derive_private_key(5, ec.SECP256R1())
P384 = ec.derive_private_key(5, ec.SECP384R1())
RSA = rsa.generate_private_key(65537, 2048)
ENVELOPED = f"{DSIG}enveloped-signature"


def verifies(raw: bytes, key: Key) -> bool:
    return not verify_document(decode_xml(raw), key.public_key()).reindented


@pytest.mark.parametrize("name", INDENTED + BUNDLES)
def test_a_recorded_rim_verifies_with_its_signers_certificate(name: str) -> None:
    verified = verify_document(decode_xml((HIRS / name).read_bytes()), SIGNER)

    assert verified.reindented is (name in INDENTED)
    assert verified.root.attribute("tagId")


@pytest.mark.parametrize("name", INDENTED + BUNDLES)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'name="', b'name="x'),
        (b'hash="', b'hash="0'),
        (b'platformModel="', b'platformModel="x'),
        (b'size="', b'size="1'),
        (b"rsa-sha256", b"rsa-sha512"),
        (b"<DigestValue>", b"<DigestValue>AAAA"),
        (b"<SignatureValue>", b"<SignatureValue>AAAA"),
        (b"</ns2:SoftwareIdentity>", b"<ns2:Entity/></ns2:SoftwareIdentity>"),
    ],
)
def test_a_changed_rim_does_not_verify(name: str, old: bytes, new: bytes) -> None:
    raw = (HIRS / name).read_bytes()
    assert old in raw

    with pytest.raises(VerifyError, match=r"rim\.signature"):
        verify_document(decode_xml(raw.replace(old, new, 1)), SIGNER)


def test_a_changed_time_stamp_does_not_verify() -> None:
    raw = (HIRS / "generated_timestamp_rfc3339.swidtag").read_bytes()

    with pytest.raises(VerifyError, match="what #TST holds was changed"):
        verify_document(decode_xml(raw.replace(b"2023-01-01", b"2033-01-01")), SIGNER)


@pytest.mark.parametrize("key", [P256, P384, RSA], ids=["P-256", "P-384", "RSA"])
@pytest.mark.parametrize("exclusive", [False, True])
def test_an_own_signature_verifies(key: Key, exclusive: bool) -> None:
    assert verifies(sign(DOCUMENT, key, exclusive=exclusive), key)


@pytest.mark.parametrize("size", ["256", "384", "512"])
def test_every_hash_verifies(size: str) -> None:
    digest = f"{MORE}sha384" if size == "384" else f"http://www.w3.org/2001/04/xmlenc#sha{size}"

    assert verifies(sign(DOCUMENT, RSA, digest=digest, method=f"{MORE}rsa-sha{size}"), RSA)
    assert verifies(sign(DOCUMENT, P256, digest=digest, method=f"{MORE}ecdsa-sha{size}"), P256)


def test_a_later_comment_is_not_signed_and_not_read() -> None:
    raw = sign(DOCUMENT, P256).replace(b"<s:file", b"<!-- note --><s:file", 1)

    assert verifies(raw, P256)


GOOD = sign(DOCUMENT, P256)
REFERENCE = f'<Reference URI="{{}}">{{}}<DigestMethod Algorithm="{SHA256}"/><DigestValue>AAAA</DigestValue></Reference>'


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (DOCUMENT, "found no signature"),
        (GOOD.replace(b'hash="11"', b'hash="12"'), "what the document holds was changed"),
        (GOOD.replace(b"<s:file", b"text<s:file", 1), "what the document holds was changed"),
        (sign(DOCUMENT, RSA), "the key given is none for RSA signatures"),
        (sign(DOCUMENT, P384), "a signature of 64 bytes expected, found 96"),
        (sign(DOCUMENT, ec.derive_private_key(6, ec.SECP256R1())), "the signature does not match"),
        (sign(DOCUMENT, P256, method=f"{DSIG}ecdsa-sha1"), "RSA or ECDSA with SHA-2"),
        (sign(DOCUMENT, P256, method=f"{DSIG}hmac-sha1"), "RSA or ECDSA with SHA-2"),
        (GOOD.replace(EXCLUSIVE.encode(), b"http://www.w3.org/2006/12/xml-c14n11"), "canonical XML 1.0, expected"),
        (sign(DOCUMENT, P256, digest=f"{DSIG}sha1"), "SHA-256, SHA-384 or SHA-512 expected"),
        (sign(DOCUMENT, P256, transforms=()), "can only be signed without the signature"),
        (sign(DOCUMENT, P256, transforms=(INCLUSIVE,)), "can only be signed without the signature"),
        (
            sign(DOCUMENT, P256, transforms=(ENVELOPED, "http://www.w3.org/TR/1999/REC-xslt-19991116")),
            "are not accepted",
        ),
        (sign(DOCUMENT, P256, transforms=(ENVELOPED, INCLUSIVE, INCLUSIVE)), "are not accepted"),
        (sign(DOCUMENT, P256, references=REFERENCE.format("", "")), "exactly one reference to the whole document"),
        (GOOD.replace(b'Reference URI=""', b'Reference URI="#x"'), "exactly one reference to the whole document"),
        (sign(DOCUMENT, P256, references=REFERENCE.format("#none", "")), "one element within the signature"),
        (sign(DOCUMENT, P256, references=REFERENCE.format("#", "")), "one element within the signature"),
        (
            sign(DOCUMENT, P256, references=REFERENCE.format("https://a.example", "")),
            "one element within the signature",
        ),
    ],
)
def test_a_signature_that_does_not_hold_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(VerifyError) as refused:
        verify_document(decode_xml(raw), P256.public_key())

    assert why in refused.value.why


def test_a_short_rsa_key_is_refused() -> None:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505  # refused for just this

    with pytest.raises(VerifyError, match="or under 2048 bits"):
        verify_document(decode_xml(sign(DOCUMENT, key)), key.public_key())


def test_a_key_that_the_library_cannot_use_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_arguments: object) -> bytes:
        raise UnsupportedAlgorithm("not here")

    monkeypatch.setattr(xml_signature, "_pair", unsupported)

    with pytest.raises(VerifyError, match="the key cannot be used: not here"):
        verify_document(decode_xml(GOOD), P256.public_key())


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"<SignatureValue>", b"<Other/><SignatureValue>", None),
        (b"<Signature xmlns=", b"<x><Signature xmlns=", "right below the root"),
        (b"</s:tag>", b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/></s:tag>', "one signature expected"),
        (b"SignatureValue>", b"Value>", "one SignatureValue expected, found 0"),
        (b"<SignatureMethod", b"<SignatureMethod/><SignatureMethod", "one SignatureMethod expected, found 2"),
        (b'SignatureMethod Algorithm="', b'SignatureMethod Other="', "an Algorithm expected"),
        (b"<DigestValue>", b"<DigestValue>!", "base64 expected"),
        (b"<DigestValue>", b"<DigestValue><x/>", "text expected"),
        (b'Reference URI=""', b"Reference", "a URI expected"),
        (b"<Transforms>", b"<Transforms/><Transforms>", "at most 4 transforms without parameters"),
    ],
)
def test_a_signature_whose_parts_are_out_of_place_is_refused(old: bytes, new: bytes, why: str | None) -> None:
    assert old in GOOD
    raw = GOOD.replace(old, new)
    if b"<x><Signature" in raw:
        raw = raw.replace(b"</s:tag>", b"</x></s:tag>")

    if why is None:
        assert read_signature(decode_xml(raw)) is not None
        return
    with pytest.raises(DecodeError) as refused:
        verify_document(decode_xml(raw), P256.public_key())
    assert why in refused.value.why


def test_parameters_of_a_method_or_transform_are_refused() -> None:
    method = GOOD.replace(b'sha256"/><Reference', b'sha256"><x/></SignatureMethod><Reference')
    transform = GOOD.replace(b'enveloped-signature"/>', b'enveloped-signature"><x/></Transform>')

    for raw, why in ((method, "parameters are not accepted"), (transform, "transforms without parameters")):
        assert raw != GOOD
        with pytest.raises(DecodeError, match=why):
            read_signature(decode_xml(raw))


def test_references_have_a_limit() -> None:
    many = sign(DOCUMENT, P256, references=REFERENCE.format("#a", "") * 8)
    none = GOOD.replace(b"<Reference", b"<Other").replace(b"</Reference>", b"</Other>")

    for raw in (many, none):
        with pytest.raises(DecodeError, match="1 to 8 references expected"):
            read_signature(decode_xml(raw))


def test_the_key_name_is_read() -> None:
    signature = read_signature(decode_xml((HIRS / BUNDLES[0]).read_bytes()))

    assert signature is not None
    assert signature.key_name == "2fdeb8e7d030a2209daa01861a964fedecf2bcc1"
    assert read_signature(decode_xml(DOCUMENT)) is None
