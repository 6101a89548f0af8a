"""Folders of accepted CAs, and the CAs that ship with the package."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bartizan.app.roots import MAX_FILE, built_in_roots, load_roots
from bartizan.errors import ConfigError, VerifyError
from bartizan.formats.x509 import decode_certificates
from bartizan.model.certificate import RootKind, TrustAnchors
from bartizan.verify.chain import verify_chain
from tests.simulator.tpm_ca import Shape, ca, ec_key, issue, made

ROOTS = Path(__file__).parents[2] / "src" / "bartizan" / "data" / "roots"
VECTORS = Path(__file__).parents[1] / "vectors" / "certificates"
ROOT = issue(ca("Root"), ec_key("Root"))
MAKER = issue(ca("Maker", "Root"), ec_key("Root"))


def subjects(roots: TrustAnchors) -> tuple[list[tuple[RootKind, str]], list[str]]:
    return (
        [(kind, certificate.subject_text) for kind, certificate in roots.anchors],
        [certificate.subject_text for certificate in roots.intermediates],
    )


def test_self_signed_certificates_are_anchors_and_others_intermediates(tmp_path: Path) -> None:
    (tmp_path / "root.der").write_bytes(ROOT)
    (tmp_path / "maker.CRT").write_bytes(MAKER)

    assert subjects(load_roots(tmp_path)) == ([(RootKind.OPERATOR, "CN=Root")], ["CN=Maker"])


def test_the_subfolders_give_the_kind(tmp_path: Path) -> None:
    for kind, subject in (("hardware", "Chips"), ("virtual", "Cloud"), ("other", "Nobody")):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "root.pem").write_bytes(issue(ca(subject), ec_key(subject)))

    assert subjects(load_roots(tmp_path))[0] == [(RootKind.HARDWARE, "CN=Chips"), (RootKind.VIRTUAL, "CN=Cloud")]


def test_only_certificate_files_are_read(tmp_path: Path) -> None:
    key = ec_key("Root").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "root.cer").write_bytes(ROOT)
    (tmp_path / "README.md").write_text("no certificate", encoding="utf-8")
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "folder.pem").mkdir()

    assert subjects(load_roots(tmp_path)) == ([(RootKind.OPERATOR, "CN=Root")], [])


def test_a_renewed_root_signed_by_the_old_key_is_an_intermediate(tmp_path: Path) -> None:
    (tmp_path / "root.der").write_bytes(ROOT)
    (tmp_path / "renewed.der").write_bytes(issue(replace(ca("Root"), key=ec_key("new")), ec_key("Root")))

    assert subjects(load_roots(tmp_path)) == ([(RootKind.OPERATOR, "CN=Root")], ["CN=Root"])


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("bad.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n", "bad.pem: PEM at byte 0"),
        ("text.pem", b"just words", "text.pem: certificate at byte 0"),
        ("bad.der", ROOT[:-1], "bad.der: certificate at byte 0"),
        ("huge.pem", b"#" * (MAX_FILE + 1), "huge.pem: over the limit"),
        ("maker.der", MAKER, "no self-signed CA certificate"),
        ("leaf.der", made(Shape(subject="x")), "no self-signed CA certificate"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_by_name(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        load_roots(tmp_path)

    assert why in str(caught.value)


def test_a_missing_folder_and_an_unreadable_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "root.der").write_bytes(ROOT)
    with pytest.raises(ConfigError, match="no such folder"):
        load_roots(tmp_path / "nowhere")
    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(ConfigError, match=r"root\.der: cannot be read: Permission denied"):
        load_roots(tmp_path)


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bartizan.app.roots.MAX_FILES", 1)
    (tmp_path / "a.der").write_bytes(ROOT)
    (tmp_path / "b.der").write_bytes(MAKER)

    with pytest.raises(ConfigError, match="2 certificate files are over the limit"):
        load_roots(tmp_path)


# What ships.


def test_the_shipped_roots_are_of_both_kinds_and_none_is_the_operators() -> None:
    anchors, intermediates = subjects(built_in_roots())

    assert {kind for kind, _ in anchors} == {RootKind.HARDWARE, RootKind.VIRTUAL}
    assert (len(anchors), len(intermediates)) == (13, 45)
    assert not [text for _, text in anchors if "AMD" in text or "SEV" in text or "ARK" in text]
    assert {text for kind, text in anchors if kind is RootKind.VIRTUAL if "Google" not in text} == set()


def test_every_shipped_certificate_is_a_ca_with_a_row_that_gives_its_fingerprint() -> None:
    rows = (ROOTS / "ATTRIBUTION.md").read_text(encoding="utf-8")

    for path in (*ROOTS.glob("*/*.pem"),):
        (certificate,) = decode_certificates(path.read_bytes())
        fingerprint = hashlib.sha256(certificate.raw).hexdigest()
        role = "anchor" if certificate.subject == certificate.issuer else "intermediate"
        expected = f"| `{path.relative_to(ROOTS)}` | {role} | {certificate.not_after:%Y-%m-%d} | `{fingerprint}` |"
        assert expected in rows
        assert certificate.is_ca
        assert not certificate.unknown_critical


@pytest.mark.parametrize(
    ("name", "kind", "length"),
    [
        ("google_go-tpm-tools/uca_tpm_rsa_enc_cert.pem", RootKind.VIRTUAL, 3),
        ("google_go-tpm-tools/uca_tpm_ecc_enc_cert.pem", RootKind.VIRTUAL, 3),
    ],
)
def test_a_recorded_ek_certificate_leads_to_a_shipped_root(name: str, kind: RootKind, length: int) -> None:
    (leaf,) = decode_certificates((VECTORS / name).read_bytes())

    found, path = verify_chain(leaf, presented=(), anchors=built_in_roots(), now=datetime(2026, 6, 1, tzinfo=UTC))

    assert (found, len(path)) == (kind, length)


def test_a_genuine_old_ek_certificate_held_while_it_was_valid() -> None:
    (leaf,) = decode_certificates((VECTORS / "nsacyber_HIRS/nuc-1-ek_cert_untouched.cer").read_bytes())
    roots = built_in_roots()

    found, path = verify_chain(leaf, presented=(), anchors=roots, now=datetime(2020, 1, 1, tzinfo=UTC))

    assert (found, len(path)) == (RootKind.HARDWARE, 4)
    assert path[-1].subject_text.endswith("CN=GlobalSign Trusted Platform Module Root CA")
    with pytest.raises(VerifyError, match=r"EK certificate .* expired on 2024-02-23"):
        verify_chain(leaf, presented=(), anchors=roots, now=datetime(2026, 1, 1, tzinfo=UTC))


def test_a_ca_for_attestation_keys_does_not_vouch_for_an_ek() -> None:
    (maker,) = decode_certificates(next((VECTORS / "loicsikidi_tpm-ca-certificates").glob("WUS-*")).read_bytes())
    leaf = replace(decode_certificates(made())[0], issuer=maker.subject)

    with pytest.raises(VerifyError, match="for other purposes than EK certificates"):
        verify_chain(leaf, presented=(maker,), anchors=built_in_roots(), now=datetime(2026, 6, 1, tzinfo=UTC))
