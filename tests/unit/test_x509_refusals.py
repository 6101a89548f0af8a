"""Certificates that are refused, each for one reason."""

from datetime import UTC, datetime

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.stored import MAX_STORED
from bartizan.formats.x509 import decode_certificate
from tests.simulator.tpm_ca import (
    BIT_STRING,
    GENERALIZED_TIME,
    OCTET_STRING,
    SEQUENCE,
    SET,
    UTC_TIME,
    Shape,
    attribute,
    bare,
    extension,
    integer,
    made,
    oid,
    tlv,
    tpm_name,
    with_extensions,
)


def refusal(raw: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        decode_certificate(raw)
    return str(caught.value)


def test_unknown_critical_extensions_are_listed_and_known_ones_not() -> None:
    raw = with_extensions(
        tpm_name(),
        extension("2.5.29.32", tlv(SEQUENCE), critical=True),
        extension("2.5.29.9", tlv(SEQUENCE), critical=True),
        extension("1.2.3.4", b"", critical=True),
        extension("1.2.3.5", b""),
    )

    assert decode_certificate(raw).unknown_critical == ("1.2.3.4",)


def test_an_authority_key_without_identifier_says_nothing() -> None:
    assert decode_certificate(with_extensions(extension("2.5.29.35", tlv(SEQUENCE)))).authority_key_id is None


@pytest.mark.parametrize(
    ("extensions", "why"),
    [
        ([tpm_name(), tpm_name()], "stands there twice"),
        ([extension(f"1.2.3.{number}", b"") for number in range(65)], "more than 64 extensions"),
        ([extension("2.5.29.37", tlv(SEQUENCE, oid("1.2.3") * 65))], "more than 64 purposes"),
        ([extension("2.5.29.19", tlv(SEQUENCE, integer(-1)))], "below zero"),
        ([extension("2.5.29.19", tlv(SEQUENCE, integer(1 << 40)))], "integer of 1 to 4 octets"),
        ([extension("2.5.29.19", tlv(SEQUENCE, integer(1), integer(1)))], "left over"),
        ([extension("2.5.29.15", tlv(BIT_STRING, b"\x08\x80"))], "8 unused bits"),
        ([extension("2.5.29.15", tlv(BIT_STRING, b"\x01"))], "1 unused bits in 0 octets"),
        ([extension("2.5.29.15", tlv(BIT_STRING, b""))], "1 bytes expected"),
        ([extension("2.5.29.14", b"\x04\x01a\0")], "left over"),
        ([extension("2.5.29.17", tlv(SEQUENCE, tlv(0xA4, b"")))], "1 bytes expected"),
        ([tlv(SEQUENCE, oid("1.2.3"), tlv(0x01, b"\0\0"), tlv(OCTET_STRING))], "left over"),
        ([tlv(SEQUENCE, oid("1.2.3"), tlv(OCTET_STRING), b"\x05\0")], "left over"),
    ],
)
def test_malformed_extensions_are_refused(extensions: list[bytes], why: str) -> None:
    assert why in refusal(with_extensions(*extensions))


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        (Shape(version=bytes.fromhex("a003020103")), "version 1 to 3 expected, found 4"),
        (Shape(version=b""), "only version 3 has extensions"),
        (Shape(serial=1 << 600), "integer of 1 to 64 octets"),
        (Shape(tail=tlv(0xA4, b"")), "left over"),
        (Shape(key_info=tlv(SEQUENCE, tlv(SEQUENCE, oid("1.3.101.112")), tlv(BIT_STRING, bytes(33)))), "1.3.101.112"),
    ],
)
def test_a_certificate_of_another_kind_is_refused(shape: Shape, why: str) -> None:
    assert why in refusal(made(shape))


@pytest.mark.parametrize(
    ("bits", "why"),
    [
        (b"\0\x02" + bytes(32), "an uncompressed point expected"),
        (b"\0\x04" + bytes(63), "32 bytes expected, 31 left"),
        (b"\0\x04" + bytes(65), "left over"),
        (b"\x01\x04" + bytes(64), "whole octets expected"),
    ],
)
def test_a_malformed_point_is_refused(bits: bytes, why: str) -> None:
    algorithm = tlv(SEQUENCE, oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7"))

    assert why in refusal(made(Shape(key_info=tlv(SEQUENCE, algorithm, tlv(BIT_STRING, bits)))))


def test_explicit_curve_parameters_are_refused() -> None:
    algorithm = tlv(SEQUENCE, oid("1.2.840.10045.2.1"), tlv(SEQUENCE, integer(1)))
    info = tlv(SEQUENCE, algorithm, tlv(BIT_STRING, b"\0\x04" + bytes(64)))

    assert "namedCurve" in refusal(made(Shape(key_info=info)))


@pytest.mark.parametrize("numbers", [(0, 3), (5, 0), (5, -3)])
def test_an_rsa_key_without_positive_numbers_is_refused(numbers: tuple[int, int]) -> None:
    key = tlv(SEQUENCE, *(integer(number) for number in numbers))
    info = tlv(SEQUENCE, tlv(SEQUENCE, oid("1.2.840.113549.1.1.1"), tlv(0x05)), tlv(BIT_STRING, b"\0", key))

    assert "over zero expected" in refusal(made(Shape(key_info=info)))


def test_another_algorithm_beside_the_signature_is_refused() -> None:
    raw = made()
    tbs = decode_certificate(raw).tbs
    other = tlv(SEQUENCE, tbs, tlv(SEQUENCE, oid("1.2.840.10045.4.3.3")), tlv(BIT_STRING, b"\0"))

    assert "as beside the signature expected" in refusal(other)


@pytest.mark.parametrize(
    ("begins", "why"),
    [
        (tlv(UTC_TIME, b"2001010000Z"), "to the second in UTC"),
        (tlv(UTC_TIME, b"200101000000-"), "to the second in UTC"),
        (tlv(UTC_TIME, b"200230000000Z"), "no such date"),
        (tlv(GENERALIZED_TIME, b"00000101000000Z"), "no such date"),
        (tlv(GENERALIZED_TIME, b"20200101000060Z"), "no such date"),
        (tlv(GENERALIZED_TIME, b"20200101000000+0100"), "to the second in UTC"),
        (tlv(OCTET_STRING, b"200101000000Z"), "to the second in UTC"),
    ],
)
def test_a_time_of_another_form_is_refused(begins: bytes, why: str) -> None:
    assert decode_certificate(bare()).not_before == datetime(2020, 1, 1, tzinfo=UTC)
    assert why in refusal(bare(begins=begins))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "1 bytes expected, 0 left"),
        (b"\x30", "1 bytes expected, 0 left"),
        (b"\x30\x80\x00\x00", "a length of 1 to 4 octets expected, found 0"),
        (b"\x30\x85\0\0\0\0\1x", "a length of 1 to 4 octets expected, found 5"),
        (b"\x30\x84\xff\xff\xff\xff", "4294967295 bytes expected"),
        (b"\x3f\x81\x01x", "announces a number over 30"),
        (b"\x31\x00", "tag 0x30 expected, found 0x31"),
        (tlv(SEQUENCE, tlv(SEQUENCE)), "1 bytes expected, 0 left"),
        (b"x" * (MAX_STORED + 1), "over the limit"),
        (b"\x10\x01\x00", "2 bytes expected"),
    ],
)
def test_bytes_that_are_no_certificate_are_refused(raw: bytes, why: str) -> None:
    assert why in refusal(raw)


@pytest.mark.parametrize(
    ("identifier", "why"),
    [
        (b"", "1 to 64 octets"),
        (b"\x2a" * 65, "1 to 64 octets"),
        (b"\x2a\x80\x01", "padded"),
        (b"\x2a\x81", "within an arc"),
    ],
)
def test_a_malformed_object_identifier_is_refused(identifier: bytes, why: str) -> None:
    issuer = tlv(SEQUENCE, tlv(SET, tlv(SEQUENCE, tlv(0x06, identifier), tlv(0x0C, b"x"))))

    assert why in refusal(bare(issuer=issuer))


@pytest.mark.parametrize("dotted", ["0.9.2342.19200300.100.1.25", "1.39.1", "2.5.4.99", "2.999.3"])
def test_object_identifiers_are_written_with_dots(dotted: str) -> None:
    issuer = tlv(SEQUENCE, tlv(SET, attribute(dotted, "x")))

    labelled = {"0.9.2342.19200300.100.1.25": "DC"}.get(dotted, dotted)
    assert decode_certificate(bare(issuer=issuer)).issuer_text == f"{labelled}=x"
