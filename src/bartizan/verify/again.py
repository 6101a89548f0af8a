"""A later quote of a boot that is known already: what stands, what is proved anew, when everything is needed again.

The boot log and the IMA list of the first attestation stay proved as long as the TPM says that it is the same boot and
holds the same boot PCRs. It judges no content.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from bartizan.formats.posture import read_posture
from bartizan.model.digest import PcrBanks
from bartizan.model.evidence import (
    Challenge,
    Enrolment,
    ReportedIdentity,
    ReportedQuote,
    VerifiedEvidence,
    VerifiedIdentity,
    VerifiedIma,
    VerifiedQuote,
)
from bartizan.model.tpm import PublicArea
from bartizan.verify.boot import BOOT_PCRS
from bartizan.verify.freshness import Continuity, check_clock
from bartizan.verify.identity import verify_identity
from bartizan.verify.quote import verify_quote


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsFullLogs:
    """What is known does not tell about this quote: the node has to send its logs from their start; why, in words."""

    reason: str


def verify_later_quote(
    known: VerifiedQuote, reported: ReportedQuote, *, ak: PublicArea, untrusted_pcrs: PcrBanks, challenge: Challenge
) -> VerifiedQuote | NeedsFullLogs:
    """A quote by the known AK, if it is one of the boot of the known quote.

    Steps: (1) the quote holds (`verify_quote`); (2) counters and clock say that the TPM was not started or resumed
    since (`check_clock`); (3) every boot PCR of every bank is what it was.

    Raises:
        VerifyError: the quote does not hold, or is older than the last one.
    """
    quote = verify_quote(reported, ak=ak, untrusted_pcrs=untrusted_pcrs, challenge=challenge)  # (1)
    if check_clock(known.attest.clock, quote.attest.clock) is not Continuity.SAME_BOOT:  # (2)
        return NeedsFullLogs(reason="the machine was started, resumed or dynamically launched since")
    changed = _changed(known, quote)  # (3)
    return NeedsFullLogs(reason=changed) if changed else quote


def _changed(known: VerifiedQuote, quote: VerifiedQuote) -> str:
    """Which PCR that only a start changes is another one; empty if none is."""
    if quote.pinned is not known.pinned or quote.pcrs.keys() != known.pcrs.keys():
        return "other banks are quoted than before"
    for bank, values in quote.pcrs.items():
        before = known.pcrs[bank]
        if values == before:
            continue
        if values.keys() != before.keys():
            return f"other PCRs of the {bank.label} bank are quoted than before"
        for pcr in BOOT_PCRS:
            if values.get(pcr) != before.get(pcr):
                return f"PCR {pcr} of the {bank.label} bank is not what it was"
    return ""


def verify_known_identity(
    identity: VerifiedIdentity, known: VerifiedQuote, quote: VerifiedQuote, *, enrolment: Enrolment, now: datetime
) -> VerifiedIdentity:
    """The identity of before, which stands while its certificates are valid and the signer's qualified name is equal.

    Raises:
        VerifyError: they are not, and it cannot be proved anew.
    """
    signer = quote.attest.qualified_signer
    valid = all(certificate.not_before <= now <= certificate.not_after for certificate in identity.path)
    if valid and signer == known.attest.qualified_signer:
        return identity
    reported = ReportedIdentity(
        ak=identity.ak,
        ek=identity.ek,
        ek_certificate=identity.path[0] if identity.path else None,
        chain=identity.path[1:],
    )
    return verify_identity(reported, qualified_signer=signer, enrolment=enrolment, now=now)


def as_of(
    known: VerifiedEvidence,
    *,
    identity: VerifiedIdentity,
    quote: VerifiedQuote,
    ima: VerifiedIma | None,
    posture: bytes | None,
    posture_bound: bool,
) -> VerifiedEvidence:
    """The known evidence as of a later quote; a posture that is the same is not decoded again."""
    reported = known.reported_posture if posture == known.posture else read_posture(posture)
    return replace(
        known,
        identity=identity,
        quote=quote,
        ima=ima,
        posture=posture,
        posture_bound=posture_bound,
        reported_posture=reported,
    )
