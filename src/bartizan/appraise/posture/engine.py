"""All rules of a profile applied to one posture document. It never stops at a finding, and *unknown* never passes."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from bartizan.appraise.posture import (
    cpu,
    fence,
    hardware,
    identity,
    iommu,
    kernel,
    libvirt,
    lsm,
    network,
    reach,
)
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
from bartizan.appraise.posture.identity import bearers, identify
from bartizan.formats.inert import inert
from bartizan.model.posture import (
    Missing,
    Part,
    PartVerdict,
    PostureFinding,
    PostureResult,
    Profile,
    ReportedPosture,
    Rule,
    Workload,
    WorkloadVerdict,
)
from bartizan.model.result import Finding, Pointer, Tier, worst

WHY_LIMIT = 400
SYSCTL = "/proc/sys/"
MODULES = "/sys/module/"
FIRST_PROCESS = "/proc/1"
"""Visible unless /proc is mounted with hidepid."""
KINDS = {"vm": "virtual machine", "container": "container", "switch": "packet switch"}

EVALUATORS: Mapping[str, Evaluator] = MappingProxyType(
    {
        **cpu.EVALUATORS,
        **fence.EVALUATORS,
        **hardware.EVALUATORS,
        **identity.EVALUATORS,
        **iommu.EVALUATORS,
        **kernel.EVALUATORS,
        **libvirt.EVALUATORS,
        **lsm.EVALUATORS,
        **network.EVALUATORS,
        **reach.EVALUATORS,
    }
)
"""Rule id to its function; a rule that is not here only compares the file it reads with the values it accepts."""


def appraise_posture(posture: ReportedPosture, rules: Rules, profile: Profile) -> PostureResult:
    """Every rule that has a subject on this machine, the worst first; within a tier by severity."""
    findings: list[PostureFinding] = []
    without: dict[str, str] = {}
    same = bearers(posture)
    for rule in rules.values():
        found, reason = _applied(rule, posture, profile, same)
        findings += found
        if not found:
            without[rule.id] = inert(reason, limit=WHY_LIMIT)
    findings.sort(key=lambda one: (one.finding.tier.order, one.rule.severity.order, one.rule.id))
    return PostureResult(
        profile=profile,
        findings=tuple(findings),
        inapplicable=without,
        workloads=tuple(_verdict(workload, findings) for workload in posture.workloads),
    )


def _applied(
    rule: Rule, posture: ReportedPosture, profile: Profile, same: Mapping[frozenset[str], int]
) -> tuple[list[PostureFinding], str]:
    """One rule's findings, one for each workload that it is about; or none, and why."""
    terms = rule.terms[profile]
    if not terms.applies:
        return [], f"the profile {profile.value} does not ask for it"
    about: list[Workload | None] = [None]
    if rule.part is not None:
        about = [workload for workload in posture.workloads if workload.kind in rule.kinds]
    every = [Facts(posture=posture, rule=rule, terms=terms, workload=one, bearers=same) for one in about]
    outcomes = [(facts, _outcome(facts)) for facts in every]
    if rule.part is not None and FIRST_PROCESS not in posture.nodes:
        hidden = unknown("processes of other users are hidden (hidepid): run as root to know")
        outcomes.append((Facts(posture=posture, rule=rule, terms=terms), hidden))
    found = [_finding(facts, out) for facts, out in outcomes if out.verdict is not Verdict.INAPPLICABLE]
    none = f"no {' or '.join(KINDS[kind] for kind in sorted(rule.kinds, reverse=True))} runs here"
    return found, "; ".join(dict.fromkeys(out.why for _, out in outcomes)) or none


def _outcome(facts: Facts) -> Outcome:
    try:
        return EVALUATORS.get(facts.rule.id, accepted)(facts)
    except UnreadError as error:
        return unknown(str(error))


def _finding(facts: Facts, outcome: Outcome) -> PostureFinding:
    rule = facts.rule
    tiers = {Verdict.HOLDS: Tier.AFFIRMING, Verdict.BROKEN: facts.terms.broken}
    about = f"{spoken_of(facts.workload)}: " if facts.workload else ""
    finding = Finding(
        id=rule.id,
        claim=rule.claim,
        tier=tiers.get(outcome.verdict, Tier.NONE),
        why=inert(about + outcome.why, limit=WHY_LIMIT),
        anchor=rule.anchor,
        at=Pointer(
            path=inert(next(iter(facts.read), rule.reads[0])),
            workload=called(facts.workload) if facts.workload else None,
        ),
    )
    return PostureFinding(
        rule=rule,
        finding=finding,
        read=tuple(facts.read.values()),
        workload=facts.workload,
        witness=tuple(inert(one, limit=WHY_LIMIT) for one in outcome.witness),
    )


def spoken_of(workload: Workload) -> str:
    """How a workload is spoken of: `vm instance-00000001 (process 42)`."""
    found = identify(workload)
    return f"{workload.kind} {found.name or found.uuid or workload.comm} (process {workload.pid})"


def called(workload: Workload) -> str:
    """The name that findings and waivers call a workload by: its UUID, its name, or its program's."""
    found = identify(workload)
    return inert(found.uuid or found.name or workload.comm, limit=WHY_LIMIT)


def _verdict(workload: Workload, findings: Sequence[PostureFinding]) -> WorkloadVerdict:
    own = [one for one in findings if one.workload is workload]
    vector = {part: _part([one for one in own if one.rule.part is part]) for part in Part}
    return WorkloadVerdict(workload=workload, identity=identify(workload), vector=vector)


def _part(findings: Sequence[PostureFinding]) -> PartVerdict:
    """The worst of a part's findings, and nothing but what made it so bad; *none* where nothing was looked at."""
    tier = worst([one.finding.tier for one in findings]) if findings else Tier.NONE
    deciding = [one for one in findings if one.finding.tier is tier]
    return PartVerdict(
        tier=tier,
        rules=tuple(one.rule.id for one in deciding),
        why=tuple(one.finding.why.partition("): ")[2] for one in deciding),
        witness=tuple(dict.fromkeys(witness for one in deciding for witness in one.witness)),
    )


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
