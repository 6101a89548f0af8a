"""`bartizan quote`: one quote by itself: signature, and nonce and PCR values where they are given."""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bartizan.errors import VerifyError
from bartizan.formats.public_key import decode_public_key
from bartizan.formats.quote_signature import decode_quote_signature
from bartizan.formats.tpm2 import decode_attest
from bartizan.formats.tpm12 import composite_digests, decode_tpm12_quote, is_tpm12_quote
from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.result import Finding, Tier, worst
from bartizan.model.tpm import Alg, ClockInfo, QuoteInfo, Signature
from bartizan.verify.outcome import outcome
from bartizan.verify.quote import check_extra_data, check_pcr_digest, named, quoted, strength
from bartizan.verify.signature import verify_signature


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteReport:
    """What a quote says, and which of its parts hold; None where there was nothing to hold a part against.

    A TPM 1.2 signs neither which PCRs it quoted nor a clock: `selection` is empty then, and `clock` None.
    """

    generation: str
    extra_data: bytes
    selection: Mapping[int, frozenset[int]]
    clock: ClockInfo | None
    firmware_version: int | None
    signature_holds: bool
    extra_data_holds: bool | None
    pcr_digest_holds: bool | None
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Tier:
        """The worst tier of all findings."""
        return worst([finding.tier for finding in self.findings])

    @property
    def good(self) -> bool:
        """Nothing is contraindicated."""
        return self.status is not Tier.CONTRAINDICATED


@dataclass(slots=True)
class _Ledger:
    """The parts checked so far; one that fails does not keep the others from being told."""

    findings: list[Finding] = field(default_factory=list)

    def holds(self, check: str, test: Callable[[], object], said: str) -> bool:
        try:
            test()
        except VerifyError as error:
            self.findings.append(outcome(error.check, Tier.CONTRAINDICATED, error.why))
            return False
        self.findings.append(outcome(check, Tier.AFFIRMING, said))
        return True


SIGNED = "signed by this key, over these exact bytes"
FRESH = "extraData is the nonce given"
SAME_VALUES = "the PCR values given are the quoted ones"


def inspect_quote(
    attest: bytes, signature: bytes, key: bytes, *, nonce: bytes | None, pcrs: PcrBanks | None
) -> QuoteReport:
    """Check each part of a quote for itself.

    Raises:
        DecodeError: one of the files is not what it should be.
    """
    if is_tpm12_quote(attest):
        return _inspect_tpm12(attest, signature, key, nonce=nonce, pcrs=pcrs)
    reported, by = decode_attest(attest), decode_public_key(key)
    signed = decode_quote_signature(signature, by)
    ledger = _Ledger()

    def genuine() -> None:
        verify_signature(by.key, reported.raw, signed, scheme=by.scheme)
        quoted(reported)

    signature_holds = ledger.holds("quote.signature", genuine, SIGNED)
    fresh = None
    if nonce is not None:
        fresh = ledger.holds("quote.extra-data", lambda: check_extra_data(reported, nonce), FRESH)
    body = reported.body if isinstance(reported.body, QuoteInfo) else QuoteInfo(selections=(), pcr_digest=b"")
    digest = None
    if pcrs is not None:

        def same() -> None:
            check_pcr_digest(body, pcrs, hash_alg=signed.hash_alg)

        digest = ledger.holds("quote.pcr-digest", same, SAME_VALUES)
    selection = named(body.selections)
    return QuoteReport(
        generation="TPM 2.0",
        extra_data=reported.extra_data,
        selection=selection,
        clock=reported.clock,
        firmware_version=reported.firmware_version,
        signature_holds=signature_holds,
        extra_data_holds=fresh,
        pcr_digest_holds=digest,
        findings=(*ledger.findings, *strength(signed, banks=list(selection))),
    )


def _inspect_tpm12(
    attest: bytes, signature: bytes, key: bytes, *, nonce: bytes | None, pcrs: PcrBanks | None
) -> QuoteReport:
    """A TPM 1.2 quote: RSA PKCS #1 v1.5 over SHA-1, as a bare signature; TPM Main Part 3, 16.3."""
    reported, by, ledger = decode_tpm12_quote(attest), decode_public_key(key), _Ledger()
    signed = Signature(alg=Alg.RSASSA, hash_alg=HashAlg.SHA1, rsa=signature)
    signature_holds = ledger.holds("quote.signature", lambda: verify_signature(by.key, reported.raw, signed), SIGNED)

    def same_nonce() -> None:
        if not hmac.compare_digest(reported.external_data, nonce or b""):
            raise VerifyError("quote.extra-data", f"externalData {reported.external_data.hex()} is not the nonce")

    def same_values() -> None:
        values = dict((pcrs or {}).get(HashAlg.SHA1, {}))
        if reported.composite_digest not in composite_digests(values):
            raise VerifyError("quote.pcr-digest", "the sha1 PCR values given, and no others, are not the quoted ones")

    fresh = ledger.holds("quote.extra-data", same_nonce, FRESH) if nonce is not None else None
    digest = ledger.holds("quote.pcr-digest", same_values, SAME_VALUES) if pcrs is not None else None
    history = outcome("quote.strength", Tier.WARNING, "a TPM 1.2 quote: SHA-1 strength, accepted as history only")
    return QuoteReport(
        generation="TPM 1.2",
        extra_data=reported.external_data,
        selection={},
        clock=None,
        firmware_version=None,
        signature_holds=signature_holds,
        extra_data_holds=fresh,
        pcr_digest_holds=digest,
        findings=(*ledger.findings, history),
    )
