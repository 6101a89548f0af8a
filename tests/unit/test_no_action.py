"""EV_NO_ACTION events are told apart by their signature, and each has exactly its form."""

import struct

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.no_action import MAX_LOCATOR, MAX_PADDING, decode_no_action
from bartizan.model.event_data import Locator, NoAction, PlatformReference, StartupLocality
from tests.unit.uefi_bytes import OWNER

STARTUP = b"StartupLocality\0"


def sized(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def platform_event(number: bytes, tail: bytes = b"", *, model: bytes = b"Box 1\0") -> bytes:
    head = b"SP800-155 Event" + number + struct.pack("<I", 343) + OWNER
    texts = (
        sized(b"Maker\0") + sized(model) + sized(b"\0") + sized(b"FW Maker\0") + struct.pack("<I", 7) + sized(b"2.7\0")
    )
    return head + texts + tail


def locator(kind: int, data: bytes, *, size: int | None = None) -> bytes:
    return struct.pack("<II", kind, len(data) if size is None else size) + data


@pytest.mark.parametrize("locality", [0, 3, 4, 255])
def test_the_startup_locality_is_read(locality: int) -> None:
    assert decode_no_action(STARTUP + bytes([locality])) == StartupLocality(locality=locality)


@pytest.mark.parametrize("raw", [STARTUP, STARTUP + b"\3\0"])
def test_a_startup_locality_of_another_size_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError, match="StartupLocality"):
        decode_no_action(raw)


def test_the_first_form_of_a_platform_reference_is_an_id_and_a_manifest() -> None:
    raw = b"SP800-155 Event\0" + struct.pack("<I", 343) + OWNER

    assert decode_no_action(raw) == PlatformReference(version=1, vendor_id=343, manifest=OWNER)


def test_the_second_form_names_platform_and_firmware() -> None:
    found = decode_no_action(platform_event(b"2"))

    assert isinstance(found, PlatformReference)
    assert (found.version, found.manufacturer, found.model, found.platform_version) == (2, "Maker", "Box 1", "")
    assert (found.firmware_manufacturer, found.firmware_vendor_id, found.firmware_version) == ("FW Maker", 7, "2.7")
    assert found.manifest_locator is None


def test_the_third_form_says_where_the_manifest_is() -> None:
    tail = locator(1, b"https://example.org/rim\0") + locator(0, b"")
    found = decode_no_action(platform_event(b"3", tail + bytes(MAX_PADDING)))

    assert isinstance(found, PlatformReference)
    assert found.manifest_locator == Locator(1, b"https://example.org/rim\0")
    assert found.certificate_locator == Locator(0, b"")


@pytest.mark.parametrize(
    "raw",
    [
        b"SP800-155 Event\0" + bytes(19),
        b"SP800-155 Event\0" + bytes(21),
        platform_event(b"2")[:-1],
        platform_event(b"2", b"x"),
        platform_event(b"2", bytes(MAX_PADDING + 1)),
        platform_event(b"2", model=b"\xff\xfe"),
        platform_event(b"3"),
        platform_event(b"3", locator(1, b"a")),
        platform_event(b"3", locator(1, b"a", size=2**32 - 1) + locator(0, b"")),
        platform_event(b"3", locator(0, bytes(MAX_LOCATOR + 1)) + locator(0, b"")),
    ],
)
def test_a_malformed_platform_reference_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_no_action(raw)


def test_any_other_signature_keeps_its_bytes() -> None:
    assert decode_no_action(b"NvIndexDynamic \0rest") == NoAction(signature="NvIndexDynamic ", data=b"rest")


@pytest.mark.parametrize(
    "raw", [b"", b"StartupLocality", bytes(16), b"\x04\0\1\xc0" * 4, b"Startup\0Locality", b"\xff" * 16]
)
def test_data_without_a_signature_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError, match="signature"):
        decode_no_action(raw)
