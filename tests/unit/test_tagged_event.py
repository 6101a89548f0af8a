"""Tagged events: a bounded number, bounded depth, and only known containers opened."""

import struct

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.tagged_event import MAX_DEPTH, MAX_TAGS, decode_tagged_events
from bartizan.model.event_data import Tag
from tests.unit.uefi_bytes import tag

CONTAINER = 0x40010001


def nested(depth: int) -> bytes:
    raw = b""
    for _ in range(depth):
        raw = tag(CONTAINER, raw)
    return raw


def test_tags_in_a_row_are_read() -> None:
    found = decode_tagged_events(tag(0x8F3B22EC, b"Linux initrd\0") + tag(7, b""))

    assert found.tags == (Tag(id=0x8F3B22EC, data=b"Linux initrd\0"), Tag(id=7, data=b""))


@pytest.mark.parametrize("number", [CONTAINER, 0x40010003, 0xC0010004])
def test_a_container_of_windows_is_opened(number: int) -> None:
    inner = tag(0x00050001, b"\0") + tag(0x00050002, b"\1")

    (found,) = decode_tagged_events(tag(number, inner)).tags

    assert found.data == inner
    assert [each.id for each in found.tags] == [0x00050001, 0x00050002]


@pytest.mark.parametrize("number", [0x00010001, 0x40020001, 0xF5BC582A])
def test_any_other_tag_stays_shut(number: int) -> None:
    (found,) = decode_tagged_events(tag(number, tag(1, b"x"))).tags

    assert found.tags == ()


def test_nesting_has_a_limit() -> None:
    decode_tagged_events(nested(MAX_DEPTH - 1))
    with pytest.raises(DecodeError, match=f"nested deeper than {MAX_DEPTH}"):
        decode_tagged_events(nested(MAX_DEPTH))


def test_the_number_of_tags_has_a_limit_inside_containers_too() -> None:
    most = tag(1, b"") * (MAX_TAGS - 1)

    assert len(decode_tagged_events(tag(CONTAINER, most)).tags[0].tags) == MAX_TAGS - 1
    with pytest.raises(DecodeError, match=f"more than {MAX_TAGS}"):
        decode_tagged_events(tag(CONTAINER, most) + tag(1, b""))


@pytest.mark.parametrize(
    ("raw", "offset"),
    [
        (b"", 0),
        (b"\1\0\0", 0),
        (b"\1\0\0\0\0\0", 4),
        (tag(1, b"ab")[:-1], 8),
        (struct.pack("<II", 1, 2**32 - 1), 8),
        (tag(CONTAINER, b"\1\0\0\0\xff\0\0\0"), 16),
        (tag(1, b"ab") + b"x", 10),
    ],
)
def test_a_malformed_tag_is_refused_at_its_place(raw: bytes, offset: int) -> None:
    with pytest.raises(DecodeError) as refusal:
        decode_tagged_events(raw)

    assert refusal.value.offset == offset
