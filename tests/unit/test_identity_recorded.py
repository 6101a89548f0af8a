"""Who is speaking: identities recorded on emulated machines and TPMs."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bartizan.errors import VerifyError
from bartizan.formats.tpm2 import decode_attest, decode_public
from bartizan.formats.x509 import decode_certificate, decode_certificates
from bartizan.model.certificate import RootKind, TrustAnchors
from bartizan.model.evidence import Enrolment, ReportedIdentity, VerifiedIdentity
from bartizan.model.result import Tier
from bartizan.verify.identity import verify_identity

BOOTS = Path(__file__).parents[1] / "vectors" / "boots"
RECORDED = datetime(2026, 12, 1, tzinfo=UTC)


def findings_of(verified: VerifiedIdentity) -> list[tuple[str, Tier]]:
    return [(finding.id, finding.tier) for finding in verified.findings]


def recorded(folder: str, ak: str, ek: str, certificate: str) -> ReportedIdentity:
    read = (BOOTS / folder).joinpath
    return ReportedIdentity(
        ak=decode_public(read(ak).read_bytes()),
        ek=decode_public(read(ek).read_bytes()),
        ek_certificate=decode_certificate(read(certificate).read_bytes()),
        chain=decode_certificates((BOOTS / "ek_issuer.pem").read_bytes()),
    )


RECORDED_ENROLMENT = Enrolment(
    anchors=TrustAnchors(
        anchors=((RootKind.OPERATOR, decode_certificates((BOOTS / "ek_root.pem").read_bytes())[0]),), intermediates=()
    )
)


@pytest.mark.parametrize(
    ("reported", "attest"),
    [
        (
            recorded("swtpm", "drtm/ak.tpm2b_public", "ek_rsa2048.tpm2b_public", "ek_rsa2048.cert.der"),
            "swtpm/drtm/quote.attest",
        ),
        (recorded("good", "ak.pub", "ek.pub", "ek_cert.der"), "good/quote.attest"),
        (
            recorded("swtpm", "ak_rsa2048.tpm2b_public", "ek_rsa2048.tpm2b_public", "ek_rsa2048.cert.der"),
            "swtpm/ak_rsa2048.sha256.attest",
        ),
    ],
)
def test_a_recorded_identity_holds(reported: ReportedIdentity, attest: str) -> None:
    signer = decode_attest((BOOTS / attest).read_bytes()).qualified_signer

    verified = verify_identity(reported, qualified_signer=signer, enrolment=RECORDED_ENROLMENT, now=RECORDED)

    assert verified.root_kind is RootKind.OPERATOR
    assert [certificate.subject_text for certificate in verified.path] == [
        "CN=unknown",
        "CN=swtpm-localca",
        "CN=swtpm-localca-rootca",
    ]
    assert findings_of(verified)[-2:] == [
        ("identity.ak-residency", Tier.AFFIRMING),
        ("identity.activation", Tier.WARNING),
    ]


def test_a_recorded_ak_is_not_placed_under_another_ek_of_its_tpm() -> None:
    reported = recorded("swtpm", "ak_rsa2048.tpm2b_public", "ek_secp384r1.tpm2b_public", "ek_secp384r1.cert.der")
    signer = decode_attest((BOOTS / "swtpm/ak_rsa2048.sha256.attest").read_bytes()).qualified_signer

    with pytest.raises(VerifyError, match="neither under this EK nor in its hierarchy"):
        verify_identity(reported, qualified_signer=signer, enrolment=RECORDED_ENROLMENT, now=RECORDED)


def test_a_platform_certificate_is_no_ek_certificate() -> None:
    platform = decode_certificate((BOOTS / "good/plat_cert.der").read_bytes())
    reported = replace(recorded("good", "ak.pub", "ek.pub", "ek_cert.der"), ek_certificate=platform)

    with pytest.raises(VerifyError, match=r"identity.ek-chain: .* is for other purposes"):
        verify_identity(reported, qualified_signer=b"", enrolment=RECORDED_ENROLMENT, now=RECORDED)
