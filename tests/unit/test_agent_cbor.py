"""What the agent's CBOR refuses, by name: all that the deterministic encoding of the protocol has no place for."""

import pytest

from bartizan.agent.cbor import MAX_DEPTH, CborError, decode, encode


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("", "1 bytes expected"),
        ("0000", "left over"),
        ("1817", "longer form"),
        ("1900ff", "longer form"),
        ("1a0000ffff", "longer form"),
        ("1b00000000ffffffff", "longer form"),
        ("1c", "reserved"),
        ("5f4100ff", "indefinite"),
        ("9fff", "indefinite"),
        ("c000", "a tag"),
        ("f90000", "a float"),
        ("e0", "simple"),
        ("f7", "simple"),
        ("f820", "simple"),
        ("61ff", "not UTF-8"),
        ("a1f500", "a key"),
        ("a18000", "a key"),
        ("a201000100", "one of them twice"),
        ("a202000100", "out of order"),
        ("9a00ffffff", "announced"),
        ("bb7fffffffffffffff00", "announced"),
        ("81" * (MAX_DEPTH + 1) + "00", "nested deeper"),
    ],
)
def test_what_has_no_place_is_refused(raw: str, why: str) -> None:
    with pytest.raises(CborError, match=why):
        decode(bytes.fromhex(raw))


def test_the_deepest_and_the_longest_that_is_allowed_is_read() -> None:
    assert decode(bytes.fromhex("81" * MAX_DEPTH + "00"))
    with pytest.raises(CborError, match="items"):
        decode(encode([0] * 100_000))


def test_what_the_protocol_does_not_use_is_not_written() -> None:
    with pytest.raises(TypeError):
        encode(1.5)
    with pytest.raises(OverflowError):
        encode(1 << 64)
