"""Attestation of a node whose boot is known: the road again, but only for what is new since the last time.

The state of a node is all its evidence of this boot and the result; both are data, so that whoever keeps them can keep
them anywhere. A change of policy, Reference Values or posture is appraised from what is kept, without asking the node.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bartizan.app.attest_node import Outcome, Rules
from bartizan.appraise.context import Context, ReferenceIndex
from bartizan.appraise.engine import appraise, appraise_posture_again, fold, refused
from bartizan.appraise.further import appraise_further, says_all_known
from bartizan.appraise.measured import Tally, covered_columns, look_up
from bartizan.errors import VerifyError
from bartizan.formats.ima import further_entries
from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.evidence import Challenge, Enrolment, ReportedQuote, VerifiedEvidence, VerifiedIma, VerifiedQuote
from bartizan.model.ima import IMA_PCR, ImaColumns
from bartizan.model.result import Anchor, AttestationResult, Finding, Pointer, State, Tier
from bartizan.verify.again import NeedsFullLogs, as_of, verify_known_identity, verify_later_quote
from bartizan.verify.freshness import check_clock
from bartizan.verify.ima_again import FurtherIma, in_one_piece, verify_further
from bartizan.verify.ima_outcome import ima_outcome

__all__ = [
    "Again",
    "NeedsFullLogs",
    "NodeState",
    "ReportedAgain",
    "attest_again",
    "begin",
    "judged_by",
    "reappraise",
    "resume",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedAgain:
    """What a node sends when its boot is known.

    new_entries: the IMA entries behind those that the Verifier holds, as bytes of the list's own form;
    first_entry: the index of the first of them, as the node counts.
    """

    quote: ReportedQuote
    untrusted_pcrs: PcrBanks
    new_entries: bytes = b""
    first_entry: int = 0
    posture: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """What is kept of a node between two attestations of one boot.

    reference: what counted of the rules' Reference Values when `result` was made; counted: the tally of the files
    measured so far, None where it was not needed since; stuck: contraindicated findings of this boot that the kept
    evidence would not show again.
    """

    enrolment: Enrolment
    evidence: VerifiedEvidence
    rules: Rules
    reference: ReferenceIndex | None
    result: AttestationResult
    counted: Tally | None = None
    stuck: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """A result, and the state to go on from; the state is the former one where the quote was refused."""

    result: AttestationResult
    state: NodeState


def begin(
    outcome: Outcome, *, enrolment: Enrolment, rules: Rules, now: datetime, previous: NodeState | None = None
) -> NodeState:
    """The state after a full attestation that verification let pass; previous: the state that it replaces, if any.

    What was contraindicated since the TPM's reset stays so, whatever the new logs leave out: a suspend or a dynamic
    launch asks for full logs and starts no new kernel. Only what the node itself says (posture) may become better.

    Raises:
        ValueError: nothing was verified, so that there is nothing to go on from. VerifyError: the quote is older than
            the state.
    """
    evidence = outcome.verified
    if evidence is None:
        raise ValueError("an outcome without verified evidence begins nothing")
    state = NodeState(
        enrolment=enrolment,
        evidence=evidence,
        rules=rules,
        reference=_in_force(rules, now),
        result=outcome.result,
    )
    if state.reference is not None:
        state = replace(state, counted=_counted(evidence, state.reference))
    if previous is None:
        return state
    before, after = previous.evidence.quote.attest.clock, evidence.quote.attest.clock
    check_clock(before, after)
    if before.reset_count != after.reset_count:
        return state
    return _with(state, [*_contraindicated(previous, state, now), *_left_out(previous.evidence.ima, evidence.ima)])


def resume(
    outcome: Outcome, *, enrolment: Enrolment, rules: Rules, stuck: tuple[Finding, ...], now: datetime
) -> NodeState:
    """The state as it was left: its kept evidence verified once more, and what stuck to the boot.

    now: when that evidence was accepted.

    Raises:
        ValueError: as for `begin`.
    """
    return _with(begin(outcome, enrolment=enrolment, rules=rules, now=now), stuck)


def reappraise(state: NodeState, *, rules: Rules, now: datetime) -> NodeState:
    """The state with all it keeps judged by these rules, without asking the node."""
    after = replace(state, rules=rules, reference=_in_force(rules, now))
    return _appraised(after, now=now, fresh=state.result.state)


def judged_by(state: NodeState, *, rules: Rules, now: datetime) -> bool:
    """The state's result rests on these rules, and on what of their Reference Values counts now."""
    return state.rules is rules and state.reference is _in_force(rules, now)


def _left_out(before: VerifiedIma | None, after: VerifiedIma | None) -> list[Finding]:
    """An IMA list that this boot has shown and shows no more: list and PCR 10 outlive a suspend.

    A kexec may lose the one and never the other. That the list leads to PCR 10 no more is enough: a kernel that reads
    the same files in the same order shows the same entries again.
    """
    if before is None or before.matched is None:
        return []
    shown = before.list.columns.template_data[: before.matched]
    if after is None or after.list.columns.template_data[: before.matched] != shown:
        lost = "are left out or changed now"
    elif after.matched is None:
        lost = "led to PCR 10, and the list leads there no more"
    else:
        return []
    why = (
        f"{before.matched} entries of the IMA list that this boot has shown {lost}:"
        " cut off, changed, or lost by a kexec behind the last attestation that did not carry them on"
    )
    return [ima_outcome("list-present", Tier.CONTRAINDICATED, why, Pointer(pcr=IMA_PCR))]


def attest_again(
    state: NodeState, sent: ReportedAgain, *, challenge: Challenge, rules: Rules, now: datetime
) -> Again | NeedsFullLogs:
    """Verify and appraise one more attestation of a known boot.

    (1) the quote holds, and is of the boot that is known; (2) the identity still stands; (3) the IMA list goes on from
    where it was; (4) what is new is appraised, or everything if the rules or the posture changed.

    Raises:
        DecodeError: the new entries are no entries.
    """
    known, fresh = state.evidence, State.RECORDED if challenge.recorded else State.FRESH
    try:
        quote = verify_later_quote(known, sent.quote, untrusted_pcrs=sent.untrusted_pcrs, challenge=challenge)  # (1)
        if isinstance(quote, NeedsFullLogs):
            return quote
        identity = verify_known_identity(known, quote, enrolment=state.enrolment, now=now)  # (2)
    except VerifyError as error:
        result = refused(
            error, rules.catalogue, rules.levels, state=fresh, policy=rules.policy, reference=rules.reference
        )
        return Again(result=result, state=state)
    further = _further(known, sent, quote)  # (3)
    if isinstance(further, NeedsFullLogs):
        return further
    evidence = as_of(
        known,
        identity=identity,
        quote=quote,
        ima=known.ima if further is None else further.ima,
        posture=sent.posture,
        posture_bound=challenge.binds_posture,
    )
    after = replace(state, evidence=evidence, rules=rules, reference=_in_force(rules, now))
    return _concluded(state, after, further=further, fresh=fresh, now=now)  # (4)


def _further(known: VerifiedEvidence, sent: ReportedAgain, quote: VerifiedQuote) -> FurtherIma | NeedsFullLogs | None:
    """The IMA list as this quote covers it; None where there is nothing new."""
    ima = known.ima
    if ima is None:
        return NeedsFullLogs(reason="IMA entries came where there was no list") if sent.new_entries else None
    if ima.matched is None:
        return NeedsFullLogs(reason="the IMA list did not lead to PCR 10 the last time")
    held = len(ima.list.entries)
    if sent.new_entries and sent.first_entry != held:
        return NeedsFullLogs(reason=f"IMA entries from {held} on expected, found those from {sent.first_entry} on")
    if not sent.new_entries and not ima.pending:
        unchanged = _pcr10(quote) == _pcr10(known.quote)
        return None if unchanged else NeedsFullLogs(reason="PCR 10 was extended, and no IMA entries came")
    entries = further_entries(sent.new_entries, ima.list)
    return verify_further(ima, entries, before=known.quote.pcrs, pcrs=quote.pcrs, pinned=quote.pinned)


def _pcr10(quote: VerifiedQuote) -> dict[HashAlg, bytes | None]:
    return {bank: values.get(IMA_PCR) for bank, values in quote.pcrs.items()}


def _concluded(state: NodeState, after: NodeState, *, further: FurtherIma | None, fresh: State, now: datetime) -> Again:
    """The result of what is new since `state`."""
    if _standing(state, after):
        current: NodeState | None = None
        if further is None:
            current = after
        elif further.covered is not None and further.late is None:
            current = _updated(state, after, further.covered, now=now)
        if current is not None and not _other_posture(state, after):
            return _again(current, current.result, fresh)
        if current is not None:
            current = _with_posture(state, current, now)
            return _again(current, current.result, fresh)
    after = _appraised(after, now=now, fresh=fresh)
    ima = after.evidence.ima
    lost = ima is not None and ima.matched is None
    if lost or _judged_alike(state, after):  # other rules judge for themselves what is kept
        after = _with(after, _contraindicated(state, after, now))
    if lost:
        after = _with(after, _left_out(state.evidence.ima, ima))
    if further is not None and further.late is not None:
        after = _with(after, [further.late])
    return _again(after, after.result, fresh)


def _again(state: NodeState, result: AttestationResult, fresh: State) -> Again:
    result = result if result.state is fresh else replace(result, state=fresh)
    return Again(result=result, state=state if result is state.result else replace(state, result=result))


def _updated(state: NodeState, after: NodeState, covered: ImaColumns, *, now: datetime) -> NodeState | None:
    """The state after these entries, if they are known files and nothing else; None if they are not."""
    further, counted, reference = None, None, state.reference
    if reference is not None:
        further = look_up(covered, reference)
        if says_all_known(state.result):
            counted = (state.counted or _counted(state.evidence, reference)) + further.tally
    elif covered:
        return None
    result = appraise_further(_context(after, now), state.result, further, counted=counted)
    return None if result is None else replace(after, result=result, counted=counted)


def _counted(evidence: VerifiedEvidence, reference: ReferenceIndex) -> Tally:
    """The tally of all files measured so far."""
    return look_up(covered_columns(evidence.ima), reference).tally


def _standing(state: NodeState, after: NodeState) -> bool:
    """Nothing but the IMA list and the posture can say anything else than it did."""
    old, new = state.evidence, after.evidence
    return _judged_alike(state, after) and new.identity is old.identity and new.quote.findings == old.quote.findings


def _other_posture(state: NodeState, after: NodeState) -> bool:
    """The posture, or whether the quote covers it, is not what it was."""
    old, new = state.evidence, after.evidence
    return (new.posture, new.posture_bound) != (old.posture, old.posture_bound)


def _with_posture(state: NodeState, after: NodeState, now: datetime) -> NodeState:
    """The state with its posture judged anew; what a PCR showed of the former one stays, the node's own word goes."""
    own = tuple(finding for finding in after.result.findings if finding not in after.stuck)
    judged = replace(after.result, findings=own)
    result = appraise_posture_again(_context(after, now), judged, after.rules.levels)
    return _with(_with(replace(after, result=result), after.stuck), _contraindicated(state, after, now))


def _judged_alike(one: NodeState, other: NodeState) -> bool:
    """Both results rest on the same rules, and on the same Reference Values in force."""
    return one.rules is other.rules and one.reference is other.reference


def _appraised(state: NodeState, *, now: datetime, fresh: State) -> NodeState:
    """The state with all its evidence appraised."""
    if state.evidence.ima is not None:
        state = replace(state, evidence=replace(state.evidence, ima=in_one_piece(state.evidence.ima)))
    result = appraise(_context(state, now), state.rules.levels, state=fresh)
    return _with(replace(state, result=result, counted=None), state.stuck)


def _contraindicated(previous: NodeState, state: NodeState, now: datetime) -> list[Finding]:
    """What PCRs or certificates showed before in this boot and is contraindicated, as today's rules see it."""
    if not _judged_alike(previous, state):
        judged = replace(previous, rules=state.rules, reference=state.reference)
        previous = _appraised(judged, now=now, fresh=state.result.state)
    bad = (finding for finding in previous.result.findings if finding.tier is Tier.CONTRAINDICATED)
    return [finding for finding in bad if finding.anchor is not Anchor.AGENT]


def _with(state: NodeState, findings: Sequence[Finding]) -> NodeState:
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


def _context(state: NodeState, now: datetime) -> Context:
    rules = state.rules
    return Context(
        evidence=state.evidence,
        policy=rules.policy,
        catalogue=rules.catalogue,
        reference=state.reference,
        now=now,
        posture_rules=rules.posture,
    )


def _in_force(rules: Rules, now: datetime) -> ReferenceIndex | None:
    return rules.reference.at(now) if rules.reference is not None else None
