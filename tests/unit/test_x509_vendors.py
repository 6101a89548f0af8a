"""Certificates as real TPM makers and NV indices deliver them: read, and what was odd is said."""

from dataclasses import replace

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.x509 import decode_certificate
from bartizan.model.certificate import Repair
from tests.simulator.tpm_ca import (
    BIT_STRING,
    INTEGER,
    OCTET_STRING,
    SEQUENCE,
    SET,
    Shape,
    attribute,
    bare,
    extension,
    integer,
    issue,
    made,
    oid,
    pkcs1,
    rsa_key,
    tlv,
    with_extensions,
)


def refusal(raw: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        decode_certificate(raw)
    return str(caught.value)


def test_a_tpm_12_storage_header_is_passed() -> None:
    raw = made()
    header = bytes.fromhex("100100") + (len(raw) + 2).to_bytes(2, "big") + bytes.fromhex("1002")

    certificate = decode_certificate(header + raw)

    assert (certificate.raw, certificate.repairs) == (raw, (Repair.STORED_HEADER,))


def test_a_storage_header_with_another_size_is_said() -> None:
    assert decode_certificate(bytes.fromhex("10010000071002") + made()).repairs == (
        Repair.STORED_HEADER,
        Repair.STORED_SIZE,
    )


@pytest.mark.parametrize("header", ["10010104641002", "10010004641003"])
def test_another_storage_header_is_refused(header: str) -> None:
    assert "a full certificate expected" in refusal(bytes.fromhex(header) + made())


@pytest.mark.parametrize("padding", [bytes(100), b"\xff" * 700, b"\n"])
def test_padding_of_one_repeated_byte_is_passed(padding: bytes) -> None:
    raw = made()

    certificate = decode_certificate(raw + padding)

    assert (certificate.raw, certificate.repairs) == (raw, (Repair.PADDING,))


@pytest.mark.parametrize("rest", [b"\0\xff", bytes(90) + b"\x01", b"\x30\x03\x02\x01\x00"])
def test_anything_else_after_a_certificate_is_refused(rest: bytes) -> None:
    assert "left over" in refusal(made() + rest)


def test_name_attributes_out_of_order_are_read_and_said() -> None:
    parts = [attribute("2.5.4.3", "NTC TPM"), attribute("2.5.4.6", "TW")]
    unordered = tlv(SEQUENCE, tlv(SET, *sorted(parts, reverse=True)))
    raw = bare(issuer=unordered)

    certificate = decode_certificate(raw)

    assert certificate.repairs == (Repair.SET_ORDER,)
    assert (certificate.issuer, certificate.issuer_text) == (unordered, "CN=NTC TPM+C=TW")


def test_a_key_labelled_for_oaep_is_read_as_rsa() -> None:
    plain = Shape(key=rsa_key("ek")).info()
    labelled = plain.replace(oid("1.2.840.113549.1.1.1"), oid("1.2.840.113549.1.1.7"))

    certificate = decode_certificate(made(Shape(key_info=labelled)))

    assert certificate.repairs == (Repair.OAEP_KEY,)
    assert certificate.key.modulus == rsa_key("ek").public_key().public_numbers().n


def test_a_modulus_without_its_sign_octet_is_read_as_positive() -> None:
    modulus = rsa_key("ek").public_key().public_numbers().n
    bare = tlv(SEQUENCE, tlv(INTEGER, modulus.to_bytes(256, "big")), integer(65537))
    info = tlv(SEQUENCE, tlv(SEQUENCE, oid("1.2.840.113549.1.1.1"), tlv(0x05)), tlv(BIT_STRING, b"\0", bare))

    certificate = decode_certificate(made(Shape(key_info=info)))

    assert (certificate.key.modulus, certificate.repairs) == (modulus, (Repair.MODULUS_SIGN,))


@pytest.mark.parametrize(
    ("serial", "repair"),
    [(0, Repair.SERIAL_SIGN), (-5, Repair.SERIAL_SIGN), (1 << 160, Repair.LONG_SERIAL)],
)
def test_an_odd_serial_number_is_read_and_said(serial: int, repair: Repair) -> None:
    certificate = decode_certificate(made(Shape(serial=serial)))

    assert (certificate.serial, certificate.repairs) == (serial, (repair,))


def test_integers_and_lengths_that_are_too_long_are_read_and_said() -> None:
    padded = made(Shape(serial=0x01020304)).replace(tlv(INTEGER, b"\1\2\3\4"), tlv(INTEGER, b"\0\0\3\4"))
    raw = made()
    longer = b"\x30\x83\0" + raw[2:]

    assert decode_certificate(padded).repairs == (Repair.LONG_INTEGER,)
    assert decode_certificate(longer).repairs == (Repair.LONG_LENGTH,)


def test_spelled_out_defaults_and_lax_booleans_are_read_and_said() -> None:
    spelled = tlv(SEQUENCE, oid("2.5.29.19"), tlv(0x01, b"\0"), tlv(OCTET_STRING, tlv(SEQUENCE)))
    lax = tlv(SEQUENCE, oid("2.5.29.19"), tlv(0x01, b"\1"), tlv(OCTET_STRING, tlv(SEQUENCE)))
    version_one = made(Shape(version=bytes.fromhex("a003020100"), tail=b""))

    assert decode_certificate(with_extensions(spelled)).repairs == (Repair.SPELLED_DEFAULT,)
    assert decode_certificate(with_extensions(lax)).repairs == (Repair.LAX_BOOLEAN,)
    assert decode_certificate(version_one).repairs == (Repair.SPELLED_DEFAULT,)


def test_missing_or_surplus_algorithm_parameters_are_read_and_said() -> None:
    no_null = pkcs1()
    no_null = replace(no_null, algorithm=tlv(SEQUENCE, oid("1.2.840.113549.1.1.11")))
    surplus = replace(no_null, algorithm=tlv(SEQUENCE, oid("1.2.840.113549.1.1.11"), integer(1)))
    key = tlv(SEQUENCE, integer(5), integer(3))
    bare_key = tlv(SEQUENCE, tlv(SEQUENCE, oid("1.2.840.113549.1.1.1")), tlv(BIT_STRING, b"\0", key))

    assert decode_certificate(issue(Shape(), rsa_key("ca"), no_null)).repairs == ()
    assert decode_certificate(issue(Shape(), rsa_key("ca"), surplus)).repairs == (Repair.PARAMETERS,)
    assert decode_certificate(made(Shape(key_info=bare_key))).repairs == (Repair.PARAMETERS,)


def test_an_inner_algorithm_that_only_lacks_null_is_said() -> None:
    raw = issue(Shape(), rsa_key("ca"), pkcs1())
    tbs = decode_certificate(raw).tbs
    outer = tlv(SEQUENCE, tbs, tlv(SEQUENCE, oid("1.2.840.113549.1.1.11")), tlv(BIT_STRING, b"\0x"))

    assert decode_certificate(outer).repairs == (Repair.PARAMETERS,)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (tlv(0x13, b"Plain"), "CN=Plain"),
        (tlv(0x14, b"M\xfcnchen"), "CN=München"),
        (tlv(0x1E, "Ω".encode("utf-16-be")), "CN=Ω"),
        (tlv(0x0C, b"a,b=c"), "CN=a\\,b\\=c"),
        (tlv(0x0C, b"\x1b[2J\n"), "CN=\\x1b[2J\\n"),
        (tlv(0x0C, "a\u202eb".encode()), "CN=a\\u202eb"),
        (tlv(0x0C, b"\xff"), "CN=#0c01ff"),
        (tlv(0x02, b"\x05"), "CN=#020105"),
        (tlv(0x0C, b"x" * 300), "CN=" + "x" * 256 + "…"),
    ],
)
def test_a_name_is_text_that_harms_no_terminal(value: bytes, text: str) -> None:
    issuer = tlv(SEQUENCE, tlv(SET, tlv(SEQUENCE, oid("2.5.4.3"), value)))

    assert decode_certificate(bare(issuer=issuer)).issuer_text == text


def test_a_name_of_too_many_or_missing_attributes_is_refused() -> None:
    part = tlv(SET, attribute("2.5.4.3", "x"))

    assert decode_certificate(bare(issuer=tlv(SEQUENCE, part * 64))).issuer_text.count("CN=x") == 64
    assert "a part without an attribute" in refusal(bare(issuer=tlv(SEQUENCE, tlv(SET))))
    assert "more than 64 attributes" in refusal(bare(issuer=tlv(SEQUENCE, part * 65)))


def test_the_tpm_is_found_however_its_attributes_are_grouped() -> None:
    parts = [("2.23.133.2.1", "id:4E544300"), ("2.23.133.2.2", "NPCT"), ("2.23.133.2.1", "second")]
    one_set = tlv(SEQUENCE, tlv(SET, *(attribute(dotted, text) for dotted, text in parts)))
    alternative = tlv(SEQUENCE, tlv(0x82, b"host.example"), tlv(0xA4, one_set))

    tpm = decode_certificate(with_extensions(extension("2.5.29.17", alternative))).tpm

    assert tpm is not None
    assert (tpm.manufacturer, tpm.model, tpm.version) == ("id:4E544300", "NPCT", "")


def test_too_many_alternative_names_are_refused() -> None:
    alternative = tlv(SEQUENCE, tlv(0x82, b"a") * 65)

    assert "more than 64 names" in refusal(with_extensions(extension("2.5.29.17", alternative)))
