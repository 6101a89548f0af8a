"""The road: reported → verified → result. Everything that is neither pure nor data comes in as an argument."""

from dataclasses import dataclass
from datetime import datetime

from bartizan.appraise.catalogue import Catalogue
from bartizan.appraise.context import Context, ReferenceIndex
from bartizan.appraise.engine import appraise, refused
from bartizan.errors import VerifyError
from bartizan.model.evidence import Challenge, Enrolment, ReportedEvidence, VerifiedEvidence
from bartizan.model.policy import Level, Policy
from bartizan.model.result import AttestationResult, State
from bartizan.verify.boot import verify_boot
from bartizan.verify.identity import verify_identity
from bartizan.verify.ima import verify_ima
from bartizan.verify.quote import verify_quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What evidence is judged by; the same for all nodes of a pool."""

    catalogue: Catalogue
    levels: tuple[Level, ...]
    policy: Policy
    reference: ReferenceIndex | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A result, and the verified evidence behind it where verification let it pass."""

    result: AttestationResult
    verified: VerifiedEvidence | None


def attest_node(
    evidence: ReportedEvidence, *, challenge: Challenge, enrolment: Enrolment, rules: Rules, now: datetime
) -> Outcome:
    """Verify and appraise one attestation."""
    state = State.RECORDED if challenge.recorded else State.FRESH
    try:
        verified = verify(evidence, challenge=challenge, enrolment=enrolment, now=now)
    except VerifyError as error:
        return Outcome(result=refused(error, rules.catalogue, rules.levels, state=state, policy=rules.policy), verified=None)
    context = Context(
        evidence=verified, policy=rules.policy, catalogue=rules.catalogue, reference=rules.reference
    )
    return Outcome(result=appraise(context, rules.levels, state=state), verified=verified)


def verify(
    evidence: ReportedEvidence, *, challenge: Challenge, enrolment: Enrolment, now: datetime
) -> VerifiedEvidence:
    """Prove what can be proved, in the order in which each step rests on the one before.

    Raises:
        VerifyError: the identity or the quote does not hold.
    """
    signer = evidence.quote.attest.qualified_signer
    identity = verify_identity(evidence.identity, qualified_signer=signer, enrolment=enrolment, now=now)
    quote = verify_quote(
        evidence.quote, ak=identity.ak, untrusted_pcrs=evidence.untrusted_pcrs, challenge=challenge
    )
    boot = verify_boot(evidence.boot_log, quote.pcrs, pinned=quote.pinned, launch_log=evidence.launch_log)
    ima = None
    if evidence.ima is not None:
        ima = verify_ima(evidence.ima, quote.pcrs, pinned=quote.pinned, boot_pcrs=quote.pcrs)
    return VerifiedEvidence(
        identity=identity,
        quote=quote,
        boot=boot,
        ima=ima,
        posture=evidence.posture,
        posture_bound=challenge.binds_posture,
    )
