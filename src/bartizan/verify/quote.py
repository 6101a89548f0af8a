"""A quote proved: signed by this key, over the PCRs that were asked for, with the challenge in it.

Verification stops at the first failure. What is not a failure but worth saying (strength) is a finding.
"""

import hmac
from collections.abc import Mapping, Sequence
from functools import lru_cache

from bartizan.errors import VerifyError
from bartizan.model.digest import PCR_COUNT, HashAlg, PackedPcrs, PcrBanks, PcrValues
from bartizan.model.evidence import Challenge, ReportedQuote, VerifiedQuote
from bartizan.model.result import Finding, Pointer, Tier
from bartizan.model.tpm import TPM_GENERATED, Attest, PcrSelection, PublicArea, QuoteInfo, Signature, Structure
from bartizan.verify.outcome import outcome
from bartizan.verify.signature import verify_signature

Selection = Mapping[int, frozenset[int]]
ALL_PCRS = tuple(range(PCR_COUNT))
SIGNED = outcome(
    "quote.signature", Tier.AFFIRMING, "the quote is signed by the attestation key, over these exact bytes"
)
ANSWERED = outcome("quote.extra-data", Tier.AFFIRMING, "the quote answers this challenge")


def verify_quote(
    reported: ReportedQuote, *, ak: PublicArea, untrusted_pcrs: PcrBanks, challenge: Challenge
) -> VerifiedQuote:
    """Check one quote.

    Steps (TPM 2.0 Part 3, 18.4; Part 2, 10.12.8):
    (1) the signature holds over the exact bytes;
    (2) magic and type say that a TPM made it, and that it is a quote;
    (3) extraData is what the challenge demands;
    (4) the signed selection equals what was asked, and holds the pinned bank: indices come from nowhere else;
    (5) the digest over the reported PCR values, in the signed order, is the signed one.

    Raises:
        VerifyError: naming the first step that fails.
    """
    attest = reported.attest
    verify_signature(ak.key, attest.raw, reported.signature, scheme=ak.scheme)  # (1)
    body = quoted(attest)  # (2)
    check_extra_data(attest, challenge.extra_data)  # (3)
    check_selection(body, challenge)  # (4)
    pcrs = check_pcr_digest(body, untrusted_pcrs, hash_alg=reported.signature.hash_alg)  # (5)
    findings = (_freshness(challenge), SIGNED, *strength(reported.signature, banks=[challenge.pinned]))
    return VerifiedQuote(attest=attest, pcrs=pcrs, pinned=challenge.pinned, findings=findings)


def _freshness(challenge: Challenge) -> Finding:
    if challenge.extra_data is None:
        why = "no challenge is known: nothing shows that this quote is not an old one"
        return outcome("quote.extra-data", Tier.WARNING, why)
    return ANSWERED


def quoted(attest: Attest) -> QuoteInfo:
    """The quote's body.

    Raises:
        VerifyError: the structure was not made by a TPM, or is no quote.
    """
    if attest.magic != TPM_GENERATED:
        raise VerifyError("quote.signature", f"magic ff544347 expected, found {attest.magic:08x}: not made by a TPM")
    if attest.type != Structure.ATTEST_QUOTE or not isinstance(attest.body, QuoteInfo):
        raise VerifyError("quote.signature", f"a quote (8018) expected, found a structure of type {attest.type:04x}")
    return attest.body


def check_extra_data(attest: Attest, expected: bytes | None) -> None:
    """ExtraData is the value asked for; None when the request is not known.

    Raises:
        VerifyError: another value: a replayed quote, or one made for somebody else.
    """
    if expected is not None and not hmac.compare_digest(attest.extra_data, expected):
        why = (
            f"extraData {attest.extra_data.hex()[:24]}… is not the challenge {expected.hex()[:24]}…:"
            " the quote is old, or was made for another challenge"
        )
        raise VerifyError("quote.extra-data", why)


def named(selections: tuple[PcrSelection, ...]) -> dict[int, frozenset[int]]:
    """Bank to PCRs."""
    return {selection.alg: _members(selection.pcrs) for selection in selections}


@lru_cache(maxsize=64)
def _members(pcrs: tuple[int, ...]) -> frozenset[int]:
    """The same few selections come from every node."""
    return frozenset(pcrs)


def check_selection(body: QuoteInfo, challenge: Challenge) -> None:
    """The signed selection is exactly the one asked for, and the pinned bank is in it.

    Raises:
        VerifyError: a bank or PCR too few or too many.
    """
    signed = named(body.selections)
    if signed != challenge.selection:
        why = f"asked for {_spell(challenge.selection)}, the quote covers {_spell(signed)}"
        raise VerifyError("quote.selection", why)
    if not signed.get(challenge.pinned):
        why = f"the quote does not cover the pinned bank {challenge.pinned.label}: another bank proves nothing here"
        raise VerifyError("quote.selection", why)


def _spell(selection: Selection) -> str:
    return "; ".join(f"{_bank(alg)}: {ranges(pcrs)}" for alg, pcrs in sorted(selection.items())) or "nothing"


def _bank(alg: int) -> str:
    try:
        return HashAlg(alg).label
    except ValueError:
        return f"0x{alg:04x}"


def ranges(pcrs: frozenset[int]) -> str:
    """PCR indices as people write them: `0-9, 11`."""
    parts: list[list[int]] = []
    for pcr in sorted(pcrs):
        if parts and pcr == parts[-1][-1] + 1:
            parts[-1].append(pcr)
        else:
            parts.append([pcr])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts) or "none"


def check_pcr_digest(body: QuoteInfo, untrusted: PcrBanks, *, hash_alg: HashAlg) -> PcrBanks:
    """The reported values, proved: those the signed digest covers, by bank.

    Raises:
        VerifyError: nothing is selected, a selected value was not sent or has a wrong length, or the digest differs.
    """
    proved: dict[HashAlg, PcrValues] = {}
    joined: list[bytes] = []
    for selection in body.selections:
        try:
            bank = HashAlg(selection.alg)
        except ValueError as error:
            why = f"the quote covers a bank that is not supported, 0x{selection.alg:04x}"
            raise VerifyError("quote.selection", why) from error
        values = untrusted.get(bank, {})
        if isinstance(values, PackedPcrs) and values.size == bank.size and selection.pcrs == ALL_PCRS:
            joined.append(values.raw)
            proved[bank] = values
        elif selection.pcrs:
            proved[bank] = {pcr: _value(values, pcr, bank) for pcr in selection.pcrs}
            joined.extend(proved[bank].values())
    if not joined:
        raise VerifyError("quote.selection", "the quote covers no PCR at all")
    if not hmac.compare_digest(hash_alg.digest(b"".join(joined)), body.pcr_digest):
        why = "the reported PCR values are not the quoted ones: their digest differs from the signed one"
        raise VerifyError("quote.pcr-digest", why)
    return proved


def _value(values: PcrValues, pcr: int, bank: HashAlg) -> bytes:
    """A reported value of the bank's size.

    Raises:
        VerifyError: it was not sent, or has another size.
    """
    value = values.get(pcr)
    if value is None or len(value) != bank.size:
        found = "nothing" if value is None else f"{len(value)} bytes"
        why = f"PCR {pcr} of {bank.label}: {bank.size} bytes expected, found {found}"
        raise VerifyError("quote.pcr-digest", why)
    return value


def strength(signature: Signature, *, banks: Sequence[int]) -> tuple[Finding, ...]:
    """How strong signature and banks are; SHA-1 in either caps what the quote proves.

    banks: those that decide; one strong bank among them is enough.
    """
    return _strength(signature.hash_alg, tuple(banks))


@lru_cache(maxsize=64)
def _strength(hash_alg: HashAlg, banks: tuple[int, ...]) -> tuple[Finding, ...]:
    if hash_alg == HashAlg.SHA1:
        return (outcome("quote.strength", Tier.WARNING, "the quote is signed over a SHA-1 digest: SHA-1 strength"),)
    if not banks:
        return (outcome("quote.selection", Tier.WARNING, "the quote covers no PCR: it proves nothing but the key"),)
    if all(bank == HashAlg.SHA1 for bank in banks):
        why = "the quote covers SHA-1 PCRs only: what it proves has SHA-1 strength"
        return (outcome("quote.strength", Tier.WARNING, why, Pointer(bank=HashAlg.SHA1.label)),)
    strong = ", ".join(_bank(bank) for bank in banks if bank != HashAlg.SHA1)
    why = f"{hash_alg.label} signature over PCRs of {strong}"
    return (outcome("quote.strength", Tier.AFFIRMING, why),)
