"""The node's posture in an appraisal: what of it PCRs bear out or contradict, and the rules of the policy's profile.

It caps at level 4 and costs no lower one. Whatever no PCR bears out is the node's word and says so by its anchor.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from bartizan.appraise.context import Context
from bartizan.appraise.posture.engine import appraise_posture
from bartizan.appraise.posture.measured import Comparison, compare, present
from bartizan.appraise.waivers import waived
from bartizan.model.posture import MalformedPosture, Measured, PostureFinding, PostureResult, ReportedPosture
from bartizan.model.result import Anchor, Confinement, Finding, Pointer, Tier, worst
from bartizan.verify.ima_buffers import buffer_facts

MAX_EACH = 32
"""Findings of one rule about workloads that are told one by one; a host may run thousands."""
SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PostureAppraisal:
    """All that an appraisal says of a posture; confinement is None where no rule was applied."""

    findings: tuple[Finding, ...]
    confinement: Confinement | None = None


def confinement(context: Context) -> PostureAppraisal:
    """Every check of the posture; nothing where none came."""
    found = [*binding(context), *selinux(context)]
    posture = context.evidence.reported_posture
    if isinstance(posture, MalformedPosture):
        why = f"the posture that came is no document that can be read: {posture.why}"
        found.append(context.say("posture.form", Tier.WARNING, why))
    if not isinstance(posture, ReportedPosture):
        return PostureAppraisal(findings=tuple(found))
    compared = list(compare(context.evidence, posture))
    found += _agreement(context, compared)
    if context.policy.posture is None:
        why = "the policy names no profile, so that the posture is not judged"
        return PostureAppraisal(findings=(*found, context.say("posture.profile", Tier.NONE, why)))
    result = appraise_posture(posture, context.posture_rules, context.policy.posture)
    rules = _anchored(result, compared)
    share = _share(context, result, rules)
    found += [*_told(rules), *_summaries(context, rules, share)]
    return PostureAppraisal(findings=tuple(found), confinement=share)


def binding(context: Context) -> Iterator[Finding]:
    """posture.binding: whether the quote covers the posture; recorded evidence with a raw nonce cannot show it."""
    if context.evidence.posture is None:
        return
    if context.evidence.posture_bound:
        yield context.say("posture.binding", Tier.AFFIRMING, "the quote covers the posture that came with it")
    else:
        why = "the posture is not bound to the quote (raw nonce), so that nothing above level 4 can rest on it"
        yield context.say("posture.binding", Tier.WARNING, why)


def selinux(context: Context) -> Iterator[Finding]:
    """posture.selinux: the state that the kernel measured, whatever the node says of it."""
    if context.evidence.ima is None:
        return
    states = present(buffer_facts(context.evidence.ima).selinux_states)
    if not states:
        return
    (last, entry), earlier = states[-1], states[:-1]
    at = Pointer(pcr=10, entry=entry)
    loaded = [some for some in earlier if some[0].flags.get("initialized") == 1]
    off = next((number for state, number in loaded if not state.enforcing), None)
    if not last.enforcing:
        why = "SELinux was measured as not enforcing: it denies nothing"
        yield context.say("posture.selinux", Tier.CONTRAINDICATED, why, at)
    elif off is not None:
        why = "SELinux is enforcing, but was measured as permissive before in this boot"
        yield context.say("posture.selinux", Tier.WARNING, why, Pointer(pcr=10, entry=off))
    else:
        yield context.say("posture.selinux", Tier.AFFIRMING, "SELinux was measured as enforcing since its policy", at)


def _agreement(context: Context, compared: Iterable[Comparison]) -> Iterator[Finding]:
    """posture.agreement: a posture that says better of itself than what was measured is a lie."""
    agreeing = []
    for one in compared:
        if one.agrees:
            agreeing.append(one.subject.value)
        else:
            tier = Tier.CONTRAINDICATED if one.flatters else Tier.WARNING
            yield context.say("posture.agreement", tier, one.why, one.at)
    if agreeing:
        why = f"measured and reported alike: {', '.join(agreeing)}"
        yield context.say("posture.agreement", Tier.AFFIRMING, why)


def _anchored(result: PostureResult, compared: Iterable[Comparison]) -> list[PostureFinding]:
    """The findings with the TPM for their anchor where it vouches for what they rest on."""
    proved = {one.subject for one in compared if one.agrees} | {Measured.QUOTE}
    return [
        replace(one, finding=replace(one.finding, anchor=Anchor.TPM)) if one.rule.vouched_by in proved else one
        for one in result.findings
    ]


def _share(context: Context, result: PostureResult, rules: Iterable[PostureFinding]) -> Confinement:
    by_rule: dict[str, list[Finding]] = {}
    for one in rules:
        by_rule.setdefault(one.rule.id, []).append(_judged(context, one))
    held = [findings[0] for findings in by_rule.values() if all(finding.passes for finding in findings)]
    open_rules = [rule for rule, findings in by_rule.items() if not all(finding.passes for finding in findings)]
    return Confinement(
        profile=result.profile.value,
        held={anchor: sum(finding.anchor is anchor for finding in held) for anchor in Anchor},
        open=tuple(open_rules),
        workloads=len(result.workloads),
    )


def _judged(context: Context, one: PostureFinding) -> Finding:
    return waived(one.finding, context.policy.waivers, context.now)


def _told(rules: Iterable[PostureFinding]) -> Iterator[Finding]:
    """Every finding about the host; of those about workloads what does not hold, the first of each rule."""
    counted: dict[str, int] = {}
    for one in rules:
        if one.rule.part is None:
            yield one.finding
        elif one.finding.tier is not Tier.AFFIRMING:
            counted[one.rule.id] = counted.get(one.rule.id, 0) + 1
            if counted[one.rule.id] <= MAX_EACH:
                yield one.finding


def _summaries(context: Context, rules: list[PostureFinding], share: Confinement) -> Iterator[Finding]:
    """posture.host and posture.workloads: what the rung of confinement asks."""
    host = [one for one in rules if one.rule.part is None]
    yield _summary(context, "posture.host", host, f"rules of the profile {share.profile} on the host", share)
    about = [one for one in rules if one.rule.part is not None]
    if not about:
        why = "no virtual machine, container or packet switch runs here"
        yield context.say("posture.workloads", Tier.AFFIRMING, why)
    else:
        subject = f"rules of the profile {share.profile} for {share.workloads} workloads"
        yield _summary(context, "posture.workloads", about, subject, share)


def _summary(context: Context, check: str, found: list[PostureFinding], subject: str, share: Confinement) -> Finding:
    judged = [_judged(context, one) for one in found]
    names = {one.rule.id for one in found}
    missing = [rule for rule in share.open if rule in names]
    tpm = {finding.id for finding in judged if finding.anchor is Anchor.TPM}
    rest = f"{len(tpm)} of them rest on the TPM, the others on the node's word"
    if not missing and judged:
        return context.say(check, Tier.AFFIRMING, f"all {len(names)} {subject} hold; {rest}")
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    why = f"{len(missing)} of {len(names)} {subject} do not hold or are not known: {', '.join(missing[:SHOWN])}{more}"
    tier = worst([finding.tier for finding in judged if not finding.passes]) if judged else Tier.NONE
    return context.say(check, tier, f"{why}; {rest}")
