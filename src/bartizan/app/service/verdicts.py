"""Results as the service keeps and compares them. It judges nothing."""

import hashlib
import json

from bartizan.formats.result_json import finding_document, result_document
from bartizan.model.result import AttestationResult, Finding, Tier
from bartizan.store.results import Verdict

OF_RULES = frozenset({"posture.host", "posture.workloads"})
"""Checks that sum up the rules of the posture."""


def verdict_of(result: AttestationResult) -> Verdict:
    """A result with the digest of what would make it another verdict: everything but affirming findings' words."""
    open_findings = [finding for finding in result.findings if finding.tier is not Tier.AFFIRMING]
    matters = {
        "level": result.level,
        "contraindicated": result.contraindicated,
        "vector": sorted((claim.value, tier.value) for claim, tier in result.vector.items()),
        "policy": result.policy,
        "reference": result.reference,
        "findings": sorted(json.dumps(finding_document(finding), sort_keys=True) for finding in open_findings),
    }
    return Verdict(
        level=result.level,
        contraindicated=result.contraindicated,
        digest=hashlib.sha256(json.dumps(matters, sort_keys=True).encode()).digest(),
        document=json.dumps(result_document(result)).encode(),
        findings=result.findings,
        missing=missing_of(result),
    )


def findings_json(findings: tuple[Finding, ...]) -> bytes:
    """Findings as a boot keeps those that stick to it."""
    return json.dumps([finding_document(finding) for finding in findings]).encode()


def missing_of(result: AttestationResult) -> tuple[str, ...]:
    """The checks that keep the next level from holding; where that is level 5, with the rules behind them."""
    rung = next((rung for rung in result.ladder if rung.assessed and not rung.holds), None)
    if rung is None:
        return ()
    rules = result.confinement.open if result.confinement is not None and OF_RULES & set(rung.missing) else ()
    return (*rung.missing, *rules)


def keeps_down(result: AttestationResult) -> list[str]:
    """The checks that keep the next level from holding, each once with its worst reason."""
    said: list[str] = []
    for check in missing_of(result):
        found = [finding for finding in result.findings if finding.id == check and not finding.passes]
        worst = min(found, key=lambda finding: finding.tier.order, default=None)
        said.append(check if worst is None else f"{check}: {worst.why}")
    return said
