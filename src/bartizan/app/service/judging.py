"""One attestation as a node sent it, judged by what is kept of the node. Pure: times and rules come in as arguments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

from bartizan.app.attest_again import (
    Again,
    NeedsEvidence,
    NeedsFullLogs,
    ReportedAgain,
    attest_again,
    begin,
    goes_on,
    resume,
)
from bartizan.app.attest_node import Rules, attest_node
from bartizan.app.evidence_folder import command_line_text
from bartizan.app.node_state import NodeState, posture_digest
from bartizan.app.service.identity import reported_identity
from bartizan.errors import DecodeError, VerifyError
from bartizan.formats.agent_message import decode_enrol
from bartizan.formats.ima import decode_ima, encode_entries, is_binary
from bartizan.formats.log_file import decode_log_file
from bartizan.formats.result_json import decode_findings
from bartizan.formats.tcg_log import decode_boot_log
from bartizan.formats.tpm2 import decode_attest, decode_signature
from bartizan.model.certificate import TrustAnchors
from bartizan.model.digest import PCR_COUNT, HashAlg, PackedPcrs, PcrBanks
from bartizan.model.evidence import Activation, Challenge, Enrolment, ReportedEvidence, ReportedQuote
from bartizan.model.ima import ImaColumns, ImaList, ImaParts
from bartizan.model.node import KeptBoot, NodeRecord
from bartizan.model.protocol import EvidenceRequest, Held, SentBoot, SentIma
from bartizan.model.result import AttestationResult
from bartizan.verify.binding import NO_POSTURE, bound_to_digest
from bartizan.verify.ima_join import on_from
from bartizan.verify.quote import verify_quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attestation to judge. state: what is held of the boot."""

    record: NodeRecord
    enrolment: Enrolment
    state: NodeState | None
    request: EvidenceRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An accepted attestation. boot: the logs, if it began a boot; entries: new IMA entries, from index `first` on."""

    state: NodeState
    boot: SentBoot | None = None
    entries: Sequence[bytes] = ()
    first: int = 0


def enrolment_of(record: NodeRecord, anchors: TrustAnchors) -> Enrolment:
    """What is remembered of a node's identity."""
    return Enrolment(
        anchors=anchors,
        ak_name=record.ak_name,
        registered_ek=record.ek_name if record.registered else None,
        activation=Activation.SHOWN,
    )


def challenge_for(record: NodeRecord, nonce: bytes, *, posture_sha256: bytes | None) -> Challenge:
    """What the quote must answer: all PCRs of the banks enrolled, with node, nonce and posture bound into it.

    posture_sha256: of the posture document, None where there is none.
    """
    return Challenge(
        extra_data=bound_to_digest(record.uid, nonce, posture_sha256 or NO_POSTURE),
        selection=all_pcrs_of(record.banks),
        pinned=record.pinned,
        recorded=False,
        binds_posture=True,
    )


@cache
def all_pcrs_of(banks: tuple[HashAlg, ...]) -> Mapping[int, frozenset[int]]:
    """All PCRs of each of these banks."""
    return {bank: frozenset(range(PCR_COUNT)) for bank in banks}


def judge(attempt: Attempt, *, rules: Rules, now: datetime) -> Judged | NeedsFullLogs | NeedsEvidence:
    """Verify and appraise what came.

    Raises:
        DecodeError: a part is not what it should be. VerifyError: the evidence does not hold; nothing changes.
    """
    request, record = attempt.request, attempt.record
    quote = reported_quote(request.attest, request.signature)
    posture = request.posture_digest or posture_digest(request.posture)
    challenge = challenge_for(record, request.nonce, posture_sha256=posture)
    if request.boot is not None:
        return _begun(attempt, request.boot, quote, challenge=challenge, rules=rules, now=now)
    if attempt.state is None:
        return NeedsFullLogs(reason="nothing is held of this boot")
    ima = request.ima or SentIma(first=_own_entries(attempt.state), entries=b"")
    sent = ReportedAgain(
        quote=quote,
        untrusted_pcrs=split_pcrs(request.pcrs, record.banks),
        new_entries=ima.entries,
        first_entry=ima.first + node_start(attempt.state),
        posture=request.posture,
        posture_digest=request.posture_digest,
    )
    found = attest_again(attempt.state, sent, challenge=challenge, rules=rules, now=now)
    if not isinstance(found, Again):
        return found
    if found.state is attempt.state:
        raise _refused(found.result)
    if found.state.ima is not None and found.state.ima.matched is None:
        return NeedsFullLogs(reason="the IMA entries that came do not lead from those held to PCR 10")
    return _further(found.state, attempt.state)


def _begun(
    attempt: Attempt, boot: SentBoot, quote: ReportedQuote, *, challenge: Challenge, rules: Rules, now: datetime
) -> Judged | NeedsFullLogs | NeedsEvidence:
    """A full attestation, judged. What is held of the same reset of the TPM counts with it."""
    request, held = attempt.request, attempt.state
    pcrs = split_pcrs(request.pcrs, attempt.record.banks)
    if request.posture_digest is not None and (held is None or held.posture != request.posture_digest):
        return NeedsFullLogs(reason="the posture document that is named is not held")
    if held is not None and held.evidence is None and (request.posture_digest or goes_on(held, quote.attest)):
        verify_quote(quote, ak=held.identity.ak, untrusted_pcrs=pcrs, challenge=challenge)  # who asks for that work?
        return NeedsEvidence()
    posture = request.posture
    if held is not None and held.evidence is not None and request.posture_digest is not None:
        posture = held.evidence.posture
    evidence = reported(attempt.record, quote, pcrs, boot=boot, ima=_whole_list(request), posture=posture)
    if held is not None and held.evidence is not None:
        evidence = on_from(held.complete(), evidence)
    outcome = attest_node(evidence, challenge=challenge, enrolment=attempt.enrolment, rules=rules, now=now)
    if outcome.verified is None:
        raise _refused(outcome.result)
    after = begin(outcome, enrolment=attempt.enrolment, rules=rules, now=now, previous=held)
    entries = () if evidence.ima is None else encode_entries(evidence.ima.entries)
    return Judged(state=after, boot=boot, entries=entries)


def _further(after: NodeState, before: NodeState) -> Judged:
    held = held_entries(before)
    if held_entries(after) == held:
        return Judged(state=after)
    ima = after.complete().ima
    return Judged(state=after, entries=() if ima is None else encode_entries(_since(ima.list, held)), first=held)


def _since(ima: ImaList, held: int) -> ImaColumns:
    entries = ima.entries
    return entries.since(held) if isinstance(entries, ImaParts) else ima.columns[held:]


def held_entries(state: NodeState) -> int:
    """How many IMA entries are kept of a boot."""
    return 0 if state.ima is None else state.ima.entries


def node_start(state: NodeState) -> int:
    """How many of them stand before the first entry of the list that the node has now."""
    return 0 if state.ima is None else state.ima.node_start


def _own_entries(state: NodeState) -> int:
    """How many of them the node's present list has, as the node counts."""
    return held_entries(state) - node_start(state)


def held_of(state: NodeState) -> Held:
    """What a node need not send again."""
    clock = state.quote.attest.clock
    return Held(
        reset_count=clock.reset_count,
        restart_count=clock.restart_count,
        ima_entries=_own_entries(state),
        posture_digest=state.posture,
    )


def resumed(record: NodeRecord, kept: KeptBoot, *, enrolment: Enrolment, rules: Rules) -> NodeState:
    """A node's state from what is kept, every signature and digest checked once more.

    Raises:
        DecodeError, VerifyError: what is kept does not hold: the database was changed.
    """
    now = datetime.fromtimestamp(kept.accepted_at / 1000, UTC)
    quote = reported_quote(kept.attest, kept.signature)
    boot = SentBoot(
        boot_log=kept.boot_log,
        launch_log=kept.launch_log,
        command_line=kept.command_line,
        other_boot_logs=kept.other_logs,
    )
    evidence = reported(
        record, quote, split_pcrs(kept.pcrs, record.banks), boot=boot, ima=kept.ima, posture=kept.posture
    )
    if evidence.ima is not None:
        start = min(kept.ima_start, len(evidence.ima.entries))
        evidence = replace(evidence, ima=replace(evidence.ima, node_start=start))
    challenge = challenge_for(record, kept.nonce, posture_sha256=posture_digest(kept.posture))
    outcome = attest_node(evidence, challenge=challenge, enrolment=enrolment, rules=rules, now=now)
    if outcome.verified is None:
        raise _refused(outcome.result)
    return resume(outcome, enrolment=enrolment, rules=rules, stuck=decode_findings(kept.stuck), now=now)


def reported_quote(attest: bytes, signature: bytes) -> ReportedQuote:
    """A quote, decoded.

    Raises:
        DecodeError: it is none.
    """
    return ReportedQuote(attest=decode_attest(attest), signature=decode_signature(signature))


def reported(
    record: NodeRecord,
    quote: ReportedQuote,
    pcrs: PcrBanks,
    *,
    boot: SentBoot,
    ima: bytes | None,
    posture: bytes | None,
) -> ReportedEvidence:
    """Everything of one boot, decoded; the identity is the one enrolled.

    Raises:
        DecodeError: a part is not what it should be.
    """
    return ReportedEvidence(
        identity=reported_identity(decode_enrol(record.identity)),
        quote=quote,
        untrusted_pcrs=pcrs,
        boot_log=None if boot.boot_log is None else decode_boot_log(boot.boot_log),
        launch_log=None if boot.launch_log is None else decode_log_file(boot.launch_log),
        ima=None if ima is None else decode_ima(ima),
        posture=posture,
        untrusted_command_line=command_line_text(boot.command_line),
        other_boot_logs=tuple(decode_boot_log(log) for log in boot.other_boot_logs),
    )


def _whole_list(request: EvidenceRequest) -> bytes | None:
    """The IMA list from its start; None where the machine has none.

    Raises:
        DecodeError: it begins later, or is not in the kernel's binary form.
    """
    ima = request.ima
    if ima is None or not ima.entries:
        return None
    if ima.first:
        raise DecodeError("evidence.ima.first", 0, f"full logs need the list from entry 0 on, found {ima.first}")
    if not is_binary(ima.entries):
        raise DecodeError("evidence.ima.entries", 0, "the kernel's binary form expected")
    return ima.entries


def split_pcrs(sent: Mapping[int, bytes], banks: Sequence[HashAlg]) -> PcrBanks:
    """PCR values by bank and index, from the values of each bank one behind the other.

    Raises:
        DecodeError: other banks than these, or not one value for every PCR.
    """
    if sent.keys() != set(banks):
        asked = ", ".join(bank.label for bank in banks)
        raise DecodeError("evidence.pcrs", 0, f"the banks {asked} expected, found numbers {sorted(sent)}")
    found: dict[HashAlg, PackedPcrs] = {}
    for bank in banks:
        try:
            found[bank] = PackedPcrs(sent[bank], size=bank.size)
        except ValueError as error:
            raise DecodeError(f"evidence.pcrs.{bank.label}", 0, str(error)) from error
    return found


def _refused(result: AttestationResult) -> VerifyError:
    """What stopped verification, as the error that it was."""
    (finding, *_) = result.findings
    return VerifyError(finding.id, finding.why)
