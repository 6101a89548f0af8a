"""Quotes that an emulated TPM made: each key with each selection, and one after a dynamic launch."""

from pathlib import Path

import pytest

from bartizan.errors import VerifyError
from bartizan.formats.pcr_file import decode_pcr_file
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.tpm2 import decode_attest, decode_public, decode_signature
from bartizan.model.digest import HashAlg
from bartizan.model.evidence import Challenge, ReportedQuote, VerifiedQuote
from bartizan.verify.boot import verify_boot
from bartizan.verify.quote import verify_quote
from tests.simulator.quotes import flipped

SWTPM = Path(__file__).parent.parent / "vectors" / "boots" / "swtpm"
KEYS = ("ak_rsa2048", "ak_ecc256", "ak_ecc384")
SELECTED: dict[str, dict[int, frozenset[int]]] = {
    "sha1": {HashAlg.SHA1: frozenset((*range(8), 10))},
    "sha256": {HashAlg.SHA256: frozenset(range(15))},
    "sha384": {HashAlg.SHA384: frozenset((*range(8), 10))},
    "sha1+sha256": {HashAlg.SHA1: frozenset((10,)), HashAlg.SHA256: frozenset(range(11))},
}
"""What was asked for, by the name in the file's name."""
QUOTES = [(key, banks) for key in KEYS for banks in SELECTED]


def verified(key: str, banks: str, *, nonce: bytes | None = None, attest: bytes | None = None) -> VerifiedQuote:
    raw = attest or (SWTPM / f"{key}.{banks}.attest").read_bytes()
    reported = ReportedQuote(
        attest=decode_attest(raw), signature=decode_signature((SWTPM / f"{key}.{banks}.sig").read_bytes())
    )
    challenge = Challenge(
        extra_data=nonce or (SWTPM / "nonce.bin").read_bytes(),
        selection=SELECTED[banks],
        pinned=HashAlg(max(SELECTED[banks])),
        recorded=True,
    )
    area = decode_public((SWTPM / f"{key}.tpm2b_public").read_bytes())
    values = decode_pcr_file((SWTPM / "pcrs.json").read_bytes())
    return verify_quote(reported, ak=area, untrusted_pcrs=values, challenge=challenge)


@pytest.mark.parametrize(("key", "banks"), QUOTES)
def test_every_recorded_quote_verifies(key: str, banks: str) -> None:
    found = verified(key, banks)

    assert {alg: frozenset(values) for alg, values in found.pcrs.items()} == SELECTED[banks]


def test_all_recorded_quotes_are_among_them() -> None:
    assert sorted(path.name for path in SWTPM.glob("*.attest")) == sorted(
        f"{key}.{banks}.attest" for key, banks in QUOTES
    )


@pytest.mark.parametrize(("key", "banks"), QUOTES)
def test_a_recorded_quote_with_one_bit_changed_is_refused(key: str, banks: str) -> None:
    raw = (SWTPM / f"{key}.{banks}.attest").read_bytes()

    with pytest.raises(VerifyError, match="does not match"):
        verified(key, banks, attest=flipped(raw))


@pytest.mark.parametrize(("key", "banks"), QUOTES)
def test_a_recorded_quote_does_not_answer_another_challenge(key: str, banks: str) -> None:
    with pytest.raises(VerifyError, match="is not the challenge"):
        verified(key, banks, nonce=flipped((SWTPM / "nonce.bin").read_bytes()))


def test_the_quote_after_a_dynamic_launch_verifies_and_its_log_explains_it() -> None:
    folder = SWTPM / "drtm"
    reported = ReportedQuote(
        attest=decode_attest((folder / "quote.attest").read_bytes()),
        signature=decode_signature((folder / "quote.sig").read_bytes()),
    )
    launch_pcrs = frozenset((17, 18, 19))
    challenge = Challenge(
        extra_data=(folder / "nonce.bin").read_bytes(),
        selection=dict.fromkeys((HashAlg.SHA1, HashAlg.SHA256, HashAlg.SHA384), launch_pcrs),
        pinned=HashAlg.SHA256,
        recorded=True,
    )
    area = decode_public((folder / "ak.tpm2b_public").read_bytes())
    values = decode_pcr_file((folder / "pcrs.json").read_bytes())

    found = verify_quote(reported, ak=area, untrusted_pcrs=values, challenge=challenge)
    boot = verify_boot(
        None,
        found.pcrs,
        pinned=HashAlg.SHA256,
        launch_log=decode_boot_log((folder / "txt_eventlog.bin").read_bytes()),
    )

    assert boot.launched
    assert all(boot.explains(pcr, HashAlg.SHA256) for pcr in launch_pcrs)
