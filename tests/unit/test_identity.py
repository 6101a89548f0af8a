"""Who is speaking: a made identity that holds, and one per way to break it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bartizan.errors import VerifyError
from bartizan.formats.x509 import decode_certificate
from bartizan.model.certificate import RootKind, TrustAnchors
from bartizan.model.evidence import Activation, Enrolment, ReportedIdentity, VerifiedIdentity
from bartizan.model.result import Anchor, Claim, Tier
from bartizan.model.tpm import Attribute, EccKey, PublicArea, RsaKey
from bartizan.verify.identity import TPM_RH_ENDORSEMENT, qualified_name
from tests.simulator.tpm_ca import SHA1_RSA, PrivateKey, Shape, ca, ec_key, issue, pkcs1, rsa_key
from tests.simulator.tpm_identity import (
    AK,
    AK_ATTRIBUTES,
    ANCHORS,
    CERTIFICATE,
    EK,
    EK_ATTRIBUTES,
    ROOT,
    Case,
    ak_of,
    area,
    ek_of,
    key_of,
    under,
)


def refused(case: Case) -> tuple[str, str]:
    with pytest.raises(VerifyError) as caught:
        case.verify()
    return caught.value.check, caught.value.why


def with_keys(ak: PublicArea = AK, ek: PublicArea = EK) -> Case:
    return Case(reported=ReportedIdentity(ak=ak, ek=ek, ek_certificate=CERTIFICATE))


def enrolled(activation: Activation = Activation.NAME_ONLY, **more: bytes) -> Enrolment:
    return Enrolment(anchors=ANCHORS, activation=activation, **more)


def findings_of(verified: VerifiedIdentity) -> list[tuple[str, Tier]]:
    return [(finding.id, finding.tier) for finding in verified.findings]


# Made, and it holds.


def test_what_holds_is_affirmed_and_what_was_not_shown_is_said() -> None:
    verified = Case().verify()

    assert (verified.ak, verified.ek, verified.root_kind) == (AK, EK, RootKind.HARDWARE)
    assert verified.path == (CERTIFICATE, ROOT)
    assert findings_of(verified) == [
        ("identity.ak-attributes", Tier.AFFIRMING),
        ("identity.ek-key", Tier.AFFIRMING),
        ("identity.ek-chain", Tier.AFFIRMING),
        ("identity.ak-residency", Tier.AFFIRMING),
        ("identity.activation", Tier.WARNING),
    ]
    assert {finding.claim for finding in verified.findings} == {Claim.INSTANCE_IDENTITY}
    anchors = {finding.id: finding.anchor for finding in verified.findings}
    assert anchors["identity.ek-chain"] is Anchor.SIGNED
    assert anchors["identity.ak-residency"] is Anchor.TPM


def test_after_activation_an_ak_may_live_anywhere_in_the_endorsement_hierarchy() -> None:
    shown = Case(enrolment=enrolled(Activation.SHOWN))
    primary = replace(shown, signer=qualified_name(TPM_RH_ENDORSEMENT, AK))

    assert findings_of(shown.verify())[-1] == ("identity.activation", Tier.AFFIRMING)
    assert findings_of(primary.verify())[-1] == ("identity.activation", Tier.AFFIRMING)
    assert primary.verify().findings[-2].why.endswith("in the endorsement hierarchy")


def test_an_ek_registered_beforehand_needs_no_certificate() -> None:
    reported = ReportedIdentity(ak=AK, ek=EK, ek_certificate=None)

    verified = Case(reported=reported, enrolment=enrolled(registered_ek=EK.name)).verify()

    assert (verified.root_kind, verified.path) == (None, ())
    assert ("identity.ek-chain", Tier.AFFIRMING) in findings_of(verified)


def test_the_enrolled_ak_is_recognised() -> None:
    assert findings_of(Case(enrolment=enrolled(ak_name=AK.name)).verify())[-1] == ("identity.ak-known", Tier.AFFIRMING)


def test_rsa_keys_hold_too() -> None:
    ak, ek = ak_of(rsa_key("ak")), ek_of(rsa_key("ek"))
    certificate = decode_certificate(issue(Shape(key=rsa_key("ek")), ec_key("Test TPM CA")))

    assert Case(reported=ReportedIdentity(ak=ak, ek=ek, ek_certificate=certificate)).verify().ek == ek


def test_sha1_in_the_chain_is_a_warning_but_not_on_the_anchor_itself() -> None:
    root = decode_certificate(issue(replace(ca(), key=rsa_key("old")), rsa_key("old"), SHA1_RSA))
    enrolment = Enrolment(anchors=TrustAnchors(anchors=((RootKind.HARDWARE, root),), intermediates=()))

    def notes(scheme: object) -> list[tuple[Tier, str]]:
        certificate = decode_certificate(issue(Shape(), rsa_key("old"), scheme))  # type: ignore[arg-type]  # a Scheme
        reported = ReportedIdentity(ak=AK, ek=EK, ek_certificate=certificate)
        found = Case(reported=reported, enrolment=enrolment).verify().findings
        return [(finding.tier, finding.why) for finding in found if finding.id == "identity.certificate"]

    assert notes(SHA1_RSA) == [(Tier.WARNING, "the EK certificate is signed with SHA-1")]
    assert notes(pkcs1()) == []


def test_a_makers_habits_are_told_and_other_oddities_are_a_warning() -> None:
    def note(raw: bytes) -> tuple[Tier, str]:
        reported = ReportedIdentity(ak=AK, ek=EK, ek_certificate=decode_certificate(raw))
        (found,) = [entry for entry in Case(reported=reported).verify().findings if entry.id == "identity.certificate"]
        return found.tier, found.why

    odd = issue(Shape(serial=-5), ec_key("Test TPM CA"))
    assert note(CERTIFICATE.raw + bytes(9)) == (
        Tier.AFFIRMING,
        "the EK certificate, as its maker does it: one byte, repeated, stood after it",
    )
    assert note(odd + bytes(9)) == (
        Tier.WARNING,
        "the EK certificate is oddly encoded: the serial number is not positive",
    )


# Broken: (1) the AK's attributes.


@pytest.mark.parametrize(
    ("flipped", "why"),
    [
        (Attribute.RESTRICTED, "restricted is clear"),
        (Attribute.SIGN_ENCRYPT, "sign is clear"),
        (Attribute.FIXED_TPM, "fixedTPM is clear"),
        (Attribute.FIXED_PARENT, "fixedParent is clear"),
        (Attribute.SENSITIVE_DATA_ORIGIN, "sensitiveDataOrigin is clear"),
        (Attribute.DECRYPT, "decrypt is set"),
    ],
)
def test_an_ak_with_another_attribute_is_refused(flipped: Attribute, why: str) -> None:
    check, reason = refused(with_keys(ak=ak_of(ec_key("ak"), AK_ATTRIBUTES ^ flipped)))

    assert (check, reason) == (
        "identity.ak-attributes",
        f"the AK is no restricted signing key fixed to its TPM: {why}",
    )


def test_an_ak_without_a_scheme_is_refused() -> None:
    check, reason = refused(with_keys(ak=area(key_of(ec_key("ak")), AK_ATTRIBUTES, scheme=None, symmetric=None)))

    assert check == "identity.ak-attributes"
    assert "no signing scheme" in reason


# Broken: (2) the EK.


@pytest.mark.parametrize(
    ("flipped", "why"),
    [
        (Attribute.RESTRICTED, "restricted is clear"),
        (Attribute.DECRYPT, "decrypt is clear"),
        (Attribute.FIXED_TPM, "fixedTPM is clear"),
        (Attribute.FIXED_PARENT, "fixedParent is clear"),
        (Attribute.SIGN_ENCRYPT, "sign is set"),
    ],
)
def test_an_ek_with_another_attribute_is_refused(flipped: Attribute, why: str) -> None:
    check, reason = refused(with_keys(ek=ek_of(ec_key("ek"), EK_ATTRIBUTES ^ flipped)))

    assert (check, reason) == ("identity.ek-key", f"the EK is no restricted storage key fixed to its TPM: {why}")


def test_an_ek_without_a_cipher_is_no_storage_key() -> None:
    check, reason = refused(with_keys(ek=area(key_of(ec_key("ek")), EK_ATTRIBUTES, scheme=None, symmetric=None)))

    assert check == "identity.ek-key"
    assert "no symmetric cipher" in reason


def test_a_missing_ek_is_refused() -> None:
    reported = ReportedIdentity(ak=AK, ek=None, ek_certificate=CERTIFICATE)

    assert refused(Case(reported=reported)) == ("identity.ek-key", "no EK public area was sent")


@pytest.mark.parametrize("private", [ec_key("other"), rsa_key("other")], ids=["another point", "another kind"])
def test_an_ek_that_is_not_the_certified_key_is_refused(private: PrivateKey) -> None:
    assert refused(with_keys(ek=ek_of(private))) == (
        "identity.ek-key",
        "the EK is another key than the one in its certificate",
    )


def test_an_rsa_ek_with_another_exponent_is_refused() -> None:
    certificate = decode_certificate(issue(Shape(key=rsa_key("ek")), ec_key("Test TPM CA")))
    ek = ek_of(rsa_key("ek"))
    assert isinstance(ek.key, RsaKey)
    other = replace(ek, key=replace(ek.key, exponent=3))

    check, reason = refused(Case(reported=ReportedIdentity(ak=AK, ek=other, ek_certificate=certificate)))

    assert (check, "another key" in reason) == ("identity.ek-key", True)


SHORT = RsaKey(bits=1024, exponent=0, modulus=((1 << 1023) + 1).to_bytes(128, "big"))
FLAWED = RsaKey(bits=2056, exponent=0, modulus=(65537**128).to_bytes(257, "big"))


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (SHORT, "is an RSA key of 1024 bits; at least 2048 expected"),
        (FLAWED, "carries the ROCA fingerprint"),
        (EccKey(curve=0x0010, kdf=None, x=bytes(32), y=bytes(32)), "is on curve 0x0010, which is not accepted"),
    ],
    ids=["short", "ROCA", "curve"],
)
def test_a_weak_key_is_refused_as_ak_and_as_ek(key: RsaKey | EccKey, why: str) -> None:
    weak_ak, weak_ek = replace(AK, key=key), replace(EK, key=key)
    unregistered = ReportedIdentity(ak=AK, ek=weak_ek, ek_certificate=None)

    for case, name in ((with_keys(ak=weak_ak), "AK"), (Case(reported=unregistered), "EK")):
        check, reason = refused(case)
        assert check == "identity.ek-key"
        assert reason.startswith(f"the {name} {why}")


# Broken: (3) where the EK comes from.


def test_an_ek_without_certificate_or_registration_is_refused() -> None:
    reported = ReportedIdentity(ak=AK, ek=EK, ek_certificate=None)

    assert refused(Case(reported=reported)) == (
        "identity.ek-chain",
        "there is no EK certificate, and no EK was registered beforehand",
    )


def test_another_ek_than_the_registered_one_is_refused_whatever_its_certificate() -> None:
    registered = ek_of(ec_key("other")).name

    check, reason = refused(Case(enrolment=enrolled(registered_ek=registered)))

    assert check == "identity.ek-chain"
    assert reason == f"EK {registered.hex()} is registered, found {EK.name.hex()}"


def test_a_certificate_of_an_unknown_ca_is_refused() -> None:
    none = Enrolment(anchors=TrustAnchors(anchors=(), intermediates=()))

    assert refused(Case(enrolment=none)) == (
        "identity.ek-chain",
        "issuer CN=Test TPM CA is not among the accepted CAs",
    )


def test_an_expired_certificate_is_refused_with_its_date() -> None:
    old = decode_certificate(issue(Shape(not_after=datetime(2025, 2, 3, tzinfo=UTC)), ec_key("Test TPM CA")))

    assert refused(Case(reported=ReportedIdentity(ak=AK, ek=EK, ek_certificate=old))) == (
        "identity.ek-chain",
        "EK certificate (no subject, serial 7) expired on 2025-02-03",
    )


# Broken: (4) where the AK lives, (5) which AK it is.


@pytest.mark.parametrize("activation", Activation)
@pytest.mark.parametrize(
    "signer",
    [
        b"",
        AK.name,
        qualified_name(bytes.fromhex("40000001"), AK),
        under(ek_of(ec_key("other")), AK),
        under(EK, ak_of(ec_key("other"))),
    ],
    ids=["none", "unqualified", "owner hierarchy", "another EK", "another AK"],
)
def test_an_ak_that_lives_elsewhere_is_refused(signer: bytes, activation: Activation) -> None:
    assert refused(Case(signer=signer, enrolment=enrolled(activation))) == (
        "identity.ak-residency",
        "the qualified signer places the AK neither under this EK nor in its hierarchy",
    )


def test_a_primary_ak_without_activation_is_refused() -> None:
    check, reason = refused(Case(signer=qualified_name(TPM_RH_ENDORSEMENT, AK)))

    assert check == "identity.ak-residency"
    assert "without credential activation" in reason


def test_another_tpm_that_poses_as_the_enrolled_node_is_refused() -> None:
    enrolment = enrolled(Activation.SHOWN, ak_name=ak_of(ec_key("other")).name)

    assert refused(Case(enrolment=enrolment)) == (
        "identity.ak-known",
        f"another TPM poses as the enrolled node: AK {AK.name.hex()}",
    )
