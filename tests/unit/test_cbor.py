"""CBOR: what is read, what is refused and where, and that another reader reads what is written."""

import math

import cbor2
import pytest

from bartizan.errors import DecodeError
from bartizan.formats import cbor
from bartizan.formats.cbor import MAX_DEPTH, decode_cbor, encode_cbor
from bartizan.model.cbor import Array, Map, Simple, Tagged

READ = [
    ("00", 0),
    ("17", 23),
    ("1818", 24),
    ("190100", 256),
    ("1a00010000", 65536),
    ("1bffffffffffffffff", 2**64 - 1),
    ("20", -1),
    ("3bffffffffffffffff", -(2**64)),
    ("1800", 0),
    ("4401020304", b"\x01\x02\x03\x04"),
    ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"),
    ("62c3bc", "ü"),
    ("7f61616162ff", "ab"),
    ("80", []),
    ("8301820203820405", [1, [2, 3], [4, 5]]),
    ("9f0102ff", [1, 2]),
    ("a201020304", {1: 2, 3: 4}),
    ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
    ("a1410101", {b"\x01": 1}),
    ("c11a514b67b0", Tagged(1, 1363896240)),
    ("d82076687474703a2f2f7777772e6578616d706c652e636f6d", Tagged(32, "http://www.example.com")),
    ("c249010000000000000000", Tagged(2, b"\x01" + bytes(8))),
    ("f4", False),
    ("f5", True),
    ("f6", None),
    ("f7", Simple(23)),
    ("f0", Simple(16)),
    ("f8ff", Simple(255)),
    ("f93c00", 1.0),
    ("fa47c35000", 100000.0),
    ("fb3ff199999999999a", 1.1),
    ("f97c00", math.inf),
]
REFUSED = [
    ("", 0, "1 bytes expected"),
    ("0001", 1, "1 bytes left over"),
    ("18", 1, "1 bytes expected"),
    ("1c", 0, "additional information 28"),
    ("1f", 0, "additional information 31"),
    ("df00", 0, "additional information 31"),
    ("430102", 1, "3 bytes expected, 2 left"),
    ("5bffffffffffffffff", 9, "bytes expected"),
    ("61ff", 0, "not UTF-8"),
    ("5f00ff", 1, "a definite string of the same type"),
    ("5f5fffff", 1, "a definite string of the same type"),
    ("7f4100ff", 1, "a definite string of the same type"),
    ("5f41", 2, "1 bytes expected"),
    ("9bffffffffffffffff", 0, "announced"),
    ("830102", 0, "3 announced, 2 bytes left"),
    ("9f01", 2, "1 bytes expected"),
    ("a10102a0", 3, "left over"),
    ("a20102", 0, "2 announced, 2 bytes left"),
    ("bb7fffffffffffffff", 0, "announced"),
    ("bf0102", 3, "1 bytes expected"),
    ("bf01ff", 2, "stands where an item is expected"),
    ("a201010102", 3, "1 stands twice"),
    ("a20101180102", 3, "1 stands twice"),
    ("a2616101616102", 4, "'a' stands twice"),
    ("a18001", 1, "an integer, text or bytes expected"),
    ("a1a001", 1, "an integer, text or bytes expected"),
    ("a1f501", 1, "an integer, text or bytes expected"),
    ("a1c10001", 1, "an integer, text or bytes expected"),
    ("ff", 0, "stands where an item is expected"),
    ("fc", 0, "stands where an item is expected"),
    ("f800", 0, "stands where an item is expected"),
    ("f81f", 0, "stands where an item is expected"),
]


@pytest.mark.parametrize(("octets", "value"), READ, ids=[octets for octets, _ in READ])
def test_an_item_is_read(octets: str, value: object) -> None:
    found = decode_cbor(bytes.fromhex(octets))

    assert found == value
    assert type(found) is type(value) or isinstance(found, Array | Map)


@pytest.mark.parametrize(("octets", "offset", "why"), REFUSED, ids=[octets or "nothing" for octets, _, _ in REFUSED])
def test_what_is_not_well_formed_is_refused_where_it_breaks(octets: str, offset: int, why: str) -> None:
    with pytest.raises(DecodeError) as refused:
        decode_cbor(bytes.fromhex(octets))

    assert why in refused.value.why
    assert refused.value.offset == offset


def test_containers_know_where_they_stood() -> None:
    outer = decode_cbor(bytes.fromhex("8201a10280"))

    assert isinstance(outer, Array)
    assert outer.offset == 0
    assert isinstance(outer[1], Map)
    assert outer[1].offset == 2
    assert isinstance(outer[1][2], Array)
    assert outer[1][2].offset == 4


@pytest.mark.parametrize("head", ["81", "c1", "a100", "9f", "bf00"])
def test_nesting_ends_at_the_limit(head: str) -> None:
    ends = {"9f": "ff", "bf00": "ff"}
    fine = head * MAX_DEPTH + "00" + ends.get(head, "") * MAX_DEPTH
    deep = head * (MAX_DEPTH + 1) + "00" + ends.get(head, "") * (MAX_DEPTH + 1)

    decode_cbor(bytes.fromhex(fine))
    with pytest.raises(DecodeError, match="nested deeper than 32"):
        decode_cbor(bytes.fromhex(deep))


def test_a_hundred_thousand_heads_are_refused_at_once() -> None:
    with pytest.raises(DecodeError, match="nested deeper"):
        decode_cbor(b"\xc1" * 100_000)


def test_items_and_bytes_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cbor, "MAX_CBOR", 4)

    assert decode_cbor(bytes.fromhex("820000"), most_items=3) == [0, 0]
    with pytest.raises(DecodeError, match="more than 3 items"):
        decode_cbor(bytes.fromhex("83000000"), most_items=3)
    with pytest.raises(DecodeError, match="more than 2 items"):
        decode_cbor(bytes.fromhex("5f4040ff"), most_items=2)
    with pytest.raises(DecodeError, match="over the limit of 4"):
        decode_cbor(bytes(5))


WRITTEN: list[object] = [
    0,
    23,
    24,
    255,
    256,
    65535,
    65536,
    2**32,
    2**64 - 1,
    -1,
    -25,
    -(2**64),
    b"",
    b"x" * 300,
    "",
    "ü" * 40,
    True,
    False,
    None,
    [],
    [1, [2, "three"], b"4"],
    {},
    {1: "one", -1: 2, "a": [], b"b": {}},
    {"bb": 1, "a": 2, 10: 3, 100: 4, -1: 5},
]


@pytest.mark.parametrize("value", WRITTEN, ids=repr)
def test_what_is_written_is_what_another_writer_writes_canonically(value: object) -> None:
    raw = encode_cbor(value)

    assert decode_cbor(raw) == value
    assert cbor2.loads(raw) == value
    if not isinstance(value, dict):  # cbor2 sorts keys by their length first, as RFC 7049 had it
        assert cbor2.dumps(value, canonical=True) == raw


def test_keys_are_sorted_by_their_bytes() -> None:
    raw = encode_cbor({"b": 1, "aa": 2, 1000: 3, 9: 4})

    assert raw.hex() == "a4" + "0904" + "1903e803" + "616201" + "62616102"


def test_a_tag_is_written() -> None:
    assert encode_cbor(Tagged(501, [Tagged(1, 2)])).hex() == "d901f581c102"


@pytest.mark.parametrize("value", [1.5, {1, 2}, object()])
def test_what_has_no_place_in_our_documents_is_not_written(value: object) -> None:
    with pytest.raises(TypeError, match="not written as CBOR"):
        encode_cbor(value)
