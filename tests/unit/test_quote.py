"""One quote against the rules of verification: each field broken by itself, signed again by the TPM and not."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from bartizan.errors import DecodeError, VerifyError
from bartizan.formats.tpm2 import decode_attest, decode_public, decode_signature
from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.evidence import Challenge, ReportedQuote, VerifiedQuote
from bartizan.model.result import Tier
from bartizan.model.tpm import ClockInfo, QuoteInfo
from bartizan.verify.freshness import check_clock
from bartizan.verify.quote import check_pcr_digest, ranges, strength, verify_quote
from tests.simulator.machine import AK, ENROLMENT, IDENTITY
from tests.simulator.machine import SIGNER as HERE
from tests.simulator.quotes import (
    SHA1,
    SHA256,
    SHA384,
    SIGNERS,
    Quote,
    Signed,
    Signer,
    bitmap,
    broken,
    flipped,
    quote_of,
)
from tests.simulator.tpm_identity import EK, Case, under

PCRS = (0, 7, 10)
VALUES: PcrBanks = {
    HashAlg.SHA1: {pcr: bytes([pcr]) * 20 for pcr in PCRS},
    HashAlg.SHA256: {pcr: bytes([pcr]) * 32 for pcr in PCRS},
}
NONCE = b"\x5a" * 32
CHALLENGE = Challenge(
    extra_data=NONCE, selection={alg: frozenset(PCRS) for alg in VALUES}, pinned=HashAlg.SHA256, recorded=False
)
BEFORE = ClockInfo(clock=59_000, reset_count=7, restart_count=0, safe=True)
QUOTE = quote_of(VALUES, signer=under(EK, AK), extra=NONCE)


def verified(
    quote: Quote,
    signed: Signed | None = None,
    *,
    signer: Signer = HERE,
    values: PcrBanks = VALUES,
    challenge: Challenge = CHALLENGE,
) -> VerifiedQuote:
    """What verification makes of a quote; without a signature of its own the TPM signs it as it is."""
    raw = quote.encode()
    reported = ReportedQuote(
        attest=decode_attest(raw), signature=decode_signature((signed or signer.sign(raw)).encode())
    )
    return verify_quote(reported, ak=decode_public(signer.public()), untrusted_pcrs=values, challenge=challenge)


def accepted(quote: Quote, signed: Signed | None = None) -> None:
    """Quote, identity and clock together, as a Verifier goes through them."""
    attest = verified(quote, signed).attest
    Case(reported=IDENTITY, enrolment=ENROLMENT, signer=attest.qualified_signer).verify()
    check_clock(BEFORE, attest.clock)


def refused(check: str, why: str, tried: Callable[[], object]) -> None:
    with pytest.raises(VerifyError, match=why) as refusal:
        tried()

    assert refusal.value.check == check


def test_a_genuine_quote_is_accepted() -> None:
    accepted(QUOTE)


@pytest.mark.parametrize("name", SIGNERS)
def test_every_scheme_is_accepted_and_the_digest_is_the_schemes(name: str) -> None:
    signer = SIGNERS[name]
    quote = quote_of(VALUES, signer=QUOTE.signer, extra=NONCE, hash_alg=signer.hash_alg)

    assert verified(quote, signer=signer).pcrs == VALUES


BANK_ORDER = tuple(reversed(QUOTE.selections))
REFUSED: dict[str, tuple[Quote, str, str]] = {
    "magic": (replace(QUOTE, magic=0x41424344), "quote.signature", "magic ff544347 expected, found 41424344"),
    "qualifiedSigner": (replace(QUOTE, signer=flipped(QUOTE.signer)), "identity.ak-residency", "qualified signer"),
    "qualifiedSigner empty": (replace(QUOTE, signer=b""), "identity.ak-residency", "qualified signer"),
    "extraData": (replace(QUOTE, extra=flipped(NONCE)), "quote.extra-data", "is not the challenge"),
    "extraData shorter": (replace(QUOTE, extra=NONCE[:-1]), "quote.extra-data", "is not the challenge"),
    "extraData empty": (replace(QUOTE, extra=b""), "quote.extra-data", "is not the challenge"),
    "clock": (replace(QUOTE, clock=58_999), "quote.clock", "clock went back"),
    "resetCount": (replace(QUOTE, reset_count=6), "quote.clock", "resetCount went back"),
    "restartCount": (replace(QUOTE, restart_count=0, reset_count=7, clock=1), "quote.clock", "clock went back"),
    "selection bank": (
        replace(QUOTE, selections=((SHA1, bitmap(PCRS)), (SHA384, bitmap(PCRS)))),
        "quote.selection",
        "sha256: 0, 7, 10, the quote covers sha1: 0, 7, 10; sha384: 0, 7, 10",
    ),
    "selection bank unknown": (
        replace(QUOTE, selections=((SHA1, bitmap(PCRS)), (0x99, bitmap(PCRS)))),
        "quote.selection",
        "0x0099: 0, 7, 10",
    ),
    "selection without the pinned bank": (
        replace(QUOTE, selections=QUOTE.selections[:1]),
        "quote.selection",
        "the quote covers sha1: 0, 7, 10$",
    ),
    "selection with one bank more": (
        replace(QUOTE, selections=(*QUOTE.selections, (SHA384, bitmap((0,))))),
        "quote.selection",
        "sha384: 0$",
    ),
    "selection of nothing": (replace(QUOTE, selections=()), "quote.selection", "the quote covers nothing"),
    "selection PCR less": (
        replace(QUOTE, selections=(QUOTE.selections[0], (SHA256, bitmap((0, 7))))),
        "quote.selection",
        "sha256: 0, 7$",
    ),
    "selection PCR more": (
        replace(QUOTE, selections=(QUOTE.selections[0], (SHA256, bitmap((0, 7, 10, 16))))),
        "quote.selection",
        "sha256: 0, 7, 10, 16",
    ),
    "selection PCR other": (
        replace(QUOTE, selections=(QUOTE.selections[0], (SHA256, bitmap((0, 7, 11))))),
        "quote.selection",
        "sha256: 0, 7, 11",
    ),
    "selection PCR over 23": (
        replace(QUOTE, selections=(QUOTE.selections[0], (SHA256, bitmap((0, 7, 10, 31), 4)))),
        "quote.selection",
        "sha256: 0, 7, 10, 31",
    ),
    "selection in another order": (replace(QUOTE, selections=BANK_ORDER), "quote.pcr-digest", "not the quoted ones"),
    "digest": (replace(QUOTE, digest=flipped(QUOTE.digest)), "quote.pcr-digest", "digest differs from the signed one"),
    "digest shorter": (replace(QUOTE, digest=QUOTE.digest[:-1]), "quote.pcr-digest", "digest differs"),
    "digest of another hash": (
        quote_of(VALUES, signer=QUOTE.signer, extra=NONCE, hash_alg=SHA384),
        "quote.pcr-digest",
        "digest differs",
    ),
}


@pytest.mark.parametrize("field", REFUSED)
def test_one_wrong_field_is_refused_though_the_tpm_signed_it(field: str) -> None:
    quote, check, why = REFUSED[field]

    refused(check, why, lambda: accepted(quote))


UNSIGNED = REFUSED | {
    "firmwareVersion": (replace(QUOTE, firmware=QUOTE.firmware + 1), "", ""),
    "safe": (replace(QUOTE, safe=0), "", ""),
    "clock forward": (replace(QUOTE, clock=QUOTE.clock + 1), "", ""),
    "resetCount forward": (replace(QUOTE, reset_count=8), "", ""),
    "restartCount forward": (replace(QUOTE, restart_count=1), "", ""),
    "bitmap width": (replace(QUOTE, selections=((SHA1, bitmap(PCRS, 2)), (SHA256, bitmap(PCRS)))), "", ""),
}


@pytest.mark.parametrize("field", UNSIGNED)
def test_one_changed_field_is_refused_when_it_is_not_signed_again(field: str) -> None:
    """Whatever the field: the signature is over the exact bytes."""
    signed = HERE.sign(QUOTE.encode())

    refused("quote.signature", "does not match", lambda: accepted(UNSIGNED[field][0], signed))


@pytest.mark.parametrize("field", ["firmwareVersion", "safe", "clock forward", "resetCount forward", "bitmap width"])
def test_a_field_that_no_rule_speaks_of_may_be_otherwise_when_the_tpm_says_so(field: str) -> None:
    accepted(UNSIGNED[field][0])


def test_an_earlier_restart_of_the_same_boot_is_refused() -> None:
    now = replace(QUOTE, restart_count=1)
    accepted(now)

    with pytest.raises(VerifyError, match="restartCount went back") as refusal:
        check_clock(verified(now).attest.clock, verified(QUOTE).attest.clock)
    assert refusal.value.check == "quote.clock"


def test_an_older_clock_is_accepted_only_while_it_is_not_safe() -> None:
    accepted(replace(QUOTE, clock=1, safe=0))
    refused("quote.clock", "clock went back", lambda: accepted(replace(QUOTE, clock=1)))


STRUCTURAL: Mapping[str, Quote] = {
    "another type": replace(QUOTE, type=0x8014),
    "a certification's type on a quote's body": replace(QUOTE, type=0x8017),
    "safe over 1": replace(QUOTE, safe=2),
    "bytes behind it": replace(QUOTE, tail=b"\0"),
    "a bank twice": replace(QUOTE, selections=QUOTE.selections * 2),
}


@pytest.mark.parametrize("field", STRUCTURAL)
def test_what_is_no_quote_in_form_is_refused_undecoded_though_it_is_signed(field: str) -> None:
    with pytest.raises(DecodeError):
        accepted(STRUCTURAL[field])


def test_a_certification_is_no_quote_though_the_tpm_signed_it() -> None:
    raw = QUOTE.encode()
    head = raw[: raw.index(QUOTE.firmware.to_bytes(8, "big")) + 8]
    certify = head[:4] + b"\x80\x17" + head[6:] + b"\0\0" + b"\0\0"
    reported = ReportedQuote(attest=decode_attest(certify), signature=decode_signature(HERE.sign(certify).encode()))

    refused(
        "quote.signature",
        r"a quote \(8018\) expected, found a structure of type 8017",
        lambda: verify_quote(reported, ak=AK, untrusted_pcrs=VALUES, challenge=CHALLENGE),
    )


PARTS = [(name, part) for name, signer in SIGNERS.items() for part in range(1 if signer.kind == "rsa" else 2)]


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_one_changed_bit_of_the_signature_is_refused(name: str, part: int) -> None:
    signer = SIGNERS[name]
    quote = quote_of(VALUES, signer=QUOTE.signer, extra=NONCE, hash_alg=signer.hash_alg)
    signed = signer.sign(quote.encode())

    refused("quote.signature", "does not match", lambda: verified(quote, broken(signed, part), signer=signer))


@pytest.mark.parametrize("name", SIGNERS)
def test_a_signature_under_another_hash_than_the_keys_is_refused(name: str) -> None:
    signer = SIGNERS[name]
    other_hash = SHA384 if signer.hash_alg != SHA384 else SHA256
    quote = quote_of(VALUES, signer=QUOTE.signer, extra=NONCE, hash_alg=other_hash)
    genuine = replace(signer, hash_alg=other_hash).sign(quote.encode())

    refused("quote.signature", "the key signs with", lambda: verified(quote, genuine, signer=signer))


def other(pcr: int, value: bytes | None, alg: HashAlg = HashAlg.SHA256) -> PcrBanks:
    """The reported values with one of them another, or left out."""
    bank = {index: some for index, some in VALUES[alg].items() if index != pcr}
    return {**VALUES, alg: bank | ({pcr: value} if value is not None else {})}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (other(7, b"\x07" * 31 + b"\x06"), "the reported PCR values are not the quoted ones"),
        (other(7, b"\x06" + b"\x07" * 19, HashAlg.SHA1), "the reported PCR values are not the quoted ones"),
        (other(7, None), "PCR 7 of sha256: 32 bytes expected, found nothing"),
        (other(7, b""), "PCR 7 of sha256: 32 bytes expected, found 0 bytes"),
        (other(7, b"\x07" * 33), "PCR 7 of sha256: 32 bytes expected, found 33 bytes"),
        ({HashAlg.SHA1: VALUES[HashAlg.SHA1]}, "PCR 0 of sha256: 32 bytes expected, found nothing"),
        ({}, "PCR 0 of sha1: 20 bytes expected, found nothing"),
    ],
)
def test_reported_values_that_are_not_the_quoted_ones_are_refused(values: PcrBanks, why: str) -> None:
    refused("quote.pcr-digest", why, lambda: verified(QUOTE, values=values))


def test_bytes_moved_from_one_value_to_the_next_are_refused_though_the_digest_is_the_same() -> None:
    moved = {**VALUES[HashAlg.SHA256], 0: bytes(32) + b"\x07", 7: b"\x07" * 31}

    refused("quote.pcr-digest", "33 bytes", lambda: verified(QUOTE, values={**VALUES, HashAlg.SHA256: moved}))


def test_only_values_that_the_signed_selection_names_are_proved() -> None:
    more = {alg: {**bank, 16: bytes(alg.size)} for alg, bank in VALUES.items()} | {HashAlg.SHA384: {0: bytes(48)}}

    assert verified(QUOTE, values=more).pcrs == VALUES


def test_the_banks_are_joined_in_the_signed_order() -> None:
    turned = dict(reversed(list(VALUES.items())))
    quote = quote_of(turned, signer=QUOTE.signer, extra=NONCE)

    assert verified(quote, values=VALUES).pcrs == VALUES


def test_an_unknown_request_leaves_extra_data_unjudged() -> None:
    assert (
        verified(replace(QUOTE, extra=b"any"), challenge=replace(CHALLENGE, extra_data=None)).attest.extra_data
        == b"any"
    )


def test_a_pinned_bank_that_was_not_asked_for_is_refused() -> None:
    """It would otherwise be enough to leave it out of the request."""
    one = {HashAlg.SHA1: VALUES[HashAlg.SHA1]}
    challenge = replace(CHALLENGE, selection={SHA1: frozenset(PCRS)})

    refused(
        "quote.selection",
        "does not cover the pinned bank sha256",
        lambda: verified(quote_of(one, signer=QUOTE.signer, extra=NONCE), challenge=challenge),
    )


def test_a_pinned_bank_of_which_no_pcr_is_selected_is_refused() -> None:
    challenge = replace(CHALLENGE, selection={SHA1: frozenset(PCRS), SHA256: frozenset()})
    quote = quote_of({SHA1: VALUES[HashAlg.SHA1], SHA256: {}}, signer=QUOTE.signer, extra=NONCE)

    refused("quote.selection", "pinned bank", lambda: verified(quote, challenge=challenge))


def test_a_bank_that_cannot_be_computed_is_refused_though_it_was_asked_for() -> None:
    quote = replace(QUOTE, selections=((0x99, bitmap(PCRS)), *QUOTE.selections))
    challenge = replace(CHALLENGE, selection={0x99: frozenset(PCRS), **CHALLENGE.selection})

    refused("quote.selection", "not supported, 0x0099", lambda: verified(quote, challenge=challenge))


STRENGTH = {
    "rsassa-sha1": (Tier.WARNING, "SHA-1 strength"),
    "ecdsa-p256-sha256": (Tier.AFFIRMING, "sha256 signature over PCRs of sha256"),
    "ecdsa-p384-sha384": (Tier.AFFIRMING, "sha384 signature over PCRs of sha256"),
}


@pytest.mark.parametrize("name", STRENGTH)
def test_the_strength_of_the_signatures_hash_is_said(name: str) -> None:
    signer, (tier, why) = SIGNERS[name], STRENGTH[name]
    quote = quote_of(VALUES, signer=QUOTE.signer, extra=NONCE, hash_alg=signer.hash_alg)
    _, signature, strength = verified(quote, signer=signer).findings

    assert (signature.id, signature.tier) == ("quote.signature", Tier.AFFIRMING)
    assert (strength.id, strength.tier) == ("quote.strength", tier)
    assert why in strength.why


def test_a_pinned_sha1_bank_has_sha1_strength() -> None:
    *_, strength = verified(QUOTE, challenge=replace(CHALLENGE, pinned=HashAlg.SHA1)).findings

    assert (strength.tier, strength.at.bank) == (Tier.WARNING, "sha1")


@pytest.mark.parametrize(
    ("pcrs", "text"), [((), "none"), ((3,), "3"), ((0, 1, 2), "0-2"), ((9, 0, 1, 11, 12, 23), "0-1, 9, 11-12, 23")]
)
def test_pcr_indices_are_spelled_as_people_write_them(pcrs: tuple[int, ...], text: str) -> None:
    assert ranges(frozenset(pcrs)) == text


def test_a_quote_that_covers_no_pcr_proves_no_values() -> None:
    empty = QuoteInfo(selections=(), pcr_digest=HashAlg.SHA256.digest(b""))

    refused("quote.selection", "covers no PCR", lambda: check_pcr_digest(empty, VALUES, hash_alg=HashAlg.SHA256))
    (said,) = strength(decode_signature(HERE.sign(b"").encode()), banks=[])
    assert (said.id, said.tier) == ("quote.selection", Tier.WARNING)


def test_without_a_challenge_the_quote_may_be_an_old_one_and_that_is_said() -> None:
    freshness, *_ = verified(QUOTE, challenge=replace(CHALLENGE, extra_data=None)).findings

    assert (freshness.id, freshness.tier) == ("quote.extra-data", Tier.WARNING)
