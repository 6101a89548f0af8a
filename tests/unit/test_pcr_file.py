"""PCR values as somebody wrote them."""

import json

import pytest

from bartizan.errors import DecodeError
from bartizan.formats.pcr_file import MAX_FILE, decode_pcr_file
from bartizan.model.digest import HashAlg

SHA256 = "ab" * 32


def written(document: object) -> bytes:
    return json.dumps(document).encode()


def test_banks_and_values_are_read_in_the_order_of_the_indices() -> None:
    banks = decode_pcr_file(written({"sha256": {"10": SHA256, "9": "00" * 32}, "sha1": {"23": "11" * 20}}))

    assert banks == {HashAlg.SHA256: {9: bytes(32), 10: b"\xab" * 32}, HashAlg.SHA1: {23: b"\x11" * 20}}
    assert list(banks[HashAlg.SHA256]) == [9, 10]


@pytest.mark.parametrize("alg", list(HashAlg))
def test_every_bank_that_has_a_name_is_read(alg: HashAlg) -> None:
    assert decode_pcr_file(written({alg.label: {"0": "00" * alg.size}})) == {alg: {0: bytes(alg.size)}}


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([], "an object such as"),
        ({}, "an object such as"),
        ("sha256", "an object such as"),
        ({"sha257": {"0": SHA256}}, "not a bank"),
        ({"SHA256": {"0": SHA256}}, "the bank is written sha256"),
        ({"\x1b[31m": {"0": SHA256}}, "not a bank"),
        ({"sha256": {}}, "an object of PCR values"),
        ({"sha256": [SHA256]}, "an object of PCR values"),
        ({"sha256": {"24": SHA256}}, "PCR 0 to 23"),
        ({"sha256": {"0": 7}}, "and a string expected"),
        ({"sha256": {"-1": SHA256}}, "decimal number expected"),
        ({"sha256": {"00": SHA256}}, "decimal number expected"),
        ({"sha256": {" 0": SHA256}}, "decimal number expected"),
        ({"sha256": {"0": SHA256.upper()}}, "lower-case hexadecimal"),
        ({"sha256": {"0": "0x" + SHA256}}, "lower-case hexadecimal"),
        ({"sha256": {"0": SHA256[2:]}}, "wrong length of 31 bytes"),
        ({"sha1": {"0": SHA256}}, "wrong length of 32 bytes"),
    ],
)
def test_another_document_is_refused(document: object, why: str) -> None:
    with pytest.raises(DecodeError, match=why) as refusal:
        decode_pcr_file(written(document))

    assert refusal.value.why.isprintable()


def test_a_bank_or_an_index_that_stands_twice_is_refused() -> None:
    for raw in (f'{{"sha256": {{"0": "{SHA256}", "0": "{SHA256}"}}}}', '{"sha1": {}, "sha1": {}}'):
        with pytest.raises(DecodeError, match="names a key twice"):
            decode_pcr_file(raw.encode())


def test_a_file_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(DecodeError, match="over the limit of 262144"):
        decode_pcr_file(b" " * (MAX_FILE + 1))
