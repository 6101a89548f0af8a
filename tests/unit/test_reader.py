"""The bounded reader: it knows where it is, and never reads past its end."""

from collections.abc import Callable
from struct import Struct

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.reader import LittleReader, Reader

DATA = bytes(range(1, 17))
NUMBERS: list[tuple[str, int, int, int]] = [
    ("u8", 1, 0x01, 0x01),
    ("u16", 2, 0x0102, 0x0201),
    ("u32", 4, 0x01020304, 0x04030201),
    ("u64", 8, 0x0102030405060708, 0x0807060504030201),
]


@pytest.mark.parametrize(("name", "size", "big", "little"), NUMBERS)
def test_a_number_is_read_in_the_readers_byte_order(name: str, size: int, big: int, little: int) -> None:
    for kind, expected in ((Reader, big), (LittleReader, little)):
        reader = kind(DATA)

        assert getattr(reader, name)("number") == expected
        assert (reader.offset, reader.remaining) == (size, 16 - size)


@pytest.mark.parametrize(("name", "size"), [(name, size) for name, size, _, _ in NUMBERS])
def test_a_number_that_is_cut_short_is_refused_where_it_starts(name: str, size: int) -> None:
    reader = Reader(DATA, start=16 - size + 1)

    with pytest.raises(DecodeError, match="left") as refusal:
        getattr(reader, name)("number")

    assert (refusal.value.what, refusal.value.offset) == ("number", 16 - size + 1)


def test_bytes_are_taken_in_order() -> None:
    reader = Reader(DATA)

    assert (reader.take(3, "some"), reader.take(0, "none"), reader.rest()) == (DATA[:3], b"", DATA[3:])


@pytest.mark.parametrize("size", [17, -1, 2**64])
def test_more_bytes_than_there_are_or_fewer_than_none_are_refused(size: int) -> None:
    with pytest.raises(DecodeError, match="bytes expected, 16 left"):
        Reader(DATA).take(size, "some")


def test_a_fixed_layout_is_read_at_once_and_refused_when_cut_short() -> None:
    reader = Reader(DATA, end=5)

    assert reader.unpack(Struct(">HB"), "pair") == (0x0102, 3)
    with pytest.raises(DecodeError, match="3 bytes expected, 2 left"):
        reader.unpack(Struct(">HB"), "pair")


def test_looking_ahead_does_not_move_on() -> None:
    reader = Reader(DATA, start=4, end=8)

    assert (reader.peek(2), reader.peek(99), reader.peek_rest()) == (DATA[4:6], DATA[4:8], DATA[4:8])
    assert reader.glance(Struct(">H")) == (0x0506,)
    assert reader.offset == 4


SIZED: list[tuple[Callable[[Reader], bytes], bytes]] = [
    (lambda reader: reader.sized16("body", limit=4), b"\0\3"),
    (lambda reader: reader.sized32("body", limit=4), b"\0\0\0\3"),
]


@pytest.mark.parametrize(("read", "length"), SIZED)
def test_a_length_and_its_bytes_are_read(read: Callable[[Reader], bytes], length: bytes) -> None:
    assert read(Reader(length + b"abcd")) == b"abc"


@pytest.mark.parametrize(("read", "length"), SIZED)
def test_a_length_over_what_is_left_is_refused(read: Callable[[Reader], bytes], length: bytes) -> None:
    with pytest.raises(DecodeError, match="3 bytes expected, 2 left"):
        read(Reader(length + b"ab"))


@pytest.mark.parametrize(("read", "length"), SIZED)
def test_a_length_over_its_limit_is_refused_where_it_stands(read: Callable[[Reader], bytes], length: bytes) -> None:
    with pytest.raises(DecodeError, match="length 5 is over the limit of 4") as refusal:
        read(Reader(length[:-1] + b"\5" + b"abcde"))

    assert refusal.value.offset == 0


def test_a_window_ends_where_it_was_told_to() -> None:
    reader = Reader(DATA, start=2, end=4)

    assert reader.rest() == DATA[2:4]
    reader.finish("window")


def test_bytes_left_over_are_refused() -> None:
    reader = Reader(DATA)
    reader.take(10, "some")

    with pytest.raises(DecodeError, match="whole at byte 10: 6 bytes left over"):
        reader.finish("whole")


def test_a_caller_refuses_at_the_present_place() -> None:
    reader = Reader(DATA)
    reader.take(7, "some")

    assert (reader.refuse("field", "why").offset, str(reader.refuse("field", "why"))) == (7, "field at byte 7: why")
