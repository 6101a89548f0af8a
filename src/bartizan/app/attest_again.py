"""Attestation of a node whose boot is known: the road again, but only for what is new since the last time.

The state of a node (`node_state`) is data, so that whoever keeps it can keep it anywhere, and its evidence elsewhere. A
change of policy, Reference Values or posture is appraised from what is kept, without asking the node.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from bartizan.app.attest_node import Outcome, Rules
from bartizan.app.node_state import (
    NodeState,
    held_list,
    in_force,
    judged_alike,
    posture_digest,
    state_of,
    waivers_in_force,
    with_findings,
)
from bartizan.appraise.context import Context, ReferenceIndex
from bartizan.appraise.engine import appraise, appraise_posture_again, refused
from bartizan.appraise.further import appraise_further, says_all_known
from bartizan.appraise.measured import Tally, covered_columns, look_up
from bartizan.errors import VerifyError
from bartizan.formats.ima import further_entries
from bartizan.model.digest import HashAlg, PcrBanks
from bartizan.model.evidence import Challenge, Enrolment, ReportedQuote, VerifiedEvidence, VerifiedIma, VerifiedQuote
from bartizan.model.ima import IMA_PCR, ImaColumns
from bartizan.model.result import Anchor, AttestationResult, Finding, Pointer, State, Tier
from bartizan.model.tpm import Attest
from bartizan.verify.again import NeedsFullLogs, as_of, verify_known_identity, verify_later_quote
from bartizan.verify.freshness import check_clock
from bartizan.verify.ima_again import FurtherIma, in_one_piece, verify_further
from bartizan.verify.ima_outcome import ima_outcome

__all__ = [
    "Again",
    "NeedsEvidence",
    "NeedsFullLogs",
    "ReportedAgain",
    "attest_again",
    "begin",
    "goes_on",
    "reappraise",
    "resume",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedAgain:
    """What a node sends when its boot is known.

    new_entries: the IMA entries behind those that the Verifier holds, as bytes of the list's own form;
    first_entry: the index of the first of them, as the node counts; posture_digest: instead of a posture document,
    the SHA-256 of the one that was sent before.
    """

    quote: ReportedQuote
    untrusted_pcrs: PcrBanks
    new_entries: bytes = b""
    first_entry: int = 0
    posture: bytes | None = None
    posture_digest: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsEvidence:
    """More has to be judged than the state tells without its evidence: it has to be read again, and asked once more."""


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
        ValueError: nothing was verified, so that there is nothing to go on from; or `goes_on`, and the previous state
            is without its evidence. VerifyError: the quote is older than the state.
    """
    evidence = outcome.verified
    if evidence is None:
        raise ValueError("an outcome without verified evidence begins nothing")
    state = state_of(evidence, outcome.result, enrolment=enrolment, rules=rules, now=now)
    if state.reference is not None:
        state = replace(state, counted=_counted(evidence, state.reference))
    if previous is None:
        return state
    check_clock(previous.quote.attest.clock, evidence.quote.attest.clock)
    if not goes_on(previous, evidence.quote.attest):
        return state
    left_out = _left_out(previous.complete().ima, evidence.ima)
    return with_findings(state, [*_contraindicated(previous, state, now), *left_out])


def goes_on(state: NodeState, attest: Attest) -> bool:
    """A quote is of the same reset of the TPM as the state, so that PCRs and what was found in them stay."""
    return state.quote.attest.clock.reset_count == attest.clock.reset_count


def resume(
    outcome: Outcome, *, enrolment: Enrolment, rules: Rules, stuck: tuple[Finding, ...], now: datetime
) -> NodeState:
    """The state as it was left: its kept evidence verified once more, and what stuck to the boot, shown again or not.

    now: when that evidence was accepted.

    Raises:
        ValueError: as for `begin`.
    """
    state = with_findings(begin(outcome, enrolment=enrolment, rules=rules, now=now), stuck)
    return replace(state, stuck=stuck)


def reappraise(state: NodeState, *, rules: Rules, now: datetime) -> NodeState:
    """The state with all it keeps judged by these rules, without asking the node.

    Raises:
        ValueError: the state is without its evidence.
    """
    after = replace(state, rules=rules, reference=in_force(rules, now), waivers=waivers_in_force(rules, now))
    return _appraised(after, now=now, fresh=state.result.state)


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
) -> Again | NeedsFullLogs | NeedsEvidence:
    """Verify and appraise one more attestation of a known boot.

    (1) the quote holds, and is of the boot that is known; (2) the identity still stands; (3) the IMA list goes on from
    where it was; (4) if nothing is new, the result stands; (5) what is new is appraised, or everything if the rules or
    the posture changed.

    Raises:
        DecodeError: the new entries are no entries.
    """
    fresh = State.RECORDED if challenge.recorded else State.FRESH
    try:
        quote = verify_later_quote(  # (1)
            state.quote, sent.quote, ak=state.identity.ak, untrusted_pcrs=sent.untrusted_pcrs, challenge=challenge
        )
        if isinstance(quote, NeedsFullLogs):
            return quote
        identity = verify_known_identity(state.identity, state.quote, quote, enrolment=state.enrolment, now=now)  # (2)
    except VerifyError as error:
        result = refused(
            error, rules.catalogue, rules.levels, state=fresh, policy=rules.policy, reference=rules.reference
        )
        return Again(result=result, state=state)
    missing = _missing(state, sent, quote)  # (3)
    if missing:
        return NeedsFullLogs(reason=missing)
    after = replace(
        state,
        identity=identity,
        quote=quote,
        posture=sent.posture_digest or posture_digest(sent.posture),
        posture_bound=challenge.binds_posture,
        rules=rules,
        reference=in_force(rules, now),
        waivers=waivers_in_force(rules, now),
    )
    if _nothing_new(state, after, sent):  # (4)
        return _again(after, after.result, fresh)
    if state.evidence is None:
        return NeedsEvidence()
    return _news(state, after, sent, fresh=fresh, now=now)  # (5)


def _missing(state: NodeState, sent: ReportedAgain, quote: VerifiedQuote) -> str:
    """Why what is held does not tell how this quote came to be; empty if it may."""
    if sent.posture_digest is not None and sent.posture_digest != state.posture:
        return "the posture document that is named is not held"
    held = state.ima
    if held is None:
        return "IMA entries came where there was no list" if sent.new_entries else ""
    if held.matched is None:
        return "the IMA list did not lead to PCR 10 the last time"
    if sent.new_entries and sent.first_entry != held.entries:
        return f"IMA entries from {held.entries} on expected, found those from {sent.first_entry} on"
    if sent.new_entries or held.pending or _pcr10(quote) == _pcr10(state.quote):
        return ""
    return "PCR 10 was extended, and no IMA entries came"


def _pcr10(quote: VerifiedQuote) -> dict[HashAlg, bytes | None]:
    return {bank: values.get(IMA_PCR) for bank, values in quote.pcrs.items()}


def _nothing_new(state: NodeState, after: NodeState, sent: ReportedAgain) -> bool:
    """The quote is another one, and nothing else."""
    return not _grown(state, sent) and _standing(state, after) and not _other_posture(state, after)


def _grown(state: NodeState, sent: ReportedAgain) -> bool:
    """There are IMA entries that no quote has covered yet."""
    return bool(sent.new_entries) or (state.ima is not None and state.ima.pending)


def _news(state: NodeState, after: NodeState, sent: ReportedAgain, *, fresh: State, now: datetime) -> Again:
    """The result with all evidence at hand."""
    known = state.complete()
    further = _further(known, sent, after.quote) if _grown(state, sent) else None
    evidence = as_of(
        known,
        identity=after.identity,
        quote=after.quote,
        ima=known.ima if further is None else further.ima,
        posture=known.posture if after.posture == state.posture else sent.posture,
        posture_bound=after.posture_bound,
    )
    after = replace(after, ima=held_list(evidence.ima), evidence=evidence)
    return _concluded(state, after, further=further, fresh=fresh, now=now)


def _further(known: VerifiedEvidence, sent: ReportedAgain, quote: VerifiedQuote) -> FurtherIma | None:
    """The IMA list as this quote covers it; None where there is none."""
    ima = known.ima
    if ima is None:
        return None
    entries = further_entries(sent.new_entries, ima.list)
    return verify_further(ima, entries, before=known.quote.pcrs, pcrs=quote.pcrs, pinned=quote.pinned)


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
    lost = after.ima is not None and after.ima.matched is None
    if lost or judged_alike(state, after):  # other rules judge for themselves what is kept
        after = with_findings(after, _contraindicated(state, after, now))
    if lost:
        after = with_findings(after, _left_out(state.complete().ima, after.complete().ima))
    if further is not None and further.late is not None:
        after = with_findings(after, [further.late])
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
            counted = (state.counted or _counted(state.complete(), reference)) + further.tally
    elif covered:
        return None
    result = appraise_further(_context(after, now), state.result, further, counted=counted)
    return None if result is None else replace(after, result=result, counted=counted)


def _counted(evidence: VerifiedEvidence, reference: ReferenceIndex) -> Tally:
    """The tally of all files measured so far."""
    return look_up(covered_columns(evidence.ima), reference).tally


def _standing(state: NodeState, after: NodeState) -> bool:
    """Nothing but the IMA list and the posture can say anything else than it did."""
    same_signer = after.identity is state.identity and after.quote.findings == state.quote.findings
    return same_signer and judged_alike(state, after)


def _other_posture(state: NodeState, after: NodeState) -> bool:
    """The posture, or whether the quote covers it, is not what it was."""
    return (after.posture, after.posture_bound) != (state.posture, state.posture_bound)


def _with_posture(state: NodeState, after: NodeState, now: datetime) -> NodeState:
    """The state with its posture judged anew; what a PCR showed of the former one stays, the node's own word goes."""
    own = tuple(finding for finding in after.result.findings if finding not in after.stuck)
    judged = replace(after.result, findings=own)
    result = appraise_posture_again(_context(after, now), judged, after.rules.levels)
    return with_findings(with_findings(replace(after, result=result), after.stuck), _contraindicated(state, after, now))


def _appraised(state: NodeState, *, now: datetime, fresh: State) -> NodeState:
    """The state with all its evidence appraised."""
    evidence = state.complete()
    if evidence.ima is not None:
        evidence = replace(evidence, ima=in_one_piece(evidence.ima))
    state = replace(state, evidence=evidence)
    result = appraise(_context(state, now), state.rules.levels, state=fresh)
    return with_findings(replace(state, result=result, counted=None), state.stuck)


def _contraindicated(previous: NodeState, state: NodeState, now: datetime) -> list[Finding]:
    """What PCRs or certificates showed before in this boot and is contraindicated, as today's rules see it."""
    if not judged_alike(previous, state):
        judged = replace(previous, rules=state.rules, reference=state.reference, waivers=state.waivers)
        previous = _appraised(judged, now=now, fresh=state.result.state)
    bad = (finding for finding in previous.result.findings if finding.tier is Tier.CONTRAINDICATED)
    return [finding for finding in bad if finding.anchor is not Anchor.AGENT]


def _context(state: NodeState, now: datetime) -> Context:
    rules = state.rules
    return Context(
        evidence=state.complete(),
        policy=rules.policy,
        catalogue=rules.catalogue,
        reference=state.reference,
        now=now,
        posture_rules=rules.posture,
    )
