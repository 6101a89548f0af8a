"""Appraisal: run every check over verified evidence and fold the findings into a result. It never stops early.

The vector starts at *none*: a claim without findings stays there; the worst finding decides its claim.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from bartizan.appraise.catalogue import Catalogue
from bartizan.appraise.checks import boot, ima, platform, recognised, secure_boot, sets
from bartizan.appraise.context import Context, ReferenceIndex
from bartizan.appraise.levels import climb
from bartizan.errors import VerifyError
from bartizan.model.policy import Level, Policy
from bartizan.model.result import Anchor, AttestationResult, Claim, Finding, State, Tier, worst

CheckFunction = Callable[[Context], Iterable[Finding]]

CHECKS: tuple[CheckFunction, ...] = (
    boot.strength,
    secure_boot.state,
    secure_boot.authorities,
    secure_boot.revoked,
    platform.first_step,
    platform.dma_protection,
    platform.posture_binding,
    sets.in_force,
    recognised.parts,
    recognised.boot_path,
    recognised.launch,
    ima.list_present,
    ima.coverage,
    ima.known_files,
    ima.changed_files,
    ima.violations,
)


def appraise(context: Context, levels: Sequence[Level], *, state: State) -> AttestationResult:
    """The Attestation Result for one attestation; every check runs, whatever the others say."""
    found = [*_from_verification(context), *(finding for check in CHECKS for finding in check(context))]
    findings = tuple(_waived(finding, context.policy) for finding in found)
    result = fold(findings, levels, state=state, policy=context.policy.name, reference=_named(context.reference))
    return replace(result, strength=boot.strongest(context.evidence.boot))


def refused(
    error: VerifyError,
    catalogue: Catalogue,
    levels: Sequence[Level],
    *,
    state: State,
    policy: Policy,
    reference: ReferenceIndex | None = None,
) -> AttestationResult:
    """The result when verification stopped: level 0, with the one finding that says why.

    reference: the Reference Values that were given; they are named, not used.
    """
    check = catalogue[error.check]
    finding = Finding(
        id=check.id, claim=Claim(check.claim), tier=check.refusal, why=error.why, anchor=Anchor(check.anchor)
    )
    return fold((finding,), levels, state=state, policy=policy.name, reference=_named(reference))


def fold(
    findings: tuple[Finding, ...], levels: Sequence[Level], *, state: State, policy: str, reference: str | None
) -> AttestationResult:
    """Findings to result: vector, ladder, contraindication."""
    level, ladder = climb(levels, findings)
    vector = {
        claim: worst([f.tier for f in findings if f.claim is claim])
        if any(f.claim is claim for f in findings)
        else Tier.NONE
        for claim in Claim
    }
    return AttestationResult(
        level=level,
        state=state,
        contraindicated=any(finding.tier is Tier.CONTRAINDICATED for finding in findings),
        vector=vector,
        findings=findings,
        ladder=ladder,
        policy=policy,
        reference=reference,
    )


def _from_verification(context: Context) -> Iterator[Finding]:
    evidence = context.evidence
    yield from evidence.identity.findings
    yield from evidence.quote.findings
    yield from evidence.boot.findings
    if evidence.ima is not None:
        yield from evidence.ima.findings


def _waived(finding: Finding, policy: Policy) -> Finding:
    if finding.tier is Tier.AFFIRMING:
        return finding
    for waiver in policy.waivers:
        if waiver.check == finding.id and waiver.pcr in (None, finding.at.pcr):
            tier = max(finding.tier, Tier.WARNING, key=lambda some: some.order)
            return replace(finding, tier=tier, waiver=waiver.reason)
    return finding


def _named(reference: ReferenceIndex | None) -> str | None:
    if reference is None:
        return None
    given = reference.given or (reference.set,)
    return ", ".join(f"{one.name}@sha256:{one.digest}" for one in given)
