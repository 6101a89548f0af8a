"""PCR values one behind the other: the same mapping as any other, and the same verdict."""

from dataclasses import replace

import pytest

from bartizan.errors import VerifyError
from bartizan.formats.tpm2 import decode_attest
from bartizan.model.digest import PCR_COUNT, HashAlg, PackedPcrs
from bartizan.model.tpm import QuoteInfo
from bartizan.verify.quote import check_pcr_digest
from tests.simulator.machine import AK
from tests.simulator.quotes import quote_of
from tests.simulator.tpm_identity import EK, under

SIZE = HashAlg.SHA256.size
VALUES = {pcr: bytes([pcr]) * SIZE for pcr in range(PCR_COUNT)}
RAW = b"".join(VALUES.values())
PACKED = PackedPcrs(RAW, size=SIZE)


def quoted() -> QuoteInfo:
    body = decode_attest(quote_of({HashAlg.SHA256: VALUES}, signer=under(EK, AK), extra=b"").encode()).body
    assert isinstance(body, QuoteInfo)
    return body


def test_packed_values_are_those_of_the_mapping_they_stand_for() -> None:
    assert dict(PACKED) == VALUES
    assert VALUES == PACKED
    assert PACKED == VALUES
    assert PackedPcrs(bytes(RAW), size=SIZE) == PACKED
    assert len(PACKED) == PCR_COUNT


def test_one_other_value_makes_them_unequal() -> None:
    other = PackedPcrs(RAW[:-1] + b"\0", size=SIZE)
    assert other != PACKED
    assert other != VALUES


@pytest.mark.parametrize("pcr", [-1, PCR_COUNT])
def test_there_is_no_pcr_beyond_the_last_and_none_counted_from_the_end(pcr: int) -> None:
    assert pcr not in PACKED
    with pytest.raises(KeyError):
        PACKED[pcr]


@pytest.mark.parametrize("length", [0, PCR_COUNT * SIZE - 1, PCR_COUNT * SIZE + 1])
def test_another_number_of_bytes_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match=f"24 values of 32 bytes expected, found {length} bytes"):
        PackedPcrs(bytes(length), size=SIZE)


def test_a_digest_over_packed_values_is_the_one_over_single_ones() -> None:
    for values in (VALUES, PACKED):
        assert check_pcr_digest(quoted(), {HashAlg.SHA256: values}, hash_alg=HashAlg.SHA256) == {HashAlg.SHA256: VALUES}


def test_packed_values_that_are_not_the_quoted_ones_are_refused() -> None:
    other = PackedPcrs(RAW[:-1] + b"\0", size=SIZE)
    with pytest.raises(VerifyError, match="digest differs"):
        check_pcr_digest(quoted(), {HashAlg.SHA256: other}, hash_alg=HashAlg.SHA256)


def test_packed_values_of_another_bank_are_refused() -> None:
    other = PackedPcrs(bytes(PCR_COUNT * 20), size=20)
    with pytest.raises(VerifyError, match="PCR 0 of sha256: 32 bytes expected, found 20 bytes"):
        check_pcr_digest(quoted(), {HashAlg.SHA256: other}, hash_alg=HashAlg.SHA256)


def test_of_packed_values_only_the_selected_ones_are_proved() -> None:
    (selection,) = quoted().selections
    some = replace(selection, pcrs=(0, 7))
    digest = HashAlg.SHA256.digest(VALUES[0] + VALUES[7])
    proved = check_pcr_digest(
        QuoteInfo(selections=(some,), pcr_digest=digest), {HashAlg.SHA256: PACKED}, hash_alg=HashAlg.SHA256
    )
    assert proved == {HashAlg.SHA256: {0: VALUES[0], 7: VALUES[7]}}
