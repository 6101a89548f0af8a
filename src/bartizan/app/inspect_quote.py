"""`bartizan quote`: one quote by itself: signature, and nonce and PCR values where they are given."""

from collections.abc import Callable
from dataclasses import dataclass

from bartizan.errors import VerifyError
from bartizan.formats.public_key import SigningKey, decode_public_key
from bartizan.formats.tpm2 import decode_attest, decode_signature
from bartizan.model.digest import PcrBanks
from bartizan.model.result import Finding, Tier, worst
from bartizan.model.tpm import Attest, QuoteInfo, Signature
from bartizan.verify.outcome import outcome
from bartizan.verify.quote import check_extra_data, check_pcr_digest, quoted, strength
from bartizan.verify.signature import verify_signature


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteReport:
    """What a quote says, and which of its parts hold; None where there was nothing to hold a part against."""

    attest: Attest
    signature: Signature
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


def inspect_quote(
    attest_raw: bytes, signature_raw: bytes, key_raw: bytes, *, nonce: bytes | None, pcrs: PcrBanks | None
) -> QuoteReport:
    """Check each part of a quote for itself, and go on when one fails, so that all of them are told.

    Raises:
        DecodeError: one of the files is not what it should be.
    """
    attest, signature, key = decode_attest(attest_raw), decode_signature(signature_raw), decode_public_key(key_raw)
    findings: list[Finding] = []

    def holds(check: Callable[[], object], said: str, name: str) -> bool:
        try:
            check()
        except VerifyError as error:
            findings.append(outcome(error.check, Tier.CONTRAINDICATED, error.why))
            return False
        findings.append(outcome(name, Tier.AFFIRMING, said))
        return True

    signed = holds(
        lambda: _signed(attest, signature, key), "signed by this key, over these exact bytes", "quote.signature"
    )
    fresh = None
    if nonce is not None:
        fresh = holds(lambda: check_extra_data(attest, nonce), "extraData is the nonce given", "quote.extra-data")
    body = attest.body
    digest = None
    if pcrs is not None and isinstance(body, QuoteInfo):
        said = "the PCR values given are the quoted ones"
        digest = holds(lambda: check_pcr_digest(body, pcrs, hash_alg=signature.hash_alg), said, "quote.pcr-digest")
    findings += strength(signature, banks=[s.alg for s in body.selections] if isinstance(body, QuoteInfo) else [])
    return QuoteReport(
        attest=attest,
        signature=signature,
        signature_holds=signed,
        extra_data_holds=fresh,
        pcr_digest_holds=digest,
        findings=tuple(findings),
    )


def _signed(attest: Attest, signature: Signature, key: SigningKey) -> None:
    verify_signature(key.key, attest.raw, signature, scheme=key.scheme)
    quoted(attest)


def selection_of(attest: Attest) -> dict[int, tuple[int, ...]]:
    """Bank to the PCRs that the quote covers."""
    body = attest.body
    return {s.alg: s.pcrs for s in body.selections} if isinstance(body, QuoteInfo) else {}
