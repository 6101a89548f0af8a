"""TPM 2.0 structures: any bytes are read or refused, every truncation is refused, what is written is read back."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bartizan.errors import DecodeError
from bartizan.formats.public_key import decode_public_key
from bartizan.formats.tpm2 import (
    decode_attest,
    decode_credential,
    decode_public,
    decode_signature,
    encode_attest,
    encode_credential,
    encode_public,
    encode_signature,
)
from tests.simulator.quotes import SHA1, SHA256, SHA384, SIGNERS, Quote, bitmap, sized

Decode = Callable[[bytes], object]
SAMPLES: list[tuple[Decode, bytes]] = [
    (
        decode_attest,
        Quote(
            signer=bytes(34),
            extra=bytes(32),
            selections=((SHA256, bitmap((0, 7))), (SHA1, bitmap((9,)))),
            digest=bytes(32),
        ).encode(),
    ),
    *((decode_public, SIGNERS[name].public()) for name in ("rsapss-sha384", "ecdsa-p256-sha256")),
    *((decode_signature, SIGNERS[name].sign(b"").encode()) for name in ("rsassa-sha256", "ecdsa-p384-sha384")),
]
NAMES = ["quote", "RSA key", "ECC key", "RSA signature", "ECDSA signature"]


def is_total(decode: Decode, raw: bytes) -> None:
    """It returns, or raises a `DecodeError` that points into the input."""
    offset = 0
    try:
        decode(raw)
    except DecodeError as error:
        offset = error.offset
    assert 0 <= offset <= len(raw)


@pytest.mark.parametrize("decode", [decode_attest, decode_public, decode_signature, decode_public_key])
@settings(deadline=None)
@given(raw=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(decode: Decode, raw: bytes) -> None:
    is_total(decode, raw)


@settings(deadline=None)
@given(blob=st.binary(max_size=200), secret=st.binary(max_size=200))
def test_any_credential_is_read_or_refused(blob: bytes, secret: bytes) -> None:
    for first, second in ((blob, secret), (sized(blob), sized(secret))):
        try:
            found = decode_credential(first, second)
        except DecodeError:
            continue
        assert encode_credential(found) == (first, second)


@pytest.mark.parametrize(("decode", "raw"), SAMPLES, ids=NAMES)
@settings(deadline=None)
@given(data=st.data())
def test_any_change_of_a_genuine_one_is_read_or_refused(decode: Decode, raw: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, len(raw)))

    is_total(decode, raw[:start] + data.draw(st.binary(max_size=40)) + raw[end:])


@pytest.mark.parametrize(("decode", "raw"), SAMPLES, ids=NAMES)
def test_every_truncation_is_refused(decode: Decode, raw: bytes) -> None:
    decode(raw)
    for size in range(len(raw)):
        with pytest.raises(DecodeError):
            decode(raw[:size])


@pytest.mark.parametrize(("decode", "raw"), SAMPLES, ids=NAMES)
@settings(deadline=None)
@given(tail=st.binary(min_size=1, max_size=20))
def test_bytes_left_over_are_refused(decode: Decode, raw: bytes, tail: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(raw + tail)


NUMBERS = {size: st.integers(0, 2 ** (8 * size) - 1) for size in (4, 8)}
SELECTIONS = st.lists(
    st.tuples(st.sampled_from([SHA1, SHA256, SHA384, 0x99]), st.binary(min_size=1, max_size=4)),
    max_size=4,
    unique_by=lambda pair: pair[0],
)


@settings(deadline=None)
@given(
    signer=st.binary(max_size=66),
    extra=st.binary(max_size=66),
    selections=SELECTIONS,
    digest=st.binary(max_size=64),
    numbers=st.tuples(NUMBERS[8], NUMBERS[4], NUMBERS[4], st.integers(0, 1), NUMBERS[8], NUMBERS[4]),
)
def test_a_quote_is_read_back_field_by_field(
    signer: bytes,
    extra: bytes,
    selections: list[tuple[int, bytes]],
    digest: bytes,
    numbers: tuple[int, int, int, int, int, int],
) -> None:
    clock, reset, restart, safe, firmware, magic = numbers
    quote = Quote(
        magic=magic,
        signer=signer,
        extra=extra,
        selections=tuple(selections),
        digest=digest,
        clock=clock,
        reset_count=reset,
        restart_count=restart,
        safe=safe,
        firmware=firmware,
    )
    found = decode_attest(quote.encode())

    assert (found.qualified_signer, found.extra_data, found.firmware_version) == (signer, extra, firmware)
    assert (found.clock.clock, found.clock.reset_count, found.clock.restart_count) == (clock, reset, restart)
    assert encode_attest(found) == quote.encode()


@pytest.mark.parametrize("decode", [decode_public, decode_signature, decode_attest])
@settings(deadline=None)
@given(data=st.data())
def test_what_is_read_is_written_back_as_it_was(decode: Decode, data: st.DataObject) -> None:
    """The wire form is canonical: whatever is accepted has this one form."""
    encode: dict[Decode, Callable[..., bytes]] = {
        decode_public: encode_public,
        decode_signature: encode_signature,
        decode_attest: encode_attest,
    }
    raw = bytearray(data.draw(st.sampled_from([sample for kind, sample in SAMPLES if kind is decode])))
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode(bytes(raw))
    except DecodeError:
        return
    assert encode[decode](found) == bytes(raw)
