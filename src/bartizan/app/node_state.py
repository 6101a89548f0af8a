"""What is kept of a node between two attestations of one boot: a little for every node, all its evidence for some.

A quote that finds nothing new is held against the little alone. Whatever else comes is judged with all the evidence,
which whoever keeps states may let go of and read again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bartizan.app.attest_node import Rules
from bartizan.appraise.context import ReferenceIndex
from bartizan.appraise.engine import fold
from bartizan.appraise.measured import Tally
from bartizan.model.evidence import Enrolment, VerifiedEvidence, VerifiedIdentity, VerifiedIma, VerifiedQuote
from bartizan.model.policy import Waiver
from bartizan.model.result import AttestationResult, Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldList:
    """The IMA list of a boot.

    entries: how many are kept; matched: how many of them the last quote covers, None if the list is not that quote's;
    node_start: how many of them stand before the first entry of the list that the node has now.
    """

    entries: int
    matched: int | None
    node_start: int = 0

    @property
    def pending(self) -> bool:
        """Entries are kept that the last quote does not cover."""
        return self.matched != self.entries


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """What is kept of a node between two attestations of one boot.

    quote: the last one; ima: None where the machine has no list; posture: SHA-256 of the posture document, None where
    there is none; posture_bound: that quote covers it; reference, waivers: what counted of the rules' Reference Values
    and waivers when `result` was made; stuck: contraindicated findings of this boot, which stay whatever the evidence
    shows later; evidence: all of this boot, its quote that or an earlier one, None where it is kept elsewhere; counted:
    the tally of the files measured so far, None where it was not needed since.
    """

    enrolment: Enrolment
    identity: VerifiedIdentity
    quote: VerifiedQuote
    ima: HeldList | None
    posture: bytes | None
    posture_bound: bool
    rules: Rules
    reference: ReferenceIndex | None
    waivers: tuple[Waiver, ...]
    result: AttestationResult
    stuck: tuple[Finding, ...] = ()
    evidence: VerifiedEvidence | None = None
    counted: Tally | None = None

    def complete(self) -> VerifiedEvidence:
        """All evidence of this boot, with the last quote.

        Raises:
            ValueError: it is kept elsewhere.
        """
        if self.evidence is None:
            raise ValueError("the state was let go of its evidence: it has to be read again first")
        if self.evidence.quote is self.quote:
            return self.evidence
        return replace(self.evidence, quote=self.quote)

    def without_evidence(self) -> "NodeState":
        """The same with nothing but what the next quote is held against."""
        return replace(self, evidence=None, counted=None)


def state_of(
    evidence: VerifiedEvidence, result: AttestationResult, *, enrolment: Enrolment, rules: Rules, now: datetime
) -> NodeState:
    """The state that evidence and its result make."""
    return NodeState(
        enrolment=enrolment,
        identity=evidence.identity,
        quote=evidence.quote,
        ima=held_list(evidence.ima),
        posture=posture_digest(evidence.posture),
        posture_bound=evidence.posture_bound,
        rules=rules,
        reference=in_force(rules, now),
        waivers=waivers_in_force(rules, now),
        result=result,
        evidence=evidence,
    )


def held_list(ima: VerifiedIma | None) -> HeldList | None:
    """What is known of a list without its entries."""
    if ima is None:
        return None
    return HeldList(entries=len(ima.list.entries), matched=ima.matched, node_start=ima.list.node_start)


def posture_digest(posture: bytes | None) -> bytes | None:
    """What a posture document is named by."""
    return None if posture is None else hashlib.sha256(posture).digest()


def in_force(rules: Rules, now: datetime) -> ReferenceIndex | None:
    """What counts now of the rules' Reference Values."""
    return rules.reference.at(now) if rules.reference is not None else None


def waivers_in_force(rules: Rules, now: datetime) -> tuple[Waiver, ...]:
    """The waivers of the policy that have not expired."""
    return tuple(waiver for waiver in rules.policy.waivers if waiver.counts(now))


def judged_by(state: NodeState, *, rules: Rules, now: datetime) -> bool:
    """The state's result rests on these rules, and on what of their Reference Values and waivers counts now."""
    unchanged = state.rules is rules and state.reference is in_force(rules, now)
    return unchanged and state.waivers == waivers_in_force(rules, now)


def judged_alike(one: NodeState, other: NodeState) -> bool:
    """Both results rest on the same rules, and on the same Reference Values and waivers in force."""
    return one.rules is other.rules and one.reference is other.reference and one.waivers == other.waivers


def with_findings(state: NodeState, findings: Sequence[Finding]) -> NodeState:
    """The state with these findings too, where its result does not have them already; they stay for the boot."""
    result = state.result
    new = [finding for finding in findings if finding not in result.findings]
    if not new:
        return state
    result = fold(
        (*result.findings, *new),
        state.rules.levels,
        state=result.state,
        policy=result.policy,
        reference=result.reference,
    )
    result = replace(result, strength=state.result.strength, confinement=state.result.confinement)
    return replace(state, result=result, stuck=tuple(dict.fromkeys((*state.stuck, *new))))
