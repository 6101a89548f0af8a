"""The road: reported → verified → result. Everything that is neither pure nor data comes in as an argument."""

from dataclasses import dataclass, field
from datetime import datetime

from bartizan.app.defaults import posture_rules
from bartizan.appraise.catalogue import Catalogue
from bartizan.appraise.context import Context, ReferenceIndex
from bartizan.appraise.engine import appraise, refused
from bartizan.appraise.posture.catalogue import Rules as PostureRules
from bartizan.errors import VerifyError
from bartizan.model.evidence import Challenge, Enrolment, ReportedEvidence, VerifiedEvidence
from bartizan.model.policy import Check, Level, Policy
from bartizan.model.posture import Rule
from bartizan.model.result import AttestationResult, State
from bartizan.verify.evidence import verify_evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What evidence is judged by; the same for all nodes of a pool. The policy names a profile of the posture rules."""

    catalogue: Catalogue
    levels: tuple[Level, ...]
    policy: Policy
    reference: ReferenceIndex | None
    posture: PostureRules = field(default_factory=posture_rules)

    def about(self, name: str) -> Check | Rule | None:
        """What a check or a rule of the posture is about, by its id; None where there is none."""
        return self.catalogue.get(name) or self.posture.get(name)

    def told(self, name: str) -> tuple[str, str]:
        """Title and fix of a check or rule; where there is none, as for one of former rules, its id and nothing."""
        found = self.about(name)
        return (name, "") if found is None else (found.title, found.fix)


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
        verified = verify_evidence(evidence, challenge=challenge, enrolment=enrolment, now=now)
    except VerifyError as error:
        result = refused(
            error, rules.catalogue, rules.levels, state=state, policy=rules.policy, reference=rules.reference
        )
        return Outcome(result=result, verified=None)
    reference = rules.reference.at(now) if rules.reference is not None else None
    context = Context(
        evidence=verified,
        policy=rules.policy,
        catalogue=rules.catalogue,
        reference=reference,
        now=now,
        posture_rules=rules.posture,
    )
    return Outcome(result=appraise(context, rules.levels, state=state), verified=verified)
