"""Texts of unstated encoding are read when they are texts, and refused when they are bytes."""

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.reader import LittleReader
from bartizan.formats.texts import MAX_TEXT, decode_labelled, decode_text, utf16, utf16_padded, utf16_terminated
from bartizan.model.event_data import Encoding, LabelledBlob


@pytest.mark.parametrize(
    ("raw", "text", "encoding"),
    [
        (b"Calling EFI Application", "Calling EFI Application", Encoding.UTF8),
        (b"ends with a null\0", "ends with a null", Encoding.UTF8),
        (b"etc/acpi/rsdp" + bytes(43), "etc/acpi/rsdp", Encoding.UTF8),
        ("Größe".encode(), "Größe", Encoding.UTF8),
        (b"menuentry {\n\tlinux\n}\x1b[0m", "menuentry {\n\tlinux\n}\x1b[0m", Encoding.UTF8),
        (b"", "", Encoding.UTF8),
        (b"\0", "", Encoding.UTF8),
        (b"\0\0", "", Encoding.UTF8),
        ("N1UET78W ".encode("utf-16-le") + b"\0\0", "N1UET78W ", Encoding.UTF16),
        ("root=/dev/sda".encode("utf-16-le"), "root=/dev/sda", Encoding.UTF16),
        ("quiet\0".encode("utf-16-le") + b"\0", "quiet", Encoding.UTF16),
        ("a€".encode("utf-16-le"), "a€", Encoding.UTF16),
    ],
)
def test_a_text_is_read(raw: bytes, text: str, encoding: Encoding) -> None:
    found = decode_text(raw)

    assert (found.text, found.encoding) == (text, encoding)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x10\x00\x00\x00",
        b"\xff\xff\xff\xff",
        b"\0\0\0",
        bytes(16),
        b"MokList\0\xaf",
        bytes.fromhex("1efb6b540c1d5540a4ad4ef4bf17b83a"),
        b"\x00\xd8",
        b"a\x07b",
        "鸡鸡".encode("utf-16-le"),
        b"\xff",
    ],
)
def test_bytes_are_no_text(raw: bytes) -> None:
    with pytest.raises(DecodeError, match="text"):
        decode_text(raw)


def test_a_text_over_the_limit_is_refused() -> None:
    with pytest.raises(DecodeError, match="over the limit"):
        decode_text(b"a" * (MAX_TEXT + 1))


def test_utf16_of_an_odd_length_is_refused_at_its_place() -> None:
    with pytest.raises(DecodeError, match="at byte 7: UTF-16 expected"):
        utf16(b"abc", "name", offset=7)


def test_an_unpaired_surrogate_is_kept() -> None:
    assert utf16(b"\x00\xd8a\0", "name") == "\ud800a"


def test_a_terminated_text_leaves_the_reader_behind_its_null() -> None:
    reader = LittleReader("Linux\0".encode("utf-16-le") + b"rest")

    assert utf16_terminated(reader, "description", limit=64) == "Linux"
    assert reader.rest() == b"rest"


@pytest.mark.parametrize("raw", [b"", b"a", b"a\0b\0", b"a\0b\0\0", "longer than it may be\0".encode("utf-16-le")])
def test_a_text_without_end_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError, match="no end of the text within 16 bytes"):
        utf16_terminated(LittleReader(raw), "description", limit=16)


def test_a_padded_field_ends_at_its_first_null() -> None:
    assert utf16_padded("ESP\0junk".encode("utf-16-le")) == "ESP"


def test_a_label_and_its_bytes_are_parted() -> None:
    assert decode_labelled(b"HPE\0\x01\x02") == LabelledBlob(label="HPE", data=b"\x01\x02")


@pytest.mark.parametrize("raw", [b"", b"HP\0\x01", b"HPE\0", b"HPE", b"\x01HPE\0\x01", b"a" * 65 + b"\0\x01"])
def test_bytes_without_a_label_are_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError, match="label"):
        decode_labelled(raw)
