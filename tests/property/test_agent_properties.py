"""The agent's CBOR against the service's, and its readers against anything: a document, or one kind of refusal."""

import contextlib
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.agent.cbor import CborError, decode, encode
from bartizan.agent.errors import MessageError, NoAnswer
from bartizan.agent.ima import count_entries
from bartizan.agent.members import Members, members
from bartizan.agent.messages import bound_extra_data, read_fault, read_given, read_opened, read_result, read_review
from bartizan.agent.spki import subject_public_key_info
from bartizan.formats.cbor import decode_cbor, encode_cbor
from bartizan.verify import binding

KEYS = st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=40)
VALUES = st.recursive(
    st.none() | st.booleans() | KEYS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=30,
)
READERS = (read_given, read_opened, read_review, read_result, read_fault)


@given(VALUES)
def test_both_sides_write_the_same_bytes_and_read_the_same_value(value: object) -> None:
    raw = encode(value)

    assert raw == encode_cbor(value)
    assert decode(raw) == decode_cbor(raw) == value


@given(VALUES)
@settings(max_examples=60)
def test_every_truncation_is_refused(value: object) -> None:
    raw = encode(value)

    for end in range(len(raw)):
        with pytest.raises(CborError):
            decode(raw[:end])


@given(st.binary(max_size=200))
@settings(max_examples=500)
def test_what_is_read_is_what_would_be_written_and_the_service_agrees(raw: bytes) -> None:
    try:
        value = decode(raw)
    except CborError:
        return
    assert encode(value) == raw
    assert decode_cbor(raw) == value


@given(VALUES, st.data())
def test_a_changed_byte_is_refused_or_read_as_what_it_says(value: object, data: st.DataObject) -> None:
    raw = bytearray(encode(value))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(CborError):
        assert encode(decode(bytes(raw))) == bytes(raw)


@given(VALUES)
def test_a_reader_of_replies_reads_or_refuses(value: object) -> None:
    for read in READERS:
        with contextlib.suppress(MessageError):
            read(Members(value, "reply"))


@given(st.binary(max_size=100))
def test_bytes_become_members_or_a_message_error(raw: bytes) -> None:
    with contextlib.suppress(MessageError):
        members(raw, "reply")


@given(st.text("abc.-_09", min_size=1, max_size=128), st.binary(min_size=16, max_size=128), st.binary(max_size=60))
def test_both_sides_bind_alike(node: str, nonce: bytes, posture: bytes) -> None:
    assert bound_extra_data(node, nonce, posture) == binding.bound_extra_data(node, nonce, posture)


@given(st.binary(max_size=300))
def test_a_certificate_is_walked_or_refused(raw: bytes) -> None:
    with contextlib.suppress(NoAnswer):
        subject_public_key_info(raw)


@given(st.binary(max_size=300))
def test_a_list_of_anything_can_be_counted(raw: bytes) -> None:
    assert 0 <= count_entries(io.BytesIO(raw)) <= len(raw)
