"""Quotes in the forms that tools and older chips write: bare signatures, and those of TPM 1.2."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from bartizan.errors import DecodeError
from bartizan.formats.public_key import SigningKey
from bartizan.formats.quote_signature import decode_quote_signature
from bartizan.formats.tpm12 import composite_digests, decode_tpm12_quote, is_tpm12_quote
from bartizan.model.digest import HashAlg
from bartizan.model.tpm import Alg, EccKey, RsaKey, Scheme

RSA = RsaKey(bits=2048, exponent=0, modulus=b"\x80" + bytes(255))
ECC = EccKey(curve=3, kdf=None, x=bytes(32), y=bytes(32))
PSS_384 = Scheme(alg=Alg.RSAPSS, hash_alg=HashAlg.SHA384)
PAIR = encode_dss_signature(5, 7)
TPMT = bytes.fromhex("0018000b") + b"\x00\x01\x05\x00\x01\x07"
QUOTE = b"\x01\x01\x00\x00QUOT" + b"c" * 20 + b"n" * 20


@pytest.mark.parametrize(
    ("scheme", "alg", "hashed"),
    [
        (None, Alg.RSASSA, HashAlg.SHA256),
        (PSS_384, Alg.RSAPSS, HashAlg.SHA384),
        (Scheme(alg=Alg.RSASSA, hash_alg=None), Alg.RSASSA, HashAlg.SHA256),
        (Scheme(alg=Alg.RSASSA, hash_alg=0x7777), Alg.RSASSA, HashAlg.SHA256),
    ],
)
def test_a_bare_rsa_block_takes_its_hash_from_the_key(scheme: Scheme | None, alg: int, hashed: HashAlg) -> None:
    found = decode_quote_signature(b"s" * 256, SigningKey(key=RSA, scheme=scheme))

    assert (found.alg, found.hash_alg, found.rsa) == (alg, hashed, b"s" * 256)


def test_a_bare_pair_is_read_for_a_curve_and_for_no_other_key() -> None:
    found = decode_quote_signature(PAIR, SigningKey(key=ECC, scheme=None))

    assert found.alg == Alg.ECDSA
    assert [int.from_bytes(number or b"", "big") for number in (found.r, found.s)] == [5, 7]
    with pytest.raises(DecodeError):
        decode_quote_signature(PAIR, SigningKey(key=RSA, scheme=None))


@pytest.mark.parametrize("raw", [PAIR[:-1], b"\x30\x00", encode_dss_signature(1 << 2000, 7)])
def test_a_pair_that_is_none_or_too_large_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError, match=r"DER pair|over"):
        decode_quote_signature(raw, SigningKey(key=ECC, scheme=None))


def test_what_is_not_bare_is_read_as_the_tpm_writes_it() -> None:
    found = decode_quote_signature(TPMT, SigningKey(key=ECC, scheme=None))

    assert (found.alg, found.hash_alg) == (Alg.ECDSA, HashAlg.SHA256)
    with pytest.raises(DecodeError):
        decode_quote_signature(b"\x30" + bytes(600), SigningKey(key=ECC, scheme=None))


def test_a_quote_of_tpm_1_2_is_its_two_digests() -> None:
    found = decode_tpm12_quote(QUOTE)

    assert is_tpm12_quote(QUOTE)
    assert (found.raw, found.composite_digest, found.external_data) == (QUOTE, b"c" * 20, b"n" * 20)


def test_another_structure_or_size_is_no_quote_of_tpm_1_2() -> None:
    assert not is_tpm12_quote(b"\xff" + QUOTE[1:])
    for raw in (b"\xff" + QUOTE[1:], QUOTE + b"x", *(QUOTE[:size] for size in range(len(QUOTE)))):
        with pytest.raises(DecodeError):
            decode_tpm12_quote(raw)


def composite(select: bytes, *values: bytes) -> bytes:
    joined = b"".join(values)
    return hashlib.sha1(select + len(joined).to_bytes(4, "big") + joined, usedforsecurity=False).digest()


def test_a_composite_is_told_with_each_bitmap_that_holds_its_pcrs() -> None:
    low, high = b"l" * 20, b"h" * 20

    assert composite_digests({0: low}) == {composite(b"\0\2\1\0", low), composite(b"\0\3\1\0\0", low)}
    assert composite_digests({17: high, 0: low}) == {composite(b"\0\3\1\0\2", low, high)}
    assert composite_digests({24: low}) == frozenset()
