"""Authenticode: what a signature says, whether it holds, and to whom it leads. Each rule is broken once."""

from dataclasses import replace

import pytest

from bartizan.errors import DecodeError, VerifyError
from bartizan.formats import authenticode
from bartizan.formats.authenticode import decode_authenticode
from bartizan.formats.boot_image import decode_boot_image
from bartizan.formats.x509 import decode_certificate
from bartizan.model.digest import HashAlg
from bartizan.verify.authenticode import SignerRules, common_name, fingerprint, verify_signer
from tests.simulator.boot_images import VECTORS, Pe, Signing, attribute, boot_ca, debian
from tests.simulator.tpm_ca import OCTET_STRING, SEQUENCE, Shape, ca, ec_key, integer, issue, oid, rsa_key, tlv

UPSTREAM = VECTORS / "Foxboron_go-uefi"
CA = decode_certificate(boot_ca())
RULES = SignerRules(accepted=frozenset({fingerprint(CA)}), issuers=(CA,))
EC_SHAPE = Shape(subject="EC Signer", issuer="Test Boot CA", serial=11, key=ec_key("boot signer"), purposes=(), more=())
EC_SIGNING = Signing(key=ec_key("boot signer"), shape=EC_SHAPE)


def signer_of(*signings: Signing, rules: SignerRules = RULES) -> str:
    return verify_signer(decode_boot_image(Pe().signed(*signings).encode()), rules).name


@pytest.mark.parametrize(
    "signing",
    [
        Signing(),
        Signing(digest_alg="sha384", signer_alg="sha512"),
        Signing(with_attributes=False),
        Signing(signature_oid="1.2.840.113549.1.1.11"),
        Signing(bag=[Signing().certificate, boot_ca()]),
    ],
    ids=["usual", "longer hashes", "without attributes", "hash in the signature's name", "with the CA"],
)
def test_a_good_signature_leads_to_its_signer(signing: Signing) -> None:
    assert signer_of(signing) == "Test Boot Signer"


def test_an_elliptic_curve_signature_holds_too() -> None:
    assert signer_of(EC_SIGNING) == "EC Signer"


def test_one_good_signature_among_several_suffices() -> None:
    assert signer_of(Signing(flip=True), EC_SIGNING) == "EC Signer"


def test_a_signer_that_is_accepted_himself_needs_no_issuer() -> None:
    own = fingerprint(decode_certificate(Signing().certificate))

    assert signer_of(Signing(), rules=SignerRules(accepted=frozenset({own}))) == "Test Boot Signer"


def test_an_accepted_ca_may_come_with_the_signature() -> None:
    rules = SignerRules(accepted=frozenset({fingerprint(CA)}))

    assert signer_of(Signing(bag=[Signing().certificate, boot_ca()]), rules=rules) == "Test Boot Signer"


FAULTS = {
    "about SHA-1": (Signing(digest_alg="sha1"), "SHA-1 digest"),
    "by SHA-1": (Signing(signer_alg="sha1"), "used SHA-1"),
    "two signers": (Signing(signers=2), "one signer expected, found 2"),
    "another content type": (Signing(content_type="1.2.840.113549.1.7.1"), "contentType"),
    "another statement": (Signing(message_digest=bytes(32)), "messageDigest"),
    "no certificate": (Signing(bag=[]), "not in the signature"),
    "another's certificate": (Signing(bag=[boot_ca()]), "not in the signature"),
    "one bit": (Signing(flip=True), "signature wrong"),
    "another's key": (Signing(key=rsa_key("somebody else")), "signature wrong"),
    "wrong kind of algorithm": (Signing(signature_oid="1.2.840.10045.4.3.2"), "not accepted with this key"),
    "wrong kind of key": (replace(EC_SIGNING, signature_oid="1.2.840.113549.1.1.1"), "not accepted with this key"),
    "an issuer nobody knows": (
        Signing(issuer="Else", shape=Shape(subject="S", issuer="Else", serial=9, key=rsa_key("boot signer"))),
        "leads to no accepted",
    ),
    "a false issuer": (Signing(issuer="Somebody Else"), "leads to no accepted"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_signature_with_a_fault_leads_nowhere(case: str) -> None:
    signing, why = FAULTS[case]

    with pytest.raises(VerifyError, match=why) as raised:
        signer_of(signing)
    assert raised.value.check == "image.signature"


def test_a_signature_about_another_image_does_not_count() -> None:
    signed = Pe().signed(Signing())
    moved = replace(signed, sections={".text": b"other code"})

    with pytest.raises(VerifyError, match="another image"):
        verify_signer(decode_boot_image(moved.encode()), RULES)


def test_an_unsigned_image_has_no_signer() -> None:
    with pytest.raises(VerifyError, match="not signed"):
        verify_signer(decode_boot_image(Pe().encode()), RULES)


def test_a_certificate_of_another_kind_is_no_signature() -> None:
    image = decode_boot_image(Pe(signatures=(b"a GUID and more",), kind=0x0EF1).encode())

    assert image.signatures == ()


def test_a_weak_key_does_not_count() -> None:
    signing = Signing()
    image = decode_boot_image(Pe().signed(signing).encode())
    signature = image.signatures[0]
    weak = replace(signature.certificates[0].key, modulus=1 << 511 | 1)
    certificate = replace(signature.certificates[0], key=weak)
    changed = replace(image, signatures=(replace(signature, certificates=(certificate,)),))

    with pytest.raises(VerifyError, match="the signer's key"):
        verify_signer(changed, RULES)


def test_a_key_that_cannot_be_used_is_a_reason_and_no_crash() -> None:
    image = decode_boot_image(Pe().signed(EC_SIGNING).encode())
    signature = image.signatures[0]
    off_curve = replace(signature.certificates[0].key, x=1, y=1)
    certificate = replace(signature.certificates[0], key=off_curve)
    changed = replace(image, signatures=(replace(signature, certificates=(certificate,)),))

    with pytest.raises(VerifyError, match="cannot be checked"):
        verify_signer(changed, RULES)


@pytest.mark.parametrize("which", ["leaf", "CA"])
def test_a_revoked_certificate_on_the_path_ends_it(which: str) -> None:
    leaf = decode_certificate(Signing().certificate)
    rules = replace(RULES, revoked=frozenset({fingerprint(leaf if which == "leaf" else CA)}))

    with pytest.raises(VerifyError, match="is revoked"):
        signer_of(Signing(), rules=rules)


def test_only_a_ca_leads_further() -> None:
    no_ca = decode_certificate(issue(replace(ca("Test Boot CA"), is_ca=False), ec_key("Test Boot CA")))
    rules = SignerRules(accepted=frozenset({fingerprint(no_ca)}), issuers=(no_ca,))

    with pytest.raises(VerifyError, match="leads to no accepted"):
        signer_of(Signing(), rules=rules)


def test_a_path_is_not_followed_for_ever() -> None:
    cas = [issue(ca(f"CA {n}", issuer=f"CA {n + 1}"), ec_key(f"CA {n + 1}")) for n in range(6)]
    shape = replace(Signing().shape, issuer="CA 0")
    last = decode_certificate(cas[-1])
    rules = SignerRules(accepted=frozenset({fingerprint(last)}))

    with pytest.raises(VerifyError, match="leads to no accepted"):
        signer_of(Signing(issuer="CA 0", shape=shape, bag=[issue(shape, ec_key("CA 0")), *cas]), rules=rules)


def test_a_name_without_a_common_name_is_given_whole() -> None:
    signed = decode_boot_image((UPSTREAM / "test.pecoff.signed").read_bytes())

    assert common_name(signed.signatures[0].certificates[0]) == "C=Database Key"


def test_a_published_signature_holds() -> None:
    image = decode_boot_image((UPSTREAM / "test.pecoff.signed").read_bytes())
    own = image.signatures[0].certificates[0]

    found = verify_signer(image, SignerRules(accepted=frozenset({fingerprint(own)})))
    assert found.certificate == found.accepted == own


@pytest.mark.parametrize("name", ["test.pecoff.pk7", "test.authenticode.signed"])
def test_published_signatures_can_be_read(name: str) -> None:
    found = decode_authenticode((UPSTREAM / name).read_bytes())

    assert found.digest_alg == "sha256"
    assert len(found.signers) == 1


@pytest.mark.parametrize("row", debian(), ids=lambda row: row.source)
def test_debians_signatures_are_about_debians_images(row: object) -> None:
    image = row.image  # type: ignore[attr-defined]  # a DebianImage

    for signature in image.signatures:
        own = signature.certificates[0]
        found = verify_signer(
            replace(image, signatures=(signature,)), SignerRules(accepted=frozenset({fingerprint(own)}))
        )
        assert found.certificate.issuer == signature.signers[0].issuer
        assert signature.digest == image.authenticode[HashAlg.from_label(signature.digest_alg)]


def broken_at(path: str) -> bytes:
    """A signature with one part of another kind."""
    good = Signing().of(bytes(32))
    replaced = {
        "another content": (oid("1.2.840.113549.1.7.2"), oid("1.2.840.113549.1.7.3")),
        "another inner content": (oid("1.3.6.1.4.1.311.2.1.4"), oid("1.3.6.1.4.1.311.2.1.5")),
        "an unknown hash": (oid("2.16.840.1.101.3.4.2.1"), oid("2.16.840.1.101.3.4.2.9")),
    }
    old, new = replaced[path]
    return good.replace(old, new)


@pytest.mark.parametrize("path", ["another content", "another inner content", "an unknown hash"])
def test_another_kind_of_content_is_refused(path: str) -> None:
    with pytest.raises(DecodeError, match="expected, found"):
        decode_authenticode(broken_at(path))


@pytest.mark.parametrize("tail", [b"", b"\0", bytes(7)])
def test_padding_up_to_eight_bytes_is_read(tail: bytes) -> None:
    assert decode_authenticode(Signing().of(bytes(32)) + tail).digest == bytes(32)


@pytest.mark.parametrize("tail", [b"\1", bytes(8)])
def test_more_after_a_signature_is_refused(tail: bytes) -> None:
    with pytest.raises(DecodeError, match="left over"):
        decode_authenticode(Signing().of(bytes(32)) + tail)


@pytest.mark.parametrize("digest", [b"", bytes(65)])
def test_a_digest_of_an_impossible_size_is_refused(digest: bytes) -> None:
    with pytest.raises(DecodeError, match="1 to 64 bytes"):
        decode_authenticode(Signing().of(digest))


def test_an_attribute_that_stands_twice_is_refused() -> None:
    twice = attribute("1.2.840.113549.1.9.4", tlv(OCTET_STRING, bytes(32)))

    with pytest.raises(DecodeError, match="stands twice"):
        decode_authenticode(Signing(more_attributes=(twice,)).of(bytes(32)))


def test_attributes_without_the_two_that_count_are_refused() -> None:
    raw = Signing().of(bytes(32)).replace(oid("1.2.840.113549.1.9.4"), oid("1.2.840.113549.1.9.7"))

    with pytest.raises(DecodeError, match="contentType and messageDigest"):
        decode_authenticode(raw)


def test_other_attributes_are_passed_over() -> None:
    other = attribute("1.3.6.1.4.1.311.2.1.12", tlv(SEQUENCE, integer(1)))

    assert signer_of(Signing(more_attributes=(other,))) == "Test Boot Signer"


def test_too_many_elements_are_refused() -> None:
    with pytest.raises(DecodeError, match="more than 4"):
        decode_authenticode(Signing(signers=5).of(bytes(32)))


def test_a_signature_over_the_limit_is_refused() -> None:
    with pytest.raises(DecodeError, match="over the limit"):
        decode_authenticode(bytes(authenticode.MAX_STORED + 1))
