"""Every recorded certificate file does what `verdicts.tsv` states, and other readers read the same out of it.

The second opinions are `cryptography` where it can load a certificate, and asn1crypto for what it refuses.
"""

import warnings
from pathlib import Path

import pytest
from asn1crypto import x509 as lenient
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.utils import CryptographyDeprecationWarning

from bartizan.errors import DecodeError
from bartizan.formats.platform_certificate import decode_platform_certificate
from bartizan.formats.x509 import decode_certificates
from bartizan.model.certificate import Certificate, CertificateKey, KeyKind, Repair

VECTORS = Path(__file__).parents[1] / "vectors" / "certificates"
ROWS = [line.split("\t") for line in (VECTORS / "verdicts.tsv").read_text(encoding="utf-8").splitlines()[1:]]
LOADED = [
    pytest.param(certificate, id=f"{row[0]}-{index}")
    for row in ROWS
    if row[1] == "loads"
    for index, certificate in enumerate(decode_certificates((VECTORS / row[0]).read_bytes()))
]
USAGES = {
    "digitalSignature": "digital_signature",
    "nonRepudiation": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
}


@pytest.mark.parametrize(("name", "verdict", "detail", "repairs", "platform"), ROWS, ids=[row[0] for row in ROWS])
def test_a_recorded_file_does_what_its_row_says(
    name: str, verdict: str, detail: str, repairs: str, platform: str
) -> None:
    raw = (VECTORS / name).read_bytes()

    assert read(raw) == (verdict, detail, repairs)
    assert platform_kind(raw) == platform


def read(raw: bytes) -> tuple[str, str, str]:
    try:
        certificates = decode_certificates(raw)
    except DecodeError as error:
        return "refused", error.why, "-"
    said = {Repair(repair).name for certificate in certificates for repair in certificate.repairs}
    return "loads", str(len(certificates)), ",".join(sorted(said)) or "-"


def platform_kind(raw: bytes) -> str:
    try:
        return decode_platform_certificate(raw).kind.value
    except DecodeError:
        return "refused"


def test_every_recorded_file_has_a_row_and_a_source() -> None:
    files = {str(path.relative_to(VECTORS)) for path in VECTORS.glob("*/*")}
    sources = (VECTORS / "ATTRIBUTION.md").read_text(encoding="utf-8")

    assert {name for name in files if not name.endswith(".json")} == {row[0] for row in ROWS}
    assert not [name for name in files if f"| `{name}` |" not in sources]


@pytest.mark.parametrize("certificate", LOADED)
def test_another_reader_reads_the_same(certificate: Certificate) -> None:
    strict = strictly(certificate.raw)
    if strict is None:
        same_as_lenient(certificate)
    else:
        same_as_strict(certificate, strict)


def strictly(raw: bytes) -> x509.Certificate | None:
    """What `cryptography` makes of it, if it loads it with its key."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it remarks on names over 64 characters
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            certificate = x509.load_der_x509_certificate(raw)
            certificate.public_key()
            _ = certificate.subject, certificate.issuer
    except (ValueError, UnsupportedAlgorithm):
        return None
    return certificate


def same_as_strict(certificate: Certificate, strict: x509.Certificate) -> None:
    assert certificate.tbs == strict.tbs_certificate_bytes
    assert certificate.signature == strict.signature
    assert certificate.signature_oid == strict.signature_algorithm_oid.dotted_string
    assert strict.signature_hash_algorithm is not None
    assert certificate.signature_hash == strict.signature_hash_algorithm.name
    assert (certificate.serial, certificate.not_before) == (strict.serial_number, strict.not_valid_before_utc)
    assert certificate.not_after == strict.not_valid_after_utc
    assert (certificate.subject, certificate.issuer) == (strict.subject.public_bytes(), strict.issuer.public_bytes())
    assert certificate.key == numbers_of(strict)
    same_extensions(certificate, strict.extensions)


def numbers_of(strict: x509.Certificate) -> CertificateKey:
    key = strict.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return CertificateKey(kind=KeyKind.RSA, modulus=key.public_numbers().n, exponent=key.public_numbers().e)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    point = key.public_numbers()
    return CertificateKey(kind=KeyKind.EC, curve=key.curve.name, x=point.x, y=point.y)


def same_extensions(certificate: Certificate, extensions: x509.Extensions) -> None:
    found = {type(extension.value): extension.value for extension in extensions}
    constraints = found.get(x509.BasicConstraints)
    assert certificate.is_ca == (isinstance(constraints, x509.BasicConstraints) and constraints.ca)
    if isinstance(constraints, x509.BasicConstraints):
        assert certificate.path_length == constraints.path_length
    usage = found.get(x509.KeyUsage)
    if usage is None:
        assert certificate.key_usage is None
    else:
        assert certificate.key_usage == {name for name, strict in USAGES.items() if getattr(usage, strict)}
    purposes = found.get(x509.ExtendedKeyUsage, ())
    assert isinstance(purposes, x509.ExtendedKeyUsage | tuple)
    assert certificate.extended_key_usage == tuple(purpose.dotted_string for purpose in purposes)
    identifier = found.get(x509.SubjectKeyIdentifier)
    if isinstance(identifier, x509.SubjectKeyIdentifier):
        assert certificate.subject_key_id == identifier.digest
    authority = found.get(x509.AuthorityKeyIdentifier)
    if isinstance(authority, x509.AuthorityKeyIdentifier):
        assert certificate.authority_key_id == authority.key_identifier


def same_as_lenient(certificate: Certificate) -> None:
    other = lenient.Certificate.load(certificate.raw)
    signed = other["tbs_certificate"]
    assert certificate.tbs == signed.dump()
    assert certificate.signature == other["signature_value"].native
    assert certificate.signature_oid == other["signature_algorithm"]["algorithm"].dotted
    assert certificate.serial == other.serial_number
    assert (certificate.subject, certificate.issuer) == (other.subject.dump(), other.issuer.dump())
    assert (certificate.not_before, certificate.not_after) == (other.not_valid_before, other.not_valid_after)
    assert certificate.is_ca == bool(other.ca)
    assert certificate.path_length == other.max_path_length
    bits = signed["subject_public_key_info"]["public_key"]
    if certificate.key.kind is KeyKind.RSA:
        assert (certificate.key.modulus, certificate.key.exponent) == tuple(bits.native.values())
    else:
        assert b"\x04" + certificate.key.x.to_bytes(32, "big") + certificate.key.y.to_bytes(32, "big") == bits.native
