"""Paths from an EK certificate to an accepted CA: one that holds, and one per way to break it."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from bartizan.errors import VerifyError
from bartizan.formats.x509 import decode_certificate
from bartizan.model.certificate import Certificate, RootKind, TrustAnchors
from bartizan.verify.chain import MAX_PATH, verify_chain
from bartizan.verify.x509_signature import is_self_signed, signature_fault
from tests.simulator.tpm_ca import (
    NOW,
    SHA1_RSA,
    SHA384_ECDSA,
    PrivateKey,
    Scheme,
    Shape,
    ca,
    ec_key,
    extension,
    issue,
    pkcs1,
    pss,
    rsa_key,
)

ROOT = decode_certificate(issue(ca("Root"), ec_key("Root")))
MAKER = decode_certificate(issue(ca("Maker", "Root"), ec_key("Root")))
LEAF = decode_certificate(issue(Shape(issuer="Maker"), ec_key("Maker")))


def trusting(*anchors: Certificate, intermediates: tuple[Certificate, ...] = ()) -> TrustAnchors:
    return TrustAnchors(
        anchors=tuple((RootKind.HARDWARE, certificate) for certificate in anchors), intermediates=intermediates
    )


def certified(shape: Shape, signer: PrivateKey, scheme: Scheme | None = None) -> Certificate:
    return decode_certificate(issue(shape, signer, scheme))


def refused(leaf: Certificate, anchors: TrustAnchors, *presented: Certificate, now: datetime = NOW) -> str:
    with pytest.raises(VerifyError) as caught:
        verify_chain(leaf, presented=presented, anchors=anchors, now=now)
    assert caught.value.check == "identity.ek-chain"
    return caught.value.why


def test_a_path_over_a_configured_intermediate_is_found() -> None:
    kind, path = verify_chain(LEAF, presented=(), anchors=trusting(ROOT, intermediates=(MAKER,)), now=NOW)

    assert (kind, path) == (RootKind.HARDWARE, (LEAF, MAKER, ROOT))


def test_a_path_over_an_intermediate_that_the_node_sent_is_found() -> None:
    kind, path = verify_chain(LEAF, presented=(MAKER,), anchors=trusting(ROOT), now=NOW)

    assert (kind, path) == (RootKind.HARDWARE, (LEAF, MAKER, ROOT))


def test_the_kind_is_that_of_the_anchor_reached() -> None:
    anchors = TrustAnchors(
        anchors=((RootKind.HARDWARE, certified(ca("X"), ec_key("X"))), (RootKind.VIRTUAL, ROOT)), intermediates=()
    )

    assert verify_chain(LEAF, presented=(MAKER,), anchors=anchors, now=NOW)[0] is RootKind.VIRTUAL


@pytest.mark.parametrize(
    ("signer", "scheme"),
    [
        (ec_key("Maker"), SHA384_ECDSA),
        (rsa_key("Maker"), pkcs1()),
        (rsa_key("Maker"), SHA1_RSA),
        (rsa_key("Maker"), pss()),
        (rsa_key("Maker"), pss(salt=20)),
    ],
)
def test_each_signature_algorithm_is_checked(signer: PrivateKey, scheme: Scheme) -> None:
    root = certified(replace(ca("Maker"), key=signer), signer, scheme)
    leaf = certified(Shape(issuer="Maker"), signer, scheme)
    forged = replace(leaf, tbs=leaf.tbs[:-1] + bytes([leaf.tbs[-1] ^ 1]))

    assert is_self_signed(root)
    assert verify_chain(leaf, presented=(), anchors=trusting(root), now=NOW)[1] == (leaf, root)
    assert refused(forged, trusting(root)).startswith("signature wrong")


def test_an_issuer_nobody_accepts_is_named() -> None:
    assert refused(LEAF, trusting(ROOT)) == "issuer CN=Maker is not among the accepted CAs"
    assert refused(LEAF, trusting(ROOT, intermediates=(certified(ca("Maker", "Other"), ec_key("Other")),))) == (
        "issuer CN=Other is not among the accepted CAs"
    )


def test_an_issuer_of_the_same_name_with_another_key_is_refused() -> None:
    impostor = certified(replace(ca("Root"), key=ec_key("impostor")), ec_key("impostor"))

    assert refused(MAKER, trusting(impostor)) == "signature wrong: CN=Maker as signed by CN=Root"


def test_of_two_cas_of_one_name_the_right_one_is_found() -> None:
    impostor = certified(replace(ca("Root"), key=ec_key("impostor")), ec_key("impostor"))

    assert verify_chain(LEAF, presented=(MAKER,), anchors=trusting(impostor, ROOT), now=NOW)[1] == (LEAF, MAKER, ROOT)


def test_the_named_key_is_tried_first() -> None:
    named = replace(ca("Root"), subject_key_id=b"right")
    roots = [
        certified(replace(named, key=ec_key(f"wrong {index}"), subject_key_id=b"wrong"), ec_key(f"wrong {index}"))
        for index in range(40)
    ]
    right = certified(named, ec_key("Root"))
    leaf = certified(Shape(issuer="Root", authority_key_id=b"right"), ec_key("Root"))

    assert verify_chain(leaf, presented=(), anchors=trusting(*roots, right), now=NOW)[1] == (leaf, right)
    assert "32 signature checks" in refused(replace(leaf, authority_key_id=None), trusting(*roots, right))


IN_2019, IN_2031 = datetime(2019, 5, 4, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"not_after": IN_2019}, "expired on 2019-05-04"),
        ({"not_before": IN_2031}, "is valid only from 2031-01-01 on"),
        ({"more": (extension("1.2.3", b"", critical=True),)}, "a critical extension that is not understood: 1.2.3"),
        ({"purposes": ("2.23.133.8.3",)}, "for other purposes than EK certificates: 2.23.133.8.3"),
    ],
)
def test_a_flaw_of_any_certificate_on_the_path_is_said(change: dict[str, object], why: str) -> None:
    def changed(shape: Shape, signer: str) -> Certificate:
        return certified(replace(shape, **change), ec_key(signer))  # type: ignore[arg-type]  # fields of Shape

    leaf, maker, root = (
        changed(Shape(issuer="Maker"), "Maker"),
        changed(ca("Maker", "Root"), "Root"),
        changed(ca("Root"), "Root"),
    )

    assert refused(leaf, trusting(ROOT), MAKER) == f"EK certificate (no subject, serial 7) {spoken(why)}"
    assert refused(LEAF, trusting(ROOT), maker) == f"intermediate CA CN=Maker {spoken(why)}"
    assert refused(LEAF, trusting(root), MAKER) == f"accepted CA CN=Root {spoken(why)}"


def spoken(why: str) -> str:
    return f"has {why}" if why.startswith("a critical") else f"is {why}" if why.startswith("for") else why


def test_an_issuer_without_the_ca_flag_is_refused() -> None:
    maker = certified(replace(ca("Maker", "Root"), is_ca=False), ec_key("Root"))

    assert refused(LEAF, trusting(ROOT), maker) == (
        "CA flag missing: intermediate CA CN=Maker may not issue certificates"
    )


def test_an_issuer_that_may_not_sign_certificates_is_refused() -> None:
    maker = certified(replace(ca("Maker", "Root"), usage="digitalSignature"), ec_key("Root"))
    silent = certified(replace(ca("Maker", "Root"), usage=None), ec_key("Root"))

    assert refused(LEAF, trusting(ROOT), maker).startswith("keyCertSign missing: intermediate CA CN=Maker")
    assert verify_chain(LEAF, presented=(silent,), anchors=trusting(ROOT), now=NOW)[1][1] == silent


def test_a_path_length_is_kept() -> None:
    strict = certified(replace(ca("Root"), path_length=0), ec_key("Root"))
    enough = certified(replace(ca("Root"), path_length=1), ec_key("Root"))
    direct = certified(Shape(issuer="Root"), ec_key("Root"))

    assert refused(LEAF, trusting(strict), MAKER) == "path length: accepted CA CN=Root allows 0 CAs below it, found 1"
    assert verify_chain(LEAF, presented=(MAKER,), anchors=trusting(enough), now=NOW)[1][-1] == enough
    assert verify_chain(direct, presented=(), anchors=trusting(strict), now=NOW)[1][-1] == strict


def test_a_short_key_is_refused() -> None:
    weak = replace(LEAF, key=replace(certified(Shape(key=rsa_key("ek")), ec_key("Root")).key, modulus=(1 << 1023) + 1))

    assert refused(weak, trusting(ROOT), MAKER).endswith("an RSA key of 2048 to 8192 bits expected, found 1024")


def test_a_key_with_the_roca_fingerprint_is_refused() -> None:
    weak = replace(LEAF, key=replace(certified(Shape(key=rsa_key("ek")), ec_key("Root")).key, modulus=65537**130))

    assert "ROCA" in refused(weak, trusting(ROOT), MAKER)


def test_an_unknown_curve_is_refused() -> None:
    odd = replace(LEAF, key=replace(LEAF.key, curve="1.2.156.10197.1.301"))

    assert refused(odd, trusting(ROOT), MAKER).endswith("a key on curve 1.2.156.10197.1.301 is not accepted")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"signature_oid": "1.2.840.113549.1.1.4", "signature_hash": ""}, "1.2.840.113549.1.1.4 is not accepted"),
        ({"signature_oid": "1.2.840.113549.1.1.11"}, "is not accepted with an EC key"),
        ({"signature": b"no signature"}, "signature wrong"),
    ],
)
def test_another_signature_algorithm_or_form_is_refused(change: dict[str, object], why: str) -> None:
    broken = replace(LEAF, **change)  # type: ignore[arg-type]  # fields of Certificate

    assert why in refused(broken, trusting(ROOT), MAKER)


def test_numbers_that_are_no_key_are_refused() -> None:
    off_curve = replace(ROOT.key, x=1)
    even = replace(certified(Shape(key=rsa_key("ek")), ec_key("Root")).key, exponent=2)
    by_rsa = certified(Shape(), rsa_key("ca"), pkcs1())

    assert str(signature_fault(MAKER, off_curve)).startswith("the signature cannot be checked")
    assert str(signature_fault(by_rsa, even)).startswith("the signature cannot be checked")
    assert str(signature_fault(by_rsa, replace(even, modulus=15))).endswith("expected, found 4")


def test_a_certificate_named_after_itself_is_not_self_signed_by_that() -> None:
    renewed = certified(replace(ca("Root"), key=ec_key("next")), ec_key("Root"))

    assert not is_self_signed(renewed)
    assert not is_self_signed(MAKER)
    assert is_self_signed(ROOT)


def staircase(steps: int) -> list[Certificate]:
    """CA 1 signed by Root, CA 2 by CA 1, and so on."""
    names = ["Root", *(f"CA {index}" for index in range(1, steps + 1))]
    return [certified(ca(below, above), ec_key(above)) for above, below in pairwise(names)]


def test_a_path_of_the_longest_length_is_accepted_and_one_more_refused() -> None:
    stairs = staircase(MAX_PATH - 1)
    fits = certified(Shape(issuer=f"CA {MAX_PATH - 2}"), ec_key(f"CA {MAX_PATH - 2}"))
    too_long = certified(Shape(issuer=f"CA {MAX_PATH - 1}"), ec_key(f"CA {MAX_PATH - 1}"))

    assert len(verify_chain(fits, presented=tuple(stairs), anchors=trusting(ROOT), now=NOW)[1]) == MAX_PATH
    assert refused(too_long, trusting(ROOT), *stairs) == f"the path is longer than {MAX_PATH} certificates"


def test_too_many_chain_certificates_are_refused() -> None:
    assert "at most 16" in refused(LEAF, trusting(ROOT), *[MAKER] * 17)


def test_two_cas_that_vouch_for_each_other_lead_nowhere() -> None:
    one, other = certified(ca("Maker", "Other"), ec_key("Other")), certified(ca("Other", "Maker"), ec_key("Maker"))

    assert refused(LEAF, trusting(ROOT), one, other) == "issuer CN=Maker is not among the accepted CAs"


def test_the_reason_is_that_of_the_path_which_came_furthest() -> None:
    impostor = certified(replace(ca("Maker", "Root"), key=ec_key("impostor")), ec_key("Root"))
    expired = certified(replace(ca("Root"), not_after=IN_2019), ec_key("Root"))

    assert refused(LEAF, trusting(expired), impostor, MAKER) == "accepted CA CN=Root expired on 2019-05-04"


def test_the_last_moment_of_validity_still_counts() -> None:
    leaf = certified(Shape(issuer="Maker", not_before=NOW, not_after=NOW), ec_key("Maker"))

    assert verify_chain(leaf, presented=(MAKER,), anchors=trusting(ROOT), now=NOW)[1][0] == leaf
