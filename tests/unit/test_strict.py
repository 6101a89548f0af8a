"""Strict readings of text: what Python would accept and we do not."""

import json

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.strict import JSON_DEPTH, decimal, hex_bytes, json_value


@pytest.mark.parametrize(
    ("text", "raw"), [("", b""), ("00ff", b"\x00\xff"), ("0123456789abcdef", bytes.fromhex("0123456789abcdef"))]
)
def test_lower_case_hexadecimal_is_read(text: str, raw: bytes) -> None:
    assert hex_bytes(text, "digest") == raw


@pytest.mark.parametrize(
    "text", ["0", "FF", "0x00", "00 ff", " 00", "00\n", "0g", "\u0660\u0660", "00:ff", "\uff10\uff10"]
)
def test_any_other_hexadecimal_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match="lower-case hexadecimal expected"):
        hex_bytes(text, "digest")


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("7", 7), ("10", 10), ("9" * 19, int("9" * 19))])
def test_plain_decimal_digits_are_read(text: str, number: int) -> None:
    assert decimal(text, "index") == number


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "01", "00", "1_0", " 1", "1\n", "1.0", "1e3", "\u0663", "0x1", "9" * 20]
)
def test_any_other_number_is_refused(text: str) -> None:
    with pytest.raises(DecodeError, match="decimal number expected"):
        decimal(text, "index")


def test_a_refusal_shows_the_text_as_ascii_and_cut() -> None:
    with pytest.raises(DecodeError) as refusal:
        hex_bytes("\x1b[31m\u202e" + "x" * 100, "digest")

    assert refusal.value.why.isascii()
    assert refusal.value.why.isprintable()
    assert len(refusal.value.why) < 120


DOCUMENTS = [None, True, 1, -2.5, "text", '"}{][\\', [], {}, [[1], {"a": {"b": "]]"}}], {"\u202e": '\\"'}]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_json_is_read(document: object) -> None:
    assert json_value(json.dumps(document).encode(), "document") == document


@pytest.mark.parametrize("raw", [b'{"a": 1, "a": 2}', b'[{"b": {"a": 1, "\\u0061": 2}}]'])
def test_a_key_that_stands_twice_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError, match="names a key twice"):
        json_value(raw, "document")


@pytest.mark.parametrize("raw", [b"NaN", b"[Infinity]", b'{"a": -Infinity}'])
def test_what_is_no_number_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError, match="is not JSON"):
        json_value(raw, "document")


@pytest.mark.parametrize(
    ("raw", "offset"),
    [
        (b"", 0),
        (b'{"a"', 4),
        (b"[1,]", 3),
        (b"1 2", 2),
        (b"[1] x", 4),
        (b'"\xff"', 1),
        (b"\xef\xbb\xbf1", 0),
        (b"'a'", 0),
    ],
)
def test_what_is_not_json_is_refused_where_it_ends_to_be(raw: bytes, offset: int) -> None:
    with pytest.raises(DecodeError, match="not JSON") as refusal:
        json_value(raw, "document")

    assert refusal.value.offset == offset


def test_a_number_of_too_many_digits_is_refused() -> None:
    with pytest.raises(DecodeError, match="not JSON"):
        json_value(b"1" * 5000, "document")


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_nesting_is_bounded(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"

    json_value(opening * JSON_DEPTH + b"1" + closing * JSON_DEPTH, "document")
    with pytest.raises(DecodeError, match="nested deeper than 32"):
        json_value(opening * (JSON_DEPTH + 1) + b"1" + closing * (JSON_DEPTH + 1), "document")


@pytest.mark.parametrize("text", ['"' + "[" * 100 + '"', '"\\"' + "{" * 100 + '"', '"\\\\", ["' + "[" * 100 + '"]'])
def test_brackets_in_a_string_are_no_nesting(text: str) -> None:
    assert json_value(f"[{text}]".encode(), "document")


def test_a_million_opening_brackets_are_refused_before_they_are_parsed() -> None:
    with pytest.raises(DecodeError, match="nested deeper"):
        json_value(b"[" * 1_000_000, "document")
