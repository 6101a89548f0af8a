"""Appraisal: run every check over verified evidence and fold the findings into a result. It never stops early.

The vector starts at *none*: a claim without findings stays there; the worst finding decides its claim.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from bartizan.appraise.catalogue import Catalogue
from bartizan.appraise.checks import boot, ima, kexec, platform, recognised, secure_boot, sets
from bartizan.appraise.checks.posture import confinement
from bartizan.appraise.context import Context, ReferenceIndex
from bartizan.appraise.levels import climb
from bartizan.appraise.waivers import waived
from bartizan.errors import VerifyError
from bartizan.model.policy import Level, Policy
from bartizan.model.result import Anchor, AttestationResult, Claim, Finding, State, Tier, worst

POSTURE = "posture."
CheckFunction = Callable[[Context], Iterable[Finding]]

CHECKS: tuple[CheckFunction, ...] = (
    boot.strength,
    secure_boot.state,
    secure_boot.authorities,
    secure_boot.revoked,
    platform.first_step,
    platform.dma_protection,
    platform.boot_source,
    sets.in_force,
    recognised.parts,
    recognised.boot_path,
    recognised.launch,
    ima.list_present,
    ima.coverage,
    kexec.coverage,
    ima.known_files,
    ima.changed_files,
    ima.violations,
)


def appraise(context: Context, levels: Sequence[Level], *, state: State) -> AttestationResult:
    """The Attestation Result for one attestation; every check runs, whatever the others say."""
    found = [*_from_verification(context), *(finding for check in CHECKS for finding in check(context))]
    return _with_posture(context, _waived(found, context), levels, state=state)


def appraise_posture_again(context: Context, result: AttestationResult, levels: Sequence[Level]) -> AttestationResult:
    """The result with its posture judged anew and everything else as it stands."""
    kept = (one for one in result.findings if not one.id.startswith(POSTURE) and one.id not in context.posture_rules)
    return _with_posture(context, kept, levels, state=result.state)


def _with_posture(
    context: Context, others: Iterable[Finding], levels: Sequence[Level], *, state: State
) -> AttestationResult:
    said = confinement(context)
    findings = (*others, *_waived(said.findings, context))
    result = fold(findings, levels, state=state, policy=context.policy.name, reference=_named(context.reference))
    strength = boot.strongest(context.evidence.boot)
    return replace(result, strength=strength, confinement=said.confinement)


def speaks_against(finding: Finding) -> bool:
    """It contraindicates the whole node: a PCR or a certificate vouches for it.

    What a node says of its own configuration lowers that claim and costs level 5; who relies on less is not stopped by
    it, and a node that says worse of itself is not worse off than one that lies.
    """
    return finding.tier is Tier.CONTRAINDICATED and finding.anchor is not Anchor.AGENT


def _waived(findings: Iterable[Finding], context: Context) -> list[Finding]:
    return [waived(finding, context.policy.waivers, context.now) for finding in findings]


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
        contraindicated=any(speaks_against(finding) for finding in findings),
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
        yield from kexec.restated(context, evidence.ima.findings)


def _named(reference: ReferenceIndex | None) -> str | None:
    if reference is None:
        return None
    given = reference.given or (reference.set,)
    return ", ".join(f"{one.name}@sha256:{one.digest}" for one in given)
