"""Certificates: every field that a well-formed one has, and files of several."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from bartizan.errors import DecodeError
from bartizan.formats.stored import MAX_IN_A_ROW
from bartizan.formats.x509 import decode_certificate, decode_certificates
from bartizan.model.certificate import Certificate, KeyKind
from tests.simulator.tpm_ca import (
    BIT_STRING,
    CA,
    FAR_OFF,
    SEQUENCE,
    Shape,
    ca,
    ec_key,
    integer,
    issue,
    made,
    name,
    oid,
    pkcs1,
    pss,
    rsa_key,
    tlv,
)


def test_every_field_of_an_ek_certificate_is_read() -> None:
    raw = made(
        Shape(
            subject="an EK",
            usage="keyAgreement",
            key=ec_key("some ek"),
            subject_key_id=b"subject",
            authority_key_id=b"authority",
        )
    )

    certificate = decode_certificate(raw)

    numbers = ec_key("some ek").public_key().public_numbers()
    assert certificate.raw == raw
    assert certificate.tbs == x509.load_der_x509_certificate(raw).tbs_certificate_bytes
    assert (certificate.serial, certificate.subject, certificate.issuer) == (7, name("an EK"), name("Test TPM CA"))
    assert (certificate.subject_text, certificate.issuer_text) == ("CN=an EK", "CN=Test TPM CA")
    assert certificate.not_before == datetime(2020, 1, 1, tzinfo=UTC)
    assert (certificate.key.kind, certificate.key.curve) == (KeyKind.EC, "secp256r1")
    assert (certificate.key.x, certificate.key.y) == (numbers.x, numbers.y)
    assert (certificate.is_ca, certificate.path_length) == (False, None)
    assert certificate.key_usage == {"keyAgreement"}
    assert certificate.extended_key_usage == ("2.23.133.8.1",)
    assert (certificate.subject_key_id, certificate.authority_key_id) == (b"subject", b"authority")
    assert certificate.unknown_critical == ()
    assert certificate.tpm is not None
    assert (certificate.tpm.manufacturer, certificate.tpm.model, certificate.tpm.version) == (
        "id:54455354",
        "tests",
        "id:00010002",
    )
    assert certificate.repairs == ()


def test_a_ca_certificate_states_its_path_length() -> None:
    certificate = decode_certificate(issue(replace(ca(), path_length=3), CA))

    assert (certificate.is_ca, certificate.path_length, certificate.key_usage) == (True, 3, {"keyCertSign"})
    assert certificate.tpm is None


def test_an_rsa_key_is_read_as_its_numbers() -> None:
    key = rsa_key("ek")

    certificate = decode_certificate(made(Shape(key=key)))

    numbers = key.public_key().public_numbers()
    assert (certificate.key.kind, certificate.key.modulus, certificate.key.exponent) == (
        KeyKind.RSA,
        numbers.n,
        numbers.e,
    )


def test_an_empty_subject_and_the_year_9999_are_fine() -> None:
    certificate = decode_certificate(made(Shape(subject="", not_after=FAR_OFF)))

    assert (certificate.subject, certificate.subject_text, certificate.not_after) == (b"\x30\x00", "", FAR_OFF)


def test_two_digit_years_turn_at_fifty() -> None:
    old = replace(Shape(), not_before=datetime(1950, 1, 1, tzinfo=UTC), not_after=datetime(2049, 1, 1, tzinfo=UTC))

    certificate = decode_certificate(made(old))

    assert (certificate.not_before.year, certificate.not_after.year) == (1950, 2049)


def test_signature_algorithms_are_named_with_their_hash() -> None:
    rsa_signed = decode_certificate(issue(Shape(), rsa_key("ca"), pkcs1()))
    pss_signed = decode_certificate(issue(Shape(), rsa_key("ca"), pss(salt=20)))

    assert (rsa_signed.signature_oid, rsa_signed.signature_hash) == ("1.2.840.113549.1.1.11", "sha256")
    assert (pss_signed.signature_hash, pss_signed.pss_salt) == ("sha256", 20)


def test_pss_without_parameters_means_sha1_and_a_salt_of_twenty() -> None:
    scheme = replace(pss(), algorithm=tlv(SEQUENCE, oid("1.2.840.113549.1.1.10"), tlv(SEQUENCE)))

    certificate = decode_certificate(issue(Shape(), rsa_key("ca"), scheme))

    assert (certificate.signature_hash, certificate.pss_salt) == ("sha1", 20)


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        (tlv(0xA0, tlv(SEQUENCE, oid("2.16.840.1.101.3.4.2.1"))), "two hashes"),
        (tlv(0xA1, tlv(SEQUENCE, oid("1.2.3"), tlv(SEQUENCE, oid("1.3.14.3.2.26")))), "not MGF1"),
        (tlv(0xA2, integer(-1)), "negative salt"),
        (tlv(0xA3, integer(2)), "another trailer"),
    ],
)
def test_strange_pss_parameters_are_refused(parameters: bytes, why: str) -> None:
    scheme = replace(pss(), algorithm=tlv(SEQUENCE, oid("1.2.840.113549.1.1.10"), tlv(SEQUENCE, parameters)))

    with pytest.raises(DecodeError, match=why):
        decode_certificate(issue(Shape(), rsa_key("ca"), scheme))


def test_an_unknown_signature_algorithm_keeps_its_identifier() -> None:
    scheme = replace(pkcs1(), algorithm=tlv(SEQUENCE, oid("1.2.840.113549.1.1.4"), tlv(0x05)))

    certificate = decode_certificate(issue(Shape(), rsa_key("ca"), scheme))

    assert (certificate.signature_oid, certificate.signature_hash) == ("1.2.840.113549.1.1.4", "")


def test_an_unknown_curve_keeps_its_identifier() -> None:
    info = tlv(
        SEQUENCE,
        tlv(SEQUENCE, oid("1.2.840.10045.2.1"), oid("1.2.156.10197.1.301")),
        tlv(BIT_STRING, b"\0\x04" + bytes(31) + b"\x01" + bytes(31) + b"\x02"),
    )

    key = decode_certificate(made(Shape(key_info=info))).key

    assert (key.curve, key.x, key.y) == ("1.2.156.10197.1.301", 1, 2)


def pem(raw: bytes) -> bytes:
    return x509.load_der_x509_certificate(raw).public_bytes(Encoding.PEM)


def serials(certificates: tuple[Certificate, ...]) -> list[int]:
    return [certificate.serial for certificate in certificates]


def test_a_pem_file_gives_its_certificates_in_order() -> None:
    text = b"subject=one\r\n" + pem(made()).replace(b"\n", b"\r\n") + b"\n# two\n" + pem(made(Shape(serial=8)))
    key = b"-----BEGIN PRIVATE KEY-----\nnot base64 at all\n-----END PRIVATE KEY-----\n"

    assert serials(decode_certificates(key + text)) == [7, 8]


def test_der_gives_one_certificate_and_an_nv_chain_several() -> None:
    chain = made() + made(Shape(serial=8)) + b"\xff" * 9

    assert serials(decode_certificates(made())) == [7]
    assert serials(decode_certificates(chain)) == [7, 8]
    with pytest.raises(DecodeError, match="one certificate expected, found 2"):
        decode_certificate(chain)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "found blocks: none"),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "found blocks: X509 CRL"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n", "a block that ends"),
        (b"-----END CERTIFICATE-----\n", "out of place"),
        (b"-----BEGIN CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n", "out of place"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END X-----\n", "out of place"),
        (b"-----BEGIN CERTIFICATE-----\nA\x00AA\n-----END CERTIFICATE-----\n", "not base64"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "tag 0x30 expected"),
        (b"#" * ((1 << 20) + 1), "over the limit"),
        (b"-----BEGIN X-----\n-----END X-----\n" * 513, "at most 512"),
        (made() * (MAX_IN_A_ROW + 1), "more than 16 in a row"),
    ],
)
def test_files_without_whole_certificates_are_refused(raw: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=r".") as caught:
        decode_certificates(raw)

    assert why in str(caught.value)


def test_every_curve_of_the_profile_is_known_by_name() -> None:
    for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()):
        key = ec.generate_private_key(curve)

        decoded = decode_certificate(made(Shape(key=key))).key

        numbers = key.public_key().public_numbers()
        assert (decoded.curve, decoded.x, decoded.y) == (curve.name, numbers.x, numbers.y)
