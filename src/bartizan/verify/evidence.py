"""One attestation proved part by part, each step resting on the one before. It judges no content."""

from datetime import datetime

from bartizan.formats.posture import read_posture
from bartizan.model.evidence import (
    Challenge,
    Enrolment,
    ReportedEvidence,
    VerifiedBoot,
    VerifiedEvidence,
    VerifiedIma,
    VerifiedQuote,
)
from bartizan.verify.boot import fitting_log, verify_boot
from bartizan.verify.identity import verify_identity
from bartizan.verify.ima import verify_ima
from bartizan.verify.quote import verify_quote


def verify_evidence(
    evidence: ReportedEvidence, *, challenge: Challenge, enrolment: Enrolment, now: datetime
) -> VerifiedEvidence:
    """Prove identity, then the quote, then hold the logs against the quoted PCRs.

    Raises:
        VerifyError: the identity or the quote does not hold. What the logs leave unexplained is a finding, no refusal.
    """
    signer = evidence.quote.attest.qualified_signer
    identity = verify_identity(evidence.identity, qualified_signer=signer, enrolment=enrolment, now=now)
    quote = verify_quote(evidence.quote, ak=identity.ak, untrusted_pcrs=evidence.untrusted_pcrs, challenge=challenge)
    boot, ima = verify_logs(evidence, quote)
    return VerifiedEvidence(
        identity=identity,
        quote=quote,
        boot=boot,
        ima=ima,
        posture=evidence.posture,
        posture_bound=challenge.binds_posture,
        reported_posture=read_posture(evidence.posture),
    )


def verify_logs(evidence: ReportedEvidence, quote: VerifiedQuote) -> tuple[VerifiedBoot, VerifiedIma | None]:
    """Hold boot log, launch log and IMA list against a proved quote; whose TPM made it does not matter here."""
    log = evidence.boot_log
    if log is not None and evidence.other_boot_logs:
        log = fitting_log((log, *evidence.other_boot_logs), quote.pcrs, pinned=quote.pinned)
    boot = verify_boot(
        log,
        quote.pcrs,
        pinned=quote.pinned,
        launch_log=evidence.launch_log,
        untrusted_command_line=evidence.untrusted_command_line,
    )
    ima = verify_ima(evidence.ima, quote.pcrs, pinned=quote.pinned) if evidence.ima is not None else None
    return boot, ima
