"""Platform certificates: recorded ones against what another decoder made of them, and broken ones."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.platform_certificate import decode_platform_certificate
from bartizan.formats.x509 import decode_certificate
from bartizan.model.platform import PlatformForm, PlatformKind
from tests.simulator.tpm_ca import (
    BIT_STRING,
    GENERALIZED_TIME,
    SEQUENCE,
    SET,
    Shape,
    attribute,
    extension,
    integer,
    issue,
    made,
    name,
    oid,
    rsa_key,
    tlv,
)

VECTORS = Path(__file__).parents[1] / "vectors"
CERTIFICATES = VECTORS / "certificates"
DECODED = sorted((CERTIFICATES / "google_go-attestation").glob("*.cer.json"))


@pytest.mark.parametrize("expected", DECODED, ids=lambda path: path.stem)
def test_a_recorded_certificate_says_what_another_decoder_reads(expected: Path) -> None:
    other = json.loads(expected.read_text(encoding="utf-8"))

    certificate = decode_platform_certificate(expected.with_suffix("").read_bytes())

    assert certificate.form is PlatformForm.ATTRIBUTE
    assert (certificate.manufacturer, certificate.model) == (other["PlatformManufacturer"], other["PlatformModel"])
    assert (certificate.version, certificate.platform_serial) == (other["PlatformVersion"], other["PlatformSerial"])
    assert certificate.serial == other["SerialNumber"]
    assert certificate.holder is not None
    assert certificate.holder.serial == other["Holder"]["Serial"]
    assert f"CN={other['Holder']['Issuer']['CommonName']}" in certificate.holder.issuer_text
    assert f"CN={other['Issuer']['CommonName']}" in certificate.issuer_text
    assert certificate.not_before.strftime("%Y-%m-%dT%H:%M:%SZ") == other["NotBefore"]
    assert certificate.not_after.strftime("%Y-%m-%dT%H:%M:%SZ") == other["NotAfter"]


def test_a_recorded_certificate_names_the_ek_certificate_that_it_belongs_to() -> None:
    folder = CERTIFICATES / "nsacyber_HIRS"
    platform = decode_platform_certificate((folder / "pciids_plat_cert_2-0.pem").read_bytes())
    ek = decode_certificate((folder / "nuc-1-ek_cert_untouched.cer").read_bytes())

    assert platform.holder is not None
    assert (platform.holder.issuer, platform.holder.issuer_text) == (ek.issuer, ek.issuer_text)


def test_a_recorded_delta_certificate_names_its_base() -> None:
    folder = CERTIFICATES / "nsacyber_HIRS"
    delta = decode_platform_certificate((folder / "plat_delta_cert1.pem").read_bytes())

    assert (delta.kind, delta.model) == (PlatformKind.DELTA, "S2600KP")
    assert delta.holder is not None
    assert delta.holder.serial == 0x602967EA7924FDEE6CC150B91E83777D1F427999


def test_the_public_key_form_carries_the_ek_and_no_holder() -> None:
    platform = decode_platform_certificate((VECTORS / "boots/good/plat_cert.der").read_bytes())
    ek = decode_certificate((VECTORS / "boots/good/ek_cert.der").read_bytes())

    assert (platform.form, platform.kind) == (PlatformForm.PUBLIC_KEY, PlatformKind.BASE)
    assert (platform.holder, platform.key) == (None, ek.key)
    assert (platform.manufacturer, platform.model, platform.version) == ("AttestDemo", "QEMU-q35", "2.1")


HOLDER = tlv(SEQUENCE, tlv(0xA0, tlv(SEQUENCE, tlv(0xA4, name("EK CA"))), integer(99)))
ISSUER = tlv(0xA0, tlv(SEQUENCE, tlv(0xA4, name("Maker"))))
ALGORITHM = tlv(SEQUENCE, oid("1.2.840.10045.4.3.2"))
VALIDITY = tlv(SEQUENCE, tlv(GENERALIZED_TIME, b"20200101000000Z"), tlv(GENERALIZED_TIME, b"20300101000000Z"))
NO_ATTRIBUTES = tlv(SEQUENCE)
MACHINE = extension(
    "2.5.29.17", tlv(SEQUENCE, tlv(0xA4, tlv(SEQUENCE, tlv(SET, attribute("2.23.133.5.1.1", "Maker")))))
)


def attributes(*pairs: tuple[str, bytes]) -> bytes:
    return tlv(SEQUENCE, *(tlv(SEQUENCE, oid(dotted), tlv(SET, value)) for dotted, value in pairs))


def credential_type(dotted: str) -> bytes:
    return attributes(("2.23.133.2.25", tlv(SEQUENCE, oid(dotted))), ("2.23.133.2.23", tlv(SEQUENCE)))


def attribute_certificate(**parts: bytes) -> bytes:
    """An attribute certificate of these parts; `signed` adds to the end of the signed part."""
    whole = {
        "version": integer(1),
        "holder": HOLDER,
        "issuer": ISSUER,
        "algorithm": ALGORITHM,
        "serial": integer(5),
        "validity": VALIDITY,
        "attributes": NO_ATTRIBUTES,
        "extensions": tlv(SEQUENCE, MACHINE),
        **parts,
    }
    return tlv(SEQUENCE, tlv(SEQUENCE, *whole.values()), ALGORITHM, tlv(BIT_STRING, b"\0sig"))


def test_every_field_of_an_attribute_certificate_is_read() -> None:
    raw = attribute_certificate(attributes=credential_type("2.23.133.8.5"))

    certificate = decode_platform_certificate(raw)

    assert (certificate.raw, certificate.signature) == (raw, b"sig")
    assert certificate.tbs in raw
    assert (certificate.signature_oid, certificate.signature_hash) == ("1.2.840.10045.4.3.2", "sha256")
    assert certificate.holder is not None
    assert (certificate.holder.issuer, certificate.holder.serial) == (name("EK CA"), 99)
    assert (certificate.issuer, certificate.serial) == (name("Maker"), 5)
    assert (certificate.not_before, certificate.not_after) == (
        datetime(2020, 1, 1, tzinfo=UTC),
        datetime(2030, 1, 1, tzinfo=UTC),
    )
    assert (certificate.kind, certificate.manufacturer, certificate.model) == (PlatformKind.DELTA, "Maker", "")
    assert (certificate.key, certificate.repairs) == (None, ())


def test_an_older_issuer_form_a_missing_holder_and_no_extensions_are_read() -> None:
    raw = attribute_certificate(
        holder=tlv(SEQUENCE, tlv(0xA1, tlv(0xA4, name("x")))),
        issuer=tlv(SEQUENCE, tlv(0xA4, name("Maker"))),
        extensions=b"",
        attributes=credential_type("2.23.133.8.99"),
    )

    certificate = decode_platform_certificate(raw)

    assert (certificate.holder, certificate.issuer) == (None, name("Maker"))
    assert (certificate.manufacturer, certificate.kind) == ("", PlatformKind.UNKNOWN)


def test_a_holder_with_a_unique_identifier_is_read() -> None:
    holder = tlv(SEQUENCE, tlv(0xA0, tlv(SEQUENCE, tlv(0xA4, name("EK CA"))), integer(99), tlv(BIT_STRING, b"\0")))

    assert decode_platform_certificate(attribute_certificate(holder=holder)).holder is not None


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (attribute_certificate(version=integer(0)), "of version 2 expected"),
        (attribute_certificate(issuer=tlv(0xA0, tlv(SEQUENCE))), "one directory name expected, found 0"),
        (attribute_certificate(algorithm=tlv(SEQUENCE, oid("1.2.3"))), "as beside the signature expected"),
        (attribute_certificate(validity=tlv(SEQUENCE)), "1 bytes expected"),
        (attribute_certificate(attributes=attributes(*[("1.2.3", b"")] * 65)), "more than 64 attributes"),
        (attribute_certificate(more=b"\x05\x00"), "left over"),
        (made(), "its extended key usage names no platform certificate"),
        (made() * 2, "one expected, found 2"),
        (b"", "one PEM certificate expected, found 0 blocks"),
    ],
)
def test_what_is_no_platform_certificate_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=r".") as caught:
        decode_platform_certificate(raw)

    assert why in str(caught.value)


def test_an_attribute_certificate_is_no_ek_certificate() -> None:
    with pytest.raises(DecodeError, match="found an attribute certificate"):
        decode_certificate(attribute_certificate())


def test_a_certificate_of_version_one_is_not_taken_for_an_attribute_certificate() -> None:
    assert decode_certificate(issue(Shape(version=b"", tail=b""), rsa_key("ca"))).serial == 7
