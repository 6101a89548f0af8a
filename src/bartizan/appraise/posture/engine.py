"""All rules of a profile applied to one posture document. It never stops at a finding, and *unknown* never passes."""

from collections.abc import Mapping
from types import MappingProxyType

from bartizan.appraise.posture import cpu, hardware, iommu, kernel, libvirt, lsm, network
from bartizan.appraise.posture.catalogue import Rules
from bartizan.appraise.posture.facts import (
    Evaluator,
    Facts,
    Outcome,
    UnreadError,
    Verdict,
    broken,
    holds,
    inapplicable,
    unknown,
)
from bartizan.formats.inert import inert
from bartizan.model.posture import Missing, PostureFinding, PostureResult, Profile, ReportedPosture, Rule
from bartizan.model.result import Finding, Pointer, Tier

WHY_LIMIT = 400
SYSCTL = "/proc/sys/"
MODULES = "/sys/module/"

EVALUATORS: Mapping[str, Evaluator] = MappingProxyType(
    {
        **cpu.EVALUATORS,
        **hardware.EVALUATORS,
        **iommu.EVALUATORS,
        **kernel.EVALUATORS,
        **libvirt.EVALUATORS,
        **lsm.EVALUATORS,
        **network.EVALUATORS,
    }
)
"""Rule id to its function; a rule that is not here only compares the file it reads with the values it accepts."""


def appraise_posture(posture: ReportedPosture, rules: Rules, profile: Profile) -> PostureResult:
    """Every rule that has a subject on this machine, the worst first; within a tier by severity."""
    findings: list[PostureFinding] = []
    without: dict[str, str] = {}
    for rule in rules.values():
        terms = rule.terms[profile]
        facts = Facts(posture=posture, rule=rule, terms=terms)
        outcome = _outcome(facts) if terms.applies else inapplicable(f"the profile {profile.value} does not ask for it")
        if outcome.verdict is Verdict.INAPPLICABLE:
            without[rule.id] = inert(outcome.why, limit=WHY_LIMIT)
        else:
            findings.append(_finding(facts, outcome))
    findings.sort(key=lambda one: (one.finding.tier.order, one.rule.severity.order, one.rule.id))
    return PostureResult(profile=profile, findings=tuple(findings), inapplicable=without)


def _outcome(facts: Facts) -> Outcome:
    try:
        return EVALUATORS.get(facts.rule.id, accepted)(facts)
    except UnreadError as error:
        return unknown(str(error))


def _finding(facts: Facts, outcome: Outcome) -> PostureFinding:
    rule = facts.rule
    tiers = {Verdict.HOLDS: Tier.AFFIRMING, Verdict.BROKEN: facts.terms.broken}
    finding = Finding(
        id=rule.id,
        claim=rule.claim,
        tier=tiers.get(outcome.verdict, Tier.NONE),
        why=inert(outcome.why, limit=WHY_LIMIT),
        anchor=rule.anchor,
        at=Pointer(path=inert(next(iter(facts.read), rule.reads[0]))),
    )
    return PostureFinding(rule=rule, finding=finding, read=tuple(facts.read.values()))


def accepted(facts: Facts) -> Outcome:
    """The file that the rule reads first holds one of the values that it accepts."""
    path = facts.rule.reads[0]
    value = facts.maybe(path)
    if value is None:
        return _missing(facts.rule, path)
    wanted = " or ".join(facts.terms.accepts)
    if value in facts.terms.accepts:
        return holds(f"{spoken(path)} is {value}")
    return broken(f"{spoken(path)} is {value}; expected: {wanted}")


def _missing(rule: Rule, path: str) -> Outcome:
    say = inapplicable if rule.missing is Missing.INAPPLICABLE else unknown
    if path.startswith(MODULES):
        return say(f"the module {path.removeprefix(MODULES).partition('/')[0]} is not loaded, or has no such parameter")
    return say(f"{spoken(path)} is not there: this kernel does not have it")


def spoken(path: str) -> str:
    """A path as people know it: a kernel setting by its dotted name."""
    return path.removeprefix(SYSCTL).replace("/", ".") if path.startswith(SYSCTL) else path
